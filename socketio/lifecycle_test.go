package socketio_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"larder/engineio"
	"larder/socketio"
)

// quiet is a configuration without pings in the way.
func quiet() socketio.Config {
	return socketio.Config{Engine: engineio.Config{PingInterval: time.Hour}}
}

// One connection in each of these states; after the timeout only those that
// have a namespace are left. S-1
func TestConnectTimeout(t *testing.T) {
	eachTransport(t, func(t *testing.T, open func(*host) *peer) {
		h := serve(t, quiet(), application)
		joined, never, refused, left, back := open(h), open(h), open(h), open(h), open(h)
		joined.connect("/1", "")
		refused.send(`0/more,{"do":"refuse"}`)
		refused.expect(`4/more,{"message":"not <you>"}`)
		wait(9 * time.Second)
		left.connect("/1", "")
		left.send("1/1,")
		back.connect("/1", "")
		back.send("1/1,")
		back.connect("/2", "")
		wait(999 * time.Millisecond)
		synctest.Wait()
		if got := h.srv.Len(); got != 5 {
			t.Fatalf("just before the timeout: %d connections, want 5", got)
		}
		wait(time.Millisecond)
		never.expectClosed()
		refused.expectClosed()
		if got := h.srv.Len(); got != 3 {
			t.Fatalf("after the timeout: %d connections, want 3", got)
		}
		wait(9 * time.Second)
		left.expectClosed()
		wait(time.Minute)
		joined.send("1/1,")
		joined.connect("/1", "")
		back.send("1/2,")
		back.connect("/1", "")
	})
}

// Whatever ends a socket, OnDisconnect hears of it once, with the rooms, and
// then nothing is left. S-40
func TestDisconnectReasons(t *testing.T) {
	for name, tc := range map[string]struct {
		end    func(t *testing.T, h *host, p *peer)
		reason engineio.Reason
	}{
		"client leaves":      {func(_ *testing.T, _ *host, p *peer) { p.send("1") }, socketio.ReasonClientDisconnect},
		"close packet":       {func(_ *testing.T, _ *host, p *peer) { p.write(frame{text: "1"}) }, engineio.ReasonTransportClose},
		"parse error":        {func(_ *testing.T, _ *host, p *peer) { p.send("abc") }, engineio.ReasonParseError},
		"S-7":                {func(_ *testing.T, _ *host, p *peer) { p.send("0") }, engineio.ReasonParseError},
		"no pong":            {func(*testing.T, *host, *peer) { wait(2 * time.Hour) }, engineio.ReasonPingTimeout},
		"socket disconnect":  {func(_ *testing.T, h *host, _ *peer) { h.srv.Of("/").Sockets()[0].Disconnect() }, socketio.ReasonServerDisconnect},
		"disconnect all":     {func(_ *testing.T, h *host, _ *peer) { h.srv.Of("/").Sockets()[0].DisconnectAll() }, socketio.ReasonServerDisconnect},
		"socket close":       {func(_ *testing.T, h *host, _ *peer) { h.srv.Of("/").Sockets()[0].Close("") }, engineio.ReasonForcedServerClose},
		"room disconnect":    {func(_ *testing.T, h *host, _ *peer) { h.srv.Of("/").Disconnect("expelled", false, "red") }, "expelled"},
		"namespace, default": {func(_ *testing.T, h *host, _ *peer) { h.srv.Of("/").Disconnect("", false) }, socketio.ReasonServerDisconnect},
		"room close":         {func(_ *testing.T, h *host, _ *peer) { h.srv.Of("/").Disconnect("expelled", true, "red") }, "expelled"},
		"shutdown": {func(t *testing.T, h *host, _ *peer) {
			if err := h.srv.Shutdown(t.Context()); err != nil {
				t.Error(err)
			}
		}, engineio.ReasonShutdown},
	} {
		t.Run(name, func(t *testing.T) {
			eachTransport(t, func(t *testing.T, open func(*host) *peer) {
				var log record
				var socket *socketio.Socket
				h := serve(t, quiet(), func(srv *socketio.Server) {
					n := srv.Of("/")
					n.OnConnect(func(_ context.Context, s *socketio.Socket) { socket = s; s.Join("red", "blue") })
					n.OnDisconnect(func(s *socketio.Socket, reason engineio.Reason) {
						log.add("%s %v %d in room", reason, s.Rooms()[1:], len(n.Sockets("red")))
						s.Join("green")
						if err := s.Emit(event(t, "late")); !errors.Is(err, socketio.ErrNotConnected) {
							t.Errorf("Emit in OnDisconnect: %v", err)
						}
					})
				})
				p := open(h)
				p.connect("/", "")
				synctest.Wait() // OnConnect comes after the answer
				go func() {     // answer nothing, but take what comes
					for {
						if _, err := p.read(); err != nil {
							return
						}
					}
				}()
				tc.end(t, h, p)
				wait(time.Second)
				if got, want := log.take(), string(tc.reason)+" [red blue] 0 in room"; got != want {
					t.Errorf("OnDisconnect: got %q, want %q", got, want)
				}
				n := h.srv.Of("/")
				if n.Len() != 0 || len(n.Sockets("red")) != 0 || socket.Rooms() != nil {
					t.Errorf("left over: %d sockets, %d in red, rooms %v", n.Len(), len(n.Sockets("red")), socket.Rooms())
				}
				cause, ok := errors.AsType[engineio.Cause](context.Cause(socket.Context()))
				if !ok || cause.Reason != tc.reason {
					t.Errorf("cause of the context: got %v, want %s", context.Cause(socket.Context()), tc.reason)
				}
			})
		})
	}
}

// A socket is a member, with the rooms of its middleware, from its CONNECT
// answer on, and cannot be sent to before. S-12
func TestMiddlewareBeforeMembership(t *testing.T) {
	eachTransport(t, func(t *testing.T, open func(*host) *peer) {
		var log record
		h := serve(t, quiet(), func(srv *socketio.Server) {
			n := srv.Of("/")
			n.Use(func(_ context.Context, s *socketio.Socket) error {
				s.Join("a", "b", "a")
				s.Leave("b")
				s.SetData("user 7")
				_, errAck := s.EmitAck(t.Context(), event(t, "early"))
				log.add("%d members, %v, %v, %v, %s", n.Len(), s.Rooms()[1:], s.Emit(event(t, "early")), errAck, s.Handshake().Auth)
				n.Emit(event(t, "early"), "a", s.ID())
				return nil
			})
			n.Use(func(_ context.Context, s *socketio.Socket) error {
				log.add("%v from %s", s.Data(), s.Handshake().Query().Get("EIO"))
				return nil
			})
			n.OnConnect(func(_ context.Context, s *socketio.Socket) {
				log.add("%d members, %v", n.Len(), s.Rooms()[1:])
				n.Emit(event(t, "welcome"), "a")
			})
		})
		p := open(h)
		p.connect("/", "")
		p.expect(`2["welcome"]`)
		want := "0 members, [a], socketio: socket is not connected, socketio: socket is not connected, {}; user 7 from 4; 1 members, [a]"
		if got := log.take(); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	})
}

// While others emit without pause, the CONNECT answer is still the first thing
// a client gets, and from then on it misses nothing. S-12, S-43
func TestMemberFromAnswerOn(t *testing.T) {
	eachTransport(t, func(t *testing.T, open func(*host) *peer) {
		cfg := quiet()
		cfg.Engine.QueueBytes, cfg.Engine.QueueMessages = 1<<30, 1<<20
		h := serve(t, cfg, func(srv *socketio.Server) {
			srv.Of("/").Use(func(_ context.Context, s *socketio.Socket) error { s.Join("news"); return nil })
		})
		n := h.srv.Of("/")
		for range 50 {
			p := open(h)
			stop, stopped := make(chan struct{}), make(chan int)
			go func() {
				i := 0
				for ; i < 2000; i++ {
					select {
					case <-stop:
						stopped <- i
						return
					default:
						n.Emit(event(t, "n", strconv.Itoa(i)), "news")
					}
				}
				<-stop
				stopped <- i
			}()
			p.connect("/", "")
			n.Emit(event(t, "answered"), "news")
			close(stop)
			count := <-stopped
			n.Emit(event(t, "last"), "news")
			answered, next := false, -1
			for {
				text := p.next().text
				var i int
				if _, err := fmt.Sscanf(text, `2["n",%d]`, &i); err == nil {
					if next >= 0 && i != next {
						t.Fatalf("got %d, want %d", i, next)
					}
					next = i + 1
				} else if text == `2["answered"]` {
					answered = true
				} else if text == `2["last"]` {
					break
				}
			}
			if !answered || next >= 0 && next != count {
				t.Fatalf("answered %v, %d of %d events", answered, next, count)
			}
			p.send("1")
		}
	})
}

// A CONNECT is in flight, held up in a middleware, while the connection ends:
// the middleware is told, and no ghost joins.
func TestConnectInFlight(t *testing.T) {
	for name, end := range map[string]func(h *host, p *peer, s *socketio.Socket){
		"client goes":    func(_ *host, p *peer, _ *socketio.Socket) { p.close(); wait(10 * time.Second) },
		"server closes":  func(_ *host, _ *peer, s *socketio.Socket) { s.Close("") },
		"disconnected":   func(_ *host, _ *peer, s *socketio.Socket) { s.Disconnect() },
		"no more time":   func(*host, *peer, *socketio.Socket) { wait(10 * time.Second) },
		"server is down": func(h *host, _ *peer, _ *socketio.Socket) { _ = h.srv.Shutdown(context.Background()) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log record
				inside := make(chan *socketio.Socket, 1)
				h := serve(t, quiet(), func(srv *socketio.Server) {
					n := srv.Of("/")
					n.Use(func(ctx context.Context, s *socketio.Socket) error {
						s.Join("red")
						inside <- s
						<-ctx.Done()
						log.add("told")
						return nil // and goes on as if nothing was
					})
					n.OnConnect(func(context.Context, *socketio.Socket) { log.add("connect") })
					n.OnDisconnect(func(*socketio.Socket, engineio.Reason) { log.add("disconnect") })
				})
				p := h.websocket()
				p.send("0")
				s := <-inside
				end(h, p, s)
				synctest.Wait()
				if got := log.take(); got != "told" {
					t.Errorf("got %q, want only the middleware told", got)
				}
				n := h.srv.Of("/")
				if n.Len() != 0 || len(n.Sockets("red")) != 0 || s.Rooms() != nil {
					t.Errorf("ghost: %d sockets, %d in red, rooms %v", n.Len(), len(n.Sockets("red")), s.Rooms())
				}
			})
		})
	}
}

// Another goroutine disconnects sockets at whatever moment of their CONNECT:
// each OnConnect has its OnDisconnect after it, and nobody stays.
func TestDisconnectDuringConnect(t *testing.T) {
	for range 200 {
		synctest.Test(t, func(t *testing.T) {
			var log record
			h := serve(t, quiet(), func(srv *socketio.Server) {
				n := srv.Of("/")
				n.Use(func(_ context.Context, s *socketio.Socket) error {
					s.Join("red")
					go s.Disconnect()
					return nil
				})
				n.OnConnect(func(context.Context, *socketio.Socket) { log.add("connect") })
				n.OnDisconnect(func(*socketio.Socket, engineio.Reason) { log.add("disconnect") })
			})
			p := h.websocket()
			p.send("0")
			first := p.next().text
			if !strings.HasPrefix(first, "4") {
				p.expect("1")
			}
			synctest.Wait()
			if got := log.take(); got != "" && got != "connect; disconnect" {
				t.Errorf("got %q", got)
			}
			if n := h.srv.Of("/"); n.Len() != 0 || len(n.Sockets("red")) != 0 {
				t.Errorf("ghost: %d sockets, %d in red", n.Len(), len(n.Sockets("red")))
			}
		})
	}
}

// OnDisconnect waits for the handler that is running.
func TestDisconnectWaitsForHandler(t *testing.T) {
	eachTransport(t, func(t *testing.T, open func(*host) *peer) {
		var log record
		h := serve(t, quiet(), func(srv *socketio.Server) {
			n := srv.Of("/")
			n.OnConnect(func(ctx context.Context, s *socketio.Socket) {
				go s.Disconnect()
				<-ctx.Done()
				log.add("connected")
			})
			n.OnDisconnect(func(*socketio.Socket, engineio.Reason) { log.add("disconnected") })
			slow := srv.Of("/slow")
			slow.OnRaw("leave", func(ctx context.Context, s *socketio.Socket, _ socketio.Args) (*socketio.Args, error) {
				go slow.Disconnect("", false)
				<-ctx.Done()
				log.add("handled, %d members", slow.Len())
				return &socketio.Args{}, nil
			})
			slow.OnDisconnect(func(*socketio.Socket, engineio.Reason) { log.add("slow disconnected") })
		})
		p := open(h)
		p.connect("/", "")
		p.expect("1")
		synctest.Wait() // the client may know first
		p.connect("/slow", "")
		p.send(`2/slow,1["leave"]`)
		p.expect("1/slow,")
		synctest.Wait()
		if got, want := log.take(), "connected; disconnected; handled, 0 members; slow disconnected"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

func TestPanicsAreContained(t *testing.T) {
	eachTransport(t, func(t *testing.T, open func(*host) *peer) {
		var log record
		h := serve(t, quiet(), func(srv *socketio.Server) {
			n := srv.Of("/")
			n.OnConnect(func(_ context.Context, s *socketio.Socket) {
				if string(s.Handshake().Auth) != "{}" {
					panic("connect")
				}
			})
			n.OnDisconnect(func(*socketio.Socket, engineio.Reason) { panic("disconnect") })
			n.OnDisconnect(func(_ *socketio.Socket, reason engineio.Reason) { log.add("%s", reason) })
			socketio.On(n, "panic", func(context.Context, *socketio.Socket, any) (any, error) { panic("event") })
			socketio.On(n, "ok", func(context.Context, *socketio.Socket, any) (int, error) { return 1, nil })
		})
		bystander := open(h)
		bystander.connect("/", "")
		p := open(h)
		p.connect("/", `{"panic":true}`)
		p.expectClosed()
		synctest.Wait()
		bystander.send(`21["panic"]`, `22["ok"]`) // without OnError no answer
		bystander.expect("32[1]")
		bystander.send("1")
		synctest.Wait()
		if got, want := log.take(), "forced server close; client namespace disconnect"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

func TestShutdownTellsEverybody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log record
		h := serve(t, quiet(), func(srv *socketio.Server) {
			for _, name := range []string{"/", "/x"} {
				srv.Of(name).OnDisconnect(func(s *socketio.Socket, reason engineio.Reason) {
					log.add("%s %s", s.Namespace().Name(), reason)
				})
			}
		})
		for range 3 {
			for _, p := range []*peer{h.websocket(), h.polling()} {
				p.connect("/", "")
				p.connect("/x", "")
				go p.expectClosedLater()
			}
		}
		if err := h.srv.Shutdown(t.Context()); err != nil {
			t.Fatal(err)
		}
		var want []string
		for _, name := range []string{"/", "/x"} {
			want = append(want, slices.Repeat([]string{name + " server shutting down"}, 6)...)
		}
		got := strings.Split(log.take(), "; ")
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("got %q", got)
		}
	})
}

func TestMisuse(t *testing.T) {
	if _, err := socketio.NewServer(socketio.Config{MaxAcks: -1, AckTimeout: -1}); err == nil ||
		!strings.Contains(err.Error(), "MaxAcks") || !strings.Contains(err.Error(), "AckTimeout") {
		t.Errorf("NewServer: got %v, want both faults", err)
	}
	synctest.Test(t, func(t *testing.T) {
		h := serve(t, quiet(), func(srv *socketio.Server) {
			n := srv.Of("/")
			n.OnRaw("once", nop)
			mustPanic(t, "two handlers", func() { n.OnRaw("once", nop) })
			mustPanic(t, "reserved", func() { n.OnRaw("connect", nop) })
			for _, name := range []string{"", "x", "/a,b", "/a\x1eb", "/\x98", "/" + strings.Repeat("n", 255)} {
				mustPanic(t, "namespace", func() { srv.Of(name) })
			}
		})
		h.websocket()
		n := h.srv.Of("/")
		mustPanic(t, "after the server began to serve", func() { h.srv.Of("/new") })
		mustPanic(t, "after the server began to serve", func() { n.OnRaw("late", nop) })
		mustPanic(t, "after the server began to serve", func() { n.OnConnect(nil) })
	})
}

func nop(context.Context, *socketio.Socket, socketio.Args) (*socketio.Args, error) { return nil, nil }

func mustPanic(t *testing.T, text string, f func()) {
	t.Helper()
	defer func() {
		t.Helper()
		if v := recover(); v == nil || !strings.Contains(fmt.Sprint(v), text) {
			t.Errorf("panic: got %v, want one with %q", v, text)
		}
	}()
	f()
}

// What a client has shown is gone once a middleware says so, and only then. S-3
func TestForgetAuth(t *testing.T) {
	for forget, want := range map[bool]string{true: `{}`, false: `{"token":"secret"}`} {
		synctest.Test(t, func(t *testing.T) {
			h := serve(t, quiet(), func(srv *socketio.Server) {
				n := srv.Of("/")
				n.Use(func(_ context.Context, s *socketio.Socket) error {
					if got := string(s.Handshake().Auth); got != `{"token":"secret"}` {
						t.Errorf("in the middleware: got %s", got)
					}
					if forget {
						s.ForgetAuth()
					}
					return nil
				})
				socketio.On(n, "auth", func(_ context.Context, s *socketio.Socket, _ any) (json.RawMessage, error) {
					return s.Handshake().Auth, nil
				})
			})
			p := h.websocket()
			p.connect("/", `{"token":"secret"}`)
			p.send(`21["auth"]`)
			p.expect(`31[` + want + `]`)
		})
	}
}
