package storetest

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"larder/internal/account"
	"larder/internal/donation"
	"larder/internal/store"
)

func reserve(t *testing.T, st *store.Store, content, name string, at time.Time) (kept string) {
	t.Helper()
	update(t, st, func(tx *store.Tx) (err error) {
		kept, err = tx.ReserveMedia(t.Context(), content, name, at)
		return err
	})
	return kept
}

func hold(t *testing.T, st *store.Store, owner, name string) error {
	t.Helper()
	return st.Update(t.Context(), func(tx *store.Tx) error { return tx.HoldMedia(t.Context(), owner, name) })
}

// wantMedia compares what is loose, dropped and over before a time.
func wantMedia(t *testing.T, st *store.Store, before time.Time, loose, dropped, over []string) {
	t.Helper()
	view(t, st, func(tx *store.Tx) error {
		for _, list := range []struct {
			what string
			want []string
			get  func() ([]string, error)
		}{
			{"loose", loose, func() ([]string, error) { return tx.LooseMedia(t.Context(), before, 10) }},
			{"dropped", dropped, func() ([]string, error) { return tx.DroppedMedia(t.Context(), 10) }},
			{"over", over, func() ([]string, error) { return tx.OverMedia(t.Context(), before, 10) }},
		} {
			got, err := list.get()
			slices.Sort(got)
			if err != nil || !slices.Equal(got, list.want) {
				t.Errorf("%s: got %q, %v, want %q", list.what, got, err, list.want)
			}
		}
		return nil
	})
}

func mediaNames(t *testing.T, st *store.Store) {
	ctx, later := t.Context(), start.Add(time.Hour)
	if got := reserve(t, st, "image:1", "a", start); got != "a" {
		t.Errorf("a new content got the name %q", got)
	}
	if got := reserve(t, st, "image:1", "b", later); got != "a" {
		t.Errorf("the same content got the name %q, want a", got)
	}
	reserve(t, st, "image:2", "c", start)
	wantMedia(t, st, later, []string{"c"}, nil, nil) // a was wanted again
	update(t, st, func(tx *store.Tx) error { return tx.WantMedia(ctx, "c", later) })
	wantErr(t, "want what is not there", st.Update(ctx, func(tx *store.Tx) error { return tx.WantMedia(ctx, "x", later) }), store.ErrNotFound)
	wantMedia(t, st, later, nil, nil, nil)
	after := later.Add(time.Millisecond)
	wantMedia(t, st, after, []string{"a", "c"}, nil, nil)

	if err := errors.Join(hold(t, st, "d1", "a"), hold(t, st, "d2", "a"), hold(t, st, "d2", "a")); err != nil {
		t.Fatal(err)
	}
	wantErr(t, "hold what is not there", hold(t, st, "d1", "x"), store.ErrNotFound)
	update(t, st, func(tx *store.Tx) error { return tx.DropMedia(ctx, after, []string{"a", "c", "x"}) })
	wantMedia(t, st, after, nil, []string{"c"}, nil) // a is held
	wantErr(t, "hold what was dropped", hold(t, st, "d1", "c"), store.ErrNotFound)
	wantErr(t, "want what was dropped", st.Update(ctx, func(tx *store.Tx) error { return tx.WantMedia(ctx, "c", after) }), store.ErrNotFound)
	if got := reserve(t, st, "image:2", "e", after); got != "e" {
		t.Errorf("a dropped content got the name %q again", got)
	}
	update(t, st, func(tx *store.Tx) error {
		return errors.Join(tx.ForgetMedia(ctx, "c"), tx.ForgetMedia(ctx, "a"), tx.DropMedia(ctx, after, nil))
	})
	wantMedia(t, st, after, nil, nil, nil) // a is not dropped, so not forgotten
	if err := hold(t, st, "d3", "a"); err != nil {
		t.Errorf("hold a: %v", err)
	}
}

func mediaOver(t *testing.T, st *store.Store) {
	ctx := t.Context()
	addAccounts(t, st, newAccount("donor", account.Donor))
	for i, s := range []donation.Status{donation.Available, donation.Cancelled, donation.Cancelled, donation.Delivered} {
		d := newDonation(fmt.Sprintf("d%d", i))
		d.Status, d.UpdatedAt = s, start.Add(time.Duration(i)*time.Hour)
		addDonations(t, st, d)
		reserve(t, st, fmt.Sprintf("image:%d", i), fmt.Sprintf("f%d", i), start)
		if err := hold(t, st, d.ID, fmt.Sprintf("f%d", i)); err != nil {
			t.Fatal(err)
		}
	}
	wantMedia(t, st, start.Add(2*time.Hour), nil, nil, []string{"d1"})
	update(t, st, func(tx *store.Tx) error { return tx.ReleaseMedia(ctx, "d1") })
	wantMedia(t, st, start.Add(2*time.Hour), []string{"f1"}, nil, nil)
	wantMedia(t, st, start.Add(24*time.Hour), []string{"f1"}, nil, []string{"d2"})
}

func certificates(t *testing.T, st *store.Store) {
	ctx := t.Context()
	addAccounts(t, st, newAccount("ngo", account.NGO), newAccount("bare", account.NGO))
	reserve(t, st, "certificate:1", "f1", start)
	reserve(t, st, "certificate:2", "f2", start)
	save := func(c store.Certificate) error {
		return st.Update(ctx, func(tx *store.Tx) error { return tx.SaveCertificate(ctx, "ngo", c, start) })
	}
	read := func(id string) (c store.Certificate, err error) {
		err = st.View(ctx, func(tx *store.Tx) error {
			c, err = tx.Certificate(ctx, id)
			return err
		})
		return c, err
	}
	_, err := read("bare")
	wantErr(t, "none", err, store.ErrNotFound)
	wantErr(t, "a file that is not there", save(store.Certificate{File: "x"}), store.ErrNotFound)
	for _, want := range []store.Certificate{{File: "f1"}, {URL: "https://example.org/a?b=c"}, {File: "f1"}, {File: "f2"}} {
		if err := save(want); err != nil {
			t.Fatal(err)
		}
		if got, err := read("ngo"); err != nil || got != want {
			t.Errorf("got %+v, %v, want %+v", got, err, want)
		}
	}
	wantMedia(t, st, start.Add(1), nil, nil, nil)
	wantMedia(t, st, start.Add(time.Hour), []string{"f1"}, nil, nil) // it was replaced
	update(t, st, func(tx *store.Tx) error {
		a, err := tx.Account(ctx, "ngo")
		a.Deleted = true
		return errors.Join(err, tx.UpdateAccount(ctx, a))
	})
	_, err = read("ngo")
	wantErr(t, "of a deleted account", err, store.ErrNotFound)
	wantMedia(t, st, start, nil, nil, []string{"ngo"})
	update(t, st, func(tx *store.Tx) error { return tx.ReleaseMedia(ctx, "ngo") })
	wantMedia(t, st, start.Add(time.Hour), []string{"f1", "f2"}, nil, nil)
}

// Whoever is first wins, and never both: a name that is held is not dropped.
func mediaHoldOrDrop(t *testing.T, st *store.Store) {
	ctx := t.Context()
	for i := range 20 {
		name := fmt.Sprintf("f%d", i)
		reserve(t, st, "image:"+name, name, start)
		var held, dropped error
		var both sync.WaitGroup
		both.Go(func() {
			held = st.Update(ctx, func(tx *store.Tx) error { return tx.HoldMedia(ctx, "d", name) })
		})
		both.Go(func() {
			dropped = st.Update(ctx, func(tx *store.Tx) error { return tx.DropMedia(ctx, start.Add(time.Hour), []string{name}) })
		})
		both.Wait()
		var gone []string
		view(t, st, func(tx *store.Tx) (err error) {
			gone, err = tx.DroppedMedia(ctx, 100)
			return err
		})
		if isGone := slices.Contains(gone, name); dropped != nil || isGone != errors.Is(held, store.ErrNotFound) || !isGone && held != nil {
			t.Fatalf("held: %v; dropped: %v, %v", held, isGone, dropped)
		}
	}
}
