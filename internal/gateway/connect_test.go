package gateway_test

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"larder/api"
	"larder/internal/account"
	"larder/internal/testkit"
)

// Where the token may be, and what is told when it is not good: P-2, P-3.
func TestConnect(t *testing.T) {
	bubble(t, func(t *testing.T, n *testkit.Node) {
		u, suspended := n.User(account.NGO), n.User(account.Donor, testkit.Suspended)
		expired := n.Token(u.Account, time.Now().Add(-n.Config.JWTTTL-time.Second))
		for name, tc := range map[string]struct {
			auth   any
			header http.Header
			code   api.Code // empty: good
		}{
			"auth.token":                {map[string]any{"token": u.Token}, nil, ""},
			"with Bearer":               {map[string]any{"token": "bearer " + u.Token, "more": 1}, nil, ""},
			"header":                    {nil, header("Authorization", "BEARER "+u.Token), ""},
			"header, empty auth":        {map[string]any{}, header("Authorization", "Bearer "+u.Token), ""},
			"auth wins over the header": {map[string]any{"token": "x"}, header("Authorization", "Bearer "+u.Token), api.CodeTokenInvalid},
			"auth wins, good":           {map[string]any{"token": u.Token}, header("Authorization", "Bearer x"), ""},
			"nothing":                   {nil, nil, api.CodeTokenMissing},
			"no token in auth":          {map[string]any{"jwt": u.Token}, nil, api.CodeTokenMissing},
			"empty":                     {map[string]any{"token": ""}, nil, api.CodeTokenMissing},
			"null":                      {map[string]any{"token": nil}, nil, api.CodeTokenMissing},
			"a number":                  {map[string]any{"token": 1}, nil, api.CodeTokenInvalid},
			"an object":                 {map[string]any{"token": map[string]any{}}, nil, api.CodeTokenInvalid},
			"garbage":                   {map[string]any{"token": "x"}, nil, api.CodeTokenInvalid},
			"expired":                   {map[string]any{"token": expired}, nil, api.CodeTokenExpired},
			"suspended":                 {map[string]any{"token": suspended.Token}, nil, api.CodeAccountSuspended},
		} {
			for _, namespace := range []string{"/donations", "/"} {
				s, err := n.Open(t.Context(), tc.header)
				if err != nil {
					t.Fatal(err)
				}
				err = s.Join(namespace, tc.auth)
				refused, ok := errors.AsType[*testkit.Refusal](err)
				switch {
				case tc.code == "" && err == nil:
					ready := testkit.Expect[api.FeedReady](n, s, api.EventFeedReady)
					if ready.User != (api.FeedUser{ID: u.ID, Role: "NGO"}) || ready.Position == "" || ready.Recovered {
						t.Errorf("%s: feed.ready %+v", name, ready)
					}
				case !ok || refused.Data.Code != tc.code || refused.Data.Retry || refused.Message == "" || tc.code == "":
					t.Errorf("%s on %s: got %v, want %q", name, namespace, err, tc.code)
				default: // the connection stays, and the client may try again (S-6)
					if err := s.Join(namespace, map[string]any{"token": u.Token}); err != nil {
						t.Errorf("%s on %s, tried again: %v", name, namespace, err)
					}
				}
				s.Abort()
			}
		}
	})
}

// One connection in both namespaces hears everything on both: P-1.
func TestBothNamespacesOnOneConnection(t *testing.T) {
	bubble(t, func(t *testing.T, n *testkit.Node) {
		u := n.User(account.Donor)
		s, err := n.Open(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Abort()
		for _, namespace := range []string{"/", "/donations"} {
			if err := s.Join(namespace, map[string]string{"token": u.Token}); err != nil {
				t.Fatal(err)
			}
			testkit.Expect[api.FeedReady](n, s, api.EventFeedReady)
		}
		d := n.Donate(u, nil)
		seen := map[string]bool{}
		for range 2 {
			text, err := s.Text()
			if err != nil {
				t.Fatal(err)
			}
			switch {
			case len(text) > 13 && text[:13] == "42/donations,":
				seen["/donations"] = true
			case text[:3] == "42[":
				seen["/"] = true
			}
		}
		if len(seen) != 2 {
			t.Errorf("donation %s was heard on %v", d.ID, seen)
		}
		if sockets, users := presence(n); sockets != 2 || users != 1 {
			t.Errorf("presence: %d sockets of %d users", sockets, users)
		}
	})
}

// presence is what the newest line of the log says.
func presence(n *testkit.Node) (sockets, users int) {
	lines := n.Logs.Lines("client connected")
	last := lines[len(lines)-1]
	s, _ := last["total_sockets"].(float64)
	u, _ := last["total_users"].(float64)
	return int(s), int(u)
}

func TestPresence(t *testing.T) {
	bubble(t, func(t *testing.T, n *testkit.Node) {
		a, b := n.User(account.Donor), n.User(account.NGO)
		first, _ := n.Watch(a)
		second := n.Plain("", testkit.Bearer(a.Token))
		testkit.Expect[api.FeedReady](n, second, api.EventFeedReady)
		third, _ := n.Watch(b)
		first.Abort()
		<-time.After(time.Second)
		if err := third.WebSocket.Close(); err != nil {
			t.Fatal(err)
		}
		<-time.After(time.Second) // one after the other
		if err := second.Close(); err != nil {
			t.Fatal(err)
		}
		<-time.After(time.Second)
		var got []testkit.Line
		for _, message := range []string{"client connected", "client disconnected"} {
			for _, l := range n.Logs.Lines(message) {
				got = append(got, testkit.Line{"msg": message, "user": l["user_id"], "door": l["door"], "sockets": l["total_sockets"], "users": l["total_users"]})
			}
		}
		want := []testkit.Line{
			{"msg": "client connected", "user": a.ID, "door": "/donations", "sockets": 1.0, "users": 1.0},
			{"msg": "client connected", "user": a.ID, "door": "plain", "sockets": 2.0, "users": 1.0},
			{"msg": "client connected", "user": b.ID, "door": "/donations", "sockets": 3.0, "users": 2.0},
			{"msg": "client disconnected", "user": a.ID, "door": "/donations", "sockets": 2.0, "users": 2.0},
			{"msg": "client disconnected", "user": b.ID, "door": "/donations", "sockets": 1.0, "users": 1.0},
			{"msg": "client disconnected", "user": a.ID, "door": "plain", "sockets": 0.0, "users": 0.0},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("log (-want +got):\n%s", diff)
		}
	})
}
