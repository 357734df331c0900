package gateway_test

import (
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
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

// Who still replays, and reads slowly, hears no more within a second of what ends his
// right to it, but why: P-4, P-18.
func TestRightsEndDuringAReplay(t *testing.T) {
	const life, grace = 4 * time.Second, 25 * time.Second
	for name, tc := range map[string]struct {
		end  func(t *testing.T, n *testkit.Node, u *testkit.User) error
		code api.Code
	}{
		"suspended": {func(t *testing.T, n *testkit.Node, u *testkit.User) error {
			toggle(n, n.User(account.Admin), u)
			return nil
		}, api.CodeAccountSuspended},
		"another role": {func(t *testing.T, n *testkit.Node, u *testkit.User) error {
			_, err := beside(t, n).SetRole(t.Context(), u.Email, account.Donor)
			return err
		}, api.CodeWrongRole},
		"logged out": {func(t *testing.T, n *testkit.Node, u *testkit.User) error {
			_, err := beside(t, n).LogOut(t.Context(), u.Email)
			return err
		}, api.CodeTokenInvalid},
		"the token's time": {func(*testing.T, *testkit.Node, *testkit.User) error {
			<-time.After(life + grace - 2*time.Second)
			return nil
		}, api.CodeTokenExpired},
	} {
		for door, open := range ownDoors {
			t.Run(name+", "+door, func(t *testing.T) {
				bubble(t, func(t *testing.T, n *testkit.Node) {
					u, donor := n.User(account.NGO), n.User(account.Donor)
					after := testkit.Must[api.FeedResumed](n, n.Get("/events", u.Token), 200).Position
					list(n, donor, 60) // more than one page, of which nothing leaves the node unread
					if tc.code == api.CodeTokenExpired {
						u = short(t, n, u, life)
					}
					c := open(t, n, u, "?after="+after)
					<-time.After(2 * time.Second)
					testkit.Expect[api.FeedReady](n, c, api.EventFeedReady)
					for range 3 {
						if _, err := c.Next(); err != nil {
							t.Fatal(err)
						}
					}
					done := make(chan error)
					go func() { done <- tc.end(t, n, u) }()
					var err error
					for waits := true; waits; {
						select {
						case err = <-done:
							waits = false
						case <-time.After(800 * time.Millisecond):
							_, err = c.Next()
						}
						if err != nil {
							t.Fatal(err)
						}
					}
					at := time.Now()
					n.Donate(donor, map[string]any{"name": lastOne})
					for {
						e, err := c.Next()
						if err != nil || time.Since(at) > time.Minute {
							t.Fatalf("no word of the end: %v", err)
						}
						<-time.After(100 * time.Millisecond)
						if strings.Contains(string(e.Data), lastOne) {
							t.Errorf("heard %s", e.Data)
						}
						var ex api.Exception
						if e.Name == api.EventException && json.Unmarshal(e.Data, &ex) == nil {
							if ex.Code != tc.code {
								t.Errorf("got %+v, want %s", ex, tc.code)
							}
							break
						}
					}
					if d := time.Since(at); d > 1500*time.Millisecond { // of which the operator's word takes 500
						t.Errorf("told after %v", d)
					}
					if e, err := c.Next(); err == nil {
						t.Errorf("then came %s", e.Name)
					}
				})
			})
		}
	}
}

// Who stops reading in a replay does not hold what he may no longer hear: P-4.
func TestSuspensionOfWhoDoesNotRead(t *testing.T) {
	for door, open := range ownDoors {
		t.Run(door, func(t *testing.T) {
			bubble(t, func(t *testing.T, n *testkit.Node) {
				u, donor := n.User(account.NGO), n.User(account.Donor)
				after := testkit.Must[api.FeedResumed](n, n.Get("/events", u.Token), 200).Position
				list(n, donor, 60)
				testkit.Expect[api.FeedReady](n, open(t, n, u, "?after="+after), api.EventFeedReady)
				toggle(n, n.User(account.Admin), u)
				<-time.After(3 * time.Second)
				if l := n.Logs.Lines("client disconnected"); len(l) != 1 || l[0]["reason"] != "account suspended" {
					t.Errorf("logged %v", l)
				}
			})
		})
	}
}

// A suspension that falls between the look at the account and the stream, when nobody
// is there whom it could be told, closes the connection as well: P-4.
func TestSuspensionWhileAClientIsLetIn(t *testing.T) {
	for name, join := range map[string]func(t *testing.T, n *testkit.Node, u *testkit.User){
		"plain": func(t *testing.T, n *testkit.Node, u *testkit.User) {
			wantRefused(t, n, n.Plain("", testkit.Bearer(u.Token)), api.CodeAccountSuspended, 1008)
		},
		"events": func(t *testing.T, n *testkit.Node, u *testkit.User) {
			s := stream(t, n, u, "", nil)
			if ex := testkit.Expect[api.Exception](n, s, api.EventException); ex.Code != api.CodeAccountSuspended {
				t.Errorf("got %+v", ex)
			}
			if _, err := s.Next(); err != io.EOF {
				t.Errorf("then %v, want the end", err)
			}
		},
		"socket.io": func(t *testing.T, n *testkit.Node, u *testkit.User) {
			s, err := n.Open(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Abort()
			if err := s.Join("/donations", map[string]string{"token": u.Token}); err != nil {
				t.Fatal(err)
			}
			start := time.Now()
			e, err := s.Next()
			if closed, ok := errors.AsType[*wire.Closed](err); !ok || closed.Code != 1000 {
				t.Errorf("got %s %s, %v, want the end", e.Name, e.Data, err)
			}
			if d := time.Since(start); d > 2*time.Second {
				t.Errorf("closed after %v", d)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, n *testkit.Node) {
				u, c := short(t, n, n.User(account.Donor), 2*time.Minute), beside(t, n)
				n.Logs.When("client connected", func() {
					if _, err := c.SetActive(t.Context(), u.Email, false); err != nil {
						t.Error(err)
					}
					<-time.After(time.Second) // the node hears of it
				})
				join(t, n, u)
			})
		})
	}
}
