package engineio_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"

	"larder/engineio"
	"larder/internal/testkit/wire"
)

// calm keeps heartbeats out of a test.
func calm(c *engineio.Config) { c.PingInterval, c.PingTimeout = time.Hour, time.Hour }

// probed goes as far as 3probe.
func (r *rig) probed(p *wire.Polling) *wire.WebSocket {
	r.Helper()
	c := r.dial(p.SID)
	r.text(c, "2probe")
	r.wantText(c, "3probe")
	return c
}

// upgraded goes all the way.
func (r *rig) upgraded(p *wire.Polling) *wire.WebSocket {
	r.Helper()
	c := r.probed(p)
	r.text(c, "5")
	synctest.Wait()
	return c
}

func TestUpgrade(t *testing.T) {
	bubble(t, func(r *rig) {
		p := r.open()
		a := r.app(0)
		if got := a.Transport(); got != engineio.Polling {
			r.Errorf("transport before: got %q", got)
		}
		c := r.upgraded(p)
		if got := a.Transport(); got != engineio.WebSocket {
			r.Errorf("transport after: got %q", got)
		}
		r.text(c, "4x")
		r.wantText(c, "4x")
		if a.upgrades != 1 { // E-51
			r.Errorf("Upgraded was called %d times", a.upgrades)
		}
		if n := r.srv.Stats().Upgraded; n != 1 {
			r.Errorf("Stats.Upgraded: got %d", n)
		}
		r.badRequest(r.get(p)) // E-44
		r.badRequest(r.post(p, "4x"))
		r.text(c, "1")
		r.wantClose(c, 1000)
		r.unknown(r.get(p))
	})
}

func TestUpgradedSessionOutlivesTheUpgradeTimeout(t *testing.T) {
	bubble(t, func(r *rig) {
		c := r.upgraded(r.open())
		r.sleep(time.Minute)
		r.text(c, "4x")
		r.wantText(c, "4x")
	}, calm)
}

// The poll that is held when the probe comes ends with a noop, after 3probe
// and not before.
func TestHeldPollEndsAfterTheProbe(t *testing.T) {
	bubble(t, func(r *rig) {
		p := r.open()
		held := r.hold(p)
		c := r.dial(p.SID)
		r.held(held)
		r.text(c, "2probe")
		// The server writes 3probe, and nobody reads it yet.
		r.sleep(150 * time.Millisecond)
		r.held(held) // E-46
		r.wantText(c, "3probe")
		r.want(<-held, 200, "6")
		r.want(r.get(p), 200, "6") // E-44: the client has not stopped yet
		r.text(c, "5")
		r.text(c, "4x")
		r.wantText(c, "4x")
	}, calm)
}

// What is sent between the probe and the upgrade leaves by the held poll if
// there is one, else by the WebSocket, and once (E-45).
func TestPacketsDuringTheUpgrade(t *testing.T) {
	bubble(t, func(r *rig) {
		p := r.open()
		held := r.hold(p)
		c := r.probed(p)
		send(r, r.app(0), "by poll")
		r.want(<-held, 200, "4by poll")
		send(r, r.app(0), "later", "and more")
		synctest.Wait()
		read := readAll(c)
		r.text(c, "5")
		send(r, r.app(0), "last")
		synctest.Wait()
		if got, want := read(), []string{"4later", "4and more", "4last"}; !slices.Equal(got, want) {
			r.Errorf("frames: got %q, want %q", got, want)
		}
	})
}

func TestPollHeldAtTheUpgradeIsRefused(t *testing.T) {
	bubble(t, func(r *rig) {
		p := r.open()
		c := r.probed(p)
		held := r.hold(p)
		r.held(held)
		start := time.Now()
		r.text(c, "5")
		r.badRequest(<-held) // E-44
		if d := time.Since(start); d != 0 {
			r.Errorf("the poll was refused after %v, want at once", d)
		}
		r.text(c, "4x")
		r.wantText(c, "4x")
	})
}

func TestPostsAreGoodUntilTheUpgrade(t *testing.T) {
	bubble(t, func(r *rig) {
		p := r.open()
		c := r.probed(p)
		r.want(r.post(p, "4x"), 200, "ok") // E-45
		r.text(c, "5")
		r.wantText(c, "4x")
	})
}

// A POST that is being handled when the upgrade comes is finished first; the
// WebSocket's messages come after it.
func TestPostBeingHandledGoesBeforeTheWebSocket(t *testing.T) {
	bubble(t, func(r *rig) {
		p := r.open()
		a := r.app(0)
		release := make(chan struct{})
		a.receive = func(s string) error {
			if s == "a" {
				<-release
			}
			return nil
		}
		done := make(chan wire.Reply, 1)
		go func() {
			reply, _ := p.Post(r.Context(), "4a\x1e4b")
			done <- reply
		}()
		synctest.Wait()
		c := r.probed(p)
		go func() {
			_ = c.Send(wire.Frame{Op: ws.OpText, Payload: []byte("5")}, wire.Frame{Op: ws.OpText, Payload: []byte("4c")})
		}()
		synctest.Wait()
		if got := a.Transport(); got != engineio.WebSocket {
			r.Errorf("transport: got %q", got)
		}
		close(release)
		r.want(<-done, 200, "ok")
		synctest.Wait()
		if got, want := a.received(), []string{"a", "b", "c"}; !slices.Equal(got, want) {
			r.Errorf("received: got %q, want %q", got, want)
		}
	})
}

// A POST whose body is still on its way when the upgrade comes is too late.
func TestPostBeingReadAtTheUpgradeIsRefused(t *testing.T) {
	bubble(t, func(r *rig) {
		p := r.open()
		conn, err := r.net.Dial(r.Context())
		if err != nil {
			r.Fatal(err)
		}
		defer conn.Close()
		fmt.Fprintf(conn, "POST /engine.io/?EIO=4&transport=polling&sid=%s HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n4", p.SID)
		c := r.upgraded(p)
		fmt.Fprint(conn, "x")
		resp, err := readResponse(conn)
		if err != nil || resp.StatusCode != 400 {
			r.Errorf("POST: got %v, %v", resp, err)
		}
		r.text(c, "4y")
		r.wantText(c, "4y")
		if got := r.app(0).received(); !slices.Equal(got, []string{"y"}) {
			r.Errorf("received: got %q", got)
		}
	})
}

func TestFailedProbes(t *testing.T) {
	const second = time.Second
	for name, tc := range map[string]struct {
		probe func(r *rig, c *wire.WebSocket)
		code  int // 0: the client cuts the connection
	}{
		"aborted at once":    {func(_ *rig, c *wire.WebSocket) { c.Abort() }, 0},
		"aborted after":      {func(r *rig, c *wire.WebSocket) { r.text(c, "2probe"); r.wantText(c, "3probe"); c.Abort() }, 0},
		"direct upgrade":     {func(r *rig, c *wire.WebSocket) { r.text(c, "5") }, 1008},
		"ping without probe": {func(r *rig, c *wire.WebSocket) { r.text(c, "2") }, 1008},
		"message":            {func(r *rig, c *wire.WebSocket) { r.text(c, "4x") }, 1008},
		"not a packet":       {func(r *rig, c *wire.WebSocket) { r.text(c, "") }, 1008},
		"binary":             {func(_ *rig, c *wire.WebSocket) { _ = c.Binary([]byte("2probe")) }, 1008},
		"bad frame": {func(_ *rig, c *wire.WebSocket) {
			_ = c.Send(wire.Frame{Op: ws.OpText, Payload: []byte("2probe"), Unmasked: true})
		}, 1008},
		"message after the probe": {func(r *rig, c *wire.WebSocket) {
			r.text(c, "2probe")
			r.wantText(c, "3probe")
			r.text(c, "4x")
		}, 1008},
		"too late": {func(r *rig, c *wire.WebSocket) {
			r.text(c, "2probe")
			r.wantText(c, "3probe")
			r.sleep(second) // E-47
		}, 1008},
		"too late for the probe": {func(r *rig, _ *wire.WebSocket) { r.sleep(second) }, 1008},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(r *rig) {
				p := r.open()
				c := r.dial(p.SID)
				tc.probe(r, c)
				if tc.code != 0 {
					r.wantClose(c, tc.code)
				}
				synctest.Wait()
				r.wantReason(0, "") // E-47: polling goes on
				r.want(r.post(p, "4x"), 200, "ok")
				r.want(r.get(p), 200, "4x")
				held := r.hold(p)
				r.sleep(200 * time.Millisecond)
				r.held(held)
				send(r, r.app(0), "end")
				r.want(<-held, 200, "4end")

				again := r.upgraded(p) // and may try again
				r.text(again, "4y")
				r.wantText(again, "4y")
			}, func(c *engineio.Config) {
				c.PingInterval, c.PingTimeout, c.UpgradeTimeout = time.Minute, time.Minute, second
			})
		})
	}
}

func TestProbeAnswersWebSocketPings(t *testing.T) {
	bubble(t, func(r *rig) {
		p := r.open()
		c := r.dial(p.SID)
		if err := c.Send(wire.Frame{Op: ws.OpPing, Payload: []byte("hi")}); err != nil {
			r.Fatal(err)
		}
		if op, data, err := c.Read(); op != ws.OpPong || string(data) != "hi" || err != nil {
			r.Errorf("pong: got %v %q, %v", op, data, err)
		}
		r.text(c, "2probe")
		r.wantText(c, "3probe")
	})
}

func TestSecondWebSocket(t *testing.T) {
	for name, first := range map[string]func(r *rig, p *wire.Polling) *wire.WebSocket{
		"before the probe":  func(r *rig, p *wire.Polling) *wire.WebSocket { return r.dial(p.SID) },
		"after the probe":   func(r *rig, p *wire.Polling) *wire.WebSocket { return r.probed(p) },
		"after the upgrade": func(r *rig, p *wire.Polling) *wire.WebSocket { return r.upgraded(p) },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(r *rig) {
				p := r.open()
				c := first(r, p)
				r.wantClose(r.dial(p.SID), 1008) // E-48
				if name == "before the probe" {
					r.text(c, "2probe")
					r.wantText(c, "3probe")
				}
				if name != "after the upgrade" {
					r.text(c, "5")
				}
				r.text(c, "4x")
				r.wantText(c, "4x")
			})
		})
	}
	t.Run("of a WebSocket session", func(t *testing.T) {
		bubble(t, func(r *rig) {
			c, open := r.connect()
			r.wantClose(r.dial(open.SID), 1008)
			r.text(c, "4x")
			r.wantText(c, "4x")
		})
	})
}

func TestSessionClosedDuringTheProbe(t *testing.T) {
	for name, end := range map[string]struct {
		do     func(r *rig, p *wire.Polling)
		reason engineio.Reason
	}{
		"by the client": {func(r *rig, p *wire.Polling) { r.post(p, "1") }, "transport close"},
		"by the server": {func(r *rig, _ *wire.Polling) { r.app(0).Close(engineio.ReasonForcedServerClose) }, "forced server close"},
		"ping timeout":  {func(r *rig, _ *wire.Polling) { r.sleep(interval + timeout) }, "ping timeout"},
	} {
		for _, stage := range []string{"reserved", "probed"} {
			t.Run(name+" "+stage, func(t *testing.T) {
				bubble(t, func(r *rig) {
					p := r.open()
					c := r.dial(p.SID)
					if stage == "probed" {
						r.text(c, "2probe")
						r.wantText(c, "3probe")
					}
					end.do(r, p)
					r.wantReason(0, end.reason)
					if op, _, err := c.Read(); err == nil && op != ws.OpClose { // E-49
						r.Error("the probing WebSocket is still open")
					}
				})
			})
		}
	}
}

// A client that has seen 3probe polls no more: what a closing server still has for
// it, the close included, goes where it is going (E-49).
func TestLastWordsDuringTheUpgrade(t *testing.T) {
	const grace = time.Second
	patience := func(c *engineio.Config) { c.WriteTimeout = grace }
	for name, close := range map[string]func(r *rig){
		"closed":    func(r *rig) { r.app(0).Close("enough") },
		"drained":   func(r *rig) { go func() { _ = r.srv.Drain(r.Context(), time.Second, nil) }() },
		"shut down": func(r *rig) { go func() { _ = r.srv.Shutdown(r.Context()) }() },
	} {
		code := 1012
		if name == "closed" {
			code = 1000
		}
		t.Run(name+", and the upgrade comes", func(t *testing.T) {
			var seen tally
			bubble(t, func(r *rig) {
				c := r.probed(r.open())
				send(r, r.app(0), "last", "words")
				close(r)
				r.sleep(grace - 1)
				r.text(c, "5")
				r.wantText(c, "4last")
				r.wantText(c, "4words")
				r.wantClose(c, code)
				told := seen.take()
				if n := r.srv.Stats().Upgraded; n != 0 || told["upgrade failed"] != 1 || told["upgrade ok"] != 0 {
					r.Errorf("an upgrade for last words: %d counted, told %v", n, told)
				}
			}, calm, patience, func(c *engineio.Config) { c.Observer = &seen })
		})
		t.Run(name+", and the upgrade comes too late", func(t *testing.T) {
			bubble(t, func(r *rig) {
				c := r.probed(r.open())
				send(r, r.app(0), "last", "words")
				close(r)
				r.sleep(grace)
				r.wantClose(c, 1008)
			}, calm, patience)
		})
		t.Run(name+", and a last poll comes", func(t *testing.T) {
			bubble(t, func(r *rig) {
				p := r.open()
				c := r.probed(p)
				send(r, r.app(0), "last", "words")
				close(r)
				synctest.Wait()
				r.want(r.get(p), 200, "4last\x1e4words")
				r.want(r.get(p), 200, "1")
				r.text(c, "5")
				r.wantClose(c, 1008)
			}, calm, patience)
		})
		t.Run(name+", between the last two polls", func(t *testing.T) {
			bubble(t, func(r *rig) {
				p := r.open()
				c := r.probed(p)
				send(r, r.app(0), "last", "words")
				close(r)
				synctest.Wait()
				r.want(r.get(p), 200, "4last\x1e4words")
				r.text(c, "5")
				r.wantClose(c, code)
				r.unknown(r.get(p))
			}, calm, patience)
		})
	}
}

// A shutdown that may wait no longer cuts a probe, too.
func TestAbortDuringTheUpgrade(t *testing.T) {
	bubble(t, func(r *rig) {
		c := r.probed(r.open())
		send(r, r.app(0), "last")
		r.app(0).Close("enough")
		ctx, cancel := context.WithCancel(r.Context())
		cancel()
		if err := r.srv.Shutdown(ctx); err == nil {
			r.Error("Shutdown had nothing to wait for")
		}
		if _, _, err := c.Read(); err == nil {
			r.Error("the probing WebSocket is still open")
		}
	})
}

// All orders of 5, GET and POST at the same time: none is lost, nothing comes
// twice, and the WebSocket goes on.
func TestUpgradeRaces(t *testing.T) {
	for i := range 200 {
		bubble(t, func(r *rig) {
			p := r.open()
			c := r.probed(p)
			read := readAll(c)
			a := r.app(0)
			polls := make(chan wire.Reply, 1)
			posts := make(chan wire.Reply, 1)
			steps := []func(){
				func() { _ = c.Text("5") },
				func() { reply, _ := p.Get(r.Context()); polls <- reply },
				func() { reply, _ := p.Post(r.Context(), "4post"); posts <- reply },
				func() { _ = a.Send(engineio.NewMessage([]byte("sent"))) },
			}
			var wg sync.WaitGroup
			for j := range steps {
				wg.Go(steps[(i+j)%len(steps)])
			}
			wg.Wait()
			poll, post := <-polls, <-posts
			_ = c.Text("4socket")
			synctest.Wait()

			all := strings.Join(read(), " ")
			if poll.Status == 200 {
				all += " " + strings.ReplaceAll(poll.Body, "\x1e", " ")
			}
			taken := 0
			if post.Status == 200 {
				taken = 1
			}
			for s, want := range map[string]int{"4sent": 1, "4socket": 1, "4post": taken} {
				if got := strings.Count(all, s); got != want {
					r.Errorf("%s: got %d times in %q, want %d (POST %d)", s, got, all, want, post.Status)
				}
			}
			if poll.Status != 200 && poll.Status != 400 || post.Status != 200 && post.Status != 400 {
				r.Errorf("GET %d, POST %d", poll.Status, post.Status)
			}
		}, func(c *engineio.Config) { c.Logger = nil })
	}
}
