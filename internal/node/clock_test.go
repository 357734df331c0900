package node_test

import (
	"bufio"
	"errors"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"larder/api"
	"larder/internal/account"
	"larder/internal/config"
	"larder/internal/testkit"
	"larder/internal/testkit/wire"
)

func TestMain(m *testing.M) {
	serveForKill() // does not return in a child process
	goleak.VerifyTestMain(m)
}

// bubble runs a test on a node whose clock is the bubble's. What is left running
// at the end fails it.
func bubble(t *testing.T, f func(t *testing.T, n *testkit.Node)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { f(t, testkit.Start(t, testkit.Options{Network: wire.Listen()})) })
}

func TestDonationExpiresAtItsSecond(t *testing.T) {
	bubble(t, func(t *testing.T, n *testkit.Node) {
		donor, ngo := n.User(account.Donor), n.User(account.NGO)
		watcher, _ := n.Watch(n.User(account.Admin)) // who is told of nothing else
		due := time.Now().Add(3 * time.Minute).Truncate(time.Second)
		open := n.Donate(donor, map[string]any{"expiryTime": due})
		claimed := n.Donate(donor, map[string]any{"expiryTime": due.Add(time.Second)})
		n.Order(ngo, claimed.ID, "claim", nil)
		for range 3 {
			if _, err := watcher.Next(); err != nil {
				t.Fatal(err)
			}
		}
		for _, want := range []struct {
			id, previous string
			at           time.Time
		}{{open.ID, "AVAILABLE", due}, {claimed.ID, "CLAIMED", due.Add(time.Second)}} {
			got := testkit.Expect[api.DonationStatusUpdated](n, watcher, api.EventDonationStatusUpdated)
			if late := time.Since(want.at); late < 0 || late > 50*time.Millisecond {
				t.Errorf("expiry heard %v after its moment", late)
			}
			if got.DonationID != want.id || got.Status != "EXPIRED" || got.PreviousStatus != want.previous || got.UpdatedBy != "system" {
				t.Errorf("got %+v, want the expiry of %s from %s", got, want.id, want.previous)
			}
			d := testkit.Must[api.Donation](n, n.Get("/donations/"+want.id, ngo.Token), http.StatusOK)
			if d.Status != "EXPIRED" || d.Version != got.Version {
				t.Errorf("row: %s version %d, event: version %d", d.Status, d.Version, got.Version)
			}
		}
		if list := testkit.Must[[]api.Donation](n, n.Get("/donations", ""), 200); len(list) != 0 {
			t.Errorf("the list shows %d expired donations", len(list))
		}
	})
}

func TestDonationListedBetweenTwoLooksExpiresWithinASecond(t *testing.T) {
	bubble(t, func(t *testing.T, n *testkit.Node) {
		donor := n.User(account.Donor)
		watcher, _ := n.Watch(n.User(account.Admin))
		due := time.Now().Add(100 * time.Millisecond)
		n.Donate(donor, map[string]any{"expiryTime": due})
		testkit.Expect[api.DonationCreated](n, watcher, api.EventDonationCreated)
		testkit.Expect[api.DonationStatusUpdated](n, watcher, api.EventDonationStatusUpdated)
		if late := time.Since(due); late < 0 || late > time.Second {
			t.Errorf("expiry heard %v after its moment", late)
		}
	})
}

// The heartbeat of a whole node: E-55, and what the end of a session looks like.
func TestSocketWithoutPongIsGivenUp(t *testing.T) {
	bubble(t, func(t *testing.T, n *testkit.Node) {
		user := n.User(account.Donor)
		healthy, _ := n.Watch(user)
		dead, _ := n.Watch(user)
		start := time.Now()
		if text, err := dead.ReadText(); err != nil || text != "2" {
			t.Fatalf("got %q, %v, want a ping", text, err)
		}
		ping := time.Since(start)
		if ping > n.Config.PingInterval {
			t.Errorf("first ping after %v", ping)
		}
		go func() { _, _ = healthy.Next() }() // answers pings
		_, err := dead.ReadText()
		closed, ok := errors.AsType[*wire.Closed](err)
		if !ok || closed.Code != 1008 || closed.Reason != "ping timeout" {
			t.Errorf("got %v, want close 1008 for the missing pong", err)
		}
		if after := time.Since(start) - ping; after != n.Config.PingTimeout {
			t.Errorf("given up %v after the ping, want %v", after, n.Config.PingTimeout)
		}
		dead.Abort()
		<-time.After(3 * time.Minute) // the healthy one lives on
		if lines := n.Logs.Lines("client disconnected"); len(lines) != 1 || lines[0]["reason"] != "ping timeout" {
			t.Errorf("logged %v, want one disconnect for a ping timeout", lines)
		}
	})
}

// S-1: a session that joins nothing is closed.
func TestSessionThatNeverJoinsIsClosed(t *testing.T) {
	bubble(t, func(t *testing.T, n *testkit.Node) {
		s, err := n.Open(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Abort()
		start := time.Now()
		if text, err := s.Text(); err == nil {
			t.Fatalf("got %q, want the end", text)
		}
		if d := time.Since(start); d != n.Config.ConnectTime {
			t.Errorf("closed after %v, want %v", d, n.Config.ConnectTime)
		}
	})
}

func TestTokenExpiresOnTheNodesClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := testkit.Start(t, testkit.Options{Network: wire.Listen(), Config: func(c *config.Config) { c.JWTTTL = time.Minute }})
		u := n.User(account.Donor)
		if r := n.Get("/auth/profile", u.Token); r.Status != 200 {
			t.Fatalf("got %s", r)
		}
		<-time.After(n.Config.JWTTTL)
		if e := testkit.Must[api.Error](n, n.Get("/auth/profile", u.Token), 401); e.Code != api.CodeTokenExpired {
			t.Errorf("got %s, want token_expired", e.Code)
		}
	})
}

// Whoever announces a body and sends none gets an answer, and is let go of.
func TestBodyThatNeverComes(t *testing.T) {
	bubble(t, func(t *testing.T, n *testkit.Node) {
		donor := n.User(account.Donor)
		for request, tc := range map[string]struct {
			header string
			status int
		}{
			"GET /livez":          {"", 200},
			"POST /nothing":       {"", 404},
			"POST /donations":     {"", 401},
			"PATCH /auth/profile": {"Content-Type: application/json\r\nAuthorization: Bearer " + donor.Token + "\r\n", 408},
			"POST /socket.io/?EIO=4&transport=polling&sid=nobody": {"", 400},
		} {
			c, err := n.Dial(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			start := time.Now()
			_, err = io.WriteString(c, request+" HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n"+tc.header+"\r\n")
			if err != nil {
				t.Fatal(err)
			}
			r, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil || r.StatusCode != tc.status {
				t.Errorf("%s: got %v, %v, want %d", request, r, err, tc.status)
			}
			if _, err := io.Copy(io.Discard, c); err != nil {
				t.Errorf("%s: the connection stays: %v", request, err)
			}
			if d := time.Since(start); d > 11*time.Second {
				t.Errorf("%s: let go after %v", request, d)
			}
			c.Close()
		}
	})
}
