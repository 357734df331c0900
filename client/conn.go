package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"sync"
	"time"

	"larder/api"
	"larder/engineio"
	"larder/socketio"
)

const (
	connectTimeout = 15 * time.Second // from dialling to feed.ready

	// What may wait for a caller who is slow to take it: see ErrBehind.
	maxQueue      = 1024
	maxQueueBytes = 1 << 20
)

// Event is one live event.
type Event struct {
	// Position is the event's place in the log. It is empty for signals, which
	// are in no log and come at most once, such as server.draining.
	Position string
	Name     string
	Data     json.RawMessage

	// Gap, only in a Watch, says that what happened up to Position can't be told
	// any more, and why. Name and Data are empty: take a snapshot.
	Gap string
}

// Errors of a Conn.
var (
	// ErrBehind says that events were dropped because the caller was slow to
	// take them. Later ones follow. Watch reads the dropped ones from the log.
	ErrBehind = errors.New("client: too slow, events were dropped")

	// ErrClosed says that the Conn was closed by its own side.
	ErrClosed = errors.New("client: connection is closed")
)

var (
	errConnectTimeout = fmt.Errorf("no feed.ready within %s", connectTimeout)
	errDisconnected   = errors.New("the server ended the session")
)

// Conn is one Socket.IO connection over WebSocket, signed in and ready. It hears
// what is committed after the position of its feed.ready. It does not reconnect:
// see Watch.
type Conn struct {
	namespace string
	ws        *webSocket
	heartbeat time.Duration // the longest time between two pings
	ready     *api.FeedReady
	done      chan struct{} // closed when nothing more is read
	wake      chan struct{} // has a token when Next has something to look at

	mu       sync.Mutex // guards the fields below
	err      error      // why the connection ended
	closing  bool
	queue    []Event
	queued   int // bytes of queue
	behind   bool
	lastID   uint64
	calls    map[uint64]chan json.RawMessage
	returnAt time.Time // what server.draining asked for
}

// Connect opens a connection and waits until it is ready. ctx bounds only that.
func (c *Client) Connect(ctx context.Context) (*Conn, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, connectTimeout, errConnectTimeout)
	defer cancel()
	conn, err := c.connect(ctx)
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, fmt.Errorf("connect to %s: %w", c.base, err)
	}
	go conn.run()
	return conn, nil
}

func (c *Client) connect(ctx context.Context) (*Conn, error) {
	w, err := c.dialWebSocket(ctx)
	if err != nil {
		return nil, err
	}
	conn := &Conn{
		namespace: c.namespace, ws: w,
		done: make(chan struct{}), wake: make(chan struct{}, 1), calls: map[uint64]chan json.RawMessage{},
	}
	stop := context.AfterFunc(ctx, func() { _ = w.abort() }) // unblocks open
	err = conn.open(c.Token())
	if !stop() && err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		_ = w.abort() // the error that matters is there already
		return nil, err
	}
	return conn, nil
}

// open takes the handshake, joins the namespace and waits for feed.ready (E-36,
// S-1, P-5).
func (c *Conn) open(token string) error {
	text, err := c.ws.read()
	if err != nil {
		return err
	}
	p, err := engineio.ParsePacket(text)
	if err != nil || p.Type != engineio.PacketOpen {
		return fmt.Errorf("the server does not speak Engine.IO 4: %.40q", text)
	}
	var hello engineio.OpenPacket
	if err := json.Unmarshal(p.Data, &hello); err != nil {
		return fmt.Errorf("read the handshake: %w", err)
	}
	c.heartbeat = time.Duration(hello.PingInterval+hello.PingTimeout) * time.Millisecond
	if c.heartbeat <= 0 {
		return fmt.Errorf("the handshake has no heartbeat: %.200q", p.Data)
	}
	auth := struct {
		Token string `json:"token,omitempty"`
	}{token}
	payload, err := json.Marshal(auth)
	if err != nil {
		return err
	}
	if err := c.send(socketio.Packet{Type: socketio.PacketConnect, Namespace: c.namespace, Data: payload}); err != nil {
		return err
	}
	for c.ready == nil {
		if err := c.step(); err != nil {
			return err
		}
	}
	return nil
}

// run reads until the connection ends.
func (c *Conn) run() {
	var err error
	for err == nil {
		err = c.step()
	}
	c.mu.Lock()
	if c.err = err; c.closing {
		c.err = ErrClosed
	}
	c.mu.Unlock()
	close(c.done)
	_ = c.ws.abort() // the error that matters is in c.err
}

// step reads one message and deals with it. Only pings prolong the life of a
// connection: the server never skips one (E-56).
func (c *Conn) step() error {
	text, err := c.ws.read()
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("no ping from the server for %s", c.heartbeat)
	} else if err != nil {
		return err
	}
	p, err := engineio.ParsePacket(text)
	if err != nil {
		return err
	}
	switch p.Type {
	case engineio.PacketPing: // E-55
		if err := c.prolong(); err != nil {
			return err
		}
		return c.ws.text(engineio.AppendPacket(nil, engineio.Packet{Type: engineio.PacketPong}))
	case engineio.PacketMessage:
		if p.Binary {
			return nil
		}
		return c.packet(p.Data)
	case engineio.PacketClose: // E-38
		return errDisconnected
	case engineio.PacketOpen, engineio.PacketPong, engineio.PacketUpgrade, engineio.PacketNoop:
	}
	return nil
}

// prolong gives the server until the next ping is overdue.
func (c *Conn) prolong() error { return c.ws.conn.SetReadDeadline(time.Now().Add(c.heartbeat)) }

func (c *Conn) packet(text []byte) error {
	p, err := socketio.ParsePacket(text)
	if err != nil {
		return err
	}
	if p.Namespace != c.namespace {
		return nil
	}
	switch p.Type {
	case socketio.PacketConnect:
		return c.prolong()
	case socketio.PacketConnectError:
		return connectError(p.Data)
	case socketio.PacketDisconnect: // S-9
		return errDisconnected
	case socketio.PacketEvent:
		return c.event(p.Data)
	case socketio.PacketAck:
		return c.answer(p)
	case socketio.PacketBinaryEvent, socketio.PacketBinaryAck: // Larder sends none
	}
	return nil
}

// connectError reads why the server does not let the client in (P-3).
func connectError(data []byte) error {
	var e struct {
		Message string                `json:"message"`
		Data    *api.ConnectErrorData `json:"data"`
	}
	if err := json.Unmarshal(data, &e); err != nil {
		return fmt.Errorf("read connect_error: %w", err)
	}
	if e.Data == nil {
		// Without data it is not the product that refuses. A namespace that is
		// not there won't come (S-5); all else is a fault of the server.
		if e.Message == "Invalid namespace" {
			return &refused{err: api.NewError(http.StatusNotFound, api.CodeNotFound, e.Message)}
		}
		return &refused{err: api.NewError(http.StatusInternalServerError, api.CodeInternal, e.Message), retry: true}
	}
	return &refused{
		err:   api.NewError(statusOf(e.Data.Code), e.Data.Code, e.Message),
		retry: e.Data.Retry, after: time.Duration(e.Data.RetryAfterMs) * time.Millisecond,
	}
}

// statusOf is the HTTP status that a refusal has when it answers a request.
func statusOf(code api.Code) int {
	switch code {
	case api.CodeTokenMissing, api.CodeTokenInvalid, api.CodeTokenExpired:
		return http.StatusUnauthorized
	case api.CodeAccountSuspended, api.CodeWrongRole, api.CodeNGONotVerified, api.CodeNotYours, api.CodeOriginNotAllowed:
		return http.StatusForbidden
	case api.CodeNotFound, api.CodeDonationNotFound, api.CodeUserNotFound:
		return http.StatusNotFound
	case api.CodeRateLimited:
		return http.StatusTooManyRequests
	case api.CodeUnavailable, api.CodeDraining:
		return http.StatusServiceUnavailable
	case api.CodeInternal:
		return http.StatusInternalServerError
	}
	return http.StatusBadRequest
}

// event queues an event, or takes the two that are about the connection.
func (c *Conn) event(payload []byte) error {
	var args []json.RawMessage
	if err := json.Unmarshal(payload, &args); err != nil {
		return fmt.Errorf("read event: %w", err)
	}
	ev := Event{}
	if err := json.Unmarshal(args[0], &ev.Name); err != nil {
		return nil //nolint:nilerr // an event with a number for a name is allowed (S-20) and not Larder's
	}
	if len(args) > 1 {
		ev.Data = args[1]
	}
	switch ev.Name {
	case api.EventFeedReady:
		if c.ready != nil {
			return nil
		}
		c.ready = new(api.FeedReady)
		if err := json.Unmarshal(ev.Data, c.ready); err != nil {
			return fmt.Errorf("read feed.ready: %w", err)
		}
		return nil
	case api.EventServerDraining:
		var d api.ServerDraining
		if json.Unmarshal(ev.Data, &d) == nil {
			c.mu.Lock()
			c.returnAt = time.Now().Add(time.Duration(d.ReconnectInMs) * time.Millisecond)
			c.mu.Unlock()
		}
	}
	var at struct {
		Position string `json:"position"`
	}
	if json.Unmarshal(ev.Data, &at) == nil { // no object: a signal
		ev.Position = at.Position
	}
	c.enqueue(ev)
	return nil
}

// enqueue never waits, so that pings are answered whatever the caller does. When
// the queue is full, this and all later events are dropped until Next has said so.
func (c *Conn) enqueue(ev Event) {
	c.mu.Lock()
	switch {
	case c.behind:
	case len(c.queue) >= maxQueue, len(c.queue) > 0 && c.queued+len(ev.Data) > maxQueueBytes:
		c.behind = true
	default:
		c.queue = append(c.queue, ev)
		c.queued += len(ev.Data)
	}
	c.mu.Unlock()
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// Ready returns what the server said first: the position from which on this
// connection hears everything, and who it is signed in as.
func (c *Conn) Ready() api.FeedReady { return *c.ready }

// Next returns the next event, in the order of the wire. It waits until there is
// one, ctx ends, or the connection has ended and everything from it was taken.
// ErrBehind is the one error after which there may be more. Next is for one
// goroutine.
func (c *Conn) Next(ctx context.Context) (Event, error) {
	for {
		if ev, ok, err := c.take(); ok || err != nil {
			return ev, err
		}
		select {
		case <-c.wake:
		case <-c.done:
			if ev, ok, err := c.take(); ok || err != nil {
				return ev, err
			}
			return Event{}, c.failure()
		case <-ctx.Done():
			return Event{}, context.Cause(ctx)
		}
	}
}

func (c *Conn) take() (Event, bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.queue) > 0 {
		ev := c.queue[0]
		c.queue[0] = Event{} // let go of the data
		c.queue = c.queue[1:]
		c.queued -= len(ev.Data)
		return ev, true, nil
	}
	if c.behind {
		c.behind = false
		return Event{}, false, ErrBehind
	}
	return Event{}, false, nil
}

// failure is why the connection ended; only after done.
func (c *Conn) failure() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// returnIn is how long a draining server wants to be left alone from now on.
func (c *Conn) returnIn() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.returnAt.IsZero() {
		return 0
	}
	return time.Until(c.returnAt)
}

// Emit sends an event that asks for no answer. A nil error means that it was
// written, not that it arrived.
func (c *Conn) Emit(event string, data any) error {
	return c.emit(socketio.Packet{Type: socketio.PacketEvent, Namespace: c.namespace}, event, data)
}

func (c *Conn) emit(p socketio.Packet, event string, data any) error {
	args := []any{event}
	if data != nil {
		args = append(args, data)
	}
	var err error
	if p.Data, err = json.Marshal(args); err != nil {
		return fmt.Errorf("%s: encode: %w", event, err)
	}
	if err := c.send(p); err != nil {
		return fmt.Errorf("%s: %w", event, err)
	}
	return nil
}

func (c *Conn) send(p socketio.Packet) error {
	return c.ws.text(socketio.AppendPacket([]byte{byte(engineio.PacketMessage)}, p))
}

// Call sends an event and waits for its ack, which it decodes into answer unless
// that is nil. A refusal is an *api.Error.
func (c *Conn) Call(ctx context.Context, event string, data, answer any) error {
	ack := make(chan json.RawMessage, 1)
	c.mu.Lock()
	c.lastID++
	id := c.lastID
	c.calls[id] = ack
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		delete(c.calls, id)
		c.mu.Unlock()
	}()
	p := socketio.Packet{Type: socketio.PacketEvent, Namespace: c.namespace, ID: id, HasID: true}
	if err := c.emit(p, event, data); err != nil {
		return err
	}
	select {
	case body := <-ack:
		return decodeAck(event, body, answer)
	case <-ctx.Done():
		return fmt.Errorf("%s: %w", event, context.Cause(ctx))
	case <-c.done:
		return fmt.Errorf("%s: %w", event, c.failure())
	}
}

// answer hands an ack to the call that waits for it. One that nobody waits for is
// ignored (S-23).
func (c *Conn) answer(p socketio.Packet) error {
	var args []json.RawMessage
	if err := json.Unmarshal(p.Data, &args); err != nil {
		return fmt.Errorf("read ack: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	ack := c.calls[p.ID]
	delete(c.calls, p.ID)
	if ack == nil {
		return nil
	}
	var body json.RawMessage
	if len(args) > 0 {
		body = args[0]
	}
	ack <- body
	return nil
}

func decodeAck(event string, body json.RawMessage, answer any) error {
	var ex api.Exception
	if json.Unmarshal(body, &ex) == nil && ex.Status == "error" && ex.Code != "" { // P-21
		return fmt.Errorf("%s: %w", event, api.NewError(statusOf(ex.Code), ex.Code, ex.Message))
	}
	if answer == nil {
		return nil
	}
	if err := json.Unmarshal(body, answer); err != nil {
		return fmt.Errorf("%s: decode the answer: %w", event, err)
	}
	return nil
}

// Close ends the connection and waits for its goroutine.
func (c *Conn) Close() error {
	c.mu.Lock()
	c.closing = true
	c.mu.Unlock()
	select {
	case <-c.done:
		return nil
	default:
	}
	err := c.ws.close()
	<-c.done
	return err
}
