package client_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"larder/api"
	"larder/client"
	"larder/socketio"
)

// watched is what a Watch has yielded, gathered on a goroutine of its own.
type watched struct {
	events chan client.Event
	states chan client.State
	done   chan error // the error of the Watch, or nil
	stop   context.CancelFunc
}

// watch runs a Watch until the test ends or stop is called.
func watch(t *testing.T, c *client.Client, opt client.WatchOptions) *watched {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	w := &watched{events: make(chan client.Event, 10_000), states: make(chan client.State, 1000), done: make(chan error, 1), stop: cancel}
	opt.OnState = func(s client.State) { w.states <- s }
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for ev, err := range c.Watch(ctx, opt) {
			if err != nil {
				w.done <- err
				return
			}
			w.events <- ev
		}
		w.done <- nil
	}()
	t.Cleanup(func() { cancel(); <-ended })
	return w
}

// taken is what was yielded so far, once everything is at rest.
func (w *watched) taken() []client.Event {
	synctest.Wait()
	var list []client.Event
	for len(w.events) > 0 {
		list = append(list, <-w.events)
	}
	return list
}

// positions are the numbers of the events, "gap" for a gap and the name of a
// signal.
func positions(events []client.Event) string {
	var list []string
	for _, ev := range events {
		switch {
		case ev.Gap != "":
			list = append(list, "gap:"+ev.Gap)
		case ev.Position == "":
			list = append(list, ev.Name)
		default:
			list = append(list, ev.Position[strings.LastIndexByte(ev.Position, '-')+1:])
		}
	}
	return strings.Join(list, " ")
}

func (w *watched) want(t *testing.T, want string) {
	t.Helper()
	if got := positions(w.taken()); got != want {
		t.Errorf("yielded %q, want %q", got, want)
	}
}

// kinds are the states so far.
func (w *watched) kinds() []client.StateKind {
	synctest.Wait()
	var list []client.StateKind
	for len(w.states) > 0 {
		list = append(list, (<-w.states).Kind)
	}
	return list
}

// pass lets the clock of the bubble run.
func pass(t *testing.T, d time.Duration) {
	t.Helper()
	timer := time.NewTimer(d)
	defer timer.Stop()
	<-timer.C
	synctest.Wait()
}

func TestWatchYieldsWhatIsCommittedFromNowOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		f.commit(2)
		w := watch(t, f.client(t), client.WatchOptions{})
		w.want(t, "")
		f.commit(2)
		f.broadcast("volunteer.location.x", map[string]float64{"lat": 1})
		f.commit(1)
		w.want(t, "3 4 volunteer.location.x 5")
		s := <-w.states
		if s.Kind != client.StateConnected || s.Position != f.at(2) || s.User.Role != "NGO" {
			t.Errorf("first state: got %+v", s)
		}
		w.stop()
		if err := <-w.done; err != nil {
			t.Errorf("a Watch that was stopped ends with %v", err)
		}
	})
}

func TestWatchReadsFromTheLogWhatItMissed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		w := watch(t, f.client(t), client.WatchOptions{})
		w.want(t, "")
		f.commit(2)
		synctest.Wait()
		f.cut()
		synctest.Wait()
		f.commitSilently(3)
		pass(t, time.Second)
		f.commit(1)
		w.want(t, "1 2 3 4 5 6")
		if got, want := f.asked(), []string{f.at(2)}; !slices.Equal(got, want) {
			t.Errorf("feed.resume after %q, want %q", got, want)
		}
		var states []client.State
		for len(w.states) > 0 {
			states = append(states, <-w.states)
		}
		if len(states) != 4 || states[1].Kind != client.StateLost || states[1].Err == nil ||
			states[1].RetryIn < 50*time.Millisecond || states[1].RetryIn > 100*time.Millisecond ||
			states[2].Kind != client.StateConnected || states[3].Kind != client.StateResumed || states[3].Missed != 3 {
			t.Errorf("states: got %+v", states)
		}
	})
}

func TestWatchBeginsAfterAPosition(t *testing.T) {
	for name, tc := range map[string]struct{ after, want string }{
		"the beginning":    {epoch + "-0", "1 2 3"},
		"in the middle":    {epoch + "-2", "3"},
		"the head":         {epoch + "-3", ""},
		"another epoch":    {otherEpoch + "-1", "gap:epoch"},
		"of another shape": {"yesterday", "gap:epoch"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake(t)
				f.commit(3)
				w := watch(t, f.client(t), client.WatchOptions{After: tc.after})
				w.want(t, tc.want)
				f.commit(1)
				w.want(t, "4")
			})
		})
	}
}

func TestLiveEventsWaitBehindTheReplay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		f.commit(5)
		f.page = 2
		// While each page is on its way, more is committed: some of it is live
		// and in a later page, too.
		f.resuming = func(*api.FeedResumed) bool { f.commit(1); return true }
		w := watch(t, f.client(t), client.WatchOptions{After: f.at(0)})
		synctest.Wait()
		f.mu.Lock()
		f.resuming = nil
		f.mu.Unlock()
		f.commit(1)
		got := positions(w.taken())
		if want := numbers(1, len(f.log)); got != want {
			t.Errorf("yielded %q, want %q", got, want)
		}
		if len(f.asked()) < 3 {
			t.Errorf("feed.resume was asked for %q: too little to prove anything", f.asked())
		}
	})
}

func numbers(from, to int) string {
	var list []string
	for i := from; i <= to; i++ {
		list = append(list, fmt.Sprint(i))
	}
	return strings.Join(list, " ")
}

func TestWatchReportsAGapAndGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		w := watch(t, f.client(t), client.WatchOptions{})
		w.want(t, "")
		f.commit(1)
		synctest.Wait()
		f.cut()
		synctest.Wait()
		f.commitSilently(4)
		f.mu.Lock()
		f.kept = 3
		f.mu.Unlock()
		pass(t, time.Second)
		f.commit(2)
		events := w.taken()
		if got, want := positions(events), "1 gap:window 6 7"; got != want {
			t.Fatalf("yielded %q, want %q", got, want)
		}
		if events[1].Position != f.at(5) || events[1].Name != "" {
			t.Errorf("the gap: got %+v", events[1])
		}
		if slices.Contains(w.kinds(), client.StateResumed) {
			t.Error("after a gap nothing was resumed")
		}
		// The next loss begins where the gap ended.
		f.cut()
		pass(t, time.Second)
		f.commit(1)
		w.want(t, "8")
	})
}

func TestWatchSurvivesALogThatWasRestored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		w := watch(t, f.client(t), client.WatchOptions{})
		w.want(t, "")
		f.commit(3)
		w.want(t, "1 2 3")
		f.mu.Lock()
		f.epoch, f.log = otherEpoch, f.log[:1]
		f.mu.Unlock()
		f.commit(1) // a server that goes on under the same connection
		pass(t, time.Second)
		f.commit(1)
		w.want(t, "gap:epoch 3")
	})
}

func TestACallerWhoIsSlowLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		const total = 5000
		var got []client.Event
		for ev, err := range f.client(t).Watch(ctx, client.WatchOptions{OnState: func(s client.State) {
			if s.Kind == client.StateConnected {
				f.commit(1)
			} else {
				t.Errorf("state %+v: the connection should have lasted", s)
			}
		}}) {
			if err != nil {
				t.Fatal(err)
			}
			if got = append(got, ev); len(got) == 1 {
				// The server has no pity: much more than the queue holds, while
				// we are busy, and pings have to be answered all the time.
				for range total/10 - 1 {
					f.commit(10)
					synctest.Wait()
				}
				f.commit(9)
				pass(t, 2*time.Minute)
			}
			if len(got) == total {
				break
			}
		}
		if want := numbers(1, total); positions(got) != want {
			t.Errorf("yielded %d events, not 1 to %d in order", len(got), total)
		}
		if len(f.asked()) == 0 {
			t.Error("nothing was read from the log: the queue was not full")
		}
	})
}

func TestNothingIsLostOrDoubledWhateverIsCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		f.page = 7
		w := watch(t, f.client(t), client.WatchOptions{})
		synctest.Wait()
		rng, trouble := rand.New(rand.NewPCG(1, 2)), rand.New(rand.NewPCG(3, 4))
		f.mu.Lock()
		f.resuming = func(*api.FeedResumed) bool { // one connection at a time
			switch trouble.IntN(6) {
			case 0:
				f.cut()
			case 1:
				return false
			case 2:
				f.commit(trouble.IntN(3))
			}
			return true
		}
		f.mu.Unlock()
		for range 300 {
			f.commit(rng.IntN(5))
			if rng.IntN(4) == 0 {
				f.cut()
			}
			if rng.IntN(3) == 0 {
				pass(t, time.Duration(rng.IntN(4000))*time.Millisecond)
			}
		}
		f.mu.Lock()
		f.resuming = nil
		f.mu.Unlock()
		pass(t, time.Minute)
		got := positions(w.taken())
		if want := numbers(1, len(f.log)); got != want {
			t.Errorf("of %d records: %s", len(f.log), firstDifference(got, want))
		}
		t.Logf("%d records, %d connections, %d pages", len(f.log), f.tries(), len(f.asked()))
	})
}

func firstDifference(got, want string) string {
	g, w := strings.Fields(got), strings.Fields(want)
	for i := range min(len(g), len(w)) {
		if g[i] != w[i] {
			return fmt.Sprintf("event %d is %s, want %s", i+1, g[i], w[i])
		}
	}
	return fmt.Sprintf("%d events, want %d", len(g), len(w))
}

func TestAnAnswerThatContradictsItselfIsNotTrusted(t *testing.T) {
	for name, spoil := range map[string]func(page *api.FeedResumed){
		"more without progress": func(p *api.FeedResumed) { p.More, p.Events, p.Position = true, nil, epoch+"-0" },
		"short of feed.ready":   func(p *api.FeedResumed) { p.Events, p.Position = p.Events[:1], p.Events[0].Position },
		"no position":           func(p *api.FeedResumed) { p.Position = "" },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake(t)
				f.commit(3)
				first := true
				f.resuming = func(p *api.FeedResumed) bool {
					if first {
						spoil(p)
						first = false
					}
					return true
				}
				w := watch(t, f.client(t), client.WatchOptions{After: f.at(0)})
				pass(t, time.Second)
				w.want(t, "1 2 3")
				if f.tries() != 2 {
					t.Errorf("connected %d times, want 2", f.tries())
				}
			})
		})
	}
}

func TestWatchEndsWhenTheServerDoesNotLetItIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		for name, tc := range map[string]struct {
			change func(*client.Config)
			code   api.Code
			status int
		}{
			"token":     {func(c *client.Config) { c.Token = "bad" }, api.CodeTokenInvalid, 401},
			"namespace": {func(c *client.Config) { c.Namespace = "/nowhere" }, api.CodeNotFound, 404},
			"origin":    {func(c *client.Config) { c.Header = map[string][]string{"Origin": {"http://evil.test"}} }, api.CodeBadRequest, 400},
		} {
			w := watch(t, f.client(t, tc.change), client.WatchOptions{})
			e, ok := errors.AsType[*api.Error](<-w.done)
			if !ok || e.Code != tc.code || e.StatusCode != tc.status {
				t.Errorf("%s: got %v, want %d %s", name, e, tc.status, tc.code)
			}
			if len(w.states) > 0 {
				t.Errorf("%s: got state %+v", name, <-w.states)
			}
		}
	})
}

func TestWatchComesBackWhenTheServerSaysLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		f.refuse = func(try int) *socketio.Refusal {
			if try == 1 {
				return &socketio.Refusal{Message: "busy", Data: api.ConnectErrorData{Code: api.CodeRateLimited, Retry: true, RetryAfterMs: 60_000}}
			}
			return nil
		}
		w := watch(t, f.client(t), client.WatchOptions{})
		pass(t, 59*time.Second)
		if f.tries() != 1 {
			t.Errorf("%d tries within 59 s, want 1", f.tries())
		}
		pass(t, 17*time.Second)
		f.commit(1)
		w.want(t, "1")
	})
}

func TestRetriesSlowDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		f.refuse = func(int) *socketio.Refusal { return refusal(api.CodeUnavailable, true) }
		w := watch(t, f.client(t), client.WatchOptions{})
		pass(t, time.Minute)
		var waits []time.Duration
		for len(w.states) > 0 {
			waits = append(waits, (<-w.states).RetryIn)
		}
		if len(waits) < 12 || len(waits) > 30 {
			t.Errorf("%d tries in a minute", len(waits))
		}
		for i, d := range waits {
			hi := min(5*time.Second, 100*time.Millisecond<<i)
			if d < hi/2 || d > hi {
				t.Errorf("wait %d is %s, want %s to %s", i+1, d, hi/2, hi)
			}
		}
	})
}

func TestWatchLeavesADrainingServerAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		w := watch(t, f.client(t), client.WatchOptions{})
		synctest.Wait()
		f.broadcast(api.EventServerDraining, api.ServerDraining{ReconnectInMs: 8000})
		pass(t, 2*time.Second)
		f.cut()
		pass(t, 5900*time.Millisecond)
		if f.tries() != 1 {
			t.Error("came back before it was asked to")
		}
		f.commitSilently(1)
		pass(t, 2500*time.Millisecond)
		w.want(t, "server.draining 1")
	})
}

func TestTheTokenOfTheMomentIsUsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		c := f.client(t)
		w := watch(t, c, client.WatchOptions{})
		synctest.Wait()
		c.SetToken("stale")
		f.cut()
		if e, ok := errors.AsType[*api.Error](<-w.done); !ok || e.Code != api.CodeTokenInvalid {
			t.Errorf("got %v", e)
		}
	})
}

func TestABreakEndsTheConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		f.commit(3)
		for ev, err := range f.client(t).Watch(t.Context(), client.WatchOptions{After: f.at(0)}) {
			if err != nil || ev.Position != f.at(1) {
				t.Errorf("first: got %+v, %v", ev, err)
			}
			break
		}
		synctest.Wait()
		if f.nsp.Len() != 0 {
			t.Errorf("%d sockets are left", f.nsp.Len())
		}
	})
}
