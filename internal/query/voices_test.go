package query_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"larder/api"
	"larder/internal/account"
	"larder/internal/donation"
	"larder/internal/feed"
	"larder/internal/query"
	"larder/internal/store"
	"larder/internal/voice"
)

// rate adds feedback on a donation of a donor.
func (w *world) rate(donationID, donorID string, rating int) {
	w.t.Helper()
	w.update(func(tx *store.Tx) error {
		_, err := tx.InsertFeedback(w.ctx, voice.Feedback{
			ID: "f" + donationID, DonationID: donationID, DonorID: donorID, NGOID: "ngo", Rating: rating, CreatedAt: w.start,
		})
		return err
	})
}

// Lists and snapshots tell each donor's score, whoever the others in it are.
func TestScoresInLists(t *testing.T) {
	w := newWorld(t)
	w.update(func(tx *store.Tx) error {
		return tx.InsertAccount(w.ctx, account.Account{ID: "other", Email: "o", Role: account.Donor, CreatedAt: w.start}, "")
	})
	of := func(donor string) func(*donation.Donation) { return func(d *donation.Donation) { d.DonorID = donor } }
	w.add("a", 1, 1)
	w.add("b", 1, 1, of("other"))
	w.add("c", 1, 1)
	w.add("d", 50, 50, of("admin"))
	w.rate("a", "donor", 5)
	w.rate("c", "donor", 4)
	w.rate("d", "admin", 1)
	want := map[string]*float64{"a": new(4.5), "b": nil, "c": new(4.5), "d": new(1.0)}
	compare := func(what string, list []api.Donation, want map[string]*float64) {
		t.Helper()
		got := map[string]*float64{}
		for _, d := range list {
			got[d.ID] = d.DonorTrustScore
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
	list, _, err := w.Donations(w.ctx, query.ListFilter{})
	if err != nil {
		t.Fatal(err)
	}
	compare("list", list, want)
	if list, _, err = w.Donations(w.ctx, query.ListFilter{Limit: 2}); err != nil {
		t.Fatal(err)
	}
	compare("page", list, map[string]*float64{"c": new(4.5), "d": new(1.0)})
	snap, err := w.Snapshot(w.ctx, feed.View{})
	if err != nil {
		t.Fatal(err)
	}
	compare("snapshot", snap.Items, want)
	if d, err := w.Donation(w.ctx, "a"); err != nil || d.DonorTrustScore == nil || *d.DonorTrustScore != 4.5 {
		t.Errorf("one donation: %v, %v", d.DonorTrustScore, err)
	}
}

func TestAdminNotifications(t *testing.T) {
	w := newWorld(t)
	look := func(want ...api.AdminNotification) {
		t.Helper()
		got, err := w.AdminNotifications(w.ctx)
		if err != nil || got == nil {
			t.Fatalf("got %v, %v", got, err)
		}
		if diff := cmp.Diff(append([]api.AdminNotification{}, want...), got); diff != "" {
			t.Errorf("notifications (-want +got):\n%s", diff)
		}
	}
	at := api.At(w.start)
	ngos := api.AdminNotification{
		ID: "pending-ngos", Type: "pending_ngo", Title: "1 NGO waits for verification",
		Message: "An NGO can claim nothing until an admin has verified it.", Priority: "high", CreatedAt: at,
	}
	look(ngos) // the one of newWorld
	later := w.start.Add(time.Hour)
	w.update(func(tx *store.Tx) error {
		for i := range 2 {
			k := voice.Ticket{ID: fmt.Sprint("k", i), By: voice.Author{ID: "ngo"}, Status: voice.Open, CreatedAt: w.start.Add(time.Duration(i) * time.Hour)}
			if err := tx.InsertTicket(w.ctx, k); err != nil {
				return err
			}
		}
		return tx.InsertAccount(w.ctx, account.Account{ID: "ngo2", Email: "n", Role: account.NGO, CreatedAt: later}, "")
	})
	for i := range 6 {
		w.add(fmt.Sprint("d", i), 1, 1, func(d *donation.Donation) {
			d.Quantity, d.CreatedAt = 1_000_000, w.start.Add(time.Duration(i)*time.Second)
		})
	}
	w.update(func(tx *store.Tx) error {
		_, err := tx.InsertFlag(w.ctx, voice.Flag{ID: "g", DonationID: "d1", By: voice.Author{ID: "ngo"}, Status: voice.Flagged, CreatedAt: w.start})
		return err
	})
	ngos.Title, ngos.CreatedAt = "2 NGOs wait for verification", api.At(later)
	want := []api.AdminNotification{ngos, {
		ID: "open-tickets", Type: "support_ticket", Title: "2 open support tickets",
		Message: "Somebody needs help, and no admin has taken it on yet.", Priority: "medium", CreatedAt: api.At(later),
	}, {
		ID: "flagged-food", Type: "flagged_food", Title: "1 flagged donation to look at",
		Message: "Somebody found something wrong, and no admin has decided yet.", Priority: "high", CreatedAt: at,
	}}
	for i := range 5 {
		id := fmt.Sprint("d", 5-i)
		want = append(want, api.AdminNotification{
			ID: "donation-" + id, Type: "new_donation", Title: "New donation: " + id, Message: "1000000 kg of x by d", Priority: "low",
			CreatedAt: api.At(w.start.Add(time.Duration(5-i) * time.Second)),
		})
	}
	look(want...)
}
