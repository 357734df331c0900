package eventlog

import (
	"context"
	"errors"
	"log/slog"
	"time"
)

// Source is the committed log as a reader sees it.
type Source interface {
	// Head returns the position of the newest record.
	Head(ctx context.Context) (Position, error)
	// Tail returns the position before the oldest record that is kept.
	Tail(ctx context.Context) (Position, error)
	// Since returns up to limit records after seq, oldest first.
	Since(ctx context.Context, seq int64, limit int) ([]Record, error)
}

// Waker carries the hint that something may have been appended. Hints that come
// while one is waiting are merged. The zero value is not usable; see NewWaker.
type Waker struct{ c chan struct{} }

// NewWaker returns a Waker for one process.
func NewWaker() *Waker { return &Waker{c: make(chan struct{}, 1)} }

// Wake leaves a hint and never blocks.
func (w *Waker) Wake() {
	select {
	case w.c <- struct{}{}:
	default:
	}
}

// Woken is the channel on which a hint arrives.
func (w *Waker) Woken() <-chan struct{} { return w.c }

const (
	// pollInterval bounds what a lost hint costs, and how late a node hears of what
	// the command line did beside it. A poll is one read by the primary key.
	pollInterval = 500 * time.Millisecond
	// readLimit bounds one read, so that a long backlog does not sit in memory.
	readLimit = 512
)

// Tailer reads the log of its source in order and hands every record to its
// sink exactly once, starting after the position that Start fixed. Records that are
// removed before it has come to them are lost to it: see OnLoss.
type Tailer struct {
	source Source
	waker  *Waker
	sink   func(context.Context, []Record)
	lost   func(upTo Position)
	log    *slog.Logger
	pos    Position
}

// NewTailer returns a Tailer. The sink is called from Run's goroutine with at
// least one record; it must not block for long, as everybody waits for it.
func NewTailer(source Source, waker *Waker, sink func(context.Context, []Record), log *slog.Logger) *Tailer {
	return &Tailer{source: source, waker: waker, sink: sink, lost: func(Position) {}, log: log}
}

// OnLoss has lost called when records up to a position were removed before they
// were read: a process that was stopped for longer than they are kept, say, while
// another one went on. It is called like the sink, which gets what comes after, and
// is set before Run.
func (t *Tailer) OnLoss(lost func(upTo Position)) { t.lost = lost }

// Start fixes the position after which Run reads: the newest record now. It is
// called once, before Run.
func (t *Tailer) Start(ctx context.Context) (Position, error) {
	var err error
	t.pos, err = t.source.Head(ctx)
	return t.pos, err
}

// Run reads until ctx ends, and returns nil then. An error of the source is
// logged and tried again at the next hint or poll: a store that is away for a
// while costs time, not records.
func (t *Tailer) Run(ctx context.Context) error {
	poll := time.NewTicker(pollInterval)
	defer poll.Stop()
	failing := false
	for {
		err := t.drain(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil && !failing:
			t.log.Error("log can't be read", "err", err)
		case err == nil && failing:
			t.log.Info("log can be read again", "position", t.pos.String())
		}
		failing = err != nil
		select {
		case <-ctx.Done():
			return nil
		case <-t.waker.Woken():
		case <-poll.C:
		}
	}
}

var errEpoch = errors.New("epoch changed under a running node: restart it")

// drain reads until there is nothing more.
func (t *Tailer) drain(ctx context.Context) error {
	for {
		recs, err := t.source.Since(ctx, t.pos.Seq, readLimit)
		if err != nil {
			return err
		}
		if len(recs) == 0 {
			return nil
		}
		if recs[0].Position.Epoch != t.pos.Epoch {
			return errEpoch
		}
		if err := t.missed(ctx, recs[0].Position); err != nil {
			return err
		}
		t.sink(ctx, recs)
		t.pos = recs[len(recs)-1].Position
		if len(recs) < readLimit {
			return nil
		}
	}
}

// missed tells of records that are gone between those that were read and the next
// one. A number that nobody has is none of them.
func (t *Tailer) missed(ctx context.Context, next Position) error {
	if next.Seq == t.pos.Seq+1 {
		return nil
	}
	tail, err := t.source.Tail(ctx)
	if err != nil || tail.Seq <= t.pos.Seq {
		return err
	}
	upTo := Position{Epoch: next.Epoch, Seq: next.Seq - 1}
	t.log.Error("records were removed before they were read: clients start over", "after", t.pos.String(), "up_to", upTo.String())
	t.lost(upTo)
	t.pos = upTo
	return nil
}
