package socketio_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"larder/engineio"
	"larder/socketio"
)

// A journal is a Recovery as an application with a log of its own writes it:
// records are sent under a lock, and who comes back is taken in under the same.
type journal struct {
	n *socketio.Namespace

	mu      sync.Mutex
	records []*socketio.Event  // record i has position i+1
	pids    map[string]visitor // by pid
	log     record

	// What goes wrong, set by tests.
	beforeEnter, afterEnter func(s *socketio.Socket) error
}

type visitor struct {
	id, user string
	ended    bool
}

// keep serves a namespace with a journal, whose sockets have their auth.user as
// data and are in the room "news".
func keep(n *socketio.Namespace) *journal {
	j := &journal{n: n, pids: map[string]visitor{}}
	n.Use(func(_ context.Context, s *socketio.Socket) error {
		var auth struct{ User string }
		if err := json.Unmarshal(s.Handshake().Auth, &auth); err != nil {
			return err
		}
		j.log.add("use %q", s.RecoveryResult())
		if auth.User == "banned" {
			return &socketio.Refusal{Message: "go away"}
		}
		s.SetData(auth.User)
		return nil
	})
	n.OnConnect(func(_ context.Context, s *socketio.Socket) {
		j.log.add("connect %v %q", s.Recovered(), s.RecoveryResult())
		j.mu.Lock()
		defer j.mu.Unlock()
		if !s.Recovered() {
			_ = s.Emit(mustEvent("ready").WithOffset(strconv.Itoa(len(j.records))))
			s.Join("news")
		}
	})
	n.OnDisconnect(func(_ *socketio.Socket, reason engineio.Reason) { j.log.add("disconnect %s", reason) })
	n.Recover(j)
	return j
}

func mustEvent(name string, args ...string) *socketio.Event {
	ev, err := socketio.NewEvent(name, raw(args...)...)
	if err != nil {
		panic(err)
	}
	return ev
}

// publish logs an event and sends it.
func (j *journal) publish(name string, args ...string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	ev := mustEvent(name, args...).WithOffset(strconv.Itoa(len(j.records) + 1))
	j.records = append(j.records, ev)
	j.n.Emit(ev, "news")
}

func (j *journal) Issue(_ context.Context, s *socketio.Socket) (string, error) {
	if s.Data() == "no pid" {
		return "", errors.New("no pid today")
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	pid := rand.Text()
	j.pids[pid] = visitor{id: s.ID(), user: s.Data().(string)}
	return pid, nil
}

func (j *journal) Find(_ context.Context, s *socketio.Socket, pid, offset string) (string, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	v, ok := j.pids[pid]
	switch {
	case pid == "broken":
		return "", errors.New("find broke")
	case pid == "panic":
		panic("find")
	case pid == "nobody":
		return "", nil
	case !ok:
		return "", socketio.UnrecoveredUnknown
	case v.ended:
		return "", fmt.Errorf("of %s: %w", v.user, socketio.UnrecoveredEnded)
	case v.user != s.Data():
		return "", socketio.UnrecoveredRights
	}
	if n, err := strconv.Atoi(offset); err != nil || n < 0 || n > len(j.records) {
		return "", socketio.UnrecoveredOffset
	}
	return v.id, nil
}

func (j *journal) Replay(_ context.Context, s *socketio.Socket, _, offset string, enter func() bool) ([]*socketio.Event, error) {
	if j.beforeEnter != nil {
		if err := j.beforeEnter(s); err != nil {
			return nil, err
		}
	}
	after, err := strconv.Atoi(offset)
	if err != nil {
		return nil, err
	}
	j.mu.Lock()
	s.Join("news")
	entered := enter()
	missed := j.records[after:len(j.records):len(j.records)]
	j.mu.Unlock()
	if !entered {
		return nil, errors.New("somebody else is that")
	}
	if j.afterEnter != nil {
		if err := j.afterEnter(s); err != nil {
			return nil, err
		}
	}
	return missed, nil
}

func (j *journal) Left(_ *socketio.Socket, pid string, reason engineio.Reason, final bool) {
	j.log.add("left %s %v", reason, final)
	j.mu.Lock()
	defer j.mu.Unlock()
	v := j.pids[pid]
	v.ended = v.ended || final
	j.pids[pid] = v
}

var pidPattern = regexp.MustCompile(`^0\{"sid":"([^"]+)","pid":"([^"]+)"\}$`)

// come joins "/" and returns what the answer says.
func (p *peer) come(auth string, args ...any) (sid, pid string) {
	p.t.Helper()
	p.send("0" + fmt.Sprintf(auth, args...))
	return p.cameIn()
}

func (p *peer) cameIn() (sid, pid string) {
	p.t.Helper()
	got := p.next().text
	m := pidPattern.FindStringSubmatch(got)
	if m == nil {
		p.t.Fatalf("CONNECT answer: got %s", got)
	}
	return m[1], m[2]
}

const back = `{"user":"ann","pid":%q,"offset":%q}`

// A client goes away, misses two events, comes back as the same socket and gets
// them, once, before anything new; then it has OnConnect. S-50 to S-53
func TestRecovery(t *testing.T) {
	eachTransport(t, func(t *testing.T, open func(*host) *peer) {
		var j *journal
		observer := &recoveries{}
		cfg := quiet()
		cfg.Observer = observer
		h := serve(t, cfg, func(srv *socketio.Server) { j = keep(srv.Of("/")) })
		p := open(h)
		sid, pid := p.come(`{"user":"ann"}`)
		p.expect(`2["ready","0"]`)
		synctest.Wait()
		j.publish("e", "1")
		p.expect(`2["e",1,"1"]`)
		p.write(frame{text: "1"})
		wait(time.Second)
		j.publish("e", "2")
		j.publish("e", "3")
		j.log.take()
		p = open(h)
		if sid2, pid2 := p.come(back, pid, "1"); sid2 != sid || pid2 != pid {
			t.Errorf("came back as %s %s, want %s %s", sid2, pid2, sid, pid)
		}
		p.expect(`2["e",2,"2"]`, `2["e",3,"3"]`)
		synctest.Wait()
		if got, want := j.log.take(), `use "pending"; connect true "recovered"`; got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		if err := j.n.Sockets(sid)[0].Emit(event(t, "own")); err != nil {
			t.Error(err)
		}
		j.publish("e", "4")
		p.expect(`2["own",null]`, `2["e",4,"4"]`)
		p = open(h)
		p.come(back, pid, "4") // and again, with nothing missed
		synctest.Wait()
		if got, want := observer.take(), "/ recovered 2; / recovered 0"; got != want {
			t.Errorf("observer: got %q, want %q", got, want)
		}
	})
}

type recoveries struct {
	socketio.Unobserved
	record
}

func (r *recoveries) Recovered(namespace, result string, replayed int) {
	r.add("%s %s %d", namespace, result, replayed)
}

// Whatever keeps a client from coming back, it begins anew, and gets no part of
// what it missed: another id, another pid, no error. S-54
func TestNotRecovered(t *testing.T) {
	for name, tc := range map[string]struct {
		auth        string // PID stands for the pid
		before      func(p *peer, j *journal)
		beforeEnter func(*socketio.Socket) error
		afterEnter  func(*socketio.Socket) error
		result      string
	}{
		"unknown pid":           {auth: `{"user":"ann","pid":"made up","offset":"0"}`, result: "unknown"},
		"pid of another user":   {auth: `{"user":"bob","pid":"PID","offset":"0"}`, result: "rights"},
		"application text":      {auth: `{"user":"ann","pid":"PID","offset":"hello"}`, result: "offset"},
		"no offset":             {auth: `{"user":"ann","pid":"PID"}`, result: "offset"},
		"offset is no string":   {auth: `{"user":"ann","pid":"PID","offset":[1]}`, result: "offset"},
		"find breaks":           {auth: `{"user":"ann","pid":"broken"}`, result: "failed"},
		"find panics":           {auth: `{"user":"ann","pid":"panic"}`, result: "failed"},
		"find finds nobody":     {auth: `{"user":"ann","pid":"nobody"}`, result: "unknown"},
		"replay refuses":        {auth: `{"user":"ann","pid":"PID","offset":"0"}`, beforeEnter: func(*socketio.Socket) error { return socketio.UnrecoveredLimit }, result: "limit"},
		"replay breaks midways": {auth: `{"user":"ann","pid":"PID","offset":"0"}`, afterEnter: func(*socketio.Socket) error { return errors.New("read error") }, result: "failed"},
		"replay panics":         {auth: `{"user":"ann","pid":"PID","offset":"0"}`, afterEnter: func(*socketio.Socket) error { panic("replay") }, result: "failed"},
		"client left":           {auth: `{"user":"ann","pid":"PID","offset":"0"}`, before: func(p *peer, _ *journal) { p.send("1") }, result: "ended"},
		"server disconnected": {auth: `{"user":"ann","pid":"PID","offset":"0"}`, before: func(_ *peer, j *journal) {
			j.n.Disconnect("", false)
		}, result: "ended"},
		"disconnected for a reason": {auth: `{"user":"ann","pid":"PID","offset":"0"}`, before: func(_ *peer, j *journal) {
			j.n.Disconnect("expelled", false)
		}, result: "ended"},
	} {
		t.Run(name, func(t *testing.T) {
			eachTransport(t, func(t *testing.T, open func(*host) *peer) {
				var j *journal
				var socket *socketio.Socket
				observer := &recoveries{}
				cfg := quiet()
				cfg.Observer = observer
				h := serve(t, cfg, func(srv *socketio.Server) {
					j = keep(srv.Of("/"))
					srv.Of("/").OnConnect(func(_ context.Context, s *socketio.Socket) { socket = s })
				})
				p := open(h)
				sid, pid := p.come(`{"user":"ann"}`)
				p.expect(`2["ready","0"]`)
				if tc.before != nil {
					tc.before(p, j)
				}
				wait(time.Second)
				p.write(frame{text: "1"})
				wait(time.Second)
				j.publish("missed", "1")
				j.beforeEnter = tc.beforeEnter
				j.afterEnter = func(s *socketio.Socket) error {
					s.Join("secret")
					s.SetData("changed")
					j.publish("meanwhile")
					if tc.afterEnter == nil {
						return nil
					}
					return tc.afterEnter(s)
				}
				j.log.take()
				p = open(h)
				sid2, pid2 := p.come("%s", strings.ReplaceAll(tc.auth, "PID", pid))
				if sid2 == sid || pid2 == pid {
					t.Errorf("came back as %s %s", sid2, pid2)
				}
				last := `2["ready","1"]`
				if tc.afterEnter != nil {
					last = `2["ready","2"]`
				}
				p.expect(last)
				synctest.Wait()
				if got, want := j.log.take(), fmt.Sprintf(`use "pending"; connect false %q`, tc.result); got != want {
					t.Errorf("got  %s\nwant %s", got, want)
				}
				if got, want := observer.take(), "/ "+tc.result+" 0"; got != want {
					t.Errorf("observer: got %q, want %q", got, want)
				}
				if got := fmt.Sprintf("%v %v %v", socket.ID() == sid2, socket.Rooms(), socket.Data()); got != fmt.Sprintf("true [%s news] ann", sid2) && name != "pid of another user" {
					t.Errorf("the socket: %s", got)
				}
				j.mu.Lock()
				if issued := j.pids[pid2].id; issued != sid2 {
					t.Errorf("the pid was issued to %s", issued)
				}
				j.mu.Unlock()
				if n := j.n.Len(); n != 1 || len(j.n.Sockets(sid)) != 0 || len(j.n.Sockets("secret")) != 0 {
					t.Errorf("%d sockets, %d of the old id, %d in secret", n, len(j.n.Sockets(sid)), len(j.n.Sockets("secret")))
				}
			})
		})
	}
}

// A client whose right to join has gone by the time Replay is done is refused like
// by a middleware, and is nowhere left behind. S-6, S-53
func TestReplayRefusesTheSocket(t *testing.T) {
	eachTransport(t, func(t *testing.T, open func(*host) *peer) {
		var j *journal
		observer := &recoveries{}
		cfg := quiet()
		cfg.Observer = observer
		h := serve(t, cfg, func(srv *socketio.Server) { j = keep(srv.Of("/")) })
		p := open(h)
		sid, pid := p.come(`{"user":"ann"}`)
		p.expect(`2["ready","0"]`)
		p.write(frame{text: "1"})
		wait(time.Second)
		j.publish("missed", "1")
		j.afterEnter = func(*socketio.Socket) error {
			j.publish("meanwhile")
			return &socketio.Refusal{Message: "gone"}
		}
		j.log.take()
		p = open(h)
		p.send("0" + fmt.Sprintf(back, pid, "0"))
		p.expect(`4{"message":"gone"}`)
		synctest.Wait()
		if got, want := j.log.take(), `use "pending"; left server namespace disconnect false`; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		if got, want := observer.take(), "/ rights 0"; got != want {
			t.Errorf("observer: got %q, want %q", got, want)
		}
		if n := j.n.Len(); n != 0 {
			t.Errorf("%d sockets are left", n)
		}
		j.afterEnter = nil
		if sid2, pid2 := p.come(back, pid, "0"); sid2 != sid || pid2 != pid {
			t.Errorf("came back as %s %s", sid2, pid2)
		}
	})
}

// A client that may no longer join hears nothing of what it missed. S-53
func TestRecoveryAfterMiddlewares(t *testing.T) {
	eachTransport(t, func(t *testing.T, open func(*host) *peer) {
		var j *journal
		h := serve(t, quiet(), func(srv *socketio.Server) { j = keep(srv.Of("/")) })
		p := open(h)
		_, pid := p.come(`{"user":"ann"}`)
		p.expect(`2["ready","0"]`)
		p.write(frame{text: "1"})
		wait(time.Second)
		j.publish("secret")
		p = open(h)
		p.send(fmt.Sprintf(`0{"user":"banned","pid":%q,"offset":"0"}`, pid))
		p.expect(`4{"message":"go away"}`)
		if sid, _ := p.come(back, pid, "0"); len(j.n.Sockets(sid)) != 1 { // the right user still may
			t.Error("not there")
		}
		p.expect(`2["secret","1"]`)
	})
}

// Without a pid a socket is as good as any other, and does not come back.
func TestRecoveryWithoutPid(t *testing.T) {
	eachTransport(t, func(t *testing.T, open func(*host) *peer) {
		var j *journal
		h := serve(t, quiet(), func(srv *socketio.Server) { j = keep(srv.Of("/")) })
		p := open(h)
		p.connect("/", `{"user":"no pid"}`)
		p.expect(`2["ready","0"]`)
		p.send("1")
		wait(time.Second)
		if got, want := j.log.take(), `use ""; connect false ""; disconnect client namespace disconnect`; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	})
}

// A socket that is still there is closed for the one that comes back, and its
// own end harms nobody. S-53
func TestReplaced(t *testing.T) {
	eachTransport(t, func(t *testing.T, open func(*host) *peer) {
		var j *journal
		h := serve(t, quiet(), func(srv *socketio.Server) { j = keep(srv.Of("/")) })
		first := open(h)
		sid, pid := first.come(`{"user":"ann"}`)
		first.expect(`2["ready","0"]`)
		synctest.Wait()
		j.log.take()
		second := open(h)
		if again, _ := second.come(back, pid, "0"); again != sid {
			t.Errorf("came back as %s, want %s", again, sid)
		}
		first.expectClosed()
		wait(time.Minute)
		if got, want := j.log.take(), `use "pending"; left replaced false; disconnect replaced; connect true "recovered"`; got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		j.publish("e")
		second.expect(`2["e","1"]`)
		if n := j.n.Len(); n != 1 {
			t.Errorf("%d sockets, want 1", n)
		}
	})
}

// Two come back with one pid at once: one of them is the socket in the end, and
// hears everything.
func TestOnePidTwiceAtOnce(t *testing.T) {
	eachTransport(t, func(t *testing.T, open func(*host) *peer) {
		var j *journal
		h := serve(t, quiet(), func(srv *socketio.Server) { j = keep(srv.Of("/")) })
		p := open(h)
		sid, pid := p.come(`{"user":"ann"}`)
		p.expect(`2["ready","0"]`)
		p.write(frame{text: "1"})
		wait(time.Second)
		j.publish("e")
		var both sync.WaitGroup
		both.Add(2)
		var calls atomic.Int32
		j.beforeEnter = func(*socketio.Socket) error {
			if calls.Add(1) <= 2 {
				both.Done()
				both.Wait() // both have found nobody under the id
			}
			return nil
		}
		readers := []*reader{}
		for range 2 {
			p := open(h)
			go p.send("0" + fmt.Sprintf(back, pid, "0"))
			readers = append(readers, p.collect())
		}
		wait(time.Second)
		j.publish("last")
		wait(time.Second)
		synctest.Wait()
		if n := len(j.n.Sockets(sid)); n != 1 || j.n.Len() != 1 {
			t.Fatalf("%d sockets of that id, %d in all", n, j.n.Len())
		}
		if got := calls.Load(); got != 2 {
			t.Errorf("Replay was called %d times, want once for each", got)
		}
		heard := 0
		for _, r := range readers {
			all := strings.Join(r.texts, " ")
			if strings.Contains(all, sid) && strings.HasSuffix(all, `42["e","1"] 42["last","2"]`) {
				heard++
			} else if strings.Contains(all, "last") {
				t.Errorf("heard %s", all)
			}
		}
		if heard != 1 {
			t.Errorf("%d clients heard everything, want 1", heard)
		}
		if err := h.srv.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		for _, r := range readers {
			<-r.done
		}
	})
}

// Many come back with one pid, each before the one before it is in: each ends the
// one before, and the newest is the socket, however many there were. Of one that was
// ended so nothing is said that sounds like a fault.
func TestNewestComesBack(t *testing.T) {
	eachTransport(t, func(t *testing.T, open func(*host) *peer) {
		var j *journal
		seen := &recoveries{}
		cfg := quiet()
		cfg.Observer = seen
		h := serve(t, cfg, func(srv *socketio.Server) { j = keep(srv.Of("/")) })
		p := open(h)
		sid, pid := p.come(`{"user":"ann"}`)
		p.expect(`2["ready","0"]`)
		p.write(frame{text: "1"})
		wait(time.Second)
		j.publish("e")
		hold := make(chan struct{})
		j.beforeEnter = func(*socketio.Socket) error { <-hold; return nil }
		var readers []*reader
		for range 6 {
			p := open(h)
			go p.send("0" + fmt.Sprintf(back, pid, "0"))
			readers = append(readers, p.collect())
			wait(time.Second)
		}
		close(hold)
		wait(time.Second)
		j.publish("last")
		synctest.Wait()
		if n := len(j.n.Sockets(sid)); n != 1 || j.n.Len() != 1 {
			t.Fatalf("%d sockets of that id, %d in all", n, j.n.Len())
		}
		if got := strings.Join(readers[5].texts, " "); !strings.Contains(got, sid) || !strings.HasSuffix(got, `42["e","1"] 42["last","2"]`) {
			t.Errorf("the newest heard %s", got)
		}
		heard := strings.Split(seen.take(), "; ")
		slices.Sort(heard)
		if got, want := strings.Join(heard, "; "), `/ gone 0; / gone 0; / gone 0; / gone 0; / gone 0; / recovered 1`; got != want {
			t.Errorf("observed %s, want %s", got, want)
		}
		if err := h.srv.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		for _, r := range readers {
			<-r.done
		}
	})
}

// While events go out without pause, a client goes and comes back again and
// again: it hears each of them once, in order.
func TestRecoveryHasNoHoleAndNoRepetition(t *testing.T) {
	eachTransport(t, func(t *testing.T, open func(*host) *peer) {
		const events = 3000
		var j *journal
		cfg := quiet()
		cfg.Engine.QueueBytes, cfg.Engine.QueueMessages = 1<<30, 1<<20
		h := serve(t, cfg, func(srv *socketio.Server) { j = keep(srv.Of("/")) })
		p := open(h)
		_, pid := p.come(`{"user":"ann"}`)
		p.expect(`2["ready","0"]`)
		synctest.Wait()
		published := make(chan struct{})
		go func() {
			defer close(published)
			for i := range events {
				j.publish("n", strconv.Itoa(i+1))
				if i%10 == 0 {
					wait(time.Millisecond)
				}
			}
		}()
		next, returns := 1, 0
		for next <= events {
			for range 1 + returns%97 {
				text := p.next().text
				if want := fmt.Sprintf(`2["n",%d,"%d"]`, next, next); text != want {
					t.Fatalf("after %d returns: got %s, want %s", returns, text, want)
				}
				if next++; next > events {
					break
				}
			}
			switch returns++; returns % 3 {
			case 0:
				p.write(frame{text: "1"})
			case 1:
				p.close() // and back before the server knows
			}
			p = open(h)
			p.come(back, pid, strconv.Itoa(next-1))
		}
		<-published
		t.Logf("%d returns", returns)
	})
}

// What a client missed may be more than its queue holds: it is sent as fast as
// the client reads. R-10
func TestLongReplay(t *testing.T) {
	eachTransport(t, func(t *testing.T, open func(*host) *peer) {
		var j *journal
		h := serve(t, quiet(), func(srv *socketio.Server) { j = keep(srv.Of("/")) })
		p := open(h)
		_, pid := p.come(`{"user":"ann"}`)
		p.expect(`2["ready","0"]`)
		p.write(frame{text: "1"})
		wait(time.Second)
		long := `"` + strings.Repeat("x", 10_000) + `"`
		for i := range 200 {
			j.publish("n", strconv.Itoa(i), long) // 2 MB: the queue has 256 KiB
		}
		p = open(h)
		go p.send("0" + fmt.Sprintf(back, pid, "0"))
		p.cameIn()
		for i := range 200 {
			if i == 100 {
				j.publish("n", "200", `"live"`)
			}
			if got, want := p.next().text, fmt.Sprintf(`2["n",%d,%s,"%d"]`, i, long, i+1); got != want {
				t.Fatalf("event %d: got %.20s…", i, got)
			}
		}
		p.expect(`2["n",200,"live","201"]`)
	})
}

// What waits behind a replay is bounded: who does not read it is slow. P-40
func TestSlowReplay(t *testing.T) {
	eachTransport(t, func(t *testing.T, open func(*host) *peer) {
		var j *journal
		h := serve(t, quiet(), func(srv *socketio.Server) { j = keep(srv.Of("/")) })
		p := open(h)
		sid, pid := p.come(`{"user":"ann"}`)
		p.expect(`2["ready","0"]`)
		p.write(frame{text: "1"})
		wait(time.Second)
		held := 0
		j.afterEnter = func(s *socketio.Socket) error {
			for ; s.Context().Err() == nil && held < 1000; held++ {
				j.publish("n", `"`+strings.Repeat("x", 10_000)+`"`)
			}
			if err := s.Emit(event(t, "more")); !errors.Is(err, engineio.ErrSlow) {
				t.Errorf("Emit: got %v, want ErrSlow", err)
			}
			return nil
		}
		j.log.take()
		p = open(h)
		go p.send("0" + fmt.Sprintf(back, pid, "0"))
		p.expectClosed()
		wait(time.Second)
		synctest.Wait()
		if held < 10 || held > 26 {
			t.Errorf("%d events of 10 kB were held", held)
		}
		if got, want := j.log.take(), `use "pending"; left slow false`; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		if n := j.n.Len(); n != 0 {
			t.Errorf("%d sockets are left, one was %s", n, sid)
		}
	})
}

// No last element of an event is a string but an offset: not an argument, nor the
// name of an event without any. S-51
func TestOffsetIsLast(t *testing.T) {
	eachTransport(t, func(t *testing.T, open func(*host) *peer) {
		var j *journal
		h := serve(t, quiet(), func(srv *socketio.Server) {
			j = keep(srv.Of("/"))
			srv.Of("/without")
		})
		p := open(h)
		p.come(`{"user":"ann"}`)
		p.expect(`2["ready","0"]`)
		p.connect("/without", "")
		binary, err := socketio.NewBinaryEvent("b", socketio.Args{
			Values: []json.RawMessage{socketio.Placeholder(0)}, Attachments: [][]byte{{7}},
		})
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		for _, tc := range []struct {
			ev         *socketio.Event
			with, none string
		}{
			{event(t, "e"), `2["e",null]`, `2/without,["e"]`},
			{event(t, "e", `1`), `2["e",1]`, `2/without,["e",1]`},
			{event(t, "e", `1`, `"text"`), `2["e",1,"text",null]`, `2/without,["e",1,"text"]`},
			{event(t, "e", "\"text\" \n"), "2[\"e\",\"text\" \n,null]", "2/without,[\"e\",\"text\" \n]"},
			{event(t, "e", `{"a":"b"}`), `2["e",{"a":"b"}]`, `2/without,["e",{"a":"b"}]`},
			{event(t, "e").WithOffset(`7"`), `2["e","7\""]`, `2/without,["e"]`},
			{event(t, "e", `"text"`).WithOffset("7"), `2["e","text","7"]`, `2/without,["e","text"]`},
			{event(t, "e", `"text"`).WithOffset("7").WithOffset("8"), `2["e","text","8"]`, `2/without,["e","text"]`},
			{binary.WithOffset("7"), `51-["b",{"_placeholder":true,"num":0},"7"]`, `51-/without,["b",{"_placeholder":true,"num":0}]`},
			{event(t, "e", `"text"`).WithOffset("7").Volatile(), `2["e","text",null]`, ``},
			{event(t, "e", `"text"`).Volatile().WithOffset("7"), `2["e","text",null]`, ``},
		} {
			heard := p.listen()
			j.n.Emit(tc.ev)
			if got := <-heard; got != "4"+tc.with && got != tc.with {
				t.Errorf("got %s, want %s", got, tc.with)
			}
			if tc.with[0] == '5' {
				p.expect("binary 07")
			}
			if tc.none == "" {
				continue
			}
			h.srv.Of("/without").Emit(tc.ev)
			p.expect(tc.none)
			if tc.with[0] == '5' {
				p.expect("binary 07")
			}
		}
		go func() { _, _ = j.n.Sockets()[0].EmitAck(t.Context(), event(t, "ask", `"text"`).WithOffset("7")) }()
		p.expect(`21["ask","text"]`) // where the stock client puts its callback last
	})
}

// Replay finds the socket under the id that it was, and the id is not free for
// two. enter is refused to a socket that has left.
func TestLeavingDuringReplay(t *testing.T) {
	eachTransport(t, func(t *testing.T, open func(*host) *peer) {
		var j *journal
		h := serve(t, quiet(), func(srv *socketio.Server) { j = keep(srv.Of("/")) })
		p := open(h)
		sid, pid := p.come(`{"user":"ann"}`)
		p.expect(`2["ready","0"]`)
		p.write(frame{text: "1"})
		wait(time.Second)
		j.beforeEnter = func(s *socketio.Socket) error {
			if s.ID() != sid {
				t.Errorf("in Replay the socket is %s, want %s", s.ID(), sid)
			}
			s.Disconnect()
			return nil
		}
		j.log.take()
		p = open(h)
		p.send("0" + fmt.Sprintf(back, pid, "0"))
		p.next()
		p.expect("1")
		synctest.Wait()
		if got, want := j.log.take(), `use "pending"; left server namespace disconnect true`; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		if n := j.n.Len(); n != 0 {
			t.Errorf("%d sockets are left", n)
		}
	})
}
