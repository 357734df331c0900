package storetest

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"larder/internal/account"
	"larder/internal/donation"
	"larder/internal/eventlog"
	"larder/internal/store"
)

// donationNear looks at what is to be announced to expire soon, and when.
func donationNear(t *testing.T, st *store.Store) {
	const lead = time.Hour
	addAccounts(t, st, newAccount("donor", account.Donor))
	next := func(now time.Time) (at time.Time, err error) {
		err = st.View(t.Context(), func(tx *store.Tx) error {
			at, err = tx.NextNearExpiry(t.Context(), now, lead)
			return err
		})
		return at, err
	}
	if _, err := next(start); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("next of nothing: got %v, want ErrNotFound", err)
	}
	add := func(id string, left time.Duration, change func(*donation.Donation)) {
		d := newDonation(id)
		d.ExpiryTime = start.Add(left)
		if change != nil {
			change(&d)
		}
		addDonations(t, st, d)
	}
	for _, s := range donation.Statuses() {
		add("2h-"+string(s), 2*time.Hour, func(d *donation.Donation) { d.Status = s })
	}
	add("3h", 3*time.Hour, nil)
	add("1h", time.Hour, nil) // never had more
	add("1h+1ms", time.Hour+time.Millisecond, nil)
	add("announced", 2*time.Hour, func(d *donation.Donation) { d.NearExpiryAt = new(start) })

	list := func(now time.Time, limit int) (ids []string, got []donation.Donation) {
		view(t, st, func(tx *store.Tx) error {
			for d, err := range tx.NearExpiry(t.Context(), now, lead, limit) {
				if err != nil {
					return err
				}
				ids, got = append(ids, d.ID), append(got, d)
			}
			return nil
		})
		return ids, got
	}
	for name, tc := range map[string]struct {
		now   time.Time
		limit int
		want  []string
		next  time.Duration // after start
	}{
		"at once":               {start, 9, nil, time.Millisecond},
		"a millisecond later":   {start.Add(time.Millisecond), 9, []string{"1h+1ms"}, time.Millisecond},
		"just before":           {start.Add(time.Hour - time.Millisecond), 9, []string{"1h+1ms"}, time.Millisecond},
		"an hour before":        {start.Add(time.Hour), 9, []string{"1h+1ms", "2h-AVAILABLE", "2h-CLAIMED"}, time.Millisecond},
		"with a limit":          {start.Add(time.Hour), 2, []string{"1h+1ms", "2h-AVAILABLE"}, time.Millisecond},
		"the first has expired": {start.Add(time.Hour + time.Millisecond), 9, []string{"2h-AVAILABLE", "2h-CLAIMED"}, time.Hour},
		"three":                 {start.Add(2*time.Hour - time.Millisecond), 9, []string{"2h-AVAILABLE", "2h-CLAIMED"}, time.Hour},
		"only the last":         {start.Add(2 * time.Hour), 9, []string{"3h"}, 2 * time.Hour},
	} {
		if got, _ := list(tc.now, tc.limit); !slices.Equal(got, tc.want) {
			t.Errorf("%s: got %v, want %v", name, got, tc.want)
		}
		if at, err := next(tc.now); err != nil || !at.Equal(start.Add(tc.next)) {
			t.Errorf("%s: next at %v, %v, want %v", name, at, err, start.Add(tc.next))
		}
	}
	if _, err := next(start.Add(3 * time.Hour)); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("next when all have expired: got %v, want ErrNotFound", err)
	}

	// Marked once, in the version that was read, all or none.
	at := start.Add(time.Hour)
	_, near := list(at, 9)
	mark := func(list ...donation.Donation) error {
		return st.Update(t.Context(), func(tx *store.Tx) error { return tx.MarkNearExpiry(t.Context(), at, list) })
	}
	old := near[1]
	old.Version--
	wantErr(t, "mark with a version of yesterday", mark(near[0], old), store.ErrConflict)
	if err := mark(near...); err != nil {
		t.Errorf("mark: %v", err)
	}
	wantErr(t, "mark again", mark(near[2]), store.ErrConflict)
	want := near[0]
	want.NearExpiryAt = &at
	if diff := gocmp.Diff(want, getDonation(t, st, want.ID), equal); diff != "" {
		t.Errorf("a marked donation (-want +got):\n%s", diff)
	}
	if ids, _ := list(at, 9); len(ids) != 0 {
		t.Errorf("marked and still there: %v", ids)
	}
}

// donationsExpired looks at the expiry of many donations with different versions.
func donationsExpired(t *testing.T, st *store.Store) {
	addAccounts(t, st, newAccount("donor", account.Donor))
	var list, want []donation.Donation
	at := start.Add(6*time.Hour + time.Millisecond)
	for i := range 7 {
		d := fullDonation(fmt.Sprint(i))
		d.Status, d.Version = donation.Claimed, int64(1+i%3)
		addDonations(t, st, d)
		d.Status, d.Version, d.UpdatedAt = donation.Expired, d.Version+1, at
		want = append(want, d)
		d.Name, d.ClaimedByID = "not written", ""
		list = append(list, d)
	}
	bystander := newDonation("bystander")
	addDonations(t, st, bystander)
	save := func(list []donation.Donation) error {
		return st.Update(t.Context(), func(tx *store.Tx) error { return tx.SaveExpired(t.Context(), at, list) })
	}
	torn := slices.Clone(list)
	torn[4].Version++
	wantErr(t, "one of them changed meanwhile", save(torn), store.ErrConflict)
	if got := getDonation(t, st, "0"); got.Status != donation.Claimed {
		t.Errorf("after a conflict: status %s", got.Status)
	}
	if err := errors.Join(save(list), save(nil)); err != nil {
		t.Errorf("save: %v", err)
	}
	wantErr(t, "again", save(list), store.ErrConflict)
	for _, w := range append(want, bystander) {
		if diff := gocmp.Diff(w, getDonation(t, st, w.ID), equal); diff != "" {
			t.Errorf("donation %s (-want +got):\n%s", w.ID, diff)
		}
	}
}

// logMany appends more records than one statement takes.
func logMany(t *testing.T, st *store.Store) {
	var drafts []eventlog.Draft
	for i := range 203 {
		d := draft("s", int64(i+1))
		d.Donation, d.Previous = fmt.Appendf(nil, `{"n":%d}`, i), fmt.Sprint(i)
		drafts = append(drafts, d)
	}
	var at []eventlog.Position
	update(t, st, func(tx *store.Tx) (err error) {
		if none, err := tx.Append(t.Context()); err != nil || len(none) != 0 {
			t.Errorf("Append of nothing: %v, %v", none, err)
		}
		at, err = tx.Append(t.Context(), drafts...)
		return err
	})
	got := records(t, st, 0, 1000)
	if len(got) != len(drafts) || len(at) != len(drafts) {
		t.Fatalf("%d records and %d positions, want %d", len(got), len(at), len(drafts))
	}
	for i, r := range got {
		if diff := gocmp.Diff(eventlog.Record{Position: at[i], Draft: drafts[i]}, r, equal); diff != "" {
			t.Fatalf("record %d (-want +got):\n%s", i, diff)
		}
	}
}
