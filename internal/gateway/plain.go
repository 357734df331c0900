package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gobwas/ws"
	"golang.org/x/time/rate"

	"larder/api"
	"larder/engineio"
	"larder/internal/auth"
	"larder/internal/problem"
	"larder/socketio"
)

const (
	// authTimeout is how long a plain WebSocket may take for its token (P-31).
	authTimeout = 5 * time.Second
	// plainPing is how often a quiet client is asked whether it is there;
	// plainSilence is when it is given up.
	plainPing    = 25 * time.Second
	plainSilence = 45 * time.Second
	// maxStrangers bounds the plain WebSockets of one address that have shown no token
	// yet (P-41).
	maxStrangers = 1000
)

// Close codes of the IANA registry that package ws does not name.
const (
	statusServiceRestart ws.StatusCode = 1012
	statusTryAgainLater  ws.StatusCode = 1013
)

// IsPlainWebSocket says whether a request wants the plain WebSocket (P-30): an
// upgrade on the path of the list.
func IsPlainWebSocket(r *http.Request) bool {
	return strings.TrimRight(r.URL.Path, "/") == "/donations" && strings.EqualFold(r.Header.Get("Upgrade"), "websocket")
}

// ServePlainWebSocket takes such a request over. The origin has been checked. An
// error is the caller's to answer.
func (g *Gateway) ServePlainWebSocket(w http.ResponseWriter, r *http.Request) error {
	token, subprotocol := plainToken(r)
	up := ws.HTTPUpgrader{Timeout: writeTimeout}
	if subprotocol != "" {
		up.Protocol = func(p string) bool { return p == subprotocol }
	}
	want, err := wishOf(r)
	if err != nil {
		return err
	}
	conn, rw, _, err := up.Upgrade(r, w)
	if err != nil {
		g.log.DebugContext(r.Context(), "plain websocket not opened", "err", err)
		if conn != nil {
			_ = conn.Close()
		}
		return nil
	}
	engineio.GiveUpTCP(conn, plainPing+time.Second, plainSilence)
	var ahead []byte
	if n := rw.Reader.Buffered(); n > 0 {
		ahead = make([]byte, n)
		_, _ = rw.Reader.Read(ahead) // they are buffered: nothing is read from the connection
	}
	// The handler returns, so that its stack and the buffers of net/http are given
	// back; the connection outlives the request's context.
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(r.Context()))
	c := newPlainConn(g, conn, ahead, cancel)
	stranger := ""
	if token == "" {
		stranger = engineio.AddressOf(r)
	}
	if err := g.own.admit(c, stranger); err != nil {
		c.turnAway(err)
		return nil
	}
	go func() {
		defer g.own.wait.Done()
		c.serve(ctx, token, stranger, want)
	}()
	return nil
}

// plainToken finds a token in the request (P-31): the Authorization header, else a
// subprotocol bearer.<token>. A browser insists on one of the subprotocols that it
// offered; one that is no token is preferred, since it ends up in logs.
func plainToken(r *http.Request) (token, subprotocol string) {
	token = r.Header.Get("Authorization")
	for _, line := range r.Header.Values("Sec-WebSocket-Protocol") {
		for p := range strings.SplitSeq(line, ",") {
			p = strings.TrimSpace(p)
			bearer, ok := strings.CutPrefix(p, "bearer.")
			if ok && token == "" {
				token = bearer
			}
			if subprotocol == "" || !ok && strings.HasPrefix(subprotocol, "bearer.") {
				subprotocol = p
			}
		}
	}
	return token, subprotocol
}

// turnAway is refuse for a connection that was not admitted: it starts nothing.
func (c *plainConn) turnAway(err error) {
	defer c.conn.Close()
	e, _ := problem.From(err)
	_ = c.conn.SetDeadline(time.Now().Add(lingerTime))
	_, err = c.conn.Write(slices.Concat(c.refusal(err), closeFrame(closeCode(e), string(e.Code))))
	if err == nil { // unread data would make the kernel reset the connection under it
		_, _ = io.Copy(io.Discard, io.LimitReader(c.conn, maxMessage))
	}
}

// goAway closes the connection because the server stops.
func (c *plainConn) goAway() {
	c.close(statusServiceRestart, "server is going away", engineio.ReasonShutdown)
}

// What one plain WebSocket may send, as on Socket.IO (S-60, S-61): messages a second
// and at once, and how often it may go on regardless before it is closed.
const (
	messageRate  rate.Limit = 100
	messageBurst            = 1000
	strikeRate   rate.Limit = 10
	strikeBurst             = 100
)

// spend takes one message off what the client may send. Over the limit the message
// is not handled: the client is told, and closed when it goes on (P-41).
func (c *plainConn) spend(msg []byte) bool {
	r := c.messages.Reserve()
	wait := r.Delay()
	if wait <= 0 {
		return true
	}
	r.Cancel()
	var f api.Frame
	_ = json.Unmarshal(msg, &f) // its name and id, if it has any
	if !isID(f.ID) {
		f.ID = nil
	}
	f.Data = nil
	err := &socketio.RateError{Scope: "socket", RetryAfter: wait}
	c.except(f, err)
	if !c.strikes.Allow() {
		c.close(closeCode(api.NewError(http.StatusTooManyRequests, api.CodeRateLimited)), string(api.CodeRateLimited), engineio.ReasonRateLimited)
	}
	return false
}

// answer handles one message of a client in the stream.
func (c *plainConn) answer(ctx context.Context, id auth.Identity, msg []byte) {
	var f api.Frame
	err := json.Unmarshal(msg, &f)
	known := f.ID
	if f.ID = nil; isID(known) {
		f.ID = known
	} else if len(known) > 0 && string(known) != "null" {
		err = errors.New("id is neither a number nor a text")
	}
	if err != nil || f.Event == "" {
		c.except(f, api.NewError(http.StatusBadRequest, api.CodeBadRequest, `a frame is {"event":…,"data":…}`))
		return
	}
	switch f.Event {
	case api.EventTest:
		pong := newPong()
		c.g.tell(c, api.EventTestResponse, pong)
		c.ack(f, pong)
	case api.EventFeedResume:
		var req api.FeedResume
		if err := json.Unmarshal(f.Data, &req); err != nil || req.After == "" {
			c.except(f, api.NewError(http.StatusBadRequest, api.CodeValidation, "after must be a position"))
			return
		}
		page, err := c.g.queries.Resume(ctx, c.at.viewer(), req.After, 0)
		if err != nil {
			c.except(f, err)
			return
		}
		c.ack(f, page)
	case api.EventFeedSubscribe:
		var req api.FeedSubscribe
		if err := json.Unmarshal(f.Data, &req); err != nil && len(f.Data) > 0 {
			c.except(f, api.NewError(http.StatusBadRequest, api.CodeBadRequest, "feed.subscribe takes area, statuses and foodTypes"))
			return
		}
		if err := c.narrow(ctx, f, req); err != nil {
			c.except(f, err)
		}
	case api.EventShareLocation:
		var req api.ShareLocation
		if err := json.Unmarshal(f.Data, &req); err != nil {
			c.except(f, api.NewError(http.StatusBadRequest, api.CodeBadRequest, "volunteer.shareLocation takes {donationId, lat, lng}"))
			return
		}
		shared, err := c.g.share(ctx, c.at.accountID, req)
		if err != nil {
			c.except(f, err)
			return
		}
		c.ack(f, shared)
	case api.EventAuthRefresh:
		var req api.AuthRefresh
		if err := json.Unmarshal(f.Data, &req); err != nil {
			c.except(f, api.NewError(http.StatusBadRequest, api.CodeBadRequest, "auth.refresh takes {token}"))
			return
		}
		until, err := c.g.refresh(ctx, c.at.ticket, req)
		if err != nil {
			c.except(f, err)
			return
		}
		c.ack(f, until)
	case api.EventAuth:
		c.ack(f, map[string]bool{"ok": true}) // it was authenticated already
	default:
		c.except(f, api.NewError(http.StatusBadRequest, api.CodeNotFound, "there is no event of that name"))
	}
}

// isID says whether a client may ask for an answer under this id (P-32).
func isID(id json.RawMessage) bool {
	return len(id) > 0 && (id[0] == '"' || id[0] == '-' || id[0] >= '0' && id[0] <= '9')
}

func (c *plainConn) ack(f api.Frame, answer any) {
	if len(f.ID) == 0 {
		return
	}
	data, err := json.Marshal(answer)
	if err == nil {
		c.sendFrame(api.Frame{ID: f.ID, Data: data})
	}
}

func (c *plainConn) except(f api.Frame, err error) {
	ex := c.g.exception(f.Event, f.Data, err)
	c.g.tell(c, api.EventException, ex)
	c.ack(f, ex)
}

// refuse tells why and closes (P-35).
func (c *plainConn) refuse(err error) {
	reason := engineio.ReasonForcedClose
	if errors.Is(err, auth.ErrSuspended) {
		reason = reasonSuspended
	}
	c.end(err, reason)
}

// end implements bearer and client.
func (c *plainConn) end(why error, reason engineio.Reason) {
	e, _ := problem.From(why)
	word := c.refusal(why)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ending {
		return
	}
	c.backlog.drop() // it is no longer for this client
	c.backlog.force(word)
	c.closeLocked(closeCode(e), string(e.Code), reason)
	c.hurryLocked()
}

// refusal is the frame that tells why.
func (c *plainConn) refusal(why error) []byte {
	body, err := json.Marshal(api.Frame{Event: api.EventException, Data: c.g.refusal(why)})
	if err != nil {
		c.g.log.Error("frame can't be encoded", "event", api.EventException, "err", err)
		return nil
	}
	return ws.MustCompileFrame(ws.NewTextFrame(body))
}

func closeCode(e *api.Error) ws.StatusCode {
	switch {
	case e.Code == api.CodeRateLimited:
		return statusTryAgainLater
	case e.Code == api.CodeDraining:
		return statusServiceRestart
	case e.StatusCode >= 500:
		return ws.StatusInternalServerError
	}
	return ws.StatusPolicyViolation
}
