package engineio

import (
	"sync"
	"sync/atomic"

	"github.com/gobwas/ws"
)

// Message is one Engine.IO message, encoded once and shared by every session
// that gets it. It is immutable and safe for concurrent use.
//
// It holds the complete WebSocket frame, so that sending it to one more
// session costs a pointer. The polling form of a text message is a part of the
// frame; that of a binary one is made when the first polling session needs it.
type Message struct {
	frame  []byte // header and payload
	body   []byte // payload, a part of frame: '4' and the text, or the raw bytes
	binary bool

	plain   bool        // not to be compressed
	expend  *Expendable // nil: never given up
	control bool        // a packet of the engine itself, free of charge in queues

	once sync.Once
	poll []byte // polling form of a binary message

	deflated atomic.Pointer[deflatedFrame] // nil until a session needs it (E-41)
}

// NewMessage encodes a text message. The text is copied. It must be UTF-8 and,
// for the sake of polling, must not contain U+001E (JSON never does).
func NewMessage(text []byte) *Message {
	return newPacketMessage(PacketMessage, text)
}

// NewBinaryMessage encodes a binary message. The data is copied.
func NewBinaryMessage(data []byte) *Message {
	frame := appendFrameHeader(make([]byte, 0, frameHeaderMax+len(data)), ws.OpBinary, len(data))
	head := len(frame)
	frame = append(frame, data...)
	return &Message{frame: frame, body: frame[head:], binary: true}
}

// Uncompressed returns the same message, but it is never compressed (E-22,
// E-41), and on polling neither is what leaves together with it.
func (m *Message) Uncompressed() *Message {
	c := m.clone()
	c.plain = true
	return c
}

// clone returns the same message, to be marked.
func (m *Message) clone() *Message {
	return &Message{frame: m.frame, body: m.body, binary: m.binary, control: m.control, plain: m.plain, expend: m.expend}
}

// Expendable says how a packet that waits may be given up rather than the
// session, when a queue overflows (E-70).
type Expendable struct {
	// Key names what the packet tells the newest state of. Of the packets that
	// wait with the same key only the newest stays, and the others are lost: so
	// a key is for packets that hold the whole state, never for a change to it.
	Key string

	// Volatile packets may be dropped.
	Volatile bool

	following int // messages that belong to the same packet
}

// Mark returns the messages of one packet, marked. They have to be sent by one
// call of Send, and are given up together or not at all.
func (e Expendable) Mark(packet ...*Message) []*Message {
	if len(packet) == 0 {
		return nil
	}
	e.following = len(packet) - 1
	head := packet[0].clone()
	head.expend = &e
	return append([]*Message{head}, packet[1:]...)
}

// newPacketMessage encodes a text packet of any type, for the queue takes
// heartbeats too.
func newPacketMessage(t PacketType, data []byte) *Message {
	n := 1 + len(data)
	frame := appendFrameHeader(make([]byte, 0, frameHeaderMax+n), ws.OpText, n)
	head := len(frame)
	frame = append(append(frame, byte(t)), data...)
	return &Message{frame: frame, body: frame[head:], control: t != PacketMessage}
}

// Len returns the number of bytes of the text or data.
func (m *Message) Len() int {
	if m.binary {
		return len(m.body)
	}
	return len(m.body) - 1
}

// Binary reports whether the message is binary.
func (m *Message) Binary() bool { return m.binary }

// Data returns the text or data, which must not be changed.
func (m *Message) Data() []byte {
	if m.binary {
		return m.body
	}
	return m.body[1:]
}

// polling returns the packet as it stands in a polling body (E-21).
func (m *Message) polling() []byte {
	if !m.binary {
		return m.body
	}
	m.once.Do(func() {
		m.poll = AppendPacket(nil, Packet{Type: PacketMessage, Data: m.body, Binary: true})
	})
	return m.poll
}

// The packets that are the same for every session.
var (
	pingMessage  = newPacketMessage(PacketPing, nil)
	noopMessage  = newPacketMessage(PacketNoop, nil)
	closeMessage = newPacketMessage(PacketClose, nil)
)
