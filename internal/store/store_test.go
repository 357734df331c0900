package store_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"larder/internal/account"
	"larder/internal/donation"
	"larder/internal/eventlog"
	"larder/internal/store"
	"larder/internal/store/storetest"
	"larder/internal/testkit/pgtest"
)

func TestSQLite(t *testing.T) {
	storetest.Run(t, func(t *testing.T) *store.Store {
		return open(t, filepath.Join(t.TempDir(), "larder.db"))
	})
}

// open opens and migrates the store in a file and closes it when the test ends.
func open(t *testing.T, path string) *store.Store {
	t.Helper()
	return openAt(t, "sqlite:"+path)
}

// openAt does the same with the database of an address.
func openAt(t *testing.T, address string) *store.Store {
	t.Helper()
	st, err := store.Open(t.Context(), address)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	if _, err := st.Migrate(t.Context()); err != nil {
		t.Fatalf("Migrate: %v", err)
	}
	return st
}

func update(t *testing.T, st *store.Store, fn func(*store.Tx) error) {
	t.Helper()
	if err := st.Update(t.Context(), fn); err != nil {
		t.Fatalf("Update: %v", err)
	}
}

func newDonor() account.Account {
	return account.Account{ID: "donor", Email: "donor@example.org", Name: "Bakery", Role: account.Donor, Active: true, CreatedAt: start, UpdatedAt: start}
}

var start = time.Date(2026, 11, 2, 9, 30, 0, 0, time.UTC)

func newDonation(id string) donation.Donation {
	return donation.Donation{
		ID: id, Name: "Chléb 🥖", FoodType: "bakery", Quantity: 1, Unit: "kg", PreparationTime: start, ExpiryTime: start.Add(time.Hour),
		Status: donation.Available, DonorID: "donor", Version: 1, CreatedAt: start, UpdatedAt: start,
	}
}

func draft(subject string, version int64) eventlog.Draft {
	return eventlog.Draft{Type: "test.happened", Subject: subject, Version: version, Payload: []byte(`{}`), At: start}
}

func TestCommittedMeansDurable(t *testing.T) {
	st := open(t, filepath.Join(t.TempDir(), "larder.db"))
	settings := func(tx *store.Tx) error {
		for name, want := range map[string]string{"synchronous": "2", "journal_mode": "wal", "foreign_keys": "1", "busy_timeout": "5000", "temp_store": "2"} {
			got, err := tx.Pragma(t.Context(), name)
			if err != nil || got != want {
				t.Errorf("PRAGMA %s: got %q, %v, want %q", name, got, err, want)
			}
		}
		return nil
	}
	for range 2 { // a connection of the pool that was used before as well
		update(t, st, settings)
	}
	// All readers at once, so that each has its own connection.
	var ready, group sync.WaitGroup
	ready.Add(store.ReadConnections)
	for range store.ReadConnections {
		group.Go(func() {
			err := st.View(t.Context(), func(tx *store.Tx) error {
				ready.Done()
				ready.Wait()
				return settings(tx)
			})
			if err != nil {
				t.Errorf("View: %v", err)
			}
		})
	}
	group.Wait()
}

func TestConnectionIsCleanAfterAFailedCommit(t *testing.T) {
	st := open(t, filepath.Join(t.TempDir(), "larder.db"))
	update(t, st, func(tx *store.Tx) error { return tx.InsertAccount(t.Context(), newDonor(), "") })
	err := st.Update(t.Context(), func(tx *store.Tx) error {
		if err := tx.Exec(t.Context(), `PRAGMA defer_foreign_keys = ON`); err != nil {
			return err
		}
		d := newDonation("d1")
		d.DonorID = "nobody" // found by the commit only
		return tx.InsertDonation(t.Context(), d)
	})
	if !errors.Is(err, store.ErrUnavailable) {
		t.Fatalf("commit of a row without its account: got %v, want ErrUnavailable", err)
	}
	update(t, st, func(tx *store.Tx) error { return tx.InsertDonation(t.Context(), newDonation("d1")) })
}

func TestReopenedStoreHasEverything(t *testing.T) { eachEngine(t, reopen) }

func reopen(t *testing.T, address string) {
	st := openAt(t, address)
	update(t, st, func(tx *store.Tx) error {
		err := errors.Join(tx.InsertAccount(t.Context(), newDonor(), "hash"), tx.InsertDonation(t.Context(), newDonation("d1")))
		_, appendErr := tx.Append(t.Context(), draft("d1", 1))
		return errors.Join(err, appendErr)
	})
	before := dump(t, st)
	for range 3 {
		if err := st.Close(); err != nil {
			t.Fatalf("Close: %v", err)
		}
		st = openAt(t, address)
		if diff := cmp.Diff(before, dump(t, st), cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("after opening again (-want +got):\n%s", diff)
		}
	}
}

// state is what a store holds, its epoch included.
type state struct {
	Head      eventlog.Position
	Donations []donation.Donation
	Records   []eventlog.Record
	Accounts  []account.Account
}

func dump(t *testing.T, st *store.Store) (s state) {
	t.Helper()
	err := st.View(t.Context(), func(tx *store.Tx) (err error) {
		if s.Head, err = tx.Head(t.Context()); err != nil {
			return err
		}
		for d, err := range tx.Donations(t.Context(), store.DonationFilter{}) {
			if err != nil {
				return err
			}
			s.Donations = append(s.Donations, d)
		}
		if s.Records, err = tx.Since(t.Context(), 0, 1_000_000); err != nil {
			return err
		}
		s.Accounts, err = tx.Accounts(t.Context(), store.AccountFilter{Limit: 1000})
		return err
	})
	if err != nil {
		t.Fatalf("dump: %v", err)
	}
	return s
}

func TestEpochsDiffer(t *testing.T) {
	seen := map[string]bool{}
	for i := range 3 {
		head, err := open(t, filepath.Join(t.TempDir(), fmt.Sprintf("%d.db", i))).Log().Head(t.Context())
		if err != nil || seen[head.Epoch] {
			t.Fatalf("epoch %q of a new store: error %v, used before: %v", head.Epoch, err, seen[head.Epoch])
		}
		seen[head.Epoch] = true
	}
}

func TestNumbersAreNeverGivenTwice(t *testing.T) { eachEngine(t, neverTwice) }

func neverTwice(t *testing.T, address string) {
	st := openAt(t, address)
	appendOne := func() (seq int64) {
		update(t, st, func(tx *store.Tx) error {
			at, err := tx.Append(t.Context(), draft("s", 1))
			if err == nil {
				seq = at[0].Seq
			}
			return err
		})
		return seq
	}
	first := appendOne()
	update(t, st, func(tx *store.Tx) error { return tx.Exec(t.Context(), `DELETE FROM events`) })
	second := appendOne()
	if second <= first {
		t.Errorf("after the log was cut: number %d, want more than %d", second, first)
	}
	if head, err := st.Log().Head(t.Context()); err != nil || head.Seq != second {
		t.Errorf("head after the log was cut: got %v, %v, want %d", head, err, second)
	}
}

// eachEngine runs a test with the address of an empty database of each engine.
func eachEngine(t *testing.T, test func(t *testing.T, address string)) {
	t.Run("SQLite", func(t *testing.T) { test(t, "sqlite:"+filepath.Join(t.TempDir(), "larder.db")) })
	t.Run("PostgreSQL", func(t *testing.T) { test(t, pgtest.Database(t)) })
}

func TestMigrateAtOnce(t *testing.T) {
	t.Parallel() // it mostly waits for locks
	for range 2 {
		eachEngine(t, migrateAtOnce)
	}
}

func migrateAtOnce(t *testing.T, address string) {
	handles := make([]*store.Store, 8)
	for i := range handles {
		st, err := store.Open(t.Context(), address)
		if err != nil {
			t.Fatalf("Open: %v", err)
		}
		t.Cleanup(func() { st.Close() })
		handles[i] = st
	}
	var mu sync.Mutex
	var applied []int64
	var ready, group sync.WaitGroup
	ready.Add(len(handles))
	for i, st := range handles {
		group.Go(func() {
			ready.Done()
			ready.Wait()
			versions, err := st.Migrate(t.Context())
			if err != nil {
				t.Errorf("handle %d: %v", i, err)
			}
			mu.Lock()
			defer mu.Unlock()
			applied = append(applied, versions...)
		})
	}
	group.Wait()
	slices.Sort(applied)
	if len(slices.Compact(slices.Clone(applied))) != len(applied) || len(applied) == 0 {
		t.Errorf("versions applied: %v, want each once", applied)
	}
	want, err := handles[0].Log().Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i, st := range handles {
		if got, err := st.Log().Head(t.Context()); err != nil || got != want || got.Epoch == "" {
			t.Errorf("handle %d has the head %v (%v), another %v", i, got, err, want)
		}
	}
}

func TestTwoHandlesOnOneDatabase(t *testing.T) { eachEngine(t, twoHandles) }

func twoHandles(t *testing.T, address string) {
	first, second := openAt(t, address), openAt(t, address)
	var group sync.WaitGroup
	const each = 20
	for w, st := range []*store.Store{first, second} {
		group.Go(func() {
			for i := range each {
				err := st.Update(t.Context(), func(tx *store.Tx) error {
					_, err := tx.Append(t.Context(), draft(fmt.Sprint(w), int64(i)))
					return err
				})
				if err != nil {
					t.Errorf("handle %d: %v", w, err)
				}
			}
		})
	}
	group.Wait()
	if diff := cmp.Diff(dump(t, first), dump(t, second)); diff != "" {
		t.Errorf("the handles disagree (-first +second):\n%s", diff)
	}
	if got := len(dump(t, first).Records); got != 2*each {
		t.Errorf("the log holds %d records, want %d", got, 2*each)
	}
}

func TestOpenPaths(t *testing.T) {
	for _, name := range []string{"larder.db", "with space.db", "50%.db", "a?b=c.db", "a#b.db", "a&b.db", "žluť.db", "new/deeper/larder.db", "file:x.db"} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), name)
			open(t, path)
			if _, err := os.Stat(path); err != nil {
				t.Errorf("the database is not where it was asked for: %v", err)
			}
		})
	}
	t.Run("relative", func(t *testing.T) {
		t.Chdir(t.TempDir())
		for _, path := range []string{"./data/larder.db", "larder.db"} {
			open(t, path)
			if _, err := os.Stat(path); err != nil {
				t.Errorf("the database is not where it was asked for: %v", err)
			}
		}
	})
	t.Run("folder is private", func(t *testing.T) {
		folder := filepath.Join(t.TempDir(), "data")
		open(t, filepath.Join(folder, "larder.db"))
		info, err := os.Stat(folder)
		if err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("folder: mode %v, %v, want 0700", info.Mode(), err)
		}
	})
}

func TestOpenRefuses(t *testing.T) {
	noDatabase := filepath.Join(t.TempDir(), "text.db")
	if err := os.WriteFile(noDatabase, []byte("This is a letter and no database, and longer than a header of a hundred bytes, so that there is something to look at."), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		address string
		want    error // nil: any
	}{
		"another engine":   {"mysql://localhost/larder", nil},
		"no scheme":        {"larder.db", nil},
		"no path":          {"sqlite:", nil},
		"nothing":          {"", nil},
		"a folder":         {"sqlite:" + t.TempDir(), store.ErrUnavailable},
		"no database":      {"sqlite:" + noDatabase, store.ErrUnavailable},
		"a file as folder": {"sqlite:" + noDatabase + "/larder.db", nil},
	} {
		t.Run(name, func(t *testing.T) {
			st, err := store.Open(t.Context(), tc.address)
			if err == nil {
				st.Close()
				t.Fatal("Open succeeded")
			}
			if tc.want != nil && !errors.Is(err, tc.want) {
				t.Errorf("Open: got %v, want %v", err, tc.want)
			}
		})
	}
}

func TestOpenEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if st, err := store.Open(ctx, "sqlite:"+filepath.Join(t.TempDir(), "larder.db")); err == nil {
		st.Close()
		t.Error("Open succeeded with a context that had ended")
	}
}

// An account that has more views than are kept, from before there was a bound, is
// rid of them in bounded steps.
func TestTooManyViewsGoInSteps(t *testing.T) {
	st := open(t, filepath.Join(t.TempDir(), "larder.db"))
	update(t, st, func(tx *store.Tx) error {
		return tx.Exec(t.Context(), `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i < 1500)
			INSERT INTO views SELECT 's' || i, 'a', '{}', i FROM n`)
	})
	for _, want := range []int{501, store.MaxViews, store.MaxViews} {
		update(t, st, func(tx *store.Tx) error {
			if err := tx.SaveView(t.Context(), "new", "a", "{}", time.Now()); err != nil {
				return err
			}
			_, _, kept, err := tx.SessionView(t.Context(), "new", "a")
			if kept != want {
				t.Errorf("%d views are left, want %d", kept, want)
			}
			return err
		})
	}
}
