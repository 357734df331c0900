package timer_test

import (
	"context"
	"log/slog"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"larder/internal/account"
	"larder/internal/auth"
	"larder/internal/command"
	"larder/internal/donation"
	"larder/internal/store"
	"larder/internal/testkit"
	"larder/internal/timer"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rig is a timer on a store of its own, in a bubble.
type rig struct {
	t        *testing.T
	store    *store.Store
	commands *command.Service
	logs     *testkit.Logs
	donor    string
	woken    int
}

func newRig(t *testing.T) *rig {
	r := &rig{t: t, logs: testkit.NewLogs(t), donor: "donor"}
	var err error
	if r.store, err = store.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "larder.db")); err != nil {
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

// run runs a timer until the end of the test.
func (r *rig) run() {
	ctx, stop := context.WithCancel(r.t.Context())
	done := make(chan error)
	go func() { done <- timer.New(r.store, r.commands, slog.New(r.logs.Handler())).Run(ctx) }()
	r.t.Cleanup(func() {
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
			if err == nil && head.Seq != 1100 {
				t.Errorf("%d records at once, want 1100", head.Seq)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

// Answers of idempotency keys go after a day, and not before.
func TestOldKeysAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.update(func(tx *store.Tx) error {
			at := time.Now().Add(30*time.Minute - command.KeyLife)
			return tx.SaveAnswer(t.Context(), store.Answer{Caller: "c", Key: "k", Fingerprint: "f", Body: []byte("{}"), At: at})
		})
		r.run()
		kept := func() bool {
			return r.store.View(t.Context(), func(tx *store.Tx) error {
				_, err := tx.Answer(t.Context(), "c", "k")
				return err
			}) == nil
		}
		<-time.After(29 * time.Minute)
		synctest.Wait()
		if !kept() {
			t.Error("forgotten too early")
		}
		<-time.After(time.Hour)
		synctest.Wait()
		if kept() {
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
