package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"larder/api"
	"larder/client"
	"larder/internal/testkit/wire"
)

// seen is one request that a server got.
type seen struct {
	method, target, key, auth, body string
	at                              time.Time
}

// rest is a server that answers each request by a function of its number.
type rest struct {
	net    *wire.Listener
	mu     sync.Mutex // guards seen
	seen   []seen
	answer func(n int, w http.ResponseWriter)
}

func newRest(t *testing.T, answer func(n int, w http.ResponseWriter)) *rest {
	t.Helper()
	s := &rest{answer: answer}
	s.net = wire.Serve(t, s)
	return s
}

func (s *rest) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	s.seen = append(s.seen, seen{r.Method, r.URL.String(), r.Header.Get("Idempotency-Key"), r.Header.Get("Authorization"), string(b), time.Now()})
	n := len(s.seen)
	s.mu.Unlock()
	s.answer(n, w)
}

func (s *rest) requests() []seen {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen
}

func (s *rest) client(t *testing.T) *client.Client {
	t.Helper()
	c, err := client.New(client.Config{
		BaseURL: wire.URL + "/", Token: "tok",
		Dial: func(ctx context.Context, _, _ string) (net.Conn, error) { return s.net.Dial(ctx) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// drop cuts the connection instead of answering.
func drop(http.ResponseWriter) { panic(http.ErrAbortHandler) }

func reply(w http.ResponseWriter, status int, body string, header ...string) {
	for i := 0; i+1 < len(header); i += 2 {
		w.Header().Set(header[i], header[i+1])
	}
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body)
}

func TestARepetitionHasTheSameKey(t *testing.T) {
	const unavailable = `{"statusCode":503,"error":"Service Unavailable","message":"later","code":"unavailable"}`
	for name, first := range map[string]func(http.ResponseWriter){
		"no answer":       drop,
		"half an answer":  func(w http.ResponseWriter) { w.Header().Set("Content-Length", "100"); reply(w, 201, `{"id":`); drop(w) },
		"store is down":   func(w http.ResponseWriter) { reply(w, 503, unavailable) },
		"proxy is alone":  func(w http.ResponseWriter) { reply(w, 502, "<html>Bad gateway</html>") },
		"comes back soon": func(w http.ResponseWriter) { reply(w, 503, "", "Retry-After", "2") },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newRest(t, func(n int, w http.ResponseWriter) {
					if n == 1 {
						first(w)
						return
					}
					reply(w, 201, `{"id":"d1","quantity":3}`)
				})
				d, err := s.client(t).CreateDonation(t.Context(), api.DonationDraft{Name: "Bread"})
				if err != nil || d.ID != "d1" {
					t.Fatalf("got %+v, %v", d, err)
				}
				got := s.requests()
				if len(got) != 2 || got[0].key == "" || got[0].key != got[1].key || got[0].body != got[1].body {
					t.Fatalf("requests: got %+v", got)
				}
				pause, least := got[1].at.Sub(got[0].at), 100*time.Millisecond
				if name == "comes back soon" {
					least = 2 * time.Second
				}
				if pause < least || pause > 2*time.Second {
					t.Errorf("came back after %s", pause)
				}
			})
		})
	}
}

func TestEveryChangeHasAKeyOfItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newRest(t, func(_ int, w http.ResponseWriter) { reply(w, 200, `{}`) })
		c, ctx := s.client(t), t.Context()
		calls := []func() error{
			func() error { _, err := c.CreateDonation(ctx, api.DonationDraft{}); return err },
			func() error { _, err := c.Claim(ctx, "d", api.ClaimRequest{}); return err },
			func() error { _, err := c.Release(ctx, "d", ""); return err },
			func() error { _, err := c.PickUp(ctx, "d"); return err },
			func() error { _, err := c.Deliver(ctx, "d"); return err },
			func() error { _, err := c.Cancel(ctx, "d", "spoiled"); return err },
			func() error { _, err := c.UpdateProfile(ctx, api.ProfileUpdate{}); return err },
			func() error { _, err := c.VerifyNGO(ctx, "u"); return err },
			func() error { _, err := c.ToggleStatus(ctx, "u"); return err },
			func() error {
				_, err := c.Cancel(client.WithIdempotencyKey(ctx, "mine"), "d", "spoiled")
				return err
			},
		}
		for i, call := range calls {
			if err := call(); err != nil {
				t.Errorf("call %d: %v", i, err)
			}
		}
		var keys, targets []string
		for _, r := range s.requests() {
			keys, targets = append(keys, r.key), append(targets, r.method+" "+r.target)
			if r.auth != "Bearer tok" {
				t.Errorf("%s: Authorization %q", r.target, r.auth)
			}
		}
		want := []string{
			"POST /donations", "PATCH /donations/d/claim", "PATCH /donations/d/release", "PATCH /donations/d/status",
			"PATCH /donations/d/deliver", "PATCH /donations/d/cancel", "PATCH /auth/profile", "PATCH /admin/verify/u",
			"PATCH /admin/users/u/toggle-status", "PATCH /donations/d/cancel",
		}
		if !slices.Equal(targets, want) {
			t.Errorf("requests:\ngot  %q\nwant %q", targets, want)
		}
		if keys[len(keys)-1] != "mine" {
			t.Errorf("the key of the context is not used: %q", keys)
		}
		slices.Sort(keys)
		if len(slices.Compact(keys)) != len(calls) || keys[0] == "" {
			t.Errorf("keys: got %q", keys)
		}
	})
}

func TestReadsHaveNoKeyAndAskRight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newRest(t, func(_ int, w http.ResponseWriter) {
			reply(w, 200, `[]`, "Link", `</donations?after=c%2B2&limit=3>; rel="next"`)
		})
		c := s.client(t)
		_, next, err := c.Donations(t.Context(), client.ListOptions{
			Statuses: []string{"AVAILABLE", "CLAIMED"}, Limit: 3, After: "c1", Near: &client.Place{Latitude: 38.7, Longitude: -9.13, RadiusKm: 2},
		})
		wantNext(t, next, err)
		page := client.Page{Limit: 5, After: "c1"}
		_, next, err = c.History(t.Context(), "a/b", page)
		wantNext(t, next, err)
		_, next, err = c.Users(t.Context(), page)
		wantNext(t, next, err)
		_, next, err = c.PendingNGOs(t.Context(), page)
		wantNext(t, next, err)
		_, next, err = c.MyDeliveries(t.Context(), page)
		wantNext(t, next, err)
		var got []string
		for _, r := range s.requests() {
			got = append(got, r.target)
			if r.key != "" {
				t.Errorf("%s: has the key %s", r.target, r.key)
			}
		}
		want := []string{
			"/donations?after=c1&latitude=38.7&limit=3&longitude=-9.13&radius=2&status=AVAILABLE%2CCLAIMED",
			"/donations/a%2Fb/history?after=c1&limit=5", "/admin/users?after=c1&limit=5",
			"/admin/pending-ngos?after=c1&limit=5", "/donations/my-deliveries?after=c1&limit=5",
		}
		if !slices.Equal(got, want) {
			t.Errorf("requests:\ngot  %q\nwant %q", got, want)
		}
	})
}

func wantNext(t *testing.T, next string, err error) {
	t.Helper()
	if err != nil || next != "c+2" {
		t.Errorf("got next %q, %v", next, err)
	}
}

func TestRefusals(t *testing.T) {
	for name, tc := range map[string]struct {
		status int
		body   string
		code   api.Code
		text   string
		tries  int
	}{
		"ours": {
			400, `{"statusCode":400,"error":"Bad Request","message":["a","b"],"code":"validation_failed"}`, api.CodeValidation,
			"POST /donations: 400 validation_failed: a; b", 1,
		},
		"a proxy's page": {413, "<html>\n<b>Too big</b>", api.CodeTooLarge, "413 payload_too_large: <html> <b>Too big</b>", 1},
		"nothing":        {418, "", api.CodeBadRequest, "418 bad_request: no explanation was given", 1},
		"JSON of others": {500, `{"error":"oops"}`, api.CodeInternal, `500 internal_error: {"error":"oops"}`, 1},
		"binary":         {400, "\xff\xfe", api.CodeBadRequest, "no explanation", 1},
		"too many":       {429, `{"message":"x","code":"rate_limited"}`, api.CodeRateLimited, "429 rate_limited: x", 1},
		"away for good":  {503, "gone", api.CodeUnavailable, "503 unavailable: gone", 5},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newRest(t, func(_ int, w http.ResponseWriter) { reply(w, tc.status, tc.body) })
				_, err := s.client(t).CreateDonation(t.Context(), api.DonationDraft{})
				e, ok := errors.AsType[*api.Error](err)
				if !ok || e.Code != tc.code || e.StatusCode != tc.status || !strings.Contains(err.Error(), tc.text) {
					t.Errorf("got %v, want %s with %q", err, tc.code, tc.text)
				}
				if n := len(s.requests()); n != tc.tries {
					t.Errorf("%d tries, want %d", n, tc.tries)
				}
			})
		})
	}
}

func TestALongRetryAfterIsForTheCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newRest(t, func(_ int, w http.ResponseWriter) { reply(w, 503, "", "Retry-After", "3600") })
		start := time.Now()
		if _, err := s.client(t).Profile(t.Context()); err == nil || time.Since(start) > time.Second {
			t.Errorf("got %v after %s", err, time.Since(start))
		}
	})
}

func TestRetriesEndWithTheirContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newRest(t, func(int, http.ResponseWriter) { drop(nil) })
		cause := errors.New("no more")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(150*time.Millisecond, func() { cancel(cause) })
		_, err := s.client(t).Profile(ctx)
		if !errors.Is(err, cause) {
			t.Errorf("got %v, want %v", err, cause)
		}
	})
}

func TestLoginKeepsTheToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newRest(t, func(n int, w http.ResponseWriter) {
			reply(w, 201, fmt.Sprintf(`{"success":true,"data":{"token":"t%d","user":{"id":"u","role":"NGO"}}}`, n))
		})
		c := s.client(t)
		if ses, err := c.Login(t.Context(), "a@example.org", "secret99"); err != nil || ses.User.Role != "NGO" || c.Token() != "t1" {
			t.Errorf("login: got %+v, %v, token %q", ses, err, c.Token())
		}
		if _, err := c.Register(t.Context(), api.Registration{Email: "b@example.org"}); err != nil || c.Token() != "t2" {
			t.Errorf("register: got %v, token %q", err, c.Token())
		}
		var sent api.Login
		if err := json.Unmarshal([]byte(s.requests()[0].body), &sent); err != nil || sent.Password != "secret99" {
			t.Errorf("sent %+v, %v", sent, err)
		}
	})
}

func TestHealthOfANodeThatIsDown(t *testing.T) {
	for name, tc := range map[string]struct {
		status    int
		body      string
		want, err string
	}{
		"up":           {200, `{"status":"OK","timestamp":"2026-02-20T10:00:00.000Z"}`, "OK", ""},
		"down":         {503, `{"status":"DOWN","timestamp":"2026-02-20T10:00:00.000Z","checks":{"store":"failed"}}`, "DOWN", ""},
		"another page": {200, `<html>Welcome</html>`, "", "not that of a Larder"},
		"nothing":      {404, `no`, "", "404"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newRest(t, func(_ int, w http.ResponseWriter) { reply(w, tc.status, tc.body) })
				h, err := s.client(t).Health(t.Context())
				if h.Status != tc.want || (err == nil) != (tc.err == "") || err != nil && !strings.Contains(err.Error(), tc.err) {
					t.Errorf("got %+v, %v", h, err)
				}
				if len(s.requests()) != 1 {
					t.Errorf("asked %d times", len(s.requests()))
				}
			})
		})
	}
}

func TestNewRefusesWhatCanNotWork(t *testing.T) {
	for name, cfg := range map[string]client.Config{
		"no address":    {},
		"no scheme":     {BaseURL: "localhost:3000"},
		"websocket":     {BaseURL: "ws://localhost:3000"},
		"bad namespace": {BaseURL: "http://x", Namespace: "donations"},
	} {
		if _, err := client.New(cfg); err == nil {
			t.Errorf("%s: got no error", name)
		}
	}
}
