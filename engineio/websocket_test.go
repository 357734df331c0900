package engineio_test

import (
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/gobwas/ws"

	"larder/engineio"
	"larder/internal/testkit/wire"
)

func text(s string) wire.Frame { return wire.Frame{Op: ws.OpText, Payload: []byte(s)} }

func TestWebSocketMessages(t *testing.T) {
	long := strings.Repeat("larder ", 20_000)
	part := func(op ws.OpCode, s string, more bool) wire.Frame {
		return wire.Frame{Op: op, Payload: []byte(s), More: more}
	}
	for name, tc := range map[string]struct {
		frames []wire.Frame
		want   []string // what the application gets
	}{
		"text":              {[]wire.Frame{text("4a")}, []string{"a"}},
		"empty text":        {[]wire.Frame{text("4")}, []string{""}},
		"binary":            {[]wire.Frame{{Op: ws.OpBinary, Payload: []byte{0, 255}}}, []string{"binary:\x00\xff"}},
		"empty binary":      {[]wire.Frame{{Op: ws.OpBinary}}, []string{"binary:"}},
		"base64":            {[]wire.Frame{text("bAQIDBA==")}, []string{"binary:\x01\x02\x03\x04"}}, // E-35
		"separator is data": {[]wire.Frame{text("4a\x1e4b")}, []string{"a\x1e4b"}},                  // E-35
		"several at once":   {[]wire.Frame{text("4a"), text("4b"), text("4c")}, []string{"a", "b", "c"}},
		"126 bytes":         {[]wire.Frame{text("4" + long[:125])}, []string{long[:125]}},
		"512 bytes":         {[]wire.Frame{text("4" + long[:511]), text("4b")}, []string{long[:511], "b"}},
		"513 bytes":         {[]wire.Frame{text("4" + long[:512]), text("4b")}, []string{long[:512], "b"}},
		"long":              {[]wire.Frame{text("4" + long), text("4b")}, []string{long, "b"}},
		"fragments": {[]wire.Frame{
			part(ws.OpText, "4a", true), part(ws.OpContinuation, "", true), part(ws.OpContinuation, "b", false), text("4c"),
		}, []string{"ab", "c"}},
		"control between fragments": {[]wire.Frame{
			part(ws.OpBinary, "x", true),
			{Op: ws.OpPong, Payload: []byte("unasked")},
			part(ws.OpContinuation, "y", true),
			{Op: ws.OpPong},
			part(ws.OpContinuation, long, false),
		}, []string{"binary:xy" + long}},
		"rune cut by fragments": {[]wire.Frame{part(ws.OpText, "4\xc3", true), part(ws.OpContinuation, "\xa4", false)}, []string{"ä"}},
		"ignored packets":       {[]wire.Frame{text("0"), text("3"), text("5"), text("6"), text("4a")}, []string{"a"}}, // E-37
	} {
		for _, bytewise := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/bytewise=%v", name, bytewise), func(t *testing.T) {
				if bytewise && strings.Contains(tc.want[0], long) {
					t.Skip("takes long and shows nothing new")
				}
				bubble(t, func(r *rig) {
					c, _ := r.connect()
					r.app(0).receive = func(string) error { return nil }
					go func() { // echoes of binary messages
						for _, _, err := c.Read(); err == nil; _, _, err = c.Read() {
						}
					}()
					var b []byte
					for _, f := range tc.frames {
						b = append(b, f.Bytes()...)
					}
					step := len(b)
					if bytewise {
						step = 1
					}
					for chunk := range slices.Chunk(b, step) {
						if err := c.Raw(chunk); err != nil {
							r.Fatal(err)
						}
					}
					synctest.Wait()
					if got := r.app(0).received(); !slices.Equal(got, tc.want) {
						r.Errorf("received: got %.100q, want %.100q", got, tc.want)
					}
					r.wantReason(0, "")
				})
			})
		}
	}
}

func TestWebSocketFaults(t *testing.T) {
	closing := func(code ws.StatusCode, reason string) wire.Frame {
		return wire.Frame{Op: ws.OpClose, Payload: ws.NewCloseFrameBody(code, reason)}
	}
	big := strings.Repeat("x", 600)
	for name, tc := range map[string]struct {
		frames []wire.Frame
		code   int
		reason engineio.Reason
	}{
		// E-37: packets.
		"empty text":       {[]wire.Frame{text("")}, 1002, "parse error"},
		"unknown type":     {[]wire.Frame{text("7")}, 1002, "parse error"},
		"bad base64":       {[]wire.Frame{text("b!")}, 1002, "parse error"},
		"ping from client": {[]wire.Frame{text("2")}, 1002, "parse error"},
		"late probe":       {[]wire.Frame{text("2probe")}, 1002, "parse error"},
		"close packet":     {[]wire.Frame{text("1")}, 1000, "transport close"}, // E-38
		// E-40: frames.
		"unmasked":              {[]wire.Frame{{Op: ws.OpText, Payload: []byte("4x"), Unmasked: true}}, 1002, "parse error"},
		"unmasked ping":         {[]wire.Frame{{Op: ws.OpPing, Unmasked: true}}, 1002, "parse error"},
		"reserved bit 1":        {[]wire.Frame{{Op: ws.OpText, Payload: []byte("4x"), Rsv: 4}}, 1002, "parse error"},
		"reserved bit 3":        {[]wire.Frame{{Op: ws.OpText, Payload: []byte("4x"), Rsv: 1}}, 1002, "parse error"},
		"reserved opcode":       {[]wire.Frame{{Op: 3}}, 1002, "parse error"},
		"reserved control":      {[]wire.Frame{{Op: 0xb}}, 1002, "parse error"},
		"long ping":             {[]wire.Frame{{Op: ws.OpPing, Payload: []byte(big[:126])}}, 1002, "parse error"},
		"fragmented ping":       {[]wire.Frame{{Op: ws.OpPing, More: true}}, 1002, "parse error"},
		"continuation alone":    {[]wire.Frame{{Op: ws.OpContinuation, Payload: []byte("4x")}}, 1002, "parse error"},
		"message in a message":  {[]wire.Frame{{Op: ws.OpText, Payload: []byte("4x"), More: true}, text("4y")}, 1002, "parse error"},
		"not UTF-8":             {[]wire.Frame{text("4\xff")}, 1007, "parse error"},
		"not UTF-8, fragmented": {[]wire.Frame{{Op: ws.OpText, Payload: []byte("4\xc3"), More: true}, {Op: ws.OpContinuation, Payload: []byte("x")}}, 1007, "parse error"},
		"too big":               {[]wire.Frame{text("4" + big + big)}, 1009, "parse error"}, // E-39
		"too big in fragments":  {[]wire.Frame{{Op: ws.OpText, Payload: []byte("4" + big), More: true}, {Op: ws.OpContinuation, Payload: []byte(big)}}, 1009, "parse error"},
		"declared too big":      {[]wire.Frame{{Op: ws.OpBinary, Declare: 1 << 40}}, 1009, "parse error"},
		"length out of range":   {[]wire.Frame{{Op: ws.OpBinary, Declare: 1 << 63}}, 1002, "parse error"},
		// Closing.
		"close":              {[]wire.Frame{closing(1000, "bye")}, 1000, "transport close"},
		"close of a kind":    {[]wire.Frame{closing(4321, "")}, 4321, "transport close"},
		"close without code": {[]wire.Frame{{Op: ws.OpClose}}, 0, "transport close"},
		"close with half":    {[]wire.Frame{{Op: ws.OpClose, Payload: []byte{3}}}, 1002, "parse error"},
		"close 1005":         {[]wire.Frame{closing(1005, "")}, 1002, "parse error"},
		"close 999":          {[]wire.Frame{closing(999, "")}, 1002, "parse error"},
		"close 2999":         {[]wire.Frame{closing(2999, "")}, 1002, "parse error"},
		"close 5000":         {[]wire.Frame{closing(5000, "")}, 1002, "parse error"},
		"close not UTF-8":    {[]wire.Frame{closing(1000, "\xff")}, 1007, "parse error"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(r *rig) {
				c, _ := r.connect()
				// The server may stop reading in the middle of it.
				go func() { _ = c.Send(tc.frames...) }()
				op, data, err := c.Read()
				if err != nil || op != ws.OpClose {
					r.Fatalf("read: got %v %q, %v", op, data, err)
				}
				if code, _ := ws.ParseCloseFrameData(data); int(code) != tc.code {
					r.Errorf("status: got %d, want %d", code, tc.code)
				}
				c.Abort()
				r.wantReason(0, tc.reason)
				if got := r.app(0).received(); len(got) != 0 {
					r.Errorf("received: %.50q", got)
				}
				if got, want := r.srv.Stats().TooLarge, uint64(0); tc.code == 1009 && got != 1 || tc.code != 1009 && got != want {
					r.Errorf("TooLarge: got %d", got)
				}
			}, func(c *engineio.Config) { c.MaxPayload = 1000 })
		})
	}
}

func TestWebSocketCut(t *testing.T) {
	for name, first := range map[string][]byte{
		"between frames":  nil,
		"inside a header": {0x81},
		"inside a short":  text("4hello").Bytes()[:8],
		"inside a long":   text("4" + strings.Repeat("x", 2000)).Bytes()[:1000],
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(r *rig) {
				c, _ := r.connect()
				if err := c.Raw(first); err != nil {
					r.Fatal(err)
				}
				synctest.Wait()
				c.Abort()
				want := engineio.ReasonTransportClose
				if len(first) > 0 {
					want = engineio.ReasonTransportError
				}
				r.wantReason(0, want)
			})
		})
	}
}

func TestWebSocketPing(t *testing.T) {
	bubble(t, func(r *rig) {
		c, _ := r.connect()
		for i := range 100 { // nobody reads: only the last has to be answered
			if err := c.Send(wire.Frame{Op: ws.OpPing, Payload: fmt.Append(nil, i)}); err != nil {
				r.Fatal(err)
			}
		}
		synctest.Wait()
		var got []string
		for len(got) == 0 || got[len(got)-1] != "99" {
			op, data, err := c.Read()
			if err != nil || op != ws.OpPong {
				r.Fatalf("read: got %v, %v", op, err)
			}
			got = append(got, string(data))
		}
		if len(got) > 2 {
			r.Errorf("pongs: got %q, want the first and the last", got)
		}
	}, calm)
}

func TestHandshakeFaults(t *testing.T) {
	for name, tc := range map[string]struct {
		header http.Header
		status int
	}{
		"no key":        {http.Header{"Sec-Websocket-Key": nil}, 400},
		"short key":     {http.Header{"Sec-Websocket-Key": {"c2hvcnQ="}}, 400},
		"no version":    {http.Header{"Sec-Websocket-Version": nil}, 426},
		"other version": {http.Header{"Sec-Websocket-Version": {"8"}}, 426},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(r *rig) {
				_, err := wire.DialWebSocket(r.Context(), r.net.Dial, "/engine.io/?EIO=4&transport=websocket", tc.header)
				wantRefused(r, err, tc.status, "Bad request")
			})
		})
	}
	t.Run("polling with upgrade", func(t *testing.T) {
		bubble(t, func(r *rig) {
			_, err := wire.DialWebSocket(r.Context(), r.net.Dial, "/engine.io/?EIO=4&transport=polling", nil)
			wantRefused(r, err, 400, "Bad request")
		})
	})
}

// Frames that a client sends right behind its handshake are not lost with the
// buffers of the HTTP server.
func TestFramesBehindTheHandshake(t *testing.T) {
	bubble(t, func(r *rig) {
		conn, err := r.net.Dial(r.Context())
		if err != nil {
			r.Fatal(err)
		}
		defer conn.Close()
		long := strings.Repeat("x", 3000)
		b := []byte("GET /engine.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n" +
			"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
		b = append(b, text("4"+long).Bytes()...)
		b = append(b, text("4b").Bytes()...)
		go func() { _, _ = conn.Write(b) }()
		go func() {
			buf := make([]byte, 100)
			for _, err := conn.Read(buf); err == nil; _, err = conn.Read(buf) {
			}
		}()
		synctest.Wait()
		if got := r.app(0).received(); !slices.Equal(got, []string{long, "b"}) {
			r.Errorf("received: %.50q", got)
		}
	})
}

// A message costs memory as its bytes arrive, not as it is declared.
func TestDeclaredLengthIsNotAllocated(t *testing.T) {
	bubble(t, func(r *rig) {
		var before, after runtime.MemStats
		var conns []*wire.WebSocket
		for range 50 {
			c, _ := r.connect()
			conns = append(conns, c)
		}
		runtime.ReadMemStats(&before)
		for _, c := range conns {
			if err := c.Send(wire.Frame{Op: ws.OpBinary, Declare: 1_000_000, Payload: []byte("x")}); err != nil {
				r.Fatal(err)
			}
		}
		synctest.Wait()
		runtime.ReadMemStats(&after)
		if got := after.TotalAlloc - before.TotalAlloc; got > 2_000_000 {
			r.Errorf("50 declared megabytes allocated %d bytes", got)
		}
	}, calm)
}
