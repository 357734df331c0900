package gateway_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"

	"github.com/gobwas/ws"
	"go.uber.org/goleak"

	"larder/api"
	"larder/internal/testkit"
	"larder/internal/testkit/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bubble runs a test on a node whose clock is the bubble's. What is left running
// at the end fails it.
func bubble(t *testing.T, f func(t *testing.T, n *testkit.Node)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { f(t, testkit.Start(t, testkit.Options{Network: wire.Listen()})) })
}

// door is one of the two ways in, after feed.ready.
type door interface {
	Next() (testkit.Event, error)
	Emit(id int, name string, args ...any) error
	Abort()
}

// plain is the plain WebSocket as a door.
type plain struct{ *testkit.Plain }

func (p plain) Emit(id int, name string, args ...any) error {
	f := map[string]any{"event": name}
	if len(args) > 0 {
		f["data"] = args[0]
	}
	if id >= 0 {
		f["id"] = id
	}
	text, err := json.Marshal(f)
	if err != nil {
		return err
	}
	return p.Text(string(text))
}

// Next also reads the id of an answer.
func (p plain) Next() (testkit.Event, error) {
	f, err := p.Frame()
	e := testkit.Event{Name: f.Event, Data: f.Data, Ack: f.Event == ""}
	if err == nil && e.Ack {
		err = json.Unmarshal(f.ID, &e.ID)
	}
	return e, err
}

// doors opens either way in and reads feed.ready.
var doors = map[string]func(ctx context.Context, n *testkit.Node, u *testkit.User) (door, api.FeedReady, error){
	"socket.io": func(ctx context.Context, n *testkit.Node, u *testkit.User) (door, api.FeedReady, error) {
		return n.TryWatch(ctx, u)
	},
	"plain": func(ctx context.Context, n *testkit.Node, u *testkit.User) (door, api.FeedReady, error) {
		var ready api.FeedReady
		p, err := n.TryPlain(ctx, "", testkit.Bearer(u.Token))
		if err != nil {
			return nil, ready, err
		}
		e, err := p.Next()
		if err == nil && e.Name != api.EventFeedReady {
			err = errors.New("got " + e.Name + " first")
		}
		if err == nil {
			err = json.Unmarshal(e.Data, &ready)
		}
		return plain{p}, ready, err
	},
}

// ownDoors opens the doors that take a position and a view in the request.
var ownDoors = map[string]func(t *testing.T, n *testkit.Node, u *testkit.User, query string) interface{ Next() (testkit.Event, error) }{
	"plain": func(_ *testing.T, n *testkit.Node, u *testkit.User, query string) interface{ Next() (testkit.Event, error) } {
		return n.Plain(query, testkit.Bearer(u.Token))
	},
	"events": func(t *testing.T, n *testkit.Node, u *testkit.User, query string) interface{ Next() (testkit.Event, error) } {
		t.Helper()
		return stream(t, n, u, query, nil)
	},
}

// eachDoor runs a test in a bubble for each way in.
func eachDoor(t *testing.T, f func(t *testing.T, n *testkit.Node, open func(*testkit.User) (door, api.FeedReady))) {
	for name, try := range doors {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, n *testkit.Node) {
				f(t, n, func(u *testkit.User) (door, api.FeedReady) {
					d, ready, err := try(t.Context(), n, u)
					if err != nil {
						t.Fatal(err)
					}
					t.Cleanup(d.Abort)
					return d, ready
				})
			})
		})
	}
}

// wantClosed reads up to the end and wants it to have that code.
func wantClosed(t *testing.T, d interface{ Next() (testkit.Event, error) }, code ws.StatusCode) {
	t.Helper()
	for {
		_, err := d.Next()
		if err == nil {
			continue
		}
		if closed, ok := errors.AsType[*wire.Closed](err); !ok || closed.Code != code {
			t.Errorf("got %v, want close %d", err, code)
		}
		return
	}
}

// wantRefused wants an exception with that code and then the end (P-35).
func wantRefused(t *testing.T, n *testkit.Node, p *testkit.Plain, code api.Code, status ws.StatusCode) {
	t.Helper()
	if ex := testkit.Expect[api.Exception](n, p, api.EventException); ex.Code != code || ex.Status != "error" || ex.Message == "" {
		t.Errorf("got %+v, want code %s", ex, code)
	}
	wantClosed(t, p, status)
}

func header(name string, values ...string) http.Header { return http.Header{name: values} }
