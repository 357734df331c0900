package node_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"larder/api"
	"larder/internal/account"
	"larder/internal/testkit"
)

// crowdSize is how many clients come back at once: 200, or what LARDER_CROWD says.
func crowdSize(t *testing.T) int {
	text := os.Getenv("LARDER_CROWD")
	if text == "" {
		return 200
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("LARDER_CROWD: %v", err)
	}
	return n
}

// A whole crowd comes back after a restart, all at once. Each is the socket that
// it was and gets all that it missed, once and in order, then what is new: P-8.
// The log says how long it took.
func TestCrowdComesBack(t *testing.T) {
	const missed = 20
	size := crowdSize(t)
	folder := t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	n := testkit.Start(t, testkit.Options{DataDir: folder})
	donor := n.User(account.Donor)
	var users []*testkit.User
	for range 20 {
		users = append(users, n.User(account.Admin)) // who are told of nothing else
	}
	before := make([]*testkit.Socket, size)
	each(size, func(i int) {
		var err error
		if before[i], _, err = n.TryWatch(ctx, users[i%len(users)]); err != nil {
			t.Error(err)
		}
	})
	if t.Failed() {
		return
	}
	n.Donate(donor, nil)
	each(size, func(i int) {
		defer before[i].Abort()
		if e, err := before[i].Next(); err != nil || e.Name != api.EventDonationCreated {
			t.Errorf("got %s, %v", e.Name, err)
		}
	})
	if err := n.Stop(); err != nil {
		t.Fatal(err)
	}
	n = testkit.Start(t, testkit.Options{DataDir: folder})
	var want []string
	for range missed {
		want = append(want, n.Donate(donor, nil).ID)
	}
	took := make([]time.Duration, size)
	var recovered, done sync.WaitGroup
	recovered.Add(size)
	start := time.Now()
	for i := range size {
		done.Go(func() {
			arrived := sync.OnceFunc(recovered.Done)
			defer arrived()
			if err := comesBack(ctx, n, users[i%len(users)], before[i], want, func() { took[i] = time.Since(start); arrived() }); err != nil {
				t.Error(err)
			}
		})
	}
	recovered.Wait()
	all := time.Since(start)
	n.Donate(donor, map[string]any{"name": "live"})
	done.Wait()
	slices.Sort(took)
	t.Logf("%d clients missed %d events each: all are back after %v (half of them after %v)", size, missed, all, took[size/2])
}

// comesBack connects as the socket that it was, and reads what it missed and what
// comes then.
func comesBack(ctx context.Context, n *testkit.Node, u *testkit.User, was *testkit.Socket, want []string, back func()) error {
	s, err := n.Open(ctx, nil)
	for err != nil && strings.Contains(err.Error(), "429") && ctx.Err() == nil {
		<-time.After(100 * time.Millisecond) // all of them come from one address, which is bounded: E-72
		s, err = n.Open(ctx, nil)
	}
	if err != nil {
		return err
	}
	defer s.Abort()
	if err := s.Join("/donations", map[string]string{"token": u.Token, "pid": was.PID, "offset": was.Offset}); err != nil {
		return err
	}
	e, err := s.Next()
	var ready api.FeedReady
	if err != nil || e.Name != api.EventFeedReady || json.Unmarshal(e.Data, &ready) != nil || !ready.Recovered || s.ID != was.ID || s.PID != was.PID {
		return fmt.Errorf("got %s %s as %s, %w, want to be back as %s", e.Name, e.Data, s.ID, err, was.ID)
	}
	for i := range len(want) + 1 {
		e, err := s.Next()
		var d api.DonationCreated
		if err != nil || json.Unmarshal(e.Data, &d) != nil || i < len(want) && d.ID != want[i] || i == len(want) && d.Name != "live" {
			return fmt.Errorf("event %d: got %s %s, %w", i, e.Name, e.Data, err)
		}
		if i == len(want)-1 {
			back()
		}
	}
	return nil
}

// each does something for every number, some at a time.
func each(n int, do func(i int)) {
	var group sync.WaitGroup
	places := make(chan struct{}, 64)
	for i := range n {
		places <- struct{}{}
		group.Go(func() {
			defer func() { <-places }()
			do(i)
		})
	}
	group.Wait()
}
