package gateway_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"larder/api"
	"larder/internal/account"
	"larder/internal/config"
	"larder/internal/eventlog"
	"larder/internal/fanout"
	"larder/internal/store"
	"larder/internal/testkit"
	"larder/internal/testkit/wire"
)

// back connects as the socket that was, with the offset given, and reads feed.ready.
func back(ctx context.Context, n *testkit.Node, u *testkit.User, pid, offset string) (*testkit.Socket, api.FeedReady, error) {
	var ready api.FeedReady
	s, err := n.Open(ctx, nil)
	if err != nil {
		return nil, ready, err
	}
	if err := s.Join("/donations", map[string]string{"token": u.Token, "pid": pid, "offset": offset}); err != nil {
		s.Abort()
		return nil, ready, err
	}
	e, err := s.Next()
	if err == nil && e.Name != api.EventFeedReady {
		err = fmt.Errorf("got %s first", e.Name)
	}
	if err == nil {
		err = json.Unmarshal(e.Data, &ready)
	}
	return s, ready, err
}

// A socket comes back as it was, or is told why not: P-8.
func TestRecovery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := testkit.Start(t, testkit.Options{Network: wire.Listen(), Config: func(c *config.Config) { c.EventRetention = time.Hour }})
		donor, u, other := n.User(account.Donor), n.User(account.NGO), n.User(account.NGO)
		first, ready := n.Watch(u)
		first.Abort()
		missed := n.Donate(donor, nil)
		s, again, err := back(t.Context(), n, u, first.PID, first.Offset)
		if err != nil {
			t.Fatal(err)
		}
		if !again.Recovered || again.Position != ready.Position || again.User != ready.User || s.ID != first.ID || s.PID != first.PID {
			t.Errorf("back: %+v as %s, want %s", again, s.ID, first.ID)
		}
		if e := testkit.Expect[api.DonationCreated](n, s, api.EventDonationCreated); e.ID != missed.ID || s.Offset != e.Position {
			t.Errorf("missed: %+v with offset %s", e, s.Offset)
		}
		head := s.Offset
		s.Abort()
		synctest.Wait()
		end := testkit.Must[api.FeedResumed](n, n.Get("/events", u.Token), http.StatusOK).Position // the rest is told to others
		parts := strings.Split(first.PID, ".")
		for name, tc := range map[string]struct {
			u           *testkit.User
			pid, offset string
			reason      string
		}{
			"another account":     {other, first.PID, head, "unknown"},
			"another signature":   {u, parts[0] + "." + strings.Repeat("A", len(parts[1])), head, "unknown"},
			"no signature":        {u, parts[0], head, "unknown"},
			"another socket":      {u, "x" + parts[0][1:] + "." + parts[1], head, "unknown"},
			"no pid of ours":      {u, "hello", head, "unknown"},
			"an alien offset":     {u, first.PID, "1699000000000-0", "offset"},
			"no offset":           {u, first.PID, "", "offset"},
			"ahead of the log":    {u, first.PID, testkit.Later(t, head, 7), "offset"},
			"an offset of old":    {u, first.PID, testkit.OtherEpoch, "epoch"},
			"a check letter less": {u, first.PID, head[:len(head)-1], "offset"},
		} {
			s, r, err := back(t.Context(), n, tc.u, tc.pid, tc.offset)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if r.Recovered || r.Reason != tc.reason || r.Position != end || s.ID == first.ID || s.PID == first.PID {
				t.Errorf("%s: got %+v as %s, want reason %s", name, r, s.ID, tc.reason)
			}
			s.Abort()
		}
		s, r, err := back(t.Context(), n, u, first.PID, head)
		if err != nil || !r.Recovered || r.Position != head {
			t.Errorf("with nothing missed: %+v, %v", r, err)
		}
		if err := s.Packet("1/donations,"); err != nil { // it leaves on purpose
			t.Fatal(err)
		}
		synctest.Wait()
		if s, r, err = back(t.Context(), n, u, first.PID, head); err != nil || r.Reason != "ended" {
			t.Errorf("after it has left: %+v, %v", r, err)
		}
		<-time.After(2*time.Hour + time.Second) // the log is looked through every hour
		u.Token = n.Token(u.Account, time.Now())
		if _, r, err = back(t.Context(), n, u, s.PID, head); err != nil || r.Reason != "window" {
			t.Errorf("after the window: %+v, %v", r, err)
		}
	})
}

// What the ring has no more comes from the database, and what is too much is not
// begun: P-8.
func TestRecoveryBeyondTheRing(t *testing.T) {
	n := testkit.Start(t, testkit.Options{})
	donor, u := n.User(account.Donor), n.User(account.NGO)
	fill(n, 1, 1) // which it has not missed
	end := testkit.Must[api.FeedResumed](n, n.Get("/events", u.Token), http.StatusOK).Position
	s, ready := n.Watch(u)
	for s.Abort(); ready.Position < end; s.Abort() { // not delivered yet
		s, ready = n.Watch(u)
	}
	n.Donate(donor, nil)
	fill(n, fanout.RingRecords+500, 1)
	last := n.Donate(donor, nil)
	delivered(t, n, donor, last)
	b, r, err := back(t.Context(), n, u, s.PID, s.Offset)
	if err != nil || !r.Recovered {
		t.Fatalf("back: %+v, %v", r, err)
	}
	count := 0 // the first donation, what NGOs are told of it, and half of what fill wrote
	for ; ; count++ {
		e, err := b.Next()
		if err != nil {
			t.Fatal(err)
		}
		var d api.DonationCreated
		if json.Unmarshal(e.Data, &d) == nil && d.ID == last.ID {
			break
		}
	}
	if want := (fanout.RingRecords+500)/2 + 2; count != want {
		t.Errorf("events between: got %d, want %d", count, want)
	}
	b.Abort()
	// Retention takes some of it, though all of it is still in memory.
	offset, err := eventlog.ParsePosition(s.Offset)
	if err != nil {
		t.Fatal(err)
	}
	for ahead, want := range []string{"", "window"} {
		n.Update(func(ctx context.Context, tx *store.Tx) error {
			tail, err := tx.Tail(ctx)
			if err != nil {
				return err
			}
			_, _, err = tx.Prune(ctx, time.Now().Add(time.Hour), int(offset.Seq-tail.Seq)+ahead)
			return err
		})
		b, r, err := back(t.Context(), n, u, s.PID, s.Offset)
		if err != nil || r.Recovered != (want == "") || r.Reason != want {
			t.Errorf("retention took up to the offset and %d more: %+v, %v, want reason %q", ahead, r, err, want)
		}
		b.Abort()
	}
}

// How long a socket has been there is no reason to begin anew, only how long it was
// away: whatever it comes back from, its feed stays narrowed: P-8, P-23.
func TestRecoveryHasNoAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := testkit.Start(t, testkit.Options{Network: wire.Listen(), Config: func(c *config.Config) { c.EventRetention = 30 * time.Minute }})
		donor, u := n.User(account.Donor), n.User(account.Admin)
		list := func(lat float64) api.Donation {
			return n.Donate(donor, map[string]any{"latitude": lat, "longitude": 14.0, "expiryTime": time.Now().Add(48 * time.Hour)})
		}
		narrowed := func() *testkit.Socket {
			s, _ := n.Watch(u)
			if _, _, err := subscribe(s, 1, api.FeedSubscribe{Area: circle(50, 14, 5)}); err != nil {
				t.Fatal(err)
			}
			return s
		}
		away, gone, stays := narrowed(), narrowed(), narrowed()
		away.Abort()
		gone.Abort()
		heard := make(chan error, 1)
		go func() { // it answers pings, and is cut at the end
			for {
				if _, err := stays.Next(); err != nil {
					heard <- err
					return
				}
			}
		}()
		cameBack := func(was *testkit.Socket, want api.Donation) *testkit.Socket {
			t.Helper()
			s, ready, err := back(t.Context(), n, u, was.PID, was.Offset)
			if err != nil || !ready.Recovered {
				t.Fatalf("back: %+v, %v", ready, err)
			}
			if d := testkit.Expect[api.DonationCreated](n, s, api.EventDonationCreated); d.ID != want.ID {
				t.Fatalf("missed %s, want %s", d.ID, want.ID)
			}
			s.Abort()
			return s
		}
		for range 13 { // the log is cleared once, after an hour
			<-time.After(5 * time.Minute)
			donor.Token, u.Token = n.Token(donor.Account, time.Now()), n.Token(u.Account, time.Now())
			list(10)
			away = cameBack(away, list(50))
		}
		stays.Abort()
		<-heard
		<-time.After(5 * time.Minute)
		list(10)
		cameBack(stays, list(50))
		if _, ready, err := back(t.Context(), n, u, gone.PID, gone.Offset); err != nil || ready.Reason != "window" {
			t.Errorf("away for more than an hour: %+v, %v", ready, err)
		}
	})
}

// fill appends records, every other one for everybody.
func fill(n *testkit.Node, count, size int) {
	n.Update(func(ctx context.Context, tx *store.Tx) error {
		var drafts []eventlog.Draft
		for i := range count {
			drafts = append(drafts, eventlog.Draft{
				Type: "x", Audience: eventlog.Audience{Everyone: i%2 == 0}, Payload: fmt.Appendf(nil, `{"n":"%0*d"}`, size, i), At: time.Now(),
			})
		}
		_, err := tx.Append(ctx, drafts...)
		return err
	})
}

// What is too much is not begun, be it by bytes or by number: P-8.
func TestRecoveryOfTooMuch(t *testing.T) {
	for name, tc := range map[string]struct{ count, size int }{
		"bytes":                  {4500, 4000},
		"bytes, behind the ring": {9000, 2000},
		"events":                 {20_000, 1},
	} {
		t.Run(name, func(t *testing.T) {
			n := testkit.Start(t, testkit.Options{})
			donor, u := n.User(account.Donor), n.User(account.NGO)
			s, _ := n.Watch(u)
			s.Abort()
			fill(n, tc.count, tc.size)
			delivered(t, n, donor, n.Donate(donor, nil))
			b, r, err := back(t.Context(), n, u, s.PID, s.Offset)
			if err != nil || r.Recovered || r.Reason != "limit" {
				t.Errorf("far too much: %+v, %v", r, err)
			}
			b.Abort()
		})
	}
}

// delivered waits until the stream has passed what listed a donation.
func delivered(t *testing.T, n *testkit.Node, donor *testkit.User, d api.Donation) {
	for {
		s, ready, err := n.TryWatch(t.Context(), donor)
		if err != nil { // so much is on its way that it was too slow
			continue
		}
		s.Abort()
		history := testkit.Must[[]api.LoggedEvent](n, n.Get("/donations/"+d.ID+"/history", donor.Token), 200)
		if ready.Position >= history[0].Position {
			return
		}
	}
}

// A narrowed feed stays narrowed when its client comes back, and nothing is kept
// of those that have gone, whenever they went.
func TestViewsComeAndGo(t *testing.T) {
	n := testkit.Start(t, testkit.Options{})
	donor, u := n.User(account.Donor), n.User(account.NGO)
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			s, _, err := n.TryWatch(t.Context(), u)
			if err != nil {
				t.Error(err)
				return
			}
			if _, _, err := subscribe(s, 1, api.FeedSubscribe{Area: circle(50, 14, float64(1+i%3))}); err != nil {
				t.Error(err)
			}
			pid, offset := s.PID, s.Offset
			for range 10 {
				s.Abort()
				if s, err = n.Open(t.Context(), nil); err != nil {
					t.Error(err)
					return
				}
				if rand.IntN(2) == 0 { // gone again before it is in
					_ = s.Packet(`0/donations,{"token":"` + u.Token + `","pid":"` + pid + `","offset":"` + offset + `"}`)
					continue
				}
				_ = s.Join("/donations", map[string]string{"token": u.Token, "pid": pid, "offset": offset}) // or it is replaced
			}
			s.Abort()
			// One that went at once may come in only now, and take the place of this.
			for narrowed := false; !narrowed; {
				b, r, err := back(t.Context(), n, u, pid, offset)
				if replaced(err) {
					continue
				}
				if err != nil || !r.Recovered {
					t.Errorf("back: %+v, %v", r, err)
					return
				}
				narrowed = staysNarrowed(t, n, donor, b)
				b.Abort()
			}
		})
	}
	all.Wait()
	for deadline := time.Now().Add(30 * time.Second); ; {
		r := n.Get("/metrics", "")
		if strings.Contains(string(r.Body), "larder_narrowed_clients 0\n") {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("views are left: %s", r.Body[strings.Index(string(r.Body), "larder_narrowed"):][:200])
		}
	}
}

// Of an account only the newest views are kept. Whose may be forgotten starts over, so
// that nobody hears what it did not ask for and takes it for what it did: P-8.
func TestForgottenView(t *testing.T) {
	n := testkit.Start(t, testkit.Options{})
	u, other := n.User(account.NGO), n.User(account.NGO)
	narrowed := func(u *testkit.User) *testkit.Socket {
		s, _ := n.Watch(u)
		if _, _, err := subscribe(s, 1, api.FeedSubscribe{Area: circle(50, 14, 1)}); err != nil {
			t.Fatal(err)
		}
		s.Abort()
		return s
	}
	mine, others := narrowed(u), narrowed(other)
	more := func(count int, at time.Time) {
		n.Update(func(ctx context.Context, tx *store.Tx) error {
			for i := range count {
				if err := tx.SaveView(ctx, fmt.Sprint("s", i), u.ID, "{}", at); err != nil {
					return err
				}
			}
			return nil
		})
	}
	more(store.MaxViews-1, time.Now())
	s, r, err := back(t.Context(), n, u, mine.PID, mine.Offset)
	if err != nil || !r.Recovered {
		t.Errorf("while it is kept: %+v, %v", r, err)
	}
	s.Abort()
	more(store.MaxViews, time.Now().Add(time.Second))
	if _, r, err = back(t.Context(), n, u, mine.PID, mine.Offset); err != nil || r.Recovered || r.Reason != "view" {
		t.Errorf("once it may be forgotten: %+v, %v", r, err)
	}
	if _, r, err = back(t.Context(), n, other, others.PID, others.Offset); err != nil || !r.Recovered {
		t.Errorf("another account: %+v, %v", r, err)
	}
}

func replaced(err error) bool {
	closed, ok := errors.AsType[*wire.Closed](err)
	return ok && closed.Reason == "replaced"
}

// staysNarrowed wants the next event to be of the view. It says no if the socket
// was replaced.
func staysNarrowed(t *testing.T, n *testkit.Node, donor *testkit.User, b *testkit.Socket) bool {
	there, here := n.Donate(donor, map[string]any{"latitude": 10.0}), n.Donate(donor, map[string]any{"latitude": 50.0, "longitude": 14.0})
	for {
		var d api.DonationCreated
		e, err := b.Next()
		if replaced(err) {
			return false
		}
		if err != nil || json.Unmarshal(e.Data, &d) != nil || d.ID == there.ID {
			t.Errorf("narrowed: got %s %s, %v", e.Name, e.Data, err)
			return true
		}
		if d.ID == here.ID {
			return true
		}
	}
}
