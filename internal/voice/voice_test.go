package voice_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"larder/internal/account"
	"larder/internal/donation"
	"larder/internal/voice"
)

var start = time.Date(2026, 11, 2, 9, 30, 0, 0, time.UTC)

func actor(id string, role account.Role) account.Actor {
	return account.Actor{ID: id, Role: role, Verified: true, Active: true}
}

func person(id string, role account.Role) account.Account {
	return account.Account{ID: id, Email: id + "@example.org", Name: "Name of " + id, Role: role, Active: true}
}

// wantCode checks the code of a refusal; empty: there is none.
func wantCode(t *testing.T, what string, err error, code donation.Code) {
	t.Helper()
	var got donation.Code
	if r, ok := errors.AsType[*donation.Refusal](err); ok {
		got = r.Code
	} else if err != nil {
		t.Errorf("%s: got error %v, want a refusal", what, err)
		return
	}
	if got != code {
		t.Errorf("%s: got %q (%v), want %q", what, got, err, code)
	}
}

func delivered() donation.Donation {
	return donation.Donation{
		ID: "d", Name: "Bread", DonorID: "donor", ClaimedByID: "ngo", Status: donation.Delivered, ExpiryTime: start.Add(-time.Hour),
	}
}

func TestWhoMayRate(t *testing.T) {
	for role, code := range map[account.Role]donation.Code{
		account.NGO: "", account.Donor: donation.CodeWrongRole, account.Volunteer: donation.CodeWrongRole,
		account.Admin: donation.CodeWrongRole, account.System: donation.CodeWrongRole,
	} {
		_, err := voice.NewFeedback("f", delivered(), actor("ngo", role), 5, "", start)
		wantCode(t, string(role), err, code)
	}
	for id, code := range map[string]donation.Code{"ngo": "", "rival": donation.CodeNotYours, "donor": donation.CodeNotYours, "": donation.CodeNotYours} {
		_, err := voice.NewFeedback("f", delivered(), actor(id, account.NGO), 5, "", start)
		wantCode(t, "by "+id, err, code)
	}
	for _, status := range donation.Statuses() {
		d := delivered()
		d.Status = status
		want := voice.CodeNotDelivered
		if status == donation.Delivered {
			want = ""
		}
		_, err := voice.NewFeedback("f", d, actor("ngo", account.NGO), 5, "", start)
		wantCode(t, string(status), err, want)
	}
}

func TestNewFeedback(t *testing.T) {
	got, err := voice.NewFeedback("f", delivered(), actor("ngo", account.NGO), 4, "  Warm and good. ", start)
	want := voice.Feedback{ID: "f", DonationID: "d", DonorID: "donor", NGOID: "ngo", Rating: 4, Comment: "Warm and good.", CreatedAt: start}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("error %v (-want +got):\n%s", err, diff)
	}
	for rating, code := range map[int]donation.Code{-1: donation.CodeValidation, 0: donation.CodeValidation, 1: "", 5: "", 6: donation.CodeValidation} {
		_, err := voice.NewFeedback("f", delivered(), actor("ngo", account.NGO), rating, "", start)
		wantCode(t, fmt.Sprint("rating ", rating), err, code)
	}
	for n, code := range map[int]donation.Code{2000: "", 2001: donation.CodeValidation} {
		_, err := voice.NewFeedback("f", delivered(), actor("ngo", account.NGO), 3, strings.Repeat("é", n), start)
		wantCode(t, fmt.Sprint(n, " characters"), err, code)
	}
}

func TestRatings(t *testing.T) {
	for r, want := range map[voice.Ratings]float64{
		{}: 0, {5, 1}: 5, {13, 3}: 4.3, {14, 3}: 4.7, {17, 4}: 4.3, {87, 20}: 4.4, {1, 1}: 1, {5_000_000, 1_000_000}: 5,
	} {
		if got := r.Mean(); got != want {
			t.Errorf("mean of %+v: got %v, want %v", r, got, want)
		}
		score := r.Score()
		if (score == nil) != (r.Count == 0) || score != nil && *score != want {
			t.Errorf("score of %+v: got %v, want %v", r, score, want)
		}
	}
}

func TestQuota(t *testing.T) {
	q := voice.Quota{Max: 3, Window: time.Hour}
	at := func(minutes ...int) (times []time.Time) {
		for _, m := range minutes {
			times = append(times, start.Add(time.Duration(m)*time.Minute))
		}
		return times
	}
	for name, tc := range map[string]struct {
		said []time.Time
		want time.Duration
	}{
		"nothing yet":          {nil, 0},
		"one is left":          {at(0, -1), 0},
		"all at once":          {at(0, 0, 0), time.Hour},
		"the third newest":     {at(-1, -10, -50, -59), 10 * time.Minute},
		"the window has moved": {at(-1, -2, -60), 0},
		"and before":           {at(-1, -2, -61, -62), 0},
	} {
		if got := q.Wait(tc.said, start); got != tc.want {
			t.Errorf("%s: got %v, want %v", name, got, tc.want)
		}
	}
	for _, k := range []voice.Kind{voice.KindFeedback, voice.KindFlag, voice.KindTicket} {
		if q := k.Quota(); q.Max < 10 || q.Window > time.Hour {
			t.Errorf("kind %d: %+v is no bound that honest use never meets", k, q)
		}
	}
}

func TestNewFlag(t *testing.T) {
	org := person("org", account.Volunteer)
	org.OrganizationName = "Table"
	got, err := voice.NewFlag("g", delivered(), org, " It smells. ", start)
	want := voice.Flag{
		ID: "g", DonationID: "d", DonationName: "Bread", By: voice.Author{ID: "org", Email: "org@example.org", Name: "Table"},
		Reason: "It smells.", Status: voice.Flagged, CreatedAt: start, UpdatedAt: start,
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("error %v (-want +got):\n%s", err, diff)
	}
	for reason, code := range map[string]donation.Code{
		"": donation.CodeValidation, " \n": donation.CodeValidation, strings.Repeat("é", 1000): "", strings.Repeat("é", 1001): donation.CodeValidation,
	} {
		_, err := voice.NewFlag("g", delivered(), org, reason, start)
		wantCode(t, fmt.Sprintf("reason %.5q", reason), err, code)
	}
}

// TestFlagMoves enumerates every pair of statuses.
func TestFlagMoves(t *testing.T) {
	allowed := map[voice.FlagStatus][]voice.FlagStatus{
		"FLAGGED": {"FLAGGED", "APPROVED", "REJECTED", "ESCALATED"}, "ESCALATED": {"ESCALATED", "APPROVED", "REJECTED"},
		"APPROVED": {"APPROVED", "REJECTED"}, "REJECTED": {"REJECTED", "APPROVED"},
	}
	if len(voice.FlagStatuses()) != len(allowed) {
		t.Errorf("statuses: %v", voice.FlagStatuses())
	}
	later := start.Add(time.Hour)
	for _, from := range voice.FlagStatuses() {
		for _, to := range voice.FlagStatuses() {
			f := voice.Flag{ID: "g", Status: from, Note: "old", UpdatedAt: start}
			got, err := f.Decide(actor("a", account.Admin), to, new(" new "), later)
			if slices.Contains(allowed[from], to) {
				want := voice.Flag{ID: "g", Status: to, Note: "new", UpdatedAt: later}
				if diff := cmp.Diff(want, got); diff != "" || err != nil {
					t.Errorf("%s to %s: %v (-want +got):\n%s", from, to, err, diff)
				}
				continue
			}
			wantCode(t, string(from+" to "+to), err, donation.CodeInvalidTransition)
			if !strings.Contains(err.Error(), string(from)) || !strings.Contains(err.Error(), string(to)) || got != f {
				t.Errorf("%s to %s: got %q and %+v, want both named and nothing changed", from, to, err, got)
			}
		}
		if open := from.Open(); open != (from == voice.Flagged || from == voice.Escalated) {
			t.Errorf("%s is open: %v", from, open)
		}
	}
}

func TestDecide(t *testing.T) {
	f := voice.Flag{ID: "g", Status: voice.Flagged, Note: "old"}
	for _, role := range []account.Role{account.Donor, account.NGO, account.Volunteer, account.System} {
		if _, err := f.Decide(actor("x", role), voice.Approved, nil, start); !errors.Is(err, account.ErrNotAdmin) {
			t.Errorf("by %s: got %v, want ErrNotAdmin", role, err)
		}
	}
	admin := actor("a", account.Admin)
	if got, err := f.Decide(admin, voice.Approved, nil, start); err != nil || got.Note != "old" {
		t.Errorf("without a note: got %+v, %v", got, err)
	}
	if got, err := f.Decide(admin, voice.Approved, new(""), start); err != nil || got.Note != "" {
		t.Errorf("with an empty note: got %+v, %v", got, err)
	}
	if got, err := f.Decide(admin, voice.Flagged, new(" old "), start); err != nil || got != f {
		t.Errorf("what is so already: got %+v, %v", got, err)
	}
	for _, status := range []voice.FlagStatus{"", "OPEN", "approved"} {
		_, err := f.Decide(admin, status, nil, start)
		wantCode(t, "status "+string(status), err, donation.CodeValidation)
	}
	_, err := f.Decide(admin, voice.Approved, new(strings.Repeat("x", 2001)), start)
	wantCode(t, "a long note", err, donation.CodeValidation)
}

func TestNewTicket(t *testing.T) {
	who := person("v", account.Volunteer)
	got, err := voice.NewTicket("k", voice.TicketDraft{Subject: " Help ", Description: "\nMy bike\nbroke "}, who, start)
	want := voice.Ticket{
		ID: "k", By: voice.Author{ID: "v", Email: "v@example.org", Name: "Name of v"}, Subject: "Help", Description: "My bike\nbroke",
		Priority: voice.Medium, Status: voice.Open, CreatedAt: start, UpdatedAt: start,
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("error %v (-want +got):\n%s", err, diff)
	}
	for _, p := range voice.Priorities() {
		got, err := voice.NewTicket("k", voice.TicketDraft{Subject: "s", Description: "d", Priority: p}, who, start)
		if err != nil || got.Priority != p {
			t.Errorf("priority %s: got %+v, %v", p, got, err)
		}
	}
	for name, draft := range map[string]voice.TicketDraft{
		"no subject":       {Subject: " ", Description: "d"},
		"no description":   {Subject: "s"},
		"long subject":     {Subject: strings.Repeat("é", 201), Description: "d"},
		"long description": {Subject: "s", Description: strings.Repeat("é", 5001)},
		"priority":         {Subject: "s", Description: "d", Priority: "URGENT"},
	} {
		_, err := voice.NewTicket("k", draft, who, start)
		wantCode(t, name, err, donation.CodeValidation)
	}
	_, err = voice.NewTicket("k", voice.TicketDraft{Priority: "low"}, who, start)
	if r, ok := errors.AsType[*donation.Refusal](err); !ok || len(r.Messages) != 3 {
		t.Errorf("three faults: got %v", err)
	}
	longest := voice.TicketDraft{Subject: strings.Repeat("é", 200), Description: strings.Repeat("é", 5000)}
	_, err = voice.NewTicket("k", longest, who, start)
	wantCode(t, "the longest", err, "")
}

// TestTicketMoves enumerates every pair of statuses.
func TestTicketMoves(t *testing.T) {
	later := start.Add(time.Hour)
	for _, from := range voice.TicketStatuses() {
		for _, to := range voice.TicketStatuses() {
			k := voice.Ticket{ID: "k", Status: from, Note: "old", UpdatedAt: start}
			got, answered, err := k.Handle(actor("a", account.Admin), to, nil, later)
			if from == voice.Closed && to == voice.Resolved {
				wantCode(t, string(from+" to "+to), err, donation.CodeInvalidTransition)
				continue
			}
			want := voice.Ticket{ID: "k", Status: to, Note: "old", UpdatedAt: later}
			if from == to { // nothing has changed
				want.UpdatedAt = start
			}
			if diff := cmp.Diff(want, got); diff != "" || err != nil {
				t.Errorf("%s to %s: %v (-want +got):\n%s", from, to, err, diff)
			}
			if wantAnswer := to == voice.Resolved && from != to; answered != wantAnswer {
				t.Errorf("%s to %s: answered %v", from, to, answered)
			}
		}
	}
}

func TestHandle(t *testing.T) {
	k := voice.Ticket{ID: "k", Status: voice.InProgress, Note: "old"}
	for _, role := range []account.Role{account.Donor, account.NGO, account.Volunteer, account.System} {
		if _, _, err := k.Handle(actor("x", role), voice.Closed, nil, start); !errors.Is(err, account.ErrNotAdmin) {
			t.Errorf("by %s: got %v, want ErrNotAdmin", role, err)
		}
	}
	for name, tc := range map[string]struct {
		to       voice.TicketStatus
		note     *string
		want     voice.TicketStatus
		wantNote string
		answered bool
	}{
		"a note alone":     {"", new("new"), voice.InProgress, "new", true},
		"the same note":    {"", new("old"), voice.InProgress, "old", false},
		"no note any more": {"", new(" "), voice.InProgress, "", false},
		"closed":           {voice.Closed, nil, voice.Closed, "old", false},
		"resolved":         {voice.Resolved, nil, voice.Resolved, "old", true},
		"both":             {voice.Closed, new("new"), voice.Closed, "new", true},
		"nothing":          {"", nil, voice.InProgress, "old", false},
	} {
		got, answered, err := k.Handle(actor("a", account.Admin), tc.to, tc.note, start)
		if err != nil || got.Status != tc.want || got.Note != tc.wantNote || answered != tc.answered {
			t.Errorf("%s: got %s %q, answered %v, error %v", name, got.Status, got.Note, answered, err)
		}
	}
	_, _, err := k.Handle(actor("a", account.Admin), "DONE", nil, start)
	wantCode(t, "status", err, donation.CodeValidation)
	_, _, err = k.Handle(actor("a", account.Admin), "", new(strings.Repeat("x", 2001)), start)
	wantCode(t, "a long note", err, donation.CodeValidation)
}
