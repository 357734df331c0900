package gateway_test

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"larder/api"
	"larder/internal/account"
	"larder/internal/gateway"
	"larder/internal/store"
	"larder/internal/testkit"
)

// trip is a donation on its way, with all who have to do with it.
type trip struct {
	donor, ngo, carrier *testkit.User
	donation            api.Donation
}

func onTheWay(n *testkit.Node) trip {
	t := trip{donor: n.User(account.Donor), ngo: n.User(account.NGO), carrier: n.User(account.Volunteer)}
	t.donation = n.Donate(t.donor, nil)
	n.Order(t.ngo, t.donation.ID, "claim", nil)
	n.Order(t.carrier, t.donation.ID, "status", map[string]string{"status": "PICKED_UP"})
	return t
}

// settle reads all that was said so far: a location goes only to who has nothing else
// on its way (P-16).
func settle(t *testing.T, n *testkit.Node, roles map[door]account.Role) {
	t.Helper()
	id := n.Donate(n.User(account.Donor), nil).ID
	for d, role := range roles {
		last := api.EventDonationCreated
		if role == account.NGO || role == account.Volunteer {
			last = api.EventNotification // of the new food, behind it
		}
		for e := next(t, d); e.Name != last || !strings.Contains(string(e.Data), id); e = next(t, d) {
		}
	}
	synctest.Wait()
}

// share sends a location and returns the answer's code, empty when it was taken.
func share(t *testing.T, d door, body map[string]any) api.Code {
	t.Helper()
	if err := d.Emit(3, api.EventShareLocation, body); err != nil {
		t.Fatal(err)
	}
	for {
		e := next(t, d)
		if !e.Ack {
			continue // the carrier hears its own location, and exceptions
		}
		var answer struct {
			OK   bool
			Code api.Code
		}
		if err := json.Unmarshal(e.Data, &answer); err != nil || answer.OK == (answer.Code != "") {
			t.Fatalf("got %s: %v", e.Data, err)
		}
		return answer.Code
	}
}

func at(id string, lat, lng float64) map[string]any {
	return map[string]any{"donationId": id, "lat": lat, "lng": lng}
}

// The location of a carrier goes to the claimer, the donor and the carrier, and to
// nobody else (P-16, P-25).
func TestLocationGoesToTheParties(t *testing.T) {
	eachDoor(t, func(t *testing.T, n *testkit.Node, open func(*testkit.User) (door, api.FeedReady)) {
		trip := onTheWay(n)
		name := "volunteer.location." + trip.donation.ID
		stranger, _ := open(n.User(account.NGO))
		admin, _ := open(n.User(account.Admin))
		ngo, _ := open(trip.ngo)
		donor, _ := open(trip.donor)
		carrier, _ := open(trip.carrier)
		settle(t, n, map[door]account.Role{
			stranger: account.NGO, admin: account.Admin, ngo: account.NGO, donor: account.Donor, carrier: account.Volunteer,
		})
		body := at(trip.donation.ID, 38.7, -9.1)
		body["volunteerId"] = trip.carrier.ID
		if code := share(t, carrier, body); code != "" {
			t.Fatalf("refused: %s", code)
		}
		for who, d := range map[string]door{"claimer": ngo, "donor": donor} {
			e := next(t, d)
			var got api.VolunteerLocation
			if err := json.Unmarshal(e.Data, &got); err != nil || e.Name != name || e.Position() != "" {
				t.Errorf("%s: got %s %s, %v", who, e.Name, e.Data, err)
			}
			want := api.VolunteerLocation{VolunteerID: trip.carrier.ID, DonationID: trip.donation.ID, Lat: 38.7, Lng: -9.1, Timestamp: api.At(time.Now())}
			if got != want {
				t.Errorf("%s: got %+v, want %+v", who, got, want)
			}
		}
		n.Order(trip.carrier, trip.donation.ID, "deliver", nil)
		for who, d := range map[string]door{"stranger": stranger, "admin": admin} {
			for e := next(t, d); e.Name != api.EventDonationStatusUpdated; e = next(t, d) {
				if strings.HasPrefix(e.Name, api.EventVolunteerLocation) {
					t.Errorf("the %s heard where the carrier is", who)
				}
			}
		}
		if code := share(t, carrier, at(trip.donation.ID, 1, 1)); code != api.CodeNotYours {
			t.Errorf("after the delivery: got %q", code)
		}
	})
}

// One location a second of one trip is passed on, and the last one in any case; who
// comes in between gets the last.
func TestLocationIsThinned(t *testing.T) {
	eachDoor(t, func(t *testing.T, n *testkit.Node, open func(*testkit.User) (door, api.FeedReady)) {
		trip := onTheWay(n)
		ngo, _ := open(trip.ngo)
		carrier, _ := open(trip.carrier)
		settle(t, n, map[door]account.Role{ngo: account.NGO, carrier: account.Volunteer})
		latitude := func(d door) float64 {
			t.Helper()
			for {
				e := next(t, d)
				var got api.VolunteerLocation
				if !strings.HasPrefix(e.Name, api.EventVolunteerLocation) {
					continue // to a newcomer
				}
				if err := json.Unmarshal(e.Data, &got); err != nil {
					t.Fatalf("got %s %s: %v", e.Name, e.Data, err)
				}
				return got.Lat
			}
		}
		heard := make(chan float64, 25)
		go func() {
			defer close(heard)
			for {
				var got api.VolunteerLocation
				e, err := ngo.Next()
				if err != nil || json.Unmarshal(e.Data, &got) != nil {
					return
				}
				if strings.HasPrefix(e.Name, api.EventVolunteerLocation) {
					heard <- got.Lat
				}
				if got.Lat == 24 {
					return
				}
			}
		}()
		for i := range 25 { // at 0, 0.2, ... 4.8 s
			if code := share(t, carrier, at(trip.donation.ID, float64(i), 0)); code != "" {
				t.Fatalf("refused: %s", code)
			}
			select {
			case <-time.After(200 * time.Millisecond):
			case <-t.Context().Done():
			}
		}
		var all []float64
		for lat := range heard {
			all = append(all, lat)
		}
		if len(all) < 5 || len(all) > 7 || all[0] != 0 || all[len(all)-1] != 24 || !slices.IsSorted(all) {
			t.Errorf("got the locations %v, want 0, one for each second, and 24", all)
		}
		late, _ := open(trip.donor)
		if got := latitude(late); got != 24 {
			t.Errorf("a newcomer got the location %g, want the last", got)
		}
		n.Order(trip.carrier, trip.donation.ID, "deliver", nil)
		for !strings.Contains(string(next(t, late).Data), `"DELIVERED"`) {
		}
		later, _ := open(trip.donor)
		n.Donate(trip.donor, nil)
		for e := next(t, later); e.Name != api.EventDonationCreated; e = next(t, later) {
			if strings.HasPrefix(e.Name, api.EventVolunteerLocation) {
				t.Errorf("after the trip a newcomer got %s", e.Data)
			}
		}
	})
}

// Nobody tells a location for somebody else (P-25).
func TestLocationIsRefused(t *testing.T) {
	eachDoor(t, func(t *testing.T, n *testkit.Node, open func(*testkit.User) (door, api.FeedReady)) {
		trip := onTheWay(n)
		open1 := n.Donate(trip.donor, nil)
		claimed := n.Donate(trip.donor, nil)
		n.Order(trip.ngo, claimed.ID, "claim", nil)
		id := trip.donation.ID
		with := func(key string, value any) map[string]any {
			body := at(id, 1, 2)
			body[key] = value
			return body
		}
		other := n.User(account.Volunteer)
		for name, tc := range map[string]struct {
			by   *testkit.User
			body map[string]any
			want api.Code
		}{
			"another volunteer":   {other, at(id, 1, 2), api.CodeNotYours},
			"the donor":           {trip.donor, at(id, 1, 2), api.CodeNotYours},
			"the claimer":         {trip.ngo, at(id, 1, 2), api.CodeNotYours},
			"an admin":            {n.User(account.Admin), at(id, 1, 2), api.CodeNotYours},
			"in another's name":   {trip.carrier, with("volunteerId", other.ID), api.CodeNotYours},
			"not claimed":         {trip.carrier, at(open1.ID, 1, 2), api.CodeNotYours},
			"not picked up yet":   {trip.carrier, at(claimed.ID, 1, 2), api.CodeNotYours},
			"no such donation":    {trip.carrier, at("01a00000-0000-7000-8000-000000000000", 1, 2), api.CodeDonationNotFound},
			"no id at all":        {trip.carrier, at(strings.Repeat("x", 50_000), 1, 2), api.CodeDonationNotFound},
			"no donation":         {trip.carrier, with("donationId", ""), api.CodeValidation},
			"a number":            {trip.carrier, with("donationId", 5), api.CodeBadRequest},
			"latitude 999":        {trip.carrier, at(id, 999, 2), api.CodeValidation},
			"longitude -180.1":    {trip.carrier, at(id, 1, -180.1), api.CodeValidation},
			"latitude is text":    {trip.carrier, with("lat", "1"), api.CodeBadRequest},
			"latitude is nothing": {trip.carrier, with("lat", nil), api.CodeValidation},
			"nothing":             {trip.carrier, map[string]any{}, api.CodeValidation},
		} {
			d, _ := open(tc.by)
			if got := share(t, d, tc.body); got != tc.want {
				t.Errorf("%s: got %q, want %q", name, got, tc.want)
			}
		}
		d, _ := open(trip.carrier)
		if code := share(t, d, at(id, -90, 180)); code != "" {
			t.Errorf("the border of the range: %s", code)
		}
	})
}

// The volunteer who is proposed may tell a location before the pick-up, and no
// longer once somebody else has the food.
func TestLocationOfTheProposedVolunteer(t *testing.T) {
	bubble(t, func(t *testing.T, n *testkit.Node) {
		donor, ngo, proposed, other := n.User(account.Donor), n.User(account.NGO), n.User(account.Volunteer), n.User(account.Volunteer)
		d := n.Donate(donor, nil)
		n.Order(ngo, d.ID, "claim", nil)
		n.Update(func(ctx context.Context, tx *store.Tx) error {
			row, err := tx.Donation(ctx, d.ID)
			if err != nil {
				return err
			}
			row.AssignedVolunteerID = proposed.ID
			row.Version++
			return tx.UpdateDonation(ctx, row)
		})
		s, _ := n.Watch(proposed)
		if code := share(t, s, at(d.ID, 1, 2)); code != "" {
			t.Errorf("refused: %s", code)
		}
		n.Order(other, d.ID, "status", map[string]string{"status": "PICKED_UP"})
		testkit.Expect[api.DonationStatusUpdated](n, s, api.EventDonationStatusUpdated)
		if code := share(t, s, at(d.ID, 1, 2)); code != api.CodeNotYours {
			t.Errorf("after another one's pick-up: got %q", code)
		}
	})
}

// A trip that ends while its carrier is looked up leaves no location behind (P-16).
func TestTripThatEndsMeanwhile(t *testing.T) {
	var trips gateway.Trips
	now := time.Now()
	if trips.Share("d1", "ngo", now, func() { trips.End("d1") }) {
		t.Error("the location of a trip that has ended is passed on")
	}
	if n := trips.Kept("ngo", now); n != 0 {
		t.Errorf("%d locations are kept", n)
	}
	if !trips.Share("d1", "ngo", now, func() { trips.End("d2") }) || trips.Kept("ngo", now) != 1 || trips.Kept("stranger", now) != 0 {
		t.Error("another donation's record took the location away")
	}
	if trips.Kept("ngo", now.Add(11*time.Minute)) != 0 {
		t.Error("an old location is shown")
	}
	trips.End("d1")
	if trips.Kept("ngo", now) != 0 {
		t.Error("the end of the trip left its location")
	}
}
