package socketio

import (
	"context"
	"errors"
	"fmt"
	"time"

	"larder/engineio"
)

// An Answer is what one socket answered to an event that asked for an ack, or
// why it did not.
type Answer struct {
	Socket *Socket
	Args   Args
	Err    error // ErrAckTimeout, ErrNotConnected, ErrTooManyAcks, ErrDropped, the end of the context, or of Send
}

// EmitAck sends an event and waits for the client's ack, until ctx ends or the
// socket disconnects. A deadline of ctx is how long this call waits, be it
// shorter or longer than Config.AckTimeout, which bounds a ctx without one. In
// every case the ack is forgotten: one that comes later is ignored (S-24).
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

// EmitAckTo is [Socket.EmitAck] whose answer is decoded by the rules of
// [Decode]. A client that answers something else fails it with ErrArgument.
func EmitAckTo[Res any](ctx context.Context, s *Socket, ev *Event) (Res, error) {
	args, err := s.EmitAck(ctx, ev)
	if err != nil {
		var none Res
		return none, err
	}
	return Decode[Res](args)
}

// EmitAck sends one packet to every socket, or to the union of the rooms, and
// gathers the acks under the rules of [Socket.EmitAck]. It returns one answer
// for each socket, and an error if any of them has one. S-25
func (n *Namespace) EmitAck(ctx context.Context, ev *Event, rooms ...string) ([]Answer, error) {
	return n.EmitAckExcept(ctx, ev, nil, rooms...)
}

// EmitAckExcept is EmitAck without the sockets that are in one of the rooms
// except.
func (n *Namespace) EmitAckExcept(ctx context.Context, ev *Event, except []string, rooms ...string) ([]Answer, error) {
	answers := n.gather(ctx, ev, n.members.members(rooms, except))
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
	var messages [parsers][]*engineio.Message // made when first needed
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
		by := s.conn.parser
		if messages[by] == nil {
			messages[by] = ev.withID(by, n.name, id)
		}
		if err := s.send(messages[by], ev.volatile); err != nil && s.forgetAck(id) {
			answers[i].Err = err
			delete(place, s)
		}
	}
	start := time.Now()
	timeout, stop := n.ackTimeout(ctx)
	defer stop()
	var late error
	for len(place) > 0 && late == nil {
		select {
		case a := <-incoming:
			answers[place[a.Socket]] = a
			delete(place, a.Socket)
			n.observeAck(a.Err, start)
		case <-ctx.Done():
			if late = context.Cause(ctx); errors.Is(late, context.DeadlineExceeded) {
				late = fmt.Errorf("%w: %w", ErrAckTimeout, late)
			}
		case <-timeout:
			late = ErrAckTimeout
		}
	}
	for _, i := range place {
		answers[i].Err = late
		n.observeAck(late, start)
	}
	return answers
}

// ackTimeout returns what bounds a wait that its caller has not bounded. S-24
func (n *Namespace) ackTimeout(ctx context.Context) (<-chan time.Time, func() bool) {
	if _, bounded := ctx.Deadline(); bounded {
		return nil, func() bool { return false }
	}
	timer := time.NewTimer(n.server.cfg.AckTimeout)
	return timer.C, timer.Stop
}

// observeAck tells of an ack that was asked for.
func (n *Namespace) observeAck(err error, start time.Time) {
	if err != nil {
		n.server.cfg.Observer.AckMissed(n.label())
	} else {
		n.server.cfg.Observer.Acked(n.label(), time.Since(start))
	}
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
// It reports whether the ack was asked for.
func (s *Socket) acked(id uint64, args Args) bool {
	to := s.takeAck(id)
	if to != nil {
		to <- Answer{Socket: s, Args: args.kept()}
	}
	return to != nil
}
