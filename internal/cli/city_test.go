package cli

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"larder/api"
	"larder/client"
	"larder/internal/donation"
	"larder/internal/testkit/wire"
)

// board is a server that lists donations and answers everything else with an
// error, and remembers what was asked for.
type board struct {
	mu     sync.Mutex // guards asked
	asked  []string
	list   string
	status int // of everything but the list; 0: of the list, too
}

func (b *board) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asked = append(b.asked, r.Method+" "+r.URL.Path)
	if r.Method == http.MethodGet && b.list != "" {
		_, _ = io.WriteString(w, b.list)
		return
	}
	w.WriteHeader(b.status)
	_, _ = io.WriteString(w, `{"message":"somebody was faster","code":"donation_not_available"}`)
}

// settled is a city whose people have ids and clients, without asking anybody.
func settled(t *testing.T, l *wire.Listener) *city {
	t.Helper()
	c := newCity()
	c.pace, c.say = time.Second, func(string) {}
	for _, p := range c.everybody() {
		p.id = p.Email
		if l == nil {
			continue
		}
		var err error
		if p.client, err = client.New(client.Config{BaseURL: wire.URL, HTTPClient: l.Client(), Tries: 1}); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

func TestCityGoesOnWhenItIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &board{list: `[]`, status: http.StatusBadRequest}
		l := wire.Serve(t, b)
		c := settled(t, l)
		t.Cleanup(c.close)
		var said []string
		c.say = func(s string) { said = append(said, s) }
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		start := time.Now()
		if err := c.live(ctx); err != nil {
			t.Errorf("live: %v", err)
		}
		if d := time.Since(start); d != 30*time.Second {
			t.Errorf("it lived for %s", d)
		}
		// Every 0.5 to 1.5 s, the first one at once.
		if len(said) < 20 || len(said) > 61 || said[0] != "refused: somebody was faster" {
			t.Errorf("said %d times: %.200q", len(said), said)
		}
	})
}

func TestCityGivesUpOnABrokenServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &board{status: http.StatusInternalServerError}
		c := settled(t, wire.Serve(t, b))
		t.Cleanup(c.close)
		err := c.live(t.Context())
		if e, ok := errors.AsType[*api.Error](err); !ok || e.StatusCode != 500 || len(b.asked) != maxTroubles {
			t.Errorf("got %v after %d tries", err, len(b.asked))
		}
	})
}

func TestDeeds(t *testing.T) {
	now := time.Now()
	lately, longAgo := api.At(now.Add(-time.Second)), api.At(now.Add(-2*patience))
	stranger, ours, sofia := "stranger", "kitchen@demo.test", "sofia@demo.test"
	for name, tc := range map[string]struct {
		d    api.Donation
		want string // requests of all that is possible but offers
	}{
		"own offer":            {api.Donation{Status: "AVAILABLE", DonorID: "bakery@demo.test", UpdatedAt: lately}, "/donations/d/claim"},
		"a visitor's offer":    {api.Donation{Status: "AVAILABLE", UpdatedAt: lately}, ""},
		"left to lie":          {api.Donation{Status: "AVAILABLE", UpdatedAt: longAgo}, "/donations/d/claim"},
		"own claim":            {api.Donation{Status: "CLAIMED", ClaimedByID: &ours, UpdatedAt: lately}, "/donations/d/status /donations/d/release"},
		"a visitor's claim":    {api.Donation{Status: "CLAIMED", ClaimedByID: &stranger, UpdatedAt: lately}, ""},
		"waits for a carrier":  {api.Donation{Status: "CLAIMED", ClaimedByID: &stranger, UpdatedAt: longAgo}, "/donations/d/status"},
		"own carrier":          {api.Donation{Status: "PICKED_UP", PickedUpBy: &sofia, UpdatedAt: lately}, "/donations/d/deliver"},
		"carried by a visitor": {api.Donation{Status: "PICKED_UP", PickedUpBy: &stranger, UpdatedAt: longAgo}, ""},
		"delivered":            {api.Donation{Status: "DELIVERED", UpdatedAt: longAgo}, ""},
		"carried by the NGO":   {api.Donation{Status: "PICKED_UP", PickedUpBy: &ours, UpdatedAt: longAgo}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := &board{status: http.StatusBadRequest}
				c := settled(t, wire.Serve(t, b))
				t.Cleanup(c.close)
				tc.d.ID = "d"
				for _, deed := range c.deeds([]api.Donation{tc.d}, now) {
					if err := deed.do(t.Context()); err == nil {
						t.Error("a refused deed has no error")
					}
				}
				var got []string
				for _, a := range b.asked {
					if _, path, _ := strings.Cut(a, " "); path != "/donations" {
						got = append(got, path)
					}
				}
				if strings.Join(got, " ") != tc.want {
					t.Errorf("got %q, want %q", got, tc.want)
				}
			})
		})
	}
}

func TestTheBoardNeitherEmptiesNorOverflows(t *testing.T) {
	c := settled(t, nil)
	weights := func(n int) (offers, rest int) {
		list := slices.Repeat([]api.Donation{{Status: "AVAILABLE", DonorID: "bakery@demo.test"}}, n)
		deeds := c.deeds(list, time.Now())
		for _, d := range deeds {
			rest += d.weight
		}
		if n < 6 {
			offers = deeds[len(deeds)-1].weight
		}
		return offers, rest - offers
	}
	if offers, rest := weights(0); offers == 0 || rest != 0 {
		t.Errorf("an empty board: %d for offers, %d for the rest", offers, rest)
	}
	if offers, rest := weights(6); offers != 0 || rest != 6*4+4 {
		t.Errorf("a full board: %d for offers, %d for the rest", offers, rest)
	}
}

func TestTheMenuIsAllowed(t *testing.T) {
	for _, donor := range newCity().donors {
		for _, d := range donor.menu {
			if d.hours < 1 || donation.HighRisk(d.foodType) && d.hours <= 3 || d.least < 1 || d.most < d.least {
				t.Errorf("%s: %+v", donor.Email, d)
			}
		}
	}
}
