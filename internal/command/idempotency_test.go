package command_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"larder/internal/account"
	"larder/internal/command"
	"larder/internal/donation"
	"larder/internal/store"
)

func TestSameKeySameAnswer(t *testing.T) {
	w := newWorld(t)
	d := draft()
	d.Hygiene, d.ImageURLs = json.RawMessage(`{"gloves":true}`), []string{"https://example.org/a.png"}
	by := command.By{AccountID: "donor", Key: "k"}
	first, err := w.Create(w.ctx, by, d)
	if err != nil {
		t.Fatal(err)
	}
	wakes := w.wakes.Load()
	for range 2 {
		again, err := w.Create(w.ctx, by, d)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(first, again, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("answers differ (-first +again):\n%s", diff)
		}
	}
	if got := w.wakes.Load(); got != wakes {
		t.Errorf("a repeated command woke the tailer %d times", got-wakes)
	}
	if n, k := len(w.log("")), w.karma("donor"); n != 3 || k != 10 { // with what is told of it
		t.Errorf("got %d records and %d karma, want 3 and 10", n, k)
	}

	claim, err := w.do("ngo", "k", first.Donation.ID, donation.Claim)
	if err != nil {
		t.Fatal(err)
	}
	w.must("ngo", first.Donation.ID, donation.Release)
	again, err := w.do("ngo", "k", first.Donation.ID, donation.Claim)
	if diff := cmp.Diff(claim, again, cmpopts.EquateEmpty()); err != nil || diff != "" {
		t.Errorf("claim repeated after the release: %v (-first +again):\n%s", err, diff)
	}
	if got := w.donation(first.Donation.ID).Status; got != donation.Available {
		t.Errorf("the repeated claim was run: status %s", got)
	}
}

func TestSameKeySameRefusal(t *testing.T) {
	w := newWorld(t)
	id := w.list()
	w.must("ngo", id, donation.Claim)
	_, first := w.do("ngo2", "k", id, donation.Claim)
	wantCode(t, "first", first, donation.CodeNotAvailable)
	w.must("ngo", id, donation.Release) // now it could be had
	_, again := w.do("ngo2", "k", id, donation.Claim)
	wantCode(t, "again", again, donation.CodeNotAvailable)
	if diff := cmp.Diff(first, again); diff != "" {
		t.Errorf("refusals differ (-first +again):\n%s", diff)
	}
	if _, err := w.do("ngo2", "another", id, donation.Claim); err != nil {
		t.Errorf("with another key: %v", err)
	}
	// A refused draft is an answer as well.
	bad := draft()
	bad.Name = ""
	_, first = w.Create(w.ctx, command.By{AccountID: "donor", Key: "bad"}, bad)
	_, again = w.Create(w.ctx, command.By{AccountID: "donor", Key: "bad"}, bad)
	wantCode(t, "draft", first, donation.CodeValidation)
	if diff := cmp.Diff(first, again); diff != "" {
		t.Errorf("refusals of a draft differ (-first +again):\n%s", diff)
	}
}

func TestKeyForAnotherCommand(t *testing.T) {
	w := newWorld(t)
	id, other := w.list(), w.list()
	if _, err := w.do("ngo", "k", id, donation.Claim); err != nil {
		t.Fatal(err)
	}
	at := time.Now().Add(time.Hour)
	for name, o := range map[string]command.Order{
		"another donation": {DonationID: other, Action: donation.Claim, Reason: "a reason"},
		"another action":   {DonationID: id, Action: donation.Release, Reason: "a reason"},
		"another reason":   {DonationID: id, Action: donation.Claim},
		"another time":     {DonationID: id, Action: donation.Claim, Reason: "a reason", EstimatedPickupTime: &at},
	} {
		_, err := w.Do(w.ctx, command.By{AccountID: "ngo", Key: "k"}, o)
		wantErr(t, name, err, command.ErrKeyReused)
	}
	name := "N"
	_, err := w.UpdateProfile(w.ctx, command.By{AccountID: "ngo", Key: "k"}, command.ProfileChange{Name: &name})
	wantErr(t, "another kind of command", err, command.ErrKeyReused)
	if got := len(w.log("")); got != 8 {
		t.Errorf("the log holds %d records, want 8", got)
	}

	// The key of one caller says nothing to another.
	if _, err := w.do("ngo2", "k", other, donation.Claim); err != nil {
		t.Errorf("another caller with the same key: %v", err)
	}
}

func TestWithoutAKeyEveryCommandRuns(t *testing.T) {
	w := newWorld(t)
	if first, second := w.list(), w.list(); first == second {
		t.Error("two commands without a key gave one donation")
	}
	if got := w.karma("donor"); got != 20 {
		t.Errorf("karma: got %d, want 20", got)
	}
}

func TestKeysAreForgottenAfterADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		d := draft()
		d.ExpiryTime = d.ExpiryTime.AddDate(0, 1, 0)
		by := command.By{AccountID: "donor", Key: "k"}
		create := func() string {
			done, err := w.Create(w.ctx, by, d)
			if err != nil {
				t.Fatal(err)
			}
			return done.Donation.ID
		}
		first := create()
		forget := func(after time.Duration) {
			<-time.After(after)
			if more, err := w.ForgetKeys(w.ctx); err != nil || more {
				t.Fatal(more, err)
			}
		}
		forget(command.KeyLife)
		if got := create(); got != first {
			t.Errorf("after %v the key was forgotten", command.KeyLife)
		}
		forget(time.Millisecond)
		if got := create(); got == first {
			t.Errorf("after more than %v the key was still known", command.KeyLife)
		}
	})
}

// Others wait for one transaction of it no longer than a blink.
func TestKeysAreForgottenInSteps(t *testing.T) {
	eachEngine(t, func(t *testing.T, w *world) {
		const steps = 1000
		w.update(func(tx *store.Tx) error {
			old := time.Now().Add(-command.KeyLife - time.Hour)
			for i := range steps + 1 {
				a := store.Answer{Caller: "ngo", Key: fmt.Sprint(i), Fingerprint: "f", Body: []byte("{}"), At: old.Add(time.Duration(i) * time.Millisecond)}
				if err := tx.SaveAnswer(w.ctx, a); err != nil {
					return err
				}
			}
			return nil
		})
		known := func(key int) bool {
			return w.store.View(w.ctx, func(tx *store.Tx) error { _, err := tx.Answer(w.ctx, "ngo", fmt.Sprint(key)); return err }) == nil
		}
		if more, err := w.ForgetKeys(w.ctx); err != nil || !more || known(steps-1) || !known(steps) {
			t.Errorf("first step: more %v, %v; the last of it known: %v, the newest: %v", more, err, known(steps-1), known(steps))
		}
		if more, err := w.ForgetKeys(w.ctx); err != nil || more || known(steps) {
			t.Errorf("second step: more %v, %v; the newest known: %v", more, err, known(steps))
		}
	})
}

func TestFailureIsNoAnswer(t *testing.T) {
	w := newWorld(t)
	id := w.list()
	gone, cancel := context.WithCancel(w.ctx)
	cancel()
	_, err := w.Do(gone, command.By{AccountID: "ngo", Key: "k"}, command.Order{DonationID: id, Action: donation.Claim, Reason: "a reason"})
	wantErr(t, "a caller that left", err, context.Canceled)
	_, err = w.do("ngo", "k2", "00000000-0000-0000-0000-000000000000", donation.Claim)
	wantErr(t, "a donation that is not there", err, store.ErrNotFound)
	w.change("ngo", func(a *account.Account) { a.Active = false })
	_, err = w.do("ngo", "k", id, donation.Claim)
	wantErr(t, "while suspended", err, account.ErrSuspended)
	w.change("ngo", func(a *account.Account) { a.Active = true })
	if _, err := w.do("ngo", "k", id, donation.Claim); err != nil {
		t.Errorf("the same key when all is well: %v", err)
	}

	if err := w.store.Close(); err != nil {
		t.Fatal(err)
	}
	wakes := w.wakes.Load()
	_, err = w.do("ngo", "k", id, donation.Claim)
	wantErr(t, "with the store closed", err, store.ErrUnavailable)
	if w.wakes.Load() != wakes {
		t.Error("a command that failed woke the tailer")
	}
}

func TestRegistrationRepeated(t *testing.T) {
	w := newWorld(t)
	register := func(key, email, password string) (account.Account, error) {
		n := command.NewAccount{Email: email, Password: password, Name: "New", Role: account.NGO}
		return w.Register(w.ctx, key, n)
	}
	first, err := register("k", "new@example.org", "secret1")
	if err != nil {
		t.Fatal(err)
	}
	again, err := register("k", "new@example.org", "secret1")
	if diff := cmp.Diff(first, again); err != nil || diff != "" {
		t.Errorf("repeated: %v (-first +again):\n%s", err, diff)
	}
	if a, err := register("k", "new@example.org", "secret2"); !errors.Is(err, command.ErrKeyReused) {
		t.Errorf("with another password: got %v, %v, want ErrKeyReused", a.Email, err)
	}
	_, err = register("k", "other@example.org", "secret1")
	wantErr(t, "another e-mail with the same key", err, command.ErrKeyReused)
	_, err = register("k2", "NEW@example.org", "secret1")
	wantErr(t, "another key", err, store.ErrEmailTaken)
	_, err = register("", "new@example.org", "secret1")
	wantErr(t, "no key", err, store.ErrEmailTaken)
	if got := len(w.log("")); got != 1 {
		t.Errorf("the log holds %d records, want 1", got)
	}
	// Nothing that is stored holds the password or its hash.
	w.view(func(tx *store.Tx) error {
		a, err := tx.Answer(w.ctx, "register", "k")
		if err != nil {
			return err
		}
		_, hash, err := tx.Credentials(w.ctx, "new@example.org")
		for _, secret := range []string{"secret1", hash} {
			for _, text := range []string{string(a.Body), a.Fingerprint, string(w.log("")[0].Payload)} {
				if len(secret) == 0 || contains(text, secret) {
					t.Errorf("%q is kept in %q", secret, text)
				}
			}
		}
		return err
	})
}

// TestKeyTellsAnUnknownOutcome has a claim end in an error although it becomes
// durable later, as when the store stalls in the commit: whoever asks again with
// the same key finds out.
func TestKeyTellsAnUnknownOutcome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		id := w.list()
		claim := func() (command.Done, error) { return w.do("ngo", "k", id, donation.Claim) }
		first, second := make(chan struct{}), make(chan struct{})
		slow := make(chan error, 2)
		stall := func(let chan struct{}) {
			go func() { slow <- w.store.Update(w.ctx, func(*store.Tx) error { <-let; return nil }) }()
			synctest.Wait()
		}
		stall(first)
		claimed := make(chan error)
		go func() {
			_, err := claim()
			claimed <- err
		}()
		synctest.Wait()
		stall(second)
		close(first) // the claim does its work, and waits behind the second for the commit
		wantErr(t, "the claim", <-claimed, store.ErrUnavailable)
		close(second)
		for range 2 {
			if err := <-slow; err != nil && !errors.Is(err, store.ErrUnavailable) {
				t.Error(err)
			}
		}
		wakes := w.wakes.Load()
		done, err := claim()
		if err != nil || done.Donation.ClaimedByID != "ngo" || done.Donation.Version != 2 {
			t.Errorf("asked again: got %+v, %v", done.Donation, err)
		}
		if got := len(w.log(id)); got != 2 {
			t.Errorf("the log holds %d records, want 2", got)
		}
		if got := w.karma("ngo"); got != 10 || w.wakes.Load() != wakes {
			t.Errorf("karma %d, want 10; woken %d times for an old answer", got, w.wakes.Load()-wakes)
		}
	})
}
