package api

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// DonationDraft is the body of POST /donations.
type DonationDraft struct {
	Name                string          `json:"name" minLength:"1" maxLength:"200"`
	FoodType            string          `json:"foodType" minLength:"1" maxLength:"200" doc:"Cooked food, dairy, meat, poultry and seafood need two hours left."`
	Quantity            Quantity        `json:"quantity"`
	Unit                string          `json:"unit" minLength:"1" maxLength:"200"`
	Latitude            float64         `json:"latitude" minimum:"-90" maximum:"90"`
	Longitude           float64         `json:"longitude" minimum:"-180" maximum:"180"`
	PreparationTime     string          `json:"preparationTime,omitempty" maxLength:"40" doc:"ISO 8601, not in the future; now when absent."`
	ExpiryTime          string          `json:"expiryTime" maxLength:"40" doc:"ISO 8601, in the future, within a year and after preparationTime."`
	Description         string          `json:"description,omitempty" maxLength:"2000"`
	Address             string          `json:"address,omitempty" maxLength:"500"`
	SpecialInstructions string          `json:"specialInstructions,omitempty" maxLength:"1000"`
	Hygiene             json.RawMessage `json:"hygiene,omitempty" doc:"An object, or its JSON text; at most 4 KiB."`
	ImageURLs           []string        `json:"imageUrls,omitempty" maxItems:"5" nullable:"true" doc:"http and https only."`
	DonorName           string          `json:"donorName,omitempty" maxLength:"200" doc:"For display; the account's organisation or name when absent."`
	DonorID             string          `json:"donorId,omitempty" doc:"Accepted and ignored: the donor is the caller."`
	DonorTrustScore     json.RawMessage `json:"donorTrustScore,omitempty" doc:"Accepted and ignored."`
}

// Quantity is an amount of food in a donation's unit. It reads a JSON number or
// a text with a number in it, and writes a number.
type Quantity float64

// UnmarshalJSON reads a number or numeric text, as a form field sends it: ".5"
// and "5." are numbers there.
func (q *Quantity) UnmarshalJSON(b []byte) error {
	if len(b) == 0 || b[0] != '"' {
		return json.Unmarshal(b, (*float64)(q))
	}
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return err
	}
	s = strings.TrimSpace(s)
	v, err := strconv.ParseFloat(s, 64)
	if err != nil || strings.Trim(s, "0123456789+-.eE") != "" { // ParseFloat knows "Inf" and "0x1p4" too
		return fmt.Errorf("api: quantity %.20q is not a number", s)
	}
	*q = Quantity(v)
	return nil
}

// ClaimRequest is the optional body of PATCH /donations/:id/claim.
type ClaimRequest struct {
	EstimatedPickupTime string `json:"estimatedPickupTime,omitempty" maxLength:"40" doc:"ISO 8601."`
}

// StatusRequest is the body of PATCH /donations/:id/status: the wanted status
// names the command.
type StatusRequest struct {
	Status string `json:"status" enum:"AVAILABLE,CLAIMED,PICKED_UP,DELIVERED,EXPIRED,CANCELLED"`
	Reason string `json:"reason,omitempty" maxLength:"500"`
}

// ReasonRequest is the body of PATCH /donations/:id/cancel and /release. A
// reason is required to cancel.
type ReasonRequest struct {
	Reason string `json:"reason,omitempty" maxLength:"500"`
}

// Location is a place with its address.
type Location struct {
	Lat     float64 `json:"lat"`
	Lng     float64 `json:"lng"`
	Address string  `json:"address"`
}

// Donation is a donation as every client sees it.
type Donation struct {
	ID                  string          `json:"id"`
	Name                string          `json:"name"`
	Description         *string         `json:"description"`
	FoodType            string          `json:"foodType"`
	Quantity            float64         `json:"quantity"`
	Unit                string          `json:"unit"`
	Hygiene             json.RawMessage `json:"hygiene"`
	PreparationTime     Time            `json:"preparationTime"`
	ExpiryTime          Time            `json:"expiryTime"`
	Latitude            float64         `json:"latitude"`
	Longitude           float64         `json:"longitude"`
	Address             *string         `json:"address"`
	Location            Location        `json:"location"`
	SpecialInstructions *string         `json:"specialInstructions"`
	ImageURLs           []string        `json:"imageUrls" nullable:"false"`
	Status              string          `json:"status" enum:"AVAILABLE,CLAIMED,PICKED_UP,DELIVERED,EXPIRED,CANCELLED"`
	DonorID             string          `json:"donorId"`
	DonorName           string          `json:"donorName"`
	DonorTrustScore     *float64        `json:"donorTrustScore" doc:"The mean rating of the donor, one decimal; null when nobody has rated him."`
	ClaimedByID         *string         `json:"claimedById"`
	ClaimedAt           *Time           `json:"claimedAt"`
	EstimatedPickupTime *Time           `json:"estimatedPickupTime"`
	AssignedVolunteerID *string         `json:"assignedVolunteerId"`
	VolunteerID         *string         `json:"volunteerId"`
	PickedUpAt          *Time           `json:"pickedUpAt"`
	PickedUpBy          *string         `json:"pickedUpBy"`
	DeliveredAt         *Time           `json:"deliveredAt"`
	DeliveredBy         *string         `json:"deliveredBy"`
	CancelReason        *string         `json:"cancelReason"`
	Version             int64           `json:"version"`
	CreatedAt           Time            `json:"createdAt"`
	UpdatedAt           Time            `json:"updatedAt"`
	// Distance is in kilometres by great circle, present only in a list that
	// was asked for near a place.
	Distance *float64 `json:"distance,omitempty"`
}

// Delivery is the answer to PATCH /donations/:id/deliver and to a status change
// to DELIVERED: the donation and what it earned.
type Delivery struct {
	Donation
	KarmaAwarded      *int `json:"karmaAwarded,omitempty" doc:"To the caller."`
	DonorKarmaAwarded *int `json:"donorKarmaAwarded,omitempty"`
}

// Text is a text that may be absent: nil, and so null, when it is empty.
func Text(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
