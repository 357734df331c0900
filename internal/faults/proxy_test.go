package faults_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"reflect"
	"syscall"
	"testing"
	"time"

	"larder/internal/faults"
)

// patience bounds what has to happen at once; it is never waited out when all is
// well.
const patience = 10 * time.Second

// server accepts connections and hands them to the test.
type server struct {
	listener net.Listener
	conns    chan net.Conn
}

func serve(t *testing.T, addr string) *server {
	t.Helper()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	s := &server{listener: l, conns: make(chan net.Conn, 16)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.conns <- c
		}
	}()
	t.Cleanup(func() { s.stop(); <-done })
	return s
}

func (s *server) stop() { _ = s.listener.Close() }

func start(t *testing.T, target string) *faults.Proxy {
	t.Helper()
	p, err := faults.Listen(t.Context(), target, 1)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(patience):
			t.Error("Run does not return")
		}
	})
	return p
}

// pair opens a connection through the proxy and returns its two ends.
func pair(t *testing.T, p *faults.Proxy, s *server) (client, behind net.Conn) {
	t.Helper()
	client, err := net.DialTimeout("tcp", p.Addr(), patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	select {
	case behind = <-s.conns:
	case <-time.After(patience):
		t.Fatal("the connection does not arrive")
	}
	t.Cleanup(func() { _ = behind.Close() })
	for _, c := range []net.Conn{client, behind} {
		if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
	}
	// The link is known once something has gone through it.
	say(t, client, "hello")
	hear(t, behind, "hello")
	return client, behind
}

func say(t *testing.T, c net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
}

func hear(t *testing.T, c net.Conn, want string) {
	t.Helper()
	got := make([]byte, len(want))
	if _, err := io.ReadFull(c, got); err != nil || string(got) != want {
		t.Fatalf("heard %q, %v; want %q", got, err, want)
	}
}

// silent says that nothing comes for a moment.
func silent(t *testing.T, c net.Conn) {
	t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	n, err := c.Read(make([]byte, 1))
	if n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("read %d bytes, %v; want silence", n, err)
	}
	_ = c.SetReadDeadline(time.Now().Add(patience))
}

func TestForwardsAndPassesOnTheEnd(t *testing.T) {
	s := serve(t, "127.0.0.1:0")
	p := start(t, s.listener.Addr().String())
	client, behind := pair(t, p, s)
	say(t, behind, "down")
	hear(t, client, "down")
	_ = behind.Close()
	if _, err := client.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("client hears %v of a server that has closed, want EOF", err)
	}
}

func TestServerGoesAwayAndComesBack(t *testing.T) {
	s := serve(t, "127.0.0.1:0")
	addr := s.listener.Addr().String()
	p := start(t, addr)
	pair(t, p, s)
	s.stop()
	client, err := net.DialTimeout("tcp", p.Addr(), patience)
	if err == nil { // else the reset was faster than the dialler
		defer client.Close()
		_ = client.SetDeadline(time.Now().Add(patience))
		_, err = client.Read(make([]byte, 1))
	}
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("client hears %v while the server is away, want a reset", err)
	}
	pair(t, p, serve(t, addr))
}

func TestCuts(t *testing.T) {
	for kind, want := range map[faults.Kind]error{faults.Reset: syscall.ECONNRESET, faults.Finish: io.EOF} {
		t.Run(kind.String(), func(t *testing.T) {
			s := serve(t, "127.0.0.1:0")
			p := start(t, s.listener.Addr().String())
			client, behind := pair(t, p, s)
			if n := p.Inject(faults.Fault{Kind: kind, Share: 1}); n != 1 {
				t.Fatalf("%d connections were hit, want 1", n)
			}
			for side, c := range map[string]net.Conn{"client": client, "server": behind} {
				if _, err := c.Read(make([]byte, 1)); !errors.Is(err, want) {
					t.Errorf("%s hears %v, want %v", side, err, want)
				}
			}
		})
	}
}

func TestStallStopsOneDirectionAndLosesNothing(t *testing.T) {
	s := serve(t, "127.0.0.1:0")
	p := start(t, s.listener.Addr().String())
	client, behind := pair(t, p, s)
	p.Inject(faults.Fault{Kind: faults.StallDown, Share: 1, For: time.Second})
	say(t, behind, "late")
	say(t, client, "at once")
	hear(t, behind, "at once")
	silent(t, client)
	hear(t, client, "late")

	p.Inject(faults.Fault{Kind: faults.StallUp, Share: 1, For: time.Second})
	say(t, client, "late")
	say(t, behind, "at once")
	hear(t, client, "at once")
	silent(t, behind)
	hear(t, behind, "late")
}

func TestDelayHoldsEachPiece(t *testing.T) {
	s := serve(t, "127.0.0.1:0")
	p := start(t, s.listener.Addr().String())
	client, behind := pair(t, p, s)
	p.Inject(faults.Fault{Kind: faults.Delay, Share: 1, For: time.Minute, By: 500 * time.Millisecond})
	say(t, client, "slow")
	silent(t, behind)
	hear(t, behind, "slow")
}

func TestHalfOpenIsSilentThenReset(t *testing.T) {
	s := serve(t, "127.0.0.1:0")
	p := start(t, s.listener.Addr().String())
	client, behind := pair(t, p, s)
	p.Inject(faults.Fault{Kind: faults.HalfOpen, Share: 1, For: time.Second})
	say(t, client, "lost")
	say(t, behind, "lost")
	silent(t, client)
	silent(t, behind)
	_ = behind.Close() // the client does not hear of it
	silent(t, client)
	if _, err := client.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("client hears %v in the end, want a reset", err)
	}
	if _, struck := p.Counts(); struck[faults.HalfOpen] != 1 {
		t.Errorf("struck: %v", struck)
	}
}

func TestShareOfNobodyHitsNobody(t *testing.T) {
	s := serve(t, "127.0.0.1:0")
	p := start(t, s.listener.Addr().String())
	client, behind := pair(t, p, s)
	if n := p.Inject(faults.Fault{Kind: faults.Reset}); n != 0 {
		t.Errorf("%d connections were hit", n)
	}
	say(t, client, "still there")
	hear(t, behind, "still there")
}

func TestPlanComesFromTheSeed(t *testing.T) {
	const end = time.Minute
	a, b := faults.Make(7, end, time.Second), faults.Make(7, end, time.Second)
	if !reflect.DeepEqual(a, b) {
		t.Error("one seed, two plans")
	}
	if reflect.DeepEqual(a, faults.Make(8, end, time.Second)) {
		t.Error("two seeds, one plan")
	}
	kinds := map[faults.Kind]int{}
	for i, s := range a {
		kinds[s.Fault.Kind]++
		if s.At < time.Second || s.At >= end || i > 0 && s.At < a[i-1].At {
			t.Errorf("step %d is at %s", i, s.At)
		}
		if s.Fault.Share <= 0 || s.Fault.Share > 0.4 || s.Fault.For <= 0 {
			t.Errorf("step %d: %+v", i, s.Fault)
		}
	}
	for _, k := range faults.Kinds() {
		if kinds[k] < 5 {
			t.Errorf("%s comes %d times in a minute", k, kinds[k])
		}
	}
}
