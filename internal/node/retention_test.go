package node_test

import (
	"encoding/json"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"larder/api"
	"larder/internal/account"
	"larder/internal/config"
	"larder/internal/testkit"
	"larder/internal/testkit/wire"
)

// Old events go; a client from before is told to start over, one that was away
// for less is served, by every door (P-22, P-34).
func TestRetention(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := testkit.Start(t, testkit.Options{
			Network: wire.Listen(), Config: func(c *config.Config) { c.EventRetention = time.Hour },
		})
		donor, admin := n.User(account.Donor), n.User(account.Admin)
		watcher, ready := n.Watch(admin)
		hear := func() (position string) {
			t.Helper()
			n.Donate(donor, map[string]any{"expiryTime": time.Now().Add(48 * time.Hour)})
			testkit.Expect[api.DonationCreated](n, watcher, api.EventDonationCreated)
			// Behind it comes what others are told of it.
			return testkit.Must[api.FeedResumed](n, n.Get("/events", admin.Token), http.StatusOK).Position
		}
		resume := func(after string) api.FeedResumed {
			t.Helper()
			if err := watcher.Emit(1, api.EventFeedResume, api.FeedResume{After: after}); err != nil {
				t.Fatal(err)
			}
			e, err := watcher.Next()
			if err != nil || !e.Ack {
				t.Fatalf("got %+v, %v, want the ack", e, err)
			}
			var args api.FeedResumed
			if err := json.Unmarshal(e.Data, &args); err != nil {
				t.Fatal(err)
			}
			rest := testkit.Must[api.FeedResumed](n, n.Get("/events?after="+after, admin.Token), http.StatusOK)
			if rest.Reason != args.Reason || len(rest.Events) != len(args.Events) || rest.Position != args.Position {
				t.Errorf("REST answers %+v, the socket %+v", rest, args)
			}
			return args
		}
		want := func(when, after, reason string, events int, position string) {
			t.Helper()
			got := resume(after)
			if got.Recovered != (reason == "") || got.Reason != reason || len(got.Events) != events || got.Position != position {
				t.Errorf("%s: got %+v, want reason %q and %d events up to %s", when, got, reason, events, position)
			}
		}
		idle(watcher, 5*time.Minute)
		first := hear()
		idle(watcher, time.Hour)
		second := hear()
		want("all is kept", ready.Position, "", 2, second)
		idle(watcher, time.Hour) // past the look at two hours
		want("before the window", ready.Position, "window", 0, second)
		want("at the edge", first, "", 1, second)
		want("at the head", second, "", 0, second)
		idle(watcher, time.Hour)
		want("nothing is left, from before", first, "window", 0, second)
		want("nothing is left, from the head", second, "", 0, second)
		if list := testkit.Must[[]api.Donation](n, n.Get("/donations", ""), 200); len(list) != 2 {
			t.Errorf("%d donations, want 2: rows stay", len(list))
		}
		third := hear()
		want("the log goes on", second, "", 1, third)
		if lines := n.Logs.Lines("log pruned"); len(lines) != 2 {
			t.Errorf("logged %v, want two lines", lines)
		}
	})
}

// idle lets time pass for a client that answers pings and hears nothing.
func idle(s *testkit.Socket, d time.Duration) {
	end := time.Now().Add(d)
	for time.Until(end) > 0 {
		_ = s.Conn.SetReadDeadline(end)
		text, err := s.ReadText()
		if err == nil && text == "2" {
			err = s.WebSocket.Text("3")
		}
		if err != nil {
			<-time.After(time.Until(end))
		}
	}
}

// P-13, by every door.
func TestNearExpiryIsHeard(t *testing.T) {
	bubble(t, func(t *testing.T, n *testkit.Node) {
		donor, admin := n.User(account.Donor), n.User(account.Admin)
		watcher, _ := n.Watch(admin)
		due := time.Now().Add(time.Hour + time.Minute).Truncate(time.Second).UTC()
		d := n.Donate(donor, map[string]any{"expiryTime": due})
		short := n.Donate(donor, map[string]any{"expiryTime": due.Add(-time.Minute)})
		for range 2 { // before the other door opens, which else may hear of them too
			testkit.Expect[api.DonationCreated](n, watcher, api.EventDonationCreated)
		}
		plain := n.Plain("", testkit.Bearer(admin.Token))
		testkit.Expect[api.FeedReady](n, plain, api.EventFeedReady)
		plainly := make(chan testkit.Event, 10)
		go func() { // answers pings all the time
			defer close(plainly)
			for {
				e, err := plain.Next()
				if err != nil {
					return
				}
				plainly <- e
			}
		}()
		got := testkit.Expect[api.DonationNearExpiry](n, watcher, api.EventDonationNearExpiry)
		if late := time.Since(due.Add(-time.Hour)); late < 0 || late > 50*time.Millisecond {
			t.Errorf("heard %v after its moment", late)
		}
		if got.DonationID != d.ID || !got.ExpiryTime.Equal(due) || got.Position == "" {
			t.Errorf("got %+v", got)
		}
		if e := <-plainly; e.Name != api.EventDonationNearExpiry || e.Position() != got.Position {
			t.Errorf("the plain door: got %s %s, want %+v", e.Name, e.Data, got)
		}
		if now := testkit.Must[api.Donation](n, n.Get("/donations/"+d.ID, donor.Token), 200); now.Version != 1 || now.UpdatedAt != d.UpdatedAt {
			t.Errorf("the donation changed: %+v", now)
		}
		// Nothing more until both expire, the short one unannounced.
		for _, id := range []string{short.ID, d.ID} {
			if e := testkit.Expect[api.DonationStatusUpdated](n, watcher, api.EventDonationStatusUpdated); e.DonationID != id {
				t.Errorf("got the expiry of %s, want %s", e.DonationID, id)
			}
		}
	})
}
