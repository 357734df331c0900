package engineio

import (
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/gobwas/ws"
)

// openWebSocket opens a session that is on a WebSocket from the start.
func (srv *Server) openWebSocket(w http.ResponseWriter, r *http.Request, address string) {
	conn, frames, err := srv.handshake(w, r)
	if err != nil {
		srv.abandon(address)
		return
	}
	s := srv.newSession(r, WebSocket)
	s.address = address
	s.conn, s.raw, s.deflates = conn, frames.raw, frames.deflates
	s.reading = true
	// The open packet is the head of the queue: nothing can be sent before it
	// (E-36).
	s.queue.force(newPacketMessage(PacketOpen, srv.openJSON(s)))
	if !srv.start(s) {
		dismiss(conn, frames, statusServiceRestart, string(ReasonShutdown))
		return
	}
	go s.read(frames)
}

// read is the one goroutine of a WebSocket session. It owns the connection and
// closes it when it ends.
//
// There are as many as clients, and nearly all of them wait. Their stacks begin
// with 2 KB, and one that had to grow never shrinks to that again. So the calls
// down to the wait, and to where a worker takes over, are few, and what they need
// at other times is in functions of its own.
func (s *Session) read(frames *frameReader) {
	s.stopReading(frames, s.readMessages(frames))
}

// stopReading closes the connection after an error, and the session if that is not
// closing already.
func (s *Session) stopReading(frames *frameReader, err error) {
	s.readEnded(frames, err)
	frames.close()

	s.mu.Lock()
	for s.flushing {
		if s.flushed == nil {
			s.flushed = make(chan struct{})
		}
		flushed := s.flushed
		s.mu.Unlock()
		<-flushed
		s.mu.Lock()
	}
	conn := s.conn
	s.mu.Unlock()
	_ = conn.Close()

	s.mu.Lock()
	defer s.mu.Unlock()
	s.reading = false
	s.endLocked()
}

// peerClosed is the end of reading that a close frame makes.
type peerClosed struct{ code ws.StatusCode }

func (e peerClosed) Error() string { return "websocket: closed by the peer" }

// readMessages reads until the connection or the peer's patience ends. Once
// the session is closing it only looks for the answer to our close frame.
func (s *Session) readMessages(frames *frameReader) error {
	for {
		err := frames.wait()
		if err == nil {
			err = s.readMessage(frames)
		}
		if err != nil {
			return err
		}
	}
}

func (s *Session) readMessage(frames *frameReader) error {
	op, data, err := frames.next()
	if err != nil {
		return err
	}
	switch op {
	case ws.OpText, ws.OpBinary:
		s.srv.cfg.Observer.Received(WebSocket, 1, len(data))
		s.receiveFrame(op, data)
	case ws.OpPing:
		s.answerPing(data)
	case ws.OpPong:
	case ws.OpClose:
		return peerClosed{closeStatus(data)}
	}
	return nil
}

// receiveFrame hands on the packet of one frame.
func (s *Session) receiveFrame(op ws.OpCode, data []byte) {
	if !s.beginReceive(WebSocket) {
		return
	}
	defer s.endReceive()
	p, err := Packet{Type: PacketMessage, Data: data, Binary: true}, error(nil)
	if op == ws.OpText {
		p, err = ParsePacket(data) // E-35: one packet, no separator
	}
	switch {
	case err != nil: // E-37
	case p.Type == PacketMessage:
		err = s.srv.workers.do(call{session: s, packet: p})
	default:
		err = s.handle(p) // the engine's own needs no large stack
	}
	if err != nil {
		s.fail(ReasonParseError, err)
	}
}

// answerPing answers a WebSocket ping, which is not a heartbeat. Of pings that
// come faster than they can be answered, the last is (RFC 6455, 5.5.3).
func (s *Session) answerPing(data []byte) {
	pong := controlFrame(ws.OpPong, data)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.phase == phaseOpen {
		s.controlLocked().pong = pong
		s.kickLocked()
	}
}

// readEnded closes the session for whatever ended the reading, if it is not
// closing already.
func (s *Session) readEnded(frames *frameReader, err error) {
	switch e := err.(type) {
	case peerClosed:
		code := e.code
		s.close(Cause{Reason: ReasonTransportClose}, farewell{code: code})
	case *frameError:
		if e.code == ws.StatusMessageTooBig {
			s.srv.tooLarge()
		}
		s.close(Cause{ReasonParseError, e}, farewell{code: e.code})
		// What follows has no frames any more. The flusher sets the deadline.
		_, _ = io.Copy(io.Discard, frames.src)
	default:
		if errors.Is(err, io.EOF) {
			s.cut(ReasonTransportClose, err)
		} else {
			s.cut(ReasonTransportError, err)
		}
	}
}

// dismissTimeout bounds the farewell to a WebSocket that never had a session.
const dismissTimeout = time.Second
