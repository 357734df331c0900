package contract

import (
	"encoding/json"
	"reflect"

	"larder/api"
)

// examples are of the bodies that clients send and read most. They stand at the
// schema of their type, and so at every route that takes or gives it. The examples
// of the table Events are added to them. A body without one is shown by what its
// schema says.
var examples = []any{
	api.Registration{
		Email: "kitchen@example.org", Password: "correct horse", Name: "Ada Baker", Role: "NGO", Phone: "+49 30 1234567",
		OrganizationName: "Soup Kitchen", OrganizationType: "shelter", Address: "Ackerstr. 12, Berlin",
	},
	api.Login{Email: "kitchen@example.org", Password: "correct horse"},
	api.Session{Token: exampleToken, User: exampleUser},
	exampleUser,
	api.ProfileUpdate{DailyIntakeCapacity: api.Given(new(40.0)), CapacityUnit: new("kg"), Latitude: api.Given(new(52.53)), Longitude: api.Given(new(13.39))},
	api.DonationDraft{
		Name: "Rye bread", FoodType: "bakery", Quantity: 12.5, Unit: "kg", Latitude: 52.52, Longitude: 13.405,
		ExpiryTime: "2026-11-02T17:30:00.000Z", Description: "Baked this morning", Address: "Ackerstr. 1, Berlin",
		Hygiene: json.RawMessage(`{"keptCovered":true,"containerClean":true}`),
	},
	exampleDonationAs("CLAIMED"),
	api.ClaimRequest{EstimatedPickupTime: "2026-11-02T11:00:00.000Z"},
	api.StatusRequest{Status: "PICKED_UP"},
	api.ReasonRequest{Reason: "The van has broken down"},
	api.Health{Status: "OK", Timestamp: inHours(0), Checks: map[string]string{"store": "OK"}},
}

var exampleUser = api.User{ID: exampleNGO, Email: "kitchen@example.org", Name: "Ada Baker", Role: "NGO", IsVerified: true}

// exampleDonationAs is a donation that is available or claimed.
func exampleDonationAs(status string) api.Donation {
	d := api.Donation{
		ID: exampleDonation, Name: "Rye bread", Description: new("Baked this morning"), FoodType: "bakery", Quantity: 12.5, Unit: "kg",
		Hygiene: json.RawMessage(`{"keptCovered":true,"containerClean":true}`), PreparationTime: inHours(-2), ExpiryTime: inHours(8),
		Latitude: 52.52, Longitude: 13.405, Address: new("Ackerstr. 1, Berlin"),
		Location:  api.Location{Lat: 52.52, Lng: 13.405, Address: "Ackerstr. 1, Berlin"},
		ImageURLs: []string{}, Status: status, DonorID: exampleDonor, DonorName: "Corner Bakery", Version: 1, CreatedAt: inHours(0),
		UpdatedAt: inHours(0),
	}
	if status == "CLAIMED" {
		d.ClaimedByID, d.ClaimedAt, d.EstimatedPickupTime = new(exampleNGO), new(inHours(1)), new(inHours(1.5))
		d.Version, d.UpdatedAt = 2, inHours(1)
	}
	return d
}

// exampleOf finds the example of a type; none is nil.
func exampleOf(t reflect.Type) any {
	for _, v := range examples {
		if reflect.TypeOf(v) == t {
			return v
		}
	}
	for _, e := range Events {
		for _, v := range []any{e.Payload, e.Ack} {
			if v != nil && reflect.TypeOf(v) == t {
				return v
			}
		}
	}
	return nil
}
