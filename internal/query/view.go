package query

import (
	"encoding/json"
	"time"

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
		ID: d.ID, Name: d.Name, Description: optional(d.Description), FoodType: d.FoodType, Quantity: d.Quantity, Unit: d.Unit,
		Hygiene: hygiene, PreparationTime: api.At(d.PreparationTime), ExpiryTime: api.At(d.ExpiryTime),
		Latitude: d.Latitude, Longitude: d.Longitude, Address: optional(d.Address),
		Location:            api.Location{Lat: d.Latitude, Lng: d.Longitude, Address: d.Address},
		SpecialInstructions: optional(d.SpecialInstructions), ImageURLs: images,
		// The clock's second may not have come yet: an overdue donation is shown as
		// what it is about to become, so that nobody tries to claim it.
		Status: string(d.StatusAt(time.Now())), DonorID: d.DonorID, DonorName: d.DonorName,
		ClaimedByID: optional(d.ClaimedByID), ClaimedAt: api.AtPtr(d.ClaimedAt), EstimatedPickupTime: api.AtPtr(d.EstimatedPickupTime),
		AssignedVolunteerID: optional(d.AssignedVolunteerID), VolunteerID: optional(d.VolunteerID),
		PickedUpAt: api.AtPtr(d.PickedUpAt), PickedUpBy: optional(d.PickedUpBy),
		DeliveredAt: api.AtPtr(d.DeliveredAt), DeliveredBy: optional(d.DeliveredBy), CancelReason: optional(d.CancelReason),
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

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
