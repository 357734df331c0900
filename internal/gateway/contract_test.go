package gateway_test

import (
	"testing"
	"time"

	"larder/api"
	"larder/internal/account"
	"larder/internal/contract"
	"larder/internal/testkit"
)

// TestWhatClientsMaySay sends every event that the table of package contract lets
// a client send, by both ways in, and holds the answer against the AsyncAPI
// document. What the server sends is held against it by testkit, in every test.
func TestWhatClientsMaySay(t *testing.T) {
	eachDoor(t, func(t *testing.T, n *testkit.Node, open func(*testkit.User) (door, api.FeedReady)) {
		u := n.User(account.NGO)
		d, ready := open(u)
		mine := n.Donate(n.User(account.Donor), nil)
		n.Order(u, mine.ID, "claim", nil)
		n.Order(u, mine.ID, "status", map[string]string{"status": "PICKED_UP"})
		next(t, d)
		// What has to be true of this node, in the place of the examples.
		payloads := map[string]any{
			api.EventShareLocation: api.ShareLocation{DonationID: mine.ID, Lat: new(1.0), Lng: new(2.0)},
			api.EventFeedResume:    api.FeedResume{After: ready.Position},
			api.EventAuthRefresh:   api.AuthRefresh{Token: n.Token(u.Account, time.Now())},
		}
		_, onPlain := d.(plain)
		for i, e := range contract.Events {
			if e.From != contract.FromClient || e.Ack == nil || !onPlain && e.Doors&contract.SocketIO == 0 {
				continue
			}
			var args []any
			if payload, ok := payloads[e.Name]; ok {
				args = []any{payload}
			} else if e.Payload != nil {
				args = []any{e.Payload}
			}
			if err := d.Emit(i, e.Name, args...); err != nil {
				t.Fatal(err)
			}
			answer := next(t, d)
			for !answer.Ack {
				answer = next(t, d)
			}
			if err := testkit.Answers(e.Name, answer.Data); err != nil {
				t.Errorf("%s: %v", e.Name, err)
			}
		}
	})
}
