package main

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"
	"go.uber.org/goleak"

	"larder/internal/testkit/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A rig is the server under test on an in-memory network, in a bubble, seen
// from one of its two paths.
type rig struct {
	*testing.T
	path   string
	net    *wire.Listener
	client *http.Client
}

// bubble runs a test on a rig of its own. A goroutine that is left after the
// server was shut down fails it.
func bubble(t *testing.T, path string, test func(r *rig)) {
	synctest.Test(t, func(t *testing.T) {
		h, err := newHandler(slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug})), false)
		if err != nil {
			t.Fatal(err)
		}
		r := &rig{T: t, path: path, net: wire.Serve(t, h)}
		r.client = r.net.Client()
		t.Cleanup(func() {
			r.client.CloseIdleConnections()
			if err := h.Shutdown(context.Background()); err != nil {
				t.Errorf("Shutdown: %v", err)
			}
		})
		test(r)
	})
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// pass lets the clock of the bubble run.
func (r *rig) pass(d time.Duration) { <-time.After(d) }

func (r *rig) do(method, query string) wire.Reply {
	r.Helper()
	reply, err := wire.Do(r.Context(), r.client, method, wire.URL+r.path+query, "", nil, "")
	if err != nil {
		r.Fatal(err)
	}
	return reply
}

// open opens a polling session.
func (r *rig) open() *wire.Polling {
	r.Helper()
	p := &wire.Polling{Client: r.client, Base: wire.URL + r.path}
	if _, err := p.Open(r.Context()); err != nil {
		r.Fatalf("open: %v", err)
	}
	return p
}

func (r *rig) get(p *wire.Polling) wire.Reply {
	r.Helper()
	reply, err := p.Get(r.Context())
	if err != nil {
		r.Fatalf("GET: %v", err)
	}
	return reply
}

func (r *rig) post(p *wire.Polling, body string) wire.Reply {
	r.Helper()
	reply, err := p.Post(r.Context(), body)
	if err != nil {
		r.Fatalf("POST: %v", err)
	}
	return reply
}

// hold starts a GET and waits until it is held or answered.
func (r *rig) hold(p *wire.Polling) <-chan wire.Reply {
	done := make(chan wire.Reply, 1)
	go func() {
		reply, err := p.Get(r.Context())
		if err != nil {
			reply.Body = err.Error()
		}
		done <- reply
	}()
	synctest.Wait()
	return done
}

// abortedGet starts a GET and gives it up after d.
func (r *rig) abortedGet(p *wire.Polling, d time.Duration) {
	r.Helper()
	ctx, cancel := context.WithTimeout(r.Context(), d)
	defer cancel()
	if reply, err := p.Get(ctx); err == nil {
		r.Fatalf("GET: got %d %q, want it held until it is given up", reply.Status, reply.Body)
	}
}

func (r *rig) want(reply wire.Reply, body string) {
	r.Helper()
	if reply.Status != http.StatusOK || reply.Body != body {
		r.Fatalf("reply: got %d %q, want 200 %q", reply.Status, reply.Body, body)
	}
}

// refused wants a 400 with a code of E-4.
func (r *rig) refused(reply wire.Reply, code int) {
	r.Helper()
	var body struct{ Code int }
	if err := json.Unmarshal([]byte(reply.Body), &body); err != nil || reply.Status != 400 || body.Code != code {
		r.Fatalf("reply: got %d %q (%v), want 400 with code %d", reply.Status, reply.Body, err, code)
	}
}

func (r *rig) dial(query string) *wire.WebSocket {
	r.Helper()
	c, err := wire.DialWebSocket(r.Context(), r.net.Dial, r.path+query, nil)
	if err != nil {
		r.Fatalf("dial: %v", err)
	}
	r.Cleanup(c.Abort)
	return c
}

func (r *rig) dialRefused(query string) {
	r.Helper()
	_, err := wire.DialWebSocket(r.Context(), r.net.Dial, r.path+query, nil)
	if refused, ok := errors.AsType[*wire.Refused](err); !ok || refused.Reply.Status != 400 {
		r.Fatalf("dial %s: got %v, want a refusal with 400", query, err)
	}
}

// connect opens a session on a WebSocket.
func (r *rig) connect() *wire.WebSocket {
	r.Helper()
	c := r.dial("?EIO=4&transport=websocket")
	if got := r.read(c); !strings.HasPrefix(got, "0{") {
		r.Fatalf("open packet: got %q", got)
	}
	return c
}

// probe begins the upgrade of a session.
func (r *rig) probe(p *wire.Polling) *wire.WebSocket {
	r.Helper()
	c := r.dial("?EIO=4&transport=websocket&sid=" + p.SID)
	r.text(c, "2probe")
	return c
}

func (r *rig) text(c *wire.WebSocket, s string) {
	r.Helper()
	if err := c.Text(s); err != nil {
		r.Fatalf("send %q: %v", s, err)
	}
}

func (r *rig) read(c *wire.WebSocket) string {
	r.Helper()
	s, err := c.ReadText()
	if err != nil {
		r.Fatalf("read: %v", err)
	}
	return s
}

func (r *rig) wantText(c *wire.WebSocket, want string) {
	r.Helper()
	if got := r.read(c); got != want {
		r.Fatalf("frame: got %q, want %q", got, want)
	}
}

// wantClosed wants a close frame as the next thing.
func (r *rig) wantClosed(c *wire.WebSocket) {
	r.Helper()
	_, err := c.ReadText()
	if _, ok := errors.AsType[*wire.Closed](err); !ok {
		r.Fatalf("read: got %v, want a close frame", err)
	}
	c.Abort()
}

// A frame is an Engine.IO packet: text, or binary data.
type frame struct {
	text string
	data []byte
}

func (f frame) String() string {
	if f.data != nil {
		return fmt.Sprintf("x %x", f.data)
	}
	return f.text
}

// A link is one connection of a client that plays a transcript. read fails once
// the connection is closed.
type link interface {
	write(frames []frame)
	read() (frame, error)
}

var links = map[string]func(*rig) link{
	"WebSocket": func(r *rig) link { return wsLink{r.connect()} },
	"polling":   func(r *rig) link { return &pollLink{p: r.open()} },
}

type wsLink struct{ c *wire.WebSocket }

func (l wsLink) write(frames []frame) {
	for _, f := range frames {
		if f.data != nil {
			_ = l.c.Binary(f.data)
		} else {
			_ = l.c.Text(f.text)
		}
	}
}

func (l wsLink) read() (frame, error) {
	switch op, data, err := l.c.Read(); {
	case err != nil:
		return frame{}, err
	case op == ws.OpClose:
		l.c.Abort()
		return frame{}, errors.New("closed")
	case op == ws.OpBinary:
		return frame{data: data}, nil
	default:
		return frame{text: string(data)}, nil
	}
}

type pollLink struct {
	p       *wire.Polling
	waiting []frame
}

func (l *pollLink) write(frames []frame) {
	var texts []string
	for _, f := range frames {
		if f.data != nil {
			f.text = "b" + base64.StdEncoding.EncodeToString(f.data)
		}
		texts = append(texts, f.text)
	}
	_, _ = l.p.Post(context.Background(), strings.Join(texts, "\x1e"))
}

func (l *pollLink) read() (frame, error) {
	if len(l.waiting) == 0 {
		reply, err := l.p.Get(context.Background())
		if err != nil || reply.Status != http.StatusOK {
			return frame{}, fmt.Errorf("status %d: %w", reply.Status, err)
		}
		for text := range strings.SplitSeq(reply.Body, "\x1e") {
			f := frame{text: text}
			if code, ok := strings.CutPrefix(text, "b"); ok {
				if f.data, err = base64.StdEncoding.DecodeString(code); err != nil {
					return frame{}, err
				}
			}
			l.waiting = append(l.waiting, f)
		}
	}
	f := l.waiting[0]
	l.waiting = l.waiting[1:]
	if f.text == "1" {
		return frame{}, errors.New("closed")
	}
	return f, nil
}

// play plays a transcript, which is written like those of package socketio:
//
//	> 42["e"]   the client sends it; lines with + follow in the same POST
//	< 43[1]     the server sends it; SID stands for a socket id
//	< x 0102    a binary message, in hexadecimal; the same with >
//	closed 1s   the server closes after that time, though pings are answered
//	# text      a remark
func play(r *rig, l link, script string) {
	var out []frame
	for number, line := range strings.Split(strings.TrimSpace(script), "\n") {
		if line == "" || line[0] == '#' {
			continue
		}
		op, text, _ := strings.Cut(line, " ")
		if op != "+" && len(out) > 0 {
			l.write(out)
			out = nil
		}
		f := frame{text: text}
		if code, ok := strings.CutPrefix(text, "x "); ok {
			data, err := hex.DecodeString(code)
			if err != nil {
				r.Fatalf("line %d: %v", number+1, err)
			}
			f = frame{data: data}
		}
		switch op {
		case ">", "+":
			out = append(out, f)
		case "<":
			got, err := l.read()
			if err != nil || !matches(f.String(), got.String()) {
				r.Fatalf("line %d: got %s (%v), want %s", number+1, got, err, f)
			}
		case "closed":
			after, err := time.ParseDuration(text)
			if err != nil {
				r.Fatalf("line %d: %v", number+1, err)
			}
			closed(r, l, after)
		default:
			r.Fatalf("line %d: what is %q?", number+1, line)
		}
	}
	if len(out) > 0 {
		r.Fatal("a transcript ends with what the server says")
	}
}

func matches(want, got string) bool {
	pattern := strings.ReplaceAll(regexp.QuoteMeta(want), "SID", "[0-9A-Za-z_-]{20,}")
	return regexp.MustCompile(`^(?s:` + pattern + `)$`).MatchString(got)
}

// closed answers pings until the connection is closed, which must be after
// exactly that time: in the end every connection would be, by some timeout.
func closed(r *rig, l link, after time.Duration) {
	r.Helper()
	start := time.Now()
	for {
		f, err := l.read()
		switch took := time.Since(start); {
		case err != nil && took == after:
			return
		case err != nil || took > time.Minute:
			r.Fatalf("closed after %v (%v), want %v", took, err, after)
		case f.text == "2":
			l.write([]frame{{text: "3"}})
		case f.text != "6":
			r.Fatalf("got %s, want the end of the connection", f)
		}
	}
}
