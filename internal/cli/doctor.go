package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"larder/api"
	"larder/client"
	"larder/internal/config"
)

// doctor says in one line for each check what is wrong with a set-up: that of the
// server which answers, or that in which none would start.
func doctor(ctx context.Context, env Env, args []string) error {
	var o doctorOptions
	cfg, err := o.parse(env, args)
	if _, bad := errors.AsType[usageError](err); bad || errors.Is(err, flag.ErrHelp) {
		return err
	}
	d := &checkup{out: env.Stdout, http: &http.Client{
		Timeout: probeTimeout, Transport: &http.Transport{DisableKeepAlives: true, Proxy: http.ProxyFromEnvironment},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	d.base, d.name = strings.TrimRight(o.url, "/"), "server "+o.url
	if o.url == "" {
		port := strconv.Itoa(cmp.Or(cfg.Port, 3000)) // 0: asked for any, or the settings can't be read
		d.base, d.name = "http://localhost:"+port, "port "+port
		d.settings(err)
	}
	token := readToken(o.token)
	switch found := d.probe(ctx); {
	case found == larderAnswers:
		d.server(ctx, o, cfg, token)
	case o.url != "":
		d.hint("start it with larder serve; if it runs, check its port, and the firewall between here and there")
		d.tokenAlone(token)
	default:
		if err == nil {
			d.setUp(ctx, cfg, found)
		}
		d.tokenAlone(token)
	}
	if d.failed {
		return errReported
	}
	return nil
}

const (
	probeTimeout = 5 * time.Second // of one request
	maxProbe     = 64 << 10        // bytes of one answer
	smallSkew    = 5 * time.Second
	largeSkew    = 30 * time.Second
)

// doctorOptions are the flags of doctor itself.
type doctorOptions struct{ url, origin, token string }

// parse reads the own flags and those of a node. Only the latter are also taken
// from the environment under their own names: URL and TOKEN there mean other
// things. An error that is no usageError is a fault of the settings.
func (o *doctorOptions) parse(env Env, args []string) (config.Config, error) {
	f := newFlags(env, "doctor", "doctor [--url U] [--origin O] [--token T] [flags of serve]")
	f.StringVar(&o.url, "url", fromEnv(env, "LARDER_URL", ""), "server to look at (LARDER_URL; default: this machine, at PORT)")
	f.StringVar(&o.origin, "origin", "", "origin of a page that has to be let in, such as http://localhost:5173")
	f.StringVar(&o.token, "token", fromEnv(env, "LARDER_TOKEN", ""), "token that has to be accepted (LARDER_TOKEN)")
	own := map[string]bool{"url": true, "origin": true, "token": true}
	config.Bind(f)
	if err := parseOnly(f, args); err != nil {
		return config.Config{}, err
	}
	if u, err := url.Parse(o.url); o.url != "" && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https") {
		return config.Config{}, usageError{"--url must begin with http:// or https:// and name a host"}
	}
	var rest []string
	f.Visit(func(g *flag.Flag) {
		if !own[g.Name] {
			rest = append(rest, "--"+g.Name+"="+g.Value.String())
		}
	})
	return config.Bind(newFlags(env, "doctor", "doctor")).Load(rest, env.LookupEnv, config.DotEnv())
}

// checkup prints what it finds.
type checkup struct {
	out        io.Writer
	http       *http.Client
	base, name string // of the server
	failed     bool
}

func (d *checkup) ok(format string, args ...any) { d.line("ok  ", format, args...) }

func (d *checkup) hint(format string, args ...any) { d.line("hint", format, args...) }

func (d *checkup) fail(format string, args ...any) {
	d.failed = true
	d.line("FAIL", format, args...)
}

func (d *checkup) line(verdict, format string, args ...any) {
	fmt.Fprintf(d.out, "%s %s\n", verdict, printable(fmt.Sprintf(format, args...)))
}

// settings reports the faults of the settings, one line each.
func (d *checkup) settings(err error) {
	if err == nil {
		d.ok("settings: valid")
		return
	}
	for fault := range strings.SplitSeq(err.Error(), "\n") {
		d.fail("setting %s", fault)
	}
}

// finding is what answers where a server should be.
type finding int

const (
	nothingAnswers finding = iota + 1
	larderAnswers
	strangerAnswers
)

// probe finds out whether a Larder answers, and how it is.
func (d *checkup) probe(ctx context.Context) finding {
	a, err := d.get(ctx, "/health", "")
	if err != nil {
		if _, ok := errors.AsType[*net.OpError](err); ok || errors.Is(err, context.DeadlineExceeded) {
			if strings.HasPrefix(d.name, "server") {
				d.fail("%s: nothing answers (%v)", d.name, plain(err))
			}
			return nothingAnswers
		}
		d.fail("%s: something answers that is no Larder (%v)", d.name, plain(err))
		return strangerAnswers
	}
	var h api.Health
	if json.Unmarshal(a.body, &h) != nil || h.Status != "OK" && h.Status != "DOWN" {
		d.fail("%s: something answers that is no Larder (%s%s)", d.name, a.status, server(a.header))
		return strangerAnswers
	}
	d.ok("%s: Larder answers", d.name)
	if h.Status == "OK" {
		d.ok("health: OK")
	} else {
		d.fail("health: DOWN%s; the log of the server says why", checks(h.Checks))
	}
	d.clock(a)
	return larderAnswers
}

func server(h http.Header) string {
	if s := h.Get("Server"); s != "" {
		return ", " + s
	}
	return ""
}

func checks(m map[string]string) string {
	for name, result := range m {
		if result != "OK" && result != "ok" {
			return " (" + name + ": " + result + ")"
		}
	}
	return ""
}

// plain takes from an error of http.Client what is known anyway.
func plain(err error) error {
	if ue, ok := errors.AsType[*url.Error](err); ok {
		return ue.Err
	}
	return err
}

// answer is one answer of the server and when it came.
type answer struct {
	code        int
	status      string
	header      http.Header
	body        []byte
	asked, came time.Time
}

func (d *checkup) get(ctx context.Context, path, origin string) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.base+path, nil)
	if err != nil {
		return answer{}, err
	}
	if origin != "" {
		req.Header.Set("Origin", origin)
	}
	a := answer{asked: time.Now()}
	resp, err := d.http.Do(req)
	if err != nil {
		return a, err
	}
	defer resp.Body.Close()
	a.came = time.Now()
	a.code, a.status, a.header = resp.StatusCode, resp.Status, resp.Header
	a.body, err = io.ReadAll(io.LimitReader(resp.Body, maxProbe))
	return a, err
}

// clock compares the Date of an answer, which has whole seconds, with ours.
func (d *checkup) clock(a answer) {
	date, err := http.ParseTime(a.header.Get("Date"))
	if err != nil {
		return
	}
	ahead := time.Duration(0) // of the server
	switch {
	case date.Add(time.Second).Before(a.asked):
		ahead = date.Add(time.Second).Sub(a.asked)
	case date.After(a.came):
		ahead = date.Sub(a.came)
	}
	off := ahead.Abs().Round(time.Second)
	where := "behind"
	if ahead < 0 {
		where = "ahead of"
	}
	switch {
	case off > largeSkew:
		d.fail("clock: this machine is %s %s the server; tokens and expiry times are judged by the server's", off, where)
	case off > smallSkew:
		d.hint("clock: this machine is %s %s the server", off, where)
	default:
		d.ok("clock: agrees with the server's")
	}
}

// server checks what a client needs of a Larder that answers.
func (d *checkup) server(ctx context.Context, o doctorOptions, cfg config.Config, token tokenInfo) {
	polling := d.polling(ctx)
	d.webSocket(ctx, polling)
	if o.origin != "" {
		d.origin(ctx, o.origin, d.fail)
	} else if o.url == "" {
		for _, origin := range cfg.FrontendURLs {
			d.origin(ctx, origin, d.hint)
		}
	}
	d.token(ctx, token)
}

// handshake is the path that opens an Engine.IO session over polling (E-2).
const handshake = "/socket.io/?EIO=4&transport=polling"

func (d *checkup) polling(ctx context.Context) bool {
	a, err := d.get(ctx, handshake, "")
	switch {
	case err != nil:
		d.fail("polling: %v", plain(err))
	case !opened(a):
		d.fail("polling: the handshake was answered %s: %.120s", a.status, a.body)
	default:
		d.ok("polling: handshake answered")
		return true
	}
	return false
}

// opened says whether an answer is that of an opened session (E-6).
func opened(a answer) bool {
	var open struct {
		SID string `json:"sid"`
	}
	body, ok := strings.CutPrefix(string(a.body), "0")
	return a.code == http.StatusOK && ok && json.Unmarshal([]byte(body), &open) == nil && open.SID != ""
}

// webSocket connects without a token: to be refused for that is to have arrived.
func (d *checkup) webSocket(ctx context.Context, polling bool) {
	err := d.connect(ctx, "", "")
	if e, ok := errors.AsType[*api.Error](err); ok && e.Code == api.CodeTokenMissing {
		d.ok("websocket: handshake answered, namespace /donations is there")
		return
	}
	d.fail("websocket: %v", err)
	if polling {
		d.hint("polling works: a proxy in front has to pass on the headers Upgrade and Connection")
	}
}

// connect opens a live connection and closes it again.
func (d *checkup) connect(ctx context.Context, token, origin string) error {
	cfg := client.Config{BaseURL: d.base, Token: token}
	if origin != "" {
		cfg.Header = http.Header{"Origin": {origin}}
	}
	c, err := client.New(cfg)
	if err != nil {
		return err
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(ctx, 2*probeTimeout)
	defer cancel()
	conn, err := c.Connect(ctx)
	if err != nil {
		return err
	}
	return conn.Close()
}

// origin asks as a page of that origin would: by request and by both transports.
func (d *checkup) origin(ctx context.Context, origin string, bad func(format string, args ...any)) {
	origin = strings.TrimRight(origin, "/")
	u, err := url.Parse(origin)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.Path != "" || u.RawQuery != "" {
		bad("origin %s: is none; it is scheme, host and port, such as http://localhost:5173", origin)
		return
	}
	for _, path := range []string{"/health", handshake} {
		a, err := d.get(ctx, path, origin)
		if err != nil {
			bad("origin %s: %v", origin, plain(err))
			return
		}
		if allowed := a.header.Get("Access-Control-Allow-Origin"); allowed != origin && allowed != "*" {
			bad("origin %s: not allowed; add it to FRONTEND_URL", origin)
			return
		}
	}
	err = d.connect(ctx, "", origin)
	if e, ok := errors.AsType[*api.Error](err); !ok || e.Code != api.CodeTokenMissing {
		bad("origin %s: allowed for requests, refused for WebSockets: %v", origin, err)
		return
	}
	d.ok("origin %s: allowed", origin)
}
