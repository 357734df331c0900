package mail

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"larder/internal/account"
	"larder/internal/donation"
	"larder/internal/eventlog"
	"larder/internal/store"
	"larder/internal/voice"
)

// Kinds of mails are the types of the records that they tell of.
const (
	kindVerified   = eventlog.TypeAccountVerified
	kindAnswered   = eventlog.TypeTicketAnswered
	kindNearExpiry = string(donation.EventNearExpiry)
)

// Parts of a record: who gets the mail.
const (
	partOwner   = 1 // the account itself, the author of the ticket, the donor
	partClaimer = 2 // the NGO that has the claim
)

// mailsOf lists the mails that records ask for.
func mailsOf(recs []eventlog.Record, due time.Time) (list []store.Mail) {
	for _, r := range recs {
		add := func(part int) {
			list = append(list, store.Mail{Seq: r.Position.Seq, Part: part, Kind: r.Type, About: r.Subject, Due: due})
		}
		switch r.Type {
		case kindVerified, kindAnswered:
			add(partOwner)
		case kindNearExpiry:
			add(partOwner)
			add(partClaimer)
		}
	}
	return list
}

// message is what somebody is told. Subject is one line.
type message struct {
	to      account.Account
	subject string
	body    string
}

// errNobody says that there is nobody to be told, or nothing any more.
var errNobody = errors.New("mail: nobody to tell")

// board is what texts say about the board itself.
type board struct {
	url  string // where people find it; empty: unknown
	zone *time.Location
}

// write makes the message of a mail from what the database says now, or returns
// errNobody.
func (b board) write(ctx context.Context, tx *store.Tx, m store.Mail, now time.Time) (message, error) {
	var msg message
	var err error
	switch m.Kind {
	case kindVerified:
		msg, err = b.verified(ctx, tx, m)
	case kindAnswered:
		msg, err = b.answered(ctx, tx, m)
	case kindNearExpiry:
		msg, err = b.nearExpiry(ctx, tx, m, now)
	default: // of a newer version that ran here
		err = errNobody
	}
	if errors.Is(err, store.ErrNotFound) {
		err = errNobody
	}
	if err != nil {
		return message{}, err
	}
	if !msg.to.Active || msg.to.Deleted || !account.ValidEmail(msg.to.Email) {
		return message{}, errNobody
	}
	msg.body = "Hello " + line(msg.to.DisplayName()) + ",\n\n" + msg.body + b.foot()
	return msg, nil
}

func (b board) verified(ctx context.Context, tx *store.Tx, m store.Mail) (msg message, err error) {
	msg.to, err = tx.Account(ctx, m.About)
	if err == nil && !msg.to.Verified {
		return msg, errNobody
	}
	msg.subject = "Your account is verified"
	msg.body = "Your account has been verified."
	if msg.to.Role == account.NGO {
		msg.body += " You can claim donations from now on."
	}
	msg.body += "\n"
	return msg, err
}

func (b board) answered(ctx context.Context, tx *store.Tx, m store.Mail) (msg message, err error) {
	k, err := tx.Ticket(ctx, m.About)
	if err != nil {
		return msg, err
	}
	what, how := "answered", "has an answer"
	if k.Status == voice.Resolved || k.Status == voice.Closed {
		what, how = strings.ToLower(string(k.Status)), "has been "+strings.ToLower(string(k.Status))
	}
	msg.subject = "Your request was " + what + ": " + line(k.Subject)
	msg.body = "Your request \"" + line(k.Subject) + "\" " + how + ".\n"
	if note := strings.TrimSpace(lines(k.Note)); note != "" {
		msg.body += "\nAnswer:\n\n" + note + "\n"
	}
	msg.to, err = tx.Account(ctx, k.By.ID)
	return msg, err
}

func (b board) nearExpiry(ctx context.Context, tx *store.Tx, m store.Mail, now time.Time) (msg message, err error) {
	d, err := tx.Donation(ctx, m.About)
	if err != nil {
		return msg, err
	}
	status := d.StatusAt(now)
	if status != donation.Available && status != donation.Claimed {
		return msg, errNobody
	}
	who, state := d.DonorID, "Nobody has claimed it yet."
	switch {
	case m.Part == partClaimer && status == donation.Claimed:
		who, state = d.ClaimedByID, "You have claimed it, and it has not been picked up yet."
	case m.Part == partClaimer:
		return msg, errNobody
	case status == donation.Claimed:
		state = "It has been claimed, but not been picked up yet."
	}
	msg.subject = "Expires soon: " + line(d.Name)
	msg.body = fmt.Sprintf("The donation %q expires at %s. %s\n", line(d.Name), d.ExpiryTime.In(b.zone).Format("15:04 MST on 2 January 2006"), state)
	msg.to, err = tx.Account(ctx, who)
	return msg, err
}

func (b board) foot() string {
	text := "\n-- \nThis is an automatic message"
	if b.url != "" {
		text += " from Larder at " + b.url
	}
	return text + ".\n"
}

// maxLine bounds a text that somebody chose within a line, in characters.
const maxLine = 120

// line makes one line of a text that somebody chose: nothing in it can end a
// header, start another, or turn the direction of writing for what follows.
func line(s string) string {
	s = strings.Join(strings.Fields(strings.Map(func(r rune) rune {
		if r == '\n' || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return plain(r)
	}, strings.ToValidUTF8(s, " "))), " ")
	if chars := []rune(s); len(chars) > maxLine {
		s = string(chars[:maxLine-1]) + "…"
	}
	return s
}

// lines cleans a text that may have several lines.
func lines(s string) string {
	return strings.Map(plain, strings.ReplaceAll(strings.ToValidUTF8(s, " "), "\r\n", "\n"))
}

func plain(r rune) rune {
	switch {
	case r == '\n':
		return r
	case unicode.IsControl(r):
		return ' '
	case unicode.Is(unicode.Bidi_Control, r):
		return -1
	}
	return r
}
