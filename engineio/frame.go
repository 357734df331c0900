package engineio

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"net"
	"slices"
	"sync"
	"syscall"
	"unicode/utf8"

	"github.com/gobwas/ws"
)

// frameHeaderMax is the longest header of a frame that a server sends: no mask.
const frameHeaderMax = 10

// appendFrameHeader appends the header of a final, unmasked frame.
func appendFrameHeader(dst []byte, op ws.OpCode, n int) []byte {
	dst = append(dst, 0x80|byte(op))
	switch {
	case n < 126:
		return append(dst, byte(n))
	case n < 1<<16:
		return binary.BigEndian.AppendUint16(append(dst, 126), uint16(n))
	default:
		return binary.BigEndian.AppendUint64(append(dst, 127), uint64(n))
	}
}

// controlFrame returns a whole control frame; payload is at most 125 bytes.
func controlFrame(op ws.OpCode, payload []byte) []byte {
	return append(appendFrameHeader(make([]byte, 0, 2+len(payload)), op, len(payload)), payload...)
}

// closeFrame returns a whole close frame. Code 1005, "none given", makes an
// empty one, for no frame may carry it.
func closeFrame(code ws.StatusCode, text string) []byte {
	if code == ws.StatusNoStatusRcvd {
		return controlFrame(ws.OpClose, nil)
	}
	text = text[:min(len(text), ws.MaxControlFramePayloadSize-2)]
	return controlFrame(ws.OpClose, ws.NewCloseFrameBody(code, text))
}

// frameError is a breach of RFC 6455, or of our limits, with the status to
// close with (E-39, E-40).
type frameError struct {
	code ws.StatusCode
	text string
}

func (e *frameError) Error() string { return fmt.Sprintf("websocket: %s (%d)", e.text, e.code) }

func protocolError(text string) error { return &frameError{ws.StatusProtocolError, text} }

const (
	readAhead   = 2 << 10  // holds most messages whole
	pooledLimit = 64 << 10 // larger message buffers are left to the collector
	growStep    = 4 << 10  // a declared length is believed only this far ahead of its bytes
)

// readBuffers holds the buffers that connections are read into. A connection
// has one only while something has been read that is not consumed.
var readBuffers = sync.Pool{New: func() any { return new([readAhead]byte) }}

// messageBuffers holds the buffers of messages that do not fit in a readAhead.
var messageBuffers = sync.Pool{New: func() any { return new([]byte) }}

// frameReader reads the messages and control frames of a client. It allocates
// for what has arrived, not for what a header declares. Waiting for the first
// byte of a frame it holds no buffer, if src is a connection that can tell
// when something is there.
type frameReader struct {
	src   io.Reader
	ahead []byte // read before src, by whoever had it first
	max   int    // bytes in one message

	buf  *[readAhead]byte // nil while nothing is read
	r, w int              // buf[r:w] is not yet consumed

	raw      syscall.RawConn       // under src, if it has one
	tryRead  func(fd uintptr) bool // f.readRaw, made once
	rawCount int                   // what it read
	rawErr   error                 // why it read nothing

	deflates bool // messages may be compressed (E-41)

	op         ws.OpCode // of the fragmented message in progress; 0: none
	compressed bool      // that message
	delivered  bool
	msg        *[]byte // its bytes so far, or the last message delivered
}

func newFrameReader(src io.Reader, ahead []byte, maxMessage int) *frameReader {
	f := &frameReader{src: src, ahead: ahead, max: maxMessage}
	if conn, ok := src.(net.Conn); ok {
		if f.raw = rawOf(conn); f.raw != nil {
			f.tryRead = f.readRaw
		}
	}
	return f
}

// fill makes at least n bytes lie in buf; n is at most readAhead.
func (f *frameReader) fill(n int) error {
	for f.w-f.r < n {
		if f.r > 0 {
			f.w = copy(f.buf[:], f.buf[f.r:f.w])
			f.r = 0
		}
		if err := f.more(); err != nil {
			return err
		}
	}
	return nil
}

// more reads at least one more byte into buf.
func (f *frameReader) more() error {
	switch {
	case len(f.ahead) > 0:
		f.need()
		n := copy(f.buf[f.w:], f.ahead)
		f.w += n
		if f.ahead = f.ahead[n:]; len(f.ahead) == 0 {
			f.ahead = nil
		}
		return nil
	case f.raw != nil:
		if err := f.raw.Read(f.tryRead); err != nil {
			return err
		}
		f.w += f.rawCount
		return f.rawErr
	}
	f.need()
	for range 100 {
		n, err := f.src.Read(f.buf[f.w:])
		f.w += n
		if n > 0 {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return io.ErrNoProgress
}

// readRaw reads from the descriptor, or reports that nothing is there yet. To
// try it takes a buffer, which it does not keep while it waits.
func (f *frameReader) readRaw(fd uintptr) (ready bool) {
	f.need()
	f.rawCount, ready, f.rawErr = readReady(fd, f.buf[f.w:])
	if !ready {
		f.spare()
	}
	return ready
}

// need gets a buffer.
func (f *frameReader) need() {
	if f.buf == nil {
		f.buf = readBuffers.Get().(*[readAhead]byte)
	}
}

// spare puts the buffer back if nothing is in it.
func (f *frameReader) spare() {
	if f.buf != nil && f.r == f.w {
		f.r, f.w = 0, 0
		readBuffers.Put(f.buf)
		f.buf = nil
	}
}

// close gives back what the reader holds. What it has delivered last is no
// longer valid.
func (f *frameReader) close() {
	f.release()
	f.r = f.w
	f.spare()
}

// Read implements io.Reader for what is left ahead of src.
func (f *frameReader) Read(p []byte) (int, error) {
	if err := f.fill(1); err != nil {
		return 0, err
	}
	n := copy(p, f.buf[f.r:f.w])
	f.r += n
	return n, nil
}

// wait returns when something has been read, or with what ended the reading. It is
// what next would begin with, without the stack of next under it.
func (f *frameReader) wait() error {
	f.release()
	f.spare()
	if f.r < f.w || len(f.ahead) > 0 || f.raw == nil {
		return nil
	}
	return f.more()
}

// next returns the next whole message, unmasked, or control frame: op is
// OpText, OpBinary, OpPing, OpPong or OpClose. The data is valid until the
// next call. After an error the reader is of no more use.
func (f *frameReader) next() (ws.OpCode, []byte, error) {
	f.release()
	for {
		h, err := f.header()
		if err != nil {
			return 0, nil, err
		}
		if err := f.check(h); err != nil {
			return 0, nil, err
		}
		if h.OpCode.IsControl() {
			data, err := f.short(h)
			if err == nil && h.OpCode == ws.OpClose {
				err = checkClose(data)
			}
			return h.OpCode, data, err
		}
		if h.Fin && f.op == 0 && h.Length <= readAhead && h.Rsv == 0 {
			data, err := f.short(h)
			if err == nil {
				err = checkText(h.OpCode, data)
			}
			return h.OpCode, data, err
		}
		if f.op == 0 {
			f.op, f.compressed = h.OpCode, h.Rsv != 0
		}
		if err := f.gather(h); err != nil {
			return 0, nil, err
		}
		if h.Fin {
			op := f.op
			f.op, f.delivered = 0, true
			if f.compressed {
				if err := f.inflateMessage(); err != nil {
					return 0, nil, err
				}
			}
			return op, *f.msg, checkText(op, *f.msg)
		}
	}
}

// header reads the header of a frame.
func (f *frameReader) header() (ws.Header, error) {
	f.spare()
	if err := f.fill(2); err != nil {
		if f.w > f.r {
			err = unexpected(err)
		}
		return ws.Header{}, err
	}
	size := 2
	switch f.buf[f.r+1] & 0x7f {
	case 126:
		size += 2
	case 127:
		size += 8
	}
	masked := f.buf[f.r+1]&0x80 != 0
	if masked {
		size += 4
	}
	if err := f.fill(size); err != nil {
		return ws.Header{}, unexpected(err)
	}
	b := f.buf[f.r : f.r+size]
	f.r += size
	h := ws.Header{
		Fin: b[0]&0x80 != 0, Rsv: b[0] >> 4 & 7, OpCode: ws.OpCode(b[0] & 0x0f),
		Masked: masked, Length: int64(b[1] & 0x7f),
	}
	least := int64(0)
	switch h.Length {
	case 126:
		least = 126
		h.Length = int64(binary.BigEndian.Uint16(b[2:]))
	case 127:
		least = 1 << 16
		n := binary.BigEndian.Uint64(b[2:])
		if n > math.MaxInt64 {
			return ws.Header{}, protocolError("length out of range")
		}
		h.Length = int64(n)
	}
	if h.Length < least {
		return ws.Header{}, protocolError("length in more bytes than it needs") // RFC 6455, 5.2
	}
	if masked {
		copy(h.Mask[:], b[size-4:])
	}
	return h, nil
}

// check judges a header before anything is allocated for it (E-39, E-40).
func (f *frameReader) check(h ws.Header) error {
	switch {
	case h.Rsv != 0 && !(h.Rsv == rsv1 && f.deflates && (h.OpCode == ws.OpText || h.OpCode == ws.OpBinary)):
		return protocolError("reserved bits are set")
	case h.OpCode.IsReserved():
		return protocolError("unknown opcode")
	case !h.Masked:
		return protocolError("frame is not masked")
	case h.OpCode.IsControl() && !h.Fin:
		return protocolError("fragmented control frame")
	case h.OpCode.IsControl() && h.Length > ws.MaxControlFramePayloadSize:
		return protocolError("control frame is too long")
	case h.OpCode.IsControl():
		return nil
	case h.OpCode == ws.OpContinuation && f.op == 0:
		return protocolError("continuation of nothing")
	case h.OpCode != ws.OpContinuation && f.op != 0:
		return protocolError("message inside a message")
	}
	have := 0
	if f.msg != nil {
		have = len(*f.msg)
	}
	limit := f.max
	if f.compressed && f.op != 0 || h.Rsv != 0 {
		limit = compressedMax(limit) // what comes of it is bounded by f.max
	}
	if h.Length > int64(limit-have) {
		return &frameError{ws.StatusMessageTooBig, "message is too big"}
	}
	return nil
}

// short reads a payload that fits in buf, without copying it out.
func (f *frameReader) short(h ws.Header) ([]byte, error) {
	n := int(h.Length)
	if err := f.fill(n); err != nil {
		return nil, unexpected(err)
	}
	if n == 0 {
		return nil, nil
	}
	data := f.buf[f.r : f.r+n]
	f.r += n
	ws.Cipher(data, h.Mask, 0)
	return data, nil
}

// gather reads a payload into msg.
func (f *frameReader) gather(h ws.Header) error {
	if f.msg == nil {
		f.msg = messageBuffers.Get().(*[]byte)
		*f.msg = (*f.msg)[:0]
	}
	b := *f.msg
	start := len(b)
	for left := int(h.Length); left > 0; {
		n := min(left, max(growStep, len(b)))
		b = slices.Grow(b, n)
		got, err := io.ReadFull(f.payload(), b[len(b):len(b)+n])
		b = b[:len(b)+got]
		left -= got
		if err != nil {
			*f.msg = b
			return unexpected(err)
		}
	}
	ws.Cipher(b[start:], h.Mask, 0)
	*f.msg = b
	return nil
}

// payload returns where the bytes of a long payload come from: straight from
// the connection once nothing is left ahead.
func (f *frameReader) payload() io.Reader {
	if f.r == f.w && len(f.ahead) == 0 {
		return f.src
	}
	return f
}

// release puts the buffer of the last message back.
func (f *frameReader) release() {
	if !f.delivered {
		return
	}
	f.delivered = false
	if cap(*f.msg) <= pooledLimit {
		messageBuffers.Put(f.msg)
	}
	f.msg = nil
}

// unexpected turns the end of the stream inside a frame into what it is.
func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

func checkText(op ws.OpCode, data []byte) error {
	if op == ws.OpText && !utf8.Valid(data) {
		return &frameError{ws.StatusInvalidFramePayloadData, "text is not UTF-8"}
	}
	return nil
}

// checkClose judges the payload of a close frame (RFC 6455, 5.5.1 and 7.4).
func checkClose(data []byte) error {
	if len(data) == 0 {
		return nil
	}
	if len(data) == 1 {
		return protocolError("close frame with half a status")
	}
	code := closeStatus(data)
	switch {
	case code < 1000, code >= 5000, code == 1004, code == 1005, code == 1006,
		code > 1014 && code < 3000:
		return protocolError("close frame with a status nobody may send")
	case !utf8.Valid(data[2:]):
		return &frameError{ws.StatusInvalidFramePayloadData, "close reason is not UTF-8"}
	}
	return nil
}

// closeStatus returns the status of a close frame that has passed checkClose.
func closeStatus(data []byte) ws.StatusCode {
	if len(data) == 0 {
		return ws.StatusNoStatusRcvd
	}
	return ws.StatusCode(binary.BigEndian.Uint16(data))
}
