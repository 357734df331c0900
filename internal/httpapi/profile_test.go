package httpapi_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"larder/api"
	"larder/internal/eventlog"
	"larder/internal/store"
	"larder/internal/testkit"
)

// The pages of the existing front end send these bodies, empty texts included.
func TestProfilePages(t *testing.T) {
	w := newWorld(t)
	patch := func(who, body string) api.Profile {
		t.Helper()
		e := testkit.Must[api.Envelope[api.Profile]](w.Node, w.Patch("/auth/profile", w.users[who].Token, body), 200)
		if !e.Success || e.Data.ID != w.users[who].ID {
			t.Errorf("%s %s: got %+v", who, body, e)
		}
		return e.Data
	}
	if p := patch("volunteer", `{"vehicleType":"bike","vehicleNumber":""}`); p.VehicleType == nil || *p.VehicleType != "bike" || p.VehicleNumber != nil {
		t.Errorf("vehicle: got %v, %v, want bike and null", p.VehicleType, p.VehicleNumber)
	}
	for _, on := range []bool{true, false} {
		body := map[bool]string{true: `{"isAvailable":true}`, false: `{"isAvailable":false}`}[on]
		if p := patch("volunteer", body); p.IsAvailable != on || p.VehicleType == nil {
			t.Errorf("%s: got %+v", body, p)
		}
	}
	if p := patch("volunteer", `{"vehicleType":"","vehicleNumber":""}`); p.VehicleType != nil || p.VehicleNumber != nil {
		t.Errorf("no vehicle: got %v, %v, want null twice", p.VehicleType, p.VehicleNumber)
	}
	if p := patch("donor", `{"name":"Dana","phone":"","address":"","organizationName":""}`); p.Name != "Dana" || p.Phone != nil || p.OrganizationName != nil {
		t.Errorf("profile page: got %+v", p)
	}
	// It has no effect for a donor, and is no reason to refuse the rest (ADR 0015).
	if p := patch("donor", `{"isAvailable":true}`); !p.IsAvailable {
		t.Error("availability of a donor was not kept")
	}
	// A change is in the log, where the nodes read it.
	w.Update(func(ctx context.Context, tx *store.Tx) error {
		recs, err := tx.History(ctx, w.users["volunteer"].ID, 0, 100)
		if len(recs) != 4 || recs[3].Type != eventlog.TypeAccountUpdated || recs[3].Audience.Everyone {
			t.Errorf("records of four changes: got %+v", recs)
		}
		return err
	})
}

// null takes a number away; an absent field stays. Texts go by an empty one, and null
// for one is as good as absent: forms may send it.
func TestProfileTakesNull(t *testing.T) {
	w := newWorld(t)
	ngo := w.users["ngo"].Token
	patch := func(body string) api.Profile {
		t.Helper()
		return testkit.Must[api.Envelope[api.Profile]](w.Node, w.Patch("/auth/profile", ngo, body), 200).Data
	}
	patch(`{"dailyIntakeCapacity":40,"capacityUnit":"kg","latitude":52.5,"longitude":13.4,"phone":"1"}`)
	if p := patch(`{"dailyIntakeCapacity":null}`); p.DailyIntakeCapacity != nil || p.Latitude == nil || p.Longitude == nil {
		t.Errorf("no limit: got %+v", p)
	}
	patch(`{"dailyIntakeCapacity":40}`)
	p := patch(`{"latitude":null,"longitude":null,"phone":null,"capacityUnit":null}`)
	if p.Latitude != nil || p.Longitude != nil || p.DailyIntakeCapacity == nil || p.Phone == nil || p.CapacityUnit == nil {
		t.Errorf("no place: got %+v", p)
	}
	for body, field := range map[string]string{
		`{"latitude":null,"longitude":13.4}`: "latitude",
		`{"latitude":52.5,"longitude":null}`: "longitude",
		`{"latitude":52.5}`:                  "longitude",
		`{"latitude":91,"longitude":13.4}`:   "latitude",
		`{"dailyIntakeCapacity":-1}`:         "dailyIntakeCapacity",
		`{"dailyIntakeCapacity":"1"}`:        "dailyIntakeCapacity",
	} {
		r := w.Patch("/auth/profile", ngo, body)
		wantRefusal(t, body, r, 400, api.CodeValidation)
		if e := testkit.Must[api.Error](w.Node, r, 400); len(e.Message) != 1 || !strings.HasPrefix(e.Message[0], field) {
			t.Errorf("%s: got %q, want one message that begins with %s", body, e.Message, field)
		}
	}
}

// What an account can't say of itself is an unknown field: one message for each.
func TestProfileRefusesWhatIsNotOnesOwn(t *testing.T) {
	w := newWorld(t)
	r := w.Patch("/auth/profile", w.users["unverified"].Token, `{"name":"N","role":"ADMIN","karmaPoints":1000,"email":"x@example.org","isVerified":true}`)
	wantRefusal(t, "PATCH", r, 400, api.CodeValidation)
	e := testkit.Must[api.Error](w.Node, r, 400)
	if len(e.Message) != 4 {
		t.Errorf("got %q, want four messages", e.Message)
	}
	p := testkit.Must[api.Profile](w.Node, w.Get("/auth/profile", w.users["unverified"].Token), 200)
	if p.Name != "unverified" || p.Role != "NGO" || p.KarmaPoints != 0 || p.IsVerified {
		t.Errorf("something changed: %+v", p)
	}
}

func TestProfileHasBadgesAndLevel(t *testing.T) {
	w, _ := board(t) // three deliveries of 50
	p := testkit.Must[api.Profile](w.Node, w.Get("/auth/profile", w.users["carrier"].Token), 200)
	if p.KarmaPoints != 150 || p.Level != 2 || p.NextLevelPoints != 100 || p.TrustScore != 0 {
		t.Errorf("got %d karma, level %d, %d missing, want 150, 2 and 100", p.KarmaPoints, p.Level, p.NextLevelPoints)
	}
	if want := []string{"🌱 Newcomer", "🦸 Local Hero", "🏆 Champion"}; !slices.Equal(p.Badges, want) {
		t.Errorf("badges: got %q, want %q", p.Badges, want)
	}
	earned, needs := []bool{}, []int{}
	for _, b := range p.BadgeCatalog {
		earned, needs = append(earned, b.Earned), append(needs, b.Requirement)
	}
	if diff := cmp.Diff([]int{10, 50, 150, 300, 500}, needs) + cmp.Diff([]bool{true, true, true, false, false}, earned); diff != "" {
		t.Errorf("catalogue (-want +got):\n%s", diff)
	}
}
