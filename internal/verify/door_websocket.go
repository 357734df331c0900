package verify

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/gobwas/ws"

	"larder/api"
	"larder/client"
)

// webSocket is a client's end. One goroutine uses it.
type webSocket struct {
	conn net.Conn
	in   *bufio.Reader
	stop func() bool
}

// dialWebSocket opens a connection that is closed when ctx ends.
func (w *witness) dialWebSocket(ctx context.Context, path string, q url.Values, h http.Header) (*webSocket, error) {
	var no error
	d := ws.Dialer{
		NetDial: w.site.dial, Timeout: openTimeout, Header: ws.HandshakeHeaderHTTP(h),
		OnStatusError: func(status int, _ []byte, answer io.Reader) {
			resp, err := http.ReadResponse(bufio.NewReader(answer), nil)
			if err != nil {
				no = refusal(status, nil)
				return
			}
			defer resp.Body.Close()
			body, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10)) // what there is of it says enough
			no = refusal(status, body)
		},
	}
	conn, in, _, err := d.Dial(ctx, w.site.url("ws", path, q))
	switch {
	case no != nil:
		return nil, no
	case err != nil:
		return nil, err
	}
	if in == nil {
		in = bufio.NewReaderSize(conn, 4<<10)
	}
	return &webSocket{conn: conn, in: in, stop: context.AfterFunc(ctx, func() { _ = conn.Close() })}, nil
}

func (c *webSocket) close() {
	c.stop()
	_ = c.conn.Close()
}

// expect sets how long the server may be silent.
func (c *webSocket) expect(d time.Duration) { _ = c.conn.SetReadDeadline(time.Now().Add(d)) }

// read returns the next text message. pinged is called for each ping of RFC 6455.
func (c *webSocket) read(pinged func()) ([]byte, error) {
	for {
		h, err := ws.ReadHeader(c.in)
		if err != nil {
			return nil, err
		}
		if !h.Fin || h.Masked || h.Length > maxMessage {
			return nil, fmt.Errorf("a frame that no Larder sends: %+v", h)
		}
		payload := make([]byte, h.Length)
		if _, err := io.ReadFull(c.in, payload); err != nil {
			return nil, err
		}
		switch h.OpCode {
		case ws.OpText:
			return payload, nil
		case ws.OpPing:
			pinged()
			if err := c.write(ws.NewPongFrame(payload)); err != nil {
				return nil, err
			}
		case ws.OpClose:
			code, reason := ws.ParseCloseFrameData(payload)
			return nil, fmt.Errorf("closed with %d %s", code, reason)
		}
	}
}

func (c *webSocket) write(f ws.Frame) error {
	_ = c.conn.SetWriteDeadline(time.Now().Add(openTimeout))
	return ws.WriteFrame(c.conn, ws.MaskFrameInPlace(f))
}

// plain is one plain WebSocket (P-30 to P-34).
func plain(ctx context.Context, w *witness) error {
	q := w.query()
	if w.began {
		q.Set("after", w.position())
	}
	c, err := w.dialWebSocket(ctx, "/donations", q, http.Header{"Authorization": {"Bearer " + w.token}})
	if err != nil {
		return err
	}
	defer c.close()
	c.expect(openTimeout)
	for {
		msg, err := c.read(func() { c.expect(quiet) })
		if err != nil {
			return err
		}
		c.expect(quiet)
		var f api.Frame
		if err := json.Unmarshal(msg, &f); err != nil {
			w.fault("heard what is no frame: %.100q", msg)
			return err
		}
		switch f.Event {
		case api.EventFeedReady:
			var r api.FeedReady
			if err := json.Unmarshal(f.Data, &r); err != nil {
				return err
			}
			if err := w.enter(ctx, r); err != nil {
				return err
			}
		case api.EventException:
			var e api.Exception
			if err := json.Unmarshal(f.Data, &e); err != nil {
				return err
			}
			return &refusedError{code: e.Code, message: e.Message, retry: e.Code == api.CodeDraining || e.Code == api.CodeUnavailable}
		default:
			if err := w.hear(f.Event, f.Data); err != nil {
				return err
			}
		}
	}
}

// watch is the Go client, which comes back by itself.
func (w *witness) watch(ctx context.Context) {
	c, err := client.New(client.Config{BaseURL: w.site.base.String(), Token: w.token, Dial: w.site.dial, HTTPClient: w.site.http})
	if err != nil {
		w.fault("%v", err)
		return
	}
	state := func(s client.State) {
		switch s.Kind {
		case client.StateConnected:
			if !w.began {
				w.begin(s.Position)
			}
		case client.StateResumed:
			w.resumed("resumed")
		case client.StateLost:
			w.lost(errors.Unwrap(s.Err))
		}
	}
	for ctx.Err() == nil {
		w.watchOnce(ctx, c, state)
		_ = sleep(ctx, longestPause)
	}
}

// watchOnce watches until the client gives up.
func (w *witness) watchOnce(ctx context.Context, c *client.Client, state func(client.State)) {
	for ev, err := range c.Watch(ctx, client.WatchOptions{After: w.position(), OnState: state}) {
		switch {
		case err != nil:
			no := &refusedError{message: err.Error()}
			if e, ok := errors.AsType[*api.Error](err); ok {
				no.code = e.Code
			}
			w.lost(no)
		case ev.Gap != "":
			w.gap(ev.Position, ev.Gap)
			if err := w.snapshot(ctx, ev.Position); err != nil && ctx.Err() == nil {
				w.tally.ended(w.Door, err)
			}
		case w.hear(ev.Name, ev.Data) != nil:
			return
		}
	}
}
