package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
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
