package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"larder/internal/account"
	"larder/internal/donation"
	"larder/internal/store"
)

// pastBoard adds donations of two donors: "d1" and so on in the order of the list.
func pastBoard(t *testing.T, st *store.Store, list ...donation.Donation) {
	t.Helper()
	addAccounts(t, st, newAccount("donor", account.Donor), newAccount("other", account.Donor))
	for i := range list {
		list[i].ID = fmt.Sprintf("d%d", i+1)
	}
	addDonations(t, st, list...)
}

// past is a donation as it became.
func past(status donation.Status, quantity float64, unit string, change ...func(*donation.Donation)) donation.Donation {
	d := newDonation("")
	d.Status, d.Quantity, d.Unit = status, quantity, unit
	for _, c := range change {
		c(&d)
	}
	return d
}

func at(when time.Time) func(*donation.Donation) {
	return func(d *donation.Donation) { d.CreatedAt = when }
}

func until(when time.Time) func(*donation.Donation) {
	return func(d *donation.Donation) { d.ExpiryTime = when }
}

func claimedBy(id string) func(*donation.Donation) {
	return func(d *donation.Donation) { d.ClaimedByID = id }
}

func carriedBy(id string) func(*donation.Donation) {
	return func(d *donation.Donation) { d.VolunteerID = id }
}

func ofOther(d *donation.Donation) { d.DonorID = "other" }

type tallyKey struct {
	period int
	status donation.Status
	unit   string
}

type tallied struct {
	n        int64
	quantity float64
}

func talliesOf(t *testing.T, st *store.Store, id string, part store.Part, starts []time.Time, now time.Time) map[tallyKey]tallied {
	t.Helper()
	got := map[tallyKey]tallied{}
	view(t, st, func(tx *store.Tx) error {
		for a, err := range tx.TalliesOf(t.Context(), id, part, starts, now) {
			if err != nil {
				return err
			}
			k := tallyKey{a.Period, a.Status, a.Unit}
			if _, twice := got[k]; twice {
				t.Errorf("%v comes twice", k)
			}
			got[k] = tallied{a.Donations, a.Quantity}
		}
		return nil
	})
	return got
}

func statisticsOfAccount(t *testing.T, st *store.Store) {
	june, july, august := time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC), time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC), time.Date(2026, 8, 1, 0, 0, 0, 0, time.UTC)
	now := start
	pastBoard(
		t, st,
		past(donation.Delivered, 5, "kg", at(june.Add(-time.Millisecond))), // before
		past(donation.Delivered, 1.5, "kg", at(june), claimedBy("ngo"), carriedBy("v")),
		past(donation.Delivered, 2, "kg", at(july.Add(-time.Millisecond)), claimedBy("ngo")),
		past(donation.Delivered, 8, "KG", at(july.Add(-time.Millisecond))), // units are not compared here
		past(donation.Cancelled, 3, "kg", at(july)),
		past(donation.PickedUp, 4, "boxes", at(august), until(now), claimedBy("ngo"), carriedBy("v")), // too late to expire
		past(donation.Available, 1, "boxes", at(august), until(now)),                                  // over, and not written down
		past(donation.Claimed, 1, "boxes", at(august), until(now.Add(time.Millisecond)), claimedBy("ngo")),
		past(donation.Delivered, 100, "kg", at(june), ofOther, claimedBy("rival")),
	)
	for name, tc := range map[string]struct {
		id     string
		part   store.Part
		starts []time.Time
		want   map[tallyKey]tallied
	}{
		"months of a donor": {"donor", store.AsDonor, []time.Time{june, july, august}, map[tallyKey]tallied{
			{0, donation.Delivered, "kg"}: {2, 3.5}, {0, donation.Delivered, "KG"}: {1, 8}, {1, donation.Cancelled, "kg"}: {1, 3},
			{2, donation.PickedUp, "boxes"}: {1, 4}, {2, donation.Expired, "boxes"}: {1, 1}, {2, donation.Claimed, "boxes"}: {1, 1},
		}},
		"one month": {"donor", store.AsDonor, []time.Time{july}, map[tallyKey]tallied{
			{0, donation.Cancelled, "kg"}: {1, 3}, {0, donation.PickedUp, "boxes"}: {1, 4}, {0, donation.Expired, "boxes"}: {1, 1},
			{0, donation.Claimed, "boxes"}: {1, 1},
		}},
		"all of a claimer": {"ngo", store.AsClaimer, nil, map[tallyKey]tallied{
			{0, donation.Delivered, "kg"}: {2, 3.5}, {0, donation.PickedUp, "boxes"}: {1, 4}, {0, donation.Claimed, "boxes"}: {1, 1},
		}},
		"all of a carrier": {"v", store.AsCarrier, nil, map[tallyKey]tallied{
			{0, donation.Delivered, "kg"}: {1, 1.5}, {0, donation.PickedUp, "boxes"}: {1, 4},
		}},
		"nobody":       {"nobody", store.AsDonor, nil, map[tallyKey]tallied{}},
		"the empty id": {"", store.AsCarrier, nil, map[tallyKey]tallied{}},
	} {
		if diff := cmp.Diff(tc.want, talliesOf(t, st, tc.id, tc.part, tc.starts, now), cmp.AllowUnexported(tallyKey{}, tallied{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	got := map[tallyKey]tallied{}
	view(t, st, func(tx *store.Tx) error {
		for a, err := range tx.Tallies(t.Context()) {
			if err != nil {
				return err
			}
			got[tallyKey{a.Period, a.Status, a.Unit}] = tallied{a.Donations, a.Quantity}
		}
		return nil
	})
	want := map[tallyKey]tallied{
		{0, donation.Delivered, "kg"}: {4, 108.5}, {0, donation.Delivered, "KG"}: {1, 8}, {0, donation.Cancelled, "kg"}: {1, 3},
		{0, donation.PickedUp, "boxes"}: {1, 4}, {0, donation.Available, "boxes"}: {1, 1}, {0, donation.Claimed, "boxes"}: {1, 1},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(tallyKey{}, tallied{})); diff != "" {
		t.Errorf("all (-want +got):\n%s", diff)
	}
}

func statisticsCounts(t *testing.T, st *store.Store) {
	overdue := func(want int64) {
		t.Helper()
		view(t, st, func(tx *store.Tx) error {
			n, err := tx.Overdue(t.Context(), start)
			if n != want {
				t.Errorf("overdue: got %d, want %d", n, want)
			}
			return err
		})
	}
	overdue(0)
	pastBoard(
		t, st,
		past(donation.Available, 1, "kg"), past(donation.Available, 1, "kg", until(start)), past(donation.Claimed, 1, "kg", until(start.Add(-time.Hour))),
		past(donation.Claimed, 1, "kg"), past(donation.PickedUp, 1, "kg", until(start)), past(donation.Expired, 1, "kg", until(start)),
		past(donation.Delivered, 1, "kg", until(start)), past(donation.Cancelled, 1, "kg", until(start)),
	)
	off, gone := newAccount("off", account.NGO), newAccount("gone", account.NGO)
	off.Active, gone.Deleted = false, true
	addAccounts(t, st, newAccount("ngo", account.NGO), newAccount("v", account.Volunteer), newAccount("admin", account.Admin), off, gone)
	overdue(2)
	view(t, st, func(tx *store.Tx) error {
		roles, err := tx.RoleCounts(t.Context())
		if diff := cmp.Diff(map[account.Role]int64{account.Donor: 2, account.NGO: 1, account.Volunteer: 1, account.Admin: 1}, roles); diff != "" {
			t.Errorf("roles (-want +got):\n%s", diff)
		}
		return err
	})
}

func statisticsLeaders(t *testing.T, st *store.Store) {
	pastBoard(t, st, past(donation.Delivered, 1, "kg"), past(donation.Delivered, 1, "kg"))
	older := func(a account.Account) account.Account {
		a.CreatedAt = start.Add(-time.Hour)
		return a
	}
	off, gone := newAccount("off", account.NGO), newAccount("gone", account.NGO)
	off.Active, gone.Deleted = false, true
	addAccounts(t, st, newAccount("ngo", account.NGO), older(newAccount("rival", account.NGO)), newAccount("v", account.Volunteer),
		newAccount("admin", account.Admin), off, gone, newAccount("idle", account.Volunteer))
	award := func(donationID, id string, reason account.Reason, when time.Time) {
		t.Helper()
		update(t, st, func(tx *store.Tx) error {
			_, err := tx.AwardKarma(t.Context(), donationID, account.Award{AccountID: id, Reason: reason}, when)
			return err
		})
	}
	week := start.Add(-7 * 24 * time.Hour)
	award("d1", "donor", account.ReasonCreate, week.Add(-time.Millisecond))
	award("d1", "donor", account.ReasonDonate, week)
	award("d2", "other", account.ReasonCreate, week)
	award("d1", "ngo", account.ReasonNGODelivery, start)
	award("d2", "rival", account.ReasonNGODelivery, start)
	award("d1", "v", account.ReasonCarry, week.Add(-time.Hour))
	for _, id := range []string{"admin", "off", "gone"} {
		award("d1", id, account.ReasonCarry, start)
	}
	for name, tc := range map[string]struct {
		since time.Time
		role  account.Role
		limit int
		want  []string
	}{
		"ever":          {limit: 20, want: []string{"v 50", "donor 40", "rival 20", "ngo 20", "other 10"}},
		"a week":        {since: week, limit: 20, want: []string{"donor 30", "rival 20", "ngo 20", "other 10"}},
		"a role":        {role: account.NGO, limit: 20, want: []string{"rival 20", "ngo 20"}},
		"role and week": {since: week, role: account.Volunteer, limit: 20, want: nil},
		"admins":        {role: account.Admin, limit: 20, want: nil},
		"the first two": {limit: 2, want: []string{"v 50", "donor 40"}},
	} {
		view(t, st, func(tx *store.Tx) error {
			list, err := tx.Leaders(t.Context(), tc.since, tc.role, tc.limit)
			var got []string
			for _, l := range list {
				if l.Name != "Name of "+l.ID || l.Role == "" {
					t.Errorf("%s: got %+v", name, l)
				}
				got = append(got, fmt.Sprintf("%s %d", l.ID, l.Points))
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", name, diff)
			}
			return err
		})
	}
}
