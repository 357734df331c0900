package engineio

import "sync"

// queue is what waits for one session. It is bounded by bytes and by count;
// what is being written still counts, so that a peer that reads nothing costs
// the bound once and not twice. Packets of the engine itself (heartbeats, the
// handshake) are few, and free.
//
// A batch that finds the queue empty is taken whatever its size, and stays off
// the account: otherwise one large message would make the next small one fail,
// or not, depending on how fast the first is written.
type queue struct {
	items []*Message  // waiting, in order
	first [1]*Message // where items begins, for most often there is one
	space *queueSpace // where it goes on in a burst

	bytes, count         int // waiting and being written
	freeBytes, freeCount int // the part of them that came with such a first batch
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

// push takes the whole batch, or reports false.
func (q *queue) push(batch []*Message, maxBytes, maxCount int) bool {
	bytes, count := batchCost(batch)
	switch {
	case q.count == 0:
		q.freeBytes, q.freeCount = bytes, count
	case q.bytes-q.freeBytes+bytes > maxBytes, q.count-q.freeCount+count > maxCount:
		return false
	}
	q.add(batch...)
	q.bytes += bytes
	q.count += count
	return true
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
	q.items = nil
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
	q.freeBytes -= min(q.freeBytes, bytes)
	q.freeCount -= min(q.freeCount, count)
}

// drop forgets what waits.
func (q *queue) drop() { q.done(q.take(nil)) }

// empty reports whether nothing waits.
func (q *queue) empty() bool { return len(q.items) == 0 }

// idle reports whether nothing waits or is being written.
func (q *queue) idle() bool { return q.count == 0 && len(q.items) == 0 }
