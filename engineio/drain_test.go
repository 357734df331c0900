package engineio_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"larder/engineio"
	"larder/internal/testkit/wire"
)

// Even steps that end within the window, and few of them for few (E-65).
func TestTurns(t *testing.T) {
	const step = 50 * time.Millisecond
	for _, tc := range []struct {
		n    int
		over time.Duration
		last time.Duration
		most int // in one step
	}{
		{0, 5 * time.Second, 0, 0},
		{1, 5 * time.Second, 0, 1},
		{20, 5 * time.Second, 0, 20},
		{21, 5 * time.Second, step, 20},
		{1000, 5 * time.Second, 49 * step, 20},
		{2001, 5 * time.Second, 95 * step, 21}, // of at least 20, and as many in each
		{10_000, 5 * time.Second, 99 * step, 100},
		{10_000, 0, 0, 10_000},
		{10_000, -time.Second, 0, 10_000},
		{10_000, step - 1, 0, 10_000},
		{10_000, 2 * step, step, 5000},
	} {
		turns := engineio.Turns(tc.n, tc.over)
		count := map[time.Duration]int{}
		var last time.Duration
		for _, turn := range turns {
			if turn < last || turn%step != 0 {
				t.Fatalf("%+v: %v after %v", tc, turn, last)
			}
			last = turn
			count[turn]++
		}
		most := 0
		for _, n := range count {
			most = max(most, n)
		}
		if len(turns) != tc.n || last != tc.last || most != tc.most {
			t.Errorf("%+v: %d turns up to %v, %d at once", tc, len(turns), last, most)
		}
	}
}

// plan is what a drain told: when each session's turn is.
type plan struct {
	mu    sync.Mutex
	turns map[*engineio.Session]time.Duration
	start time.Time
}

func (p *plan) tell(s *engineio.Session, in time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.turns == nil {
		p.turns, p.start = map[*engineio.Session]time.Duration{}, time.Now()
	}
	if _, twice := p.turns[s]; twice {
		panic("told twice")
	}
	p.turns[s] = in
	_ = s.Send(engineio.NewMessage(fmt.Append(nil, in.Milliseconds())))
}

// Each session is told its turn and closed when it has come: held polls are
// answered, WebSockets closed with 1012 (E-65, E-31).
func TestDrain(t *testing.T) {
	bubble(t, func(r *rig) {
		const n = 90 // of each kind: 9 steps
		var clients sync.WaitGroup
		ended := make(map[*engineio.Session]time.Time)
		var mu sync.Mutex
		end := func(s *engineio.Session) {
			mu.Lock()
			defer mu.Unlock()
			ended[s] = time.Now()
		}
		for i := range 2 * n {
			var say func() (string, bool) // the next text, until the end
			if i%2 == 0 {
				c, _ := r.connect()
				say = func() (string, bool) {
					text, err := c.ReadText()
					if err == nil {
						return text, true
					}
					if err.Error() != `wire: closed with 1012 "server shutting down"` {
						r.Errorf("WebSocket: %v", err)
					}
					c.Abort()
					return "", false
				}
			} else {
				p := r.open()
				say = func() (string, bool) {
					reply, err := p.Get(r.Context())
					if err != nil || reply.Status != 200 {
						r.Errorf("GET: %+v, %v", reply, err)
					}
					return reply.Body, reply.Body != "1"
				}
			}
			s := r.app(i).Session
			clients.Go(func() {
				for text, more := say(); more; text, more = say() {
					if text[0] != '4' {
						r.Errorf("got %q", text)
					}
				}
				end(s)
			})
		}
		var p plan
		if err := r.srv.Drain(r.Context(), time.Minute, p.tell); err != nil {
			r.Errorf("Drain: %v", err)
		}
		if d := time.Since(p.start); d != 400*time.Millisecond {
			r.Errorf("Drain took %v", d)
		}
		if n := r.srv.Len(); n != 0 {
			r.Errorf("open sessions: %d", n)
		}
		clients.Wait()
		if len(p.turns) != 2*n {
			r.Errorf("%d were told", len(p.turns))
		}
		for i := range 2 * n {
			s := r.app(i).Session
			if at := ended[s].Sub(p.start); at != p.turns[s] {
				r.Errorf("session %d was told %v and sent away after %v", i, p.turns[s], at)
			}
			r.wantReason(i, engineio.ReasonShutdown)
		}
		if err := r.srv.Shutdown(r.Context()); err != nil {
			r.Errorf("Shutdown: %v", err)
		}
	}, calm, func(c *engineio.Config) { c.Logger = nil })
}

// Nobody is always the first or the last.
func TestDrainShuffles(t *testing.T) {
	var orders []string
	for range 3 {
		bubble(t, func(r *rig) {
			for range 60 {
				r.open()
			}
			var order []string
			if err := r.srv.Drain(r.Context(), time.Minute, func(s *engineio.Session, in time.Duration) {
				i := slices.IndexFunc(r.apps, func(a *app) bool { return a.Session == s })
				order = append(order, fmt.Sprint(i))
			}); err != nil {
				r.Error(err)
			}
			if !slices.Contains(orders, fmt.Sprint(order)) {
				orders = append(orders, fmt.Sprint(order))
			}
		}, calm)
	}
	if len(orders) != 3 {
		t.Errorf("the same order again: %v", orders)
	}
}

// While a server drains, nobody new gets in, and those who are in go on as ever,
// upgrades included (E-65).
func TestLifeDuringADrain(t *testing.T) {
	bubble(t, func(r *rig) {
		for range 20 {
			r.open()
		}
		upgrades := r.open()
		talks, _ := r.connect()
		turns := map[*engineio.Session]time.Duration{}
		ctx, cancel := context.WithCancel(r.Context())
		defer cancel()
		done := make(chan error, 1)
		told := make(chan struct{})
		go func() {
			done <- r.srv.Drain(ctx, time.Minute, func(s *engineio.Session, in time.Duration) {
				turns[s] = in
				if len(turns) == 22 {
					close(told)
					<-ctx.Done() // an application that takes its time
				}
			})
		}()
		<-told
		reply := r.get(&wire.Polling{Client: r.client, Base: wire.URL + "/engine.io/"})
		r.refused(reply, 503, 3, "Server is shutting down")
		if reply.Header.Get("Retry-After") == "" {
			r.Error("no Retry-After")
		}
		_, err := wire.DialWebSocket(r.Context(), r.net.Dial, "/engine.io/?EIO=4&transport=websocket", nil)
		wantRefused(r, err, 503, "Server is shutting down")
		r.text(talks, "4x")
		r.wantText(talks, "4x")
		c := r.upgraded(upgrades)
		r.text(c, "4y")
		r.wantText(c, "4y")
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			r.Errorf("Drain: %v", err)
		}
		if n := r.srv.Len(); n != 22 {
			r.Errorf("%d sessions are left for Shutdown, want all 22", n)
		}
	}, calm)
}

// A drain takes no longer than it is needed.
func TestShortDrains(t *testing.T) {
	for name, tc := range map[string]struct {
		sessions int
		leave    bool
		want     time.Duration
	}{
		"nobody":       {0, false, 0},
		"one":          {1, false, 0},
		"one turn":     {20, false, 0},
		"two turns":    {21, false, 50 * time.Millisecond},
		"who go ahead": {100, true, 50 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(r *rig) {
				for range tc.sessions {
					r.open()
				}
				start := time.Now()
				if err := r.srv.Drain(r.Context(), time.Minute, func(s *engineio.Session, in time.Duration) {
					if tc.leave && in > 0 {
						s.Close(byServer)
					}
				}); err != nil {
					r.Errorf("Drain: %v", err)
				}
				if d := time.Since(start); d > tc.want {
					r.Errorf("Drain took %v, want %v", d, tc.want)
				}
			}, calm)
		})
	}
}

// When its context ends, Drain leaves the rest as it is.
func TestDrainGivesUp(t *testing.T) {
	bubble(t, func(r *rig) {
		for range 100 {
			r.open()
		}
		wrong := errors.New("enough")
		ctx, cancel := context.WithTimeoutCause(r.Context(), 120*time.Millisecond, wrong)
		defer cancel()
		start := time.Now()
		if err := r.srv.Drain(ctx, time.Minute, nil); !errors.Is(err, wrong) || time.Since(start) != 120*time.Millisecond {
			r.Errorf("Drain: %v after %v", err, time.Since(start))
		}
		if n := r.srv.Len(); n != 40 {
			r.Errorf("open sessions: %d, want those of two turns", n)
		}
	}, calm)
}

// What is left over by closes of before, and by peers that take nothing, holds a
// shutdown up for a moment and not for the write timeout (E-66).
func TestShutdownHurries(t *testing.T) {
	bubble(t, func(r *rig) {
		r.open() // does not come back
		r.app(0).Close(byServer)
		deaf, _ := r.connect()
		send(r, r.app(1), "not read")
		synctest.Wait()
		r.connect()
		send(r, r.app(2), "not read either")
		r.app(2).Close(byServer)
		synctest.Wait()
		start := time.Now()
		if err := r.srv.Shutdown(r.Context()); err != nil || time.Since(start) > time.Second {
			r.Errorf("Shutdown: %v after %v", err, time.Since(start))
		}
		if _, _, err := deaf.Read(); err == nil {
			r.Error("the connection is still open")
		}
	}, calm)
}
