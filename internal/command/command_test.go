package command_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"larder/internal/account"
	"larder/internal/auth"
	"larder/internal/command"
	"larder/internal/donation"
	"larder/internal/eventlog"
	"larder/internal/store"
	"larder/internal/testkit/pgtest"
)

// world is a service on a new store with a few people in it.
type world struct {
	*command.Service
	t     testing.TB
	ctx   context.Context
	store *store.Store
	wakes atomic.Int64
}

// newWorld opens a store with the accounts donor, ngo, ngo2, volunteer and admin.
// Each has its name as id. The day begins at midnight in UTC.
func newWorld(t *testing.T) *world {
	t.Helper()
	return newWorldAt(t, "sqlite:"+filepath.Join(t.TempDir(), "larder.db"))
}

// eachEngine runs a test in a world on each engine.
func eachEngine(t *testing.T, test func(t *testing.T, w *world)) {
	t.Run("SQLite", func(t *testing.T) { test(t, newWorld(t)) })
	t.Run("PostgreSQL", func(t *testing.T) { test(t, newWorldAt(t, pgtest.Database(t))) })
}

func newWorldAt(t *testing.T, address string) *world {
	t.Helper()
	st, err := store.Open(t.Context(), address)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(func() { st.Close() })
	if _, err := st.Migrate(t.Context()); err != nil {
		t.Fatalf("Migrate: %v", err)
	}
	w := &world{t: t, ctx: t.Context(), store: st}
	w.Service = command.NewService(st, auth.NewPasswords(), func() { w.wakes.Add(1) }, time.UTC)
	w.add(account.Donor, "donor")
	w.add(account.NGO, "ngo", "ngo2")
	w.add(account.Volunteer, "volunteer")
	w.add(account.Admin, "admin")
	return w
}

// add adds verified, active accounts without passwords, which would cost a hash
// each.
func (w *world) add(role account.Role, ids ...string) {
	w.t.Helper()
	w.update(func(tx *store.Tx) error {
		for _, id := range ids {
			a := account.Account{
				ID: id, Email: id + "@example.org", Name: id, Role: role, Verified: true, Active: true,
				CreatedAt: time.Now(), UpdatedAt: time.Now(),
			}
			if err := tx.InsertAccount(w.ctx, a, ""); err != nil {
				return err
			}
		}
		return nil
	})
}

func (w *world) update(fn func(*store.Tx) error) {
	w.t.Helper()
	if err := w.store.Update(w.ctx, fn); err != nil {
		w.t.Fatalf("Update: %v", err)
	}
}

func (w *world) view(fn func(*store.Tx) error) {
	w.t.Helper()
	if err := w.store.View(w.ctx, fn); err != nil {
		w.t.Fatalf("View: %v", err)
	}
}

// change changes an account as if somebody had done it before.
func (w *world) change(id string, fn func(*account.Account)) {
	w.t.Helper()
	w.update(func(tx *store.Tx) error {
		a, err := tx.Account(w.ctx, id)
		if err != nil {
			return err
		}
		fn(&a)
		return tx.UpdateAccount(w.ctx, a)
	})
}

func draft() donation.Draft {
	return donation.Draft{
		Name: "Soup", FoodType: "vegetables", Quantity: 5, Unit: "kg", Latitude: 50, Longitude: 14,
		PreparationTime: time.Now().Add(-time.Hour).Truncate(time.Millisecond),
		ExpiryTime:      time.Now().Add(12 * time.Hour).Truncate(time.Millisecond),
	}
}

// list lists a donation by the donor and returns its id.
func (w *world) list(change ...func(*donation.Draft)) string {
	w.t.Helper()
	d := draft()
	for _, c := range change {
		c(&d)
	}
	done, err := w.Create(w.ctx, command.By{AccountID: "donor"}, d)
	if err != nil {
		w.t.Fatalf("Create: %v", err)
	}
	return done.Donation.ID
}

func (w *world) do(by, key, id string, action donation.Action) (command.Done, error) {
	return w.Do(w.ctx, command.By{AccountID: by, Key: key}, command.Order{DonationID: id, Action: action, Reason: "a reason"})
}

// must runs a command that is accepted.
func (w *world) must(by, id string, action donation.Action) command.Done {
	w.t.Helper()
	done, err := w.do(by, "", id, action)
	if err != nil {
		w.t.Fatalf("%s by %s: %v", action, by, err)
	}
	return done
}

func (w *world) donation(id string) (d donation.Donation) {
	w.t.Helper()
	w.view(func(tx *store.Tx) (err error) {
		d, err = tx.Donation(w.ctx, id)
		return err
	})
	return d
}

func (w *world) account(id string) (a account.Account) {
	w.t.Helper()
	w.view(func(tx *store.Tx) (err error) {
		a, err = tx.Account(w.ctx, id)
		return err
	})
	return a
}

func (w *world) karma(id string) (points int) {
	w.t.Helper()
	w.view(func(tx *store.Tx) (err error) {
		points, err = tx.Karma(w.ctx, id)
		return err
	})
	return points
}

// log returns all records about a subject, or all at all.
func (w *world) log(subject string) (recs []eventlog.Record) {
	w.t.Helper()
	w.view(func(tx *store.Tx) (err error) {
		if subject == "" {
			recs, err = tx.Since(w.ctx, 0, 1_000_000)
		} else {
			recs, err = tx.History(w.ctx, subject, 0, 1000)
		}
		return err
	})
	return recs
}

// wantAgreement wants every donation to have exactly the records 1 to its version.
func (w *world) wantAgreement() {
	w.t.Helper()
	logged := map[string]int64{}
	for _, r := range w.log("") {
		if r.Version == 0 {
			continue // about an account, or what somebody is told
		}
		if r.Type == string(donation.EventNearExpiry) { // no change
			if r.Version != logged[r.Subject] {
				w.t.Errorf("record %v of %s: near expiry of version %d at %d", r.Position, r.Subject, r.Version, logged[r.Subject])
			}
			continue
		}
		if r.Version != logged[r.Subject]+1 {
			w.t.Errorf("record %v of %s: version %d after %d", r.Position, r.Subject, r.Version, logged[r.Subject])
		}
		logged[r.Subject] = r.Version
	}
	w.view(func(tx *store.Tx) error {
		for d, err := range tx.Donations(w.ctx, store.DonationFilter{}) {
			if err != nil {
				return err
			}
			if logged[d.ID] != d.Version {
				w.t.Errorf("donation %s has version %d and %d records", d.ID, d.Version, logged[d.ID])
			}
			delete(logged, d.ID)
		}
		return nil
	})
	if len(logged) > 0 {
		w.t.Errorf("records of donations that are not there: %v", logged)
	}
}

// wantCode wants a refusal by the rules of donations.
func wantCode(t testing.TB, what string, err error, want donation.Code) {
	t.Helper()
	r, ok := errors.AsType[*donation.Refusal](err)
	if !ok || r.Code != want {
		t.Errorf("%s: got %v, want the refusal %s", what, err, want)
	}
}

func wantErr(t testing.TB, what string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("%s: got error %v, want %v", what, got, want)
	}
}

func names(prefix string, n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf("%s%03d", prefix, i)
	}
	return list
}
