// Package public gives the forms in which clients see donations and what goes with
// them: in answers, in snapshots, and in the log, which keeps what was shown.
//
// It is pure and holds no state.
package public

import (
	"encoding/json"

	"larder/api"
	"larder/internal/account"
	"larder/internal/donation"
	"larder/internal/notice"
)

// Notification is a notification as a reader sees it. reader is empty where it is
// not told for one account.
func Notification(n notice.Notification, reader string) api.Notification {
	return api.Notification{
		ID: n.ID, UserID: api.Text(reader), Title: n.Title, Message: n.Message, Type: n.Type, Read: n.Read,
		CreatedAt: api.At(n.CreatedAt), DonationID: api.Text(n.DonationID),
	}
}

// TripDonor is what those who fetch food learn about its donor. An e-mail address
// is not needed for that.
func TripDonor(a account.Account) api.TripDonor {
	return api.TripDonor{
		ID: a.ID, Name: a.Name, OrganizationName: api.Text(a.OrganizationName), Phone: api.Text(a.Phone), Address: api.Text(a.Address),
	}
}

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
