package gateway_test

import (
	"encoding/json"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"

	"larder/api"
	"larder/internal/account"
	"larder/internal/testkit"
	"larder/internal/testkit/wire"
)

// A client that stops reading is cut once 256 KiB wait for it, or after the write
// timeout. It costs nobody else anything, and finds what it missed when it is
// back: P-40.
func TestSlowReaderIsCut(t *testing.T) {
	for _, kind := range []string{"plain", "socket.io"} {
		t.Run(kind, func(t *testing.T) {
			bubble(t, func(t *testing.T, n *testkit.Node) {
				donor, u := n.User(account.Donor), n.User(account.Donor)
				slow, ready, err := doors[kind](t.Context(), n, u)
				if err != nil {
					t.Fatal(err)
				}
				defer slow.Abort()
				healthy, _ := n.Watch(u)
				plainToo := n.Plain("", testkit.Bearer(u.Token))
				testkit.Expect[api.FeedReady](n, plainToo, api.EventFeedReady)
				// A pipe has no buffer: nothing that slow does not read leaves the node.
				cutAfter := 0
				start := time.Now()
				for i := range 40 {
					d := n.Donate(donor, big)
					for _, c := range []interface{ Next() (testkit.Event, error) }{healthy, plainToo} {
						if got := testkit.Expect[api.DonationCreated](n, c, api.EventDonationCreated); got.ID != d.ID {
							t.Fatalf("heard %s, want %s", got.ID, d.ID)
						}
					}
					synctest.Wait()
					if cutAfter == 0 && len(n.Logs.Lines("client disconnected")) > 0 {
						cutAfter = i + 1
					}
				}
				if cutAfter < 15 || cutAfter > 25 {
					t.Errorf("cut after %d events of 12 KB", cutAfter)
				}
				if d := time.Since(start); d > 100*time.Millisecond {
					t.Errorf("the others waited %v for it", d)
				}
				if l := n.Logs.Lines("client disconnected"); len(l) != 1 || l[0]["reason"] != "slow" {
					t.Errorf("logged %v", l)
				}
				p := n.Plain("?after="+ready.Position, testkit.Bearer(u.Token))
				if r := testkit.Expect[api.FeedReady](n, p, api.EventFeedReady); !r.Recovered {
					t.Errorf("back: %+v", r)
				}
				for range 40 {
					testkit.Expect[api.DonationCreated](n, p, api.EventDonationCreated)
				}
			})
		})
	}
}

func TestClientThatDoesNotReadItsOneEvent(t *testing.T) {
	bubble(t, func(t *testing.T, n *testkit.Node) {
		u := n.User(account.Donor)
		p := n.Plain("", testkit.Bearer(u.Token))
		testkit.Expect[api.FeedReady](n, p, api.EventFeedReady)
		n.Donate(u, nil)
		<-time.After(9 * time.Second)
		if l := n.Logs.Lines("client disconnected"); len(l) != 0 {
			t.Fatalf("given up too early: %v", l)
		}
		<-time.After(3 * time.Second)
		if l := n.Logs.Lines("client disconnected"); len(l) != 1 || l[0]["reason"] != "slow" {
			t.Errorf("logged %v", l)
		}
	})
}

// A node that stops tells everybody, closes them with 1012 and waits for them, but
// not for long for those who do not listen or go on talking.
func TestShutdown(t *testing.T) {
	bubble(t, func(t *testing.T, n *testkit.Node) {
		u, donor := n.User(account.Admin), n.User(account.Donor)
		start := testkit.Must[api.FeedResumed](n, n.Get("/events", u.Token), 200).Position
		socket, _ := n.Watch(u)
		healthy := n.Plain("", testkit.Bearer(u.Token))
		testkit.Expect[api.FeedReady](n, healthy, api.EventFeedReady)
		stranger := n.Plain("", nil)
		talker := n.Plain("", testkit.Bearer(u.Token))
		testkit.Expect[api.FeedReady](n, talker, api.EventFeedReady)
		deaf := n.Plain("", testkit.Bearer(u.Token))
		testkit.Expect[api.FeedReady](n, deaf, api.EventFeedReady)
		n.Donate(donor, nil)
		n.Plain("?after="+start, testkit.Bearer(u.Token)) // replays to nobody
		for _, c := range []interface{ Next() (testkit.Event, error) }{socket, healthy, talker} {
			testkit.Expect[api.DonationCreated](n, c, api.EventDonationCreated)
		}
		var clients sync.WaitGroup
		clients.Go(func() { // takes the close for a greeting
			for talker.Send(wire.Frame{Op: ws.OpPing}) == nil {
				<-time.After(100 * time.Millisecond)
			}
		})
		clients.Go(func() { _, _ = io.Copy(io.Discard, talker.Conn) })
		clients.Go(func() {
			if e, err := stranger.Next(); err == nil {
				t.Errorf("stranger heard %s %s", e.Name, e.Data)
			} else if closed, ok := errors.AsType[*wire.Closed](err); !ok || closed.Code != 1012 {
				t.Errorf("stranger: %v", err)
			}
			stranger.Abort()
		})
		for _, c := range []door{socket, plain{healthy}} {
			clients.Go(func() {
				e, err := c.Next()
				var d api.ServerDraining
				if err != nil || e.Name != api.EventServerDraining || json.Unmarshal(e.Data, &d) != nil || d.ReconnectInMs <= 0 {
					t.Errorf("got %s %s, %v, want server.draining", e.Name, e.Data, err)
				}
				wantClosed(t, c, 1012)
				c.Abort()
			})
		}
		began := time.Now()
		n.Stopping()
		clients.Go(func() { // comes in the middle of it
			synctest.Wait()
			p, err := n.TryPlain(t.Context(), "", testkit.Bearer(u.Token))
			if err != nil {
				t.Errorf("coming late: %v", err)
				return
			}
			defer p.Abort()
			wantRefused(t, n, p, api.CodeDraining, 1012)
		})
		if err := n.Stop(); err != nil {
			t.Errorf("stop: %v", err)
		}
		if d := time.Since(began); d > 4*time.Second {
			t.Errorf("stopped after %v", d)
		}
		clients.Wait()
		for _, l := range n.Logs.Lines("client disconnected") {
			if l["reason"] != "server shutting down" {
				t.Errorf("logged %v", l)
			}
		}
		if strings.Contains(n.Logs.String(), `"level":"ERROR"`) {
			t.Error("an orderly stop logged errors")
		}
	})
}
