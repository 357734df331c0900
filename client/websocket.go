package client

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"html"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/gobwas/ws"

	"larder/api"
)

const (
	maxMessage   = 16 << 20         // bytes of one WebSocket message
	writeTimeout = 10 * time.Second // of one frame
	closeTimeout = time.Second      // of the last frame
	maxRefusal   = 64 << 10         // bytes of the answer to a refused handshake
)

// webSocket reads and writes the messages of one connection. One goroutine
// reads; any may write.
type webSocket struct {
	conn net.Conn
	in   *bufio.Reader

	mu sync.Mutex // held while a frame is written
}

// refused is a server that answered and said no: to the handshake, or in a
// connect_error.
type refused struct {
	err   *api.Error
	retry bool          // the same client may try again
	after time.Duration // not sooner; 0: not known
}

func (r *refused) Error() string { return r.err.Error() }
func (r *refused) Unwrap() error { return r.err }

// closed is a close frame of the server.
type closed struct {
	code   ws.StatusCode
	reason string
}

func (c *closed) Error() string {
	if c.reason == "" {
		return fmt.Sprintf("closed by the server (%d)", c.code)
	}
	return fmt.Sprintf("closed by the server: %s (%d)", c.reason, c.code)
}

var errMessageTooLarge = fmt.Errorf("a message of the server is larger than %d bytes", maxMessage)

// dialWebSocket opens the WebSocket transport of Engine.IO, without polling
// before it (E-2, E-36).
func (c *Client) dialWebSocket(ctx context.Context) (*webSocket, error) {
	u := c.base.JoinPath("/socket.io/")
	u.Scheme = map[string]string{"http": "ws", "https": "wss"}[u.Scheme]
	u.RawQuery = "EIO=4&transport=websocket"
	var no error
	d := ws.Dialer{
		NetDial: c.dial, TLSConfig: c.tls, Header: ws.HandshakeHeaderHTTP(c.header),
		OnStatusError: func(status int, _ []byte, answer io.Reader) { no = handshakeRefusal(status, answer) },
	}
	conn, in, _, err := d.Dial(ctx, u.String())
	switch {
	case no != nil:
		return nil, no
	case err != nil:
		return nil, err
	}
	if in == nil {
		in = bufio.NewReader(conn)
	}
	return &webSocket{conn: conn, in: in}, nil
}

// handshakeRefusal reads why a server did not become a WebSocket. Its text names
// what to change (C-4).
func handshakeRefusal(status int, answer io.Reader) error {
	r := &refused{err: refusal(status, nil), retry: temporary(status) || status == http.StatusTooManyRequests}
	resp, err := http.ReadResponse(bufio.NewReader(answer), nil)
	if err != nil {
		return r
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxRefusal))
	if err != nil {
		return r
	}
	r.err = refusal(status, []byte(html.UnescapeString(string(body))))
	r.after = retryAfter(resp.Header)
	return r
}

// read returns the next text message. It answers the pings and the close frame of
// RFC 6455 and passes over binary messages, which Larder does not send.
func (w *webSocket) read() ([]byte, error) {
	var (
		message []byte
		op      ws.OpCode
		state   = ws.StateClientSide
	)
	for {
		h, err := ws.ReadHeader(w.in)
		if err != nil {
			return nil, err
		}
		if err := ws.CheckHeader(h, state); err != nil {
			return nil, err
		}
		if h.Length > maxMessage-int64(len(message)) {
			return nil, errMessageTooLarge
		}
		payload := make([]byte, h.Length)
		if _, err := io.ReadFull(w.in, payload); err != nil {
			return nil, err
		}
		if h.OpCode.IsControl() {
			if err := w.control(h.OpCode, payload); err != nil {
				return nil, err
			}
			continue
		}
		if h.OpCode != ws.OpContinuation {
			op = h.OpCode
		}
		if message = append(message, payload...); !h.Fin {
			state = state.Set(ws.StateFragmented)
			continue
		}
		if op == ws.OpText {
			return message, nil
		}
		message, state = nil, ws.StateClientSide
	}
}

func (w *webSocket) control(op ws.OpCode, payload []byte) error {
	switch op {
	case ws.OpPing:
		return w.write(ws.NewPongFrame(payload), writeTimeout)
	case ws.OpClose:
		c := &closed{code: ws.StatusNoStatusRcvd}
		if len(payload) >= 2 {
			c.code, c.reason = ws.ParseCloseFrameData(payload)
			payload = payload[:2]
		}
		_ = w.write(ws.NewCloseFrame(payload), closeTimeout) // the connection is over either way
		return c
	}
	return nil
}

// text sends a text message.
func (w *webSocket) text(message []byte) error {
	return w.write(ws.NewTextFrame(message), writeTimeout)
}

func (w *webSocket) write(f ws.Frame, timeout time.Duration) error {
	frame, err := ws.CompileFrame(ws.MaskFrame(f))
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.writeLocked(frame, timeout)
}

func (w *webSocket) writeLocked(frame []byte, timeout time.Duration) error {
	if err := w.conn.SetWriteDeadline(time.Now().Add(timeout)); err != nil {
		return err
	}
	_, err := w.conn.Write(frame)
	return err
}

var goodbye = ws.MustCompileFrame(ws.MaskFrame(ws.NewCloseFrame(ws.NewCloseFrameBody(ws.StatusNormalClosure, ""))))

// close says goodbye, unless somebody is stuck in a write, and closes the
// connection, which ends read and that write.
func (w *webSocket) close() error {
	if w.mu.TryLock() {
		_ = w.writeLocked(goodbye, closeTimeout) // a courtesy
		w.mu.Unlock()
	}
	return w.abort()
}

// abort closes the connection as it is.
func (w *webSocket) abort() error {
	if err := w.conn.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}
