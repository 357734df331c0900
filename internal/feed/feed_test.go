package feed_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"larder/api"
	"larder/internal/donation"
	"larder/internal/eventlog"
	"larder/internal/feed"
)

func area(lat, lng, km float64) *api.FeedArea {
	return &api.FeedArea{Lat: &lat, Lng: &lng, RadiusKm: &km}
}

func TestNewView(t *testing.T) {
	view, faults := feed.NewView(api.FeedSubscribe{
		Area: area(50, 14, 5), Statuses: []string{"claimed", "AVAILABLE", " CLAIMED "}, FoodTypes: []string{" Bread", "bread", "Äpfel"},
	})
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	const key = `{"area":{"lat":50,"lng":14,"radiusKm":5},"statuses":["AVAILABLE","CLAIMED"],"foodTypes":["bread","äpfel"]}`
	if view.Key() != key || view.Whole() {
		t.Errorf("key: got %s, want %s", view.Key(), key)
	}
	if again, err := feed.ParseKey(key); err != nil || again.Key() != key {
		t.Errorf("read again: got %s, %v", again.Key(), err)
	}
	for name, req := range map[string]api.FeedSubscribe{
		"nothing": {}, "all statuses": {Statuses: []string{"AVAILABLE", "CLAIMED", "PICKED_UP", "DELIVERED", "EXPIRED", "CANCELLED"}},
	} {
		if v, faults := feed.NewView(req); len(faults) > 0 || !v.Whole() || v.Key() != "{}" {
			t.Errorf("%s: got %s, %q, want the whole feed", name, v.Key(), faults)
		}
	}
	for want, req := range map[string]api.FeedSubscribe{
		"area must have lat":    {Area: &api.FeedArea{Lat: new(1.0), RadiusKm: new(1.0)}},
		"area.lat must":         {Area: area(90.1, 0, 1)},
		"area.lng must":         {Area: area(0, -180.1, 1)},
		"area.radiusKm must":    {Area: area(0, 0, 0)},
		"and at most 20016":     {Area: area(0, 0, 20_017)},
		`"EATEN" is none of`:    {Statuses: []string{"EATEN"}},
		"foodTypes: each must":  {FoodTypes: []string{"  "}},
		"have 1 to 200 bytes":   {FoodTypes: []string{strings.Repeat("x", 201)}},
		"foodTypes must be at ": {FoodTypes: slices.Repeat([]string{"x"}, 51)},
	} {
		if _, faults := feed.NewView(req); len(faults) != 1 || !strings.Contains(faults[0], want) {
			t.Errorf("got %q, want one that contains %q", faults, want)
		}
	}
}

// record is the n-th of a donation's life.
func record(d donation.Donation, before donation.Status, n int64) eventlog.Record {
	about, _ := json.Marshal(map[string]any{"id": d.ID, "latitude": d.Latitude, "longitude": d.Longitude, "foodType": d.FoodType, "status": d.Status})
	kind := "donation.status.updated"
	if before == "" {
		kind = "donation.created"
	}
	return eventlog.Record{
		Position: eventlog.Position{Epoch: "abcdefgh2345", Seq: n},
		Draft: eventlog.Draft{
			Type: kind, Subject: d.ID, Version: n, Audience: eventlog.Audience{Everyone: true},
			Payload: fmt.Appendf(nil, `{"status":%q}`, d.Status), Donation: about, Previous: string(before),
		},
	}
}

// Whatever happens to donations, a client that does as it is told has exactly
// those that a snapshot of its view would have, and is told nothing else.
func TestPassagesAddUpToTheSnapshot(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		status := rapid.SampledFrom(donation.Statuses())
		food := rapid.SampledFrom([]string{"Bread", "bread ", "Soup"})
		req := api.FeedSubscribe{}
		if rapid.Bool().Draw(t, "narrow by area") {
			req.Area = area(0, 0, 100)
		}
		for _, s := range rapid.SliceOfN(status, 0, 3).Draw(t, "statuses") {
			req.Statuses = append(req.Statuses, string(s))
		}
		req.FoodTypes = rapid.SliceOfN(food, 0, 2).Draw(t, "kinds of food")
		view, faults := feed.NewView(req)
		if len(faults) > 0 {
			t.Fatal(faults)
		}
		d := donation.Donation{ID: "d", Latitude: rapid.SampledFrom([]float64{0, 0.8, 0.95, 50}).Draw(t, "lat"), FoodType: food.Draw(t, "food")}
		has := false
		before := donation.Status("")
		for n, s := range rapid.SliceOfN(status, 1, 8).Draw(t, "life") {
			d.Status = s
			r := record(d, before, int64(n+1))
			passage := view.Passage(feed.FactsOf(r))
			switch holds := view.Holds(d); {
			case passage == feed.Within && !holds, passage == feed.Within && !has && before != "":
				t.Fatalf("%s of %v: told as it is, holds %t, had %t", s, view.Key(), holds, has)
			case passage == feed.Enters && (!holds || has || before == ""), passage == feed.Leaves && (holds || !has), passage == feed.Outside && holds:
				t.Fatalf("%s of %v: passage %d, holds %t, had %t", s, view.Key(), passage, holds, has)
			default:
				has = holds
			}
			before = s
		}
	})
}

func TestTell(t *testing.T) {
	d := donation.Donation{ID: "d", Status: donation.Claimed, FoodType: "Bread"}
	r := record(d, donation.Available, 7)
	at := r.Position.String()
	for passage, want := range map[feed.Passage][2]string{
		feed.Within: {"donation.status.updated", `{"status":"CLAIMED","position":"` + at + `"}`},
		feed.Enters: {"feed.entered", `{"donation":` + string(r.Donation) + `,"event":"donation.status.updated","version":7,"position":"` + at + `"}`},
		feed.Leaves: {"feed.left", `{"donationId":"d","status":"CLAIMED","previousStatus":"AVAILABLE","event":"donation.status.updated","version":7,"position":"` + at + `"}`},
	} {
		if name, data, err := feed.Tell(r, passage); err != nil || name != want[0] || string(data) != want[1] {
			t.Errorf("passage %d: got %s %s, %v, want %s", passage, name, data, err, want)
		}
	}
	if _, _, err := feed.Tell(r, feed.Outside); err == nil {
		t.Error("outside: got no error")
	}
}

// Only what a snapshot shows may be left out because one follows.
func TestInSnapshot(t *testing.T) {
	d := donation.Donation{ID: "d", Status: donation.Claimed}
	for name, tc := range map[string]struct {
		record eventlog.Record
		want   bool
	}{
		"a new donation":   {record(d, "", 1), true},
		"a new status":     {record(d, donation.Available, 2), true},
		"near expiry":      {record(d, donation.Claimed, 3), false},
		"no donation":      {eventlog.Record{}, false},
		"from before 0002": {eventlog.Record{Draft: eventlog.Draft{Type: "donation.claimed", Previous: "AVAILABLE"}}, false},
	} {
		if got := feed.FactsOf(tc.record).InSnapshot(); got != tc.want {
			t.Errorf("%s: got %t", name, got)
		}
	}
}

// A record that is not about a donation, or is from before the log kept it, is
// nothing that a view could leave out.
func TestRecordsWithoutDonation(t *testing.T) {
	view, _ := feed.NewView(api.FeedSubscribe{Area: area(0, 0, 1)})
	for _, about := range []string{"", "no JSON"} {
		r := eventlog.Record{Draft: eventlog.Draft{Type: "x", Audience: eventlog.Audience{Everyone: true}}}
		if about != "" {
			r.Donation = json.RawMessage(about)
		}
		if p := view.Passage(feed.FactsOf(r)); p != feed.Within {
			t.Errorf("about %q: got passage %d", about, p)
		}
	}
}
