package engineio_test

import (
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"larder/engineio"
	"larder/internal/testkit/wire"
)

// goroutines counts those of the bubble, and shows them. (The counter of the
// runtime has its own in it at times.)
func goroutines() (n int, all string) {
	synctest.Wait()
	buf := make([]byte, 1<<20)
	all = string(buf[:runtime.Stack(buf, true)])
	return strings.Count(all, ", synctest bubble "), all
}

// A thousand sessions that end in every way leave nothing.
func TestNothingIsLeft(t *testing.T) {
	bubble(t, func(r *rig) {
		ends := []func(){
			func() {
				c, _ := r.connect()
				r.text(c, "1")
				r.wantClose(c, 1000)
			},
			func() {
				c, _ := r.connect()
				if err := c.Close(); err != nil {
					r.Fatal(err)
				}
			},
			func() {
				c, _ := r.connect()
				c.Abort()
			},
			func() {
				c, _ := r.connect()
				r.text(c, "abc")
				r.wantClose(c, 1002)
			},
			func() {
				p := r.open()
				r.post(p, "1")
			},
			func() {
				p := r.open()
				abortedGet(r, p, time.Millisecond)
			},
			func() {
				p := r.open()
				c := r.upgraded(p)
				c.Abort()
			},
			func() {
				p := r.open()
				c := r.dial(p.SID)
				c.Abort()
				r.post(p, "1")
				r.get(p)
			},
			func() { r.open() }, // silence
			func() {
				c, _ := r.connect()
				go func() { _, _ = io.Copy(io.Discard, c.Conn) }() // silence
			},
		}
		r.connect() // warms up what stays for good
		r.app(0).Close(byServer)
		r.client.CloseIdleConnections()
		r.sleep(time.Minute)
		synctest.Wait()
		before, _ := goroutines()
		for i := range 1000 {
			ends[i%len(ends)]()
		}
		r.sleep(time.Minute)
		r.client.CloseIdleConnections()
		synctest.Wait()
		if n := r.srv.Len(); n != 0 {
			r.Errorf("open sessions: got %d", n)
		}
		if n := r.srv.Known(); n != 0 {
			r.Errorf("known sessions: got %d", n)
		}
		if after, all := goroutines(); after != before {
			r.Errorf("goroutines: got %d, want %d:\n%s", after, before, all)
		}
		stats := r.srv.Stats()
		var closed uint64
		for _, n := range stats.Closed {
			closed += n
		}
		if stats.Opened != 1001 || closed != 1001 {
			r.Errorf("stats: got %+v", stats)
		}
	}, func(c *engineio.Config) { c.Logger = nil })
}

// Idle sessions cost one goroutine on WebSocket, and none on polling.
func TestGoroutinesOfIdleSessions(t *testing.T) {
	bubble(t, func(r *rig) {
		r.connect()
		r.client.CloseIdleConnections()
		synctest.Wait()
		before, _ := goroutines()
		for range 100 {
			r.connect()
			r.open()
		}
		r.client.CloseIdleConnections()
		synctest.Wait()
		if after, all := goroutines(); after-before != 100 {
			r.Errorf("goroutines of 100 WebSocket and 100 polling sessions: got %d, want 100:\n%s", after-before, all)
		}
	}, calm)
}

// Many clients that do anything at any time, with an application that sends
// and closes at any time; the receivers check that calls never overlap.
func TestAnythingAtAnyTime(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	bubble(t, func(r *rig) {
		var wg sync.WaitGroup
		for i := range 60 {
			rnd := rand.New(rand.NewPCG(seed, uint64(i)))
			wg.Go(func() {
				if i%3 == 0 {
					anySocket(r, rnd)
				} else {
					anyPoller(r, rnd)
				}
			})
		}
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(seed, 1000))
			for range 500 {
				r.sleep(time.Duration(rnd.IntN(4)) * time.Millisecond)
				r.mu.Lock()
				n := len(r.apps)
				r.mu.Unlock()
				if n == 0 {
					continue
				}
				a := r.app(rnd.IntN(n))
				if rnd.IntN(10) == 0 {
					a.Close(byServer)
				} else {
					_ = a.Send(engineio.NewMessage([]byte("push")), engineio.NewBinaryMessage([]byte("push")))
				}
			}
		})
		wg.Wait()
		r.sleep(time.Minute)
		if n := r.srv.Known(); n != 0 {
			r.Errorf("known sessions: got %d", n)
		}
	}, func(c *engineio.Config) { c.Logger = nil })
}

func anySocket(r *rig, rnd *rand.Rand) {
	c, err := wire.DialWebSocket(r.Context(), r.net.Dial, "/engine.io/?EIO=4&transport=websocket", nil)
	if err != nil {
		return
	}
	defer c.Abort()
	anyFrames(r, rnd, c)
}

func anyFrames(r *rig, rnd *rand.Rand, c *wire.WebSocket) {
	go func() {
		for _, _, err := c.Read(); err == nil; _, _, err = c.Read() {
		}
	}()
	frames := []string{"4a", "4b", "4c", "3", "3", "6", "5", "b", "1", "x", "2probe"}
	for range 40 {
		r.sleep(time.Duration(rnd.IntN(30)) * time.Millisecond)
		if c.Text(frames[rnd.IntN(len(frames)-rnd.IntN(4))]) != nil {
			return
		}
	}
}

func anyPoller(r *rig, rnd *rand.Rand) {
	p := &wire.Polling{Client: r.client, Base: wire.URL + "/engine.io/"}
	if _, err := p.Open(r.Context()); err != nil {
		return
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		for range 30 {
			if reply, err := p.Get(r.Context()); err != nil || reply.Status != 200 {
				return
			}
		}
	})
	if rnd.IntN(2) == 0 {
		wg.Go(func() {
			r.sleep(time.Duration(rnd.IntN(100)) * time.Millisecond)
			c, err := wire.DialWebSocket(r.Context(), r.net.Dial, "/engine.io/?EIO=4&transport=websocket&sid="+p.SID, nil)
			if err != nil {
				return
			}
			defer c.Abort()
			if c.Text("2probe") != nil {
				return
			}
			r.sleep(time.Duration(rnd.IntN(50)) * time.Millisecond)
			if rnd.IntN(4) > 0 {
				anyFrames(r, rand.New(rand.NewPCG(rnd.Uint64(), 1)), c)
			}
		})
	}
	bodies := []string{"4a", "4b\x1e4c", "3", "3", "bAQ==", "1", "x"}
	pace := rand.New(rand.NewPCG(7, 7))
	for range 30 {
		r.sleep(time.Duration(pace.IntN(30)) * time.Millisecond)
		if reply, err := p.Post(r.Context(), bodies[pace.IntN(len(bodies)-pace.IntN(3))]); err != nil || reply.Status != 200 {
			return
		}
	}
}

// An implementation that is not ours understands the server, over TCP.
func TestIndependentPeer(t *testing.T) {
	srv, err := engineio.NewServer(engineio.Config{Path: "/engine.io/"}, func(s *engineio.Session) engineio.Receiver {
		return &app{Session: s}
	})
	if err != nil {
		t.Fatal(err)
	}
	server := newHTTPServer(t, srv)
	conn, resp, err := websocket.Dial(t.Context(), server.URL+"/engine.io/?EIO=4&transport=websocket",
		&websocket.DialOptions{HTTPClient: server.Client()})
	if err != nil {
		t.Fatalf("dial: %v (%v)", err, resp)
	}
	conn.SetReadLimit(1 << 20)
	if kind, data, err := conn.Read(t.Context()); err != nil || kind != websocket.MessageText || data[0] != '0' {
		t.Fatalf("open packet: got %v %q, %v", kind, data, err)
	}
	if err := conn.Ping(conn.CloseRead(t.Context())); err != nil {
		t.Errorf("ping: %v", err)
	}
	_ = conn.CloseNow()

	conn, _, err = websocket.Dial(t.Context(), server.URL+"/engine.io/?EIO=4&transport=websocket",
		&websocket.DialOptions{HTTPClient: server.Client()})
	if err != nil {
		t.Fatal(err)
	}
	conn.SetReadLimit(1 << 20)
	if _, _, err := conn.Read(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{0, 1, 124, 125, 126, 511, 512, 513, 65534, 65535, 65536, 999_999} {
		for _, kind := range []websocket.MessageType{websocket.MessageText, websocket.MessageBinary} {
			data := make([]byte, 1+n)
			for i := range data {
				data[i] = 'a' + byte(i%26)
			}
			data[0] = '4'
			if err := conn.Write(t.Context(), kind, data); err != nil {
				t.Fatalf("write %d: %v", n, err)
			}
			gotKind, got, err := conn.Read(t.Context())
			if err != nil || gotKind != kind || string(got) != string(data) {
				t.Fatalf("echo of %v with %d bytes: got %v with %d bytes, %v", kind, n, gotKind, len(got), err)
			}
		}
	}
	w, err := conn.Writer(t.Context(), websocket.MessageText) // fragments
	if err != nil {
		t.Fatal(err)
	}
	for i := range 10 {
		fmt.Fprintf(w, "4%d", i)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if _, got, err := conn.Read(t.Context()); err != nil || string(got) != "40414243444546474849" {
		t.Fatalf("echo of fragments: got %q, %v", got, err)
	}
	if err := conn.Close(websocket.StatusNormalClosure, "bye"); err != nil {
		t.Errorf("close: %v", err)
	}
	if err := srv.Shutdown(t.Context()); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	if n := srv.Known(); n != 0 {
		t.Errorf("known sessions: got %d", n)
	}
}
