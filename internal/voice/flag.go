package voice

import (
	"time"

	"larder/internal/account"
	"larder/internal/donation"
)

// FlagStatus is what has become of a flag.
type FlagStatus string

// The statuses. They speak of the flag, and change nothing of the donation: an
// admin who wants it gone cancels it, with a reason that everybody sees.
const (
	Flagged   FlagStatus = "FLAGGED"   // nobody has decided
	Escalated FlagStatus = "ESCALATED" // looked at, and left for somebody else to decide
	Approved  FlagStatus = "APPROVED"  // the flag was right
	Rejected  FlagStatus = "REJECTED"  // the flag was wrong
)

// FlagStatuses are all of them.
func FlagStatuses() []FlagStatus { return []FlagStatus{Flagged, Approved, Rejected, Escalated} }

// flagMoves are the changes of a flag. A decision can be corrected, and not be
// taken back: whoever flagged may have done so anew.
var flagMoves = map[FlagStatus][]FlagStatus{
	Flagged:   {Approved, Rejected, Escalated},
	Escalated: {Approved, Rejected},
	Approved:  {Rejected},
	Rejected:  {Approved},
}

// Open says that a flag is not decided. An account has at most one such flag on a
// donation.
func (s FlagStatus) Open() bool { return s == Flagged || s == Escalated }

// Flag is somebody's word that something is wrong with a donation.
type Flag struct {
	ID           string
	DonationID   string
	DonationName string // as it is now
	By           Author
	Reason       string
	Status       FlagStatus
	Note         string // an admin's
	CreatedAt    time.Time
	UpdatedAt    time.Time
}

// NewFlag flags d under id. Anybody may, whatever the status of d.
func NewFlag(id string, d donation.Donation, by account.Account, reason string, now time.Time) (Flag, error) {
	reason, faults := text("reason", reason, MaxReason, true)
	if len(faults) > 0 {
		return Flag{}, refuse(donation.CodeValidation, faults...)
	}
	return Flag{
		ID: id, DonationID: d.ID, DonationName: d.Name, By: author(by), Reason: reason, Status: Flagged,
		CreatedAt: now, UpdatedAt: now,
	}, nil
}

// FlagExists refuses a second open flag of an account on a donation.
func FlagExists() error {
	return refuse(CodeFlagExists, "You have flagged this donation already, and nobody has decided yet")
}

// Decide changes the status and, unless it is nil, the note: an admin's command.
func (f Flag) Decide(by account.Actor, to FlagStatus, note *string, now time.Time) (Flag, error) {
	if by.Role != account.Admin {
		return f, account.ErrNotAdmin
	}
	if _, ok := flagMoves[to]; !ok {
		return f, refuse(donation.CodeValidation, oneOf("status", FlagStatuses()))
	}
	if err := move("Flag", f.Status, to, flagMoves); err != nil {
		return f, err
	}
	changed, err := annotate(f.Note, note)
	if err != nil {
		return f, err
	}
	if to != f.Status || changed != f.Note {
		f.Status, f.Note, f.UpdatedAt = to, changed, now
	}
	return f, nil
}

// annotate is the note after a change, nil leaving it as it is.
func annotate(old string, note *string) (string, error) {
	if note == nil {
		return old, nil
	}
	n, faults := text("adminNote", *note, MaxNote, false)
	if len(faults) > 0 {
		return old, refuse(donation.CodeValidation, faults...)
	}
	return n, nil
}

func author(a account.Account) Author { return Author{ID: a.ID, Email: a.Email, Name: a.DisplayName()} }
