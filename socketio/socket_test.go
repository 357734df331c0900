package socketio

import (
	"errors"
	"testing"

	"larder/engineio"
)

// While its CONNECT answer is being queued, a socket without a connection holds
// what is sent to it; before and after it refuses. The moment is too short for
// a test from outside to meet it for certain. S-12
func TestSendWhileAnswering(t *testing.T) {
	message := []*engineio.Message{engineio.NewMessage([]byte(`2["e"]`))}
	s := Socket{nsp: &Namespace{handling: handling{server: &Server{cfg: Config{Engine: engineio.Config{QueueBytes: 1 << 10, QueueMessages: 10}}}}}}
	if err := s.send(message, false); !errors.Is(err, ErrNotConnected) {
		t.Errorf("connecting: got %v, want ErrNotConnected", err)
	}
	if !s.beginAnswer() || s.beginAnswer() {
		t.Error("beginAnswer: want true, then false")
	}
	for range 2 {
		if err := s.send(message, false); err != nil {
			t.Errorf("answering: %v", err)
		}
	}
	if err := s.send(message, true); !errors.Is(err, ErrDropped) {
		t.Errorf("answering, volatile: got %v, want ErrDropped", err)
	}
	if n := len(s.backlog.messages); n != 2 {
		t.Errorf("answering: %d messages held, want 2", n)
	}
	s.phase.Store(int32(phaseLeft))
	if err := s.send(message, false); !errors.Is(err, ErrNotConnected) {
		t.Errorf("left: got %v, want ErrNotConnected", err)
	}
	if s.endAnswer() {
		t.Error("endAnswer of a socket that left: got true")
	}
}
