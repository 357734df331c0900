package command

import (
	"context"

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
