// Package fanout turns each committed record into one message and hands it to
// every door at which live clients wait.
//
// A record's audience and the views of narrowed feeds become rooms, and its
// payload is encoded once for each way in which it is told.
//
// # Promises
//
//   - Doors get the messages in log order, one at a time, from the tailer's
//     goroutine. A door must not block: a slow client is its door's to cut.
//   - Enter gives a place to join the stream without hole or overlap: what the
//     function sees as position has been delivered, and everything after it will
//     be delivered to whoever joined inside.
//   - EnterAfter does the same for somebody who has seen the stream up to an older
//     position, and gives what has been delivered since, as long as the ring of
//     recent messages reaches back so far: a storm of returning clients costs the
//     database nothing.
//
// A Fanout may be used from many goroutines; doors are added before the tailer runs.
package fanout

import (
	"context"
	"log/slog"
	"sync"

	"larder/internal/eventlog"
	"larder/internal/feed"
)

// Door is where live clients of one kind wait. Deliver is called in log order,
// never concurrently; Signal at any time, from any goroutine. None may block.
type Door interface {
	Deliver(m *Message)
	Signal(s *Signal)
	// Lose lets every client go that is in the stream, in place of a Deliver: what
	// comes next there is gone, and none may take the rest for all.
	Lose()
}

// Fanout hands records to doors.
type Fanout struct {
	log   *slog.Logger
	doors []Door
	// Views are those of the clients at all doors.
	Views *Views

	mu    sync.RWMutex // guards the fields below; held for writing while one record is delivered
	pos   eventlog.Position
	ring  ring
	moved chan struct{} // closed at the next record, if somebody waits
}

// New returns a Fanout that starts after pos.
func New(pos eventlog.Position, log *slog.Logger, doors ...Door) *Fanout {
	return &Fanout{pos: pos, log: log, doors: doors, Views: newViews(), ring: ring{before: pos.Seq}}
}

// Recall puts records into the ring that were committed before New's position, so
// that those who come back at once find them: the newest ones, oldest first.
// What is after that position comes by itself. It is called before the tailer runs.
func (f *Fanout) Recall(recs []eventlog.Record) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for len(recs) > 0 && recs[len(recs)-1].Position.Seq > f.pos.Seq {
		recs = recs[:len(recs)-1]
	}
	if len(recs) == 0 || recs[len(recs)-1].Position != f.pos {
		return
	}
	f.ring.before = recs[0].Position.Seq - 1
	for _, r := range recs {
		f.ring.add(f.Message(r))
	}
}

// Enter runs join while no record is being delivered. pos is the last delivered
// position. join must be short and must not call back.
func (f *Fanout) Enter(join func(pos eventlog.Position)) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	join(f.pos)
}

// EnterAfter is Enter for somebody who has seen everything up to after. missed are
// the messages between after and pos. It reports false, and does nothing, when
// the ring does not reach back to after, or after is not of this stream.
func (f *Fanout) EnterAfter(after eventlog.Position, join func(pos eventlog.Position, missed []*Message)) bool {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if after.Epoch != f.pos.Epoch || after.Seq > f.pos.Seq {
		return false
	}
	missed, ok := f.ring.since(after.Seq)
	if ok {
		join(f.pos, missed)
	}
	return ok
}

// Position is the last delivered position.
func (f *Fanout) Position() (pos eventlog.Position) {
	f.Enter(func(p eventlog.Position) { pos = p })
	return pos
}

// Reach waits until everything up to pos has been delivered, or ctx has ended.
func (f *Fanout) Reach(ctx context.Context, pos eventlog.Position) error {
	for {
		f.mu.Lock()
		if f.pos.Epoch != pos.Epoch || f.pos.Seq >= pos.Seq {
			f.mu.Unlock()
			return nil
		}
		if f.moved == nil {
			f.moved = make(chan struct{})
		}
		moved := f.moved
		f.mu.Unlock()
		select {
		case <-moved:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// Publish delivers records, in order. It is the tailer's sink.
func (f *Fanout) Publish(_ context.Context, recs []eventlog.Record) {
	for _, r := range recs {
		m := f.Message(r)
		if m.Visible() {
			m.form(feed.Within) // outside the lock
		}
		f.deliver(m)
	}
}

// Message makes one of a record, for those who read the log themselves. It is on its
// way to nobody: it has no rooms.
func (f *Fanout) Message(r eventlog.Record) *Message {
	return &Message{Record: r, Facts: feed.FactsOf(r), fan: f}
}

// Lose goes on after pos, because what is before it was removed before it could be
// delivered. Whoever is in the stream has to start over.
func (f *Fanout) Lose(pos eventlog.Position) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, d := range f.doors {
		d.Lose()
	}
	f.ring = ring{before: pos.Seq}
	f.move(pos)
}

func (f *Fanout) deliver(m *Message) {
	f.mu.Lock()
	defer f.mu.Unlock()
	m.route(f.Views)
	for _, d := range f.doors {
		d.Deliver(m)
	}
	f.ring.add(m)
	f.move(m.Record.Position)
}

// move goes on to a position, with the lock held.
func (f *Fanout) move(pos eventlog.Position) {
	f.pos = pos
	if f.moved != nil {
		close(f.moved)
		f.moved = nil
	}
}
