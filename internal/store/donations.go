package store

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"larder/internal/donation"
	"larder/internal/geo"
	"larder/internal/voice"
)

const donationColumns = `id, name, description, food_type, quantity, unit, hygiene, preparation_time, expiry_time,
	latitude, longitude, address, special_instructions, image_urls, status, donor_id, donor_name,
	claimed_by_id, claimed_at, estimated_pickup_time, assigned_volunteer_id, volunteer_id,
	picked_up_at, picked_up_by, delivered_at, delivered_by, cancel_reason, version, created_at, updated_at, near_expiry_at`

func scanDonation(row scanner, extra ...any) (donation.Donation, error) {
	var d donation.Donation
	var hygiene sql.NullString
	var images string
	var prepared, expires, created, updated int64
	var claimed, estimated, picked, delivered, near sql.NullInt64
	err := row.Scan(append([]any{
		&d.ID, &d.Name, &d.Description, &d.FoodType, &d.Quantity, &d.Unit, &hygiene, &prepared, &expires,
		&d.Latitude, &d.Longitude, &d.Address, &d.SpecialInstructions, &images, &d.Status, &d.DonorID, &d.DonorName,
		&d.ClaimedByID, &claimed, &estimated, &d.AssignedVolunteerID, &d.VolunteerID,
		&picked, &d.PickedUpBy, &delivered, &d.DeliveredBy, &d.CancelReason, &d.Version, &created, &updated, &near,
	}, extra...)...)
	if err != nil {
		return d, unavailable(err)
	}
	if hygiene.Valid {
		d.Hygiene = json.RawMessage(hygiene.String)
	}
	if err := json.Unmarshal([]byte(images), &d.ImageURLs); err != nil {
		return d, fmt.Errorf("store: image addresses of donation %s: %w", d.ID, err)
	}
	d.PreparationTime, d.ExpiryTime = fromMillis(prepared), fromMillis(expires)
	d.CreatedAt, d.UpdatedAt = fromMillis(created), fromMillis(updated)
	d.ClaimedAt, d.EstimatedPickupTime = fromNullMillis(claimed), fromNullMillis(estimated)
	d.PickedUpAt, d.DeliveredAt = fromNullMillis(picked), fromNullMillis(delivered)
	d.NearExpiryAt = fromNullMillis(near)
	return d, nil
}

// Donation returns the donation of that id, with its donor's trust score, or
// ErrNotFound. Lists come without the scores: see ScoreDonors.
func (t *Tx) Donation(ctx context.Context, id string) (donation.Donation, error) {
	var r voice.Ratings
	d, err := scanDonation(t.tx.QueryRowContext(ctx, `SELECT `+donationColumns+`,
		(SELECT COALESCE(SUM(rating), 0) FROM feedback f WHERE f.donor_id = donations.donor_id),
		(SELECT COUNT(*) FROM feedback f WHERE f.donor_id = donations.donor_id)
		FROM donations WHERE id = $1`, id), &r.Sum, &r.Count)
	d.DonorTrustScore = r.Score()
	return d, err
}

// InsertDonation adds a donation.
func (t *Tx) InsertDonation(ctx context.Context, d donation.Donation) error {
	images := d.ImageURLs
	if images == nil {
		images = []string{}
	}
	imageText, err := json.Marshal(images)
	if err != nil {
		return fmt.Errorf("store: image addresses: %w", err)
	}
	hygiene := sql.NullString{String: string(d.Hygiene), Valid: d.Hygiene != nil}
	_, err = t.tx.ExecContext(ctx, `INSERT INTO donations (`+donationColumns+`)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20,
		$21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31)`,
		d.ID, d.Name, d.Description, d.FoodType, d.Quantity, d.Unit, hygiene,
		millis(d.PreparationTime), millis(d.ExpiryTime), d.Latitude, d.Longitude, d.Address,
		d.SpecialInstructions, string(imageText), d.Status, d.DonorID, d.DonorName,
		d.ClaimedByID, nullMillis(d.ClaimedAt), nullMillis(d.EstimatedPickupTime), d.AssignedVolunteerID, d.VolunteerID,
		nullMillis(d.PickedUpAt), d.PickedUpBy, nullMillis(d.DeliveredAt), d.DeliveredBy, d.CancelReason,
		d.Version, millis(d.CreatedAt), millis(d.UpdatedAt), nullMillis(d.NearExpiryAt))
	return unavailable(err)
}

// UpdateDonation writes what a command can change, if the stored version is the
// one before d's; otherwise ErrConflict. Transactions that write never overlap, so
// a conflict is a mistake of the caller, who decided on what was read in another
// transaction: to try again would hide it.
func (t *Tx) UpdateDonation(ctx context.Context, d donation.Donation) error {
	res, err := t.tx.ExecContext(ctx, `UPDATE donations SET
		status = $3, claimed_by_id = $4, claimed_at = $5, estimated_pickup_time = $6, assigned_volunteer_id = $7,
		volunteer_id = $8, picked_up_at = $9, picked_up_by = $10, delivered_at = $11, delivered_by = $12,
		cancel_reason = $13, version = $2, updated_at = $14
		WHERE id = $1 AND version = $2 - 1`,
		d.ID, d.Version, d.Status, d.ClaimedByID, nullMillis(d.ClaimedAt), nullMillis(d.EstimatedPickupTime),
		d.AssignedVolunteerID, d.VolunteerID, nullMillis(d.PickedUpAt), d.PickedUpBy,
		nullMillis(d.DeliveredAt), d.DeliveredBy, d.CancelReason, millis(d.UpdatedAt))
	return changedOne(res, err, ErrConflict)
}

// DonationFilter selects donations. Its zero value selects all.
type DonationFilter struct {
	Statuses []donation.Status // empty: any
	Boxes    []geo.Box         // a coarse cut for a circle; none: everywhere
	Before   *ListCursor       // only what comes after this entry in the list
	Expect   int               // how many the reader will want, no bound; 0: 1,000
}

// Donations yields the selected donations, newest first. Whoever reads them
// decides when it has enough: about as many rows of each status are read as it
// expects, and more when it goes on.
func (t *Tx) Donations(ctx context.Context, f DonationFilter) iter.Seq2[donation.Donation, error] {
	const most = 1000 // rows at once
	return func(yield func(donation.Donation, error) bool) {
		// In parts, because PostgreSQL sends all that a statement selects, however
		// little of it is read, and plans for that.
		for size := cmp.Or(f.Expect, most); ; size = min(2*size, most) {
			n := 0
			for d, err := range t.newest(ctx, f, size) {
				if !yield(d, err) || err != nil {
					return
				}
				f.Before = &ListCursor{d.CreatedAt, d.ID}
				n++
			}
			if n < size {
				return
			}
		}
	}
}

// newest yields the newest of the selected donations, up to limit. Of each status it
// walks along an index in the order of the list; with all statuses in one condition
// both engines read and sort all that have one of them. A walk has a limit of its own
// because PostgreSQL would not take the index without.
func (t *Tx) newest(ctx context.Context, f DonationFilter, limit int) iter.Seq2[donation.Donation, error] {
	var args arguments
	where := f.where(&args)
	order := ` ORDER BY created_at DESC, id DESC LIMIT ` + args.add(limit)
	if len(f.Statuses) == 0 {
		return t.donations(ctx, `WHERE 1 = 1`+where+order, args...)
	}
	var walks []string
	for _, s := range slices.Compact(slices.Sorted(slices.Values(f.Statuses))) {
		walks = append(walks, fmt.Sprintf(`SELECT * FROM (SELECT created_at, id FROM donations
			WHERE status = %s%s%s) AS walk_%d`, args.add(s), where, order, len(walks)))
	}
	return t.donations(ctx, `WHERE id IN (SELECT id FROM (`+strings.Join(walks, ` UNION ALL `)+order+`) AS merged)`+order, args...)
}

// where is all but the status.
func (f DonationFilter) where(args *arguments) (text string) {
	var boxes []string
	for _, b := range f.Boxes {
		boxes = append(boxes, `(latitude BETWEEN `+args.add(b.MinLat)+` AND `+args.add(b.MaxLat)+
			` AND longitude BETWEEN `+args.add(b.MinLng)+` AND `+args.add(b.MaxLng)+`)`)
	}
	if len(boxes) > 0 {
		text = ` AND (` + strings.Join(boxes, ` OR `) + `)`
	}
	if f.Before != nil {
		text += ` AND (created_at, id) < ` + args.place(*f.Before)
	}
	return text
}

// Due yields up to limit donations whose time was over at now and which nobody
// has picked up, the longest overdue first.
func (t *Tx) Due(ctx context.Context, now time.Time, limit int) iter.Seq2[donation.Donation, error] {
	return t.donations(ctx, `WHERE id IN (`+firstOpen(`expiry_time <= $1`, `$2`)+`)
		ORDER BY expiry_time, id LIMIT $2`, millis(now), limit)
}

// firstOpen selects the ids of donations that are open and match where: of each
// status up to limit, those that expire first. Each is a walk along an index; with
// both statuses in one condition SQLite reads all that are open, or all there are.
func firstOpen(where, limit string) string {
	var walks []string
	for _, status := range []string{"AVAILABLE", "CLAIMED"} {
		walks = append(walks, `SELECT id FROM (SELECT id FROM donations
			WHERE status = '`+status+`' AND status IN ('AVAILABLE', 'CLAIMED') AND `+where+`
			ORDER BY expiry_time, id LIMIT `+limit+`) AS first_`+status)
	}
	return strings.Join(walks, " UNION ALL ")
}

// Listed counts what an account has listed and nobody has claimed, up to limit.
func (t *Tx) Listed(ctx context.Context, donorID string, limit int) (n int, err error) {
	err = t.tx.QueryRowContext(ctx, `SELECT COUNT(*) FROM (SELECT 1 FROM donations WHERE donor_id = $1 AND status = 'AVAILABLE' LIMIT $2) AS few`,
		donorID, limit).Scan(&n)
	return n, unavailable(err)
}

// NextExpiry is the earliest time at which a donation becomes due, or
// ErrNotFound when none will.
func (t *Tx) NextExpiry(ctx context.Context) (time.Time, error) {
	return t.earliest(ctx, firstOpen(`1 = 1`, `1`))
}

// earliest is the first expiry among the selected donations, or ErrNotFound.
func (t *Tx) earliest(ctx context.Context, ids string, args ...any) (time.Time, error) {
	var at sql.NullInt64
	err := t.tx.QueryRowContext(ctx, `SELECT MIN(expiry_time) FROM donations WHERE id IN (`+ids+`)`, args...).Scan(&at)
	if err == nil && !at.Valid {
		return time.Time{}, ErrNotFound
	}
	return fromMillis(at.Int64), unavailable(err)
}

// OpenOf yields what an account has open: what it still offers and what it has
// claimed and nobody has picked up.
func (t *Tx) OpenOf(ctx context.Context, accountID string) iter.Seq2[donation.Donation, error] {
	return t.donations(ctx, `WHERE (donor_id = $1 AND status = 'AVAILABLE') OR (claimed_by_id = $1 AND status = 'CLAIMED')
		ORDER BY id`, accountID)
}

func (t *Tx) donations(ctx context.Context, tail string, args ...any) iter.Seq2[donation.Donation, error] {
	return func(yield func(donation.Donation, error) bool) {
		rows, err := t.tx.QueryContext(ctx, `SELECT `+donationColumns+` FROM donations `+tail, args...)
		if err != nil {
			yield(donation.Donation{}, unavailable(err))
			return
		}
		defer rows.Close()
		for rows.Next() {
			d, err := scanDonation(rows)
			if !yield(d, err) || err != nil {
				return
			}
		}
		if err := rows.Err(); err != nil {
			yield(donation.Donation{}, unavailable(err))
		}
	}
}

// NearExpiry yields up to limit donations that are open, have not expired at now,
// expire within lead, were listed with more than that left, and have not been
// announced: those that expire first, first.
func (t *Tx) NearExpiry(ctx context.Context, now time.Time, lead time.Duration, limit int) iter.Seq2[donation.Donation, error] {
	return t.donations(ctx, `WHERE id IN (`+firstOpen(unannounced+` AND expiry_time <= $3`, `$4`)+`)
		ORDER BY expiry_time, id LIMIT $4`, millis(now), lead.Milliseconds(), millis(now.Add(lead)), limit)
}

// unannounced selects donations that have not expired at $1, are to be announced $2
// milliseconds before they do, and have not been.
const unannounced = `near_expiry_at IS NULL AND expiry_time > $1 AND expiry_time - created_at > $2`

// NextNearExpiry is the earliest time at which NearExpiry will have something, or
// ErrNotFound when it never will.
func (t *Tx) NextNearExpiry(ctx context.Context, now time.Time, lead time.Duration) (time.Time, error) {
	expires, err := t.earliest(ctx, firstOpen(unannounced, `1`), millis(now), lead.Milliseconds())
	return expires.Add(-lead), err
}

// MarkNearExpiry writes down that it was announced at the given time that
// donations expire soon, if each is stored in its version and nobody did it
// before; otherwise ErrConflict.
func (t *Tx) MarkNearExpiry(ctx context.Context, at time.Time, list []donation.Donation) error {
	return t.updateAll(ctx, `near_expiry_at = $2`, ` AND near_expiry_at IS NULL`, at, list, 0)
}

// SaveExpired writes down what expiry changes at the given time, if the stored
// version of each donation is the one before; otherwise ErrConflict. It does the
// work of UpdateDonation for many at once.
func (t *Tx) SaveExpired(ctx context.Context, at time.Time, list []donation.Donation) error {
	return t.updateAll(ctx, `status = 'EXPIRED', version = version + 1, updated_at = $2`, ``, at, list, 1)
}

// updateAll makes one change to many donations with a statement for each version
// that occurs, of which there are few. The stored versions have to be those of
// list less behind. In set $1 is the stored version and $2 the time.
func (t *Tx) updateAll(ctx context.Context, set, where string, at time.Time, list []donation.Donation, behind int64) error {
	ids := map[int64][]any{}
	for _, d := range list {
		ids[d.Version-behind] = append(ids[d.Version-behind], d.ID)
	}
	// In one order everywhere, so that two nodes do not wait for each other's rows.
	for _, version := range slices.Sorted(maps.Keys(ids)) {
		var marks strings.Builder
		for i := range ids[version] {
			fmt.Fprintf(&marks, ", $%d", i+3)
		}
		res, err := t.tx.ExecContext(ctx, `UPDATE donations SET `+set+` WHERE version = $1`+where+` AND id IN (`+marks.String()[2:]+`)`,
			append([]any{version, millis(at)}, ids[version]...)...)
		if err != nil {
			return unavailable(err)
		}
		if n, err := res.RowsAffected(); err != nil || n != int64(len(ids[version])) {
			return cmp.Or(unavailable(err), ErrConflict)
		}
	}
	return nil
}
