package movein

import (
	"context"
	"slices"

	"larder/internal/account"
	"larder/internal/notice"
	"larder/internal/store"
	"larder/internal/store/surplussync"
	"larder/internal/voice"
)

// present are those of a batch that are here already.
func present(ctx context.Context, tx *store.Tx, kind store.Kind, batch []*entry) (map[string]bool, error) {
	var ids []string
	for _, e := range batch {
		ids = append(ids, e.id)
	}
	return tx.Present(ctx, kind, ids...)
}

// each runs do for those of a batch that are new. do says whether it wrote.
func each(ctx context.Context, tx *store.Tx, kind store.Kind, batch []*entry, do func(e *entry) (bool, error)) (wrote bool, err error) {
	known, err := present(ctx, tx, kind, batch)
	if err != nil {
		return false, err
	}
	for _, e := range batch {
		if !e.ok() {
			continue
		}
		if known[e.id] {
			e.here("")
			continue
		}
		did, err := do(e)
		if err != nil {
			return wrote, err
		}
		wrote = wrote || did
	}
	return wrote, nil
}

func (m *mover) feedback(ctx context.Context, tx *store.Tx, batch []*entry) (bool, error) {
	return each(ctx, tx, store.Feedbacks, batch, func(e *entry) (bool, error) {
		l, rating := m.lots[e.Text("donationId")], e.Text("rating")
		switch {
		case l == nil:
			e.refuse("its donation was not taken", e.Text("donationId"))
		case l.claimer == nil || l.claimer.ID != e.Text("ngoId"):
			e.refuse("it is not from the NGO that claimed the donation", e.Text("ngoId"))
		case !l.delivered:
			e.refuse("its donation is not delivered", e.Text("donationId"))
		case len(rating) != 1 || rating < "1" || rating > "5":
			e.refuse("its rating is not from 1 to 5", rating)
		}
		if !e.ok() {
			return false, nil
		}
		before, err := tx.Feedback(ctx, e.Text("donationId"))
		if err != nil {
			return false, err
		}
		if l.rated || len(before) > 0 {
			e.refuse("the donation has been rated already, and one rating counts", e.Text("donationId"))
			return false, nil
		}
		l.rated = true
		f := voice.Feedback{
			ID: e.id, DonationID: e.Text("donationId"), DonorID: l.donor.ID, NGOID: l.claimer.ID, Rating: int(rating[0] - '0'),
			Comment: e.text("comment", voice.MaxComment), CreatedAt: e.timeOr("createdAt", m.Now),
		}
		if !m.Apply {
			return false, nil
		}
		return tx.InsertFeedback(ctx, f)
	})
}

func (m *mover) tickets(ctx context.Context, tx *store.Tx, batch []*entry) (bool, error) {
	return each(ctx, tx, store.TicketsKind, batch, func(e *entry) (bool, error) {
		by := m.people[e.Text("userId")]
		created := e.timeOr("createdAt", m.Now)
		k := voice.Ticket{
			ID: e.id, Subject: e.required("subject", voice.MaxSubject, "(no subject)"),
			Description: e.required("description", voice.MaxDescription, "(no description)"),
			Priority:    voice.Priority(e.or("priority", "MEDIUM")), Status: voice.TicketStatus(e.or("status", "OPEN")),
			Note: e.text("adminNote", voice.MaxNote), CreatedAt: created, UpdatedAt: e.timeOr("updatedAt", created),
		}
		switch {
		case by == nil:
			e.refuse("its author is no account that was taken", e.Text("userId"))
		case !slices.Contains(voice.Priorities(), k.Priority):
			e.refuse("its priority is none of ours", string(k.Priority))
		case !slices.Contains(voice.TicketStatuses(), k.Status):
			e.refuse("its status is none of ours", string(k.Status))
		}
		if !e.ok() || !m.Apply {
			return false, nil
		}
		k.By.ID = by.ID
		return true, tx.InsertTicket(ctx, k)
	})
}

func (m *mover) flags(ctx context.Context, tx *store.Tx, batch []*entry) (bool, error) {
	return each(ctx, tx, store.FlagsKind, batch, func(e *entry) (bool, error) {
		by, l := m.people[e.Text("reportedByUserId")], m.lots[e.Text("donationId")]
		created := e.timeOr("createdAt", m.Now)
		f := voice.Flag{
			ID: e.id, DonationID: e.Text("donationId"), Reason: e.required("reason", voice.MaxReason, "(no reason)"),
			Status: voice.FlagStatus(e.or("status", "FLAGGED")), Note: e.text("adminNote", voice.MaxNote),
			CreatedAt: created, UpdatedAt: e.timeOr("updatedAt", created),
		}
		const twice = "its author has an open flag on the donation already"
		key := e.Text("donationId") + e.Text("reportedByUserId")
		switch {
		case by == nil:
			e.refuse("its author is no account that was taken", e.Text("reportedByUserId"))
		case l == nil:
			e.refuse("its donation was not taken", e.Text("donationId"))
		case !slices.Contains(voice.FlagStatuses(), f.Status):
			e.refuse("its status is none of ours", string(f.Status))
		case f.Status.Open() && m.open[key]:
			e.refuse(twice, key)
		}
		if !e.ok() {
			return false, nil
		}
		m.open[key] = m.open[key] || f.Status.Open()
		if !m.Apply {
			return false, nil
		}
		f.By.ID = by.ID
		added, err := tx.InsertFlag(ctx, f)
		if err == nil && !added {
			e.refuse(twice, key)
		}
		return added, err
	})
}

// or is a text, or other where there is none.
func (e *entry) or(column, other string) string {
	if s := e.Text(column); s != "" {
		return s
	}
	return other
}

// notifications takes what told NGOs and volunteers of new food, the newest of it.
// All else was stored for everybody, and a row does not say whom it concerned.
func (m *mover) notifications(ctx context.Context) error {
	t := surplussync.Notifications
	ok, err := m.find(t, false)
	if err != nil || !ok {
		return err
	}
	all, err := m.source.Count(ctx, t)
	if err != nil {
		return err
	}
	tally := m.report.table(t.Entity)
	if m.Notifications > 0 {
		rows := m.source.Newest(ctx, t, notice.TypeNewFood, m.Notifications)
		if err := m.batches(ctx, t.Entity, rows, m.newFood); err != nil {
			return err
		}
	}
	seen := 0
	for _, n := range tally.Counts {
		seen += n
	}
	if rest := all - seen; rest > 0 {
		tally.Counts[Left] += rest
		m.report.note("notifications: %d were left out: only the newest %d about new food of each NGO and volunteer are taken; "+
			"all others were stored for everybody, and don't say whom they concerned", tally.Counts[Left], m.Notifications)
	}
	return nil
}

func (m *mover) newFood(ctx context.Context, tx *store.Tx, batch []*entry) (bool, error) {
	return each(ctx, tx, store.Notifications, batch, func(e *entry) (bool, error) {
		to := m.people[e.Text("userId")]
		if to == nil || to.Deleted || to.Role != account.NGO && to.Role != account.Volunteer {
			e.outcome = Left
			return false, nil
		}
		n := notice.Notification{
			ID: e.id, CreatedAt: e.timeOr("createdAt", m.Now),
			Notice: notice.Notice{Type: notice.TypeNewFood, Title: e.text("title", 200), Message: e.text("message", 2000), To: to.ID},
		}
		if !m.Apply {
			return false, nil
		}
		if err := tx.InsertNotifications(ctx, n); err != nil {
			return false, err
		}
		if !e.yes("read", false) {
			return true, nil
		}
		return true, tx.ReadNotification(ctx, to.Account, n.ID)
	})
}
