package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// Code is the stable name of a refusal, in snake case. Programs match on it;
// the message beside it is for people and may change.
type Code string

// Every code that Larder answers with, on requests, in connect_error and in
// exception events.
const (
	CodeBadRequest           Code = "bad_request"            // 400: the body or a parameter cannot be read
	CodeValidation           Code = "validation_failed"      // 400: one or more fields are out of their range
	CodeInvalidTransition    Code = "invalid_transition"     // 400: the donation's status does not allow it
	CodeNotAvailable         Code = "donation_not_available" // 400: somebody else has claimed it
	CodeExpired              Code = "donation_expired"       // 400: its time is over
	CodeOverCapacity         Code = "over_capacity"          // 400: more than the NGO takes in a day
	CodeUnitMismatch         Code = "unit_mismatch"          // 400: the NGO's capacity is in another unit
	CodeNotDelivered         Code = "donation_not_delivered" // 400: it can be rated once it is
	CodeFeedbackExists       Code = "feedback_exists"        // 400: the donation has been rated already
	CodeFlagExists           Code = "flag_exists"            // 400: the caller's flag on it waits for a decision
	CodeTokenMissing         Code = "token_missing"          // 401
	CodeTokenInvalid         Code = "token_invalid"          // 401
	CodeTokenExpired         Code = "token_expired"          // 401
	CodeBadCredentials       Code = "bad_credentials"        // 401: unknown e-mail or wrong password
	CodeAccountSuspended     Code = "account_suspended"      // 403
	CodeWrongRole            Code = "wrong_role"             // 403: the role does not allow it
	CodeNGONotVerified       Code = "ngo_not_verified"       // 403
	CodeNotYours             Code = "not_yours"              // 403: only a party of the donation may
	CodeOriginNotAllowed     Code = "origin_not_allowed"     // 403
	CodeLinkInvalid          Code = "link_invalid"           // 403: a signed link that was changed or has expired
	CodeNotFromHere          Code = "not_from_here"          // 403: only for who is on the server's own machine
	CodeNotFound             Code = "not_found"              // 404: no such path
	CodeDonationNotFound     Code = "donation_not_found"     // 404
	CodeUserNotFound         Code = "user_not_found"         // 404
	CodeTicketNotFound       Code = "ticket_not_found"       // 404
	CodeFlagNotFound         Code = "flag_not_found"         // 404
	CodeNotificationNotFound Code = "notification_not_found" // 404: or it is not the caller's
	CodeMethodNotAllowed     Code = "method_not_allowed"     // 405
	CodeNotAcceptable        Code = "not_acceptable"         // 406
	CodeRequestTimeout       Code = "request_timeout"        // 408: the body did not arrive in time
	CodeEmailTaken           Code = "email_taken"            // 409
	CodeIdempotencyConflict  Code = "idempotency_key_reused" // 409: the same key with another body
	CodeTooLarge             Code = "payload_too_large"      // 413
	CodeUnsupportedMedia     Code = "unsupported_media_type" // 415
	CodeRateLimited          Code = "rate_limited"           // 429
	CodeInternal             Code = "internal_error"         // 500: our fault
	CodeUnavailable          Code = "unavailable"            // 503: the store is down
	CodeDraining             Code = "draining"               // 503: the server is going away
)

// Error is the body of every refused request.
type Error struct {
	StatusCode int      `json:"statusCode"`
	Status     string   `json:"error"`
	Message    Messages `json:"message"`
	Code       Code     `json:"code"`
}

// NewError returns the refusal with that HTTP status, code and message.
func NewError(status int, code Code, message ...string) *Error {
	return &Error{StatusCode: status, Status: http.StatusText(status), Message: message, Code: code}
}

// Error names status, code and message.
func (e *Error) Error() string {
	return fmt.Sprintf("%d %s: %s", e.StatusCode, e.Code, e.Message)
}

// Messages is one sentence, or for validation one for each fault. A single
// sentence is a JSON string, several are a list of strings, and a validation
// failure is always a list.
type Messages []string

// String joins the sentences with "; ".
func (m Messages) String() string { return strings.Join(m, "; ") }

// MarshalJSON writes the messages of an Error as a string when there is one.
func (m Messages) MarshalJSON() ([]byte, error) {
	if len(m) == 1 {
		return encode(m[0])
	}
	return encode(append([]string{}, m...)) // never null
}

// encode is json.Marshal without the escapes for HTML: messages are read by
// people, and "quantity <= 5" should look like it.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// UnmarshalJSON reads a string or a list of strings.
func (m *Messages) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		var s string
		err := json.Unmarshal(b, &s)
		*m = Messages{s}
		return err
	}
	return json.Unmarshal(b, (*[]string)(m))
}

// MarshalJSON keeps the message of a validation failure a list even when there
// is only one fault, so that forms can always show a list.
func (e *Error) MarshalJSON() ([]byte, error) {
	type plain Error
	if e.Code != CodeValidation {
		return encode((*plain)(e))
	}
	return encode(struct {
		StatusCode int      `json:"statusCode"`
		Status     string   `json:"error"`
		Message    []string `json:"message"`
		Code       Code     `json:"code"`
	}{e.StatusCode, e.Status, append([]string{}, e.Message...), e.Code})
}

// Problem is the same refusal in the form of RFC 9457, for clients that ask for
// application/problem+json.
type Problem struct {
	Type   string   `json:"type"`
	Title  string   `json:"title"`
	Status int      `json:"status"`
	Detail string   `json:"detail"`
	Code   Code     `json:"code"`
	Errors []string `json:"errors,omitempty"`
}

// Problem returns e as RFC 9457 has it.
func (e *Error) Problem() Problem {
	p := Problem{Type: "about:blank", Title: e.Status, Status: e.StatusCode, Detail: e.Message.String(), Code: e.Code}
	if e.Code == CodeValidation {
		p.Errors = e.Message
	}
	return p
}
