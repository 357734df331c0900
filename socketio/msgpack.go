package socketio

import (
	"cmp"
	"unicode/utf8"
)

// The second parser, that of socket.io-msgpack-parser: a packet is one binary
// message, a msgpack map with the members type, nsp, data and id. Binary values
// stand where they belong. Behind the functions of this file all is as with the
// first: JSON, placeholders and attachments. S-45

// AppendMsgpack appends p as a msgpack map to dst and returns the longer slice.
// Each placeholder in p.Data becomes the attachment that it names. It checks
// nothing: p.Data is empty or a JSON value.
func AppendMsgpack(dst []byte, p Packet, attachments [][]byte) []byte {
	kind, members := p.Type, 2
	switch p.Type {
	case PacketBinaryEvent:
		kind = PacketEvent
	case PacketBinaryAck:
		kind = PacketAck
	}
	if len(p.Data) > 0 {
		members++
	}
	if p.HasID {
		members++
	}
	dst = mapForm.append(dst, members)
	dst = appendUint(appendStr(dst, "type"), uint64(kind-PacketConnect))
	dst = appendStr(appendStr(dst, "nsp"), cmp.Or(p.Namespace, "/"))
	if len(p.Data) > 0 {
		w := msgpackWriter{json: p.Data, attachments: attachments}
		dst = w.value(appendStr(dst, "data"))
	}
	if p.HasID {
		dst = appendUint(appendStr(dst, "id"), p.ID)
	}
	return dst
}

// ParseMsgpack reads one packet of the msgpack parser under the rules of
// [ParsePacket], which is what it returns, with the attachments. They and its
// Data are copies. JSON is at most six times as long as the msgpack, apart from
// placeholders. Every error matches [ErrPacket].
//
// What JSON does not have becomes what JSON.stringify makes of it: undefined is
// null in an array and leaves a map without the member, NaN and the infinities
// are null, a time is its ISO 8601 text.
func ParseMsgpack(data []byte) (Packet, [][]byte, error) {
	return parseMsgpack(data, maxAttachmentCount)
}

// parseMsgpack takes as many attachments as most.
func parseMsgpack(data []byte, most int) (Packet, [][]byte, error) {
	r := msgpackReader{data: data, most: most}
	p, err := r.packet()
	if err != nil {
		return Packet{}, nil, err
	}
	if p.Attachments = len(r.attachments); p.Attachments > 0 {
		switch {
		case r.lookAlike: // the two could not be told apart
			return Packet{}, nil, malformed("placeholder beside binary data")
		case p.Type == PacketEvent:
			p.Type = PacketBinaryEvent
		case p.Type == PacketAck:
			p.Type = PacketBinaryAck
		default:
			return Packet{}, nil, malformed("binary data in " + p.Type.String())
		}
	}
	if err := p.check(startsWith); err != nil {
		return Packet{}, nil, err
	}
	return p, r.attachments, nil
}

// startsWith is the part of validJSON that is not known of JSON made here.
func startsWith(data []byte, first byte) bool { return len(data) > 0 && data[0] == first }

// packet reads the map of a packet to the end of the message. The stock client
// writes members that say nothing to us. Members of ours that are nil or
// undefined are as good as absent: so clients write what they do not have.
func (r *msgpackReader) packet() (Packet, error) {
	kind, count, err := r.head()
	if err != nil {
		return Packet{}, err
	}
	if kind != kindMap || count > uint64(r.left()/2) {
		return Packet{}, malformed("not a map")
	}
	var p Packet
	var seen msgpackMember
	for range count {
		key, err := r.str()
		if err != nil {
			return Packet{}, err
		}
		m := msgpackMembers[string(key)]
		switch {
		case seen&m != 0:
			return Packet{}, malformed("member twice")
		case m == 0:
			err = r.skip()
		case !r.absent():
			err = r.member(&p, m)
		}
		if err != nil {
			return Packet{}, err
		}
		seen |= m
	}
	switch {
	case r.left() > 0:
		return Packet{}, malformed("bytes behind the packet")
	case p.Type == 0:
		return Packet{}, malformed("packet without a type")
	case p.Namespace == "":
		return Packet{}, malformed("packet without a namespace")
	}
	return p, nil
}

// The members of a packet.
type msgpackMember byte

const (
	memberType msgpackMember = 1 << iota
	memberNamespace
	memberData
	memberID
)

var msgpackMembers = map[string]msgpackMember{
	"type": memberType, "nsp": memberNamespace, "data": memberData, "id": memberID,
}

// member reads the value of one member of the packet.
func (r *msgpackReader) member(p *Packet, m msgpackMember) (err error) {
	switch m {
	case memberType:
		var t uint64
		if t, err = r.uint(); err == nil && t > uint64(PacketConnectError-PacketConnect) {
			err = malformed("unknown type")
		}
		p.Type = PacketConnect + PacketType(t)
	case memberNamespace:
		var nsp []byte
		if nsp, err = r.str(); err == nil {
			err = checkNamespace(nsp)
		}
		p.Namespace = string(nsp)
	case memberID:
		p.HasID = true
		if p.ID, err = r.uint(); err == nil && p.ID > MaxID { // S-21
			err = malformed("ack id too large")
		}
	case memberData:
		p.Data, err = r.value(make([]byte, 0, len(r.data)), 0)
	}
	return err
}

// skip reads a value that nobody asked for.
func (r *msgpackReader) skip() error {
	attachments, lookAlike := len(r.attachments), r.lookAlike
	_, err := r.value(nil, 0)
	r.attachments, r.lookAlike = r.attachments[:attachments], lookAlike
	return err
}

// uint reads an integer that is not negative.
func (r *msgpackReader) uint() (uint64, error) {
	kind, n, err := r.head()
	if err == nil && (kind != kindUint && kind != kindInt || kind == kindInt && int64(n) < 0) {
		err = malformed("not an integer of 0 or more")
	}
	return n, err
}

// str reads text, without copying it.
func (r *msgpackReader) str() ([]byte, error) {
	kind, n, err := r.head()
	if err != nil {
		return nil, err
	}
	if kind != kindStr {
		return nil, malformed("not a string")
	}
	return r.text(n)
}

// text reads n bytes of UTF-8.
func (r *msgpackReader) text(n uint64) ([]byte, error) {
	text, err := r.take(n)
	if err == nil && !utf8.Valid(text) {
		err = malformed("not UTF-8")
	}
	return text, err
}
