package httpapi_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"

	"larder/api"
	"larder/internal/account"
	"larder/internal/testkit"
)

func keyed(method, path, token string, body any, key string) testkit.Call {
	return testkit.Call{Method: method, Path: path, Token: token, Body: body, Header: http.Header{"Idempotency-Key": {key}}}
}

// The same key, caller and body give the same answer byte for byte, and once.
func TestIdempotencyKey(t *testing.T) {
	w := newWorld(t)
	donor, ngo := w.users["donor"].Token, w.users["ngo"].Token
	draft := testkit.Draft(nil)
	for name, call := range map[string]testkit.Call{
		"create":          keyed("POST", "/donations", donor, draft, "k1"),
		"create, refused": keyed("POST", "/donations", ngo, draft, "k1"),
		"claim":           keyed("PATCH", "/donations/"+w.donation(t, "AVAILABLE")+"/claim", ngo, nil, "k2"),
		"claim, refused":  keyed("PATCH", "/donations/"+w.donation(t, "CLAIMED")+"/claim", w.users["rival"].Token, nil, "k2"),
		"status":          keyed("PATCH", "/donations/"+w.donation(t, "CLAIMED")+"/status", ngo, `{"status":"PICKED_UP"}`, "k3"),
		"deliver":         keyed("PATCH", "/donations/"+w.donation(t, "PICKED_UP")+"/deliver", ngo, nil, "k4"),
		"release":         keyed("PATCH", "/donations/"+w.donation(t, "CLAIMED")+"/release", ngo, `{"reason":"x"}`, "k5"),
		"cancel":          keyed("PATCH", "/donations/"+w.donation(t, "CLAIMED")+"/cancel", donor, `{"reason":"x"}`, "k6"),
		"verify":          keyed("PATCH", "/admin/verify/"+w.users["unverified"].ID, w.users["admin"].Token, nil, "k7"),
		"suspend":         keyed("PATCH", "/admin/users/"+w.users["carrier"].ID+"/toggle-status", w.users["admin"].Token, nil, "k8"),
		"longest key":     keyed("POST", "/donations", donor, draft, strings.Repeat("k", 200)),
	} {
		t.Run(name, func(t *testing.T) {
			first := w.Do(call)
			before := string(w.Get("/events", donor).Body)
			for range 2 {
				if again := w.Do(call); again.Status != first.Status || string(again.Body) != string(first.Body) {
					t.Errorf("first %s\nagain %s", first, again)
				}
			}
			if string(w.Get("/events", donor).Body) != before {
				t.Error("a repetition left records")
			}
		})
	}
}

// What adds up for an account is part of the answer, however it changes afterwards.
func TestIdempotencyKeyOfAProfile(t *testing.T) {
	w := newWorld(t)
	donor := w.users["donor"]
	change := func(key, name string) testkit.Reply {
		return w.Do(keyed("PATCH", "/auth/profile", donor.Token, map[string]any{"name": name}, key))
	}
	first := change("k1", "First")
	if e := testkit.Must[api.Envelope[api.Profile]](w.Node, first, 200); e.Data.Name != "First" || len(e.Data.BadgeCatalog) == 0 {
		t.Errorf("got %+v", e.Data)
	}
	w.Donate(donor, nil)
	second := testkit.Must[api.Envelope[api.Profile]](w.Node, change("k2", "Second"), 200).Data
	if second.Name != "Second" || second.KarmaPoints != account.ReasonCreate.Points() || second.ImpactStats.TotalDonations != 1 {
		t.Errorf("the second change was answered %+v", second)
	}
	if again := change("k1", "First"); again.Status != first.Status || string(again.Body) != string(first.Body) {
		t.Errorf("first %s\nagain %s", first, again)
	}
	if p := testkit.Must[api.Profile](w.Node, w.Get("/auth/profile", donor.Token), 200); p.Name != "Second" {
		t.Errorf("the repetition set the name %q", p.Name)
	}
}

func TestIdempotencyKeyIsOfOneCallerAndOneRequest(t *testing.T) {
	w := newWorld(t)
	donor, stranger := w.users["donor"].Token, w.users["stranger"].Token
	draft := testkit.Draft(nil)
	first := testkit.Must[api.Donation](w.Node, w.Do(keyed("POST", "/donations", donor, draft, "k")), 201)
	if d := testkit.Must[api.Donation](w.Node, w.Do(keyed("POST", "/donations", stranger, draft, "k")), 201); d.ID == first.ID {
		t.Error("somebody else's key gave the same donation")
	}
	other := testkit.Draft(map[string]any{"name": "Other"})
	wantRefusal(t, "another body", w.Do(keyed("POST", "/donations", donor, other, "k")), 409, api.CodeIdempotencyConflict)
	wantRefusal(t, "another path", w.Do(keyed("PATCH", "/donations/"+first.ID+"/cancel", donor, `{"reason":"x"}`, "k")), 409, api.CodeIdempotencyConflict)
	wantRefusal(t, "key too long", w.Do(keyed("POST", "/donations", donor, draft, strings.Repeat("k", 201))), 400, invalid)
	one := testkit.Must[api.Donation](w.Node, w.Post("/donations", donor, draft), 201)
	if two := testkit.Must[api.Donation](w.Node, w.Post("/donations", donor, draft), 201); one.ID == two.ID {
		t.Error("without a key the same body gave the same donation")
	}
}

// A registration has no caller yet: its key is safe with whoever has the password.
func TestIdempotencyKeyOfARegistration(t *testing.T) {
	w := newWorld(t)
	type session = api.Envelope[api.Session]
	body := map[string]any{"email": "k@example.org", "password": "secret", "name": "K", "role": "NGO"}
	first := testkit.Must[session](w.Node, w.Do(keyed("POST", "/auth/register", "", body, "k")), 201)
	again := testkit.Must[session](w.Node, w.Do(keyed("POST", "/auth/register", "", body, "k")), 201)
	if again.Data.User != first.Data.User {
		t.Errorf("got %+v, want %+v", again.Data.User, first.Data.User)
	}
	wantRefusal(t, "another password", w.Do(keyed("POST", "/auth/register", "", with(body, map[string]any{"password": "guessed"}), "k")),
		409, api.CodeIdempotencyConflict)
	wantRefusal(t, "without the key", w.Post("/auth/register", "", body), 409, api.CodeEmailTaken)
}

func TestIdempotencyKeyUnderConcurrency(t *testing.T) {
	w := newWorld(t)
	call := keyed("POST", "/donations", w.users["donor"].Token, testkit.Draft(nil), "k")
	var mu sync.Mutex
	answers := map[string]int{}
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			r, err := w.Try(t.Context(), call)
			mu.Lock()
			defer mu.Unlock()
			if answers[string(r.Body)]++; err != nil || r.Status != 201 {
				t.Errorf("got %s, %v", r, err)
			}
		})
	}
	wg.Wait()
	if len(answers) != 1 {
		t.Errorf("%d different answers", len(answers))
	}
	if p := testkit.Must[api.Profile](w.Node, w.Get("/auth/profile", w.users["donor"].Token), 200); p.KarmaPoints != account.ReasonCreate.Points() {
		t.Errorf("karma %d", p.KarmaPoints)
	}
}
