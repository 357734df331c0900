package socketio_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"larder/engineio"
	"larder/socketio"
)

// limited is a configuration with these rates, and counts what goes over them.
func limited(rates socketio.Rates, over *record) socketio.Config {
	cfg := quiet()
	cfg.Rates, cfg.Observer = rates, limits{log: over}
	return cfg
}

// limits is an Observer of what is over a limit.
type limits struct {
	socketio.Unobserved
	log *record
}

func (l limits) RateLimited(scope string) { l.log.add("%s", scope) }
func (l limits) ConnectRefused(n string)  { l.log.add("refused %q", n) }
func (l limits) SessionClosed(_ engineio.Transport, r engineio.Reason) {
	l.log.add("closed %s", r)
}

// counting counts events, and answers an ack with their number; what is over a
// limit it tells as the gateway would.
func counting(handled *int) func(*socketio.Server) {
	return func(srv *socketio.Server) {
		n := srv.Of("/")
		n.Use(func(_ context.Context, s *socketio.Socket) error {
			var auth struct{ User string }
			err := json.Unmarshal(s.Handshake().Auth, &auth)
			s.SetUser(auth.User)
			return err
		})
		socketio.On(n, "e", func(context.Context, *socketio.Socket, any) (int, error) { *handled++; return *handled, nil })
		n.OnError(func(_ context.Context, _ *socketio.Socket, f socketio.Failure) json.RawMessage {
			rate, ok := errors.AsType[*socketio.RateError](f.Err)
			if !ok || !errors.Is(f.Err, socketio.ErrRateLimited) {
				return json.RawMessage(`"another error"`)
			}
			return fmt.Appendf(nil, `[%q,%q,%d]`, f.Event, rate.Scope, rate.Milliseconds())
		})
	}
}

// An event over the limit is not handled; its client is told, and may go on when
// it was told to. S-60
func TestRateOfASocket(t *testing.T) {
	eachTransport(t, func(t *testing.T, open func(*host) *peer) {
		var over record
		handled := 0
		h := serve(t, limited(socketio.Rates{Socket: socketio.Rate{PerSecond: 10, Burst: 20}}, &over), counting(&handled))
		p, other := open(h), open(h)
		p.connect("/", "") // 5
		other.connect("/", "")
		for i := range 15 {
			p.send(`21["e"]`)
			p.expect(fmt.Sprintf("31[%d]", i+1))
		}
		p.send(`22["e"]`)
		p.expect(`32[["e","socket",100]]`)
		p.send(`2["e"]`) // nobody to answer
		wait(99 * time.Millisecond)
		p.send(`23["e"]`)
		p.expect(`33[["e","socket",1]]`)
		wait(time.Millisecond)
		p.send(`24["e"]`)
		p.expect("34[16]")
		other.send(`25["e"]`)
		other.expect("35[17]")
		wait(time.Minute) // no more than the burst, however long it was quiet
		for range 20 {
			p.send(`2["e"]`)
		}
		p.send(`26["e"]`)
		p.expect(`36[["e","socket",100]]`)
		synctest.Wait()
		if handled != 37 {
			t.Errorf("%d events were handled, want 37", handled)
		}
		if got, want := over.take(), "socket; socket; socket; socket"; got != want {
			t.Errorf("observed %s, want %s", got, want)
		}
	})
}

// The defaults do not hit a client that was away and sends all it has kept, nor one
// that answers as fast as the server asks, nor one that uses all namespaces. S-60
func TestHonestClientsAreNotLimited(t *testing.T) {
	eachTransport(t, func(t *testing.T, open func(*host) *peer) {
		var over record
		handled := 0
		h := serve(t, limited(socketio.Rates{}, &over), func(srv *socketio.Server) {
			counting(&handled)(srv)
			for i := range 7 {
				srv.Of(fmt.Sprintf("/%d", i))
			}
		})
		p := open(h)
		p.connect("/", `{"user":"ann"}`)
		for i := range 7 {
			p.connect(fmt.Sprintf("/%d", i), "")
		}
		events := make([]string, 500)
		for i := range events {
			events[i] = `2["e"]`
		}
		for range 80 {
			p.send("1/0,")
			p.connect("/0", "")
		}
		p.send(events...)
		s := h.srv.Of("/").Sockets()[0]
		for range 300 {
			done := make(chan error, 1)
			go func() { _, err := s.EmitAck(t.Context(), event(t, "q")); done <- err }()
			id, _, _ := strings.Cut(p.next().text[1:], "[")
			p.send("3" + id + "[]")
			if err := <-done; err != nil {
				t.Fatal(err)
			}
		}
		for range 100 { // steadily, for a while
			p.send(`2["e"]`)
			wait(20 * time.Millisecond)
		}
		synctest.Wait()
		if got := over.take(); got != "" || handled != 600 {
			t.Errorf("%d events handled, want 600; observed %s", handled, got)
		}
	})
}

// All connections of a user count together, and so do all of an address. S-60
func TestRateOfUserAndAddress(t *testing.T) {
	slow := socketio.Rate{PerSecond: 1, Burst: 10}
	for scope, rates := range map[string]socketio.Rates{"user": {User: slow}, "address": {Address: slow}} {
		t.Run(scope, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var over record
				handled := 0
				h := serve(t, limited(rates, &over), counting(&handled))
				a, b := h.websocket(), h.polling()
				a.connect("/", `{"user":"ann"}`)
				b.connect("/", `{"user":"ann"}`)
				wait(10 * time.Second) // the CONNECTs took from the address
				for range 5 {
					a.send(`21["e"]`)
					a.next()
					b.send(`21["e"]`)
					b.next()
				}
				for _, p := range []*peer{a, b} {
					p.send(`21["e"]`)
					p.expect(`31[["e","` + scope + `",1000]]`)
				}
				synctest.Wait()
				if got, want := over.take(), scope+"; "+scope; got != want || handled != 10 {
					t.Errorf("%d events handled, want 10; observed %s, want %s", handled, got, want)
				}
				if scope == "user" {
					c := h.websocket()
					c.connect("/", `{"user":"bob"}`)
					c.send(`21["e"]`)
					c.expect("31[11]")
					d := h.websocket()
					d.connect("/", "") // nobody's
					for range 20 {
						d.send(`2["e"]`)
					}
					d.send(`21["e"]`)
					d.expect("31[32]")
				}
			})
		})
	}
}

// Who goes on when it was told not to loses the connection, whatever it sends. S-61
func TestOverrunsCloseTheConnection(t *testing.T) {
	for name, tc := range map[string]struct {
		packet string
		before int // what is free of charge
	}{
		"events":          {`2["e"]`, 15 + 100},
		"unknown acks":    {`37[]`, 15 + 100},
		"after a kick":    {`2/gone,["e"]`, 10 + 100},
		"leaving, kicked": {`1/gone,`, 10 + 100},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var over record
				var why engineio.Reason
				var cause error
				h := serve(t, limited(socketio.Rates{Socket: socketio.Rate{PerSecond: 1e-3, Burst: 20}}, &over), func(srv *socketio.Server) {
					srv.Of("/gone")
					n := srv.Of("/")
					socketio.On(n, "e", func(context.Context, *socketio.Socket, any) (any, error) { return nil, nil })
					n.OnDisconnect(func(s *socketio.Socket, reason engineio.Reason) { why, cause = reason, context.Cause(s.Context()) })
				})
				p := h.websocket()
				p.connect("/", "")
				if strings.Contains(tc.packet, "gone") {
					p.connect("/gone", "")
					h.srv.Of("/gone").Disconnect("", false)
					p.expect("1/gone,")
				}
				for range tc.before {
					p.send(tc.packet)
				}
				synctest.Wait()
				if h.srv.Len() != 1 {
					t.Fatalf("closed too early, having observed %s", over.take())
				}
				p.send(tc.packet)
				p.expectClosed()
				synctest.Wait()
				if got, want := over.take(), strings.Repeat("socket; ", 101)+"closed rate limited"; got != want {
					t.Errorf("observed %s", got)
				}
				if why != engineio.ReasonRateLimited || !errors.Is(cause, socketio.ErrRateLimited) {
					t.Errorf("OnDisconnect: got %s, %v", why, cause)
				}
			})
		})
	}
}

// CONNECT costs more, and its refusal says when to come again. S-60
func TestRateOfConnects(t *testing.T) {
	eachTransport(t, func(t *testing.T, open func(*host) *peer) {
		var over record
		h := serve(t, limited(socketio.Rates{Socket: socketio.Rate{PerSecond: 10, Burst: 20}}, &over), func(srv *socketio.Server) { srv.Of("/") })
		p := open(h)
		for range 4 {
			p.connect("/", "")
			p.send("1")
		}
		p.send("0")
		p.expect(`4{"message":"Too many requests","data":{"code":"rate_limited","retry":true,"retryAfterMs":500}}`)
		wait(500 * time.Millisecond)
		p.connect("/", "")
		synctest.Wait()
		if got, want := over.take(), `socket; refused ""`; got != want {
			t.Errorf("observed %s, want %s", got, want)
		}
	})
}

// A burst that is smaller than what a CONNECT costs lets one in nevertheless. S-60
func TestSmallBurst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var over record
		handled := 0
		h := serve(t, limited(socketio.Rates{Socket: socketio.Rate{PerSecond: 1, Burst: 2}}, &over), counting(&handled))
		p := h.websocket()
		p.connect("/", "")
		p.send(`21["e"]`)
		p.expect(`31[["e","socket",1000]]`)
		wait(time.Second)
		p.send(`22["e"]`)
		p.expect("32[1]")
	})
}

// A connection whose CONNECT is refused again and again is closed; a success in
// between makes all well. S-61
func TestRefusedTooOften(t *testing.T) {
	eachTransport(t, func(t *testing.T, open func(*host) *peer) {
		var over record
		cfg := limited(socketio.Rates{Socket: socketio.Rate{PerSecond: math.Inf(1)}}, &over)
		h := serve(t, cfg, application)
		p := open(h)
		refused := func() {
			p.send(`0/more,{"do":"refuse"}`)
			p.expect(`4/more,{"message":"not <you>"}`)
		}
		for range 16 {
			refused()
		}
		p.connect("/1", "")
		for range 16 {
			refused()
		}
		over.take()
		refused() // and is told so still
		p.expectClosed()
		synctest.Wait()
		if got, want := over.take(), `refused "/more"; closed forced close`; got != want {
			t.Errorf("observed %s, want %s", got, want)
		}
	})
}

// A socket is in so many rooms at most, its own not counted. S-44
func TestMaxRooms(t *testing.T) {
	eachTransport(t, func(t *testing.T, open func(*host) *peer) {
		var log record
		cfg := quiet()
		cfg.MaxRooms = 3
		h := serve(t, cfg, func(srv *socketio.Server) {
			n := srv.Of("/")
			n.Use(func(_ context.Context, s *socketio.Socket) error {
				log.add("%v", s.Join("a", "b", "a", s.ID()))
				return nil
			})
			n.OnConnect(func(_ context.Context, s *socketio.Socket) {
				log.add("%v %v", errors.Is(s.Join("c", "d", "e"), socketio.ErrTooManyRooms), s.Rooms()[1:])
				log.add("%v", s.Join("a", "b", "c"))
				n.SocketsJoin([]string{"d"})
				s.Leave("a")
				n.SocketsJoin([]string{"e", "f"}, "b")
				log.add("%v %d", s.Rooms()[1:], len(n.Sockets("d"))+len(n.Sockets("f")))
			})
		})
		open(h).connect("/", "")
		synctest.Wait()
		if got, want := log.take(), "<nil>; true [a b c]; <nil>; [b c e] 0"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	})
}

// Connections that have joined nothing are few for each address: a CONNECT that
// works makes room, and the timeout does. E-72, S-1
func TestUnacceptedConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := quiet()
		cfg.Engine.MaxUnaccepted = 2
		h := serve(t, cfg, application)
		first := h.websocket()
		h.websocket()
		full := func() bool { return !h.letsIn() }
		if !full() {
			t.Error("a third one was let in")
		}
		first.send(`0/more,{"do":"refuse"}`)
		first.expect(`4/more,{"message":"not <you>"}`)
		if !full() {
			t.Error("a CONNECT that was refused made room")
		}
		first.connect("/1", "")
		synctest.Wait()
		if full() {
			t.Error("a CONNECT that worked made no room")
		}
		first.send("1/1,") // it was in once, and has its time to come back
		if !full() {
			t.Error("there was room for two")
		}
		wait(10 * time.Second)
		synctest.Wait()
		if full() || h.srv.Len() != 1 {
			t.Errorf("after the timeout there are %d connections, and no room: %v", h.srv.Len(), full())
		}
	})
}

// letsIn reports whether one more connection is let in.
func (h *host) letsIn() bool {
	h.t.Helper()
	l := pollLink{}
	l.get.Client, l.get.Base = h.net.Client(), "http://larder.test/socket.io/"
	reply, err := l.get.Get(h.t.Context())
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(l.close)
	if reply.Status != 200 && reply.Status != 429 {
		h.t.Fatalf("got %d %s", reply.Status, reply.Body)
	}
	return reply.Status == 200
}

// Of the events that wait with one key a full queue keeps the newest, in each
// namespace, whole, and unless they ask for an ack. E-70
func TestKeyedEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := quiet()
		cfg.Engine.QueueMessages = 9
		h := serve(t, cfg, func(srv *socketio.Server) { srv.Of("/"); srv.Of("/x") })
		p := h.polling()
		p.connect("/", "")
		p.connect("/x", "")
		synctest.Wait()
		root, x := h.srv.Of("/"), h.srv.Of("/x")
		state := func(key, name string) *socketio.Event { return event(t, name).Keyed(key) }
		binary, err := socketio.NewBinaryEvent("b", socketio.Args{
			Values: []json.RawMessage{socketio.Placeholder(0)}, Attachments: [][]byte{{7}},
		})
		if err != nil {
			t.Fatal(err)
		}
		root.Emit(event(t, "first")) // is free
		root.Emit(state("a", "1"))
		root.Emit(binary.Keyed("a"))
		x.Emit(state("a", "1"))
		asked := make(chan error, 1)
		go func() {
			_, err := root.Sockets()[0].EmitAck(t.Context(), state("a", "asks"))
			asked <- err
		}()
		synctest.Wait()
		root.Emit(state("b", "3").Uncompressed())
		root.Emit(state("", "4"))
		root.Emit(state("", "5"))
		both := binary.Keyed("b").Volatile()
		root.Emit(both.Keyed("a")) // volatile, and something waits: not even queued
		root.Emit(state("a", "6"))
		root.Emit(state("a", "7"))
		p.expect(`2["first"]`, `2/x,["1"]`, `21["asks"]`, `2["3"]`, `2["4"]`, `2["5"]`, `2["7"]`)
		p.send("31[]")
		if err := <-asked; err != nil {
			t.Error(err)
		}
		if got := h.srv.Len(); got != 1 {
			t.Errorf("%d connections, want 1", got)
		}
	})
}

// Whatever this package closes a connection for, its cause is told to the
// application, the observer, and in one line of the log. E-73
func TestEveryCloseHasACause(t *testing.T) {
	joined := func(f func(h *host, p *peer)) func(*host, *peer) {
		return func(h *host, p *peer) {
			p.connect("/", "")
			synctest.Wait()
			f(h, p)
		}
	}
	sends := func(packets ...string) func(*host, *peer) {
		return joined(func(_ *host, p *peer) { p.send(packets...) })
	}
	for name, tc := range map[string]struct {
		do     func(h *host, p *peer)
		reason engineio.Reason
		err    string // part of the detail; empty: there is none
		fault  bool
	}{
		"malformed":              {sends("x"), engineio.ReasonParseError, "unknown type", true},
		"too deep":               {sends(`2["e",` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + "]"), engineio.ReasonParseError, "malformed packet", true},
		"connect again":          {sends("0"), engineio.ReasonParseError, "already joined", true},
		"connect error":          {sends("4{}"), engineio.ReasonParseError, "CONNECT_ERROR", true},
		"not joined":             {sends(`2/x,["e"]`), engineio.ReasonParseError, "not joined", true},
		"too many attachments":   {sends(`511-["e"]`), engineio.ReasonParseError, "too many attachments", true},
		"text for an attachment": {sends(`51-["e",{"_placeholder":true,"num":0}]`, `2["e"]`), engineio.ReasonParseError, "attachments are awaited", true},
		"attachments missing": {joined(func(_ *host, p *peer) {
			p.send(`51-["e",{"_placeholder":true,"num":0}]`)
			wait(time.Minute)
		}), engineio.ReasonParseError, "missing for too long", true},
		"attachments too large": {joined(func(_ *host, p *peer) {
			p.send(`51-["e",{"_placeholder":true,"num":0}]`)
			p.sendBinary(make([]byte, 101))
		}), engineio.ReasonParseError, "attachments too large", true},
		"binary for nothing": {joined(func(_ *host, p *peer) { p.sendBinary([]byte{1}) }), engineio.ReasonParseError, "without a packet", true},
		"rate":               {sends(slices.Repeat([]string{`2["e"]`}, 1200)...), engineio.ReasonRateLimited, "socket", true},
		"nothing joined":     {func(*host, *peer) { wait(time.Minute) }, engineio.ReasonForcedClose, "no namespace joined", true},
		"refused too often":  {func(_ *host, p *peer) { p.send(slices.Repeat([]string{"0/x,"}, 17)...) }, engineio.ReasonForcedClose, "too often", true},
		"panic in connect":   {func(_ *host, p *peer) { p.send(`0{"panic":true}`) }, engineio.ReasonForcedServerClose, "panicked", false},
		"application":        {joined(func(h *host, _ *peer) { h.srv.Of("/").Sockets()[0].Close("") }), engineio.ReasonForcedServerClose, "", false},
		"queue full": {joined(func(h *host, _ *peer) {
			for range 50 {
				h.srv.Of("/").Emit(event(h.t, "e"))
			}
		}), engineio.ReasonSlow, "queue is full", true},
		"client": {joined(func(_ *host, p *peer) { p.write(frame{text: "1"}) }), engineio.ReasonTransportClose, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log strings.Builder
				var over, left record
				cfg := limited(socketio.Rates{}, &over)
				cfg.Engine.QueueMessages, cfg.MaxBinaryBytes = 30, 100
				cfg.Logger = slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
				connected := false
				h := serve(t, cfg, func(srv *socketio.Server) {
					n := srv.Of("/")
					n.OnConnect(func(_ context.Context, s *socketio.Socket) {
						connected = true
						if strings.Contains(string(s.Handshake().Auth), "panic") {
							panic("on purpose")
						}
					})
					n.OnDisconnect(func(s *socketio.Socket, reason engineio.Reason) {
						cause, _ := context.Cause(s.Context()).(engineio.Cause)
						left.add("%s %v", reason, cause.Err)
					})
				})
				p := h.polling()
				tc.do(h, p)
				synctest.Wait()
				want := string(tc.reason) + " "
				if tc.err == "" {
					want += "<nil>"
				}
				if got := left.take(); connected && (!strings.HasPrefix(got, want) || !strings.Contains(got, tc.err)) {
					t.Errorf("OnDisconnect: got %s, want %s…%s…", got, want, tc.err)
				}
				if got := over.take(); strings.Count(got, "closed") != 1 || !strings.HasSuffix(got, "closed "+string(tc.reason)) {
					t.Errorf("observer: got %s, want closed %s", got, tc.reason)
				}
				lines := 0
				for text := range strings.Lines(log.String()) {
					var line struct{ Level, Msg, Reason, Err string }
					if err := json.Unmarshal([]byte(text), &line); err != nil {
						t.Fatal(err)
					}
					if line.Msg == "session closed" {
						lines++
						if line.Reason != string(tc.reason) || !strings.Contains(line.Err, tc.err) || (line.Level == "INFO") != tc.fault {
							t.Errorf("log: got %+v", line)
						}
					} else if line.Level == "INFO" {
						t.Errorf("log: another line %s", text)
					}
				}
				if lines != 1 {
					t.Errorf("log: got %d lines about the close, want 1", lines)
				}
			})
		})
	}
}

func TestRatesAreChecked(t *testing.T) {
	for _, rate := range []socketio.Rate{
		{PerSecond: -1, Burst: 1},
		{PerSecond: 1},
		{Burst: 1},
		{PerSecond: 1, Burst: -1},
		{PerSecond: math.NaN(), Burst: 1},
		{PerSecond: 1e-9, Burst: 1},
	} {
		_, err := socketio.NewServer(socketio.Config{Rates: socketio.Rates{User: rate}})
		if err == nil || !strings.Contains(err.Error(), "Rates.User") {
			t.Errorf("%+v: got %v", rate, err)
		}
	}
	if _, err := socketio.NewServer(socketio.Config{MaxRooms: -1}); err == nil || !strings.Contains(err.Error(), "MaxRooms") {
		t.Errorf("MaxRooms: got %v", err)
	}
}
