package gateway

import (
	"context"
	"errors"
	"net/http"

	"larder/api"
	"larder/engineio"
	"larder/internal/account"
	"larder/internal/eventlog"
	"larder/internal/fanout"
	"larder/internal/feed"
	"larder/socketio"
)

// reasonView is what OnDisconnect and the log hear of a socket that may be kept with
// another view than its client has: it can't be recovered.
const reasonView engineio.Reason = "view unsure"

// subscribe narrows the feed of a socket and answers with a snapshot (P-23).
func (g *Gateway) subscribe(ctx context.Context, s *socketio.Socket, req api.FeedSubscribe, answer func(api.FeedSubscribed) error) error {
	view, faults := feed.NewView(req)
	if len(faults) > 0 {
		return api.NewError(http.StatusBadRequest, api.CodeValidation, faults...)
	}
	who := actorOf(s)
	old, _ := g.fan.Views.Of(s)
	ctx, done := detached(ctx)
	defer done()
	err := g.narrow(ctx, listener{
		who:   who,
		pause: func() { g.pauseFeed(s, who) },
		tell: func(m *fanout.Message, p feed.Passage) {
			if ev := m.Event(p); ev != nil {
				_ = s.Emit(ev) // it has left, or is slow and will come back
			}
		},
		answer: func(snap api.FeedSubscribed) error {
			if err := answer(snap); err != nil {
				return err
			}
			g.emitAt(s, snap.Position, api.EventFeedPosition, api.FeedPosition{Position: snap.Position})
			return nil
		},
		resume: func(view feed.View, _ eventlog.Position) { g.joinFeed(s, who, view) },
	}, view, old, func(ctx context.Context) error {
		return g.commands.NarrowFeed(ctx, who.ID, s.ID(), view)
	})
	if errors.Is(err, errOvertaken) || errors.Is(err, errUnsure) {
		s.Close(reasonView)
	}
	return err
}

// joinFeed puts a socket where its messages go. It is called inside fanout.Enter.
func (g *Gateway) joinFeed(s *socketio.Socket, who account.Actor, view feed.View) {
	rooms := []string{fanout.RoomUser(who.ID), fanout.RoomRole(string(who.Role)), fanout.RoomEveryone}
	if view.Whole() {
		g.fan.Views.Forget(s)
	} else {
		rooms = append(rooms[:2], fanout.RoomNarrowed, g.fan.Views.Watch(s, view))
	}
	g.join(s, who, rooms...)
	s.Leave(roomPaused(who.ID))
}

// pauseFeed takes a socket out of all that joinFeed put it in. Nothing is sent to it
// then, but what happens to its account reaches it.
func (g *Gateway) pauseFeed(s *socketio.Socket, who account.Actor) {
	g.join(s, who, roomPaused(who.ID))
	_, room := g.fan.Views.Of(s)
	s.Leave(fanout.RoomEveryone, fanout.RoomNarrowed, fanout.RoomUser(who.ID), fanout.RoomRole(string(who.Role)), room)
}

func (g *Gateway) join(s *socketio.Socket, who account.Actor, rooms ...string) {
	if err := s.Join(rooms...); err != nil {
		g.fan.Views.Forget(s)
		g.log.Error("socket in no room", "user_id", who.ID, "err", err)
		s.Close("") // it would be silent for ever
	}
}
