package donation_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"larder/internal/account"
	"larder/internal/donation"
)

// P-13: when it is announced that a donation expires soon.
func TestNearExpiry(t *testing.T) {
	from := expires.Add(-donation.NearExpiryLead)
	only := func(s donation.Status) func(*donation.Donation) {
		return func(d *donation.Donation) { d.Status = s }
	}
	for name, tc := range map[string]struct {
		now    time.Time
		change func(*donation.Donation)
		want   bool
	}{
		"a millisecond early":   {from.Add(-time.Millisecond), nil, false},
		"at its moment":         {from, nil, true},
		"claimed":               {from, only(donation.Claimed), true},
		"late":                  {expires.Add(-time.Millisecond), nil, true},
		"too late":              {expires, nil, false},
		"picked up":             {from, only(donation.PickedUp), false},
		"delivered":             {from, only(donation.Delivered), false},
		"expired":               {from, only(donation.Expired), false}, // the clock has jumped back since
		"cancelled":             {from, only(donation.Cancelled), false},
		"announced":             {from, func(d *donation.Donation) { d.NearExpiryAt = new(early) }, false},
		"listed with no more":   {from, func(d *donation.Donation) { d.CreatedAt = from }, false},
		"and later":             {from.Add(time.Minute), func(d *donation.Donation) { d.CreatedAt = from }, false},
		"listed with much less": {from.Add(time.Minute), func(d *donation.Donation) { d.CreatedAt = from.Add(time.Second) }, false},
		"listed with more":      {from, func(d *donation.Donation) { d.CreatedAt = from.Add(-time.Millisecond) }, true},
	} {
		d := listed(t)
		if tc.change != nil {
			tc.change(&d)
		}
		before := d
		e, ok := d.NearExpiry(tc.now)
		if ok != tc.want {
			t.Errorf("%s: got %v, want %v", name, ok, tc.want)
		}
		var want donation.Event
		if ok {
			after := before
			after.NearExpiryAt = &tc.now
			want = donation.Event{Type: donation.EventNearExpiry, Previous: before.Status, By: account.SystemID, At: tc.now, After: after}
			if _, again := e.After.NearExpiry(tc.now); again {
				t.Errorf("%s: announced twice", name)
			}
		}
		if diff := cmp.Diff(want, e); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if diff := cmp.Diff(before, d); diff != "" {
			t.Errorf("%s: the donation itself was changed:\n%s", name, diff)
		}
	}
}

// Food that spoils fast is always announced: it is listed with more than that left.
func TestHighRiskFoodIsAnnounced(t *testing.T) {
	if donation.HighRiskWindow <= donation.NearExpiryLead {
		t.Errorf("listed with %v left, announced with %v left", donation.HighRiskWindow, donation.NearExpiryLead)
	}
}
