package gateway_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"larder/api"
	"larder/internal/account"
	"larder/internal/donation"
	"larder/internal/feed"
	"larder/internal/geo"
	"larder/internal/testkit"
)

// told is what a client heard after one feed.subscribe.
type told struct {
	view     feed.View
	snapshot api.FeedSubscribed
	heard    []testkit.Event
}

// views that divide what the writers below do.
var wishes = []api.FeedSubscribe{
	{},
	{Statuses: []string{"AVAILABLE"}},
	{Statuses: []string{"CLAIMED", "CANCELLED"}},
	{Area: circle(50, 14, 100)},
	{Area: circle(50, 14, 100), Statuses: []string{"AVAILABLE"}},
	{Area: circle(10, 10, 100), FoodTypes: []string{"BREAD"}},
	{Area: circle(50, 14, 20_000), FoodTypes: []string{"soup"}, Statuses: []string{"AVAILABLE", "CLAIMED"}},
}

func circle(lat, lng, km float64) *api.FeedArea {
	return &api.FeedArea{Lat: &lat, Lng: &lng, RadiusKm: &km}
}

// subscribe changes the view of a client, and reads up to the end of the answer.
// What came before it belongs to the view before.
func subscribe(d door, id int, wish api.FeedSubscribe) (before []testkit.Event, t told, err error) {
	t.view, _ = feed.NewView(wish)
	if err := d.Emit(id, api.EventFeedSubscribe, wish); err != nil {
		return nil, t, err
	}
	for {
		e, err := d.Next()
		switch {
		case err != nil:
			return before, t, err
		case !e.Ack:
			before = append(before, e)
			continue
		}
		if err := json.Unmarshal(e.Data, &t.snapshot); err != nil {
			return before, t, err
		}
		e, err = d.Next()
		if err == nil && (e.Name != api.EventFeedPosition || e.Position() != t.snapshot.Position) {
			err = fmt.Errorf("behind the snapshot of %s came %s %s", t.snapshot.Position, e.Name, e.Data)
		}
		return before, t, err
	}
}

// However clients change their views while others write, at each moment they have
// what the log says: a snapshot is what the view showed at its position, and after
// it each hears every record that touches the view, once and in order, until it
// asks for something else: P-23, P-26.
func TestViewsWhileOthersWrite(t *testing.T) {
	n := testkit.Start(t, testkit.Options{})
	donor, ngo, reader := n.User(account.Donor), n.User(account.NGO), n.User(account.Donor) // who is told of nothing else
	start := n.Donate(donor, nil)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	var clients, writers, whole sync.WaitGroup
	var mu sync.Mutex
	all := map[string][][]told{}
	done := make(chan struct{})
	for name, open := range doors {
		for range 3 {
			whole.Add(1)
			clients.Go(func() {
				arrived := sync.OnceFunc(whole.Done)
				defer arrived()
				d, _, err := open(ctx, n, reader)
				if err != nil {
					t.Error(err)
					return
				}
				defer d.Abort()
				var history []told
				for id, last := 1, false; !last; id++ {
					select {
					case <-done:
						last = true
					default:
					}
					wish := wishes[rand.IntN(len(wishes))]
					if last { // what comes now is heard to the end
						wish = wishes[0]
					}
					before, next, err := subscribe(d, id, wish)
					if err != nil {
						t.Errorf("%s: %v", name, err)
						return
					}
					if len(history) > 0 {
						history[len(history)-1].heard = append(history[len(history)-1].heard, before...)
					}
					if last {
						arrived()
						next.heard, err = hearOut(d)
						if err != nil {
							t.Errorf("%s: %v", name, err)
						}
					}
					for range rand.IntN(8) {
						if last {
							break
						}
						e, err := nextWithin(d, done)
						if err != nil {
							t.Errorf("%s: %v", name, err)
							return
						}
						if e.Name != "" {
							next.heard = append(next.heard, e)
						}
					}
					history = append(history, next)
				}
				mu.Lock()
				defer mu.Unlock()
				all[name] = append(all[name], history)
			})
		}
	}
	for range 3 {
		writers.Go(func() { churn(ctx, t, n, donor, ngo, 12) })
	}
	writers.Wait()
	close(done)
	churn(ctx, t, n, donor, ngo, 5) // whoever waits for an event of its view hears of it
	for _, food := range []string{"bread", "soup"} {
		for _, at := range []float64{50, 10} {
			d := n.Donate(donor, map[string]any{"latitude": at, "longitude": map[float64]float64{50: 14, 10: 10}[at], "foodType": food})
			n.Order(ngo, d.ID, "claim", map[string]any{})
		}
	}
	whole.Wait()
	n.Donate(donor, map[string]any{"name": lastOne})
	clients.Wait()
	w := newWorldline(t, n, reader, start)
	changes := 0
	for name, histories := range all {
		for _, history := range histories {
			for i, s := range history {
				changes++
				until := ""
				if i+1 < len(history) {
					until = history[i+1].snapshot.Position
				}
				w.check(t, name, s, until)
			}
		}
	}
	if changes < 30 {
		t.Errorf("only %d views: the test shows little", changes)
	}
	t.Logf("%d views, %d records", changes, len(w.records))
}

// hearOut reads until lastOne.
func hearOut(d door) (heard []testkit.Event, err error) {
	for {
		e, err := d.Next()
		if err != nil {
			return heard, err
		}
		heard = append(heard, e)
		var v struct{ Name string }
		if json.Unmarshal(e.Data, &v) == nil && v.Name == lastOne {
			return heard, nil
		}
	}
}

// nextWithin reads the next event; a test that is over makes do with none when
// the reader is in the middle of a quiet view.
func nextWithin(d door, done <-chan struct{}) (testkit.Event, error) {
	select {
	case <-done:
		return testkit.Event{}, nil
	default:
	}
	return d.Next()
}

// churn lists donations here and there, and claims, releases and cancels them.
func churn(ctx context.Context, t *testing.T, n *testkit.Node, donor, ngo *testkit.User, count int) {
	call := func(method, path, token string, body any) testkit.Reply {
		r, err := n.Try(ctx, testkit.Call{Method: method, Path: path, Token: token, Body: body})
		if err != nil || r.Status >= 300 {
			t.Errorf("%s %s: got %s, %v", method, path, r, err)
		}
		return r
	}
	for range count {
		place := [][2]float64{{50, 14}, {10, 10}, {-33, 151}}[rand.IntN(3)]
		var d api.Donation
		r := call(http.MethodPost, "/donations", donor.Token, testkit.Draft(map[string]any{
			"latitude": place[0], "longitude": place[1], "foodType": []string{"Bread", "soup"}[rand.IntN(2)],
		}))
		if err := json.Unmarshal(r.Body, &d); err != nil {
			t.Error(err)
			return
		}
		path := "/donations/" + d.ID
		call(http.MethodPatch, path+"/claim", ngo.Token, map[string]any{})
		call(http.MethodPatch, path+"/release", ngo.Token, map[string]any{"reason": "x"})
		if rand.IntN(2) == 0 {
			call(http.MethodPatch, path+"/cancel", donor.Token, map[string]any{"reason": "x"})
		}
	}
}

// worldline is the log, and what each donation was at each position.
type worldline struct {
	records []api.LoggedEvent
	facts   map[string]donation.Donation // place and food, by id
}

func newWorldline(t *testing.T, n *testkit.Node, reader *testkit.User, first api.Donation) *worldline {
	t.Helper()
	w := &worldline{facts: map[string]donation.Donation{}}
	for after, more := "", true; more; {
		page := testkit.Must[api.FeedResumed](n, n.Get("/events?after="+after, reader.Token), 200)
		w.records, after, more = append(w.records, page.Events...), page.Position, page.More
	}
	for _, d := range testkit.Must[[]api.Donation](n, n.Get("/donations?status=AVAILABLE,CLAIMED,CANCELLED&limit=1000", reader.Token), 200) {
		w.facts[d.ID] = donation.Donation{ID: d.ID, Latitude: d.Latitude, Longitude: d.Longitude, FoodType: d.FoodType}
	}
	if _, ok := w.facts[first.ID]; !ok {
		t.Fatal("the list of donations has not the first one")
	}
	return w
}

func subject(e api.LoggedEvent) (id, status string) {
	var v struct{ ID, DonationID, Status string }
	_ = json.Unmarshal(e.Data, &v)
	return v.ID + v.DonationID, v.Status
}

// check compares one view with the log, from its snapshot to the next.
func (w *worldline) check(t *testing.T, name string, s told, until string) {
	t.Helper()
	status := map[string]donation.Status{}
	in := func(id string) bool {
		d := w.facts[id]
		d.Status = status[id]
		return status[id] != "" && holds(s.view, d)
	}
	var expected []string
	for _, e := range w.records {
		id, now := subject(e)
		was := in(id)
		status[id] = donation.Status(now)
		switch {
		case e.Position <= s.snapshot.Position:
			if e.Position == s.snapshot.Position {
				w.checkSnapshot(t, name, s, status, in)
			}
		case until != "" && e.Position > until:
		case was && in(id), e.Event == api.EventDonationCreated && in(id):
			expected = append(expected, e.Position+" "+e.Event)
		case in(id):
			expected = append(expected, e.Position+" "+api.EventFeedEntered)
		case was:
			expected = append(expected, e.Position+" "+api.EventFeedLeft)
		}
	}
	var heard []string
	for _, e := range s.heard {
		heard = append(heard, e.Position()+" "+e.Name)
	}
	// It hears nothing any more from the moment when it asks for another view until
	// the snapshot, which tells that part.
	if until == "" && len(heard) != len(expected) || len(heard) > len(expected) || !slices.Equal(heard, expected[:len(heard)]) {
		t.Errorf("%s, view %s after %s until %s:\nheard %q\n want %q", name, s.view.Key(), s.snapshot.Position, until, heard, expected)
	}
}

func (w *worldline) checkSnapshot(t *testing.T, name string, s told, status map[string]donation.Status, in func(string) bool) {
	t.Helper()
	want := map[string]string{}
	for id, st := range status {
		if in(id) && (len(s.view.Statuses) > 0 || st == donation.Available || st == donation.Claimed) {
			want[id] = string(st)
		}
	}
	got := map[string]string{}
	for _, d := range s.snapshot.Items {
		got[d.ID] = d.Status
	}
	if len(got) != len(want) || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%s, snapshot of %s at %s: got %v, want %v", name, s.view.Key(), s.snapshot.Position, got, want)
	}
}

// holds is written anew here, from P-23.
func holds(v feed.View, d donation.Donation) bool {
	food := map[string]string{"Bread": "bread", "bread": "bread", "soup": "soup"}[d.FoodType]
	return (v.Area == nil || geo.Distance(v.Area.Lat, v.Area.Lng, d.Latitude, d.Longitude) <= v.Area.RadiusKm) &&
		(len(v.Statuses) == 0 || slices.Contains(v.Statuses, d.Status)) &&
		(len(v.FoodTypes) == 0 || slices.Contains(v.FoodTypes, food))
}

// What a view that can't be had leaves behind: the old one, also for a socket that
// comes back. When it is not known which is kept, the socket does not come back: P-23.
func TestViewThatFails(t *testing.T) {
	for name, tc := range map[string]struct {
		sql    string
		closed bool
	}{
		"no snapshot": {`UPDATE donations SET quantity = 'much'`, false},
		"not kept":    {`DROP TABLE views`, true},
	} {
		t.Run(name, func(t *testing.T) {
			n := testkit.Start(t, testkit.Options{})
			donor, u := n.User(account.Donor), n.User(account.Admin) // who is told of nothing else
			s, _, err := n.TryWatch(t.Context(), u)
			if err != nil {
				t.Fatal(err)
			}
			n.Donate(donor, nil)
			testkit.Expect[api.DonationCreated](n, s, api.EventDonationCreated)
			db, err := sql.Open("sqlite", strings.TrimPrefix(n.Config.DatabaseURL, "sqlite:")+"?_pragma=busy_timeout(10000)")
			if err == nil {
				_, err = db.ExecContext(t.Context(), tc.sql)
				err = errors.Join(err, db.Close())
			}
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Emit(1, api.EventFeedSubscribe, api.FeedSubscribe{FoodTypes: []string{"another"}}); err != nil {
				t.Fatal(err)
			}
			if tc.closed {
				if e, err := s.Next(); err == nil {
					t.Errorf("a view that may be kept: got %s %s, want the end", e.Name, e.Data)
				}
			} else {
				for _, want := range []string{api.EventException, ""} { // and the ack
					if e, err := s.Next(); err != nil || e.Name != want {
						t.Fatalf("a view that can't be had: got %s %s, %v", e.Name, e.Data, err)
					}
				}
				live := n.Donate(donor, nil)
				if d := testkit.Expect[api.DonationCreated](n, s, api.EventDonationCreated); d.ID != live.ID {
					t.Errorf("live: got %+v, want %s", d, live.ID)
				}
				s.Abort()
			}
			missed := n.Donate(donor, nil)
			b, ready, err := back(t.Context(), n, u, s.PID, s.Offset)
			if err != nil || ready.Recovered == tc.closed || tc.closed && ready.Reason != "ended" {
				t.Fatalf("back: got %+v, %v", ready, err)
			}
			if !tc.closed {
				if d := testkit.Expect[api.DonationCreated](n, b, api.EventDonationCreated); d.ID != missed.ID {
					t.Errorf("missed: got %+v, want %s", d, missed.ID)
				}
			}
			b.Abort()
		})
	}
}
