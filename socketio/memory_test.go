package socketio_test

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"larder/internal/testkit/wire"
	"larder/socketio"
)

// remember serves "/" with a MemoryRecovery. Clients name their rooms and user in
// their auth.
func remember(t testing.TB, cfg socketio.MemoryConfig) func(*socketio.Server) {
	return func(srv *socketio.Server) {
		m, err := socketio.NewMemoryRecovery(cfg)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"/", "/other"} {
			n := srv.Of(name)
			n.Recover(m)
			n.Use(func(_ context.Context, s *socketio.Socket) error {
				var auth struct{ Rooms []string }
				if err := json.Unmarshal(s.Handshake().Auth, &auth); err != nil {
					return err
				}
				s.Join(auth.Rooms...)
				return nil
			})
		}
	}
}

// A guest is a client that does what the stock client does for its recovery.
type guest struct {
	*peer
	sid, pid, offset string
	fresh            bool // the last answer was of another pid
}

func (g *guest) come(p *peer, auth string) {
	g.t.Helper()
	g.peer = p
	if g.pid != "" {
		auth = fmt.Sprintf(`{"pid":%q,"offset":%q,`, g.pid, g.offset) + strings.TrimPrefix(auth, "{")
	}
	sid, pid := p.come("%s", auth)
	g.fresh = pid != g.pid
	g.sid, g.pid = sid, pid
}

var lastString = regexp.MustCompile(`"([^"]*)"\]$`)

// hear returns events as they come, without their offsets, up to the ready event
// or one called "end".
func (g *guest) hear() string {
	g.t.Helper()
	var all []string
	for {
		text := g.next().text
		if m := lastString.FindStringSubmatch(text); m != nil {
			g.offset = m[1]
			text = strings.TrimSuffix(text, `,"`+m[1]+`"]`) + "]"
		}
		if text == `2["recovery.ready"]` || text == `2["end"]` {
			return strings.Join(all, " ")
		}
		all = append(all, text)
	}
}

func (g *guest) leave() {
	g.write(frame{text: "1"})
	wait(time.Second)
}

// What a client gets when it comes back is what it would have got, had it stayed.
// S-53
func TestMemoryRecovery(t *testing.T) {
	eachTransport(t, func(t *testing.T, open func(*host) *peer) {
		h := serve(t, quiet(), remember(t, socketio.MemoryConfig{}))
		n := h.srv.Of("/")
		stays, g := &guest{peer: &peer{t: t}}, &guest{peer: &peer{t: t}}
		stays.come(open(h), `{"rooms":["red","late"]}`)
		stays.hear()
		g.come(open(h), `{"rooms":["red","late"]}`)
		if got := g.hear(); got != "" || g.offset == "" {
			t.Errorf("heard %q before the ready event, offset %q", got, g.offset)
		}
		s := n.Sockets(g.sid)[0]
		s.SetData("ann")
		n.Emit(event(t, "blue", "0"), "blue") // before it joins blue: not for it
		s.Join("blue")
		n.Emit(event(t, "blue", "1"), "blue")
		n.Emit(event(t, "end"))
		if got, want := g.hear(), `2["blue",1]`; got != want {
			t.Fatalf("got %s, want %s", got, want)
		}
		stays.hear()
		sid := g.sid
		g.leave()
		n.Emit(event(t, "all", "1"))
		n.Emit(event(t, "red", "2"), "red", "green")
		n.Emit(event(t, "both", "3"), "red", "blue")
		n.Emit(event(t, "green"), "green")
		n.Emit(event(t, "own", "4"), sid)
		n.EmitExcept(event(t, "not-red"), []string{"red"})
		n.EmitExcept(event(t, "not-own"), []string{sid})
		n.EmitExcept(event(t, "not-green", "5"), []string{"green"}, "late")
		n.Emit(event(t, "volatile", "6").Volatile())
		n.Sockets(stays.sid)[0].Broadcast(event(t, "broadcast", "7"), "red")
		h.srv.Of("/other").Emit(event(t, "other"))
		if err := n.Sockets(stays.sid)[0].Emit(event(t, "to-the-other")); err != nil {
			t.Error(err)
		}
		g.come(open(h), `{"rooms":[]}`)
		if g.fresh || g.sid != sid {
			t.Errorf("fresh %v, id %s, want %s", g.fresh, g.sid, sid)
		}
		want := `2["all",1] 2["red",2] 2["both",3] 2["own",4] 2["not-green",5] 2["broadcast",7]`
		if got := g.hear(); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		synctest.Wait()
		s = n.Sockets(g.sid)[0]
		if rooms := s.Rooms(); fmt.Sprint(rooms[1:], s.Data()) != "[red late blue]ann" {
			t.Errorf("restored %v, %v", rooms, s.Data())
		}
		n.Emit(event(t, "live"), "blue")
		n.Emit(event(t, "end"))
		if got, want := g.hear(), `2["live"]`; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	})
}

// What was lost on its way is replayed from the rooms that a client was in at the
// time, and not from those it joined later, by itself or by room.
func TestMemoryKnowsSinceWhen(t *testing.T) {
	eachTransport(t, func(t *testing.T, open func(*host) *peer) {
		h := serve(t, quiet(), remember(t, socketio.MemoryConfig{}))
		n := h.srv.Of("/")
		g := &guest{peer: &peer{t: t}}
		g.come(open(h), `{"rooms":["red"]}`)
		g.hear()
		synctest.Wait()
		both := func(i string) {
			n.Emit(event(t, "blue", i), "blue")
			n.Emit(event(t, "green", i), "green")
		}
		both("1")
		n.Sockets(g.sid)[0].Join("blue")
		both("2")
		n.SocketsJoin([]string{"green"}, "red")
		both("3")
		g.leave() // without having read any of it
		both("4")
		g.come(open(h), `{"rooms":[]}`)
		want := `2["blue",2] 2["blue",3] 2["green",3] 2["blue",4] 2["green",4]`
		if got := g.hear(); g.fresh || got != want {
			t.Errorf("fresh %v, heard %s, want %s", g.fresh, got, want)
		}
	})
}

// Why a client cannot come back, and that it is told no part of it. S-54
func TestMemoryNotRecovered(t *testing.T) {
	byUser := func(s *socketio.Socket) string {
		var auth struct{ User string }
		_ = json.Unmarshal(s.Handshake().Auth, &auth)
		return auth.User
	}
	for name, tc := range map[string]struct {
		cfg    socketio.MemoryConfig
		away   func(n *socketio.Namespace, h *host, g *guest) // it left a second ago
		auth   string
		result string
	}{
		"too long":         {away: func(*socketio.Namespace, *host, *guest) { wait(2 * time.Minute) }, result: "unknown"},
		"too many events":  {cfg: socketio.MemoryConfig{MaxEvents: 3}, result: "limit"},
		"too many bytes":   {cfg: socketio.MemoryConfig{MaxBytes: 900}, result: "limit"},
		"replay too large": {cfg: socketio.MemoryConfig{MaxReplayBytes: 900}, result: "limit"},
		"too many sessions": {cfg: socketio.MemoryConfig{MaxSessions: 1}, away: func(_ *socketio.Namespace, h *host, g *guest) {
			other := &guest{peer: &peer{t: g.t}}
			other.come(h.websocket(), `{}`)
			other.hear()
			other.leave()
		}, result: "unknown"},
		"another user":     {cfg: socketio.MemoryConfig{User: byUser}, auth: `{"user":"bob"}`, result: "rights"},
		"application text": {away: func(_ *socketio.Namespace, _ *host, g *guest) { g.offset = "hello" }, result: "offset"},
		"nearly an offset": {away: func(_ *socketio.Namespace, _ *host, g *guest) { g.offset = g.offset[:27] + "x" }, result: "offset"},
		"of another process": {away: func(_ *socketio.Namespace, _ *host, g *guest) {
			g.offset = "m" + strings.Repeat("A", 10) + g.offset[11:]
		}, result: "epoch"},
		"of the future":  {away: func(_ *socketio.Namespace, _ *host, g *guest) { g.offset = g.offset[:12] + "7fffffffffffffff" }, result: "offset"},
		"before it came": {away: func(_ *socketio.Namespace, _ *host, g *guest) { g.offset = g.offset[:12] + strings.Repeat("0", 16) }, result: "offset"},
		"of the other namespace": {away: func(_ *socketio.Namespace, h *host, g *guest) {
			p := h.websocket()
			p.send("0/other,")
			g.pid = regexp.MustCompile(`"pid":"([^"]+)"`).FindStringSubmatch(p.next().text)[1]
		}, result: "unknown"},
		"missed with a room it left": {away: func(_ *socketio.Namespace, _ *host, g *guest) {
			g.offset = g.offset[:12] + strings.Repeat("0", 15) + "2"
		}, result: "offset"},
	} {
		t.Run(name, func(t *testing.T) {
			eachTransport(t, func(t *testing.T, open func(*host) *peer) {
				observer := &recoveries{}
				cfg := quiet()
				cfg.Observer = observer
				h := serve(t, cfg, remember(t, tc.cfg))
				n := h.srv.Of("/")
				n.Emit(event(t, "before"), "red") // position 1
				g := &guest{peer: &peer{t: t}}
				g.come(open(h), `{"rooms":["red"],"user":"ann"}`)
				g.hear()
				synctest.Wait()
				n.Emit(event(t, "red"), "red") // 2
				n.Emit(event(t, "end"))        // 3
				g.hear()
				n.Sockets(g.sid)[0].Leave("red")
				g.leave()
				for range 5 {
					n.Emit(event(t, "missed"), g.sid)
				}
				sid := g.sid
				if tc.away != nil {
					tc.away(n, h, g)
				}
				if tc.auth == "" {
					tc.auth = `{"user":"ann"}`
				}
				g.come(open(h), tc.auth)
				if !g.fresh || g.sid == sid {
					t.Errorf("came back as %s", g.sid)
				}
				if got := g.hear(); got != "" {
					t.Errorf("heard %s", got)
				}
				if got, want := observer.take(), "/ "+tc.result+" 0"; got != want {
					t.Errorf("result: got %s, want %s", got, want)
				}
			})
		})
	}
}

// A session that heard nothing for hours comes back, although the event that it
// saw last is long forgotten. R-8
func TestMemoryQuietSession(t *testing.T) {
	eachTransport(t, func(t *testing.T, open func(*host) *peer) {
		h := serve(t, socketio.Config{}, remember(t, socketio.MemoryConfig{MaxEvents: 50}))
		n := h.srv.Of("/")
		g := &guest{peer: &peer{t: t}}
		g.come(open(h), `{"rooms":["red"]}`)
		g.hear()
		done := make(chan struct{})
		go func() {
			defer close(done)
			for range 60 {
				wait(time.Minute)
				n.Emit(event(t, "noise"), "blue")
				n.Emit(event(t, "noise"), "blue")
			}
			n.Emit(event(t, "end"), "nobody")
			n.Sockets(g.sid)[0].Join("green")
			_ = n.Sockets(g.sid)[0].Emit(event(t, "wake").Volatile())
			n.Sockets(g.sid)[0].Close("")
		}()
		for {
			f, err := g.read()
			if err != nil {
				break
			}
			if f.text == "2" {
				g.write(frame{text: "3"})
			}
		}
		<-done
		wait(time.Minute)
		n.Emit(event(t, "missed"), "red")
		g.come(open(h), `{"rooms":[]}`)
		if got := g.hear(); g.fresh || got != `2["missed"]` {
			t.Errorf("fresh %v, heard %q", g.fresh, got)
		}
	})
}

// What was on its way when the connection broke comes with the replay, for the
// client's offset says what it has seen. E-28
func TestMemoryDeadPoll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := serve(t, quiet(), remember(t, socketio.MemoryConfig{}))
		n := h.srv.Of("/")
		g := &guest{peer: &peer{t: t}}
		poll := wire.Polling{Client: h.net.Client(), Base: wire.URL + "/socket.io/"}
		if _, err := poll.Open(t.Context()); err != nil {
			t.Fatal(err)
		}
		l := &pollLink{get: poll, post: poll}
		t.Cleanup(l.close)
		g.come(&peer{t, l}, `{"rooms":["red"]}`)
		g.hear()
		ctx, cancel := context.WithCancel(t.Context())
		lost := make(chan struct{})
		go func() {
			defer close(lost)
			_, _ = l.get.Get(ctx) // whatever it carries, nobody reads it
		}()
		synctest.Wait()
		n.Emit(event(t, "in-the-poll"), "red")
		cancel()
		<-lost
		n.Emit(event(t, "after-it"), "red")
		g.come(h.polling(), `{"rooms":[]}`)
		if got, want := g.hear(), `2["in-the-poll"] 2["after-it"]`; g.fresh || got != want {
			t.Errorf("fresh %v, heard %s, want %s", g.fresh, got, want)
		}
	})
}

// A connection that is still there is taken over, and what it had not read is not
// lost. S-53
func TestMemoryReplacesLiveSocket(t *testing.T) {
	eachTransport(t, func(t *testing.T, open func(*host) *peer) {
		h := serve(t, quiet(), remember(t, socketio.MemoryConfig{}))
		n := h.srv.Of("/")
		g := &guest{peer: &peer{t: t}}
		g.come(open(h), `{"rooms":["red"]}`)
		g.hear()
		n.Emit(event(t, "unread"), "red")
		first := g.peer
		g.come(open(h), `{"rooms":[]}`)
		if got, want := g.hear(), `2["unread"]`; g.fresh || got != want {
			t.Errorf("fresh %v, heard %s, want %s", g.fresh, got, want)
		}
		first.expectAnyThenClosed()
		wait(time.Minute)
		n.Emit(event(t, "live"), "red")
		n.Emit(event(t, "end"))
		if got, want := g.hear(), `2["live"]`; got != want {
			t.Errorf("heard %s, want %s", got, want)
		}
	})
}

func (p *peer) expectAnyThenClosed() {
	for {
		if _, err := p.read(); err != nil {
			return
		}
	}
}

// Rights that ended while a client was away: it comes back without the room, and
// without what it missed there.
func TestMemoryRoomsOfToday(t *testing.T) {
	eachTransport(t, func(t *testing.T, open func(*host) *peer) {
		h := serve(t, quiet(), remember(t, socketio.MemoryConfig{Rooms: func(_ *socketio.Socket, rooms []string) []string {
			return slices.DeleteFunc(slices.Clone(rooms), func(r string) bool { return r == "board" })
		}}))
		n := h.srv.Of("/")
		g := &guest{peer: &peer{t: t}}
		g.come(open(h), `{"rooms":["red","board"]}`)
		g.hear()
		g.leave()
		n.Emit(event(t, "secret"), "board")
		n.Emit(event(t, "red"), "red")
		n.EmitExcept(event(t, "not-board"), []string{"board"}, "red")
		g.come(open(h), `{"rooms":[]}`)
		if got, want := g.hear(), `2["red"]`; g.fresh || got != want {
			t.Errorf("fresh %v, heard %s, want %s", g.fresh, got, want)
		}
		synctest.Wait()
		if got := len(n.Sockets("board")); got != 0 {
			t.Errorf("%d sockets in board", got)
		}
	})
}

// While a client is away its namespace may be gone, and come again. S-11
func TestMemoryOfChildren(t *testing.T) {
	eachTransport(t, func(t *testing.T, open func(*host) *peer) {
		var parent *socketio.Parent
		h := serve(t, quiet(), func(srv *socketio.Server) {
			m, err := socketio.NewMemoryRecovery(socketio.MemoryConfig{})
			if err != nil {
				t.Fatal(err)
			}
			parent = srv.OfFunc(func(string) bool { return true })
			parent.Recover(m)
		})
		p := open(h)
		pattern := regexp.MustCompile(`"pid":"([^"]+)"`)
		p.send("0/a,")
		answer := p.next().text
		pid := pattern.FindStringSubmatch(answer)[1]
		offset := lastString.FindStringSubmatch(p.next().text)[1]
		p.write(frame{text: "1"})
		wait(time.Second)
		if n := len(parent.Namespaces()); n != 0 {
			t.Errorf("%d children", n)
		}
		parent.Emit(event(t, "missed"))
		p = open(h)
		p.send(fmt.Sprintf(`0/a,{"pid":%q,"offset":%q}`, pid, offset))
		p.expect(answer)
		if got := p.next().text; !strings.HasPrefix(got, `2/a,["missed","m`) {
			t.Errorf("got %s, want what was missed", got)
		}
	})
}

// Several emit at once to several rooms, and one socket moves between them. A
// client that goes and comes hears the same, in the same order, as one that
// stays in the same rooms. S-43, R-10
func TestMemoryHasNoHoleAndNoRepetition(t *testing.T) {
	eachTransport(t, func(t *testing.T, open func(*host) *peer) {
		const emitters, each = 3, 400
		cfg := quiet()
		cfg.Engine.QueueBytes, cfg.Engine.QueueMessages = 1<<30, 1<<20
		h := serve(t, cfg, remember(t, socketio.MemoryConfig{}))
		n := h.srv.Of("/")
		stays, g := &guest{peer: &peer{t: t}}, &guest{peer: &peer{t: t}}
		stays.come(open(h), `{"rooms":["red","blue"]}`)
		stays.hear()
		g.come(open(h), `{"rooms":["red","blue"]}`)
		g.hear()
		var emitting sync.WaitGroup
		for e := range emitters {
			emitting.Go(func() {
				for i := range each {
					switch {
					case i%3 == 0:
						n.Emit(event(t, "n", strconv.Itoa(e), strconv.Itoa(i)), "red")
					case i%3 == 1:
						n.Emit(event(t, "n", strconv.Itoa(e), strconv.Itoa(i)), "blue", "red")
					default:
						n.EmitExcept(event(t, "n", strconv.Itoa(e), strconv.Itoa(i)), []string{"nobody"})
					}
					if i%10 == 0 {
						wait(time.Millisecond)
					}
				}
			})
		}
		var want []string
		heard := make(chan struct{})
		go func() {
			defer close(heard)
			for len(want) < emitters*each {
				want = append(want, stays.next().text)
			}
		}()
		var got []string
		for returns := 1; len(got) < emitters*each; returns++ {
			for range 1 + returns%89 {
				text := g.next().text
				g.offset = lastString.FindStringSubmatch(text)[1]
				if strings.HasPrefix(text, `2["n"`) {
					got = append(got, text)
				}
				if len(got) == emitters*each {
					break
				}
			}
			if returns%2 == 0 {
				g.write(frame{text: "1"})
			}
			g.come(open(h), `{"rooms":[]}`)
			if g.fresh {
				t.Fatal("not recovered")
			}
		}
		<-heard
		emitting.Wait()
		for i := range want {
			if got[i] != want[i] {
				t.Fatalf("event %d: got %s, want %s", i, got[i], want[i])
			}
		}
	})
}

func TestMemoryMisuse(t *testing.T) {
	for name, cfg := range map[string]socketio.MemoryConfig{
		"window": {Window: -1}, "bytes": {MaxBytes: -1}, "ready event": {ReadyEvent: "connect"},
	} {
		if m, err := socketio.NewMemoryRecovery(cfg); err == nil {
			t.Errorf("%s: got %v, want an error", name, m)
		}
	}
}
