package verify

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/gobwas/ws"

	"larder/api"
	"larder/engineio"
	"larder/socketio"
)

// namespace is the one that witnesses join.
const namespace = "/donations"

// eventSubscribe narrows a feed (P-23).
const eventSubscribe = "feed.subscribe"

// transport moves Engine.IO packets. One goroutine uses it.
type transport interface {
	read() (engineio.Packet, error)
	write(p engineio.Packet) error
	expect(d time.Duration) // how long the server may be silent
	close()
}

// socket is one connection of a Socket.IO witness.
type socket struct {
	transport
	w         *witness
	heartbeat time.Duration
	recovered bool // the answer to CONNECT had the pid of before
	narrow    bool // the witness has a view
	listening bool // what comes now is to be written down
	reason    string
}

// overWebSocket is one connection over WebSocket alone, as the stock client opens
// it when it is told to use that transport.
func overWebSocket(ctx context.Context, w *witness) error {
	q := url.Values{"EIO": {"4"}, "transport": {"websocket"}}
	c, err := w.dialWebSocket(ctx, "/socket.io/", q, nil)
	if err != nil {
		return err
	}
	defer c.close()
	return w.speak(ctx, &wsTransport{c})
}

type wsTransport struct{ *webSocket }

func (t *wsTransport) read() (engineio.Packet, error) {
	msg, err := t.webSocket.read(func() {})
	if err != nil {
		return engineio.Packet{}, err
	}
	return engineio.ParsePacket(msg)
}

func (t *wsTransport) write(p engineio.Packet) error {
	return t.webSocket.write(ws.NewTextFrame(engineio.AppendPacket(nil, p)))
}

// overPolling is one session over long-polling.
func overPolling(ctx context.Context, w *witness) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	return w.speak(ctx, &polling{ctx: ctx, w: w, patience: openTimeout})
}

// polling is an Engine.IO client that polls.
type polling struct {
	ctx      context.Context
	w        *witness
	sid      string
	patience time.Duration
	waiting  []engineio.Packet
}

func (t *polling) expect(d time.Duration) { t.patience = d }
func (t *polling) close()                 {}

func (t *polling) do(method string, body []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(t.ctx, t.patience)
	defer cancel()
	q := url.Values{"EIO": {"4"}, "transport": {"polling"}}
	if t.sid != "" {
		q.Set("sid", t.sid)
	}
	req, err := http.NewRequestWithContext(ctx, method, t.w.site.url("http", "/socket.io/", q), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "text/plain;charset=UTF-8")
	}
	resp, err := t.w.site.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxMessage))
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK { // the session is not known any more: open another
		return nil, &refusedError{status: resp.StatusCode, message: fmt.Sprintf("%.200q", answer), retry: true}
	}
	return answer, nil
}

func (t *polling) read() (engineio.Packet, error) {
	for len(t.waiting) == 0 {
		body, err := t.do(http.MethodGet, nil)
		if err != nil {
			return engineio.Packet{}, err
		}
		for p, err := range engineio.ParsePayload(body) {
			if err != nil {
				return p, err
			}
			t.waiting = append(t.waiting, p)
		}
	}
	p := t.waiting[0]
	t.waiting = t.waiting[1:]
	if p.Type == engineio.PacketOpen {
		var open engineio.OpenPacket
		if err := json.Unmarshal(p.Data, &open); err != nil {
			return p, err
		}
		t.sid = open.SID
	}
	return p, nil
}

func (t *polling) write(p engineio.Packet) error {
	_, err := t.do(http.MethodPost, engineio.AppendPacket(nil, p))
	return err
}

// speak runs one connection as the stock client does (E-36, S-1, S-50 to S-54).
func (w *witness) speak(ctx context.Context, t transport) error {
	s := &socket{transport: t, w: w, narrow: w.View != nil}
	t.expect(openTimeout)
	p, err := t.read()
	if err != nil {
		return err
	}
	var open engineio.OpenPacket
	if p.Type != engineio.PacketOpen || json.Unmarshal(p.Data, &open) != nil {
		return fmt.Errorf("no handshake: %.100q", p.Data)
	}
	s.heartbeat = time.Duration(open.PingInterval+open.PingTimeout) * time.Millisecond
	auth := map[string]string{"token": w.token}
	if w.pid != "" {
		auth["pid"] = w.pid
		if w.offset != "" {
			auth["offset"] = w.offset
		}
	}
	data, err := json.Marshal(auth)
	if err != nil {
		return err
	}
	if err := s.send(socketio.Packet{Type: socketio.PacketConnect, Namespace: namespace, Data: data}); err != nil {
		return err
	}
	t.expect(s.heartbeat)
	for {
		p, err := t.read()
		if err != nil {
			return err
		}
		switch p.Type {
		case engineio.PacketPing:
			t.expect(s.heartbeat)
			err = t.write(engineio.Packet{Type: engineio.PacketPong, Data: p.Data})
		case engineio.PacketMessage:
			err = s.packet(ctx, p.Data)
		case engineio.PacketClose:
			err = errors.New("the server ended the session")
		case engineio.PacketOpen, engineio.PacketPong, engineio.PacketUpgrade, engineio.PacketNoop:
		}
		if err != nil {
			return err
		}
	}
}

func (s *socket) send(p socketio.Packet) error {
	return s.write(engineio.Packet{Type: engineio.PacketMessage, Data: socketio.AppendPacket(nil, p)})
}

func (s *socket) packet(ctx context.Context, text []byte) error {
	p, err := socketio.ParsePacket(text)
	if err != nil {
		s.w.fault("heard what is no packet: %.100q", text)
		return err
	}
	switch p.Type {
	case socketio.PacketConnect:
		var c struct{ Pid string }
		if err := json.Unmarshal(p.Data, &c); err != nil {
			return err
		}
		s.recovered = c.Pid != "" && c.Pid == s.w.pid
		s.w.pid = c.Pid
		if s.recovered {
			s.listening = true
			s.w.resumed("recovered")
		}
	case socketio.PacketConnectError:
		var e struct {
			Message string
			Data    api.ConnectErrorData
		}
		if err := json.Unmarshal(p.Data, &e); err != nil {
			return err
		}
		// Without data it is no refusal of the product but a server in trouble.
		return &refusedError{code: e.Data.Code, message: e.Message, retry: e.Data.Retry || e.Data.Code == ""}
	case socketio.PacketDisconnect:
		return errors.New("the server ended the socket")
	case socketio.PacketEvent:
		return s.event(ctx, p.Data)
	case socketio.PacketAck:
		return s.subscribed(p.Data)
	case socketio.PacketBinaryEvent, socketio.PacketBinaryAck:
		s.w.fault("heard a binary packet")
	}
	return nil
}

func (s *socket) event(ctx context.Context, data []byte) error {
	var args []json.RawMessage
	var name string
	if err := json.Unmarshal(data, &args); err != nil || len(args) < 2 || json.Unmarshal(args[0], &name) != nil {
		s.w.fault("heard an event that has no name or no data: %.100q", data)
		return errors.New("bad event")
	}
	// The stock client takes any text at the end for the offset (S-51).
	var offset string
	if s.w.pid != "" && json.Unmarshal(args[len(args)-1], &offset) == nil && offset != "" {
		s.w.offset = offset
	}
	switch {
	case name == api.EventFeedReady:
		return s.ready(ctx, args[1])
	case name == api.EventException:
		var e api.Exception
		if err := json.Unmarshal(args[1], &e); err != nil {
			return err
		}
		s.w.fault("was told of an exception: %s %s", e.Code, e.Message)
		return errors.New(e.Message)
	case !s.listening: // of the whole feed, before it is narrowed
		return nil
	}
	return s.w.hear(name, args[1])
}

func (s *socket) ready(ctx context.Context, data []byte) error {
	var r started
	if err := json.Unmarshal(data, &r); err != nil {
		return err
	}
	switch {
	case r.Recovered != s.recovered:
		s.w.fault("feed.ready says recovered: %t, and the pid says %t", r.Recovered, s.recovered)
		return errors.New("contradiction")
	case s.recovered:
		return nil
	case s.narrow:
		s.reason = r.Reason
		return s.subscribe()
	}
	s.listening = true
	return s.w.enter(ctx, r)
}

// subscribe narrows the feed of the socket.
func (s *socket) subscribe() error {
	v := s.w.View
	body := map[string]any{}
	if v.RadiusKm > 0 {
		body["area"] = map[string]float64{"lat": v.Lat, "lng": v.Lng, "radiusKm": v.RadiusKm}
	}
	if len(v.Statuses) > 0 {
		body["statuses"] = v.Statuses
	}
	if len(v.FoodTypes) > 0 {
		body["foodTypes"] = v.FoodTypes
	}
	data, err := json.Marshal([]any{eventSubscribe, body})
	if err != nil {
		return err
	}
	return s.send(socketio.Packet{Type: socketio.PacketEvent, Namespace: namespace, ID: 1, HasID: true, Data: data})
}

// subscribed takes the snapshot from which on the narrowed feed goes.
func (s *socket) subscribed(data []byte) error {
	var args []struct {
		Position string         `json:"position"`
		Items    []api.Donation `json:"items"`
		api.Exception
	}
	if err := json.Unmarshal(data, &args); err != nil || len(args) != 1 || args[0].Position == "" {
		s.w.fault("feed.subscribe is answered with %.200q", data)
		return errors.New("not subscribed")
	}
	a := args[0]
	if s.w.began {
		s.w.gap(a.Position, s.reason)
	} else {
		s.w.begin(a.Position)
	}
	s.w.Notes = append(s.w.Notes, Note{Kind: NoteSnapshot, Position: a.Position, Items: itemsOf(a.Items), Exact: true})
	s.listening = true
	return nil
}
