package store_test

import (
	"errors"
	"fmt"
	"iter"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"larder/internal/account"
	"larder/internal/donation"
	"larder/internal/geo"
	"larder/internal/store"
)

// drain reads a list to its end, or to its error.
func drain[T any](list iter.Seq2[T, error]) (err error) {
	for _, err = range list {
	}
	return err
}

// TestIndexesAreUsed wants SQLite to take the index that is meant: of a million
// donations it would look at each row for years, and no test would fail.
func TestIndexesAreUsed(t *testing.T) {
	now := time.Now()
	notFound := func(err error) error {
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		return err
	}
	of := func(part store.Part) func(*store.Tx) error {
		return func(tx *store.Tx) error { return drain(tx.TalliesOf(t.Context(), "a", part, []time.Time{now}, now)) }
	}
	list := func(f store.DonationFilter) func(*store.Tx) error {
		return func(tx *store.Tx) error { return drain(tx.Donations(t.Context(), f)) }
	}
	accounts := func(f store.AccountFilter) func(*store.Tx) error {
		return func(tx *store.Tx) error { _, err := tx.Accounts(t.Context(), f); return err }
	}
	board := []donation.Status{donation.Available, donation.Claimed, donation.PickedUp, donation.Delivered}
	cursor := &store.ListCursor{CreatedAt: now, ID: "d"}
	// walk is a walk that is not sorted before its limit ends it.
	walk := func(n int, rest string) string {
		return fmt.Sprintf("SEARCH donations USING COVERING INDEX donations_board (status=?%s)\nSCAN walk_%d", rest, n)
	}
	for name, tc := range map[string]struct {
		run  func(*store.Tx) error
		want string
	}{
		"list, first status": {list(store.DonationFilter{Statuses: board}), walk(0, "")},
		"list, last status":  {list(store.DonationFilter{Statuses: board}), walk(3, "")},
		"list, next page":    {list(store.DonationFilter{Statuses: board, Before: cursor}), walk(3, " AND (created_at,id)<(?,?)")},
		"list, near":         {list(store.DonationFilter{Statuses: board, Boxes: make([]geo.Box, 2), Before: cursor}), walk(3, " AND (created_at,id)<(?,?)")},
		"list, any status":   {list(store.DonationFilter{Before: cursor}), "SEARCH donations USING INDEX donations_newest ((created_at,id)<(?,?))"},
		"accounts":           {accounts(store.AccountFilter{}), "SCAN accounts USING INDEX accounts_newest"},
		"accounts, page":     {accounts(store.AccountFilter{After: cursor}), "SEARCH accounts USING INDEX accounts_newest ((created_at,id)<(?,?))"},
		"NGOs that wait": {
			accounts(store.AccountFilter{Role: account.NGO, Unverified: true, OldestFirst: true, After: cursor}),
			"SEARCH accounts USING INDEX accounts_role (role=? AND verified=?)",
		},
		"tickets, page": {
			func(tx *store.Tx) error {
				_, err := tx.Tickets(t.Context(), store.VoiceFilter{Before: cursor, Limit: 5})
				return err
			},
			"SEARCH v USING INDEX tickets_newest ((created_at,id)<(?,?))",
		},
		"whole board": {func(tx *store.Tx) error { return drain(tx.Tallies(t.Context())) }, "SCAN donations USING COVERING INDEX donations_tally"},
		"of a donor":  {of(store.AsDonor), "USING INDEX donations_donor (donor_id=? AND created_at>?)"},
		"of an NGO":   {of(store.AsClaimer), "USING INDEX donations_claimer (claimed_by_id=?)"},
		"of a carrier": {
			of(store.AsCarrier), "USING INDEX donations_carrier (volunteer_id=? AND created_at>?)",
		},
		"leaders": {
			func(tx *store.Tx) error { _, err := tx.Leaders(t.Context(), time.Time{}, "", 20); return err },
			"karma USING COVERING INDEX karma_account",
		},
		"leaders of a week": {
			func(tx *store.Tx) error { _, err := tx.Leaders(t.Context(), now, "", 20); return err },
			"karma USING COVERING INDEX karma_at (at>?)",
		},
		"what is due": {
			func(tx *store.Tx) error { return drain(tx.Due(t.Context(), now, 500)) },
			"USING COVERING INDEX donations_open (status=? AND expiry_time<?)",
		},
		"when something is due": {
			func(tx *store.Tx) error { _, err := tx.NextExpiry(t.Context()); return notFound(err) },
			"USING COVERING INDEX donations_open (status=?)",
		},
		"what expires soon": {
			func(tx *store.Tx) error { return drain(tx.NearExpiry(t.Context(), now, time.Hour, 500)) },
			"USING COVERING INDEX donations_unannounced (status=? AND near_expiry_at=? AND expiry_time>? AND expiry_time<?)",
		},
		"when something expires soon": {
			func(tx *store.Tx) error {
				_, err := tx.NextNearExpiry(t.Context(), now, time.Hour)
				return notFound(err)
			},
			"USING COVERING INDEX donations_unannounced (status=? AND near_expiry_at=? AND expiry_time>?)",
		},
		"what a donor has listed": {
			func(tx *store.Tx) error { _, err := tx.Listed(t.Context(), "a", 20); return err },
			"donations USING COVERING INDEX donations_listed (donor_id=?)",
		},
		"answers that are old": {
			func(tx *store.Tx) error { _, err := tx.ForgetAnswers(t.Context(), now, 1000); return err },
			"SEARCH answers USING INDEX answers_at (at<?)",
		},
		"an answer that goes": {
			func(tx *store.Tx) error { _, err := tx.ForgetAnswers(t.Context(), now, 1000); return err },
			"SEARCH answers USING COVERING INDEX sqlite_autoindex_answers_1 (caller=? AND key=?)",
		},
		"views of an account that go": {
			func(tx *store.Tx) error { return tx.SaveView(t.Context(), "s", "a", "{}", now) },
			"SEARCH views USING COVERING INDEX views_account (account_id=?)",
		},
		"view of a session": {
			func(tx *store.Tx) error { _, _, _, err := tx.SessionView(t.Context(), "s", "a"); return err },
			"SEARCH views USING COVERING INDEX views_account (account_id=?)",
		},
		"volunteers near": {
			func(tx *store.Tx) error {
				_, err := tx.VolunteersNear(t.Context(), geo.Area{Lat: 50, Lng: 14, RadiusKm: 25}, 50)
				return err
			},
			"v USING COVERING INDEX accounts_candidates (role=? AND available=? AND active=? AND deleted=? AND latitude>? AND latitude<?)",
		},
		"volunteers without a place": {
			func(tx *store.Tx) error { _, err := tx.UnplacedVolunteers(t.Context(), 50); return err },
			"v USING COVERING INDEX accounts_unplaced (role=? AND available=? AND active=? AND deleted=? AND latitude=?)",
		},
	} {
		t.Run(name, func(t *testing.T) {
			st := open(t, filepath.Join(t.TempDir(), "larder.db"))
			update(t, st, func(tx *store.Tx) error {
				if err := tc.run(tx); err != nil {
					return err
				}
				plans, err := tx.Plans(t.Context())
				if got := strings.Join(plans, "\n"); !strings.Contains(got, tc.want) {
					t.Errorf("got\n%s\nwant %s", got, tc.want)
				}
				return err
			})
		})
	}
}
