package engineio

import (
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/gobwas/ws"
)

// wantsWebSocket reports whether r asks for the protocol to be switched.
func wantsWebSocket(r *http.Request) bool {
	return hasToken(r.Header, "Connection", "upgrade") && hasToken(r.Header, "Upgrade", "websocket")
}

func hasToken(h http.Header, name, token string) bool {
	for _, line := range h.Values(name) {
		for t := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.TrimSpace(t), token) {
				return true
			}
		}
	}
	return false
}

// checkHandshake judges what wantsWebSocket has not (RFC 6455, 4.2.1).
func checkHandshake(r *http.Request) *refusal {
	key, err := base64.StdEncoding.DecodeString(r.Header.Get("Sec-Websocket-Key"))
	switch {
	case r.Method != http.MethodGet, r.ProtoMajor != 1, r.ProtoMinor < 1:
		return refuseBadRequest
	case err != nil, len(key) != 16:
		return refuseBadRequest
	case r.Header.Get("Sec-Websocket-Version") != "13":
		return refuseVersion
	}
	return nil
}

// handshake takes the connection over from net/http and switches it to
// WebSocket. The buffers of net/http are left behind; the reader returned begins
// with what they had already read. On error the request has been answered.
func (srv *Server) handshake(w http.ResponseWriter, r *http.Request) (net.Conn, *frameReader, error) {
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		srv.refuse(w, r, refuseBadRequest)
		srv.log.WarnContext(r.Context(), "connection cannot be taken over", "err", err)
		return nil, nil, fmt.Errorf("take connection over: %w", err)
	}
	srv.giveUp(conn)
	var ahead []byte
	if n := buffered.Reader.Buffered(); n > 0 {
		b, _ := buffered.Reader.Peek(n)
		ahead = bytes.Clone(b)
	}
	extension := ""
	if srv.deflater != nil {
		extension = negotiateDeflate(r.Header["Sec-Websocket-Extensions"])
	}
	if err := srv.switchProtocols(conn, w.Header(), r, extension); err != nil {
		_ = conn.Close()
		return nil, nil, fmt.Errorf("switch protocols: %w", err)
	}
	frames := newFrameReader(conn, ahead, srv.cfg.MaxPayload)
	frames.deflates = extension != ""
	return conn, frames, nil
}

// switchProtocols writes the 101 answer, with the headers that were set for it
// and the extension that was agreed on, if any.
func (srv *Server) switchProtocols(conn net.Conn, header http.Header, r *http.Request, extension string) error {
	if err := conn.SetDeadline(time.Time{}); err != nil {
		return err
	}
	if err := conn.SetWriteDeadline(time.Now().Add(srv.cfg.WriteTimeout)); err != nil {
		return err
	}
	const guid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
	sum := sha1.Sum([]byte(r.Header.Get("Sec-Websocket-Key") + guid))
	var b bytes.Buffer
	b.WriteString("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n")
	b.WriteString("Sec-WebSocket-Accept: " + base64.StdEncoding.EncodeToString(sum[:]) + "\r\n")
	if extension != "" {
		b.WriteString("Sec-WebSocket-Extensions: " + extension + "\r\n")
	}
	if err := header.Write(&b); err != nil {
		return err
	}
	b.WriteString("\r\n")
	_, err := conn.Write(b.Bytes())
	return err
}

// dismiss ends a WebSocket that has no session (any more): close frame, the
// peer's answer, close.
func dismiss(conn net.Conn, frames *frameReader, code ws.StatusCode, text string) {
	defer conn.Close()
	defer frames.close()
	if conn.SetDeadline(time.Now().Add(dismissTimeout)) != nil {
		return
	}
	if _, err := conn.Write(closeFrame(code, text)); err != nil {
		return
	}
	for {
		if op, _, err := frames.next(); err != nil || op == ws.OpClose {
			return
		}
	}
}
