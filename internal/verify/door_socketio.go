package verify

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/gobwas/ws"

	"larder/api"
	"larder/engineio"
	"larder/socketio"
)

// namespace is the one that witnesses join.
const namespace = "/donations"

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
	unsure    bool // what the socket was narrowed to before it was lost is not known
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
	t := &polling{ctx: ctx, w: w, packets: make(chan engineio.Packet), failed: make(chan error, 1)}
	t.expect(openTimeout)
	defer t.polls.Wait()
	defer cancel()
	t.polls.Go(t.poll)
	return w.speak(ctx, t)
}

// polling is an Engine.IO client that polls: always one GET, and a POST beside it
// when there is something to say, as the stock client does.
type polling struct {
	ctx     context.Context
	w       *witness
	polls   sync.WaitGroup
	packets chan engineio.Packet
	failed  chan error

	mu       sync.Mutex // guards the fields below
	sid      string
	patience time.Duration
}

func (t *polling) expect(d time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.patience = d
}

func (t *polling) close() {}

// poll sends one GET after the other until one fails.
func (t *polling) poll() {
	for {
		body, err := t.do(http.MethodGet, nil)
		if err == nil {
			err = t.take(body)
		}
		if err != nil {
			t.failed <- err
			return
		}
	}
}

func (t *polling) take(body []byte) error {
	for p, err := range engineio.ParsePayload(body) {
		if err != nil {
			return err
		}
		if p.Type == engineio.PacketOpen {
			var open engineio.OpenPacket
			if err := json.Unmarshal(p.Data, &open); err != nil {
				return err
			}
			t.mu.Lock()
			t.sid = open.SID
			t.mu.Unlock()
		}
		select {
		case t.packets <- p:
		case <-t.ctx.Done():
			return context.Cause(t.ctx)
		}
	}
	return nil
}

func (t *polling) read() (engineio.Packet, error) {
	select {
	case p := <-t.packets:
		return p, nil
	case err := <-t.failed:
		return engineio.Packet{}, err
	}
}

func (t *polling) do(method string, body []byte) ([]byte, error) {
	t.mu.Lock()
	sid, patience := t.sid, t.patience
	t.mu.Unlock()
	ctx, cancel := context.WithTimeout(t.ctx, patience)
	defer cancel()
	// Like a browser, the HTTP client sends a request again whose connection broke
	// before the answer began; t tells the server that it is the same (E-74, E-75).
	q := url.Values{"EIO": {"4"}, "transport": {"polling"}, "t": {rand.Text()}}
	if sid != "" {
		q.Set("sid", sid)
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

func (t *polling) write(p engineio.Packet) error {
	_, err := t.do(http.MethodPost, engineio.AppendPacket(nil, p))
	return err
}

// speak runs one connection as the stock client does (E-36, S-1, S-50 to S-54).
func (w *witness) speak(ctx context.Context, t transport) error {
	s := &socket{transport: t, w: w, unsure: w.pending}
	w.comesBack()
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
		if s.recovered && !s.unsure {
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
		if p.ID == refreshID {
			return s.refreshed(p.Data)
		}
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
		switch e.Code {
		case api.CodeUnavailable, api.CodeDraining, api.CodeAccountSuspended:
		default:
			s.w.fault("was told of an exception: %s %s", e.Code, e.Message)
		}
		return &refusedError{code: e.Code, message: e.Message, retry: true}
	case name == api.EventFeedPosition: // it is there for its offset alone
		return nil
	case !s.listening: // of the whole feed, before it is narrowed
		return nil
	}
	if err := s.w.hear(name, args[1]); err != nil {
		return err
	}
	return s.step()
}

func (s *socket) ready(ctx context.Context, data []byte) error {
	var r api.FeedReady
	if err := json.Unmarshal(data, &r); err != nil {
		return err
	}
	switch {
	case r.Recovered != s.recovered:
		s.w.fault("feed.ready says recovered: %t, and the pid says %t", r.Recovered, s.recovered)
		return errors.New("contradiction")
	case s.recovered && !s.unsure:
		return nil
	case s.w.wanted != nil || s.unsure:
		s.reason = r.Reason
		return s.subscribe()
	}
	s.listening = true
	return s.w.enter(ctx, r)
}
