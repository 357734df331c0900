package query

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"larder/api"
	"larder/internal/account"
	"larder/internal/donation"
	"larder/internal/eventlog"
	"larder/internal/geo"
	"larder/internal/public"
	"larder/internal/store"
)

// Bounds of a list of donations.
const (
	MaxList       = 1000 // entries without a limit asked for; the rest by cursor
	DefaultRadius = 5.0  // km
)

// ErrNotParty is somebody else's history.
var ErrNotParty = errors.New("only a party of the donation may see its history")

// ErrCursor is a cursor that no list has given out.
var ErrCursor = errors.New("not a cursor of this list")

// Service answers questions about a store.
type Service struct {
	store *store.Store
	place *time.Location

	community kept[struct{}, api.CommunityStats]
	leaders   kept[ranking, []api.Leader]
}

// NewService returns a Service. place is where the day of the daily capacity
// begins.
func NewService(st *store.Store, place *time.Location) *Service {
	return &Service{store: st, place: place}
}

// ListFilter selects donations for a list.
type ListFilter struct {
	Statuses []donation.Status
	Near     *geo.Area // nil: everywhere
	Limit    int       // 0: MaxList
	After    string    // cursor of the page before, empty for the first
}

// Donations lists donations, newest first, and the cursor of the next page, empty
// when there is none. A cursor that is none is ErrCursor.
func (s *Service) Donations(ctx context.Context, f ListFilter) (list []api.Donation, next string, err error) {
	err = s.store.View(ctx, func(tx *store.Tx) error {
		list, next, err = donations(ctx, tx, f)
		return err
	})
	return list, next, err
}

func donations(ctx context.Context, tx *store.Tx, f ListFilter) (list []api.Donation, next string, err error) {
	limit := f.Limit
	if limit <= 0 || limit > MaxList {
		limit = MaxList
	}
	sf := store.DonationFilter{Statuses: f.Statuses, Expect: limit + 1}
	if f.After != "" {
		c, err := parseCursor(f.After)
		if err != nil {
			return nil, "", err
		}
		sf.Before = &c
	}
	if f.Near != nil {
		sf.Boxes = f.Near.Boxes()
	}
	now := time.Now()
	var found []donation.Donation
	var distances []*float64
	for d, err := range tx.Donations(ctx, sf) {
		if err != nil {
			return nil, "", err
		}
		// Overdue and not yet written down: not what was asked for any more.
		if d.Status = d.StatusAt(now); len(f.Statuses) > 0 && !slices.Contains(f.Statuses, d.Status) {
			continue
		}
		var distance *float64
		if f.Near != nil {
			km := geo.Distance(f.Near.Lat, f.Near.Lng, d.Latitude, d.Longitude)
			if km > f.Near.RadiusKm {
				continue
			}
			distance = &km
		}
		if len(found) == limit {
			last := found[limit-1]
			next = cursor(last.CreatedAt, last.ID)
			break
		}
		found, distances = append(found, d), append(distances, distance)
	}
	list, err = scored(ctx, tx, found)
	for i := range list {
		list[i].Distance = distances[i]
	}
	return list, next, err
}

// scored are donations in their public form, with the scores of their donors.
func scored(ctx context.Context, tx *store.Tx, found []donation.Donation) ([]api.Donation, error) {
	if err := tx.ScoreDonors(ctx, found); err != nil {
		return nil, err
	}
	list := make([]api.Donation, 0, len(found))
	for _, d := range found {
		list = append(list, public.Donation(d))
	}
	return list, nil
}

// cursor is the opaque form of a place in a list.
func cursor(createdAt time.Time, id string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(strconv.FormatInt(createdAt.UnixMilli(), 36) + "." + id))
}

func parseCursor(s string) (store.ListCursor, error) {
	b, err := base64.RawURLEncoding.DecodeString(s)
	at, id, ok := strings.Cut(string(b), ".")
	ms, err2 := strconv.ParseInt(at, 36, 64)
	if err != nil || err2 != nil || !ok || id == "" {
		return store.ListCursor{}, fmt.Errorf("%.20q: %w", s, ErrCursor)
	}
	return store.ListCursor{CreatedAt: time.UnixMilli(ms).UTC(), ID: id}, nil
}

// Donation returns one donation, or store.ErrNotFound.
func (s *Service) Donation(ctx context.Context, id string) (d donation.Donation, err error) {
	err = s.store.View(ctx, func(tx *store.Tx) error {
		d, err = tx.Donation(ctx, id)
		return err
	})
	// The clock's second may have come without its command: nobody should try to
	// claim what is about to be gone.
	d.Status = d.StatusAt(time.Now())
	return d, err
}

// History returns the records about a donation, oldest first, for its parties
// and admins; for others it is ErrNotParty.
func (s *Service) History(ctx context.Context, viewer account.Account, id string) (recs []eventlog.Record, err error) {
	err = s.store.View(ctx, func(tx *store.Tx) error {
		d, err := tx.Donation(ctx, id)
		if err != nil {
			return err
		}
		recs, err = tx.History(ctx, id)
		if err != nil || viewer.Role == account.Admin || d.Party(viewer.ID) {
			return err
		}
		return ErrNotParty
	})
	return recs, err
}
