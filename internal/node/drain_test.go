package node_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"larder/api"
	"larder/internal/account"
	"larder/internal/config"
	"larder/internal/testkit"
	"larder/internal/testkit/wire"
)

// leaver is how one client was sent away.
type leaver struct {
	told   time.Duration // until it may return
	after  time.Duration // the end came
	events int           // heard after it was told
}

// leave reads to the end of a connection in the stream.
func leave(t *testing.T, c interface {
	Next() (testkit.Event, error)
	Abort()
},
) (l leaver) {
	defer c.Abort()
	var told time.Time
	for {
		e, err := c.Next()
		if err != nil {
			if closed, ok := errors.AsType[*wire.Closed](err); !ok || closed.Code != 1012 {
				t.Errorf("got %v, want close 1012", err)
			}
			l.after = time.Since(told)
			return l
		}
		switch {
		case e.Name != api.EventServerDraining:
			l.events++
		case !told.IsZero():
			t.Error("told twice")
		default:
			var d api.ServerDraining
			if err := json.Unmarshal(e.Data, &d); err != nil {
				t.Error(err)
			}
			told, l.told = time.Now(), time.Duration(d.ReconnectInMs)*time.Millisecond
		}
	}
}

// Many clients leave in even steps, each when it was told to and with a time of
// its own to come back; until then it hears everything: P-17, E-65.
func TestStopWithManyClients(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := testkit.Start(t, testkit.Options{Network: wire.Listen(), Config: func(c *config.Config) { c.DrainTime = 2 * time.Second }})
		u, donor := n.User(account.Admin), n.User(account.Donor)
		var clients sync.WaitGroup
		var mu sync.Mutex
		leavers := map[string][]leaver{}
		for range 60 {
			socket, _ := n.Watch(u)
			plain := n.Plain("", testkit.Bearer(u.Token))
			testkit.Expect[api.FeedReady](n, plain, api.EventFeedReady)
			for door, c := range map[string]interface {
				Next() (testkit.Event, error)
				Abort()
			}{"socket.io": socket, "plain": plain} {
				clients.Go(func() {
					l := leave(t, c)
					mu.Lock()
					defer mu.Unlock()
					leavers[door] = append(leavers[door], l)
				})
			}
		}
		synctest.Wait()
		start := time.Now()
		n.Stopping()
		<-time.After(25 * time.Millisecond) // between the first turn and the second
		n.Donate(donor, nil)
		if err := n.Stop(); err != nil {
			t.Errorf("stop: %v", err)
		}
		if d := time.Since(start); d < 100*time.Millisecond || d > time.Second {
			t.Errorf("stopped after %v", d)
		}
		clients.Wait()
		for door, list := range leavers {
			turns, told, heard := map[time.Duration]int{}, map[time.Duration]bool{}, 0
			for _, l := range list {
				turns[l.after]++
				told[l.told] = true
				heard += l.events
				if pause := l.told - l.after; pause < time.Second-time.Millisecond || pause > 2*time.Second {
					t.Errorf("%s: told %v, closed after %v", door, l.told, l.after)
				}
			}
			if len(turns) != 3 || turns[0] != 20 || turns[50*time.Millisecond] != 20 || turns[100*time.Millisecond] != 20 {
				t.Errorf("%s: closed %v", door, turns)
			}
			if len(told) < 40 {
				t.Errorf("%s: %d different times to return for 60 clients", door, len(told))
			}
			if heard != 40 { // those who were still there
				t.Errorf("%s: %d heard what happened meanwhile", door, heard)
			}
		}
	})
}

// A node that drains lives and is not ready, serves requests, and lets nobody in:
// new sessions get 503, and who shows a token is told why it is refused (P-3, P-35).
func TestNobodyGetsInDuringADrain(t *testing.T) {
	bubble(t, func(t *testing.T, n *testkit.Node) {
		u := n.User(account.Donor)
		var joinless []*testkit.Socket
		var strangers []*testkit.Plain
		for range 60 {
			s, err := n.Open(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			joinless = append(joinless, s)
			strangers = append(strangers, n.Plain("", nil))
		}
		n.Stopping()
		<-time.After(25 * time.Millisecond)
		for path, want := range map[string]int{"/readyz": 503, "/livez": 200, "/donations": 200} {
			if r := n.Get(path, ""); r.Status != want {
				t.Errorf("%s: %s", path, r)
			}
		}
		r := n.Get("/socket.io/?EIO=4&transport=polling", "")
		if r.Status != http.StatusServiceUnavailable || r.Header.Get("Retry-After") == "" {
			t.Errorf("a new session: %s", r)
		}
		if _, err := n.Open(t.Context(), nil); err == nil {
			t.Error("a new WebSocket session was let in")
		} else if refused, ok := errors.AsType[*wire.Refused](err); !ok || refused.Reply.Status != http.StatusServiceUnavailable {
			t.Errorf("a new WebSocket session: %v", err)
		}
		refused := map[string]int{}
		for i, s := range joinless {
			err := s.Join("/donations", map[string]string{"token": u.Token})
			if r, ok := errors.AsType[*testkit.Refusal](err); ok && r.Data.Code == api.CodeDraining && r.Data.Retry {
				refused["socket.io"]++
			} else if err == nil {
				t.Error("a socket joined")
			}
			s.Abort()
			p := strangers[i]
			_ = p.Text(`{"event":"auth","data":{"token":"` + u.Token + `"}}`)
			if e, err := p.Next(); err == nil {
				var ex api.Exception
				if e.Name != api.EventException || json.Unmarshal(e.Data, &ex) != nil || ex.Code != api.CodeDraining {
					t.Errorf("a stranger got %s %s", e.Name, e.Data)
				}
				_, err := p.Next()
				if closed, ok := errors.AsType[*wire.Closed](err); !ok || closed.Code != 1012 {
					t.Errorf("a stranger: %v", err)
				}
				refused["plain"]++
			}
			p.Abort()
		}
		if refused["socket.io"] == 0 || refused["plain"] == 0 {
			t.Errorf("refused: %v", refused)
		}
	})
}
