package gateway_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"larder/api"
	"larder/internal/account"
	"larder/internal/testkit"
)

// ear is anything that hears events.
type ear interface{ Next() (testkit.Event, error) }

// ears opens every door for a user and reads feed.ready.
func ears(t *testing.T, n *testkit.Node, u *testkit.User) map[string]ear {
	t.Helper()
	list := map[string]ear{}
	for name, open := range doors {
		d, _, err := open(t.Context(), n, u)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(d.Abort)
		list[name] = d
	}
	s := stream(t, n, u, "", nil)
	testkit.Expect[api.FeedReady](n, s, api.EventFeedReady)
	list["events"] = s
	return list
}

// own is what somebody hears until lastOne that not everybody hears, by kind, and
// the notifications among it.
func own(t *testing.T, e ear) (kinds string, list []api.Notification) {
	t.Helper()
	var names []string
	for {
		ev, err := e.Next()
		if err != nil {
			t.Fatalf("having heard %v: %v", names, err)
		}
		var v struct{ Name string }
		if json.Unmarshal(ev.Data, &v) == nil && v.Name == lastOne {
			return strings.Join(names, " "), list
		}
		switch ev.Name {
		case api.EventVolunteerAssigned:
			names = append(names, ev.Name)
		case api.EventNotification:
			var n api.Notification
			if err := json.Unmarshal(ev.Data, &n); err != nil || n.Read || n.Position == "" {
				t.Errorf("%s: %v", ev.Data, err)
			}
			names, list = append(names, n.Type), append(list, n)
		}
	}
}

// Who is concerned hears, by every door, what is stored, with its id, and nobody
// else does: P-14, P-15.
func TestNotificationsReachTheirOwners(t *testing.T) {
	bubble(t, func(t *testing.T, n *testkit.Node) {
		users := map[string]*testkit.User{
			"donor": n.User(account.Donor), "other": n.User(account.Donor), "admin": n.User(account.Admin),
			"ngo": n.User(account.NGO), "rival": n.User(account.NGO), "carrier": n.User(account.Volunteer),
			"proposed": n.User(account.Volunteer, func(a *account.Account) {
				a.Available, a.Latitude, a.Longitude = true, new(52.5), new(13.4)
			}),
		}
		all := map[string]map[string]ear{}
		for name, u := range users {
			all[name] = ears(t, n, u)
		}
		// What is one's own comes through the narrowest view.
		narrow, _ := n.Watch(users["donor"])
		if err := narrow.Emit(1, api.EventFeedSubscribe, map[string]any{"statuses": []string{"CANCELLED"}, "foodTypes": []string{"none"}}); err != nil {
			t.Fatal(err)
		}
		for range 2 { // the snapshot and its position
			if _, err := narrow.Next(); err != nil {
				t.Fatal(err)
			}
		}
		d := n.Donate(users["donor"], nil)
		n.Order(users["ngo"], d.ID, "claim", nil)
		n.Order(users["carrier"], d.ID, "status", map[string]string{"status": "PICKED_UP"})
		n.Order(users["carrier"], d.ID, "deliver", nil)
		n.Donate(users["admin"], map[string]any{"name": lastOne})
		want := map[string]string{
			"donor":    "badge_earned volunteer.assigned food_claimed food_picked_up delivery_confirmed",
			"other":    "",
			"admin":    "",
			"ngo":      "new_food_nearby volunteer.assigned badge_earned food_picked_up delivery_confirmed",
			"rival":    "new_food_nearby",
			"carrier":  "new_food_nearby badge_earned badge_earned",
			"proposed": "new_food_nearby volunteer.assigned pickup_assigned food_picked_up",
		}
		for name, u := range users {
			stored := map[string]api.Notification{}
			for _, s := range testkit.Must[[]api.Notification](n, n.Get("/notifications", u.Token), http.StatusOK) {
				stored[s.ID] = s
			}
			for door, e := range all[name] {
				got, list := own(t, e)
				if got != want[name] {
					t.Errorf("%s by %s heard %q, want %q", name, door, got, want[name])
				}
				for _, l := range list {
					s, ok := stored[l.ID]
					if l.Type == "new_food_nearby" != (l.UserID == nil) || l.UserID != nil && *l.UserID != u.ID {
						t.Errorf("%s by %s heard what is for %v: %s", name, door, l.UserID, l.Message)
					}
					l.UserID, l.Position = s.UserID, ""
					if !ok || !sameNotification(l, s) {
						t.Errorf("%s by %s heard %+v, and %+v is stored", name, door, l, s)
					}
				}
			}
			for id := range stored {
				testkit.Must[api.Success](n, n.Patch("/notifications/"+id+"/read", u.Token, nil), http.StatusOK)
			}
		}
		for kind := range strings.FieldsSeq(want["donor"]) {
			e, err := narrow.Next()
			if err != nil || e.Name != kind && !strings.Contains(string(e.Data), `"`+kind+`"`) {
				t.Errorf("with a narrow view the donor heard %s %s, %v, want %s", e.Name, e.Data, err, kind)
			}
		}
	})
}

func sameNotification(a, b api.Notification) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && string(x) == string(y)
}

// Who comes back is told what he missed, by the role that he has now: P-8, P-15,
// P-22, P-34, P-37.
func TestMissedNotifications(t *testing.T) {
	bubble(t, func(t *testing.T, n *testkit.Node) {
		donor, admin := n.User(account.Donor), n.User(account.Admin)
		stays, changes, joins := n.User(account.Volunteer), n.User(account.Volunteer), n.User(account.Donor)
		type gone struct {
			u      *testkit.User
			s      *testkit.Socket
			offset string
		}
		var left []gone
		for _, u := range []*testkit.User{stays, changes, joins} {
			s, ready := n.Watch(u)
			s.Abort()
			left = append(left, gone{u, s, ready.Position})
		}
		missed := n.Donate(donor, nil)
		operator := beside(t, n)
		for u, role := range map[*testkit.User]account.Role{changes: account.Donor, joins: account.NGO} {
			if _, err := operator.SetRole(t.Context(), u.Email, role); err != nil {
				t.Fatal(err)
			}
		}
		n.Donate(admin, map[string]any{"name": lastOne})
		synctest.Wait()
		for _, g := range left {
			want := "new_food_nearby"
			if g.u == changes {
				want = ""
			}
			back, ready, err := back(t.Context(), n, g.u, g.s.PID, g.offset)
			if err != nil || !ready.Recovered || back.ID != g.s.ID {
				t.Fatalf("back: %+v, %v", ready, err)
			}
			p := n.Plain("?after="+g.offset, testkit.Bearer(g.u.Token))
			testkit.Expect[api.FeedReady](n, p, api.EventFeedReady)
			s := stream(t, n, g.u, "", http.Header{"Last-Event-Id": {g.offset}})
			testkit.Expect[api.FeedReady](n, s, api.EventFeedReady)
			for door, e := range map[string]ear{"socket.io": back, "plain": plain{p}, "events": s} {
				got, list := own(t, e)
				if got != want || want != "" && *list[0].DonationID != missed.ID {
					t.Errorf("%s, now %s, was told %q by %s, want %q", g.u.Role, ready.User.Role, got, door, want)
				}
			}
			page := testkit.Must[api.FeedResumed](n, n.Get("/events?after="+g.offset, g.u.Token), http.StatusOK)
			told := slices.ContainsFunc(page.Events, func(e api.LoggedEvent) bool { return e.Event == api.EventNotification })
			if told != (want != "") {
				t.Errorf("%s, now %s: GET /events tells of new food: %t", g.u.Role, ready.User.Role, told)
			}
			for _, d := range []door{back, plain{p}} {
				if got := len(resumed(t, d, g.offset).Events); got != len(page.Events) {
					t.Errorf("%s: feed.resume has %d events, GET /events %d", g.u.Role, got, len(page.Events))
				}
			}
			back.Abort()
		}
	})
}

// resumed asks a door for what happened after a position.
func resumed(t *testing.T, d door, after string) (r api.FeedResumed) {
	t.Helper()
	if err := d.Emit(7, api.EventFeedResume, api.FeedResume{After: after}); err != nil {
		t.Fatal(err)
	}
	for { // behind what NGOs and volunteers are told of the last one
		e, err := d.Next()
		if err != nil {
			t.Fatal(err)
		}
		if e.Ack {
			if err := json.Unmarshal(e.Data, &r); err != nil {
				t.Fatal(err)
			}
			return r
		}
	}
}

// A live client whose role changes hears by the new one from then on: ADR 0011.
func TestRoleChangeMovesALiveClient(t *testing.T) {
	bubble(t, func(t *testing.T, n *testkit.Node) {
		donor, admin, u := n.User(account.Donor), n.User(account.Admin), n.User(account.Volunteer)
		operator := beside(t, n)
		for _, step := range []struct {
			role account.Role
			want string
		}{{account.Volunteer, "new_food_nearby"}, {account.Donor, ""}, {account.NGO, "new_food_nearby"}, {account.Admin, ""}} {
			before := ears(t, n, u)
			if _, err := operator.SetRole(t.Context(), u.Email, step.role); err != nil {
				t.Fatal(err)
			}
			if step.role != account.Volunteer { // it is one already
				for _, e := range before {
					for { // closed, so that it comes back
						if _, err := e.Next(); err != nil {
							break
						}
					}
				}
			}
			after := ears(t, n, u)
			n.Donate(donor, nil)
			n.Donate(admin, map[string]any{"name": lastOne})
			for door, e := range after {
				if got, _ := own(t, e); got != step.want {
					t.Errorf("as %s by %s: heard %q, want %q", step.role, door, got, step.want)
				}
			}
			synctest.Wait()
		}
	})
}
