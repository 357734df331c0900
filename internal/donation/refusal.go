package donation

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"larder/internal/account"
)

// Code names a refusal; each is also a code of the public contract.
type Code string

// The refusals of commands on donations.
const (
	CodeWrongRole         Code = "wrong_role"
	CodeSuspended         Code = "account_suspended"
	CodeNGONotVerified    Code = "ngo_not_verified"
	CodeNotYours          Code = "not_yours"
	CodeNotAvailable      Code = "donation_not_available"
	CodeExpired           Code = "donation_expired"
	CodeInvalidTransition Code = "invalid_transition"
	CodeUnitMismatch      Code = "unit_mismatch"
	CodeOverCapacity      Code = "over_capacity"
	CodeValidation        Code = "validation_failed"
)

// Refusal is a command that the rules do not allow. Its messages are meant for
// the person who gave the command.
type Refusal struct {
	Code     Code
	Messages []string
}

// Error joins the messages.
func (r *Refusal) Error() string { return strings.Join(r.Messages, "; ") }

func refuse(code Code, messages ...string) *Refusal {
	return &Refusal{Code: code, Messages: messages}
}

// transitionRefusal names both states and what is allowed instead.
func transitionRefusal(from, to Status) *Refusal {
	var allowed []string
	for _, a := range Actions() {
		if next, ok := transitions[from][a]; ok {
			allowed = append(allowed, string(next))
		}
	}
	slices.Sort(allowed)
	may := string(from) + " is final"
	if len(allowed) > 0 {
		may = fmt.Sprintf("from %s it can become %s", from, strings.Join(allowed, ", "))
	}
	return refuse(CodeInvalidTransition, fmt.Sprintf("Donation is %s and can't become %s; %s", from, to, may))
}

func intakeRefusal(err error, d Donation, in account.Intake) *Refusal {
	if errors.Is(err, account.ErrUnitMismatch) {
		return refuse(CodeUnitMismatch, fmt.Sprintf("Donation is in %s, the NGO's capacity is in %s", d.Unit, in.Unit))
	}
	return refuse(CodeOverCapacity, fmt.Sprintf("Donation of %s %s exceeds today's remaining capacity of %s",
		amount(d.Quantity), d.Unit, amount(max(0, *in.Capacity-in.Load))))
}

// amount writes a quantity for people: no exponent, no noise of sums.
func amount(x float64) string { return strconv.FormatFloat(math.Round(x*1000)/1000, 'f', -1, 64) }
