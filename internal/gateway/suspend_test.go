package gateway_test

import (
	"encoding/json"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"larder/api"
	"larder/internal/account"
	"larder/internal/testkit"
	"larder/internal/testkit/wire"
)

func toggle(n *testkit.Node, admin, u *testkit.User) {
	testkit.Must[api.Toggled](n, n.Patch("/admin/users/"+u.ID+"/toggle-status", admin.Token, nil), 200)
}

// A suspension closes every connection of the account at once, and nobody else's;
// who comes back learns why: P-4.
func TestSuspensionClosesSockets(t *testing.T) {
	bubble(t, func(t *testing.T, n *testkit.Node) {
		admin, u, other := n.User(account.Admin), n.User(account.Donor), n.User(account.Donor)
		first, _ := n.Watch(u)
		second := n.Plain("", testkit.Bearer(u.Token))
		testkit.Expect[api.FeedReady](n, second, api.EventFeedReady)
		bystander, _ := n.Watch(other)
		start := time.Now()
		toggle(n, admin, u)
		wantClosed(t, first, 1000)
		wantRefused(t, n, second, api.CodeAccountSuspended, 1008)
		if d := time.Since(start); d > 10*time.Millisecond {
			t.Errorf("closed after %v", d)
		}
		if _, _, err := n.TryWatch(t.Context(), u); !refusedWith(err, api.CodeAccountSuspended) {
			t.Errorf("coming back: %v", err)
		}
		n.Donate(other, nil)
		testkit.Expect[api.DonationCreated](n, bystander, api.EventDonationCreated)
		<-time.After(3 * time.Second)
		for _, l := range n.Logs.Lines("client disconnected") {
			if l["reason"] != "account suspended" || l["user_id"] != u.ID {
				t.Errorf("logged %v", l)
			}
		}
		toggle(n, admin, u)
		back, _ := n.Watch(u)
		n.Donate(u, nil)
		testkit.Expect[api.DonationCreated](n, back, api.EventDonationCreated)
	})
}

func refusedWith(err error, code api.Code) bool {
	refused, ok := errors.AsType[*testkit.Refusal](err)
	return ok && refused.Data.Code == code
}

// However a suspension races with the join, no socket of the account is left: each
// is refused, or closed soon.
func TestSuspensionRacesWithTheJoin(t *testing.T) {
	n := testkit.Start(t, testkit.Options{})
	admin := n.User(account.Admin)
	for round := range 15 {
		u := n.User(account.Donor)
		path := "/admin/users/" + u.ID + "/toggle-status"
		var wg sync.WaitGroup
		begin := make(chan struct{})
		for i := range 12 {
			join := prepare(t, n, u, i%2 == 0)
			wg.Go(func() {
				<-begin
				<-time.After(time.Duration(rand.IntN(3000)) * time.Microsecond)
				if err := join(); err == nil {
					t.Errorf("round %d: ended without an error", round)
				} else if _, closed := errors.AsType[*wire.Closed](err); !closed && !refusedWith(err, api.CodeAccountSuspended) {
					t.Errorf("round %d: %v", round, err)
				}
			})
		}
		wg.Go(func() {
			<-begin
			r, err := n.Try(t.Context(), testkit.Call{Method: "PATCH", Path: path, Token: admin.Token})
			if err != nil || r.Status != 200 {
				t.Errorf("suspend: %s, %v", r, err)
			}
		})
		close(begin)
		wg.Wait() // does not end while a socket of the account is open
	}
}

// prepare opens a connection. What it returns shows the token and reads to the end.
func prepare(t *testing.T, n *testkit.Node, u *testkit.User, plainOne bool) func() error {
	t.Helper()
	read := func(d interface{ Next() (testkit.Event, error) }) error {
		for {
			if _, err := d.Next(); err != nil {
				return err
			}
		}
	}
	if plainOne {
		p := n.Plain("", nil)
		return func() error {
			defer p.Abort()
			if err := p.Text(`{"event":"auth","data":{"token":"` + u.Token + `"}}`); err != nil {
				return err
			}
			return read(p)
		}
	}
	s, err := n.Open(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return func() error {
		defer s.Abort()
		if err := s.Join("/donations", map[string]string{"token": u.Token}); err != nil {
			return err
		}
		return read(s)
	}
}

// A plain WebSocket that still replays is closed as well.
func TestSuspensionDuringAReplay(t *testing.T) {
	bubble(t, func(t *testing.T, n *testkit.Node) {
		admin, u, donor := n.User(account.Admin), n.User(account.NGO), n.User(account.Donor)
		ready := testkit.Must[api.FeedResumed](n, n.Get("/events", u.Token), 200)
		for range 5 {
			n.Donate(donor, nil)
		}
		p := n.Plain("?after="+ready.Position, testkit.Bearer(u.Token)) // a pipe: its writes wait for us
		<-time.After(time.Second)
		toggle(n, admin, u)
		<-time.After(time.Second)
		for {
			f, err := p.Frame()
			if err != nil {
				t.Fatalf("ended without a word: %v", err)
			}
			var ex api.Exception
			if f.Event == api.EventException && json.Unmarshal(f.Data, &ex) == nil && ex.Code == api.CodeAccountSuspended {
				break
			}
		}
		wantClosed(t, p, 1008)
	})
}
