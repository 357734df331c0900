package command

import (
	"context"
	"time"

	"larder/internal/feed"
	"larder/internal/store"
)

// NarrowFeed keeps what a live session of an account wants to hear, so that it
// still does when it comes back after a restart or on another node. Nobody else
// hears of it, so it is no event.
func (s *Service) NarrowFeed(ctx context.Context, accountID, session string, view feed.View) error {
	return s.store.Update(ctx, func(tx *store.Tx) error {
		return tx.SaveView(ctx, session, accountID, view.Key(), now())
	})
}

// ViewRenewal is how often a view is renewed while its client is here, when records
// are kept for so long.
func ViewRenewal(keep time.Duration) time.Duration { return keep / 4 }

// RenewViews says of sessions that they are here: what they have narrowed their
// feeds to is kept for as long as they can come back (see PruneLog).
func (s *Service) RenewViews(ctx context.Context, sessions ...string) error {
	return s.store.Update(ctx, func(tx *store.Tx) error {
		for _, session := range sessions {
			if err := tx.RenewView(ctx, session, now()); err != nil {
				return err
			}
		}
		return nil
	})
}
