package engineio

import (
	"errors"
	"fmt"
)

// errPingDirection is the detail for a client that sends pings: version 3 of
// the protocol did (E-37, E-55).
var errPingDirection = errors.New("invalid heartbeat direction")

// beginReceive waits for the receive turn, which keeps the Receiver's calls
// apart and in order when the end of a POST and the start of the WebSocket
// meet. It reports false, without the turn, if nothing may be received over
// this transport any more.
func (s *Session) beginReceive(t Transport) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waitTurnLocked()
	s.receiving = s.phase == phaseOpen && s.transport == t
	return s.receiving
}

// endReceive gives the turn back.
func (s *Session) endReceive() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.receiving = false
	signal(&s.turn)
}

// waitTurnLocked waits, with the lock released, until nobody receives.
func (s *Session) waitTurnLocked() {
	for s.receiving {
		if s.turn == nil {
			s.turn = make(chan struct{})
		}
		turn := s.turn
		s.mu.Unlock()
		<-turn
		s.mu.Lock()
	}
}

// receive handles one packet from the client; the caller has the receive turn.
// An error is the client's fault and has closed the session.
func (s *Session) receive(p Packet) error {
	err := s.handle(p)
	if err != nil {
		s.fail(ReasonParseError, err)
	}
	return err
}

func (s *Session) handle(p Packet) error {
	switch p.Type {
	case PacketMessage:
		var err error
		if p.Binary {
			err = s.receiver.ReceiveBinary(p.Data)
		} else {
			err = s.receiver.Receive(p.Data)
		}
		if err != nil {
			return fmt.Errorf("receiver: %w", err)
		}
	case PacketPong:
		s.ponged()
	case PacketClose: // E-30, E-38
		s.closedByPeer()
	case PacketPing: // E-37
		return errPingDirection
	case PacketOpen, PacketUpgrade, PacketNoop: // E-37: ignored, as the reference does
	}
	return nil
}

// isOpen reports whether the session still receives.
func (s *Session) isOpen() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.phase == phaseOpen
}
