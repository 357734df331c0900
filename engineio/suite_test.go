package engineio_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"

	"larder/internal/testkit/wire"
)

// What the official Engine.IO v4 test suite asserts, one test for each of its
// 25, under the same configuration.

func wantOpenJSON(r *rig, packet string, upgrades []any) {
	r.Helper()
	data, ok := strings.CutPrefix(packet, "0")
	if !ok {
		r.Fatalf("open packet: got %q", packet)
	}
	var open map[string]any
	if err := json.Unmarshal([]byte(data), &open); err != nil {
		r.Fatalf("open packet: %v", err)
	}
	keys := slices.Sorted(maps.Keys(open))
	if want := []string{"maxPayload", "pingInterval", "pingTimeout", "sid", "upgrades"}; !slices.Equal(keys, want) {
		r.Errorf("keys: got %q, want %q", keys, want)
	}
	if got, ok := open["upgrades"].([]any); !ok || !slices.Equal(got, upgrades) {
		r.Errorf("upgrades: got %v, want %v", open["upgrades"], upgrades)
	}
	if open["pingInterval"] != 300.0 || open["pingTimeout"] != 200.0 || open["maxPayload"] != 1e6 {
		r.Errorf("numbers: got %v", open)
	}
	if sid, ok := open["sid"].(string); !ok || len(sid) < 20 {
		r.Errorf("sid: got %v", open["sid"])
	}
}

func TestSuiteHandshakePolling(t *testing.T) {
	do := func(r *rig, method, query string) wire.Reply {
		r.Helper()
		reply, err := wire.Do(r.Context(), r.client, method, wire.URL+"/engine.io/"+query, "", nil, "")
		if err != nil {
			r.Fatal(err)
		}
		return reply
	}
	t.Run("opens", func(t *testing.T) {
		bubble(t, func(r *rig) {
			reply := do(r, "GET", "?EIO=4&transport=polling")
			if reply.Status != 200 {
				r.Fatalf("status: got %d", reply.Status)
			}
			wantOpenJSON(r, reply.Body, []any{"websocket"})
		})
	})
	t.Run("EIO", func(t *testing.T) {
		bubble(t, func(r *rig) {
			r.refused(do(r, "GET", "?transport=polling"), 400, 5, "Unsupported protocol version")
			r.refused(do(r, "GET", "?transport=polling&EIO=abc"), 400, 5, "Unsupported protocol version")
		})
	})
	t.Run("transport", func(t *testing.T) {
		bubble(t, func(r *rig) {
			r.refused(do(r, "GET", "?EIO=4"), 400, 0, "Transport unknown")
			r.refused(do(r, "GET", "?EIO=4&transport=abc"), 400, 0, "Transport unknown")
		})
	})
	t.Run("method", func(t *testing.T) {
		bubble(t, func(r *rig) {
			r.refused(do(r, "POST", "?EIO=4&transport=polling"), 400, 2, "Bad handshake method")
			r.refused(do(r, "PUT", "?EIO=4&transport=polling"), 400, 2, "Bad handshake method")
		})
	})
}

func TestSuiteHandshakeWebSocket(t *testing.T) {
	refusedWith := func(r *rig, query, message string) {
		r.Helper()
		_, err := wire.DialWebSocket(r.Context(), r.net.Dial, "/engine.io/"+query, nil)
		wantRefused(r, err, http.StatusBadRequest, message)
	}
	t.Run("opens", func(t *testing.T) {
		bubble(t, func(r *rig) { wantOpenJSON(r, r.read(r.dial("")), []any{}) })
	})
	t.Run("EIO", func(t *testing.T) {
		bubble(t, func(r *rig) {
			refusedWith(r, "?transport=websocket", "Unsupported protocol version")
			refusedWith(r, "?transport=websocket&EIO=abc", "Unsupported protocol version")
		})
	})
	t.Run("transport", func(t *testing.T) {
		bubble(t, func(r *rig) {
			refusedWith(r, "?EIO=4", "Transport unknown")
			refusedWith(r, "?EIO=4&transport=abc", "Transport unknown")
		})
	})
}

func TestSuiteMessagePolling(t *testing.T) {
	t.Run("text", func(t *testing.T) {
		bubble(t, func(r *rig) {
			p := r.open()
			r.want(r.post(p, "4hello"), 200, "ok")
			r.want(r.get(p), 200, "4hello")
		})
	})
	t.Run("several", func(t *testing.T) {
		bubble(t, func(r *rig) {
			p := r.open()
			r.want(r.post(p, "4test1\x1e4test2\x1e4test3"), 200, "ok")
			r.want(r.get(p), 200, "4test1\x1e4test2\x1e4test3")
		})
	})
	t.Run("binary", func(t *testing.T) {
		bubble(t, func(r *rig) {
			p := r.open()
			r.want(r.post(p, "4hello\x1ebAQIDBA=="), 200, "ok")
			r.want(r.get(p), 200, "4hello\x1ebAQIDBA==")
		})
	})
	t.Run("invalid", func(t *testing.T) {
		bubble(t, func(r *rig) {
			p := r.open()
			r.badRequest(r.post(p, "abc"))
			r.unknown(r.get(p))
			r.wantReason(0, "parse error")
		})
	})
	t.Run("duplicate", func(t *testing.T) {
		bubble(t, func(r *rig) {
			p := r.open()
			first := r.hold(p)
			r.sleep(5 * time.Millisecond)
			r.badRequest(r.get(p))
			r.want(<-first, 200, "1")
			r.unknown(r.get(p))
			r.wantReason(0, "transport error")
		})
	})
	t.Run("aborted", func(t *testing.T) {
		bubble(t, func(r *rig) {
			p := r.open()
			abortedGet(r, p, 5*time.Millisecond)
			if reply := r.get(p); reply.Status != 400 { // whichever the server sees first
				r.Fatalf("GET after an aborted one: got %d", reply.Status)
			}
			r.wantReason(0, "transport error")
		})
	})
}

func TestSuiteMessageWebSocket(t *testing.T) {
	t.Run("text", func(t *testing.T) {
		bubble(t, func(r *rig) {
			c, _ := r.connect()
			r.text(c, "4hello")
			r.wantText(c, "4hello")
		})
	})
	t.Run("binary", func(t *testing.T) {
		bubble(t, func(r *rig) {
			c, _ := r.connect()
			if err := c.Binary([]byte{1, 2, 3, 4}); err != nil {
				r.Fatal(err)
			}
			op, data, err := c.Read()
			if err != nil || op != ws.OpBinary || string(data) != "\x01\x02\x03\x04" {
				r.Fatalf("echo: got %v %q, %v", op, data, err)
			}
		})
	})
	t.Run("invalid", func(t *testing.T) {
		bubble(t, func(r *rig) {
			c, _ := r.connect()
			r.text(c, "abc")
			r.wantClose(c, 1002)
			r.wantReason(0, "parse error")
		})
	})
}

func TestSuiteHeartbeatPolling(t *testing.T) {
	t.Run("rounds", func(t *testing.T) {
		bubble(t, func(r *rig) {
			p := r.open()
			for range 3 {
				r.want(r.get(p), 200, "2")
				r.want(r.post(p, "3"), 200, "ok")
			}
		})
	})
	t.Run("timeout", func(t *testing.T) {
		// The first ping is spread at random, so once is not enough.
		for range 20 {
			bubble(t, func(r *rig) {
				p := r.open()
				r.sleep(interval + timeout)
				r.unknown(r.get(p))
				r.wantReason(0, "ping timeout")
			})
		}
	})
}

func TestSuiteHeartbeatWebSocket(t *testing.T) {
	t.Run("rounds", func(t *testing.T) {
		bubble(t, func(r *rig) {
			c, _ := r.connect()
			for range 3 {
				r.wantText(c, "2")
				r.text(c, "3")
			}
		})
	})
	t.Run("timeout", func(t *testing.T) {
		bubble(t, func(r *rig) {
			start := time.Now()
			c, _ := r.connect()
			r.wantText(c, "2")
			r.wantClose(c, 1008)
			if d := time.Since(start); d > interval+timeout {
				r.Errorf("closed after %v, want %v at most", d, interval+timeout)
			}
			r.wantReason(0, "ping timeout")
		})
	})
}

func TestSuiteClose(t *testing.T) {
	t.Run("polling", func(t *testing.T) {
		bubble(t, func(r *rig) {
			p := r.open()
			held := r.hold(p)
			r.want(r.post(p, "1"), 200, "ok")
			r.want(<-held, 200, "6")
			r.unknown(r.get(p))
			r.wantReason(0, "transport close")
		})
	})
	t.Run("WebSocket", func(t *testing.T) {
		bubble(t, func(r *rig) {
			c, _ := r.connect()
			r.text(c, "1")
			r.wantClose(c, 1000)
			r.wantReason(0, "transport close")
		})
	})
}

func TestSuiteUpgrade(t *testing.T) {
	t.Run("probe", func(t *testing.T) {
		bubble(t, func(r *rig) {
			p := r.open()
			c := r.dial(p.SID)
			r.text(c, "2probe")
			r.wantText(c, "3probe")
			r.want(r.get(p), 200, "6")
			r.text(c, "5")
			r.text(c, "4hello")
			r.wantText(c, "4hello")
		})
	})
	t.Run("then GET", func(t *testing.T) {
		bubble(t, func(r *rig) {
			p := r.open()
			c := r.dial(p.SID)
			r.text(c, "2probe")
			read := readAll(c)
			r.text(c, "5")
			r.badRequest(r.get(p))
			r.text(c, "4hello")
			synctest.Wait()
			if got, want := read(), []string{"3probe", "4hello"}; !slices.Equal(got, want) {
				r.Errorf("frames: got %q, want %q", got, want)
			}
		})
	})
	t.Run("then WebSocket", func(t *testing.T) {
		bubble(t, func(r *rig) {
			p := r.open()
			c := r.dial(p.SID)
			r.text(c, "2probe")
			read := readAll(c)
			r.text(c, "5")
			r.wantClose(r.dial(p.SID), 1008)
			r.text(c, "4hello")
			synctest.Wait()
			if got, want := read(), []string{"3probe", "4hello"}; !slices.Equal(got, want) {
				r.Errorf("frames: got %q, want %q", got, want)
			}
		})
	})
}
