package store

import (
	"context"
	"fmt"
	"iter"
	"strings"
	"time"

	"larder/internal/account"
	"larder/internal/donation"
)

// Part is what an account is to a donation: the column that names it.
type Part string

// The parts. AsCarrier is that of volunteers alone.
const (
	AsDonor   Part = "donor_id"
	AsClaimer Part = "claimed_by_id"
	AsCarrier Part = "volunteer_id"
)

// overdue is the status in which a donation counts at $1: what is over and not
// yet written down is expired.
const overdue = `CASE WHEN status IN ('AVAILABLE', 'CLAIMED') AND expiry_time <= $1 THEN 'EXPIRED' ELSE status END`

// Tally is how many donations there are of one period, status and unit, and what
// their quantities add up to.
type Tally struct {
	Period    int // which of the starts that were asked for is the last one before it
	Status    donation.Status
	Unit      string
	Donations int64
	Quantity  float64 // in Unit
}

// TalliesOf adds up the donations in which an account has a part, as they stand
// at now. Those created before the first of starts are left out, the others
// counted by period; without starts all are in period 0. starts ascend, and are
// few: each is part of the statement.
func (t *Tx) TalliesOf(ctx context.Context, accountID string, part Part, starts []time.Time, now time.Time) iter.Seq2[Tally, error] {
	args := []any{millis(now), accountID}
	period, since := `0`, ``
	if len(starts) > 0 {
		var cases strings.Builder
		for i := len(starts) - 1; i > 0; i-- {
			args = append(args, millis(starts[i]))
			fmt.Fprintf(&cases, " WHEN created_at >= $%d THEN %d", len(args), i)
		}
		if cases.Len() > 0 {
			period = `CASE` + cases.String() + ` ELSE 0 END`
		}
		args = append(args, millis(starts[0]))
		since = fmt.Sprintf(" AND created_at >= $%d", len(args))
	}
	// An account has no part by an empty id; and the index of carriers has none.
	return t.tallies(ctx, `SELECT `+period+`, `+overdue+`, unit, COUNT(*), SUM(quantity) FROM donations
		WHERE `+string(part)+` = $2 AND `+string(part)+` <> ''`+since+` GROUP BY 1, 2, 3`, args...)
}

// Tallies adds up all donations by the status that is written down, in period 0.
// The order of the index answers it without looking at a row.
func (t *Tx) Tallies(ctx context.Context) iter.Seq2[Tally, error] {
	return t.tallies(ctx, `SELECT 0, status, unit, COUNT(*), SUM(quantity) FROM donations GROUP BY unit, status`)
}

func (t *Tx) tallies(ctx context.Context, query string, args ...any) iter.Seq2[Tally, error] {
	return func(yield func(Tally, error) bool) {
		rows, err := t.tx.QueryContext(ctx, query, args...)
		if err != nil {
			yield(Tally{}, unavailable(err))
			return
		}
		defer rows.Close()
		for rows.Next() {
			var a Tally
			err := rows.Scan(&a.Period, &a.Status, &a.Unit, &a.Donations, &a.Quantity)
			if !yield(a, unavailable(err)) || err != nil {
				return
			}
		}
		if err := rows.Err(); err != nil {
			yield(Tally{}, unavailable(err))
		}
	}
}

// Overdue counts the donations that are over at now, and not yet written down so.
func (t *Tx) Overdue(ctx context.Context, now time.Time) (n int64, err error) {
	err = t.tx.QueryRowContext(ctx, `SELECT COUNT(*) FROM donations
		WHERE status IN ('AVAILABLE', 'CLAIMED') AND expiry_time <= $1`, millis(now)).Scan(&n)
	return n, unavailable(err)
}

// RoleCounts counts the accounts of each role that can sign in.
func (t *Tx) RoleCounts(ctx context.Context) (map[account.Role]int64, error) {
	rows, err := t.tx.QueryContext(ctx, `SELECT role, COUNT(*) FROM accounts
		WHERE active = TRUE AND deleted = FALSE GROUP BY role`)
	if err != nil {
		return nil, unavailable(err)
	}
	defer rows.Close()
	counts := map[account.Role]int64{}
	for rows.Next() {
		var role account.Role
		var n int64
		if err := rows.Scan(&role, &n); err != nil {
			return nil, unavailable(err)
		}
		counts[role] = n
	}
	return counts, unavailable(rows.Err())
}

// Leader is an account with the karma by which it is ranked.
type Leader struct {
	account.Account
	Points int
}

// Leaders lists the accounts with the most karma earned at or after since (zero:
// ever), at most limit, the most first and of equals the older account. Accounts
// without karma, those that can't sign in, and admins are left out. role narrows
// the list; empty is any.
func (t *Tx) Leaders(ctx context.Context, since time.Time, role account.Role, limit int) ([]Leader, error) {
	sums, args := `SELECT account_id AS who, SUM(points) AS points FROM karma GROUP BY account_id`, []any{role, limit}
	if !since.IsZero() {
		// Not by the column itself: SQLite would read the whole ledger in the order of
		// accounts, and each row of it, instead of the newest end of an index.
		sums = `SELECT account_id || '' AS who, SUM(points) AS points FROM karma WHERE at >= $3 GROUP BY account_id || ''`
		args = append(args, millis(since))
	}
	rows, err := t.tx.QueryContext(ctx, `SELECT `+accountColumns+`, sums.points FROM
		(`+sums+`) sums JOIN accounts ON accounts.id = sums.who
		WHERE sums.points > 0 AND active = TRUE AND deleted = FALSE AND role <> 'ADMIN' AND ($1 = '' OR role = $1)
		ORDER BY sums.points DESC, created_at, id LIMIT $2`, args...)
	if err != nil {
		return nil, unavailable(err)
	}
	defer rows.Close()
	var list []Leader
	for rows.Next() {
		var l Leader
		if l.Account, err = scanAccount(rows, &l.Points); err != nil {
			return nil, err
		}
		list = append(list, l)
	}
	return list, unavailable(rows.Err())
}
