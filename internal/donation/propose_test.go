package donation_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"larder/internal/donation"
	"larder/internal/geo"
)

func TestPropose(t *testing.T) {
	d := donation.Donation{Latitude: 52.52, Longitude: 13.40}
	at := func(id string, lat float64, trips int) donation.Candidate {
		return donation.Candidate{ID: id, Lat: lat, Lng: 13.40, Trips: trips}
	}
	for name, tc := range map[string]struct {
		list []donation.Candidate
		want string
	}{
		"nobody":                            {nil, ""},
		"the only one":                      {[]donation.Candidate{at("a", -52, 7)}, "a"},
		"the nearest":                       {[]donation.Candidate{at("a", 53, 0), at("b", 52.6, 0), at("c", 52, 0)}, "b"},
		"of equals the smaller id":          {[]donation.Candidate{at("c", 52.6, 0), at("a", 52.6, 0), at("b", 52.6, 0)}, "a"},
		"who is free before who has a trip": {[]donation.Candidate{at("a", 52.52, 1), at("b", 52.60, 0)}, "b"},        // 9 km
		"but not from afar":                 {[]donation.Candidate{at("a", 52.52, 1), at("b", 52.62, 0)}, "a"},        // 11 km
		"a place that nobody knows":         {[]donation.Candidate{at("a", 53.0, 0), {ID: "b", Unplaced: true}}, "b"}, // 53 km
		"counts as far, not as everywhere":  {[]donation.Candidate{at("a", 52.9, 0), {ID: "b", Unplaced: true}}, "a"}, // 42 km
		"nobody else":                       {[]donation.Candidate{{ID: "b", Unplaced: true, Trips: 1}, {ID: "c", Unplaced: true}}, "c"},
		"one trip before two":               {[]donation.Candidate{at("a", 52.52, 2), at("b", 52.60, 1)}, "b"},
	} {
		id, km, ok := d.Propose(tc.list)
		if id != tc.want || ok != (tc.want != "") || km < 0 {
			t.Errorf("%s: got %q, %g km, %t, want %q", name, id, km, ok, tc.want)
		}
	}
	if _, km, _ := d.Propose([]donation.Candidate{at("a", 52.52, 3)}); km != 3*donation.TripPenaltyKm {
		t.Errorf("three trips at the place: %g km, want %g", km, 3*donation.TripPenaltyKm)
	}
}

// TestProposeIsAChoice holds what the choice must be, whatever the candidates and
// their order: one of them, and none is better.
func TestProposeIsAChoice(t *testing.T) {
	candidate := rapid.Custom(func(t *rapid.T) donation.Candidate {
		return donation.Candidate{
			ID: rapid.StringMatching("[a-f]{1,3}").Draw(t, "id"), Lat: rapid.SampledFrom([]float64{-90, 0, 1, 52.5, 90}).Draw(t, "lat"),
			Lng: rapid.Float64Range(-180, 180).Draw(t, "lng"), Trips: rapid.IntRange(0, 3).Draw(t, "trips"),
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		d := donation.Donation{Latitude: rapid.Float64Range(-90, 90).Draw(t, "lat"), Longitude: rapid.Float64Range(-180, 180).Draw(t, "lng")}
		list := rapid.SliceOfNDistinct(candidate, 1, 8, func(c donation.Candidate) string { return c.ID }).Draw(t, "list")
		id, km, ok := d.Propose(list)
		found := false
		for _, c := range list {
			cost := geo.Distance(d.Latitude, d.Longitude, c.Lat, c.Lng) + donation.TripPenaltyKm*float64(c.Trips)
			if found = found || c.ID == id && cost == km; cost < km || cost == km && c.ID < id {
				t.Fatalf("%+v is better than %s at %g km", c, id, km)
			}
		}
		again, _, _ := d.Propose(rapid.Permutation(list).Draw(t, "order"))
		if !ok || !found || again != id {
			t.Fatalf("chose %q (%t), in another order %q", id, ok, again)
		}
	})
}

// TestProposeAmong compares the search with a look at everybody.
func TestProposeAmong(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := donation.Donation{Latitude: rapid.Float64Range(-60, 60).Draw(t, "lat"), Longitude: 10}
		// Groups of volunteers, some of them crowds, at some distances.
		var all []donation.Candidate
		for range rapid.IntRange(0, 6).Draw(t, "groups") {
			km := rapid.OneOf(rapid.Float64Range(0, 30), rapid.Float64Range(0, 300), rapid.Float64Range(0, 3000)).Draw(t, "km")
			wide := rapid.SampledFrom([]float64{0, 1, 50}).Draw(t, "wide")
			for range rapid.SampledFrom([]int{1, 2, 20, 49, 50, 51, 300}).Draw(t, "size") {
				n := len(all)
				away := km + wide*float64(n%17)/17
				all = append(all, donation.Candidate{
					ID: fmt.Sprintf("v%04d", n), Lat: d.Latitude - away/111.195, Lng: d.Longitude, Trips: n * n % 4 * rapid.IntRange(0, 1).Draw(t, "busy"),
				})
			}
		}
		away := func(c donation.Candidate) float64 { return geo.Distance(d.Latitude, d.Longitude, c.Lat, c.Lng) }
		looks := 0
		var unplaced []donation.Candidate
		for i := range rapid.SampledFrom([]int{0, 0, 1, 3, 70}).Draw(t, "unplaced") {
			unplaced = append(unplaced, donation.Candidate{ID: fmt.Sprintf("u%04d", i), Unplaced: true, Trips: rapid.IntRange(0, 3).Draw(t, "trips")})
		}
		id, ok, err := d.ProposeAmong(func(radius float64, limit int) (list []donation.Candidate, err error) {
			looks++
			for _, c := range all {
				if away(c) <= radius && len(list) < limit {
					list = append(list, c)
				}
			}
			return list, nil
		}, func(limit int) ([]donation.Candidate, error) { return unplaced[:min(limit, len(unplaced))], nil })
		best, km, any := d.Propose(append(slices.Clone(all), unplaced[:min(50, len(unplaced))]...))
		if err != nil || ok != any || looks > 16 || len(all) <= 50 && looks > 2 {
			t.Fatalf("%t of %t after %d looks, %v", ok, any, looks, err)
		}
		if id == best || !ok {
			return
		}
		// Another one only if those who are no farther away than the best counts to be
		// are a crowd; whoever is within 50 m of each other is at one place.
		around := 0
		for _, c := range all {
			if away(c) <= km+0.05 {
				around++
			}
		}
		if around <= 50 {
			t.Fatalf("proposed %s, best is %s at %g km, with %d no farther away", id, best, km, around)
		}
	})
}

func TestProposeAmongFails(t *testing.T) {
	broken := errors.New("broken")
	fails := func() ([]donation.Candidate, error) { return nil, broken }
	for name, of := range map[string][2]func() ([]donation.Candidate, error){
		"near": {fails, func() ([]donation.Candidate, error) { return nil, nil }}, "unplaced": {func() ([]donation.Candidate, error) { return nil, nil }, fails},
	} {
		_, ok, err := donation.Donation{}.ProposeAmong(func(float64, int) ([]donation.Candidate, error) { return of[0]() },
			func(int) ([]donation.Candidate, error) { return of[1]() })
		if ok || !errors.Is(err, broken) {
			t.Errorf("%s: got %t, %v", name, ok, err)
		}
	}
}
