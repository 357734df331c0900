package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
	"golang.org/x/time/rate"

	"larder/api"
	"larder/engineio"
	"larder/internal/account"
	"larder/internal/eventlog"
	"larder/internal/fanout"
	"larder/internal/feed"
)

const (
	writeTimeout = 10 * time.Second
	maxMessage   = 64 << 10 // bytes of one message from a client
	lingerTime   = time.Second
)

var (
	errSilent = errors.New("client is silent")
	errClosed = errors.New("connection is closed")
)

// plainConn is one plain WebSocket. Its reader goroutine owns it; whoever sends
// starts a writer if none runs, which ends when nothing waits.
type plainConn struct {
	g      *Gateway
	conn   net.Conn
	in     *wsutil.Reader
	cancel context.CancelCauseFunc

	at      place
	silence time.Duration // how long a sign of the client is good for; the reader's own

	messages, strikes *rate.Limiter // what the client may send; the reader's own

	mu      sync.Mutex // guards the fields below
	backlog backlog
	writing bool
	idle    chan struct{} // closed when the backlog has been written; nil when nobody waits
	ending  bool          // the close frame is queued: nothing goes after it
	hurried bool          // what is not taken soon is not waited for
	reason  engineio.Reason
}

func newPlainConn(g *Gateway, conn net.Conn, ahead []byte, cancel context.CancelCauseFunc) *plainConn {
	c := &plainConn{g: g, conn: conn, cancel: cancel}
	var source io.Reader = conn
	if len(ahead) > 0 {
		source = io.MultiReader(bytes.NewReader(ahead), conn)
	}
	c.in = &wsutil.Reader{
		Source: source, State: ws.StateServerSide, CheckUTF8: true, MaxFrameSize: maxMessage,
		OnIntermediate: c.control,
	}
	return c
}

// serve is the reader: identify, enter the stream, then answer until the end. token is
// that of the request; stranger is whom the connection counts for without one.
func (c *plainConn) serve(ctx context.Context, token, stranger string, want wish) {
	defer c.g.own.forget(c)
	defer c.cancel(errClosed)
	id, ok := c.identify(ctx, token)
	c.g.own.known(stranger)
	if !ok {
		c.finish()
		return
	}
	c.g.present.enter(c.g.log, id.Account.ID, "plain", string(engineio.WebSocket))
	if err := c.g.enter(ctx, c, id, want); err == nil {
		c.messages, c.strikes = rate.NewLimiter(messageRate, messageBurst), rate.NewLimiter(strikeRate, strikeBurst)
		c.closeFor(c.listen(func(msg []byte) {
			if c.spend(msg) {
				c.answer(ctx, id, msg)
			}
		}))
	} else if !ended(err) {
		c.refuse(err)
	}
	c.g.expiry.remove(c.at.ticket)
	c.finish()
	c.mu.Lock()
	reason := c.reason
	c.mu.Unlock()
	c.g.present.leave(c.g.log, c.at.accountID, "plain", string(reason))
}

// listen hands on every message until the connection ends, and pings a client
// that is quiet.
func (c *plainConn) listen(handle func(msg []byte)) error {
	frame := ws.MustCompileFrame(ws.NewPingFrame(nil))
	var ping *time.Timer
	armed := make(chan struct{})
	ping = time.AfterFunc(plainPing, func() {
		<-armed
		if c.send(frame) {
			ping.Reset(plainPing)
		}
	})
	close(armed)
	defer ping.Stop()
	c.silence = plainSilence
	for {
		if err := c.expect(c.silence); err != nil {
			return err
		}
		msg, err := c.read()
		if err != nil {
			return err
		}
		handle(msg)
	}
}

// expect sets until when the client has to give a sign. Once the connection is
// ending its own, shorter time holds, whatever the client goes on to send.
func (c *plainConn) expect(d time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ending {
		return nil
	}
	return c.conn.SetReadDeadline(time.Now().Add(d))
}

// errTooBig and errBinary are messages that a client may not send.
var (
	errTooBig = errors.New("message is too big")
	errBinary = errors.New("only text messages are understood")
)

// read returns the next whole text message. Control frames are answered on the way.
func (c *plainConn) read() ([]byte, error) {
	for {
		h, err := c.in.NextFrame()
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			return nil, errSilent
		case errors.Is(err, wsutil.ErrFrameTooLarge):
			return nil, errTooBig
		case err != nil:
			return nil, err
		}
		if h.OpCode.IsControl() {
			if err := c.control(h, c.in); err != nil {
				return nil, err
			}
			continue
		}
		msg, err := io.ReadAll(io.LimitReader(c.in, maxMessage+1))
		switch {
		case errors.Is(err, wsutil.ErrFrameTooLarge), err == nil && len(msg) > maxMessage:
			return nil, errTooBig
		case errors.Is(err, os.ErrDeadlineExceeded):
			return nil, errSilent
		case err != nil:
			return nil, err
		case h.OpCode != ws.OpText:
			return nil, errBinary
		}
		return msg, nil
	}
}

// control answers a ping and a close; a pong only shows that the client is there.
func (c *plainConn) control(h ws.Header, r io.Reader) error {
	payload, err := io.ReadAll(io.LimitReader(r, ws.MaxControlFramePayloadSize))
	if err != nil {
		return err
	}
	switch h.OpCode {
	case ws.OpPing:
		c.send(ws.MustCompileFrame(ws.NewPongFrame(payload)))
	case ws.OpClose:
		code, reason := ws.ParseCloseFrameData(payload)
		switch {
		case len(payload) == 0:
			code = ws.StatusNormalClosure
		case len(payload) == 1:
			return ws.ErrProtocolStatusCodeNoMeaning
		default:
			if err := ws.CheckCloseFrameData(code, reason); err != nil {
				return err
			}
		}
		c.close(code, "", engineio.ReasonTransportClose)
		return io.EOF
	}
	if c.silence == 0 { // who has not said its name yet has no more time by this
		return nil
	}
	return c.expect(c.silence)
}

// ended says that the connection is simply over: nobody is left to be told.
func ended(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, errClosed) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) || isNet(err)
}

func isNet(err error) bool {
	_, ok := errors.AsType[*net.OpError](err)
	return ok
}

// closeFor closes with the code that says what ended the connection (E-39, E-40).
func (c *plainConn) closeFor(err error) {
	switch {
	case ended(err):
		c.close(ws.StatusNormalClosure, "", engineio.ReasonTransportClose)
	case errors.Is(err, errTooBig):
		c.close(ws.StatusMessageTooBig, err.Error(), engineio.ReasonParseError)
	case errors.Is(err, errBinary):
		c.close(ws.StatusUnsupportedData, err.Error(), engineio.ReasonParseError)
	case errors.Is(err, errSilent):
		c.close(ws.StatusPolicyViolation, err.Error(), engineio.ReasonPingTimeout)
	case errors.Is(err, wsutil.ErrInvalidUTF8):
		c.close(ws.StatusInvalidFramePayloadData, "text is not UTF-8", engineio.ReasonParseError)
	default:
		c.close(ws.StatusProtocolError, "not a frame that RFC 6455 allows", engineio.ReasonParseError)
	}
}

func (c *plainConn) place() *place { return &c.at }

// tell implements client. Frames carry positions in their data.
func (c *plainConn) tell(name, _ string, data json.RawMessage) {
	c.sendFrame(api.Frame{Event: name, Data: data})
}

// deliver implements client.
func (c *plainConn) deliver(m *fanout.Message, p feed.Passage, shared *forms) {
	if shared.frame[p] == nil {
		body := m.Frame(p)
		if body == nil { // it can't be encoded
			return
		}
		shared.frame[p] = ws.MustCompileFrame(ws.NewTextFrame(body))
	}
	c.send(shared.frame[p])
}

// signal implements client.
func (c *plainConn) signal(s *fanout.Signal) {
	c.mu.Lock()
	idle := c.backlog.bytes == 0
	c.mu.Unlock()
	if idle {
		c.send(ws.MustCompileFrame(ws.NewTextFrame(s.Frame)))
	}
}

// narrow answers feed.subscribe.
func (c *plainConn) narrow(ctx context.Context, f api.Frame, req api.FeedSubscribe) error {
	view, faults := feed.NewView(req)
	if len(faults) > 0 {
		return api.NewError(http.StatusBadRequest, api.CodeValidation, faults...)
	}
	ctx, done := context.WithTimeout(ctx, lookupTime)
	defer done()
	err := c.g.narrow(ctx, listener{
		who:   account.Actor{ID: c.at.accountID, Role: c.at.role},
		pause: func() { c.g.own.pause(c) },
		tell:  func(m *fanout.Message, p feed.Passage) { c.deliver(m, p, new(forms)) },
		answer: func(s api.FeedSubscribed) error {
			c.ack(f, s)
			c.g.tell(c, api.EventFeedPosition, api.FeedPosition{Position: s.Position})
			return nil
		},
		resume: func(view feed.View, pos eventlog.Position) {
			c.at.view, c.at.after = view, pos.Seq
			c.g.own.join(c)
		},
	}, view, c.at.view, func(context.Context) error { return nil }) // the client says its view again when it returns
	if errors.Is(err, errOvertaken) {
		c.goAway()
	}
	return err
}

// cut implements client.
func (c *plainConn) cut() {
	c.cancel(errClosed)
	_ = c.conn.Close()
}

func (c *plainConn) sendFrame(f api.Frame) {
	body, err := json.Marshal(f)
	if err != nil {
		c.g.log.Error("frame can't be encoded", "event", f.Event, "err", err)
		return
	}
	c.send(ws.MustCompileFrame(ws.NewTextFrame(body)))
}

// send queues a frame and never waits for the client. A client that does not keep
// up is cut: it comes back and resumes. It says whether the frame was taken.
func (c *plainConn) send(frame []byte) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ending {
		return false
	}
	if !c.backlog.add(frame) {
		c.endLocked(engineio.ReasonSlow)
		c.backlog.drop()
		c.g.log.Info("client is too slow", "user_id", c.at.accountID, "door", "plain")
		_ = c.conn.Close() // ends reader and writer
		return false
	}
	c.writeLocked()
	return true
}

// endLocked lets nothing more in. The first reason counts.
func (c *plainConn) endLocked(reason engineio.Reason) {
	c.ending = true
	if c.reason == "" {
		c.reason = reason
	}
}

// close queues the close frame; nothing is sent after it.
func (c *plainConn) close(code ws.StatusCode, text string, reason engineio.Reason) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.ending {
		c.closeLocked(code, text, reason)
	}
}

func (c *plainConn) closeLocked(code ws.StatusCode, text string, reason engineio.Reason) {
	c.endLocked(reason)
	c.backlog.force(closeFrame(code, text))
	c.writeLocked()
	_ = c.conn.SetReadDeadline(time.Now().Add(lingerTime)) // the peer's answer, if it comes
}

func closeFrame(code ws.StatusCode, text string) []byte {
	text = text[:min(len(text), ws.MaxControlFramePayloadSize-2)]
	return ws.MustCompileFrame(ws.NewCloseFrame(ws.NewCloseFrameBody(code, text)))
}

// hurry bounds what is still being written by lingerTime.
func (c *plainConn) hurry() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hurryLocked()
}

func (c *plainConn) hurryLocked() {
	c.hurried = true
	_ = c.conn.SetWriteDeadline(time.Now().Add(lingerTime))
}

// writeLocked sees to it that what waits is written.
func (c *plainConn) writeLocked() {
	if !c.writing {
		c.writing = true
		c.g.own.wait.Go(c.write)
	}
}

// write writes what waits until nothing is left.
func (c *plainConn) write() {
	for {
		c.mu.Lock()
		piece := c.backlog.take()
		if len(piece) == 0 {
			c.writing = false
			if c.idle != nil {
				close(c.idle)
				c.idle = nil
			}
			c.mu.Unlock()
			return
		}
		c.mu.Unlock()
		err := c.writePiece(piece)
		c.mu.Lock()
		c.backlog.wrote(piece)
		if err != nil {
			c.endLocked(writeReason(err))
			c.backlog.drop()
		}
		c.mu.Unlock()
		if err != nil {
			_ = c.conn.Close()
		}
	}
}

// writePiece gives the client writeTimeout for each part of a piece: who reads a
// snapshot slowly reads.
func (c *plainConn) writePiece(piece []byte) error {
	for part := range slices.Chunk(piece, maxPiece) {
		c.mu.Lock()
		var err error
		if !c.hurried {
			err = c.conn.SetWriteDeadline(time.Now().Add(writeTimeout))
		}
		c.mu.Unlock()
		if err == nil {
			_, err = c.conn.Write(part)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// writeReason is why a connection ends that could not be written to.
func writeReason(err error) engineio.Reason {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return engineio.ReasonSlow
	}
	return engineio.ReasonTransportError
}

// flushed waits until everything queued has been written, or the connection or
// ctx has ended.
func (c *plainConn) flushed(ctx context.Context) error {
	for {
		c.mu.Lock()
		if c.ending {
			c.mu.Unlock()
			return errClosed
		}
		if !c.writing {
			c.mu.Unlock()
			return nil
		}
		if c.idle == nil {
			c.idle = make(chan struct{})
		}
		idle := c.idle
		c.mu.Unlock()
		select {
		case <-idle:
		case <-ctx.Done():
			return fmt.Errorf("client does not read: %w", context.Cause(ctx))
		}
	}
}

// finish lets the last frames go out, waits briefly for the peer to close, and
// closes the connection.
func (c *plainConn) finish() {
	c.g.own.pause(c) // not forgotten: a stop still has to hurry it
	c.close(ws.StatusNormalClosure, "", engineio.ReasonTransportClose)
	for {
		c.mu.Lock()
		if !c.writing {
			c.mu.Unlock()
			break
		}
		if c.idle == nil {
			c.idle = make(chan struct{})
		}
		idle := c.idle
		c.mu.Unlock()
		<-idle // bounded by the write timeout
		// What close gave the peer for its answer may have gone by meanwhile.
		_ = c.conn.SetReadDeadline(time.Now().Add(lingerTime))
	}
	// Unread data would make the kernel reset the connection under our last frames.
	_, _ = io.Copy(io.Discard, io.LimitReader(c.conn, maxMessage))
	_ = c.conn.Close()
}
