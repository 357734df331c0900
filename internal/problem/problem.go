// Package problem is the one table from errors to what a client may know of them:
// status, code and a message for people. Every door uses it, so that a refusal
// reads the same on a request, in a connect_error and in an exception event.
//
// Internal errors stay internal: they become 503 when the store failed and 500
// otherwise, without a word of theirs.
package problem

import (
	"context"
	"errors"
	"net/http"
	"time"

	"larder/api"
	"larder/internal/account"
	"larder/internal/auth"
	"larder/internal/command"
	"larder/internal/donation"
	"larder/internal/query"
	"larder/internal/store"
)

// statusRule says how an error that means something to clients is answered.
type statusRule struct {
	err     error
	status  int
	code    api.Code
	message string // empty: the error's own text
}

// statusRules is the one table from errors to answers. The first match counts.
var statusRules = []statusRule{
	{auth.ErrTokenMissing, 401, api.CodeTokenMissing, "A token is needed: Authorization: Bearer <token>"},
	{auth.ErrTokenExpired, 401, api.CodeTokenExpired, "Token has expired"},
	{auth.ErrTokenInvalid, 401, api.CodeTokenInvalid, "Token is not valid"},
	{auth.ErrCredentials, 401, api.CodeBadCredentials, "E-mail or password is wrong"},
	{account.ErrSuspended, 403, api.CodeAccountSuspended, "Account is suspended"},
	{account.ErrNotAdmin, 403, api.CodeWrongRole, "Only an admin may do this"},
	{account.ErrAdminByForm, 403, api.CodeWrongRole, "An admin account can't be registered"},
	{account.ErrAdminTarget, 400, api.CodeBadRequest, "An admin can't be suspended"},
	{account.ErrLastAdmin, 400, api.CodeBadRequest, "This is the last active admin: make another one first"},
	{account.ErrNotNGO, 400, api.CodeBadRequest, "Only an NGO can be verified"},
	{query.ErrNotParty, 403, api.CodeNotYours, "Only the parties of a donation may see its history"},
	{query.ErrCursor, 400, api.CodeBadRequest, "after is not a cursor of this list"},
	{command.ErrKeyReused, 409, api.CodeIdempotencyConflict, "Idempotency-Key was used for another request"},
	{command.ErrFileGone, 503, api.CodeUnavailable, "A file that was sent is gone, send it again"},
	{store.ErrEmailTaken, 409, api.CodeEmailTaken, "E-mail is already registered"},
	{store.ErrText, 400, api.CodeValidation, "Text must be UTF-8 without NUL characters"},
	{ErrDonationNotFound, 404, api.CodeDonationNotFound, "Donation not found"},
	{ErrUserNotFound, 404, api.CodeUserNotFound, "User not found"},
	{ErrTicketNotFound, 404, api.CodeTicketNotFound, "Ticket not found"},
	{ErrFlagNotFound, 404, api.CodeFlagNotFound, "Flag not found"},
	{ErrNotificationNotFound, 404, api.CodeNotificationNotFound, "Notification not found"},
}

// What was not found: the store does not know what a caller was looking for.
var (
	ErrDonationNotFound     = errors.New("donation not found")
	ErrUserNotFound         = errors.New("user not found")
	ErrTicketNotFound       = errors.New("ticket not found")
	ErrFlagNotFound         = errors.New("flag not found")
	ErrNotificationNotFound = errors.New("notification not found")
)

// NotFound gives store.ErrNotFound the name of what was looked for; other errors
// stay as they are.
func NotFound(err, as error) error {
	if errors.Is(err, store.ErrNotFound) {
		return as
	}
	return err
}

// refusalStatus is the HTTP status of each refusal by the rules of donations.
func refusalStatus(c donation.Code) int {
	switch c {
	case donation.CodeWrongRole, donation.CodeSuspended, donation.CodeNGONotVerified, donation.CodeNotYours:
		return http.StatusForbidden
	}
	return http.StatusBadRequest
}

// From turns any error into the answer that a client may see. What has no
// meaning for clients becomes 503 when the store failed and 500 otherwise, and
// internal is true: somebody has to look at it.
func From(err error) (e *api.Error, internal bool) {
	if e, ok := errors.AsType[*api.Error](err); ok {
		return e, false
	}
	if r, ok := errors.AsType[*donation.Refusal](err); ok {
		return api.NewError(refusalStatus(r.Code), api.Code(r.Code), r.Messages...), false
	}
	if r, ok := errors.AsType[*auth.RateError](err); ok {
		return api.NewError(429, api.CodeRateLimited, "Too many attempts, come back in "+r.RetryAfter.Round(time.Second).String()), false
	}
	for _, rule := range statusRules {
		if errors.Is(err, rule.err) {
			return api.NewError(rule.status, rule.code, rule.message), false
		}
	}
	if errors.Is(err, store.ErrUnavailable) || errors.Is(err, store.ErrConflict) || errors.Is(err, context.DeadlineExceeded) {
		return api.NewError(503, api.CodeUnavailable, "The service is unavailable for the moment, try again"), true
	}
	return api.NewError(500, api.CodeInternal, "Something went wrong on our side"), true
}
