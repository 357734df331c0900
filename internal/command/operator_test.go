package command_test

import (
	"testing"

	"larder/internal/account"
	"larder/internal/donation"
	"larder/internal/eventlog"
	"larder/internal/store"
)

// A deletion lets go of what is open by the rules, leaves a row that says nothing,
// and frees the e-mail.
func TestDelete(t *testing.T) {
	w := newWorld(t)
	offered, claimed, carried := w.list(), w.list(), w.list()
	w.must("ngo", claimed, donation.Claim)
	w.must("ngo", carried, donation.Claim)
	w.must("volunteer", carried, donation.PickUp)
	for _, id := range []string{"ngo", "donor"} {
		email := w.account(id).Email
		if _, err := w.Delete(w.ctx, email); err != nil {
			t.Fatal(err)
		}
		a := w.account(id)
		if !a.Deleted || a.Active || a.Email == email || a.Name != "Deleted account" || a.TokensAfter.IsZero() {
			t.Errorf("%s: left as %+v", id, a)
		}
		recs := w.log(id)
		if last := recs[len(recs)-1]; last.Type != eventlog.TypeAccountDeleted || last.Audience.Everyone || len(last.Audience.Users) > 0 {
			t.Errorf("%s: record %+v", id, last)
		}
		w.view(func(tx *store.Tx) error {
			if _, hash, err := tx.Credentials(w.ctx, a.Email); hash != "" || err != nil {
				t.Errorf("%s: hash %q, %v", id, hash, err)
			}
			return nil
		})
		for _, gone := range []string{email, a.Email} {
			_, err := w.Delete(w.ctx, gone)
			wantErr(t, "delete again", err, store.ErrNotFound)
		}
		n := newcomer(account.Donor)
		n.Email = email
		if _, err := w.Register(w.ctx, "", n); err != nil {
			t.Errorf("%s: the e-mail is not free: %v", id, err)
		}
	}
	// The NGO went first: what it had released the donor then no longer offered.
	for id, want := range map[string]donation.Status{
		offered: donation.Cancelled, claimed: donation.Cancelled, carried: donation.PickedUp,
	} {
		if got := w.donation(id); got.Status != want || got.DonorID != "donor" {
			t.Errorf("donation: got %s of %s, want %s", got.Status, got.DonorID, want)
		}
	}
	w.wantAgreement()
}

// The operator may do anything to an admin but to the last one.
func TestLastAdminStays(t *testing.T) {
	w := newWorld(t)
	email := w.account("admin").Email
	for name, do := range map[string]func() (account.Account, error){
		"delete":  func() (account.Account, error) { return w.Delete(w.ctx, email) },
		"demote":  func() (account.Account, error) { return w.SetRole(w.ctx, email, account.Donor) },
		"suspend": func() (account.Account, error) { return w.SetActive(w.ctx, email, false) },
	} {
		_, err := do()
		wantErr(t, name, err, account.ErrLastAdmin)
	}
	if _, err := w.SetRole(w.ctx, w.account("ngo").Email, account.Admin); err != nil {
		t.Fatal(err)
	}
	if a, err := w.SetRole(w.ctx, email, account.NGO); err != nil || a.Role != account.NGO || !a.Verified {
		t.Errorf("demoted: %+v, %v", a, err)
	}
	recs := w.log("admin")
	if len(recs) == 0 || recs[len(recs)-1].Type != eventlog.TypeAccountRole {
		t.Errorf("records %+v", recs)
	}
}
