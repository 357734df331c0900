package storetest

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"larder/internal/eventlog"
	"larder/internal/store"
)

func logContent(t *testing.T, st *store.Store) {
	head, err := st.Log().Head(t.Context())
	if err != nil || head.Seq != 0 {
		t.Fatalf("head of an empty log: got %v, %v, want seq 0", head, err)
	}
	if p, err := eventlog.ParsePosition(head.String()); err != nil || p != head {
		t.Errorf("the epoch %q makes no position that can be read back: %v, %v", head.Epoch, p, err)
	}
	view(t, st, func(tx *store.Tx) error {
		tail, err := tx.Tail(t.Context())
		if tail != head {
			t.Errorf("tail of an empty log: got %v, want the head", tail)
		}
		return err
	})
	drafts := []eventlog.Draft{
		{Type: "a", Subject: "s1", Version: 3, Audience: eventlog.Audience{Everyone: true}, Payload: []byte(`{"n":1}`), At: start},
		{Type: "b.c", Subject: "s2", Audience: eventlog.Audience{Users: []string{"u1", `u"2`}}, Payload: []byte(`{}`), At: start.Add(time.Second)},
		{Type: "roles", Subject: "s3", Audience: eventlog.Audience{Users: []string{"u1"}, Roles: []string{"NGO", "VOLUNTEER"}}, Payload: []byte(`{}`), At: start},
		{Type: "nobody", Subject: "s1", Version: 4, Payload: []byte(`{"text":"žluťoučký 🥖 \" \\ \u0000 '); --"}`), At: time.UnixMilli(0).UTC()},
	}
	var at []eventlog.Position
	update(t, st, func(tx *store.Tx) error {
		var err error
		at, err = tx.Append(t.Context(), drafts...)
		return err
	})
	if len(at) != len(drafts) || !slices.IsSortedFunc(at, func(a, b eventlog.Position) int { return cmp.Compare(a.Seq, b.Seq) }) {
		t.Fatalf("positions of %d records: got %v, want them ascending", len(drafts), at)
	}
	var want []eventlog.Record
	for i, d := range drafts {
		want = append(want, eventlog.Record{Position: eventlog.Position{Epoch: head.Epoch, Seq: at[i].Seq}, Draft: d})
	}
	if diff := gocmp.Diff(want, records(t, st, 0, 10), equal); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
	if head, err = st.Log().Head(t.Context()); err != nil || head != at[3] {
		t.Errorf("head: got %v, %v, want %v", head, err, at[3])
	}
}

func logRefusals(t *testing.T, st *store.Store) {
	for _, payload := range []string{``, `{`, `[]`, `"text"`, `null`, `{} {}`, `{"a":}`, ` {}`, "{}\n"} {
		d := draft("s", 1)
		d.Payload = []byte(payload)
		err := st.Update(t.Context(), func(tx *store.Tx) error {
			_, err := tx.Append(t.Context(), d)
			return err
		})
		if err == nil {
			t.Errorf("Append took the payload %q", payload)
		}
	}
	if recs := records(t, st, 0, 10); len(recs) != 0 {
		t.Errorf("the log holds %d records, want none", len(recs))
	}
}

func logPages(t *testing.T, st *store.Store) {
	const total = 25
	for i := range total {
		update(t, st, func(tx *store.Tx) error {
			_, err := tx.Append(t.Context(), draft("s", int64(i+1)))
			return err
		})
	}
	for _, limit := range []int{1, 7, total, total + 1} {
		var seen []int64
		for after := int64(0); ; {
			page := records(t, st, after, limit)
			if len(page) > limit {
				t.Fatalf("limit %d: a page of %d", limit, len(page))
			}
			if len(page) == 0 {
				break
			}
			for _, r := range page {
				seen = append(seen, r.Version)
			}
			after = page[len(page)-1].Position.Seq
		}
		if len(seen) != total || !slices.IsSorted(seen) {
			t.Errorf("limit %d: got versions %v, want 1 to %d", limit, seen, total)
		}
	}
	all := records(t, st, 0, total)
	if got := records(t, st, all[total-1].Position.Seq+1000, 10); len(got) != 0 {
		t.Errorf("after the head: got %d records, want none", len(got))
	}
	view(t, st, func(tx *store.Tx) error {
		tail, err := tx.Tail(t.Context())
		if want := (eventlog.Position{Epoch: all[0].Position.Epoch, Seq: all[0].Position.Seq - 1}); tail != want {
			t.Errorf("tail: got %v, want %v", tail, want)
		}
		return err
	})
}

// logVisibleInOrder has many writers, one of them slow between its append and
// its commit, while a reader goes on from the newest record that it saw. On an
// engine that hands out numbers before the commit the reader misses some.
func logVisibleInOrder(t *testing.T, st *store.Store) {
	const writers, each = 8, 25
	overtaken := make(chan struct{}, writers*each)
	var group sync.WaitGroup
	appended := make(chan struct{})
	group.Go(func() {
		err := st.Update(t.Context(), func(tx *store.Tx) error {
			_, err := tx.Append(t.Context(), draft("slow", 1))
			close(appended)
			// The others get their chance: an engine that lets them pass is caught by
			// the reader below.
			select {
			case <-overtaken:
			case <-time.After(150 * time.Millisecond):
			}
			return err
		})
		if err != nil {
			t.Errorf("slow writer: %v", err)
		}
	})
	<-appended
	for w := range writers {
		group.Go(func() {
			r := rand.New(rand.NewPCG(uint64(w), 1))
			for i := range each {
				err := st.Update(t.Context(), func(tx *store.Tx) error {
					drafts := make([]eventlog.Draft, 1+r.IntN(3))
					for k := range drafts {
						drafts[k] = draft(fmt.Sprintf("w%d", w), int64(i))
					}
					_, err := tx.Append(t.Context(), drafts...)
					return err
				})
				if err != nil {
					t.Errorf("writer %d: %v", w, err)
					return
				}
				overtaken <- struct{}{}
			}
		})
	}
	done := make(chan struct{})
	go func() { group.Wait(); close(done) }()

	var seen []int64
	read := func() {
		after := int64(0)
		if len(seen) > 0 {
			after = seen[len(seen)-1]
		}
		for _, r := range records(t, st, after, 1000) {
			seen = append(seen, r.Position.Seq)
		}
	}
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
		}
		read()
	}
	var want []int64
	bySubject := map[string]int64{}
	for _, r := range records(t, st, 0, 10_000) {
		want = append(want, r.Position.Seq)
		if r.Version < bySubject[r.Subject] {
			t.Errorf("records of %s are out of their writer's order", r.Subject)
		}
		bySubject[r.Subject] = r.Version
	}
	if len(want) < writers*each+1 {
		t.Errorf("the log holds %d records of at least %d", len(want), writers*each+1)
	}
	if !slices.Equal(seen, want) {
		t.Errorf("the reader saw %d records, the log holds %d:\n got %v\nwant %v", len(seen), len(want), seen, want)
	}
}

func logHistory(t *testing.T, st *store.Store) {
	for i := range 12 {
		update(t, st, func(tx *store.Tx) error {
			_, err := tx.Append(t.Context(), draft(fmt.Sprintf("s%d", i%3), int64(i)))
			return err
		})
	}
	view(t, st, func(tx *store.Tx) error {
		recs, err := tx.History(t.Context(), "s1", 0, 100)
		var got []int64
		for _, r := range recs {
			got = append(got, r.Version)
		}
		if want := []int64{1, 4, 7, 10}; !slices.Equal(got, want) {
			t.Errorf("history: got %v, want %v", got, want)
			return err
		}
		part, err := tx.History(t.Context(), "s1", recs[0].Position.Seq, 2)
		if diff := gocmp.Diff(recs[1:3], part); diff != "" {
			t.Errorf("two after the first (-want +got):\n%s", diff)
		}
		return err
	})
}
