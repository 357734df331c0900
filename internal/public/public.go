// Package public gives the form in which every client sees a donation: in
// answers, in snapshots, and in the log, which keeps what was shown.
//
// It is pure and holds no state.
package public

import (
	"encoding/json"

	"larder/api"
	"larder/internal/donation"
)

// Donation is a donation as every client sees it.
func Donation(d donation.Donation) api.Donation {
	hygiene := d.Hygiene
	if hygiene == nil {
		hygiene = json.RawMessage("null")
	}
	images := d.ImageURLs
	if images == nil {
		images = []string{}
	}
	return api.Donation{
		ID: d.ID, Name: d.Name, Description: api.Text(d.Description), FoodType: d.FoodType, Quantity: d.Quantity, Unit: d.Unit,
		Hygiene: hygiene, PreparationTime: api.At(d.PreparationTime), ExpiryTime: api.At(d.ExpiryTime),
		Latitude: d.Latitude, Longitude: d.Longitude, Address: api.Text(d.Address),
		Location:            api.Location{Lat: d.Latitude, Lng: d.Longitude, Address: d.Address},
		SpecialInstructions: api.Text(d.SpecialInstructions), ImageURLs: images,
		Status: string(d.Status), DonorID: d.DonorID, DonorName: d.DonorName, DonorTrustScore: d.DonorTrustScore,
		ClaimedByID: api.Text(d.ClaimedByID), ClaimedAt: api.AtPtr(d.ClaimedAt), EstimatedPickupTime: api.AtPtr(d.EstimatedPickupTime),
		AssignedVolunteerID: api.Text(d.AssignedVolunteerID), VolunteerID: api.Text(d.VolunteerID),
		PickedUpAt: api.AtPtr(d.PickedUpAt), PickedUpBy: api.Text(d.PickedUpBy),
		DeliveredAt: api.AtPtr(d.DeliveredAt), DeliveredBy: api.Text(d.DeliveredBy), CancelReason: api.Text(d.CancelReason),
		Version: d.Version, CreatedAt: api.At(d.CreatedAt), UpdatedAt: api.At(d.UpdatedAt),
	}
}
