package query

import (
	"encoding/json"

	"larder/api"
	"larder/internal/donation"
	"larder/internal/eventlog"
)

// DonationView is a donation as every client sees it.
func DonationView(d donation.Donation) api.Donation {
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
		Status: string(d.Status), DonorID: d.DonorID, DonorName: d.DonorName,
		ClaimedByID: api.Text(d.ClaimedByID), ClaimedAt: api.AtPtr(d.ClaimedAt), EstimatedPickupTime: api.AtPtr(d.EstimatedPickupTime),
		AssignedVolunteerID: api.Text(d.AssignedVolunteerID), VolunteerID: api.Text(d.VolunteerID),
		PickedUpAt: api.AtPtr(d.PickedUpAt), PickedUpBy: api.Text(d.PickedUpBy),
		DeliveredAt: api.AtPtr(d.DeliveredAt), DeliveredBy: api.Text(d.DeliveredBy), CancelReason: api.Text(d.CancelReason),
		Version: d.Version, CreatedAt: api.At(d.CreatedAt), UpdatedAt: api.At(d.UpdatedAt),
	}
}

// EventViews are records as clients see them.
func EventViews(recs []eventlog.Record) []api.LoggedEvent {
	out := make([]api.LoggedEvent, 0, len(recs))
	for _, r := range recs {
		out = append(out, api.LoggedEvent{Position: r.Position.String(), Event: r.Type, At: api.At(r.At), Data: r.Data()})
	}
	return out
}
