package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"iter"
	"math"
	"strings"
	"time"

	"larder/internal/donation"
)

const donationColumns = `id, name, description, food_type, quantity, unit, hygiene, preparation_time, expiry_time,
	latitude, longitude, address, special_instructions, image_urls, status, donor_id, donor_name,
	claimed_by_id, claimed_at, estimated_pickup_time, assigned_volunteer_id, volunteer_id,
	picked_up_at, picked_up_by, delivered_at, delivered_by, cancel_reason, version, created_at, updated_at`

func scanDonation(row scanner) (donation.Donation, error) {
	var d donation.Donation
	var hygiene sql.NullString
	var images string
	var prepared, expires, created, updated int64
	var claimed, estimated, picked, delivered sql.NullInt64
	err := row.Scan(&d.ID, &d.Name, &d.Description, &d.FoodType, &d.Quantity, &d.Unit, &hygiene, &prepared, &expires,
		&d.Latitude, &d.Longitude, &d.Address, &d.SpecialInstructions, &images, &d.Status, &d.DonorID, &d.DonorName,
		&d.ClaimedByID, &claimed, &estimated, &d.AssignedVolunteerID, &d.VolunteerID,
		&picked, &d.PickedUpBy, &delivered, &d.DeliveredBy, &d.CancelReason, &d.Version, &created, &updated)
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
	return d, nil
}

// Donation returns the donation of that id, or ErrNotFound.
func (t *Tx) Donation(ctx context.Context, id string) (donation.Donation, error) {
	return scanDonation(t.tx.QueryRowContext(ctx, `SELECT `+donationColumns+` FROM donations WHERE id = $1`, id))
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
		$21, $22, $23, $24, $25, $26, $27, $28, $29, $30)`,
		d.ID, d.Name, d.Description, d.FoodType, d.Quantity, d.Unit, hygiene,
		millis(d.PreparationTime), millis(d.ExpiryTime), d.Latitude, d.Longitude, d.Address,
		d.SpecialInstructions, string(imageText), d.Status, d.DonorID, d.DonorName,
		d.ClaimedByID, nullMillis(d.ClaimedAt), nullMillis(d.EstimatedPickupTime), d.AssignedVolunteerID, d.VolunteerID,
		nullMillis(d.PickedUpAt), d.PickedUpBy, nullMillis(d.DeliveredAt), d.DeliveredBy, d.CancelReason,
		d.Version, millis(d.CreatedAt), millis(d.UpdatedAt))
	return unavailable(err)
}

// UpdateDonation writes what a command can change, if the stored version is the
// one before d's; otherwise ErrConflict.
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
	MinLat   float64           // with MaxLat: a band of latitude, a coarse cut for a circle
	MaxLat   float64           // both 0: everywhere
	Before   *ListCursor       // only what comes after this entry in the list
}

// ListCursor is the place of an entry in the list of donations, newest first.
type ListCursor struct {
	CreatedAt time.Time
	ID        string
}

// Donations yields the selected donations, newest first. Whoever reads them
// decides when it has enough.
func (t *Tx) Donations(ctx context.Context, f DonationFilter) iter.Seq2[donation.Donation, error] {
	where, args := []string{"1 = 1"}, []any{}
	arg := func(v any) string {
		args = append(args, v)
		return fmt.Sprintf("$%d", len(args))
	}
	if len(f.Statuses) > 0 {
		var marks []string
		for _, s := range f.Statuses {
			marks = append(marks, arg(string(s)))
		}
		where = append(where, "status IN ("+strings.Join(marks, ", ")+")")
	}
	if f.MinLat != 0 || f.MaxLat != 0 {
		where = append(where, "latitude BETWEEN "+arg(math.Max(f.MinLat, -90))+" AND "+arg(math.Min(f.MaxLat, 90)))
	}
	if f.Before != nil {
		at, id := arg(millis(f.Before.CreatedAt)), arg(f.Before.ID)
		where = append(where, "(created_at < "+at+" OR (created_at = "+at+" AND id < "+id+"))")
	}
	return t.donations(ctx, `WHERE `+strings.Join(where, " AND ")+` ORDER BY created_at DESC, id DESC`, args...)
}

// Due yields up to limit donations whose time was over at now and which nobody
// has picked up, the longest overdue first.
func (t *Tx) Due(ctx context.Context, now time.Time, limit int) iter.Seq2[donation.Donation, error] {
	return t.donations(ctx, `WHERE status IN ('AVAILABLE', 'CLAIMED') AND expiry_time <= $1
		ORDER BY expiry_time, id LIMIT $2`, millis(now), limit)
}

// NextExpiry is the earliest time at which a donation becomes due, or
// ErrNotFound when none will.
func (t *Tx) NextExpiry(ctx context.Context) (time.Time, error) {
	var at sql.NullInt64
	err := t.tx.QueryRowContext(ctx, `SELECT MIN(expiry_time) FROM donations WHERE status IN ('AVAILABLE', 'CLAIMED')`).Scan(&at)
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
