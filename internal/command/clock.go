package command

import (
	"context"
	"fmt"
	"iter"
	"time"

	"larder/internal/account"
	"larder/internal/donation"
	"larder/internal/store"
)

// The clock's own commands. Each does a bounded part of what is due, in one
// transaction like everybody's, and says how much: whoever calls it calls again
// while there is more, and other commands get their turn in between. They may be
// given by several nodes at once.

// Bounds of one transaction of the clock, so that others wait for it no longer
// than a blink.
const (
	clockBatch = 500  // donations
	pruneBatch = 1000 // records, kept views, or answers
)

// ExpireDue writes down the expiry of donations whose time is over and which
// nobody has picked up, and returns how many they were.
func (s *Service) ExpireDue(ctx context.Context) (int, error) {
	c := donation.Command{Action: donation.Expire, By: account.SystemActor(), Reason: "time is over"}
	return s.byTheClock(ctx, func(tx *store.Tx, at time.Time) (events []donation.Event, err error) {
		due, err := all(ctx, tx, tx.Due(ctx, at, clockBatch))
		if err != nil {
			return nil, err
		}
		var takesBack []account.Reason // the same of each
		ids := make([]string, len(due))
		for i, d := range due {
			out, err := d.Decide(c, at)
			if err != nil {
				return nil, fmt.Errorf("expire donation %s: %w", d.ID, err)
			}
			due[i], ids[i], takesBack = out.Donation, d.ID, out.TakesBack
			events = append(events, out.Events...)
		}
		if err := tx.TakeKarmaBack(ctx, takesBack, ids...); err != nil {
			return nil, err
		}
		return events, tx.SaveExpired(ctx, at, due)
	})
}

// AnnounceNearExpiry announces the open donations that expire soon, each once in
// its life, and returns how many they were.
func (s *Service) AnnounceNearExpiry(ctx context.Context) (int, error) {
	return s.byTheClock(ctx, func(tx *store.Tx, at time.Time) (events []donation.Event, err error) {
		near, err := all(ctx, tx, tx.NearExpiry(ctx, at, donation.NearExpiryLead, clockBatch))
		if err != nil {
			return nil, err
		}
		for _, d := range near {
			e, ok := d.NearExpiry(at)
			if !ok {
				return nil, fmt.Errorf("bug: the store takes donation %s to expire soon, the rules do not", d.ID)
			}
			events = append(events, e)
		}
		return events, tx.MarkNearExpiry(ctx, at, near)
	})
}

// byTheClock runs change, which saves rows and returns what happened to them, and
// then writes all records at once.
func (s *Service) byTheClock(ctx context.Context, change func(tx *store.Tx, at time.Time) ([]donation.Event, error)) (n int, err error) {
	err = s.store.Update(ctx, func(tx *store.Tx) error {
		at := now()
		events, err := change(tx, at)
		n = len(events)
		if err != nil {
			return err
		}
		return write(ctx, tx, at, events, nil)
	})
	if err != nil {
		return 0, err
	}
	if n > 0 {
		s.wake()
	}
	return n, nil
}

// all reads a list to its end, while which a transaction can't write, and adds the
// scores of the donors, which the records tell.
func all(ctx context.Context, tx *store.Tx, list iter.Seq2[donation.Donation, error]) (out []donation.Donation, err error) {
	for d, err := range list {
		if err != nil {
			return nil, err
		}
		out = append(out, d)
	}
	return out, tx.ScoreDonors(ctx, out)
}

// ForgetKeys removes answers older than KeyLife, and returns whether there may be
// more.
func (s *Service) ForgetKeys(ctx context.Context) (more bool, err error) {
	err = s.store.Update(ctx, func(tx *store.Tx) error {
		n, err := tx.ForgetAnswers(ctx, now().Add(-KeyLife), pruneBatch)
		more = n == pruneBatch
		return err
	})
	return more, err
}

// Pruned is what PruneLog removed.
type Pruned struct {
	Records, Views int64
	More           bool // there may be more of the same age
}

// PruneLog removes records that are older than keep. The head of the log stays where
// it is even when nothing is left; a client with a position from before is told to
// start over.
//
// With them go the views of clients that had left before the last of those records
// was written, and so can't come back. One that can must find its view: without, it
// would hear everything. When a client was last here is known to two renewals.
func (s *Service) PruneLog(ctx context.Context, keep time.Duration) (p Pruned, err error) {
	before := now().Add(-keep)
	err = s.store.Update(ctx, func(tx *store.Tx) error {
		p = Pruned{}
		var last time.Time
		if p.Records, last, err = tx.Prune(ctx, before, pruneBatch); err != nil || p.Records == 0 {
			return err
		}
		p.Views, err = tx.ForgetViews(ctx, last.Add(-2*ViewRenewal(keep)), pruneBatch)
		return err
	})
	p.More = p.Records == pruneBatch
	return p, err
}

// PruneNotifications removes notifications older than NotificationLife, and returns
// how many went and whether there may be more.
func (s *Service) PruneNotifications(ctx context.Context) (n int64, more bool, err error) {
	err = s.store.Update(ctx, func(tx *store.Tx) error {
		n, more, err = tx.PruneNotifications(ctx, now().Add(-NotificationLife), pruneBatch)
		return err
	})
	return n, more, err
}
