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

// PendingNGOs lists the NGOs that wait for verification, newest first.
func (s *Service) PendingNGOs(ctx context.Context) ([]account.Account, error) {
	return s.accounts(ctx, store.AccountFilter{Role: account.NGO, Unverified: true})
}

// Certificates are those of accounts, by id; an account that has none is not in it.
func (s *Service) Certificates(ctx context.Context, list []account.Account) (map[string]Certificate, error) {
	found := map[string]Certificate{}
	err := s.store.View(ctx, func(tx *store.Tx) error {
		for _, a := range list {
			c, err := certificate(ctx, tx, a.ID)
			if err != nil {
				return err
			}
			if c != (Certificate{}) {
				found[a.ID] = c
			}
		}
		return nil
	})
	return found, err
}

// certificate is that of an account, empty when there is none.
func certificate(ctx context.Context, tx *store.Tx, id string) (Certificate, error) {
	c, err := tx.Certificate(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		err = nil
	}
	return c, err
}

// Users lists all accounts, newest first.
func (s *Service) Users(ctx context.Context) ([]account.Account, error) {
	return s.accounts(ctx, store.AccountFilter{})
}

func (s *Service) accounts(ctx context.Context, f store.AccountFilter) (list []account.Account, err error) {
	err = s.store.View(ctx, func(tx *store.Tx) error {
		list, err = tx.Accounts(ctx, f)
		return err
	})
	return list, err
}
