package donation_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"larder/internal/account"
	"larder/internal/donation"
)

// state is a donation in one of the states of the matrix, and when it is looked at.
type state struct {
	donation donation.Donation
	now      time.Time
}

// states are the columns of the matrix, each reached by commands.
func states(t *testing.T) map[string]state {
	t.Helper()
	var (
		d       = listed(t)
		claimed = after(t, d, early, by("ngo-claimer", donation.Claim))
		carried = after(t, claimed, early, by("volunteer-carrier", donation.PickUp))
		fetched = after(t, claimed, early, by("ngo-claimer", donation.PickUp))
		late    = expires.Add(time.Second)
	)
	return map[string]state{
		"A": {d, early}, "A-late": {d, late}, "C": {claimed, early}, "C-late": {claimed, late},
		"P-vol": {carried, early}, "P-ngo": {fetched, early},
		"D-vol": {after(t, carried, early, by("volunteer-carrier", donation.Deliver)), early},
		"D-ngo": {after(t, carried, early, by("ngo-claimer", donation.Deliver)), early},
		"E":     {after(t, d, late, by("system", donation.Expire)), late}, "E-was-C": {after(t, claimed, late, by("system", donation.Expire)), late},
		"X": {after(t, d, early, by("donor-own", donation.Cancel)), early}, "X-was-C": {after(t, claimed, early, by("donor-own", donation.Cancel)), early},
	}
}

// words are how the matrix calls the refusals.
var words = map[donation.Code]string{
	donation.CodeWrongRole: "role", donation.CodeSuspended: "susp", donation.CodeNGONotVerified: "unver", donation.CodeNotYours: "yours",
	donation.CodeNotAvailable: "taken", donation.CodeExpired: "late", donation.CodeInvalidTransition: "state",
}

// cell is one line of the matrix taken apart.
type cell struct {
	action       donation.Action
	to           donation.Status
	actor, state string
	want         string
}

// readMatrix reads testdata/matrix.txt and checks that it is complete.
func readMatrix(t *testing.T) (cells []cell) {
	t.Helper()
	text, err := os.ReadFile("testdata/matrix.txt")
	if err != nil {
		t.Fatal(err)
	}
	var action donation.Action
	var to donation.Status
	var columns []string
	for i, line := range strings.Split(string(text), "\n") {
		words := strings.Fields(line)
		switch {
		case len(words) == 0 || strings.HasPrefix(line, "#"):
		case strings.HasPrefix(line, "["):
			a, s, ok := strings.Cut(strings.Trim(line, "[]"), " -> ")
			if !ok {
				t.Fatalf("line %d: %q is no [action -> STATUS]", i+1, line)
			}
			action, to = donation.Action(a), donation.Status(s)
		case strings.HasPrefix(line, " "):
			columns = words
		case len(words) != len(columns)+1:
			t.Fatalf("line %d: %d cells for %d states", i+1, len(words)-1, len(columns))
		default:
			for k, want := range words[1:] {
				cells = append(cells, cell{action, to, words[0], columns[k], want})
			}
		}
	}
	if want := len(donation.Actions()) * len(actors) * len(states(t)); len(cells) != want {
		t.Fatalf("the matrix has %d cells, want %d: every action, actor and state once", len(cells), want)
	}
	seen := map[string]bool{}
	for _, c := range cells {
		key := fmt.Sprint(c.action, c.actor, c.state)
		if seen[key] || !slices.Contains(donation.Actions(), c.action) {
			t.Fatalf("the matrix names %s by %s in %s twice, or it is no action", c.action, c.actor, c.state)
		}
		seen[key] = true
	}
	return cells
}

// TestMatrix compares Decide with every cell of testdata/matrix.txt.
func TestMatrix(t *testing.T) {
	all := states(t)
	for _, c := range readMatrix(t) {
		s, ok := all[c.state]
		who, known := actors[c.actor]
		if !ok || !known {
			t.Fatalf("the matrix speaks of %s by %s in %s, which the test does not know", c.action, c.actor, c.state)
		}
		name := fmt.Sprintf("%s by %s in %s", c.action, c.actor, c.state)
		out, err := s.donation.Decide(donation.Command{Action: c.action, By: who, ByName: "Somebody", Reason: "a reason", Volunteer: "proposed"}, s.now)
		if got := word(t, out, err); got != c.want {
			t.Errorf("%s: got %s (%v), want %s", name, got, err, c.want)
			continue
		}
		switch c.want {
		case "yes":
			if out.Donation.Status != c.to {
				t.Errorf("%s: leads to %s, want %s", name, out.Donation.Status, c.to)
			}
			wantOutcome(t, name, s, c, out)
		case "same":
			if diff := cmp.Diff(donation.Outcome{Donation: s.donation}, out); diff != "" {
				t.Errorf("%s: something changed (-want +got):\n%s", name, diff)
			}
		default:
			if diff := cmp.Diff(donation.Outcome{}, out); diff != "" {
				t.Errorf("%s: a refusal came with an outcome:\n%s", name, diff)
			}
		}
	}
	if diff := cmp.Diff(states(t), all, cmp.AllowUnexported(state{})); diff != "" {
		t.Errorf("Decide has changed what it was asked about (-want +got):\n%s", diff)
	}
}

func word(t *testing.T, out donation.Outcome, err error) string {
	t.Helper()
	switch {
	case err != nil:
		return words[refusalOf(t, err).Code]
	case len(out.Events) == 0:
		return "same"
	}
	return "yes"
}

// wantOutcome wants exactly the fields, the event and the awards that the
// accepted command makes, and nothing else changed.
func wantOutcome(t *testing.T, name string, s state, c cell, got donation.Outcome) {
	t.Helper()
	who := actors[c.actor]
	want := s.donation
	want.Status, want.Version, want.UpdatedAt = c.to, s.donation.Version+1, s.now
	var awards []account.Award
	var takesBack []account.Reason
	switch c.action {
	case donation.Claim:
		want.ClaimedByID, want.ClaimedAt, want.AssignedVolunteerID = who.ID, &s.now, "proposed"
		awards = []account.Award{{AccountID: "donor", Reason: account.ReasonCreate}, {AccountID: who.ID, Reason: account.ReasonClaim}}
	case donation.Release:
		want.ClaimedByID, want.ClaimedAt, want.EstimatedPickupTime, want.AssignedVolunteerID = "", nil, nil, ""
		takesBack = []account.Reason{account.ReasonClaim}
	case donation.PickUp:
		want.PickedUpAt, want.PickedUpBy = &s.now, who.ID
		if who.Role == account.Volunteer {
			want.VolunteerID = who.ID
		}
	case donation.Deliver:
		want.DeliveredAt, want.DeliveredBy = &s.now, who.ID
		awards = []account.Award{
			{AccountID: "donor", Reason: account.ReasonDonate}, {AccountID: "ngo", Reason: account.ReasonNGODelivery},
		}
		if want.VolunteerID != "" { // and none when an NGO fetched it itself
			awards = append(awards, account.Award{AccountID: want.VolunteerID, Reason: account.ReasonCarry})
		}
	case donation.Cancel:
		want.CancelReason = "a reason"
		takesBack = []account.Reason{account.ReasonCreate, account.ReasonClaim}
	case donation.Expire:
		takesBack = []account.Reason{account.ReasonCreate, account.ReasonClaim}
	}
	kind := donation.EventStatusUpdated
	if c.action == donation.Claim {
		kind = donation.EventClaimed
	}
	outcome := donation.Outcome{
		Donation: want, Awards: awards, TakesBack: takesBack,
		Events: []donation.Event{{Type: kind, Previous: s.donation.Status, By: who.ID, ByName: "Somebody", Reason: "a reason", At: s.now, Before: s.donation, After: want}},
	}
	if diff := cmp.Diff(outcome, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

func TestClaimKeepsThePickupTimeAndReleaseForgetsIt(t *testing.T) {
	c := by("ngo-claimer", donation.Claim)
	c.EstimatedPickupTime = new(early.Add(time.Hour))
	d := after(t, listed(t), early, c)
	if d.EstimatedPickupTime == nil || !d.EstimatedPickupTime.Equal(early.Add(time.Hour)) {
		t.Errorf("estimated pick-up time: got %v", d.EstimatedPickupTime)
	}
	d.AssignedVolunteerID = "volunteer"
	d = after(t, d, early.Add(time.Minute), by("ngo-claimer", donation.Release))
	want := listed(t)
	want.Version, want.UpdatedAt = 3, early.Add(time.Minute)
	if diff := cmp.Diff(want, d); diff != "" {
		t.Errorf("released donation (-want as listed +got):\n%s", diff)
	}
}
