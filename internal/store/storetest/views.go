package storetest

import (
	"fmt"
	"testing"
	"time"

	"larder/internal/store"
)

func saveView(t *testing.T, st *store.Store, session, accountID, text string, at time.Time) {
	t.Helper()
	update(t, st, func(tx *store.Tx) error { return tx.SaveView(t.Context(), session, accountID, text, at) })
}

// sessionView is the view of a session, empty if there is none, and how many the
// account has.
func sessionView(t *testing.T, st *store.Store, session, accountID string) (text string, kept int) {
	t.Helper()
	view(t, st, func(tx *store.Tx) (err error) {
		text, _, kept, err = tx.SessionView(t.Context(), session, accountID)
		return err
	})
	return text, kept
}

func viewsKept(t *testing.T, st *store.Store) {
	saveView(t, st, "s1", "ngo", `{"a":1}`, start)
	saveView(t, st, "s2", "ngo", `{"a":2}`, start)
	saveView(t, st, "s1", "ngo", `{"a":3}`, start.Add(time.Second)) // instead of the first
	for _, tc := range []struct {
		session, account, want string
		kept                   int
	}{{"s1", "ngo", `{"a":3}`, 2}, {"s2", "ngo", `{"a":2}`, 2}, {"s3", "ngo", "", 2}, {"s1", "donor", "", 0}} {
		if got, kept := sessionView(t, st, tc.session, tc.account); got != tc.want || kept != tc.kept {
			t.Errorf("%s of %s: got %q of %d, want %q of %d", tc.session, tc.account, got, kept, tc.want, tc.kept)
		}
	}
	later := start.Add(time.Minute)
	update(t, st, func(tx *store.Tx) error {
		if err := tx.RenewView(t.Context(), "s3", later); err != nil { // there is none
			return err
		}
		return tx.RenewView(t.Context(), "s1", later)
	})
	for session, want := range map[string]time.Time{"s1": later, "s2": start, "s3": time.UnixMilli(0).UTC()} {
		view(t, st, func(tx *store.Tx) error {
			_, at, _, err := tx.SessionView(t.Context(), session, "ngo")
			if !at.Equal(want) {
				t.Errorf("%s was here last at %v, want %v", session, at, want)
			}
			return err
		})
	}
}

// However many sessions an account has had, its newest views are kept, and those of
// others.
func viewsBounded(t *testing.T, st *store.Store) {
	saveView(t, st, "other", "donor", "{}", start.Add(-time.Hour))
	for i := range store.MaxViews + 10 {
		saveView(t, st, fmt.Sprint("s", i), "ngo", "{}", start.Add(time.Duration(i)*time.Second))
		if _, kept := sessionView(t, st, "", "ngo"); kept != min(i+1, store.MaxViews) {
			t.Fatalf("%d views are kept of %d", kept, i+1)
		}
	}
	there := func(session string, want bool) {
		t.Helper()
		if got, _ := sessionView(t, st, session, "ngo"); (got != "") != want {
			t.Errorf("view of %s: got %q, want one: %v", session, got, want)
		}
	}
	there("s9", false)
	there("s10", true)
	saveView(t, st, "s10", "ngo", "{}", start.Add(time.Hour)) // is the newest now
	saveView(t, st, "more", "ngo", "{}", start.Add(time.Hour))
	there("s10", true)
	there("s11", false)
	saveView(t, st, "late", "ngo", "{}", start.Add(-time.Hour)) // what was asked for now is kept, whatever the clock says
	there("late", true)
	there("s12", false)
	if got, kept := sessionView(t, st, "other", "donor"); got == "" || kept != 1 {
		t.Errorf("another account: got %q of %d", got, kept)
	}
}

// Views of clients that did not come back go by their age, the oldest first.
func viewsForgotten(t *testing.T, st *store.Store) {
	for i := range 5 {
		saveView(t, st, fmt.Sprint("s", i), "ngo", "{}", start.Add(time.Duration(i)*time.Millisecond))
	}
	for _, step := range []struct {
		age   time.Duration
		limit int
		want  int64
	}{{0, 9, 0}, {time.Millisecond, 9, 1}, {time.Second, 3, 3}, {time.Second, 3, 1}, {time.Second, 3, 0}} {
		update(t, st, func(tx *store.Tx) error {
			got, err := tx.ForgetViews(t.Context(), start.Add(step.age), step.limit)
			if got != step.want {
				t.Errorf("older than %v: removed %d, want %d", step.age, got, step.want)
			}
			return err
		})
	}
}
