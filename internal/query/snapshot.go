package query

import (
	"context"
	"errors"
	"time"

	"larder/api"
	"larder/internal/donation"
	"larder/internal/eventlog"
	"larder/internal/feed"
	"larder/internal/store"
)

// MaxSnapshot bounds the donations in a snapshot.
const MaxSnapshot = 1000

// open are the statuses in which something can still happen to a donation.
var open = []donation.Status{donation.Available, donation.Claimed, donation.PickedUp}

// Snapshot is what a view shows at one position.
type Snapshot struct {
	Items    []api.Donation // newest first
	More     bool           // there are older ones
	Position eventlog.Position
}

// Snapshot reads a view and the position at which it is so from one consistent
// state. Donations appear as the log has them: one whose time is over stays what
// it was until its expiry is written down, and comes as an event.
func (s *Service) Snapshot(ctx context.Context, view feed.View) (snap Snapshot, err error) {
	f := store.DonationFilter{Statuses: view.Statuses, Expect: MaxSnapshot + 1}
	if len(f.Statuses) == 0 {
		f.Statuses = open
	}
	if view.Area != nil {
		f.Boxes = view.Area.Boxes()
	}
	err = s.store.View(ctx, func(tx *store.Tx) error {
		snap = Snapshot{}
		var found []donation.Donation
		if snap.Position, err = tx.Head(ctx); err != nil {
			return err
		}
		for d, err := range tx.Donations(ctx, f) {
			switch {
			case err != nil:
				return err
			case !view.Holds(d):
			default:
				found = append(found, d)
			}
			if len(found) > MaxSnapshot {
				snap.More, found = true, found[:MaxSnapshot]
				break
			}
		}
		snap.Items, err = scored(ctx, tx, found)
		return err
	})
	return snap, err
}

// ErrViewForgotten is what may have been narrowed, to nobody knows what any more.
var ErrViewForgotten = errors.New("what the feed was narrowed to is not kept")

// Session is what is known of one that comes back.
type Session struct {
	View    feed.View         // what its feed was narrowed to: everything, if it was not
	Renewed time.Time         // when that was kept or renewed
	Tail    eventlog.Position // of the log, at the same moment: from before it nobody can come back
}

// Session returns what is known of a session of that account. It is ErrViewForgotten
// when the account has narrowed so many since that this one's view may be forgotten.
func (s *Service) Session(ctx context.Context, session, accountID string) (known Session, err error) {
	err = s.store.View(ctx, func(tx *store.Tx) error {
		known = Session{}
		if known.Tail, err = tx.Tail(ctx); err != nil {
			return err
		}
		key, at, kept, err := tx.SessionView(ctx, session, accountID)
		switch {
		case err != nil:
			return err
		case key != "":
			known.Renewed = at
			known.View, err = feed.ParseKey(key)
			return err
		case kept >= store.MaxViews:
			return ErrViewForgotten
		}
		return nil
	})
	return known, err
}
