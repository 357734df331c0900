package node_test

import (
	"net/http"
	"testing"
	"time"

	"larder/api"
	"larder/internal/account"
	"larder/internal/testkit"
	"larder/internal/testkit/pgtest"
)

// A claim is seen live, and after a restart the log goes on where it was.
func TestClaimAndRestart(t *testing.T) {
	for name, database := range map[string]func(*testing.T) string{
		"SQLite":     func(*testing.T) string { return "" },
		"PostgreSQL": func(t *testing.T) string { return pgtest.Database(t) },
	} {
		t.Run(name, func(t *testing.T) {
			o := testkit.Options{DataDir: t.TempDir(), Database: database(t)}
			n := testkit.Start(t, o)
			donor, ngo := n.User(account.Donor), n.User(account.NGO)
			admin := n.User(account.Admin) // who is told of nothing else
			watcher, before := n.Watch(admin)
			d := n.Donate(donor, nil)
			testkit.Expect[api.DonationCreated](n, watcher, api.EventDonationCreated)
			n.Order(ngo, d.ID, "claim", nil)
			if e := testkit.Expect[api.DonationClaimed](n, watcher, api.EventDonationClaimed); e.DonationID != d.ID || e.ClaimedBy != ngo.ID {
				t.Errorf("the claim was seen as %+v", e)
			}
			if err := n.Stop(); err != nil {
				t.Fatal(err)
			}

			n = testkit.Start(t, o)
			missed := testkit.Must[api.FeedResumed](n, n.Get("/events?after="+before.Position, admin.Token), http.StatusOK)
			if !missed.Recovered || len(missed.Events) != 2 {
				t.Errorf("after the restart: %+v, want the two events since %s", missed, before.Position)
			}
			watcher, _ = n.Watch(admin)
			n.Order(ngo, d.ID, "release", nil)
			testkit.Expect[api.DonationStatusUpdated](n, watcher, api.EventDonationStatusUpdated)
		})
	}
}

// Two nodes on one database: what happens on one is seen on the other, which
// nobody wakes, and one of them does what the clock asks for.
func TestTwoNodesOnOneDatabase(t *testing.T) {
	database := pgtest.Database(t)
	first, second := testkit.Start(t, testkit.Options{Database: database}), testkit.Start(t, testkit.Options{Database: database})
	donor, ngo := first.User(account.Donor), first.User(account.NGO)
	admin := first.User(account.Admin)
	here, _ := first.Watch(admin)
	there, ready := second.Watch(admin)
	d := first.Donate(donor, nil)
	begun := time.Now()
	first.Order(ngo, d.ID, "claim", nil)
	for _, w := range []*testkit.Socket{here, there} {
		testkit.Expect[api.DonationCreated](first, w, api.EventDonationCreated)
		if e := testkit.Expect[api.DonationClaimed](first, w, api.EventDonationClaimed); e.DonationID != d.ID || e.ClaimedBy != ngo.ID {
			t.Errorf("the claim was seen as %+v", e)
		}
	}
	t.Logf("the other node showed it within %s", time.Since(begun).Round(time.Millisecond))
	if got := testkit.Must[api.Donation](second, second.Get("/donations/"+d.ID, ngo.Token), http.StatusOK); got.Status != "CLAIMED" {
		t.Errorf("the other node has it as %s", got.Status)
	}

	const due = 5
	end := time.Now().Add(5 * time.Second) // by then all have been heard
	for range due {
		first.Donate(donor, map[string]any{"expiryTime": end})
	}
	for name, w := range map[string]*testkit.Socket{"first": here, "second": there} {
		for range due {
			testkit.Expect[api.DonationCreated](first, w, api.EventDonationCreated)
		}
		for range due {
			if e := testkit.Expect[api.DonationStatusUpdated](first, w, api.EventDonationStatusUpdated); e.Status != "EXPIRED" {
				t.Errorf("%s node: got %+v, want an expiry", name, e)
			}
		}
	}
	page := testkit.Must[api.FeedResumed](second, second.Get("/events?after="+ready.Position, admin.Token), http.StatusOK)
	if want := 2 + 2*due; len(page.Events) != want {
		t.Errorf("the log has %d events since, want %d: each expiry once", len(page.Events), want)
	}
}
