package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"larder/api"
	"larder/engineio"
	"larder/internal/account"
	"larder/internal/auth"
	"larder/internal/command"
	"larder/internal/eventlog"
	"larder/internal/fanout"
	"larder/internal/feed"
	"larder/internal/problem"
	"larder/internal/query"
	"larder/socketio"
)

// Namespaces are those on which the same feed is served: the guide's, and the
// default one for front ends that use it.
var Namespaces = []string{"/donations", "/"}

// Gateway is the doors of one node.
type Gateway struct {
	sio      *socketio.Server
	auth     *auth.Auth
	queries  *query.Service
	commands *command.Service
	log      *slog.Logger
	spaces   []*socketio.Namespace
	own      door // plain WebSockets and event streams
	present  presence
	fan      *fanout.Fanout
	expiry   *expiry
	trips    trips
	back     *recovery
	unmarked int // records since the last mark; of the tailer's goroutine

	draining atomic.Bool
}

// New returns a Gateway on the namespaces of a Socket.IO server that does not
// serve yet. Join has to be called before it does. keep is how long records of
// the log are kept, 0: for ever.
func New(sio *socketio.Server, au *auth.Auth, queries *query.Service, commands *command.Service, keep time.Duration, log *slog.Logger) *Gateway {
	g := &Gateway{sio: sio, auth: au, queries: queries, commands: commands, log: log, expiry: newExpiry()}
	g.own.init(g)
	g.back = newRecovery(g, au.Tokens.Key("socket.io recovery"), keep)
	for _, name := range Namespaces {
		n := sio.Of(name)
		n.Use(g.authenticate)
		n.OnConnect(g.connected)
		n.OnDisconnect(g.disconnected)
		n.OnError(g.failed)
		n.Recover(g.back)
		socketio.On(n, api.EventTest, g.test)
		socketio.On(n, api.EventFeedResume, g.resume)
		socketio.OnAnswer(n, api.EventFeedSubscribe, g.subscribe)
		socketio.On(n, api.EventAuthRefresh, g.refreshed)
		socketio.On(n, api.EventShareLocation, g.shareFrom)
		g.spaces = append(g.spaces, n)
	}
	return g
}

// Join connects the gateway to the stream that it delivers.
func (g *Gateway) Join(f *fanout.Fanout) {
	g.fan = f
	g.back.past = newPast(g.queries.Stretch, f.Message)
}

var _ fanout.Door = (*Gateway)(nil)

// Deliver implements fanout.Door.
func (g *Gateway) Deliver(m *fanout.Message) {
	g.hand(m)
	if g.unmarked++; g.unmarked == markEvery {
		g.unmarked = 0
		g.mark(m.Record.Position)
	}
}

// markEvery is after how many records the sockets whose feeds are narrowed are told
// where the stream is: twice while the ring goes round once.
const markEvery = fanout.RingRecords / 2

// mark gives an offset to sockets that may have heard nothing for long. Without it
// one whose view is quiet would come back as if it had been away all that time.
func (g *Gateway) mark(pos eventlog.Position) {
	ev, err := eventAt(pos.String(), api.EventFeedPosition, api.FeedPosition{Position: pos.String()})
	if err != nil {
		g.log.Error("position not told", "position", pos.String(), "err", err)
		return
	}
	for _, n := range g.spaces {
		n.Emit(ev, fanout.RoomNarrowed)
	}
}

// hand gives a message to all who may have it.
func (g *Gateway) hand(m *fanout.Message) {
	g.trips.end(m.Record)
	if g.applyRights(m.Record) {
		return
	}
	for _, p := range []feed.Passage{feed.Within, feed.Enters, feed.Leaves} {
		rooms := m.Rooms(p)
		if len(rooms) == 0 { // nobody's
			continue
		}
		if ev := m.Event(p); ev != nil {
			for _, n := range g.spaces {
				n.Emit(ev, rooms...)
			}
		}
	}
	if m.Visible() {
		g.own.deliver(m)
	}
}

// reasonSuspended is what OnDisconnect and the log hear of an expelled socket.
const reasonSuspended engineio.Reason = "account suspended"

// authenticate is the middleware of every namespace: nothing is delivered before
// it has passed (P-4).
func (g *Gateway) authenticate(ctx context.Context, s *socketio.Socket) error {
	if g.draining.Load() {
		return connectError(errDraining)
	}
	token, err := handshakeToken(s.Handshake())
	if err != nil {
		return connectError(err)
	}
	ctx, done := detached(ctx)
	defer done()
	identity, err := g.auth.Authenticate(ctx, token)
	if err != nil {
		return connectError(err)
	}
	s.ForgetAuth() // a token has no business in memory for as long as a client stays
	s.SetData(newTicket(identity))
	s.SetUser(identity.Account.ID)
	return nil
}

// lookupTime bounds what a client may make the store do when it comes in.
const lookupTime = 10 * time.Second

// detached is the context of a look-up that is over soon. The one of a socket,
// once it is waited for, keeps 260 bytes for as long as the socket is there.
func detached(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), lookupTime)
}

// errDraining is told to who comes while the server goes away (P-3).
var errDraining = api.NewError(http.StatusServiceUnavailable, api.CodeDraining, "This server is going away, try again")

// handshakeToken finds the token: auth.token of the CONNECT packet, else the
// Authorization header (P-2).
func handshakeToken(h *socketio.Handshake) (string, error) {
	var fields struct {
		Token *json.RawMessage `json:"token"`
	}
	if err := json.Unmarshal(h.Auth, &fields); err != nil {
		return "", fmt.Errorf("%w: auth is no object", auth.ErrTokenInvalid)
	}
	if fields.Token == nil {
		return h.Header().Get("Authorization"), nil
	}
	var token string
	if err := json.Unmarshal(*fields.Token, &token); err != nil {
		return "", fmt.Errorf("%w: auth.token is no text", auth.ErrTokenInvalid)
	}
	return token, nil
}

// connectError is why a client may not join, in the form that it can act on (P-3).
// An internal error is left as it is: socketio logs it and tells nothing.
func connectError(err error) error {
	e, internal := problem.From(err)
	if internal && e.StatusCode != http.StatusServiceUnavailable {
		return err
	}
	return &socketio.Refusal{Message: e.Message.String(), Data: api.ConnectErrorData{Code: e.Code, Retry: e.StatusCode >= 429}}
}

// actorOf is whom a socket was let in as: all that is kept of its account.
func actorOf(s *socketio.Socket) account.Actor {
	if t := ticketOf(s); t != nil {
		return t.who()
	}
	return account.Actor{}
}

// connected lets an authenticated socket into the stream. Who has come back is in
// already, and was looked up again after that.
func (g *Gateway) connected(ctx context.Context, s *socketio.Socket) {
	who := actorOf(s)
	g.present.enter(g.log, who.ID, s.Namespace().Name(), string(s.Transport()))
	if !s.Recovered() && !g.begin(ctx, s, who) {
		return
	}
	for _, sig := range g.trips.of(who.ID, time.Now()) {
		g.emit(s, sig.Name, sig.Data) // not volatile: feed.ready may still be on its way
	}
	g.expiry.add(ticketOf(s), socketBearer{s})
}

// begin lets a socket in where the stream is, unless its account has lost its right
// to it since the token was checked: what happens later finds the socket in a room.
func (g *Gateway) begin(ctx context.Context, s *socketio.Socket, who account.Actor) bool {
	g.pauseFeed(s, who)
	if !g.recheck(ctx, ticketOf(s), socketBearer{s}) {
		return false
	}
	g.fan.Enter(func(pos eventlog.Position) {
		g.emitAt(s, pos.String(), api.EventFeedReady, api.FeedReady{
			Position: pos.String(), Reason: s.RecoveryResult(), User: api.FeedUser{ID: who.ID, Role: string(who.Role)},
		})
		g.joinFeed(s, who, feed.View{})
	})
	return true
}

func (g *Gateway) disconnected(s *socketio.Socket, reason engineio.Reason) {
	g.fan.Views.Forget(s)
	g.expiry.remove(ticketOf(s))
	g.present.leave(g.log, actorOf(s).ID, s.Namespace().Name(), string(reason))
}

// test answers the guide's ping, as event and as ack (P-20).
func (g *Gateway) test(_ context.Context, s *socketio.Socket, _ json.RawMessage) (api.Pong, error) {
	pong := newPong()
	g.emit(s, api.EventTestResponse, pong)
	return pong, nil
}

func newPong() api.Pong { return api.Pong{Message: "Pong!", Timestamp: api.At(time.Now())} }

func (g *Gateway) shareFrom(ctx context.Context, s *socketio.Socket, req api.ShareLocation) (api.Shared, error) {
	return g.share(ctx, actorOf(s).ID, req)
}

// resume tells what happened after a position, for clients without recovery (P-22).
func (g *Gateway) resume(ctx context.Context, s *socketio.Socket, req api.FeedResume) (api.FeedResumed, error) {
	if req.After == "" {
		return api.FeedResumed{}, api.NewError(http.StatusBadRequest, api.CodeValidation, "after must be a position")
	}
	view, _ := g.fan.Views.Of(s)
	who := actorOf(s)
	return g.queries.Resume(ctx, query.Viewer{AccountID: who.ID, Role: who.Role, View: view}, req.After, 0)
}

// failed tells a client that its message failed, as event and as ack (P-21).
func (g *Gateway) failed(_ context.Context, s *socketio.Socket, f socketio.Failure) json.RawMessage {
	var data json.RawMessage
	if len(f.Args.Values) > 0 {
		data = f.Args.Values[0]
	}
	ex := g.exception(f.Event, data, f.Err)
	g.emit(s, api.EventException, ex)
	body, err := json.Marshal(ex)
	if err != nil {
		return nil
	}
	return body
}

// maxEcho bounds what an exception repeats of the message that failed.
const maxEcho = 4 << 10

func (g *Gateway) exception(pattern string, data json.RawMessage, err error) api.Exception {
	if errors.Is(err, socketio.ErrArgument) {
		err = api.NewError(http.StatusBadRequest, api.CodeBadRequest, pattern+" does not take such data")
	}
	rate, limited := errors.AsType[*socketio.RateError](err)
	if limited {
		err = api.NewError(http.StatusTooManyRequests, api.CodeRateLimited, "Too many messages at once")
	}
	e, internal := problem.From(err)
	switch {
	case errors.Is(err, context.Canceled): // its client has gone, and nothing is broken
		g.log.Debug("message given up", "event", pattern, "err", err)
	case internal:
		g.log.Error("message failed", "event", pattern, "err", err)
	}
	if len(data) > maxEcho || pattern == api.EventAuth || pattern == api.EventAuthRefresh { // no token is repeated
		data = nil
	}
	ex := api.Exception{Status: "error", Message: e.Message.String(), Code: e.Code, Cause: api.Cause{Pattern: pattern, Data: data}}
	if limited {
		ex.RetryAfterMs = rate.Milliseconds()
	}
	return ex
}

// refusal is what an exception says to a client that may not be here.
func (g *Gateway) refusal(why error) json.RawMessage {
	data, err := json.Marshal(g.exception(api.EventAuth, nil, why))
	if err != nil {
		g.log.Error("event can't be encoded", "event", api.EventException, "err", err)
	}
	return data
}

// emit sends one socket something that is its own.
func (g *Gateway) emit(s *socketio.Socket, name string, payload any) { g.emitAt(s, "", name, payload) }

// emitAt is emit for what tells the client its place in the stream.
func (g *Gateway) emitAt(s *socketio.Socket, position, name string, payload any) {
	ev, err := eventAt(position, name, payload)
	if err == nil {
		err = s.Emit(ev)
	}
	if err != nil {
		g.log.Debug("event not sent", "event", name, "err", err)
	}
}

// eventAt makes an event, with an offset if there is a position.
func eventAt(position, name string, payload any) (*socketio.Event, error) {
	body, err := json.Marshal(payload)
	if err != nil {
		return nil, err
	}
	ev, err := socketio.NewEvent(name, body)
	if err == nil && position != "" {
		ev = ev.WithOffset(position)
	}
	return ev, err
}

// Drain lets nobody in from now on, tells every client that the server goes away
// and when to come back, and closes their connections in even steps within a
// window, those of each door by themselves (P-17). It returns when all have had
// their turn, or with the cause of ctx.
func (g *Gateway) Drain(ctx context.Context, over time.Duration) error {
	g.draining.Store(true)
	var doors sync.WaitGroup
	var ownErr error
	doors.Go(func() { ownErr = g.own.drain(ctx, over) })
	err := g.sio.Drain(ctx, over, func(s *socketio.Socket, in time.Duration) {
		g.emit(s, api.EventServerDraining, farewell(in))
	})
	doors.Wait()
	return errors.Join(err, ownErr)
}

// A client stays away for pauseLeast and up to pauseSpread more after its turn.
// The one leaves time for its next server to be found, the other spreads those
// who had their turn together (P-17).
const (
	pauseLeast  = time.Second
	pauseSpread = time.Second
)

// farewell is what a client is told whose connection will be closed in so long.
func farewell(in time.Duration) api.ServerDraining {
	return api.ServerDraining{ReconnectInMs: (in + pauseLeast + rand.N(pauseSpread)).Milliseconds()}
}

// Shutdown closes the plain WebSockets and event streams and waits for them until ctx ends. The
// Socket.IO server is its owner's to shut down.
func (g *Gateway) Shutdown(ctx context.Context) error { return g.own.shutdown(ctx) }
