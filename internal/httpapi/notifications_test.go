package httpapi_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"larder/api"
	"larder/internal/account"
	"larder/internal/testkit"
)

var (
	_ = cases("GET /notifications", map[string]tc{
		"donor, after a claim":    {as: "donor", path: "?limit=1&_={CLAIMED}", status: 200},
		"volunteer, of new food":  {as: "volunteer", path: "?limit=1&_={AVAILABLE}", status: 200},
		"nothing":                 {as: "stranger", status: 200},
		"an admin has no part":    {as: "admin", path: "?_={AVAILABLE}", status: 200},
		"limit of 0":              {as: "ngo", path: "?limit=0", status: 400, code: invalid},
		"limit of 101":            {as: "ngo", path: "?limit=101", status: 400, code: invalid},
		"limit that is none":      {as: "ngo", path: "?limit=all", status: 400, code: invalid},
		"after what is no cursor": {as: "ngo", path: "?after=MTIz", status: 400, code: api.CodeBadRequest},
		"nobody":                  {status: 401, code: api.CodeTokenMissing},
		"suspended":               {as: "suspended", status: 403, code: api.CodeAccountSuspended},
	})
	_ = cases("PATCH /notifications/{id}/read", map[string]tc{
		"one's own":        {as: "donor", path: "/notifications/{NOTIFICATION}/read", status: 200},
		"another's":        {as: "ngo", path: "/notifications/{NOTIFICATION}/read", status: 404, code: api.CodeNotificationNotFound},
		"an admin, either": {as: "admin", path: "/notifications/{NOTIFICATION}/read", status: 404, code: api.CodeNotificationNotFound},
		"unknown":          {as: "donor", path: "/notifications/" + nobodysID + "/read", status: 404, code: api.CodeNotificationNotFound},
		"no UUID":          {as: "donor", path: "/notifications/1/read", status: 404, code: api.CodeNotificationNotFound},
		"nobody":           {path: "/notifications/" + nobodysID + "/read", status: 401, code: api.CodeTokenMissing},
	})
	_ = cases("PATCH /notifications/read-all", map[string]tc{
		"donor":     {as: "donor", status: 200},
		"nothing":   {as: "stranger", status: 200},
		"nobody":    {status: 401, code: api.CodeTokenMissing},
		"suspended": {as: "suspended", status: 403, code: api.CodeAccountSuspended},
	})
	_ = cases("GET /donations/my-deliveries", map[string]tc{
		"carrier":   {as: "carrier", path: "?_={PICKED_UP}", status: 200},
		"nothing":   {as: "stranger", status: 200},
		"nobody":    {status: 401, code: api.CodeTokenMissing},
		"suspended": {as: "banned", status: 403, code: api.CodeAccountSuspended},
	})
)

// notifications are what a user can read.
func (w *world) notifications(user, query string) []api.Notification {
	return testkit.Must[[]api.Notification](w.Node, w.Get("/notifications"+query, w.users[user].Token), http.StatusOK)
}

// notification is one of the donor's own.
func (w *world) notification(t *testing.T) string {
	id := w.donation(t, "CLAIMED")
	for _, n := range w.notifications("donor", "") {
		if n.DonationID != nil && *n.DonationID == id && n.Type == "food_claimed" {
			return n.ID
		}
	}
	t.Fatalf("the donor was not told of the claim of %s", id)
	return ""
}

func (w *world) patch(path, user string) testkit.Reply {
	return w.Do(testkit.Call{Method: http.MethodPatch, Path: path, Token: w.users[user].Token})
}

// Nobody can read or mark what others are told, by whatever route.
func TestNotificationsOfOthers(t *testing.T) {
	w := newWorld(t)
	own := w.notification(t)
	wide := w.notifications("volunteer", "")[0]
	if wide.Type != "new_food_nearby" || wide.UserID == nil || *wide.UserID != w.users["volunteer"].ID {
		t.Errorf("a role's notification as a volunteer reads it: %+v", wide)
	}
	for _, user := range []string{"stranger", "ngo", "rival", "volunteer", "admin"} {
		if r := w.patch("/notifications/"+own+"/read", user); r.Status != http.StatusNotFound {
			t.Errorf("%s marks the donor's: %s", user, r)
		}
		if list := w.notifications(user, "?userId="+w.users["donor"].ID); slices.ContainsFunc(list, func(n api.Notification) bool { return n.ID == own }) {
			t.Errorf("%s reads the donor's", user)
		}
		if r := w.Get("/events", w.users[user].Token); strings.Contains(string(r.Body), own) {
			t.Errorf("%s finds the donor's in the log", user)
		}
		if r := w.Get("/notifications/"+own, w.users[user].Token); r.Status != http.StatusNotFound {
			t.Errorf("%s: %s", user, r)
		}
	}
	for _, user := range []string{"stranger", "admin"} {
		if r := w.patch("/notifications/"+wide.ID+"/read", user); r.Status != http.StatusNotFound {
			t.Errorf("%s marks one of a role that is not his: %s", user, r)
		}
	}
	read := func(user, id string) bool {
		for _, n := range w.notifications(user, "") {
			if n.ID == id {
				return n.Read
			}
		}
		t.Errorf("%s does not find %s", user, id)
		return false
	}
	if read("donor", own) || read("volunteer", wide.ID) {
		t.Error("somebody else's attempts left a mark")
	}
	testkit.Must[api.Success](w.Node, w.patch("/notifications/"+wide.ID+"/read", "volunteer"), http.StatusOK)
	if !read("volunteer", wide.ID) || read("carrier", wide.ID) {
		t.Error("a mark on a role's notification is the reader's alone")
	}
	testkit.Must[api.Success](w.Node, w.patch("/notifications/read-all", "donor"), http.StatusOK)
	if !read("donor", own) {
		t.Error("all read, and one is not")
	}
}

func TestNotificationPages(t *testing.T) {
	w := newWorld(t)
	for range 103 {
		w.Donate(w.users["donor"], nil)
	}
	all := w.Get("/notifications", w.users["ngo"].Token)
	list := testkit.Must[[]api.Notification](w.Node, all, http.StatusOK)
	if len(list) != 100 || !strings.Contains(all.Header.Get("Link"), `rel="next"`) {
		t.Errorf("%d notifications, Link %q", len(list), all.Header.Get("Link"))
	}
	seen := map[string]bool{}
	pages := 0
	for next := "/notifications?limit=40"; next != ""; pages++ {
		r := w.Get(next, w.users["ngo"].Token)
		var before api.Time
		for i, n := range testkit.Must[[]api.Notification](w.Node, r, http.StatusOK) {
			if seen[n.ID] || i > 0 && n.CreatedAt.After(before.Time) {
				t.Errorf("page %d: %s of %v again, or out of order", pages, n.ID, n.CreatedAt)
			}
			seen[n.ID], before = true, n.CreatedAt
		}
		next, _, _ = strings.Cut(strings.TrimPrefix(r.Header.Get("Link"), "<"), ">")
	}
	if len(seen) != 103 || pages != 3 {
		t.Errorf("%d notifications on %d pages, want 103 on 3", len(seen), pages)
	}
	// A cursor of another list is none of this one.
	cursor := w.Get("/donations?limit=1", "").Header.Get("Link")
	cursor, _, _ = strings.Cut(cursor[strings.Index(cursor, "after="):], "&")
	if r := w.Get("/notifications?"+strings.TrimSuffix(cursor, `>; rel="next"`), w.users["ngo"].Token); r.Status != http.StatusBadRequest {
		t.Errorf("a cursor of donations: %s", r)
	}
}

func TestMyDeliveries(t *testing.T) {
	w := newWorld(t)
	helper := w.User(account.Volunteer, func(a *account.Account) {
		a.Name, a.Available, a.Latitude, a.Longitude = "helper", true, new(52.5), new(13.4)
	})
	w.users["helper"] = helper
	trips := func(user string) (ids []string) {
		r := w.Get("/donations/my-deliveries", w.users[user].Token)
		for _, d := range testkit.Must[[]api.Trip](w.Node, r, http.StatusOK) {
			ids = append(ids, d.ID)
			if d.Donor.ID != w.users["donor"].ID || d.Donor.OrganizationName == nil || *d.Donor.OrganizationName != "Corner Bakery" {
				t.Errorf("donor %+v", d.Donor)
			}
			if d.DonorTrustScore == nil || *d.DonorTrustScore != 4 {
				t.Errorf("donorTrustScore of %s: got %v, want 4", d.ID, d.DonorTrustScore)
			}
		}
		for _, secret := range []string{"@example.org", "password", "hash", "$argon"} {
			if strings.Contains(string(r.Body), secret) {
				t.Errorf("the answer holds %q: %s", secret, r.Body)
			}
		}
		return ids
	}
	want := func(what string, ids map[string][]string) {
		t.Helper()
		for user, list := range ids {
			if got := trips(user); !slices.Equal(got, list) {
				t.Errorf("%s: %s has %v, want %v", what, user, got, list)
			}
		}
	}
	w.donation(t, "AVAILABLE")
	testkit.Must[api.Feedback](w.Node, w.Post("/feedback", w.users["ngo"].Token, api.FeedbackRequest{
		DonationID: w.donation(t, "DELIVERED"), Rating: 4,
	}), http.StatusCreated)
	first, second := w.donation(t, "CLAIMED"), w.donation(t, "CLAIMED")
	want("claimed", map[string][]string{"ngo": {second, first}, "helper": {second, first}, "carrier": nil, "donor": nil, "rival": nil, "admin": nil})
	w.Order(w.users["carrier"], first, "status", map[string]string{"status": "PICKED_UP"})
	want("picked up by another", map[string][]string{"ngo": {second, first}, "helper": {second}, "carrier": {first}})
	w.Order(w.users["helper"], second, "status", map[string]string{"status": "PICKED_UP"})
	w.Order(w.users["carrier"], first, "deliver", nil)
	want("on the way", map[string][]string{"ngo": {second}, "helper": {second}, "carrier": nil})
	third := w.donation(t, "CLAIMED")
	w.Order(w.users["ngo"], third, "release", nil)
	want("released", map[string][]string{"ngo": {second}, "helper": {second}})
}
