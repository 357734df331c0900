package httpapi_test

import (
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"larder/api"
	"larder/internal/testkit"
)

// wantKarma wants the profiles of some users to say so much.
func (w *world) wantKarma(t *testing.T, want map[string]int) {
	t.Helper()
	got := map[string]int{}
	for name := range want {
		got[name] = testkit.Must[api.Profile](w.Node, w.Get("/auth/profile", w.users[name].Token), 200).KarmaPoints
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("karma (-want +got):\n%s", diff)
	}
}

// TestKarmaCanNotBeFarmed tries what brings points without food for anybody.
func TestKarmaCanNotBeFarmed(t *testing.T) {
	const again = 5
	reason := map[string]string{"reason": "again"}
	pickedUp, delivered := map[string]string{"status": "PICKED_UP"}, map[string]string{"status": "DELIVERED"}
	for name, tc := range map[string]struct {
		try  func(w *world)
		want map[string]int
	}{
		"create and cancel": {func(w *world) {
			for range again {
				w.Order(w.users["donor"], w.Donate(w.users["donor"], nil).ID, "cancel", reason)
			}
		}, map[string]int{"donor": 0}},
		"list without end": {func(w *world) {
			for range 25 {
				w.Donate(w.users["donor"], nil)
			}
		}, map[string]int{"donor": 200}},
		"claim, release, claim": {func(w *world) {
			d := w.Donate(w.users["donor"], nil)
			for range again {
				w.Order(w.users["ngo"], d.ID, "claim", nil)
				w.Order(w.users["ngo"], d.ID, "release", nil)
			}
			w.Order(w.users["rival"], d.ID, "claim", nil)
		}, map[string]int{"donor": 10, "ngo": 0, "rival": 10}},
		"claim and release all there is": {func(w *world) {
			for range again {
				d := w.Donate(w.users["donor"], nil)
				w.Order(w.users["rival"], d.ID, "claim", nil)
				w.Order(w.users["rival"], d.ID, "status", map[string]string{"status": "AVAILABLE"})
			}
		}, map[string]int{"donor": 10 * again, "rival": 0}},
		"claim, and the donor cancels": {func(w *world) {
			d := w.Donate(w.users["donor"], nil)
			w.Order(w.users["rival"], d.ID, "claim", nil)
			w.Order(w.users["donor"], d.ID, "cancel", reason)
		}, map[string]int{"donor": 0, "rival": 0}},
		"deliver twice": {func(w *world) {
			id := w.donation(t, "PICKED_UP")
			for i := range again {
				r := testkit.Must[api.Delivery](w.Node, w.Patch("/donations/"+id+"/deliver", w.users["carrier"].Token, nil), 200)
				if want := map[bool]int{true: 50}[i == 0]; *r.KarmaAwarded != want {
					t.Errorf("delivery %d: %d karma, want %d", i, *r.KarmaAwarded, want)
				}
			}
			// And whoever else may deliver it.
			w.Patch("/donations/"+id+"/deliver", w.users["ngo"].Token, nil)
			w.Patch("/donations/"+id+"/status", w.users["admin"].Token, delivered)
		}, map[string]int{"donor": 40, "ngo": 30, "carrier": 50, "admin": 0}},
		"deliver eight times at once": {func(w *world) {
			id := w.donation(t, "PICKED_UP")
			var group sync.WaitGroup
			replies := make([]testkit.Reply, 8)
			for i := range replies {
				group.Go(func() {
					var err error
					call := testkit.Call{Method: "PATCH", Path: "/donations/" + id + "/deliver", Token: w.users["carrier"].Token}
					if replies[i], err = w.Try(t.Context(), call); err != nil {
						t.Errorf("delivery %d: %v", i, err)
					}
				})
			}
			group.Wait()
			sum := 0
			for _, r := range replies {
				sum += *testkit.Must[api.Delivery](w.Node, r, 200).KarmaAwarded
			}
			if sum != 50 {
				t.Errorf("the deliveries were told of %d karma together, want 50", sum)
			}
		}, map[string]int{"donor": 40, "ngo": 30, "carrier": 50}},
		"the donor delivers it himself, unclaimed": {func(w *world) {
			d := w.Donate(w.users["donor"], nil)
			for _, step := range []map[string]string{pickedUp, delivered} {
				wantRefusal(t, "donor", w.Patch("/donations/"+d.ID+"/status", w.users["donor"].Token, step), 403, api.CodeWrongRole)
			}
			wantRefusal(t, "donor", w.Patch("/donations/"+d.ID+"/deliver", w.users["donor"].Token, nil), 403, api.CodeWrongRole)
		}, map[string]int{"donor": 10}},
		"anybody delivers it unclaimed": {func(w *world) {
			d := w.Donate(w.users["donor"], nil)
			for _, who := range []string{"carrier", "ngo", "admin"} {
				wantRefusal(t, who, w.Patch("/donations/"+d.ID+"/deliver", w.users[who].Token, nil), 400, api.CodeInvalidTransition)
			}
		}, map[string]int{"donor": 10, "carrier": 0, "ngo": 0, "admin": 0}},
		"back and forth after the delivery": {func(w *world) {
			id := w.donation(t, "DELIVERED")
			for range again {
				for status, who := range map[string]string{"AVAILABLE": "ngo", "CLAIMED": "ngo", "PICKED_UP": "carrier", "CANCELLED": "donor"} {
					if r := w.Patch("/donations/"+id+"/status", w.users[who].Token, map[string]string{"status": status, "reason": "x"}); r.Status != 400 {
						t.Errorf("%s by %s: got %s, want 400", status, who, r)
					}
				}
			}
		}, map[string]int{"donor": 40, "ngo": 30, "carrier": 50}},
		"an NGO that fetches it itself is no volunteer": {func(w *world) {
			id := w.donation(t, "CLAIMED")
			w.Order(w.users["ngo"], id, "status", pickedUp)
			w.Order(w.users["ngo"], id, "deliver", nil)
		}, map[string]int{"donor": 40, "ngo": 30}},
		"the NGO says that the volunteer delivered": {func(w *world) {
			w.Order(w.users["ngo"], w.donation(t, "PICKED_UP"), "deliver", nil)
		}, map[string]int{"donor": 40, "ngo": 30, "carrier": 50}},
		"the same create with one key": {func(w *world) {
			draft := testkit.Draft(nil)
			for range again {
				w.Do(testkit.Call{
					Method: "POST", Path: "/donations", Token: w.users["donor"].Token, Body: draft,
					Header: map[string][]string{"Idempotency-Key": {"one"}},
				})
			}
		}, map[string]int{"donor": 10}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			tc.try(w)
			w.wantKarma(t, tc.want)
		})
	}
}

// The intake load is a sum over claims: nothing that is done often or at once
// leaves a rest, or takes more off than was there.
func TestIntakeLoadDoesNotDrift(t *testing.T) {
	w := newWorld(t)
	load := func() float64 {
		return testkit.Must[api.Profile](w.Node, w.Get("/auth/profile", w.users["ngo"].Token), 200).CurrentIntakeLoad
	}
	d := w.Donate(w.users["donor"], nil)
	for range 5 {
		w.Order(w.users["ngo"], d.ID, "claim", nil)
		if got := load(); got != 12.5 {
			t.Errorf("after a claim: got %g, want 12.5", got)
		}
		w.Order(w.users["ngo"], d.ID, "release", nil)
	}
	if got := load(); got != 0 {
		t.Errorf("after releases: got %g, want 0", got)
	}
	w.donation(t, "CLAIMED")
	id := w.donation(t, "PICKED_UP")
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			call := testkit.Call{Method: "PATCH", Path: "/donations/" + id + "/deliver", Token: w.users["carrier"].Token}
			if r, err := w.Try(t.Context(), call); err != nil || r.Status != 200 {
				t.Errorf("delivery: %v, %v", r, err)
			}
		})
	}
	group.Wait()
	if got := load(); got != 12.5 {
		t.Errorf("one claimed, one delivered eight times: got %g, want 12.5", got)
	}
}
