package command_test

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"larder/api"
	"larder/internal/account"
	"larder/internal/command"
	"larder/internal/donation"
	"larder/internal/eventlog"
	"larder/internal/store"
)

// Karma is lent for 20 listings that nobody has claimed, and given for others when
// they are claimed.
func TestListingsAreLentKarma(t *testing.T) {
	w := newWorld(t)
	karma := func(when string, want int) {
		t.Helper()
		if got := w.karma("donor"); got != want {
			t.Errorf("%s: karma %d, want %d", when, got, want)
		}
	}
	var ids []string
	for range 22 {
		ids = append(ids, w.list())
	}
	karma("22 listed", 200)
	if _, err := w.Do(w.ctx, command.By{AccountID: "donor"}, command.Order{DonationID: ids[0], Action: donation.Cancel, Reason: "no"}); err != nil {
		t.Fatal(err)
	}
	w.list()
	karma("one cancelled, another listed while 21 are", 190)
	w.must("ngo", ids[1], donation.Claim)
	w.must("ngo", ids[2], donation.Claim)
	w.must("ngo", ids[21], donation.Claim)
	karma("three claimed, of them one that was not lent", 200)
	w.list()
	karma("another listed while 19 are", 210)
	w.must("ngo", ids[21], donation.Release)
	w.must("ngo2", ids[21], donation.Claim)
	karma("it is released and claimed again", 210)
}

func contains(text, part string) bool { return strings.Contains(text, part) }

func TestWholeLife(t *testing.T) {
	w := newWorld(t)
	id := w.list()
	w.must("ngo", id, donation.Claim)
	w.must("ngo", id, donation.Release)
	w.must("ngo", id, donation.Claim)
	w.must("volunteer", id, donation.PickUp)
	done := w.must("volunteer", id, donation.Deliver)
	if done.CallerKarma != 50 || done.DonorKarma != 30 {
		t.Errorf("delivery: got %d karma for the carrier and %d for the donor, want 50 and 30", done.CallerKarma, done.DonorKarma)
	}
	// Once more by the same: fine, and nothing twice.
	again := w.must("volunteer", id, donation.Deliver)
	if again.CallerKarma != 0 || again.DonorKarma != 0 || again.Donation.Version != done.Donation.Version {
		t.Errorf("delivery repeated: got %+v", again)
	}
	for who, want := range map[string]int{"donor": 10 + 30, "ngo": 10 + 20, "volunteer": 50, "ngo2": 0, "admin": 0} {
		if got := w.karma(who); got != want {
			t.Errorf("karma of %s: got %d, want %d", who, got, want)
		}
	}
	if diff := cmp.Diff(w.donation(id), done.Donation); diff != "" {
		t.Errorf("answer and stored donation differ (-stored +answer):\n%s", diff)
	}
	w.wantAgreement()
}

// TestRecords compares the payloads in the log with what the donation was.
func TestRecords(t *testing.T) {
	w := newWorld(t)
	id := w.list(func(d *donation.Draft) { d.Quantity, d.Description, d.Address = 1234567.5/10, "<b>", "1 High St" })
	created := w.donation(id)
	w.must("ngo", id, donation.Claim)
	claimed := w.donation(id)
	w.must("donor", id, donation.Cancel)
	cancelled := w.donation(id)

	recs := w.log(id)
	if len(recs) != 3 {
		t.Fatalf("got %d records, want 3", len(recs))
	}
	for i, r := range recs {
		if r.Subject != id || r.Version != int64(i+1) || !cmp.Equal(r.Audience, eventlog.Audience{Everyone: true, Users: []string{}}) {
			t.Errorf("record %d: got subject %s, version %d, audience %+v", i, r.Subject, r.Version, r.Audience)
		}
	}
	var c api.DonationCreated
	decode(t, recs[0], api.EventDonationCreated, &c)
	want := api.DonationCreated{
		ID: id, Name: "Soup", FoodType: "vegetables", Quantity: "123456.75", Unit: "kg", Description: new("<b>"),
		Location: api.Location{Lat: 50, Lng: 14, Address: "1 High St"}, DonorName: "donor", ExpiryTime: api.At(created.ExpiryTime),
		ImageURLs: []string{}, CreatedAt: api.At(created.CreatedAt), DonorID: "donor", Latitude: 50, Longitude: 14, Status: "AVAILABLE", Version: 1,
	}
	if diff := cmp.Diff(want, c); diff != "" {
		t.Errorf("created (-want +got):\n%s", diff)
	}
	var cl api.DonationClaimed
	decode(t, recs[1], api.EventDonationClaimed, &cl)
	if diff := cmp.Diff(api.DonationClaimed{DonationID: id, ClaimedBy: "ngo", Status: "CLAIMED", ClaimedAt: api.At(*claimed.ClaimedAt), Version: 2}, cl); diff != "" {
		t.Errorf("claimed (-want +got):\n%s", diff)
	}
	var s api.DonationStatusUpdated
	decode(t, recs[2], api.EventDonationStatusUpdated, &s)
	wantStatus := api.DonationStatusUpdated{
		DonationID: id, Status: "CANCELLED", PreviousStatus: "CLAIMED", UpdatedBy: "donor", UpdatedAt: api.At(cancelled.UpdatedAt),
		Reason: new("a reason"), Version: 3,
	}
	if diff := cmp.Diff(wantStatus, s); diff != "" {
		t.Errorf("status updated (-want +got):\n%s", diff)
	}
}

func decode(t *testing.T, r eventlog.Record, wantType string, into any) {
	t.Helper()
	if r.Type != wantType {
		t.Fatalf("type: got %s, want %s", r.Type, wantType)
	}
	if err := json.Unmarshal(r.Payload, into); err != nil {
		t.Fatalf("payload %s: %v", r.Payload, err)
	}
}

func TestWakeComesAfterTheCommit(t *testing.T) {
	w := newWorld(t)
	var seen []int64
	w.Service = command.NewService(w.store, nil, func() {
		head, err := w.store.Log().Head(w.ctx)
		if err != nil {
			t.Errorf("Head inside wake: %v", err)
		}
		seen = append(seen, head.Seq)
	}, time.UTC)
	id := w.list()
	w.must("ngo", id, donation.Claim)
	if want := []int64{3, 6}; !cmp.Equal(seen, want) {
		t.Errorf("heads at the wakes: got %v, want %v", seen, want)
	}
}

func TestIntakeOfADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // begins at midnight in UTC
		w := newWorld(t)
		w.change("ngo", func(a *account.Account) { a.Capacity, a.CapacityUnit = new(10.0), "kg" })
		amount := func(q float64, unit string) string {
			return w.list(func(d *donation.Draft) {
				d.Quantity, d.Unit, d.ExpiryTime = q, unit, time.Now().AddDate(0, 0, 7)
			})
		}
		claim := func(id string) error {
			_, err := w.do("ngo", "", id, donation.Claim)
			return err
		}
		first, second, third := amount(6, "kg"), amount(4, "KG"), amount(0.5, "kg")
		wantCode(t, "another unit", claim(amount(1, "meals")), donation.CodeUnitMismatch)
		wantCode(t, "more than a day's", claim(amount(11, "kg")), donation.CodeOverCapacity)
		if err := claim(first); err != nil {
			t.Errorf("6 of 10: %v", err)
		}
		if err := claim(second); err != nil {
			t.Errorf("10 of 10: %v", err)
		}
		wantCode(t, "full", claim(third), donation.CodeOverCapacity)
		w.must("ngo", second, donation.Release)
		if err := claim(third); err != nil {
			t.Errorf("after a release: %v", err)
		}
		w.must("volunteer", first, donation.PickUp)
		wantCode(t, "what is carried counts", claim(second), donation.CodeOverCapacity)
		w.must("volunteer", first, donation.Deliver)
		if err := claim(second); err != nil {
			t.Errorf("after a delivery: %v", err)
		}
		wantCode(t, "4.5 of 10 and 6", claim(amount(6, "kg")), donation.CodeOverCapacity)
		tomorrow := amount(10, "kg")
		<-time.After(time.Until(account.DayStart(time.Now(), time.UTC).AddDate(0, 0, 1)) - time.Millisecond)
		wantCode(t, "a moment before midnight", claim(tomorrow), donation.CodeOverCapacity)
		<-time.After(time.Millisecond)
		if err := claim(tomorrow); err != nil {
			t.Errorf("at midnight: %v", err)
		}
		// What is written down as expired is given back.
		w.change("ngo2", func(a *account.Account) { a.Capacity, a.CapacityUnit = new(3.0), "kg" })
		short := w.list(func(d *donation.Draft) { d.Quantity, d.ExpiryTime = 3, time.Now().Add(time.Minute) })
		w.must("ngo2", short, donation.Claim)
		<-time.After(time.Minute)
		if n, err := w.ExpireDue(w.ctx); n != 1 || err != nil {
			t.Errorf("ExpireDue: %d, %v", n, err)
		}
		if _, err := w.do("ngo2", "", w.list(func(d *donation.Draft) { d.Quantity = 3 }), donation.Claim); err != nil {
			t.Errorf("after an expiry: %v", err)
		}
	})
}

func TestIntakeDayBeginsInItsPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.Service = command.NewService(w.store, nil, func() {}, time.FixedZone("east", 3600))
		w.change("ngo", func(a *account.Account) { a.Capacity = new(5.0) })
		first := w.list()
		w.must("ngo", first, donation.Claim) // 00:00 UTC, 01:00 there
		<-time.After(23*time.Hour - time.Millisecond)
		_, err := w.do("ngo", "", w.list(), donation.Claim)
		wantCode(t, "a moment before midnight there", err, donation.CodeOverCapacity)
		<-time.After(time.Millisecond)
		w.must("ngo", w.list(), donation.Claim)
	})
}

func TestRightsAreThoseOfNow(t *testing.T) {
	w := newWorld(t)
	id := w.list()
	w.change("ngo", func(a *account.Account) { a.Verified = false })
	_, err := w.do("ngo", "", id, donation.Claim)
	wantCode(t, "unverified", err, donation.CodeNGONotVerified)
	w.change("ngo", func(a *account.Account) { a.Verified = true })
	w.must("ngo", id, donation.Claim)
	w.change("ngo", func(a *account.Account) { a.Active = false })
	_, err = w.do("ngo", "", id, donation.Release)
	wantErr(t, "suspended", err, account.ErrSuspended)
	w.change("ngo", func(a *account.Account) { a.Active, a.Role = true, account.Donor })
	_, err = w.do("ngo", "", id, donation.Release)
	wantCode(t, "with another role", err, donation.CodeWrongRole)
	_, err = w.do("nobody", "", id, donation.Claim)
	wantErr(t, "an account that is gone", err, account.ErrSuspended)
	w.change("donor", func(a *account.Account) { a.Active = false })
	_, err = w.Create(w.ctx, command.By{AccountID: "donor"}, draft())
	wantErr(t, "a suspended donor", err, account.ErrSuspended)
	_, err = w.do("admin", "", id, donation.Expire)
	wantCode(t, "the clock's command by a person", err, donation.CodeWrongRole)
	w.wantAgreement()
}

func TestCreateRefusesABadDraft(t *testing.T) {
	w := newWorld(t)
	for name, change := range map[string]func(*donation.Draft){
		"blank name": func(d *donation.Draft) { d.Name = " " },
		// Values that no JSON holds may come from other doors than JSON; their
		// refusal must not depend on whether there is a key.
		"NaN":                  func(d *donation.Draft) { d.Quantity = math.NaN() },
		"infinite latitude":    func(d *donation.Draft) { d.Latitude = math.Inf(1) },
		"hygiene that is torn": func(d *donation.Draft) { d.Hygiene = []byte(`{"a":`) },
	} {
		for _, key := range []string{"", "key of " + name} {
			d := draft()
			change(&d)
			_, err := w.Create(w.ctx, command.By{AccountID: "donor", Key: key}, d)
			wantCode(t, name+", key "+key, err, donation.CodeValidation)
		}
	}
	if n := len(w.log("")); n != 0 {
		t.Errorf("refused drafts left %d records", n)
	}
}

func TestExpireDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		const many = 503 // more than one batch
		w.update(func(tx *store.Tx) error {
			for i, id := range names("due", many) {
				out, err := donation.New(id, draft(), account.Account{ID: "donor", Role: account.Donor, Active: true}, 0, time.Now())
				if err != nil {
					return err
				}
				d := out.Donation
				d.ExpiryTime = time.Now().Add(time.Hour)
				if i%3 == 0 {
					d.Status, d.ClaimedByID, d.ClaimedAt = donation.Claimed, "ngo", new(time.Now())
				}
				if err := tx.InsertDonation(w.ctx, d); err != nil {
					return err
				}
				if _, err := tx.Append(w.ctx, eventlog.Draft{Type: "x", Subject: id, Version: 1, Payload: []byte(`{}`), At: time.Now()}); err != nil {
					return err
				}
			}
			return nil
		})
		later, carried := w.list(), w.list(func(d *donation.Draft) { d.ExpiryTime = time.Now().Add(time.Hour) })
		w.must("ngo", carried, donation.Claim)
		w.must("volunteer", carried, donation.PickUp)
		expire := func(want int) {
			t.Helper()
			wakes := w.wakes.Load()
			n, err := w.ExpireDue(w.ctx)
			if n != want || err != nil {
				t.Errorf("ExpireDue: got %d, %v, want %d", n, err, want)
			}
			if woken := w.wakes.Load() > wakes; woken != (want > 0) {
				t.Errorf("ExpireDue of %d: woke the tailer: %v", want, woken)
			}
		}
		expire(0)
		<-time.After(time.Hour - time.Millisecond)
		expire(0)
		<-time.After(time.Millisecond)
		expire(500)
		expire(3)
		expire(0)
		for id, want := range map[string]donation.Status{"due000": donation.Expired, "due502": donation.Expired, later: donation.Available, carried: donation.PickedUp} {
			if got := w.donation(id).Status; got != want {
				t.Errorf("donation %s: got %s, want %s", id, got, want)
			}
		}
		recs := w.log("due003")
		var s api.DonationStatusUpdated
		decode(t, recs[len(recs)-1], api.EventDonationStatusUpdated, &s)
		want := api.DonationStatusUpdated{
			DonationID: "due003", Status: "EXPIRED", PreviousStatus: "CLAIMED", UpdatedBy: "system",
			UpdatedAt: api.At(time.Now()), Reason: s.Reason, Version: 2,
		}
		if diff := cmp.Diff(want, s); diff != "" || s.Reason == nil {
			t.Errorf("record of an expiry (-want +got):\n%s", diff)
		}
		w.wantAgreement()
	})
}

// Food that nobody fetches in time earns nothing, for who listed it and for who
// claimed it; what is on its way does not expire.
func TestExpiryTakesKarmaBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		soon := func(d *donation.Draft) { d.ExpiryTime = time.Now().Add(time.Hour) }
		w.list(soon)
		claimed, carried := w.list(soon), w.list(soon)
		w.must("ngo", claimed, donation.Claim)
		w.must("ngo", carried, donation.Claim)
		w.must("volunteer", carried, donation.PickUp)
		wantKarma := func(donor, ngo int) {
			t.Helper()
			if got := [2]int{w.karma("donor"), w.karma("ngo")}; got != [2]int{donor, ngo} {
				t.Errorf("karma of donor and NGO: got %v, want %d and %d", got, donor, ngo)
			}
		}
		wantKarma(30, 20)
		<-time.After(time.Hour)
		if n, err := w.ExpireDue(w.ctx); n != 2 || err != nil {
			t.Fatalf("ExpireDue: got %d, %v, want 2", n, err)
		}
		wantKarma(10, 10)
	})
}
