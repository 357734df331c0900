package engineio_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"

	"larder/engineio"
	"larder/internal/testkit/wire"
)

// logLines is where a JSON log goes.
type logLines struct{ strings.Builder }

// closed returns the lines about sessions that closed.
func (l *logLines) closed(t *testing.T) []map[string]any {
	t.Helper()
	var lines []map[string]any
	for text := range strings.Lines(l.String()) {
		var line map[string]any
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			t.Fatal(err)
		}
		if line["msg"] == "session closed" {
			lines = append(lines, line)
		}
	}
	return lines
}

// Whatever closes a session, its cause is told: to the Receiver, as the cause of
// its context, to the observer, and in one line of the log, at a level that
// says whether it was the peer's fault (E-73).
func TestEveryCloseHasACause(t *testing.T) {
	polling := func(f func(r *rig, p *wire.Polling)) func(*rig) { return func(r *rig) { f(r, r.open()) } }
	socket := func(f func(r *rig, c *wire.WebSocket)) func(*rig) {
		return func(r *rig) {
			c, _ := r.connect()
			synctest.Wait()
			f(r, c)
		}
	}
	frame := func(f wire.Frame) func(*rig) {
		return socket(func(r *rig, c *wire.WebSocket) {
			go readAll(c)
			if err := c.Send(f); err != nil {
				r.Fatal(err)
			}
		})
	}
	for name, tc := range map[string]struct {
		do     func(r *rig)
		reason engineio.Reason
		err    string // part of the detail; empty: there is none
		fault  bool
	}{
		"polling: close packet":  {polling(func(r *rig, p *wire.Polling) { r.post(p, "1") }), engineio.ReasonTransportClose, "", false},
		"polling: bad packet":    {polling(func(r *rig, p *wire.Polling) { r.post(p, "x") }), engineio.ReasonParseError, "unknown", true},
		"polling: not UTF-8":     {polling(func(r *rig, p *wire.Polling) { r.post(p, "4\xff") }), engineio.ReasonParseError, "UTF-8", true},
		"polling: ping":          {polling(func(r *rig, p *wire.Polling) { r.post(p, "2") }), engineio.ReasonParseError, "heartbeat direction", true},
		"polling: two polls":     {polling(func(r *rig, p *wire.Polling) { r.hold(p); r.get(p) }), engineio.ReasonTransportError, "second poll", true},
		"polling: aborted":       {polling(func(r *rig, p *wire.Polling) { abortedGet(r, p, 1) }), engineio.ReasonTransportError, "closed prematurely", false},
		"polling: half a body":   {polling(halfPost), engineio.ReasonTransportError, "closed prematurely", false},
		"polling: no pong":       {polling(func(r *rig, _ *wire.Polling) { r.sleep(time.Minute) }), engineio.ReasonPingTimeout, "no pong", false},
		"polling: binary body":   {polling(binaryPost), engineio.ReasonTransportError, "binary POST", true},
		"polling: two posts":     {polling(twoPosts), engineio.ReasonTransportError, "second POST", true},
		"polling: receiver":      {polling(func(r *rig, p *wire.Polling) { refuseAll(r); r.post(p, "4x") }), engineio.ReasonParseError, "refused", true},
		"polling: server":        {polling(func(r *rig, _ *wire.Polling) { r.app(0).Close(byServer) }), byServer, "", false},
		"polling: queue full":    {polling(fillQueue), engineio.ReasonSlow, "full", true},
		"websocket: queue full":  {socket(func(r *rig, _ *wire.WebSocket) { fillQueue(r, nil) }), engineio.ReasonSlow, "full", true},
		"websocket: stuck":       {socket(func(r *rig, _ *wire.WebSocket) { send(r, r.app(0), "x"); r.sleep(time.Minute) }), engineio.ReasonTransportError, "timeout", false},
		"websocket: close frame": {frame(wire.Frame{Op: ws.OpClose}), engineio.ReasonTransportClose, "", false},
		"websocket: cut":         {socket(func(_ *rig, c *wire.WebSocket) { c.Abort() }), engineio.ReasonTransportClose, "EOF", false},
		"websocket: close":       {frame(wire.Frame{Op: ws.OpText, Payload: []byte("1")}), engineio.ReasonTransportClose, "", false},
		"websocket: bad packet":  {frame(wire.Frame{Op: ws.OpText, Payload: []byte("x")}), engineio.ReasonParseError, "unknown", true},
		"websocket: ping packet": {frame(wire.Frame{Op: ws.OpText, Payload: []byte("2")}), engineio.ReasonParseError, "heartbeat direction", true},
		"websocket: not UTF-8":   {frame(wire.Frame{Op: ws.OpText, Payload: []byte("4\xff")}), engineio.ReasonParseError, "UTF-8", true},
		"websocket: unmasked":    {frame(wire.Frame{Op: ws.OpText, Unmasked: true}), engineio.ReasonParseError, "mask", true},
		"websocket: too large":   {frame(wire.Frame{Op: ws.OpText, Declare: 1 << 20}), engineio.ReasonParseError, "too big", true},
		"websocket: no pong":     {socket(func(r *rig, c *wire.WebSocket) { go readAll(c); r.sleep(time.Minute) }), engineio.ReasonPingTimeout, "no pong", false},
		"with a detail": {socket(func(r *rig, c *wire.WebSocket) {
			go readAll(c)
			r.app(0).CloseWith(engineio.Cause{Reason: engineio.ReasonRateLimited, Err: errors.New("enough of this")})
		}), engineio.ReasonRateLimited, "enough of this", true},
		"forced":   {socket(func(r *rig, _ *wire.WebSocket) { r.app(0).Close(engineio.ReasonForcedClose) }), engineio.ReasonForcedClose, "", true},
		"shutdown": {polling(func(r *rig, _ *wire.Polling) { _ = r.srv.Shutdown(r.Context()) }), engineio.ReasonShutdown, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			var log logLines
			var c tally
			bubble(t, func(r *rig) {
				tc.do(r)
				synctest.Wait()
				told := func(what string, got engineio.Cause) {
					t.Helper()
					if got.Reason != tc.reason || (got.Err == nil) != (tc.err == "") || got.Err != nil && !strings.Contains(got.Err.Error(), tc.err) {
						t.Errorf("%s: got %v, want %s: …%s…", what, got, tc.reason, tc.err)
					}
				}
				a := r.app(0)
				if len(a.causes) != 1 {
					t.Fatalf("Closed was called with %v", a.causes)
				}
				told("Closed", a.causes[0])
				cause, _ := context.Cause(a.Context()).(engineio.Cause)
				told("context", cause)
				if got := c.take(); got["closed polling "+string(tc.reason)]+got["closed websocket "+string(tc.reason)] != 1 {
					t.Errorf("observer: got %v", got)
				}
				lines := log.closed(t)
				if len(lines) != 1 {
					t.Fatalf("log: got %v, want one line", lines)
				}
				level := map[bool]string{true: "INFO", false: "DEBUG"}[tc.fault]
				text, _ := lines[0]["err"].(string)
				if lines[0]["level"] != level || lines[0]["reason"] != string(tc.reason) || !strings.Contains(text, tc.err) {
					t.Errorf("log: got %v, want %s %s …%s…", lines[0], level, tc.reason, tc.err)
				}
			}, func(cfg *engineio.Config) {
				cfg.MaxPayload, cfg.QueueMessages, cfg.WriteTimeout, cfg.Observer = 1000, 1, timeout, &c
				cfg.Logger = slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
			})
		})
	}
}

func refuseAll(r *rig) { r.app(0).receive = func(string) error { return errors.New("refused") } }

func fillQueue(r *rig, _ *wire.Polling) {
	a := r.app(0)
	for range 3 {
		_ = a.Send(engineio.NewMessage(nil))
		synctest.Wait()
	}
}

func binaryPost(r *rig, p *wire.Polling) {
	if _, err := p.Do(r.Context(), "POST", "application/octet-stream", "x"); err != nil {
		r.Fatal(err)
	}
}

// slowPost begins a POST and leaves it unfinished.
func slowPost(r *rig, p *wire.Polling) (abort func()) {
	conn, err := r.net.Dial(r.Context())
	if err != nil {
		r.Fatal(err)
	}
	r.Cleanup(func() { _ = conn.Close() })
	head := "POST /engine.io/?EIO=4&transport=polling&sid=" + p.SID + " HTTP/1.1\r\nHost: " + wire.Host + "\r\nContent-Length: 10\r\n\r\n4x"
	if _, err := conn.Write([]byte(head)); err != nil {
		r.Fatal(err)
	}
	synctest.Wait()
	return func() { _ = conn.Close() }
}

func halfPost(r *rig, p *wire.Polling) { slowPost(r, p)() }

func twoPosts(r *rig, p *wire.Polling) {
	slowPost(r, p)
	r.post(p, "4x")
}
