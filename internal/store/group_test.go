package store_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"larder/internal/donation"
	"larder/internal/store"
)

// begin calls Update on a goroutine of its own, in a bubble in which everybody
// else has gone as far as they get.
func begin(ctx context.Context, st *store.Store, fn func(*store.Tx) error) <-chan error {
	c := make(chan error, 1)
	go func() { c <- st.Update(ctx, fn) }()
	synctest.Wait()
	return c
}

// blocked is a function that goes on when let is closed.
func blocked(let <-chan struct{}) func(*store.Tx) error {
	return func(*store.Tx) error {
		<-let
		return nil
	}
}

func insert(ctx context.Context, d donation.Donation) func(*store.Tx) error {
	return func(tx *store.Tx) error { return save(ctx, tx, d) }
}

func wantDonations(t *testing.T, st *store.Store, want ...string) {
	t.Helper()
	var got []string
	for _, r := range dump(t, st).Records {
		got = append(got, r.Subject)
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("the log is about %v, want %v", got, want)
	}
}

// inBubble opens a store in a bubble, with one donor.
func inBubble(t *testing.T, test func(t *testing.T, st *store.Store)) {
	synctest.Test(t, func(t *testing.T) {
		st := open(t, filepath.Join(t.TempDir(), "larder.db"))
		update(t, st, func(tx *store.Tx) error { return tx.InsertAccount(t.Context(), newDonor(), "") })
		test(t, st)
	})
}

func TestFailedCommitFailsAllOfIt(t *testing.T) {
	inBubble(t, func(t *testing.T, st *store.Store) {
		let := make(chan struct{})
		calls := []<-chan error{
			begin(t.Context(), st, blocked(let)),
			begin(t.Context(), st, insert(t.Context(), newDonation("d1"))),
			begin(t.Context(), st, func(tx *store.Tx) error {
				d := newDonation("d2")
				d.DonorID = "nobody" // found by the commit only
				return errors.Join(tx.Exec(t.Context(), `PRAGMA defer_foreign_keys = ON`), save(t.Context(), tx, d))
			}),
			begin(t.Context(), st, insert(t.Context(), newDonation("d3"))),
		}
		close(let)
		for i, c := range calls {
			if err := <-c; !errors.Is(err, store.ErrUnavailable) {
				t.Errorf("call %d of a transaction whose commit failed: got %v, want ErrUnavailable", i, err)
			}
		}
		wantDonations(t, st)
		update(t, st, insert(t.Context(), newDonation("d4")))
		wantDonations(t, st, "d4")
	})
}

// TestEndedTransactionFailsAllOfIt has a function whose failure makes SQLite give
// the transaction up, as a full disk can, with others' work before it.
func TestEndedTransactionFailsAllOfIt(t *testing.T) {
	inBubble(t, func(t *testing.T, st *store.Store) {
		let := make(chan struct{})
		own := errors.New("own")
		calls := []<-chan error{
			begin(t.Context(), st, blocked(let)),
			begin(t.Context(), st, insert(t.Context(), newDonation("d1"))),
			begin(t.Context(), st, func(tx *store.Tx) error { return errors.Join(tx.Exec(t.Context(), `ROLLBACK`), own) }),
			begin(t.Context(), st, insert(t.Context(), newDonation("d2"))),
		}
		close(let)
		for i, want := range []error{store.ErrUnavailable, store.ErrUnavailable, own, nil} {
			if err := <-calls[i]; !errors.Is(err, want) {
				t.Errorf("call %d: got %v, want %v", i, err, want)
			}
		}
		wantDonations(t, st, "d2")
	})
}

func TestStalledStoreIsNotWaitedForWithoutEnd(t *testing.T) {
	inBubble(t, func(t *testing.T, st *store.Store) {
		start := time.Now()
		let := make(chan struct{})
		holder := begin(t.Context(), st, blocked(let))
		if err := <-begin(t.Context(), st, insert(t.Context(), newDonation("never"))); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("waited for the turn: got %v, want ErrUnavailable", err)
		}
		if got := time.Since(start); got != store.Patience {
			t.Errorf("waited %v for the turn, want %v", got, store.Patience)
		}
		close(let)
		if err := <-holder; err != nil {
			t.Errorf("who was slow: %v", err)
		}

		// The same behind one's own work: it may become durable later.
		first, second := make(chan struct{}), make(chan struct{})
		holder = begin(t.Context(), st, blocked(first))
		done := begin(t.Context(), st, insert(t.Context(), newDonation("unknown")))
		slow := begin(t.Context(), st, blocked(second))
		close(first)
		synctest.Wait()
		start = time.Now()
		if err := <-done; !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("waited for the commit: got %v, want ErrUnavailable", err)
		}
		if got := time.Since(start); got != store.Patience {
			t.Errorf("waited %v for the commit, want %v", got, store.Patience)
		}
		close(second)
		if err := <-slow; err != nil {
			t.Errorf("who was slow: %v", err)
		}
		<-holder
		update(t, st, insert(t.Context(), newDonation("healed")))
		wantDonations(t, st, "unknown", "healed")
	})
}

func TestWaitersAreBounded(t *testing.T) {
	inBubble(t, func(t *testing.T, st *store.Store) {
		let := make(chan struct{})
		holder := begin(t.Context(), st, blocked(let))
		ctx, leave := context.WithCancel(t.Context())
		left := make(chan error, store.MaxWaiting)
		for range store.MaxWaiting {
			go func() { left <- st.Update(ctx, blocked(nil)) }()
		}
		synctest.Wait()
		start := time.Now()
		if err := st.Update(t.Context(), blocked(nil)); !errors.Is(err, store.ErrUnavailable) || time.Since(start) != 0 {
			t.Errorf("one too many: got %v after %v, want ErrUnavailable at once", err, time.Since(start))
		}
		leave()
		for range store.MaxWaiting {
			if err := <-left; !errors.Is(err, context.Canceled) {
				t.Fatalf("left: got %v", err)
			}
		}
		close(let)
		if err := <-holder; err != nil {
			t.Error(err)
		}
	})
}

// TestContextInterruptsNoStatement has a context end in the middle of a long
// statement: SQLite would give the whole transaction up.
func TestContextInterruptsNoStatement(t *testing.T) {
	st := open(t, filepath.Join(t.TempDir(), "larder.db"))
	update(t, st, func(tx *store.Tx) error { return tx.InsertAccount(t.Context(), newDonor(), "") })
	inside, let := make(chan struct{}), make(chan struct{})
	first, second := make(chan error, 1), make(chan error, 1)
	go func() {
		first <- st.Update(t.Context(), func(tx *store.Tx) error {
			close(inside)
			<-let
			return save(t.Context(), tx, newDonation("d1"))
		})
	}()
	<-inside
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		second <- st.Update(ctx, func(tx *store.Tx) error {
			time.AfterFunc(time.Millisecond, cancel)
			return tx.Exec(ctx, `INSERT INTO events (type, subject, version, everyone, payload, at)
				WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
				SELECT '', '', 1, 1, '{}', sum(i) FROM n`)
		})
	}()
	for st.Stats().Waiting == 0 {
		runtime.Gosched()
	}
	close(let)
	if err := <-first; err != nil {
		t.Errorf("the command beside it: got %v", err)
	}
	want := []string{"d1"}
	switch err := <-second; {
	case err == nil: // on a busy machine the statement is done before the timer comes
		want = append(want, "")
	case !errors.Is(err, context.Canceled):
		t.Errorf("got %v", err)
	}
	wantDonations(t, st, want...)
}

// TestFullDisk has the disk be full in the middle of a shared transaction: some of
// it may be lost, but what was acknowledged is there, and nothing else is.
func TestFullDisk(t *testing.T) {
	inBubble(t, func(t *testing.T, st *store.Store) {
		pages := func(limit string) {
			update(t, st, func(tx *store.Tx) error { return tx.Exec(t.Context(), `PRAGMA max_page_count = `+limit) })
		}
		pages("1") // no more than there are
		acknowledged, refused := map[string]bool{}, 0
		for round := range 20 {
			let := make(chan struct{})
			calls := map[string]<-chan error{}
			holder := begin(t.Context(), st, blocked(let))
			for i := range 8 {
				d := newDonation(fmt.Sprintf("%d-%d", round, i))
				d.Description = strings.Repeat("x", 300)
				calls[d.ID] = begin(t.Context(), st, insert(t.Context(), d))
			}
			close(let)
			<-holder
			for id, c := range calls {
				if err := <-c; err == nil {
					acknowledged[id] = true
				} else if refused++; !errors.Is(err, store.ErrUnavailable) {
					t.Errorf("%s: got %v, want ErrUnavailable", id, err)
				}
			}
		}
		if refused == 0 {
			t.Error("the disk was never full")
		}
		wantExactly := func() {
			t.Helper()
			got := map[string]bool{}
			for _, r := range dump(t, st).Records {
				got[r.Subject] = true
			}
			if !maps.Equal(got, acknowledged) {
				t.Errorf("in the log:   %v\nacknowledged: %v", got, acknowledged)
			}
			wantWhole(t, st, nil)
		}
		wantExactly()
		pages("1000000")
		update(t, st, insert(t.Context(), newDonation("healed")))
		acknowledged["healed"] = true
		wantExactly()
	})
}

func TestStalledReadersAreNotWaitedForWithoutEnd(t *testing.T) {
	inBubble(t, func(t *testing.T, st *store.Store) {
		let := make(chan struct{})
		done := make(chan error, store.ReadConnections)
		for range store.ReadConnections {
			go func() { done <- st.View(t.Context(), blocked(let)) }()
		}
		synctest.Wait()
		start := time.Now()
		if err := st.View(t.Context(), blocked(nil)); !errors.Is(err, store.ErrUnavailable) || time.Since(start) != store.Patience {
			t.Errorf("got %v after %v, want ErrUnavailable after %v", err, time.Since(start), store.Patience)
		}
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := st.View(short, blocked(nil)); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, store.ErrUnavailable) {
			t.Errorf("with a deadline of its own: got %v", err)
		}
		close(let)
		for range store.ReadConnections {
			if err := <-done; err != nil {
				t.Errorf("a slow reader: %v", err)
			}
		}
	})
}
