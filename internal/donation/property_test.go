package donation_test

import (
	"errors"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"larder/internal/account"
	"larder/internal/donation"
)

// arrows is the picture of a donation's life, drawn again so that the code can't
// change it alone.
var arrows = map[donation.Status][]donation.Status{
	donation.Available: {donation.Claimed, donation.Expired, donation.Cancelled},
	donation.Claimed:   {donation.Available, donation.PickedUp, donation.Expired, donation.Cancelled},
	donation.PickedUp:  {donation.Delivered},
}

// TestAnyLife runs random commands of random people at random times and looks at
// what must hold after each.
func TestAnyLife(t *testing.T) {
	names := slices.Sorted(maps.Keys(actors))
	first := listed(t)
	rapid.Check(t, func(t *rapid.T) {
		d, now, events := first, created, 0
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 90).Draw(t, "minutes")) * time.Minute)
			c := donation.Command{
				Action: rapid.SampledFrom(donation.Actions()).Draw(t, "action"),
				By:     actors[rapid.SampledFrom(names).Draw(t, "actor")],
				Reason: rapid.SampledFrom([]string{"", "a reason"}).Draw(t, "reason"),
			}
			if rapid.Bool().Draw(t, "limited") {
				c.Intake = account.Intake{Capacity: new(float64(rapid.IntRange(0, 30).Draw(t, "capacity")))}
			}
			before := d
			out, err := d.Decide(c, now)
			if diff := cmp.Diff(before, d); diff != "" {
				t.Fatalf("Decide changed the donation itself:\n%s", diff)
			}
			if err != nil {
				r, ok := errors.AsType[*donation.Refusal](err)
				if !ok || len(r.Messages) == 0 || r.Messages[0] == "" || r.Code == "" {
					t.Fatalf("%s: got error %#v, want a refusal with a code and a message", c.Action, err)
				}
				continue
			}
			if len(out.Events) == 0 {
				if diff := cmp.Diff(donation.Outcome{Donation: before}, out); diff != "" || c.Action != donation.Deliver {
					t.Fatalf("%s without an event changed something:\n%s", c.Action, diff)
				}
				continue
			}
			d = out.Donation
			events += len(out.Events)
			wantStep(t, before, c, now, out)
			wantConsistent(t, d, before)
			if d.Version != int64(1+events) {
				t.Fatalf("version %d after %d events", d.Version, events)
			}
		}
	})
}

// wantStep looks at one accepted command.
func wantStep(t *rapid.T, before donation.Donation, c donation.Command, now time.Time, out donation.Outcome) {
	t.Helper()
	d := out.Donation
	if !slices.Contains(arrows[before.Status], d.Status) {
		t.Fatalf("%s led from %s to %s, which no arrow does", c.Action, before.Status, d.Status)
	}
	if overdue := !now.Before(before.ExpiryTime) && before.Status != donation.PickedUp; overdue && d.Status != donation.Expired {
		t.Fatalf("%s made an overdue donation %s", c.Action, d.Status)
	}
	if before.ClaimedByID != "" && d.ClaimedByID != before.ClaimedByID && c.Action != donation.Release {
		t.Fatalf("%s moved the claim from %s to %q", c.Action, before.ClaimedByID, d.ClaimedByID)
	}
	if e := out.Events[0]; len(out.Events) != 1 || e.Previous != before.Status || e.By != c.By.ID || !e.At.Equal(now) ||
		cmp.Diff(d, e.After) != "" || (e.Type == donation.EventClaimed) != (d.Status == donation.Claimed) {
		t.Fatalf("events of %s: got %+v", c.Action, out.Events)
	}
	for _, a := range out.Awards {
		if a.AccountID == "" || a.AccountID == account.SystemID || a.Reason.Points() == 0 {
			t.Fatalf("award of %s: got %+v", c.Action, a)
		}
	}
}

// wantConsistent looks at the fields of a donation beside its status.
func wantConsistent(t *rapid.T, d, before donation.Donation) {
	t.Helper()
	claimed := slices.Contains([]donation.Status{donation.Claimed, donation.PickedUp, donation.Delivered}, d.Status)
	if d.Status == donation.Expired || d.Status == donation.Cancelled {
		claimed = before.Status == donation.Claimed // who lost it stays known
	}
	carried := d.Status == donation.PickedUp || d.Status == donation.Delivered
	for what, ok := range map[string]bool{
		"claimedById":  (d.ClaimedByID != "") == claimed && (d.ClaimedAt != nil) == claimed,
		"pickedUpBy":   (d.PickedUpBy != "") == carried && (d.PickedUpAt != nil) == carried,
		"deliveredBy":  (d.DeliveredBy != "") == (d.Status == donation.Delivered) && (d.DeliveredAt != nil) == (d.Status == donation.Delivered),
		"cancelReason": (d.CancelReason != "") == (d.Status == donation.Cancelled),
		"volunteerId":  d.VolunteerID == "" || d.VolunteerID == d.PickedUpBy,
		"the listing":  d.DonorID == before.DonorID && d.Name == before.Name && d.ExpiryTime.Equal(before.ExpiryTime) && d.CreatedAt.Equal(before.CreatedAt),
	} {
		if !ok {
			t.Fatalf("%s is wrong for a donation that went from %s to %s:\n%+v", what, before.Status, d.Status, d)
		}
	}
}
