package engineio_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"larder/engineio"
	"larder/internal/testkit/wire"
)

func wantHeaders(r *rig, h http.Header, want map[string]string) {
	r.Helper()
	for name, value := range want {
		if got := h.Get(name); got != value {
			r.Errorf("%s: got %q, want %q", name, got, value)
		}
	}
}

func TestPollingHeaders(t *testing.T) {
	bubble(t, func(r *rig) {
		p := &wire.Polling{Client: r.client, Base: wire.URL + "/engine.io/"}
		plain := map[string]string{"Content-Type": "text/plain; charset=UTF-8", "Cache-Control": "no-store"}
		opened := r.get(p)
		wantHeaders(r, opened.Header, plain) // E-6
		if got, want := opened.Header.Get("Content-Length"), fmt.Sprint(len(opened.Body)); got != want {
			r.Errorf("Content-Length: got %q, want %q", got, want)
		}
		p.SID = r.app(0).ID()
		post := r.post(p, "4x")
		wantHeaders(r, post.Header, map[string]string{ // E-23
			"Content-Type": "text/html", "Cache-Control": "no-store", "Content-Length": "2",
		})
		wantHeaders(r, r.get(p).Header, plain) // E-20
	})
}

func TestPollCarriesAllThatWaits(t *testing.T) {
	bubble(t, func(r *rig) {
		p := r.open()
		held := r.hold(p)
		r.held(held)
		a := r.app(0)
		send(r, a, "one", "two", "three")
		r.want(<-held, 200, "4one\x1e4two\x1e4three")
		send(r, a, "four")
		r.want(r.get(p), 200, "4four")
		r.held(r.hold(p))
	})
}

func send(r *rig, a *app, texts ...string) {
	r.Helper()
	var batch []*engineio.Message
	for _, s := range texts {
		batch = append(batch, engineio.NewMessage([]byte(s)))
	}
	if err := a.Send(batch...); err != nil {
		r.Fatalf("Send: %v", err)
	}
}

func TestPollOutlivesServerTimeouts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var a *app
		srv, err := engineio.NewServer(engineio.Config{Path: "/engine.io/"}, func(s *engineio.Session) engineio.Receiver {
			a = &app{Session: s}
			return a
		})
		if err != nil {
			t.Fatal(err)
		}
		network := wire.Serve(t, srv, func(h *http.Server) { // E-12
			h.ReadTimeout = time.Second
			h.WriteTimeout = time.Second
		})
		client := network.Client()
		p := &wire.Polling{Client: client, Base: wire.URL + "/engine.io/"}
		if _, err := p.Open(t.Context()); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			reply, err := p.Get(t.Context()) // held for 18 s or more
			if err != nil || reply.Body != "2" {
				t.Fatalf("GET: got %q, %v", reply.Body, err)
			}
			if reply, err = p.Post(t.Context(), "3"); err != nil || reply.Body != "ok" {
				t.Fatalf("POST: got %q, %v", reply.Body, err)
			}
		}
		// A refusal after a long time gets through as well.
		held := make(chan wire.Reply, 1)
		go func() {
			reply, _ := p.Get(t.Context())
			held <- reply
		}()
		<-time.After(10 * time.Second)
		c, err := wire.DialWebSocket(t.Context(), network.Dial, "/engine.io/?EIO=4&transport=websocket&sid="+p.SID, nil)
		if err != nil {
			t.Fatal(err)
		}
		read := readAll(c)
		if err := errors.Join(c.Text("2probe"), c.Text("5")); err != nil {
			t.Fatal(err)
		}
		if reply := <-held; reply.Status != 400 {
			t.Errorf("GET after the upgrade: got %d %q", reply.Status, reply.Body)
		}
		if n := srv.Stats().Refused; n != 1 {
			t.Errorf("refusals: got %d; the client had to ask more than once", n)
		}
		<-time.After(20 * time.Second)
		if got := read(); !slices.Equal(got, []string{"3probe", "2"}) {
			t.Errorf("frames: got %q", got)
		}
		a.Close(engineio.ReasonForcedServerClose)
		synctest.Wait()
		c.Abort()
		client.CloseIdleConnections()
	})
}

func TestPollingRequestsRefused(t *testing.T) {
	const polling = "?EIO=4&transport=polling"
	for name, tc := range map[string]struct {
		method, query, contentType, body string
		status, code                     int
		message                          string
		closes                           engineio.Reason // "": the session lives on
	}{
		"PUT":                 {method: "PUT", query: polling, status: 400, code: 3, message: "Bad request"},
		"DELETE":              {method: "DELETE", query: polling, status: 400, code: 3, message: "Bad request"},
		"OPTIONS":             {method: "OPTIONS", query: polling, status: 400, code: 2, message: "Bad handshake method"},
		"JSONP":               {method: "GET", query: polling + "&j=0", status: 400, code: 3, message: "Bad request"},
		"transport mismatch":  {method: "GET", query: "?EIO=4&transport=websocket", status: 400, code: 3, message: "Bad request"},
		"POST to websocket":   {method: "POST", query: "?EIO=4&transport=websocket", body: "4x", status: 400, code: 3, message: "Bad request"},
		"octet-stream":        {method: "POST", query: polling, contentType: "Application/Octet-Stream; x=y", body: "4x", status: 400, code: 3, message: "Bad request", closes: "transport error"},
		"empty body":          {method: "POST", query: polling, status: 400, code: 3, message: "Bad request", closes: "parse error"},
		"unknown type":        {method: "POST", query: polling, body: "7", status: 400, code: 3, message: "Bad request", closes: "parse error"},
		"bad base64":          {method: "POST", query: polling, body: "bAQ", status: 400, code: 3, message: "Bad request", closes: "parse error"},
		"line break":          {method: "POST", query: polling, body: "bAQID\n", status: 400, code: 3, message: "Bad request", closes: "parse error"},
		"trailing separator":  {method: "POST", query: polling, body: "4x\x1e", status: 400, code: 3, message: "Bad request", closes: "parse error"},
		"not UTF-8":           {method: "POST", query: polling, body: "4\xff", status: 400, code: 3, message: "Bad request", closes: "parse error"},
		"ping from client":    {method: "POST", query: polling, body: "2", status: 400, code: 3, message: "Bad request", closes: "parse error"},
		"probe over polling":  {method: "POST", query: polling, body: "2probe", status: 400, code: 3, message: "Bad request", closes: "parse error"},
		"body over the limit": {method: "POST", query: polling, body: "4" + strings.Repeat("x", 1000), status: 413, code: 3, message: "Body is too big"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(r *rig) {
				p := r.open()
				reply, err := wire.Do(r.Context(), r.client, tc.method, p.Base+tc.query+"&sid="+p.SID, tc.contentType, nil, tc.body)
				if err != nil {
					r.Fatal(err)
				}
				r.refused(reply, tc.status, tc.code, tc.message)
				r.wantReason(0, tc.closes)
				if tc.closes != "" {
					r.unknown(r.get(p))
					return
				}
				r.want(r.post(p, "4still here"), 200, "ok")
				r.want(r.get(p), 200, "4still here")
			}, func(c *engineio.Config) { c.MaxPayload = 1000 })
		})
	}
}

// A body without a declared length is stopped by what arrives.
func TestPostChunkedOverTheLimit(t *testing.T) {
	bubble(t, func(r *rig) {
		p := r.open()
		body := struct{ *strings.Reader }{strings.NewReader("4" + strings.Repeat("x", 5000))}
		req, err := http.NewRequestWithContext(r.Context(), "POST", p.Base+"?EIO=4&transport=polling&sid="+p.SID, body)
		if err != nil {
			r.Fatal(err)
		}
		resp, err := r.client.Do(req)
		if err != nil {
			r.Fatal(err)
		}
		defer resp.Body.Close()
		if resp.StatusCode != 413 {
			r.Errorf("status: got %d, want 413", resp.StatusCode)
		}
		if n := r.srv.Stats().TooLarge; n != 1 {
			r.Errorf("TooLarge: got %d, want 1", n)
		}
		r.wantReason(0, "")
	}, func(c *engineio.Config) { c.MaxPayload = 1000 })
}

func TestPostIgnoresPacketsWithoutMeaning(t *testing.T) {
	bubble(t, func(r *rig) {
		p := r.open()
		r.want(r.post(p, "0\x1e3\x1e5\x1e6\x1e4x"), 200, "ok") // E-37
		r.want(r.get(p), 200, "4x")
	})
}

func TestPostKeepsWhatCameBeforeTheBadPacket(t *testing.T) {
	bubble(t, func(r *rig) {
		p := r.open()
		held := r.hold(p)
		r.app(0).receive = func(string) error { return nil }
		r.badRequest(r.post(p, "4a\x1e4b\x1e9\x1e4c"))
		r.want(<-held, 200, "1")
		if got, want := r.app(0).received(), []string{"a", "b"}; !slices.Equal(got, want) {
			r.Errorf("received: got %q, want %q", got, want)
		}
	})
}

func TestPostStopsAtTheClosePacket(t *testing.T) {
	bubble(t, func(r *rig) {
		p := r.open()
		r.want(r.post(p, "4a\x1e1\x1e4b"), 200, "ok")
		r.wantReason(0, "transport close")
		if got, want := r.app(0).received(), []string{"a"}; !slices.Equal(got, want) {
			r.Errorf("received: got %q, want %q", got, want)
		}
	})
}

func TestReceiverErrorClosesTheSession(t *testing.T) {
	bubble(t, func(r *rig) {
		p := r.open()
		r.app(0).receive = func(string) error { return fmt.Errorf("no such packet") }
		r.badRequest(r.post(p, "4a"))
		r.wantReason(0, "parse error")
	})
}

// rawPost writes the beginning of a POST and leaves the rest to the caller.
func rawPost(r *rig, sid, body string, length int) (cut func(), answer func() (*http.Response, error)) {
	r.Helper()
	conn, err := r.net.Dial(r.Context())
	if err != nil {
		r.Fatal(err)
	}
	r.Cleanup(func() { _ = conn.Close() })
	_, err = fmt.Fprintf(conn, "POST /engine.io/?EIO=4&transport=polling&sid=%s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s",
		sid, length, body)
	if err != nil {
		r.Fatal(err)
	}
	return func() { _ = conn.Close() }, func() (*http.Response, error) { return readResponse(conn) }
}

func TestSecondPostWhileOneIsRead(t *testing.T) {
	bubble(t, func(r *rig) {
		p := r.open()
		rawPost(r, p.SID, "4hel", 6)
		synctest.Wait()
		r.badRequest(r.post(p, "4x")) // E-27
		r.wantReason(0, "transport error")
	})
}

func TestPostAborted(t *testing.T) {
	bubble(t, func(r *rig) {
		p := r.open()
		cut, _ := rawPost(r, p.SID, "4hel", 6)
		synctest.Wait()
		cut()
		r.wantReason(0, "transport error") // E-28
		r.unknown(r.get(p))
	})
}

func TestPostTooSlow(t *testing.T) {
	bubble(t, func(r *rig) {
		p := r.open()
		start := time.Now()
		_, answer := rawPost(r, p.SID, "4hel", 6)
		resp, err := answer()
		if err != nil {
			r.Fatal(err)
		}
		resp.Body.Close()
		if d := time.Since(start); resp.StatusCode != 400 || d != 100*time.Millisecond {
			r.Errorf("got %d after %v, want 400 after 100ms", resp.StatusCode, d)
		}
		r.wantReason(0, "transport error")
	}, func(c *engineio.Config) { c.ReadTimeout = 100 * time.Millisecond })
}

// The packets of one POST wait for the application, the next POST is refused
// until then, and polls go on meanwhile.
func TestPollGoesOnWhileThePostIsHandled(t *testing.T) {
	bubble(t, func(r *rig) {
		p := r.open()
		a := r.app(0)
		release := make(chan struct{})
		a.receive = func(string) error { <-release; return nil }
		done := make(chan wire.Reply, 1)
		go func() {
			reply, _ := p.Post(context.WithoutCancel(r.Context()), "4slow")
			done <- reply
		}()
		synctest.Wait()
		send(r, a, "meanwhile")
		r.want(r.get(p), 200, "4meanwhile")
		close(release)
		r.want(<-done, 200, "ok")
	})
}

// A client that does not read the answer to its poll costs the write timeout.
func TestPollAnswerIsNotRead(t *testing.T) {
	bubble(t, func(r *rig) {
		p := r.open()
		conn, err := r.net.Dial(r.Context())
		if err != nil {
			r.Fatal(err)
		}
		defer conn.Close()
		fmt.Fprintf(conn, "GET /engine.io/?EIO=4&transport=polling&sid=%s HTTP/1.1\r\nHost: x\r\n\r\n", p.SID)
		r.sleep(time.Minute)
		send(r, r.app(0), "never read")
		r.sleep(time.Second - 1)
		r.wantReason(0, "")
		r.sleep(1)
		r.wantReason(0, "transport error") // E-43
	}, calm, func(c *engineio.Config) { c.WriteTimeout = time.Second })
}

func TestUnknownSession(t *testing.T) {
	bubble(t, func(r *rig) {
		p := &wire.Polling{Client: r.client, Base: wire.URL + "/engine.io/", SID: "nosuchsession"}
		r.unknown(r.get(p))
		r.unknown(r.post(p, "4x"))
		_, err := wire.DialWebSocket(r.Context(), r.net.Dial, "/engine.io/?EIO=4&transport=websocket&sid=nosuchsession", nil)
		wantRefused(r, err, 400, "Session ID unknown") // E-48
	})
}

func TestPaths(t *testing.T) {
	bubble(t, func(r *rig) {
		for path, want := range map[string]int{
			"/engine.io/": 200, "/engine.io": 200, "/engine.io/x": 200, // E-1
			"/engine.iox": 404, "/": 404, "/other/engine.io/": 404,
		} {
			reply, err := wire.Do(r.Context(), r.client, "GET", wire.URL+path+"?EIO=4&transport=polling", "", nil, "")
			if err != nil || reply.Status != want {
				r.Errorf("GET %s: got %d, %v, want %d", path, reply.Status, err, want)
			}
		}
	})
}

func TestAllow(t *testing.T) {
	bubble(t, func(r *rig) {
		p := &wire.Polling{Client: r.client, Base: wire.URL + "/engine.io/"}
		r.refused(r.get(p), 403, 4, "come <b>later</b>")
		_, err := wire.DialWebSocket(r.Context(), r.net.Dial, "/engine.io/?EIO=4&transport=websocket", nil)
		wantRefused(r, err, 400, "come &lt;b&gt;later&lt;/b&gt;") // E-5
		if n := r.srv.Len(); n != 0 {
			r.Errorf("sessions: got %d", n)
		}
	}, func(c *engineio.Config) {
		c.Allow = func(*http.Request) error { return fmt.Errorf("come <b>later</b>") }
	})
}

func TestTransportsCanBeTurnedOff(t *testing.T) {
	bubble(t, func(r *rig) {
		_, err := wire.DialWebSocket(r.Context(), r.net.Dial, "/engine.io/?EIO=4&transport=websocket", nil)
		wantRefused(r, err, 400, "Transport unknown")
		p := &wire.Polling{Client: r.client, Base: wire.URL + "/engine.io/"}
		open, err := p.Open(r.Context())
		if err != nil || len(open.Upgrades) != 0 {
			r.Errorf("open: got %+v, %v; want no upgrades", open, err)
		}
	}, func(c *engineio.Config) { c.Transports = []engineio.Transport{engineio.Polling} })
	bubble(t, func(r *rig) {
		p := &wire.Polling{Client: r.client, Base: wire.URL + "/engine.io/"}
		r.refused(r.get(p), 400, 0, "Transport unknown")
		r.connect()
	}, func(c *engineio.Config) { c.Transports = []engineio.Transport{engineio.WebSocket} })
}

func TestRequestIsKept(t *testing.T) {
	bubble(t, func(r *rig) {
		p := &wire.Polling{
			Client: r.client, Base: wire.URL + "/engine.io/",
			Header: http.Header{"Authorization": {"Bearer x"}},
		}
		if _, err := p.Open(r.Context()); err != nil {
			r.Fatal(err)
		}
		q := r.app(0).Request()
		if q.Query().Get("transport") != "polling" || q.Header().Get("Authorization") != "Bearer x" ||
			q.Host != wire.Host || q.RemoteAddr == "" || q.Secure || !q.Time.Equal(time.Now()) ||
			q.URL != "/engine.io/?EIO=4&transport=polling" {
			r.Errorf("request: got %+v", q)
		}
	})
}

// getMarked polls as the stock client does, which puts another t into each request.
func getMarked(r *rig, p *wire.Polling, t string) wire.Reply {
	r.Helper()
	target := p.Base + "?EIO=4&transport=polling&sid=" + p.SID + "&t=" + t
	reply, err := wire.Do(r.Context(), p.Client, http.MethodGet, target, "", nil, "")
	if err != nil {
		r.Fatalf("GET: %v", err)
	}
	return reply
}

// A browser sends a request again whose connection broke before the answer began.
// To answer it with what comes next would leave a hole (E-74).
func TestPollThatComesAgainEndsTheSession(t *testing.T) {
	bubble(t, func(r *rig) {
		p := r.open()
		a := r.app(0)
		send(r, a, "one")
		r.want(getMarked(r, p, "a"), 200, "4one")
		send(r, a, "two")
		r.want(getMarked(r, p, "b"), 200, "4two")
		send(r, a, "three")
		r.unknown(getMarked(r, p, "b"))
		r.unknown(getMarked(r, p, "c"))
		if c, ok := errors.AsType[engineio.Cause](context.Cause(a.Context())); !ok || c.Reason != engineio.ReasonTransportError {
			r.Errorf("closed because of %v", context.Cause(a.Context()))
		}
	})
}

// The same while a session closes in order: what waits to go with the farewell came
// after what was lost, and a client that got it would go on from there (E-74).
func TestPollThatComesAgainGetsNoFarewell(t *testing.T) {
	for name, leave := range map[string]func(r *rig, a *app){
		"shutdown": func(r *rig, _ *app) {
			drained := make(chan error, 1)
			go func() { drained <- r.srv.Drain(r.Context(), time.Second, nil) }()
			if err := <-drained; err != nil {
				r.Errorf("drain: %v", err)
			}
		},
		"closed": func(_ *rig, a *app) { a.Close("over") },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(r *rig) {
				p := r.open()
				a := r.app(0)
				send(r, a, "one")
				r.want(getMarked(r, p, "a"), 200, "4one")
				send(r, a, "two")
				leave(r, a)
				r.unknown(getMarked(r, p, "a"))
				r.unknown(getMarked(r, p, "b"))
				if n := r.srv.Len(); n != 0 {
					r.Errorf("%d sessions are left", n)
				}
			})
		})
	}
}

// The first of two equal requests may also be the one that arrives late. To answer it
// would hand what comes next to nobody, and leave a hole as well (E-74).
func TestPollThatArrivesLateGetsNothing(t *testing.T) {
	bubble(t, func(r *rig) {
		p := r.open()
		a := r.app(0)
		send(r, a, "one")
		r.want(getMarked(r, p, "a"), 200, "4one")
		send(r, a, "two")
		r.want(getMarked(r, p, "b"), 200, "4two")
		send(r, a, "three")
		r.badRequest(getMarked(r, p, "a"))
		r.want(getMarked(r, p, "c"), 200, "4three")

		held := make(chan wire.Reply, 1)
		go func() { held <- getMarked(r, p, "d") }()
		synctest.Wait()
		r.badRequest(getMarked(r, p, "b"))
		send(r, a, "four")
		r.want(<-held, 200, "4four")
		r.wantReason(0, "")
	}, calm)
}

// A POST that comes again was handed on the first time (E-75).
func TestPostThatComesAgainIsHandledOnce(t *testing.T) {
	bubble(t, func(r *rig) {
		p := r.open()
		for _, post := range []struct{ mark, body string }{{"a", "4one"}, {"a", "4one"}, {"b", "4two"}, {"a", "4one"}, {"", "4three"}, {"", "4three"}} {
			target := p.Base + "?EIO=4&transport=polling&sid=" + p.SID + "&t=" + post.mark
			reply, err := wire.Do(r.Context(), p.Client, http.MethodPost, target, "text/plain;charset=UTF-8", nil, post.body)
			if err != nil {
				r.Fatal(err)
			}
			r.want(reply, 200, "ok")
		}
		r.want(r.get(p), 200, "4one\x1e4two\x1e4three\x1e4three")
	}, calm)
}

// One that was refused is refused again: nothing of it was handed on.
func TestPostThatWasRefusedIsRefusedAgain(t *testing.T) {
	bubble(t, func(r *rig) {
		p := r.open()
		target := p.Base + "?EIO=4&transport=polling&sid=" + p.SID + "&t=a"
		for range 2 {
			reply, err := wire.Do(r.Context(), p.Client, http.MethodPost, target, "text/plain;charset=UTF-8", nil, "4"+strings.Repeat("x", 200))
			if err != nil {
				r.Fatal(err)
			}
			if reply.Status != http.StatusRequestEntityTooLarge {
				r.Errorf("got %d %s, want 413", reply.Status, reply.Body)
			}
		}
	}, calm, func(c *engineio.Config) { c.MaxPayload = 100 })
}

func TestPollsWithoutMarksAreAllNew(t *testing.T) {
	bubble(t, func(r *rig) {
		p := r.open()
		for _, text := range []string{"one", "two"} {
			send(r, r.app(0), text)
			r.want(getMarked(r, p, ""), 200, "4"+text)
		}
	})
}
