package config_test

import (
	"flag"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"larder/internal/auth"
	"larder/internal/config"
)

// load loads from flags, an environment and the text of a .env file.
func load(t *testing.T, args []string, env map[string]string, dotenv string) (config.Config, error) {
	t.Helper()
	file := ""
	if dotenv != "" {
		file = filepath.Join(t.TempDir(), ".env")
		if err := os.WriteFile(file, []byte(dotenv), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	f := flag.NewFlagSet("larder", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	return config.Bind(f).Load(args, func(name string) (string, bool) { v, ok := env[name]; return v, ok }, file)
}

func TestDefaults(t *testing.T) {
	c, err := load(t, nil, nil, "")
	want := config.Config{
		Port: 3000, FrontendURLs: []string{"http://localhost:5173"}, JWTTTL: 168 * time.Hour,
		DatabaseURL: "sqlite:data/larder.db", DataDir: "./data", PingInterval: 25 * time.Second, PingTimeout: 20 * time.Second,
		ConnectTime: 10 * time.Second, DrainTime: 5 * time.Second, EventRetention: 720 * time.Hour, MaxPayload: 1_000_000, LogLevel: slog.LevelInfo, Timezone: time.UTC,
	}
	sameTimezone := cmp.Comparer(func(a, b *time.Location) bool { return a.String() == b.String() })
	if diff := cmp.Diff(want, c, sameTimezone); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if c.Address() != ":3000" {
		t.Errorf("address %q", c.Address())
	}
}

// Flag before environment before .env before default; an empty value is none.
func TestPrecedence(t *testing.T) {
	const flagged, env, file = "--port=1", "2", "PORT=3\n"
	for name, tc := range map[string]struct {
		args   []string
		env    map[string]string
		dotenv string
		want   int
	}{
		"all three":           {[]string{flagged}, map[string]string{"PORT": env}, file, 1},
		"environment":         {nil, map[string]string{"PORT": env}, file, 2},
		"file":                {nil, nil, file, 3},
		"default":             {nil, nil, "", 3000},
		"flag of the default": {[]string{"--port=3000"}, map[string]string{"PORT": env}, file, 3000},
		"empty environment":   {nil, map[string]string{"PORT": ""}, "", 3000},
		"empty, with a file":  {nil, map[string]string{"PORT": ""}, file, 3000},
		"empty in the file":   {nil, nil, "PORT=\n", 3000},
		"in quotes":           {nil, nil, "# mine\nexport PORT=\"4\" # so\n", 4},
		"bad but overridden":  {[]string{flagged}, map[string]string{"PORT": "x"}, "PORT=y", 1},
	} {
		t.Run(name, func(t *testing.T) {
			if c, err := load(t, tc.args, tc.env, tc.dotenv); err != nil || c.Port != tc.want {
				t.Errorf("got port %d, %v, want %d", c.Port, err, tc.want)
			}
		})
	}
}

// Every flag has its variable, and each can be set by it.
func TestEveryFlagHasAVariable(t *testing.T) {
	f := flag.NewFlagSet("larder", flag.ContinueOnError)
	config.Bind(f)
	values := map[string]string{
		"port": "80", "jwt-ttl": "1h", "ping-interval": "1s", "ping-timeout": "2s", "connect-timeout": "3s", "drain-time": "4s", "max-payload": "2MB",
		"timezone": "Asia/Kolkata", "log-level": "debug", "log-format": "json", "jwt-secret": "0123456789abcdef",
		"frontend-url": "https://a.example/, http://b.example:8080", "public-url": "https://api.example/larder/", "trusted-proxies": "127.0.0.1, 10.1.2.3/8,fd00::/8", "database-url": "sqlite:/tmp/x.db",
		"super-admin-email": "a@example.org", "super-admin-password": "long enough", "metrics-token": "fedcba9876543210",
		"ws-compression": "true", "s3-use-ssl": "false", "database-port": "1", "event-retention": "48h",
		"smtp-port": "25", "smtp-from": "a@example.org", "smtp-tls": "off",
	}
	env := map[string]string{}
	f.VisitAll(func(fl *flag.Flag) {
		v := values[fl.Name]
		if v == "" {
			v = "x"
		}
		env[config.EnvName(fl.Name)] = v
		if fl.Usage == "" {
			t.Errorf("--%s has no explanation", fl.Name)
		}
	})
	c, err := load(t, nil, env, "")
	want := config.Config{
		Host: "x", Port: 80, FrontendURLs: []string{"https://a.example", "http://b.example:8080"}, PublicURL: "https://api.example/larder",
		Proxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32"), netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}, JWTSecret: "0123456789abcdef",
		JWTTTL: time.Hour, DatabaseURL: "sqlite:/tmp/x.db", DataDir: "x", AdminEmail: "a@example.org", AdminPassword: "long enough",
		PingInterval: time.Second, PingTimeout: 2 * time.Second, ConnectTime: 3 * time.Second, DrainTime: 4 * time.Second, MaxPayload: 2_000_000,
		LogLevel: slog.LevelDebug, LogFormat: "json", Debug: "x", Timezone: c.Timezone,
		MetricsToken: "fedcba9876543210", WSCompression: true, EventRetention: 48 * time.Hour,
		S3:   config.S3{Endpoint: "x", Bucket: "x", AccessKey: "x", SecretKey: "x", Region: "x"},
		SMTP: config.SMTP{Host: "x", Port: 25, User: "x", Password: "x", From: "a@example.org", TLS: "off"},
	}
	same := cmp.Options{
		cmp.Comparer(func(a, b *time.Location) bool { return a == b }), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }),
	}
	if diff := cmp.Diff(want, c, same); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if c.Timezone == nil || c.Timezone.String() != "Asia/Kolkata" {
		t.Errorf("timezone %v", c.Timezone)
	}
}

func TestBounds(t *testing.T) {
	secret := strings.Repeat("x", auth.MinSecret) // what signing tokens asks for, too
	for name, tc := range map[string]struct{ good, bad []string }{
		"PORT":            {[]string{"0", "65535"}, []string{"-1", "65536", "x", "3000.5"}},
		"JWT_SECRET":      {[]string{secret}, []string{secret[1:]}},
		"METRICS_TOKEN":   {[]string{secret}, []string{secret[1:]}},
		"EVENT_RETENTION": {[]string{"0", "1h", "720h"}, []string{"-1h", "59m59s", "1ns", "30d", "x"}},
		"JWT_TTL":         {[]string{"1s", "8760h"}, []string{"0", "-1h", "7d", "x"}},
		"PING_INTERVAL":   {[]string{"1ms", "25s"}, []string{"0s", "-1s", "25", "999us"}},
		"PING_TIMEOUT":    {[]string{"1ms"}, []string{"0s", "20"}},
		"CONNECT_TIMEOUT": {[]string{"1s"}, []string{"0s", "soon"}},
		"DRAIN_TIME":      {[]string{"0s", "10m"}, []string{"-1s", "11m", "5"}},
		"MAX_PAYLOAD":     {[]string{"1", "1kB", "100 MB", "1 mb"}, []string{"0", "-1", "101MB", "1GB", "x", "1.5MB", "99999999999999999999"}},
		"FRONTEND_URL": {
			[]string{"http://a", "https://a.example:8443/", " http://a , https://b/ ,", "http://[::1]:3000"},
			[]string{"a.example", "ftp://a", "http://a/path", "http://a?x", "*", "http://", "http://a,b", "http://user@a", "http://a#x"},
		},
		"TRUSTED_PROXIES": {[]string{"127.0.0.1", "::1, 10.0.0.0/8 ,"}, []string{"proxy.example", "10.0.0.0/33", "10.0.0.1:80", "*"}},
		"PUBLIC_URL": {
			[]string{"http://a", "https://a.example:8443/", " https://a.example/larder/ "},
			[]string{"a.example", "ftp://a", "//a", "http://a?x", "http://", "http://user@a", "http://a#x", "javascript:alert(1)"},
		},
		"WS_COMPRESSION": {[]string{"true", "1", "false"}, []string{"yes", "deflate"}},
		"LOG_LEVEL":      {[]string{"debug", "INFO", "warn", "error"}, []string{"loud", "1"}},
		"LOG_FORMAT":     {[]string{"text", "json"}, []string{"xml", "JSON"}},
		"TIMEZONE":       {[]string{"UTC", "Europe/Berlin"}, []string{"Berlin", "../etc/passwd", "UTC+1"}},
		"DATABASE_URL": {
			[]string{"sqlite:x.db", "postgres://localhost/larder", "postgresql://u:p%40@[::1]:5432/x?sslmode=require", "postgres:///larder?host=/run/postgresql"},
			[]string{"x.db", "sqlite", "postgres", "postgres:localhost", "mysql://localhost/larder", "postgres://u:p@host:x/larder"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			for _, v := range tc.good {
				if _, err := load(t, nil, map[string]string{name: v}, ""); err != nil {
					t.Errorf("%q: %v", v, err)
				}
			}
			for _, v := range tc.bad {
				_, err := load(t, nil, map[string]string{name: v}, "")
				if err == nil || !strings.HasPrefix(err.Error(), name+":") || strings.Contains(err.Error(), "\n") {
					t.Errorf("%q: got %v, want one line that begins with %s", v, err, name)
				}
			}
		})
	}
}

// All faults come at once, each on a line of its own with the name of its variable.
func TestAllFaultsAtOnce(t *testing.T) {
	_, err := load(t, []string{"--log-format=xml"}, map[string]string{
		"PORT": "x", "JWT_TTL": "7d", "PING_INTERVAL": "-1s", "MAX_PAYLOAD": "huge", "SUPER_ADMIN_EMAIL": "a@example.org", "POSTGRES_DB": "larder",
	}, "TIMEZONE=Mars\nLOG_LEVEL=loud\n")
	if err == nil {
		t.Fatal("no error")
	}
	var names []string
	for line := range strings.Lines(err.Error()) {
		name, _, _ := strings.Cut(line, ":")
		names = append(names, name)
	}
	want := []string{"JWT_TTL", "PORT", "PING_INTERVAL", "SUPER_ADMIN_EMAIL", "MAX_PAYLOAD", "LOG_LEVEL", "LOG_FORMAT", "TIMEZONE", "DATABASE_HOST"}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("faults (-want +got):\n%s\n%v", diff, err)
	}
}

func TestOddInput(t *testing.T) {
	for name, tc := range map[string]struct {
		args   []string
		dotenv string
		want   string
	}{
		"argument":     {[]string{"start"}, "", `"start"`},
		"unknown flag": {[]string{"--colour=red"}, "", "colour"},
		"bad flag":     {[]string{"--port=x"}, "", "port"},
		"bad .env":     {nil, "PORT='3\nX", ".env"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := load(t, tc.args, nil, tc.dotenv); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %s named", err, tc.want)
			}
		})
	}
	if _, err := config.Bind(flag.NewFlagSet("x", flag.ContinueOnError)).Load(nil, os.LookupEnv, filepath.Join(t.TempDir(), "none")); err != nil {
		t.Errorf("a .env that is not there: %v", err)
	}
}
