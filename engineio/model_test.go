package engineio_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"
	"pgregory.net/rapid"

	"larder/engineio"
	"larder/internal/testkit/wire"
)

// A step is one thing that a client, its network or the application does.
type step struct {
	do  string
	arg int
}

func (s step) String() string { return s.do + " " + strconv.Itoa(s.arg) }

// moves are what a step may be; what is named more often happens more often.
var moves = []string{
	"get", "get", "get", "abort get", "post", "post", "post", "pong", "pong", "pass", "pass", "pass",
	"post bad", "post close", "post big", "post octets", "post slowly", "post the rest", "post no more",
	"dial", "probe", "probe", "upgrade", "frame", "frame", "frame", "frame",
	"bad frame", "frame ping", "frame close", "packet close", "cut", "send", "send", "send", "send", "close",
	"take over", "take over", "take over", "read no more", "read on",
}

// TestSessionIsItsModel plays any order of polls, posts, probes, upgrades,
// aborts and closes, with a sender that sends at any time, and holds the
// promises of E-20 to E-51 and of the package, O1 to O3, against it.
func TestSessionIsItsModel(t *testing.T) {
	draw := rapid.Custom(func(t *rapid.T) step {
		return step{rapid.SampledFrom(moves).Draw(t, "do"), rapid.IntRange(0, 5).Draw(t, "arg")}
	})
	// Rare orders that are worth to be played each time.
	for name, steps := range map[string][]step{
		"a POST that ends after the upgrade": {{"post slowly", 0}, {"take over", 2}, {"frame", 5}, {"post the rest", 0}},
		"a POST that is cut by the upgrade":  {{"post slowly", 0}, {"take over", 2}, {"post no more", 0}, {"frame", 5}},
		"a peer that does not read":          {{"take over", 2}, {"read no more", 5}, {"send", 1}, {"send", 2}, {"send", 0}},
	} {
		t.Run(name, func(t *testing.T) {
			for end := range 4 {
				synctest.Test(t, func(t *testing.T) {
					if faults := playSession(t, false, steps, end); len(faults) > 0 {
						t.Errorf("end %d: %s", end, strings.Join(faults, "\n"))
					}
				})
			}
		})
	}
	rapid.Check(t, func(rt *rapid.T) {
		onWebSocket := rapid.IntRange(0, 4).Draw(rt, "transport") == 0
		steps := rapid.SliceOfN(draw, 1, 60).Draw(rt, "steps")
		end := rapid.IntRange(0, 3).Draw(rt, "end")
		var faults []string
		synctest.Test(t, func(t *testing.T) { faults = playSession(t, onWebSocket, steps, end) })
		if len(faults) > 0 {
			rt.Fatalf("WebSocket from the start: %v, steps %v, end %d:\n%s",
				onWebSocket, steps, end, strings.Join(faults, "\n"))
		}
	})
}

// A play is one session, its client, and what is known of both.
type play struct {
	t       *testing.T
	srv     *engineio.Server
	net     *wire.Listener
	poll    wire.Polling
	app     *scripted
	sid     string
	began   time.Time
	sent    int                      // messages of the server
	said    int                      // messages of the client
	acked   []int                    // of them those in a POST that was answered "ok"
	may     map[engineio.Reason]bool // why it may close, after what happened
	slow    *longPost                // one that is under way
	probes  []*probing               // every WebSocket there was
	mustEnd string                   // what has to have closed it by now
	posts   atomic.Int64             // running
	mu      sync.Mutex               // guards what follows
	gets    []*get
	polled  []int // messages that came by poll
	pings   int   // not answered yet
	noops   bool  // a poll may end with a noop: a probe was answered, or we said 1
	faults  []string
}

type get struct {
	cancel  context.CancelFunc
	aborted bool
	ended   bool
	status  int
	body    string
}

type longPost struct {
	w    *io.PipeWriter
	said int
}

type probing struct {
	*wire.WebSocket
	upgraded bool          // we sent 5
	stopped  chan struct{} // closed when it may be read again; nil while it is read
	got      []int
	ended    bool
}

func (p *play) fault(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults = append(p.faults, fmt.Sprintf(format, args...))
}

// scripted is the application: it notes what it gets, and each breach of O3.
type scripted struct {
	*engineio.Session
	p        *play
	busy     atomic.Bool
	mu       sync.Mutex
	got      []int
	upgrades int
	causes   []engineio.Cause
}

func (a *scripted) enter() {
	if a.busy.Swap(true) {
		a.p.fault("the receiver was called while it was busy or after Closed")
	}
}

func (a *scripted) Receive(text []byte) error {
	a.enter()
	defer a.busy.Store(false)
	a.mu.Lock()
	defer a.mu.Unlock()
	n, err := strconv.Atoi(strings.TrimPrefix(string(text), "c"))
	a.got = append(a.got, n)
	return err
}

func (a *scripted) ReceiveBinary(data []byte) error { return a.Receive(data) }

func (a *scripted) Upgraded() {
	a.enter()
	defer a.busy.Store(false)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.upgrades++
}

func (a *scripted) Closed(c engineio.Cause) {
	a.enter() // for good
	a.mu.Lock()
	defer a.mu.Unlock()
	a.causes = append(a.causes, c)
}

func (a *scripted) reason() engineio.Reason {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.causes) == 0 {
		return ""
	}
	return a.causes[0].Reason
}

// oneWriter sees that nobody writes to a connection while somebody does (E-43).
type oneWriter struct {
	net.Listener
	p *play
}

func (l oneWriter) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return &watchedConn{Conn: c, p: l.p}, err
}

type watchedConn struct {
	net.Conn
	p       *play
	writing atomic.Bool
}

func (c *watchedConn) Write(b []byte) (int, error) {
	if c.writing.Swap(true) {
		c.p.fault("two writers on one connection")
	}
	defer c.writing.Store(false)
	return c.Conn.Write(b)
}

const modelMax = 200 // MaxPayload

func playSession(t *testing.T, onWebSocket bool, steps []step, end int) []string {
	p := &play{t: t, net: wire.Listen(), began: time.Now(), may: make(map[engineio.Reason]bool)}
	var err error
	p.srv, err = engineio.NewServer(engineio.Config{
		Path: "/engine.io/", PingInterval: 2 * time.Second, PingTimeout: time.Second,
		UpgradeTimeout: time.Second, WriteTimeout: time.Second, ReadTimeout: time.Second, MaxPayload: modelMax,
	}, func(s *engineio.Session) engineio.Receiver {
		p.app = &scripted{Session: s, p: p}
		return p.app
	})
	if err != nil {
		t.Fatal(err)
	}
	web := &http.Server{Handler: p.srv, ReadHeaderTimeout: time.Minute}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = web.Serve(oneWriter{p.net, p})
	}()
	p.poll = wire.Polling{Client: p.net.Client(), Base: wire.URL + "/engine.io/"}
	if onWebSocket {
		p.dial("")
	} else if _, err := p.poll.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	synctest.Wait()
	p.sid = p.app.ID()
	p.poll.SID = p.sid
	for _, s := range steps {
		p.step(s)
		p.check(s.String())
	}
	p.drain()
	p.end(end)
	p.poll.Client.CloseIdleConnections()
	_ = web.Close()
	<-served
	for _, c := range p.probes {
		c.Abort()
	}
	return p.faults
}

func (p *play) open() bool { return p.app.reason() == "" }

func (p *play) polling() bool { return p.app.Transport() == engineio.Polling }

// held returns the GET that has no answer.
func (p *play) held() *get {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, g := range p.gets {
		if !g.ended {
			return g
		}
	}
	return nil
}

// step does one thing, and waits until all that follows at once has happened.
func (p *play) step(s step) {
	usable := p.open() && p.polling()
	switch s.do {
	case "get":
		if usable && p.held() != nil { // E-26
			p.must("a second GET", engineio.ReasonTransportError)
		}
		p.get()
	case "abort get":
		if g := p.held(); g != nil {
			g.aborted = true
			p.may[engineio.ReasonTransportError] = true
			if usable {
				p.mustEnd = "an aborted GET" // E-28
			}
			g.cancel()
		}
	case "post", "post bad", "post close", "post big", "post octets":
		p.post(s, usable)
	case "post slowly", "post the rest", "post no more":
		p.postSlowly(s, usable)
	case "pong":
		p.pong()
	case "dial":
		p.dial(p.sid)
	case "probe", "upgrade", "frame", "bad frame", "frame ping", "frame close", "packet close", "cut",
		"read no more", "read on":
		if len(p.probes) > 0 {
			i := len(p.probes) - 1 // mostly the last
			if s.arg < 2 {
				i = s.arg % len(p.probes)
			}
			p.frame(s.do, p.probes[i])
		}
	case "take over":
		p.dial(p.sid)
		c := p.probes[max(0, len(p.probes)-1):]
		if len(c) == 0 || p.text(c[0], "2probe") != nil || s.arg == 0 {
			break
		}
		if s.arg == 1 && usable && p.held() == nil && p.slow == nil {
			p.get() // it may be too late
		}
		c[0].upgraded = true
		_ = p.text(c[0], "5")
	case "send":
		p.send(s.arg)
	case "close":
		if s.arg == 0 {
			p.may[byServer] = true
			if p.open() {
				p.mustEnd = "Close"
			}
			p.app.Close(byServer)
		}
	case "pass":
		<-time.After([]time.Duration{1, 60, 150, 500, 1000, 2500}[s.arg] * time.Millisecond)
	}
	synctest.Wait()
}

// must says why the session has to close now.
func (p *play) must(why string, reason engineio.Reason) {
	p.mustEnd = why
	p.may[reason] = true
}

func (p *play) send(n int) {
	var batch []*engineio.Message
	for i := range n%3 + 1 {
		p.sent++
		text := []byte("s" + strconv.Itoa(p.sent))
		if (n+i)%2 == 0 {
			batch = append(batch, engineio.NewMessage(text))
		} else {
			batch = append(batch, engineio.NewBinaryMessage(text))
		}
	}
	if err := p.app.Send(batch...); err != nil {
		p.sent -= len(batch)
		if !errors.Is(err, engineio.ErrClosed) {
			p.fault("Send: %v", err)
		}
	}
}

func (p *play) get() {
	ctx, cancel := context.WithCancel(p.t.Context())
	g := &get{cancel: cancel}
	p.mu.Lock()
	p.gets = append(p.gets, g)
	p.mu.Unlock()
	go func() {
		defer cancel()
		reply, err := p.poll.Get(ctx)
		p.mu.Lock()
		defer p.mu.Unlock()
		g.ended, g.status, g.body = true, reply.Status, reply.Body
		if err != nil {
			if !g.aborted {
				p.faults = append(p.faults, "GET: "+err.Error())
			}
			return
		}
		p.tookLocked(g)
	}()
}

// tookLocked reads the answer of a GET.
func (p *play) tookLocked(g *get) {
	fault := func() { p.faults = append(p.faults, fmt.Sprintf("GET: got %d %q", g.status, g.body)) }
	if g.status != http.StatusOK {
		if g.status != http.StatusBadRequest ||
			!strings.HasPrefix(g.body, `{"code":1,`) && !strings.HasPrefix(g.body, `{"code":3,`) {
			fault()
		}
		return
	}
	packets, err := parsePayload([]byte(g.body))
	if err != nil {
		fault()
	}
	for _, packet := range packets {
		switch packet.Type {
		case engineio.PacketMessage:
			p.polled = append(p.polled, number(packet.Data))
		case engineio.PacketPing:
			p.pings++
		case engineio.PacketNoop:
			if !p.noops || len(packets) > 1 { // E-46
				fault()
			}
		case engineio.PacketClose:
			if len(packets) > 1 { // E-31
				fault()
			}
		default:
			fault()
		}
	}
}

func number(data []byte) int {
	n, err := strconv.Atoi(strings.TrimPrefix(string(data), "s"))
	if err != nil {
		return -1
	}
	return n
}

func (p *play) post(s step, usable bool) {
	var body []string
	first := p.said
	for range s.arg%3 + 1 {
		p.said++
		body = append(body, "4c"+strconv.Itoa(p.said))
	}
	kind, fatal := "text/plain", engineio.Reason("")
	switch s.do {
	case "post bad":
		body, fatal = append(body, []string{"x", "", "2", "b!", "7"}[s.arg%5]), engineio.ReasonParseError
	case "post close":
		body, fatal = append(body, "1"), engineio.ReasonTransportClose
		p.mu.Lock()
		p.noops = true // E-30
		p.mu.Unlock()
	case "post big":
		body = append(body, "4"+strings.Repeat("x", modelMax))
	case "post octets":
		kind, fatal = "application/octet-stream", engineio.ReasonTransportError
	}
	switch {
	case !usable:
	case p.slow != nil: // E-27
		p.must("a second POST", engineio.ReasonTransportError)
	case fatal != "":
		p.must(s.do, fatal)
	}
	slow := p.slow != nil
	reply, err := p.poll.Do(p.t.Context(), http.MethodPost, kind, strings.Join(body, "\x1e"))
	switch {
	case err != nil:
		p.fault("POST: %v", err)
	case !usable || slow || fatal != "" && fatal != engineio.ReasonTransportClose:
		if reply.Status != http.StatusBadRequest && (s.do != "post big" || reply.Status != http.StatusRequestEntityTooLarge) {
			p.fault("POST that cannot be: got %d %q", reply.Status, reply.Body)
		}
	case s.do == "post big":
		if reply.Status != http.StatusRequestEntityTooLarge { // E-24
			p.fault("POST of too much: got %d %q", reply.Status, reply.Body)
		}
	case reply.Status != http.StatusOK || reply.Body != "ok": // E-23
		p.fault("POST: got %d %q", reply.Status, reply.Body)
	default:
		for n := first + 1; n <= p.said; n++ {
			p.acked = append(p.acked, n)
		}
	}
}

// postSlowly begins a POST, goes on with it, or cuts it.
func (p *play) postSlowly(s step, usable bool) {
	switch {
	case s.do == "post slowly" && p.slow == nil && usable:
		r, w := io.Pipe()
		p.said++
		p.slow = &longPost{w: w, said: p.said}
		p.may[engineio.ReasonTransportError] = true // at the read timeout
		req, err := http.NewRequestWithContext(p.t.Context(), http.MethodPost,
			p.poll.Base+"?EIO=4&transport=polling&sid="+p.sid, r)
		if err != nil {
			p.t.Fatal(err)
		}
		p.posts.Add(1)
		go func() {
			defer p.posts.Add(-1)
			if resp, err := p.poll.Client.Do(req); err == nil {
				_ = resp.Body.Close()
			}
			_ = r.Close()
		}()
		_, _ = io.WriteString(w, "4c")
	case s.do == "post the rest" && p.slow != nil:
		_, _ = io.WriteString(p.slow.w, strconv.Itoa(p.slow.said))
		_ = p.slow.w.Close()
		p.slow = nil
	case s.do == "post no more" && p.slow != nil:
		_ = p.slow.w.CloseWithError(errors.New("no more")) // E-28
		p.slow = nil
	}
}

func (p *play) pong() {
	p.mu.Lock()
	p.pings = 0
	p.mu.Unlock()
	if p.polling() && p.open() && p.slow == nil {
		_, _ = p.poll.Post(p.t.Context(), "3")
		return
	}
	for _, c := range p.probes {
		if c.upgraded {
			_ = p.text(c, "3")
		}
	}
}

func (p *play) dial(sid string) {
	target := "/engine.io/?EIO=4&transport=websocket"
	if sid != "" {
		target += "&sid=" + sid
	}
	c, err := wire.DialWebSocket(p.t.Context(), p.net.Dial, target, nil)
	if err != nil {
		if _, refused := errors.AsType[*wire.Refused](err); !refused || p.open() {
			p.fault("dial: %v", err) // E-48
		}
		return
	}
	w := &probing{WebSocket: c, upgraded: sid == ""}
	p.probes = append(p.probes, w)
	go p.read(w)
}

func (p *play) read(w *probing) {
	defer w.Abort()
	for {
		p.mu.Lock()
		stopped := w.stopped
		p.mu.Unlock()
		if stopped != nil {
			<-stopped
		}
		op, data, err := w.Read()
		p.mu.Lock()
		switch {
		case err != nil || op == ws.OpClose:
			w.ended = true
			p.mu.Unlock()
			return
		case op == ws.OpPong:
		case op == ws.OpBinary:
			w.got = append(w.got, number(data))
		case strings.HasPrefix(string(data), "4"):
			w.got = append(w.got, number(data[1:]))
		case string(data) == "3probe":
			p.noops = true
		case string(data) == "2":
			p.pings++
		case data[0] == '0' && len(w.got) == 0: // E-36
		default:
			p.faults = append(p.faults, fmt.Sprintf("frame: got %q", data))
		}
		p.mu.Unlock()
	}
}

// text sends a frame. A peer that does not read it has given the WebSocket up.
func (p *play) text(c *probing, s string) error {
	_ = c.Conn.SetWriteDeadline(time.Now().Add(time.Millisecond))
	err := c.Text(s)
	synctest.Wait()
	return err
}

func (p *play) frame(do string, c *probing) {
	onIt := c.upgraded && !p.polling()
	for reason, dos := range map[engineio.Reason][]string{
		engineio.ReasonTransportClose: {"frame close", "packet close", "cut"},
		engineio.ReasonTransportError: {"cut"},
		engineio.ReasonParseError:     {"bad frame", "probe"},
	} {
		if onIt && slices.Contains(dos, do) {
			p.may[reason] = true
			p.mu.Lock()
			if !c.ended {
				p.mustEnd = do
			}
			p.mu.Unlock()
		}
	}
	_ = c.Conn.SetWriteDeadline(time.Now().Add(time.Millisecond))
	switch do {
	case "probe":
		_ = p.text(c, "2probe")
	case "upgrade":
		c.upgraded = true
		_ = p.text(c, "5")
	case "frame":
		p.said++
		_ = p.text(c, "4c"+strconv.Itoa(p.said))
	case "bad frame":
		_ = p.text(c, "x")
	case "packet close":
		_ = p.text(c, "1")
	case "frame ping":
		_ = c.Send(wire.Frame{Op: ws.OpPing, Payload: []byte("ping")})
	case "frame close":
		_ = c.Send(wire.Frame{Op: ws.OpClose, Payload: ws.NewCloseFrameBody(ws.StatusNormalClosure, "")})
	case "cut":
		c.Abort()
	case "read no more":
		p.mu.Lock()
		if c.stopped == nil {
			c.stopped = make(chan struct{})
		}
		p.mu.Unlock()
		p.may[engineio.ReasonTransportError] = true // at the write timeout
	case "read on":
		p.readOn(c)
	}
}

func (p *play) readOn(c *probing) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c.stopped != nil {
		close(c.stopped)
		c.stopped = nil
	}
}

// check holds the invariants that are true at any time.
func (p *play) check(after string) {
	reason := p.app.reason()
	p.mu.Lock()
	defer p.mu.Unlock()
	fault := func(format string, args ...any) {
		p.faults = append(p.faults, "after "+after+": "+fmt.Sprintf(format, args...))
	}
	if len(p.faults) > 0 {
		return
	}
	if p.mustEnd != "" && reason == "" {
		fault("%s has not closed the session", p.mustEnd)
	}
	if reason == engineio.ReasonPingTimeout && time.Since(p.began) < 2500*time.Millisecond {
		fault("ping timeout after %v", time.Since(p.began)) // E-55, E-58
	}
	if reason != "" && reason != engineio.ReasonPingTimeout && !p.may[reason] {
		fault("closed with %q, for which nothing has happened", reason)
	}
	p.checkOrder(fault)
	stats := p.srv.Stats()
	closed := uint64(0)
	for _, n := range stats.Closed {
		closed += n
	}
	if stats.Opened != 1 || uint64(stats.Open)+closed != 1 || (reason != "") != (stats.Open == 0) ||
		stats.Upgraded > 1 || p.app.upgrades > int(stats.Upgraded) || reason == "" && p.app.upgrades < int(stats.Upgraded) {
		fault("closed for %q, upgrades told %d, stats %+v", reason, p.app.upgrades, stats)
	}
}

// checkOrder holds O1 and O2: ascending, and so each at most once, in both
// directions, and by poll before by WebSocket.
func (p *play) checkOrder(fault func(string, ...any)) {
	p.app.mu.Lock()
	got := slices.Clone(p.app.got)
	p.app.mu.Unlock()
	if !ascending(got) {
		fault("the application got %v", got)
	}
	for _, n := range p.acked {
		if !slices.Contains(got, n) {
			fault("the application got %v, %d of an accepted POST is missing", got, n)
		}
	}
	took, all := slices.Clone(p.polled), p.app.reason() == "" && !p.polling()
	for _, c := range p.probes {
		took = append(took, c.got...)
		all = all && c.stopped == nil
	}
	if all && len(took) != p.sent {
		fault("all is on a WebSocket that is read, the client got %v of %d", took, p.sent)
	}
	if !ascending(took) {
		fault("the client got %v", took)
	}
}

func ascending(list []int) bool {
	for i, n := range list {
		if n < 1 || i > 0 && n <= list[i-1] {
			return false
		}
	}
	return true
}

// took returns how many messages the client has.
func (p *play) took() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.polled)
	for _, c := range p.probes {
		n += len(c.got)
	}
	return n
}

// drain wants a session that is open to have lost nothing.
func (p *play) drain() {
	for _, c := range p.probes {
		p.readOn(c)
	}
	synctest.Wait()
	for range 60 {
		if !p.open() || p.took() == p.sent {
			return
		}
		if p.polling() && p.held() == nil {
			p.get()
		}
		if p.mu.Lock(); p.pings > 0 {
			p.mu.Unlock()
			p.pong()
		} else {
			p.mu.Unlock()
		}
		<-time.After(noopTick)
		synctest.Wait()
	}
	if p.open() {
		p.fault("the session is open, the client got %d of %d messages: %v", p.took(), p.sent, p.polled)
	}
}

// noopTick is how long a poll may be held while a probe is on.
const noopTick = 100 * time.Millisecond

// end ends the session in one of four ways, and wants nothing left of it.
func (p *play) end(how int) {
	if p.slow != nil {
		_ = p.slow.w.CloseWithError(errors.New("no more"))
	}
	switch how {
	case 0:
		p.may[byServer] = true
		p.app.Close(byServer)
		synctest.Wait()
	case 1: // silence
		p.may[engineio.ReasonTransportError] = true
	case 2:
		p.may[engineio.ReasonTransportClose], p.may[engineio.ReasonTransportError] = true, true
		for _, c := range p.probes {
			c.Abort()
		}
	case 3:
		p.may[engineio.ReasonShutdown] = true
		go func() { _ = p.srv.Shutdown(context.Background()) }()
		synctest.Wait()
	}
	<-time.After(time.Minute)
	synctest.Wait()
	p.check("the end")
	if p.open() {
		p.fault("the session is open after a minute of silence")
	}
	if p.held() != nil {
		p.fault("a GET has no answer")
	}
	if n := p.posts.Load(); n != 0 {
		p.fault("a POST has no answer")
	}
	if n, known := p.srv.Len(), p.srv.Known(); n != 0 || known != 0 {
		p.fault("sessions after the end: %d open, %d known", n, known)
	}
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		reply, err := p.poll.Do(p.t.Context(), method, "", "")
		if err != nil || reply.Status != http.StatusBadRequest || !strings.HasPrefix(reply.Body, `{"code":1,`) {
			p.fault("%s after the end: got %d %q, %v", method, reply.Status, reply.Body, err)
		}
	}
	if n := len(p.app.causes); n != 1 {
		p.fault("Closed was called %d times", n)
	}
	if err := p.srv.Shutdown(p.t.Context()); err != nil {
		p.fault("Shutdown: %v", err)
	}
}
