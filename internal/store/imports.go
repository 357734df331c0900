package store

import (
	"context"
	"time"

	"larder/internal/account"
	"larder/internal/donation"
)

// What an import from another system needs, and nothing else does. See ADR 0018.

// NewLife gives the log a new epoch with this transaction, as Restore does: its rows
// are changed without a record for each, so whoever has a position of the former
// life has to start over. A server that runs meanwhile learns of it when it is
// started again.
func (t *Tx) NewLife(ctx context.Context) error {
	_, err := t.tx.ExecContext(ctx, `UPDATE log_state SET epoch = $1`, newEpoch())
	return unavailable(err)
}

// Kind is what can be imported and is known by its id.
type Kind string

// The kinds.
const (
	Feedbacks     Kind = "feedback"
	FlagsKind     Kind = "flags"
	TicketsKind   Kind = "tickets"
	Notifications Kind = "notifications"
)

// Present says which of some ids of a kind are here already.
func (t *Tx) Present(ctx context.Context, kind Kind, ids ...string) (map[string]bool, error) {
	found := map[string]bool{}
	if len(ids) == 0 {
		return found, nil
	}
	marks, args := places(ids)
	return found, t.each(ctx, func(row scanner) error {
		var id string
		err := row.Scan(&id)
		found[id] = true
		return err
	}, `SELECT id FROM `+string(kind)+` WHERE id IN (`+marks+`)`, args...)
}

// StatusesByID returns the statuses of the donations with those ids, as far as there
// are any.
func (t *Tx) StatusesByID(ctx context.Context, ids ...string) (map[string]donation.Status, error) {
	found := map[string]donation.Status{}
	if len(ids) == 0 {
		return found, nil
	}
	marks, args := places(ids)
	return found, t.each(ctx, func(row scanner) error {
		var id string
		var status donation.Status
		err := row.Scan(&id, &status)
		found[id] = status
		return err
	}, `SELECT id, status FROM donations WHERE id IN (`+marks+`)`, args...)
}

// AwardsByDonation returns what the ledger has of each of the donations with those
// ids, also what was taken back.
func (t *Tx) AwardsByDonation(ctx context.Context, ids ...string) (map[string][]account.Award, error) {
	found := map[string][]account.Award{}
	if len(ids) == 0 {
		return found, nil
	}
	marks, args := places(ids)
	return found, t.each(ctx, func(row scanner) error {
		var id string
		var a account.Award
		err := row.Scan(&id, &a.AccountID, &a.Reason)
		found[id] = append(found[id], a)
		return err
	}, `SELECT donation_id, account_id, reason FROM karma WHERE donation_id IN (`+marks+`)`, args...)
}

// ImportKarma writes down the karma that an account brought along beyond what its
// donations prove, instead of what was written down so before, and says whether
// that changed anything. It is the one row of the ledger without a donation.
func (t *Tx) ImportKarma(ctx context.Context, accountID string, points int, at time.Time) (changed bool, err error) {
	return t.added(ctx, `INSERT INTO karma (donation_id, account_id, reason, points, at)
		SELECT NULL, $1, $2, $3, $4 WHERE $3 > 0
		OR EXISTS (SELECT 1 FROM karma WHERE account_id = $1 AND reason = $2 AND donation_id IS NULL)
		ON CONFLICT (account_id, reason) WHERE donation_id IS NULL
		DO UPDATE SET points = excluded.points WHERE karma.points <> excluded.points`,
		accountID, account.ReasonImport, points, millis(at))
}
