package command

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/google/uuid"

	"larder/api"
	"larder/internal/account"
	"larder/internal/donation"
	"larder/internal/eventlog"
	"larder/internal/geo"
	"larder/internal/notice"
	"larder/internal/public"
	"larder/internal/store"
)

// NotificationLife is how long a notification can be read.
const NotificationLife = 90 * 24 * time.Hour

// proposal is to whom the trip with d is proposed; empty: there is nobody.
func proposal(ctx context.Context, tx *store.Tx, d donation.Donation) (string, error) {
	id, _, err := d.ProposeAmong(func(radiusKm float64, limit int) ([]donation.Candidate, error) {
		return tx.VolunteersNear(ctx, geo.Area{Lat: d.Latitude, Lng: d.Longitude, RadiusKm: radiusKm}, limit)
	}, func(limit int) ([]donation.Candidate, error) { return tx.UnplacedVolunteers(ctx, limit) })
	return id, err
}

// assigned is the record of a proposal that a claim made, if it made one.
func assigned(e donation.Event) (drafts []eventlog.Draft, err error) {
	d := e.After
	if e.Type != donation.EventClaimed || d.AssignedVolunteerID == "" {
		return nil, nil
	}
	id, err := uuid.NewV7()
	if err != nil {
		return nil, fmt.Errorf("proposal id: %w", err)
	}
	place := strconv.FormatFloat(d.Latitude, 'f', 5, 64) + ", " + strconv.FormatFloat(d.Longitude, 'f', 5, 64)
	body, err := json.Marshal(api.VolunteerAssigned{
		VolunteerID: d.AssignedVolunteerID, DonationID: d.ID, DonationName: d.Name, DonorAddress: cmp.Or(d.Address, place),
		NGOName: e.ByName, ID: id.String(), CreatedAt: api.At(e.At),
	})
	if err != nil {
		return nil, fmt.Errorf("payload of %s: %w", api.EventVolunteerAssigned, err)
	}
	return []eventlog.Draft{{
		Type: api.EventVolunteerAssigned, Subject: d.ID, Payload: body, At: e.At,
		Audience: eventlog.Audience{Users: []string{d.AssignedVolunteerID, d.ClaimedByID, d.DonorID}},
	}}, nil
}

// notify stores notifications and returns their records, in the same order.
func notify(ctx context.Context, tx *store.Tx, at time.Time, list []notice.Notice) ([]eventlog.Draft, error) {
	rows := make([]notice.Notification, 0, len(list))
	drafts := make([]eventlog.Draft, 0, len(list))
	for _, n := range list {
		id, err := uuid.NewV7()
		if err != nil {
			return nil, fmt.Errorf("notification id: %w", err)
		}
		row := notice.Notification{ID: id.String(), Notice: n, CreatedAt: at}
		body, err := json.Marshal(public.Notification(row, n.To))
		if err != nil {
			return nil, fmt.Errorf("payload of %s: %w", api.EventNotification, err)
		}
		var who eventlog.Audience
		if n.To != "" {
			who.Users = []string{n.To}
		}
		for _, r := range n.Roles {
			who.Roles = append(who.Roles, string(r))
		}
		rows = append(rows, row)
		drafts = append(drafts, eventlog.Draft{Type: api.EventNotification, Subject: row.ID, Audience: who, Payload: body, At: at})
	}
	return drafts, tx.InsertNotifications(ctx, rows...)
}

// badges are what an account is told of an award that it got for a donation.
func badges(ctx context.Context, tx *store.Tx, accountID, donationID string, points int) ([]notice.Notice, error) {
	if points == 0 {
		return nil, nil
	}
	// With so many points there was no badge left before the award.
	bound := account.MostBadgePoints + points
	sum, err := tx.KarmaUpTo(ctx, accountID, bound)
	if err != nil || sum >= bound {
		return nil, err
	}
	var list []notice.Notice
	for _, n := range notice.Badges(accountID, donationID, sum-points, sum) {
		// Karma may fall and rise again: that earns no badge anew.
		told, err := tx.HasNotification(ctx, accountID, n.Type, n.Title)
		if err != nil {
			return nil, err
		}
		if !told {
			list = append(list, n)
		}
	}
	return list, nil
}

// ReadNotification marks a notification as read by the caller. One that is not
// his is store.ErrNotFound, as one that does not exist.
func (s *Service) ReadNotification(ctx context.Context, by By, id string) error {
	_, _, err := execute(ctx, s, by, "read notification", id, func(tx *store.Tx) (done struct{}, err error) {
		a, err := actor(ctx, tx, by.AccountID)
		if err != nil {
			return done, err
		}
		return done, tx.ReadNotification(ctx, a, id)
	})
	return err
}

// ReadAllNotifications marks all notifications that there are as read by the caller.
func (s *Service) ReadAllNotifications(ctx context.Context, by By) error {
	_, _, err := execute(ctx, s, by, "read all notifications", nil, func(tx *store.Tx) (done struct{}, err error) {
		a, err := actor(ctx, tx, by.AccountID)
		if err != nil {
			return done, err
		}
		return done, tx.ReadAllNotifications(ctx, a.ID)
	})
	return err
}
