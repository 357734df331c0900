package query

import (
	"context"

	"larder/api"
	"larder/internal/account"
	"larder/internal/eventlog"
	"larder/internal/feed"
	"larder/internal/store"
)

// Bounds of what is told after a position.
const (
	MaxEvents     = 500 // records in one page
	maxEventBytes = 192 << 10
)

// Reasons for which a position can't be served a tail.
const (
	ReasonPosition = "position" // a text that is no position
	ReasonEpoch    = "epoch"    // a position of another life of the log
	ReasonAhead    = "ahead"    // a position that this log has not reached
	ReasonWindow   = "window"   // older than what is kept
)

// Viewer is through whose eyes the log is read.
type Viewer struct {
	AccountID string
	Role      account.Role // that it has now
	View      feed.View    // what a narrowed feed shows; its zero value narrows nothing
}

// passage is what a record means to the viewer.
func (v Viewer) passage(r eventlog.Record) feed.Passage {
	switch {
	case !r.Audience.Includes(v.AccountID, string(v.Role)):
		return feed.Outside
	case !r.Audience.Everyone || v.View.Whole():
		return feed.Within
	}
	return v.View.Passage(feed.FactsOf(r))
}

// seen is a record and how the viewer is told of it.
type seen struct {
	eventlog.Record
	Passage feed.Passage
}

// eventPage is what happened after a position, as far as the viewer may see it.
type eventPage struct {
	Records []seen
	// Position is where the page ends: records up to it have been looked at.
	Position eventlog.Position
	// Head is the newest position at the time of reading.
	Head eventlog.Position
	// Gap says why nothing can be told, empty when all is well.
	Gap string
}

// complete says that nothing lies between the end of the page and the head.
func (p eventPage) complete() bool { return p.Position == p.Head }

// events returns the next page of records after a position for a viewer. limit
// bounds the records looked at; 0 means MaxEvents.
func (s *Service) events(ctx context.Context, viewer Viewer, after eventlog.Position, limit int) (eventPage, error) {
	if limit <= 0 || limit > MaxEvents {
		limit = MaxEvents
	}
	var page eventPage
	err := s.store.View(ctx, func(tx *store.Tx) error {
		var err error
		page = eventPage{Position: after}
		if page.Head, err = tx.Head(ctx); err != nil {
			return err
		}
		tail, err := tx.Tail(ctx)
		if err != nil {
			return err
		}
		if page.Gap = Gap(after, tail, page.Head); page.Gap != "" {
			return nil
		}
		recs, err := tx.Since(ctx, after.Seq, limit)
		if err != nil {
			return err
		}
		page.add(recs, viewer)
		return nil
	})
	return page, err
}

// Gap says why what comes after a position would have a hole, if it would, when all
// is known that came after tail, up to head.
func Gap(after, tail, head eventlog.Position) string {
	switch {
	case after.Epoch != head.Epoch:
		return ReasonEpoch
	case after.Seq > head.Seq:
		return ReasonAhead
	case after.Seq < tail.Seq:
		return ReasonWindow
	}
	return ""
}

// Stretch is a part of the log, whoever may see it.
type Stretch struct {
	Records []eventlog.Record
	// From and UpTo say which: all that came after the one, up to the other.
	From, UpTo eventlog.Position
}

// Stretch returns the records whose numbers are above after and up to upTo. It says
// so when there are fewer, because the log does not reach back, or has not come, so far.
func (s *Service) Stretch(ctx context.Context, after, upTo int64) (st Stretch, err error) {
	err = s.store.View(ctx, func(tx *store.Tx) error {
		st = Stretch{}
		if st.UpTo, err = tx.Head(ctx); err != nil {
			return err
		}
		if st.From, err = tx.Tail(ctx); err != nil {
			return err
		}
		st.From.Seq, st.UpTo.Seq = max(after, st.From.Seq), min(upTo, st.UpTo.Seq)
		if st.Records, err = tx.Since(ctx, after, int(upTo-after)); err != nil {
			return err
		}
		for n := len(st.Records); n > 0 && st.Records[n-1].Position.Seq > upTo; n-- { // numbers have holes
			st.Records = st.Records[:n-1]
		}
		return nil
	})
	return st, err
}

// add takes records into the page until it is large enough, at least one.
func (p *eventPage) add(recs []eventlog.Record, viewer Viewer) {
	size := 0
	for _, r := range recs {
		passage := viewer.passage(r)
		if passage != feed.Outside {
			size += len(r.Payload)
		}
		if passage == feed.Enters {
			size += len(r.Donation)
		}
		if size > maxEventBytes && len(p.Records) > 0 {
			return
		}
		p.Position = r.Position
		if passage != feed.Outside {
			p.Records = append(p.Records, seen{r, passage})
		}
	}
}

// Resume answers a client that has seen everything up to after, a position in the
// form of the wire; an empty one asks for all that is kept. A position that can't
// be served is no error: the answer says so and where to go on after a snapshot.
func (s *Service) Resume(ctx context.Context, viewer Viewer, after string, limit int) (api.FeedResumed, error) {
	from, perr := eventlog.ParsePosition(after)
	if after == "" {
		p, err := s.beginning(ctx)
		if err != nil {
			return api.FeedResumed{}, err
		}
		from, perr = p, nil
	}
	page, err := s.events(ctx, viewer, from, limit)
	if err != nil {
		return api.FeedResumed{}, err
	}
	if perr != nil {
		page.Gap = ReasonPosition
	}
	if page.Gap != "" {
		return api.FeedResumed{Position: page.Head.String(), Reason: page.Gap, Events: []api.LoggedEvent{}}, nil
	}
	events, err := views(page.Records)
	return api.FeedResumed{
		Position: page.Position.String(), Recovered: true, More: !page.complete(), Events: events,
	}, err
}

// Head is the position of the newest record.
func (s *Service) Head(ctx context.Context) (p eventlog.Position, err error) {
	err = s.store.View(ctx, func(tx *store.Tx) error {
		p, err = tx.Head(ctx)
		return err
	})
	return p, err
}

// beginning is the position before everything that is kept.
func (s *Service) beginning(ctx context.Context) (p eventlog.Position, err error) {
	err = s.store.View(ctx, func(tx *store.Tx) error {
		p, err = tx.Tail(ctx)
		return err
	})
	return p, err
}
