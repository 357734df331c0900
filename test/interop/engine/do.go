package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"larder/socketio"
)

// An order is what a test asks the server to do.
type order struct {
	Do     string   `json:"do"`
	Nsp    string   `json:"nsp"`    // "" is /
	Socket string   `json:"socket"` // id; "" is all of the namespace, or to
	To     []string `json:"to"`     // rooms
	Except []string `json:"except"`

	Event    string            `json:"event"`
	Args     []json.RawMessage `json:"args"` // {"$bin":"base64"} stands for binary
	Volatile bool              `json:"volatile"`
	Fill     *int              `json:"fill"` // one more argument: a text, or binary, of that length
	Binary   bool              `json:"binary"`
	Count    int               `json:"count"` // so many, each with its number as first argument
	First    int               `json:"first"` // the first number
	Every    float64           `json:"every"` // ms between them
}

// answer is what it gets back; fields that do not apply are left out.
type answer struct {
	Args    []json.RawMessage `json:"args,omitempty"`
	Answers []answer          `json:"answers,omitempty"`
	Heard   []json.RawMessage `json:"heard,omitempty"`
	Dropped int               `json:"dropped,omitempty"`
	Rooms   []string          `json:"rooms,omitempty"`
	Sockets []string          `json:"sockets,omitempty"`
	Error   string            `json:"error,omitempty"`
}

func (a *app) serveDo(w http.ResponseWriter, r *http.Request) {
	var o order
	if err := json.NewDecoder(r.Body).Decode(&o); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	got, err := a.do(r.Context(), o)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(got) // a test that is over
}

func (a *app) do(ctx context.Context, o order) (answer, error) {
	if o.Nsp == "" {
		o.Nsp = "/"
	}
	if !slices.Contains(namespaces(), o.Nsp) {
		return answer{}, fmt.Errorf("no namespace %q", o.Nsp)
	}
	n := a.io.Of(o.Nsp)
	var s *socketio.Socket
	if o.Socket != "" {
		found := n.Sockets(o.Socket)
		if len(found) == 0 {
			return answer{}, fmt.Errorf("no socket %q", o.Socket)
		}
		s = found[0]
	}
	switch o.Do {
	case "emit":
		return emitAll(n, s, o)
	case "ask":
		return askAll(ctx, n, s, o)
	case "heard":
		a.mu.Lock()
		defer a.mu.Unlock()
		return answer{Heard: slices.Clone(a.heard[o.Socket])}, nil
	case "sockets":
		var ids []string
		for _, s := range n.Sockets(o.To...) {
			ids = append(ids, s.ID())
		}
		return answer{Sockets: ids}, nil
	case "join":
		s.Join(o.To...)
	case "leave":
		s.Leave(o.To...)
	case "rooms":
		return answer{Rooms: s.Rooms()}, nil
	case "disconnect":
		s.Disconnect()
	case "disconnect all":
		s.DisconnectAll()
	case "close":
		s.Close("")
	default:
		return answer{}, fmt.Errorf("cannot do %q", o.Do)
	}
	return answer{}, nil
}

func (o order) newEvent(number int) (*socketio.Event, error) {
	args, err := pack(o.Args)
	if err != nil {
		return nil, err
	}
	if o.Count > 0 {
		args.Values = append([]json.RawMessage{fmt.Append(nil, number)}, args.Values...)
	}
	switch {
	case o.Fill != nil && o.Binary:
		args.Values = append(args.Values, socketio.Placeholder(len(args.Attachments)))
		args.Attachments = append(args.Attachments, filling(*o.Fill))
	case o.Fill != nil:
		args.Values = append(args.Values, []byte(`"`+strings.Repeat("x", *o.Fill)+`"`))
	}
	ev, err := socketio.NewBinaryEvent(o.Event, args)
	if err == nil && o.Volatile {
		ev = ev.Volatile()
	}
	return ev, err
}

// filling is data that shows when a part of it is lost.
func filling(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i % 251)
	}
	return b
}

func emitAll(n *socketio.Namespace, s *socketio.Socket, o order) (answer, error) {
	var done answer
	for i := range max(o.Count, 1) {
		if i > 0 && o.Every > 0 {
			<-time.After(time.Duration(o.Every * float64(time.Millisecond)))
		}
		ev, err := o.newEvent(o.First + i)
		switch {
		case err != nil:
			return answer{}, err
		case s == nil:
			n.EmitExcept(ev, o.Except, o.To...)
			continue
		}
		switch err = s.Emit(ev); {
		case errors.Is(err, socketio.ErrDropped):
			done.Dropped++
		case err != nil:
			return answer{}, err
		}
	}
	return done, nil
}

func askAll(ctx context.Context, n *socketio.Namespace, s *socketio.Socket, o order) (answer, error) {
	ev, err := o.newEvent(0)
	if err != nil {
		return answer{}, err
	}
	if s != nil {
		args, err := s.EmitAck(ctx, ev)
		return newAnswer(args, err), nil
	}
	var all answer
	answers, err := n.EmitAck(ctx, ev, o.To...)
	if err != nil {
		all.Error = err.Error()
	}
	for _, a := range answers {
		all.Answers = append(all.Answers, newAnswer(a.Args, a.Err))
	}
	return all, nil
}

func newAnswer(args socketio.Args, err error) answer {
	if err != nil {
		return answer{Error: err.Error()}
	}
	return answer{Args: unpack(args)}
}

// pack makes placeholders and attachments of what stands for binary. Only whole
// arguments are looked at; what is deeper, clients send.
func pack(values []json.RawMessage) (args socketio.Args, err error) {
	for _, v := range values {
		var bin struct {
			Data *string `json:"$bin"`
		}
		if bytes.HasPrefix(v, []byte(`{"$bin":`)) && json.Unmarshal(v, &bin) == nil {
			data, err := base64.StdEncoding.DecodeString(*bin.Data)
			if err != nil {
				return args, err
			}
			v = socketio.Placeholder(len(args.Attachments))
			args.Attachments = append(args.Attachments, data)
		}
		args.Values = append(args.Values, v)
	}
	return args, nil
}

// unpack undoes pack, at any depth.
func unpack(args socketio.Args) []json.RawMessage {
	values := args.Values
	for i, data := range args.Attachments {
		bin, err := json.Marshal(map[string][]byte{"$bin": data})
		if err != nil {
			panic(err) // bytes always encode
		}
		for j, v := range values {
			values[j] = bytes.ReplaceAll(v, socketio.Placeholder(i), bin)
		}
	}
	return values
}
