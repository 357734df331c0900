package httpapi_test

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"larder/api"
	"larder/internal/account"
	"larder/internal/donation"
	"larder/internal/store"
	"larder/internal/testkit"
)

func names(list []api.Donation) []string {
	out := []string{}
	for _, d := range list {
		out = append(out, d.Name)
	}
	return out
}

func (w *world) list(query string) []api.Donation {
	return testkit.Must[[]api.Donation](w.Node, w.Get("/donations"+query, ""), http.StatusOK)
}

func TestListByStatus(t *testing.T) {
	w := newWorld(t)
	for _, status := range []string{"AVAILABLE", "CLAIMED", "PICKED_UP", "DELIVERED", "CANCELLED", "EXPIRED"} {
		w.fill(t, "{"+status+"}")
	}
	for query, want := range map[string][]string{
		"":                                 {"AVAILABLE", "CLAIMED", "DELIVERED", "PICKED_UP"},
		"?status=":                         {"AVAILABLE", "CLAIMED", "DELIVERED", "PICKED_UP"},
		"?status=LOST":                     {"AVAILABLE", "CLAIMED", "DELIVERED", "PICKED_UP"},
		"?status=available":                {"AVAILABLE"},
		"?status=EXPIRED,%20Cancelled,x":   {"CANCELLED", "EXPIRED"},
		"?status=PICKED_UP&status=CLAIMED": {"PICKED_UP"}, // of a parameter that is given twice the first counts
	} {
		var got []string
		for _, d := range w.list(query) {
			got = append(got, d.Status)
			if d.Distance != nil {
				t.Errorf("%s: distance without a place", query)
			}
		}
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", query, diff)
		}
	}
}

func TestListWithinARadius(t *testing.T) {
	w := newWorld(t)
	for name, at := range map[string][2]float64{
		"here": {52.52, 13.405}, "4.9 km": {52.564, 13.405}, "5.1 km": {52.566, 13.405}, "Potsdam": {52.39, 13.06},
		"pole": {90, 0}, "near the pole": {89.99, 180}, "date line": {0, 179.99}, "other side": {0, -179.99},
	} {
		w.Donate(w.users["donor"], map[string]any{"name": name, "latitude": at[0], "longitude": at[1]})
	}
	for query, want := range map[string][]string{
		"?latitude=52.52&longitude=13.405":                  {"4.9 km", "here"},
		"?latitude=52.52&longitude=13.405&radius=5.2":       {"4.9 km", "5.1 km", "here"},
		"?latitude=52.52&longitude=13.405&radius=0.001":     {"here"},
		"?latitude=52.52&longitude=13.405&radius=50":        {"4.9 km", "5.1 km", "Potsdam", "here"},
		"?latitude=90&longitude=-77":                        {"near the pole", "pole"},
		"?latitude=0&longitude=180":                         {"date line", "other side"},
		"?latitude=0&longitude=-180":                        {"date line", "other side"},
		"?latitude=-52.52&longitude=-166.595&radius=100":    {},
		"?latitude=-52.52&longitude=-166.595&radius=20040":  {"4.9 km", "5.1 km", "Potsdam", "date line", "here", "near the pole", "other side", "pole"},
		"?latitude=%2B52.52&longitude=13.405&radius=0.0010": {"here"},
	} {
		list := w.list(query)
		got := names(list)
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", query, diff)
		}
		for _, d := range list {
			if d.Distance == nil || math.IsNaN(*d.Distance) || *d.Distance < 0 || *d.Distance > 20_040 {
				t.Errorf("%s: distance of %s is %v", query, d.Name, d.Distance)
			}
		}
	}
}

var nextLink = regexp.MustCompile(`^<(/donations\?[^>]+)>; rel="next"$`)

// Pages are followed by their Link alone; together they are the list, newest
// first, with what was asked for kept.
func TestListInPages(t *testing.T) {
	w := newWorld(t)
	for i := range 23 {
		w.Donate(w.users["donor"], map[string]any{"name": fmt.Sprint(i), "latitude": 10, "longitude": 10})
		w.Donate(w.users["donor"], map[string]any{"name": "elsewhere", "latitude": 20, "longitude": 10})
	}
	const query = "?latitude=10&longitude=10&radius=1&status=AVAILABLE"
	var want []string
	for i := range 23 {
		want = append(want, fmt.Sprint(22-i))
	}
	if diff := cmp.Diff(want, names(w.list(query))); diff != "" {
		t.Fatalf("the whole list (-want +got):\n%s", diff)
	}
	for _, limit := range []int{1, 5, 22, 23, 24} {
		var got []string
		path := fmt.Sprintf("/donations%s&limit=%d", query, limit)
		for pages := 0; path != ""; pages++ {
			r := w.Get(path, "")
			page := testkit.Must[[]api.Donation](w.Node, r, 200)
			if len(page) > limit || len(page) == 0 || pages > 23 {
				t.Fatalf("limit %d: page %d has %d entries", limit, pages, len(page))
			}
			got, path = append(got, names(page)...), ""
			if link := r.Header.Get("Link"); link != "" {
				m := nextLink.FindStringSubmatch(link)
				if m == nil {
					t.Fatalf("Link: %q", link)
				}
				path = m[1]
				w.Donate(w.users["donor"], map[string]any{"name": "newer", "latitude": 10.5, "longitude": 10}) // not in a later page
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("pages of %d (-want +got):\n%s", limit, diff)
		}
	}
}

// many inserts donations of a status, several of one moment, the last the newest.
func (w *world) many(n int, at time.Time, change func(i int, d *donation.Donation)) (ids []string) {
	w.Update(func(ctx context.Context, tx *store.Tx) error {
		for i := range n {
			d := donation.Donation{
				ID: uuid.NewString(), Name: "Bread", FoodType: "Bakery", Quantity: 1, Unit: "kg", Latitude: 10, Longitude: 10,
				DonorID: w.users["donor"].ID, DonorName: "donor", Version: 1, UpdatedAt: at,
				CreatedAt: at.Add(time.Duration(i/9) * time.Millisecond), PreparationTime: at, ExpiryTime: at.AddDate(1, 0, 0),
			}
			change(i, &d)
			if err := tx.InsertDonation(ctx, d); err != nil {
				return err
			}
			ids = append(ids, d.ID)
		}
		return nil
	})
	return ids
}

// follow reads a list to its end by its Links alone: the ids, or positions, of each
// answer.
func (w *world) follow(path, token string) (answers [][]string) {
	for path != "" && len(answers) < 50 {
		r := w.Get(path, token)
		var ids []string
		for _, e := range testkit.Must[[]struct{ ID, Position string }](w.Node, r, http.StatusOK) {
			ids = append(ids, e.ID+e.Position)
		}
		answers, path = append(answers, ids), ""
		if link := r.Header.Get("Link"); link != "" {
			path, _, _ = strings.Cut(strings.TrimPrefix(link, "<"), ">")
		}
	}
	return answers
}

// Whoever asks for no page has the newest 1,000 of each status: what was delivered
// since does not hide what is open.
func TestABareListKeepsWhatIsOpen(t *testing.T) {
	w := newWorld(t)
	now := time.Now().UTC().Truncate(time.Millisecond)
	open := w.many(2, now.Add(-time.Hour), func(i int, d *donation.Donation) {
		d.Status = []donation.Status{donation.Available, donation.PickedUp}[i]
	})
	w.many(1002, now.Add(-time.Minute), func(i int, d *donation.Donation) {
		d.Status = donation.Delivered
		if i == 5 || i == 500 {
			d.Latitude = 20
		}
	})
	newest := w.many(1, now, func(_ int, d *donation.Donation) { d.Status = donation.Claimed })[0]

	r := w.Get("/donations?radius=20000&latitude=10&longitude=10", "")
	list := testkit.Must[[]api.Donation](w.Node, r, http.StatusOK)
	count := map[string]int{}
	for i, d := range list {
		count[d.Status]++
		if i > 0 && (d.CreatedAt.After(list[i-1].CreatedAt.Time) || d.CreatedAt == list[i-1].CreatedAt && d.ID >= list[i-1].ID) {
			t.Fatalf("entry %d, %s of %v, comes after %s of %v", i, d.ID, d.CreatedAt, list[i-1].ID, list[i-1].CreatedAt)
		}
	}
	if diff := cmp.Diff(map[string]int{"AVAILABLE": 1, "CLAIMED": 1, "PICKED_UP": 1, "DELIVERED": 1000}, count); diff != "" {
		t.Errorf("statuses (-want +got):\n%s", diff)
	}
	if n := len(list); list[0].ID != newest || !slices.Contains(open, list[n-1].ID) || !slices.Contains(open, list[n-2].ID) {
		t.Errorf("the list begins with %s, want %s, and ends with %s and %s, want %v", list[0].ID, newest, list[n-2].ID, list[n-1].ID, open)
	}
	if got, want := r.Header.Get("Link"), `</donations?latitude=10&limit=1000&longitude=10&radius=20000>; rel="first"`; got != want {
		t.Errorf("Link: got %s, want %s", got, want)
	}
	for path, want := range map[string][]int{
		"/donations":                                          {1003, 1000, 5}, // the bare list, and the pages that it leads to
		"/donations?limit=1000":                               {1000, 5},
		"/donations?status=DELIVERED":                         {1000, 1000, 2},
		"/donations?latitude=10&longitude=10&radius=1":        {1003}, // exactly 1,000 were delivered there
		"/donations?status=AVAILABLE,CLAIMED,claimed,EXPIRED": {2},
	} {
		answers := w.follow(path, "")
		var got []int
		for _, ids := range answers {
			got = append(got, len(ids))
		}
		pages := slices.Sorted(slices.Values(slices.Concat(answers[max(0, len(answers)-2):]...)))
		if n := len(pages); len(slices.Compact(pages)) != n {
			t.Errorf("%s: an entry comes twice in its pages", path)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: entries of each answer (-want +got):\n%s", path, diff)
		}
	}
	// A cursor asks for a page, too.
	page := w.Get("/donations?limit=1", "").Header.Get("Link")
	after, _, _ := strings.Cut(page[strings.Index(page, "after="):], "&")
	if r := w.Get("/donations?"+after, ""); len(testkit.Must[[]api.Donation](w.Node, r, http.StatusOK)) != 1000 || nextLink.FindString(r.Header.Get("Link")) == "" {
		t.Errorf("after a cursor without limit: Link %q", r.Header.Get("Link"))
	}
}

// Other lists are cut at a page, too, and say so.
func TestListsInPages(t *testing.T) {
	w := newWorld(t)
	var id string
	for range 3 {
		id = w.donation(t, "CLAIMED")
	}
	w.Order(w.users["ngo"], id, "release", nil)
	w.Order(w.users["ngo"], id, "claim", nil)
	for range 2 {
		w.User(account.NGO, testkit.Unverified)
	}
	for path, tc := range map[string]struct {
		as   string
		most int
	}{
		"/donations/my-deliveries":      {"ngo", 3},
		"/donations/" + id + "/history": {"donor", 4},
		"/admin/pending-ngos":           {"admin", 3},
		"/admin/users":                  {"admin", 12},
	} {
		token := w.users[tc.as].Token
		want := w.follow(path, token)
		if len(want) != 1 || len(want[0]) != tc.most {
			t.Errorf("%s: got %v, want %d entries at once", path, want, tc.most)
		}
		for _, limit := range []int{1, 2, tc.most} {
			got := w.follow(fmt.Sprintf("%s?limit=%d", path, limit), token)
			if diff := cmp.Diff(want[0], slices.Concat(got...)); diff != "" || len(got[0]) != limit {
				t.Errorf("%s: pages of %d, the first of %d (-want +got):\n%s", path, limit, len(got[0]), diff)
			}
		}
		for _, query := range []string{"?limit=0", "?limit=1001", "?limit=all", "?after=x", "?after=" + testkit.OtherEpoch} {
			wantRefusal(t, path+query, w.Get(path+query, token), http.StatusBadRequest, "")
		}
	}
}

// An account is in the list of its kind however many came later, and of the NGOs that
// wait the first to come is the first to be seen.
func TestListsOfManyAccounts(t *testing.T) {
	w := newWorld(t)
	w.Update(func(ctx context.Context, tx *store.Tx) error {
		for i := range 1001 {
			a := account.Account{ID: uuid.NewString(), Role: account.NGO, Active: true, CreatedAt: time.Now().Add(time.Hour)}
			a.Email = fmt.Sprintf("ngo-%d@example.org", i)
			if err := tx.InsertAccount(ctx, a, ""); err != nil {
				return err
			}
		}
		return nil
	})
	for path, tc := range map[string]struct {
		sizes       []int
		first, last string // of users that were there before
	}{
		"/admin/pending-ngos": {[]int{1000, 2}, "unverified", ""},
		"/admin/users":        {[]int{1000, 11}, "", "admin"},
	} {
		var sizes []int
		answers := w.follow(path, w.users["admin"].Token)
		for _, ids := range answers {
			sizes = append(sizes, len(ids))
		}
		if diff := cmp.Diff(tc.sizes, sizes); diff != "" {
			t.Errorf("%s: entries of each page (-want +got):\n%s", path, diff)
		}
		ids := slices.Concat(answers...)
		if tc.first != "" && ids[0] != w.users[tc.first].ID {
			t.Errorf("%s: begins with %s, want %s", path, ids[0], tc.first)
		}
		if tc.last != "" && ids[len(ids)-1] != w.users[tc.last].ID {
			t.Errorf("%s: ends with %s, want %s", path, ids[len(ids)-1], tc.last)
		}
		slices.Sort(ids)
		if n := len(ids); len(slices.Compact(ids)) != n {
			t.Errorf("%s: an account comes twice", path)
		}
	}
}

// GET /events is followed by its position, and agrees with the histories.
func TestEventsInPages(t *testing.T) {
	w := newWorld(t)
	w.fill(t, "{DELIVERED}{CANCELLED}{CLAIMED}{AVAILABLE}")
	w.Patch("/admin/users/"+w.users["banned"].ID+"/toggle-status", w.users["admin"].Token, nil)
	all := testkit.Must[api.FeedResumed](w.Node, w.Get("/events", w.users["rival"].Token), 200)
	if len(all.Events) != 4+2+2+1+4 /* of new food, as every NGO */ || !all.Recovered || all.More {
		t.Fatalf("got %d events, recovered %t, more %t", len(all.Events), all.Recovered, all.More)
	}
	var got []api.LoggedEvent
	for after, more := "", true; more; {
		page := testkit.Must[api.FeedResumed](w.Node, w.Get("/events?limit=2&after="+after, w.users["rival"].Token), 200)
		if !page.Recovered || len(page.Events) > 2 {
			t.Fatalf("got %+v", page)
		}
		got, after, more = append(got, page.Events...), page.Position, page.More
	}
	if diff := cmp.Diff(all.Events, got); diff != "" {
		t.Errorf("pages (-all +pages):\n%s", diff)
	}
	for after, reason := range map[string]string{"x": "position", testkit.OtherEpoch: "epoch", testkit.Later(t, all.Position, 9): "ahead"} {
		page := testkit.Must[api.FeedResumed](w.Node, w.Get("/events?after="+after, w.users["rival"].Token), 200)
		if page.Recovered || page.Reason != reason || len(page.Events) != 0 || page.Position != all.Position {
			t.Errorf("after %s: got %+v, want reason %s", after, page, reason)
		}
	}
}
