package gateway_test

import (
	"io"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/gobwas/ws"

	"larder/api"
	"larder/internal/account"
	"larder/internal/testkit"
	"larder/internal/testkit/wire"
)

const subprotocol = "Sec-Websocket-Protocol"

// Where the token may be: P-31, and what is told when it is not good: P-35.
func TestPlainToken(t *testing.T) {
	bubble(t, func(t *testing.T, n *testkit.Node) {
		u, suspended := n.User(account.NGO), n.User(account.Donor, testkit.Suspended)
		expired := n.Token(u.Account, time.Now().Add(-n.Config.JWTTTL-time.Second))
		auth := func(token string) string { return `{"event":"auth","data":{"token":"` + token + `"}}` }
		for name, tc := range map[string]struct {
			header http.Header
			first  string // message
			code   api.Code
		}{
			"header":                      {testkit.Bearer(u.Token), "", ""},
			"header in small letters":     {header("Authorization", "bearer "+u.Token), "", ""},
			"subprotocol":                 {header(subprotocol, "bearer."+u.Token), "", ""},
			"subprotocols":                {header(subprotocol, "larder, bearer."+u.Token), "", ""},
			"two lines":                   {header(subprotocol, "larder", "bearer."+u.Token), "", ""},
			"header wins":                 {http.Header{"Authorization": {"Bearer " + u.Token}, subprotocol: {"bearer.x"}}, "", ""},
			"first message":               {nil, auth(u.Token), ""},
			"first message with Bearer":   {nil, auth("Bearer " + u.Token), ""},
			"message after a subprotocol": {header(subprotocol, "larder"), auth(u.Token), ""},
			"garbage in the header":       {testkit.Bearer("x"), "", api.CodeTokenInvalid},
			"garbage in the subprotocol":  {header(subprotocol, "bearer.x"), "", api.CodeTokenInvalid},
			"garbage in the message":      {nil, auth("x"), api.CodeTokenInvalid},
			"expired":                     {testkit.Bearer(expired), "", api.CodeTokenExpired},
			"suspended":                   {testkit.Bearer(suspended.Token), "", api.CodeAccountSuspended},
			"empty in the message":        {nil, auth(""), api.CodeTokenMissing},
			"another message":             {nil, `{"event":"test"}`, api.CodeTokenMissing},
			"no JSON":                     {nil, `token`, api.CodeTokenMissing},
		} {
			p := n.Plain("", tc.header)
			if tc.first != "" {
				if err := p.Text(tc.first); err != nil {
					t.Fatal(err)
				}
			}
			if tc.code != "" {
				wantRefused(t, n, p, tc.code, ws.StatusPolicyViolation)
				continue
			}
			f, err := p.Frame()
			if err != nil || f.Event != api.EventFeedReady {
				t.Errorf("%s: got %+v, %v", name, f, err)
			}
		}
		for _, path := range []string{"/", "/donations/x", "/events"} {
			_, err := wire.DialWebSocket(t.Context(), n.Dial, path, testkit.Bearer(u.Token))
			if err == nil {
				t.Errorf("a WebSocket on %s was opened", path)
			}
		}
	})
}

// A browser insists on one of the subprotocols that it offered. The one that is
// no token is preferred, and without an offer there is none.
func TestPlainSubprotocol(t *testing.T) {
	n := testkit.Start(t, testkit.Options{})
	u := n.User(account.NGO)
	for name, tc := range map[string]struct {
		offered []string
		want    string
	}{
		"token alone":  {[]string{"bearer." + u.Token}, "bearer." + u.Token},
		"token first":  {[]string{"bearer." + u.Token, "larder"}, "larder"},
		"token second": {[]string{"larder", "bearer." + u.Token}, "larder"},
		"nothing":      {nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			h := testkit.Bearer(u.Token)
			c, _, err := websocket.Dial(t.Context(), "ws"+strings.TrimPrefix(n.URL(), "http")+"/donations/",
				&websocket.DialOptions{HTTPHeader: h, Subprotocols: tc.offered})
			if err != nil {
				t.Fatal(err)
			}
			if got := c.Subprotocol(); got != tc.want {
				t.Errorf("got subprotocol %q, want %q", got, tc.want)
			}
			kind, text, err := c.Read(t.Context())
			if err != nil || kind != websocket.MessageText || !strings.HasPrefix(string(text), `{"event":"feed.ready"`) {
				t.Errorf("got %s %v", text, err)
			}
			_ = c.CloseNow()
		})
	}
	t.Run("close by an independent client", func(t *testing.T) {
		c, _, err := websocket.Dial(t.Context(), "ws"+strings.TrimPrefix(n.URL(), "http")+"/donations",
			&websocket.DialOptions{HTTPHeader: testkit.Bearer(u.Token)})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Close(websocket.StatusNormalClosure, "bye"); err != nil {
			t.Error(err)
		}
	})
}

func TestPlainFirstMessageTimeout(t *testing.T) {
	for name, meanwhile := range map[string]func(p *testkit.Plain) error{
		"silence": func(*testkit.Plain) error { return nil },
		"pings":   func(p *testkit.Plain) error { return p.Send(wire.Frame{Op: ws.OpPing, Payload: []byte("x")}) },
		"half a message": func(p *testkit.Plain) error {
			return p.Send(wire.Frame{Op: ws.OpText, Payload: []byte(`{"eve`), More: true})
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, n *testkit.Node) {
				p := n.Plain("", nil)
				start := time.Now()
				<-time.After(3 * time.Second)
				if err := meanwhile(p); err != nil {
					t.Fatal(err)
				}
				for {
					op, _, err := p.Read()
					if err != nil || op == ws.OpClose {
						t.Fatalf("got the end without an exception: %v", err)
					}
					if op == ws.OpText {
						break
					}
				}
				wantClosed(t, p, ws.StatusPolicyViolation)
				if d := time.Since(start); d != 5*time.Second {
					t.Errorf("refused after %v, want 5 s", d)
				}
			})
		})
	}
}

// A quiet client is pinged every 25 s and given up after 45 s without a sign.
func TestPlainSilence(t *testing.T) {
	bubble(t, func(t *testing.T, n *testkit.Node) {
		u := n.User(account.Donor)
		p := n.Plain("", testkit.Bearer(u.Token))
		testkit.Expect[api.FeedReady](n, p, api.EventFeedReady)
		if err := p.Conn.SetReadDeadline(time.Time{}); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		for range 4 { // with pongs it may be quiet for ever
			op, payload, err := p.Read()
			if err != nil || op != ws.OpPing {
				t.Fatalf("got %v %v, want a ping", op, err)
			}
			if err := p.Send(wire.Frame{Op: ws.OpPong, Payload: payload}); err != nil {
				t.Fatal(err)
			}
		}
		if d := time.Since(start); d != 100*time.Second {
			t.Errorf("four pings in %v", d)
		}
		last := time.Now()
		for {
			op, payload, err := p.Read()
			if err != nil {
				t.Fatal(err)
			}
			if op == ws.OpClose {
				if code, _ := ws.ParseCloseFrameData(payload); code != ws.StatusPolicyViolation {
					t.Errorf("closed with %d", code)
				}
				break
			}
		}
		if d := time.Since(last); d != 45*time.Second {
			t.Errorf("given up after %v", d)
		}
		p.Abort()
		<-time.After(time.Minute)
		if lines := n.Logs.Lines("client disconnected"); len(lines) != 1 || lines[0]["reason"] != "ping timeout" {
			t.Errorf("logged %v", lines)
		}
	})
}

// C-4: the origin of a plain WebSocket is checked like any other.
func TestPlainOrigin(t *testing.T) {
	n := testkit.Start(t, testkit.Options{})
	u := n.User(account.Donor)
	for origin, ok := range map[string]bool{"http://localhost:5173": true, "http://larder.test": true, "https://evil.example": false, "null": false} {
		h := testkit.Bearer(u.Token)
		h.Set("Origin", origin)
		p, err := n.TryPlain(t.Context(), "", h)
		if (err == nil) != ok {
			t.Errorf("%s: %v", origin, err)
		}
		if err == nil {
			p.Abort()
		} else if !strings.Contains(err.Error(), "FRONTEND_URL") {
			t.Errorf("%s: %v does not name the setting", origin, err)
		}
	}
}

// Connections without a token are bounded for each address; one more is told to come
// back, and nobody notices who has a token or comes from elsewhere: P-35, P-41.
func TestPlainStrangersAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := wire.Listen()
		n := testkit.Start(t, testkit.Options{Network: network})
		for range 1000 {
			p := n.Plain("", nil)
			go func() { _, _ = io.Copy(io.Discard, p.Conn) }()
		}
		synctest.Wait() // a client has its 101 a little before it is counted
		wantRefused(t, n, n.Plain("", nil), api.CodeRateLimited, 1013)
		token := n.User(account.Donor).Token
		testkit.Expect[api.FeedReady](n, n.Plain("", testkit.Bearer(token)), api.EventFeedReady)
		first := func(p *testkit.Plain) {
			t.Helper()
			if err := p.Text(`{"event":"auth","data":{"token":"` + token + `"}}`); err != nil {
				t.Fatal(err)
			}
			testkit.Expect[api.FeedReady](n, p, api.EventFeedReady)
		}
		elsewhere, err := wire.DialWebSocket(t.Context(), network.DialFrom(netip.MustParseAddrPort("192.0.2.7:1")), "/donations", nil)
		if err != nil {
			t.Fatal(err)
		}
		first(&testkit.Plain{WebSocket: elsewhere})
		elsewhere.Abort()
		<-time.After(10 * time.Second) // the others were given up meanwhile
		first(n.Plain("", nil))
	})
}

// No token comes back in an exception, however it was sent: ADR 0011.
func TestNoTokenIsRepeated(t *testing.T) {
	bubble(t, func(t *testing.T, n *testkit.Node) {
		const secret = "SECRET-TOKEN"
		u := n.User(account.Admin)
		p := n.Plain("", testkit.Bearer(u.Token))
		testkit.Expect[api.FeedReady](n, p, api.EventFeedReady)
		for _, name := range []string{api.EventAuth, api.EventAuthRefresh} {
			for _, rest := range []string{`"data":"` + secret + `"`, `"id":true,"data":{"token":"` + secret + `"}`, `"data":{"token":"` + secret + `"}`} {
				if err := p.Text(`{"event":"` + name + `",` + rest + `}`); err != nil {
					t.Fatal(err)
				}
			}
		}
		s, _ := n.Watch(u)
		for i, data := range []any{secret, map[string]any{"token": secret}, map[string]any{"token": []string{secret}}} {
			if err := s.Emit(i, api.EventAuthRefresh, data); err != nil {
				t.Fatal(err)
			}
		}
		for d, answers := range map[door]int{plain{p}: 4, s: 6} {
			for range answers {
				e, err := d.Next()
				if err != nil || strings.Contains(string(e.Data), secret) {
					t.Errorf("got %s %s, %v", e.Name, e.Data, err)
				}
			}
		}
	})
}
