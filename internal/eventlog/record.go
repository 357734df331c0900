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

// epochLen is the length of an epoch: lower-case letters and digits 2 to 7.
const epochLen = 12

// ErrPosition is returned for a text that is no position of any Larder.
var ErrPosition = errors.New("not a position of this log")

// String is the form in which clients carry a position: epoch, hyphen, number.
// They treat it as opaque.
func (p Position) String() string { return p.Epoch + "-" + strconv.FormatInt(p.Seq, 10) }

// ParsePosition reads the form that String writes, and nothing else.
func ParsePosition(s string) (Position, error) {
	epoch, digits, ok := strings.Cut(s, "-")
	if !ok || len(epoch) != epochLen || strings.Trim(epoch, "abcdefghijklmnopqrstuvwxyz234567") != "" {
		return Position{}, fmt.Errorf("%.40q: %w", s, ErrPosition)
	}
	seq, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || seq < 0 || strconv.FormatInt(seq, 10) != digits {
		return Position{}, fmt.Errorf("%.40q: %w", s, ErrPosition)
	}
	return Position{Epoch: epoch, Seq: seq}, nil
}

// Audience says who may see a record.
type Audience struct {
	// Everyone means every account that is signed in.
	Everyone bool `json:"everyone,omitempty"`
	// Users are the accounts that may see it, when not everyone may.
	Users []string `json:"users,omitempty"`
}

// Includes says whether the account may see the record.
func (a Audience) Includes(accountID string) bool {
	if a.Everyone {
		return true
	}
	return slices.Contains(a.Users, accountID)
}

// Types of records about accounts. Nobody's feed shows them: they tell the
// nodes that rights have changed.
const (
	TypeAccountRegistered = "account.registered"
	TypeAccountVerified   = "account.verified"
	TypeAccountSuspended  = "account.suspended"
	TypeAccountRestored   = "account.restored"
	TypeAccountUpdated    = "account.updated"
)

// Draft is a record before it has a place in the log.
type Draft struct {
	Type     string
	Subject  string // the id of the donation or account that it is about
	Version  int64  // of the subject after the change; 0 for accounts
	Audience Audience
	Payload  json.RawMessage // a JSON object; the position is added when it is read
	At       time.Time
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
	out := make([]byte, 0, len(body)+len(`,"position":""}`)+epochLen+21)
	out = append(out, body...)
	if len(body) > 1 {
		out = append(out, ',')
	}
	out = append(out, `"position":"`...)
	out = append(out, r.Position.String()...)
	return append(out, `"}`...)
}
