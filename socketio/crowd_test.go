package socketio_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"larder/engineio"
	"larder/internal/testkit/wire"
	"larder/socketio"
)

// 5,000 sessions that never send CONNECT are all closed by the timeout, and
// their memory comes back. S-1
func TestNobodyConnects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := socketio.Config{Logger: slog.New(slog.DiscardHandler)}
		cfg.Engine.MaxUnaccepted = 5000 // they may come from everywhere
		h := serve(t, cfg, func(srv *socketio.Server) { srv.Of("/") })
		p := wire.Polling{Client: h.net.Client(), Base: wire.URL + "/socket.io/"}
		defer p.Client.CloseIdleConnections()
		// The first wave shows what the runtime keeps for good. One of the others may
		// meet a map or a pool that grows once; a leak is in each of them.
		before, least := int64(0), int64(1<<62)
		for wave := range 4 {
			for i := range 5000 {
				if i%2 == 0 {
					p.SID = ""
					if _, err := p.Open(t.Context()); err != nil {
						t.Fatal(err)
					}
					continue
				}
				c, err := wire.DialWebSocket(t.Context(), h.net.Dial, "/socket.io/?EIO=4&transport=websocket", nil)
				if err != nil {
					t.Fatal(err)
				}
				go func() {
					for _, _, err := c.Read(); err == nil; _, _, err = c.Read() {
					}
					c.Abort()
				}()
			}
			synctest.Wait()
			if n := h.srv.Len(); n != 5000 {
				t.Errorf("connections: got %d, want 5000", n)
			}
			wait(10 * time.Second)
			synctest.Wait()
			if n := h.srv.Len(); n != 0 {
				t.Errorf("connections after the timeout: got %d", n)
			}
			wait(time.Minute)
			after := heap()
			if wave > 0 {
				least = min(least, after-before)
			}
			before = after
		}
		if least > 5000*100 {
			t.Errorf("heap: each wave leaves %d bytes, %d for each session", least, least/5000)
		}
	})
}

// heap returns the bytes in use after a collection.
func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // pools are emptied in two steps
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// crowdSize is how many clients connect: 2,000, or what LARDER_CROWD says.
func crowdSize(t *testing.T) int {
	text := os.Getenv("LARDER_CROWD")
	if text == "" {
		return 2000
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("LARDER_CROWD: %v", err)
	}
	return n
}

// Clients that connect hundreds at a time, over TCP: each gets the answer to its
// CONNECT and to the event that it sends behind it, without waiting. S-4, S-7
func TestCrowdConnects(t *testing.T) {
	const atOnce = 400
	for name, connect := range map[string]func(*crowd) error{
		"WebSocket":           (*crowd).byWebSocket,
		"polling and upgrade": (*crowd).byUpgrade,
	} {
		t.Run(name, func(t *testing.T) {
			c := newCrowd(t)
			total := crowdSize(t)
			var wg sync.WaitGroup
			places := make(chan struct{}, atOnce)
			var failed atomic.Int64
			for range total {
				places <- struct{}{}
				wg.Go(func() {
					defer func() { <-places }()
					if err := connect(c); err != nil && failed.Add(1) < 10 {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			if n := failed.Load(); n > 0 {
				t.Errorf("%d of %d clients were not answered", n, total)
			}
			if n := c.joined.Load(); n != int64(total) {
				t.Errorf("sockets: got %d, want %d", n, total)
			}
			c.stop()
			if n := c.left.Load(); n != int64(total) {
				t.Errorf("sockets that left: got %d, want %d", n, total)
			}
		})
	}
}

type crowd struct {
	t            *testing.T
	srv          *socketio.Server
	web          *httptest.Server
	joined, left atomic.Int64
}

func newCrowd(t *testing.T) *crowd {
	t.Helper()
	srv, err := socketio.NewServer(socketio.Config{})
	if err != nil {
		t.Fatal(err)
	}
	c := &crowd{t: t, srv: srv}
	n := srv.Of("/")
	n.OnConnect(func(context.Context, *socketio.Socket) { c.joined.Add(1) })
	n.OnDisconnect(func(*socketio.Socket, engineio.Reason) { c.left.Add(1) })
	n.OnRaw("echo", func(_ context.Context, _ *socketio.Socket, args socketio.Args) (*socketio.Args, error) {
		return &args, nil
	})
	c.web = httptest.NewServer(srv)
	t.Cleanup(c.web.Close)
	return c
}

// stop ends all connections and waits for them.
func (c *crowd) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := c.srv.Shutdown(ctx); err != nil {
		c.t.Errorf("Shutdown: %v", err)
	}
}

func (c *crowd) dial(query string) (*wire.WebSocket, error) {
	return wire.DialWebSocket(c.t.Context(), func(ctx context.Context) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", c.web.Listener.Addr().String())
		if err == nil {
			err = conn.SetDeadline(time.Now().Add(time.Minute))
		}
		return conn, err
	}, "/socket.io/?EIO=4&transport=websocket"+query, nil)
}

func (c *crowd) byWebSocket() error {
	conn, err := c.dial("")
	if err != nil {
		return err
	}
	if text, err := conn.ReadText(); err != nil || text[0] != '0' {
		return fmt.Errorf("open packet: %q, %w", text, err)
	}
	for _, text := range []string{"40", `421["echo",7]`} {
		if err := conn.Text(text); err != nil {
			return err
		}
	}
	if err := answered(conn, `40{"sid":`, `431[7]`); err != nil {
		return err
	}
	return conn.Close()
}

// byUpgrade connects by polling, and takes the answers on the WebSocket.
func (c *crowd) byUpgrade() error {
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	p := wire.Polling{Client: client, Base: c.web.URL + "/socket.io/"}
	ctx, cancel := context.WithTimeout(c.t.Context(), time.Minute)
	defer cancel()
	if _, err := p.Open(ctx); err != nil {
		return err
	}
	if reply, err := p.Post(ctx, "40"); err != nil || reply.Body != "ok" {
		return fmt.Errorf("CONNECT: %+v, %w", reply, err)
	}
	conn, err := c.dial("&sid=" + p.SID)
	if err != nil {
		return err
	}
	if err := conn.Text("2probe"); err != nil {
		return err
	}
	if err := answered(conn, "3probe"); err != nil {
		return err
	}
	for _, text := range []string{"5", `421["echo",7]`} {
		if err := conn.Text(text); err != nil {
			return err
		}
	}
	if err := answered(conn, `40{"sid":`, `431[7]`); err != nil {
		return err
	}
	return conn.Close()
}

// answered reads messages that begin so; pings may come between.
func answered(conn *wire.WebSocket, want ...string) error {
	for len(want) > 0 {
		text, err := conn.ReadText()
		switch {
		case err != nil:
			return fmt.Errorf("want %s: %w", want[0], err)
		case text == "2":
			err = conn.Text("3")
		case !strings.HasPrefix(text, want[0]):
			err = fmt.Errorf("got %s, want %s", text, want[0])
		default:
			want = want[1:]
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Sockets join and leave while many goroutines emit. Whoever was in from before
// an Emit until after it gets it, nobody gets one that began after it had left,
// and each gets those of one sender in order. S-41, S-43
func TestRoomsUnderFire(t *testing.T) {
	const (
		clients = 12
		senders = 3
		events  = 100
		stays   = 100
	)
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		sockets := map[string]*socketio.Socket{}
		h := serve(t, socketio.Config{
			Engine: engineio.Config{PingInterval: time.Hour, QueueBytes: 1 << 24, QueueMessages: 1 << 20},
			Logger: slog.New(slog.DiscardHandler),
		}, func(srv *socketio.Server) {
			srv.Of("/").OnConnect(func(_ context.Context, s *socketio.Socket) {
				mu.Lock()
				defer mu.Unlock()
				sockets[s.ID()] = s
			})
		})
		n := h.srv.Of("/")

		// stays are the times, by the clock below, in which a socket was in the
		// room: from a moment after Join returned to one before Leave was called.
		// Between them and the next stay lies the time that it was surely out.
		type stay struct{ joining, in, leaving, out int64 }
		type member struct {
			stays []stay
			got   [senders][]int
			done  chan struct{}
		}
		var clock atomic.Int64
		var members []*member
		var work sync.WaitGroup
		for i := range clients {
			p := h.websocket()
			id := p.connect("/", "")
			synctest.Wait()
			mu.Lock()
			s := sockets[id]
			mu.Unlock()
			m := &member{done: make(chan struct{})}
			members = append(members, m)
			go func() {
				defer close(m.done)
				for {
					f, err := p.read()
					var sender, number int
					if err != nil || f.text == `42["end"]` {
						return
					}
					if _, err := fmt.Sscanf(f.text, `42["e",%d,%d]`, &sender, &number); err != nil {
						t.Errorf("got %s", f)
						return
					}
					m.got[sender] = append(m.got[sender], number)
				}
			}()
			work.Go(func() {
				for round := range stays {
					var st stay
					st.joining = clock.Add(1)
					if i%2 == 0 {
						s.Join("room", "other")
					} else {
						n.SocketsJoin([]string{"room"}, id)
					}
					st.in = clock.Add(1)
					for range i + 1 {
						runtime.Gosched()
					}
					if round == stays-1 {
						st.leaving, st.out = 1<<62, 1<<62
						m.stays = append(m.stays, st)
						return
					}
					st.leaving = clock.Add(1)
					if i%3 == 0 {
						s.Leave("room")
					} else {
						n.SocketsLeave([]string{"room", "other"}, id)
					}
					st.out = clock.Add(1)
					m.stays = append(m.stays, st)
				}
			})
		}
		type emission struct{ began, ended int64 }
		var emitted [senders][events]emission
		var sending sync.WaitGroup
		for sender := range senders {
			sending.Go(func() {
				for number := range events {
					ev := event(t, "e", strconv.Itoa(sender), strconv.Itoa(number))
					emitted[sender][number].began = clock.Add(1)
					n.Emit(ev, "room")
					emitted[sender][number].ended = clock.Add(1)
					runtime.Gosched()
				}
			})
		}
		sending.Wait()
		work.Wait()
		synctest.Wait()
		if got := len(n.Sockets("room")); got != clients {
			t.Errorf("members in the end: got %d, want %d", got, clients)
		}
		n.Emit(event(t, "end"))
		sure := 0
		for i, m := range members {
			<-m.done
			for sender := range senders {
				got := map[int]bool{}
				for k, number := range m.got[sender] {
					if k > 0 && number <= m.got[sender][k-1] {
						t.Errorf("client %d got %d of sender %d after %d", i, number, sender, m.got[sender][k-1])
					}
					got[number] = true
				}
				for number, e := range emitted[sender] {
					in, maybe := false, false
					for _, st := range m.stays {
						in = in || st.in < e.began && e.ended < st.leaving
						maybe = maybe || st.joining < e.ended && e.began < st.out
					}
					if in {
						sure++
					}
					if in && !got[number] {
						t.Errorf("client %d did not get %d of sender %d", i, number, sender)
					}
					if got[number] && !maybe {
						t.Errorf("client %d got %d of sender %d while it was out", i, number, sender)
					}
				}
			}
		}
		if sure == 0 {
			t.Error(errors.New("no event was sent while a socket was in for sure"))
		}
	})
}
