package engineio_test

import (
	"bytes"
	"compress/flate"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"unicode/utf8"

	"github.com/coder/websocket"
	"github.com/gobwas/ws"

	"larder/engineio"
	"larder/internal/testkit/wire"
)

const deflateAnswer = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"

// E-41: the first offer that we can carry out is accepted, whatever stands
// beside it; one that is malformed is declined.
func TestNegotiateDeflate(t *testing.T) {
	const yes, window = deflateAnswer, deflateAnswer + "; server_max_window_bits=15"
	for name, tc := range map[string]struct {
		lines []string
		want  string
	}{
		"no header":            {nil, ""},
		"empty":                {[]string{""}, ""},
		"bare":                 {[]string{"permessage-deflate"}, yes},
		"Chrome":               {[]string{"permessage-deflate; client_max_window_bits"}, yes},
		"hint of a window":     {[]string{"permessage-deflate; client_max_window_bits=9"}, yes},
		"all":                  {[]string{"permessage-deflate;server_no_context_takeover;client_no_context_takeover;client_max_window_bits;server_max_window_bits=15"}, window},
		"quoted":               {[]string{`permessage-deflate; server_max_window_bits="15"; client_max_window_bits="8"`}, window},
		"spaces":               {[]string{" permessage-deflate ;\tserver_max_window_bits = 15 "}, window},
		"another extension":    {[]string{"bbf-usp-protocol"}, ""},
		"another case":         {[]string{"Permessage-Deflate"}, ""},
		"longer name":          {[]string{"permessage-deflate2"}, ""},
		"small window":         {[]string{"permessage-deflate; server_max_window_bits=14"}, ""},
		"window too small":     {[]string{"permessage-deflate; server_max_window_bits=7"}, ""},
		"window too large":     {[]string{"permessage-deflate; server_max_window_bits=16"}, ""},
		"window of zero":       {[]string{"permessage-deflate; server_max_window_bits=015"}, ""},
		"window without size":  {[]string{"permessage-deflate; server_max_window_bits"}, ""},
		"window of nothing":    {[]string{"permessage-deflate; server_max_window_bits="}, ""},
		"half a quote":         {[]string{`permessage-deflate; server_max_window_bits="15`}, ""},
		"hint out of range":    {[]string{"permessage-deflate; client_max_window_bits=16"}, ""},
		"hint of nothing":      {[]string{"permessage-deflate; client_max_window_bits="}, ""},
		"hint with a sign":     {[]string{"permessage-deflate; client_max_window_bits=+9"}, ""},
		"value for a flag":     {[]string{"permessage-deflate; server_no_context_takeover=1"}, ""},
		"empty value":          {[]string{"permessage-deflate; client_no_context_takeover="}, ""},
		"flag twice":           {[]string{"permessage-deflate; client_no_context_takeover; client_no_context_takeover"}, ""},
		"window twice":         {[]string{"permessage-deflate; server_max_window_bits=15; server_max_window_bits=15"}, ""},
		"hint twice":           {[]string{"permessage-deflate; client_max_window_bits; client_max_window_bits=15"}, ""},
		"unknown parameter":    {[]string{"permessage-deflate; turbo"}, ""},
		"empty parameter":      {[]string{"permessage-deflate; "}, ""},
		"second offer":         {[]string{"permessage-deflate; server_max_window_bits=10, permessage-deflate"}, yes},
		"second is declined":   {[]string{"permessage-deflate, permessage-deflate; server_max_window_bits=15"}, yes},
		"after another":        {[]string{`foo; bar="x", permessage-deflate; server_max_window_bits=15`}, window},
		"on another line":      {[]string{"foo", "permessage-deflate; turbo", "permessage-deflate; client_max_window_bits"}, yes},
		"all declined":         {[]string{"permessage-deflate; turbo, permessage-deflate; server_max_window_bits=8"}, ""},
		"commas without offer": {[]string{",, ,permessage-deflate,"}, yes},
	} {
		if got := engineio.NegotiateDeflate(tc.lines...); got != tc.want {
			t.Errorf("%s: got %q, want %q", name, got, tc.want)
		}
	}
}

func compressing(c *engineio.Config) { c.Compression = &engineio.Compression{} }

// offer are the headers of a client that can do permessage-deflate.
var offer = http.Header{"Sec-Websocket-Extensions": {"permessage-deflate; client_max_window_bits"}}

// dialDeflate is dial for a client that offers compression.
func (r *rig) dialDeflate(sid string) *wire.WebSocket {
	r.Helper()
	target := "/engine.io/?EIO=4&transport=websocket"
	if sid != "" {
		target += "&sid=" + sid
	}
	c, err := wire.DialWebSocket(r.Context(), r.net.Dial, target, offer)
	if err != nil {
		r.Fatalf("dial: %v", err)
	}
	r.Cleanup(c.Abort)
	return c
}

// connectDeflate opens a session whose messages may be compressed.
func (r *rig) connectDeflate() *wire.WebSocket {
	r.Helper()
	c := r.dialDeflate("")
	if c.Extensions != deflateAnswer {
		r.Fatalf("extensions: got %q", c.Extensions)
	}
	if got := r.read(c); !strings.HasPrefix(got, "0{") {
		r.Fatalf("open packet: got %q", got)
	}
	return c
}

func TestCompressionIsNegotiated(t *testing.T) {
	for name, tc := range map[string]struct {
		offer  []string
		change func(*engineio.Config)
		want   string
	}{
		"off":             {[]string{"permessage-deflate"}, calm, ""},
		"not offered":     {nil, compressing, ""},
		"declined":        {[]string{"permessage-deflate; server_max_window_bits=9"}, compressing, ""},
		"offered":         {[]string{"permessage-deflate"}, compressing, deflateAnswer},
		"in a later line": {[]string{"foo", "permessage-deflate"}, compressing, deflateAnswer},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(r *rig) {
				c, err := wire.DialWebSocket(r.Context(), r.net.Dial, "/engine.io/?EIO=4&transport=websocket",
					http.Header{"Sec-Websocket-Extensions": tc.offer})
				if err != nil {
					t.Fatal(err)
				}
				defer c.Abort()
				if c.Extensions != tc.want {
					t.Errorf("extensions: got %q, want %q", c.Extensions, tc.want)
				}
				r.read(c)
				if err := r.app(0).Send(engineio.NewMessage([]byte(strings.Repeat("x", 5000)))); err != nil {
					t.Fatal(err)
				}
				r.wantText(c, "4"+strings.Repeat("x", 5000))
				if got := c.Compressed > 0; got != (tc.want != "") {
					t.Errorf("a message was compressed: %v", got)
				}
				if tc.want == "" { // E-40: then the bit is as reserved as ever
					go func() { _ = c.Send(wire.Frame{Op: ws.OpText, Rsv: 4, Payload: wire.Deflate([]byte("4x"), 1)}) }()
					r.wantClose(c, 1002)
				}
			}, calm, tc.change)
		})
	}
}

// deflated is a compressed message, of one frame or cut into several.
func deflated(op ws.OpCode, payload []byte, cuts ...int) []wire.Frame {
	var frames []wire.Frame
	rsv := byte(4)
	for _, n := range append(cuts, len(payload)) {
		n = min(n, len(payload))
		frames = append(frames, wire.Frame{Op: op, Rsv: rsv, Payload: payload[:n], More: true})
		payload, op, rsv = payload[n:], ws.OpContinuation, 0
	}
	frames[len(frames)-1].More = false
	return frames
}

func deflatedText(s string, cuts ...int) []wire.Frame {
	return deflated(ws.OpText, wire.Deflate([]byte(s), flate.DefaultCompression), cuts...)
}

// ended compresses into blocks the last of which says that it is the last.
func ended(s string) []byte {
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.BestSpeed)
	if err != nil {
		panic(err)
	}
	_, _ = io.WriteString(w, s)
	_ = w.Close()
	return b.Bytes()
}

// noise is text that compresses badly, of any length.
func noise(n int) string {
	rnd := rand.New(rand.NewPCG(1, uint64(n)))
	b := make([]byte, n)
	for i := range b {
		b[i] = ' ' + byte(rnd.IntN(95))
	}
	return string(b)
}

func TestCompressedMessages(t *testing.T) {
	long := strings.Repeat("larder ", 20_000)
	full := "4" + noise(999_999) // MaxPayload
	stored := wire.Deflate([]byte(full), flate.NoCompression)
	for name, tc := range map[string]struct {
		frames []wire.Frame
		want   []string
	}{
		"text":   {deflatedText("4hello"), []string{"hello"}},
		"binary": {deflated(ws.OpBinary, wire.Deflate([]byte{0, 255}, 1)), []string{"binary:\x00\xff"}},
		"empty":  {deflated(ws.OpBinary, []byte{0}), []string{"binary:"}}, // RFC 7692, 7.2.3.6
		"some are not": {
			[]wire.Frame{text("4a"), deflatedText("4b")[0], text("4c"), text("4" + long), deflatedText("4d")[0]},
			[]string{"a", "b", "c", long, "d"},
		},
		"of the RFC": { // 7.2.3.1 to 7.2.3.5
			slices.Concat(
				deflated(ws.OpBinary, []byte{0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00}),
				deflated(ws.OpBinary, []byte{0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00}, 3),
				deflated(ws.OpBinary, []byte{0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00}),
				deflated(ws.OpBinary, []byte{0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00}),
				deflated(ws.OpBinary, []byte{0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00}),
			),
			slices.Repeat([]string{"binary:Hello"}, 5),
		},
		"blocks after the last": {deflated(ws.OpText, slices.Concat(ended("4one, "), bytes.Repeat(ended(""), 50), ended("two"), []byte{0})), []string{"one, two"}},
		"long":                  {deflatedText("4" + long), []string{long}},
		"as long as may be":     {deflatedText(full), []string{full[1:]}},
		"longer when stored":    {deflated(ws.OpText, stored, 400_000), []string{full[1:]}},
		"a pooled buffer":       {deflatedText("4" + long[:64<<10-1]), []string{long[:64<<10-1]}},
		"one byte more":         {deflatedText("4" + long[:64<<10]), []string{long[:64<<10]}},
		"fragments":             {deflatedText("4"+long, 1, 0, 100), []string{long}},
		"control between fragments": {slices.Insert(deflatedText("4"+long, 5, 10), 1,
			wire.Frame{Op: ws.OpPong, Payload: []byte("unasked")}, wire.Frame{Op: ws.OpPong}), []string{long}},
		"rune cut by fragments": {deflatedText("4ä€😀", 1, 1, 1, 1, 1, 1, 1, 1), []string{"ä€😀"}},
		"one after the other":   {slices.Concat(deflatedText("4"+long, 9), deflatedText("4b"), deflatedText("4"+long)), []string{long, "b", long}},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(r *rig) {
				c := r.connectDeflate()
				r.app(0).receive = func(string) error { return nil }
				go func() { // echoes of binary messages
					for _, _, err := c.Read(); err == nil; _, _, err = c.Read() {
					}
				}()
				if err := c.Send(tc.frames...); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				if got := r.app(0).received(); !slices.Equal(got, tc.want) {
					t.Errorf("received: got %.100q, want %.100q", got, tc.want)
				}
				r.wantReason(0, "")
			}, calm, compressing)
		})
	}
}

func TestCompressedFaults(t *testing.T) {
	hello := wire.Deflate([]byte("4hello"), 1)
	bomb := wire.Deflate(bytes.Repeat([]byte("4"), 1<<20), 9)
	half := wire.Deflate([]byte("4"+noise(300)), 1)
	half = half[:len(half)/2]
	more := func(f wire.Frame) wire.Frame { f.More = true; return f }
	for name, tc := range map[string]struct {
		frames []wire.Frame
		code   ws.StatusCode
	}{
		"bit on a ping":         {[]wire.Frame{{Op: ws.OpPing, Rsv: 4}}, 1002},
		"bit on a pong":         {[]wire.Frame{{Op: ws.OpPong, Rsv: 4}}, 1002},
		"bit on a close":        {[]wire.Frame{{Op: ws.OpClose, Rsv: 4}}, 1002},
		"bit on a continuation": {[]wire.Frame{more(deflatedText("4x")[0]), {Op: ws.OpContinuation, Rsv: 4, Payload: hello}}, 1002},
		"bit in the middle":     {[]wire.Frame{more(text("4x")), {Op: ws.OpContinuation, Rsv: 4, Payload: hello}}, 1002},
		"another bit":           {[]wire.Frame{{Op: ws.OpText, Rsv: 2, Payload: hello}}, 1002},
		"two bits":              {[]wire.Frame{{Op: ws.OpText, Rsv: 5, Payload: hello}}, 1002},
		"unmasked":              {[]wire.Frame{{Op: ws.OpText, Rsv: 4, Payload: hello, Unmasked: true}}, 1002},
		"no data":               {deflated(ws.OpText, nil), 1007},
		"not compressed":        {deflated(ws.OpText, []byte("4hello")), 1007},
		"cut":                   {deflated(ws.OpText, half), 1007},
		"reserved block":        {deflated(ws.OpText, []byte{0x07}), 1007},
		"before its beginning":  {deflated(ws.OpText, []byte{0x02, 0x82, 0x00}), 1007}, // as if a context were kept
		"only last blocks":      {deflated(ws.OpBinary, append(bytes.Repeat([]byte{0x03, 0x00}, 1000), 0)), 1007},
		"text is not UTF-8":     {deflated(ws.OpText, wire.Deflate([]byte("4\xff"), 1)), 1007},
		"bomb":                  {deflated(ws.OpText, bomb), 1009},
		"bomb in fragments":     {deflated(ws.OpText, bomb, 1, 10, 100), 1009},
		"one byte too many":     {deflatedText("4" + strings.Repeat("x", 100_000)), 1009},
		"endless nothing":       {deflated(ws.OpText, bytes.Repeat([]byte("\x00\x00\x00\xff\xff"), 30_000)), 1009},
		"declared":              {[]wire.Frame{{Op: ws.OpBinary, Rsv: 4, Declare: 1 << 40}}, 1009},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(r *rig) {
				c := r.connectDeflate()
				go func() { _ = c.Send(tc.frames...) }()
				r.wantClose(c, int(tc.code))
				r.wantReason(0, engineio.ReasonParseError)
				if got := r.app(0).received(); len(got) != 0 {
					t.Errorf("received: %.50q", got)
				}
				if got, want := r.srv.Stats().TooLarge, uint64(0); tc.code == 1009 && got != 1 || tc.code != 1009 && got != want {
					t.Errorf("TooLarge: got %d", got)
				}
			}, calm, compressing, func(c *engineio.Config) { c.MaxPayload = 100_000 })
		})
	}
}

// The limit is for what a message is inflated to, to the byte: E-39.
func TestCompressedLimit(t *testing.T) {
	for _, limit := range []int{1, 1000, 4 << 10, 64<<10 - 1, 64 << 10, 64<<10 + 1, 100_000} {
		for n := limit - 1; n <= limit+1; n++ {
			frames := deflated(ws.OpBinary, wire.Deflate(make([]byte, n), 1))
			got := -1
			err := engineio.ReadDeflated(bytes.NewReader(frames[0].Bytes()), limit, func(_ byte, data []byte) { got = len(data) })
			if n <= limit && (got != n || err != io.EOF) || n > limit && (got >= 0 || !strings.Contains(err.Error(), "1009")) {
				t.Errorf("limit %d: %d bytes were read as %d, %v", limit, n, got, err)
			}
		}
	}
}

// A message that is small on the wire and too big inflated costs next to
// nothing, whatever the limit: it is never held whole.
func TestBombsAreNotHeld(t *testing.T) {
	const maxMessage, bombs = 8 << 20, 5
	bomb := deflated(ws.OpBinary, wire.Deflate(make([]byte, 2*maxMessage), 9))[0].Bytes()
	read := func() {
		err := engineio.ReadDeflated(bytes.NewReader(bomb), maxMessage, func(byte, []byte) { t.Error("delivered") })
		if err == nil || !strings.Contains(err.Error(), "1009") {
			t.Fatalf("got %v, want 1009", err)
		}
	}
	read() // fills the pools
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range bombs {
		read()
	}
	runtime.ReadMemStats(&after)
	if got := (after.TotalAlloc - before.TotalAlloc) / bombs; got > maxMessage/8 { // pools lose something under the race detector
		t.Errorf("a bomb of %d bytes allocated %d", len(bomb), got)
	}
}

// What is sent: E-41.
func TestCompressedSending(t *testing.T) {
	noisy := make([]byte, 2000)
	for i, rnd := 0, rand.New(rand.NewPCG(3, 3)); i < len(noisy); i++ {
		noisy[i] = byte(rnd.Uint32())
	}
	large := strings.Repeat("x", 1023) // with the digit 1,024
	text := func(s string) *engineio.Message { return engineio.NewMessage([]byte(s)) }
	for name, tc := range map[string]struct {
		message *engineio.Message
		want    bool
	}{
		"text":              {text(large), true},
		"a byte too small":  {text(large[1:]), false},
		"binary":            {engineio.NewBinaryMessage([]byte(large + "x")), true},
		"binary, too small": {engineio.NewBinaryMessage([]byte(large)), false},
		"forbidden":         {text(large).Uncompressed(), false},
		"does not shrink":   {engineio.NewBinaryMessage(noisy), false},
		"a megabyte":        {text(strings.Repeat("larder ", 150_000)), true},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(r *rig) {
				able, other := r.connectDeflate(), r.connectDeflate()
				plain, _ := r.connect()
				for i, c := range []*wire.WebSocket{able, plain, other} {
					if err := r.app([]int{0, 2, 1}[i]).Send(text("before"), tc.message, text("after")); err != nil {
						t.Fatal(err)
					}
					r.wantText(c, "4before")
					_, data, err := c.Read()
					if err != nil || !bytes.HasSuffix(data, tc.message.Data()) {
						t.Fatalf("client %d: got %.50q, %v", i, data, err)
					}
					r.wantText(c, "4after")
					if got, want := c.Compressed == 1, tc.want && c != plain; got != want {
						t.Errorf("client %d: compressed %v, want %v", i, got, want)
					}
				}
			}, calm, compressing)
		})
	}
}

func TestCompressionThreshold(t *testing.T) {
	bubble(t, func(r *rig) {
		c := r.connectDeflate()
		for _, n := range []int{30, 39, 40} {
			if err := r.app(0).Send(engineio.NewMessage(make([]byte, n-1))); err != nil {
				t.Fatal(err)
			}
			r.read(c)
			if got, want := c.Compressed, n/40; got != want {
				t.Errorf("after %d bytes: got %d compressed messages, want %d", n, got, want)
			}
		}
	}, calm, func(c *engineio.Config) { c.Compression = &engineio.Compression{Threshold: 40, Level: 9} })
}

// A session that comes from polling takes what its WebSocket agreed on.
func TestUpgradeToCompression(t *testing.T) {
	bubble(t, func(r *rig) {
		p := r.open()
		c := r.dialDeflate(p.SID)
		if c.Extensions != deflateAnswer {
			t.Fatalf("extensions: got %q", c.Extensions)
		}
		if err := c.Send(deflatedText("2probe")...); err != nil {
			t.Fatal(err)
		}
		r.wantText(c, "3probe")
		r.text(c, "5")
		synctest.Wait()
		long := strings.Repeat("larder ", 1000)
		if err := c.Send(deflatedText("4"+long, 10)...); err != nil {
			t.Fatal(err)
		}
		r.wantText(c, "4"+long)
		if c.Compressed != 1 {
			t.Errorf("compressed messages: got %d", c.Compressed)
		}
	}, calm, compressing)
}

// A message is compressed once for all sessions: to send it to one more
// allocates nothing.
func TestCompressedFrameIsShared(t *testing.T) {
	r := newTCPRig(t, engineio.Config{QueueBytes: 64 << 20, Compression: &engineio.Compression{}})
	var apps []*app
	for range 20 {
		c, a := r.dialWith(offer)
		go func() {
			_, _ = io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{c.Conn}, make([]byte, 4<<10))
		}()
		apps = append(apps, a)
	}
	m := engineio.NewMessage([]byte(strings.Repeat("x", 5000)))
	allocs := testing.AllocsPerRun(50, func() {
		for _, a := range apps {
			if err := a.Send(m); err != nil {
				t.Fatal(err)
			}
		}
		for _, a := range apps {
			for !a.Writable() {
				runtime.Gosched()
			}
		}
	})
	if allocs >= float64(len(apps))/2 {
		t.Errorf("allocations for %d messages: got %v", len(apps), allocs)
	}
}

// A socket that fills in the middle of a compressed frame gets the rest of the
// same frame.
func TestFullSocketCompressed(t *testing.T) {
	r := newTCPRig(t, engineio.Config{QueueBytes: 64 << 20, QueueMessages: 1 << 20, Compression: &engineio.Compression{Level: -2}})
	c, a := r.dialWith(offer)
	base := noise(70_000) // a bit smaller when compressed
	const messages = 180
	size := func(i int) int { return i * 7919 % len(base) }
	for i := range messages {
		if err := a.Send(engineio.NewMessage(fmt.Appendf(nil, "%d:%s", i, base[:size(i)]))); err != nil {
			t.Fatal(err)
		}
	}
	if a.Writable() {
		t.Fatal("a peer that reads nothing took 5 MB")
	}
	for i := range messages {
		if got, err := c.ReadText(); err != nil || got != fmt.Sprintf("4%d:%s", i, base[:size(i)]) {
			t.Fatalf("message %d: got %.20q (%d bytes), %v", i, got, len(got), err)
		}
	}
	if c.Compressed < messages/2 {
		t.Errorf("compressed messages: got %d of %d", c.Compressed, messages)
	}
}

// countingConn counts what is read.
type countingConn struct {
	net.Conn
	n *atomic.Int64
}

func (c countingConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.n.Add(int64(n))
	return n, err
}

// An implementation that is not ours compresses, and reads what we compress,
// whether it would rather keep its context or not.
func TestIndependentPeerCompressed(t *testing.T) {
	for name, mode := range map[string]websocket.CompressionMode{
		"context":    websocket.CompressionContextTakeover,
		"no context": websocket.CompressionNoContextTakeover,
		"disabled":   websocket.CompressionDisabled,
	} {
		t.Run(name, func(t *testing.T) {
			r := newTCPRig(t, engineio.Config{QueueBytes: 64 << 20, Compression: &engineio.Compression{Threshold: 100}})
			var read atomic.Int64
			client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
				var d net.Dialer
				c, err := d.DialContext(ctx, network, addr)
				return countingConn{c, &read}, err
			}}}
			defer client.CloseIdleConnections()
			conn, resp, err := websocket.Dial(t.Context(), "http://"+r.addr+"/engine.io/?EIO=4&transport=websocket",
				&websocket.DialOptions{HTTPClient: client, CompressionMode: mode, CompressionThreshold: 10})
			if err != nil {
				t.Fatal(err)
			}
			conn.SetReadLimit(1 << 21)
			if got, want := resp.Header.Get("Sec-Websocket-Extensions") != "", mode != websocket.CompressionDisabled; got != want {
				t.Errorf("extension agreed on: got %v, want %v", got, want)
			}
			if _, _, err := conn.Read(t.Context()); err != nil {
				t.Fatal(err)
			}
			total := 0
			for _, n := range []int{0, 1, 11, 99, 100, 512, 2048, 65_535, 65_536, 999_999} {
				for _, kind := range []websocket.MessageType{websocket.MessageText, websocket.MessageBinary} {
					data := []byte("4" + strings.Repeat("larder ", 1+n/7)[:n])
					total += len(data)
					if err := conn.Write(t.Context(), kind, data); err != nil {
						t.Fatalf("write %d: %v", n, err)
					}
					got, back, err := conn.Read(t.Context())
					if err != nil || got != kind || !bytes.Equal(back, data) {
						t.Fatalf("echo of %v with %d bytes: got %v with %d bytes, %v", kind, n, got, len(back), err)
					}
				}
			}
			if got, want := read.Load() < int64(total/5), mode != websocket.CompressionDisabled; got != want {
				t.Errorf("%d bytes were sent for %d", read.Load(), total)
			}
			w, err := conn.Writer(t.Context(), websocket.MessageText) // fragments
			if err != nil {
				t.Fatal(err)
			}
			var want strings.Builder
			for i := range 10 {
				part := fmt.Sprintf("4%d,%s", i, noise(1000))
				want.WriteString(part)
				_, _ = io.WriteString(w, part)
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			if _, got, err := conn.Read(t.Context()); err != nil || string(got) != want.String() {
				t.Fatalf("echo of fragments: got %.50q, %v", got, err)
			}
			if err := conn.Close(websocket.StatusNormalClosure, "bye"); err != nil {
				t.Errorf("close: %v", err)
			}
		})
	}
}

// FuzzDeflated checks that what is read is what was compressed, however it was
// cut, and that no data whatever breaks the limits.
func FuzzDeflated(f *testing.F) {
	const maxMessage = 70_000
	f.Add([]byte("4hello"), 1, 3)
	f.Add([]byte{0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00}, 9, 0)
	f.Add([]byte("\x00\x00\x00\xff\xff"), 0, 2)
	f.Add(slices.Concat(ended("4one, "), ended("two"), []byte{0}), -2, 1000)
	f.Add(wire.Deflate(bytes.Repeat([]byte("4larder"), 20_000), 9), 1, 7)
	f.Add(wire.Deflate(bytes.Repeat([]byte("4larder"), 9_900), 9), 6, 7)
	f.Fuzz(func(t *testing.T, data []byte, level, cut int) {
		read := func(frames ...wire.Frame) (got []string, fault string) {
			var b []byte
			for _, fr := range frames {
				b = append(b, fr.Bytes()...)
			}
			err := engineio.ReadDeflated(bytes.NewReader(b), maxMessage, func(op byte, data []byte) {
				if len(data) > maxMessage || ws.OpCode(op) == ws.OpText && !utf8.Valid(data) {
					t.Errorf("delivered %d bytes with opcode %d", len(data), op)
				}
				got = append(got, string(data))
			})
			return got, err.Error()
		}
		level = level&0xf%12 - 2
		packed := wire.Deflate(data, level)
		got, fault := read(deflated(ws.OpBinary, packed, cut&0xffff, 1)...)
		switch {
		case len(data) > maxMessage && (len(got) > 0 || !strings.Contains(fault, "1009")):
			t.Errorf("too big: got %d messages, %s", len(got), fault)
		case len(data) <= maxMessage && (len(got) != 1 || got[0] != string(data) || fault != io.EOF.Error()):
			t.Errorf("level %d: got %.50q, %s, want %.50q", level, got, fault, data)
		}
		// And as if the data were compressed already.
		got, fault = read(deflated(ws.OpText, data)...)
		if len(got) != 0 && fault != io.EOF.Error() || len(got) == 0 && !strings.Contains(fault, "1007") && !strings.Contains(fault, "1009") {
			t.Errorf("data as it is: got %.50q, %s", got, fault)
		}
	})
}
