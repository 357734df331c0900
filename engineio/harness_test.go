package engineio_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"larder/engineio"
	"larder/internal/testkit/wire"
)

func TestMain(m *testing.M) {
	if target := os.Getenv(benchReader); target != "" {
		readForBenchmark(target) // this is the other process of a benchmark
		return
	}
	goleak.VerifyTestMain(m)
}

const (
	interval = 300 * time.Millisecond // what the official suite runs with
	timeout  = 200 * time.Millisecond
)

// app is the application under test: unless a field says otherwise it echoes.
type app struct {
	*engineio.Session
	receive func(text string) error // nil: echo

	mu       sync.Mutex
	got      []string
	upgrades int
	busy     bool
	causes   []engineio.Cause
}

func (a *app) Receive(text []byte) error {
	a.enter()
	defer a.leave()
	a.record(string(text))
	if a.receive != nil {
		return a.receive(string(text))
	}
	return a.echo(engineio.NewMessage(text))
}

func (a *app) ReceiveBinary(data []byte) error {
	a.enter()
	defer a.leave()
	a.record("binary:" + string(data))
	return a.echo(engineio.NewBinaryMessage(data))
}

func (a *app) Upgraded() {
	a.enter()
	defer a.leave()
	a.upgrades++
}

func (a *app) Closed(cause engineio.Cause) {
	a.enter() // for good
	a.mu.Lock()
	defer a.mu.Unlock()
	a.causes = append(a.causes, cause)
}

// enter and leave see that calls of the Receiver never overlap, and that none
// comes after Closed.
func (a *app) enter() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.busy {
		panic("the receiver was called while it was busy or after Closed")
	}
	a.busy = true
}

func (a *app) leave() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.busy = false
}

func (a *app) record(s string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.got = append(a.got, s)
}

func (a *app) echo(m *engineio.Message) error {
	if err := a.Send(m); err != nil && !errors.Is(err, engineio.ErrClosed) && !errors.Is(err, engineio.ErrSlow) {
		return err
	}
	return nil
}

// received returns what the app was given so far.
func (a *app) received() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.got)
}

// reason returns why the session was closed, or "" if it was not. More than
// one call of Closed is a panic in enter.
func (a *app) reason() engineio.Reason {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.causes) == 0 {
		return ""
	}
	return a.causes[0].Reason
}

// rig is a server on an in-memory network, inside a bubble.
type rig struct {
	*testing.T
	srv    *engineio.Server
	net    *wire.Listener
	client *http.Client

	mu   sync.Mutex
	apps []*app
}

// bubble runs a test on a rig of its own. After the test the server is shut
// down; a goroutine that is still there then fails the test.
func bubble(t *testing.T, f func(r *rig), change ...func(*engineio.Config)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { f(newRig(t, change...)) })
}

func newRig(t *testing.T, change ...func(*engineio.Config)) *rig {
	t.Helper()
	cfg := engineio.Config{
		Path:         "/engine.io/",
		PingInterval: interval,
		PingTimeout:  timeout,
		Logger:       slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	for _, c := range change {
		c(&cfg)
	}
	r := &rig{T: t}
	srv, err := engineio.NewServer(cfg, func(s *engineio.Session) engineio.Receiver {
		a := &app{Session: s}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.apps = append(r.apps, a)
		return a
	})
	if err != nil {
		t.Fatalf("NewServer: %v", err)
	}
	r.srv = srv
	r.net = wire.Serve(t, srv)
	r.client = r.net.Client()
	t.Cleanup(func() {
		r.client.CloseIdleConnections()
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := srv.Shutdown(ctx); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		if n := srv.Len(); n != 0 {
			t.Errorf("open sessions after the test: got %d, want 0", n)
		}
		for _, a := range r.apps {
			if a.reason() == "" {
				t.Errorf("Closed was not called for session %q", a.ID())
			}
		}
	})
	return r
}

// app returns the nth session's application.
func (r *rig) app(n int) *app {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.apps[n]
}

// open opens a polling session.
func (r *rig) open() *wire.Polling {
	r.Helper()
	p := &wire.Polling{Client: r.client, Base: wire.URL + "/engine.io/"}
	if _, err := p.Open(r.Context()); err != nil {
		r.Fatalf("open: %v", err)
	}
	return p
}

func (r *rig) get(p *wire.Polling) wire.Reply {
	r.Helper()
	reply, err := p.Get(r.Context())
	if err != nil {
		r.Fatalf("GET: %v", err)
	}
	return reply
}

func (r *rig) post(p *wire.Polling, body string) wire.Reply {
	r.Helper()
	reply, err := p.Post(r.Context(), body)
	if err != nil {
		r.Fatalf("POST: %v", err)
	}
	return reply
}

// hold starts a GET and waits until it is held or answered.
func (r *rig) hold(p *wire.Polling) <-chan wire.Reply {
	r.Helper()
	done := make(chan wire.Reply, 1)
	go func() {
		reply, err := p.Get(r.Context())
		if err != nil {
			reply.Body = err.Error()
		}
		done <- reply
	}()
	synctest.Wait()
	return done
}

// held fails the test if the GET has been answered.
func (r *rig) held(done <-chan wire.Reply) {
	r.Helper()
	synctest.Wait()
	select {
	case reply := <-done:
		r.Fatalf("GET was answered with %d %q, want it held", reply.Status, reply.Body)
	default:
	}
}

func (r *rig) want(reply wire.Reply, status int, body string) {
	r.Helper()
	if reply.Status != status || reply.Body != body {
		r.Fatalf("reply: got %d %q, want %d %q", reply.Status, reply.Body, status, body)
	}
}

// refused wants a refusal of E-4.
func (r *rig) refused(reply wire.Reply, status, code int, message string) {
	r.Helper()
	var body struct {
		Code    int
		Message string
	}
	if err := json.Unmarshal([]byte(reply.Body), &body); err != nil {
		r.Fatalf("refusal %d %q: %v", reply.Status, reply.Body, err)
	}
	if reply.Status != status || body.Code != code || body.Message != message {
		r.Fatalf("refusal: got %d %+v, want %d {%d %q}", reply.Status, body, status, code, message)
	}
	if got := reply.Header.Get("Content-Type"); got != "application/json" {
		r.Fatalf("refusal: got content type %q", got)
	}
}

func (r *rig) unknown(reply wire.Reply) {
	r.Helper()
	r.refused(reply, 400, 1, "Session ID unknown")
}

func (r *rig) badRequest(reply wire.Reply) {
	r.Helper()
	r.refused(reply, 400, 3, "Bad request")
}

// dial opens a WebSocket, for a session if sid is not empty.
func (r *rig) dial(sid string) *wire.WebSocket {
	r.Helper()
	target := "/engine.io/?EIO=4&transport=websocket"
	if sid != "" {
		target += "&sid=" + sid
	}
	c, err := wire.DialWebSocket(r.Context(), r.net.Dial, target, nil)
	if err != nil {
		r.Fatalf("dial: %v", err)
	}
	r.Cleanup(c.Abort)
	return c
}

// connect opens a session on a WebSocket and reads its open packet.
func (r *rig) connect() (*wire.WebSocket, engineio.OpenPacket) {
	r.Helper()
	c := r.dial("")
	var open engineio.OpenPacket
	data, ok := strings.CutPrefix(r.read(c), "0")
	if !ok {
		r.Fatalf("first frame is %q, not an open packet", data)
	}
	if err := json.Unmarshal([]byte(data), &open); err != nil {
		r.Fatalf("open packet: %v", err)
	}
	return c, open
}

func (r *rig) read(c *wire.WebSocket) string {
	r.Helper()
	s, err := c.ReadText()
	if err != nil {
		r.Fatalf("read: %v", err)
	}
	return s
}

func (r *rig) text(c *wire.WebSocket, s string) {
	r.Helper()
	if err := c.Text(s); err != nil {
		r.Fatalf("send %q: %v", s, err)
	}
}

func (r *rig) wantText(c *wire.WebSocket, want string) {
	r.Helper()
	if got := r.read(c); got != want {
		r.Fatalf("frame: got %q, want %q", got, want)
	}
}

// wantClose wants the close frame as the next thing, and cuts the connection.
func (r *rig) wantClose(c *wire.WebSocket, code int) {
	r.Helper()
	_, err := c.ReadText()
	closed, ok := errors.AsType[*wire.Closed](err)
	if !ok || int(closed.Code) != code {
		r.Fatalf("read: got %v, want close %d", err, code)
	}
	c.Abort()
}

// wantReason wants the nth session closed for a reason.
func (r *rig) wantReason(n int, want engineio.Reason) {
	r.Helper()
	synctest.Wait()
	a := r.app(n)
	if got := a.reason(); got != want {
		r.Fatalf("reason of session %d: got %q, want %q", n, got, want)
	}
	if want == "" {
		return
	}
	cause, ok := errors.AsType[engineio.Cause](context.Cause(a.Context()))
	if !ok || cause.Reason != want {
		r.Fatalf("cause of the context: got %v, want %q", context.Cause(a.Context()), want)
	}
}

// sleep lets time pass in the bubble.
func (r *rig) sleep(d time.Duration) {
	select {
	case <-time.After(d):
	case <-r.Context().Done():
	}
}

// abortedGet starts a GET and gives it up after d.
func abortedGet(r *rig, p *wire.Polling, d time.Duration) {
	r.Helper()
	ctx, cancel := context.WithTimeout(r.Context(), d)
	defer cancel()
	if reply, err := p.Get(ctx); err == nil {
		r.Fatalf("GET: got %d %q, want it held until it is given up", reply.Status, reply.Body)
	}
}

// wantRefused wants the error of a WebSocket handshake that was refused before
// the 101, as E-5 has it.
func wantRefused(r *rig, err error, status int, message string) {
	r.Helper()
	refused, ok := errors.AsType[*wire.Refused](err)
	if !ok {
		r.Fatalf("dial: got %v, want a refusal", err)
	}
	reply := refused.Reply
	r.want(reply, status, message)
	if got := reply.Header.Get("Content-Type"); got != "text/html" {
		r.Errorf("content type: got %q", got)
	}
}

// readAll reads text messages in the background until the connection ends or
// sends something else. The function returned gives those read so far.
func readAll(c *wire.WebSocket) func() []string {
	var mu sync.Mutex
	var got []string
	go func() {
		for {
			s, err := c.ReadText()
			if err != nil {
				return
			}
			mu.Lock()
			got = append(got, s)
			mu.Unlock()
		}
	}()
	return func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(got)
	}
}

func readResponse(conn net.Conn) (*http.Response, error) {
	return http.ReadResponse(bufio.NewReader(conn), nil)
}

func newHTTPServer(t *testing.T, h http.Handler) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return server
}
