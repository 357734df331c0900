package api

// FeedbackRequest is the body of POST /feedback.
type FeedbackRequest struct {
	DonationID string `json:"donationId" format:"uuid"`
	Rating     int    `json:"rating" minimum:"1" maximum:"5"`
	Comment    string `json:"comment,omitempty" maxLength:"2000"`
}

// Feedback is what the claimer of a donation said about it.
type Feedback struct {
	ID         string  `json:"id"`
	Rating     int     `json:"rating"`
	Comment    *string `json:"comment"`
	DonationID string  `json:"donationId"`
	NGOID      string  `json:"ngoId"`
	CreatedAt  Time    `json:"createdAt"`
}

// Review is feedback and who gave it, as GET /feedback/donation/:id lists it.
type Review struct {
	Feedback
	NGO Reviewer `json:"ngo"`
}

// Reviewer is an NGO as everybody may see it.
type Reviewer struct {
	ID               string  `json:"id"`
	Name             string  `json:"name"`
	OrganizationName *string `json:"organizationName"`
}

// AverageScore answers GET /feedback/donor/:id/average.
type AverageScore struct {
	AverageScore float64 `json:"averageScore" doc:"The mean of all ratings, one decimal; 0 when there is none."`
	TotalReviews int     `json:"totalReviews"`
}

// TicketRequest is the body of POST /support/tickets.
type TicketRequest struct {
	Subject     string `json:"subject" minLength:"1" maxLength:"200"`
	Description string `json:"description" minLength:"1" maxLength:"5000"`
	Priority    string `json:"priority,omitempty" enum:"LOW,MEDIUM,HIGH,CRITICAL" doc:"MEDIUM by default."`
}

// Ticket is a support ticket. Its author and admins see it.
type Ticket struct {
	ID          string  `json:"id"`
	UserID      string  `json:"userId"`
	UserEmail   string  `json:"userEmail"`
	UserName    string  `json:"userName"`
	Subject     string  `json:"subject"`
	Description string  `json:"description"`
	Status      string  `json:"status" enum:"OPEN,IN_PROGRESS,RESOLVED,CLOSED"`
	Priority    string  `json:"priority" enum:"LOW,MEDIUM,HIGH,CRITICAL"`
	AdminNote   *string `json:"adminNote"`
	CreatedAt   Time    `json:"createdAt"`
	UpdatedAt   Time    `json:"updatedAt"`
}

// TicketUpdate is the body of PATCH /admin/tickets/:id; what is absent stays, and an
// empty note takes the note away.
type TicketUpdate struct {
	Status    string  `json:"status,omitempty" enum:"OPEN,IN_PROGRESS,RESOLVED,CLOSED"`
	AdminNote *string `json:"adminNote,omitempty" maxLength:"2000" nullable:"true"`
}

// FlagRequest is the body of POST /donations/:id/flag.
type FlagRequest struct {
	Reason string `json:"reason" minLength:"1" maxLength:"1000"`
}

// AdminFlagRequest is the body of POST /admin/flagged.
type AdminFlagRequest struct {
	DonationID string `json:"donationId" format:"uuid"`
	Reason     string `json:"reason" minLength:"1" maxLength:"1000"`
}

// Flag is somebody's word that something is wrong with a donation. Its author gets
// it as the answer, and admins list it.
type Flag struct {
	ID               string  `json:"id"`
	DonationID       string  `json:"donationId"`
	DonationName     string  `json:"donationName"`
	ReportedByUserID string  `json:"reportedByUserId"`
	ReportedByEmail  string  `json:"reportedByEmail"`
	Reason           string  `json:"reason"`
	Status           string  `json:"status" enum:"FLAGGED,APPROVED,REJECTED,ESCALATED" doc:"APPROVED: the flag was right. Nothing happens to the donation by it."`
	AdminNote        *string `json:"adminNote"`
	CreatedAt        Time    `json:"createdAt"`
	UpdatedAt        Time    `json:"updatedAt"`
}

// FlagUpdate is the body of PATCH /admin/flagged/:id; an absent note stays, and an
// empty one is taken away.
type FlagUpdate struct {
	Status    string  `json:"status" enum:"FLAGGED,APPROVED,REJECTED,ESCALATED"`
	AdminNote *string `json:"adminNote,omitempty" maxLength:"2000" nullable:"true"`
}

// AdminDonation is a donation as GET /admin/donations lists it.
type AdminDonation struct {
	Donation
	Donor AdminDonor `json:"donor"`
}

// AdminDonor is a donor as admins see him beside his donation.
type AdminDonor struct {
	ID               string  `json:"id"`
	Name             string  `json:"name"`
	Email            string  `json:"email"`
	OrganizationName *string `json:"organizationName"`
}

// AdminNotification is something that an admin should look at, as GET
// /admin/notifications computes it. It goes when its reason goes.
type AdminNotification struct {
	ID        string `json:"id"`
	Type      string `json:"type" enum:"pending_ngo,support_ticket,flagged_food,new_donation"`
	Title     string `json:"title"`
	Message   string `json:"message"`
	Priority  string `json:"priority" enum:"high,medium,low"`
	CreatedAt Time   `json:"createdAt" doc:"Of the newest thing that it speaks of."`
}
