package storetest

import (
	"testing"
	"time"

	"larder/internal/account"
	"larder/internal/donation"
	"larder/internal/eventlog"
	"larder/internal/store"
	"larder/internal/voice"
)

// The one row of karma without a donation: it counts, stands once, gives way to a
// better number, and nothing that is taken back touches it.
func karmaImported(t *testing.T, st *store.Store) {
	addAccounts(t, st, newAccount("donor", account.Donor), newAccount("other", account.Donor))
	addDonations(t, st, newDonation("d1"))
	update(t, st, func(tx *store.Tx) error {
		_, err := tx.AwardKarma(t.Context(), "d1", account.Award{AccountID: "donor", Reason: account.ReasonCreate}, start)
		return err
	})
	for _, step := range []struct {
		points  int
		changed bool
		want    int
	}{{0, false, 10}, {180, true, 190}, {180, false, 190}, {7, true, 17}, {0, true, 10}} {
		update(t, st, func(tx *store.Tx) error {
			changed, err := tx.ImportKarma(t.Context(), "donor", step.points, start)
			if changed != step.changed {
				t.Errorf("%d points: changed %v, want %v", step.points, changed, step.changed)
			}
			return err
		})
		view(t, st, func(tx *store.Tx) error {
			got, err := tx.Karma(t.Context(), "donor")
			if got != step.want {
				t.Errorf("karma with %d imported: got %d, want %d", step.points, got, step.want)
			}
			return err
		})
	}
	update(t, st, func(tx *store.Tx) error {
		if _, err := tx.ImportKarma(t.Context(), "other", 40, start); err != nil {
			return err
		}
		return tx.TakeKarmaBack(t.Context(), []account.Reason{account.ReasonCreate}, "d1")
	})
	view(t, st, func(tx *store.Tx) error {
		list, err := tx.Leaders(t.Context(), start.Add(time.Second), "", 9)
		if len(list) != 0 {
			t.Errorf("karma from before counts as new: %+v", list)
		}
		if err == nil {
			list, err = tx.Leaders(t.Context(), time.Time{}, "", 9)
		}
		if len(list) != 1 || list[0].ID != "other" || list[0].Points != 40 {
			t.Errorf("leaders: got %+v, want the other with 40", list)
		}
		return err
	})
}

func importPresent(t *testing.T, st *store.Store) {
	addAccounts(t, st, newAccount("donor", account.Donor))
	addDonations(t, st, newDonation("d1"))
	update(t, st, func(tx *store.Tx) error {
		return tx.InsertTicket(t.Context(), voice.Ticket{ID: "k1", By: voice.Author{ID: "donor"}, Subject: "s", CreatedAt: start, UpdatedAt: start})
	})
	view(t, st, func(tx *store.Tx) error {
		for kind, want := range map[store.Kind]int{store.Feedbacks: 0, store.FlagsKind: 0, store.TicketsKind: 1, store.Notifications: 0} {
			found, err := tx.Present(t.Context(), kind, "k1", "k2")
			if err != nil {
				return err
			}
			if len(found) != want || found["k1"] != (want == 1) {
				t.Errorf("%s: got %v, want %d", kind, found, want)
			}
		}
		none, err := tx.Present(t.Context(), store.TicketsKind)
		if err != nil || len(none) != 0 {
			t.Errorf("of no ids: %v, %v", none, err)
		}
		statuses, err := tx.StatusesByID(t.Context(), "d1", "d2")
		if len(statuses) != 1 || statuses["d1"] != donation.Available {
			t.Errorf("statuses: got %v", statuses)
		}
		return err
	})
}

// A new life changes the epoch of whoever opens the store after it, and no number
// is given twice.
func newLife(t *testing.T, st *store.Store) {
	var before, after eventlog.Position
	head := func(p *eventlog.Position) {
		view(t, st, func(tx *store.Tx) (err error) {
			*p, err = tx.Head(t.Context())
			return err
		})
	}
	update(t, st, func(tx *store.Tx) error {
		_, err := tx.Append(t.Context(), eventlog.Draft{Type: "x", Subject: "s", Payload: []byte(`{}`), At: start})
		return err
	})
	head(&before)
	update(t, st, func(tx *store.Tx) error { return tx.NewLife(t.Context()) })
	if _, err := st.Migrate(t.Context()); err != nil { // as a start does
		t.Fatal(err)
	}
	head(&after)
	if after.Seq != before.Seq || after.Epoch == before.Epoch || len(after.Epoch) != len(before.Epoch) {
		t.Errorf("a new life: head %v before, %v after", before, after)
	}
}
