package engineio_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"larder/engineio"
	"larder/internal/testkit/wire"
)

// tcpRig is a server on real sockets, which is where writers are used.
type tcpRig struct {
	*testing.T
	srv    *engineio.Server
	addr   string
	opened chan *app
}

func newTCPRig(t *testing.T, cfg engineio.Config) *tcpRig {
	t.Helper()
	r := &tcpRig{T: t, opened: make(chan *app, 1000)}
	cfg.Path = "/engine.io/"
	srv, err := engineio.NewServer(cfg, func(s *engineio.Session) engineio.Receiver {
		a := &app{Session: s}
		r.opened <- a
		return a
	})
	if err != nil {
		t.Fatal(err)
	}
	r.srv = srv
	r.addr = strings.TrimPrefix(newHTTPServer(t, srv).URL, "http://")
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := srv.Shutdown(ctx); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		if n := srv.Known(); n != 0 {
			t.Errorf("known sessions: got %d", n)
		}
	})
	return r
}

// dial opens a session.
func (r *tcpRig) dial() (*wire.WebSocket, *app) { return r.dialWith(nil) }

func (r *tcpRig) dialWith(header http.Header) (*wire.WebSocket, *app) {
	r.Helper()
	c, err := wire.DialWebSocket(r.Context(), func(ctx context.Context) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "tcp", r.addr)
	}, "/engine.io/?EIO=4&transport=websocket", header)
	if err != nil {
		r.Fatal(err)
	}
	r.Cleanup(c.Abort)
	if _, err := c.ReadText(); err != nil {
		r.Fatal(err)
	}
	return c, <-r.opened
}

// numbered is a message that is known again, of any size.
func numbered(i, size int) string {
	s := fmt.Sprintf("%d:", i)
	return s + strings.Repeat("x", size)
}

// A socket that is full in the middle of a frame gets the rest later, whole
// and in order, and other sessions do not wait for it.
func TestFullSocket(t *testing.T) {
	var c tally
	r := newTCPRig(t, engineio.Config{QueueBytes: 64 << 20, QueueMessages: 1 << 20, Observer: &c})
	stuck, a := r.dial()
	other, b := r.dial()
	const messages = 400
	size := func(i int) int { return i * 7919 % 70_000 } // around every limit of gathering
	for i := range messages {
		if err := a.Send(engineio.NewMessage([]byte(numbered(i, size(i))))); err != nil {
			t.Fatal(err)
		}
		if i%10 != 0 {
			continue
		}
		if err := b.Send(engineio.NewMessage([]byte("now"))); err != nil {
			t.Fatal(err)
		}
		if got, err := other.ReadText(); err != nil || got != "4now" {
			t.Fatalf("the other session: got %q, %v", got, err)
		}
	}
	if a.Writable() {
		t.Fatal("a peer that reads nothing took 14 MB")
	}
	for i := range messages {
		if got, err := stuck.ReadText(); err != nil || got != "4"+numbered(i, size(i)) {
			t.Fatalf("message %d: got %.20q (%d bytes), %v", i, got, len(got), err)
		}
	}
	if err := errors.Join(a.Flushed(t.Context()), b.Flushed(t.Context())); err != nil {
		t.Fatal(err)
	}
	c.mu.Lock()
	if got, want := c.n["packets to websocket"], 2+messages+messages/10; got != want {
		t.Errorf("packets counted: got %d, want %d", got, want)
	}
	c.mu.Unlock()
	if err := a.Send(engineio.NewMessage([]byte("again"))); err != nil {
		t.Fatal(err)
	}
	if got, err := stuck.ReadText(); err != nil || got != "4again" {
		t.Fatalf("after it caught up: got %q, %v", got, err)
	}
}

// A peer that takes nothing loses its session by the write timeout (E-43), on
// real sockets too.
func TestFullSocketTimeout(t *testing.T) {
	r := newTCPRig(t, engineio.Config{QueueBytes: 64 << 20, WriteTimeout: 50 * time.Millisecond})
	_, a := r.dial()
	large := engineio.NewMessage(make([]byte, 16<<20))
	if err := a.Send(large); err != nil {
		t.Fatal(err)
	}
	<-a.Context().Done()
	cause, _ := context.Cause(a.Context()).(engineio.Cause)
	if cause.Reason != engineio.ReasonTransportError {
		t.Errorf("cause: got %v", cause)
	}
}

// A flush long ago has left no deadline behind that the next one trips over.
func TestWriteAfterTimeout(t *testing.T) {
	r := newTCPRig(t, engineio.Config{WriteTimeout: 20 * time.Millisecond})
	c, a := r.dial()
	<-time.After(60 * time.Millisecond)
	for range 3 {
		if err := a.Send(engineio.NewMessage([]byte("x"))); err != nil {
			t.Fatal(err)
		}
		if got, err := c.ReadText(); err != nil || got != "4x" {
			t.Fatalf("got %q, %v", got, err)
		}
		<-time.After(30 * time.Millisecond)
	}
}

// One more message to one more session allocates nothing.
func TestSendAllocatesNothing(t *testing.T) {
	r := newTCPRig(t, engineio.Config{QueueBytes: 64 << 20})
	var apps []*app
	for range 20 {
		c, a := r.dial()
		go func() {
			_, _ = io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{c.Conn}, make([]byte, 4<<10))
		}()
		apps = append(apps, a)
	}
	m := engineio.NewMessage([]byte(strings.Repeat("x", 550)))
	allocs := testing.AllocsPerRun(50, func() {
		for _, a := range apps {
			if err := a.Send(m); err != nil {
				t.Fatal(err)
			}
		}
		for _, a := range apps {
			for !a.Writable() {
				runtime.Gosched()
			}
		}
	})
	if allocs >= float64(len(apps))/2 {
		t.Errorf("allocations for %d messages: got %v", len(apps), allocs)
	}
}

// Senders, closers and peers that leave at any time, on real sockets.
func TestSocketsAtAnyTime(t *testing.T) {
	r := newTCPRig(t, engineio.Config{PingInterval: 50 * time.Millisecond, PingTimeout: 5 * time.Second, QueueBytes: 64 << 20})
	var wg sync.WaitGroup
	for i := range 40 {
		c, a := r.dial()
		rnd := rand.New(rand.NewPCG(11, uint64(i)))
		got := make(chan int, 1)
		go func() {
			next := 0
			for {
				s, err := c.ReadText()
				if err != nil {
					got <- next
					return
				}
				if s == "2" {
					continue
				}
				var n int
				if _, err := fmt.Sscanf(s, "4%d:", &n); err != nil || n != next {
					t.Errorf("session %d: got %.20q, want message %d: %v", i, s, next, err)
				}
				next++
			}
		}()
		last := rnd.IntN(300)
		kind := rnd.IntN(3)
		wg.Go(func() {
			for n := range last {
				_ = a.Send(engineio.NewMessage([]byte(numbered(n, rnd.IntN(2000)))))
				if rnd.IntN(8) == 0 {
					_ = c.Text("3")
				}
			}
			switch kind {
			case 0:
				a.Close(byServer) // what was sent still leaves
				if n := <-got; n != last && a.reason() == byServer {
					t.Errorf("session %d: got %d messages before the close, want %d", i, n, last)
				}
			case 1:
				c.Abort()
				<-got
			case 2: // the heartbeat or the end of the test
			}
		})
	}
	wg.Wait()
}
