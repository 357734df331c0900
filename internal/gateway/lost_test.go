package gateway_test

import (
	"context"
	"encoding/json"
	"math"
	"testing"
	"time"

	"larder/api"
	"larder/internal/account"
	"larder/internal/eventlog"
	"larder/internal/store"
	"larder/internal/testkit"
)

// When records are removed before this node has come to them, nobody goes on as if
// nothing had happened: live clients of every door are let go, and start over.
func TestRecordsRemovedBeforeTheyWereDelivered(t *testing.T) {
	bubble(t, func(t *testing.T, n *testkit.Node) {
		u := n.User(account.Admin)
		s, ready := n.Watch(u)
		p := n.Plain("", testkit.Bearer(u.Token))
		testkit.Expect[api.FeedReady](n, p, api.EventFeedReady)
		away, _ := n.Watch(u)
		away.Abort()
		n.Update(func(ctx context.Context, tx *store.Tx) error {
			lost := eventlog.Draft{Type: "x", Audience: eventlog.Audience{Everyone: true}, Payload: json.RawMessage(`{}`), At: time.Now()}
			if _, err := tx.Append(ctx, lost, lost, lost); err != nil {
				return err
			}
			if _, _, err := tx.Prune(ctx, time.Now().Add(time.Hour), math.MaxInt32); err != nil {
				return err
			}
			_, err := tx.Append(ctx, lost)
			return err
		})
		for name, d := range map[string]interface{ Next() (testkit.Event, error) }{"socket.io": s, "plain": plain{p}} {
			for {
				e, err := d.Next()
				if err != nil {
					break
				}
				if e.Name == "x" {
					t.Errorf("%s: heard %s as if nothing were missing", name, e.Data)
				}
			}
		}
		for _, was := range []*testkit.Socket{s, away} {
			if _, again, err := back(t.Context(), n, u, was.PID, ready.Position); err != nil || again.Reason != "window" {
				t.Errorf("back: %+v, %v", again, err)
			}
		}
		if len(n.Logs.Lines("records were removed before they were read: clients start over")) != 1 {
			t.Error("nobody is told in the logs")
		}
	})
}
