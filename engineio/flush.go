package engineio

import (
	"net"
	"sync"
	"time"
)

// flushChunk is how much a flusher gathers for one write.
const flushChunk = 32 << 10

// flushBuffers holds the buffers in which frames are gathered.
var flushBuffers = sync.Pool{New: func() any {
	b := make([]byte, 0, flushChunk)
	return &b
}}

// outgoing is what one round of a flusher writes, in this order.
type outgoing struct {
	pong  []byte
	batch []*Message
	close []byte
}

// flush writes what is queued on the WebSocket until nothing is left. There is
// one at a time for a session (E-43), and none while there is nothing to
// write: idle connections have no writer.
func (s *Session) flush() {
	for {
		s.mu.Lock()
		out, any := s.takeLocked()
		if !any {
			s.flushing = false
			signal(&s.flushed)
			s.endLocked()
			s.mu.Unlock()
			return
		}
		conn := s.conn
		s.mu.Unlock()

		err := conn.SetWriteDeadline(time.Now().Add(s.srv.cfg.WriteTimeout))
		if err == nil {
			err = write(conn, out)
		}
		if err == nil && out.close != nil {
			// The peer's answer is read, and what is on its way to us, lest
			// closing with unread data resets the connection under our last
			// frames.
			err = conn.SetReadDeadline(time.Now().Add(closeLinger))
		}
		if err != nil {
			_ = conn.Close() // ends the reader too
			s.cut(ReasonTransportError, err)
		}

		s.mu.Lock()
		s.wroteLocked(out.batch)
		if err != nil {
			s.abandonLocked()
		}
		s.mu.Unlock()
	}
}

// takeLocked takes all there is to write; the close frame goes last.
func (s *Session) takeLocked() (out outgoing, any bool) {
	out = outgoing{pong: s.pong, batch: s.queue.take(), close: s.closeFrame}
	s.pong, s.closeFrame = nil, nil
	return out, out.pong != nil || len(out.batch) > 0 || out.close != nil
}

// write sends it all, in as few writes as flushChunk allows.
func write(conn net.Conn, out outgoing) error {
	if out.pong == nil && out.close == nil && len(out.batch) == 1 {
		_, err := conn.Write(out.batch[0].frame) // the common case needs no copy
		return err
	}
	buf := flushBuffers.Get().(*[]byte)
	defer flushBuffers.Put(buf)
	g := gatherer{conn: conn, buf: (*buf)[:0]}
	g.add(out.pong)
	for _, m := range out.batch {
		g.add(m.frame)
	}
	g.add(out.close)
	g.flush()
	return g.err
}

// gatherer copies small frames together and writes large ones as they are.
type gatherer struct {
	conn net.Conn
	buf  []byte
	err  error
}

func (g *gatherer) add(frame []byte) {
	if len(g.buf)+len(frame) > cap(g.buf) {
		g.flush()
	}
	if len(frame) > cap(g.buf) {
		g.write(frame)
		return
	}
	g.buf = append(g.buf, frame...)
}

func (g *gatherer) flush() {
	g.write(g.buf)
	g.buf = g.buf[:0]
}

func (g *gatherer) write(b []byte) {
	if g.err == nil && len(b) > 0 {
		_, g.err = g.conn.Write(b)
	}
}
