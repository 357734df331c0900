package wire

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"time"

	"github.com/gobwas/ws"
)

// WebSocket is a WebSocket client that sends what it is told to.
type WebSocket struct {
	// Conn is the connection, for deadlines and for cutting it.
	Conn net.Conn

	// Extensions is the header of that name in the server's answer. With
	// permessage-deflate in it, Read takes compressed messages and inflates them.
	Extensions string

	// Compressed is how many messages read were compressed.
	Compressed int

	r *bufio.Reader
}

// Frame is one frame to send. The zero value of everything but Op and Payload
// makes a good one.
type Frame struct {
	Op       ws.OpCode
	Payload  []byte
	More     bool // FIN is not set
	Rsv      byte // the three reserved bits; 4 is that of a compressed message
	Unmasked bool
	Declare  uint64 // length to declare instead of the true one, if not 0
	Wide     int    // bytes of the length, 2 or 8, if more than are needed
}

// mask is what payloads are masked with; servers must take any.
var mask = [4]byte{0x1e, 0xa5, 0x00, 0xff}

// Bytes returns the frame as it goes over the wire.
func (f Frame) Bytes() []byte {
	length := uint64(len(f.Payload))
	if f.Declare != 0 {
		length = f.Declare
	}
	first := byte(f.Op) | f.Rsv<<4
	if !f.More {
		first |= 0x80
	}
	second := byte(0x80)
	if f.Unmasked {
		second = 0
	}
	var b []byte
	switch {
	case length < 126 && f.Wide == 0:
		b = append(b, first, second|byte(length))
	case length < 1<<16 && f.Wide < 8:
		b = binary.BigEndian.AppendUint16(append(b, first, second|126), uint16(length))
	default:
		b = binary.BigEndian.AppendUint64(append(b, first, second|127), length)
	}
	if f.Unmasked {
		return append(b, f.Payload...)
	}
	b = append(b, mask[:]...)
	for i, c := range f.Payload {
		b = append(b, c^mask[i%4])
	}
	return b
}

// DialWebSocket opens a WebSocket. target is a path with its query. Headers
// are added to, or replace, those of a good handshake. If the server refuses,
// the error is a [*Refused].
func DialWebSocket(ctx context.Context, dial DialFunc, target string, header http.Header) (*WebSocket, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, URL+target, nil)
	if err != nil {
		return nil, err
	}
	req.Header = http.Header{
		"Upgrade":               {"websocket"},
		"Connection":            {"Upgrade"},
		"Sec-Websocket-Version": {"13"},
		"Sec-Websocket-Key":     {"dGhlIHNhbXBsZSBub25jZQ=="},
	}
	maps.Copy(req.Header, header)
	conn, err := dial(ctx)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if err := req.Write(conn); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	r := bufio.NewReader(conn)
	resp, err := http.ReadResponse(r, req)
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	if resp.StatusCode != http.StatusSwitchingProtocols {
		body, err := io.ReadAll(resp.Body)
		refused := &Refused{Reply{Status: resp.StatusCode, Header: resp.Header, Body: string(body)}}
		return nil, errors.Join(refused, err, conn.Close())
	}
	// The answer to the sample nonce of RFC 6455, 1.3.
	if got := resp.Header.Get("Sec-Websocket-Accept"); header == nil && got != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
		return nil, errors.Join(fmt.Errorf("wire: bad Sec-WebSocket-Accept %q", got), conn.Close())
	}
	return &WebSocket{Conn: conn, r: r, Extensions: resp.Header.Get("Sec-Websocket-Extensions")}, nil
}

// Refused is the error of a handshake that the server refused.
type Refused struct{ Reply Reply }

func (e *Refused) Error() string {
	return fmt.Sprintf("wire: handshake refused with %d: %s", e.Reply.Status, e.Reply.Body)
}

// Text sends a text message.
func (c *WebSocket) Text(s string) error {
	return c.Send(Frame{Op: ws.OpText, Payload: []byte(s)})
}

// Binary sends a binary message.
func (c *WebSocket) Binary(data []byte) error {
	return c.Send(Frame{Op: ws.OpBinary, Payload: data})
}

// Send sends frames, in one write.
func (c *WebSocket) Send(frames ...Frame) error {
	var b []byte
	for _, f := range frames {
		b = append(b, f.Bytes()...)
	}
	return c.Raw(b)
}

// Raw sends bytes as they are.
func (c *WebSocket) Raw(b []byte) error {
	_, err := c.Conn.Write(b)
	return err
}

// Read returns the next frame of the server. It insists on what a server that
// never fragments has to send: whole, unmasked frames, without reserved bits
// but for the one of compression where that was agreed on.
func (c *WebSocket) Read() (ws.OpCode, []byte, error) {
	h, err := ws.ReadHeader(c.r)
	if err != nil {
		return 0, nil, err
	}
	compressed := h.Rsv == 4 && c.Extensions != "" && !h.OpCode.IsControl()
	if h.Masked || !h.Fin || h.Rsv != 0 && !compressed || h.OpCode.IsReserved() {
		return 0, nil, fmt.Errorf("wire: server sent a bad frame: %+v", h)
	}
	payload := make([]byte, h.Length)
	if _, err := io.ReadFull(c.r, payload); err != nil {
		return 0, nil, err
	}
	if compressed {
		c.Compressed++
		payload, err = Inflate(payload)
	}
	return h.OpCode, payload, err
}

// Closed is the error of ReadText for a close frame.
type Closed struct {
	Code   ws.StatusCode
	Reason string
}

func (e *Closed) Error() string { return fmt.Sprintf("wire: closed with %d %q", e.Code, e.Reason) }

// ReadText returns the next message, which has to be text. A close frame is a
// [*Closed] error; it is not answered.
func (c *WebSocket) ReadText() (string, error) {
	op, payload, err := c.Read()
	switch {
	case err != nil:
		return "", err
	case op == ws.OpClose:
		code, reason := ws.ParseCloseFrameData(payload)
		return "", &Closed{code, reason}
	case op != ws.OpText:
		return "", fmt.Errorf("wire: want a text frame, got opcode %d", op)
	}
	return string(payload), nil
}

// Close sends a close frame with status 1000, waits for the answer and closes
// the connection.
func (c *WebSocket) Close() error {
	err := c.Send(Frame{Op: ws.OpClose, Payload: ws.NewCloseFrameBody(ws.StatusNormalClosure, "")})
	for err == nil {
		var op ws.OpCode
		if op, _, err = c.Read(); op == ws.OpClose {
			break
		}
	}
	return errors.Join(err, c.Conn.Close())
}

// Abort cuts the connection.
func (c *WebSocket) Abort() { _ = c.Conn.Close() }
