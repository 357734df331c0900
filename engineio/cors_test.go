package engineio_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"larder/engineio"
	"larder/internal/testkit/wire"
)

func TestCORSAllows(t *testing.T) {
	c := &engineio.CORS{Origins: []string{
		"https://App.Example.org/", "http://localhost:5173//", "https://port.example.org:443", "capacitor://localhost",
	}}
	if err := c.Validate(); err != nil {
		t.Fatalf("Validate: %v", err)
	}
	for origin, want := range map[string]bool{
		"":                              true, // no browser, or the same origin
		"https://app.example.org":       true,
		"HTTPS://APP.EXAMPLE.ORG":       true,
		"https://app.example.org:443":   true,
		"http://app.example.org":        false,
		"https://app.example.org:8443":  false,
		"https://app.example.org.evil":  false,
		"https://evil.app.example.org":  false,
		"https://app.example.org@evil":  false,
		"http://localhost:5173":         true,
		"http://localhost":              false,
		"https://port.example.org":      true,
		"capacitor://localhost":         true,
		"http://api.example.org":        true, // the request's own host
		"https://api.example.org":       true, // behind a proxy that ends TLS
		"https://API.example.org:443":   true,
		"https://api.example.org:8443":  false,
		"capacitor://api.example.org":   false,
		"null":                          false,
		"://":                           false,
		"api.example.org":               false,
		"https://":                      false,
		"file://":                       false,
		"https://api.example.org/extra": false,
	} {
		r := httptest.NewRequest("GET", "http://api.example.org/", nil)
		if origin != "" {
			r.Header.Set("Origin", origin)
		}
		if got := c.Allows(r); got != want {
			t.Errorf("Allows(%q): got %v, want %v", origin, got, want)
		}
	}
}

func TestCORSValidate(t *testing.T) {
	for _, bad := range []string{"", "*", "app.example.org", "https://", "https://a/path", "https://a?q", "https://u@a", "null"} {
		c := &engineio.CORS{Origins: []string{bad}, Setting: "FRONTEND_URL"}
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), "FRONTEND_URL") {
			t.Errorf("Validate(%q): got %v, want an error that names the setting", bad, err)
		}
	}
}

func TestCORSHandler(t *testing.T) {
	var log bytes.Buffer
	c := &engineio.CORS{
		Origins: []string{"https://app.example.org"}, Setting: "FRONTEND_URL",
		Logger: slog.New(slog.NewTextHandler(&log, nil)),
	}
	h := c.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusTeapot)
	}))
	do := func(method, origin string, header ...string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, "http://api.example.org/", nil)
		if origin != "" {
			r.Header.Set("Origin", origin)
		}
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	check := func(what string, w *httptest.ResponseRecorder, status int, want map[string]string) {
		t.Helper()
		if w.Code != status {
			t.Errorf("%s: got status %d, want %d", what, w.Code, status)
		}
		for name, value := range want {
			if got := strings.Join(w.Header().Values(name), ", "); got != value {
				t.Errorf("%s: %s: got %q, want %q", what, name, got, value)
			}
		}
	}
	const app = "https://app.example.org"
	check("no origin", do("GET", ""), 418, map[string]string{"Vary": "Origin", "Access-Control-Allow-Origin": ""})
	check("allowed", do("GET", app), 418, map[string]string{
		"Vary": "Origin", "Access-Control-Allow-Origin": app, "Access-Control-Allow-Credentials": "true",
		"Access-Control-Expose-Headers": "X-Request-Id, Link, Retry-After",
	})
	ask := []string{"Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "authorization,x-y"}
	check("preflight", do("OPTIONS", app, ask...), 204, map[string]string{ // C-3
		"Vary": "Origin, Access-Control-Request-Headers", "Access-Control-Allow-Origin": app,
		"Access-Control-Allow-Headers": "authorization,x-y", "Content-Length": "0",
		"Access-Control-Allow-Methods": "GET,HEAD,PUT,PATCH,POST,DELETE",
	})
	check("OPTIONS that is no preflight", do("OPTIONS", app), 418, nil)
	const body = `{"statusCode":403,"error":"Forbidden","message":"Origin http://x is not allowed; add it to FRONTEND_URL","code":"origin_not_allowed"}`
	for _, method := range []string{"GET", "OPTIONS"} {
		w := do(method, "http://x", ask...)
		check("refused "+method, w, 403, map[string]string{
			"Content-Type": "application/json", "Access-Control-Allow-Origin": "", "Vary": "Origin",
		})
		if w.Body.String() != body {
			t.Errorf("refused %s: got %s", method, w.Body)
		}
	}
	if got := c.Refused(); got != 2 {
		t.Errorf("Refused: got %d, want 2", got)
	}
	if got := strings.Count(log.String(), "origin=http://x setting=FRONTEND_URL"); got != 1 { // C-5
		t.Errorf("logged %d times, want once:\n%s", got, &log)
	}
	for i := range 1000 {
		do("GET", fmt.Sprintf("http://%d.example.org", i))
	}
	if got := strings.Count(log.String(), "\n"); got != 100 {
		t.Errorf("logged %d origins, want 100", got)
	}
	if got := c.Refused(); got != 1002 {
		t.Errorf("Refused: got %d, want 1002", got)
	}
}

func withCORS(c *engineio.Config) {
	c.CORS = &engineio.CORS{Origins: []string{"https://app.example.org"}, Setting: "FRONTEND_URL"}
}

func TestServerCORS(t *testing.T) {
	const app, foreign = "https://app.example.org", "http://x"
	bubble(t, func(r *rig) {
		p := &wire.Polling{Client: r.client, Base: wire.URL + "/engine.io/", Header: http.Header{"Origin": {app}}}
		allowed := map[string]string{
			"Access-Control-Allow-Origin": app, "Access-Control-Allow-Credentials": "true", "Vary": "Origin",
		}
		if _, err := p.Open(r.Context()); err != nil {
			r.Fatal(err)
		}
		post := r.post(p, "4x")
		r.want(post, 200, "ok")
		wantHeaders(r, post.Header, allowed) // E-9
		wantHeaders(r, r.get(p).Header, allowed)
		bad := r.post(p, "")
		r.badRequest(bad)
		wantHeaders(r, bad.Header, allowed) // E-3

		pre, err := p.Do(r.Context(), "OPTIONS", "", "")
		if err != nil || pre.Status != 204 {
			r.Errorf("preflight: got %d, %v", pre.Status, err)
		}
		wantHeaders(r, pre.Header, allowed)

		stranger := &wire.Polling{Client: r.client, Base: p.Base, Header: http.Header{"Origin": {foreign}}}
		const message = "Origin http://x is not allowed; add it to FRONTEND_URL"
		refused := r.get(stranger) // C-4
		r.refused(refused, 403, 4, message)
		wantHeaders(r, refused.Header, map[string]string{"Access-Control-Allow-Origin": ""})
		pre, err = stranger.Do(r.Context(), "OPTIONS", "", "")
		if err != nil {
			r.Fatal(err)
		}
		r.refused(pre, 403, 4, message)
		_, err = wire.DialWebSocket(r.Context(), r.net.Dial, "/engine.io/?EIO=4&transport=websocket",
			http.Header{"Origin": {foreign}})
		wantRefused(r, err, 400, message)
		if n := r.srv.Stats().Refused; n != 4 {
			r.Errorf("Stats.Refused: got %d, want 4", n)
		}

		c, err := wire.DialWebSocket(r.Context(), r.net.Dial, "/engine.io/?EIO=4&transport=websocket",
			http.Header{"Origin": {app}})
		if err != nil {
			r.Fatal(err)
		}
		r.Cleanup(c.Abort)
	}, withCORS)
}

func TestServerWithoutCORS(t *testing.T) {
	bubble(t, func(r *rig) {
		p := &wire.Polling{Client: r.client, Base: wire.URL + "/engine.io/", Header: http.Header{"Origin": {"http://x"}}}
		reply := r.get(p) // C-1
		if reply.Status != 200 || reply.Header.Get("Vary") != "" || reply.Header.Get("Access-Control-Allow-Origin") != "" {
			r.Errorf("open: got %d %v", reply.Status, reply.Header)
		}
		dial := func(origin string) (*wire.WebSocket, error) {
			return wire.DialWebSocket(r.Context(), r.net.Dial, "/engine.io/?EIO=4&transport=websocket",
				http.Header{"Origin": {origin}})
		}
		_, err := dial("http://x")
		wantRefused(r, err, 400, "Origin http://x is not allowed") // C-4, E-42
		c, err := dial("https://" + wire.Host)
		if err != nil {
			r.Fatalf("own origin: %v", err)
		}
		c.Abort()
	})
}
