package storetest

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"larder/internal/account"
	"larder/internal/donation"
	"larder/internal/geo"
	"larder/internal/store"
)

func newVolunteer(id string, lat, lng float64) account.Account {
	a := newAccount(id, account.Volunteer)
	a.Available, a.Latitude, a.Longitude = true, &lat, &lng
	return a
}

func near(ctx context.Context, t interface{ Fatalf(string, ...any) }, st *store.Store, area geo.Area, limit int) (list []donation.Candidate) {
	err := st.View(ctx, func(tx *store.Tx) (err error) {
		list, err = tx.VolunteersNear(ctx, area, limit)
		return err
	})
	if err != nil {
		t.Fatalf("VolunteersNear: %v", err)
	}
	return list
}

func candidates(list []donation.Candidate) (ids []string) {
	for _, c := range list {
		ids = append(ids, c.ID)
	}
	return ids
}

// volunteersNear takes those who can be proposed, and counts their trips.
func volunteersNear(t *testing.T, st *store.Store) {
	addAccounts(t, st, newAccount("donor", account.Donor), newVolunteer("near", 51.5, -0.2), newVolunteer("far", 52.5, -0.1))
	for what, change := range map[string]func(*account.Account){
		"unavailable":  func(a *account.Account) { a.Available = false },
		"suspended":    func(a *account.Account) { a.Active = false },
		"deleted":      func(a *account.Account) { a.Deleted = true },
		"no latitude":  func(a *account.Account) { a.Latitude = nil },
		"no longitude": func(a *account.Account) { a.Longitude = nil },
		"an NGO":       func(a *account.Account) { a.Role = account.NGO },
	} {
		a := newVolunteer(what, 51.5, -0.1)
		change(&a)
		addAccounts(t, st, a)
	}
	trip := func(id string, s donation.Status, proposed, carrier string) {
		d := newDonation(id)
		d.Status, d.AssignedVolunteerID, d.PickedUpBy = s, proposed, carrier
		addDonations(t, st, d)
	}
	trip("1", donation.Claimed, "far", "")
	trip("2", donation.Claimed, "far", "")
	trip("3", donation.PickedUp, "near", "far") // somebody else went
	trip("4", donation.Delivered, "near", "near")
	trip("5", donation.Expired, "near", "")
	trip("6", donation.Available, "near", "")
	everywhere := geo.Area{Lat: 51.5, Lng: -0.1, RadiusKm: geo.MaxRadiusKm}
	want := []donation.Candidate{{ID: "near", Lat: 51.5, Lng: -0.2}, {ID: "far", Lat: 52.5, Lng: -0.1, Trips: 3}}
	got := near(t.Context(), t, st, everywhere, 10)
	slices.SortFunc(got, func(a, b donation.Candidate) int { return -cmp.Compare(a.ID, b.ID) })
	if !slices.Equal(got, want) {
		t.Errorf("everywhere: got %+v, want %+v", got, want)
	}
	if got := near(t.Context(), t, st, everywhere, 1); len(got) != 1 || !slices.Contains(want, got[0]) {
		t.Errorf("one of them: got %+v", got)
	}
	view(t, st, func(tx *store.Tx) error {
		list, err := tx.UnplacedVolunteers(t.Context(), 10)
		if len(list) != 1 || list[0] != (donation.Candidate{ID: "no latitude", Unplaced: true}) {
			t.Errorf("without a place: got %+v", list)
		}
		return err
	})
	if got := candidates(near(t.Context(), t, st, geo.Area{Lat: 51.5, Lng: -0.1, RadiusKm: 50}, 10)); !slices.Equal(got, []string{"near"}) {
		t.Errorf("within 50 km: got %v", got)
	}
}

// volunteersEverywhere looks for them in areas all over the earth: nobody inside is
// left out.
func volunteersEverywhere(t *testing.T, st *store.Store) {
	var all []account.Account
	for i, place := range [][2]float64{
		{0, 0},
		{0, 179.9},
		{0, -179.9},
		{90, 0},
		{-90, 0},
		{89.9, 90},
		{51.5, -0.1},
		{51.5, -0.1},
		{51.5001, -0.1},
		{52.5, 13.4},
		{-33.9, 151.2},
		{35.7, 139.7},
		{40.7, -74},
		{-0.01, 179.99},
		{0.01, -179.99},
		{51.4, -0.3},
		{60, 0},
		{60, 1},
		{61, 0},
	} {
		all = append(all, newVolunteer(fmt.Sprintf("v%02d", i), place[0], place[1]))
	}
	addAccounts(t, st, all...)
	ctx := t.Context()
	rapid.Check(t, func(t *rapid.T) {
		area := geo.Area{
			Lat: rapid.Float64Range(-90, 90).Draw(t, "lat"), Lng: rapid.Float64Range(-180, 180).Draw(t, "lng"),
			RadiusKm: rapid.SampledFrom([]float64{1, 100, 3000, geo.MaxRadiusKm}).Draw(t, "radius"),
		}
		limit := rapid.IntRange(1, 30).Draw(t, "limit")
		got := candidates(near(ctx, t, st, area, limit))
		if len(got) > limit {
			t.Fatalf("%d came, the limit is %d", len(got), limit)
		}
		for _, a := range all {
			inside := geo.Distance(area.Lat, area.Lng, *a.Latitude, *a.Longitude) <= area.RadiusKm
			if inside && len(got) < limit && !slices.Contains(got, a.ID) {
				t.Fatalf("%+v: %s is inside, and missing in %v", area, a.ID, got)
			}
		}
	})
}

func tripsOf(t *testing.T, st *store.Store) {
	addAccounts(t, st, newAccount("donor", account.Donor))
	n := 0
	add := func(s donation.Status, claimer, proposed, carrier string) {
		d := newDonation(fmt.Sprintf("%d-%s", n, s))
		d.CreatedAt = start.Add(time.Duration(n) * time.Second)
		d.Status, d.ClaimedByID, d.AssignedVolunteerID, d.PickedUpBy = s, claimer, proposed, carrier
		addDonations(t, st, d)
		n++
	}
	for _, s := range donation.Statuses() {
		add(s, "ngo", "proposed", "carrier")
	}
	add(donation.Claimed, "ngo", "carrier", "")
	add(donation.PickedUp, "ngo", "ngo", "ngo") // once, by whatever right
	add(donation.Claimed, "", "", "")
	for who, want := range map[string][]string{
		"ngo":      {"7-PICKED_UP", "6-CLAIMED", "2-PICKED_UP", "1-CLAIMED"},
		"proposed": {"1-CLAIMED"},
		"carrier":  {"6-CLAIMED", "2-PICKED_UP"},
		"donor":    nil,
	} {
		var got []string
		view(t, st, func(tx *store.Tx) error {
			for d, err := range tx.Trips(t.Context(), who, nil, 100) {
				if err != nil {
					return err
				}
				got = append(got, d.ID)
			}
			return nil
		})
		if !slices.Equal(got, want) {
			t.Errorf("trips of %s: got %v, want %v", who, got, want)
		}
	}
	sixth := &store.ListCursor{CreatedAt: start.Add(6 * time.Second), ID: "6-CLAIMED"}
	view(t, st, func(tx *store.Tx) error {
		for d, err := range tx.Trips(t.Context(), "ngo", sixth, 1) {
			if err != nil || d.ID != "2-PICKED_UP" {
				t.Errorf("after the sixth: got %s, %v", d.ID, err)
			}
		}
		return nil
	})
	view(t, st, func(tx *store.Tx) error {
		for d, err := range tx.Trips(t.Context(), "ngo", nil, 1) {
			if err != nil || d.ID != "7-PICKED_UP" {
				t.Errorf("the newest: got %s, %v", d.ID, err)
			}
		}
		return nil
	})
}

func karmaUpTo(t *testing.T, st *store.Store) {
	addAccounts(t, st, newAccount("donor", account.Donor))
	total := 0
	check := func() {
		t.Helper()
		view(t, st, func(tx *store.Tx) error {
			for _, bound := range []int{10, 50, 100} {
				got, err := tx.KarmaUpTo(t.Context(), "donor", bound)
				if err != nil {
					return err
				}
				if total <= bound && got != total || total > bound && (got < bound || got > total) {
					t.Errorf("karma up to %d of %d: got %d", bound, total, got)
				}
			}
			return nil
		})
	}
	check()
	for i := range 8 {
		d := newDonation(fmt.Sprint(i))
		addDonations(t, st, d)
		reason := []account.Reason{account.ReasonCreate, account.ReasonCarry}[i/6]
		update(t, st, func(tx *store.Tx) error {
			n, err := tx.AwardKarma(t.Context(), d.ID, account.Award{AccountID: "donor", Reason: reason}, start)
			total += n
			return err
		})
		check()
	}
}
