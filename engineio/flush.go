package engineio

import (
	"io"
	"slices"
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

	deflater *deflater // of the connection; nil: it takes nothing compressed
}

// flush writes what is queued on the WebSocket until nothing is left, waiting
// for the peer if it must. There is one at a time for a session (E-43), or the
// session is on the list of the writers; and neither while there is nothing to
// write: idle connections have no writer. The first round is out, of which
// skip bytes are written already.
func (s *Session) flush(out outgoing, skip int) {
	for any := true; any; skip = 0 {
		s.mu.Lock() // with hurry, or this deadline could take the place of its shorter one
		conn := s.conn
		err := conn.SetWriteDeadline(time.Now().Add(s.writeTimeLocked()))
		s.mu.Unlock()
		if err == nil {
			_, err = write(conn, out, skip)
		}
		out, any = s.wrote(out, err)
	}
}

// flushReady is a round of a writer: all that is queued, as far as the socket
// takes it without waiting. A flusher does the rest.
func (s *Session) flushReady(w *writer) {
	s.mu.Lock()
	out, any := s.takeLocked(w.batch[:0])
	w.raw = s.raw
	if !any {
		s.flushEndedLocked()
	}
	s.mu.Unlock()
	if !any {
		return
	}
	w.batch = out.batch // it may have grown
	defer clear(w.batch)
	n, err := write(w, out, 0)
	if err == errNotReady {
		out.batch = slices.Clone(out.batch)
		s.mu.Lock()
		s.stuckLocked()
		s.mu.Unlock()
		go s.flush(out, n)
		return
	}
	s.mu.Lock()
	ok := err == nil && out.close == nil
	if ok {
		s.srv.sentFrames(out)
		s.wroteLocked(out.batch)
		if s.anyLocked() {
			s.srv.writers.add(s)
		} else {
			s.flushEndedLocked()
		}
	}
	s.mu.Unlock()
	if !ok {
		if out, any := s.wrote(out, err); any {
			go s.flush(out, 0)
		}
	}
}

// wrote takes what has been written, or lost, off the account, and returns the
// next round. If there is none the flush has ended.
func (s *Session) wrote(out outgoing, err error) (next outgoing, any bool) {
	s.mu.Lock()
	conn := s.conn
	s.mu.Unlock()
	if err == nil && out.close != nil {
		// The peer's answer is read, and what is on its way to us, lest closing
		// with unread data resets the connection under our last frames.
		err = conn.SetReadDeadline(time.Now().Add(closeLinger))
	}
	if err != nil {
		_ = conn.Close() // ends the reader too
		s.cut(ReasonTransportError, err)
	} else {
		s.srv.sentFrames(out)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wroteLocked(out.batch)
	if err != nil {
		s.abandonLocked()
	}
	if next, any = s.takeLocked(nil); !any {
		s.flushEndedLocked()
	}
	return next, any
}

// flushEndedLocked is the end of a flush: nothing is left to write.
func (s *Session) flushEndedLocked() {
	s.flushing, s.stuck = false, false
	s.accountLocked()
	signal(&s.flushed)
	s.endLocked()
}

// controlFrames are what a session has to write beside its queue.
type controlFrames struct {
	pong  []byte // answers the last WebSocket ping
	close []byte // the last frame, once the queue is empty
}

// controlLocked returns the control frames, to add one.
func (s *Session) controlLocked() *controlFrames {
	if s.control == nil {
		s.control = new(controlFrames)
	}
	return s.control
}

func (s *Session) anyLocked() bool {
	return s.control != nil || !s.queue.empty()
}

// takeLocked takes all there is to write, messages into dst; the close frame
// goes last.
func (s *Session) takeLocked(dst []*Message) (out outgoing, any bool) {
	if !s.anyLocked() {
		return out, false
	}
	out = outgoing{batch: s.dequeueLocked(dst)}
	if s.control != nil {
		out.pong, out.close = s.control.pong, s.control.close
		s.control = nil
	}
	if s.deflates {
		out.deflater = s.srv.deflater
	}
	return out, true
}

// write sends it all but the first skip bytes, in as few writes as flushChunk
// allows. It returns how many bytes are sent, those skipped included.
func write(dst io.Writer, out outgoing, skip int) (int, error) {
	if out.pong == nil && out.close == nil && len(out.batch) == 1 {
		n, err := dst.Write(out.batch[0].wire(out.deflater)[skip:]) // the common case needs no copy
		return skip + n, err
	}
	buf := flushBuffers.Get().(*[]byte)
	defer flushBuffers.Put(buf)
	g := gatherer{dst: dst, buf: (*buf)[:0], skip: skip}
	g.add(out.pong)
	for _, m := range out.batch {
		g.add(m.wire(out.deflater))
	}
	g.add(out.close)
	g.flush()
	return skip + g.n, g.err
}

// gatherer copies small frames together and writes large ones as they are.
type gatherer struct {
	dst  io.Writer
	buf  []byte
	skip int // bytes to leave out
	n    int // bytes written
	err  error
}

func (g *gatherer) add(frame []byte) {
	left := min(g.skip, len(frame))
	g.skip -= left
	frame = frame[left:]
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
		var n int
		n, g.err = g.dst.Write(b)
		g.n += n
	}
}
