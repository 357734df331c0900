package engineio

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/gobwas/ws"
)

// noopTick is how long a poll is held once 3probe has been sent, before it is
// ended with a noop. It leaves room for an upgrade packet that was sent before
// the poll, on the other connection, to be read first (E-44).
const noopTick = 100 * time.Millisecond

// upgradeSession lets a WebSocket in that wants to take over a polling session
// (E-44 to E-50).
func (s *Session) upgradeSession(w http.ResponseWriter, r *http.Request) {
	reserved, gone := s.reserveUpgrade()
	if gone != nil {
		s.srv.refuse(w, r, gone)
		return
	}
	conn, frames, err := s.srv.handshake(w, r)
	if err != nil {
		if reserved {
			s.upgradeFailed()
			s.probeEnded()
		}
		return
	}
	if !reserved {
		// E-48: the newcomer is closed, and sees it as a close, not as a
		// failed handshake.
		dismiss(conn, frames, ws.StatusPolicyViolation, "session has a WebSocket")
		return
	}
	s.mu.Lock()
	s.probe = conn
	open := s.phase == phaseOpen
	_ = conn.SetDeadline(time.Now().Add(s.srv.cfg.UpgradeTimeout)) // E-47; an error: it is closed already
	s.mu.Unlock()
	if !open { // it closed during the handshake, and did not see this connection (E-49)
		_ = conn.Close()
	}
	go s.probeUpgrade(conn, frames)
}

// reserveUpgrade takes the one place there is for a WebSocket.
func (s *Session) reserveUpgrade() (reserved bool, gone *refusal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deadlineLocked(s.srv.clock())
	if s.phase != phaseOpen {
		return false, refuseUnknownSession
	}
	if s.upgrade != upgradeNone {
		return false, nil
	}
	s.upgrade = upgradeReserved
	s.probes++
	return true, nil
}

// probeUpgrade sees an upgrade through to its end. If it succeeds the
// goroutine goes on as the reader of the session; if not, the session goes on
// polling (E-47).
func (s *Session) probeUpgrade(conn net.Conn, frames *frameReader) {
	err := s.probeSequence(conn, frames)
	if err == nil {
		s.read(frames)
		return
	}
	s.srv.log.Debug("upgrade failed", "sid", s, "err", err)
	s.upgradeFailed()
	dismiss(conn, frames, ws.StatusPolicyViolation, "upgrade failed")
	s.probeEnded()
}

// upgradeFailed makes place for another try.
func (s *Session) upgradeFailed() {
	s.srv.cfg.Observer.UpgradeEnded(false)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.probe = nil
	s.upgrade = upgradeNone
}

// probeEnded takes one probe off the account.
func (s *Session) probeEnded() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.probes--
	s.endLocked()
}

var (
	errNotProbe   = errors.New("first packet is not 2probe")
	errNotUpgrade = errors.New("packet after the probe is not 5")
)

// probeSequence is 2probe, 3probe, 5; no open packet comes before (E-36).
func (s *Session) probeSequence(conn net.Conn, frames *frameReader) error {
	if err := expect(conn, frames, "2probe", errNotProbe); err != nil {
		return err
	}
	if _, err := conn.Write(probeAnswer.frame); err != nil {
		return fmt.Errorf("answer the probe: %w", err)
	}
	s.probed()
	if err := expect(conn, frames, "5", errNotUpgrade); err != nil {
		return err
	}
	if err := conn.SetDeadline(time.Time{}); err != nil {
		return err
	}
	return s.switchTransport(conn, frames)
}

// probeAnswer is "3probe".
var probeAnswer = newPacketMessage(PacketPong, []byte("probe"))

// expect reads one packet and compares it. Control frames may come in between;
// nobody else writes on this connection yet, so pings are answered right here.
func expect(conn net.Conn, frames *frameReader, want string, mismatch error) error {
	for {
		op, data, err := frames.next()
		if err != nil {
			return err
		}
		switch op {
		case ws.OpText:
			if string(data) != want {
				return mismatch
			}
			return nil
		case ws.OpPing:
			if _, err := conn.Write(controlFrame(ws.OpPong, data)); err != nil {
				return err
			}
		case ws.OpPong:
		case ws.OpBinary:
			return mismatch
		case ws.OpClose:
			return peerClosed{closeStatus(data)}
		}
	}
}

// probed lets the held poll end, and those to come, once 3probe is out; a noop
// before it would leave the client stuck (E-46).
func (s *Session) probed() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.upgrade = upgradeProbed
	s.kickLocked()
}

// switchTransport makes the WebSocket the session's transport. What is queued
// leaves there; a poll that is still held gets nothing of it (E-45).
func (s *Session) switchTransport(conn net.Conn, frames *frameReader) error {
	s.mu.Lock()
	last := s.upgradesLastLocked()
	if s.phase != phaseOpen && !last {
		s.mu.Unlock()
		return ErrClosed // E-49
	}
	s.kickLocked() // the held poll, to its 400 (E-44)
	s.transport = WebSocket
	s.repeats = nil
	s.upgrade = upgradeDone
	s.conn, s.raw, s.deflates, s.probe = conn, frames.raw, frames.deflates, nil
	s.probes--
	s.reading = true
	if last {
		cause, _ := s.life.Ended()
		s.goodbyeLocked(cause.Reason)
	} else if !s.queue.idle() {
		s.kickLocked()
	}
	s.mu.Unlock()
	if last { // it has been counted as closed, on polling
		s.srv.cfg.Observer.UpgradeEnded(false)
	} else {
		s.srv.upgraded()
	}

	if s.beginReceive(WebSocket) {
		defer s.endReceive()
		_ = s.srv.workers.do(call{session: s, upgraded: true}) // never fails
	}
	return nil
}
