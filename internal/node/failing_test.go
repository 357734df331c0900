package node_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"larder/api"
	"larder/internal/account"
	"larder/internal/store"
	"larder/internal/testkit"
)

// board is a node whose store is about to fail, a donor, and a live client.
type board struct {
	*testkit.Node
	t     *testing.T
	donor *testkit.User
	live  *testkit.Socket
	known map[string]bool // donations that were acknowledged
	until time.Time       // all expire then: a repeated request is the same
}

func newBoard(t *testing.T, folder string) *board {
	n := testkit.Start(t, testkit.Options{DataDir: folder})
	b := &board{Node: n, t: t, donor: n.User(account.Donor), known: map[string]bool{}, until: time.Now().AddDate(0, 6, 0)}
	b.live, _ = n.Watch(n.User(account.Admin))
	b.wantHealed("before")
	return b
}

// donate lists a donation under a key. It may be called from any goroutine.
func (b *board) donate(key string) testkit.Reply {
	r, err := b.Try(context.WithoutCancel(b.t.Context()), testkit.Call{
		Method: http.MethodPost, Path: "/donations", Token: b.donor.Token,
		Body: testkit.Draft(map[string]any{"name": key, "expiryTime": b.until}), Header: http.Header{"Idempotency-Key": {key}},
	})
	if err != nil {
		b.t.Errorf("donate: %v", err)
	}
	return r
}

// acknowledge notes what was answered to donate.
func (b *board) acknowledge(r testkit.Reply) string {
	b.t.Helper()
	id := testkit.Must[api.Donation](b.Node, r, http.StatusCreated).ID
	b.known[id] = true
	return id
}

func (b *board) wantUnavailable(what string, r testkit.Reply) {
	b.t.Helper()
	e := testkit.Must[api.Error](b.Node, r, http.StatusServiceUnavailable)
	if e.Code != api.CodeUnavailable || r.Header.Get("Retry-After") != "1" {
		b.t.Errorf("%s: got %s, Retry-After %q", what, r, r.Header.Get("Retry-After"))
	}
}

// wantHealed wants commands to work, once for each key, and the log to hold exactly
// what was acknowledged.
func (b *board) wantHealed(keys ...string) {
	b.t.Helper()
	for _, key := range keys {
		first := b.acknowledge(b.donate(key))
		if again := b.acknowledge(b.donate(key)); again != first {
			b.t.Errorf("key %s made %s and %s", key, first, again)
		}
	}
	logged := map[string]bool{}
	page := testkit.Must[api.FeedResumed](b.Node, b.Get("/events", b.donor.Token), http.StatusOK)
	for _, e := range page.Events {
		if e.Event == api.EventDonationCreated {
			var d api.DonationCreated
			if err := json.Unmarshal(e.Data, &d); err != nil {
				b.t.Fatal(err)
			}
			logged[d.ID] = true
		}
	}
	if fmt.Sprint(logged) != fmt.Sprint(b.known) {
		b.t.Errorf("in the log:   %v\nacknowledged: %v", logged, b.known)
	}
}

// wantHeard wants the live client to hear of all that was acknowledged, once.
func (b *board) wantHeard() {
	b.t.Helper()
	heard := map[string]bool{}
	for range b.known {
		heard[testkit.Expect[api.DonationCreated](b.Node, b.live, api.EventDonationCreated).ID] = true
	}
	if fmt.Sprint(heard) != fmt.Sprint(b.known) {
		b.t.Errorf("heard:        %v\nacknowledged: %v", heard, b.known)
	}
}

func (b *board) wantReady(want int) {
	b.t.Helper()
	if r := b.Get("/readyz", ""); r.Status != want {
		b.t.Errorf("readiness: got %s, want %d", r, want)
	}
}

func TestDatabaseLockedByAnother(t *testing.T) {
	t.Parallel() // it waits for SQLite's patience with locks
	b := newBoard(t, t.TempDir())
	other, err := store.Open(t.Context(), b.Config.DatabaseURL)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	inside, let := make(chan struct{}), make(chan struct{})
	released := make(chan error)
	go func() {
		released <- other.Update(context.WithoutCancel(t.Context()), func(*store.Tx) error {
			close(inside)
			<-let
			return nil
		})
	}()
	<-inside
	replies := make([]testkit.Reply, 20)
	var group sync.WaitGroup
	for i := range replies {
		group.Go(func() { replies[i] = b.donate(fmt.Sprint("locked", i)) })
	}
	if r := b.Get("/donations", ""); r.Status != http.StatusOK {
		t.Errorf("reading meanwhile: %s", r)
	}
	group.Wait()
	for i, r := range replies {
		b.wantUnavailable(fmt.Sprint("locked ", i), r)
	}
	close(let)
	if err := <-released; err != nil {
		t.Fatal(err)
	}
	b.wantHealed("locked0", "locked1", "after")
	b.wantReady(http.StatusOK)
	b.wantHeard()
}

func TestDatabaseFileGone(t *testing.T) {
	folder := t.TempDir()
	b := newBoard(t, folder)
	path := filepath.Join(folder, "larder.db")
	if err := os.Rename(path, path+".away"); err != nil {
		t.Fatal(err)
	}
	b.wantUnavailable("gone", b.donate("gone"))
	b.wantReady(http.StatusServiceUnavailable)
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	b.wantUnavailable("another in its place", b.donate("gone"))
	if err := os.Rename(path+".away", path); err != nil {
		t.Fatal(err)
	}
	b.wantHealed("gone", "after")
	b.wantReady(http.StatusOK)
	b.wantHeard()
}
