package main

import (
	"context"
	"encoding/json"
	"fmt"

	"larder/engineio"
	"larder/socketio"
)

// namespaces are /, /1 to /9, and /guarded, which lets in who has the token.
func namespaces() []string {
	names := []string{"/", "/guarded"}
	for i := 1; i <= 9; i++ {
		names = append(names, fmt.Sprintf("/%d", i))
	}
	return names
}

func (a *app) setUp() {
	for _, name := range namespaces() {
		n := a.io.Of(name)
		if name == "/guarded" {
			n.Use(guard)
		}
		n.OnConnect(func(_ context.Context, s *socketio.Socket) {
			a.tell(report{What: "connect", Nsp: name, ID: s.ID()})
			emit(s, "welcome", s.Handshake().Auth)
		})
		n.OnDisconnect(func(s *socketio.Socket, reason engineio.Reason) {
			a.tell(report{What: "disconnect", Nsp: name, ID: s.ID(), Reason: reason})
		})
		n.OnRaw("echo", echo)
		n.OnRaw("ask", ask)
		n.OnRaw("note", a.note)
		n.OnRaw("mute", mute)
		n.OnRaw("broadcast", broadcast)
		n.OnRaw("leave me", leave)
	}
}

// guard refuses who does not have the token.
func guard(_ context.Context, s *socketio.Socket) error {
	var auth struct {
		Token string   `json:"token"`
		Rooms []string `json:"rooms"`
	}
	if err := json.Unmarshal(s.Handshake().Auth, &auth); err != nil {
		return &socketio.Refusal{Message: "no auth of ours"}
	}
	if auth.Token != "open sesame" {
		return &socketio.Refusal{Message: "wrong token", Data: map[string]any{"code": 7, "token": auth.Token}}
	}
	s.Join(auth.Rooms...)
	return nil
}

// echo sends the arguments back as an event.
func echo(_ context.Context, s *socketio.Socket, args socketio.Args) (*socketio.Args, error) {
	ev, err := socketio.NewBinaryEvent("echo", args)
	if err != nil {
		return nil, err
	}
	_ = s.Emit(ev) // a client that is gone again
	return nil, nil
}

// ask sends the arguments back as an ack.
func ask(_ context.Context, _ *socketio.Socket, args socketio.Args) (*socketio.Args, error) {
	return &args, nil
}

// mute never answers.
func mute(context.Context, *socketio.Socket, socketio.Args) (*socketio.Args, error) { return nil, nil }

// note keeps its first argument.
func (a *app) note(_ context.Context, s *socketio.Socket, args socketio.Args) (*socketio.Args, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.heard[s.ID()] = append(a.heard[s.ID()], append(json.RawMessage(nil), args.Values[0]...))
	return &socketio.Args{}, nil
}

// broadcast sends "news" with the second argument to the rooms of the first,
// without its author.
func broadcast(_ context.Context, s *socketio.Socket, args socketio.Args) (*socketio.Args, error) {
	var rooms []string
	if err := json.Unmarshal(args.Values[0], &rooms); err != nil {
		return nil, err
	}
	ev, err := socketio.NewEvent("news", args.Values[1])
	if err != nil {
		return nil, err
	}
	s.Broadcast(ev, rooms...)
	return &socketio.Args{}, nil
}

// leave lets go of the socket inside its own handler.
func leave(_ context.Context, s *socketio.Socket, _ socketio.Args) (*socketio.Args, error) {
	emit(s, "farewell", json.RawMessage(`"you asked for it"`))
	s.Disconnect()
	return nil, nil
}

func emit(s *socketio.Socket, name string, args ...json.RawMessage) {
	if ev, err := socketio.NewEvent(name, args...); err == nil {
		_ = s.Emit(ev) // a client that is gone again
	}
}
