package query_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"larder/api"
	"larder/internal/account"
	"larder/internal/donation"
	"larder/internal/eventlog"
	"larder/internal/public"
	"larder/internal/query"
	"larder/internal/store"
)

var everyone = eventlog.Audience{Everyone: true}

func users(ids ...string) eventlog.Audience { return eventlog.Audience{Users: ids} }

func TestResume(t *testing.T) {
	w := newWorld(t)
	ngo := query.Viewer{AccountID: "ngo"}
	empty, err := w.Resume(w.ctx, ngo, "", 0)
	if err != nil || !empty.Recovered || empty.More || len(empty.Events) != 0 || empty.Events == nil {
		t.Errorf("an empty log: got %+v, %v", empty, err)
	}
	for i, a := range []eventlog.Audience{everyone, users("ngo"), users("donor"), {}, everyone, users("donor", "ngo"), {Users: []string{"donor"}, Roles: []string{"VOLUNTEER"}}} {
		w.append(a, fmt.Sprintf(`{"n":%d}`, i+1))
	}
	head, err := w.store.Log().Head(w.ctx)
	if err != nil {
		t.Fatal(err)
	}
	at := func(seq int64) string { return eventlog.Position{Epoch: head.Epoch, Seq: seq}.String() }
	roles := map[string]account.Role{"ngo": account.NGO, "donor": account.Donor, "helper": account.Volunteer}
	for name, tc := range map[string]struct {
		viewer string
		after  string
		limit  int
		want   api.FeedResumed // without Events
		events string          // by their n
	}{
		"everything":             {"ngo", "", 0, api.FeedResumed{Position: at(7), Recovered: true}, "1 2 5 6"},
		"from the beginning":     {"ngo", at(0), 0, api.FeedResumed{Position: at(7), Recovered: true}, "1 2 5 6"},
		"what an epoch began":    {"ngo", empty.Position, 0, api.FeedResumed{Position: at(7), Recovered: true}, "1 2 5 6"},
		"for another":            {"donor", "", 0, api.FeedResumed{Position: at(7), Recovered: true}, "1 3 5 6 7"},
		"for a role":             {"helper", "", 0, api.FeedResumed{Position: at(7), Recovered: true}, "1 5 7"},
		"for a stranger":         {"x", "", 0, api.FeedResumed{Position: at(7), Recovered: true}, "1 5"},
		"for nobody":             {"", "", 0, api.FeedResumed{Position: at(7), Recovered: true}, "1 5"},
		"the rest":               {"ngo", at(5), 0, api.FeedResumed{Position: at(7), Recovered: true}, "6"},
		"nothing new":            {"ngo", at(7), 0, api.FeedResumed{Position: at(7), Recovered: true}, ""},
		"first page":             {"ngo", at(0), 3, api.FeedResumed{Position: at(3), Recovered: true, More: true}, "1 2"},
		"a page of nothing":      {"ngo", at(2), 2, api.FeedResumed{Position: at(4), Recovered: true, More: true}, ""},
		"last page":              {"ngo", at(4), 3, api.FeedResumed{Position: at(7), Recovered: true}, "5 6"},
		"a page to the head":     {"ngo", at(4), 2, api.FeedResumed{Position: at(6), Recovered: true, More: true}, "5 6"},
		"a limit of less than 0": {"ngo", at(6), -5, api.FeedResumed{Position: at(7), Recovered: true}, ""},
		"a huge limit":           {"ngo", at(5), 1 << 40, api.FeedResumed{Position: at(7), Recovered: true}, "6"},
		"ahead":                  {"ngo", at(8), 0, api.FeedResumed{Position: at(7), Reason: query.ReasonAhead}, ""},
		"far ahead":              {"ngo", at(1<<63 - 1), 0, api.FeedResumed{Position: at(7), Reason: query.ReasonAhead}, ""},
		"another epoch":          {"ngo", eventlog.Position{Epoch: "zzzzzzzzzzzz", Seq: 3}.String(), 0, api.FeedResumed{Position: at(7), Reason: query.ReasonEpoch}, ""},
		"another epoch, ahead":   {"ngo", eventlog.Position{Epoch: "zzzzzzzzzzzz", Seq: 300}.String(), 0, api.FeedResumed{Position: at(7), Reason: query.ReasonEpoch}, ""},
		"no position":            {"ngo", "hello", 0, api.FeedResumed{Position: at(7), Reason: query.ReasonPosition}, ""},
		"nearly a position":      {"ngo", at(3) + " ", 0, api.FeedResumed{Position: at(7), Reason: query.ReasonPosition}, ""},
		"an offset of another":   {"ngo", "1699000000000-0", 0, api.FeedResumed{Position: at(7), Reason: query.ReasonPosition}, ""},
	} {
		got, err := w.Resume(w.ctx, query.Viewer{AccountID: tc.viewer, Role: roles[tc.viewer]}, tc.after, tc.limit)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		events := []string{}
		for _, e := range got.Events {
			var data struct {
				N        int
				Position string
			}
			if err := json.Unmarshal(e.Data, &data); err != nil || data.Position != e.Position || e.Position != at(int64(data.N)) || e.Event != "x" {
				t.Errorf("%s: event %+v: %v", name, e, err)
			}
			events = append(events, fmt.Sprint(data.N))
		}
		if got := strings.Join(events, " "); got != tc.events {
			t.Errorf("%s: got events %q, want %q", name, got, tc.events)
		}
		if got.Events == nil {
			t.Errorf("%s: events are null", name)
		}
		got.Events = nil
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestResumeOutsideTheWindow(t *testing.T) {
	w := newWorld(t)
	for i := range 5 {
		w.append(everyone, fmt.Sprintf(`{"n":%d}`, i+1))
	}
	head, err := w.store.Log().Head(w.ctx)
	if err != nil {
		t.Fatal(err)
	}
	w.cut(2) // 3 to 5 are kept
	for seq, want := range map[int64]string{0: query.ReasonWindow, 1: query.ReasonWindow, 2: "", 3: "", 5: ""} {
		got, err := w.Resume(w.ctx, query.Viewer{}, eventlog.Position{Epoch: head.Epoch, Seq: seq}.String(), 0)
		if err != nil || got.Reason != want || got.Recovered != (want == "") {
			t.Errorf("after %d: got %+v, %v, want reason %q", seq, got, err, want)
		}
		if want == "" && len(got.Events) != int(5-seq) {
			t.Errorf("after %d: got %d events", seq, len(got.Events))
		}
	}
	if got, err := w.Resume(w.ctx, query.Viewer{}, "", 0); err != nil || len(got.Events) != 3 {
		t.Errorf("all that is kept: got %d events, %v, want 3", len(got.Events), err)
	}
}

// TestResumeInPages goes on with More until there is no more: nothing is missed
// or told twice, whatever the pages are bounded by.
func TestResumeInPages(t *testing.T) {
	w := newWorld(t)
	big := `{"text":"` + strings.Repeat("x", 60<<10) + `"}` // a page ends by bytes after three
	w.update(func(tx *store.Tx) error {
		for i := range 640 {
			d := eventlog.Draft{Type: "x", Subject: "s", Audience: everyone, Payload: []byte(`{}`), At: w.start}
			if i%5 == 0 {
				d.Audience = users("other")
			}
			if i >= 600 && i < 620 {
				d.Payload = []byte(big)
			}
			if _, err := tx.Append(w.ctx, d); err != nil {
				return err
			}
		}
		return nil
	})
	for _, limit := range []int{0, 7, 100} {
		var seen []string
		pages, after := 0, ""
		for more := true; more; pages++ {
			page, err := w.Resume(w.ctx, query.Viewer{AccountID: "ngo"}, after, limit)
			if err != nil || !page.Recovered {
				t.Fatalf("limit %d, after %q: %+v, %v", limit, after, page.Reason, err)
			}
			size := 0
			for _, e := range page.Events {
				seen = append(seen, e.Position)
				size += len(e.Data)
			}
			if size > 300<<10 || len(page.Events) > query.MaxEvents {
				t.Errorf("limit %d: a page of %d events and %d bytes", limit, len(page.Events), size)
			}
			if page.More && page.Position == after {
				t.Fatalf("limit %d: a page that gets nowhere", limit)
			}
			after, more = page.Position, page.More
		}
		if len(seen) != 512 {
			t.Errorf("limit %d: %d events in %d pages, want 512", limit, len(seen), pages)
		}
		unique := map[string]bool{}
		for _, p := range seen {
			unique[p] = true
		}
		if len(unique) != len(seen) {
			t.Errorf("limit %d: %d events were told twice", limit, len(seen)-len(unique))
		}
	}
}

func TestResumeWithTheStoreClosed(t *testing.T) {
	w := newWorld(t)
	if err := w.store.Close(); err != nil {
		t.Fatal(err)
	}
	for _, after := range []string{"", "hello", "abcdefgh2345-000000000001n"} {
		if got, err := w.Resume(w.ctx, query.Viewer{}, after, 0); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("after %q: got %+v, %v, want ErrUnavailable and never an empty answer", after, got, err)
		}
	}
	if list, _, err := w.Donations(w.ctx, query.ListFilter{}); !errors.Is(err, store.ErrUnavailable) || len(list) != 0 {
		t.Errorf("Donations: got %v, %v", list, err)
	}
}

func TestDonationView(t *testing.T) {
	now := time.Now()
	bare := public.Donation(donation.Donation{ID: "d", ExpiryTime: now.Add(time.Hour), Status: donation.Available})
	b, err := json.Marshal(bare)
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	for _, field := range []string{
		"description", "hygiene", "address", "specialInstructions", "donorTrustScore", "claimedById", "claimedAt", "estimatedPickupTime",
		"assignedVolunteerId", "volunteerId", "pickedUpAt", "pickedUpBy", "deliveredAt", "deliveredBy", "cancelReason",
	} {
		if v, ok := got[field]; !ok || v != nil {
			t.Errorf("%s: got %v (there: %v), want null", field, v, ok)
		}
	}
	if v, ok := got["imageUrls"].([]any); !ok || len(v) != 0 {
		t.Errorf("imageUrls: got %v, want an empty list", got["imageUrls"])
	}
	if v, ok := got["distance"]; ok {
		t.Errorf("distance: got %v, want none", v)
	}

	full := donation.Donation{
		ID: "d", Name: "n", Description: "de", FoodType: "f", Quantity: 1.5, Unit: "kg", Hygiene: []byte(`{"a":1}`), PreparationTime: now,
		ExpiryTime: now.Add(-time.Hour), Latitude: 1, Longitude: 2, Address: "a", SpecialInstructions: "s", ImageURLs: []string{"i"},
		Status: donation.Delivered, DonorID: "do", DonorName: "dn", DonorTrustScore: new(4.5), ClaimedByID: "c", ClaimedAt: &now, EstimatedPickupTime: &now,
		AssignedVolunteerID: "av", VolunteerID: "v", PickedUpAt: &now, PickedUpBy: "p", DeliveredAt: &now, DeliveredBy: "db",
		CancelReason: "cr", Version: 4, CreatedAt: now, UpdatedAt: now,
	}
	at := api.At(now)
	want := api.Donation{
		ID: "d", Name: "n", Description: new("de"), FoodType: "f", Quantity: 1.5, Unit: "kg", Hygiene: json.RawMessage(`{"a":1}`), PreparationTime: at,
		ExpiryTime: api.At(now.Add(-time.Hour)), Latitude: 1, Longitude: 2, Address: new("a"), Location: api.Location{Lat: 1, Lng: 2, Address: "a"},
		SpecialInstructions: new("s"), ImageURLs: []string{"i"}, Status: "DELIVERED", DonorID: "do", DonorName: "dn", DonorTrustScore: new(4.5), ClaimedByID: new("c"),
		ClaimedAt: &at, EstimatedPickupTime: &at, AssignedVolunteerID: new("av"), VolunteerID: new("v"), PickedUpAt: &at, PickedUpBy: new("p"),
		DeliveredAt: &at, DeliveredBy: new("db"), CancelReason: new("cr"), Version: 4, CreatedAt: at, UpdatedAt: at,
	}
	if diff := cmp.Diff(want, public.Donation(full)); diff != "" {
		t.Errorf("view of a full donation (-want +got):\n%s", diff)
	}
}
