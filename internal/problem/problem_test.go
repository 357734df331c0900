package problem_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"larder/api"
	"larder/internal/account"
	"larder/internal/auth"
	"larder/internal/command"
	"larder/internal/donation"
	"larder/internal/problem"
	"larder/internal/query"
	"larder/internal/store"
	"larder/internal/voice"
)

func refusal(c donation.Code, messages ...string) error {
	return &donation.Refusal{Code: c, Messages: messages}
}

func TestFrom(t *testing.T) {
	for name, tc := range map[string]struct {
		err      error
		status   int
		code     api.Code
		message  string
		internal bool
	}{
		"no token":           {auth.ErrTokenMissing, 401, "token_missing", "A token is needed: Authorization: Bearer <token>", false},
		"bad token":          {auth.ErrTokenInvalid, 401, "token_invalid", "Token is not valid", false},
		"old token":          {auth.ErrTokenExpired, 401, "token_expired", "Token has expired", false},
		"login":              {auth.ErrCredentials, 401, "bad_credentials", "E-mail or password is wrong", false},
		"suspended":          {account.ErrSuspended, 403, "account_suspended", "Account is suspended", false},
		"suspended login":    {auth.ErrSuspended, 403, "account_suspended", "Account is suspended", false},
		"not an admin":       {account.ErrNotAdmin, 403, "wrong_role", "Only an admin may do this", false},
		"admin by form":      {account.ErrAdminByForm, 403, "wrong_role", "An admin account can't be registered", false},
		"suspend an admin":   {account.ErrAdminTarget, 400, "bad_request", "An admin can't be suspended", false},
		"verify a donor":     {account.ErrNotNGO, 400, "bad_request", "Only an NGO can be verified", false},
		"history":            {query.ErrNotParty, 403, "not_yours", "Only the parties of a donation may see its history", false},
		"cursor":             {query.ErrCursor, 400, "bad_request", "after is not a cursor of this list", false},
		"key reused":         {command.ErrKeyReused, 409, "idempotency_key_reused", "Idempotency-Key was used for another request", false},
		"e-mail taken":       {store.ErrEmailTaken, 409, "email_taken", "E-mail is already registered", false},
		"no donation":        {problem.ErrDonationNotFound, 404, "donation_not_found", "Donation not found", false},
		"no user":            {problem.ErrUserNotFound, 404, "user_not_found", "User not found", false},
		"no ticket":          {problem.ErrTicketNotFound, 404, "ticket_not_found", "Ticket not found", false},
		"no flag":            {problem.ErrFlagNotFound, 404, "flag_not_found", "Flag not found", false},
		"rated already":      {refusal(voice.CodeFeedbackExists, "m"), 400, "feedback_exists", "m", false},
		"rated early":        {refusal(voice.CodeNotDelivered, "m"), 400, "donation_not_delivered", "m", false},
		"flagged already":    {refusal(voice.CodeFlagExists, "m"), 400, "flag_exists", "m", false},
		"too many":           {&auth.RateError{RetryAfter: 90*time.Second + time.Millisecond}, 429, "rate_limited", "Too many attempts, come back in 1m30s", false},
		"wrong role":         {refusal(donation.CodeWrongRole, "m"), 403, "wrong_role", "m", false},
		"suspended account":  {refusal(donation.CodeSuspended, "m"), 403, "account_suspended", "m", false},
		"unverified":         {refusal(donation.CodeNGONotVerified, "m"), 403, "ngo_not_verified", "m", false},
		"not yours":          {refusal(donation.CodeNotYours, "m"), 403, "not_yours", "m", false},
		"taken":              {refusal(donation.CodeNotAvailable, "m"), 400, "donation_not_available", "m", false},
		"expired":            {refusal(donation.CodeExpired, "m"), 400, "donation_expired", "m", false},
		"transition":         {refusal(donation.CodeInvalidTransition, "m"), 400, "invalid_transition", "m", false},
		"unit":               {refusal(donation.CodeUnitMismatch, "m"), 400, "unit_mismatch", "m", false},
		"capacity":           {refusal(donation.CodeOverCapacity, "m"), 400, "over_capacity", "m", false},
		"faults":             {refusal(donation.CodeValidation, "a", "b"), 400, "validation_failed", "a; b", false},
		"an answer already":  {api.NewError(415, api.CodeUnsupportedMedia, "No"), 415, "unsupported_media_type", "No", false},
		"store away":         {fmt.Errorf("%w: disk /var/secret is full", store.ErrUnavailable), 503, "unavailable", "The service is unavailable for the moment, try again", true},
		"conflict":           {store.ErrConflict, 503, "unavailable", "The service is unavailable for the moment, try again", true},
		"out of time":        {fmt.Errorf("read: %w", context.DeadlineExceeded), 503, "unavailable", "The service is unavailable for the moment, try again", true},
		"unknown":            {errors.New("secret of /etc/shadow"), 500, "internal_error", "Something went wrong on our side", true},
		"text":               {store.ErrText, 400, "validation_failed", "Text must be UTF-8 without NUL characters", false},
		"not found of what?": {store.ErrNotFound, 500, "internal_error", "Something went wrong on our side", true},
		"file":               {os.ErrPermission, 500, "internal_error", "Something went wrong on our side", true},
	} {
		t.Run(name, func(t *testing.T) {
			// However deep it lies and whatever was said around it.
			for _, err := range []error{tc.err, fmt.Errorf("while reading secret things: %w", tc.err), errors.Join(errors.New("secret"), tc.err)} {
				got, internal := problem.From(err)
				if got.StatusCode != tc.status || got.Code != tc.code || got.Message.String() != tc.message || internal != tc.internal {
					t.Errorf("From(%v): got %v, internal %v, want %d %s: %s, internal %v", err, got, internal, tc.status, tc.code, tc.message, tc.internal)
				}
				if strings.Contains(got.Error(), "secret") || got.Status == "" {
					t.Errorf("From(%v) says too much, or has no status text: %v, %q", err, got, got.Status)
				}
			}
		})
	}
}

// TestRefusalsAreCodesOfTheContract keeps the codes of package donation inside
// those that api lists.
func TestRefusalsAreCodesOfTheContract(t *testing.T) {
	want := map[donation.Code]api.Code{
		donation.CodeWrongRole: api.CodeWrongRole, donation.CodeSuspended: api.CodeAccountSuspended, donation.CodeNGONotVerified: api.CodeNGONotVerified,
		donation.CodeNotYours: api.CodeNotYours, donation.CodeNotAvailable: api.CodeNotAvailable, donation.CodeExpired: api.CodeExpired,
		donation.CodeInvalidTransition: api.CodeInvalidTransition, donation.CodeUnitMismatch: api.CodeUnitMismatch,
		donation.CodeOverCapacity: api.CodeOverCapacity, donation.CodeValidation: api.CodeValidation,
	}
	for from, to := range want {
		if string(from) != string(to) {
			t.Errorf("donation says %q, api says %q", from, to)
		}
	}
}

func TestNotFound(t *testing.T) {
	wrapped := fmt.Errorf("look: %w", store.ErrNotFound)
	if got := problem.NotFound(wrapped, problem.ErrUserNotFound); got != problem.ErrUserNotFound {
		t.Errorf("not found: got %v", got)
	}
	for _, err := range []error{nil, store.ErrUnavailable, command.ErrKeyReused} {
		if got := problem.NotFound(err, problem.ErrUserNotFound); got != err {
			t.Errorf("NotFound(%v): got %v, want it as it is", err, got)
		}
	}
}

// TestRealFailures asks with the errors that a broken store really gives.
func TestRealFailures(t *testing.T) {
	st, err := store.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "larder.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	noSchema := st.View(t.Context(), func(tx *store.Tx) error {
		_, err := tx.Account(t.Context(), "a")
		return err
	})
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	for name, err := range map[string]error{"no schema": noSchema, "closed": st.Ping(t.Context())} {
		got, internal := problem.From(err)
		if got.StatusCode != 503 || !internal || strings.Contains(strings.ToLower(got.Error()), "sql") {
			t.Errorf("%s: %v became %v, internal %v, want 503 without a word of it", name, err, got, internal)
		}
	}
}
