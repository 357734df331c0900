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
	"strconv"
	"strings"
	"sync"
	"time"

	"larder/api"
	"larder/engineio"
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
	// replayReaders bounds how many replays read the database at once.
	replayReaders = 4
)

// unrecoveredView tells a client that it may have narrowed its feed, and that it is
// not known to what.
const unrecoveredView socketio.Unrecovered = "view"

// recovery lets clients of the stock library come back as the sockets they were
// (S-50 to S-55, P-8). It keeps nothing about them: the pid is a signed token, the
// offset a position of the log, and what a feed was narrowed to is in the store.
// So it works after a restart and on any node.
type recovery struct {
	g       *Gateway
	key     []byte
	window  time.Duration // how long a pid is good for; 0: for ever
	readers chan struct{}

	mu    sync.Mutex // guards the fields below
	ended map[string]struct{}
	order []string // of ended, oldest first
}

// maxEnded bounds the sockets that are remembered as ended on purpose. Who is
// forgotten could come back with a token of the same account, to what that
// account may see: a curiosity, no leak.
const maxEnded = 10_000

func newRecovery(g *Gateway, key []byte, window time.Duration) *recovery {
	return &recovery{g: g, key: key, window: window, readers: make(chan struct{}, replayReaders), ended: map[string]struct{}{}}
}

var _ socketio.Recovery = (*recovery)(nil)

// sign binds a socket to its namespace, its user and when it was first there.
func (r *recovery) sign(s *socketio.Socket, id, issued string) string {
	mac := hmac.New(sha256.New, r.key)
	fmt.Fprintf(mac, "%s\n%s\n%s\n%s", s.Namespace().Name(), actorOf(s).ID, id, issued)
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:18])
}

// Issue implements socketio.Recovery.
func (r *recovery) Issue(_ context.Context, s *socketio.Socket) (string, error) {
	issued := strconv.FormatInt(time.Now().Unix(), 36)
	return s.ID() + "." + issued + "." + r.sign(s, s.ID(), issued), nil
}

// Find implements socketio.Recovery. A pid of another user or another server is
// unknown: its signature does not fit.
func (r *recovery) Find(_ context.Context, s *socketio.Socket, pid, offset string) (string, error) {
	parts := strings.Split(pid, ".")
	if len(parts) != 3 || !hmac.Equal([]byte(parts[2]), []byte(r.sign(s, parts[0], parts[1]))) {
		return "", socketio.UnrecoveredUnknown
	}
	issued, err := strconv.ParseInt(parts[1], 36, 64)
	if err != nil {
		return "", socketio.UnrecoveredUnknown
	}
	if r.window > 0 && time.Since(time.Unix(issued, 0)) > r.window {
		return "", socketio.UnrecoveredWindow
	}
	if _, err := eventlog.ParsePosition(offset); err != nil {
		return "", socketio.UnrecoveredOffset
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ended := r.ended[parts[0]]; ended {
		return "", socketio.UnrecoveredEnded
	}
	return parts[0], nil
}

// Left implements socketio.Recovery.
func (r *recovery) Left(s *socketio.Socket, _ string, why engineio.Reason, final bool) {
	r.g.fan.Views.Forget(s) // it may have gone before OnConnect, and then OnDisconnect is not called
	if !final && why != reasonView {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.order) >= maxEnded {
		delete(r.ended, r.order[0])
		r.order = r.order[1:]
	}
	r.ended[s.ID()] = struct{}{}
	r.order = append(r.order, s.ID())
}

// Replay implements socketio.Recovery: feed.ready, and what the socket missed.
func (r *recovery) Replay(ctx context.Context, s *socketio.Socket, _, offset string, enter func() bool) (_ []*socketio.Event, err error) {
	after, err := eventlog.ParsePosition(offset)
	if err != nil {
		return nil, socketio.UnrecoveredOffset
	}
	who := actorOf(s)
	ctx, done := detached(ctx)
	defer done()
	viewer := query.Viewer{AccountID: who.ID, Role: who.Role}
	viewer.View, err = r.g.queries.SessionView(ctx, s.ID(), who.ID)
	if errors.Is(err, query.ErrViewForgotten) {
		return nil, unrecoveredView
	}
	if err != nil {
		return nil, err
	}
	if err := r.g.reach(ctx, after); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			r.g.fan.Views.Forget(s)
		}
	}()
	var missed []*fanout.Message
	var upTo eventlog.Position
	entered := false
	join := func(pos eventlog.Position) {
		upTo = pos
		r.g.joinFeed(s, who, viewer.View)
		entered = enter()
	}
	recent := r.g.fan.EnterAfter(after, func(pos eventlog.Position, since []*fanout.Message) {
		missed = slices.Clone(since)
		join(pos)
	})
	if !recent {
		r.g.fan.Enter(join)
	}
	if !entered {
		return nil, errors.New("not taken in")
	}
	ready := api.FeedReady{Position: offset, Recovered: true, User: api.FeedUser{ID: who.ID, Role: string(who.Role)}}
	body, err := json.Marshal(ready)
	if err != nil {
		return nil, err
	}
	first, err := socketio.NewEvent(api.EventFeedReady, body)
	if err != nil {
		return nil, err
	}
	l := &replayList{events: []*socketio.Event{first.WithOffset(offset)}}
	if recent {
		err = l.fromRing(missed, viewer)
	} else {
		err = r.fromLog(ctx, l, viewer, after, upTo)
	}
	if err != nil {
		return nil, err
	}
	return l.events, r.stillMay(ctx, s)
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

// replayList is what one client missed, within bounds.
type replayList struct {
	events []*socketio.Event
	bytes  int
}

func (l *replayList) add(ev *socketio.Event, bytes int) error {
	if ev == nil {
		return errors.New("a record that can't be encoded")
	}
	l.events = append(l.events, ev)
	if l.bytes += bytes; l.bytes > maxReplayBytes || len(l.events) > maxReplayEvents {
		return socketio.UnrecoveredLimit
	}
	return nil
}

func (l *replayList) fromRing(missed []*fanout.Message, viewer query.Viewer) error {
	for _, m := range missed {
		if p := m.For(viewer.AccountID, string(viewer.Role), viewer.View); p != feed.Outside {
			if err := l.add(m.Event(p), len(m.Record.Payload)); err != nil {
				return err
			}
		}
	}
	return nil
}

// fromLog reads from the database what the ring has no more.
func (r *recovery) fromLog(ctx context.Context, l *replayList, viewer query.Viewer, after, upTo eventlog.Position) error {
	select {
	case r.readers <- struct{}{}:
		defer func() { <-r.readers }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	for after.Seq < upTo.Seq {
		page, err := r.g.queries.Events(ctx, viewer, after, 0)
		switch {
		case err != nil:
			return err
		case page.Gap != "":
			return socketio.Unrecovered(page.Gap)
		case page.Position == after:
			return nil
		}
		for _, rec := range page.Records {
			if rec.Position.Seq > upTo.Seq { // it comes live
				return nil
			}
			ev, err := fanout.Event(rec.Record, rec.Passage)
			if err != nil {
				return err
			}
			if err := l.add(ev, len(rec.Payload)); err != nil {
				return err
			}
		}
		after = page.Position
	}
	return nil
}

// reach waits until this node has delivered what a client has seen elsewhere. A
// position that the log itself has not reached is none that anybody was told.
func (g *Gateway) reach(ctx context.Context, pos eventlog.Position) error {
	at := g.fan.Position()
	switch {
	case at.Epoch != pos.Epoch:
		return socketio.UnrecoveredEpoch
	case pos.Seq <= at.Seq:
		return nil
	}
	head, err := g.queries.Head(ctx)
	switch {
	case err != nil:
		return err
	case pos.Seq > head.Seq:
		return socketio.UnrecoveredOffset
	}
	return g.fan.Reach(ctx, pos)
}
