package eventlog

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Position is a place in the log: everything up to and including Seq of that
// epoch has been seen. Seq 0 is before the first record.
type Position struct {
	Epoch string
	Seq   int64
}

// The form of a position on the wire: the epoch, a hyphen, the number with at
// least seqDigits digits, and a check letter. Its fixed shape tells it from any
// text that an application might send in its place (S-51).
const (
	epochLen  = 12
	seqDigits = 12
)

// ErrPosition is returned for a text that is no position of any Larder.
var ErrPosition = errors.New("not a position of this log")

// String is the form in which clients carry a position (P-7), such as
// abcdefgh2345-000000000042b. They treat it as opaque; of one epoch the later
// one is the greater text.
func (p Position) String() string {
	text := fmt.Sprintf("%s-%0*d", p.Epoch, seqDigits, p.Seq)
	return text + string(checkLetter(text))
}

// checkLetter is the sum of the bytes, each times its weight, modulo the prime 23:
// another byte in one place, or two neighbours in the wrong order, change it,
// unless the two are 23 apart.
func checkLetter(text string) byte {
	sum := 0
	for i := range len(text) {
		sum += (i%22 + 1) * int(text[i])
	}
	return 'a' + byte(sum%23)
}

// ParsePosition reads the form that String writes, and nothing else.
func ParsePosition(s string) (Position, error) {
	epoch, rest, ok := strings.Cut(s, "-")
	if !ok || len(epoch) != epochLen || strings.Trim(epoch, "abcdefghijklmnopqrstuvwxyz234567") != "" || len(rest) < seqDigits+1 {
		return Position{}, fmt.Errorf("%.40q: %w", s, ErrPosition)
	}
	seq, err := strconv.ParseInt(rest[:len(rest)-1], 10, 64)
	p := Position{Epoch: epoch, Seq: seq}
	if err != nil || seq < 0 || p.String() != s {
		return Position{}, fmt.Errorf("%.40q: %w", s, ErrPosition)
	}
	return p, nil
}

// Audience says who may see a record.
type Audience struct {
	// Everyone means every account that is signed in.
	Everyone bool `json:"everyone,omitempty"`
	// Users are the accounts that may see it, when not everyone may.
	Users []string `json:"users,omitempty"`
	// Roles are those whose accounts may see it as well: who has one of them at the
	// time of looking, whatever it had when the record was written (ADR 0011).
	Roles []string `json:"roles,omitempty"`
}

// Includes says whether an account that has a role now may see the record.
func (a Audience) Includes(accountID, role string) bool {
	return a.Everyone || slices.Contains(a.Users, accountID) || slices.Contains(a.Roles, role)
}

// Types of records about accounts. Nobody's feed shows them: they tell the
// nodes that rights have changed.
const (
	TypeAccountRegistered = "account.registered"
	TypeAccountVerified   = "account.verified"
	TypeAccountSuspended  = "account.suspended"
	TypeAccountRestored   = "account.restored"
	TypeAccountUpdated    = "account.updated"
	TypeAccountRole       = "account.role.changed"
	TypeAccountLoggedOut  = "account.logged_out"
	TypeAccountDeleted    = "account.deleted"
)

// TypeTicketAnswered is a record about a support ticket: an admin has resolved it or
// left a note. Nobody's feed shows it; its payload has the ids of the ticket and of
// its author, and no text.
const TypeTicketAnswered = "support.ticket.answered"

// TypeDonationImported is the first record of a donation that was brought in from
// another system (P-19). Nobody's feed shows it; its history begins with it.
const TypeDonationImported = "donation.imported"

// Draft is a record before it has a place in the log.
type Draft struct {
	Type     string
	Subject  string // the id of the donation, account, ticket or notification that it is about
	Version  int64  // of the donation after the change; 0 for what changes none
	Audience Audience
	Payload  json.RawMessage // a JSON object; the position is added when it is read
	At       time.Time

	// For records about a donation, so that a reader who wants only some of them
	// can choose without asking what has become of it since.
	Donation json.RawMessage // the donation after the change, in its public form; nil: none
	Previous string          // its status before; empty when it was new
}

// Record is one committed entry of the log.
type Record struct {
	Position Position
	Draft
}

// Data is the payload with the record's position in it, as clients get it.
func (r Record) Data() json.RawMessage {
	body, _ := bytes.CutSuffix(bytes.TrimSpace(r.Payload), []byte("}"))
	body = bytes.TrimRight(body, " \t\r\n")
	out := make([]byte, 0, len(body)+len(`,"position":""}`)+epochLen+1+seqDigits+1)
	out = append(out, body...)
	if len(body) > 1 {
		out = append(out, ',')
	}
	out = append(out, `"position":"`...)
	out = append(out, r.Position.String()...)
	return append(out, `"}`...)
}
