package timer_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.uber.org/goleak"

	"larder/internal/account"
	"larder/internal/auth"
	"larder/internal/command"
	"larder/internal/donation"
	"larder/internal/eventlog"
	"larder/internal/store"
	"larder/internal/testkit"
	"larder/internal/timer"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const keep = 2 * time.Hour // how long records stay

// rig is a timer on a store of its own, in a bubble.
type rig struct {
	t        *testing.T
	store    *store.Store
	commands *command.Service
	logs     *testkit.Logs
	donor    string
	woken    int
	path     string
	keep     time.Duration
}

func newRig(t *testing.T) *rig {
	r := &rig{t: t, logs: testkit.NewLogs(t), donor: "donor", path: filepath.Join(t.TempDir(), "larder.db"), keep: keep}
	var err error
	if r.store, err = store.Open(t.Context(), "sqlite:"+r.path); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.store.Close() })
	if _, err := r.store.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.commands = command.NewService(r.store, auth.NewPasswords(), func() { r.woken++ }, time.UTC)
	r.update(func(tx *store.Tx) error {
		return tx.InsertAccount(t.Context(), account.Account{ID: r.donor, Email: "d@example.org", Role: account.Donor, Active: true}, "")
	})
	return r
}

func (r *rig) update(f func(tx *store.Tx) error) {
	r.t.Helper()
	if err := r.store.Update(r.t.Context(), f); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) add(id string, status donation.Status, expires time.Time) {
	r.t.Helper()
	r.update(func(tx *store.Tx) error {
		return tx.InsertDonation(r.t.Context(), donation.Donation{
			ID: id, DonorID: r.donor, Status: status, ExpiryTime: expires, PreparationTime: expires.Add(-time.Hour),
			CreatedAt: time.Now(), UpdatedAt: time.Now(), Version: 1,
		})
	})
}

// addOld adds an available donation that was listed a day ago.
func (r *rig) addOld(id string, left time.Duration) {
	r.t.Helper()
	at := time.Now().Add(-24 * time.Hour)
	r.update(func(tx *store.Tx) error {
		return tx.InsertDonation(r.t.Context(), donation.Donation{
			ID: id, DonorID: r.donor, Status: donation.Available, ExpiryTime: time.Now().Add(left), PreparationTime: at,
			CreatedAt: at, UpdatedAt: at, Version: 1,
		})
	})
}

// run runs a timer until the end of the test.
func (r *rig) run() { r.t.Cleanup(r.start()) }

// start runs a timer until stop is called.
func (r *rig) start() (stopped func()) {
	ctx, stop := context.WithCancel(r.t.Context())
	done := make(chan error)
	go func() { done <- timer.New(r.store, r.commands, r.keep, slog.New(r.logs.Handler())).Run(ctx) }()
	return sync.OnceFunc(func() {
		stop()
		if err := <-done; err != nil {
			r.t.Errorf("Run: %v", err)
		}
	})
}

func (r *rig) statuses(ids ...string) (list []donation.Status) {
	r.t.Helper()
	err := r.store.View(r.t.Context(), func(tx *store.Tx) error {
		list = nil
		for _, id := range ids {
			d, err := tx.Donation(r.t.Context(), id)
			if err != nil {
				return err
			}
			list = append(list, d.Status)
		}
		return nil
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return list
}

func TestExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		now := time.Now()
		// Due while nobody ran, due to the second, and never due.
		r.add("overdue", donation.Available, now.Add(-time.Hour))
		r.add("soon", donation.Claimed, now.Add(10*time.Second))
		r.add("later", donation.Available, now.Add(10*time.Second+time.Millisecond))
		r.add("carried", donation.PickedUp, now.Add(-time.Hour))
		r.add("done", donation.Delivered, now.Add(-time.Hour))
		r.run()
		ids := []string{"overdue", "soon", "later", "carried", "done"}
		for _, step := range []struct {
			wait time.Duration
			want []donation.Status
		}{
			{0, []donation.Status{donation.Expired, donation.Claimed, donation.Available, donation.PickedUp, donation.Delivered}},
			{10*time.Second - time.Millisecond, []donation.Status{donation.Expired, donation.Claimed, donation.Available, donation.PickedUp, donation.Delivered}},
			{time.Millisecond, []donation.Status{donation.Expired, donation.Expired, donation.Available, donation.PickedUp, donation.Delivered}},
			{time.Millisecond, []donation.Status{donation.Expired, donation.Expired, donation.Expired, donation.PickedUp, donation.Delivered}},
		} {
			<-time.After(step.wait)
			synctest.Wait()
			if diff := cmp.Diff(step.want, r.statuses(ids...)); diff != "" {
				t.Errorf("after %v (-want +got):\n%s", time.Since(now), diff)
			}
		}
		if r.woken < 3 {
			t.Errorf("the tailer was woken %d times", r.woken)
		}
	})
}

// More are due than one transaction takes.
func TestExpiryOfMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.update(func(tx *store.Tx) error {
			for i := range 1100 {
				at := time.Now().Add(-time.Duration(i) * time.Second)
				d := donation.Donation{ID: at.String(), DonorID: r.donor, Status: donation.Available, ExpiryTime: at, Version: 1}
				if err := tx.InsertDonation(t.Context(), d); err != nil {
					return err
				}
			}
			return nil
		})
		r.run()
		synctest.Wait()
		err := r.store.View(t.Context(), func(tx *store.Tx) error {
			head, err := tx.Head(t.Context())
			if err == nil && head.Seq != 2200 { // each donor is told
				t.Errorf("%d records at once, want 2200", head.Seq)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

// Answers of idempotency keys go after a day, and not before, all of them in bounded
// steps.
func TestOldKeysAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		answer := func(tx *store.Tx, key string, age time.Duration) error {
			return tx.SaveAnswer(t.Context(), store.Answer{
				Caller: "c", Key: key, Fingerprint: "f", Body: []byte("{}"), At: time.Now().Add(-age),
			})
		}
		r.update(func(tx *store.Tx) error {
			for i := range 2500 {
				if err := answer(tx, fmt.Sprint(i), command.KeyLife+time.Minute); err != nil {
					return err
				}
			}
			return answer(tx, "k", command.KeyLife-30*time.Minute)
		})
		r.run()
		kept := func(key string) bool {
			return r.store.View(t.Context(), func(tx *store.Tx) error {
				_, err := tx.Answer(t.Context(), "c", key)
				return err
			}) == nil
		}
		<-time.After(time.Second)
		synctest.Wait()
		if kept("2499") || !kept("k") {
			t.Errorf("after the start: the last of the old ones kept: %v, the younger one: %v", kept("2499"), kept("k"))
		}
		<-time.After(29 * time.Minute)
		synctest.Wait()
		if !kept("k") {
			t.Error("forgotten too early")
		}
		<-time.After(time.Hour)
		synctest.Wait()
		if kept("k") {
			t.Error("never forgotten")
		}
	})
}

// A store that is away is logged once, not every second.
func TestStoreThatIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		if err := r.store.Close(); err != nil {
			t.Fatal(err)
		}
		r.run()
		<-time.After(time.Minute)
		if n := len(r.logs.Lines("clock can't do its work")); n != 1 {
			t.Errorf("logged %d times", n)
		}
	})
}

// shift moves every moment that is stored of donations, as the rest of the world
// sees it when the clock of the machine jumps the other way.
func (r *rig) shift(by time.Duration) {
	r.t.Helper()
	db, err := sql.Open("sqlite", r.path)
	if err == nil {
		_, err = db.ExecContext(r.t.Context(), `UPDATE donations SET expiry_time = expiry_time + $1, created_at = created_at + $1,
			updated_at = updated_at + $1, near_expiry_at = near_expiry_at + $1`, by.Milliseconds())
		err = errors.Join(err, db.Close())
	}
	if err != nil {
		r.t.Fatal(err)
	}
}

// types lists the records about a donation by type and version.
func (r *rig) types(id string) (list []string) {
	r.t.Helper()
	err := r.store.View(r.t.Context(), func(tx *store.Tx) error {
		recs, err := tx.History(r.t.Context(), id, 0, 100)
		list = nil
		for _, rec := range recs {
			list = append(list, fmt.Sprintf("%s %d", rec.Type, rec.Version))
		}
		return err
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return list
}

func (r *rig) wantTypes(when, id string, want ...string) {
	r.t.Helper()
	if diff := cmp.Diff(want, r.types(id), cmpopts.EquateEmpty()); diff != "" {
		r.t.Errorf("%s, %s: records (-want +got):\n%s", when, id, diff)
	}
}

const near, expired = "donation.near_expiry 1", "donation.status.updated 2"

// P-13: at its moment, once; what was due while nobody ran, at the start.
func TestNearExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.addOld("due", 30*time.Minute)
		r.addOld("soon", donation.NearExpiryLead+10*time.Second)
		r.add("listed late", donation.Available, time.Now().Add(30*time.Minute))
		stop := r.start()
		synctest.Wait()
		r.wantTypes("at the start", "due", near)
		r.wantTypes("at the start", "soon")
		<-time.After(10*time.Second - time.Millisecond)
		r.wantTypes("just before", "soon")
		<-time.After(time.Millisecond)
		synctest.Wait()
		r.wantTypes("at its moment", "soon", near)
		stop()
		r.run() // the same by a node that knows nothing
		<-time.After(10 * time.Second)
		r.wantTypes("after a restart", "due", near)
		r.wantTypes("after a restart", "soon", near)
		<-time.After(time.Hour)
		r.wantTypes("at the end", "due", near, expired)
		r.wantTypes("at the end", "soon", near, expired)
		r.wantTypes("at the end", "listed late", expired)
	})
}

// When the clock jumps ahead, all that is due then happens within a second, once.
func TestClockThatJumpsAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.addOld("due", 50*time.Minute)
		r.addOld("near", 110*time.Minute)
		r.addOld("later", 3*time.Hour)
		r.run()
		<-time.After(10*time.Second + time.Millisecond)
		r.wantTypes("before", "due", near)
		r.wantTypes("before", "near")
		r.shift(-time.Hour)
		<-time.After(time.Second)
		synctest.Wait()
		r.wantTypes("a second after the jump", "due", near, expired)
		r.wantTypes("a second after the jump", "near", near)
		r.wantTypes("a second after the jump", "later")
		<-time.After(10 * time.Minute)
		r.wantTypes("later on", "due", near, expired)
		r.wantTypes("later on", "near", near)
	})
}

// When the clock jumps back, what has happened stays and does not happen again;
// what is still to come waits for the clock.
func TestClockThatJumpsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.addOld("due", time.Second)
		r.addOld("near", 20*time.Minute)
		r.run()
		<-time.After(2 * time.Second)
		r.wantTypes("before", "due", near, expired)
		r.wantTypes("before", "near", near)
		r.shift(time.Hour)
		<-time.After(5 * time.Minute)
		r.wantTypes("after the jump", "due", near, expired)
		r.wantTypes("after the jump", "near", near)
		r.shift(-time.Hour) // and ahead again
		<-time.After(15*time.Minute - 3*time.Second)
		r.wantTypes("just before the expiry", "near", near)
		<-time.After(time.Second)
		synctest.Wait()
		r.wantTypes("at the expiry", "near", near, expired)
		r.wantTypes("at the end", "due", near, expired)
		if got := r.statuses("due", "near"); got[0] != donation.Expired || got[1] != donation.Expired {
			t.Errorf("statuses %v", got)
		}
	})
}

// Old records go at the start and then each hour, in bounded steps that are told
// in one line.
func TestRetention(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		old := func(n int, age time.Duration) {
			r.update(func(tx *store.Tx) error {
				drafts := make([]eventlog.Draft, n)
				for i := range drafts {
					drafts[i] = eventlog.Draft{Type: "x", Subject: "s", Payload: []byte(`{}`), At: time.Now().Add(-age)}
				}
				_, err := tx.Append(t.Context(), drafts...)
				return err
			})
		}
		left := func(when string, want int) {
			t.Helper()
			recs, err := r.store.Log().Since(t.Context(), 0, 10_000)
			if err != nil || len(recs) != want {
				t.Errorf("%s: %d records left, %v, want %d", when, len(recs), err, want)
			}
		}
		old(2500, keep+time.Minute)
		old(3, keep-30*time.Minute)
		r.update(func(tx *store.Tx) error {
			return tx.SaveView(t.Context(), "session", "account", `{}`, time.Now().Add(-2*keep))
		})
		r.run()
		<-time.After(time.Second)
		left("after the start", 3)
		lines := r.logs.Lines("log pruned")
		if len(lines) != 1 || lines[0]["records"] != float64(2500) || lines[0]["views"] != float64(1) {
			t.Errorf("logged %v", lines)
		}
		<-time.After(58 * time.Minute)
		left("before the hour", 3)
		<-time.After(2 * time.Minute)
		left("after the hour", 0)
		head, err := r.store.Log().Head(t.Context())
		if err != nil || head.Seq != 2503 {
			t.Errorf("head of the empty log: %v, %v", head, err)
		}
	})
}

func TestRetentionForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.keep = 0
		r.update(func(tx *store.Tx) error {
			_, err := tx.Append(t.Context(), eventlog.Draft{Type: "x", Subject: "s", Payload: []byte(`{}`), At: time.Unix(0, 0)})
			return err
		})
		r.run()
		<-time.After(time.Hour + time.Second)
		if recs, err := r.store.Log().Since(t.Context(), 0, 10); err != nil || len(recs) != 1 {
			t.Errorf("%d records, %v", len(recs), err)
		}
	})
}
