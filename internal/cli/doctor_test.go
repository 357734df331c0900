package cli_test

import (
	"encoding/base64"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"larder/internal/account"
	"larder/internal/auth"
	"larder/internal/testkit"
	"larder/socketio"
)

// wantLines wants each line in the output, whole.
func wantLines(t *testing.T, out string, want ...string) {
	t.Helper()
	for _, w := range want {
		if !strings.Contains("\n"+out, "\n"+w+"\n") {
			t.Errorf("no line %q in:\n%s", w, out)
		}
	}
}

func TestDoctorFindsNothingWrong(t *testing.T) {
	url := startNode(t)
	donor, _ := register(t, url, "DONOR", "donor@example.org")
	out, stderr, code := run(t, nil, "doctor", "--url", url, "--origin", "http://localhost:5173/", "--token", "Bearer "+donor.Token())
	if code != 0 || stderr != "" {
		t.Errorf("exit code %d, stderr %q", code, stderr)
	}
	wantLines(t, out, "ok   server "+url+": Larder answers", "ok   health: OK", "ok   clock: agrees with the server's",
		"ok   polling: handshake answered", "ok   websocket: handshake answered, namespace /donations is there",
		"ok   origin http://localhost:5173: allowed")
	if !strings.Contains(out, "ok   token: accepted, valid until 20") || strings.Contains(out, "FAIL") {
		t.Errorf("said:\n%s", out)
	}
}

func TestDoctorOnOrigins(t *testing.T) {
	url := startNode(t)
	for origin, want := range map[string]string{
		"http://x":                   "FAIL origin http://x: not allowed; add it to FRONTEND_URL",
		"http://127.0.0.1:5173":      "FAIL origin http://127.0.0.1:5173: not allowed; add it to FRONTEND_URL",
		"localhost:5173":             "FAIL origin localhost:5173: is none; it is scheme, host and port, such as http://localhost:5173",
		"http://localhost:5173/page": "FAIL origin http://localhost:5173/page: is none; it is scheme, host and port, such as http://localhost:5173",
	} {
		out, _, code := run(t, nil, "doctor", "--url", url, "--origin", origin)
		if wantLines(t, out, want); code != 1 {
			t.Errorf("%s: exit code %d", origin, code)
		}
	}
	// The origins of the settings, when the server runs with others.
	port := url[strings.LastIndexByte(url, ':')+1:]
	out, _, code := run(t, map[string]string{"PORT": port, "FRONTEND_URL": "https://app.example.org", "ORIGIN": "http://x"}, "doctor")
	wantLines(t, out, "ok   port "+port+": Larder answers", "hint origin https://app.example.org: not allowed; add it to FRONTEND_URL")
	if code != 0 {
		t.Errorf("exit code %d, want 0: nobody asked for that origin", code)
	}
}

func TestDoctorOnTokens(t *testing.T) {
	url := startNode(t)
	_, known := register(t, url, "DONOR", "donor@example.org")
	_, bad := register(t, url, "DONOR", "bad@example.org")
	admin := newClient(t, url)
	if _, err := admin.Login(t.Context(), adminEmail, password); err != nil {
		t.Fatal(err)
	}
	if _, err := admin.ToggleStatus(t.Context(), bad.ID); err != nil {
		t.Fatal(err)
	}
	issue := func(secret, id string, at time.Time) string {
		token, _, err := auth.NewTokens([]byte(secret), time.Hour).Issue(account.Account{ID: id}, at)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	long, now := time.Date(2026, 2, 20, 9, 0, 0, 0, time.UTC), time.Now()
	for name, tc := range map[string]struct {
		token, want string
		alone       string // without a server; empty: "ok   token: well formed"
	}{
		"missing": {"", "hint token: none given; --token T checks one", "-"},
		"cut off": {
			"eyJh.eyJz", "FAIL token: malformed: it has 2 parts instead of three with dots between",
			"FAIL token: malformed: it has 2 parts instead of three with dots between",
		},
		"garbage": {"a.b.c", "FAIL token: malformed: its first part is no JWT header", "FAIL token: malformed: its first part is no JWT header"},
		"expired": {
			issue(testkit.Secret, known.ID, long), "FAIL token: expired on 2026-02-20T10:00:00Z; sign in again",
			"FAIL token: expired on 2026-02-20T10:00:00Z; sign in again",
		},
		"another secret": {
			issue(strings.Repeat("x", 32), known.ID, now),
			"FAIL token: not valid: it was signed with another secret than the server's JWT_SECRET, or its account is not known there", "",
		},
		"nobody's": {
			issue(testkit.Secret, "0193c2f0-0000-7000-8000-000000000000", now),
			"FAIL token: not valid: it was signed with another secret than the server's JWT_SECRET, or its account is not known there", "",
		},
		"suspended": {issue(testkit.Secret, bad.ID, now), "FAIL token: its account is suspended; an admin can restore it", ""},
		"without expiry": {
			unsigned(`{"alg":"HS256"}`, `{"sub":"x"}`), "FAIL token: not valid: it has no expiry (exp)",
			"FAIL token: it has no expiry (exp), and such tokens are refused",
		},
		"of another kind": {
			unsigned(`{"alg":"none"}`, `{"sub":"x","exp":4000000000}`),
			"FAIL token: not valid: it is signed with none, and the server takes HS256", "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			out, _, code := run(t, nil, "doctor", "--url", url, "--token", tc.token)
			if wantLines(t, out, tc.want); (code == 1) != strings.HasPrefix(tc.want, "FAIL") {
				t.Errorf("exit code %d", code)
			}
			out, _, _ = run(t, map[string]string{"LARDER_TOKEN": tc.token}, "doctor", "--url", "http://127.0.0.1:1")
			switch {
			case tc.alone == "-" && strings.Contains(out, "token"), tc.alone == "" && !strings.Contains(out, "ok   token: well formed, valid until "):
				t.Errorf("without a server:\n%s", out)
			case strings.HasPrefix(tc.alone, "FAIL"):
				wantLines(t, out, tc.alone)
			}
		})
	}
}

func unsigned(header, claims string) string {
	enc := base64.RawURLEncoding.EncodeToString
	return enc([]byte(header)) + "." + enc([]byte(claims)) + ".c2ln"
}

const healthy = `{"status":"OK","timestamp":"2026-02-20T10:00:00.000Z"}`

// serve runs a fake of a server.
func serve(t *testing.T, health http.HandlerFunc, live http.Handler) string {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("/health", health)
	if live != nil {
		mux.Handle("/socket.io/", live)
	}
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s.URL
}

func say(status int, body string, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func TestDoctorOnServersThatAreIll(t *testing.T) {
	sio, err := socketio.NewServer(socketio.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sio.Shutdown(t.Context()) })
	// A proxy that does not pass Upgrade on.
	deaf := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Header.Del("Upgrade")
		r.Header.Del("Connection")
		sio.ServeHTTP(w, r)
	})
	off := func(d time.Duration) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Date", time.Now().Add(d).UTC().Format(http.TimeFormat))
			say(200, healthy)(w, r)
		}
	}
	for name, tc := range map[string]struct {
		url  string
		want []string
	}{
		"down": {
			serve(t, say(503, `{"status":"DOWN","checks":{"store":"failed"}}`), nil),
			[]string{"FAIL health: DOWN (store: failed); the log of the server says why"},
		},
		"fast clock": {serve(t, off(5*time.Minute), nil), nil},
		"slow clock": {serve(t, off(-5*time.Minute), nil), nil},
		"no sockets": {
			serve(t, say(200, healthy), nil),
			[]string{"FAIL polling: the handshake was answered 404 Not Found: 404 page not found·"},
		},
		"deaf proxy": {
			serve(t, say(200, healthy), deaf),
			[]string{"ok   polling: handshake answered", "hint polling works: a proxy in front has to pass on the headers Upgrade and Connection"},
		},
		"no namespace": {serve(t, say(200, healthy), sio), []string{"ok   polling: handshake answered"}},
		"a stranger":   {serve(t, say(200, "<html>", "Server", "nginx/1.2"), nil), nil},
		"a redirect":   {serve(t, say(302, "", "Location", "https://example.org/"), nil), nil},
		"nothing":      {"http://127.0.0.1:1", nil},
	} {
		t.Run(name, func(t *testing.T) {
			out, _, code := run(t, nil, "doctor", "--url", tc.url)
			if wantLines(t, out, tc.want...); code != 1 {
				t.Errorf("exit code %d:\n%s", code, out)
			}
			part := map[string]string{
				"no namespace": "FAIL websocket: connect to", "deaf proxy": "FAIL websocket: ",
				"a stranger": ": something answers that is no Larder (200 OK, nginx/1.2)", "a redirect": "no Larder (302 Found)",
				"fast clock": "s behind the server; tokens and expiry times are judged by the server's",
				"slow clock": "s ahead of the server; tokens and expiry times are judged by the server's",
				"nothing":    "FAIL server http://127.0.0.1:1: nothing answers (",
			}[name]
			if !strings.Contains(out, part) {
				t.Errorf("no %q in:\n%s", part, out)
			}
		})
	}
}

// freePort is a port that nobody listened on a moment ago.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
}

func TestDoctorBeforeTheFirstStart(t *testing.T) {
	folder, port := filepath.Join(t.TempDir(), "new", "data"), freePort(t)
	out, _, code := run(t, map[string]string{"URL": "http://x", "TOKEN": "x"}, "doctor", "--port", port, "--data-dir", folder)
	wantLines(t, out, "ok   settings: valid", "ok   port "+port+": free", "ok   data folder "+folder+": will be made",
		"ok   database sqlite:"+folder+"/larder.db: will be made", "ok   secret: will be made at the first start",
		"hint no server answers at http://localhost:"+port+"; larder serve starts one")
	if code != 0 {
		t.Errorf("exit code %d", code)
	}
	if _, err := os.Stat(folder); err == nil {
		t.Error("the doctor has made the folder")
	}
}

func TestDoctorOnAnOldSetUp(t *testing.T) {
	folder, port := t.TempDir(), freePort(t)
	env := map[string]string{"PORT": port, "DATA_DIR": folder}
	if _, stderr, code := run(t, env, "migrate"); code != 0 {
		t.Fatal(stderr)
	}
	if _, _, err := auth.Secret(folder); err != nil {
		t.Fatal(err)
	}
	out, _, code := run(t, env, "doctor")
	wantLines(t, out, "ok   data folder "+folder+": writable", "ok   database sqlite:"+folder+"/larder.db: opens", "ok   secret: kept in "+folder+"/jwt-secret")
	if code != 0 {
		t.Errorf("exit code %d", code)
	}
	if err := os.Chmod(folder+"/jwt-secret", 0o644); err != nil {
		t.Fatal(err)
	}
	out, _, _ = run(t, env, "doctor")
	wantLines(t, out, "hint secret: "+folder+"/jwt-secret can be read by others: chmod 600 it")
	left, err := filepath.Glob(folder + "/.larder-doctor-*")
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %q, %v", left, err)
	}
}

func TestDoctorOnABadSetUp(t *testing.T) {
	tmp, port := t.TempDir(), freePort(t)
	file := filepath.Join(tmp, "file")
	if err := os.WriteFile(file, []byte(strings.Repeat("no database ", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { // something that speaks, but not HTTP
		for {
			c, err := silent.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(c, "220 mail.example.org ESMTP\r\n")
			_ = c.Close()
		}
	}()
	t.Cleanup(func() { _ = silent.Close() })
	taken := strconv.Itoa(silent.Addr().(*net.TCPAddr).Port)
	for name, tc := range map[string]struct {
		env  map[string]string
		want []string // beginnings of lines
	}{
		"data folder is a file": {map[string]string{"DATA_DIR": file}, []string{"FAIL data folder " + file + ": is no folder"}},
		"below a file":          {map[string]string{"DATA_DIR": file + "/sub"}, []string{"FAIL data folder " + file + "/sub: "}},
		"no database":           {map[string]string{"DATA_DIR": tmp, "DATABASE_URL": "sqlite:" + file}, []string{"FAIL database sqlite:" + file + ": does not open: "}},
		"settings": {
			map[string]string{"DATA_DIR": tmp, "JWT_SECRET": "short", "TIMEZONE": "Mars/Base"},
			[]string{"FAIL setting JWT_SECRET: at least 16 bytes", "FAIL setting TIMEZONE: "},
		},
		"port that is none": {map[string]string{"PORT": "many"}, []string{`FAIL setting PORT: "many"`}},
		"port taken": {
			map[string]string{"DATA_DIR": tmp, "PORT": taken, "HOST": "127.0.0.1"},
			[]string{"FAIL port " + taken + ": something answers that is no Larder (", "hint end what listens there"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if tc.env["PORT"] == "" {
				tc.env["PORT"] = port
			}
			out, _, code := run(t, tc.env, "doctor")
			for _, w := range tc.want {
				if !strings.Contains("\n"+out, "\n"+w) {
					t.Errorf("no line beginning with %q in:\n%s", w, out)
				}
			}
			if code != 1 {
				t.Errorf("exit code %d:\n%s", code, out)
			}
		})
	}
	if _, stderr, code := run(t, nil, "doctor", "--url", "localhost:3000"); code != 2 || !strings.Contains(stderr, "--url must begin with") {
		t.Errorf("a bad --url: got %d %q", code, stderr)
	}
}
