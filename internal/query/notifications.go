package query

import (
	"context"
	"encoding/base64"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"time"

	"larder/api"
	"larder/internal/account"
	"larder/internal/donation"
	"larder/internal/public"
	"larder/internal/store"
)

// MaxNotifications bounds a list of notifications; the rest comes by cursor.
const MaxNotifications = 100

// Notifications lists what an account was told, newest first, and the cursor of the
// next page, empty when there is none. A limit of 0 means MaxNotifications. A cursor
// that is none is ErrCursor.
func (s *Service) Notifications(ctx context.Context, reader account.Account, p Paging) (list []api.Notification, next string, err error) {
	limit := p.Limit
	if limit <= 0 || limit > MaxNotifications {
		limit = MaxNotifications
	}
	var before *store.NotificationCursor
	if p.After != "" {
		c, err := parseNotificationCursor(p.After)
		if err != nil {
			return nil, "", err
		}
		before = &c
	}
	err = s.store.View(ctx, func(tx *store.Tx) error {
		list, next = []api.Notification{}, ""
		found, err := tx.Notifications(ctx, reader, before, limit+1)
		if err != nil {
			return err
		}
		if len(found) > limit {
			found = found[:limit]
			last := found[limit-1]
			next = notificationCursor(store.NotificationCursor{CreatedAt: last.CreatedAt, Seq: last.Seq})
		}
		for _, n := range found {
			list = append(list, public.Notification(n, reader.ID))
		}
		return nil
	})
	return list, next, err
}

// notificationCursor is the opaque form of a place in the list.
func notificationCursor(c store.NotificationCursor) string {
	return base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "notice.%d.%d", c.CreatedAt.UnixMilli(), c.Seq))
}

func parseNotificationCursor(s string) (store.NotificationCursor, error) {
	b, err := base64.RawURLEncoding.DecodeString(s)
	rest, ours := strings.CutPrefix(string(b), "notice.")
	at, number, _ := strings.Cut(rest, ".")
	ms, err2 := strconv.ParseInt(at, 10, 64)
	seq, err3 := strconv.ParseInt(number, 10, 64)
	if err != nil || err2 != nil || err3 != nil || !ours {
		return store.NotificationCursor{}, fmt.Errorf("%.20q: %w", s, ErrCursor)
	}
	return store.NotificationCursor{CreatedAt: time.UnixMilli(ms).UTC(), Seq: seq}, nil
}

// Trips lists the donations on their way that concern an account, newest first, and
// the cursor of the next page, empty when there is none: those that it has claimed or
// carries, and those that are proposed to it as long as nobody carries them.
func (s *Service) Trips(ctx context.Context, accountID string, p Paging) (list []api.Trip, next string, err error) {
	now := time.Now()
	err = s.store.View(ctx, func(tx *store.Tx) error {
		place := func(d donation.Donation) string { return cursor(d.CreatedAt, d.ID) }
		running, cursor, err := page(p, MaxList, parseCursor, place, func(before *store.ListCursor, limit int) ([]donation.Donation, error) {
			return all(tx.Trips(ctx, accountID, before, limit))
		})
		if err != nil {
			return err
		}
		next = cursor
		var donorIDs []string
		shown := running[:0]
		for _, d := range running {
			if d.Status = d.StatusAt(now); d.Status == donation.Expired { // and not yet written down
				continue
			}
			shown, donorIDs = append(shown, d), append(donorIDs, d.DonorID)
		}
		trips, err := scored(ctx, tx, shown)
		if err != nil {
			return err
		}
		donors, err := tx.AccountsByID(ctx, donorIDs...)
		list = make([]api.Trip, 0, len(trips))
		for _, d := range trips {
			list = append(list, api.Trip{Donation: d, Donor: public.TripDonor(donors[d.DonorID])})
		}
		return err
	})
	return list, next, err
}

// all is a list whose entries come one by one.
func all[T any](entries iter.Seq2[T, error]) (list []T, err error) {
	for e, err := range entries {
		if err != nil {
			return nil, err
		}
		list = append(list, e)
	}
	return list, nil
}
