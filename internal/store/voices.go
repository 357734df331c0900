package store

import (
	"context"
	"fmt"
	"strings"
	"time"

	"larder/internal/account"
	"larder/internal/donation"
	"larder/internal/voice"
)

// InsertFeedback adds feedback unless its donation has one, and says whether it did.
func (t *Tx) InsertFeedback(ctx context.Context, f voice.Feedback) (added bool, err error) {
	return t.added(ctx, `INSERT INTO feedback (id, donation_id, donor_id, ngo_id, rating, comment, created_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (donation_id) DO NOTHING`,
		f.ID, f.DonationID, f.DonorID, f.NGOID, f.Rating, f.Comment, millis(f.CreatedAt))
}

// added runs an insert that does nothing where a unique index forbids it: no
// violation is provoked, because PostgreSQL gives a transaction up for one.
func (t *Tx) added(ctx context.Context, statement string, args ...any) (bool, error) {
	res, err := t.tx.ExecContext(ctx, statement, args...)
	if err != nil {
		return false, unavailable(err)
	}
	n, err := res.RowsAffected()
	return n == 1, unavailable(err)
}

// Feedback lists the feedback on a donation.
func (t *Tx) Feedback(ctx context.Context, donationID string) (list []voice.Feedback, err error) {
	err = t.each(ctx, func(row scanner) error {
		var f voice.Feedback
		var at int64
		err := row.Scan(&f.ID, &f.DonationID, &f.DonorID, &f.NGOID, &f.Rating, &f.Comment, &at)
		f.CreatedAt = fromMillis(at)
		list = append(list, f)
		return err
	}, `SELECT id, donation_id, donor_id, ngo_id, rating, comment, created_at FROM feedback WHERE donation_id = $1`, donationID)
	return list, err
}

// Ratings are what the feedback on each of some donors adds up to. Those whom
// nobody has rated are not in it.
func (t *Tx) Ratings(ctx context.Context, donorIDs ...string) (map[string]voice.Ratings, error) {
	found := map[string]voice.Ratings{}
	if len(donorIDs) == 0 {
		return found, nil
	}
	marks, args := places(donorIDs)
	return found, t.each(ctx, func(row scanner) error {
		var id string
		var r voice.Ratings
		err := row.Scan(&id, &r.Sum, &r.Count)
		found[id] = r
		return err
	}, `SELECT donor_id, SUM(rating), COUNT(*) FROM feedback WHERE donor_id IN (`+marks+`) GROUP BY donor_id`, args...)
}

// ScoreDonors fills in the trust score of the donors of a list, which its rows do
// not hold.
func (t *Tx) ScoreDonors(ctx context.Context, list []donation.Donation) error {
	var ids []string
	seen := map[string]bool{}
	for _, d := range list {
		if !seen[d.DonorID] {
			seen[d.DonorID] = true
			ids = append(ids, d.DonorID)
		}
	}
	ratings, err := t.Ratings(ctx, ids...)
	if err != nil {
		return err
	}
	for i := range list {
		list[i].DonorTrustScore = ratings[list[i].DonorID].Score()
	}
	return nil
}

// AccountsByID returns the accounts with those ids, as far as there are any.
func (t *Tx) AccountsByID(ctx context.Context, ids ...string) (map[string]account.Account, error) {
	found := map[string]account.Account{}
	if len(ids) == 0 {
		return found, nil
	}
	marks, args := places(ids)
	return found, t.each(ctx, func(row scanner) error {
		a, err := scanAccount(row)
		found[a.ID] = a
		return err
	}, `SELECT `+accountColumns+` FROM accounts WHERE id IN (`+marks+`)`, args...)
}

// places are the marks of at least as many arguments: the last value is repeated up
// to a power of two, which IN does not mind, so that there are few texts to prepare.
func places(values []string) (marks string, args []any) {
	var b strings.Builder
	for i := 0; i < len(values) || i&(i-1) != 0; i++ {
		fmt.Fprintf(&b, ", $%d", i+1)
		args = append(args, values[min(i, len(values)-1)])
	}
	return b.String()[2:], args
}

// each hands the rows of a query to scan, one after another.
func (t *Tx) each(ctx context.Context, scan func(row scanner) error, query string, args ...any) error {
	rows, err := t.tx.QueryContext(ctx, query, args...)
	if err != nil {
		return unavailable(err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return unavailable(err)
		}
	}
	return unavailable(rows.Err())
}

// VoiceFilter selects flags or tickets, newest first.
type VoiceFilter struct {
	ID        string      // empty: any
	AccountID string      // whose; empty: anybody's
	Before    *ListCursor // only what comes after this entry in the list
	Limit     int         // of entries
}

// where is the end of a query for rows of v, which have authors a.
func (f VoiceFilter) where() (tail string, args arguments) {
	tail = ` JOIN accounts a ON a.id = v.account_id WHERE 1 = 1`
	if f.ID != "" {
		tail += " AND v.id = " + args.add(f.ID)
	}
	if f.AccountID != "" {
		tail += " AND v.account_id = " + args.add(f.AccountID)
	}
	if f.Before != nil {
		tail += " AND (v.created_at, v.id) < " + args.place(*f.Before)
	}
	tail += " ORDER BY v.created_at DESC, v.id DESC LIMIT " + args.add(f.Limit)
	return tail, args
}

// authorColumns are read as scanAuthor wants them.
const authorColumns = `a.id, a.email, a.name, a.organization_name`

// scanAuthor reads a row of a voice with its author in the end.
func scanAuthor(row scanner, by *voice.Author, created, updated *time.Time, dest ...any) error {
	var a account.Account
	var from, to int64
	err := row.Scan(append(dest, &from, &to, &a.ID, &a.Email, &a.Name, &a.OrganizationName)...)
	*by = voice.Author{ID: a.ID, Email: a.Email, Name: a.DisplayName()}
	*created, *updated = fromMillis(from), fromMillis(to)
	return err
}

// InsertFlag adds a flag unless its author has an open one on the same donation,
// and says whether it did.
func (t *Tx) InsertFlag(ctx context.Context, f voice.Flag) (added bool, err error) {
	return t.added(ctx, `INSERT INTO flags (id, donation_id, account_id, reason, status, note, created_at, updated_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING`,
		f.ID, f.DonationID, f.By.ID, f.Reason, f.Status, f.Note, millis(f.CreatedAt), millis(f.UpdatedAt))
}

// Flags lists flags.
func (t *Tx) Flags(ctx context.Context, filter VoiceFilter) (list []voice.Flag, err error) {
	tail, args := filter.where()
	err = t.each(ctx, func(row scanner) error {
		var f voice.Flag
		err := scanAuthor(row, &f.By, &f.CreatedAt, &f.UpdatedAt, &f.ID, &f.DonationID, &f.DonationName, &f.Reason, &f.Status, &f.Note)
		list = append(list, f)
		return err
	}, `SELECT v.id, v.donation_id, d.name, v.reason, v.status, v.note, v.created_at, v.updated_at, `+authorColumns+`
		FROM flags v JOIN donations d ON d.id = v.donation_id`+tail, args...)
	return list, err
}

// Flag returns the flag of that id, or ErrNotFound.
func (t *Tx) Flag(ctx context.Context, id string) (voice.Flag, error) {
	return only(t.Flags(ctx, VoiceFilter{ID: id, Limit: 1}))
}

// only is the first of a list, or ErrNotFound.
func only[T any](list []T, err error) (first T, _ error) {
	switch {
	case err != nil:
		return first, err
	case len(list) == 0:
		return first, ErrNotFound
	}
	return list[0], nil
}

// UpdateFlag writes what an admin can change of a flag.
func (t *Tx) UpdateFlag(ctx context.Context, f voice.Flag) error {
	res, err := t.tx.ExecContext(ctx, `UPDATE flags SET status = $2, note = $3, updated_at = $4 WHERE id = $1`,
		f.ID, f.Status, f.Note, millis(f.UpdatedAt))
	return changedOne(res, err, ErrNotFound)
}

// InsertTicket adds a ticket.
func (t *Tx) InsertTicket(ctx context.Context, k voice.Ticket) error {
	_, err := t.tx.ExecContext(ctx, `INSERT INTO tickets
		(id, account_id, subject, description, priority, status, note, created_at, updated_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
		k.ID, k.By.ID, k.Subject, k.Description, k.Priority, k.Status, k.Note, millis(k.CreatedAt), millis(k.UpdatedAt))
	return unavailable(err)
}

// Tickets lists tickets.
func (t *Tx) Tickets(ctx context.Context, filter VoiceFilter) (list []voice.Ticket, err error) {
	tail, args := filter.where()
	err = t.each(ctx, func(row scanner) error {
		var k voice.Ticket
		err := scanAuthor(row, &k.By, &k.CreatedAt, &k.UpdatedAt, &k.ID, &k.Subject, &k.Description, &k.Priority, &k.Status, &k.Note)
		list = append(list, k)
		return err
	}, `SELECT v.id, v.subject, v.description, v.priority, v.status, v.note, v.created_at, v.updated_at, `+authorColumns+`
		FROM tickets v`+tail, args...)
	return list, err
}

// Ticket returns the ticket of that id, or ErrNotFound.
func (t *Tx) Ticket(ctx context.Context, id string) (voice.Ticket, error) {
	return only(t.Tickets(ctx, VoiceFilter{ID: id, Limit: 1}))
}

// UpdateTicket writes what an admin can change of a ticket.
func (t *Tx) UpdateTicket(ctx context.Context, k voice.Ticket) error {
	res, err := t.tx.ExecContext(ctx, `UPDATE tickets SET status = $2, note = $3, updated_at = $4 WHERE id = $1`,
		k.ID, k.Status, k.Note, millis(k.UpdatedAt))
	return changedOne(res, err, ErrNotFound)
}

// DeleteTickets removes what an account has asked.
func (t *Tx) DeleteTickets(ctx context.Context, accountID string) error {
	_, err := t.tx.ExecContext(ctx, `DELETE FROM tickets WHERE account_id = $1`, accountID)
	return unavailable(err)
}

// said is where what an account has said of a kind is found.
var said = map[voice.Kind]string{
	voice.KindFeedback: `SELECT created_at FROM feedback WHERE ngo_id = $1`,
	voice.KindFlag:     `SELECT created_at FROM flags WHERE account_id = $1`,
	voice.KindTicket:   `SELECT created_at FROM tickets WHERE account_id = $1`,
}

// Said returns when an account said something of a kind, newest first, after the
// given time, and at most limit times.
func (t *Tx) Said(ctx context.Context, kind voice.Kind, accountID string, after time.Time, limit int) (times []time.Time, err error) {
	err = t.each(ctx, func(row scanner) error {
		var at int64
		err := row.Scan(&at)
		times = append(times, fromMillis(at))
		return err
	}, said[kind]+` AND created_at > $2 ORDER BY created_at DESC LIMIT $3`, accountID, millis(after), limit)
	return times, err
}

// Pile is how many things of one kind wait for an admin, and since when the newest
// of them does.
type Pile struct {
	Count  int
	Newest time.Time // of no meaning when there are none
}

// Backlog is what waits for an admin.
type Backlog struct {
	NGOs    Pile // not verified
	Tickets Pile // OPEN
	Flags   Pile // open
}

// Backlog counts what waits for an admin.
func (t *Tx) Backlog(ctx context.Context) (b Backlog, err error) {
	for _, q := range []struct {
		pile *Pile
		from string
	}{
		{&b.NGOs, `accounts WHERE role = 'NGO' AND verified = FALSE AND deleted = FALSE`},
		{&b.Tickets, `tickets WHERE status = 'OPEN'`},
		{&b.Flags, `flags WHERE status IN ('FLAGGED', 'ESCALATED')`},
	} {
		var newest int64
		err := t.tx.QueryRowContext(ctx, `SELECT COUNT(*), COALESCE(MAX(created_at), 0) FROM `+q.from).Scan(&q.pile.Count, &newest)
		if err != nil {
			return b, unavailable(err)
		}
		q.pile.Newest = fromMillis(newest)
	}
	return b, nil
}
