package storetest

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"larder/internal/account"
	"larder/internal/donation"
	"larder/internal/store"
)

func getAccount(t *testing.T, st *store.Store, id string) (a account.Account) {
	t.Helper()
	view(t, st, func(tx *store.Tx) (err error) {
		a, err = tx.Account(t.Context(), id)
		return err
	})
	return a
}

func fullAccount() account.Account {
	return account.Account{
		ID: "full", Email: "Full.Account@Example.ORG", Name: "Žofie 🥕 O'Neil", Role: account.NGO, Verified: true, Active: true,
		OrganizationName: `"Quoted" & <sons>`, OrganizationType: "shelter", Phone: "+420 123", Address: "Line 1\nLine 2",
		Latitude: new(-33.865), Longitude: new(151.2094), Capacity: new(12.5), CapacityUnit: "kg", VehicleType: "van",
		VehicleNumber: "1A2 3456", Available: true, TokensAfter: start.Truncate(time.Second),
		CreatedAt: start, UpdatedAt: start.Add(time.Millisecond),
	}
}

func accountFields(t *testing.T, st *store.Store) {
	full, bare := fullAccount(), account.Account{ID: "bare", Email: "b@c", Role: account.Donor, CreatedAt: start, UpdatedAt: start}
	zero := fullAccount()
	zero.ID, zero.Email = "zero", "zero@example.org"
	zero.Latitude, zero.Longitude, zero.Capacity = new(0.0), new(0.0), new(0.0)
	addAccounts(t, st, full, bare, zero)
	for _, want := range []account.Account{full, bare, zero} {
		if diff := cmp.Diff(want, getAccount(t, st, want.ID)); diff != "" {
			t.Errorf("account %s (-want +got):\n%s", want.ID, diff)
		}
	}
	// Everything but id, e-mail and the time of creation can change.
	changed := fullAccount()
	changed.ID, changed.Role, changed.Verified, changed.Active = "bare", account.Volunteer, true, true
	changed.Deleted = true
	changed.UpdatedAt = start.Add(time.Hour)
	update(t, st, func(tx *store.Tx) error { return tx.UpdateAccount(t.Context(), changed) })
	changed.Email = "b@c"
	if diff := cmp.Diff(changed, getAccount(t, st, "bare")); diff != "" {
		t.Errorf("account after the update (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(full, getAccount(t, st, "full")); diff != "" {
		t.Errorf("another account after the update (-want +got):\n%s", diff)
	}
}

func accountEmail(t *testing.T, st *store.Store) {
	addAccounts(t, st, newAccount("a", account.Donor)) // a@example.org
	for _, email := range []string{"a@example.org", "A@Example.Org", "  a@EXAMPLE.org\t"} {
		b := newAccount("b", account.NGO)
		b.Email = email
		err := st.Update(t.Context(), func(tx *store.Tx) error { return tx.InsertAccount(t.Context(), b, "") })
		wantErr(t, "e-mail "+email, err, store.ErrEmailTaken)
	}
	// Many at once: one gets it.
	var mu sync.Mutex
	won := 0
	var group sync.WaitGroup
	for _, id := range []string{"c1", "c2", "c3", "c4", "c5", "c6"} {
		group.Go(func() {
			c := newAccount(id, account.NGO)
			c.Email = "same@example.org"
			err := st.Update(t.Context(), func(tx *store.Tx) error { return tx.InsertAccount(t.Context(), c, "") })
			if err != nil && !errors.Is(err, store.ErrEmailTaken) {
				t.Errorf("insert %s: %v", id, err)
			}
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				won++
			}
		})
	}
	group.Wait()
	if won != 1 {
		t.Errorf("%d accounts got the same e-mail, want 1", won)
	}
}

func accountCredentials(t *testing.T, st *store.Store) {
	full := fullAccount()
	addAccounts(t, st, full, newAccount("other", account.Donor))
	update(t, st, func(tx *store.Tx) error { return tx.SetPasswordHash(t.Context(), "full", "$2b$new") })
	for _, email := range []string{full.Email, "full.account@example.org", " FULL.ACCOUNT@EXAMPLE.ORG "} {
		view(t, st, func(tx *store.Tx) error {
			a, hash, err := tx.Credentials(t.Context(), email)
			if hash != "$2b$new" {
				t.Errorf("hash of %q: got %q", email, hash)
			}
			if diff := cmp.Diff(full, a); diff != "" {
				t.Errorf("account of %q (-want +got):\n%s", email, diff)
			}
			return err
		})
	}
	view(t, st, func(tx *store.Tx) error {
		_, hash, err := tx.Credentials(t.Context(), "other@example.org")
		if hash != "hash of other" {
			t.Errorf("hash of another account: got %q", hash)
		}
		return err
	})
}

func accountList(t *testing.T, st *store.Store) {
	waiting := newAccount("waiting", account.NGO)
	waiting.Verified = false
	waiting.CreatedAt = start.Add(2 * time.Second)
	odd := newAccount("odd", account.Volunteer)
	odd.Verified = false
	// The same moment: the id decides.
	addAccounts(t, st, newAccount("a", account.Donor), newAccount("b", account.NGO), waiting, odd)
	for name, tc := range map[string]struct {
		filter store.AccountFilter
		want   []string
	}{
		"all":                  {store.AccountFilter{}, []string{"waiting", "odd", "b", "a"}},
		"a role":               {store.AccountFilter{Role: account.NGO}, []string{"waiting", "b"}},
		"unverified":           {store.AccountFilter{Unverified: true}, []string{"waiting", "odd"}},
		"unverified of a role": {store.AccountFilter{Role: account.NGO, Unverified: true}, []string{"waiting"}},
		"nobody":               {store.AccountFilter{Role: account.Admin}, nil},
		"the longest first":    {store.AccountFilter{OldestFirst: true}, []string{"a", "b", "odd", "waiting"}},
	} {
		for size := 1; size <= 5; size++ {
			tc.filter.Limit, tc.filter.After = size, nil
			var got []string
			for len(got) < 9 {
				var list []account.Account
				view(t, st, func(tx *store.Tx) (err error) {
					list, err = tx.Accounts(t.Context(), tc.filter)
					return err
				})
				for _, a := range list {
					got = append(got, a.ID)
					tc.filter.After = &store.ListCursor{CreatedAt: a.CreatedAt, ID: a.ID}
				}
				if len(list) < size {
					break
				}
			}
			if !slices.Equal(got, tc.want) {
				t.Errorf("%s, by %d: got %v, want %v", name, size, got, tc.want)
			}
		}
	}
}

func accountNotFound(t *testing.T, st *store.Store) {
	addAccounts(t, st, newAccount("a", account.Donor))
	_ = st.Update(t.Context(), func(tx *store.Tx) error {
		_, err := tx.Account(t.Context(), "nobody")
		wantErr(t, "Account", err, store.ErrNotFound)
		_, hash, err := tx.Credentials(t.Context(), "nobody@example.org")
		wantErr(t, "Credentials", err, store.ErrNotFound)
		if hash != "" {
			t.Errorf("hash of nobody: got %q", hash)
		}
		wantErr(t, "UpdateAccount", tx.UpdateAccount(t.Context(), newAccount("nobody", account.NGO)), store.ErrNotFound)
		wantErr(t, "SetPasswordHash", tx.SetPasswordHash(t.Context(), "nobody", "x"), store.ErrNotFound)
		_, err = tx.Donation(t.Context(), "nothing")
		wantErr(t, "Donation", err, store.ErrNotFound)
		_, err = tx.Answer(t.Context(), "nobody", "key")
		wantErr(t, "Answer", err, store.ErrNotFound)
		return nil
	})
}

func karmaOnce(t *testing.T, st *store.Store) {
	addAccounts(t, st, newAccount("donor", account.Donor), newAccount("ngo", account.NGO))
	addDonations(t, st, newDonation("d1"), newDonation("d2"))
	award := func(donationID, accountID string, reason account.Reason) (points int) {
		t.Helper()
		update(t, st, func(tx *store.Tx) (err error) {
			points, err = tx.AwardKarma(t.Context(), donationID, account.Award{AccountID: accountID, Reason: reason}, start)
			return err
		})
		return points
	}
	for _, step := range []struct {
		donation, account string
		reason            account.Reason
		want              int
	}{
		{"d1", "ngo", account.ReasonClaim, 10},
		{"d1", "ngo", account.ReasonClaim, 0}, // claimed again after a release
		{"d1", "ngo", account.ReasonNGODelivery, 20},
		{"d2", "ngo", account.ReasonClaim, 10},
		{"d1", "donor", account.ReasonCreate, 10},
		{"d1", "donor", account.ReasonDonate, 30},
		{"d1", "donor", account.ReasonDonate, 0},
	} {
		if got := award(step.donation, step.account, step.reason); got != step.want {
			t.Errorf("karma of %s for %s of %s: got %d, want %d", step.account, step.reason, step.donation, got, step.want)
		}
	}
	view(t, st, func(tx *store.Tx) error {
		for id, want := range map[string]int{"ngo": 40, "donor": 40, "nobody": 0} {
			got, err := tx.Karma(t.Context(), id)
			if err != nil {
				return err
			}
			if got != want {
				t.Errorf("karma of %s: got %d, want %d", id, got, want)
			}
		}
		return nil
	})
	err := st.Update(t.Context(), func(tx *store.Tx) error {
		_, err := tx.AwardKarma(t.Context(), "d1", account.Award{AccountID: "nobody", Reason: account.ReasonClaim}, start)
		return err
	})
	if err == nil {
		t.Error("karma was given to an account that does not exist")
	}
}

func karmaTakenBack(t *testing.T, st *store.Store) {
	addAccounts(t, st, newAccount("donor", account.Donor), newAccount("ngo", account.NGO), newAccount("rival", account.NGO))
	addDonations(t, st, newDonation("d1"), newDonation("d2"), newDonation("d3"))
	award := func(donationID, accountID string, reason account.Reason, when time.Time, want int) {
		t.Helper()
		update(t, st, func(tx *store.Tx) error {
			got, err := tx.AwardKarma(t.Context(), donationID, account.Award{AccountID: accountID, Reason: reason}, when)
			if got != want {
				t.Errorf("karma of %s for %s of %s: got %d, want %d", accountID, reason, donationID, got, want)
			}
			return err
		})
	}
	takeBack := func(reasons []account.Reason, ids ...string) {
		t.Helper()
		update(t, st, func(tx *store.Tx) error { return tx.TakeKarmaBack(t.Context(), reasons, ids...) })
	}
	wantKarma := func(when string, want map[string]int) {
		t.Helper()
		view(t, st, func(tx *store.Tx) error {
			for id, want := range want {
				if got, err := tx.Karma(t.Context(), id); err != nil || got != want {
					t.Errorf("%s: karma of %s: got %d, %v, want %d", when, id, got, err, want)
				}
			}
			return nil
		})
	}
	for _, id := range []string{"d1", "d2", "d3"} {
		award(id, "donor", account.ReasonCreate, start, 10)
		award(id, "ngo", account.ReasonClaim, start, 10)
	}
	award("d1", "donor", account.ReasonDonate, start, 30)
	takeBack(nil, "d1")
	takeBack([]account.Reason{account.ReasonClaim})
	wantKarma("nothing was named", map[string]int{"donor": 60, "ngo": 30})
	takeBack([]account.Reason{account.ReasonClaim}, "d1")
	takeBack([]account.Reason{account.ReasonClaim}, "d1")
	wantKarma("the claim of one", map[string]int{"donor": 60, "ngo": 20})
	takeBack([]account.Reason{account.ReasonCreate, account.ReasonClaim}, "d2", "d3", "d1")
	wantKarma("all of three, but the delivery", map[string]int{"donor": 30, "ngo": 0})

	award("d1", "rival", account.ReasonClaim, start, 10)
	later := start.Add(time.Hour)
	award("d1", "ngo", account.ReasonClaim, later, 10)
	award("d1", "ngo", account.ReasonClaim, later.Add(time.Hour), 0)
	wantKarma("given anew", map[string]int{"ngo": 10, "rival": 10})
	view(t, st, func(tx *store.Tx) error {
		for since, want := range map[time.Time]int{later: 1, later.Add(time.Millisecond): 0} {
			if list, err := tx.Leaders(t.Context(), since, account.NGO, 9); err != nil || len(list) != want {
				t.Errorf("karma since %v: got %v, %v, want that of %d", since, list, err, want)
			}
		}
		return nil
	})
}

func karmaConcurrent(t *testing.T, st *store.Store) {
	addAccounts(t, st, newAccount("donor", account.Donor))
	addDonations(t, st, newDonation("d1"))
	var mu sync.Mutex
	total := 0
	var group sync.WaitGroup
	for range 10 {
		group.Go(func() {
			err := st.Update(t.Context(), func(tx *store.Tx) error {
				points, err := tx.AwardKarma(t.Context(), "d1", account.Award{AccountID: "donor", Reason: account.ReasonDonate}, start)
				mu.Lock()
				defer mu.Unlock()
				total += points
				return err
			})
			if err != nil {
				t.Errorf("AwardKarma: %v", err)
			}
		})
	}
	group.Wait()
	if total != 30 {
		t.Errorf("ten awards at once gave %d points, want 30", total)
	}
}

func intakeLoad(t *testing.T, st *store.Store) {
	day := time.Date(2026, 11, 2, 0, 0, 0, 0, time.UTC)
	addAccounts(t, st, newAccount("donor", account.Donor))
	claim := func(id, by string, quantity float64, unit string, status donation.Status, at time.Time) donation.Donation {
		d := newDonation(id)
		d.ClaimedByID, d.Quantity, d.Unit, d.Status, d.ClaimedAt = by, quantity, unit, status, &at
		return d
	}
	free := newDonation("free")
	free.Quantity = 1 << 20
	addDonations(t, st, free,
		claim("d1", "ngo", 1, "kg", donation.Claimed, day),                             // the first millisecond counts
		claim("d2", "ngo", 2, "KG ", donation.PickedUp, day.Add(time.Hour)),            // units without case and space
		claim("d3", "ngo", 4, "meals", donation.Claimed, day.Add(time.Hour)),           // another unit
		claim("d4", "ngo", 8, "kg", donation.Claimed, day.Add(-time.Millisecond)),      // yesterday
		claim("d5", "ngo", 16, "kg", donation.Delivered, day.Add(time.Hour)),           // received
		claim("d6", "ngo", 32, "kg", donation.Expired, day.Add(time.Hour)),             // gone
		claim("d7", "ngo", 64, "kg", donation.Cancelled, day.Add(time.Hour)),           // gone
		claim("d8", "other", 128, "kg", donation.Claimed, day.Add(time.Hour)),          // somebody else's
		claim("d9", "ngo", 256, "КГ", donation.Claimed, day.Add(2*time.Hour)),          // case exists beyond ASCII
		claim("d10", "ngo", 512, "\u00a0кг\t", donation.Claimed, day.Add(2*time.Hour)), // so does space
	)
	for name, tc := range map[string]struct {
		account, unit string
		day           time.Time
		want          float64
	}{
		"kg today":           {"ngo", "kg", day, 3},
		"case of the unit":   {"ngo", " Kg", day, 3},
		"meals today":        {"ngo", "meals", day, 4},
		"any unit":           {"ngo", "", day, 1 + 2 + 4 + 256 + 512},
		"beyond ASCII":       {"ngo", "кг", day, 256 + 512},
		"since yesterday":    {"ngo", "kg", day.AddDate(0, 0, -1), 11},
		"tomorrow":           {"ngo", "kg", day.AddDate(0, 0, 1), 0},
		"somebody else":      {"other", "kg", day, 128},
		"nobody":             {"nobody", "kg", day, 0},
		"no account at all":  {"", "", day, 0},
		"unit with a quote":  {"ngo", "k'g", day, 0},
		"unit with wildcard": {"ngo", "%", day, 0},
	} {
		view(t, st, func(tx *store.Tx) error {
			got, err := tx.IntakeLoad(t.Context(), tc.account, tc.unit, tc.day)
			if got != tc.want {
				t.Errorf("%s: got load %g, want %g", name, got, tc.want)
			}
			return err
		})
	}
}
