package gateway

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"larder/api"
	"larder/engineio"
	"larder/internal/account"
	"larder/internal/command"
	"larder/internal/eventlog"
	"larder/internal/fanout"
	"larder/internal/feed"
	"larder/internal/query"
	"larder/socketio"
)

// Bounds of a replay. Who has missed more gets a snapshot (P-8).
const (
	maxReplayEvents = 10_000
	maxReplayBytes  = 8 << 20
	// replayTime bounds a replay, with all the waiting for others. It is less than
	// the time after which a client is given up that is not heard.
	replayTime = 30 * time.Second
)

// unrecoveredView tells a client that it may have narrowed its feed, and that it is
// not known to what.
const unrecoveredView socketio.Unrecovered = "view"

// recovery lets clients of the stock library come back as the sockets they were
// (S-50 to S-55, P-8). It keeps nothing about them: the pid is a signed token, the
// offset a position of the log, and what a feed was narrowed to is in the store.
// So it works after a restart and on any node.
type recovery struct {
	g     *Gateway
	key   []byte
	keep  time.Duration // how long records are kept; 0: for ever
	past  *past
	ended endedSockets
}

func newRecovery(g *Gateway, key []byte, keep time.Duration) *recovery {
	return &recovery{g: g, key: key, keep: keep}
}

var _ socketio.Recovery = (*recovery)(nil)

// sign binds a socket to its namespace and its user. A pid has no age: it is of use
// only beside a token of the same account, which could read the same at GET /events,
// and the log's window bounds how long its socket may have been away.
func (r *recovery) sign(s *socketio.Socket, id string) string {
	mac := hmac.New(sha256.New, r.key)
	fmt.Fprintf(mac, "%s\n%s\n%s", s.Namespace().Name(), actorOf(s).ID, id)
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:18])
}

// Issue implements socketio.Recovery.
func (r *recovery) Issue(_ context.Context, s *socketio.Socket) (string, error) {
	return s.ID() + "." + r.sign(s, s.ID()), nil
}

// Find implements socketio.Recovery. A pid of another user or another server is
// unknown: its signature does not fit.
func (r *recovery) Find(_ context.Context, s *socketio.Socket, pid, offset string) (string, error) {
	id, signature, _ := strings.Cut(pid, ".")
	if !hmac.Equal([]byte(signature), []byte(r.sign(s, id))) {
		return "", socketio.UnrecoveredUnknown
	}
	if _, err := eventlog.ParsePosition(offset); err != nil {
		return "", socketio.UnrecoveredOffset
	}
	if r.ended.has(id) {
		return "", socketio.UnrecoveredEnded
	}
	return id, nil
}

// Left implements socketio.Recovery.
func (r *recovery) Left(s *socketio.Socket, _ string, why engineio.Reason, final bool) {
	r.g.fan.Views.Forget(s) // it may have gone before OnConnect, and then OnDisconnect is not called
	if !final && why != reasonView {
		return
	}
	r.ended.add(s.ID())
}

// Replay implements socketio.Recovery: feed.ready, and what the socket missed.
func (r *recovery) Replay(ctx context.Context, s *socketio.Socket, _, offset string, enter func() bool) (_ []*socketio.Event, err error) {
	after, err := eventlog.ParsePosition(offset)
	if err != nil {
		return nil, socketio.UnrecoveredOffset
	}
	ctx, done := context.WithTimeout(context.WithoutCancel(ctx), replayTime)
	defer done()
	who := actorOf(s)
	l, err := newReplayList(offset, who)
	if err != nil {
		return nil, err
	}
	if l.viewer.View, err = r.viewOf(ctx, s, who.ID, after); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			r.g.fan.Views.Forget(s)
		}
	}()
	entered := false
	err = r.gather(ctx, l, after, func() {
		r.g.joinFeed(s, who, l.viewer.View)
		entered = enter()
	})
	if err == nil && !entered {
		err = errors.New("not taken in")
	}
	if err != nil {
		return nil, err
	}
	return l.events, r.stillMay(ctx, s)
}

// viewOf is what a socket has narrowed its feed to. It fails when the log does not
// reach back to a position: the ring still may, but then the view may be forgotten.
func (r *recovery) viewOf(ctx context.Context, s *socketio.Socket, accountID string, after eventlog.Position) (feed.View, error) {
	ctx, done := detached(ctx)
	defer done()
	known, err := r.g.queries.Session(ctx, s.ID(), accountID)
	switch {
	case errors.Is(err, query.ErrViewForgotten):
		return feed.View{}, unrecoveredView
	case err != nil:
		return feed.View{}, err
	case after.Epoch == known.Tail.Epoch && after.Seq < known.Tail.Seq:
		return feed.View{}, socketio.UnrecoveredWindow
	case !known.View.Whole() && r.keep > 0 && time.Since(known.Renewed) > command.ViewRenewal(r.keep):
		err = r.g.commands.RenewViews(ctx, s.ID()) // it may be gone whenever the others are renewed
	}
	return known.View, err
}

// gather takes into a list what was missed after a position: from the log what the
// ring has no more, then from the ring, at the moment in which join takes the
// socket into the stream.
func (r *recovery) gather(ctx context.Context, l *replayList, at eventlog.Position, join func()) error {
	for {
		gap, err := r.g.reach(ctx, at)
		if gap != "" || err != nil {
			return unrecovered(gap, err)
		}
		var missed []*fanout.Message
		if r.g.fan.EnterAfter(at, func(_ eventlog.Position, since []*fanout.Message) {
			missed = slices.Clone(since)
			join()
		}) {
			return l.take(missed)
		}
		st, gap, err := r.past.stretch(ctx, at)
		if gap != "" || err != nil {
			return unrecovered(gap, err)
		}
		if err := l.take(st.since(at.Seq)); err != nil {
			return err
		}
		at = st.upTo
	}
}

// unrecovered is why a client can't come back that can't be told all that it missed.
func unrecovered(gap string, err error) error {
	switch {
	case err != nil:
		return err
	case gap == query.ReasonAhead:
		return socketio.UnrecoveredOffset
	}
	return socketio.Unrecovered(gap)
}

// stillMay looks, when all else is done, whether the account still has the rights
// by which the missed events were chosen. What took them away before the socket was
// in is seen here; what takes them away later finds the socket in its room.
func (r *recovery) stillMay(ctx context.Context, s *socketio.Socket) error {
	reason, err := r.g.lookAgain(ctx, ticketOf(s))
	if err == nil {
		return nil
	}
	refused := connectError(err)
	if _, told := errors.AsType[*socketio.Refusal](refused); !told || errors.Is(err, errRoleChanged) {
		s.Close(reason) // nothing that its client did: it comes back by itself
	}
	return refused
}

// replayList is what one client missed, within bounds, behind its feed.ready.
type replayList struct {
	viewer query.Viewer
	events []*socketio.Event
	bytes  int
}

func newReplayList(offset string, who account.Actor) (*replayList, error) {
	ready := api.FeedReady{Position: offset, Recovered: true, User: api.FeedUser{ID: who.ID, Role: string(who.Role)}}
	body, err := json.Marshal(ready)
	if err != nil {
		return nil, err
	}
	first, err := socketio.NewEvent(api.EventFeedReady, body)
	if err != nil {
		return nil, err
	}
	return &replayList{
		viewer: query.Viewer{AccountID: who.ID, Role: who.Role},
		events: []*socketio.Event{first.WithOffset(offset)},
	}, nil
}

// take adds those of some messages that the viewer is told of.
func (l *replayList) take(messages []*fanout.Message) error {
	for _, m := range messages {
		p := m.For(l.viewer.AccountID, string(l.viewer.Role), l.viewer.View)
		if p == feed.Outside {
			continue
		}
		ev := m.Event(p)
		if ev == nil {
			return errUnencoded
		}
		l.events = append(l.events, ev)
		if l.bytes += len(m.Record.Payload); l.bytes > maxReplayBytes || len(l.events) > maxReplayEvents {
			return socketio.UnrecoveredLimit
		}
	}
	return nil
}

// reach waits until this node has delivered what a client has seen elsewhere. A
// position that the log itself has not reached is none that anybody was told: a gap.
func (g *Gateway) reach(ctx context.Context, pos eventlog.Position) (gap string, err error) {
	at := g.fan.Position()
	switch {
	case at.Epoch != pos.Epoch:
		return query.ReasonEpoch, nil
	case pos.Seq <= at.Seq:
		return "", nil
	}
	ctx, done := context.WithTimeout(ctx, lookupTime)
	defer done()
	head, err := g.queries.Head(ctx)
	switch {
	case err != nil:
		return "", err
	case pos.Seq > head.Seq:
		return query.ReasonAhead, nil
	}
	return "", g.fan.Reach(ctx, pos)
}
