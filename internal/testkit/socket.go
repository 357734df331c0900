package testkit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/gobwas/ws"

	"larder/api"
	"larder/internal/contract"
	"larder/internal/testkit/wire"
	"larder/socketio"
)

// Socket is a Socket.IO client on a WebSocket that says what it is told to, and
// answers pings while it reads.
type Socket struct {
	*wire.WebSocket
	Namespace string
	ID, PID   string // of the CONNECT answer
	Offset    string // what a client that comes back says it has seen
}

// Event is what a client was sent: an event, or an answer (Ack, in Data).
type Event struct {
	Name string
	Data json.RawMessage
	Ack  bool
	ID   uint64
}

// Position is that of a committed event, as it stands in its payload.
func (e Event) Position() string {
	var p struct{ Position string }
	_ = json.Unmarshal(e.Data, &p)
	return p.Position
}

// Refusal is a connect_error.
type Refusal struct {
	Message string
	Data    api.ConnectErrorData
}

// Error implements error.
func (r *Refusal) Error() string { return fmt.Sprintf("refused: %s (%s)", r.Message, r.Data.Code) }

// Open opens a Socket.IO connection over WebSocket without joining a namespace.
func (n *Node) Open(ctx context.Context, header http.Header) (*Socket, error) {
	c, err := wire.DialWebSocket(ctx, n.Dial, "/socket.io/?EIO=4&transport=websocket", header)
	if err != nil {
		return nil, err
	}
	s := &Socket{WebSocket: c}
	if open, err := s.Text(); err != nil || !strings.HasPrefix(open, "0{") {
		return nil, fmt.Errorf("open packet %q: %w", open, err)
	}
	return s, nil
}

// Text returns the next Engine.IO packet that is no ping.
func (s *Socket) Text() (string, error) {
	for {
		if err := s.Conn.SetReadDeadline(time.Now().Add(2 * time.Minute)); err != nil {
			return "", err
		}
		text, err := s.ReadText()
		if err != nil || text != "2" {
			return text, err
		}
		if err := s.WebSocket.Text("3"); err != nil {
			return "", err
		}
	}
}

// Packet sends one Socket.IO packet, without the digit of the message around it.
func (s *Socket) Packet(packet string) error { return s.WebSocket.Text("4" + packet) }

// Join sends a CONNECT and reads its answer: nil, or a *Refusal.
func (s *Socket) Join(namespace string, auth any) error {
	body, err := json.Marshal(auth)
	if err != nil {
		return err
	}
	if s.Namespace = namespace; namespace == "/" {
		namespace = ""
	} else {
		namespace += ","
	}
	if auth == nil {
		body = nil
	}
	if err := s.Packet("0" + namespace + string(body)); err != nil {
		return err
	}
	p, err := s.next()
	switch {
	case err != nil:
		return err
	case p.Type == socketio.PacketConnectError:
		r := &Refusal{}
		return errors.Join(json.Unmarshal(p.Data, r), r)
	case p.Type != socketio.PacketConnect:
		return fmt.Errorf("got packet %v, want the CONNECT answer", p)
	}
	var answer struct{ SID, PID string }
	err = json.Unmarshal(p.Data, &answer)
	s.ID, s.PID = answer.SID, answer.PID
	return err
}

func (s *Socket) next() (socketio.Packet, error) {
	text, err := s.Text()
	if err != nil {
		return socketio.Packet{}, err
	}
	packet, ok := strings.CutPrefix(text, "4")
	if !ok {
		return socketio.Packet{}, fmt.Errorf("got %q, want a message", text)
	}
	return socketio.ParsePacket([]byte(packet))
}

// Next returns the next event or answer of the namespace that was joined.
func (s *Socket) Next() (Event, error) {
	for {
		p, err := s.next()
		if err != nil {
			return Event{}, err
		}
		var args []json.RawMessage
		switch p.Type {
		case socketio.PacketEvent, socketio.PacketAck:
			if err := json.Unmarshal(p.Data, &args); err != nil {
				return Event{}, err
			}
		default:
			return Event{}, fmt.Errorf("got packet %s %s", p.Type, p.Data)
		}
		if p.Namespace != s.Namespace {
			continue
		}
		e := Event{Ack: p.Type == socketio.PacketAck, ID: p.ID}
		if !e.Ack {
			if err := json.Unmarshal(args[0], &e.Name); err != nil {
				return Event{}, err
			}
			args = args[1:]
		}
		if len(args) > 0 {
			e.Data = args[0]
			if !e.Ack { // as the stock client does: S-51
				_ = json.Unmarshal(args[len(args)-1], &s.Offset)
			}
		}
		return e, e.documented(contract.SocketIO)
	}
}

// Emit sends an event; id asks for an answer unless it is negative.
func (s *Socket) Emit(id int, name string, args ...any) error {
	body, err := json.Marshal(append([]any{name}, args...))
	if err != nil {
		return err
	}
	packet := "2"
	if s.Namespace != "/" {
		packet += s.Namespace + ","
	}
	if id >= 0 {
		packet += fmt.Sprint(id)
	}
	return s.Packet(packet + string(body))
}

// Watch opens a Socket.IO connection, joins /donations and reads feed.ready.
func (n *Node) Watch(u *User) (*Socket, api.FeedReady) {
	n.tb.Helper()
	s, ready, err := n.TryWatch(n.tb.Context(), u)
	if err != nil {
		n.tb.Fatal(err)
	}
	n.tb.Cleanup(s.Abort)
	return s, ready
}

// TryWatch is Watch for any goroutine; the caller closes the socket.
func (n *Node) TryWatch(ctx context.Context, u *User) (*Socket, api.FeedReady, error) {
	var ready api.FeedReady
	s, err := n.Open(ctx, nil)
	if err != nil {
		return nil, ready, err
	}
	if err := s.Join("/donations", map[string]string{"token": u.Token}); err != nil {
		s.Abort()
		return nil, ready, err
	}
	e, err := s.Next()
	if err == nil && e.Name != api.EventFeedReady {
		err = fmt.Errorf("got %q first, want feed.ready", e.Name)
	}
	if err == nil {
		err = json.Unmarshal(e.Data, &ready)
	}
	if err != nil {
		s.Abort()
	}
	return s, ready, err
}

// Expect reads the next event and wants it to be of that name.
func Expect[T any](n *Node, s interface{ Next() (Event, error) }, name string) T {
	n.tb.Helper()
	var v T
	e, err := s.Next()
	switch {
	case err != nil:
		n.tb.Fatalf("waiting for %s: %v", name, err)
	case e.Name != name:
		n.tb.Fatalf("got %s %s, want %s", e.Name, e.Data, name)
	}
	if err := json.Unmarshal(e.Data, &v); err != nil {
		n.tb.Fatalf("%s %s: %v", name, e.Data, err)
	}
	return v
}

// Plain is a client of the plain WebSocket.
type Plain struct{ *wire.WebSocket }

// Plain opens a plain WebSocket; query is added to the path.
func (n *Node) Plain(query string, header http.Header) *Plain {
	n.tb.Helper()
	p, err := n.TryPlain(n.tb.Context(), query, header)
	if err != nil {
		n.tb.Fatal(err)
	}
	n.tb.Cleanup(p.Abort)
	return p
}

// TryPlain is Plain for any goroutine; the caller closes it.
func (n *Node) TryPlain(ctx context.Context, query string, header http.Header) (*Plain, error) {
	c, err := wire.DialWebSocket(ctx, n.Dial, "/donations"+query, header)
	if err != nil {
		return nil, err
	}
	return &Plain{c}, nil
}

// Bearer is the header that carries a token.
func Bearer(token string) http.Header { return http.Header{"Authorization": {"Bearer " + token}} }

// Frame returns the next frame, answering pings. The error at the end is a
// *wire.Closed when the server said goodbye.
func (p *Plain) Frame() (api.Frame, error) {
	var f api.Frame
	for {
		if err := p.Conn.SetReadDeadline(time.Now().Add(2 * time.Minute)); err != nil {
			return f, err
		}
		op, payload, err := p.Read()
		switch {
		case err != nil:
			return f, err
		case op == ws.OpPing:
			if err := p.Send(wire.Frame{Op: ws.OpPong, Payload: payload}); err != nil {
				return f, err
			}
		case op == ws.OpClose:
			code, reason := ws.ParseCloseFrameData(payload)
			return f, &wire.Closed{Code: code, Reason: reason}
		case op == ws.OpText:
			if err := json.Unmarshal(payload, &f); err != nil {
				return f, err
			}
			return f, Event{Name: f.Event, Data: f.Data, Ack: f.Event == ""}.documented(contract.Plain)
		}
	}
}

// Next returns the next frame as an event.
func (p *Plain) Next() (Event, error) {
	f, err := p.Frame()
	return Event{Name: f.Event, Data: f.Data, Ack: f.Event == ""}, err
}
