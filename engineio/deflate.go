package engineio

import (
	"bytes"
	"compress/flate"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/gobwas/ws"
)

// Compression turns on permessage-deflate for WebSockets whose client offers
// it (RFC 7692, E-41). Zero fields take the defaults named here.
//
// A message is compressed once, by itself, and the frame shared by all who get
// it. Text of an attacker and a secret in one message can be told apart by its
// size: mark such messages with [Message.Uncompressed].
type Compression struct {
	Threshold int // 1,024 bytes; shorter messages are sent as they are
	Level     int // 1, the fastest; of compress/flate, -2 to 9
}

// deflateExtension is the answer to an offer. No context is taken over in
// either direction: then all sessions can share a frame, and none keeps a
// window of 32 KiB while it is idle.
const deflateExtension = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"

// negotiateDeflate returns the answer to the first offer of a client that can
// be accepted, from the lines of its Sec-WebSocket-Extensions header, or "" if
// there is none. An offer that is malformed is declined (RFC 7692, 5.1). What
// stands in quotes has to be a token all the same (RFC 6455, 9.1), so each
// comma and semicolon separates.
func negotiateDeflate(lines []string) string {
	for _, line := range lines {
		for offer := range strings.SplitSeq(line, ",") {
			if answer := acceptDeflate(offer); answer != "" {
				return answer
			}
		}
	}
	return ""
}

// acceptDeflate returns the answer to one offer, or "" to decline it.
func acceptDeflate(offer string) string {
	name, params, more := strings.Cut(offer, ";")
	if strings.TrimSpace(name) != "permessage-deflate" {
		return ""
	}
	named := ""
	var seen []string
	for param := ""; more; {
		param, params, more = strings.Cut(params, ";")
		name, value, valued := strings.Cut(param, "=")
		name, value = strings.TrimSpace(name), unquote(strings.TrimSpace(value))
		if slices.Contains(seen, name) {
			return ""
		}
		seen = append(seen, name)
		switch name {
		case "server_no_context_takeover", "client_no_context_takeover":
			if valued {
				return ""
			}
		case "client_max_window_bits": // only a hint, and any window can be read
			if valued && !slices.Contains(windowBits, value) {
				return ""
			}
		case "server_max_window_bits":
			if value != largestWindow { // compress/flate has no other
				return ""
			}
			named = "; server_max_window_bits=" + largestWindow // RFC 7692, 7.1.2.1
		default:
			return ""
		}
	}
	return deflateExtension + named
}

// windowBits are the values that a window size may have.
var windowBits = []string{"8", "9", "10", "11", "12", "13", "14", largestWindow}

const largestWindow = "15"

func unquote(s string) string {
	if len(s) >= 2 && s[0] == '"' && s[len(s)-1] == '"' {
		return s[1 : len(s)-1]
	}
	return s
}

const (
	rsv1 = 4 // of the reserved bits: the message is compressed

	// deflateTail ends what a flush writes. It is not sent (RFC 7692, 7.2.1).
	deflateTail = "\x00\x00\xff\xff"

	// deflatersMax bounds the compressors of a server, which take 1.2 MB each.
	deflatersMax = 8
)

// deflater compresses messages. Writers and flushers call it, with no lock
// held, when they come to a message that is not compressed yet.
type deflater struct {
	threshold, level int

	// free holds the compressors that are not in use, or nil for one that is
	// yet to be made.
	free chan *deflateWriter
}

type deflateWriter struct {
	flate *flate.Writer
	out   bytes.Buffer
}

func newDeflater(c Compression) *deflater {
	n := min(runtime.GOMAXPROCS(0), deflatersMax)
	z := &deflater{threshold: c.Threshold, level: c.Level, free: make(chan *deflateWriter, n)}
	for range n {
		z.free <- nil
	}
	return z
}

// frame returns a frame with the payload compressed, or nil if that does not
// make it smaller.
func (z *deflater) frame(op ws.OpCode, payload []byte) []byte {
	w := <-z.free
	if w == nil {
		w = new(deflateWriter)
		w.flate, _ = flate.NewWriter(nil, z.level) // fails for unknown levels
	}
	defer func() { z.free <- w }()
	if w.out.Cap() > pooledLimit {
		w.out = bytes.Buffer{}
	}
	w.out.Reset()
	w.flate.Reset(&w.out)
	if _, err := w.flate.Write(payload); err != nil {
		return nil // a Buffer takes everything
	}
	if err := w.flate.Flush(); err != nil {
		return nil
	}
	data := bytes.TrimSuffix(w.out.Bytes(), []byte(deflateTail))
	if len(data) >= len(payload) {
		return nil
	}
	frame := appendFrameHeader(make([]byte, 0, frameHeaderMax+len(data)), op, len(data))
	frame[0] |= rsv1 << 4
	return append(frame, data...)
}

// deflatedFrame is the compressed frame of a message, made once. Sessions of
// two servers get the same: the level is that of whichever came first.
type deflatedFrame struct {
	once  sync.Once
	frame []byte
}

// wire returns the frame for a session; z is nil if its client takes none that
// is compressed. It is the same frame each time.
func (m *Message) wire(z *deflater) []byte {
	if z == nil || m.plain || m.control || len(m.body) < z.threshold {
		return m.frame
	}
	d := m.deflated.Load()
	if d == nil {
		m.deflated.CompareAndSwap(nil, new(deflatedFrame))
		d = m.deflated.Load()
	}
	d.once.Do(func() {
		op := ws.OpText
		if m.binary {
			op = ws.OpBinary
		}
		if d.frame = z.frame(op, m.body); d.frame == nil {
			d.frame = m.frame
		}
	})
	return d.frame
}
