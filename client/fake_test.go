package client_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"larder/api"
	"larder/client"
	"larder/engineio"
	"larder/internal/testkit/wire"
	"larder/socketio"
)

const (
	goodToken  = "good"
	epoch      = "abcdefghijkl"
	otherEpoch = "mnopqrstuvwx"
	everyone   = "everyone"
)

// fake is a server with a log of its own, on Larder's Socket.IO and an in-memory
// network. What a test wants to be different it sets before connecting.
type fake struct {
	net *wire.Listener
	mux *http.ServeMux
	sio *socketio.Server
	nsp *socketio.Namespace

	mu       sync.Mutex // guards the fields below, and the order of log and sends
	epoch    string
	log      []api.LoggedEvent
	kept     int // the first record that feed.resume still tells
	page     int // records in one answer to feed.resume; 0: all
	connects int
	resumes  []string                         // the positions asked for
	refuse   func(try int) *socketio.Refusal  // set: asked for each CONNECT
	resuming func(page *api.FeedResumed) bool // set: may change or withhold an answer, without the lock
}

func newFake(t *testing.T) *fake {
	t.Helper()
	sio, err := socketio.NewServer(socketio.Config{})
	if err != nil {
		t.Fatal(err)
	}
	f := &fake{sio: sio, nsp: sio.Of("/donations"), mux: http.NewServeMux(), epoch: epoch}
	f.nsp.Use(f.admit)
	f.nsp.OnConnect(f.connected)
	f.nsp.OnError(func(_ context.Context, _ *socketio.Socket, failure socketio.Failure) json.RawMessage {
		return encode(t, api.Exception{
			Status: "error", Message: failure.Err.Error(), Code: api.CodeRateLimited, Cause: api.Cause{Pattern: failure.Event},
		})
	})
	socketio.On(f.nsp, api.EventFeedResume, f.resume)
	socketio.On(f.nsp, api.EventTest, func(_ context.Context, _ *socketio.Socket, in map[string]string) (api.Pong, error) {
		if in["fail"] != "" {
			return api.Pong{}, fmt.Errorf("%s", in["fail"])
		}
		return api.Pong{Message: "Pong!", Timestamp: api.At(time.Now())}, nil
	})
	f.mux.Handle("/socket.io/", sio)
	f.net = wire.Serve(t, f.mux)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := sio.Shutdown(ctx); err != nil {
			t.Errorf("shut down the fake: %v", err)
		}
	})
	return f
}

func encode(t *testing.T, v any) json.RawMessage {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Error(err)
	}
	return b
}

// client returns a client of the fake, changed by change.
func (f *fake) client(t *testing.T, change ...func(*client.Config)) *client.Client {
	t.Helper()
	cfg := client.Config{
		BaseURL: wire.URL, Token: goodToken,
		Dial: func(ctx context.Context, _, _ string) (net.Conn, error) { return f.net.Dial(ctx) },
	}
	for _, c := range change {
		c(&cfg)
	}
	c, err := client.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func (f *fake) admit(_ context.Context, s *socketio.Socket) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.connects++
	if f.refuse != nil {
		if r := f.refuse(f.connects); r != nil {
			return r
		}
	}
	var auth struct{ Token string }
	if err := json.Unmarshal(s.Handshake().Auth, &auth); err != nil || auth.Token != goodToken {
		return refusal(api.CodeTokenInvalid, false)
	}
	return nil
}

func refusal(code api.Code, retry bool) *socketio.Refusal {
	return &socketio.Refusal{Message: "no", Data: api.ConnectErrorData{Code: code, Retry: retry}}
}

func (f *fake) connected(_ context.Context, s *socketio.Socket) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.emit(s.Emit, api.EventFeedReady, api.FeedReady{Position: f.at(len(f.log)), User: api.FeedUser{ID: "u1", Role: "NGO"}})
	_ = s.Join(everyone) // one room fits
}

// at is the position after n records.
func (f *fake) at(n int) string { return fmt.Sprintf("%s-%d", f.epoch, n) }

func (f *fake) emit(send func(*socketio.Event) error, name string, payload any) {
	b, err := json.Marshal(payload)
	if err == nil {
		var ev *socketio.Event
		if ev, err = socketio.NewEvent(name, b); err == nil {
			err = send(ev)
		}
	}
	if err != nil && !strings.Contains(err.Error(), "closed") {
		panic(err)
	}
}

// commit appends n records and tells those who are connected.
func (f *fake) commit(n int) {
	for range n {
		f.mu.Lock()
		pos := f.at(len(f.log) + 1)
		e := api.LoggedEvent{Position: pos, Event: "donation.claimed", Data: json.RawMessage(`{"position":"` + pos + `"}`)}
		f.log = append(f.log, e)
		f.broadcast(e.Event, e.Data)
		f.mu.Unlock()
	}
}

// commitSilently appends records that reach nobody live.
func (f *fake) commitSilently(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for range n {
		pos := f.at(len(f.log) + 1)
		f.log = append(f.log, api.LoggedEvent{
			Position: pos, Event: "donation.claimed", Data: json.RawMessage(`{"position":"` + pos + `"}`),
		})
	}
}

func (f *fake) broadcast(name string, payload any) {
	f.emit(func(ev *socketio.Event) error { f.nsp.Emit(ev, everyone); return nil }, name, payload)
}

// cut closes every connection.
func (f *fake) cut() { f.nsp.Disconnect(engineio.ReasonForcedServerClose, true) }

func (f *fake) resume(_ context.Context, _ *socketio.Socket, req api.FeedResume) (api.FeedResumed, error) {
	f.mu.Lock()
	page := f.pageAfter(req.After)
	f.resumes = append(f.resumes, req.After)
	hook := f.resuming
	f.mu.Unlock()
	if hook != nil && !hook(&page) {
		return api.FeedResumed{}, fmt.Errorf("not now")
	}
	return page, nil
}

func (f *fake) pageAfter(after string) api.FeedResumed {
	var seq int
	gone := api.FeedResumed{Position: f.at(len(f.log)), Events: []api.LoggedEvent{}}
	if _, err := fmt.Sscanf(after, f.epoch+"-%d", &seq); err != nil {
		gone.Reason = "epoch"
		return gone
	}
	if seq < f.kept {
		gone.Reason = "window"
		return gone
	}
	end := len(f.log)
	if f.page > 0 {
		end = min(end, seq+f.page)
	}
	return api.FeedResumed{Position: f.at(end), Recovered: true, More: end < len(f.log), Events: f.log[seq:end]}
}

// tries is how many CONNECTs came so far.
func (f *fake) tries() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.connects
}

// asked is which positions feed.resume was asked for.
func (f *fake) asked() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.resumes
}
