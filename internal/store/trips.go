package store

import (
	"context"
	"iter"

	"larder/internal/donation"
	"larder/internal/geo"
)

const (
	// candidate selects who may be proposed for a trip.
	candidate = `role = 'VOLUNTEER' AND available = TRUE AND active = TRUE AND deleted = FALSE`
	// trips counts those of a candidate v.
	trips = `(SELECT COUNT(*) FROM donations WHERE status = 'CLAIMED' AND assigned_volunteer_id = v.id) +
		(SELECT COUNT(*) FROM donations WHERE status = 'PICKED_UP' AND picked_up_by = v.id)`
)

// VolunteersNear returns volunteers who may be proposed for a trip in an area, in no
// order: available, active, and with a known place. They are all there are, or limit
// of them; some may be a little outside the area.
func (t *Tx) VolunteersNear(ctx context.Context, area geo.Area, limit int) ([]donation.Candidate, error) {
	// Always two boxes, so that the statement is the same for all areas: to plan it
	// anew takes longer than to run it. They lie between the same parallels.
	boxes := area.Boxes()
	west, east := boxes[0], boxes[len(boxes)-1]
	rows, err := t.tx.QueryContext(ctx, `
		SELECT v.id, v.latitude, v.longitude, `+trips+`
		FROM accounts v
		WHERE `+candidate+` AND latitude IS NOT NULL AND longitude IS NOT NULL AND latitude BETWEEN $1 AND $2
			AND (longitude BETWEEN $3 AND $4 OR longitude BETWEEN $5 AND $6)
		LIMIT $7`, west.MinLat, west.MaxLat, west.MinLng, west.MaxLng, east.MinLng, east.MaxLng, limit)
	if err != nil {
		return nil, unavailable(err)
	}
	defer rows.Close()
	var list []donation.Candidate
	for rows.Next() {
		var c donation.Candidate
		if err := rows.Scan(&c.ID, &c.Lat, &c.Lng, &c.Trips); err != nil {
			return nil, unavailable(err)
		}
		list = append(list, c)
	}
	return list, unavailable(rows.Err())
}

// UnplacedVolunteers returns volunteers who may be proposed for a trip and whose place
// is unknown, in no order: all there are, or limit of them.
func (t *Tx) UnplacedVolunteers(ctx context.Context, limit int) (list []donation.Candidate, err error) {
	return list, t.each(ctx, func(row scanner) error {
		c := donation.Candidate{Unplaced: true}
		err := row.Scan(&c.ID, &c.Trips)
		list = append(list, c)
		return err
	}, `SELECT v.id, `+trips+` FROM accounts v WHERE `+candidate+` AND latitude IS NULL LIMIT $1`, limit)
}

// Trips yields up to limit donations that are on their way and concern an account,
// newest first: claimed or picked up, where it is the claimer or carries; and
// claimed, where it is the proposed volunteer. before is nil for the first page.
func (t *Tx) Trips(ctx context.Context, accountID string, before *ListCursor, limit int) iter.Seq2[donation.Donation, error] {
	args := arguments{accountID}
	tail := `WHERE id IN (
			SELECT id FROM donations WHERE claimed_by_id = $1 AND status IN ('CLAIMED', 'PICKED_UP')
			UNION SELECT id FROM donations WHERE assigned_volunteer_id = $1 AND status = 'CLAIMED'
			UNION SELECT id FROM donations WHERE picked_up_by = $1 AND status = 'PICKED_UP')`
	if before != nil {
		tail += ` AND (created_at, id) < ` + args.place(*before)
	}
	tail += ` ORDER BY created_at DESC, id DESC LIMIT ` + args.add(limit)
	return t.donations(ctx, tail, args...)
}
