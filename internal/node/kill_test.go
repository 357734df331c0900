package node_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"larder/api"
	"larder/internal/account"
	"larder/internal/node"
	"larder/internal/testkit"
)

// childData names the folder of a child process that is to be killed.
const childData = "LARDER_TEST_DATA"

// serveForKill runs a node for ever if this process is such a child.
func serveForKill() {
	folder := os.Getenv(childData)
	if folder == "" {
		return
	}
	cfg, err := testkit.Config(folder)
	if err != nil {
		panic(err)
	}
	n, err := node.New(context.Background(), cfg, slog.New(slog.DiscardHandler), io.Discard)
	if err != nil {
		panic(err)
	}
	fmt.Println(n.URL())
	panic(n.Run(context.Background()))
}

// acks is what a child has answered with success: of each donation the version
// that was told last.
type acks struct {
	mu       sync.Mutex // guards the fields below
	versions map[string]int64
	commands int
	goal     int
	reached  chan struct{} // closed when there are goal commands
}

func (a *acks) add(d api.Donation) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.versions[d.ID] = max(a.versions[d.ID], d.Version)
	if a.commands++; a.commands == a.goal {
		close(a.reached)
	}
}

// await closes reached after so many more commands.
func (a *acks) await(more int) (reached <-chan struct{}) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.goal, a.reached = a.commands+more, make(chan struct{})
	return a.reached
}

func (a *acks) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.commands
}

// A node that is killed in the middle of its work has kept every command that it
// had answered, whole: rows, histories and log agree afterwards.
func TestKill(t *testing.T) {
	folder := t.TempDir()
	first := testkit.Start(t, testkit.Options{DataDir: folder})
	donor, ngo := first.User(account.Donor), first.User(account.NGO)
	if err := first.Stop(); err != nil {
		t.Fatal(err)
	}
	told := &acks{versions: map[string]int64{}}
	for round := range 4 {
		before := told.count()
		runAndKill(t, folder, donor, ngo, told)
		if told.count() == before {
			t.Fatalf("round %d: no command was answered", round)
		}
		n := testkit.Start(t, testkit.Options{DataDir: folder})
		checkAgreement(t, n, donor, told)
		if err := n.Stop(); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d commands on %d donations", told.count(), len(told.versions))
}

func runAndKill(t *testing.T, folder string, donor, ngo *testkit.User, told *acks) {
	t.Helper()
	child := exec.CommandContext(t.Context(), os.Args[0])
	child.Env = append(os.Environ(), childData+"="+folder)
	child.Stderr = t.Output()
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	url, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 8}}
	defer client.CloseIdleConnections()
	send := func(method, path string, u *testkit.User, body any) (d api.Donation, ok bool) {
		text, err := json.Marshal(body)
		if err != nil {
			t.Error(err)
		}
		req, err := http.NewRequestWithContext(t.Context(), method, strings.TrimSpace(url)+path, strings.NewReader(string(text)))
		if err != nil {
			t.Error(err)
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Authorization", "Bearer "+u.Token)
		resp, err := client.Do(req)
		if err != nil {
			return d, false
		}
		defer resp.Body.Close()
		err = json.NewDecoder(resp.Body).Decode(&d)
		if err != nil || resp.StatusCode > 201 {
			return d, false
		}
		told.add(d)
		return d, true
	}
	var writers sync.WaitGroup
	reached := told.await(40 + rand.IntN(200))
	for range 6 {
		writers.Go(func() {
			for {
				d, ok := send("POST", "/donations", donor, testkit.Draft(nil))
				for _, step := range [][2]any{
					{"claim", struct{}{}}, {"status", map[string]string{"status": "PICKED_UP"}}, {"deliver", struct{}{}},
				} {
					if ok {
						_, ok = send("PATCH", "/donations/"+d.ID+"/"+step[0].(string), ngo, step[1])
					}
				}
				if !ok {
					return // the child is dead
				}
			}
		})
	}
	select {
	case <-reached:
	case <-time.After(20 * time.Second):
		t.Error("the child does not get on")
	}
	if err := child.Process.Kill(); err != nil {
		t.Error(err)
	}
	writers.Wait()
	if _, ok := errors.AsType[*exec.ExitError](child.Wait()); !ok {
		t.Error("the child ended by itself")
	}
}

// checkAgreement compares what was told with the list, the histories and the log.
func checkAgreement(t *testing.T, n *testkit.Node, donor *testkit.User, told *acks) {
	t.Helper()
	listed := map[string]api.Donation{}
	for path := "/donations?limit=1000"; path != ""; {
		r := n.Get(path, "")
		for _, d := range testkit.Must[[]api.Donation](n, r, 200) {
			listed[d.ID] = d
		}
		link := r.Header.Get("Link")
		path, _, _ = strings.Cut(strings.TrimPrefix(link, "<"), ">")
	}
	logged := map[string][]api.LoggedEvent{}
	for after, more := "", true; more; {
		page := testkit.Must[api.FeedResumed](n, n.Get("/events?after="+after, donor.Token), 200)
		for _, e := range page.Events {
			if e.Event == api.EventNotification { // what somebody is told is no part of a history
				continue
			}
			id, _, _ := about(t, e)
			logged[id] = append(logged[id], e)
		}
		after, more = page.Position, page.More
	}
	for id, version := range told.versions {
		if d, ok := listed[id]; !ok || d.Version < version {
			t.Errorf("donation %s was told at version %d; listed %t at %d", id, version, ok, d.Version)
		}
	}
	if len(logged) != len(listed) {
		t.Errorf("%d donations in the log, %d in the list", len(logged), len(listed))
	}
	for id, d := range listed {
		history := testkit.Must[[]api.LoggedEvent](n, n.Get("/donations/"+id+"/history", donor.Token), 200)
		if diff := cmp.Diff(logged[id], history); diff != "" {
			t.Errorf("%s (-log +history):\n%s", id, diff)
		}
		if int64(len(history)) != d.Version {
			t.Errorf("%s: version %d after %d events", id, d.Version, len(history))
			continue
		}
		for i, e := range history {
			if _, _, version := about(t, e); version != int64(i+1) {
				t.Errorf("%s: event %d has version %d", id, i+1, version)
			}
		}
		if _, status, _ := about(t, history[len(history)-1]); status != d.Status {
			t.Errorf("%s is %s, its last event says %s", id, d.Status, status)
		}
	}
}

// about is what an event says of its donation.
func about(t *testing.T, e api.LoggedEvent) (id, status string, version int64) {
	t.Helper()
	var v struct {
		ID, DonationID, Status string
		Version                int64
	}
	if err := json.Unmarshal(e.Data, &v); err != nil {
		t.Fatal(err)
	}
	return v.ID + v.DonationID, v.Status, v.Version
}
