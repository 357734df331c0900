package gateway_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"larder/api"
	"larder/internal/account"
	"larder/internal/eventlog"
	"larder/internal/fanout"
	"larder/internal/store"
	"larder/internal/testkit"
)

// prune empties the log, as retention does.
func prune(n *testkit.Node) {
	n.Update(func(ctx context.Context, tx *store.Tx) error {
		_, _, err := tx.Prune(ctx, time.Now().Add(time.Hour), 100_000)
		return err
	})
}

// Who comes back soon is served from memory alone: ADR 0010. Here the log would say
// that it has lost what was missed.
func TestReplayFromTheRing(t *testing.T) {
	for door, open := range ownDoors {
		t.Run(door, func(t *testing.T) {
			bubble(t, func(t *testing.T, n *testkit.Node) {
				u, donor := n.User(account.Admin), n.User(account.Donor)
				after := testkit.Must[api.FeedResumed](n, n.Get("/events", u.Token), 200).Position
				missed := n.Donate(donor, nil)
				synctest.Wait()
				prune(n)
				c := open(t, n, u, "?after="+after)
				if r := testkit.Expect[api.FeedReady](n, c, api.EventFeedReady); !r.Recovered || r.Position != after {
					t.Errorf("feed.ready: %+v", r)
				}
				live := n.Donate(donor, nil)
				for _, d := range []api.Donation{missed, live} {
					if got := testkit.Expect[api.DonationCreated](n, c, api.EventDonationCreated); got.ID != d.ID {
						t.Errorf("heard %s, want %s", got.ID, d.ID)
					}
				}
			})
		})
	}
}

// Beyond the ring the log is read once for all who come back: ADR 0010. When the
// second does so here, the log has lost what was missed.
func TestReplayOfACrowd(t *testing.T) {
	for door, open := range ownDoors {
		t.Run(door, func(t *testing.T) {
			bubble(t, func(t *testing.T, n *testkit.Node) {
				u, donor := n.User(account.Admin), n.User(account.Donor)
				after := testkit.Must[api.FeedResumed](n, n.Get("/events", u.Token), 200).Position
				list(n, donor, 40)
				fill(n, fanout.RingRecords+2048, 1)
				list(n, donor, 40) // more than is given at once, of log and ring
				for range 2 {
					c := open(t, n, u, "?after="+after)
					if r := testkit.Expect[api.FeedReady](n, c, api.EventFeedReady); !r.Recovered || r.Position != after {
						t.Fatalf("feed.ready: %+v", r)
					}
					for at, heard := after, 0; heard < 80+fanout.RingRecords/2+1024; heard++ {
						e, err := c.Next()
						if err != nil || e.Position() <= at {
							t.Fatalf("after %d events: got %s %s, %v", heard, e.Name, e.Data, err)
						}
						at = e.Position()
					}
					prune(n)
				}
			})
		})
	}
}

// A replay that the retention of the log overtakes ends with a reason, never with a
// hole: P-34.
func TestReplayThatIsOvertaken(t *testing.T) {
	for door, open := range ownDoors {
		t.Run(door, func(t *testing.T) {
			bubble(t, func(t *testing.T, n *testkit.Node) {
				u, donor := n.User(account.Admin), n.User(account.Donor)
				after := testkit.Must[api.FeedResumed](n, n.Get("/events", u.Token), 200).Position
				list(n, donor, 30)
				fill(n, 1024, 1) // one read of the log, and the next, which are not in the ring
				list(n, donor, 30)
				fill(n, fanout.RingRecords, 1)
				list(n, donor, 1)
				c := open(t, n, u, "?after="+after)
				testkit.Expect[api.FeedReady](n, c, api.EventFeedReady)
				prune(n)
				for heard := 0; ; heard++ {
					e, err := c.Next()
					if err != nil {
						t.Fatalf("ended without a word: %v", err)
					}
					var ex api.Exception
					if e.Name == api.EventException && json.Unmarshal(e.Data, &ex) == nil {
						if ex.Code != api.CodeUnavailable || heard == 0 || heard >= 60+512 {
							t.Errorf("after %d events: %+v", heard, ex)
						}
						break
					}
					if e.Name != api.EventDonationCreated && e.Name != "x" {
						t.Fatalf("after %d events: got %s %s", heard, e.Name, e.Data)
					}
				}
			})
		})
	}
}

// A replay that can't tell everything ends and says so: it never leaves a record out.
func TestReplayOfWhatCannotBeEncoded(t *testing.T) {
	for door, open := range ownDoors {
		t.Run(door, func(t *testing.T) {
			bubble(t, func(t *testing.T, n *testkit.Node) {
				u, donor := n.User(account.Admin), n.User(account.Donor)
				after := testkit.Must[api.FeedResumed](n, n.Get("/events", u.Token), 200).Position
				list(n, donor, 1)
				n.Update(func(ctx context.Context, tx *store.Tx) error {
					_, err := tx.Append(ctx, eventlog.Draft{Type: "connect", Audience: eventlog.Audience{Everyone: true}, Payload: []byte(`{}`), At: time.Now()})
					return err
				})
				behind := n.Donate(donor, nil)
				synctest.Wait()
				c, last := open(t, n, u, "?after="+after), testkit.Event{}
				for {
					e, err := c.Next()
					if err != nil {
						break
					}
					if last = e; strings.Contains(string(e.Data), behind.ID) {
						t.Fatalf("heard %s, which comes behind it", e.Name)
					}
				}
				var ex api.Exception
				if err := json.Unmarshal(last.Data, &ex); err != nil || last.Name != api.EventException || ex.Code != api.CodeInternal {
					t.Errorf("the last word: %s %s", last.Name, last.Data)
				}
			})
		})
	}
}
