package storetest

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"testing"

	"larder/internal/account"
	"larder/internal/store"
)

// outcome is what a call of Update came to.
type outcome struct {
	err      error
	panicked any
	ended    bool // its function ended the goroutine
}

// try calls Update on a goroutine of its own.
func try(ctx context.Context, st *store.Store, fn func(*store.Tx) error) <-chan outcome {
	c := make(chan outcome, 1)
	go func() {
		o := outcome{ended: true}
		defer func() {
			o.panicked = recover()
			o.ended = o.ended && o.panicked == nil
			c <- o
		}()
		o.err = st.Update(ctx, fn)
		o.ended = false
	}()
	return c
}

// occupy holds the turn until release is called; finished waits for its commit.
func occupy(t *testing.T, st *store.Store) (release, finished func()) {
	t.Helper()
	inside, let := make(chan struct{}), make(chan struct{})
	held := try(t.Context(), st, func(*store.Tx) error {
		close(inside)
		<-let
		return nil
	})
	<-inside
	return func() { close(let) }, func() {
		t.Helper()
		if o := <-held; o.err != nil {
			t.Errorf("who held the turn: %v", o.err)
		}
	}
}

// awaitWaiting returns when so many callers wait for their turn.
func awaitWaiting(st *store.Store, n int) {
	for st.Stats().Waiting != n {
		runtime.Gosched()
	}
}

// queue has functions wait for their turn in their order, and then lets them run.
func queue(t *testing.T, st *store.Store, fns ...func(*store.Tx) error) []outcome {
	t.Helper()
	release, finished := occupy(t, st)
	var calls []<-chan outcome
	for i, fn := range fns {
		calls = append(calls, try(t.Context(), st, fn))
		awaitWaiting(st, i+1)
	}
	release()
	finished()
	var list []outcome
	for _, c := range calls {
		list = append(list, <-c)
	}
	return list
}

func writer(t *testing.T, id string) func(*store.Tx) error {
	return func(tx *store.Tx) error { return write(t.Context(), tx, id) }
}

func groupShares(t *testing.T, st *store.Store) {
	const callers = 200
	addAccounts(t, st, newAccount("donor", account.Donor))
	before := st.Stats()
	var fns []func(*store.Tx) error
	for i := range callers {
		fns = append(fns, writer(t, fmt.Sprintf("d%03d", i)))
	}
	for i, o := range queue(t, st, fns...) {
		if o.err != nil {
			t.Errorf("caller %d: %v", i, o.err)
		}
	}
	after := st.Stats()
	if got := after.Updates - before.Updates; got != callers+1 {
		t.Errorf("%d functions were committed, want %d", got, callers+1)
	}
	got := after.Commits - before.Commits
	if got > callers/4 {
		t.Errorf("%d callers who waited took %d transactions, want far fewer", callers, got)
	}
	if got < callers/64 {
		t.Errorf("%d callers took %d transactions: one has no bound", callers, got)
	}
	t.Logf("%d callers, %d transactions", callers, got)
	if after.Waiting != 0 {
		t.Errorf("%d still wait", after.Waiting)
	}
	var order []string
	for _, r := range records(t, st, 0, 2*callers) {
		order = append(order, r.Subject)
	}
	if len(order) != callers || !slices.IsSorted(order) {
		t.Errorf("records are not in the order of arrival: %v", order)
	}
}

func groupFailsAlone(t *testing.T, st *store.Store) {
	addAccounts(t, st, newAccount("donor", account.Donor))
	own := errors.New("my own")
	got := queue(t, st,
		writer(t, "good1"),
		func(tx *store.Tx) error { return errors.Join(writer(t, "bad1")(tx), own) },
		writer(t, "good2"),
		func(tx *store.Tx) error {
			_ = writer(t, "bad2")(tx)
			panic("my panic")
		},
		writer(t, "good3"),
		func(tx *store.Tx) error { // its failed statement is ignored
			_ = writer(t, "bad3")(tx)
			_ = writer(t, "good1")(tx)
			return nil
		},
		writer(t, "good4"),
		func(tx *store.Tx) error {
			_ = writer(t, "bad4")(tx)
			runtime.Goexit()
			return nil
		},
		writer(t, "good5"),
		func(tx *store.Tx) error { // sees what was done before it, as if it were committed
			if _, err := tx.Donation(t.Context(), "good4"); err != nil {
				return err
			}
			_, err := tx.Donation(t.Context(), "bad1")
			return err
		},
		writer(t, "good6"),
	)
	for _, i := range []int{0, 2, 4, 6, 8, 10} {
		if got[i] != (outcome{}) {
			t.Errorf("call %d: got %+v, want it done", i, got[i])
		}
	}
	if !errors.Is(got[1].err, own) {
		t.Errorf("own error: got %v", got[1].err)
	}
	if got[3].panicked != "my panic" {
		t.Errorf("panic: got %+v", got[3])
	}
	wantErr(t, "a statement that failed and was ignored", got[5].err, store.ErrUnavailable)
	if !got[7].ended {
		t.Errorf("the end of a goroutine: got %+v", got[7])
	}
	wantErr(t, "what was taken back", got[9].err, store.ErrNotFound)
	for i := range 6 {
		wantWritten(t, st, fmt.Sprintf("good%d", i+1), true)
	}
	for i := range 4 {
		wantWritten(t, st, fmt.Sprintf("bad%d", i+1), false)
	}
	if recs := records(t, st, 0, 20); len(recs) != 6 {
		t.Errorf("the log holds %d records, want 6", len(recs))
	}
}

func groupFirstFails(t *testing.T, st *store.Store) {
	addAccounts(t, st, newAccount("donor", account.Donor))
	own := errors.New("my own")
	fail := func(tx *store.Tx) error { return errors.Join(writer(t, "bad")(tx), own) }
	got := queue(t, st, fail, fail, writer(t, "good"), fail)
	for i, want := range []error{own, own, nil, own} {
		wantErr(t, fmt.Sprintf("call %d", i), got[i].err, want)
	}
	wantWritten(t, st, "good", true)
	wantWritten(t, st, "bad", false)
}

func groupContext(t *testing.T, st *store.Store) {
	addAccounts(t, st, newAccount("donor", account.Donor))
	release, finished := occupy(t, st)
	// One that leaves while it waits is gone at once, and never runs.
	leaving, leave := context.WithCancel(t.Context())
	left := try(leaving, st, func(*store.Tx) error {
		t.Error("a function ran whose caller had left")
		return nil
	})
	awaitWaiting(st, 1)
	leave()
	wantErr(t, "left while waiting", (<-left).err, context.Canceled)

	// One whose context ends when its work is done, but not yet committed, hears
	// the truth.
	patient, forget := context.WithCancel(t.Context())
	first := try(patient, st, func(tx *store.Tx) error { return write(patient, tx, "first") })
	awaitWaiting(st, 1)
	inside, let := make(chan struct{}), make(chan struct{})
	second := try(t.Context(), st, func(tx *store.Tx) error {
		close(inside)
		<-let
		return writer(t, "second")(tx)
	})
	awaitWaiting(st, 2)
	// And one whose context ends in the middle harms nobody.
	going, gone := context.WithCancel(t.Context())
	third := try(going, st, func(tx *store.Tx) error {
		err := write(going, tx, "third")
		gone()
		return errors.Join(err, write(going, tx, "third, too"))
	})
	awaitWaiting(st, 3)
	last := try(t.Context(), st, writer(t, "last"))
	awaitWaiting(st, 4)
	release()
	<-inside
	forget()
	close(let)
	finished()
	if o := <-first; o.err != nil {
		t.Errorf("context that ended before the commit: got %v, want the truth, it is durable", o.err)
	}
	if o := <-second; o.err != nil {
		t.Errorf("second: %v", o.err)
	}
	err := (<-third).err
	wantErr(t, "context that ended in the middle", err, context.Canceled)
	if errors.Is(err, store.ErrUnavailable) {
		t.Errorf("a caller that left is no failure of the store: %v", err)
	}
	if o := <-last; o.err != nil {
		t.Errorf("last: %v", o.err)
	}
	wantWritten(t, st, "first", true)
	wantWritten(t, st, "second", true)
	wantWritten(t, st, "third", false)
	wantWritten(t, st, "last", true)
}

func groupTxEnds(t *testing.T, st *store.Store) {
	addAccounts(t, st, newAccount("donor", account.Donor))
	var kept *store.Tx
	got := queue(t, st,
		func(tx *store.Tx) error { kept = tx; return nil },
		func(*store.Tx) error {
			if write(t.Context(), kept, "late") == nil {
				t.Error("a Tx could be used after its function had returned")
			}
			return nil
		})
	for i, o := range got {
		if o.err != nil {
			t.Errorf("call %d: %v", i, o.err)
		}
	}
	wantWritten(t, st, "late", false)
}
