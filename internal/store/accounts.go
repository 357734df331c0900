package store

import (
	"context"
	"fmt"
	"strings"
	"time"

	"larder/internal/account"
)

const accountColumns = `id, email, name, role, verified, active, organization_name, organization_type,
	phone, address, latitude, longitude, capacity, capacity_unit, vehicle_type, vehicle_number,
	available, created_at, updated_at, tokens_after, deleted`

// scanner is a row, alone or one of many.
type scanner interface{ Scan(dest ...any) error }

func scanAccount(row scanner, extra ...any) (account.Account, error) {
	var a account.Account
	var created, updated, after int64
	err := row.Scan(append([]any{
		&a.ID, &a.Email, &a.Name, &a.Role, &a.Verified, &a.Active,
		&a.OrganizationName, &a.OrganizationType, &a.Phone, &a.Address, &a.Latitude, &a.Longitude,
		&a.Capacity, &a.CapacityUnit, &a.VehicleType, &a.VehicleNumber, &a.Available,
		&created, &updated, &after, &a.Deleted,
	}, extra...)...)
	a.CreatedAt, a.UpdatedAt = fromMillis(created), fromMillis(updated)
	if after != 0 {
		a.TokensAfter = fromMillis(after)
	}
	return a, unavailable(err)
}

// tokensAfter is how the column of that name keeps it.
func tokensAfter(a account.Account) int64 {
	if a.TokensAfter.IsZero() {
		return 0
	}
	return millis(a.TokensAfter)
}

// Account returns the account of that id, or ErrNotFound.
func (t *Tx) Account(ctx context.Context, id string) (account.Account, error) {
	return scanAccount(t.tx.QueryRowContext(ctx, `SELECT `+accountColumns+` FROM accounts WHERE id = $1`, id))
}

// Credentials returns the account with that e-mail, compared without case, and
// its password hash, or ErrNotFound. It is the only way by which a hash leaves
// the store.
func (t *Tx) Credentials(ctx context.Context, email string) (a account.Account, hash string, err error) {
	row := t.tx.QueryRowContext(ctx,
		`SELECT `+accountColumns+`, password_hash FROM accounts WHERE email_key = $1`, account.EmailKey(email))
	a, err = scanAccount(row, &hash)
	return a, hash, err
}

// InsertAccount adds an account with its password hash, or returns ErrEmailTaken.
func (t *Tx) InsertAccount(ctx context.Context, a account.Account, hash string) error {
	// No violation is provoked: PostgreSQL gives a transaction up for one.
	res, err := t.tx.ExecContext(ctx, `INSERT INTO accounts (`+accountColumns+`, email_key, password_hash)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23)
		ON CONFLICT (email_key) DO NOTHING`,
		a.ID, a.Email, a.Name, a.Role, a.Verified, a.Active, a.OrganizationName, a.OrganizationType,
		a.Phone, a.Address, a.Latitude, a.Longitude, a.Capacity, a.CapacityUnit, a.VehicleType, a.VehicleNumber,
		a.Available, millis(a.CreatedAt), millis(a.UpdatedAt), tokensAfter(a), a.Deleted, account.EmailKey(a.Email), hash)
	return changedOne(res, err, ErrEmailTaken)
}

// UpdateAccount writes everything of a that can change, save the e-mail and the
// password.
func (t *Tx) UpdateAccount(ctx context.Context, a account.Account) error {
	res, err := t.tx.ExecContext(ctx, `UPDATE accounts SET
		name = $2, role = $3, verified = $4, active = $5, organization_name = $6, organization_type = $7,
		phone = $8, address = $9, latitude = $10, longitude = $11, capacity = $12, capacity_unit = $13,
		vehicle_type = $14, vehicle_number = $15, available = $16, updated_at = $17,
		tokens_after = $18, deleted = $19
		WHERE id = $1`,
		a.ID, a.Name, a.Role, a.Verified, a.Active, a.OrganizationName, a.OrganizationType, a.Phone, a.Address,
		a.Latitude, a.Longitude, a.Capacity, a.CapacityUnit, a.VehicleType, a.VehicleNumber, a.Available,
		millis(a.UpdatedAt), tokensAfter(a), a.Deleted)
	return changedOne(res, err, ErrNotFound)
}

// SetPasswordHash replaces the hash of an account.
func (t *Tx) SetPasswordHash(ctx context.Context, id, hash string) error {
	res, err := t.tx.ExecContext(ctx, `UPDATE accounts SET password_hash = $2 WHERE id = $1`, id, hash)
	return changedOne(res, err, ErrNotFound)
}

// ReleaseEmail gives a deleted account the e-mail of a and a hash that no password
// fits, so that its old e-mail is free.
func (t *Tx) ReleaseEmail(ctx context.Context, a account.Account) error {
	res, err := t.tx.ExecContext(ctx, `UPDATE accounts SET email = $2, email_key = $3, password_hash = '' WHERE id = $1`,
		a.ID, a.Email, account.EmailKey(a.Email))
	return changedOne(res, err, ErrNotFound)
}

// ActiveAdmins counts the admins who may sign in.
func (t *Tx) ActiveAdmins(ctx context.Context) (n int, err error) {
	err = t.tx.QueryRowContext(ctx, `SELECT COUNT(*) FROM accounts WHERE role = 'ADMIN' AND active = TRUE`).Scan(&n)
	return n, unavailable(err)
}

// AccountFilter selects accounts, of those that are not deleted.
type AccountFilter struct {
	Role        account.Role // empty: any
	Unverified  bool         // only those that wait for verification
	OldestFirst bool         // else the newest is the first
	After       *ListCursor  // only what comes after this entry in the list
	Limit       int          // of entries
}

// Accounts lists accounts.
func (t *Tx) Accounts(ctx context.Context, f AccountFilter) (list []account.Account, err error) {
	var args arguments
	tail, order, behind := ``, `DESC`, ` < `
	if f.OldestFirst {
		order, behind = `ASC`, ` > `
	}
	if f.Role != "" {
		tail += ` AND role = ` + args.add(f.Role)
	}
	if f.Unverified {
		tail += ` AND verified = FALSE`
	}
	if f.After != nil {
		tail += ` AND (created_at, id)` + behind + args.place(*f.After)
	}
	tail += ` ORDER BY created_at ` + order + `, id ` + order + ` LIMIT ` + args.add(f.Limit)
	err = t.each(ctx, func(row scanner) error {
		a, err := scanAccount(row)
		list = append(list, a)
		return err
	}, `SELECT `+accountColumns+` FROM accounts WHERE deleted = FALSE`+tail, args...)
	return list, err
}

// AwardKarma adds one row to the ledger and returns the points, or 0 when the
// same donation, account and reason are rewarded already. A row that was taken back
// is given anew.
func (t *Tx) AwardKarma(ctx context.Context, donationID string, award account.Award, at time.Time) (int, error) {
	points := award.Reason.Points()
	res, err := t.tx.ExecContext(ctx, `INSERT INTO karma (donation_id, account_id, reason, points, at)
		VALUES ($1, $2, $3, $4, $5) ON CONFLICT (donation_id, account_id, reason)
		DO UPDATE SET points = excluded.points, at = excluded.at WHERE karma.points = 0`,
		donationID, award.AccountID, award.Reason, points, millis(at))
	if err != nil {
		return 0, unavailable(err)
	}
	n, err := res.RowsAffected()
	return int(n) * points, unavailable(err)
}

// TakeKarmaBack takes the karma that donations brought for the given reasons from
// whoever has it. Its rows stay in the ledger, without points.
func (t *Tx) TakeKarmaBack(ctx context.Context, reasons []account.Reason, donationIDs ...string) error {
	if len(reasons) == 0 || len(donationIDs) == 0 {
		return nil
	}
	var args []any
	marks := func(n int) string {
		var list strings.Builder
		for i := range n {
			fmt.Fprintf(&list, ", $%d", len(args)+i+1)
		}
		return "(" + list.String()[2:] + ")"
	}
	why := marks(len(reasons))
	for _, r := range reasons {
		args = append(args, r)
	}
	which := marks(len(donationIDs))
	for _, id := range donationIDs {
		args = append(args, id)
	}
	_, err := t.tx.ExecContext(ctx, `UPDATE karma SET points = 0
		WHERE reason IN `+why+` AND donation_id IN `+which+` AND points <> 0`, args...)
	return unavailable(err)
}

// Karma is the sum of an account's ledger.
func (t *Tx) Karma(ctx context.Context, accountID string) (points int, err error) {
	err = t.tx.QueryRowContext(ctx, `SELECT COALESCE(SUM(points), 0) FROM karma WHERE account_id = $1`, accountID).Scan(&points)
	return points, unavailable(err)
}

// KarmaUpTo is the karma of an account, or at least bound if it is more: it reads
// no more of the ledger than it takes to know.
func (t *Tx) KarmaUpTo(ctx context.Context, accountID string, bound int) (points int, err error) {
	err = t.tx.QueryRowContext(ctx, `SELECT COALESCE(SUM(points), 0) FROM (
		SELECT points FROM karma WHERE account_id = $1 AND points > 0 LIMIT $2) AS few`, accountID, bound/account.LeastPoints+1).Scan(&points)
	return points, unavailable(err)
}

// IntakeLoad is what an NGO has claimed since the day began and not given back:
// the sum over its open claims in the unit (empty: any). Units are compared here
// because no engine's LOWER and TRIM agree with account.SameUnit beyond ASCII.
func (t *Tx) IntakeLoad(ctx context.Context, accountID, unit string, dayStart time.Time) (load float64, err error) {
	rows, err := t.tx.QueryContext(ctx, `SELECT quantity, unit FROM donations
		WHERE claimed_by_id = $1 AND status IN ('CLAIMED', 'PICKED_UP') AND claimed_at >= $2`, accountID, millis(dayStart))
	if err != nil {
		return 0, unavailable(err)
	}
	defer rows.Close()
	for rows.Next() {
		var quantity float64
		var in string
		if err := rows.Scan(&quantity, &in); err != nil {
			return 0, unavailable(err)
		}
		if unit == "" || account.SameUnit(unit, in) {
			load += quantity
		}
	}
	return load, unavailable(rows.Err())
}

type result interface{ RowsAffected() (int64, error) }

// changedOne turns a statement that changed no row into none.
func changedOne(res result, err, none error) error {
	if err != nil {
		return unavailable(err)
	}
	switch n, err := res.RowsAffected(); {
	case err != nil:
		return unavailable(err)
	case n == 0:
		return none
	case n > 1:
		return fmt.Errorf("store: bug: %d rows changed where one was meant", n)
	}
	return nil
}
