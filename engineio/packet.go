package engineio

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
)

// PacketType is the digit a packet starts with (E-21).
type PacketType byte

// The packet types of Engine.IO v4.
const (
	PacketOpen    PacketType = '0' // server: the handshake
	PacketClose   PacketType = '1' // either side: the session is over
	PacketPing    PacketType = '2' // server: heartbeat; client: only "2probe" on a probing WebSocket
	PacketPong    PacketType = '3' // client: answer to a ping; server: only "3probe"
	PacketMessage PacketType = '4' // either side: application data
	PacketUpgrade PacketType = '5' // client: from now on on the WebSocket
	PacketNoop    PacketType = '6' // server: ends a held poll that has nothing to say
)

// binaryMark starts the text form of a binary message; there is no type digit
// before it (E-21).
const binaryMark = 'b'

// strictBase64 is standard base64 with padding and without spare bits (E-21).
var strictBase64 = base64.StdEncoding.Strict()

// Errors of the codec.
var (
	ErrEmptyPacket   = errors.New("engineio: empty packet")
	ErrUnknownPacket = errors.New("engineio: unknown packet type")
	ErrBadBase64     = errors.New("engineio: bad base64 in binary packet")
)

// Packet is one Engine.IO packet. Binary is set only with type PacketMessage.
type Packet struct {
	Type   PacketType
	Data   []byte
	Binary bool
}

// OpenPacket is the JSON of the handshake: exactly these five keys, because
// clients compare them as a set (E-6).
type OpenPacket struct {
	SID          string   `json:"sid"`
	Upgrades     []string `json:"upgrades"`
	PingInterval int64    `json:"pingInterval"` // milliseconds
	PingTimeout  int64    `json:"pingTimeout"`  // milliseconds
	MaxPayload   int      `json:"maxPayload"`   // bytes
}

// AppendPacket appends the text form of p to dst: the type digit and the data,
// or 'b' and base64 for a binary message (E-21).
func AppendPacket(dst []byte, p Packet) []byte {
	if p.Binary {
		return strictBase64.AppendEncode(append(dst, binaryMark), p.Data)
	}
	return append(append(dst, byte(p.Type)), p.Data...)
}

// ParsePacket reads the text form of one packet. Data of a text packet is a
// part of text, not a copy. Whether the packet may be sent in this direction,
// and whether its text is UTF-8, is for the caller to judge.
func ParsePacket(text []byte) (Packet, error) {
	if len(text) == 0 {
		return Packet{}, ErrEmptyPacket
	}
	if text[0] == binaryMark {
		// The decoder skips line breaks; a packet has none.
		if bytes.ContainsAny(text[1:], "\r\n") {
			return Packet{}, ErrBadBase64
		}
		data, err := strictBase64.AppendDecode(nil, text[1:])
		if err != nil {
			return Packet{}, fmt.Errorf("%w: %w", ErrBadBase64, err)
		}
		return Packet{Type: PacketMessage, Data: data, Binary: true}, nil
	}
	if text[0] < byte(PacketOpen) || text[0] > byte(PacketNoop) {
		return Packet{}, fmt.Errorf("%w %q", ErrUnknownPacket, text[0])
	}
	return Packet{Type: PacketType(text[0]), Data: text[1:]}, nil
}
