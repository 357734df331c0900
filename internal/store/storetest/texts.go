package storetest

import (
	"context"
	"maps"
	"testing"

	"larder/internal/account"
	"larder/internal/eventlog"
	"larder/internal/store"
)

// textsRefused gives every statement that takes text some that PostgreSQL can't
// keep. It is refused on each engine, and ends no transaction.
func textsRefused(t *testing.T, st *store.Store) {
	addAccounts(t, st, newAccount("donor", account.Donor))
	for _, bad := range []string{"\x00", "a\x00b", "\xff", "a\xc3", "\xed\xa0\x80"} {
		statements := map[string]func(ctx context.Context, tx *store.Tx) error{
			"Account": func(ctx context.Context, tx *store.Tx) error { _, err := tx.Account(ctx, bad); return err },
			"Accounts": func(ctx context.Context, tx *store.Tx) error {
				_, err := tx.Accounts(ctx, store.AccountFilter{Role: account.Role(bad)})
				return err
			},
			"InsertAccount": func(ctx context.Context, tx *store.Tx) error {
				a := newAccount("a", account.NGO)
				a.Name = bad
				return tx.InsertAccount(ctx, a, "")
			},
			"UpdateAccount": func(ctx context.Context, tx *store.Tx) error {
				a := newAccount("donor", account.Donor)
				a.Phone = bad
				return tx.UpdateAccount(ctx, a)
			},
			"SetPasswordHash": func(ctx context.Context, tx *store.Tx) error { return tx.SetPasswordHash(ctx, "donor", bad) },
			"Donation":        func(ctx context.Context, tx *store.Tx) error { _, err := tx.Donation(ctx, bad); return err },
			"InsertDonation": func(ctx context.Context, tx *store.Tx) error {
				d := newDonation("d")
				d.Description = bad
				return tx.InsertDonation(ctx, d)
			},
			"hygiene": func(ctx context.Context, tx *store.Tx) error {
				d := newDonation("d")
				d.Hygiene = []byte(bad)
				return tx.InsertDonation(ctx, d)
			},
			"UpdateDonation": func(ctx context.Context, tx *store.Tx) error {
				d := newDonation("d")
				d.CancelReason = bad
				return tx.UpdateDonation(ctx, d)
			},
			"History": func(ctx context.Context, tx *store.Tx) error { _, err := tx.History(ctx, bad, 0, 1); return err },
			"Answer":  func(ctx context.Context, tx *store.Tx) error { _, err := tx.Answer(ctx, "donor", bad); return err },
			"SaveAnswer": func(ctx context.Context, tx *store.Tx) error {
				return tx.SaveAnswer(ctx, store.Answer{Caller: "donor", Key: bad})
			},
			"Append": func(ctx context.Context, tx *store.Tx) error {
				_, err := tx.Append(ctx, eventlog.Draft{Type: "t", Subject: bad, Payload: []byte("{}"), At: start})
				return err
			},
		}
		maps.Copy(statements, voiceTexts(bad))
		for name, statement := range statements {
			t.Run(name, func(t *testing.T) {
				update(t, st, func(tx *store.Tx) error {
					wantErr(t, name, statement(t.Context(), tx), store.ErrText)
					_, err := tx.Account(t.Context(), "donor") // the transaction goes on
					return err
				})
			})
		}
	}
}
