package engineio_test

import (
	"context"
	"errors"
	"maps"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"larder/engineio"
)

// packet makes a packet of messages from a line like "x", "x y" (two messages),
// "key=x", "?x" (volatile) or "key=?x".
func packet(line string) []*engineio.Message {
	var e engineio.Expendable
	if key, rest, ok := strings.Cut(line, "="); ok {
		e.Key, line = key, rest
	}
	line, e.Volatile = strings.CutPrefix(line, "?")
	var messages []*engineio.Message
	for text := range strings.SplitSeq(line, " ") {
		messages = append(messages, engineio.NewMessage([]byte(text)))
	}
	if e == (engineio.Expendable{}) {
		return messages
	}
	return e.Mark(messages...)
}

// What is given up when five messages wait, of which the first does not count,
// and another packet comes: first what a newer one with its key replaces, then
// what is volatile, then the session (E-70).
func TestOverflowOrder(t *testing.T) {
	for name, tc := range map[string]struct {
		waiting         []string
		last            string
		want            string // what the poll carries, or slow
		merged, dropped int
	}{
		"nothing to give up":        {[]string{"a", "b", "c", "d", "e"}, "f", "slow", 0, 0},
		"room":                      {[]string{"a", "k=b", "k=c", "?d"}, "?e", "a b c d e", 0, 0},
		"an older one of two":       {[]string{"a", "k=b", "c", "k=d", "e"}, "f", "a c d e f", 1, 0},
		"older than the new one":    {[]string{"a", "k=b", "c", "d", "e"}, "k=f", "a c d e f", 1, 0},
		"only the newest of many":   {[]string{"a", "k=b", "k=c", "k=d", "k=e"}, "k=f", "a f", 4, 0},
		"two keys":                  {[]string{"a", "k=b", "l=c", "k=d", "l=e"}, "f", "a d e f", 2, 0},
		"no key is no key":          {[]string{"a", "=b", "=c", "d", "e"}, "=f", "slow", 0, 0},
		"volatile":                  {[]string{"a", "?b", "c", "?d", "e"}, "f", "a c e f", 0, 2},
		"merging is enough":         {[]string{"a", "?b", "k=c", "k=d", "e"}, "f", "a b d e f", 1, 0},
		"merging is not enough":     {[]string{"a", "?b", "k=c", "k=d", "e"}, "f g", "a d e f g", 1, 1},
		"neither is enough":         {[]string{"a", "?b", "k=c", "k=d", "e"}, "f g h i", "slow", 1, 1},
		"a volatile one":            {[]string{"a", "b", "c", "d", "e"}, "?f", "a b c d e", 0, 1},
		"volatile with a key":       {[]string{"a", "k=?b", "c", "k=?d", "e"}, "f", "a c d e f", 1, 0},
		"whole packets, merged":     {[]string{"a", "k=b1 b2", "k=c1 c2"}, "d1 d2", "a c1 c2 d1 d2", 2, 0},
		"whole packets, dropped":    {[]string{"a", "?b1 b2", "c1 c2"}, "d", "a c1 c2 d", 0, 2},
		"the same packet again":     {[]string{"a", "k=b1 b2", "k=b1 b2"}, "k=b1 b2", "a b1 b2", 4, 0},
		"the first costs nothing":   {[]string{"k=a", "b", "c", "d", "e"}, "k=f", "slow", 1, 0},
		"first of many":             {[]string{"k=a1 a2", "b", "c", "k=d", "e"}, "f", "slow", 2, 0},
		"first of many, and others": {[]string{"k=a1 a2", "b", "k=c", "k=d", "e"}, "f", "b d e f", 3, 0},
	} {
		t.Run(name, func(t *testing.T) {
			var c overflows
			bubble(t, func(r *rig) {
				p := r.open()
				a := r.app(0)
				for _, line := range tc.waiting {
					if err := a.Send(packet(line)...); err != nil {
						t.Fatalf("Send %s: %v", line, err)
					}
				}
				err := a.Send(packet(tc.last)...)
				if tc.want == "slow" {
					if !errors.Is(err, engineio.ErrSlow) {
						t.Errorf("Send: got %v, want ErrSlow", err)
					}
					r.wantReason(0, engineio.ReasonSlow)
				} else {
					if err != nil {
						t.Errorf("Send: %v", err)
					}
					r.want(r.get(p), 200, "4"+strings.ReplaceAll(tc.want, " ", "\x1e4"))
					synctest.Wait()
					send(r, a, "1", "2", "3", "4", "5", "6") // all is off the account
				}
				if c.merged != tc.merged || c.dropped != tc.dropped {
					t.Errorf("merged %d and dropped %d, want %d and %d", c.merged, c.dropped, tc.merged, tc.dropped)
				}
			}, calm, func(cfg *engineio.Config) { cfg.QueueMessages, cfg.Observer = 4, &c })
		})
	}
}

// overflows is an Observer of what becomes of queues.
type overflows struct {
	engineio.Unobserved
	merged, dropped, cut int
	waited               []time.Duration
}

func (c *overflows) Merged(n int)               { c.merged += n }
func (c *overflows) Dropped(n int)              { c.dropped += n }
func (c *overflows) QueueOverflowed(int, int)   { c.cut++ }
func (c *overflows) Waited(after time.Duration) { c.waited = append(c.waited, after) }

// What is being written can no longer be given up.
func TestOverflowSparesWhatIsBeingWritten(t *testing.T) {
	bubble(t, func(r *rig) {
		c, _ := r.connect()
		a := r.app(0)
		for _, line := range []string{"k=?a", "k=b", "c", "k=d"} {
			if err := a.Send(packet(line)...); err != nil {
				t.Fatal(err)
			}
			synctest.Wait() // the first is with the flusher
		}
		for _, want := range []string{"4a", "4c", "4d"} {
			r.wantText(c, want)
		}
	}, calm, func(c *engineio.Config) { c.QueueMessages = 2 })
}

// A message that waits for longer than QueueAge makes the peer slow when
// another is sent, whatever room there is (E-70).
func TestQueueAge(t *testing.T) {
	var c overflows
	aged := func(cfg *engineio.Config) {
		calm(cfg)
		cfg.QueueAge, cfg.PingTimeout, cfg.Observer = time.Second, 3*time.Second, &c
	}
	bubble(t, func(r *rig) {
		p := r.open()
		ws, _ := r.connect()
		a, b := r.app(0), r.app(1)
		synctest.Wait()
		send(r, b, "written")
		r.sleep(time.Minute / 10) // being written does not count: WriteTimeout is for that
		send(r, b, "waits")
		send(r, a, "waits")
		r.sleep(time.Second)
		send(r, b, "just in time")
		r.sleep(1)
		if err := b.Send(engineio.NewMessage(nil)); !errors.Is(err, engineio.ErrSlow) {
			t.Errorf("Send on WebSocket: got %v, want ErrSlow", err)
		}
		r.wantReason(1, engineio.ReasonSlow)
		ws.Abort()

		r.sleep(2*time.Second - 1) // as long as a pong may take
		send(r, a, "just in time")
		r.want(r.get(p), 200, "4waits\x1e4just in time")
		r.sleep(time.Hour / 10)
		send(r, a, "waits")
		r.sleep(3*time.Second + 1)
		if err := a.Send(engineio.NewMessage(nil)); !errors.Is(err, engineio.ErrSlow) {
			t.Errorf("Send on polling: got %v, want ErrSlow", err)
		}
		r.wantReason(0, engineio.ReasonSlow)
		if cause, _ := context.Cause(a.Context()).(engineio.Cause); cause.Err == nil || !strings.Contains(cause.Err.Error(), "too long") {
			t.Errorf("cause: got %v", cause)
		}
		if c.cut != 2 {
			t.Errorf("overflows: got %d, want 2", c.cut)
		}
		if len(c.waited) != 1 || c.waited[0] != 3*time.Second {
			t.Errorf("waited: got %v, want 3s", c.waited)
		}
	}, aged)
}

// Without anything new to send, the heartbeat finds the peer out.
func TestQueueAgeAtTheHeartbeat(t *testing.T) {
	bubble(t, func(r *rig) {
		r.open()
		send(r, r.app(0), "waits")
		r.sleep(interval * 3 / 4) // more than the limit, but the first ping is due later
		r.wantReason(0, "")
		r.sleep(interval / 4)
		r.wantReason(0, engineio.ReasonSlow)

		p := r.open()
		r.sleep(interval / 2)
		send(r, r.app(1), "not for long")
		r.sleep(interval / 2)
		r.want(r.get(p), 200, "4not for long\x1e2")
		r.wantReason(1, "")
	}, func(c *engineio.Config) { c.QueueAge = time.Millisecond })
}

// Nobody looks at the clock, or tells the age, for those who keep up.
func TestWaitedIsForThoseBehind(t *testing.T) {
	var c overflows
	bubble(t, func(r *rig) {
		p := r.open()
		held := r.hold(p)
		send(r, r.app(0), "a", "b")
		r.want(<-held, 200, "4a\x1e4b")
		ws, _ := r.connect()
		read := readAll(ws)
		synctest.Wait()
		for range 10 {
			send(r, r.app(1), "x")
			synctest.Wait()
		}
		if got := len(read()); got != 10 || len(c.waited) != 0 {
			t.Errorf("%d messages read; waited %v, want none told", got, c.waited)
		}
		send(r, r.app(0), "c")
		r.sleep(time.Second)
		r.want(r.get(p), 200, "4c")
		if len(c.waited) != 1 || c.waited[0] != time.Second {
			t.Errorf("waited: got %v, want 1s", c.waited)
		}
	}, calm, func(cfg *engineio.Config) { cfg.Observer = &c })
}

// All queues together have a bound: from three quarters on nobody new is let in,
// and at the bound those who have something waiting are cut when more comes (E-71).
func TestMaxQueued(t *testing.T) {
	var c tally
	bubble(t, func(r *rig) {
		queued := func(want int64) {
			t.Helper()
			synctest.Wait()
			if got := r.srv.Stats().Queued; got != want {
				t.Errorf("queued: got %d, want %d", got, want)
			}
		}
		m := engineio.NewMessage([]byte(strings.Repeat("x", 95))) // 98 bytes with all around it
		push := func(n int, want error) {
			t.Helper()
			if err := r.app(n).Send(m); !errors.Is(err, want) {
				t.Errorf("Send to session %d: got %v, want %v", n, err, want)
			}
		}
		first, second, keepsUp := r.open(), r.open(), r.open()
		ws, _ := r.connect()
		r.text(ws, "3")
		for range 3 {
			push(0, nil)
			push(1, nil)
		}
		queued(6 * 98)
		push(3, nil) // being written, and not taken
		queued(7 * 98)
		push(3, nil)
		queued(8 * 98)
		c.take()
		r.refused(r.get(newcomer(r)), 503, 3, "Server is full")
		if got := c.take(); !maps.Equal(got, map[string]int{"refused 3 Service Unavailable overload": 1}) {
			t.Errorf("counted %v", got)
		}
		push(3, nil)
		push(0, nil)
		queued(10 * 98)
		push(3, engineio.ErrSlow)
		r.wantReason(3, engineio.ReasonSlow)
		if cause, _ := context.Cause(r.app(3).Context()).(engineio.Cause); cause.Err == nil || !strings.Contains(cause.Err.Error(), "together") {
			t.Errorf("cause: got %v", cause)
		}
		queued(8 * 98) // one is still being written
		ws.Abort()
		queued(7 * 98)
		for range 3 {
			push(0, nil)
		}
		queued(10 * 98)
		held := r.hold(keepsUp)
		if err := r.app(2).Send(m, m); err != nil { // who keeps up costs nothing, and is not hurt
			t.Errorf("Send of two: %v", err)
		}
		r.want(<-held, 200, "4"+strings.Repeat("x", 95)+"\x1e4"+strings.Repeat("x", 95))
		synctest.Wait()
		push(2, nil) // its poll is not there, but nothing waits
		queued(11 * 98)
		push(1, engineio.ErrSlow)
		queued(8 * 98)
		r.get(first)
		queued(98)
		r.open()
		r.get(keepsUp)
		queued(0)
		r.unknown(r.get(second))
	}, calm, func(cfg *engineio.Config) { cfg.MaxQueued, cfg.Observer = 1000, &c })
}

// What may be given up is, before a session is cut for all the others' sake.
func TestMaxQueuedMergesFirst(t *testing.T) {
	bubble(t, func(r *rig) {
		p := r.open()
		a := r.app(0)
		for _, line := range []string{"k=aaaa", "k=bbbb", "k=cccc", "dddd"} { // 7 bytes each
			if err := a.Send(packet(line)...); err != nil {
				t.Fatal(err)
			}
		}
		if got := r.srv.Stats().Queued; got != 2*7 {
			t.Errorf("queued: got %d, want 14", got)
		}
		r.want(r.get(p), 200, "4cccc\x1e4dddd")
	}, calm, func(c *engineio.Config) { c.MaxQueued = 22 })
}

// On real sockets, what a peer does not take is counted, and given back.
func TestQueuedOfFullSocket(t *testing.T) {
	r := newTCPRig(t, engineio.Config{QueueBytes: 64 << 20})
	stuck, a := r.dial()
	if err := a.Flushed(t.Context()); err != nil {
		t.Fatal(err)
	}
	large := engineio.NewMessage(make([]byte, 16<<20))
	for range 2 {
		if err := a.Send(large); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for r.srv.Stats().Queued < 32<<20 {
		if ctx.Err() != nil {
			t.Fatalf("queued: got %d, want both messages", r.srv.Stats().Queued)
		}
		<-time.After(time.Millisecond)
	}
	for range 2 {
		if _, err := stuck.ReadText(); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.Flushed(ctx); err != nil {
		t.Fatal(err)
	}
	if got := r.srv.Stats().Queued; got != 0 {
		t.Errorf("queued after all was read: got %d", got)
	}
}
