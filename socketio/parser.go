package socketio

import "larder/engineio"

// A parser is a form in which the packets of a connection travel. The client
// chooses it by its first message: text, or binary, with which nothing can begin
// in the default parser (S-32). S-45
type parser uint8

const (
	parserText    parser = iota // AppendPacket and ParsePacket, attachments behind them
	parserMsgpack               // AppendMsgpack and ParseMsgpack

	parsers = iota // how many there are
)

// speaks reports whether the connection uses a parser, to which its first
// message belongs. The reader alone may call it.
func (c *conn) speaks(p parser) bool {
	if !c.spoke {
		c.spoke = true
		if p == parserMsgpack && !c.server.cfg.NoMsgpack {
			c.parser = parserMsgpack
		}
	}
	return c.parser == p
}

// receiveMsgpack takes a packet that is complete in itself.
func (c *conn) receiveMsgpack(data []byte) error {
	p, attachments, err := parseMsgpack(data, c.server.cfg.MaxAttachments)
	if err != nil {
		return err
	}
	if len(attachments) == 0 {
		return c.handle(p)
	}
	bytes := 0
	for _, a := range attachments {
		bytes += len(a)
	}
	if bytes > c.server.cfg.MaxBinaryBytes {
		return violation("attachments too large") // S-33
	}
	c.trace("packet in", p)
	s, err := c.target(p)
	if s != nil {
		s.receive(p, attachments)
	}
	return err
}

// encodeMsgpack returns the one message that a packet and its attachments are.
func encodeMsgpack(p Packet, attachments []*engineio.Message) []*engineio.Message {
	size := len(p.Data) + len(p.Namespace) + 32
	var inline [][]byte
	for _, m := range attachments {
		size += m.Len()
		inline = append(inline, m.Data())
	}
	return []*engineio.Message{engineio.NewBinaryMessage(AppendMsgpack(make([]byte, 0, size), p, inline))}
}
