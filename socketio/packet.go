package socketio

import (
	"errors"
	"fmt"
	"strconv"
	"unicode/utf8"
)

// PacketType is the first character of a packet, as it stands on the wire.
type PacketType byte

// The packet types of protocol version 5.
const (
	PacketConnect      PacketType = '0'
	PacketDisconnect   PacketType = '1'
	PacketEvent        PacketType = '2'
	PacketAck          PacketType = '3'
	PacketConnectError PacketType = '4'
	PacketBinaryEvent  PacketType = '5'
	PacketBinaryAck    PacketType = '6'
)

// String returns the name the protocol gives the type.
func (t PacketType) String() string {
	switch t {
	case PacketConnect:
		return "CONNECT"
	case PacketDisconnect:
		return "DISCONNECT"
	case PacketEvent:
		return "EVENT"
	case PacketAck:
		return "ACK"
	case PacketConnectError:
		return "CONNECT_ERROR"
	case PacketBinaryEvent:
		return "BINARY_EVENT"
	case PacketBinaryAck:
		return "BINARY_ACK"
	}
	return "PacketType(" + strconv.Quote(string(rune(t))) + ")"
}

func (t PacketType) binary() bool { return t == PacketBinaryEvent || t == PacketBinaryAck }

func (t PacketType) event() bool { return t == PacketEvent || t == PacketBinaryEvent }

func (t PacketType) ack() bool { return t == PacketAck || t == PacketBinaryAck }

// Limits of the codec itself. A server's Config narrows them further.
const (
	// MaxID is the largest ack id: what JavaScript still counts exactly. S-21
	MaxID = 1<<53 - 1
	// MaxDepth is how deeply arrays and objects of a payload may nest. S-35
	MaxDepth = 100
	// MaxNamespaceBytes is the length of the longest namespace name.
	MaxNamespaceBytes = 255

	maxAttachmentCount = 1 << 16 // an int on every platform; the server's own limit is far below
)

// ErrPacket is matched by every error of [ParsePacket].
var ErrPacket = errors.New("socketio: malformed packet")

func malformed(why string) error { return fmt.Errorf("%w: %s", ErrPacket, why) }

// A Packet is one Socket.IO packet: what an Engine.IO text message carries.
// The binary messages that belong to it travel on their own.
type Packet struct {
	Type        PacketType
	Namespace   string // "/" or "/name"; empty means "/"
	ID          uint64 // the ack id, if HasID
	HasID       bool
	Attachments int    // binary messages that follow; only for the two binary types
	Data        []byte // raw JSON; may be empty
}

// AppendPacket appends the canonical form of p to dst and returns the longer
// slice. It writes what it is given and checks nothing.
func AppendPacket(dst []byte, p Packet) []byte {
	dst = append(dst, byte(p.Type))
	if p.Type.binary() {
		dst = strconv.AppendInt(dst, int64(p.Attachments), 10)
		dst = append(dst, '-')
	}
	if p.Namespace != "" && p.Namespace != "/" { // S-2
		dst = append(dst, p.Namespace...)
		dst = append(dst, ',')
	}
	if p.HasID {
		dst = strconv.AppendUint(dst, p.ID, 10)
	}
	return append(dst, p.Data...)
}

// ParsePacket reads one packet and checks all that can be checked without
// knowing the connection: the form, the names, the JSON and the placeholders.
// Its Data points into text. Every error matches [ErrPacket].
func ParsePacket(text []byte) (Packet, error) {
	if !utf8.Valid(text) {
		return Packet{}, malformed("not UTF-8")
	}
	if len(text) == 0 {
		return Packet{}, malformed("empty")
	}
	p := Packet{Type: PacketType(text[0])}
	if p.Type < PacketConnect || p.Type > PacketBinaryAck {
		return Packet{}, malformed("unknown type")
	}
	rest, err := text[1:], error(nil)
	if p.Type.binary() {
		if p.Attachments, rest, err = cutAttachments(rest); err != nil {
			return Packet{}, err
		}
	}
	if p.Namespace, rest, err = cutNamespace(rest); err != nil {
		return Packet{}, err
	}
	if p.ID, p.HasID, rest, err = cutID(rest); err != nil {
		return Packet{}, err
	}
	if len(rest) > 0 {
		p.Data = rest
	}
	if err := p.check(validJSON); err != nil {
		return Packet{}, err
	}
	if p.Type.binary() { // S-34: in a text packet a placeholder is plain data
		if err := checkPlaceholders(p.Data, p.Attachments, func(int) {}); err != nil {
			return Packet{}, err
		}
	}
	return p, nil
}

// cutAttachments reads the count and its dash: digits only, at least 1. S-32
func cutAttachments(text []byte) (count int, rest []byte, err error) {
	i := 0
	for ; i < len(text) && isDigit(text[i]); i++ {
		if count = count*10 + int(text[i]-'0'); count > maxAttachmentCount {
			return 0, nil, malformed("too many attachments")
		}
	}
	if count == 0 || i == len(text) || text[i] != '-' {
		return 0, nil, malformed("illegal attachments")
	}
	return count, text[i+1:], nil
}

// cutNamespace reads a name up to the first comma, or to the end when nothing
// follows it. A query string is part of the name. S-2
func cutNamespace(text []byte) (name string, rest []byte, err error) {
	if len(text) == 0 || text[0] != '/' {
		return "/", text, nil
	}
	end, rest := len(text), nil
	for i, b := range text {
		if b == ',' {
			end, rest = i, text[i+1:]
			break
		}
	}
	if err := checkNamespace(text[:end]); err != nil {
		return "", nil, err
	}
	if end == 1 {
		return "/", rest, nil
	}
	return string(text[:end]), rest, nil
}

// checkNamespace keeps names short, for they are echoed, and free of control
// characters, for U+001E separates packets in a polling payload.
func checkNamespace[T ~string | ~[]byte](name T) error {
	if len(name) == 0 || name[0] != '/' {
		return malformed("namespace without slash")
	}
	if len(name) > MaxNamespaceBytes {
		return malformed("namespace too long")
	}
	for i := range len(name) {
		if b := name[i]; b < 0x20 || b == 0x7f || b == ',' {
			return malformed("illegal character in namespace")
		}
	}
	return nil
}

// cutID reads an ack id: decimal digits up to MaxID. Leading zeros drop out. S-21
func cutID(text []byte) (id uint64, has bool, rest []byte, err error) {
	i := 0
	for ; i < len(text) && isDigit(text[i]); i++ {
		if id = id*10 + uint64(text[i]-'0'); id > MaxID {
			return 0, false, nil, malformed("ack id too large")
		}
	}
	return id, i > 0, text[i:], nil
}

func isDigit(b byte) bool { return '0' <= b && b <= '9' }

// check is the validity of a packet by its type. It asks valid whether the
// payload is JSON that starts with a byte.
func (p Packet) check(valid func(data []byte, first byte) bool) error {
	if p.HasID && !p.Type.event() && !p.Type.ack() {
		return malformed("ack id where none belongs")
	}
	switch p.Type {
	case PacketConnect:
		if len(p.Data) > 0 && !valid(p.Data, '{') { // S-3: an object or nothing
			return malformed("CONNECT payload is not an object")
		}
	case PacketDisconnect:
		if len(p.Data) > 0 { // S-8
			return malformed("DISCONNECT with a payload")
		}
	case PacketEvent, PacketBinaryEvent:
		if !valid(p.Data, '[') { // S-20, S-22; no payload at all closes too
			return malformed("event payload is not an array")
		}
		if _, err := eventName(p.Data); err != nil {
			return err
		}
	case PacketAck, PacketBinaryAck:
		if !p.HasID {
			return malformed("ack without an id")
		}
		if !valid(p.Data, '[') { // S-23
			return malformed("ack payload is not an array")
		}
	case PacketConnectError:
		if !valid(p.Data, '{') && !valid(p.Data, '"') {
			return malformed("CONNECT_ERROR payload is neither object nor string")
		}
	}
	return nil
}

// reserved are the names that an event may not have. S-20
var reserved = map[string]bool{
	"connect":        true,
	"connect_error":  true,
	"disconnect":     true,
	"disconnecting":  true,
	"newListener":    true,
	"removeListener": true,
}

func checkEventName(name string) error {
	if reserved[name] {
		return malformed("reserved event name")
	}
	return nil
}
