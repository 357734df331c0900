package storetest

import (
	"context"
	"errors"
	"testing"

	"larder/internal/account"
	"larder/internal/store"
)

// write adds a donation and its record, the two things that belong together.
func write(ctx context.Context, tx *store.Tx, id string) error {
	if err := tx.InsertDonation(ctx, newDonation(id)); err != nil {
		return err
	}
	_, err := tx.Append(ctx, draft(id, 1))
	return err
}

// wantWritten wants both the row and the record of a donation, or neither.
func wantWritten(t *testing.T, st *store.Store, id string, want bool) {
	t.Helper()
	view(t, st, func(tx *store.Tx) error {
		_, err := tx.Donation(t.Context(), id)
		if row := err == nil; row != want {
			t.Errorf("donation %s: row is there: %v, want %v (error %v)", id, row, want, err)
		}
		recs, err := tx.History(t.Context(), id, 0, 100)
		if record := len(recs) > 0; record != want {
			t.Errorf("donation %s: record is there: %v, want %v", id, record, want)
		}
		return err
	})
}

func commitTogether(t *testing.T, st *store.Store) {
	addAccounts(t, st, newAccount("donor", account.Donor))
	update(t, st, func(tx *store.Tx) error { return write(t.Context(), tx, "d1") })
	wantWritten(t, st, "d1", true)
}

func rollBackTogether(t *testing.T, st *store.Store) {
	addAccounts(t, st, newAccount("donor", account.Donor))
	err := st.Update(t.Context(), func(tx *store.Tx) error {
		if err := write(t.Context(), tx, "d1"); err != nil {
			return err
		}
		return errors.New("change of mind")
	})
	if err == nil {
		t.Error("Update returned nil for a function that failed")
	}
	wantWritten(t, st, "d1", false)

	func() {
		defer func() {
			if r := recover(); r != "change of mind" {
				t.Errorf("a panic of the function came out as %v", r)
			}
		}()
		_ = st.Update(t.Context(), func(tx *store.Tx) error {
			if err := write(t.Context(), tx, "d2"); err != nil {
				t.Errorf("write: %v", err)
			}
			panic("change of mind")
		})
	}()
	wantWritten(t, st, "d2", false)

	err = st.Update(t.Context(), func(tx *store.Tx) error {
		if err := write(t.Context(), tx, "d3"); err != nil {
			return err
		}
		_, err := tx.Append(t.Context(), draft("d3", 2), draft("d3", 3))
		return errors.Join(err, write(t.Context(), tx, "d3")) // the same id again
	})
	wantErr(t, "a statement that failed", err, store.ErrUnavailable)
	wantWritten(t, st, "d3", false)

	// Nothing of it keeps the next one from working, and no number is given twice
	// to different records that somebody could have seen.
	update(t, st, func(tx *store.Tx) error { return write(t.Context(), tx, "d4") })
	wantWritten(t, st, "d4", true)
	if got := len(records(t, st, 0, 10)); got != 1 {
		t.Errorf("the log holds %d records, want 1", got)
	}
}

func ownError(t *testing.T, st *store.Store) {
	own := errors.New("my own")
	for name, run := range map[string]func(context.Context, func(*store.Tx) error) error{"Update": st.Update, "View": st.View} {
		if got := run(t.Context(), func(*store.Tx) error { return own }); got != own {
			t.Errorf("%s: got %v, want the function's error as it is", name, got)
		}
	}
}

func updateContext(t *testing.T, st *store.Store) {
	addAccounts(t, st, newAccount("donor", account.Donor))
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	err := st.Update(gone, func(*store.Tx) error {
		t.Error("the function ran although its context had ended")
		return nil
	})
	wantErr(t, "before the transaction", err, context.Canceled)

	ctx, cancel := context.WithCancel(t.Context())
	err = st.Update(ctx, func(tx *store.Tx) error {
		if err := write(ctx, tx, "d1"); err != nil {
			return err
		}
		cancel()
		return nil
	})
	wantErr(t, "before the commit", err, context.Canceled)
	wantWritten(t, st, "d1", false)

	ctx, cancel = context.WithCancel(t.Context())
	err = st.Update(ctx, func(tx *store.Tx) error {
		cancel()
		return write(ctx, tx, "d2")
	})
	wantErr(t, "in the middle", err, context.Canceled)
	if errors.Is(err, store.ErrUnavailable) {
		t.Errorf("in the middle: got %v: a caller that left is no failure of the store", err)
	}
	wantWritten(t, st, "d2", false)

	update(t, st, func(tx *store.Tx) error { return write(t.Context(), tx, "d3") })
	wantWritten(t, st, "d3", true)
}

func viewIsReadOnly(t *testing.T, st *store.Store) {
	donor := newAccount("donor", account.Donor)
	addAccounts(t, st, donor)
	addDonations(t, st, newDonation("d1"))
	changed := newDonation("d1")
	changed.Version = 2
	for name, statement := range map[string]func(*store.Tx) error{
		"InsertAccount":   func(tx *store.Tx) error { return tx.InsertAccount(t.Context(), newAccount("b", account.NGO), "") },
		"UpdateAccount":   func(tx *store.Tx) error { return tx.UpdateAccount(t.Context(), donor) },
		"SetPasswordHash": func(tx *store.Tx) error { return tx.SetPasswordHash(t.Context(), "donor", "x") },
		"InsertDonation":  func(tx *store.Tx) error { return tx.InsertDonation(t.Context(), newDonation("d2")) },
		"UpdateDonation":  func(tx *store.Tx) error { return tx.UpdateDonation(t.Context(), changed) },
		"SaveAnswer": func(tx *store.Tx) error {
			return tx.SaveAnswer(t.Context(), store.Answer{Caller: "a", Key: "k", Body: []byte("{}")})
		},
		"Append": func(tx *store.Tx) error {
			_, err := tx.Append(t.Context(), draft("d1", 1))
			return err
		},
		"AwardKarma": func(tx *store.Tx) error {
			_, err := tx.AwardKarma(t.Context(), "d1", account.Award{AccountID: "donor", Reason: account.ReasonCreate}, start)
			return err
		},
		"TakeKarmaBack": func(tx *store.Tx) error {
			return tx.TakeKarmaBack(t.Context(), []account.Reason{account.ReasonCreate}, "d1")
		},
	} {
		t.Run(name, func(t *testing.T) {
			if err := st.View(t.Context(), statement); err == nil {
				t.Error("a write inside View was accepted")
			}
		})
	}
	if recs := records(t, st, 0, 10); len(recs) != 0 {
		t.Errorf("View left %d records in the log", len(recs))
	}
}

func viewIsOneState(t *testing.T, st *store.Store) {
	addAccounts(t, st, newAccount("donor", account.Donor))
	view(t, st, func(tx *store.Tx) error {
		before, err := tx.Head(t.Context())
		if err != nil {
			return err
		}
		update(t, st, func(tx *store.Tx) error { return write(t.Context(), tx, "d1") })
		after, err := tx.Head(t.Context())
		if err != nil {
			return err
		}
		if before != after {
			t.Errorf("head inside one View: first %v, then %v", before, after)
		}
		if _, err := tx.Donation(t.Context(), "d1"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("a donation from after the View began: got %v, want ErrNotFound", err)
		}
		return nil
	})
	wantWritten(t, st, "d1", true)
}

func closedStore(t *testing.T, st *store.Store) {
	if err := st.Ping(t.Context()); err != nil {
		t.Fatalf("Ping of an open store: %v", err)
	}
	if err := st.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
	if err := st.Close(); err != nil {
		t.Errorf("Close again: %v", err)
	}
	nothing := func(*store.Tx) error { return nil }
	_, headErr := st.Log().Head(t.Context())
	_, sinceErr := st.Log().Since(t.Context(), 0, 1)
	for what, err := range map[string]error{
		"Ping": st.Ping(t.Context()), "Update": st.Update(t.Context(), nothing), "View": st.View(t.Context(), nothing),
		"Log.Head": headErr, "Log.Since": sinceErr,
	} {
		wantErr(t, what, err, store.ErrUnavailable)
	}
}

func migrateAgain(t *testing.T, st *store.Store) {
	addAccounts(t, st, newAccount("donor", account.Donor))
	before, err := st.Log().Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	applied, err := st.Migrate(t.Context())
	if err != nil || len(applied) != 0 {
		t.Errorf("Migrate of a store that is up to date: applied %v, error %v", applied, err)
	}
	after, err := st.Log().Head(t.Context())
	if err != nil || after != before {
		t.Errorf("head after migrating again: got %v (error %v), want %v", after, err, before)
	}
	view(t, st, func(tx *store.Tx) error {
		_, err := tx.Account(t.Context(), "donor")
		return err
	})
	list, err := st.Migrations(t.Context())
	if err != nil || len(list) == 0 {
		t.Fatalf("Migrations: %v, %v", list, err)
	}
	for i, m := range list {
		if m.AppliedAt.IsZero() || m.Name == "" || (i > 0 && m.Version <= list[i-1].Version) {
			t.Errorf("migration %d: got %+v, want it applied, named and in order", i, m)
		}
	}
}
