package command_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"larder/api"
	"larder/internal/account"
	"larder/internal/auth"
	"larder/internal/command"
	"larder/internal/donation"
	"larder/internal/eventlog"
	"larder/internal/feed"
	"larder/internal/store"
)

// announce wants so many announcements, and a wake-up exactly when there are any.
func (w *world) announce(want int) {
	w.t.Helper()
	wakes := w.wakes.Load()
	n, err := w.AnnounceNearExpiry(w.ctx)
	if n != want || err != nil {
		w.t.Errorf("AnnounceNearExpiry: got %d, %v, want %d", n, err, want)
	}
	if woken := w.wakes.Load() > wakes; woken != (want > 0) {
		w.t.Errorf("AnnounceNearExpiry of %d: woke the tailer: %v", want, woken)
	}
}

// P-13: once for each donation, without a new version.
func TestNearExpiryIsAnnouncedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		in := func(d time.Duration) func(*donation.Draft) {
			return func(draft *donation.Draft) { draft.ExpiryTime = time.Now().Add(d) }
		}
		open, claimed, carried, late := w.list(in(2*time.Hour)), w.list(in(2*time.Hour)), w.list(in(2*time.Hour)), w.list(in(4*time.Hour))
		w.list(in(time.Hour)) // never announced
		w.must("ngo", claimed, donation.Claim)
		w.must("ngo", carried, donation.Claim)
		w.must("volunteer", carried, donation.PickUp)
		w.announce(0)
		<-time.After(time.Hour - time.Millisecond)
		w.announce(0)
		<-time.After(time.Millisecond)
		before := w.donation(claimed)
		w.announce(2)
		w.announce(0)

		after := before
		after.NearExpiryAt = new(time.Now().UTC())
		if diff := cmp.Diff(after, w.donation(claimed)); diff != "" {
			t.Errorf("the donation (-want +got):\n%s", diff)
		}
		recs := w.log(claimed)
		r := recs[len(recs)-1]
		var got api.DonationNearExpiry
		decode(t, r, api.EventDonationNearExpiry, &got)
		if diff := cmp.Diff(api.DonationNearExpiry{DonationID: claimed, ExpiryTime: api.At(before.ExpiryTime)}, got); diff != "" {
			t.Errorf("payload (-want +got):\n%s", diff)
		}
		if r.Version != 2 || r.Previous != "CLAIMED" || r.Donation == nil || !r.Audience.Everyone || !r.At.Equal(time.Now()) {
			t.Errorf("record %+v", r)
		}
		// Life goes on after it, and nothing makes it come again.
		w.must("ngo", claimed, donation.Release)
		w.must("ngo2", claimed, donation.Claim)
		w.must("donor", open, donation.Cancel)
		w.announce(0)
		<-time.After(2 * time.Hour)
		w.announce(1) // of late, and not of what has expired meanwhile
		if recs := w.log(late); len(recs) != 2 || recs[1].Type != api.EventDonationNearExpiry {
			t.Errorf("records of the last: %v", recs)
		}
		w.wantAgreement()
	})
}

// Two nodes on one database share the work of the clock: each thing happens once.
func TestClocksOfTwoNodes(t *testing.T) {
	w := newWorld(t)
	const many = 300
	now := time.Now()
	w.update(func(tx *store.Tx) error {
		for _, half := range []struct {
			prefix string
			left   time.Duration
		}{{"due", -time.Second}, {"near", 50 * time.Minute}} {
			for _, id := range names(half.prefix, many) {
				d := donation.Donation{
					ID: id, DonorID: "donor", Status: donation.Available, Version: 1, CreatedAt: now.Add(-5 * time.Hour),
					UpdatedAt: now, PreparationTime: now, ExpiryTime: now.Add(half.left),
				}
				if err := tx.InsertDonation(w.ctx, d); err != nil {
					return err
				}
				if _, err := tx.Append(w.ctx, eventlog.Draft{Type: "x", Subject: id, Version: 1, Payload: []byte(`{}`), At: now}); err != nil {
					return err
				}
			}
		}
		return nil
	})
	var mu sync.Mutex
	expired, announced := 0, 0
	atOnce(names("node", 4), func(int, string) {
		node := command.NewService(w.store, auth.NewPasswords(), func() {}, time.UTC)
		for range 3 {
			e, err1 := node.ExpireDue(w.ctx)
			a, err2 := node.AnnounceNearExpiry(w.ctx)
			if err := errors.Join(err1, err2); err != nil {
				t.Error(err)
			}
			mu.Lock()
			expired, announced = expired+e, announced+a
			mu.Unlock()
		}
	})
	if expired != many || announced != many {
		t.Errorf("%d expired and %d announced, want %d each", expired, announced, many)
	}
	if recs := w.log(""); len(recs) != 6*many { // two for each row, and its donor is told once
		t.Errorf("%d records, want %d", len(recs), 6*many)
	}
	w.wantAgreement()
}

// What is claimed or picked up at the second at which it expires: one of both
// wins, and the other is told.
func TestExpiryMeetsPeople(t *testing.T) {
	w := newWorld(t)
	const many = 60
	at := time.Now().Add(time.Second).Truncate(time.Millisecond)
	ids := names("meets", many)
	w.update(func(tx *store.Tx) error { // at once: a slow machine may be past the moment before all are listed
		for i, id := range ids {
			d := donation.Donation{ID: id, DonorID: "donor", Status: donation.Available, Version: 1, ExpiryTime: at, CreatedAt: at, UpdatedAt: at}
			if i%2 == 1 {
				d.Status, d.ClaimedByID, d.ClaimedAt, d.Version = donation.Claimed, "ngo", &at, 2
			}
			if err := tx.InsertDonation(w.ctx, d); err != nil {
				return err
			}
			for v := range d.Version {
				if _, err := tx.Append(w.ctx, eventlog.Draft{Type: "x", Subject: id, Version: v + 1, Payload: []byte(`{}`), At: at}); err != nil {
					return err
				}
			}
		}
		return nil
	})
	errs := make([]error, many)
	var people sync.WaitGroup
	for range 2 { // two clocks
		people.Go(func() {
			<-time.After(time.Until(at) - 90*time.Millisecond)
			for time.Since(at) < 0 || w.donation(ids[many-1]).StatusAt(time.Now()) != w.donation(ids[many-1]).Status {
				if _, err := w.ExpireDue(w.ctx); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for half := range 2 {
		people.Go(func() {
			<-time.After(time.Until(at) - 80*time.Millisecond)
			for i := half; i < many; i += 2 {
				by, action := "ngo2", donation.Claim
				if half == 1 {
					by, action = "volunteer", donation.PickUp
				}
				_, errs[i] = w.do(by, "", ids[i], action)
			}
		})
	}
	people.Wait()
	for n := 1; n > 0; { // the claimed ones of the last moment
		var err error
		if n, err = w.ExpireDue(w.ctx); err != nil {
			t.Fatal(err)
		}
	}
	won := 0
	for i, id := range ids {
		d, carried := w.donation(id), i%2 == 1
		switch {
		case errs[i] == nil && carried:
			won++
			if d.Status != donation.PickedUp || d.Version != 3 || !d.PickedUpAt.Before(at) {
				t.Errorf("picked up in time: %s, version %d at %v, expiry %v", d.Status, d.Version, d.PickedUpAt, at)
			}
		case errs[i] == nil:
			won++
			if d.Status != donation.Expired || d.Version != 3 || d.ClaimedByID != "ngo2" || !d.ClaimedAt.Before(at) {
				t.Errorf("claimed in time: %s, version %d", d.Status, d.Version)
			}
		case carried:
			wantCode(t, "picked up too late", errs[i], donation.CodeInvalidTransition)
			if d.Status != donation.Expired || d.Version != 3 || d.PickedUpBy != "" {
				t.Errorf("picked up too late: %s, version %d", d.Status, d.Version)
			}
		default:
			wantCode(t, "claimed too late", errs[i], donation.CodeExpired)
			if d.Status != donation.Expired || d.Version != 2 || d.ClaimedByID != "" {
				t.Errorf("claimed too late: %s, version %d", d.Status, d.Version)
			}
		}
	}
	t.Logf("%d of %d came in time", won, many)
	w.wantAgreement()
}

// The day's intake begins anew with the day of the place, also where that has 23
// or 25 hours or no midnight; no event is needed, and what was claimed yesterday
// and is still open does not count.
func TestIntakeOfDaysWithOtherHours(t *testing.T) {
	for name, tc := range map[string]struct {
		place, claimed string
	}{
		"23 hours":            {"Europe/Prague", "2000-03-25T23:30:00Z"},
		"25 hours":            {"Europe/Prague", "2000-10-28T22:30:00Z"},
		"no midnight, Brazil": {"America/Sao_Paulo", "2000-10-07T22:00:00Z"},
		"no midnight, Beirut": {"Asia/Beirut", "2000-03-25T20:00:00Z"},
		"an ordinary day":     {"Asia/Kolkata", "2000-01-05T12:00:00Z"},
	} {
		t.Run(name, func(t *testing.T) {
			place, err := time.LoadLocation(tc.place)
			if err != nil {
				t.Fatal(err)
			}
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.Service = command.NewService(w.store, nil, func() {}, place)
				w.change("ngo", func(a *account.Account) { a.Capacity = new(5.0) })
				at, err := time.Parse(time.RFC3339, tc.claimed)
				if err != nil {
					t.Fatal(err)
				}
				<-time.After(time.Until(at))
				long := func(d *donation.Draft) { d.ExpiryTime = time.Now().Add(100 * time.Hour) }
				first, second, third := w.list(long), w.list(long), w.list(long)
				w.must("ngo", first, donation.Claim)
				date := func(at time.Time) string { return at.In(place).Format(time.DateOnly) }
				end := at // the first second of the next day there
				for date(end) == date(at) {
					end = end.Add(time.Second)
				}
				<-time.After(time.Until(end) - time.Millisecond)
				_, err = w.do("ngo", "", second, donation.Claim)
				wantCode(t, "in the last moment of the day", err, donation.CodeOverCapacity)
				records := len(w.log(""))
				<-time.After(time.Millisecond)
				w.must("ngo", second, donation.Claim)
				_, err = w.do("ngo", "", third, donation.Claim)
				wantCode(t, "the new day is full", err, donation.CodeOverCapacity)
				if got := len(w.log("")) - records; got != 2 {
					t.Errorf("%d records at midnight, want those of the claim alone", got)
				}
				// What is left of yesterday gives nothing back to today.
				w.must("ngo", first, donation.Release)
				_, err = w.do("ngo", "", third, donation.Claim)
				wantCode(t, "after the release of yesterday's", err, donation.CodeOverCapacity)
			})
		})
	}
}

// Records go by their age, and the views of those who left before with them, a bounded
// number at once.
func TestPruneLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		prune := func(want command.Pruned) {
			t.Helper()
			if p, err := w.PruneLog(w.ctx, 2*time.Hour); err != nil || p != want {
				t.Errorf("got %+v, %v, want %+v", p, err, want)
			}
		}
		w.list()
		<-time.After(time.Hour)
		w.list()
		for _, step := range []struct {
			wait    time.Duration
			records int64
		}{{0, 0}, {time.Hour, 0}, {time.Millisecond, 3}, {time.Hour, 2}, {0, 0}} { // the first earned a badge
			<-time.After(step.wait)
			prune(command.Pruned{Records: step.records})
		}
		w.update(func(tx *store.Tx) (err error) {
			for i := 0; i < 1001 && err == nil; i++ { // each of another account: of one not so many are kept
				err = tx.SaveView(w.ctx, fmt.Sprint("many", i), fmt.Sprint("account", i), `{}`, time.Now().Add(-3*time.Hour))
			}
			return err
		})
		prune(command.Pruned{}) // nothing is gone that they may have missed
		for _, views := range []int64{1000, 1} {
			w.list()
			<-time.After(2*time.Hour + time.Millisecond)
			prune(command.Pruned{Records: 2, Views: views})
		}
	})
}

// A view goes when its client can't come back, which is no matter of its age: a log in
// which nothing happens takes everybody back.
func TestViewsGoWithTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		view := feed.View{Statuses: []donation.Status{donation.Available}}
		narrow := func(sessions ...string) {
			t.Helper()
			for _, s := range sessions {
				if err := w.NarrowFeed(w.ctx, "ngo", s, view); err != nil {
					t.Fatal(err)
				}
			}
		}
		prune := func(want command.Pruned) {
			t.Helper()
			if p, err := w.PruneLog(w.ctx, 2*time.Hour); err != nil || p != want {
				t.Errorf("got %+v, %v, want %+v", p, err, want)
			}
		}
		narrow("gone", "here")
		<-time.After(30 * time.Minute)
		if err := w.RenewViews(w.ctx, "here", "never narrowed"); err != nil {
			t.Fatal(err)
		}
		<-time.After(20 * time.Hour)
		prune(command.Pruned{})
		if err := w.RenewViews(w.ctx, "here"); err != nil {
			t.Fatal(err)
		}
		<-time.After(time.Hour) // two renewals
		w.list()
		<-time.After(2*time.Hour + time.Millisecond)
		prune(command.Pruned{Records: 3, Views: 1})
		<-time.After(time.Millisecond)
		w.list()
		<-time.After(2*time.Hour + time.Millisecond)
		prune(command.Pruned{Records: 2, Views: 1})
	})
}
