package engineio_test

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"larder/engineio"
	"larder/internal/testkit/wire"
)

// Hostile peers over TCP: what they do is refused or cut, costs no memory that
// stays, and nobody else notices.

// An arena is a server on the loopback interface.
type arena struct {
	testing.TB
	srv    *engineio.Server
	web    *httptest.Server
	closed chan engineio.Cause // of each session that ended

	mu       sync.Mutex
	sessions []*engineio.Session
	queued   int // most bytes that a queue had when it overflowed
	engineio.Unobserved
}

func (a *arena) QueueOverflowed(_, bytes int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.queued = max(a.queued, bytes)
}

// parrot says back what it hears.
type parrot struct {
	*engineio.Session
	a *arena
}

func (p parrot) Receive(text []byte) error {
	_ = p.Send(engineio.NewMessage(text))
	return nil
}

func (p parrot) ReceiveBinary(data []byte) error {
	_ = p.Send(engineio.NewBinaryMessage(data))
	return nil
}

func (p parrot) Closed(c engineio.Cause) { p.a.closed <- c }

func newArena(t testing.TB, change ...func(*engineio.Config)) *arena {
	t.Helper()
	a := &arena{TB: t, closed: make(chan engineio.Cause, 10_000)}
	cfg := engineio.Config{Path: "/engine.io/", PingInterval: time.Minute, Observer: a}
	for _, c := range change {
		c(&cfg)
	}
	var err error
	if a.srv, err = engineio.NewServer(cfg, func(s *engineio.Session) engineio.Receiver {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.sessions = append(a.sessions, s)
		return parrot{s, a}
	}); err != nil {
		t.Fatal(err)
	}
	a.web = httptest.NewUnstartedServer(a.srv)
	a.web.Config.ReadHeaderTimeout = cmp.Or(cfg.ReadTimeout, 10*time.Second)
	a.web.Config.MaxHeaderBytes = 64 << 10
	var first sync.Once
	a.web.Config.ConnState = func(c net.Conn, s http.ConnState) {
		if s == http.StateNew { // what the kernel takes for the first is little
			first.Do(func() { _ = c.(*net.TCPConn).SetWriteBuffer(16 << 10) })
		}
	}
	a.web.Start()
	t.Cleanup(func() {
		a.web.CloseClientConnections()
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := a.srv.Shutdown(ctx); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		a.web.Close()
		if n := a.srv.Known(); n != 0 {
			t.Errorf("known sessions: got %d", n)
		}
	})
	return a
}

// tcp opens a connection that is given up after a while at the latest.
func (a *arena) tcp() *net.TCPConn {
	a.Helper()
	c, err := new(net.Dialer).DialContext(a.Context(), "tcp", a.web.Listener.Addr().String())
	if err != nil {
		a.Fatal(err)
	}
	a.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	return c.(*net.TCPConn)
}

// connect opens a session on a WebSocket.
func (a *arena) connect() *wire.WebSocket {
	a.Helper()
	c, err := wire.DialWebSocket(a.Context(), func(context.Context) (net.Conn, error) { return a.tcp(), nil },
		"/engine.io/?EIO=4&transport=websocket", nil)
	if err != nil {
		a.Fatal(err)
	}
	if text, err := c.ReadText(); err != nil || text[0] != '0' {
		a.Fatalf("open packet: got %q, %v", text, err)
	}
	return c
}

func (a *arena) open() *wire.Polling {
	a.Helper()
	p := &wire.Polling{Client: a.web.Client(), Base: a.web.URL + "/engine.io/"}
	if _, err := p.Open(a.Context()); err != nil {
		a.Fatal(err)
	}
	return p
}

// echoes wants the connection to be served.
func (a *arena) echoes(c *wire.WebSocket, text string) {
	a.Helper()
	if err := c.Text("4" + text); err != nil {
		a.Fatal(err)
	}
	for {
		op, data, err := c.Read()
		switch {
		case err != nil:
			a.Fatalf("echo of %q: %v", text, err)
		case op == ws.OpPong:
		case string(data) != "4"+text:
			a.Fatalf("echo: got %q, want %q", data, text)
		default:
			return
		}
	}
}

// wantClosed wants n sessions to end for a reason.
func (a *arena) wantClosed(n int, reason engineio.Reason) {
	a.Helper()
	for range n {
		select {
		case c := <-a.closed:
			if c.Reason != reason {
				a.Fatalf("closed: got %v, want %q", c, reason)
			}
		case <-time.After(30 * time.Second):
			a.Fatalf("not closed: %q", reason)
		}
	}
}

// heap returns the bytes in use after a collection.
func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // pools are emptied in two steps
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// allocated returns how much f, and all that runs beside it, allocates.
func allocated(f func()) int64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return int64(after.TotalAlloc - before.TotalAlloc)
}

// A header, a body or a frame that never ends is cut (E-12); a frame that comes
// byte by byte is a frame all the same.
func TestSlowloris(t *testing.T) {
	a := newArena(t, func(c *engineio.Config) { c.ReadTimeout = 200 * time.Millisecond })
	good := a.connect()
	const each = 50
	var wg sync.WaitGroup
	for range each {
		wg.Go(func() { // a header without an end
			c := a.tcp()
			_, _ = io.WriteString(c, "GET /engine.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: a\r\nX-")
			_, _ = io.Copy(io.Discard, c) // until it is cut
		})
		p := a.open()
		wg.Go(func() { // a body without an end
			c := a.tcp()
			_, _ = fmt.Fprintf(c, "POST /engine.io/?EIO=4&transport=polling&sid=%s HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n4a", p.SID)
			if resp, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil || resp.StatusCode != 400 {
				t.Errorf("body without an end: got %v, %v", resp, err)
			}
		})
		wg.Go(func() { // a body that never comes, which nobody would read
			c := a.tcp()
			_, _ = io.WriteString(c, "POST /engine.io/?EIO=4&transport=polling&sid=unknown HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n")
			if resp, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil || resp.StatusCode != 400 {
				t.Errorf("body that never comes: got %v, %v", resp, err)
			}
			_, _ = io.Copy(io.Discard, c)
		})
		w := a.connect()
		wg.Go(func() {
			frame := wire.Frame{Op: ws.OpText, Payload: []byte("4" + strings.Repeat("x", 300))}.Bytes()
			for i := range frame {
				if err := w.Raw(frame[i : i+1]); err != nil {
					t.Error(err)
					return
				}
			}
			if text, err := w.ReadText(); err != nil || len(text) != 301 {
				t.Errorf("byte by byte: got %q, %v", text, err)
			}
		})
		a.echoes(good, "meanwhile")
	}
	wg.Wait()
	a.wantClosed(each, engineio.ReasonTransportError) // E-28
	a.echoes(good, "after all")
}

// Connections that break at any byte of a frame, half open or reset.
func TestResetAnywhere(t *testing.T) {
	a := newArena(t)
	good := a.connect()
	frame := wire.Frame{Op: ws.OpText, Payload: []byte("4" + strings.Repeat("x", 300))}.Bytes()
	const each = 100
	for i := range each {
		c := a.connect()
		if err := c.Raw(frame[:i%len(frame)]); err != nil {
			t.Fatal(err)
		}
		tcp := c.Conn.(*net.TCPConn)
		if i%2 == 0 {
			_ = tcp.SetLinger(0)
			_ = tcp.Close()
		} else {
			_ = tcp.CloseWrite() // and then silence
		}
	}
	for range each {
		select {
		case c := <-a.closed:
			if c.Reason != engineio.ReasonTransportError && c.Reason != engineio.ReasonTransportClose {
				t.Errorf("closed: got %v", c)
			}
		case <-time.After(30 * time.Second):
			t.Fatal("a broken connection was not noticed")
		}
	}
	a.echoes(good, "after all")
	if n := a.srv.Len(); n != 1 {
		t.Errorf("open sessions: got %d, want 1", n)
	}
}

// A hundred megabytes, declared and really sent, are refused at the first
// (E-24, E-39).
func TestHundredMegabytes(t *testing.T) {
	const size = 100 << 20
	a := newArena(t)
	good := a.connect()
	chunk := make([]byte, 64<<10)
	fill := func(w io.Writer) {
		for range size / len(chunk) {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	}
	got := allocated(func() {
		c := a.connect()
		if err := c.Raw(wire.Frame{Op: ws.OpBinary, Declare: size}.Bytes()); err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		wg.Go(func() { fill(c.Conn) })
		var closed *wire.Closed
		if _, err := c.ReadText(); !errors.As(err, &closed) || closed.Code != ws.StatusMessageTooBig {
			t.Errorf("message: got %v, want a close with 1009", err)
		}
		wg.Wait()
		a.wantClosed(1, engineio.ReasonParseError)

		p := a.open()
		for name, length := range map[string]string{
			"declared": fmt.Sprintf("Content-Length: %d\r\n\r\n", size),
			"chunked":  fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n", size),
		} {
			c := a.tcp()
			_, _ = fmt.Fprintf(c, "POST /engine.io/?EIO=4&transport=polling&sid=%s HTTP/1.1\r\nHost: a\r\n%s", p.SID, length)
			wg.Go(func() { fill(c) })
			resp, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil || resp.StatusCode != http.StatusRequestEntityTooLarge {
				t.Errorf("%s body: got %v, %v", name, resp, err)
			}
			_ = c.Close()
			wg.Wait()
		}
	})
	if got > 16<<20 {
		t.Errorf("allocated for it: %d bytes", got)
	}
	a.echoes(good, "after all")
	if n := a.srv.Stats().TooLarge; n != 3 {
		t.Errorf("Stats.TooLarge: got %d, want 3", n)
	}
}

// A million pings of WebSocket, and a million pongs of Engine.IO that nobody
// asked for, cost time and nothing else.
func TestMillionPings(t *testing.T) {
	a := newArena(t)
	good := a.connect()
	before := heap()
	for name, frame := range map[string]wire.Frame{
		"pings": {Op: ws.OpPing, Payload: []byte("p")},
		"pongs": {Op: ws.OpText, Payload: []byte("3")},
	} {
		c := a.connect()
		var some []byte
		for range 1000 {
			some = append(some, frame.Bytes()...)
		}
		var wg sync.WaitGroup
		wg.Go(func() {
			for range 1000 {
				if err := c.Raw(some); err != nil {
					t.Errorf("%s: %v", name, err)
					return
				}
			}
			if err := c.Text("4the last"); err != nil {
				t.Error(err)
			}
		})
		for answered := 0; ; answered++ {
			op, data, err := c.Read()
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if op == ws.OpPong && string(data) == "p" {
				continue
			}
			if string(data) != "4the last" || (answered > 0) != (name == "pings") {
				t.Errorf("%s: got %q after %d answers", name, data, answered)
			}
			break
		}
		wg.Wait()
		a.echoes(good, name)
	}
	if after := heap(); after-before > 4<<20 {
		t.Errorf("heap: %d bytes more", after-before)
	}
}

// One of a thousand stops reading, for ever. It is closed as slow, its queue
// stays within its bound, and the others get everything in order (P-40).
func TestStoppedReaderAmongMany(t *testing.T) {
	const (
		others  = 999
		bound   = 64 << 10
		rounds  = 12
		atOnce  = 4
		payload = 4 << 10
	)
	a := newArena(t, func(c *engineio.Config) { c.QueueBytes = bound })
	stopped := a.connect()
	_ = stopped.Conn.(*net.TCPConn).SetReadBuffer(4 << 10)
	var readers sync.WaitGroup
	var there atomic.Int64
	round := make(chan struct{}, 1) // everybody has all that was sent
	for range others {
		c := a.connect()
		readers.Go(func() {
			for want := range rounds * atOnce {
				text, err := c.ReadText()
				if err != nil || !strings.HasPrefix(text, fmt.Sprintf("4%d.", want)) {
					t.Errorf("message %d: got %.20q, %v", want, text, err)
					break
				}
				if there.Add(1)%(others*atOnce) == 0 {
					round <- struct{}{}
				}
			}
			_ = c.Close()
		})
	}
	for i := range rounds {
		for j := range atOnce {
			m := engineio.NewMessage(fmt.Appendf(nil, "%d.%s", i*atOnce+j, strings.Repeat("x", payload)))
			for _, s := range a.sessions {
				_ = s.Send(m)
			}
		}
		select {
		case <-round:
		case <-time.After(30 * time.Second):
			t.Fatalf("round %d: %d messages arrived", i, there.Load())
		}
	}
	readers.Wait()
	a.wantClosed(1, engineio.ReasonSlow)
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.queued == 0 || a.queued > bound+payload+16 { // and the first, which is free
		t.Errorf("queue of the stopped one: got %d bytes, bound %d", a.queued, bound)
	}
}

// Headers without measure, sessions that nobody knows, and opens whose client
// is gone before the answer.
func TestRequestFloods(t *testing.T) {
	a := newArena(t, func(c *engineio.Config) { c.PingInterval, c.PingTimeout = 200*time.Millisecond, 100*time.Millisecond })
	before := heap()
	for range 20 {
		c := a.tcp()
		_, _ = io.WriteString(c, "GET /engine.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: a\r\n")
		go func() {
			for range 10_000 {
				if _, err := io.WriteString(c, "X-Larder: "+strings.Repeat("x", 1000)+"\r\n"); err != nil {
					return
				}
			}
		}()
		if resp, err := http.ReadResponse(bufio.NewReader(c), nil); err == nil && resp.StatusCode != 431 {
			t.Errorf("header flood: got %d", resp.StatusCode)
		}
		_ = c.Close()
	}
	p := &wire.Polling{Client: a.web.Client(), Base: a.web.URL + "/engine.io/"}
	for i := range 2000 {
		p.SID = fmt.Sprintf("unknown%d", i)
		if reply, err := p.Get(t.Context()); err != nil || reply.Status != 400 || !strings.HasPrefix(reply.Body, `{"code":1,`) {
			t.Fatalf("unknown session: got %+v, %v", reply, err)
		}
	}
	for i := range 2000 {
		c := a.tcp()
		_, _ = io.WriteString(c, "GET /engine.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: a\r\n\r\n")
		if i%2 == 0 {
			_ = c.SetLinger(0)
		}
		_ = c.Close()
	}
	p.SID = ""
	last, err := p.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.After(30 * time.Second); a.srv.Known() > 0; {
		select {
		case c := <-a.closed:
			if c.Reason != engineio.ReasonPingTimeout {
				t.Errorf("closed: got %v", c)
			}
		case <-time.After(time.Millisecond): // a session is told closed a little before it is forgotten
		case <-deadline:
			t.Fatalf("%d sessions are left, the last was %s", a.srv.Known(), last.SID[:6])
		}
	}
	a.mu.Lock()
	a.sessions = nil
	a.mu.Unlock()
	if after := heap(); after-before > 8<<20 {
		t.Errorf("heap: %d bytes more", after-before)
	}
}

// BenchmarkStoppedReader compares how late the slowest of 999 readers get a
// message with and without one more that has stopped reading, turn by turn in
// the same run, and prints the ratio of the 99th percentiles.
func BenchmarkStoppedReader(b *testing.B) {
	const others = 999
	a := newArena(b, func(c *engineio.Config) { // it stays, whatever waits for it
		c.QueueBytes, c.MaxQueued, c.QueueMessages = 1<<30, 1<<30, 1<<30
		c.QueueAge, c.WriteTimeout = time.Hour, time.Hour
	})
	stopped := a.connect()
	_ = stopped.Conn.(*net.TCPConn).SetReadBuffer(4 << 10)
	var sentAt atomic.Int64
	late := make(chan time.Duration, others)
	began := time.Now()
	for range others {
		c := a.connect()
		_ = c.Conn.SetDeadline(time.Time{})
		go func() {
			for {
				if _, err := c.ReadText(); err != nil {
					return
				}
				late <- time.Since(began) - time.Duration(sentAt.Load())
			}
		}()
	}
	round := func(sessions []*engineio.Session) []time.Duration {
		m := engineio.NewMessage([]byte(strings.Repeat("x", 200)))
		sentAt.Store(int64(time.Since(began)))
		for _, s := range sessions {
			_ = s.Send(m)
		}
		all := make([]time.Duration, others)
		for i := range all {
			all[i] = <-late
		}
		return all
	}
	for range 300 { // until it is stuck
		_ = a.sessions[0].Send(engineio.NewMessage(make([]byte, 4<<10)))
	}
	var with, without []time.Duration
	b.ResetTimer()
	for range b.N {
		with = append(with, round(a.sessions)...)
		without = append(without, round(a.sessions[1:])...)
	}
	b.StopTimer()
	p99 := func(all []time.Duration) time.Duration {
		slices.Sort(all)
		return all[len(all)*99/100]
	}
	w, wo := p99(with), p99(without)
	b.ReportMetric(float64(w)/float64(wo), "p99-ratio")
	b.ReportMetric(float64(wo.Microseconds())/1000, "p99-ms")
	stopped.Abort()
}
