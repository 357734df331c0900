package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"larder/api"
	"larder/client"
	"larder/internal/testkit/wire"
)

func TestCallIsAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		f.commit(4)
		conn, err := f.client(t).Connect(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if r := conn.Ready(); r.Position != f.at(4) || r.User.ID != "u1" {
			t.Errorf("feed.ready: got %+v", r)
		}
		var pong api.Pong
		if err := conn.Call(t.Context(), api.EventTest, map[string]string{}, &pong); err != nil || pong.Message != "Pong!" {
			t.Errorf("test: got %+v, %v", pong, err)
		}
		err = conn.Call(t.Context(), api.EventTest, map[string]string{"fail": "too fast"}, &pong)
		if e, ok := errors.AsType[*api.Error](err); !ok || e.Code != api.CodeRateLimited || e.StatusCode != 429 {
			t.Errorf("a refused call: got %v", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := conn.Call(ctx, "nobody.listens", nil, nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a call that nobody answers: got %v", err)
		}
	})
}

func TestNextTellsHowItEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		conn, err := f.client(t).Connect(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		f.commit(2)
		f.cut()
		synctest.Wait()
		for _, want := range []string{f.at(1), f.at(2)} { // what had arrived is not lost
			if ev, err := conn.Next(t.Context()); err != nil || ev.Position != want {
				t.Errorf("Next: got %+v, %v, want %s", ev, err, want)
			}
		}
		if ev, err := conn.Next(t.Context()); err == nil {
			t.Errorf("Next after the end: got %+v", ev)
		}
		if err := conn.Call(t.Context(), api.EventTest, nil, nil); err == nil {
			t.Error("Call after the end: got no error")
		}

		other, err := f.client(t).Connect(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := other.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		if _, err := other.Next(t.Context()); !errors.Is(err, client.ErrClosed) {
			t.Errorf("Next after Close: got %v", err)
		}
		if err := other.Close(); err != nil {
			t.Errorf("second Close: %v", err)
		}
	})
}

func TestNextSaysThatItIsBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		conn, err := f.client(t).Connect(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		for range 150 {
			f.commit(10)
			synctest.Wait()
		}
		for i := range 1024 {
			if _, err := conn.Next(t.Context()); err != nil {
				t.Fatalf("event %d: %v", i+1, err)
			}
		}
		if _, err := conn.Next(t.Context()); !errors.Is(err, client.ErrBehind) {
			t.Fatalf("after the full queue: got %v, want ErrBehind", err)
		}
		f.commit(1)
		if ev, err := conn.Next(t.Context()); err != nil || ev.Position != f.at(1501) {
			t.Errorf("after ErrBehind: got %+v, %v", ev, err)
		}
	})
}

// script is a server of raw frames: play gets each connection after its upgrade.
func script(t *testing.T, play func(conn net.Conn)) *client.Client {
	t.Helper()
	l := wire.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, _, _, err := ws.UpgradeHTTP(r, w)
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		play(conn)
	}))
	c, err := client.New(client.Config{
		BaseURL: wire.URL, Token: goodToken,
		Dial: func(ctx context.Context, _, _ string) (net.Conn, error) { return l.Dial(ctx) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

const (
	helloText = `0{"sid":"s","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}`
	readyText = `42/donations,["feed.ready",{"position":"` + epoch + `-7","recovered":false,"user":{"id":"u","role":"NGO"}}]`
)

func say(t *testing.T, conn net.Conn, messages ...string) {
	t.Helper()
	for _, m := range messages {
		if err := wsutil.WriteServerText(conn, []byte(m)); err != nil {
			t.Errorf("send %.40q: %v", m, err)
		}
	}
}

func hear(t *testing.T, conn net.Conn, want string) {
	t.Helper()
	got, err := wsutil.ReadClientText(conn)
	if err != nil || string(got) != want {
		t.Errorf("heard %q, %v, want %q", got, err, want)
	}
}

// admitTo is the opening of every script.
func admitTo(t *testing.T, conn net.Conn) {
	t.Helper()
	say(t, conn, helloText)
	hear(t, conn, `40/donations,{"token":"good"}`)
	say(t, conn, `40/donations,{"sid":"x"}`, readyText)
}

// untilClosed reads until the client has gone.
func untilClosed(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) }

// E-55: a ping is answered, and E-56: a connection without pings is dead however
// much else it brings.
func TestHeartbeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan time.Duration, 1)
		c := script(t, func(conn net.Conn) {
			admitTo(t, conn)
			for range 3 {
				<-time.After(25 * time.Second)
				say(t, conn, "2")
				hear(t, conn, "3")
			}
			lastPing := time.Now()
			<-time.After(40 * time.Second)
			say(t, conn, `42/donations,["noise",1]`)
			untilClosed(conn)
			ended <- time.Since(lastPing)
		})
		conn, err := c.Connect(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if ev, err := conn.Next(t.Context()); err != nil || ev.Name != "noise" {
			t.Errorf("got %+v, %v", ev, err)
		}
		if _, err := conn.Next(t.Context()); err == nil || !strings.Contains(err.Error(), "no ping") {
			t.Errorf("end: got %v", err)
		}
		if d := <-ended; d != 45*time.Second {
			t.Errorf("the client gave up %s after the last ping, want 45s", d)
		}
	})
}

func TestOddFramesAreUnderstood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := script(t, func(conn net.Conn) {
			admitTo(t, conn)
			event := []byte(`42/donations,["a",{"position":"` + epoch + `-8"},"` + epoch + `-8"]`)
			frames := []ws.Frame{
				ws.NewFrame(ws.OpText, false, event[:10]),
				ws.NewPingFrame([]byte("hi")),
				ws.NewFrame(ws.OpContinuation, true, event[10:]),
				ws.NewBinaryFrame([]byte{1, 2}),
				ws.NewTextFrame([]byte(`42["b"]`)),          // another namespace
				ws.NewTextFrame([]byte(`42/donations,[7]`)), // a number for a name (S-20)
				ws.NewTextFrame([]byte(`43/donations,99[]`)),
				ws.NewTextFrame([]byte(`6`)),
				ws.NewTextFrame([]byte(`42/donations,["c"]`)),
			}
			for _, fr := range frames {
				if err := ws.WriteFrame(conn, fr); err != nil {
					t.Error(err)
				}
				if fr.Header.OpCode == ws.OpPing {
					h, err := ws.ReadHeader(conn)
					if err != nil || h.OpCode != ws.OpPong || !h.Masked || h.Length != 2 {
						t.Errorf("answer to a ping: got %+v, %v", h, err)
					}
					if _, err := io.CopyN(io.Discard, conn, h.Length); err != nil {
						t.Error(err)
					}
				}
			}
			untilClosed(conn)
		})
		conn, err := c.Connect(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		for _, want := range []client.Event{
			{Name: "a", Position: epoch + "-8", Data: json.RawMessage(`{"position":"` + epoch + `-8"}`)}, {Name: "c"},
		} {
			ev, err := conn.Next(t.Context())
			if err != nil || ev.Name != want.Name || ev.Position != want.Position || string(ev.Data) != string(want.Data) {
				t.Errorf("got %+v, %v, want %+v", ev, err, want)
			}
		}
	})
}

func TestBadServersAreLeft(t *testing.T) {
	for name, tc := range map[string]struct {
		play func(t *testing.T, conn net.Conn)
		want string
	}{
		"another protocol": {func(t *testing.T, conn net.Conn) { say(t, conn, "hello") }, "Engine.IO"},
		"no heartbeat":     {func(t *testing.T, conn net.Conn) { say(t, conn, `0{"sid":"s"}`) }, "heartbeat"},
		"silence":          {func(_ *testing.T, conn net.Conn) { untilClosed(conn) }, "no feed.ready within 15s"},
		"not a Larder": {func(t *testing.T, conn net.Conn) {
			say(t, conn, helloText)
			hear(t, conn, `40/donations,{"token":"good"}`)
			say(t, conn, `40/donations,{"sid":"x"}`)
			untilClosed(conn)
		}, "no feed.ready"},
		"a masked frame": {func(t *testing.T, conn net.Conn) {
			_ = ws.WriteFrame(conn, ws.MaskFrame(ws.NewTextFrame([]byte("0")))) // the client hangs up in the middle
		}, "mask"},
		"a huge frame": {func(t *testing.T, conn net.Conn) {
			if err := ws.WriteHeader(conn, ws.Header{Fin: true, OpCode: ws.OpText, Length: 1 << 40}); err != nil {
				t.Error(err)
			}
		}, "larger than"},
		"goodbye": {func(t *testing.T, conn net.Conn) {
			body := ws.NewCloseFrameBody(ws.StatusPolicyViolation, "slow")
			if err := ws.WriteFrame(conn, ws.NewCloseFrame(body)); err != nil {
				t.Error(err)
			}
			untilClosed(conn)
		}, "slow (1008)"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := script(t, func(conn net.Conn) { tc.play(t, conn) })
				conn, err := c.Connect(t.Context())
				if err == nil {
					conn.Close()
				}
				if err == nil || !strings.Contains(err.Error(), tc.want) {
					t.Errorf("got %v, want something with %q", err, tc.want)
				}
			})
		})
	}
}

func TestConnectStopsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := script(t, untilClosed)
		cause := errors.New("the user has gone")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(cause) })
		if _, err := c.Connect(ctx); !errors.Is(err, cause) {
			t.Errorf("got %v, want %v", err, cause)
		}
	})
}

// C-4: the refusal of a handshake names what to change.
func TestARefusedHandshakeIsExplained(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		c := f.client(t, func(cfg *client.Config) { cfg.Header = http.Header{"Origin": {"http://evil.test"}} })
		_, err := c.Connect(t.Context())
		e, ok := errors.AsType[*api.Error](err)
		if !ok || !strings.Contains(e.Message.String(), "http://evil.test is not allowed") {
			t.Errorf("got %v", err)
		}
	})
}
