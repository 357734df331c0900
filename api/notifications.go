package api

// VolunteerAssigned says that a trip was proposed to a volunteer, who need not
// take it. He, the claimer and the donor get it.
type VolunteerAssigned struct {
	VolunteerID  string `json:"volunteerId"`
	DonationID   string `json:"donationId"`
	DonationName string `json:"donationName"`
	DonorAddress string `json:"donorAddress"` // its latitude and longitude where the donor gave no address
	NGOName      string `json:"ngoName"`
	ID           string `json:"id"` // of this proposal
	CreatedAt    Time   `json:"createdAt"`
	Position     string `json:"position,omitempty"`
}

// Notification is something that an account is told and can read again. As an
// event it is what is stored, and nobody has read it.
type Notification struct {
	ID string `json:"id"`
	// UserID is the reader. In the event of one that all accounts of some roles
	// get it is null.
	UserID     *string `json:"userId"`
	Title      string  `json:"title"`
	Message    string  `json:"message"`
	Type       string  `json:"type" doc:"new_food_nearby, food_claimed, pickup_assigned, food_picked_up, delivery_confirmed, near_expiry, claim_released, donation_cancelled, donation_expired, badge_earned, account_verified, ticket_answered; there may be others."`
	Read       bool    `json:"read"`
	CreatedAt  Time    `json:"createdAt"`
	DonationID *string `json:"donationId"`
	Position   string  `json:"position,omitempty"`
}

// Success answers a request that has nothing else to say.
type Success struct {
	Success bool `json:"success"`
}

// Trip is a donation on its way that concerns the caller, with whom to fetch it from.
type Trip struct {
	Donation
	Donor TripDonor `json:"donor"`
}

// TripDonor is what those who fetch food learn about its donor: how to find and
// reach him.
type TripDonor struct {
	ID               string  `json:"id"`
	Name             string  `json:"name"`
	OrganizationName *string `json:"organizationName"`
	Phone            *string `json:"phone"`
	Address          *string `json:"address"`
}
