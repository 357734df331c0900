package main

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"

	"larder/internal/testkit/wire"
)

// An assertion is one test of the official suites. The 16 that both suites make
// run on both paths; in Socket.IO's, those of a connection that is open.
type assertion struct {
	name string // group, transport: what is asserted
	test func(r *rig)
}

// common are in both suites.
var common = []assertion{
	{"handshake, polling: opens", func(r *rig) {
		reply := r.do("GET", "?EIO=4&transport=polling")
		if reply.Status != 200 {
			r.Fatalf("status: got %d", reply.Status)
		}
		r.wantOpen(reply.Body, "websocket")
	}},
	{"handshake, polling: EIO missing or wrong", func(r *rig) {
		r.refused(r.do("GET", "?transport=polling"), 5)
		r.refused(r.do("GET", "?transport=polling&EIO=abc"), 5)
	}},
	{"handshake, polling: transport missing or unknown", func(r *rig) {
		r.refused(r.do("GET", "?EIO=4"), 0)
		r.refused(r.do("GET", "?EIO=4&transport=abc"), 0)
	}},
	{"handshake, polling: wrong method", func(r *rig) {
		r.refused(r.do("POST", "?EIO=4&transport=polling"), 2)
		r.refused(r.do("PUT", "?EIO=4&transport=polling"), 2)
	}},
	{"handshake, WebSocket: opens", func(r *rig) { r.wantOpen(r.read(r.dial("?EIO=4&transport=websocket"))) }},
	{"handshake, WebSocket: EIO missing or wrong", func(r *rig) {
		r.dialRefused("?transport=websocket")
		r.dialRefused("?transport=websocket&EIO=abc")
	}},
	{"handshake, WebSocket: transport missing or unknown", func(r *rig) {
		r.dialRefused("?EIO=4")
		r.dialRefused("?EIO=4&transport=abc")
	}},
	{"heartbeat, polling: three rounds", func(r *rig) {
		p := r.open()
		for range 3 {
			r.want(r.get(p), "2")
			r.want(r.post(p, "3"), "ok")
		}
	}},
	{"heartbeat, polling: no pong", func(r *rig) {
		p := r.open()
		r.pass(pingInterval + pingTimeout) // to the millisecond
		r.refused(r.get(p), 1)
	}},
	{"heartbeat, WebSocket: three rounds", func(r *rig) {
		c := r.connect()
		for range 3 {
			r.wantText(c, "2")
			r.text(c, "3")
		}
	}},
	{"heartbeat, WebSocket: no pong", func(r *rig) {
		start := time.Now()
		c := r.connect()
		r.wantText(c, "2")
		r.wantClosed(c)
		if d := time.Since(start); d > pingInterval+pingTimeout {
			r.Errorf("closed after %v", d)
		}
	}},
	{"close, polling: held GET", func(r *rig) {
		p := r.open()
		held := r.hold(p)
		r.want(r.post(p, "1"), "ok")
		r.want(<-held, "6")
		r.refused(r.get(p), 1)
	}},
	{"close, WebSocket: at once", func(r *rig) {
		c := r.connect()
		r.text(c, "1")
		r.wantClosed(c)
	}},
	{"upgrade: probe", func(r *rig) {
		p := r.open()
		c := r.probe(p)
		r.wantText(c, "3probe")
		r.want(r.get(p), "6")
		r.text(c, "5")
		r.echoes(c)
	}},
	{"upgrade: GET afterwards", func(r *rig) {
		p := r.open()
		c := r.probe(p)
		r.wantText(c, "3probe")
		r.text(c, "5")
		r.refused(r.get(p), 3)
		r.echoes(c)
	}},
	{"upgrade: WebSocket afterwards", func(r *rig) {
		p := r.open()
		c := r.probe(p)
		r.wantText(c, "3probe")
		r.text(c, "5")
		r.wantClosed(r.dial("?EIO=4&transport=websocket&sid=" + p.SID))
		r.echoes(c)
	}},
}

// engineOnly are those of the Engine.IO suite on messages, which Socket.IO has
// other packets for.
var engineOnly = []assertion{
	{"message, polling: text", func(r *rig) {
		p := r.open()
		r.want(r.post(p, "4hello"), "ok")
		r.want(r.get(p), "4hello")
	}},
	{"message, polling: several", func(r *rig) {
		p := r.open()
		r.want(r.post(p, "4test1\x1e4test2\x1e4test3"), "ok")
		r.want(r.get(p), "4test1\x1e4test2\x1e4test3")
	}},
	{"message, polling: text and binary", func(r *rig) {
		p := r.open()
		r.want(r.post(p, "4hello\x1ebAQIDBA=="), "ok")
		r.want(r.get(p), "4hello\x1ebAQIDBA==")
	}},
	{"message, polling: invalid", func(r *rig) {
		p := r.open()
		r.refused(r.post(p, "abc"), 3)
		r.refused(r.get(p), 1)
	}},
	{"message, polling: two GETs", func(r *rig) {
		p := r.open()
		first := r.hold(p)
		r.pass(5 * time.Millisecond)
		r.refused(r.get(p), 3)
		r.want(<-first, "1")
		r.refused(r.get(p), 1)
	}},
	{"message, polling: aborted GET", func(r *rig) {
		p := r.open()
		r.abortedGet(p, 5*time.Millisecond)
		if reply := r.get(p); reply.Status != 400 { // whichever the server sees first
			r.Fatalf("GET after an aborted one: got %d", reply.Status)
		}
	}},
	{"message, WebSocket: text", func(r *rig) {
		c := r.connect()
		r.text(c, "4hello")
		r.wantText(c, "4hello")
	}},
	{"message, WebSocket: binary", func(r *rig) {
		c := r.connect()
		if err := c.Binary([]byte{1, 2, 3, 4}); err != nil {
			r.Fatal(err)
		}
		op, data, err := c.Read()
		if err != nil || op != ws.OpBinary || string(data) != "\x01\x02\x03\x04" {
			r.Fatalf("echo: got %v %q, %v", op, data, err)
		}
	}},
	{"message, WebSocket: invalid", func(r *rig) {
		c := r.connect()
		r.text(c, "abc")
		r.wantClosed(c)
	}},
}

// socketOnly are those of the Socket.IO suite on its own packets: transcripts
// of testdata. That suite plays them over WebSocket, we over both transports.
var socketOnly = []struct{ name, transcript string }{
	{"connect: main namespace", "connect"},
	{"connect: main namespace, auth", "connect-auth"},
	{"connect: custom namespace", "connect-custom"},
	{"connect: custom namespace, auth", "connect-custom-auth"},
	{"connect: unknown namespace", "connect-unknown"},
	{"connect: invalid packet", "connect-invalid"},
	{"connect: none in time", "connect-never"},
	{"disconnect: main namespace", "disconnect"},
	{"disconnect: custom namespace", "disconnect-custom"},
	{"message: text", "message"},
	{"message: binary", "message-binary"},
	{"message: ack", "message-ack"},
	{"message: binary ack", "message-ack-binary"},
	{"message: invalid packet format", "message-invalid-format"},
	{"message: invalid payload", "message-invalid-payload"},
	{"message: invalid ack id", "message-invalid-ack-id"},
}

// TestEngine holds the 25 assertions of the official Engine.IO suite.
func TestEngine(t *testing.T) {
	all := slices.Concat(common, engineOnly)
	if len(all) != 25 {
		t.Errorf("%d assertions, the suite has 25", len(all))
	}
	for _, a := range all {
		t.Run(a.name, func(t *testing.T) { bubble(t, "/engine.io/", a.test) })
	}
}

// TestSocket holds the 32 assertions of the official Socket.IO suite.
func TestSocket(t *testing.T) {
	if n := len(common) + len(socketOnly); n != 32 {
		t.Errorf("%d assertions, the suite has 32", n)
	}
	for _, a := range common {
		t.Run(a.name, func(t *testing.T) { bubble(t, "/socket.io/", a.test) })
	}
	for _, a := range socketOnly {
		for name, open := range links {
			t.Run(a.name+", "+name, func(t *testing.T) {
				script := read(t, "testdata/"+a.transcript+".txt")
				bubble(t, "/socket.io/", func(r *rig) { play(r, open(r), script) })
			})
		}
	}
}

// wantOpen wants an open packet with exactly the five keys. E-6
func (r *rig) wantOpen(packet string, upgrades ...any) {
	r.Helper()
	data, ok := strings.CutPrefix(packet, "0")
	if !ok {
		r.Fatalf("open packet: got %q", packet)
	}
	var open map[string]any
	if err := json.Unmarshal([]byte(data), &open); err != nil {
		r.Fatalf("open packet: %v", err)
	}
	keys := slices.Sorted(maps.Keys(open))
	if want := []string{"maxPayload", "pingInterval", "pingTimeout", "sid", "upgrades"}; !slices.Equal(keys, want) {
		r.Errorf("keys: got %q, want %q", keys, want)
	}
	if got, ok := open["upgrades"].([]any); !ok || !slices.Equal(got, upgrades) {
		r.Errorf("upgrades: got %v, want %v", open["upgrades"], upgrades)
	}
	if open["pingInterval"] != 300.0 || open["pingTimeout"] != 200.0 || open["maxPayload"] != 1e6 {
		r.Errorf("numbers: got %v", open)
	}
	if sid, ok := open["sid"].(string); !ok || sid == "" {
		r.Errorf("sid: got %v", open["sid"])
	}
}

// echoes wants the WebSocket of an upgraded session to work. Pings may come first.
func (r *rig) echoes(c *wire.WebSocket) {
	r.Helper()
	say, want := "4hello", "4hello"
	if r.path == "/socket.io/" {
		say, want = "40", `40{"sid":`
	}
	synctest.Wait()
	r.text(c, say)
	if got := r.read(c); !strings.HasPrefix(got, want) {
		r.Fatalf("echo: got %q, want %q", got, want)
	}
}
