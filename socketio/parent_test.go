package socketio_test

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"larder/engineio"
	"larder/socketio"
)

// childNames lists the children that are there.
func childNames(p *socketio.Parent) string {
	var names []string
	for _, n := range p.Namespaces() {
		names = append(names, fmt.Sprintf("%s:%d", n.Name(), n.Len()))
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

// One set of handlers serves all children, fixed names win, functions are asked
// in their order, and a child goes with its last socket. S-11
func TestParent(t *testing.T) {
	eachTransport(t, func(t *testing.T, open func(*host) *peer) {
		var log record
		var rooms, rest *socketio.Parent
		cfg := quiet()
		observed := &joins{}
		cfg.Observer = observed
		h := serve(t, cfg, func(srv *socketio.Server) {
			rooms = srv.OfFunc(func(name string) bool { return strings.HasPrefix(name, "/room-") })
			rest = srv.OfFunc(func(name string) bool {
				if name == "/panic" {
					panic("no such name")
				}
				return name != "/none"
			})
			rooms.Use(func(_ context.Context, s *socketio.Socket) error {
				if string(s.Handshake().Auth) != "{}" {
					return &socketio.Refusal{Message: "not " + s.Namespace().Name()}
				}
				return nil
			})
			rooms.OnConnect(func(_ context.Context, s *socketio.Socket) { log.add("connect %s", s.Namespace().Name()) })
			rooms.OnDisconnect(func(s *socketio.Socket, _ engineio.Reason) {
				_, there := rooms.Namespace(s.Namespace().Name())
				log.add("disconnect %s %v", s.Namespace().Name(), there)
			})
			socketio.On(rooms, "where", func(_ context.Context, s *socketio.Socket, _ any) (string, error) {
				return s.Namespace().Name(), nil
			})
			srv.Of("/room-fixed")
		})
		p, q := open(h), open(h)
		p.connect("/room-1", "")
		p.connect("/room-2", "")
		p.connect("/room-fixed", "")
		p.connect("/other", "")
		synctest.Wait() // it is answered a little before the parent is told
		q.connect("/room-2", "")
		q.send(`0/room-3,{"a":1}`, `0/none,`, `0/panic,`)
		q.expect(`4/room-3,{"message":"not /room-3"}`, `4/none,{"message":"Invalid namespace"}`, `4/panic,{"message":"Invalid namespace"}`)
		if got, want := childNames(rooms)+"; "+childNames(rest), "/room-1:1 /room-2:2; /other:1"; got != want {
			t.Errorf("children: got %s, want %s", got, want)
		}
		p.send(`2/room-2,1["where"]`)
		p.expect(`3/room-2,1["/room-2"]`)
		two, ok := rooms.Namespace("/room-2")
		if !ok || two.Len() != 2 {
			t.Fatalf("Namespace: got %v, %v", two, ok)
		}
		rooms.Emit(event(t, "all"))
		heard := []string{p.next().text, p.next().text}
		slices.Sort(heard)
		if got, want := strings.Join(heard, " "), `2/room-1,["all"] 2/room-2,["all"]`; got != want {
			t.Errorf("Emit: got %s, want %s", got, want)
		}
		q.expect(`2/room-2,["all"]`)
		p.send("1/room-1,", "1/room-2,")
		q.write(frame{text: "1"})
		synctest.Wait()
		wait(time.Second)
		if got, want := childNames(rooms)+"; "+childNames(rest), "; /other:1"; got != want {
			t.Errorf("children at the end: got %s, want %s", got, want)
		}
		got := strings.Split(log.take(), "; ")
		slices.Sort(got)
		want := "connect /room-1; connect /room-2; connect /room-2; disconnect /room-1 true; disconnect /room-2 true; disconnect /room-2 true"
		if strings.Join(got, "; ") != want {
			t.Errorf("got  %s\nwant %s", strings.Join(got, "; "), want)
		}
		if got, want := observed.take(), "*; *; /room-fixed; *; *; refused *; refused ; refused "; got != want {
			t.Errorf("observer: got %q, want %q", got, want)
		}
		mustPanic(t, "after the server began to serve", func() { h.srv.OfFunc(nil) })
		mustPanic(t, "after the server began to serve", func() { rooms.OnConnect(nil) })
	})
}

// joins is an observer of namespaces' names.
type joins struct {
	socketio.Unobserved
	record
}

func (j *joins) SocketJoined(namespace string)   { j.add("%s", namespace) }
func (j *joins) ConnectRefused(namespace string) { j.add("refused %s", namespace) }

// Many first clients at once meet in one child. S-11
func TestConcurrentFirstConnects(t *testing.T) {
	eachTransport(t, func(t *testing.T, open func(*host) *peer) {
		const clients = 8
		var asked sync.WaitGroup
		asked.Add(clients)
		var parent *socketio.Parent
		h := serve(t, quiet(), func(srv *socketio.Server) {
			parent = srv.OfFunc(func(string) bool {
				asked.Done()
				asked.Wait() // none has made the child before all have been asked
				return true
			})
		})
		var peers []*peer
		for range clients {
			p := open(h)
			go p.send("0/new,") // on polling the POST waits for the function
			peers = append(peers, p)
		}
		for _, p := range peers {
			p.expect(`0/new,{"sid":"SID"}`)
		}
		if got, want := childNames(parent), "/new:8"; got != want {
			t.Fatalf("children: got %s, want %s", got, want)
		}
		parent.Emit(event(t, "hello"))
		for _, p := range peers {
			p.expect(`2/new,["hello"]`)
			p.send("1/new,")
		}
		synctest.Wait()
		if got := childNames(parent); got != "" {
			t.Errorf("left: %s", got)
		}
	})
}

// Clients choose the names: whatever they join and are thrown out of, a
// connection and an event remember only the last. What crossed the DISCONNECT of
// a child is still no fault. S-9, S-11
func TestManyChildren(t *testing.T) {
	eachTransport(t, func(t *testing.T, open func(*host) *peer) {
		var parent *socketio.Parent
		cfg := quiet()
		cfg.Rates.Socket.PerSecond = math.Inf(1)
		h := serve(t, cfg, func(srv *socketio.Server) { parent = srv.OfFunc(func(string) bool { return true }) })
		p := open(h)
		hello := event(t, "hello")
		for i := range 50 {
			name := fmt.Sprintf("/n%d", i)
			p.connect(name, "")
			parent.Emit(hello)
			p.expect(`2` + name + `,["hello"]`)
			for _, n := range parent.Namespaces() {
				n.Disconnect("", false)
			}
			p.expect("1" + name + ",")
			p.send(`2` + name + `,["crossed"]`)
		}
		for i := range 9 { // one more than a connection may have
			p.send(fmt.Sprintf("0/m%d,", i))
			if i < 8 {
				p.expect(fmt.Sprintf(`0/m%d,{"sid":"SID"}`, i))
			}
		}
		p.expect(`4/m8,{"message":"Too many namespaces"}`)
		if n := len(parent.Namespaces()); n != 8 {
			t.Errorf("%d children, want 8", n)
		}
		p.send(`2/n0,["late"]`) // forgotten: 50 names would be kept otherwise
		p.expectClosed()
	})
}
