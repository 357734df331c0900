package socketio

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync/atomic"
	"unicode/utf8"

	"larder/engineio"
)

// MaxEmitAttachments is how many attachments an event of ours may have: above
// it the stock client refuses the packet and drops the connection. S-32
const MaxEmitAttachments = 10

// Args are the arguments of an event or of an ack. In an event with
// attachments each binary value is a placeholder, see [Placeholder].
type Args struct {
	Values      []json.RawMessage
	Attachments [][]byte
}

// Placeholder is the value that stands for attachment i. S-30
func Placeholder(i int) json.RawMessage {
	return fmt.Appendf(nil, `{"_placeholder":true,"num":%d}`, i)
}

// kept returns arguments that outlive the message they were read from.
// Attachments are never part of it.
func (a Args) kept() Args {
	values := make([]json.RawMessage, len(a.Values))
	for i, v := range a.Values {
		values[i] = slices.Clone(v)
	}
	return Args{Values: values, Attachments: a.Attachments}
}

// maxRepeatedBytes bounds the attachments that arguments name again. The msgpack
// parser writes an attachment wherever it is named, so without a bound an event
// that a client made of a few bytes could fill the memory. S-45
const maxRepeatedBytes = 64 << 10

// check refuses what a peer would answer with closing the connection, and what
// would be far too large in msgpack.
func (a Args) check() error {
	if len(a.Attachments) > MaxEmitAttachments {
		return errors.New("too many attachments")
	}
	var known [MaxEmitAttachments]bool
	repeated := int64(0)
	named := func(i int) {
		if known[i] {
			repeated += int64(len(a.Attachments[i]))
		}
		known[i] = true
	}
	for i, v := range a.Values {
		if !utf8.Valid(v) || !shallow(v, MaxDepth-1) || !json.Valid(v) {
			return fmt.Errorf("argument %d is not JSON", i)
		}
		if len(a.Attachments) > 0 {
			if err := checkPlaceholders(v, len(a.Attachments), named); err != nil {
				return fmt.Errorf("argument %d: %w", i, err)
			}
		}
	}
	if repeated > maxRepeatedBytes {
		return errors.New("attachments named too often")
	}
	return nil
}

// appendArray appends the JSON array of the arguments, after name if it is not nil.
func (a Args) appendArray(dst []byte, name json.RawMessage) []byte {
	dst = append(dst, '[')
	if name != nil {
		dst = append(dst, name...)
	}
	for i, v := range a.Values {
		if i > 0 || name != nil {
			dst = append(dst, ',')
		}
		dst = append(dst, v...)
	}
	return append(dst, ']')
}

// An Event is an event of ours, ready to be sent to any number of sockets. Its
// arguments are encoded once, and its packet once for each namespace it is sent
// to. An Event does not change and is safe for concurrent use.
type Event struct {
	name        string
	data        []byte // the JSON array
	attachments []*engineio.Message
	volatile    bool
	plain       bool                    // not to be compressed
	key         string                  // of what it tells the state of
	offset      []byte                  // JSON string; nil: none
	frames      atomic.Pointer[[]frame] // grows by copying; the last maxFrames namespaces it was sent to
}

// maxFrames is for how many namespaces and parsers an event keeps its packet.
const maxFrames = 8

// A frame is the packet of an event in one namespace, for one parser.
type frame struct {
	namespace string
	parser    parser
	messages  []*engineio.Message
}

// NewEvent makes an event without binary data. It refuses the reserved names
// and arguments that are not JSON. The arguments are copied.
func NewEvent(name string, args ...json.RawMessage) (*Event, error) {
	return NewBinaryEvent(name, Args{Values: args})
}

// NewBinaryEvent makes an event with attachments, which the values refer to by
// placeholders. Without attachments it is the same as [NewEvent], and objects
// that look like placeholders are plain data (S-34).
func NewBinaryEvent(name string, args Args) (*Event, error) {
	if !utf8.ValidString(name) {
		return nil, fmt.Errorf("event %q: name is not UTF-8", name)
	}
	if err := checkEventName(name); err != nil { // S-20
		return nil, fmt.Errorf("event %q: %w", name, err)
	}
	if err := args.check(); err != nil {
		return nil, fmt.Errorf("event %q: %w", name, err)
	}
	quoted, err := marshal(name)
	if err != nil {
		return nil, fmt.Errorf("event %q: %w", name, err)
	}
	return &Event{
		name:        name,
		data:        args.appendArray(nil, quoted),
		attachments: binaryMessages(args.Attachments),
	}, nil
}

// variant returns an event that says the same, of which nothing is encoded yet.
func (e *Event) variant() *Event {
	return &Event{
		name: e.name, data: e.data, attachments: e.attachments,
		volatile: e.volatile, plain: e.plain, key: e.key, offset: e.offset,
	}
}

// Volatile returns the same event for those who want it now or not at all: a
// socket gets it only if nothing waits for its connection or is on its way, and,
// on polling, a poll is held. It takes no room in any queue and never makes a
// slow client lose its connection, which is right for what the next one
// outdates: a place on a map, a keystroke. S-42
func (e *Event) Volatile() *Event {
	v := e.variant()
	v.volatile = true
	return v
}

// Uncompressed returns the same event, whose messages are never compressed, on
// either transport: for what does not shrink, and for a secret beside text that
// others have chosen. S-42
func (e *Event) Uncompressed() *Event {
	v := e.variant()
	v.plain = true
	v.attachments = make([]*engineio.Message, len(e.attachments))
	for i, m := range e.attachments {
		v.attachments[i] = m.Uncompressed()
	}
	return v
}

// Keyed returns the same event with the name of what it tells the state of, such
// as "donation 7". When the queue of a socket overflows, of the events that wait
// there with the same key only the newest stays, and the older ones are lost: so
// keys are only for events that carry the whole newest state, never a change to
// it. Events of different names may share a key. Each namespace has keys of its
// own, an event that asks for an ack has none, and neither has the empty key. E-70
func (e *Event) Keyed(key string) *Event {
	v := e.variant()
	v.key = key
	return v
}

// WithOffset returns the same event with the place in the stream that a client
// has reached who has seen it, and returns with to [Recovery.Find]. Clients get
// it as last argument where there is recovery, unless the event is volatile or
// asks for an ack: such events are not part of the stream. S-51
func (e *Event) WithOffset(offset string) *Event {
	quoted, err := marshal(offset)
	if err != nil {
		panic("socketio: bug: a string that does not marshal")
	}
	v := e.variant()
	v.offset = quoted
	return v
}

// tail returns what a recoverable namespace sends behind the arguments of an
// event that asks no ack. The stock client takes the last element of each event
// for an offset if it is a string, be it the name of the event, so there must be
// another where none is. S-51
func (e *Event) tail() []byte {
	if e.offset != nil && !e.volatile {
		return e.offset
	}
	if last := trim(e.data[:len(e.data)-1]); last[len(last)-1] == '"' {
		return []byte("null")
	}
	return nil
}

// Name returns the name of the event.
func (e *Event) Name() string { return e.name }

// messages returns the event as a packet of a namespace, encoded at first use.
func (e *Event) messages(by parser, n *Namespace) []*engineio.Message {
	for {
		known := e.frames.Load()
		if known != nil {
			for _, f := range *known {
				if f.parser == by && f.namespace == n.name {
					return f.messages
				}
			}
		}
		var grown []frame
		if known != nil {
			grown = slices.Clone(*known)
		}
		if len(grown) >= maxFrames { // clients choose the names of children, S-11
			grown = grown[1:]
		}
		p := Packet{Namespace: n.name, Data: e.data}
		if n.recovery != nil {
			if tail := e.tail(); tail != nil {
				p.Data = slices.Concat(e.data[:len(e.data)-1], []byte{','}, tail, []byte{']'})
			}
		}
		messages := e.encode(by, p)
		if e.volatile || e.key != "" {
			expendable := engineio.Expendable{Volatile: e.volatile}
			if e.key != "" {
				expendable.Key = n.name + "," + e.key
			}
			messages = expendable.Mark(messages...)
		}
		grown = append(grown, frame{n.name, by, messages})
		if e.frames.CompareAndSwap(known, &grown) {
			return messages
		}
	}
}

// withID returns the event as a packet that asks for an ack.
func (e *Event) withID(by parser, namespace string, id uint64) []*engineio.Message {
	return e.encode(by, Packet{Namespace: namespace, ID: id, HasID: true, Data: e.data})
}

func (e *Event) encode(by parser, p Packet) []*engineio.Message {
	p.Type = PacketEvent
	messages := encode(by, p, PacketBinaryEvent, e.attachments)
	if e.plain {
		messages[0] = messages[0].Uncompressed()
	}
	return messages
}

// encode returns the messages of a packet, which takes the type binary if it
// has attachments; these follow in the order of their numbers. S-26, S-30
func encode(by parser, p Packet, binary PacketType, attachments []*engineio.Message) []*engineio.Message {
	if by == parserMsgpack {
		return encodeMsgpack(p, attachments)
	}
	if len(attachments) > 0 {
		p.Type, p.Attachments = binary, len(attachments)
	}
	text := AppendPacket(make([]byte, 0, len(p.Data)+len(p.Namespace)+32), p)
	return append([]*engineio.Message{engineio.NewMessage(text)}, attachments...)
}

// encodeAck returns the messages of the answer to an ack id. S-23, S-26
func encodeAck(by parser, namespace string, id uint64, args Args) []*engineio.Message {
	p := Packet{Type: PacketAck, Namespace: namespace, ID: id, HasID: true, Data: args.appendArray(nil, nil)}
	return encode(by, p, PacketBinaryAck, binaryMessages(args.Attachments))
}

func binaryMessages(attachments [][]byte) []*engineio.Message {
	var messages []*engineio.Message
	for _, b := range attachments {
		messages = append(messages, engineio.NewBinaryMessage(b))
	}
	return messages
}

// String returns the event for people who debug.
func (e *Event) String() string { return "event " + strconv.Quote(e.name) }
