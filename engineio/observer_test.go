package engineio_test

import (
	"bytes"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"larder/engineio"
	"larder/internal/testkit/wire"
)

// tally is an Observer that writes everything down.
type tally struct {
	engineio.Unobserved
	mu sync.Mutex
	n  map[string]int
}

func (c *tally) add(n int, parts ...string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n == nil {
		c.n = make(map[string]int)
	}
	c.n[strings.Join(parts, " ")] += n
}

func (c *tally) SessionOpened(t engineio.Transport) { c.add(1, "opened", string(t)) }
func (c *tally) SessionClosed(t engineio.Transport, r engineio.Reason) {
	c.add(1, "closed", string(t), string(r))
}

func (c *tally) Refused(why engineio.Refusal) {
	c.add(1, "refused", string(rune('0'+why.Code)), http.StatusText(why.Status), why.Cause)
}

func (c *tally) UpgradeEnded(ok bool) {
	c.add(1, "upgrade", map[bool]string{true: "ok", false: "failed"}[ok])
}

func (c *tally) QueueOverflowed(messages, bytes int) {
	c.add(messages, "overflow messages")
	c.add(bytes, "overflow bytes")
}

func (c *tally) Received(t engineio.Transport, packets, bytes int) {
	c.add(packets, "packets from", string(t))
	c.add(bytes, "bytes from", string(t))
}

func (c *tally) Sent(t engineio.Transport, packets, bytes int) {
	c.add(packets, "packets to", string(t))
	c.add(bytes, "bytes to", string(t))
}

// take returns what was counted since the last take.
func (c *tally) take() map[string]int {
	synctest.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.n
	c.n = nil
	return n
}

func TestObserver(t *testing.T) {
	var c tally
	want := func(t *testing.T, want map[string]int) {
		t.Helper()
		if got := c.take(); !maps.Equal(got, want) {
			t.Errorf("got %v\nwant %v", got, want)
		}
	}
	observed := func(cfg *engineio.Config) {
		cfg.Observer = &c
		cfg.QueueBytes = 1000
	}
	bubble(t, func(r *rig) {
		p := r.open()
		open := c.take()
		if open["opened polling"] != 1 || open["packets to polling"] != 1 || open["bytes to polling"] < 50 {
			t.Errorf("open: got %v", open)
		}
		r.post(p, "4a\x1e4bc")
		want(t, map[string]int{"packets from polling": 2, "bytes from polling": 6})
		r.get(p)
		want(t, map[string]int{"packets to polling": 2, "bytes to polling": 6})
		p.Header = http.Header{"Accept-Encoding": {"gzip"}}
		send(r, r.app(0), strings.Repeat("x", 2000))
		r.get(p)
		want(t, map[string]int{"packets to polling": 1, "bytes to polling": 2001})

		probe := r.dial(p.SID)
		r.text(probe, "nonsense")
		r.wantClose(probe, 1008)
		want(t, map[string]int{"upgrade failed": 1})
		ws := r.upgraded(p)
		if got := c.take(); got["upgrade ok"] != 1 || got["upgrade failed"] != 0 {
			t.Errorf("upgrade: got %v", got)
		}
		r.text(ws, "4abc")
		r.wantText(ws, "4abc")
		want(t, map[string]int{
			"packets from websocket": 1, "bytes from websocket": 4,
			"packets to websocket": 1, "bytes to websocket": 6,
		})
		r.text(ws, "1")
		r.wantClose(ws, 1000)
		want(t, map[string]int{
			"packets from websocket": 1, "bytes from websocket": 1, "closed websocket transport close": 1,
		})
	}, calm, observed)
	c.n = nil // what closed with the first server
	bubble(t, func(r *rig) {
		if _, err := wire.DialWebSocket(r.Context(), r.net.Dial, "/engine.io/?EIO=3&transport=websocket", nil); err == nil {
			t.Fatal("EIO 3 was let in")
		}
		r.unknown(r.get(&wire.Polling{Client: r.client, Base: wire.URL + "/engine.io/", SID: "x"}))
		want(t, map[string]int{"refused 5 Bad Request old_client": 1, "refused 1 Bad Request session_unknown": 1})
		for _, query := range []string{"?EIO=4&transport=webtransport", "?EIO=4&transport=polling&j=0"} {
			if reply, err := wire.Do(r.Context(), r.client, "GET", wire.URL+"/engine.io/"+query, "", nil, ""); err != nil || reply.Status != 400 {
				t.Fatalf("%s: got %d, %v, want 400", query, reply.Status, err)
			}
		}
		want(t, map[string]int{"refused 0 Bad Request webtransport": 1, "refused 3 Bad Request jsonp": 1})

		r.open()
		c.take()
		send(r, r.app(0), "first")
		m := engineio.NewMessage(make([]byte, 600))
		if err := errors.Join(r.app(0).Send(m), r.app(0).Send(m)); !errors.Is(err, engineio.ErrSlow) {
			t.Fatal(err)
		}
		want(t, map[string]int{"overflow messages": 2, "overflow bytes": 613, "closed polling slow": 1})
		r.open()
		c.take()
		r.sleep(time.Minute)
		want(t, map[string]int{"closed polling ping timeout": 1})
	}, observed)
}

// Old clients are named in the log once, whatever their number. E-60
func TestOldClientsAreNamedOnce(t *testing.T) {
	var log bytes.Buffer
	bubble(t, func(r *rig) {
		for range 3 {
			reply, err := wire.Do(r.Context(), r.client, "GET", wire.URL+"/engine.io/?EIO=3&transport=polling", "", nil, "")
			if err != nil {
				t.Fatal(err)
			}
			r.refused(reply, 400, 5, "Unsupported protocol version")
		}
		if n := strings.Count(log.String(), "Socket.IO 1 or 2"); n != 1 {
			t.Errorf("named %d times in\n%s", n, log.String())
		}
	}, func(cfg *engineio.Config) { cfg.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
}
