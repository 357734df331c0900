// Package config reads the settings of a node: flag, else environment, else the
// file .env, else default. Each setting is one flag; its environment variable is
// the flag's name in capitals with underscores (--frontend-url, FRONTEND_URL), so
// that --help is the complete list.
//
// Load validates everything and reports all faults at once.
package config

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // TIMEZONE works on machines without a zone database

	"github.com/joho/godotenv"
)

// Config is the validated settings of a node.
type Config struct {
	Host          string
	Port          int // 0: any free one
	FrontendURLs  []string
	PublicURL     string         // where clients reach the server, without a slash at the end; empty: as each request says
	Proxies       []netip.Prefix // whose X-Forwarded-For is believed
	JWTSecret     string         // empty: made and kept in DataDir
	JWTTTL        time.Duration
	DatabaseURL   string // may hold a password: show DatabaseAddress
	DataDir       string
	AdminEmail    string
	AdminPassword string
	PingInterval  time.Duration
	PingTimeout   time.Duration
	ConnectTime   time.Duration
	DrainTime     time.Duration // 0: all clients at once
	MaxPayload    int           // bytes
	WSCompression bool
	LogLevel      slog.Level
	LogFormat     string // text, json, or empty: text on a terminal
	Debug         string
	Timezone      *time.Location
	MetricsToken  string // empty: metrics are for this machine alone

	EventRetention time.Duration // how long records of the log stay; 0: for ever

	S3 S3 // where files are kept, if not in DataDir

	SMTP SMTP // who takes the mails
}

// minSecret is the least number of bytes of what keeps strangers out: less can be
// guessed. It is auth.MinSecret, which this package does not import.
const minSecret = 16

// maxDrain bounds the drain: what stops a process kills it when it takes long.
const maxDrain = 10 * time.Minute

// minRetention bounds the retention below: clients that lost their connection must
// be able to come back to what they missed.
const minRetention = time.Hour

// Address is where the node listens.
func (c Config) Address() string { return net.JoinHostPort(c.Host, strconv.Itoa(c.Port)) }

// Settings are the flags of a node on their way to a Config.
type Settings struct {
	flags *flag.FlagSet
	other map[string]bool // flags of the command itself, which have no variable

	host, frontend, publicURL, proxies, secret, database, dataDir, adminEmail, adminPassword string
	logLevel, logFormat, debug, timezone, maxPayload, metricsToken                           string
	port                                                                                     int
	jwtTTL, pingInterval, pingTimeout, connectTimeout, drainTime                             time.Duration
	wsCompression                                                                            bool
	parts                                                                                    databaseParts
	s3                                                                                       S3
	smtp                                                                                     SMTP
	eventRetention                                                                           time.Duration
}

// Bind adds the flags of a node to f. Flags that are there already, those of the
// command itself, get no environment variable.
func Bind(f *flag.FlagSet) *Settings {
	s := &Settings{flags: f, other: map[string]bool{}}
	f.VisitAll(func(o *flag.Flag) { s.other[o.Name] = true })
	f.IntVar(&s.port, "port", 3000, "port to listen on; 0 takes a free one")
	f.StringVar(&s.host, "host", "", "address to listen on; empty: all interfaces")
	f.StringVar(&s.frontend, "frontend-url", "http://localhost:5173", "comma list of the origins that browsers may come from")
	f.StringVar(&s.publicURL, "public-url", "", "address of this server as clients see it, for the addresses of photos and certificates (default: that of the request)")
	f.StringVar(&s.proxies, "trusted-proxies", "", "comma list of the addresses or networks of proxies whose X-Forwarded-For is believed, such as 127.0.0.1,10.0.0.0/8")
	f.StringVar(&s.dataDir, "data-dir", "./data", "folder of database, secret and media")
	f.StringVar(&s.database, "database-url", "", "sqlite:PATH or postgres://USER:PASSWORD@HOST:PORT/NAME (default: larder.db in the data folder)")
	f.StringVar(&s.parts.host, "database-host", "", "host of PostgreSQL, or the folder of its socket: with the next five instead of database-url")
	f.IntVar(&s.parts.port, "database-port", 0, "port of PostgreSQL (default: 5432)")
	f.StringVar(&s.parts.user, "postgres-user", "", "user of PostgreSQL (default: postgres)")
	f.StringVar(&s.parts.password, "postgres-password", "", "password of that user")
	f.StringVar(&s.parts.name, "postgres-db", "", "database in PostgreSQL (default: the name of the user)")
	f.StringVar(&s.parts.ssl, "db-ssl", "", "TLS to PostgreSQL: false, true, or an sslmode such as verify-full (default: when the server has it)")
	f.StringVar(&s.secret, "jwt-secret", "", "secret that signs tokens, at least 16 bytes (default: made and kept in the data folder)")
	f.DurationVar(&s.jwtTTL, "jwt-ttl", 168*time.Hour, "how long a new token is valid")
	f.StringVar(&s.adminEmail, "super-admin-email", "", "e-mail of an admin account, added when unknown")
	f.StringVar(&s.adminPassword, "super-admin-password", "", "its password, at least 8 bytes")
	f.DurationVar(&s.pingInterval, "ping-interval", 25*time.Second, "Socket.IO heartbeat")
	f.DurationVar(&s.pingTimeout, "ping-timeout", 20*time.Second, "how long a client may take to answer it")
	f.DurationVar(&s.connectTimeout, "connect-timeout", 10*time.Second, "how long a connection may go without joining a namespace")
	f.DurationVar(&s.drainTime, "drain-time", 5*time.Second, "how long a stop may take to send many clients away in even steps; 0: all at once")
	f.StringVar(&s.maxPayload, "max-payload", "1MB", "largest Socket.IO message")
	f.BoolVar(&s.wsCompression, "ws-compression", false, "compress large Socket.IO messages on WebSockets: less traffic, more work")
	f.DurationVar(&s.eventRetention, "event-retention", 720*time.Hour, "how long events are kept for clients that were away, at least 1h; 0: for ever")
	s.s3.bind(f)
	s.smtp.bind(f)
	f.StringVar(&s.timezone, "timezone", "UTC", "where the day of an NGO's daily capacity begins")
	f.StringVar(&s.metricsToken, "metrics-token", "", "token that /metrics asks for, at least 16 bytes (default: only this machine may read it)")
	f.StringVar(&s.logLevel, "log-level", "info", "debug, info, warn or error")
	f.StringVar(&s.logFormat, "log-format", "", "text or json (default: text on a terminal)")
	f.StringVar(&s.debug, "debug", "", "comma list of wire logs to turn on: socket.io:*, engine:*")
	return s
}

// Load parses args, fills what they do not set from the environment and then
// from the file dotenv (empty: none), and validates. Faults are joined; each
// names its setting.
func (s *Settings) Load(args []string, lookup func(string) (string, bool), dotenv string) (Config, error) {
	if err := s.flags.Parse(args); err != nil {
		return Config{}, err
	}
	if s.flags.NArg() > 0 {
		return Config{}, fmt.Errorf("unexpected argument %q", s.flags.Arg(0))
	}
	file, err := read(dotenv)
	if err != nil {
		return Config{}, err
	}
	value := func(name string) string {
		if v, ok := lookup(name); ok {
			return v
		}
		return file[name]
	}
	faults := s.fill(value)
	c := s.validate(faults)
	return c, faults.join()
}

// faults are what is wrong, by variable: one is enough for each.
type faults struct{ list []fault }

type fault struct {
	name string
	err  error
}

func (f *faults) add(name, format string, args ...any) {
	for _, known := range f.list {
		if known.name == name {
			return
		}
	}
	f.list = append(f.list, fault{name, fmt.Errorf(name+": "+format, args...)})
}

func (f *faults) join() error {
	var errs []error
	for _, one := range f.list {
		errs = append(errs, one.err)
	}
	return errors.Join(errs...)
}

// read reads the file dotenv, if it is there.
func read(dotenv string) (map[string]string, error) {
	if dotenv == "" {
		return nil, nil
	}
	file, err := godotenv.Read(dotenv)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", dotenv, err)
	}
	return file, nil
}

// EnvName is the environment variable of a flag.
func EnvName(flagName string) string {
	return strings.ToUpper(strings.ReplaceAll(flagName, "-", "_"))
}

// fill sets every flag that the command line left alone. An empty variable counts
// as unset: .env templates are full of them.
func (s *Settings) fill(value func(name string) string) *faults {
	given := map[string]bool{}
	s.flags.Visit(func(f *flag.Flag) { given[f.Name] = true })
	found := &faults{}
	s.flags.VisitAll(func(f *flag.Flag) {
		v := value(EnvName(f.Name))
		if given[f.Name] || v == "" {
			return
		}
		if err := f.Value.Set(v); err != nil {
			found.add(EnvName(f.Name), "%q: %w", v, err)
		}
	})
	return found
}

func (s *Settings) validate(found *faults) Config {
	c := Config{
		Host: s.host, Port: s.port, JWTSecret: s.secret, JWTTTL: s.jwtTTL, DataDir: s.dataDir,
		AdminEmail: s.adminEmail, AdminPassword: s.adminPassword, PingInterval: s.pingInterval, PingTimeout: s.pingTimeout,
		ConnectTime: s.connectTimeout, DrainTime: s.drainTime, LogFormat: s.logFormat, Debug: s.debug,
		MetricsToken: s.metricsToken, WSCompression: s.wsCompression, EventRetention: s.eventRetention,
	}
	fault := func(name, format string, args ...any) { found.add(EnvName(name), format, args...) }
	if c.Port < 0 || c.Port > 65535 {
		fault("port", "%d is not a port", c.Port)
	}
	if c.JWTSecret != "" && len(c.JWTSecret) < minSecret {
		fault("jwt-secret", "at least %d bytes are needed", minSecret)
	}
	if c.MetricsToken != "" && len(c.MetricsToken) < minSecret {
		fault("metrics-token", "at least %d bytes are needed", minSecret)
	}
	for _, d := range []struct {
		name  string
		value time.Duration
	}{
		{"jwt-ttl", c.JWTTTL}, {"ping-interval", c.PingInterval}, {"ping-timeout", c.PingTimeout}, {"connect-timeout", c.ConnectTime},
	} {
		if d.value < time.Millisecond {
			fault(d.name, "%s is less than a millisecond", d.value)
		}
	}
	if c.DrainTime < 0 || c.DrainTime > maxDrain {
		fault("drain-time", "%s is not between 0 and %s", c.DrainTime, maxDrain)
	}
	if c.EventRetention != 0 && c.EventRetention < minRetention {
		fault("event-retention", "%s is less than %s; 0 keeps everything", c.EventRetention, minRetention)
	}
	if (c.AdminEmail == "") != (c.AdminPassword == "") {
		fault("super-admin-email", "e-mail and password of the admin go together")
	}
	var err error
	if c.FrontendURLs, err = origins(s.frontend); err != nil {
		fault("frontend-url", "%v", err)
	}
	if c.Proxies, err = prefixes(s.proxies); err != nil {
		fault("trusted-proxies", "%v", err)
	}
	if c.PublicURL, err = publicURL(s.publicURL); err != nil {
		fault("public-url", "%v", err)
	}
	if c.MaxPayload, err = parseBytes(s.maxPayload); err != nil {
		fault("max-payload", "%v", err)
	}
	if err := c.LogLevel.UnmarshalText([]byte(s.logLevel)); err != nil {
		fault("log-level", "%q is none of debug, info, warn, error", s.logLevel)
	}
	if c.LogFormat != "" && c.LogFormat != "text" && c.LogFormat != "json" {
		fault("log-format", "%q is neither text nor json", c.LogFormat)
	}
	if c.Timezone, err = time.LoadLocation(s.timezone); err != nil {
		fault("timezone", "%v", err)
	}
	var where string
	if c.S3, where, err = s.s3.validate(); err != nil {
		fault(where, "%v", err)
	}
	if c.SMTP, where, err = s.smtp.validate(); err != nil {
		fault(where, "%v", err)
	}
	if c.DatabaseURL, where, err = s.databaseURL(); err != nil {
		fault(where, "%v", err)
	}
	return c
}

// origins reads a comma list of origins, scheme and host each.
func origins(list string) ([]string, error) {
	var out []string
	for o := range strings.SplitSeq(list, ",") {
		o = strings.TrimRight(strings.TrimSpace(o), "/")
		if o == "" {
			continue
		}
		u, err := url.Parse(o)
		if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || *u != (url.URL{Scheme: u.Scheme, Host: u.Host}) {
			return nil, fmt.Errorf("%q is not an origin such as https://example.org", o)
		}
		out = append(out, o)
	}
	return out, nil
}

// prefixes reads a comma list of addresses and networks.
func prefixes(list string) (all []netip.Prefix, err error) {
	for one := range strings.SplitSeq(list, ",") {
		one = strings.TrimSpace(one)
		if one == "" {
			continue
		}
		p, err := netip.ParsePrefix(one)
		if a, addrErr := netip.ParseAddr(one); addrErr == nil {
			p, err = a.Unmap().WithZone("").Prefix(a.Unmap().BitLen())
		}
		if err != nil {
			return nil, fmt.Errorf("%q is neither an address nor a network such as 10.0.0.0/8", one)
		}
		all = append(all, p.Masked())
	}
	return all, nil
}

// publicURL reads an address that paths can be put behind.
func publicURL(s string) (string, error) {
	s = strings.TrimRight(strings.TrimSpace(s), "/")
	u, err := url.Parse(s)
	if s != "" && (err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" ||
		*u != (url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath})) {
		return "", fmt.Errorf("%q is not an address such as https://api.example.org", s)
	}
	return s, nil
}

// parseBytes reads a number of bytes with an optional kB or MB.
func parseBytes(s string) (int, error) {
	t := strings.ToLower(strings.ReplaceAll(s, " ", ""))
	unit := 1
	for suffix, n := range map[string]int{"kb": 1000, "mb": 1_000_000} {
		if rest, ok := strings.CutSuffix(t, suffix); ok {
			t, unit = rest, n
		}
	}
	n, err := strconv.Atoi(t)
	if err != nil || n < 1 || n*unit > 100_000_000 || n > 100_000_000 {
		return 0, fmt.Errorf("%q is not a size from 1 byte to 100 MB", s)
	}
	return n * unit, nil
}

// DotEnv is the file that is read beside the environment, if it is there.
func DotEnv() string {
	if _, err := os.Stat(".env"); err != nil {
		return ""
	}
	return ".env"
}
