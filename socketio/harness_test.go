package socketio_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"go.uber.org/goleak"

	"larder/internal/testkit/wire"
	"larder/socketio"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A host serves a Socket.IO server on an in-memory network. It lives inside a
// synctest bubble, which fails the test if a goroutine is left at its end.
type host struct {
	t   testing.TB
	srv *socketio.Server
	net *wire.Listener
}

func serve(t testing.TB, cfg socketio.Config, setup func(*socketio.Server)) *host {
	t.Helper()
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	srv, err := socketio.NewServer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	setup(srv)
	h := &host{t: t, srv: srv, net: wire.Serve(t, srv)}
	t.Cleanup(func() {
		if err := srv.Shutdown(context.Background()); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		if n := srv.Len(); n != 0 {
			t.Errorf("%d connections left", n)
		}
	})
	return h
}

// A frame is an Engine.IO packet as a client sees it: text, or binary data.
type frame struct {
	text string
	data []byte
}

func (f frame) String() string {
	if f.data != nil {
		return fmt.Sprintf("binary %x", f.data)
	}
	return f.text
}

// A link is one Engine.IO connection of a client. read returns an error once
// the connection is closed; write may lose what it is given.
type link interface {
	write(frames ...frame)
	read() (frame, error)
	close()
}

// A peer is a client that says exactly what the test says.
type peer struct {
	t testing.TB
	link
}

// eachTransport runs a test in a bubble of its own for each transport.
func eachTransport(t *testing.T, test func(t *testing.T, open func(*host) *peer)) {
	t.Run("websocket", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) { test(t, (*host).websocket) })
	})
	t.Run("polling", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) { test(t, (*host).polling) })
	})
}

// websocket connects with a client that is nobody's here, so that both ends are
// not wrong in the same way.
func (h *host) websocket() *peer {
	h.t.Helper()
	ws, _, err := websocket.Dial(h.t.Context(), wire.URL+"/socket.io/?EIO=4&transport=websocket",
		&websocket.DialOptions{HTTPClient: h.net.Client()})
	if err != nil {
		h.t.Fatal(err)
	}
	ws.SetReadLimit(1 << 24)
	l := &wsLink{ws}
	h.t.Cleanup(l.close)
	if f, err := l.read(); err != nil || !strings.HasPrefix(f.text, "0{") {
		h.t.Fatalf("open packet: got %v, %v", f, err)
	}
	return &peer{h.t, l}
}

type wsLink struct{ ws *websocket.Conn }

func (l *wsLink) write(frames ...frame) {
	for _, f := range frames {
		kind, data := websocket.MessageText, []byte(f.text)
		if f.data != nil {
			kind, data = websocket.MessageBinary, f.data
		}
		_ = l.ws.Write(context.Background(), kind, data)
	}
}

func (l *wsLink) read() (frame, error) {
	kind, data, err := l.ws.Read(context.Background())
	if kind == websocket.MessageBinary {
		return frame{data: data}, err
	}
	return frame{text: string(data)}, err
}

func (l *wsLink) close() { _ = l.ws.CloseNow() }

func (h *host) polling() *peer {
	h.t.Helper()
	p := wire.Polling{Client: h.net.Client(), Base: wire.URL + "/socket.io/"}
	if _, err := p.Open(h.t.Context()); err != nil {
		h.t.Fatal(err)
	}
	l := &pollLink{get: p, post: p}
	h.t.Cleanup(l.close)
	return &peer{h.t, l}
}

type pollLink struct {
	get, post wire.Polling // one to read, one to write
	waiting   []frame
}

const separator = "\x1e"

func (l *pollLink) write(frames ...frame) {
	var texts []string
	for _, f := range frames {
		if f.data != nil {
			f.text = "b" + base64.StdEncoding.EncodeToString(f.data)
		}
		texts = append(texts, f.text)
	}
	_, _ = l.post.Post(context.Background(), strings.Join(texts, separator))
}

func (l *pollLink) read() (frame, error) {
	if len(l.waiting) == 0 {
		if err := l.poll(); err != nil {
			return frame{}, err
		}
	}
	f := l.waiting[0]
	l.waiting = l.waiting[1:]
	if f.text == "1" {
		return frame{}, errors.New("close packet")
	}
	return f, nil
}

func (l *pollLink) poll() error {
	reply, err := l.get.Get(context.Background())
	if err != nil {
		return err
	}
	if reply.Status != http.StatusOK {
		return fmt.Errorf("status %d: %s", reply.Status, reply.Body)
	}
	for text := range strings.SplitSeq(reply.Body, separator) {
		f := frame{text: text}
		if encoded, ok := strings.CutPrefix(text, "b"); ok {
			if f.data, err = base64.StdEncoding.DecodeString(encoded); err != nil {
				return err
			}
		}
		l.waiting = append(l.waiting, f)
	}
	return nil
}

func (l *pollLink) close() { l.get.Client.CloseIdleConnections() }

// send writes Socket.IO packets, without the 4 of the message around them.
func (p *peer) send(packets ...string) {
	var frames []frame
	for _, text := range packets {
		frames = append(frames, frame{text: "4" + text})
	}
	p.write(frames...)
}

func (p *peer) sendBinary(data ...[]byte) {
	var frames []frame
	for _, b := range data {
		frames = append(frames, frame{data: b})
	}
	p.write(frames...)
}

// patience is how long, on the bubble's clock, a client waits for anything.
const patience = 10 * time.Minute

// next returns the next message, and answers pings on the way.
func (p *peer) next() frame {
	p.t.Helper()
	start := time.Now()
	for {
		f, err := p.read()
		switch {
		case err != nil:
			p.t.Fatalf("connection closed: %v", err)
		case time.Since(start) > patience:
			p.t.Fatalf("nothing but pings for %v", patience)
		case f.text == "2":
			p.write(frame{text: "3"})
		case f.data != nil:
			return f
		case strings.HasPrefix(f.text, "4"):
			return frame{text: f.text[1:]}
		default:
			p.t.Fatalf("unexpected packet %s", f)
		}
	}
}

// expect reads messages and compares them; SID in want stands for a socket id.
func (p *peer) expect(want ...string) {
	p.t.Helper()
	for _, w := range want {
		if got := p.next(); !matches(w, got.String()) {
			p.t.Fatalf("got %s, want %s", got, w)
		}
	}
}

var sidPattern = regexp.MustCompile(`"sid":"([^"]+)"`)

func matches(want, got string) bool {
	pattern := strings.ReplaceAll(regexp.QuoteMeta(want), "SID", "[0-9A-Za-z_-]{20,}")
	return regexp.MustCompile(`^(?s:` + pattern + `)$`).MatchString(got)
}

// connect joins a namespace and returns the socket id.
func (p *peer) connect(namespace, auth string) string {
	p.t.Helper()
	prefix := "0"
	if namespace != "/" {
		prefix += namespace + ","
	}
	p.send(prefix + auth)
	got := p.next().text
	if !matches(prefix+`{"sid":"SID"}`, got) {
		p.t.Fatalf("CONNECT answer: got %s", got)
	}
	return sidPattern.FindStringSubmatch(got)[1]
}

// expectClosed reads until the connection is closed, which must be at once: in
// the end every connection would be, by some timeout.
func (p *peer) expectClosed() {
	p.t.Helper()
	start := time.Now()
	p.expectClosedLater()
	if took := time.Since(start); took > 0 {
		p.t.Fatalf("closed only after %v", took)
	}
}

// expectClosedLater reads until the connection is closed; only pings, which it
// answers, may come before.
func (p *peer) expectClosedLater() {
	p.t.Helper()
	start := time.Now()
	for {
		f, err := p.read()
		switch {
		case err != nil:
			return
		case time.Since(start) > patience:
			p.t.Fatalf("still open after %v", patience)
		case f.text == "2":
			p.write(frame{text: "3"})
		case f.text != "6":
			p.t.Fatalf("got %s, want the end of the connection", f)
		}
	}
}

// record is a list that handlers write to and tests read.
type record struct {
	mu   sync.Mutex
	list []string
}

func (r *record) add(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.list = append(r.list, fmt.Sprintf(format, args...))
}

func (r *record) take() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := strings.Join(r.list, "; ")
	r.list = nil
	return all
}

// event makes an Event of JSON texts.
func event(t testing.TB, name string, args ...string) *socketio.Event {
	t.Helper()
	ev, err := socketio.NewEvent(name, raw(args...)...)
	if err != nil {
		t.Fatal(err)
	}
	return ev
}

// wait lets the clock of the bubble run.
func wait(d time.Duration) { <-time.After(d) }
