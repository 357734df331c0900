package node_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"larder/api"
	"larder/internal/account"
	"larder/internal/config"
	"larder/internal/node"
	"larder/internal/store"
	"larder/internal/testkit"
	"larder/internal/testkit/wire"
)

func TestStartAndStopManyTimes(t *testing.T) {
	folder := t.TempDir()
	for i := range 50 {
		n := testkit.Start(t, testkit.Options{DataDir: folder})
		if i%3 == 0 { // with something to do
			u := n.User(account.Donor)
			s, _ := n.Watch(u)
			n.Donate(u, nil)
			s.Abort()
		}
		if err := n.Stop(); err != nil {
			t.Fatalf("stop %d: %v", i, err)
		}
		if err := goleak.Find(); err != nil {
			t.Fatalf("after stop %d: %v", i, err)
		}
	}
}

// A node that is told to stop lets what has begun end in order: requests are
// answered, held polls end with a close packet, sockets of all kinds are closed.
func TestStopInTheMiddle(t *testing.T) {
	bubble(t, func(t *testing.T, n *testkit.Node) {
		u := n.User(account.Donor)
		poll := wire.Polling{Client: n.HTTP, Base: wire.URL + "/socket.io/"}
		if _, err := poll.Open(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := poll.Post(t.Context(), `40/donations,{"token":"`+u.Token+`"}`); err != nil {
			t.Fatal(err)
		}
		if r, err := poll.Get(t.Context()); err != nil || !strings.Contains(r.Body, "feed.ready") {
			t.Fatalf("got %+v, %v", r, err)
		}
		socket, _ := n.Watch(u)
		plain := n.Plain("", testkit.Bearer(u.Token))
		testkit.Expect[api.FeedReady](n, plain, api.EventFeedReady)
		if _, err := n.Dial(t.Context()); err != nil { // says nothing at all
			t.Fatal(err)
		}
		body, upload := io.Pipe()
		var clients sync.WaitGroup
		clients.Go(func() { // in flight: half its body is sent
			r, err := n.Try(t.Context(), testkit.Call{Method: "PATCH", Path: "/auth/profile", Token: u.Token, Body: io.Reader(body)})
			if err != nil || r.Status != 200 {
				t.Errorf("request in flight: %s, %v", r, err)
			}
		})
		if _, err := io.WriteString(upload, `{"name":`); err != nil {
			t.Fatal(err)
		}
		clients.Go(func() {
			var all strings.Builder
			for {
				r, err := poll.Get(t.Context())
				if err != nil || r.Status != 200 {
					t.Errorf("held poll: %+v, %v", r, err)
					return
				}
				if all.WriteString(r.Body + "\x1e"); strings.Contains("\x1e"+all.String(), "\x1e1\x1e") {
					break
				}
			}
			if !strings.Contains(all.String(), `["server.draining"`) {
				t.Errorf("held poll got %q", all.String())
			}
		})
		for _, c := range []interface{ Next() (testkit.Event, error) }{socket, plain} {
			clients.Go(func() {
				testkit.Expect[api.ServerDraining](n, c, api.EventServerDraining)
				_, err := c.Next()
				if closed, ok := errors.AsType[*wire.Closed](err); !ok || closed.Code != 1012 {
					t.Errorf("got %v, want close 1012", err)
				}
			})
		}
		synctest.Wait()
		start := time.Now()
		n.Stopping()
		<-time.After(2 * time.Second)
		select {
		case <-n.Ended():
			t.Error("the node did not wait for the request in flight")
		default:
		}
		if _, err := io.WriteString(upload, `"Late"}`); err != nil {
			t.Error(err)
		}
		if err := upload.Close(); err != nil {
			t.Error(err)
		}
		if err := n.Stop(); err != nil {
			t.Errorf("stop: %v", err)
		}
		if d := time.Since(start); d > 10*time.Second {
			t.Errorf("stopped after %v", d)
		}
		clients.Wait()
		socket.Abort()
		plain.Abort()
		if _, err := n.Dial(t.Context()); err == nil {
			t.Error("a stopped node takes connections")
		}
		if strings.Contains(n.Logs.String(), `"level":"ERROR"`) {
			t.Error("an orderly stop logged errors")
		}
	})
}

// A client that does not take its answer holds the stop up for a while and no longer.
func TestStopDespiteAClientThatDoesNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := wire.Listen()
		n, err := node.New(t.Context(), mustConfig(t, t.TempDir()), slog.New(slog.DiscardHandler), io.Discard, node.WithListener(network))
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- n.Run(ctx) }()
		conn, err := network.Dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, "GET /donations HTTP/1.1\r\nHost: larder.test\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		start := time.Now()
		stop()
		if err := <-done; err == nil || !strings.Contains(err.Error(), "requests") {
			t.Errorf("got %v, want to hear of the request", err)
		}
		if d := time.Since(start); d > 20*time.Second {
			t.Errorf("stopped after %v", d)
		}
	})
}

func TestReadinessEndsWithTheDrain(t *testing.T) {
	bubble(t, func(t *testing.T, n *testkit.Node) {
		u := n.User(account.Donor)
		n.Watch(u) // reads nothing more, and so holds the drain up for a moment
		for path, want := range map[string]int{"/readyz": 200, "/livez": 200, "/health": 200} {
			if r := n.Get(path, ""); r.Status != want {
				t.Errorf("before: %s: %s", path, r)
			}
		}
		n.Stopping()
		synctest.Wait()
		for path, want := range map[string]int{"/readyz": 503, "/livez": 200, "/health": 200} {
			r := n.Get(path, "")
			if r.Status != want || want == 503 && !strings.Contains(string(r.Body), `"draining":"YES"`) {
				t.Errorf("while it drains: %s: %s", path, r)
			}
		}
	})
}

func TestHealthWithoutAStore(t *testing.T) {
	n := testkit.Start(t, testkit.Options{})
	if err := n.CloseStore(); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]int{"/health": 503, "/readyz": 503, "/livez": 200, "/donations": 503} {
		if r := n.Get(path, ""); r.Status != want || strings.Contains(string(r.Body), "sql") {
			t.Errorf("%s: %s", path, r)
		}
	}
}

func mustConfig(t *testing.T, folder string) config.Config {
	t.Helper()
	cfg, err := testkit.Config(folder)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// A node that can't be built says why in one line, and leaves nothing open.
func TestNewThatFails(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	file := func(t *testing.T, name, text string) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for name, tc := range map[string]struct {
		change func(t *testing.T, c *config.Config)
		want   string
	}{
		"port taken": {func(_ *testing.T, c *config.Config) { c.Port = taken.Addr().(*net.TCPAddr).Port }, "address already in use"},
		"no database": {func(t *testing.T, c *config.Config) {
			c.DatabaseURL = "sqlite:" + file(t, "x.db", strings.Repeat("no database ", 1000))
		}, "file is not a database"},
		"folder is a file": {func(t *testing.T, c *config.Config) {
			c.DatabaseURL = "sqlite:" + filepath.Join(file(t, "x", ""), "larder.db")
		}, "not a directory"},
		"database is a folder": {func(t *testing.T, c *config.Config) { c.DatabaseURL = "sqlite:" + t.TempDir() }, "unable to open database file"},
		"no place for the secret": {func(t *testing.T, c *config.Config) {
			c.JWTSecret, c.DataDir = "", filepath.Join(file(t, "x", ""), "data")
		}, "not a directory"},
		"short secret": {func(t *testing.T, c *config.Config) {
			c.JWTSecret, c.DataDir = "", filepath.Dir(file(t, "jwt-secret", "short\n"))
		}, "jwt-secret holds less than 16 bytes"},
		"admin with a short password": {func(_ *testing.T, c *config.Config) { c.AdminEmail, c.AdminPassword = "a@example.org", "short" }, "SUPER_ADMIN_EMAIL"},
		"admin without an address":    {func(_ *testing.T, c *config.Config) { c.AdminEmail, c.AdminPassword = "admin", "long enough" }, "SUPER_ADMIN_EMAIL"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := mustConfig(t, t.TempDir())
			tc.change(t, &cfg)
			_, err := node.New(t.Context(), cfg, slog.New(slog.DiscardHandler), io.Discard)
			if err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v, want one line with %q", err, tc.want)
			}
			if err := goleak.Find(); err != nil {
				t.Errorf("left running: %v", err)
			}
		})
	}
}

// What a node makes up is kept, for its owner's eyes only, and told once.
func TestMadeUp(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "new", "data")
	change := func(c *config.Config) {
		c.JWTSecret, c.AdminEmail, c.AdminPassword = "", "root@example.org", "long enough"
	}
	first := testkit.Start(t, testkit.Options{DataDir: folder, Config: change})
	if m := first.MadeUp(); !m.Secret || !m.Admin || len(m.Migrations) == 0 {
		t.Errorf("at first: %+v", m)
	}
	for name, mode := range map[string]fs.FileMode{"jwt-secret": 0o600, ".": 0o700} {
		if st, err := os.Stat(filepath.Join(folder, name)); err != nil || st.Mode().Perm() != mode {
			t.Errorf("%s: %v, %v, want %v", name, st.Mode(), err, mode)
		}
	}
	secret, err := os.ReadFile(filepath.Join(folder, "jwt-secret"))
	if err != nil || len(bytes.TrimSpace(secret)) < 32 {
		t.Errorf("secret of %d bytes, %v", len(secret), err)
	}
	login := map[string]string{"email": "root@example.org", "password": "long enough"}
	session := testkit.Must[api.Envelope[api.Session]](first, first.Post("/auth/login", "", login), 201)
	if session.Data.User.Role != "ADMIN" {
		t.Errorf("the admin is %+v", session.Data.User)
	}
	if strings.Contains(first.Logs.String(), string(bytes.TrimSpace(secret))) || strings.Contains(first.Logs.String(), "long enough") {
		t.Error("a secret is in the log")
	}
	if err := first.Stop(); err != nil {
		t.Fatal(err)
	}
	second := testkit.Start(t, testkit.Options{DataDir: folder, Config: change})
	if m := second.MadeUp(); m.Secret || m.Admin || len(m.Migrations) != 0 {
		t.Errorf("at the second start: %+v", m)
	}
	if r := second.Get("/admin/users", session.Data.Token); r.Status != http.StatusOK {
		t.Errorf("the token of before: %s", r)
	}
}

// An account that has the admin's e-mail keeps its role, and the operator is told in
// one line what helps.
func TestAdminThatIsNone(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "data")
	first := testkit.Start(t, testkit.Options{DataDir: folder})
	donor, admin := first.User(account.Donor), first.User(account.Admin)
	suspended := first.User(account.Admin, testkit.Suspended)
	if err := first.Stop(); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		email   string
		message string // empty: nothing is told
		help    string
	}{
		"a donor":            {donor.Email, "the account of SUPER_ADMIN_EMAIL is there already and is no admin", "larder user role " + donor.Email + " ADMIN"},
		"in other letters":   {strings.ToUpper(donor.Email), "the account of SUPER_ADMIN_EMAIL is there already and is no admin", "larder user role " + donor.Email + " ADMIN"},
		"a suspended admin":  {suspended.Email, "the account of SUPER_ADMIN_EMAIL is suspended", "larder user restore " + suspended.Email},
		"an admin":           {admin.Email, "", ""},
		"nobody is known so": {"new@example.org", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			n := testkit.Start(t, testkit.Options{DataDir: folder, Config: func(c *config.Config) {
				c.AdminEmail, c.AdminPassword = tc.email, "long enough"
			}})
			if got := strings.Count(n.Logs.String(), "SUPER_ADMIN_EMAIL"); got != min(1, len(tc.message)) {
				t.Errorf("it is told %d times:\n%s", got, n.Logs)
			}
			if lines := n.Logs.Lines(tc.message); tc.message != "" && (len(lines) != 1 || lines[0]["level"] != "WARN" || lines[0]["help"] != tc.help) {
				t.Errorf("got %v, want %q", lines, tc.help)
			}
			n.Update(func(ctx context.Context, tx *store.Tx) error {
				a, err := tx.Account(ctx, donor.ID)
				if a.Role != account.Donor {
					t.Errorf("the donor has become %s", a.Role)
				}
				return err
			})
			if err := n.Stop(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// With wire logs on, a token is still in no log.
func TestNoTokenInAnyLog(t *testing.T) {
	logs := testkit.NewLogs(nil)
	n := testkit.Start(t, testkit.Options{Wire: logs, Config: func(c *config.Config) { c.Debug, c.LogFormat = "*", "json" }})
	u := n.User(account.Donor)
	s, _ := n.Watch(u)
	p := n.Plain("", http.Header{"Sec-Websocket-Protocol": {"bearer." + u.Token}})
	testkit.Expect[api.FeedReady](n, p, api.EventFeedReady)
	n.Get("/auth/profile", u.Token)
	n.Post("/auth/login", "", map[string]string{"email": u.Email, "password": testkit.Password})
	s.Abort()
	if err := n.Stop(); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(logs.String(), `"part":"engine"`) {
		t.Errorf("wire logs are not on: %.300s", logs)
	}
	for name, l := range map[string]fmt.Stringer{"log": n.Logs, "wire log": logs} {
		for what, secret := range map[string]string{"token": u.Token, "password": testkit.Password, "address": u.Email} {
			if strings.Contains(l.String(), secret) {
				t.Errorf("a %s is in the %s", what, name)
			}
		}
	}
}

// WebSockets are compressed when that is turned on, and only then: E-41.
func TestCompressionIsASetting(t *testing.T) {
	for _, on := range []bool{false, true} {
		n := testkit.Start(t, testkit.Options{Config: func(c *config.Config) { c.WSCompression = on }})
		c, err := wire.DialWebSocket(t.Context(), n.Dial, "/socket.io/?EIO=4&transport=websocket",
			http.Header{"Sec-Websocket-Extensions": {"permessage-deflate"}})
		if err != nil {
			t.Fatal(err)
		}
		if got := c.Extensions != ""; got != on {
			t.Errorf("compression %v: the server answered %q", on, c.Extensions)
		}
		c.Abort()
	}
}
