package engineio_test

import (
	"context"
	"net/http"
	"testing"

	"larder/engineio"
	"larder/internal/testkit/wire"
)

// What is kept of the opening request reads like the request did, whatever the
// headers are, and says nothing of the handshake.
func TestRequest(t *testing.T) {
	bubble(t, func(r *rig) {
		header := http.Header{
			"X-Forwarded-For": {"192.0.2.1", "192.0.2.2"},
			"X-Empty":         {""},
			"User-Agent":      {"tester: one; two"},
		}
		c, err := wire.DialWebSocket(r.Context(), r.net.Dial,
			"/engine.io/?EIO=4&transport=websocket&room=a&room=b%20c&bad=%zz", header)
		if err != nil {
			r.Fatal(err)
		}
		defer c.Abort()
		r.read(c)
		req := r.app(0).Request()
		for name, want := range header {
			if got := req.Header().Values(name); len(got) != len(want) || got[0] != want[0] || got[len(got)-1] != want[len(want)-1] {
				r.Errorf("%s: got %q, want %q", name, got, want)
			}
		}
		for _, name := range []string{"Connection", "Upgrade", "Sec-Websocket-Key"} {
			if got := req.Header().Get(name); got != "" {
				r.Errorf("%s: got %q, want nothing", name, got)
			}
		}
		q := req.Query()
		if len(q["room"]) != 2 || q["room"][1] != "b c" || q.Get("EIO") != "4" || q.Has("bad") {
			r.Errorf("query: got %v", q)
		}
		if req.Host != wire.Host || req.Secure || req.Time.IsZero() {
			r.Errorf("request: got %+v", req)
		}
	}, calm)
}

// A request without headers has an empty header, not a failure.
func TestRequestWithoutHeaders(t *testing.T) {
	bubble(t, func(r *rig) {
		p := r.open()
		r.client.CloseIdleConnections()
		h := r.app(0).Request().Header()
		h.Del("User-Agent")
		if len(h) != 0 {
			r.Errorf("header of session %s: got %v", p.SID, h)
		}
	}, calm)
}

// The context is the same before and after the close, whenever it is asked for
// first.
func TestContextAfterClose(t *testing.T) {
	bubble(t, func(r *rig) {
		r.open()
		r.app(0).Close(byServer)
		r.wantReason(0, byServer) // asks for the context after the close
		r.open()
		ctx := r.app(1).Context()
		if ctx.Err() != nil {
			r.Fatalf("context of an open session: %v", ctx.Err())
		}
		if ctx != r.app(1).Context() {
			r.Error("Context returned another one")
		}
		r.app(1).Close(byServer)
		if cause, _ := context.Cause(ctx).(engineio.Cause); cause.Reason != byServer {
			r.Errorf("cause: got %v", cause)
		}
	}, calm)
}
