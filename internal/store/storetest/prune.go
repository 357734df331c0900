package storetest

import (
	"slices"
	"testing"
	"time"

	"larder/internal/eventlog"
	"larder/internal/store"
)

// appendAged appends records of the given ages in hours, one transaction each, and
// returns their numbers.
func appendAged(t *testing.T, st *store.Store, ages ...int) (seqs []int64) {
	t.Helper()
	for _, hours := range ages {
		d := draft("s", 1)
		d.At = start.Add(-time.Duration(hours) * time.Hour)
		update(t, st, func(tx *store.Tx) error {
			at, err := tx.Append(t.Context(), d)
			if err == nil {
				seqs = append(seqs, at[0].Seq)
			}
			return err
		})
	}
	return seqs
}

func prune(t *testing.T, st *store.Store, hours, limit int) (n int64) {
	t.Helper()
	update(t, st, func(tx *store.Tx) (err error) {
		n, _, err = tx.Prune(t.Context(), start.Add(-time.Duration(hours)*time.Hour), limit)
		return err
	})
	return n
}

// wantLog wants these records, and the tail before them.
func wantLog(t *testing.T, st *store.Store, tail, head int64, want ...int64) {
	t.Helper()
	view(t, st, func(tx *store.Tx) error {
		gotTail, err := tx.Tail(t.Context())
		if err != nil {
			return err
		}
		gotHead, err := tx.Head(t.Context())
		if err != nil {
			return err
		}
		if gotTail.Seq != tail || gotHead != (eventlog.Position{Epoch: gotTail.Epoch, Seq: head}) {
			t.Errorf("tail %v and head %v, want %d and %d", gotTail, gotHead, tail, head)
		}
		var got []int64
		recs, err := tx.Since(t.Context(), 0, 100)
		for _, r := range recs {
			got = append(got, r.Position.Seq)
		}
		if !slices.Equal(got, want) {
			t.Errorf("the log holds %v, want %v", got, want)
		}
		return err
	})
}

func pruneTakesAPrefix(t *testing.T, st *store.Store) {
	if n := prune(t, st, 0, 10); n != 0 {
		t.Errorf("of an empty log %d records went", n)
	}
	wantLog(t, st, 0, 0)
	// The fifth is old, too, but a younger one is before it.
	s := appendAged(t, st, 9, 8, 7, 1, 6, 0)
	if n := prune(t, st, 9, 10); n != 0 {
		t.Errorf("a record of exactly that time went, or %d did", n)
	}
	wantLog(t, st, 0, s[5], s...)
	if n := prune(t, st, 5, 2); n != 2 {
		t.Errorf("with a limit of 2: %d went", n)
	}
	wantLog(t, st, s[1], s[5], s[2:]...)
	if n := prune(t, st, 5, 10); n != 1 {
		t.Errorf("up to the younger one: %d went, want 1", n)
	}
	wantLog(t, st, s[2], s[5], s[3:]...)
	if n := prune(t, st, 5, 10); n != 0 {
		t.Errorf("again: %d went, want none", n)
	}
	wantLog(t, st, s[2], s[5], s[3:]...)
}

func pruneEverything(t *testing.T, st *store.Store) {
	s := appendAged(t, st, 3, 2, 1)
	if n := prune(t, st, 0, 3); n != 3 {
		t.Errorf("%d went, want 3", n)
	}
	wantLog(t, st, s[2], s[2])
	if head, err := st.Log().Head(t.Context()); err != nil || head.Seq != s[2] {
		t.Errorf("Log.Head: got %v, %v, want %d", head, err, s[2])
	}
	next := appendAged(t, st, 0)
	if next[0] <= s[2] {
		t.Errorf("the number %d was given after %d was seen", next[0], s[2])
	}
	wantLog(t, st, s[2], next[0], next...)
}
