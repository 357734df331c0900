package httpapi_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"larder/api"
	"larder/internal/account"
	"larder/internal/auth"
	"larder/internal/command"
	"larder/internal/httpapi"
	"larder/internal/media"
	"larder/internal/query"
	"larder/internal/store"
	"larder/internal/telemetry"
	"larder/internal/testkit"
	"larder/internal/testkit/wire"
)

// rig is the REST surface alone, on an in-memory network and with its store in
// the hands of the test. It lives in a bubble.
type rig struct {
	t     *testing.T
	store *store.Store
	net   *wire.Listener
	http  *http.Client
	token string
}

func newRig(t *testing.T) *rig {
	ctx := t.Context()
	st, err := store.Open(ctx, "sqlite:"+filepath.Join(t.TempDir(), "larder.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	if _, err := st.Migrate(ctx); err != nil {
		t.Fatal(err)
	}
	tokens := auth.NewTokens([]byte(testkit.Secret), time.Hour)
	au := auth.New(st, tokens)
	log := slog.New(testkit.NewLogs(t).Handler())
	health := telemetry.NewHealth(telemetry.Check{Name: "store", Run: st.Ping})
	disk, err := media.OpenDisk(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = disk.Close() })
	mux := http.NewServeMux()
	rest := httpapi.New(command.NewService(st, au.Passwords, func() {}, time.UTC), query.NewService(st, time.UTC), au, httpapi.Health{
		Health: func(ctx context.Context) api.Health { return health.Report(ctx, log) },
		Ready:  func(ctx context.Context) api.Health { return health.Ready(ctx, log) },
	}, log)
	rest.UseMedia(media.New(st, disk, log), "")
	rest.Mount(mux)
	r := &rig{t: t, store: st, net: wire.Serve(t, httpapi.Edge(httpapi.Mux(mux), log))}
	r.http = r.net.Client()
	t.Cleanup(r.http.CloseIdleConnections)
	donor := account.Account{ID: nobodysID, Email: "donor@example.org", Name: "Donor", Role: account.Donor, Verified: true, Active: true}
	if err := st.Update(ctx, func(tx *store.Tx) error { return tx.InsertAccount(ctx, donor, "") }); err != nil {
		t.Fatal(err)
	}
	if r.token, _, err = tokens.Issue(donor, time.Now()); err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *rig) do(method, path, body string) testkit.Reply {
	r.t.Helper()
	h := http.Header{"Content-Type": {"application/json"}, "Authorization": {"Bearer " + r.token}}
	reply, err := wire.Do(r.t.Context(), r.http, method, wire.URL+path, "", h, body)
	if err != nil {
		r.t.Fatalf("%s %s: %v", method, path, err)
	}
	return testkit.Reply{Status: reply.Status, Header: reply.Header, Body: []byte(reply.Body)}
}

func TestStoreThatIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		if err := r.store.Close(); err != nil {
			t.Fatal(err)
		}
		for route := range contract {
			method, path, _ := strings.Cut(route, " ")
			if path == "/livez" {
				continue
			}
			body := ""
			switch route {
			case "POST /auth/login":
				body = `{"email":"a@example.org","password":"secret"}`
			case "POST /auth/register":
				body = `{"email":"a@example.org","password":"secret","name":"A","role":"NGO"}`
			}
			reply := r.do(method, strings.ReplaceAll(path, "{id}", nobodysID), body)
			if path == "/health" || path == "/readyz" {
				if reply.Status != 503 || !strings.Contains(string(reply.Body), `"checks":{"store":"DOWN"}`) {
					t.Errorf("%s: got %s", route, reply)
				}
				continue
			}
			wantRefusal(t, route, reply, 503, api.CodeUnavailable)
			if s, err := strconv.Atoi(reply.Header.Get("Retry-After")); err != nil || s < 1 {
				t.Errorf("%s: Retry-After %q", route, reply.Header.Get("Retry-After"))
			}
		}
	})
}

// What an account changes is limited, and what it reads is not: P-58. What comes to
// nothing counts as well.
func TestChangesAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		change := func() testkit.Reply { return r.do("PATCH", "/donations/"+nobodysID+"/claim", "") }
		for i := range 3000 {
			if reply := change(); reply.Status == http.StatusTooManyRequests {
				t.Fatalf("change %d: got %s", i+1, reply)
			}
		}
		reply := change()
		wantRefusal(t, "one more", reply, http.StatusTooManyRequests, api.CodeRateLimited)
		if got := reply.Header.Get("Retry-After"); got != "300" {
			t.Errorf("Retry-After: got %q, want 300", got)
		}
		if reply := r.do("GET", "/auth/profile", ""); reply.Status != http.StatusOK {
			t.Errorf("a read: got %s", reply)
		}
		<-time.After(5 * time.Minute)
		if reply := change(); reply.Status == http.StatusTooManyRequests {
			t.Errorf("five minutes later: got %s", reply)
		}
	})
}

// A request whose turn at the store comes late is still answered: the deadline
// for its body is none for its work.
func TestStoreThatIsBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		held, done := make(chan struct{}), make(chan error)
		go func() {
			done <- r.store.Update(t.Context(), func(*store.Tx) error {
				close(held)
				<-time.After(8 * time.Second) // the body had 5, and nobody waits for the store longer than 10
				return nil
			})
		}()
		<-held
		reply := r.do("PATCH", "/auth/profile", `{"name":"Patient"}`)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if reply.Status != 200 {
			t.Errorf("got %s", reply)
		}
	})
}

// A body that does not come in time is answered 408, and holds nobody up.
func TestBodyThatDoesNotCome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		slow, stop := io.Pipe()
		go func() {
			_, _ = stop.Write([]byte(`{"name":`))
			<-time.After(time.Minute)
			_ = stop.Close()
		}()
		req, err := http.NewRequestWithContext(t.Context(), "PATCH", wire.URL+"/auth/profile", slow)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+r.token)
		start := time.Now()
		resp, err := r.http.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		wantRefusal(t, "slow body", testkit.Reply{Status: resp.StatusCode, Header: resp.Header, Body: body}, 408, api.CodeRequestTimeout)
		if d := time.Since(start); err != nil || d > 10*time.Second {
			t.Errorf("answered after %v, %v", d, err)
		}
		<-time.After(2 * time.Minute)
	})
}

// A client that asks and does not read is let go.
func TestAnswerThatIsNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		conn, err := r.net.Dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, "GET /donations HTTP/1.1\r\nHost: larder.test\r\nConnection: close\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		<-time.After(2 * time.Minute) // nothing is read: a pipe has no buffer
		if got, err := io.ReadAll(conn); err != nil || strings.Contains(string(got), "[]") {
			t.Errorf("after two minutes: got %q, %v, want the end", got, err)
		}
	})
}

func TestLoginsAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		tried := 0
		login := func() testkit.Reply {
			tried++
			return r.do("POST", "/auth/login", fmt.Sprintf(`{"email":"u%d@example.org","password":"wrong"}`, tried))
		}
		for i := range 30 {
			if reply := login(); reply.Status != 401 {
				t.Fatalf("login %d: got %s", i+1, reply)
			}
		}
		reply := login()
		wantRefusal(t, "login 31", reply, 429, api.CodeRateLimited)
		wait, err := strconv.Atoi(reply.Header.Get("Retry-After"))
		if err != nil || wait < 1 || wait > 60 {
			t.Fatalf("Retry-After: %q", reply.Header.Get("Retry-After"))
		}
		<-time.After(time.Duration(wait) * time.Second)
		if reply := login(); reply.Status != 401 {
			t.Errorf("after the time that was asked for: got %s", reply)
		}
	})
}

// P-57: those that are refused count as well, they could ask which e-mails are known.
func TestRegistrationsAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		const newcomer = `{"email":"new@example.org","password":"secret","name":"New","role":"DONOR"}`
		const known = `{"email":"donor@example.org","password":"secret","name":"D","role":"NGO"}`
		const admin = `{"email":"a@example.org","password":"secret","name":"A","role":"ADMIN"}`
		register := func(body string) testkit.Reply { return r.do("POST", "/auth/register", body) }
		for i := range 30 {
			body, want := admin, 403
			switch i {
			case 0:
				body, want = newcomer, 201
			case 1:
				body, want = known, 409
			}
			if reply := register(body); reply.Status != want {
				t.Fatalf("registration %d: got %s, want %d", i+1, reply, want)
			}
		}
		reply := register(known)
		wantRefusal(t, "registration 31", reply, 429, api.CodeRateLimited)
		wait, err := strconv.Atoi(reply.Header.Get("Retry-After"))
		if err != nil || wait < 1 || wait > 600 {
			t.Fatalf("Retry-After: %q", reply.Header.Get("Retry-After"))
		}
		if reply := r.do("POST", "/auth/login", `{"email":"new@example.org","password":"secret"}`); reply.Status != 201 {
			t.Errorf("a login meanwhile: got %s", reply)
		}
		<-time.After(time.Duration(wait) * time.Second)
		if reply := register(known); reply.Status != 409 {
			t.Errorf("after the time that was asked for: got %s", reply)
		}
	})
}

func TestFailuresOfOneAccountAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		const body = `{"email":"Donor@example.org ","password":"wrong"}`
		for i := range 10 {
			if reply := r.do("POST", "/auth/login", body); reply.Status != 401 {
				t.Fatalf("login %d: got %s", i+1, reply)
			}
		}
		reply := r.do("POST", "/auth/login", body)
		wantRefusal(t, "login 11", reply, 429, api.CodeRateLimited)
		if s := reply.Header.Get("Retry-After"); s != "900" {
			t.Errorf("Retry-After: %q", s)
		}
		<-time.After(15 * time.Minute)
		if reply := r.do("POST", "/auth/login", body); reply.Status != 401 {
			t.Errorf("after 15 minutes: got %s", reply)
		}
	})
}
