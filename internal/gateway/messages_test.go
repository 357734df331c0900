package gateway_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"larder/api"
	"larder/internal/account"
	"larder/internal/testkit"
	"larder/internal/testkit/wire"
)

func next(t *testing.T, d door) testkit.Event {
	t.Helper()
	e, err := d.Next()
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestPing(t *testing.T) {
	eachDoor(t, func(t *testing.T, n *testkit.Node, open func(*testkit.User) (door, api.FeedReady)) {
		d, _ := open(n.User(account.Volunteer))
		other, _ := open(n.User(account.Donor))
		for _, id := range []int{-1, 0, 7} {
			if err := d.Emit(id, api.EventTest, map[string]any{"any": 1}); err != nil {
				t.Fatal(err)
			}
			e := next(t, d)
			var pong api.Pong
			if err := json.Unmarshal(e.Data, &pong); err != nil || e.Name != "test-response" || pong.Message != "Pong!" || pong.Timestamp.IsZero() {
				t.Errorf("got %s %s", e.Name, e.Data)
			}
			if id < 0 {
				continue
			}
			if ack := next(t, d); !ack.Ack || ack.ID != uint64(id) || string(ack.Data) != string(e.Data) {
				t.Errorf("got %+v, want the answer %d", ack, id)
			}
		}
		n.Donate(n.User(account.Donor), nil)
		if e := next(t, other); e.Name != api.EventDonationCreated { // and nothing of the pings
			t.Errorf("the other one got %s", e.Name)
		}
	})
}

// feed.resume tells what happened, in order and in full, or says why not: P-22.
func TestResume(t *testing.T) {
	eachDoor(t, func(t *testing.T, n *testkit.Node, open func(*testkit.User) (door, api.FeedReady)) {
		donor, ngo := n.User(account.Donor), n.User(account.NGO)
		d, ready := open(n.User(account.Admin))
		one := n.Donate(donor, nil)
		n.Order(ngo, one.ID, "claim", nil)
		n.Patch("/auth/profile", donor.Token, map[string]string{"name": "Somebody"}) // nobody's feed shows it
		n.Donate(donor, nil)
		var live []string
		for range 3 {
			live = append(live, next(t, d).Position())
		}
		resume := func(after any) api.FeedResumed {
			t.Helper()
			if err := d.Emit(1, api.EventFeedResume, map[string]any{"after": after}); err != nil {
				t.Fatal(err)
			}
			e := next(t, d)
			var r api.FeedResumed
			if err := json.Unmarshal(e.Data, &r); err != nil || !e.Ack || e.ID != 1 {
				t.Fatalf("got %s %s: %v", e.Name, e.Data, err)
			}
			return r
		}
		positions := func(r api.FeedResumed) (list []string) {
			for _, e := range r.Events {
				list = append(list, e.Position)
			}
			return list
		}
		all := resume(ready.Position)
		if diff := cmp.Diff(live, positions(all)); diff != "" || !all.Recovered || all.More || all.Position < live[2] {
			t.Errorf("recovered %t, more %t, position %s (-live +resumed):\n%s", all.Recovered, all.More, all.Position, diff)
		}
		if rest := resume(live[1]); cmp.Diff(live[2:], positions(rest)) != "" {
			t.Errorf("after the second: got %v", positions(rest))
		}
		if none := resume(live[2]); len(none.Events) != 0 || !none.Recovered || none.Position != all.Position {
			t.Errorf("after the last: got %+v", none)
		}
		for after, reason := range map[string]string{"x": "position", testkit.OtherEpoch: "epoch", testkit.Later(t, all.Position, 9): "ahead"} {
			if r := resume(after); r.Recovered || r.Reason != reason || r.Events == nil || len(r.Events) != 0 || r.Position != all.Position {
				t.Errorf("after %s: got %+v, want reason %s", after, r, reason)
			}
		}
	})
}

// What fails is told to who sent it, as event and as answer; the socket stays: P-21.
func TestMessagesThatFail(t *testing.T) {
	eachDoor(t, func(t *testing.T, n *testkit.Node, open func(*testkit.User) (door, api.FeedReady)) {
		d, _ := open(n.User(account.Donor))
		for name, tc := range map[string]struct {
			data any
			code []api.Code
		}{
			"no position":     {map[string]any{"after": ""}, []api.Code{api.CodeValidation}},
			"no argument":     {nil, []api.Code{api.CodeValidation, api.CodeBadRequest}},
			"a number":        {5, []api.Code{api.CodeValidation, api.CodeBadRequest}},
			"wrong type":      {map[string]any{"after": []int{1}}, []api.Code{api.CodeValidation, api.CodeBadRequest}},
			"a lot":           {map[string]any{"after": 1, "x": strings.Repeat("x", 30<<10)}, []api.Code{api.CodeValidation, api.CodeBadRequest}},
			"HTML in the way": {map[string]any{"after": 1, "x": "<&>"}, []api.Code{api.CodeValidation, api.CodeBadRequest}},
		} {
			for _, id := range []int{-1, 3} {
				if err := d.Emit(id, api.EventFeedResume, tc.data); err != nil {
					t.Fatal(err)
				}
				e := next(t, d)
				var ex api.Exception
				if err := json.Unmarshal(e.Data, &ex); err != nil || e.Name != api.EventException {
					t.Fatalf("%s: got %s %s", name, e.Name, e.Data)
				}
				if !strings.Contains(fmt.Sprint(tc.code), string(ex.Code)) || ex.Status != "error" || ex.Message == "" || ex.Cause.Pattern != api.EventFeedResume {
					t.Errorf("%s: got %+v, want code %s", name, ex, tc.code)
				}
				if len(ex.Cause.Data) > 4<<10 {
					t.Errorf("%s: %d bytes are repeated", name, len(ex.Cause.Data))
				}
				if id < 0 {
					continue
				}
				if ack := next(t, d); !ack.Ack || ack.ID != 3 || string(ack.Data) != string(e.Data) {
					t.Errorf("%s: answered %s, want %s", name, ack.Data, e.Data)
				}
			}
		}
		if err := d.Emit(1, api.EventTest); err != nil {
			t.Fatal(err)
		}
		if e := next(t, d); e.Name != api.EventTestResponse {
			t.Errorf("the socket does not work any more: %s", e.Name)
		}
	})
}

// Frames of the plain WebSocket that are no good messages: P-32, P-33.
func TestPlainFrames(t *testing.T) {
	bubble(t, func(t *testing.T, n *testkit.Node) {
		p := n.Plain("", testkit.Bearer(n.User(account.Donor).Token))
		testkit.Expect[api.FeedReady](n, p, api.EventFeedReady)
		for frame, want := range map[string][]string{
			`{"event":"test","id":"a<b"}`:                 {"test-response", `"a<b"`},
			`{"event":"test","id":1.50}`:                  {"test-response", `1.50`},
			`{"event":"test","id":null}`:                  {"test-response"},
			`{"event":"test","id":{"a":1}}`:               {"exception"},
			`{"event":"test","id":[1]}`:                   {"exception"},
			`{"event":"test","id":true}`:                  {"exception"},
			`{"event":"auth","data":{"token":""},"id":1}`: {"", `1`},
			`{"event":"nothing","data":{"a":1},"id":2}`:   {"exception", `2`},
			`{"event":"donation.created","data":{}}`:      {"exception"},
			`{"event":5}`:                                 {"exception"},
			`{"data":1}`:                                  {"exception"},
			`[]`:                                          {"exception"},
			`null`:                                        {"exception"},
			`x`:                                           {"exception"},
			``:                                            {"exception"},
			`{"event":"test"} {}`:                         {"exception"},
		} {
			if err := p.Text(frame); err != nil {
				t.Fatal(err)
			}
			if want[0] != "" {
				f, err := p.Frame()
				if err != nil || f.Event != want[0] {
					t.Fatalf("%s: got %+v, %v, want %s", frame, f, err, want[0])
				}
			}
			if len(want) > 1 {
				f, err := p.Frame()
				if err != nil || f.Event != "" || f.Data == nil || string(f.ID) != strings.NewReplacer("<", `\u003c`).Replace(want[1]) && string(f.ID) != want[1] {
					t.Fatalf("%s: got %+v %s, %v, want the answer %s", frame, f, f.ID, err, want[1])
				}
			}
		}
	})
}

// An account that sends more than it may is told when to go on, and does not do
// better with two connections: P-21, S-60.
func TestRateLimited(t *testing.T) {
	bubble(t, func(t *testing.T, n *testkit.Node) {
		u := n.User(account.Donor)
		ping := func(s *testkit.Socket) api.Exception {
			t.Helper()
			if err := s.Emit(1, api.EventTest, nil); err != nil {
				t.Fatal(err)
			}
			e, ack := next(t, s), next(t, s)
			var ex api.Exception
			if e.Name != api.EventException {
				return ex
			}
			if err := json.Unmarshal(e.Data, &ex); err != nil || string(ack.Data) != string(e.Data) {
				t.Errorf("exception %s, answer %s: %v", e.Data, ack.Data, err)
			}
			return ex
		}
		handled := 0
		for range 5 { // 4,000 at once for the account, 1,000 for each connection
			s, _ := n.Watch(u)
			t.Cleanup(s.Abort)
			for {
				ex := ping(s)
				if ex.Code == "" {
					handled++
					continue
				}
				if ex.Code != api.CodeRateLimited || ex.Status != "error" || ex.Message == "" || ex.RetryAfterMs <= 0 || ex.Cause.Pattern != api.EventTest {
					t.Errorf("got %+v", ex)
				}
				break
			}
		}
		if handled != 4*(1000-5)+20 {
			t.Errorf("%d were handled, want 4000", handled)
		}
		other, _ := n.Watch(n.User(account.NGO))
		t.Cleanup(other.Abort)
		if ex := ping(other); ex.Code != "" {
			t.Errorf("another account got %+v", ex)
		}
	})
}

// A plain WebSocket that floods is told so, and closed when it goes on (P-41).
func TestPlainFloodIsRefused(t *testing.T) {
	bubble(t, func(t *testing.T, n *testkit.Node) {
		p := n.Plain("", testkit.Bearer(n.User(account.Donor).Token))
		testkit.Expect[api.FeedReady](n, p, api.EventFeedReady)
		sent := make(chan error, 1)
		go func() {
			var err error
			for i := 0; i < 1300 && err == nil; i++ {
				err = p.Text(`{"event":"test","id":1}`)
			}
			sent <- err
		}()
		pongs, refusals := 0, 0
		for {
			f, err := p.Frame()
			if err != nil {
				if closed, ok := errors.AsType[*wire.Closed](err); !ok || closed.Code != 1013 {
					t.Errorf("got %v, want close 1013", err)
				}
				break
			}
			var ex api.Exception
			if err := json.Unmarshal(f.Data, &ex); err != nil {
				t.Fatal(err)
			}
			switch {
			case f.Event == api.EventTestResponse:
				pongs++
			case f.Event == api.EventException && ex.Code == api.CodeRateLimited && ex.RetryAfterMs > 0 && ex.Cause.Pattern == "test":
				refusals++
			}
		}
		if pongs != 1000 || refusals != 101 {
			t.Errorf("%d messages were answered and %d refused, want 1000 and 101", pongs, refusals)
		}
		p.Abort()
		<-sent
	})
}
