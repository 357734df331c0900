package socketio_test

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"larder/engineio"
	"larder/socketio"
)

// Who gets what: rooms are a union, each socket once, and exceptions win. S-41
func TestEmitReaches(t *testing.T) {
	eachTransport(t, func(t *testing.T, open func(*host) *peer) {
		h := serve(t, quiet(), func(srv *socketio.Server) {
			srv.Of("/")
			srv.Of("/other").Use(func(_ context.Context, s *socketio.Socket) error { s.Join("red", "blue"); return nil })
		})
		n := h.srv.Of("/")
		var peers []*peer
		var ids []string
		for _, rooms := range []string{"red", "red blue", "blue", ""} {
			p := open(h)
			id := p.connect("/", "")
			n.Sockets(id)[0].Join(strings.Fields(rooms)...)
			peers, ids = append(peers, p), append(ids, id)
		}
		peers[3].connect("/other", "") // its rooms have the same names
		for i, tc := range []struct {
			rooms, except []string
			want          []int
		}{
			{nil, nil, []int{0, 1, 2, 3}},
			{[]string{"red"}, nil, []int{0, 1}},
			{[]string{"red", "blue"}, nil, []int{0, 1, 2}},
			{[]string{"red", "red", ids[0]}, nil, []int{0, 1}},
			{[]string{ids[3]}, nil, []int{3}},
			{[]string{ids[3], ids[0]}, nil, []int{0, 3}},
			{[]string{"nobody"}, nil, nil},
			{nil, []string{"red"}, []int{2, 3}},
			{nil, []string{ids[1]}, []int{0, 2, 3}},
			{[]string{"blue"}, []string{"red"}, []int{2}},
			{[]string{"blue"}, []string{ids[1], "nobody"}, []int{2}},
			{[]string{ids[1]}, []string{ids[1]}, nil},
		} {
			n.EmitExcept(event(t, "case", strconv.Itoa(i)), tc.except, tc.rooms...)
			n.Emit(event(t, "end"))
			for who, p := range peers {
				if slices.Contains(tc.want, who) {
					p.expect(fmt.Sprintf(`2["case",%d]`, i))
				}
				p.expect(`2["end"]`)
			}
		}
		h.srv.Of("/other").Emit(event(t, "here"), "red")
		peers[3].expect(`2/other,["here"]`)
		n.Sockets(ids[0])[0].Leave("red", ids[0]) // its own it cannot leave
		n.Emit(event(t, "red"), "red")
		n.Emit(event(t, "own"), ids[0])
		peers[0].expect(`2["own"]`)
		peers[1].expect(`2["red"]`)
	})
}

// One Event goes to several namespaces, alone and with an ack id, from several
// goroutines at once.
func TestEventIsShared(t *testing.T) {
	eachTransport(t, func(t *testing.T, open func(*host) *peer) {
		h := serve(t, quiet(), application)
		p := open(h)
		names := []string{"/1", "/2", "/3", "/4"}
		for _, name := range names {
			p.connect(name, "")
		}
		ev, err := socketio.NewBinaryEvent("e", socketio.Args{
			Values: []json.RawMessage{socketio.Placeholder(0)}, Attachments: [][]byte{{7}},
		})
		if err != nil {
			t.Fatal(err)
		}
		const each = 20
		var wg sync.WaitGroup
		for _, name := range names {
			wg.Go(func() {
				for range each {
					h.srv.Of(name).Emit(ev)
				}
			})
		}
		count := map[string]int{}
		for range each * len(names) {
			count[p.next().text]++
			p.expect("binary 07") // nothing comes between. S-30
		}
		wg.Wait()
		for _, name := range names {
			if got := count[`51-`+name+`,["e",{"_placeholder":true,"num":0}]`]; got != each {
				t.Errorf("%s: %d events, want %d (%v)", name, got, each, count)
			}
		}
	})
}

// A reader collects what a client gets, and leaves checking to the test.
type reader struct {
	texts []string
	err   error // that ended it
	done  chan struct{}
}

func (p *peer) collect() *reader {
	r := &reader{done: make(chan struct{})}
	go func() {
		defer close(r.done)
		for {
			f, err := p.read()
			if err != nil {
				r.err = err
				return
			}
			r.texts = append(r.texts, f.text)
		}
	}()
	return r
}

// Events of one goroutine reach every socket in their order, through whatever
// rooms, while sockets join and leave. S-43
func TestBroadcastOrder(t *testing.T) {
	eachTransport(t, func(t *testing.T, open func(*host) *peer) {
		const events, clients = 400, 6
		h := serve(t, quiet(), func(srv *socketio.Server) {
			srv.Of("/").Use(func(_ context.Context, s *socketio.Socket) error { s.Join("base"); return nil })
		})
		n := h.srv.Of("/")
		var readers []*reader
		for range clients {
			p := open(h)
			p.connect("/", "")
			readers = append(readers, p.collect())
		}
		sockets := n.Sockets()
		stop := make(chan struct{})
		var churn sync.WaitGroup
		churn.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
					s := sockets[i%clients]
					s.Join("extra")
					sockets[(i+1)%clients].Leave("extra")
					_ = n.Sockets("extra") // shares a list that is about to change
					runtime.Gosched()
				}
			}
		})
		for i := range events {
			switch i % 3 {
			case 0:
				n.Emit(event(t, "n", strconv.Itoa(i)))
			case 1:
				n.Emit(event(t, "n", strconv.Itoa(i)), "base", "extra")
			case 2:
				n.Emit(event(t, "n", strconv.Itoa(i)), "extra", "base")
			}
		}
		close(stop)
		churn.Wait()
		if err := h.srv.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		for i, r := range readers {
			<-r.done
			for k, text := range r.texts {
				if want := fmt.Sprintf(`42["n",%d]`, k); k < events && text != want {
					t.Fatalf("client %d: event %d is %s", i, k, text)
				}
			}
			if len(r.texts) < events {
				t.Fatalf("client %d: %d of %d events, then %v", i, len(r.texts), events, r.err)
			}
		}
	})
}

// TestStress has clients come, join rooms, and go in every way while events are
// sent: who stays misses nothing, who went is nowhere.
func TestStress(t *testing.T) {
	eachTransport(t, func(t *testing.T, open func(*host) *peer) {
		const events, churners, rounds = 300, 4, 12
		var log sync.Map // socket id -> 1 connected, 2 disconnected
		h := serve(t, quiet(), func(srv *socketio.Server) {
			for _, name := range []string{"/", "/side"} {
				n := srv.Of(name)
				n.OnConnect(func(_ context.Context, s *socketio.Socket) {
					if _, twice := log.LoadOrStore(s.ID(), 1); twice {
						t.Error("OnConnect twice")
					}
					s.Join("all", "room"+s.ID()[:1])
				})
				n.OnDisconnect(func(s *socketio.Socket, _ engineio.Reason) {
					if !log.CompareAndSwap(s.ID(), 1, 2) {
						t.Error("OnDisconnect without OnConnect, or twice")
					}
				})
				n.OnRaw("join", func(_ context.Context, s *socketio.Socket, _ socketio.Args) (*socketio.Args, error) {
					s.Leave("all")
					s.Join("all", "late")
					return nil, nil
				})
				n.OnRaw("leave", func(_ context.Context, s *socketio.Socket, _ socketio.Args) (*socketio.Args, error) {
					s.Disconnect()
					return nil, nil
				})
			}
		})
		n, side := h.srv.Of("/"), h.srv.Of("/side")
		stays := open(h)
		staysID := stays.connect("/", "")
		stayed := stays.collect()

		var wg sync.WaitGroup
		for c := range churners {
			wg.Go(func() {
				for i := range rounds {
					p := open(h)
					r := p.collect()
					p.send("0", "0/side,", `2["join"]`, `2/side,["join"]`)
					switch (c + i) % 6 {
					case 0:
						p.send("1")
						p.write(frame{text: "1"})
					case 1:
						p.send(`2["leave"]`, `2/side,["leave"]`)
						p.write(frame{text: "1"})
					case 2:
						p.send("abc")
					case 3:
						side.Disconnect("", true)
						p.write(frame{text: "1"})
					case 4:
						side.Disconnect("", false)
						p.write(frame{text: "1"})
					case 5:
						for _, s := range side.Sockets("late") {
							go s.Close("")
						}
						p.write(frame{text: "1"})
					}
					<-r.done
				}
			})
		}
		for i := range events {
			n.Emit(event(t, "n", strconv.Itoa(i)), staysID, "all")
			side.Emit(event(t, "n", strconv.Itoa(i)))
		}
		wg.Wait()
		synctest.Wait()
		if n.Len() != 1 || side.Len() != 0 || len(n.Sockets("all", "late")) != 1 || len(side.Sockets("all", "late")) != 0 {
			t.Errorf("left: %d and %d sockets, %d and %d in rooms, want one and one",
				n.Len(), side.Len(), len(n.Sockets("all", "late")), len(side.Sockets("all", "late")))
		}
		log.Range(func(id, state any) bool {
			if want := 2; state != want && id != staysID {
				t.Errorf("socket %v: OnDisconnect did not run", id)
			}
			return true
		})
		if err := h.srv.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		<-stayed.done
		next := 0
		for _, text := range stayed.texts {
			if text == fmt.Sprintf(`42["n",%d]`, next) {
				next++
			}
		}
		if next != events {
			t.Errorf("the one who stayed got %d of %d events", next, events)
		}
	})
}

// Sockets are moved between rooms by room, also between rooms of both lists. S-40
func TestSocketsJoinAndLeave(t *testing.T) {
	eachTransport(t, func(t *testing.T, open func(*host) *peer) {
		h := serve(t, quiet(), func(srv *socketio.Server) { srv.Of("/") })
		n := h.srv.Of("/")
		var ids []string
		for range 3 {
			ids = append(ids, open(h).connect("/", ""))
		}
		in := func(room string) string {
			var who []int
			for _, s := range n.Sockets(room) {
				who = append(who, slices.Index(ids, s.ID()))
			}
			slices.Sort(who)
			return fmt.Sprint(who)
		}
		for i, step := range []struct {
			do        func()
			red, blue string
		}{
			{func() { n.SocketsJoin([]string{"red"}, ids[0], ids[1]) }, "[0 1]", "[]"},
			{func() { n.SocketsJoin([]string{"red", "blue"}, "red", ids[2]) }, "[0 1 2]", "[0 1 2]"},
			{func() { n.SocketsLeave([]string{"red"}, ids[1], ids[1]) }, "[0 2]", "[0 1 2]"},
			{func() { n.SocketsLeave([]string{"blue", "nothing"}, "red") }, "[0 2]", "[1]"},
			{func() { n.SocketsLeave([]string{"red"}, "red") }, "[]", "[1]"},
			{func() { n.SocketsJoin([]string{"red"}, "nobody") }, "[]", "[1]"},
			{func() { n.SocketsJoin([]string{"red"}) }, "[0 1 2]", "[1]"},
			{func() { n.SocketsLeave([]string{"red", "blue", ids[0]}) }, "[]", "[]"},
			{func() { n.SocketsJoinExcept([]string{"red"}, []string{ids[0]}) }, "[1 2]", "[]"},
			{func() { n.SocketsJoinExcept([]string{"blue"}, []string{"nobody", ids[2]}, "red", ids[0]) }, "[1 2]", "[0 1]"},
			{func() { n.SocketsLeaveExcept([]string{"red"}, []string{"blue"}, "red") }, "[1]", "[0 1]"},
			{func() { n.SocketsLeaveExcept([]string{"red", "blue"}, []string{"red"}) }, "[1]", "[1]"},
		} {
			step.do()
			if red, blue := in("red"), in("blue"); red != step.red || blue != step.blue {
				t.Errorf("step %d: red %s, blue %s, want %s and %s", i, red, blue, step.red, step.blue)
			}
		}
		if got := in(ids[0]); got != "[0]" {
			t.Errorf("its own room: %s", got) // which it cannot leave
		}
		if got := n.SocketsExcept([]string{"red", ids[0]}); len(got) != 1 || got[0].ID() != ids[2] {
			t.Errorf("SocketsExcept: got %d sockets, want the third", len(got))
		}
		n.DisconnectExcept("", false, []string{"red"}, ids[0], ids[1])
		if got := in(ids[0]) + in(ids[1]) + in(ids[2]); got != "[][1][2]" {
			t.Errorf("after DisconnectExcept: %s", got)
		}
	})
}

// A broadcast of a socket reaches all others. S-41
func TestSocketBroadcast(t *testing.T) {
	eachTransport(t, func(t *testing.T, open func(*host) *peer) {
		h := serve(t, quiet(), func(srv *socketio.Server) {
			srv.Of("/").OnRaw("say", func(_ context.Context, s *socketio.Socket, args socketio.Args) (*socketio.Args, error) {
				s.Broadcast(event(t, "all"))
				s.Broadcast(event(t, "red"), "red", "red", s.ID())
				return &socketio.Args{}, nil
			})
		})
		n := h.srv.Of("/")
		author, red, other := open(h), open(h), open(h)
		n.SocketsJoin([]string{"red"}, author.connect("/", ""), red.connect("/", ""))
		other.connect("/", "")
		author.send(`21["say"]`)
		author.expect(`31[]`)
		red.expect(`2["all"]`, `2["red"]`)
		other.expect(`2["all"]`)
		n.Emit(event(t, "end"))
		for _, p := range []*peer{author, red, other} {
			p.expect(`2["end"]`)
		}
	})
}
