package gateway_test

import (
	"context"
	"encoding/json"
	"slices"
	"testing"
	"time"

	"larder/api"
	"larder/internal/account"
	"larder/internal/command"
	"larder/internal/store"
	"larder/internal/testkit"
)

// endsWith reads to the end and returns the names of what came before it.
func endsWith(d door) (names []string) {
	for {
		e, err := d.Next()
		if err != nil {
			return names
		}
		names = append(names, e.Name)
	}
}

// short is u with a token that is valid for so long.
func short(t *testing.T, n *testkit.Node, u *testkit.User, life time.Duration) *testkit.User {
	t.Helper()
	v := *u
	v.Token = n.Token(u.Account, time.Now().Add(life-n.Config.JWTTTL))
	return &v
}

// A client is told a minute before its token ends, and is closed 25 s after the
// end: P-18.
func TestTokenRunsOut(t *testing.T) {
	eachDoor(t, func(t *testing.T, n *testkit.Node, open func(*testkit.User) (door, api.FeedReady)) {
		for _, tc := range []struct{ life, warned time.Duration }{{5 * time.Minute, 4 * time.Minute}, {30 * time.Second, 0}} {
			u := short(t, n, n.User(account.Donor), tc.life)
			start := time.Now()
			d, _ := open(u)
			told := testkit.Expect[api.AuthExpiring](n, d, api.EventAuthExpiring)
			if at := time.Since(start); at < tc.warned-time.Second || at > tc.warned+time.Second {
				t.Errorf("told after %v, want %v", at, tc.warned)
			}
			if until := told.ExpiresAt.Sub(start); until > tc.life || until <= tc.life-time.Second {
				t.Errorf("told that it ends in %v, want %v", until, tc.life)
			}
			endsWith(d)
			if at, want := time.Since(start), tc.life+25*time.Second; at < want-time.Second || at > want+2*time.Second {
				t.Errorf("closed after %v, want %v", at, want)
			}
			<-time.After(3 * time.Second)
			lines := n.Logs.Lines("client disconnected")
			if last := lines[len(lines)-1]; last["reason"] != "token expired" {
				t.Errorf("logged %v", last)
			}
		}
	})
}

// A fresh token keeps the connection, and its place in the stream; that of another
// account, or a bad one, changes nothing: P-24.
func TestRefresh(t *testing.T) {
	eachDoor(t, func(t *testing.T, n *testkit.Node, open func(*testkit.User) (door, api.FeedReady)) {
		donor := n.User(account.Donor)
		u, other := short(t, n, donor, 2*time.Minute), n.User(account.Donor)
		start := time.Now()
		d, _ := open(u)
		testkit.Expect[api.AuthExpiring](n, d, api.EventAuthExpiring)
		for i, token := range []string{other.Token, "nonsense", ""} {
			if err := d.Emit(i+1, api.EventAuthRefresh, api.AuthRefresh{Token: token}); err != nil {
				t.Fatal(err)
			}
			want := api.CodeTokenInvalid
			if token == "" {
				want = api.CodeTokenMissing
			}
			ex := testkit.Expect[api.Exception](n, d, api.EventException)
			if ex.Code != want || len(ex.Cause.Data) > 0 && string(ex.Cause.Data) != "null" {
				t.Errorf("refresh with %q: got %+v", token, ex)
			}
			if e, err := d.Next(); err != nil || !e.Ack {
				t.Errorf("got %+v, %v, want the ack", e, err)
			}
		}
		fresh := short(t, n, donor, 10*time.Minute)
		if err := d.Emit(9, api.EventAuthRefresh, api.AuthRefresh{Token: fresh.Token}); err != nil {
			t.Fatal(err)
		}
		var until api.AuthExpiring
		if e, err := d.Next(); err != nil || !e.Ack || e.ID != 9 || json.Unmarshal(e.Data, &until) != nil {
			t.Fatalf("got %+v, %v, want the ack", e, err)
		}
		// Tokens have whole seconds: up to one less is right.
		if got := until.ExpiresAt.Sub(start); got > 11*time.Minute || got <= 11*time.Minute-time.Second {
			t.Errorf("extended to %v, want 11m", got)
		}
		n.Donate(other, nil) // its rooms are still its own
		testkit.Expect[api.DonationCreated](n, d, api.EventDonationCreated)
		testkit.Expect[api.AuthExpiring](n, d, api.EventAuthExpiring)
		if at := time.Since(start); at < 10*time.Minute-time.Second || at > 10*time.Minute+time.Second {
			t.Errorf("told again after %v, want 10m", at)
		}
		endsWith(d)
		if at := time.Since(start); at < 11*time.Minute+24*time.Second || at > 11*time.Minute+27*time.Second {
			t.Errorf("closed after %v", at)
		}
	})
}

// beside is a second process on the node's database, such as larder user.
func beside(t *testing.T, n *testkit.Node) *command.Service {
	t.Helper()
	st, err := store.Open(t.Context(), n.Config.DatabaseURL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	return command.NewService(st, nil, func() {}, time.UTC)
}

// What the operator does beside the server closes the account's connections in
// under a second, and its token is refused at once: P-4.
func TestOperatorReachesOpenConnections(t *testing.T) {
	for name, tc := range map[string]struct {
		do     func(ctx context.Context, c *command.Service, u *testkit.User) error
		reason string
		code   api.Code // of who comes back; empty: he is let in
	}{
		"suspend": {func(ctx context.Context, c *command.Service, u *testkit.User) error {
			_, err := c.SetActive(ctx, u.Email, false)
			return err
		}, "account suspended", api.CodeAccountSuspended},
		"log out": {func(ctx context.Context, c *command.Service, u *testkit.User) error {
			_, err := c.LogOut(ctx, u.Email)
			return err
		}, "logged out everywhere", api.CodeTokenInvalid},
		"delete": {func(ctx context.Context, c *command.Service, u *testkit.User) error {
			_, err := c.Delete(ctx, u.Email)
			return err
		}, "account deleted", api.CodeTokenInvalid},
		"role": {func(ctx context.Context, c *command.Service, u *testkit.User) error {
			_, err := c.SetRole(ctx, u.Email, account.Volunteer)
			return err
		}, "role changed", ""},
	} {
		t.Run(name, func(t *testing.T) {
			eachDoor(t, func(t *testing.T, n *testkit.Node, open func(*testkit.User) (door, api.FeedReady)) {
				u := n.User(account.Donor)
				d, _ := open(u)
				start := time.Now()
				if err := tc.do(t.Context(), beside(t, n), u); err != nil {
					t.Fatal(err)
				}
				endsWith(d)
				if at := time.Since(start); at >= time.Second {
					t.Errorf("closed after %v", at)
				}
				if r := n.Get("/auth/profile", u.Token); tc.code != "" && r.Status < 401 {
					t.Errorf("REST still answers: %s", r)
				}
				s, ready, err := n.TryWatch(t.Context(), u)
				if tc.code != "" && !refusedWith(err, tc.code) {
					t.Errorf("coming back: %v", err)
				}
				if tc.code == "" {
					if err != nil || ready.User.Role != "VOLUNTEER" {
						t.Fatalf("coming back: %+v, %v", ready, err)
					}
					s.Abort()
				}
				<-time.After(3 * time.Second)
				var reasons []any // that of a second socket may come first
				for _, l := range n.Logs.Lines("client disconnected") {
					reasons = append(reasons, l["reason"])
				}
				if !slices.Contains(reasons, any(tc.reason)) {
					t.Errorf("logged %v, want %s", reasons, tc.reason)
				}
				// Who signs in within the same second gets a token that counts.
				if name == "log out" {
					again := *u
					acc := u.Account
					acc.TokensAfter = start.UTC().Truncate(time.Second)
					again.Token = n.Token(acc, start)
					open(&again)
				}
			})
		})
	}
}
