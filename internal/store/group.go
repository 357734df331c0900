package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// Bounds of group commit.
const (
	// maxBatch bounds the functions of one transaction. Each but the first has a
	// savepoint, and PostgreSQL is at its best with fewer than 64 in one transaction.
	maxBatch = 64
	// gatherTime is how long functions may follow each other in one transaction: the
	// first of them waits so long at most before its commit begins.
	gatherTime = 25 * time.Millisecond
	// maxWaiting bounds the callers that wait for their turn.
	maxWaiting = 4096
	// patience bounds each wait for a store that has stalled: for the turn, for the
	// transaction to begin, and for the commit by somebody else.
	patience = 10 * time.Second
)

var (
	errTooMany = errors.New("too many commands wait for the database")
	errStalled = errors.New("the database has stalled")
	errUnknown = errors.New("the database has stalled in a commit; whether it took place is unknown")
	errGivenUp = errors.New("another command's failure ended the transaction")
)

// group has one caller of Update at a time work in the open transaction, the one
// that has the turn. Whoever is done hands the turn, and with it the transaction,
// to the next who waits; if nobody waits, or the transaction has had its share, he
// commits it for all who worked in it. Those who come while that is being flushed
// wait, and go into the next one together. Each function runs on the goroutine of
// its caller. See ADR 0009.
type group struct {
	mu      sync.Mutex // guards all below
	held    bool       // somebody has the turn
	waiting []*waiter  // first come, first served
	stats   Stats
}

// waiter is a caller who waits for his turn, or to hear that none will come.
type waiter struct{ turn chan turn }

type turn struct {
	batch *batch
	err   error
}

// batch is a transaction and those whose work is in it. It belongs to whoever has
// the turn; the others only wait for done. Its zero tx has not begun.
type batch struct {
	tx       *sql.Tx
	prepared *prepared
	cancel   context.CancelFunc
	begun    time.Time
	size     int
	done     chan struct{} // closed when err is known
	err      error
}

func newBatch() *batch { return &batch{done: make(chan struct{})} }

// Stats are counters of a store since it was opened, and how many callers of
// Update wait for their turn now.
type Stats struct {
	Updates int64 // functions whose work was committed
	Commits int64 // transactions that these were
	Waiting int
}

// Stats returns what was counted so far.
func (s *Store) Stats() Stats {
	s.group.mu.Lock()
	defer s.group.mu.Unlock()
	stats := s.group.stats
	stats.Waiting = len(s.group.waiting)
	return stats
}

// Update runs fn in a transaction that may write and commits it if fn returns
// nil. Otherwise, and when fn panics, nothing of it happened.
//
// Functions of several callers may run one after the other in one transaction;
// each sees what those before it did, and a failure of one undoes that one alone.
// When ctx ends before fn has returned, nothing of it happened and the error is
// that of ctx. Once fn has returned the commit is waited for whatever becomes of
// ctx, so that the answer is the truth.
//
// Nothing waits for ever: a store that does not answer is ErrUnavailable. After
// an error of the commit itself, or when the commit is not over within 10 s, the
// work may be there or not: whoever has to know has to ask again.
func (s *Store) Update(ctx context.Context, fn func(*Tx) error) error {
	b, err := s.group.wait(ctx)
	if err != nil {
		return err
	}
	kept, err := s.work(ctx, b, fn)
	if !kept {
		return err
	}
	return b.wait()
}

// wait returns the batch of the caller's turn.
func (g *group) wait(ctx context.Context) (*batch, error) {
	g.mu.Lock()
	if !g.held {
		g.held = true
		g.mu.Unlock()
		return newBatch(), nil
	}
	if len(g.waiting) >= maxWaiting {
		g.mu.Unlock()
		return nil, unavailable(errTooMany)
	}
	w := &waiter{turn: make(chan turn, 1)}
	g.waiting = append(g.waiting, w)
	g.mu.Unlock()

	late := time.NewTimer(patience)
	defer late.Stop()
	var err error
	select {
	case t := <-w.turn:
		return t.batch, t.err
	case <-ctx.Done():
		err = ctx.Err()
	case <-late.C:
		err = unavailable(errStalled)
	}
	if g.leave(w) {
		return nil, err
	}
	t := <-w.turn // it is on its way, and has to be handed on
	return t.batch, t.err
}

// leave takes w out of the queue and says whether it was there.
func (g *group) leave(w *waiter) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	i := slices.Index(g.waiting, w)
	if i < 0 {
		return false
	}
	g.waiting = slices.Delete(g.waiting, i, i+1)
	return true
}

// next takes the first out of the queue; nil: nobody waits. With release the turn
// is laid down then.
func (g *group) next(release bool) *waiter {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.waiting) == 0 {
		g.held = !release
		return nil
	}
	w := g.waiting[0]
	g.waiting = slices.Delete(g.waiting, 0, 1)
	return w
}

// refuse tells everybody who waits that there is no transaction to be had.
func (g *group) refuse(err error) {
	g.mu.Lock()
	waiting := g.waiting
	g.waiting = nil
	g.mu.Unlock()
	for _, w := range waiting {
		w.turn <- turn{err: err}
	}
}

func (g *group) count(b *batch) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.stats.Commits++
	g.stats.Updates += int64(b.size)
}

// work runs fn in its turn and hands the turn on, also when fn panics or ends its
// goroutine. kept says that fn's work is in the batch.
func (s *Store) work(ctx context.Context, b *batch, fn func(*Tx) error) (kept bool, err error) {
	defer s.handOn(b)
	if err := ctx.Err(); err != nil {
		return false, err
	}
	if b.tx == nil {
		if err := s.begin(ctx, b); err != nil {
			return false, err
		}
	}
	defer func() {
		if !kept {
			b.undo(ctx)
		}
	}()
	if b.size > 0 {
		if err := b.exec(ctx, "SAVEPOINT one"); err != nil {
			return false, unavailable(err)
		}
	}
	st := &statements{tx: b.tx, shared: true, prepared: b.prepared}
	err = fn(&Tx{tx: st, epoch: s.epoch})
	if err == nil {
		err = unavailable(st.failed)
	}
	st.failed = errOver
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return false, err
	}
	if b.size > 0 {
		if err := b.exec(ctx, "RELEASE SAVEPOINT one"); err != nil {
			return false, unavailable(err)
		}
	}
	b.size++
	return true, nil
}

// begin opens the transaction of b. It ends with no context from then on: it is
// others' as well. A store that can't begin one has no use for those who wait.
func (s *Store) begin(ctx context.Context, b *batch) error {
	if err := s.file.inPlace(); err != nil {
		err = unavailable(err)
		s.group.refuse(err)
		return err
	}
	own, cancel := context.WithCancel(context.WithoutCancel(ctx))
	late := time.AfterFunc(patience, cancel)
	stays := context.AfterFunc(ctx, cancel)
	s.prepared.prepare(own, s.write)
	tx, err := s.beginWrite(own)
	inTime, present := late.Stop(), stays()
	if err == nil && inTime && present {
		b.tx, b.prepared, b.cancel, b.begun = tx, &s.prepared, cancel, time.Now()
		return nil
	}
	if err == nil {
		err = errors.Join(errStalled, tx.Rollback())
	}
	cancel()
	if !present {
		return ctx.Err()
	}
	err = fmt.Errorf("%w: begin: %w", ErrUnavailable, err)
	s.group.refuse(err)
	return err
}

// exec runs a statement of the transaction's own, whatever became of ctx.
func (b *batch) exec(ctx context.Context, statement string) error {
	st := statements{tx: b.tx, prepared: b.prepared}
	_, err := st.ExecContext(context.WithoutCancel(ctx), statement)
	return err
}

// undo takes the work of one function back: alone, where others' is before it.
// Where that can't be done the engine has given the transaction up, as SQLite does
// when the disk is full, and the others hear that nothing of theirs took place.
func (b *batch) undo(ctx context.Context) {
	if b.size > 0 {
		err := b.exec(ctx, "ROLLBACK TO SAVEPOINT one")
		if err == nil {
			err = b.exec(ctx, "RELEASE SAVEPOINT one")
		}
		if err == nil {
			return
		}
		b.err = fmt.Errorf("%w: %w: %w", ErrUnavailable, errGivenUp, err)
	}
	_ = b.tx.Rollback() // nothing is left that could be told
	b.end()
}

// end lets those who worked in b know that b.err is their answer.
func (b *batch) end() {
	b.tx = nil
	b.cancel()
	close(b.done)
}

// handOn ends the caller's turn: the transaction goes to the next, or is committed
// and the next begins one of his own.
func (s *Store) handOn(b *batch) {
	if b.tx != nil {
		if b.size < maxBatch && time.Since(b.begun) < gatherTime {
			if w := s.group.next(false); w != nil {
				w.turn <- turn{batch: b}
				return
			}
		}
		b.err = unavailable(b.tx.Commit())
		if b.err == nil {
			s.group.count(b)
		}
		b.end()
	}
	if w := s.group.next(true); w != nil {
		w.turn <- turn{batch: newBatch()}
	}
}

// wait returns what became of b.
func (b *batch) wait() error {
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case <-b.done:
		return b.err
	case <-late.C:
		return unavailable(errUnknown)
	}
}
