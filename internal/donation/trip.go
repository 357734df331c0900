package donation

import "slices"

// Carries reports whether the account is on the way with d, and so may tell where it
// is: who has picked it up, or before that the volunteer who is proposed.
func (d Donation) Carries(accountID string) bool {
	switch {
	case accountID == "":
		return false
	case d.Status == Claimed:
		return d.AssignedVolunteerID == accountID
	case d.Status == PickedUp:
		return d.PickedUpBy == accountID
	}
	return false
}

// Followers are those who may know where the carrier of d is: the claimer, the donor
// and the carrier, each once.
func (d Donation) Followers(carrierID string) []string {
	list := []string{d.ClaimedByID, d.DonorID, carrierID}
	slices.Sort(list)
	return slices.DeleteFunc(slices.Compact(list), func(id string) bool { return id == "" })
}
