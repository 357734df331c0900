package socketio

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
)

// handler is what typed and raw handlers have in common. The arguments are
// valid during the call. It makes an answer only if one is wanted.
type handler func(ctx context.Context, s *Socket, args Args, ack ackTo) (*Args, error)

// ackTo is where the answer to an event goes.
type ackTo struct {
	id     uint64
	wanted bool
}

// Handling is what has handlers: a [Namespace] or a [Parent].
type Handling interface {
	handle(event string, h handler)
}

// On sets the handler of an event. It panics if there is one already.
//
// Req is decoded from the first argument; further ones, and members that Req
// does not have, are ignored, since a client may know more than this server.
// A missing argument leaves a struct zero and a pointer, map, slice or interface
// nil; for any other type it is an error. So is null, unless Req can be nil.
// Binary data is an error: see OnRaw.
//
// Res is the one argument of the ack, if the client asked for one. See OnError
// for what happens to errors.
func On[Req, Res any](n Handling, event string, h func(ctx context.Context, s *Socket, req Req) (Res, error)) {
	kind := reflect.TypeFor[Req]().Kind() // once, here: no reflection of ours per event
	n.handle(event, func(ctx context.Context, s *Socket, args Args, ack ackTo) (*Args, error) {
		var req Req
		if err := decodeFirst(args, kind, &req); err != nil {
			return nil, err
		}
		res, err := h(ctx, s, req)
		if err != nil || !ack.wanted {
			return nil, err
		}
		data, err := marshal(res)
		if err != nil {
			return nil, fmt.Errorf("marshal the answer to %s: %w", event, err)
		}
		return &Args{Values: []json.RawMessage{data}}, nil
	})
}

// OnAnswer is [On] for a handler that answers by itself, at the moment that
// matters: what was emitted to the socket before the call of answer reaches the
// client before the answer, and what is emitted after it, after it. answer does
// not wait, fails if the socket has left, does nothing if the client asked for no
// ack, and is of no use once the handler has returned; calling it twice is an
// error. A handler that returns an error must not have answered.
func OnAnswer[Req, Res any](n Handling, event string, h func(ctx context.Context, s *Socket, req Req, answer func(Res) error) error) {
	kind := reflect.TypeFor[Req]().Kind()
	n.handle(event, func(ctx context.Context, s *Socket, args Args, ack ackTo) (*Args, error) {
		var req Req
		if err := decodeFirst(args, kind, &req); err != nil {
			return nil, err
		}
		answered := false
		return nil, h(ctx, s, req, func(res Res) error {
			if answered {
				return fmt.Errorf("second answer to %s", event)
			}
			answered = true
			if !ack.wanted {
				return nil
			}
			data, err := marshal(res)
			if err != nil {
				return fmt.Errorf("marshal the answer to %s: %w", event, err)
			}
			return s.answer(ack.id, Args{Values: []json.RawMessage{data}})
		})
	})
}

// answer sends an ack.
func (s *Socket) answer(id uint64, args Args) error {
	return s.send(encodeAck(s.conn.parser, s.nsp.name, id, args), false)
}

// Decode decodes the first argument of an ack or a raw event, by the rules that
// [On] has for Req: what does not decode is ErrArgument.
func Decode[T any](args Args) (T, error) {
	var v T
	err := decodeFirst(args, reflect.TypeFor[T]().Kind(), &v)
	return v, err
}

// decodeFirst decodes the first argument into req, which points to a value of
// that kind.
func decodeFirst(args Args, kind reflect.Kind, req any) error {
	nilable := kind == reflect.Pointer || kind == reflect.Map || kind == reflect.Slice || kind == reflect.Interface
	switch {
	case len(args.Attachments) > 0:
		return fmt.Errorf("%w: binary data", ErrArgument)
	case len(args.Values) == 0 && (nilable || kind == reflect.Struct):
		return nil
	case len(args.Values) == 0:
		return fmt.Errorf("%w: missing", ErrArgument)
	case string(args.Values[0]) == "null" && !nilable:
		return fmt.Errorf("%w: null", ErrArgument)
	}
	if err := json.Unmarshal(args.Values[0], req); err != nil {
		return fmt.Errorf("%w: %w", ErrArgument, err)
	}
	return nil
}

// OnRaw sets a handler that gets the arguments as they came, attachments and
// all, and may keep them. What it returns answers the ack, if the client asked
// for one; nil leaves it unanswered.
func (n *handling) OnRaw(event string, h func(ctx context.Context, s *Socket, args Args) (*Args, error)) {
	n.handle(event, func(ctx context.Context, s *Socket, args Args, _ ackTo) (*Args, error) {
		return h(ctx, s, args.kept())
	})
}

func (n *handling) handle(event string, h handler) {
	n.mustConfigure()
	if err := checkEventName(event); err != nil {
		panic(fmt.Sprintf("socketio: handler for %q: %v", event, err))
	}
	if n.handlers[event] != nil {
		panic(fmt.Sprintf("socketio: two handlers for %q", event))
	}
	n.handlers[event] = h
}

// dispatch hands an event to its handler and returns the answer, if there is
// one. Nobody waits for an event without handler: it is ignored.
func (n *Namespace) dispatch(s *Socket, event string, args Args, ack ackTo) *Args {
	h := n.handlers[event]
	if h == nil {
		n.log.Debug("socketio: unknown event", "event", event)
		return nil
	}
	answer, err := n.invoke(h, s, args, ack)
	if err == nil && answer != nil && ack.wanted {
		if err = answer.check(); err != nil {
			err = fmt.Errorf("answer to %s: %w", event, err)
		}
	}
	if err == nil {
		return answer
	}
	return n.failed(s, Failure{Event: event, Args: args.kept(), Err: err})
}

func (n *Namespace) invoke(h handler, s *Socket, args Args, ack ackTo) (answer *Args, err error) {
	defer n.recovered("event handler panicked", s, &err)
	return h(s.handling(), s, args, ack)
}

// failed asks OnError for an answer.
func (n *Namespace) failed(s *Socket, f Failure) *Args {
	if n.onError == nil {
		switch {
		case errors.Is(f.Err, ErrRateLimited): // if it goes on, the close is logged
			n.log.Debug("socketio: event refused", "event", f.Event, "err", f.Err)
		case errors.Is(f.Err, ErrArgument):
			n.log.Info("socketio: argument refused", "event", f.Event, "err", f.Err)
		default:
			n.log.Error("socketio: handler failed", "event", f.Event, "err", f.Err)
		}
		return nil
	}
	value, err := n.explain(s, f)
	if err != nil || value == nil {
		return nil
	}
	answer := &Args{Values: []json.RawMessage{value}}
	if err := answer.check(); err != nil {
		n.log.Error("socketio: answer of the error handler refused", "event", f.Event, "err", err)
		return nil
	}
	return answer
}

func (n *Namespace) explain(s *Socket, f Failure) (value json.RawMessage, err error) {
	defer n.recovered("error handler panicked", s, &err)
	return n.onError(s.handling(), s, f), nil
}
