package engineio

import (
	"errors"
	"log/slog"
	"net"
	"time"

	"github.com/gobwas/ws"
)

const (
	// closeGrace is how long a session closed by the client's own close packet
	// still answers one GET: the client sends both at once, and the POST can
	// win (E-30).
	closeGrace = 250 * time.Millisecond

	// closeLinger is how long a peer that was sent a WebSocket close frame may
	// take to answer it.
	closeLinger = 2 * time.Second

	// shutdownGrace replaces the write timeout once the server shuts down, as the
	// time that a polling client may take to come back for its last poll, and
	// a WebSocket client to take what is written to it.
	shutdownGrace = time.Second
)

// statusServiceRestart is registered with IANA, not part of RFC 6455 (E-39).
const statusServiceRestart ws.StatusCode = 1012

// farewell is how a session that closes takes leave of its peer. The zero
// value cuts the connection.
type farewell struct {
	flush bool // what is queued leaves first

	// On polling the held GET ends with packet. If none is held, the next one
	// does if it comes within grace (E-31).
	packet *Message
	grace  time.Duration

	// On WebSocket a close frame with code is sent, and its answer awaited. No
	// code: the connection is cut.
	code ws.StatusCode
}

// Close closes the session: what is queued leaves first, bounded by the write
// timeout, then the peer is told. It does not wait for any of that. Only the
// first call counts. It may be called from inside Receive.
func (s *Session) Close(reason Reason) { s.CloseWith(Cause{Reason: reason}) }

// CloseWith is Close with a detail for the log and the Receiver.
func (s *Session) CloseWith(c Cause) {
	s.close(c, farewell{
		flush: true, packet: closeMessage, grace: s.srv.cfg.WriteTimeout, code: statusFor(c.Reason),
	})
}

// statusFor returns the WebSocket status that tells people what happened
// (E-39); official clients do not look at it.
func statusFor(reason Reason) ws.StatusCode {
	switch reason {
	case ReasonParseError:
		return ws.StatusProtocolError
	case ReasonPingTimeout, ReasonForcedClose, ReasonSlow, ReasonRateLimited:
		return ws.StatusPolicyViolation
	case ReasonShutdown:
		return statusServiceRestart
	case ReasonTransportError:
		return ws.StatusInternalServerError
	case ReasonTransportClose, ReasonForcedServerClose:
		return ws.StatusNormalClosure
	}
	return ws.StatusNormalClosure // a reason of the application's own
}

// fail closes the session for the client's fault: a held poll ends with the
// close packet, a WebSocket with a close frame; what was queued is dropped.
func (s *Session) fail(reason Reason, err error) {
	s.close(Cause{reason, err}, farewell{packet: closeMessage, code: statusFor(reason)})
}

// cut closes the session whose connection is broken.
func (s *Session) cut(reason Reason, err error) { s.close(Cause{reason, err}, farewell{}) }

// closedByPeer handles the client's close packet. On polling a GET, held or
// soon to come, ends with a noop (E-30); on WebSocket we close at once (E-38).
func (s *Session) closedByPeer() {
	s.close(Cause{Reason: ReasonTransportClose}, farewell{
		packet: noopMessage, grace: closeGrace, code: ws.StatusNormalClosure,
	})
}

func (s *Session) close(c Cause, f farewell) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closeLocked(c, f)
}

// closeLocked ends the open phase, once. Everything that may block, and the
// Receiver, is left to a goroutine of its own: the caller may be a sender, or
// the Receiver.
func (s *Session) closeLocked(c Cause, f farewell) {
	if s.phase != phaseOpen {
		return
	}
	s.phase = phaseClosing
	s.farewell = &f
	if !f.flush {
		s.queue.drop()
		s.accountLocked()
	}
	s.srv.deadlines.stop(s)
	signal(&s.drained)
	s.life.End(c)
	s.srv.closed(s, c.Reason)
	go s.afterClose(c)

	switch {
	case s.transport == WebSocket && f.code != 0:
		s.goodbyeLocked(c.Reason)
	case s.transport == WebSocket:
		// afterClose cuts the connection, which ends reader and flusher.
	case s.held != nil:
		s.held.nudge() // it ends with the farewell
	case f.grace > 0:
		s.armLocked(s.srv.clock(), f.grace)
	default:
		s.phase = phaseClosed
	}
	if s.upgradesLastLocked() {
		_ = s.probe.SetReadDeadline(time.Now().Add(f.grace)) // an error: it is closed already
	}
}

// goodbyeLocked has the close frame follow what is queued for the WebSocket.
func (s *Session) goodbyeLocked(reason Reason) {
	s.controlLocked().close = closeFrame(s.farewell.code, string(reason))
	s.kickLocked()
}

// upgradesLastLocked reports whether a session that closes may still come to the end
// of an upgrade: a client that has seen 3probe polls no more, so what is queued for
// it can leave only there (E-49).
func (s *Session) upgradesLastLocked() bool {
	return s.phase == phaseClosing && s.probe != nil && s.farewell.flush
}

// afterClose does what a close may not do under the lock.
func (s *Session) afterClose(c Cause) {
	s.mu.Lock()
	hard := s.farewell.code == 0
	conn, probe, receiver := s.conn, s.probe, s.receiver
	if s.upgradesLastLocked() {
		probe = nil
	}
	s.mu.Unlock()
	if r, ok := receiver.(ClosingReceiver); ok { // else it is not there yet, and does nothing
		r.Closing(c)
	}
	if probe != nil {
		_ = probe.Close() // E-49
	}
	if hard && conn != nil {
		_ = conn.Close()
	}

	s.mu.Lock()
	s.waitTurnLocked()
	s.mu.Unlock()
	if s.receiver != nil {
		s.receiver.Closed(c)
	}
	level := slog.LevelDebug
	if c.peersFault() {
		level = slog.LevelInfo
	}
	s.srv.log.LogAttrs(detached{}, level, "session closed",
		slog.Any("sid", s), slog.String("reason", string(c.Reason)), slog.Any("err", c.Err),
		slog.Duration("dur", time.Since(s.req.Time)))

	s.mu.Lock()
	defer s.mu.Unlock()
	s.told = true
	s.endLocked()
}

// hurry shortens the farewell of a session that may have closed for any reason,
// and with more time, just before the server shuts down (E-66).
func (s *Session) hurry() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hurried = true
	if s.farewell != nil {
		s.farewell.grace = min(s.farewell.grace, shutdownGrace)
	}
	if s.conn != nil {
		_ = s.conn.SetWriteDeadline(time.Now().Add(s.writeTimeLocked())) // an error: it is closed already
	}
	if s.upgradesLastLocked() {
		_ = s.probe.SetReadDeadline(time.Now().Add(s.farewell.grace)) // as above
	}
	waits := s.phase == phaseClosing && s.transport == Polling && s.held == nil
	if now := s.srv.clock(); waits && s.deadline > now+shutdownGrace {
		s.armLocked(now, shutdownGrace)
	}
}

// writeTimeLocked is how long the peer may take for one flush (E-43).
func (s *Session) writeTimeLocked() time.Duration {
	if s.hurried {
		return min(s.srv.cfg.WriteTimeout, shutdownGrace)
	}
	return s.srv.cfg.WriteTimeout
}

// abort gives up on the farewell; for a shutdown that may wait no longer.
func (s *Session) abort() {
	s.cut(ReasonShutdown, errAborted)
	s.mu.Lock()
	s.abandonLocked()
	if s.transport == Polling && s.held == nil && s.phase == phaseClosing {
		s.phase = phaseClosed
	}
	s.endLocked()
	conn, probe := s.conn, s.probe
	s.mu.Unlock()
	for _, c := range []net.Conn{conn, probe} {
		if c != nil {
			_ = c.Close()
		}
	}
}

var errAborted = errors.New("not closed in time")

// abandonLocked forgets all that was still to be written.
func (s *Session) abandonLocked() {
	s.queue.drop()
	s.accountLocked()
	s.control = nil
}

// endLocked takes the session off the server once nothing of it is left. It is
// called whenever one of the things it looks at has come to its end.
func (s *Session) endLocked() {
	if s.phase == phaseClosing && s.transport == WebSocket && !s.reading && !s.flushing {
		s.phase = phaseClosed
	}
	if s.phase == phaseClosed && s.told && !s.reading && !s.flushing && s.probes == 0 {
		s.queue.drop()
		s.accountLocked()
		s.srv.remove(s)
	}
}
