package engineio

import (
	"slices"
	"sync"
	"time"
)

// queue is what waits for one session. It is bounded by bytes, count and age;
// what is being written still counts, so that a peer that reads nothing costs
// the bound once and not twice. Packets of the engine itself (heartbeats, the
// handshake) are few, and free.
//
// One batch at a time stays off the account: the one that finds the queue empty,
// or one that is larger than the bound. Otherwise a large message behind a small
// one, or a small one behind a large, would fail or not depending on how fast
// the first is written.
type queue struct {
	items []*Message  // waiting, in order
	first [1]*Message // where items begins, for most often there is one
	space *queueSpace // where it goes on in a burst

	// since is when the first of the items was found to wait for the peer, by the
	// server's clock. 0: none does, or the peer is not behind. So nobody looks at
	// the clock for those who keep up.
	since time.Duration

	bytes, count         int      // waiting and being written
	freeBytes, freeCount int      // the part of them that is off the account
	free                 *Message // the first that is
	freeFrom, freeItems  int32    // where they are in items, and how many, while they wait
}

// queueSpace is room for the messages of a burst, on loan.
type queueSpace [64]*Message

var queueSpaces = sync.Pool{New: func() any { return new(queueSpace) }}

// cost is what a message counts for.
func (m *Message) cost() (bytes, count int) {
	if m.control {
		return 0, 0
	}
	return len(m.frame), 1
}

func batchCost(batch []*Message) (bytes, count int) {
	for _, m := range batch {
		b, n := m.cost()
		bytes, count = bytes+b, count+n
	}
	return bytes, count
}

// fits reports whether so much more is within the bounds.
func (q *queue) fits(bytes, count, maxBytes, maxCount int) bool {
	return q.count == 0 ||
		q.bytes-q.freeBytes+bytes <= maxBytes && q.count-q.freeCount+count <= maxCount ||
		bytes > maxBytes && q.bytes <= maxBytes && q.count <= maxCount
}

// push takes the batch, which costs so much and fits.
func (q *queue) push(batch []*Message, bytes, count, maxBytes int) {
	if (q.count == 0 || bytes > maxBytes) && len(batch) > 0 {
		q.free, q.freeBytes, q.freeCount = batch[0], bytes, count
		q.freeFrom, q.freeItems = int32(len(q.items)), int32(len(batch))
	}
	q.add(batch...)
	q.bytes += bytes
	q.count += count
}

// force takes a packet of the engine itself.
func (q *queue) force(m *Message) { q.add(m) }

func (q *queue) add(batch ...*Message) {
	if q.items == nil {
		q.items = q.first[:0]
	}
	if n := len(q.items) + len(batch); n > cap(q.items) && n <= len(q.space) && q.space == nil {
		q.space = queueSpaces.Get().(*queueSpace)
		q.items = append(q.space[:0], q.items...)
	}
	q.items = append(q.items, batch...)
}

// take appends everything that waits to dst. Each batch goes back through done.
func (q *queue) take(dst []*Message) []*Message {
	dst = append(dst, q.items...)
	clear(q.items)
	clear(q.first[:])
	q.items, q.since, q.freeFrom, q.freeItems = nil, 0, 0, 0
	if q.space != nil {
		clear(q.space[:])
		queueSpaces.Put(q.space)
		q.space = nil
	}
	return dst
}

// done takes a batch off the account.
func (q *queue) done(batch []*Message) {
	bytes, count := batchCost(batch)
	q.bytes -= bytes
	q.count -= count
	if q.free != nil && slices.Contains(batch, q.free) { // it is taken whole
		q.free, q.freeBytes, q.freeCount = nil, 0, 0
	}
}

// drop forgets what waits.
func (q *queue) drop() { q.done(q.take(nil)) }

// merge gives up what waits and has the key of something newer, be it in the
// queue or in the batch that is to follow. It returns how many messages that
// were. Rare, so it may allocate.
func (q *queue) merge(batch []*Message) int {
	var newest map[string]int // the index of the newest with that key
	note := func(i int, m *Message) {
		if m.expend == nil || m.expend.Key == "" {
			return
		}
		if newest == nil {
			newest = make(map[string]int)
		}
		newest[m.expend.Key] = i
	}
	for i, p := range packets(q.items) {
		note(i, p[0])
	}
	for _, p := range packets(batch) {
		note(len(q.items), p[0])
	}
	if newest == nil {
		return 0
	}
	return q.prune(func(i int, e *Expendable) bool { return e.Key != "" && newest[e.Key] != i })
}

// dropVolatile gives up what waits and is volatile, and returns how many
// messages that were.
func (q *queue) dropVolatile() int {
	return q.prune(func(_ int, e *Expendable) bool { return e.Volatile })
}

// prune takes out the packets that wait and are expendable enough, each whole.
func (q *queue) prune(gone func(i int, e *Expendable) bool) int {
	kept, removed := q.items[:0], 0
	from, end := int(q.freeFrom), int(q.freeFrom+q.freeItems)
	for i, p := range packets(q.items) {
		if e := p[0].expend; e == nil || !gone(i, e) {
			kept = append(kept, p...)
			continue
		}
		bytes, count := batchCost(p)
		q.bytes -= bytes
		q.count -= count
		switch {
		case i < from:
			q.freeFrom -= int32(len(p))
		case i < end:
			q.freeBytes -= bytes
			q.freeCount -= count
			q.freeItems -= int32(len(p))
		}
		removed += len(p)
	}
	clear(q.items[len(kept):])
	q.items = kept
	switch {
	case q.freeItems > 0:
		q.free = kept[q.freeFrom]
	case end > from:
		q.free = nil
	}
	if len(kept) == 0 {
		q.since = 0
	}
	return removed
}

// packets yields the packets of a list of messages, with the index of the first
// message of each. Messages that nobody may give up stand alone.
func packets(list []*Message) func(yield func(int, []*Message) bool) {
	return func(yield func(int, []*Message) bool) {
		for i := 0; i < len(list); {
			n := 1
			if e := list[i].expend; e != nil {
				n = min(1+e.following, len(list)-i)
			}
			if !yield(i, list[i:i+n]) {
				return
			}
			i += n
		}
	}
}

// empty reports whether nothing waits.
func (q *queue) empty() bool { return len(q.items) == 0 }

// idle reports whether nothing waits or is being written.
func (q *queue) idle() bool { return q.count == 0 && len(q.items) == 0 }
