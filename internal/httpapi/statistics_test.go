package httpapi_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"larder/api"
	"larder/internal/account"
	"larder/internal/impact"
	"larder/internal/store"
	"larder/internal/testkit"
)

var (
	_ = cases("GET /donations/stats/community", map[string]tc{
		"nobody":    {status: 200},
		"bad token": {path: "?x=1", status: 200, header: map[string][]string{"Authorization": {"Bearer x"}}},
	})
	_ = cases("GET /donations/stats/monthly", map[string]tc{
		"who did nothing": {as: "stranger", path: "?_t=1764000000000", status: 200},
		"nobody":          {status: 401, code: api.CodeTokenMissing},
		"suspended":       {as: "suspended", status: 403, code: api.CodeAccountSuspended},
	})
	_ = cases("GET /donations/leaderboard", map[string]tc{
		"nobody did so much": {path: "?scope=weekly&role=VOLUNTEER&limit=1000000", status: 200},
	})
)

// board is a node where three donations were delivered and four were not.
func board(t *testing.T) (w *world, deliver func(fields map[string]any) string) {
	w = newWorld(t)
	u := w.users
	deliver = func(fields map[string]any) string {
		t.Helper()
		d := w.Donate(u["donor"], fields)
		w.Order(u["rival"], d.ID, "claim", nil)
		w.Order(u["carrier"], d.ID, "status", map[string]string{"status": "PICKED_UP"})
		w.Order(u["carrier"], d.ID, "deliver", nil)
		return d.ID
	}
	deliver(map[string]any{"quantity": "4.2", "unit": "Kg"})
	deliver(map[string]any{"quantity": 2, "unit": "servings"})
	deliver(map[string]any{"quantity": 9, "unit": "hampers"})
	w.Donate(u["donor"], map[string]any{"quantity": 1000}) // stays AVAILABLE
	w.Order(u["rival"], w.Donate(u["donor"], nil).ID, "claim", nil)
	w.Order(u["donor"], w.Donate(u["donor"], nil).ID, "cancel", map[string]string{"reason": "eaten"})
	w.expired()
	return w, deliver
}

func TestCommunityCountsWhatWasDelivered(t *testing.T) {
	w, _ := board(t)
	got := testkit.Must[api.Envelope[api.CommunityStats]](w.Node, w.Get("/donations/stats/community", ""), 200)
	want := api.CommunityStats{
		TotalDonations: 7, DeliveredDonations: 3, ActiveDonations: 2, MealsProvided: 12, KgRescued: 5, CO2Saved: 8.1,
		TotalDonors: 2, TotalNGOs: 3, TotalVolunteers: 2, // of three and three, without the suspended ones
		KgEstimated: 0.8, UncountedDonations: 1, FactorSet: impact.Default().Name,
	}
	if diff := cmp.Diff(want, got.Data); !got.Success || diff != "" {
		t.Errorf("success %t (-want +got):\n%s", got.Success, diff)
	}
}

// A page of the existing front end breaks when one of the numbers is missing.
func TestCommunityOfAnEmptyBoard(t *testing.T) {
	n := testkit.Start(t, testkit.Options{})
	got := testkit.Must[map[string]any](n, n.Get("/donations/stats/community", ""), 200)
	data, _ := got["data"].(map[string]any)
	for name := range strings.FieldsSeq("totalDonations deliveredDonations activeDonations mealsProvided kgRescued co2Saved totalDonors totalNGOs totalVolunteers") {
		if v, ok := data[name].(float64); !ok || v != 0 {
			t.Errorf("%s: got %v, want the number 0", name, data[name])
		}
	}
	leaders := testkit.Must[api.Envelope[[]api.Leader]](n, n.Get("/donations/leaderboard", ""), 200)
	if leaders.Data == nil || len(leaders.Data) != 0 {
		t.Errorf("leaders: got %v, want an empty list", leaders.Data)
	}
}

func TestMonthlyIsOfTheCaller(t *testing.T) {
	w, _ := board(t)
	for name, want := range map[string]api.MonthStats{
		"donor":     {Total: 7, Delivered: 3, Claimed: 4, Meals: 12},
		"rival":     {Total: 4, Delivered: 3, Claimed: 4, Meals: 12},
		"carrier":   {Total: 3, Delivered: 3, Claimed: 3, Meals: 12},
		"volunteer": {},
		"ngo":       {},
		"admin":     {},
	} {
		now := time.Now().UTC() // TIMEZONE of a node for tests
		got := testkit.Must[api.Envelope[[]api.MonthStats]](w.Node, w.Get("/donations/stats/monthly", w.users[name].Token), 200)
		if len(got.Data) != 6 || !got.Success {
			t.Fatalf("%s: got %+v, want six months", name, got)
		}
		want.Label = now.Format("Jan")
		if diff := cmp.Diff(want, got.Data[5]); diff != "" {
			t.Errorf("%s: this month (-want +got):\n%s", name, diff)
		}
		first := time.Date(now.Year(), now.Month()-5, 1, 0, 0, 0, 0, time.UTC)
		if diff := cmp.Diff(api.MonthStats{Label: first.Format("Jan")}, got.Data[0]); diff != "" {
			t.Errorf("%s: the first month (-want +got):\n%s", name, diff)
		}
	}
}

func TestLeaderboard(t *testing.T) {
	w, deliver := board(t)
	w.Order(w.users["admin"], w.Donate(w.users["admin"], nil).ID, "cancel", map[string]string{"reason": "x"})
	w.Donate(w.users["admin"], nil) // admins earn, and are no leaders
	old := deliver(nil)
	// Ten days ago: of this month, not of this week.
	w.Update(func(ctx context.Context, tx *store.Tx) error {
		if err := tx.TakeKarmaBack(ctx, []account.Reason{account.ReasonCarry}, old); err != nil {
			return err
		}
		_, err := tx.AwardKarma(ctx, old, account.Award{AccountID: w.users["carrier"].ID, Reason: account.ReasonCarry}, time.Now().AddDate(0, 0, -10))
		return err
	})
	everybody := []string{"Corner Bakery Donor 180", "carrier Volunteer 200", "rival NGO 130"}
	for query, want := range map[string][]string{
		"":                           {"carrier Volunteer 200", everybody[0], "rival NGO 130"},
		"?scope=all":                 {"carrier Volunteer 200", everybody[0], "rival NGO 130"},
		"?scope=monthly":             {"carrier Volunteer 200", everybody[0], "rival NGO 130"},
		"?scope=weekly":              {everybody[0], "carrier Volunteer 150", "rival NGO 130"},
		"?scope=Weekly&role=ngo":     {"rival NGO 130"},
		"?role=Volunteer":            {"carrier Volunteer 200"},
		"?scope=all&role=DONOR&x=y":  {everybody[0]},
		"?role=ADMIN&scope=whatever": {"carrier Volunteer 200", everybody[0], "rival NGO 130"},
	} {
		got := testkit.Must[api.Envelope[[]api.Leader]](w.Node, w.Get("/donations/leaderboard"+query, ""), 200)
		var list []string
		for _, l := range got.Data {
			list = append(list, fmt.Sprintf("%s %s %d", l.Name, l.Role, l.Score))
		}
		if diff := cmp.Diff(want, list); !got.Success || diff != "" {
			t.Errorf("%q: success %t (-want +got):\n%s", query, got.Success, diff)
		}
	}
	// Who is suspended is no leader from then on.
	w.Patch("/admin/users/"+w.users["carrier"].ID+"/toggle-status", w.users["admin"].Token, nil)
	got := testkit.Must[api.Envelope[[]api.Leader]](w.Node, w.Get("/donations/leaderboard?role=VOLUNTEER", ""), 200)
	if len(got.Data) != 0 {
		t.Errorf("after the suspension: got %+v", got.Data)
	}
}

func TestProfileTellsTheImpact(t *testing.T) {
	w, _ := board(t)
	w.Order(w.users["carrier"], w.donation(t, "CLAIMED"), "status", map[string]string{"status": "PICKED_UP"}) // not delivered
	factors := impact.Default().Name
	for name, want := range map[string]api.ImpactStats{
		"donor":     {TotalDonations: 8, MealsProvided: 12, KgSaved: 5, Estimated: true, FactorSet: factors},
		"rival":     {TotalDonations: 4, MealsProvided: 12, KgSaved: 5, Estimated: true, FactorSet: factors},
		"ngo":       {TotalDonations: 1, FactorSet: factors},
		"carrier":   {TotalDonations: 3, MealsProvided: 12, KgSaved: 5, Estimated: true, FactorSet: factors},
		"volunteer": {FactorSet: factors},
	} {
		got := testkit.Must[api.Profile](w.Node, w.Get("/auth/profile", w.users[name].Token), 200)
		if diff := cmp.Diff(want, got.ImpactStats); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		changed := testkit.Must[api.Envelope[api.Profile]](w.Node, w.Patch("/auth/profile", w.users[name].Token, `{}`), 200)
		got.UpdatedAt = changed.Data.UpdatedAt
		if diff := cmp.Diff(got, changed.Data); diff != "" {
			t.Errorf("%s: PATCH answers another profile (-get +patch):\n%s", name, diff)
		}
	}
}
