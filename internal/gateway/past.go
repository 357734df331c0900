package gateway

import (
	"context"
	"errors"
	"sort"
	"sync"
	"time"

	"larder/internal/eventlog"
	"larder/internal/fanout"
	"larder/internal/query"
)

// Bounds of what is read of the log for clients that come back.
const (
	stretchRecords = 1024 // numbers in one stretch
	pastReaders    = 4    // stretches that are read at once
	// pastBytes bounds the stretches that are kept: their text, and a guess at what
	// is around it. Forty thousand records of half a kilobyte fit.
	pastBytes    = 48 << 20
	messageBytes = 650
	// pastLife is how long they are kept when nobody asks any more.
	pastLife = 10 * time.Second
)

// past is what the ring has no more, read from the log in stretches. A crowd that
// was away for long wants the same ones: each is read once for all who wait for it,
// and kept until the crowd is through.
type past struct {
	read    func(ctx context.Context, after, upTo int64) (query.Stretch, error)
	message func(eventlog.Record) *fanout.Message
	turns   chan struct{}

	mu     sync.Mutex         // guards the fields below
	known  map[int64]*stretch // by the number before it; read already, or being read
	whole  []int64            // those of known that stay as they are, the first read first
	bytes  int                // of those
	unused *time.Timer        // until they go
}

// stretch is a part of the log. All but done is there when done is closed.
type stretch struct {
	done     chan struct{}
	err      error
	from     eventlog.Position // it holds all that came after this
	upTo     eventlog.Position // up to this
	messages []*fanout.Message
	bytes    int
}

func newPast(read func(ctx context.Context, after, upTo int64) (query.Stretch, error), message func(eventlog.Record) *fanout.Message) *past {
	return &past{read: read, message: message, turns: make(chan struct{}, pastReaders), known: map[int64]*stretch{}}
}

// errNoTurn is a stretch that nobody has read: whoever was to do it waited too long.
var errNoTurn = errors.New("gateway: no turn to read the log")

// after returns the stretch that goes on after a position. Of those who want the
// same at once one reads it, when it is his turn; the others fail with the read, but
// not with his waiting. What is returned is shared: nobody may change it.
func (p *past) after(ctx context.Context, at eventlog.Position) (*stretch, error) {
	before := at.Seq - at.Seq%stretchRecords
	for {
		st, mine := p.find(before)
		if mine {
			p.fill(ctx, st, before)
			return st, st.err
		}
		select {
		case <-st.done:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		switch {
		case errors.Is(st.err, errNoTurn):
		case st.err != nil || st.upTo.Seq > at.Seq:
			return st, st.err
		} // else it was read before the log had come so far
	}
}

// stretch is after for a position that was delivered, and that the ring does not reach
// back to: there is more in the log, or a gap.
func (p *past) stretch(ctx context.Context, at eventlog.Position) (st *stretch, gap string, err error) {
	if st, err = p.after(ctx, at); err != nil {
		return nil, "", err
	}
	gap = query.Gap(at, st.from, st.upTo)
	if gap == query.ReasonAhead || gap == "" && st.upTo.Seq == at.Seq {
		return nil, "", errors.New("the log ends before what was delivered")
	}
	return st, gap, nil
}

// find returns a stretch, which the caller has to fill if it is his.
func (p *past) find(before int64) (st *stretch, mine bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.unused != nil {
		p.unused.Reset(pastLife)
	}
	if st = p.known[before]; st == nil {
		st, mine = &stretch{done: make(chan struct{}), err: errNoTurn}, true
		p.known[before] = st
	}
	return st, mine
}

// fill reads a stretch when it is its turn. The time that the read may take begins
// with that.
func (p *past) fill(ctx context.Context, st *stretch, before int64) {
	defer close(st.done)
	defer p.filled(st, before)
	select {
	case p.turns <- struct{}{}:
		defer func() { <-p.turns }()
	case <-ctx.Done():
		return
	}
	ctx, done := detached(ctx)
	defer done()
	got, err := p.read(ctx, before, before+stretchRecords)
	st.err, st.from, st.upTo = err, got.From, got.UpTo
	for _, r := range got.Records {
		st.messages = append(st.messages, p.message(r))
		st.bytes += len(r.Payload) + len(r.Donation) + messageBytes
	}
}

// filled keeps a stretch that will not grow any more, and forgets any other.
func (p *past) filled(st *stretch, before int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if st.err != nil || st.upTo.Seq < before+stretchRecords {
		delete(p.known, before)
		return
	}
	p.whole = append(p.whole, before)
	p.bytes += st.bytes
	for p.bytes > pastBytes && len(p.whole) > 1 {
		p.bytes -= p.known[p.whole[0]].bytes
		delete(p.known, p.whole[0])
		p.whole = p.whole[1:]
	}
	if p.unused == nil {
		p.unused = time.AfterFunc(pastLife, p.forget)
	}
}

// forget lets all go that is not being read.
func (p *past) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, before := range p.whole {
		delete(p.known, before)
	}
	p.whole, p.bytes, p.unused = nil, 0, nil
}

// since are the messages of a stretch after a number.
func (st *stretch) since(seq int64) []*fanout.Message {
	return st.messages[sort.Search(len(st.messages), func(i int) bool { return st.messages[i].Record.Position.Seq > seq }):]
}
