package command_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"larder/api"
	"larder/internal/account"
	"larder/internal/command"
	"larder/internal/donation"
	"larder/internal/eventlog"
	"larder/internal/notice"
	"larder/internal/store"
)

// told is what an account can read, newest first, as type and title.
func (w *world) told(id string) (list []notice.Notification) {
	w.t.Helper()
	w.view(func(tx *store.Tx) error {
		a, err := tx.Account(w.ctx, id)
		if err == nil {
			list, err = tx.Notifications(w.ctx, a, nil, 100)
		}
		return err
	})
	return list
}

func types(list []notice.Notification) string {
	var names []string
	for _, n := range list {
		names = append(names, n.Type)
	}
	return strings.Join(names, " ")
}

// place makes a volunteer one who can be proposed, so far north of the food.
func (w *world) place(id string, km float64) {
	w.change(id, func(a *account.Account) {
		a.Available, a.Latitude, a.Longitude = true, new(50+km/111.195), new(14.0)
	})
}

// What is told live is what is stored, with its id, and comes behind the event.
func TestNotificationsAreStoredAndLogged(t *testing.T) {
	w := newWorld(t)
	w.add(account.Donor, "donor2")
	w.place("volunteer", 1)
	id := w.list()
	w.must("ngo", id, donation.Claim)
	var order []string
	logged := map[string]api.Notification{}
	for _, r := range w.log("") {
		name := r.Type
		if r.Type == api.EventNotification {
			var n api.Notification
			decode(t, r, api.EventNotification, &n)
			if n.ID != r.Subject || n.Read || n.DonationID == nil || *n.DonationID != id || r.Donation != nil || r.Version != 0 {
				t.Errorf("record %+v: %+v", r, n)
			}
			logged[n.ID] = n
			name = n.Type
		}
		order = append(order, name)
	}
	want := "donation.created new_food_nearby badge_earned donation.claimed volunteer.assigned food_claimed pickup_assigned badge_earned"
	if got := strings.Join(order, " "); got != want {
		t.Errorf("the log:\n got %s\nwant %s", got, want)
	}
	for who, want := range map[string]string{
		"donor":     "food_claimed badge_earned",
		"ngo":       "badge_earned new_food_nearby",
		"ngo2":      "new_food_nearby",
		"volunteer": "pickup_assigned new_food_nearby",
		"admin":     "",
		"donor2":    "",
	} {
		list := w.told(who)
		if got := types(list); got != want {
			t.Errorf("%s can read %q, want %q", who, got, want)
		}
		for _, n := range list {
			l, ok := logged[n.ID]
			if !ok || l.Title != n.Title || l.Message != n.Message || l.Type != n.Type || !l.CreatedAt.Equal(n.CreatedAt) ||
				l.UserID == nil != (n.To == "") || l.UserID != nil && *l.UserID != who {
				t.Errorf("%s reads %+v, and the log has %+v", who, n, l)
			}
		}
	}
}

// A proposal is stored with the claim, told to those concerned, and goes with the
// release. Whoever comes first may take the trip.
func TestProposal(t *testing.T) {
	w := newWorld(t)
	w.add(account.Volunteer, "volunteer2")
	id := w.list()
	w.must("ngo", id, donation.Claim)
	if d := w.donation(id); d.AssignedVolunteerID != "" {
		t.Errorf("nobody can be proposed, and %q is", d.AssignedVolunteerID)
	}
	w.must("ngo", id, donation.Release)
	w.place("volunteer2", 3000) // seven looks away, and there is nobody else
	if d := w.must("ngo", id, donation.Claim).Donation; d.AssignedVolunteerID != "volunteer2" {
		t.Errorf("the only one is far away, and %q is proposed", d.AssignedVolunteerID)
	}
	w.must("ngo", id, donation.Release)
	w.place("volunteer", 30) // farther than the first look
	at := w.must("ngo", id, donation.Claim).Donation
	if at.AssignedVolunteerID != "volunteer" || w.donation(id).AssignedVolunteerID != "volunteer" {
		t.Errorf("proposed: %q, stored %q", at.AssignedVolunteerID, w.donation(id).AssignedVolunteerID)
	}
	recs := w.log(id)
	r := recs[len(recs)-1]
	var got api.VolunteerAssigned
	decode(t, r, api.EventVolunteerAssigned, &got)
	if len(got.ID) != 36 {
		t.Errorf("id %q", got.ID)
	}
	want := api.VolunteerAssigned{
		VolunteerID: "volunteer", DonationID: id, DonationName: "Soup", DonorAddress: "50.00000, 14.00000", NGOName: "ngo",
		ID: got.ID, CreatedAt: api.At(at.UpdatedAt),
	}
	if got != want || !slices.Equal(r.Audience.Users, []string{"volunteer", "ngo", "donor"}) || r.Audience.Everyone || len(r.Audience.Roles) > 0 {
		t.Errorf("record for %+v: %+v, want %+v", r.Audience, got, want)
	}
	// Whose trip it is counts at the next claim; from afar nobody is called for it.
	second := w.list(func(d *donation.Draft) { d.Address = "1 High St" })
	if d := w.must("ngo", second, donation.Claim).Donation; d.AssignedVolunteerID != "volunteer" {
		t.Errorf("the second trip is proposed to %q", d.AssignedVolunteerID)
	}
	recs = w.log(second)
	decode(t, recs[len(recs)-1], api.EventVolunteerAssigned, &got)
	if got.DonorAddress != "1 High St" {
		t.Errorf("address %q", got.DonorAddress)
	}
	w.place("volunteer2", 45)
	third := w.list()
	if d := w.must("ngo", third, donation.Claim).Donation; d.AssignedVolunteerID != "volunteer2" {
		t.Errorf("the third trip is proposed to %q, want who has none", d.AssignedVolunteerID)
	}
	// Who is beyond the first look may still be the nearest, trips counted.
	w.place("volunteer", 20)  // and two trips: 40 km
	w.place("volunteer2", 28) // and one: 38 km
	fourth := w.list()
	if d := w.must("ngo", fourth, donation.Claim).Donation; d.AssignedVolunteerID != "volunteer2" {
		t.Errorf("the fourth trip is proposed to %q", d.AssignedVolunteerID)
	}
	// Anybody may take it.
	if d := w.must("volunteer2", id, donation.PickUp).Donation; d.VolunteerID != "volunteer2" || d.AssignedVolunteerID != "volunteer" {
		t.Errorf("picked up: carrier %q, proposed %q", d.VolunteerID, d.AssignedVolunteerID)
	}
	if got := w.told("volunteer")[0]; got.Type != notice.TypePickedUp {
		t.Errorf("the proposed one was not told that another went: %+v", got)
	}
	w.must("ngo", second, donation.Release)
	if d := w.donation(second); d.AssignedVolunteerID != "" {
		t.Errorf("released, and still proposed to %q", d.AssignedVolunteerID)
	}
	for what, change := range map[string]func(*account.Account){
		"unavailable": func(a *account.Account) { a.Available = false },
		"suspended":   func(a *account.Account) { a.Active = false },
		"no place":    func(a *account.Account) { a.Longitude = nil },
	} {
		w.place("volunteer", 1)
		w.change("volunteer", change)
		if d := w.must("ngo", second, donation.Claim).Donation; d.AssignedVolunteerID != "volunteer2" {
			t.Errorf("%s: proposed to %q", what, d.AssignedVolunteerID)
		}
		w.must("ngo", second, donation.Release)
		w.change("volunteer", func(a *account.Account) { a.Active = true })
	}
	w.wantAgreement()
}

// A claim that is refused, or repeated under its key, tells nobody anything.
func TestNothingIsToldTwice(t *testing.T) {
	w := newWorld(t)
	w.place("volunteer", 1)
	id := w.list()
	if _, err := w.do("ngo", "k", id, donation.Claim); err != nil {
		t.Fatal(err)
	}
	records := w.log("")
	for range 2 {
		if _, err := w.do("ngo", "k", id, donation.Claim); err != nil {
			t.Fatal(err)
		}
		_, err := w.do("ngo2", "", id, donation.Claim)
		wantCode(t, "too late", err, donation.CodeNotAvailable)
	}
	if got := w.log(""); len(got) != len(records) {
		t.Errorf("%d records, want %d", len(got), len(records))
	}
	if got := types(w.told("donor")); got != "food_claimed badge_earned" {
		t.Errorf("the donor can read %q", got)
	}
	w.must("volunteer", id, donation.PickUp)
	for range 3 { // a repetition by the same actor is no refusal
		w.must("volunteer", id, donation.Deliver)
	}
	if got := types(w.told("donor")); got != "delivery_confirmed food_picked_up food_claimed badge_earned" {
		t.Errorf("the donor can read %q after the delivery", got)
	}
	if got := types(w.told("volunteer")); got != "badge_earned badge_earned pickup_assigned new_food_nearby" {
		t.Errorf("the volunteer can read %q after the delivery", got)
	}
}

// Each badge is told once, when its sum is reached, and none beyond the last.
func TestBadgesAreToldOnce(t *testing.T) {
	w := newWorld(t)
	earned := func() (n int) {
		for _, r := range w.log("") {
			if r.Type == api.EventNotification && strings.Contains(string(r.Payload), notice.TypeBadge) && slices.Equal(r.Audience.Users, []string{"donor"}) {
				n++
			}
		}
		return n
	}
	for i := range 55 { // 10 points each
		w.must("ngo", w.list(), donation.Claim) // one that nobody has claimed is not always worth something
		points, want := 10*(i+1), 0
		for _, bound := range []int{10, 50, 150, 300, 500} {
			if points >= bound {
				want++
			}
		}
		if got := earned(); got != want {
			t.Fatalf("%d badges told with %d points, want %d", got, points, want)
		}
	}
}

// Karma may be taken back and earned again: that earns no badge anew.
func TestBadgeThatWasToldIsNotToldAgain(t *testing.T) {
	w := newWorld(t)
	w.update(func(tx *store.Tx) error {
		return tx.InsertNotifications(w.ctx, notice.Notification{ID: "x", Notice: notice.Badges("donor", "d", 0, 10)[0], CreatedAt: time.Now()})
	})
	w.list()
	if got := types(w.told("donor")); got != notice.TypeBadge {
		t.Errorf("the donor can read %q, want what he was told before", got)
	}
}

func TestReadNotifications(t *testing.T) {
	w := newWorld(t)
	id := w.list()
	w.must("ngo", id, donation.Claim)
	own, wide := w.told("donor")[0], w.told("ngo2")[0]
	read := func(who, id string) error { return w.ReadNotification(w.ctx, command.By{AccountID: who}, id) }
	for _, tc := range [][2]string{{"ngo", own.ID}, {"admin", own.ID}, {"admin", wide.ID}, {"donor", wide.ID}, {"donor", "nothing"}} {
		wantErr(t, fmt.Sprint(tc), read(tc[0], tc[1]), store.ErrNotFound)
	}
	unread := func(who string) (n int) {
		for _, n2 := range w.told(who) {
			if !n2.Read {
				n++
			}
		}
		return n
	}
	if err := read("donor", own.ID); err != nil || unread("donor") != 1 {
		t.Errorf("read: %v, %d unread, want 1", err, unread("donor"))
	}
	if err := read("ngo2", wide.ID); err != nil || unread("ngo2") != 0 || unread("volunteer") != 1 {
		t.Errorf("read one of a role: %v, %d and %d unread, want 0 and 1", err, unread("ngo2"), unread("volunteer"))
	}
	records := len(w.log(""))
	if err := w.ReadAllNotifications(w.ctx, command.By{AccountID: "donor", Key: "k"}); err != nil || unread("donor") != 0 || unread("ngo") == 0 {
		t.Errorf("read all: %v, %d unread of the donor, %d of the NGO", err, unread("donor"), unread("ngo"))
	}
	w.must("ngo", id, donation.Release)
	if err := w.ReadAllNotifications(w.ctx, command.By{AccountID: "donor", Key: "k"}); err != nil || unread("donor") != 1 {
		t.Errorf("the same key again: %v, %d unread, want what came since", err, unread("donor"))
	}
	if got := len(w.log("")) - records; got != 2 {
		t.Errorf("%d records, want those of the release alone", got)
	}
	w.change("donor", func(a *account.Account) { a.Active = false })
	wantErr(t, "suspended", read("donor", own.ID), account.ErrSuspended)
	wantErr(t, "suspended, all", w.ReadAllNotifications(w.ctx, command.By{AccountID: "donor"}), account.ErrSuspended)
}

// What the clock and the operator do is told as well.
func TestClockAndOperatorTell(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.place("volunteer", 1)
		claimed, open := w.list(), w.list()
		w.must("ngo", claimed, donation.Claim)
		other := w.list()
		w.must("ngo2", other, donation.Claim)
		if _, err := w.Delete(w.ctx, "ngo2@example.org"); err != nil {
			t.Fatal(err)
		}
		if got := w.told("donor")[0]; got.Type != notice.TypeReleased || !strings.HasPrefix(got.Message, "ngo2 has given back") || !strings.HasSuffix(got.Message, "Reason: account deleted") {
			t.Errorf("after the claimer was deleted: %+v", got)
		}
		<-time.After(time.Until(w.donation(open).ExpiryTime.Add(-donation.NearExpiryLead)))
		if _, err := w.AnnounceNearExpiry(w.ctx); err != nil {
			t.Fatal(err)
		}
		if got := types(w.told("ngo")[:1]); got != notice.TypeNearExpiry {
			t.Errorf("the claimer reads %q", got)
		}
		<-time.After(donation.NearExpiryLead)
		if n, err := w.ExpireDue(w.ctx); n != 3 || err != nil {
			t.Fatalf("expired %d, %v", n, err)
		}
		if got := types(w.told("volunteer")[:1]); got != notice.TypeExpired {
			t.Errorf("the proposed one reads %q", got)
		}
		if got := types(w.told("donor")[:6]); got != strings.TrimSpace(strings.Repeat(notice.TypeExpired+" ", 3)+strings.Repeat(notice.TypeNearExpiry+" ", 3)) {
			t.Errorf("the donor reads %q", got)
		}
		// In a transaction of the clock all events come first.
		var last eventlog.Record
		for _, r := range w.log("") {
			if r.At.Equal(last.At) && strings.HasPrefix(r.Type, "donation.") && last.Type == api.EventNotification && r.Previous != "" && r.At.Equal(time.Now()) {
				t.Errorf("%s at %v comes behind a notification", r.Type, r.Position)
			}
			last = r
		}
		// And what is old goes.
		<-time.After(command.NotificationLife - time.Millisecond)
		before := len(w.told("donor"))
		if n, more, err := w.PruneNotifications(w.ctx); err != nil || more || n == 0 {
			t.Errorf("pruned %d, %t, %v", n, more, err)
		}
		if after := len(w.told("donor")); after != 3 || before <= 3 {
			t.Errorf("the donor reads %d, before %d, want the 3 of the last moment", after, before)
		}
	})
}
