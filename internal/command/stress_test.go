package command_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"larder/internal/account"
	"larder/internal/auth"
	"larder/internal/command"
	"larder/internal/donation"
	"larder/internal/eventlog"
)

const crowd = 200

// atOnce runs fn for each name, all let go at the same moment, and waits for all.
func atOnce(names []string, fn func(i int, name string)) {
	var ready, group sync.WaitGroup
	ready.Add(len(names))
	for i, name := range names {
		group.Go(func() {
			ready.Done()
			ready.Wait()
			fn(i, name)
		})
	}
	group.Wait()
}

func TestCrowdClaimsOneDonation(t *testing.T) { eachEngine(t, crowdClaimsOne) }

func crowdClaimsOne(t *testing.T, w *world) {
	ngos := names("crowd", crowd)
	w.add(account.NGO, ngos...)
	for round := range 2 {
		id := w.list()
		errs := make([]error, crowd)
		atOnce(ngos, func(i int, ngo string) { _, errs[i] = w.do(ngo, "", id, donation.Claim) })
		winner := ""
		for i, err := range errs {
			if err != nil {
				wantCode(t, ngos[i], err, donation.CodeNotAvailable)
				continue
			}
			if winner != "" {
				t.Errorf("round %d: both %s and %s won", round, winner, ngos[i])
			}
			winner = ngos[i]
		}
		if got := w.donation(id); winner == "" || got.ClaimedByID != winner || got.Version != 2 || got.Status != donation.Claimed {
			t.Errorf("round %d: winner %q, donation claimed by %q, status %s, version %d", round, winner, got.ClaimedByID, got.Status, got.Version)
		}
		if recs := w.log(id); len(recs) != 2 || recs[1].Type != string(donation.EventClaimed) {
			t.Errorf("round %d: %d records, want one created and one claimed", round, len(recs))
		}
		if got := w.karma(winner); got != 10*(round+1) && got != 10 {
			t.Errorf("round %d: karma of the winner: %d", round, got)
		}
	}
	w.wantAgreement()
}

func TestCrowdClaimsDifferentDonations(t *testing.T) {
	w := newWorld(t)
	ngos := names("crowd", crowd)
	w.add(account.NGO, ngos...)
	ids := make([]string, crowd)
	atOnce(ngos, func(i int, _ string) {
		done, err := w.Create(w.ctx, command.By{AccountID: "donor"}, draft())
		if err != nil {
			t.Errorf("create %d: %v", i, err)
		}
		ids[i] = done.Donation.ID
	})
	atOnce(ngos, func(i int, ngo string) {
		done, err := w.do(ngo, "", ids[i], donation.Claim)
		if err != nil || done.Donation.ClaimedByID != ngo || done.Donation.Version != 2 {
			t.Errorf("claim %d: %v, %+v", i, err, done.Donation)
		}
	})
	for i, id := range ids {
		if got := w.donation(id).ClaimedByID; got != ngos[i] {
			t.Errorf("donation %d is claimed by %q, want %q", i, got, ngos[i])
		}
	}
	w.wantAgreement()
}

// TestCrowdDoesEverything has many people do whatever comes to them with few
// donations, while a tailer reads along.
func TestCrowdDoesEverything(t *testing.T) { eachEngine(t, crowdDoesEverything) }

func crowdDoesEverything(t *testing.T, w *world) {
	waker := eventlog.NewWaker()
	w.Service = command.NewService(w.store, auth.NewPasswords(), waker.Wake, time.UTC)
	var mu sync.Mutex
	var tailed []eventlog.Record
	tailer := eventlog.NewTailer(w.store.Log(), waker, func(_ context.Context, recs []eventlog.Record) {
		mu.Lock()
		defer mu.Unlock()
		tailed = append(tailed, recs...)
	}, slog.New(slog.DiscardHandler))
	if _, err := tailer.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	stopped := make(chan error, 1)
	go func() { stopped <- tailer.Run(ctx) }()

	ids := []string{w.list(), w.list(), w.list(), w.list()}
	people := []string{"donor", "ngo", "ngo2", "volunteer", "admin", "ngo", "ngo2", "volunteer"}
	atOnce(people, func(i int, by string) {
		for k := range 25 {
			action := donation.Actions()[(i*7+k*3)%5] // all but Expire
			if action == donation.Cancel && k%9 != 0 {
				action = donation.Claim
			}
			_, err := w.do(by, fmt.Sprintf("key%d", k), ids[(i+k)%len(ids)], action)
			if _, refused := errors.AsType[*donation.Refusal](err); err != nil && !refused && !errors.Is(err, command.ErrKeyReused) {
				t.Errorf("%s by %s: %v", action, by, err)
			}
		}
	})
	w.wantAgreement()
	want := w.log("")
	for got := 0; got < len(want); { // until the tailer has them all
		waker.Wake()
		mu.Lock()
		got = len(tailed)
		mu.Unlock()
	}
	stop()
	if err := <-stopped; err != nil {
		t.Errorf("Run: %v", err)
	}
	same := func(a, b eventlog.Record) bool {
		return a.Position == b.Position && string(a.Payload) == string(b.Payload)
	}
	if !slices.EqualFunc(tailed, want, same) {
		t.Errorf("the tailer read %d records, the log holds %d, or in another order", len(tailed), len(want))
	}
}

func TestSameKeyAtOnceRunsOnce(t *testing.T) { eachEngine(t, sameKeyAtOnce) }

func sameKeyAtOnce(t *testing.T, w *world) {
	results := make([]string, 20)
	atOnce(names("caller", len(results)), func(i int, _ string) {
		d := donation.Draft{Name: "Soup", FoodType: "x", Unit: "kg", Quantity: 1, ExpiryTime: time.Now().AddDate(0, 6, 0).Truncate(24 * time.Hour)}
		done, err := w.Create(w.ctx, command.By{AccountID: "donor", Key: "once"}, d)
		if err != nil {
			t.Errorf("caller %d: %v", i, err)
		}
		results[i] = done.Donation.ID
	})
	if len(slices.Compact(results)) != 1 {
		t.Errorf("one key made several donations: %v", results)
	}
	if got := len(w.log("")); got != 3 { // the event, new food, a badge
		t.Errorf("the log holds %d records, want 3", got)
	}
	if got := w.karma("donor"); got != 10 {
		t.Errorf("karma: got %d, want 10", got)
	}
}
