package command_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"larder/internal/account"
	"larder/internal/auth"
	"larder/internal/command"
	"larder/internal/donation"
	"larder/internal/eventlog"
	"larder/internal/notice"
	"larder/internal/store"
	"larder/internal/voice"
)

// delivered is a donation of the donor that the NGO has received.
func (w *world) delivered() string {
	w.t.Helper()
	id := w.list()
	w.must("ngo", id, donation.Claim)
	w.must("volunteer", id, donation.PickUp)
	w.must("volunteer", id, donation.Deliver)
	return id
}

func (w *world) rate(by, key, id string, rating int) (voice.Feedback, error) {
	return w.GiveFeedback(w.ctx, command.By{AccountID: by, Key: key}, command.Rating{DonationID: id, Rating: rating, Comment: "Good"})
}

func TestFeedbackOnce(t *testing.T) {
	eachEngine(t, func(t *testing.T, w *world) {
		id := w.delivered()
		var mu sync.Mutex
		var group sync.WaitGroup
		given, refused := 0, 0
		for range 8 {
			group.Go(func() {
				_, err := w.rate("ngo", "", id, 4)
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					given++
					return
				}
				wantCode(t, "feedback", err, voice.CodeFeedbackExists)
				refused++
			})
		}
		group.Wait()
		if given != 1 || refused != 7 {
			t.Errorf("%d given and %d refused of 8 at once, want 1 and 7", given, refused)
		}
		_, err := w.rate("ngo2", "", id, 1)
		wantCode(t, "by another NGO", err, donation.CodeNotYours)
		_, err = w.rate("volunteer", "", "nothing", 1)
		wantCode(t, "by the carrier", err, donation.CodeWrongRole)
		_, err = w.rate("ngo", "", "nothing", 1)
		wantErr(t, "on nothing", err, store.ErrNotFound)
	})
}

// The same key gives the same feedback, and a refusal its refusal.
func TestVoicesAreIdempotent(t *testing.T) {
	w := newWorld(t)
	id := w.delivered()
	first, err := w.rate("ngo", "k", id, 4)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if again, err := w.rate("ngo", "k", id, 4); err != nil || !cmp.Equal(first, again) {
			t.Errorf("again: got %+v, %v, want %+v", again, err, first)
		}
	}
	_, err = w.rate("ngo", "k", id, 5)
	wantErr(t, "another rating under the key", err, command.ErrKeyReused)
	by := command.By{AccountID: "donor", Key: "t"}
	ticket := voice.TicketDraft{Subject: "s", Description: "d"}
	one, err := w.OpenTicket(w.ctx, by, ticket)
	if err != nil {
		t.Fatal(err)
	}
	if two, err := w.OpenTicket(w.ctx, by, ticket); err != nil || !cmp.Equal(one, two) {
		t.Errorf("ticket again: got %+v, %v, want %+v", two, err, one)
	}
	flag := command.Complaint{DonationID: id, Reason: "mould"}
	by.Key = "f"
	f, err := w.Flag(w.ctx, by, flag)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := w.Flag(w.ctx, by, flag); err != nil || !cmp.Equal(f, again) {
		t.Errorf("flag again: got %+v, %v, want %+v", again, err, f)
	}
	by.Key = ""
	_, err = w.Flag(w.ctx, by, flag)
	wantCode(t, "flag without the key", err, voice.CodeFlagExists)
}

// The donor's score goes with the donation: in answers and in the log.
func TestDonationsCarryTheScore(t *testing.T) {
	w := newWorld(t)
	for _, rating := range []int{5, 4, 4} {
		id := w.delivered()
		if rating == 5 && w.donation(id).DonorTrustScore != nil {
			t.Error("a donor whom nobody has rated has a score")
		}
		if _, err := w.rate("ngo", "", id, rating); err != nil {
			t.Fatal(err)
		}
	}
	created, err := w.Create(w.ctx, command.By{AccountID: "donor"}, draft())
	if err != nil {
		t.Fatal(err)
	}
	id := created.Donation.ID
	w.must("ngo", id, donation.Claim)
	for name, got := range map[string]*float64{
		"create": created.Donation.DonorTrustScore, "release": w.must("ngo", id, donation.Release).Donation.DonorTrustScore,
		"stored": w.donation(id).DonorTrustScore,
	} {
		if diff := cmp.Diff(new(4.3), got); diff != "" {
			t.Errorf("score after %s (-want +got):\n%s", name, diff)
		}
	}
	if _, err := w.Service.Delete(w.ctx, "donor@example.org"); err != nil { // cancels it
		t.Fatal(err)
	}
	wantScores(t, w, id, "created", "claimed", "released", "cancelled")
}

// wantScores wants the records about a donation to say the score 4.3.
func wantScores(t *testing.T, w *world, id string, steps ...string) {
	t.Helper()
	recs := w.log(id)
	if len(recs) != len(steps) {
		t.Fatalf("%d records, want %v", len(recs), steps)
	}
	for i, r := range recs {
		var d struct{ DonorTrustScore *float64 }
		if err := json.Unmarshal(r.Donation, &d); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(new(4.3), d.DonorTrustScore); diff != "" {
			t.Errorf("record of %s (-want +got):\n%s", steps[i], diff)
		}
	}
}

func TestTheClockTellsTheScore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		for _, rating := range []int{5, 4, 4} {
			if _, err := w.rate("ngo", "", w.delivered(), rating); err != nil {
				t.Fatal(err)
			}
		}
		id := w.list()
		<-time.After(11*time.Hour + 30*time.Minute)
		if n, err := w.AnnounceNearExpiry(w.ctx); err != nil || n != 1 {
			t.Fatalf("AnnounceNearExpiry: %d, %v", n, err)
		}
		<-time.After(time.Hour)
		if n, err := w.ExpireDue(w.ctx); err != nil || n != 1 {
			t.Fatalf("ExpireDue: %d, %v", n, err)
		}
		wantScores(t, w, id, "created", "near expiry", "expired")
	})
}

// What an account may say in an hour is bounded, and the bound moves on.
func TestQuotas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		ticket := func(by string) error {
			_, err := w.OpenTicket(w.ctx, command.By{AccountID: by}, voice.TicketDraft{Subject: "s", Description: "d"})
			return err
		}
		wantWait := func(what string, err error, want time.Duration) {
			t.Helper()
			rate, ok := errors.AsType[*auth.RateError](err)
			if !ok || rate.RetryAfter != want {
				t.Errorf("%s: got %v (%+v), want to wait %v", what, err, rate, want)
			}
		}
		for range voice.KindTicket.Quota().Max {
			if err := ticket("donor"); err != nil {
				t.Fatal(err)
			}
			<-time.After(time.Minute)
		}
		wantWait("one ticket more", ticket("donor"), 50*time.Minute)
		wantWait("and again", ticket("donor"), 50*time.Minute) // what was refused does not count
		if err := ticket("ngo"); err != nil {
			t.Errorf("somebody else: %v", err)
		}
		for range 20 {
			if err := ticket("admin"); err != nil {
				t.Fatalf("an admin: %v", err)
			}
		}
		<-time.After(50*time.Minute - time.Millisecond)
		wantWait("a millisecond early", ticket("donor"), time.Millisecond)
		<-time.After(time.Millisecond)
		if err := ticket("donor"); err != nil {
			t.Errorf("an hour after the first: %v", err)
		}
		wantWait("the next", ticket("donor"), time.Minute)

		for i := range voice.KindFlag.Quota().Max + 1 {
			_, err := w.Flag(w.ctx, command.By{AccountID: "volunteer"}, command.Complaint{DonationID: w.list(), Reason: "mould"})
			if i < voice.KindFlag.Quota().Max {
				if err != nil {
					t.Fatal(err)
				}
				continue
			}
			wantWait("one flag more", err, time.Hour)
		}
		for i := range voice.KindFeedback.Quota().Max + 1 {
			_, err := w.rate("ngo", "", w.delivered(), 3)
			if i < voice.KindFeedback.Quota().Max {
				if err != nil {
					t.Fatal(err)
				}
				continue
			}
			wantWait("one feedback more", err, time.Hour)
		}
	})
}

func TestDecideFlag(t *testing.T) {
	w := newWorld(t)
	id := w.list()
	f, err := w.Flag(w.ctx, command.By{AccountID: "volunteer"}, command.Complaint{DonationID: id, Reason: "mould"})
	if err != nil {
		t.Fatal(err)
	}
	before := w.log("")
	for _, by := range []string{"donor", "ngo", "volunteer"} {
		_, err := w.DecideFlag(w.ctx, command.By{AccountID: by}, command.FlagDecision{ID: f.ID, Status: voice.Rejected})
		wantErr(t, "by "+by, err, account.ErrNotAdmin)
	}
	admin := command.By{AccountID: "admin"}
	_, err = w.DecideFlag(w.ctx, admin, command.FlagDecision{ID: "nothing", Status: voice.Rejected})
	wantErr(t, "of nothing", err, store.ErrNotFound)
	got, err := w.DecideFlag(w.ctx, admin, command.FlagDecision{ID: f.ID, Status: voice.Approved, Note: new("seen")})
	want := f
	want.Status, want.Note, want.UpdatedAt = voice.Approved, "seen", got.UpdatedAt
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("error %v (-want +got):\n%s", err, diff)
	}
	_, err = w.DecideFlag(w.ctx, admin, command.FlagDecision{ID: f.ID, Status: voice.Escalated})
	wantCode(t, "taken back", err, donation.CodeInvalidTransition)
	if d := w.donation(id); d.Status != donation.Available || d.Version != 1 || len(w.log("")) != len(before) {
		t.Errorf("the donation is %s in version %d and %d records were added", d.Status, d.Version, len(w.log(""))-len(before))
	}
	if _, err := w.Flag(w.ctx, command.By{AccountID: "volunteer"}, command.Complaint{DonationID: id, Reason: "still"}); err != nil {
		t.Errorf("another flag after the decision: %v", err)
	}
}

// An answer is recorded, for nobody's feed and without a text.
func TestTicketAnswered(t *testing.T) {
	w := newWorld(t)
	k, err := w.OpenTicket(w.ctx, command.By{AccountID: "ngo"}, voice.TicketDraft{Subject: "secret subject", Description: "secret description"})
	if err != nil {
		t.Fatal(err)
	}
	handle := func(by, id string, to voice.TicketStatus, note *string) (voice.Ticket, error) {
		return w.HandleTicket(w.ctx, command.By{AccountID: by}, command.TicketChange{ID: id, Status: to, Note: note})
	}
	for _, by := range []string{"donor", "ngo", "volunteer"} {
		_, err := handle(by, k.ID, voice.Closed, nil)
		wantErr(t, "by "+by, err, account.ErrNotAdmin)
	}
	_, err = handle("admin", "nothing", voice.Closed, nil)
	wantErr(t, "of nothing", err, store.ErrNotFound)
	for _, step := range []struct {
		to      voice.TicketStatus
		note    *string
		records int
	}{
		{voice.InProgress, nil, 0},
		{"", new("secret note"), 1},
		{"", new("secret note"), 1},
		{voice.Resolved, nil, 2},
		{voice.Resolved, nil, 2},
		{voice.Closed, nil, 2},
	} {
		got, err := handle("admin", k.ID, step.to, step.note)
		if err != nil {
			t.Fatalf("%+v: %v", step, err)
		}
		recs := w.log(k.ID)
		if len(recs) != step.records {
			t.Fatalf("%+v: %d records, want %d", step, len(recs), step.records)
		}
		if step.to != "" && got.Status != step.to {
			t.Errorf("%+v: status %s", step, got.Status)
		}
	}
	statuses := []string{"IN_PROGRESS", "RESOLVED"}
	for i, r := range w.log(k.ID) {
		want := fmt.Sprintf(`{"id":%q,"status":%q,"userId":"ngo"}`, k.ID, statuses[i])
		if r.Type != eventlog.TypeTicketAnswered || string(r.Payload) != want || r.Audience.Everyone || len(r.Audience.Users) > 0 ||
			r.Version != 0 || r.Donation != nil {
			t.Errorf("record %d: got %+v, want %s for nobody", i, r.Draft, want)
		}
	}
	for _, r := range w.log("") {
		if strings.Contains(string(r.Payload), "secret") {
			t.Errorf("a record tells what is in a ticket: %s", r.Payload)
		}
	}
	_, err = handle("admin", k.ID, voice.Resolved, nil)
	wantCode(t, "resolved after it was closed", err, donation.CodeInvalidTransition)

	var titles []string
	for _, n := range w.told("ngo") {
		if n.Type == notice.TypeTicketAnswered {
			titles = append(titles, n.Title)
		}
	}
	if want := []string{"Your request was resolved", "Your request was answered"}; !slices.Equal(titles, want) {
		t.Errorf("the author was told %q, want %q", titles, want)
	}
	own, err := w.OpenTicket(w.ctx, command.By{AccountID: "admin"}, voice.TicketDraft{Subject: "s", Description: "d"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := handle("admin", own.ID, voice.Resolved, nil); err != nil || len(w.told("admin")) != 0 {
		t.Errorf("of the answer to one's own: %v, told %+v", err, w.told("admin"))
	}
}

// What the deleted asked goes with them; what they said about food stays.
func TestVoicesOfTheDeleted(t *testing.T) {
	w := newWorld(t)
	id := w.delivered()
	if _, err := w.rate("ngo", "", id, 4); err != nil {
		t.Fatal(err)
	}
	for _, by := range []string{"ngo", "donor"} {
		if _, err := w.OpenTicket(w.ctx, command.By{AccountID: by}, voice.TicketDraft{Subject: by, Description: "d"}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Flag(w.ctx, command.By{AccountID: by}, command.Complaint{DonationID: id, Reason: "mould"}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Service.Delete(w.ctx, "ngo@example.org"); err != nil {
		t.Fatal(err)
	}
	w.view(func(tx *store.Tx) error {
		tickets, err := tx.Tickets(w.ctx, store.VoiceFilter{Limit: 10})
		if err != nil || len(tickets) != 1 || tickets[0].Subject != "donor" {
			t.Errorf("tickets: got %+v, %v, want the donor's", tickets, err)
		}
		flags, err := tx.Flags(w.ctx, store.VoiceFilter{Limit: 10})
		if err != nil || len(flags) != 2 {
			t.Errorf("flags: got %+v, %v, want both", flags, err)
		}
		return err
	})
	if got := w.donation(id).DonorTrustScore; got == nil || *got != 4 {
		t.Errorf("score: got %v, want 4", got)
	}
}

func TestTheSuspendedSayNothing(t *testing.T) {
	w := newWorld(t)
	id := w.delivered()
	w.change("ngo", func(a *account.Account) { a.Active = false })
	by := command.By{AccountID: "ngo"}
	_, err := w.rate("ngo", "", id, 5)
	wantErr(t, "feedback", err, account.ErrSuspended)
	_, err = w.Flag(w.ctx, by, command.Complaint{DonationID: id, Reason: "r"})
	wantErr(t, "flag", err, account.ErrSuspended)
	_, err = w.OpenTicket(w.ctx, by, voice.TicketDraft{Subject: "s", Description: "d"})
	wantErr(t, "ticket", err, account.ErrSuspended)
}
