package socketio

import (
	"slices"
	"time"

	"larder/engineio"
)

// pending is a packet whose attachments are still coming. A connection has one
// at most, and its bytes and its age are bounded. S-33
type pending struct {
	packet      Packet
	socket      *Socket // nil: received and dropped
	attachments [][]byte
	bytes       int
	timer       *time.Timer
}

func (c *conn) awaiting() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.pending != nil
}

// await keeps the head of a binary packet until its attachments are there.
func (c *conn) await(p Packet) error {
	if p.Attachments > c.server.cfg.MaxAttachments {
		return malformed("too many attachments") // S-32
	}
	s, err := c.target(p)
	if err != nil {
		return err
	}
	p.Data = slices.Clone(p.Data)
	head := &pending{packet: p, socket: s}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil
	}
	c.pending = head
	head.timer = time.AfterFunc(c.server.cfg.BinaryTimeout, func() { c.expire(head) })
	return nil
}

// expire closes a connection whose attachments did not come in time.
func (c *conn) expire(head *pending) {
	c.mu.Lock()
	expired := c.pending == head
	if expired {
		c.pending = nil
	}
	c.mu.Unlock()
	if expired {
		c.session.CloseWith(engineio.Cause{Reason: engineio.ReasonParseError, Err: errAttachments})
	}
}

// receiveBinary takes an attachment, and with the last one the packet.
func (c *conn) receiveBinary(data []byte) error {
	if c.speaks(parserMsgpack) {
		return c.receiveMsgpack(data)
	}
	head, err := c.attach(data)
	if err != nil || head == nil {
		return err
	}
	if head.socket != nil {
		head.socket.receive(head.packet, head.attachments)
	}
	return nil
}

// attach returns the pending packet if data completes it.
func (c *conn) attach(data []byte) (*pending, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	head := c.pending
	if head == nil {
		return nil, violation("binary message without a packet") // S-32
	}
	if head.bytes += len(data); head.bytes > c.server.cfg.MaxBinaryBytes {
		return nil, violation("attachments too large") // S-33
	}
	head.attachments = append(head.attachments, slices.Clone(data))
	if len(head.attachments) < head.packet.Attachments {
		return nil, nil
	}
	head.timer.Stop()
	c.pending = nil
	return head, nil
}
