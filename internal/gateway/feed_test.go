package gateway_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"larder/api"
	"larder/internal/account"
	"larder/internal/testkit"
)

// What clients hear of one donation, and what they do not hear: P-10 to P-12.
func TestFeedOfOneDonation(t *testing.T) {
	eachDoor(t, func(t *testing.T, n *testkit.Node, open func(*testkit.User) (door, api.FeedReady)) {
		admin, donor, ngo, volunteer := n.User(account.Admin), n.User(account.Donor), n.User(account.NGO), n.User(account.Volunteer)
		bystander := n.User(account.NGO, testkit.Unverified)
		d, ready := open(bystander)
		if ready.User != (api.FeedUser{ID: bystander.ID, Role: "NGO"}) || ready.Recovered {
			t.Errorf("feed.ready: %+v", ready)
		}
		n.Patch("/admin/verify/"+bystander.ID, admin.Token, nil)
		// Nobody's feed shows these.
		n.Patch("/auth/profile", bystander.Token, map[string]string{"name": "Other"})
		n.Post("/auth/register", "", map[string]string{"email": "n@example.org", "password": "secret", "name": "N", "role": "DONOR"})
		n.Post("/donations", ngo.Token, testkit.Draft(nil)) // refused
		one := n.Donate(donor, map[string]any{"name": "<Bread>", "quantity": "2.50", "address": "Street 1"})
		n.Order(ngo, one.ID, "claim", nil)
		n.Order(ngo, one.ID, "release", map[string]string{"reason": "no car"})
		n.Order(ngo, one.ID, "claim", nil)
		n.Order(volunteer, one.ID, "status", map[string]string{"status": "PICKED_UP"})
		n.Order(volunteer, one.ID, "deliver", nil)
		n.Order(volunteer, one.ID, "deliver", nil) // again: nothing happens
		two := n.Donate(donor, nil)
		n.Order(donor, two.ID, "cancel", map[string]string{"reason": "spoilt"})

		var got []string
		position := ready.Position
		for range 11 {
			e := next(t, d)
			if e.Position() == "" || e.Position() == position {
				t.Errorf("%s has position %q after %q", e.Name, e.Position(), position)
			}
			position = e.Position()
			var v struct {
				ID, DonationID, Status, PreviousStatus, UpdatedBy, ClaimedBy string
				Version                                                      int
				Reason                                                       *string
			}
			if err := json.Unmarshal(e.Data, &v); err != nil {
				t.Fatal(err)
			}
			who := map[string]string{ngo.ID: "ngo", donor.ID: "donor", volunteer.ID: "volunteer"}[v.UpdatedBy+v.ClaimedBy]
			reason := ""
			if v.Reason != nil {
				reason = *v.Reason
			}
			which := map[string]string{one.ID: "one", two.ID: "two"}[v.ID+v.DonationID]
			got = append(got, fmt.Sprintf("%s %s %d %s>%s %s %s", e.Name, which, v.Version, v.PreviousStatus, v.Status, who, reason))
		}
		want := []string{
			"notification  0 >  ", // that it was verified
			"donation.created one 1 >AVAILABLE  ",
			"notification  0 >  ", // of new food, as every NGO
			"donation.claimed one 2 >CLAIMED ngo ",
			"donation.status.updated one 3 CLAIMED>AVAILABLE ngo no car",
			"donation.claimed one 4 >CLAIMED ngo ",
			"donation.status.updated one 5 CLAIMED>PICKED_UP volunteer ",
			"donation.status.updated one 6 PICKED_UP>DELIVERED volunteer ",
			"donation.created two 1 >AVAILABLE  ",
			"notification  0 >  ",
			"donation.status.updated two 2 AVAILABLE>CANCELLED donor spoilt",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("heard (-want +got):\n%s", diff)
		}
	})
}

// log is the positions of all donation events, in order, as GET /events has them.
func log(t *testing.T, n *testkit.Node, u *testkit.User) []string {
	t.Helper()
	var list []string
	for after, more := "", true; more; {
		page := testkit.Must[api.FeedResumed](n, n.Get("/events?after="+after, u.Token), http.StatusOK)
		for _, e := range page.Events {
			list = append(list, e.Position)
		}
		after, more = page.Position, page.More
	}
	return list
}

// write has several writers list donations until they have made so many records,
// and returns when all are done.
func write(t *testing.T, n *testkit.Node, donor *testkit.User, writers, each int) {
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for range each {
				r, err := n.Try(t.Context(), testkit.Call{Method: "POST", Path: "/donations", Token: donor.Token, Body: testkit.Draft(nil)})
				if err != nil || r.Status != http.StatusCreated {
					t.Errorf("got %s, %v", r, err)
				}
			}
		})
	}
	wg.Wait()
}

// lastOne is the name of the donation after which follow stops.
const lastOne = "the last one"

// follow reads a door until lastOne and returns the positions that it heard.
func follow(d door) ([]string, error) {
	var heard []string
	for {
		e, err := d.Next()
		if err != nil {
			return heard, err
		}
		heard = append(heard, e.Position())
		var v struct{ Name string }
		if json.Unmarshal(e.Data, &v) == nil && v.Name == lastOne {
			return heard, nil
		}
	}
}

// From feed.ready.position on a client hears every record once and in order,
// whenever it joins while others write: P-5. One that resumes from any earlier
// position on hears all from there: P-34.
func TestExactlyOnceWhileOthersWrite(t *testing.T) {
	n := testkit.Start(t, testkit.Options{})
	donor, reader := n.User(account.Donor), n.User(account.NGO)
	n.Donate(donor, nil)
	start := log(t, n, reader)[0]
	type joined struct {
		name, after string
		heard       []string
	}
	var mu sync.Mutex
	var all []joined
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	var readers, opening sync.WaitGroup
	listen := func(name, after string, d door) {
		readers.Go(func() {
			defer d.Abort()
			heard, err := follow(d)
			if err != nil {
				t.Errorf("%s after %s: %v, having heard %d", name, after, err, len(heard))
			}
			mu.Lock()
			defer mu.Unlock()
			all = append(all, joined{name, after, heard})
		})
	}
	done := make(chan struct{})
	for range 4 { // open connections of all kinds all the time
		opening.Go(func() {
			for range 60 { // no more: on a slow machine they would slow the writers, who end it
				select {
				case <-done:
					return
				case <-time.After(time.Duration(rand.IntN(8)) * time.Millisecond):
				}
				for name, open := range doors {
					d, ready, err := open(ctx, n, reader)
					if err != nil {
						t.Error(err)
						return
					}
					listen(name, ready.Position, d)
				}
				p, err := n.TryPlain(ctx, "?after="+start, testkit.Bearer(reader.Token))
				if err != nil {
					t.Error(err)
					return
				}
				f, err := p.Frame()
				var ready api.FeedReady
				if err != nil || json.Unmarshal(f.Data, &ready) != nil || !ready.Recovered {
					t.Errorf("feed.ready %s, %v", f.Data, err)
				}
				listen("resume", start, plain{p})
			}
		})
	}
	write(t, n, donor, 6, 30)
	close(done)
	opening.Wait()
	n.Donate(donor, map[string]any{"name": lastOne})
	records := log(t, n, reader)
	records = records[:len(records)-1] // the last is what NGOs are told of the last one
	readers.Wait()
	for _, j := range all {
		from, there := slices.BinarySearch(records, j.after)
		if there {
			from++
		}
		want := records[from:]
		if diff := cmp.Diff(want, j.heard); diff != "" {
			t.Errorf("%s after %s heard (-want +got):\n%s", j.name, j.after, diff)
			return
		}
	}
	t.Logf("%d connections, %d records", len(all), len(records))
}

// A position that can't be served is said to be so, and the stream begins now.
func TestPlainResumeAcrossAGap(t *testing.T) {
	bubble(t, func(t *testing.T, n *testkit.Node) {
		donor, u := n.User(account.Donor), n.User(account.NGO)
		n.Donate(donor, nil)
		head := testkit.Must[api.FeedResumed](n, n.Get("/events", u.Token), http.StatusOK).Position
		synctest.Wait() // feed.ready says what was delivered, and that comes a little later
		for _, after := range []string{"x", testkit.OtherEpoch, testkit.Later(t, head, 10)} {
			p := n.Plain("?after="+after, testkit.Bearer(u.Token))
			if ready := testkit.Expect[api.FeedReady](n, p, api.EventFeedReady); ready.Recovered || ready.Position != head {
				t.Errorf("after %s: %+v", after, ready)
			}
			d := n.Donate(donor, nil)
			if e := testkit.Expect[api.DonationCreated](n, p, api.EventDonationCreated); e.ID != d.ID {
				t.Errorf("after %s: heard %s first", after, e.ID)
			} else {
				head = testkit.Expect[api.Notification](n, p, api.EventNotification).Position
			}
		}
		p := n.Plain("?after="+head, testkit.Bearer(u.Token))
		if ready := testkit.Expect[api.FeedReady](n, p, api.EventFeedReady); !ready.Recovered || ready.Position != head {
			t.Errorf("nothing missed: %+v", ready)
		}
	})
}

// More than one page is replayed, in order, before the stream goes on.
func TestPlainResumeOfManyPages(t *testing.T) {
	n := testkit.Start(t, testkit.Options{})
	donor, u := n.User(account.Donor), n.User(account.NGO)
	n.Donate(donor, nil)
	start := log(t, n, u)[0]
	for range 120 {
		n.Donate(donor, map[string]any{"description": strings.Repeat("<", 2000)}) // 12 KB of JSON each
	}
	p := n.Plain("?after="+start, testkit.Bearer(u.Token))
	testkit.Expect[api.FeedReady](n, p, api.EventFeedReady)
	n.Donate(donor, map[string]any{"name": lastOne})
	want := log(t, n, u)
	want = want[1 : len(want)-1] // the last is what NGOs are told of the last one
	heard, err := follow(plain{p})
	if diff := cmp.Diff(want, heard); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}
