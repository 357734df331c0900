package storetest

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"larder/internal/store"
)

func sinkMoves(t *testing.T, st *store.Store) {
	ctx := t.Context()
	at := func(want int64) {
		t.Helper()
		view(t, st, func(tx *store.Tx) error {
			if p, err := tx.Sink(ctx, "mail"); err != nil || p.Seq != want || len(p.Epoch) != 12 {
				t.Errorf("the sink is at %v, %v, want %d", p, err, want)
			}
			return nil
		})
	}
	advance := func(name string, from, to int64) error {
		return st.Update(ctx, func(tx *store.Tx) error { return tx.AdvanceSink(ctx, name, from, to) })
	}
	wantErr(t, "a sink that never was", st.View(ctx, func(tx *store.Tx) error {
		_, err := tx.Sink(ctx, "mail")
		return err
	}), store.ErrNotFound)
	wantErr(t, "move what is not there", advance("mail", 0, 1), store.ErrConflict)
	update(t, st, func(tx *store.Tx) error { return tx.StartSink(ctx, "mail", 7) })
	at(7)
	if err := advance("mail", 7, 9); err != nil {
		t.Errorf("advance: %v", err)
	}
	wantErr(t, "move from where another was", advance("mail", 7, 8), store.ErrConflict)
	wantErr(t, "move another", advance("other", 9, 10), store.ErrConflict)
	at(9)
	update(t, st, func(tx *store.Tx) error { return tx.StartSink(ctx, "mail", 3) })
	at(3)
}

func mailsWait(t *testing.T, st *store.Store) {
	ctx := t.Context()
	first := store.Mail{Seq: 5, Part: 1, Kind: "k", About: "a", Due: start}
	second := store.Mail{Seq: 5, Part: 2, Kind: "k", About: "a", Due: start}
	third := store.Mail{Seq: 6, Part: 1, Kind: "l", About: "b", Due: start}
	next := func(now time.Time, want store.Mail) {
		t.Helper()
		view(t, st, func(tx *store.Tx) error {
			got, err := tx.NextMail(ctx, now)
			if d := cmp.Diff(want, got); err != nil || d != "" {
				t.Errorf("next mail: %v\n%s", err, d)
			}
			return nil
		})
	}
	none := func(now time.Time) {
		t.Helper()
		wantErr(t, "no mail", st.View(ctx, func(tx *store.Tx) error {
			_, err := tx.NextMail(ctx, now)
			return err
		}), store.ErrNotFound)
	}
	count := func(want int) {
		t.Helper()
		view(t, st, func(tx *store.Tx) error {
			if n, err := tx.CountMails(ctx); err != nil || n != want {
				t.Errorf("%d mails, %v, want %d", n, err, want)
			}
			return nil
		})
	}
	none(start)
	update(t, st, func(tx *store.Tx) error { return tx.InsertMails(ctx, third, second, first) })
	count(3)
	none(start.Add(-time.Millisecond))
	next(start, first)
	later := start.Add(time.Minute)
	update(t, st, func(tx *store.Tx) error { return tx.TryMail(ctx, first, later) })
	next(start, second)
	next(later, second) // what was never tried goes first
	update(t, st, func(tx *store.Tx) error { return tx.DeleteMail(ctx, second) })
	next(later, third)
	update(t, st, func(tx *store.Tx) error { return tx.DeleteMail(ctx, third) })
	update(t, st, func(tx *store.Tx) error { return tx.DeleteMail(ctx, third) })
	none(later.Add(-time.Millisecond))
	first.Tries, first.Due = 1, later
	next(later, first)
	wantErr(t, "try what is gone", st.Update(ctx, func(tx *store.Tx) error { return tx.TryMail(ctx, third, later) }), store.ErrNotFound)
	update(t, st, func(tx *store.Tx) error { return tx.ForgetMails(ctx) })
	count(0)
}
