package storetest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"larder/internal/store"
)

func answers(t *testing.T, st *store.Store) {
	want := store.Answer{Caller: "ngo", Key: "k1", Fingerprint: "f1", Body: []byte(`{"ok":"ž'\""}`), At: start}
	update(t, st, func(tx *store.Tx) error { return tx.SaveAnswer(t.Context(), want) })
	get := func(caller, key string) (a store.Answer, err error) {
		err = st.View(t.Context(), func(tx *store.Tx) error {
			a, err = tx.Answer(t.Context(), caller, key)
			return err
		})
		return a, err
	}
	got, err := get("ngo", "k1")
	if diff := gocmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("answer: error %v (-want +got):\n%s", err, diff)
	}
	for _, other := range [][2]string{{"donor", "k1"}, {"ngo", "k2"}, {"NGO", "k1"}, {"ngo", "K1"}} {
		if _, err := get(other[0], other[1]); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("answer of %v: got %v, want ErrNotFound", other, err)
		}
	}
	second := want
	second.Body = []byte(`{}`)
	if err := st.Update(t.Context(), func(tx *store.Tx) error { return tx.SaveAnswer(t.Context(), second) }); err == nil {
		t.Error("a second answer for the same caller and key was kept")
	}
	if got, _ := get("ngo", "k1"); string(got.Body) != string(want.Body) {
		t.Errorf("answer after the second: got %s, want %s", got.Body, want.Body)
	}
	other := want
	other.Caller = "donor"
	update(t, st, func(tx *store.Tx) error { return tx.SaveAnswer(t.Context(), other) })
}

func answersForgotten(t *testing.T, st *store.Store) {
	for i := range 5 {
		update(t, st, func(tx *store.Tx) error {
			a := store.Answer{Caller: "ngo", Key: fmt.Sprint(i), Body: []byte(`{}`), At: start.Add(time.Duration(i) * time.Hour)}
			return tx.SaveAnswer(t.Context(), a)
		})
	}
	for _, step := range []struct {
		before time.Time
		limit  int
		want   int64
		oldest string // that is left; empty: none is
	}{
		{start, 9, 0, "0"},
		{start.Add(2 * time.Hour), 9, 2, "2"},
		{start.Add(2 * time.Hour), 9, 0, "2"},
		{start.Add(24 * time.Hour), 2, 2, "4"},
		{start.Add(24 * time.Hour), 2, 1, ""},
	} {
		update(t, st, func(tx *store.Tx) error {
			n, err := tx.ForgetAnswers(t.Context(), step.before, step.limit)
			if n != step.want {
				t.Errorf("forgot %d answers from before %v, want %d", n, step.before, step.want)
			}
			return err
		})
		oldest := ""
		for i := 4; i >= 0; i-- {
			err := st.View(t.Context(), func(tx *store.Tx) error { _, err := tx.Answer(t.Context(), "ngo", fmt.Sprint(i)); return err })
			if err == nil {
				oldest = fmt.Sprint(i)
			}
		}
		if oldest != step.oldest {
			t.Errorf("before %v the oldest left is %q, want %q", step.before, oldest, step.oldest)
		}
	}
}
