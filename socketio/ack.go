package socketio

import (
	"context"
	"fmt"
	"time"
)

// An Answer is what one socket answered to an event that asked for an ack, or
// why it did not.
type Answer struct {
	Socket *Socket
	Args   Args
	Err    error // ErrAckTimeout, ErrNotConnected, ErrTooManyAcks, ErrDropped, the end of the context, or of Send
}

// EmitAck sends an event and waits for the client's ack, until ctx ends, the
// socket disconnects, or Config.AckTimeout is over. In every case the ack is
// forgotten: one that comes later is ignored (S-24).
//
// A handler occupies the reader of its connection, which would have to read the
// ack. With the context that a handler was given, EmitAck to a socket of the
// same connection therefore returns ErrInHandler at once; a handler that waits
// under another context waits in vain until the timeout. Start a goroutine with
// [Socket.Context] instead.
func (s *Socket) EmitAck(ctx context.Context, ev *Event) (Args, error) {
	answer := s.nsp.gather(ctx, ev, []*Socket{s})[0]
	return answer.Args, answer.Err
}

// EmitAck sends one packet to every socket, or to the union of the rooms, and
// gathers the acks under the rules of [Socket.EmitAck]. It returns one answer
// for each socket, and an error if any of them has one. S-25
func (n *Namespace) EmitAck(ctx context.Context, ev *Event, rooms ...string) ([]Answer, error) {
	answers := n.gather(ctx, ev, n.members.members(rooms, nil))
	missing, first := 0, error(nil)
	for _, a := range answers {
		if a.Err != nil {
			if missing++; first == nil {
				first = a.Err
			}
		}
	}
	if missing > 0 {
		return answers, fmt.Errorf("%d of %d sockets did not answer: %w", missing, len(answers), first)
	}
	return answers, nil
}

// gather does the work of both. Each answer stands at the place of its socket.
func (n *Namespace) gather(ctx context.Context, ev *Event, sockets []*Socket) []Answer {
	answers := make([]Answer, len(sockets))
	place := make(map[*Socket]int, len(sockets))
	blocked, _ := ctx.Value(readerKey{}).(*conn)
	incoming := make(chan Answer, len(sockets)) // room for all: nobody waits to answer
	id := n.lastAck.Add(1)
	messages := ev.withID(n.name, id)
	defer func() {
		for _, s := range sockets {
			s.forgetAck(id)
		}
	}()
	for i, s := range sockets {
		answers[i] = Answer{Socket: s, Err: ErrInHandler}
		if s.conn == blocked {
			continue
		}
		if answers[i].Err = s.expectAck(id, incoming); answers[i].Err != nil {
			continue
		}
		place[s] = i
		if err := s.send(messages, ev.volatile); err != nil && s.forgetAck(id) {
			answers[i].Err = err
			delete(place, s)
		}
	}
	timeout := time.NewTimer(n.server.cfg.AckTimeout)
	defer timeout.Stop()
	var late error
	for len(place) > 0 && late == nil {
		select {
		case a := <-incoming:
			answers[place[a.Socket]] = a
			delete(place, a.Socket)
		case <-ctx.Done():
			late = context.Cause(ctx)
		case <-timeout.C:
			late = ErrAckTimeout
		}
	}
	for _, i := range place {
		answers[i].Err = late
	}
	return answers
}

// expectAck notes that an ack is to come, of which there may be MaxAcks.
func (s *Socket) expectAck(id uint64, to chan<- Answer) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := phase(s.phase.Load()); p != phaseAnswering && p != phaseJoined {
		return ErrNotConnected
	}
	if len(s.acks) >= s.nsp.server.cfg.MaxAcks {
		return ErrTooManyAcks
	}
	if s.acks == nil {
		s.acks = make(map[uint64]chan<- Answer)
	}
	s.acks[id] = to
	return nil
}

// forgetAck reports whether the ack was still to come.
func (s *Socket) forgetAck(id uint64) bool { return s.takeAck(id) != nil }

func (s *Socket) takeAck(id uint64) chan<- Answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	to := s.acks[id]
	if delete(s.acks, id); len(s.acks) == 0 {
		s.acks = nil
	}
	return to
}

// acked takes an ack of the client. An unknown or repeated id is ignored. S-23
func (s *Socket) acked(id uint64, args Args) {
	if to := s.takeAck(id); to != nil {
		to <- Answer{Socket: s, Args: args.kept()}
	}
}
