package engineio

import (
	"errors"
	"math/rand/v2"
	"time"
)

// firstPing shortens the first interval by up to a quarter, so that clients
// that came together are not pinged together ever after. It only shortens:
// clients count interval + timeout from the start (E-56, E-58).
func firstPing(interval time.Duration) time.Duration {
	if spread := int64(interval / 4); spread > 0 {
		return interval - time.Duration(rand.Int64N(spread))
	}
	return interval
}

// armLocked sets the deadline, and has tick called then.
func (s *Session) armLocked(now, d time.Duration) {
	s.deadline = now + d
	s.srv.deadlines.set(s, s.deadline)
}

// tick is called when a deadline may have passed. It may be an old one: the
// present one decides.
func (s *Session) tick() {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.srv.clock()
	if now < s.deadline { // armLocked has set the new one
		return
	}
	s.deadlineLocked(now)
}

// deadlineLocked acts on a deadline that has passed: the ping that is due, the
// pong that did not come, or the end of a grace. Requests call it before
// anything else, so that they see the same as if the timer had run already:
// who comes exactly at the deadline comes too late (E-59).
func (s *Session) deadlineLocked(now time.Duration) {
	if now < s.deadline {
		return
	}
	switch s.phase {
	case phaseOpen:
		s.beatLocked(now)
	case phaseClosing:
		if s.transport == Polling && s.held == nil { // else others end it
			s.phase = phaseClosed
			s.endLocked()
		}
	case phaseClosed:
	}
}

var errNoPong = errors.New("no pong in time")

// beatLocked sends the ping that is due, or closes the session for want of a
// pong (E-55).
func (s *Session) beatLocked(now time.Duration) {
	timeout := s.srv.cfg.PingTimeout
	if s.pinged {
		s.closeLocked(Cause{ReasonPingTimeout, errNoPong},
			farewell{packet: closeMessage, code: statusFor(ReasonPingTimeout)})
		return
	}
	if s.staleLocked() {
		s.slowLocked(errQueueOld)
		return
	}
	// The pong is due from when the ping was due; but if this process slept
	// through much of that time, from now: that is not the client's fault.
	left := s.deadline + timeout - now
	if left < timeout/2 {
		left = timeout
	}
	s.pinged, s.pingedAt = true, now
	s.armLocked(now, left)
	s.enqueueLocked(pingMessage) // E-56, E-57: a packet like any other, never skipped
}

// ponged handles a pong. The next ping is timed from here (E-55); one that
// nobody asked for changes nothing (E-37).
func (s *Session) ponged() {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.srv.clock()
	s.deadlineLocked(now)
	if s.phase != phaseOpen || !s.pinged {
		return
	}
	s.pinged = false
	s.srv.cfg.Observer.Ponged(now - s.pingedAt)
	s.armLocked(now, s.srv.cfg.PingInterval)
}
