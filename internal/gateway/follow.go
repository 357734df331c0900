package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"larder/api"
	"larder/internal/account"
	"larder/internal/auth"
	"larder/internal/eventlog"
	"larder/internal/fanout"
	"larder/internal/feed"
	"larder/internal/query"
	"larder/internal/store"
)

// wish is what a client of our own doors asks for in its request: the position
// that it has reached, and what its feed is narrowed to (P-34, P-37).
type wish struct {
	after string
	view  feed.View
}

// wishOf reads a request: after, or Last-Event-ID of an event stream; lat, lng and
// radiusKm; statuses and foodTypes, comma lists.
func wishOf(r *http.Request) (wish, error) {
	q := r.URL.Query()
	w := wish{after: q.Get("after")}
	if id := r.Header.Get("Last-Event-ID"); id != "" {
		w.after = id
	}
	var req api.FeedSubscribe
	var faults []string
	if q.Has("lat") || q.Has("lng") || q.Has("radiusKm") {
		req.Area = &api.FeedArea{Lat: number(q, "lat"), Lng: number(q, "lng"), RadiusKm: number(q, "radiusKm")}
	}
	req.Statuses, req.FoodTypes = commaList(q.Get("statuses")), commaList(q.Get("foodTypes"))
	if w.view, faults = feed.NewView(req); len(faults) > 0 {
		return w, api.NewError(http.StatusBadRequest, api.CodeValidation, faults...)
	}
	return w, nil
}

// number is a query parameter, or nil if it is none.
func number(q url.Values, name string) *float64 {
	n, err := strconv.ParseFloat(q.Get(name), 64)
	if err != nil {
		return nil
	}
	return &n
}

func commaList(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(text, ",")
}

// errGap is a position that went out of the window while the replay ran.
var errGap = fmt.Errorf("%w: replay was overtaken by retention", store.ErrUnavailable)

// enter lets an identified client of our own doors into the stream. What happens to
// its account reaches it from the beginning on, not only when it is live, and the
// account is looked up again after that: so no change falls in between (P-4).
func (g *Gateway) enter(ctx context.Context, c client, id auth.Identity, w wish) error {
	g.own.enroll(c, id, w.view)
	if !g.recheck(ctx, c.place().ticket, c) {
		return errClosed
	}
	if err := g.follow(ctx, c, w.after); err != nil {
		return err
	}
	for _, s := range g.trips.of(id.Account.ID, time.Now()) {
		c.tell(s.Name, "", s.Data)
	}
	return nil
}

// follow tells feed.ready, then what was missed after a position, and goes live
// (P-34).
func (g *Gateway) follow(ctx context.Context, c client, position string) error {
	p := c.place()
	user := api.FeedUser{ID: p.accountID, Role: string(p.role)}
	if position == "" {
		g.beginNow(c, api.FeedReady{User: user})
		return nil
	}
	after, err := eventlog.ParsePosition(position)
	if err != nil {
		g.beginNow(c, api.FeedReady{User: user, Reason: query.ReasonPosition})
		return nil
	}
	r := &replay{g: g, c: c, after: after, ready: &api.FeedReady{Position: position, Recovered: true, User: user}}
	for {
		live, gap, err := r.next(ctx)
		switch {
		case err != nil:
			return err
		case live:
			return nil
		case gap != "" && r.ready == nil:
			return errGap
		case gap != "":
			g.beginNow(c, api.FeedReady{User: user, Reason: gap})
			return nil
		}
		if err := c.flushed(ctx); err != nil {
			return err
		}
	}
}

// beginNow lets a client in where the stream is.
func (g *Gateway) beginNow(c client, ready api.FeedReady) {
	g.fan.Enter(func(pos eventlog.Position) {
		ready.Position = pos.String()
		g.welcome(c, ready)
		c.place().after = pos.Seq
		g.own.join(c)
	})
}

// welcome tells feed.ready, which comes first. From then on the end of its token
// reaches the client.
func (g *Gateway) welcome(c client, ready api.FeedReady) {
	g.tellAt(c, ready.Position, api.EventFeedReady, ready)
	g.expiry.add(c.place().ticket, c)
}

// replay is a client of our own doors on its way into the stream. It is given what
// it missed in parts, each when it has taken the one before, so nothing that is large
// is held for one that reads slowly.
type replay struct {
	g     *Gateway
	c     client
	after eventlog.Position // it was given all that it may see up to here
	ready *api.FeedReady    // nil when it was told
}

// partBytes is how much of a replay a client is given at once: it fits into its queue.
const partBytes = maxQueued / 4

// next gives the next part: of what the ring has, with the last of which the client
// goes live, or else of the log. Or it says why there is a gap.
func (r *replay) next(ctx context.Context) (live bool, gap string, err error) {
	if gap, err = r.g.reach(ctx, r.after); gap != "" || err != nil {
		return false, gap, err
	}
	if r.g.fan.EnterAfter(r.after, func(pos eventlog.Position, missed []*fanout.Message) {
		err = r.give(missed, pos)
		if live = err == nil && r.after == pos; live {
			r.c.place().after = pos.Seq
			r.g.own.join(r.c)
		}
	}) {
		return live, "", err
	}
	st, gap, err := r.g.back.past.stretch(ctx, r.after)
	if gap != "" || err != nil {
		return false, gap, err
	}
	return false, "", r.give(st.since(r.after.Seq), st.upTo)
}

// errUnencoded ends a replay: without that record it would have a hole.
var errUnencoded = errors.New("a record that can't be encoded")

// give tells as much as is given at once of what was missed up to a position.
func (r *replay) give(missed []*fanout.Message, upTo eventlog.Position) error {
	if r.ready != nil {
		r.g.welcome(r.c, *r.ready)
		r.ready = nil
	}
	given := 0
	for _, m := range missed {
		if passage := r.c.place().passage(m); passage != feed.Outside {
			frame := m.Frame(passage)
			size := len(frame) + 64 // what a door adds around it
			switch {
			case frame == nil:
				return errUnencoded
			case given > 0 && given+size > partBytes:
				return nil
			}
			given += size
			r.c.deliver(m, passage, new(forms))
		}
		r.after = m.Record.Position
	}
	r.after = upTo
	return nil
}

// listener is a live client of any door that changes what it hears.
type listener struct {
	who account.Actor
	// pause stops everything, inside fanout.Enter.
	pause func()
	// tell sends one message.
	tell func(m *fanout.Message, p feed.Passage)
	// answer sends the snapshot, and behind it the position for clients that keep
	// the last one that they saw.
	answer func(api.FeedSubscribed) error
	// resume goes on with a view after a position, inside fanout.Enter.
	resume func(view feed.View, pos eventlog.Position)
}

// narrow changes the view of a live client (P-23). The client hears nothing while
// the snapshot is read and save keeps the view. Then, at one moment of the stream, it
// gets what happened meanwhile that a snapshot does not show, the snapshot, and what
// has happened since, as the new view shows it: no hole, no overlap.
//
// It fails with the old view in place, and what was paused made up for. With errUnsure
// nobody knows which view a client that comes back will find, so it has to begin anew.
func (g *Gateway) narrow(ctx context.Context, l listener, view, old feed.View, save func(context.Context) error) error {
	var from eventlog.Position
	g.fan.Enter(func(pos eventlog.Position) { from = pos; l.pause() })
	snap, err := g.queries.Snapshot(ctx, view)
	if err == nil {
		err = g.fan.Reach(ctx, snap.Position)
	}
	if err == nil { // last, so that what is kept is what is heard
		if err = save(ctx); errors.Is(err, store.ErrUnavailable) {
			err = fmt.Errorf("%w: %w", errUnsure, err)
		}
	}
	if err != nil {
		view, snap.Position = old, from
	}
	entered := g.fan.EnterAfter(from, func(pos eventlog.Position, missed []*fanout.Message) {
		later, _ := slices.BinarySearchFunc(missed, snap.Position.Seq+1, func(m *fanout.Message, seq int64) int {
			return int(m.Record.Position.Seq - seq)
		})
		for _, m := range missed[:later] {
			if p := m.For(l.who.ID, string(l.who.Role), view); p != feed.Outside && !(m.Record.Audience.Everyone && m.Facts.InSnapshot()) {
				l.tell(m, p)
			}
		}
		if err == nil {
			err = l.answer(api.FeedSubscribed{Position: snap.Position.String(), Items: snap.Items, More: snap.More})
		}
		for _, m := range missed[later:] {
			if p := m.For(l.who.ID, string(l.who.Role), view); p != feed.Outside {
				l.tell(m, p)
			}
		}
		l.resume(view, pos)
	})
	if !entered {
		return errOvertaken
	}
	return err
}

// Ends of narrow after which a client has to begin anew.
var (
	// errOvertaken: the snapshot took so long that the ring has passed it.
	errOvertaken = fmt.Errorf("%w: the feed went on too far meanwhile", store.ErrUnavailable)
	// errUnsure: the new view was kept, or not.
	errUnsure = errors.New("whether the view is kept is unknown")
)
