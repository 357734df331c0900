// Package voice holds what people say to each other and to whoever runs a Larder:
// the feedback of an NGO on a donation, the flag of somebody who finds a donation
// wrong, the support ticket. It knows who may say what and when, and what may
// become of it.
//
// The package is pure, like package donation, whose refusals it uses: state, actor
// and time go in, the new state or a *donation.Refusal comes out.
package voice

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"larder/internal/donation"
)

// Limits of texts, in characters.
const (
	MaxComment     = 2000
	MaxReason      = 1000
	MaxSubject     = 200
	MaxDescription = 5000
	MaxNote        = 2000
)

// Codes of refusals beside those of package donation.
const (
	CodeFeedbackExists donation.Code = "feedback_exists"
	CodeNotDelivered   donation.Code = "donation_not_delivered"
	CodeFlagExists     donation.Code = "flag_exists"
)

// Author is who said something, as the account is now.
type Author struct {
	ID    string
	Email string
	Name  string // the organisation, or the name where there is none
}

// Kind is what somebody can say.
type Kind int

// The kinds.
const (
	KindFeedback Kind = iota + 1
	KindFlag
	KindTicket
)

// Quota is how often one account may say something. Admins have none.
type Quota struct {
	Max    int // within Window
	Window time.Duration
}

// Quota returns the bound of a kind: honest use stays far below. An NGO may rate
// the deliveries of a month at once.
func (k Kind) Quota() Quota {
	switch k {
	case KindFeedback:
		return Quota{Max: 60, Window: time.Hour}
	case KindFlag:
		return Quota{Max: 20, Window: time.Hour}
	}
	return Quota{Max: 10, Window: time.Hour}
}

// Wait is how long somebody has to wait who has said as much at those times, newest
// first; 0: not at all.
func (q Quota) Wait(said []time.Time, now time.Time) time.Duration {
	if len(said) < q.Max {
		return 0
	}
	return max(0, said[q.Max-1].Add(q.Window).Sub(now))
}

// text returns s without surrounding space, and what is wrong with it: nothing in
// it although it is required, or more than limit characters.
func text(field, s string, limit int, required bool) (trimmed string, faults []string) {
	s = strings.TrimSpace(s)
	switch n := utf8.RuneCountInString(s); {
	case n == 0 && required:
		faults = []string{field + " must not be blank"}
	case n > limit:
		faults = []string{fmt.Sprintf("%s must have at most %d characters", field, limit)}
	}
	return s, faults
}

func refuse(code donation.Code, messages ...string) error {
	return &donation.Refusal{Code: code, Messages: messages}
}

// oneOf says that a field holds none of the values that it can have.
func oneOf[T ~string](field string, values []T) string {
	names := make([]string, len(values))
	for i, v := range values {
		names[i] = string(v)
	}
	return field + " must be one of " + strings.Join(names, ", ")
}

// move decides a change of status. What stays as it is may always do so.
func move[T ~string](what string, from, to T, allowed map[T][]T) error {
	if from == to || slices.Contains(allowed[from], to) {
		return nil
	}
	return refuse(donation.CodeInvalidTransition, fmt.Sprintf("%s is %s and can't become %s; %s",
		what, from, to, oneOf("it", allowed[from])))
}
