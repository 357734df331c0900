package voice

import (
	"time"

	"larder/internal/account"
	"larder/internal/donation"
)

// TicketStatus is what has become of a support ticket.
type TicketStatus string

// The statuses.
const (
	Open       TicketStatus = "OPEN"
	InProgress TicketStatus = "IN_PROGRESS"
	Resolved   TicketStatus = "RESOLVED"
	Closed     TicketStatus = "CLOSED"
)

// TicketStatuses are all of them.
func TicketStatuses() []TicketStatus { return []TicketStatus{Open, InProgress, Resolved, Closed} }

// ticketMoves are the changes of a ticket. A closed one is opened again before
// anything else happens to it.
var ticketMoves = map[TicketStatus][]TicketStatus{
	Open:       {InProgress, Resolved, Closed},
	InProgress: {Open, Resolved, Closed},
	Resolved:   {Open, InProgress, Closed},
	Closed:     {Open, InProgress},
}

// Priority is how urgent the author finds a ticket.
type Priority string

// The priorities.
const (
	Low      Priority = "LOW"
	Medium   Priority = "MEDIUM"
	High     Priority = "HIGH"
	Critical Priority = "CRITICAL"
)

// Priorities are all of them.
func Priorities() []Priority { return []Priority{Low, Medium, High, Critical} }

// Ticket is a question to whoever runs this Larder, and what came of it.
type Ticket struct {
	ID          string
	By          Author
	Subject     string
	Description string
	Priority    Priority
	Status      TicketStatus
	Note        string // an admin's answer
	CreatedAt   time.Time
	UpdatedAt   time.Time
}

// TicketDraft is what somebody says who opens a ticket.
type TicketDraft struct {
	Subject     string
	Description string
	Priority    Priority // empty: Medium
}

// NewTicket opens a ticket under id.
func NewTicket(id string, draft TicketDraft, by account.Account, now time.Time) (Ticket, error) {
	subject, faults := text("subject", draft.Subject, MaxSubject, true)
	description, more := text("description", draft.Description, MaxDescription, true)
	faults = append(faults, more...)
	priority := draft.Priority
	switch priority {
	case "":
		priority = Medium
	case Low, Medium, High, Critical:
	default:
		faults = append(faults, oneOf("priority", Priorities()))
	}
	if len(faults) > 0 {
		return Ticket{}, refuse(donation.CodeValidation, faults...)
	}
	return Ticket{
		ID: id, By: author(by), Subject: subject, Description: description, Priority: priority, Status: Open,
		CreatedAt: now, UpdatedAt: now,
	}, nil
}

// Handle changes the status (empty: as it is) and, unless it is nil, the note: an
// admin's command. answered says that the author should hear of it: the ticket is
// resolved now, or has a note that it had not.
func (t Ticket) Handle(by account.Actor, to TicketStatus, note *string, now time.Time) (after Ticket, answered bool, err error) {
	if by.Role != account.Admin {
		return t, false, account.ErrNotAdmin
	}
	if to == "" {
		to = t.Status
	}
	if _, ok := ticketMoves[to]; !ok {
		return t, false, refuse(donation.CodeValidation, oneOf("status", TicketStatuses()))
	}
	if err := move("Ticket", t.Status, to, ticketMoves); err != nil {
		return t, false, err
	}
	changed, err := annotate(t.Note, note)
	if err != nil {
		return t, false, err
	}
	answered = to == Resolved && t.Status != Resolved || changed != "" && changed != t.Note
	if to != t.Status || changed != t.Note {
		t.Status, t.Note, t.UpdatedAt = to, changed, now
	}
	return t, answered, nil
}
