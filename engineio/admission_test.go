package engineio_test

import (
	"errors"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"larder/engineio"
	"larder/internal/testkit/wire"
)

// newcomer is a client that has no session yet.
func newcomer(r *rig) *wire.Polling {
	return &wire.Polling{Client: r.client, Base: wire.URL + "/engine.io/"}
}

func TestMaxSessions(t *testing.T) {
	var c tally
	bubble(t, func(r *rig) {
		first := r.open()
		ws, _ := r.connect()
		c.take()
		reply := r.get(newcomer(r))
		r.refused(reply, 503, 3, "Server is full") // E-71
		if reply.Header.Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
		_, err := wire.DialWebSocket(r.Context(), r.net.Dial, "/engine.io/?EIO=4&transport=websocket", nil)
		wantRefused(r, err, 503, "Server is full")
		if got := c.take(); !maps.Equal(got, map[string]int{"refused 3 Service Unavailable overload": 2}) {
			t.Errorf("counted %v", got)
		}
		r.post(first, "1")
		r.open()
		ws.Abort()
		r.sleep(time.Second)
		r.connect()
		r.refused(r.get(newcomer(r)), 503, 3, "Server is full")
	}, calm, func(cfg *engineio.Config) { cfg.MaxSessions, cfg.Observer = 2, &c })
}

// Sessions that the application has not accepted are few for each address, and
// make room when they are accepted, end, or come to nothing (E-72).
func TestMaxUnaccepted(t *testing.T) {
	var c tally
	bubble(t, func(r *rig) {
		full := func(address string) {
			t.Helper()
			p := newcomer(r)
			p.Header = http.Header{"From": {address}}
			reply := r.get(p)
			r.refused(reply, 429, 3, "Too many sessions being opened")
			if reply.Header.Get("Retry-After") == "" {
				t.Error("no Retry-After")
			}
		}
		from := func(address string) {
			t.Helper()
			p := newcomer(r)
			p.Header = http.Header{"From": {address}}
			if _, err := p.Open(r.Context()); err != nil {
				t.Fatal(err)
			}
		}
		from("a")
		from("a")
		full("a")
		_, err := wire.DialWebSocket(r.Context(), r.net.Dial, "/engine.io/?EIO=4&transport=websocket", http.Header{"From": {"a"}})
		wantRefused(r, err, 429, "Too many sessions being opened")
		from("b")
		for range 5 {
			from("") // nobody's
		}
		r.app(0).Accept()
		r.app(0).Accept() // once is enough
		if got := r.app(0).Address(); got != "a" {
			t.Errorf("address: got %q", got)
		}
		from("a")
		full("a")
		r.app(1).Close(byServer)
		from("a")
		full("a")
		r.app(0).Close(byServer) // was off the account
		full("a")
		for i := range len(r.apps) {
			r.app(i).Accept()
		}
		if n := r.srv.Addresses(); n != 0 {
			t.Errorf("addresses kept: got %d, want 0", n)
		}
		if got := c.take()["refused 3 Too Many Requests address"]; got != 5 {
			t.Errorf("counted %d, want 5", got)
		}
	}, calm, func(cfg *engineio.Config) {
		cfg.MaxUnaccepted, cfg.Observer = 2, &c
		cfg.Address = func(r *http.Request) string { return r.Header.Get("From") }
	})
}

// A request that is let in and comes to nothing keeps no place.
func TestPlaceOfAFailedHandshake(t *testing.T) {
	bubble(t, func(r *rig) {
		broken := wire.Serve(r.T, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			r.srv.ServeHTTP(struct{ http.ResponseWriter }{w}, req) // cannot be hijacked
		}))
		for range 3 {
			if _, err := wire.DialWebSocket(r.Context(), broken.Dial, "/engine.io/?EIO=4&transport=websocket", nil); err == nil {
				t.Fatal("the handshake worked")
			}
		}
		if n := r.srv.Addresses(); n != 0 {
			t.Errorf("addresses kept: got %d, want 0", n)
		}
		r.connect()
	}, calm, func(c *engineio.Config) { c.MaxUnaccepted, c.MaxSessions = 1, 1 })
}

// Whose address a request counts for, if the application does not say.
func TestAddress(t *testing.T) {
	for remote, want := range map[string]string{
		"192.0.2.1:1234":                       "192.0.2.1",
		"[::ffff:192.0.2.1]:1234":              "192.0.2.1",
		"[2001:db8:1:2:3:4:5:6]:1234":          "2001:db8:1:2::/64",
		"[2001:db8:1:2::9%eth0]:1234":          "2001:db8:1:2::/64",
		"[::1]:80":                             "::/64",
		"pipe":                                 "pipe",
		"":                                     "",
		"[2001:db8:1:2:3:4:5:6%a]:1, nonsense": "[2001:db8:1:2:3:4:5:6%a]:1, nonsense",
	} {
		if got := engineio.AddressOf(&http.Request{RemoteAddr: remote}); got != want {
			t.Errorf("%s: got %q, want %q", remote, got, want)
		}
	}
}

func TestLimitsAreChecked(t *testing.T) {
	_, err := engineio.NewServer(engineio.Config{QueueAge: -1, MaxQueued: -1, MaxSessions: -1, MaxUnaccepted: -1}, nil)
	if err == nil {
		t.Fatal("NewServer took negative limits")
	}
	for _, name := range []string{"QueueAge", "MaxQueued", "MaxSessions", "MaxUnaccepted"} {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("%v does not name %s", errors.Unwrap(err), name)
		}
	}
}
