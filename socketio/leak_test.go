package socketio_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"weak"

	"larder/engineio"
	"larder/internal/testkit/wire"
	"larder/socketio"
)

// leaks is a server on a real network that clients come to and go from.
type leaks struct {
	*testing.T
	srv    *socketio.Server
	spaces []*socketio.Namespace
	server *httptest.Server
	client *http.Client
	silent sync.WaitGroup // clients that wait until they are closed

	mu      sync.Mutex // guards the fields below
	sockets []weak.Pointer[socketio.Socket]
	left    map[engineio.Reason]int
}

// Ten thousand clients that come and go in every way leave nothing: goroutines,
// descriptors, sessions, sockets and rooms are as many as before the first. No
// socket is held by anything, a timer included. Of the objects on the heap there
// may be one more for every twenty clients, since the runtime keeps what goroutines
// were made of; a client that is not let go of has dozens.
func TestNothingIsLeft(t *testing.T) {
	clients := 10_000
	if testing.Short() {
		clients = 1000
	}
	l := newLeaks(t)
	goroutines, descriptors := quietest(runtime.NumGoroutine), quietest(func() int { return openFiles(t) })
	l.comeAndGo(300, l.ways())
	l.comeAndGo(300, l.waysOfSilence()) // as many at once as below: what the runtime keeps of them stays
	l.wantNobody(-1, -1)
	l.forget()
	objects := heapObjects()

	start := time.Now()
	l.comeAndGo(clients, slices.Repeat(l.ways(), 3), l.waysOfSilence())
	took := time.Since(start)
	l.wantNobody(goroutines, descriptors)
	left := l.forget()
	after := heapObjects()
	t.Logf("%d clients in %v; %d goroutines, %d descriptors; heap objects %d before, %d after; sockets left for %v",
		clients, took, goroutines, descriptors, objects, after, left)
	if after > objects+max(200, clients/20) {
		t.Errorf("objects on the heap: %d, and %d before", after, objects)
	}
	least := clients / 40
	for _, reason := range []engineio.Reason{
		engineio.ReasonTransportClose, engineio.ReasonTransportError, engineio.ReasonPingTimeout, engineio.ReasonParseError,
		engineio.ReasonForcedServerClose, socketio.ReasonClientDisconnect, socketio.ReasonServerDisconnect,
	} {
		if left[reason] < least {
			t.Errorf("only %d sockets left for %q: the clients did not do what they should", left[reason], reason)
		}
	}
}

func newLeaks(t *testing.T) *leaks {
	t.Helper()
	l := &leaks{T: t, left: map[engineio.Reason]int{}}
	srv, err := socketio.NewServer(socketio.Config{
		// Silence ends soon, and so does the wait for the last poll (E-31), but not
		// before a client on a busy machine has said what it has to.
		Engine:         engineio.Config{PingInterval: 3 * time.Second, PingTimeout: 3 * time.Second, WriteTimeout: 3 * time.Second},
		ConnectTimeout: 3 * time.Second,
		BinaryTimeout:  time.Hour, // so that a timer that is left shows
		Logger:         slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"/", "/donations"} {
		n := srv.Of(name)
		n.Use(func(_ context.Context, s *socketio.Socket) error { s.Join("everyone", "of "+s.ID()); return nil })
		n.OnConnect(func(_ context.Context, s *socketio.Socket) {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.sockets = append(l.sockets, weak.Make(s))
		})
		n.OnDisconnect(func(_ *socketio.Socket, reason engineio.Reason) {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.left[reason]++
		})
		socketio.On(n, "close", func(_ context.Context, s *socketio.Socket, _ any) (any, error) { s.Close(""); return nil, nil })
		socketio.On(n, "leave", func(_ context.Context, s *socketio.Socket, _ any) (any, error) { s.Disconnect(); return nil, nil })
		l.spaces = append(l.spaces, n)
	}
	l.srv, l.server = srv, httptest.NewServer(srv)
	l.client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	t.Cleanup(func() {
		l.client.CloseIdleConnections()
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := srv.Shutdown(ctx); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		l.server.Close()
	})
	return l
}

// comeAndGo has so many clients come, some at a time, and go in all ways in turn.
func (l *leaks) comeAndGo(clients int, lists ...[]func() error) {
	ways := slices.Concat(lists...)
	turns := make(chan int)
	var crowd sync.WaitGroup
	for range 24 {
		crowd.Go(func() {
			for i := range turns {
				if err := ways[i%len(ways)](); err != nil {
					l.Errorf("client %d: %v", i, err)
				}
			}
		})
	}
	for i := range clients {
		turns <- i
	}
	close(turns)
	crowd.Wait()
	l.silent.Wait()
	l.client.CloseIdleConnections()
}

const opening = "/socket.io/?EIO=4&transport=websocket"

// ways are how a client may come and go.
func (l *leaks) ways() []func() error {
	return []func() error{
		l.onSocket((*wire.WebSocket).Close, "40", "40/donations,"),
		l.onSocket(l.cut, "40", "40/donations,"),
		l.onSocket(l.cut, `40{"token":"x"}`, `42["nobody listens"]`),
		l.onSocket(l.cut, "40", `451-["half",{"_placeholder":true,"num":0}]`),
		l.onSocket(l.readToTheEnd, "40", "1"),
		l.onSocket(l.readToTheEnd, "40", "4x"),
		l.onSocket(l.readToTheEnd, "40", "42"),
		l.onSocket(l.readToTheEnd, "40/donations,", `42/donations,["close"]`),
		l.onSocket(l.readToTheEnd, "40", `42["leave"]`, "1"),
		l.onSocket(l.readToTheEnd, "40", "41", "1"),
		l.onPolls(func(p *wire.Polling) error { return l.post(p, "1") }),
		l.onPolls(func(p *wire.Polling) error { return l.post(p, `42["close"]`) }),
		l.onPolls(l.abortPoll),
		l.onPolls(l.upgradeAnd(l.cut)),
		l.onPolls(l.upgradeAnd(func(c *wire.WebSocket) error { return errors.Join(c.Text(`42["close"]`), l.readToTheEnd(c)) })),
		l.onPolls(func(p *wire.Polling) error { // a probe that goes nowhere
			c, err := l.probe(p)
			if err != nil {
				return err
			}
			c.Abort()
			return l.post(p, "1")
		}),
	}
}

// waysOfSilence take as long as it takes the server to lose patience.
func (l *leaks) waysOfSilence() []func() error {
	return []func() error{
		l.onSocket(l.beSilent, "40"),
		l.onSocket(l.beSilent), // joins nothing
		l.onPolls(func(*wire.Polling) error { return nil }),
	}
}

func (l *leaks) dial(ctx context.Context) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, "tcp", l.server.Listener.Addr().String())
}

// onSocket opens a WebSocket, says some packets and ends as it is told to.
func (l *leaks) onSocket(end func(*wire.WebSocket) error, packets ...string) func() error {
	return func() error {
		c, err := wire.DialWebSocket(l.Context(), l.dial, opening, nil)
		if err != nil {
			return err
		}
		for _, p := range packets {
			if err := c.Text(p); err != nil {
				c.Abort()
				return fmt.Errorf("%s: %w", p, err)
			}
			for strings.HasPrefix(p, "40") { // until it is in
				text, err := c.ReadText()
				if err != nil {
					c.Abort()
					return fmt.Errorf("after %s: %w", p, err)
				}
				if strings.HasPrefix(text, "40") {
					break
				}
			}
		}
		return end(c)
	}
}

func (l *leaks) cut(c *wire.WebSocket) error {
	c.Abort()
	return nil
}

// readToTheEnd does not answer the close frame: it cuts the connection.
func (l *leaks) readToTheEnd(c *wire.WebSocket) error {
	defer c.Abort()
	for {
		_, err := c.ReadText()
		if _, closed := errors.AsType[*wire.Closed](err); closed || errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// beSilent answers nothing more, in the background.
func (l *leaks) beSilent(c *wire.WebSocket) error {
	l.silent.Go(func() {
		if err := l.readToTheEnd(c); err != nil {
			l.Errorf("silent client: %v", err)
		}
	})
	return nil
}

// onPolls opens a session that polls, joins both namespaces and goes on.
func (l *leaks) onPolls(then func(*wire.Polling) error) func() error {
	return func() error {
		p := &wire.Polling{Client: l.client, Base: l.server.URL + "/socket.io/"}
		if _, err := p.Open(l.Context()); err != nil {
			return err
		}
		if err := l.post(p, "40\x1e40/donations,"); err != nil {
			return err
		}
		if r, err := p.Get(l.Context()); err != nil || !strings.HasPrefix(r.Body, "40") {
			return fmt.Errorf("got %+v, %w", r, err)
		}
		return then(p)
	}
}

func (l *leaks) post(p *wire.Polling, body string) error {
	r, err := p.Post(l.Context(), body)
	if err == nil && r.Status != http.StatusOK {
		err = fmt.Errorf("POST %s: got %d %s", body, r.Status, r.Body)
	}
	return err
}

// abortPoll gives up on a poll that is held.
func (l *leaks) abortPoll(p *wire.Polling) error {
	ctx, cancel := context.WithTimeout(l.Context(), 5*time.Millisecond)
	defer cancel()
	if r, err := p.Get(ctx); err == nil && r.Body != "2" {
		return fmt.Errorf("poll got %+v", r)
	}
	return nil
}

func (l *leaks) probe(p *wire.Polling) (*wire.WebSocket, error) {
	c, err := wire.DialWebSocket(l.Context(), l.dial, opening+"&sid="+p.SID, nil)
	if err != nil {
		return nil, err
	}
	if err := c.Text("2probe"); err != nil {
		return nil, err
	}
	if text, err := c.ReadText(); err != nil || text != "3probe" {
		c.Abort()
		return nil, fmt.Errorf("probe: got %q, %w", text, err)
	}
	return c, nil
}

func (l *leaks) upgradeAnd(end func(*wire.WebSocket) error) func(p *wire.Polling) error {
	return func(p *wire.Polling) error {
		c, err := l.probe(p)
		if err != nil {
			return err
		}
		if err := c.Text("5"); err != nil {
			return err
		}
		return end(c)
	}
}

// quietest returns the least of some readings: what a test before this one has
// started may just be ending, and must not hide what is left here.
func quietest(read func() int) int {
	least := read()
	for range 10 {
		<-time.After(20 * time.Millisecond)
		least = min(least, read())
	}
	return least
}

// wantNobody waits until everything is as it was, and tells what is not. Workers
// of the engine that have nothing to do go after 5 s; for that it does not wait
// if goroutines and descriptors are negative.
func (l *leaks) wantNobody(goroutines, descriptors int) {
	l.Helper()
	var now string
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); <-time.After(50 * time.Millisecond) {
		held, rooms, members := l.held(), 0, 0
		for _, n := range l.spaces {
			rooms, members = rooms+n.RoomCount(), members+n.Len()
		}
		if goroutines < 0 && l.srv.Len()+rooms+members+held == 0 {
			return
		}
		running, open := runtime.NumGoroutine(), openFiles(l.T)
		now = fmt.Sprintf("%d goroutines, %d descriptors, %d sessions, %d sockets, %d rooms, %d sockets that something holds",
			running, open, l.srv.Len(), members, rooms, held)
		// Fewer than at first are not left over.
		if running <= goroutines && open <= descriptors && l.srv.Len() == 0 && members == 0 && rooms == 0 && held == 0 {
			return
		}
	}
	stacks := make([]byte, 1<<20)
	l.Fatalf("left: %s; at first there were %d goroutines, %d descriptors\n%s",
		now, goroutines, descriptors, stacks[:runtime.Stack(stacks, true)])
}

// held counts the sockets that the collector could not take.
func (l *leaks) held() (n int) {
	if l.srv.Len() > 0 {
		return -1 // too early to look
	}
	runtime.GC()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, w := range l.sockets {
		if w.Value() != nil {
			n++
		}
	}
	return n
}

// forget begins the lists anew, for they are on the heap, and returns the reasons.
func (l *leaks) forget() map[engineio.Reason]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	left := l.left
	l.sockets, l.left = nil, map[engineio.Reason]int{}
	return left
}

// heapObjects counts what is alive; the second collection empties the pools.
func heapObjects() int {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapObjects)
}

// openFiles counts the descriptors of this process, where the system tells.
func openFiles(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	return len(entries)
}
