package gateway_test

import (
	"context"
	"encoding/json"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"larder/api"
	"larder/internal/account"
	"larder/internal/eventlog"
	"larder/internal/store"
	"larder/internal/testkit"
	"larder/internal/testkit/wire"
)

// big makes 12 KB of JSON of a donation.
var big = map[string]any{"description": strings.Repeat("<", 2000)}

// list lists so many donations, and waits until all have been delivered.
func list(n *testkit.Node, donor *testkit.User, count int) {
	for range count {
		n.Donate(donor, big)
	}
	synctest.Wait()
}

// snapshotOf reads the answer to feed.subscribe and the position behind it.
func snapshotOf(t *testing.T, n *testkit.Node, d door, items int) {
	t.Helper()
	var s api.FeedSubscribed
	e, err := d.Next()
	if err != nil || !e.Ack || json.Unmarshal(e.Data, &s) != nil || len(s.Items) != items {
		t.Fatalf("got %s with %d items, %v, want a snapshot of %d", e.Name, len(s.Items), err, items)
	}
	testkit.Expect[api.FeedPosition](n, d, api.EventFeedPosition)
}

// A snapshot that is larger than what may wait for a client does not cut it, nor does
// what happens while it is read: P-23, P-36.
func TestSnapshotLargerThanTheBound(t *testing.T) {
	eachDoor(t, func(t *testing.T, n *testkit.Node, open func(*testkit.User) (door, api.FeedReady)) {
		donor, u := n.User(account.Donor), n.User(account.Admin)
		list(n, donor, 60)
		d, _ := open(u)
		if err := d.Emit(1, api.EventFeedSubscribe, api.FeedSubscribe{Statuses: []string{"AVAILABLE"}}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait() // a pipe: nothing of it has left
		var ids []string
		for range 15 {
			ids = append(ids, n.Donate(donor, big).ID)
		}
		snapshotOf(t, n, d, 60)
		for _, id := range ids {
			if got := testkit.Expect[api.DonationCreated](n, d, api.EventDonationCreated); got.ID != id {
				t.Errorf("heard %s, want %s", got.ID, id)
			}
		}
		list(n, donor, 40) // the snapshot has been read, and gives no more room
		if l := n.Logs.Lines("client disconnected"); len(l) != 1 || l[0]["reason"] != "slow" {
			t.Errorf("logged %v", l)
		}
	})
}

// Who asks for a second one and has not read the first is cut: P-36.
func TestSnapshotsThatNobodyReads(t *testing.T) {
	bubble(t, func(t *testing.T, n *testkit.Node) {
		donor, u := n.User(account.Donor), n.User(account.Admin)
		list(n, donor, 60)
		p := n.Plain("", testkit.Bearer(u.Token))
		testkit.Expect[api.FeedReady](n, p, api.EventFeedReady)
		for id, want := range []int{0, 1} {
			if err := (plain{p}).Emit(id, api.EventFeedSubscribe, api.FeedSubscribe{}); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			if l := n.Logs.Lines("client disconnected"); len(l) != want || want > 0 && l[0]["reason"] != "slow" {
				t.Errorf("after %d snapshots: logged %v", id+1, l)
			}
		}
	})
}

// unhurried is a connection of a client that takes its time before each read.
type unhurried struct {
	net.Conn
	rest time.Duration
}

func (c unhurried) Read(b []byte) (int, error) {
	<-time.After(c.rest)
	return c.Conn.Read(b)
}

// A snapshot may take longer than the time for a write, as long as the client reads.
func TestSnapshotReadSlowly(t *testing.T) {
	bubble(t, func(t *testing.T, n *testkit.Node) {
		donor, u := n.User(account.Donor), n.User(account.Admin)
		list(n, donor, 60)
		c, err := wire.DialWebSocket(t.Context(), func(ctx context.Context) (net.Conn, error) {
			c, err := n.Dial(ctx)
			return unhurried{c, 3 * time.Second}, err
		}, "/donations", testkit.Bearer(u.Token))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Abort()
		p := plain{&testkit.Plain{WebSocket: c}}
		testkit.Expect[api.FeedReady](n, p, api.EventFeedReady)
		start := time.Now()
		if err := p.Emit(1, api.EventFeedSubscribe, api.FeedSubscribe{}); err != nil {
			t.Fatal(err)
		}
		snapshotOf(t, n, p, 60)
		if d := time.Since(start); d < 20*time.Second {
			t.Errorf("read in %v: the test shows little", d)
		}
	})
}

// What was the account's own before the snapshot comes before it, for the snapshot
// does not show it: P-23. The node hears of what is written beside it only a while
// after the client has asked.
func TestWhatASnapshotDoesNotShow(t *testing.T) {
	eachDoor(t, func(t *testing.T, n *testkit.Node, open func(*testkit.User) (door, api.FeedReady)) {
		u := n.User(account.Admin)
		d, _ := open(u)
		n.Update(func(ctx context.Context, tx *store.Tx) error {
			_, err := tx.Append(ctx, eventlog.Draft{Type: "x", Audience: eventlog.Audience{Users: []string{u.ID}}, Payload: []byte(`{}`), At: time.Now()})
			return err
		})
		before, _, err := subscribe(d, 1, api.FeedSubscribe{Statuses: []string{"AVAILABLE"}})
		if err != nil || len(before) != 1 || before[0].Name != "x" {
			t.Errorf("before the snapshot: got %v, %v", before, err)
		}
	})
}

// A suspension that is delivered while the client hears nothing, because its snapshot
// is read, closes it as well: P-4.
func TestSuspensionWhileASnapshotIsRead(t *testing.T) {
	eachDoor(t, func(t *testing.T, n *testkit.Node, open func(*testkit.User) (door, api.FeedReady)) {
		u := short(t, n, n.User(account.Donor), 2*time.Minute)
		d, _ := open(u)
		if _, err := beside(t, n).SetActive(t.Context(), u.Email, false); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		if err := d.Emit(1, api.EventFeedSubscribe, api.FeedSubscribe{Statuses: []string{"AVAILABLE"}}); err != nil {
			t.Fatal(err)
		}
		endsWith(d)
		if at := time.Since(start); at >= time.Second {
			t.Errorf("closed after %v", at)
		}
	})
}
