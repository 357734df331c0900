package gateway_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"larder/api"
	"larder/internal/account"
	"larder/internal/testkit"
)

// events is an open event stream.
type events struct {
	body io.ReadCloser
	in   *bufio.Reader
}

// stream opens /events; header may name more.
func stream(t *testing.T, n *testkit.Node, u *testkit.User, query string, header http.Header) *events {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, n.URL()+"/events"+query, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header = testkit.Bearer(u.Token)
	req.Header.Set("Accept", "text/event-stream")
	maps.Copy(req.Header, header)
	res, err := n.HTTP.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = res.Body.Close() })
	if res.StatusCode != http.StatusOK || !strings.HasPrefix(res.Header.Get("Content-Type"), "text/event-stream") {
		t.Fatalf("got %s, %q", res.Status, res.Header.Get("Content-Type"))
	}
	return &events{body: res.Body, in: bufio.NewReader(res.Body)}
}

// Next returns the next event. Its id must be the position of its data: a client
// that has heard feed.ready alone has something to come back with, too.
func (s *events) Next() (testkit.Event, error) {
	var e testkit.Event
	id := ""
	for {
		line, err := s.in.ReadString('\n')
		if err != nil {
			return e, err
		}
		line = strings.TrimSuffix(line, "\n")
		field, value, _ := strings.Cut(line, ": ")
		switch {
		case line == "" && e.Name != "":
			if id != e.Position() {
				return e, errors.New("id " + id + " of " + string(e.Data))
			}
			return e, nil
		case field == "event":
			e.Name = value
		case field == "data":
			e.Data = json.RawMessage(value)
		case field == "id":
			id = value
		}
	}
}

// An event stream tells what the other doors tell, resumes after a position, and
// is narrowed by its query: P-37.
func TestEventStream(t *testing.T) {
	bubble(t, func(t *testing.T, n *testkit.Node) {
		donor, ngo, u := n.User(account.Donor), n.User(account.NGO), n.User(account.Admin)
		live := stream(t, n, u, "", nil)
		ready := testkit.Expect[api.FeedReady](n, live, api.EventFeedReady)
		if ready.Recovered || ready.User.ID != u.ID || ready.Position == "" {
			t.Errorf("feed.ready: %+v", ready)
		}
		near := stream(t, n, u, "?lat=50&lng=14&radiusKm=10&statuses=AVAILABLE,CLAIMED&foodTypes=soup", nil)
		testkit.Expect[api.FeedReady](n, near, api.EventFeedReady)
		first := n.Donate(donor, map[string]any{"latitude": 50.0, "longitude": 14.0, "foodType": "Soup"})
		got := testkit.Expect[api.DonationCreated](n, live, api.EventDonationCreated)
		if got.ID != first.ID {
			t.Errorf("live: %+v", got)
		}
		n.Donate(donor, map[string]any{"latitude": 40.0, "longitude": 14.0, "foodType": "Soup"})
		n.Order(ngo, first.ID, "claim", map[string]any{})
		n.Order(donor, first.ID, "cancel", map[string]any{"reason": "x"})
		if e := testkit.Expect[api.DonationCreated](n, near, api.EventDonationCreated); e.ID != first.ID {
			t.Errorf("narrowed: %+v", e)
		}
		testkit.Expect[api.DonationClaimed](n, near, api.EventDonationClaimed)
		if e := testkit.Expect[api.FeedLeft](n, near, api.EventFeedLeft); e.DonationID != first.ID || e.Status != "CANCELLED" {
			t.Errorf("narrowed: %+v", e)
		}
		for how, back := range map[string]*events{
			"after":         stream(t, n, u, "?after="+got.Position, nil),
			"Last-Event-ID": stream(t, n, u, "?after=x", http.Header{"Last-Event-Id": {got.Position}}),
		} {
			if r := testkit.Expect[api.FeedReady](n, back, api.EventFeedReady); !r.Recovered || r.Position != got.Position {
				t.Errorf("%s: %+v", how, r)
			}
			testkit.Expect[api.DonationCreated](n, back, api.EventDonationCreated)
			testkit.Expect[api.DonationClaimed](n, back, api.EventDonationClaimed)
			testkit.Expect[api.DonationStatusUpdated](n, back, api.EventDonationStatusUpdated)
		}
		lost := stream(t, n, ngo, "?after="+testkit.OtherEpoch, nil)
		if r := testkit.Expect[api.FeedReady](n, lost, api.EventFeedReady); r.Recovered || r.Reason != "epoch" {
			t.Errorf("another epoch: %+v", r)
		}
	})
}

// What is wrong is said before the stream begins.
func TestEventStreamRefuses(t *testing.T) {
	bubble(t, func(t *testing.T, n *testkit.Node) {
		u := n.User(account.Donor)
		for query, want := range map[string]api.Code{
			"?lat=50":            api.CodeValidation,
			"?lat=x&lng=1":       api.CodeValidation,
			"?statuses=EATEN":    api.CodeValidation,
			"?foodTypes=a,,b":    api.CodeValidation,
			"?after=" + u.Token:  "", // no position: the stream says so
			"?after=&statuses=":  "",
			"?radiusKm=NaN&lat=": api.CodeValidation,
		} {
			req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, n.URL()+"/events"+query, nil)
			req.Header = testkit.Bearer(u.Token)
			req.Header.Set("Accept", "text/event-stream")
			res, err := n.HTTP.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			var body api.Error
			if want != "" {
				if err := json.NewDecoder(res.Body).Decode(&body); err != nil || res.StatusCode != 400 || body.Code != want {
					t.Errorf("%s: got %s %+v, %v", query, res.Status, body, err)
				}
			} else if res.StatusCode != 200 {
				t.Errorf("%s: got %s", query, res.Status)
			}
			_ = res.Body.Close()
		}
		for token, code := range map[string]string{"": "token_missing", "Bearer x": "token_invalid"} {
			req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, n.URL()+"/events", nil)
			req.Header = http.Header{"Authorization": {token}, "Accept": {"text/event-stream"}}
			res, err := n.HTTP.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(res.Body)
			_ = res.Body.Close()
			if res.StatusCode != 401 || !strings.Contains(string(body), code) || res.Header.Get("Www-Authenticate") == "" {
				t.Errorf("token %q: got %s %s", token, res.Status, body)
			}
		}
	})
}

// A quiet stream is kept open by comments, and ends when its account is
// suspended; nothing of it is left.
func TestEventStreamEnds(t *testing.T) {
	bubble(t, func(t *testing.T, n *testkit.Node) {
		admin, u := n.User(account.Admin), n.User(account.NGO)
		s := stream(t, n, u, "", nil)
		testkit.Expect[api.FeedReady](n, s, api.EventFeedReady)
		for range 3 {
			if line, err := s.in.ReadString('\n'); err != nil || line != ": still here\n" {
				t.Fatalf("got %q, %v", line, err)
			}
			if _, err := s.in.ReadString('\n'); err != nil {
				t.Fatal(err)
			}
		}
		start := time.Now()
		toggle(n, admin, u)
		if ex := testkit.Expect[api.Exception](n, s, api.EventException); ex.Code != api.CodeAccountSuspended {
			t.Errorf("got %+v", ex)
		}
		if _, err := s.Next(); err != io.EOF {
			t.Errorf("then %v, want the end", err)
		}
		if d := time.Since(start); d > time.Second {
			t.Errorf("after %v", d)
		}
		synctest.Wait()
		l := n.Logs.Lines("client disconnected")
		if len(l) != 1 || l[0]["reason"] != "account suspended" || l[0]["door"] != "events" {
			t.Errorf("logged %v", l)
		}
	})
}

// A stop tells the client when to come back, and ends the stream.
func TestEventStreamIsDrained(t *testing.T) {
	bubble(t, func(t *testing.T, n *testkit.Node) {
		s := stream(t, n, n.User(account.NGO), "", nil)
		testkit.Expect[api.FeedReady](n, s, api.EventFeedReady)
		n.Stopping()
		if d := testkit.Expect[api.ServerDraining](n, s, api.EventServerDraining); d.ReconnectInMs < 1000 {
			t.Errorf("got %+v", d)
		}
		if _, err := s.Next(); err != io.EOF {
			t.Errorf("then %v, want the end", err)
		}
		if err := n.Stop(); err != nil {
			t.Error(err)
		}
	})
}

// A client that stops reading is cut, costs nobody anything, and resumes: P-40.
func TestEventStreamOfASlowReader(t *testing.T) {
	bubble(t, func(t *testing.T, n *testkit.Node) {
		donor, u := n.User(account.Donor), n.User(account.Admin)
		s := stream(t, n, u, "", nil)
		ready := testkit.Expect[api.FeedReady](n, s, api.EventFeedReady)
		healthy, _ := n.Watch(u)
		var ids []string
		for range 60 {
			d := n.Donate(donor, big)
			ids = append(ids, d.ID)
			testkit.Expect[api.DonationCreated](n, healthy, api.EventDonationCreated)
		}
		synctest.Wait()
		if l := n.Logs.Lines("client disconnected"); len(l) != 1 || l[0]["reason"] != "slow" || l[0]["door"] != "events" {
			t.Errorf("logged %v", l)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		back := stream(t, n, u, "?after="+ready.Position, nil)
		testkit.Expect[api.FeedReady](n, back, api.EventFeedReady)
		var got []string
		for len(got) < len(ids) && ctx.Err() == nil {
			got = append(got, testkit.Expect[api.DonationCreated](n, back, api.EventDonationCreated).ID)
		}
		if !slices.Equal(got, ids) {
			t.Errorf("resumed: got %d of %d", len(got), len(ids))
		}
	})
}
