package store_test

import (
	"iter"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"larder/internal/store"
)

// TestStatisticsAreReadFromIndices wants SQLite to take the index that is meant: of
// a million donations it would look at each row for years, and no test would fail.
func TestStatisticsAreReadFromIndices(t *testing.T) {
	now := time.Now()
	drain := func(list iter.Seq2[store.Tally, error]) (err error) {
		for _, err = range list {
		}
		return err
	}
	of := func(part store.Part) func(*store.Tx) error {
		return func(tx *store.Tx) error { return drain(tx.TalliesOf(t.Context(), "a", part, []time.Time{now}, now)) }
	}
	for name, tc := range map[string]struct {
		run  func(*store.Tx) error
		want string
	}{
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
