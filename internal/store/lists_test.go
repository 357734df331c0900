package store_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"testing"
	"time"

	"larder/internal/account"
	"larder/internal/donation"
	"larder/internal/store"
	"larder/internal/testkit/pgtest"
)

// TestAPageReadsNoMoreThanItShows counts what PostgreSQL reads for a page of a long
// list: it may plan to sort all there is, and send all, and no other test would fail.
func TestAPageReadsNoMoreThanItShows(t *testing.T) {
	st := openAt(t, pgtest.Database(t))
	const many, page = 5000, 20
	update(t, st, func(tx *store.Tx) error {
		return errors.Join(tx.InsertAccount(t.Context(), account.Account{ID: "donor", Role: account.Donor}, ""), insertMany(t.Context(), tx, many),
			tx.Exec(t.Context(), `ANALYZE donations`)) // as the server does by itself, sooner or later
	})
	board := []donation.Status{donation.Available, donation.Claimed, donation.PickedUp, donation.Delivered}
	for name, f := range map[string]store.DonationFilter{
		"any status": {}, "one status": {Statuses: board[3:]}, "the board": {Statuses: board},
		"a later page": {Statuses: board, Before: &store.ListCursor{CreatedAt: time.UnixMilli(many / 2), ID: "d"}},
	} {
		f.Expect = page
		err := st.View(t.Context(), func(tx *store.Tx) error {
			n := 0
			for _, err := range tx.Donations(t.Context(), f) {
				if err != nil {
					return err
				}
				if n++; n == page {
					break
				}
			}
			text, err := tx.Text(t.Context(), `SELECT (
				SELECT SUM(seq_tup_read) FROM pg_stat_xact_user_tables WHERE relname = 'donations') + (
				SELECT SUM(pg_stat_get_xact_tuples_returned(indexrelid)) FROM pg_index WHERE indrelid = 'donations'::regclass)`)
			if read, _ := strconv.Atoi(text); err == nil && (n != page || read < page || read > many/10) {
				t.Errorf("%s: %d rows read for a page of %d", name, read, n)
			}
			return err
		})
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// insertMany adds donations, nearly all of them delivered, one in each millisecond.
func insertMany(ctx context.Context, tx *store.Tx, many int) error {
	for i := range many {
		d := donation.Donation{
			ID: fmt.Sprintf("d%d", i), Status: donation.Delivered, DonorID: "donor", CreatedAt: time.UnixMilli(int64(i)),
			PreparationTime: time.UnixMilli(0), ExpiryTime: time.UnixMilli(1), UpdatedAt: time.UnixMilli(1),
		}
		if i%500 == 7 {
			d.Status = donation.Available
		}
		if err := tx.InsertDonation(ctx, d); err != nil {
			return err
		}
	}
	return nil
}
