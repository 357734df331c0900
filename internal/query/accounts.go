package query

import (
	"context"
	"errors"
	"time"

	"larder/api"
	"larder/internal/account"
	"larder/internal/store"
	"larder/internal/voice"
)

// Certificate is what an NGO shows for itself.
type Certificate = store.Certificate

// Profile is an account with what adds up for it.
type Profile struct {
	account.Account
	Karma       int
	IntakeLoad  float64       // today's, in the account's unit
	Ratings     voice.Ratings // by NGOs
	Impact      api.ImpactStats
	Certificate Certificate
}

// Profile returns the profile of an account, or store.ErrNotFound.
func (s *Service) Profile(ctx context.Context, id string) (p Profile, err error) {
	err = s.store.View(ctx, func(tx *store.Tx) error {
		p, err = ProfileIn(ctx, tx, id, time.Now(), s.place)
		return err
	})
	return p, err
}

// ProfileIn is Profile in a transaction, as it stands at now; place is where the day
// of the daily intake begins. A command that changes a profile answers with it.
func ProfileIn(ctx context.Context, tx *store.Tx, id string, now time.Time, place *time.Location) (p Profile, err error) {
	if p.Account, err = tx.Account(ctx, id); err != nil {
		return p, err
	}
	if p.Karma, err = tx.Karma(ctx, id); err != nil {
		return p, err
	}
	if p.Certificate, err = certificate(ctx, tx, id); err != nil {
		return p, err
	}
	if p.Impact, err = impactOf(ctx, tx, p.Account, now); err != nil {
		return p, err
	}
	ratings, err := tx.Ratings(ctx, id)
	if err != nil {
		return p, err
	}
	p.Ratings = ratings[id]
	p.IntakeLoad, err = tx.IntakeLoad(ctx, id, p.CapacityUnit, account.DayStart(now, place))
	return p, err
}

// PendingNGO is an NGO that waits for verification, with what it shows for itself.
type PendingNGO struct {
	account.Account
	Certificate Certificate // empty: it shows nothing
}

// PendingNGOs lists the NGOs that wait for verification, and the cursor of the next
// page, empty when there is none. It is a queue: who has waited longest comes first.
func (s *Service) PendingNGOs(ctx context.Context, p Paging) (list []PendingNGO, next string, err error) {
	err = s.store.View(ctx, func(tx *store.Tx) error {
		list = nil
		waiting, cursor, err := accounts(ctx, tx, p, store.AccountFilter{Role: account.NGO, Unverified: true, OldestFirst: true})
		if err != nil {
			return err
		}
		for _, a := range waiting {
			c, err := certificate(ctx, tx, a.ID)
			if err != nil {
				return err
			}
			list = append(list, PendingNGO{a, c})
		}
		next = cursor
		return nil
	})
	return list, next, err
}

// certificate is that of an account, empty when there is none.
func certificate(ctx context.Context, tx *store.Tx, id string) (Certificate, error) {
	c, err := tx.Certificate(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		err = nil
	}
	return c, err
}

// Users lists all accounts, newest first, and the cursor of the next page, empty when
// there is none.
func (s *Service) Users(ctx context.Context, p Paging) (list []account.Account, next string, err error) {
	err = s.store.View(ctx, func(tx *store.Tx) error {
		list, next, err = accounts(ctx, tx, p, store.AccountFilter{})
		return err
	})
	return list, next, err
}

// accounts reads a page of the accounts that f selects.
func accounts(ctx context.Context, tx *store.Tx, p Paging, f store.AccountFilter) (list []account.Account, next string, err error) {
	place := func(a account.Account) string { return cursor(a.CreatedAt, a.ID) }
	return page(p, MaxList, parseCursor, place, func(after *store.ListCursor, limit int) ([]account.Account, error) {
		f.After, f.Limit = after, limit
		return tx.Accounts(ctx, f)
	})
}
