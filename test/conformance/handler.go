package main

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"larder/engineio"
	"larder/socketio"
)

// What both suites have written into them.
const (
	pingInterval   = 300 * time.Millisecond
	pingTimeout    = 200 * time.Millisecond
	connectTimeout = time.Second
	maxPayload     = 1_000_000
)

// greetAfter is how long the first event waits behind the CONNECT answer. The
// Socket.IO suite asks for its second message only once it has the first, and in
// Node both are gone by then if they came in one read, which package ws hands on
// in one go. The reference loses tests to that, too; a browser does not.
const greetAfter = 50 * time.Millisecond

// A handler is the server under test: both servers under one address.
type handler struct {
	http.ServeMux
	engine *engineio.Server
	socket *socketio.Server
}

// newHandler returns the servers with the timings of the suites, or patient
// ones with those of engineio.
func newHandler(log *slog.Logger, patient bool) (*handler, error) {
	cfg := engineio.Config{
		PingInterval: pingInterval,
		PingTimeout:  pingTimeout,
		MaxPayload:   maxPayload,
		Logger:       log,
	}
	wait := connectTimeout
	if patient {
		cfg.PingInterval, cfg.PingTimeout, wait = 0, 0, 0
	}
	h := &handler{}
	var err error
	h.socket, err = socketio.NewServer(socketio.Config{Engine: cfg, ConnectTimeout: wait, Logger: log})
	if err != nil {
		return nil, err
	}
	for _, name := range []string{"/", "/custom"} {
		n := h.socket.Of(name)
		answer(n)
		relay(n)
	}
	h.socket.Of("/closed").Use(func(context.Context, *socketio.Socket) error {
		return &socketio.Refusal{Message: "not you", Data: map[string]any{"code": 7}}
	})

	cfg.Path = "/engine.io/"
	h.engine, err = engineio.NewServer(cfg, func(s *engineio.Session) engineio.Receiver { return echo{s} })
	if err != nil {
		return nil, err
	}
	h.Handle("/engine.io/", h.engine)
	h.Handle("/socket.io/", h.socket)
	return h, nil
}

// Shutdown closes all connections of both servers.
func (h *handler) Shutdown(ctx context.Context) error {
	return errors.Join(h.engine.Shutdown(ctx), h.socket.Shutdown(ctx))
}

// answer makes a namespace tell a client what it came with, and say back
// whatever it hears, binary or not.
func answer(n *socketio.Namespace) {
	n.OnConnect(func(ctx context.Context, s *socketio.Socket) {
		select {
		case <-time.After(greetAfter):
		case <-ctx.Done():
		}
		if ev, err := socketio.NewEvent("auth", s.Handshake().Auth); err == nil {
			_ = s.Emit(ev) // a client that is gone again
		}
	})
	n.OnRaw("message", func(_ context.Context, s *socketio.Socket, args socketio.Args) (*socketio.Args, error) {
		ev, err := socketio.NewBinaryEvent("message-back", args)
		if err != nil {
			return nil, err
		}
		return nil, s.Emit(ev)
	})
	n.OnRaw("message-with-ack", func(_ context.Context, _ *socketio.Socket, args socketio.Args) (*socketio.Args, error) {
		return &args, nil
	})
}

// relay makes a namespace carry what a client says to the others, which no
// suite asks for but tests with several clients do.
func relay(n *socketio.Namespace) {
	n.OnRaw("message-to-others", func(_ context.Context, s *socketio.Socket, args socketio.Args) (*socketio.Args, error) {
		ev, err := socketio.NewBinaryEvent("message-back", args)
		if err == nil {
			s.Broadcast(ev)
		}
		return nil, err
	})
	n.OnRaw("ask-others", func(ctx context.Context, _ *socketio.Socket, args socketio.Args) (*socketio.Args, error) {
		ev, err := socketio.NewBinaryEvent("question", args)
		if err != nil {
			return nil, err
		}
		answers, err := n.EmitAck(ctx, ev)
		for _, a := range answers {
			if a.Err == nil {
				return &a.Args, nil
			}
		}
		return nil, err // not even the asker's own, which its handler holds up
	})
	n.OnRaw("leave", func(_ context.Context, s *socketio.Socket, _ socketio.Args) (*socketio.Args, error) {
		s.Disconnect()
		return nil, nil
	})
}

// echo sends every message back.
type echo struct{ session *engineio.Session }

// Receive implements [engineio.Receiver]. A message that can no longer be sent
// is nobody's fault.
func (e echo) Receive(text []byte) error {
	_ = e.session.Send(engineio.NewMessage(text))
	return nil
}

// ReceiveBinary implements [engineio.Receiver].
func (e echo) ReceiveBinary(data []byte) error {
	_ = e.session.Send(engineio.NewBinaryMessage(data))
	return nil
}

// Closed implements [engineio.Receiver].
func (echo) Closed(engineio.Cause) {}
