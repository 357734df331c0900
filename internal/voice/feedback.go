package voice

import (
	"fmt"
	"math"
	"time"

	"larder/internal/account"
	"larder/internal/donation"
)

// Feedback is what the claimer of a delivered donation says about it: once.
type Feedback struct {
	ID         string
	DonationID string
	DonorID    string // who is rated
	NGOID      string
	Rating     int // MinRating to MaxRating
	Comment    string
	CreatedAt  time.Time
}

// Bounds of a rating.
const (
	MinRating = 1
	MaxRating = 5
)

// NewFeedback decides whether by may rate d, and returns what is kept under id.
// That nobody has done so before is for the store to say.
func NewFeedback(id string, d donation.Donation, by account.Actor, rating int, comment string, now time.Time) (Feedback, error) {
	comment, faults := text("comment", comment, MaxComment, false)
	if rating < MinRating || rating > MaxRating {
		faults = append(faults, fmt.Sprintf("rating must be a whole number from %d to %d", MinRating, MaxRating))
	}
	if err := MayRate(by); err != nil {
		return Feedback{}, err
	}
	switch {
	case len(faults) > 0:
		return Feedback{}, refuse(donation.CodeValidation, faults...)
	case d.ClaimedByID != by.ID:
		return Feedback{}, refuse(donation.CodeNotYours, "Only the NGO that claimed a donation may rate it")
	case d.Status != donation.Delivered:
		return Feedback{}, refuse(CodeNotDelivered, fmt.Sprintf("Donation is %s; it can be rated once it is DELIVERED", d.StatusAt(now)))
	}
	return Feedback{
		ID: id, DonationID: d.ID, DonorID: d.DonorID, NGOID: by.ID, Rating: rating, Comment: comment, CreatedAt: now,
	}, nil
}

// MayRate says whether by may rate donations at all.
func MayRate(by account.Actor) error {
	if by.Role != account.NGO {
		return refuse(donation.CodeWrongRole, "Only an NGO can rate a donation")
	}
	return nil
}

// FeedbackExists refuses a second feedback on a donation.
func FeedbackExists() error {
	return refuse(CodeFeedbackExists, "This donation has been rated already")
}

// Ratings are what all feedback on one donor adds up to.
type Ratings struct {
	Sum   int
	Count int
}

// Mean is the trust score: the mean rating with one decimal, halves rounded up; 0
// when there is none.
func (r Ratings) Mean() float64 {
	if r.Count == 0 {
		return 0
	}
	return math.Round(float64(10*r.Sum)/float64(r.Count)) / 10
}

// Score is the trust score as donations carry it: nil when nobody has rated the
// donor, which is not the same as a bad one.
func (r Ratings) Score() *float64 {
	if r.Count == 0 {
		return nil
	}
	return new(r.Mean())
}
