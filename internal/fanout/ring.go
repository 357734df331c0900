package fanout

import "sort"

// Bounds of the ring. RingRecords is also how many records are worth recalling at
// a start.
const (
	RingRecords = 8192
	ringBytes   = 16 << 20 // of payloads
)

// ring holds the newest messages in order.
type ring struct {
	messages []*Message // oldest first
	before   int64      // everything after this number is in messages
	bytes    int
}

func (m *Message) bytes() int { return len(m.Record.Payload) + len(m.Record.Donation) }

func (r *ring) add(m *Message) {
	r.messages = append(r.messages, m)
	r.bytes += m.bytes()
	gone := 0
	for r.bytes > ringBytes && gone < len(r.messages)-1 || len(r.messages)-gone > RingRecords {
		r.before = r.messages[gone].Record.Position.Seq
		r.bytes -= r.messages[gone].bytes()
		r.messages[gone] = nil // append moves what is left to a new array now and then
		gone++
	}
	r.messages = r.messages[gone:]
}

// since returns the messages after a number, and whether these are all. They are
// to be read only, and only while no message is added.
func (r *ring) since(seq int64) ([]*Message, bool) {
	if seq < r.before {
		return nil, false
	}
	i := sort.Search(len(r.messages), func(i int) bool { return r.messages[i].Record.Position.Seq > seq })
	return r.messages[i:], true
}
