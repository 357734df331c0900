package command

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"

	"larder/internal/account"
	"larder/internal/auth"
	"larder/internal/eventlog"
	"larder/internal/notice"
	"larder/internal/store"
	"larder/internal/voice"
)

// Rating is what an NGO says about a donation.
type Rating struct {
	DonationID string
	Rating     int
	Comment    string
}

// GiveFeedback rates a delivered donation, once. A donation that does not exist is
// store.ErrNotFound; too much in too short a time is *auth.RateError, here as for
// flags and tickets.
func (s *Service) GiveFeedback(ctx context.Context, by By, r Rating) (voice.Feedback, error) {
	return speak(ctx, s, by, "give feedback", r, voice.KindFeedback, func(tx *store.Tx, who account.Account, id string, at time.Time) (voice.Feedback, error) {
		if err := voice.MayRate(who.Actor()); err != nil {
			return voice.Feedback{}, err
		}
		d, err := tx.Donation(ctx, r.DonationID)
		if err != nil {
			return voice.Feedback{}, err
		}
		f, err := voice.NewFeedback(id, d, who.Actor(), r.Rating, r.Comment, at)
		if err != nil {
			return f, err
		}
		return f, first(voice.FeedbackExists)(tx.InsertFeedback(ctx, f))
	})
}

// Complaint is what somebody finds wrong with a donation.
type Complaint struct {
	DonationID string
	Reason     string
}

// Flag tells the admins that something is wrong with a donation, whatever its
// status. A donation that does not exist is store.ErrNotFound.
func (s *Service) Flag(ctx context.Context, by By, c Complaint) (voice.Flag, error) {
	return speak(ctx, s, by, "flag", c, voice.KindFlag, func(tx *store.Tx, who account.Account, id string, at time.Time) (voice.Flag, error) {
		d, err := tx.Donation(ctx, c.DonationID)
		if err != nil {
			return voice.Flag{}, err
		}
		f, err := voice.NewFlag(id, d, who, c.Reason, at)
		if err != nil {
			return f, err
		}
		return f, first(voice.FlagExists)(tx.InsertFlag(ctx, f))
	})
}

// OpenTicket asks whoever runs this Larder for help.
func (s *Service) OpenTicket(ctx context.Context, by By, draft voice.TicketDraft) (voice.Ticket, error) {
	return speak(ctx, s, by, "open ticket", draft, voice.KindTicket, func(tx *store.Tx, who account.Account, id string, at time.Time) (voice.Ticket, error) {
		k, err := voice.NewTicket(id, draft, who, at)
		if err != nil {
			return k, err
		}
		return k, tx.InsertTicket(ctx, k)
	})
}

// speak runs a command by which an account says something new, under a new id and
// within its quota.
func speak[T any](ctx context.Context, s *Service, by By, what string, input any, kind voice.Kind,
	say func(tx *store.Tx, who account.Account, id string, at time.Time) (T, error),
) (said T, err error) {
	said, _, err = execute(ctx, s, by, what, input, func(tx *store.Tx) (none T, err error) {
		who, err := actor(ctx, tx, by.AccountID)
		if err != nil {
			return none, err
		}
		at := now()
		if err := inQuota(ctx, tx, who, kind, at); err != nil {
			return none, err
		}
		id, err := uuid.NewV7()
		if err != nil {
			return none, fmt.Errorf("id of %s: %w", what, err)
		}
		return say(tx, who, id.String(), at)
	})
	return said, err
}

// inQuota counts what an account has said from what is stored, so that it holds on
// all nodes together and after a restart. What was refused does not count.
func inQuota(ctx context.Context, tx *store.Tx, who account.Account, kind voice.Kind, at time.Time) error {
	if who.Role == account.Admin {
		return nil
	}
	q := kind.Quota()
	said, err := tx.Said(ctx, kind, who.ID, at.Add(-q.Window), q.Max)
	if err != nil {
		return err
	}
	if wait := q.Wait(said, at); wait > 0 {
		return &auth.RateError{RetryAfter: wait}
	}
	return nil
}

// first turns an insert that found another in its place into a refusal.
func first(exists func() error) func(added bool, err error) error {
	return func(added bool, err error) error {
		if err == nil && !added {
			return exists()
		}
		return err
	}
}

// FlagDecision is what an admin makes of a flag. A nil note stays as it is.
type FlagDecision struct {
	ID     string
	Status voice.FlagStatus
	Note   *string
}

// DecideFlag changes a flag, or returns store.ErrNotFound. Nothing happens to the
// donation.
func (s *Service) DecideFlag(ctx context.Context, by By, c FlagDecision) (voice.Flag, error) {
	f, _, err := execute(ctx, s, by, "decide flag", c, func(tx *store.Tx) (voice.Flag, error) {
		admin, err := actor(ctx, tx, by.AccountID)
		if err != nil {
			return voice.Flag{}, err
		}
		f, err := tx.Flag(ctx, c.ID)
		if err != nil {
			return f, err
		}
		if f, err = f.Decide(admin.Actor(), c.Status, c.Note, now()); err != nil {
			return f, err
		}
		return f, tx.UpdateFlag(ctx, f)
	})
	return f, err
}

// TicketChange is what an admin does to a ticket. An empty status and a nil note
// stay as they are.
type TicketChange struct {
	ID     string
	Status voice.TicketStatus
	Note   *string
}

// HandleTicket changes a ticket, or returns store.ErrNotFound. An answer is
// recorded for nobody's feed.
func (s *Service) HandleTicket(ctx context.Context, by By, c TicketChange) (voice.Ticket, error) {
	k, _, err := execute(ctx, s, by, "handle ticket", c, func(tx *store.Tx) (voice.Ticket, error) {
		admin, err := actor(ctx, tx, by.AccountID)
		if err != nil {
			return voice.Ticket{}, err
		}
		k, err := tx.Ticket(ctx, c.ID)
		if err != nil {
			return k, err
		}
		k, answered, err := k.Handle(admin.Actor(), c.Status, c.Note, now())
		if err != nil {
			return k, err
		}
		if err := tx.UpdateTicket(ctx, k); err != nil || !answered {
			return k, err
		}
		if err := appendAnswered(ctx, tx, k); err != nil {
			return k, err
		}
		return k, write(ctx, tx, k.UpdatedAt, nil, notice.TicketAnswered(k.By.ID, by.AccountID, k.Status == voice.Resolved))
	})
	return k, err
}

// appendAnswered logs that a ticket was answered, for whoever tells its author. It
// names the ticket and holds none of its texts: records are kept longer than an
// account may live, and a ticket is between two.
func appendAnswered(ctx context.Context, tx *store.Tx, k voice.Ticket) error {
	payload, err := json.Marshal(map[string]string{"id": k.ID, "userId": k.By.ID, "status": string(k.Status)})
	if err != nil {
		return fmt.Errorf("payload of an answered ticket: %w", err)
	}
	_, err = tx.Append(ctx, eventlog.Draft{Type: eventlog.TypeTicketAnswered, Subject: k.ID, Payload: payload, At: k.UpdatedAt})
	return err
}
