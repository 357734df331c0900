package query

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"larder/api"
	"larder/internal/account"
	"larder/internal/donation"
	"larder/internal/eventlog"
	"larder/internal/geo"
	"larder/internal/public"
	"larder/internal/store"
)

// DefaultRadius is that of a list of donations near a place, in km.
const DefaultRadius = 5.0

// ErrNotParty is somebody else's history.
var ErrNotParty = errors.New("only a party of the donation may see its history")

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
	Statuses []donation.Status // empty: any
	Near     *geo.Area         // nil: everywhere
	Limit    int               // of a page; 0: MaxList
	After    string            // cursor of the page before, empty for the first
}

// Donations lists donations in pages, newest first, and returns the cursor of the
// next page, empty when there is none. A cursor that is none is ErrCursor.
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
	var found []listed
	for l, err := range f.shown(ctx, tx, sf) {
		if err != nil {
			return nil, "", err
		}
		if len(found) == limit {
			last := found[limit-1]
			next = cursor(last.CreatedAt, last.ID)
			break
		}
		found = append(found, l)
	}
	list, err = entries(ctx, tx, found)
	return list, next, err
}

// Newest lists donations for whoever asks for no page, whose Limit and After are of
// no meaning here. It has the newest MaxList of each status, newest first, so that
// what is over never pushes out what is open. cut says that this is not all: the
// whole comes in pages, with Donations.
func (s *Service) Newest(ctx context.Context, f ListFilter) (list []api.Donation, cut bool, err error) {
	statuses := f.Statuses
	if len(statuses) == 0 {
		statuses = donation.Statuses()
	}
	err = s.store.View(ctx, func(tx *store.Tx) error {
		var found []listed
		for _, status := range slices.Compact(slices.Sorted(slices.Values(statuses))) {
			n := 0
			for l, err := range f.shown(ctx, tx, store.DonationFilter{Statuses: []donation.Status{status}, Expect: MaxList + 1}) {
				if err != nil {
					return err
				}
				if n == MaxList {
					cut = true
					break
				}
				found = append(found, l)
				n++
			}
		}
		slices.SortFunc(found, func(a, b listed) int {
			return cmp.Or(b.CreatedAt.Compare(a.CreatedAt), cmp.Compare(b.ID, a.ID))
		})
		list, err = entries(ctx, tx, found)
		return err
	})
	return list, cut, err
}

// listed is a donation as a list has it.
type listed struct {
	donation.Donation
	distance *float64 // km; nil: no place was given
}

// shown yields what the list shows of what the store selects.
func (f ListFilter) shown(ctx context.Context, tx *store.Tx, sf store.DonationFilter) iter.Seq2[listed, error] {
	if f.Near != nil {
		sf.Boxes = f.Near.Boxes()
	}
	now := time.Now()
	return func(yield func(listed, error) bool) {
		for d, err := range tx.Donations(ctx, sf) {
			if err != nil {
				yield(listed{}, err)
				return
			}
			if l, in := f.entry(d, now); in && !yield(l, nil) {
				return
			}
		}
	}
}

// entry is a donation as the list has it, if it is in the list.
func (f ListFilter) entry(d donation.Donation, now time.Time) (l listed, in bool) {
	l.Donation = d
	// Overdue and not yet written down: not what was asked for any more.
	if l.Status = d.StatusAt(now); len(f.Statuses) > 0 && !slices.Contains(f.Statuses, l.Status) {
		return l, false
	}
	if f.Near == nil {
		return l, true
	}
	km := geo.Distance(f.Near.Lat, f.Near.Lng, d.Latitude, d.Longitude)
	l.distance = &km
	return l, km <= f.Near.RadiusKm
}

// entries are what was found in its public form.
func entries(ctx context.Context, tx *store.Tx, found []listed) ([]api.Donation, error) {
	bare := make([]donation.Donation, 0, len(found))
	for _, l := range found {
		bare = append(bare, l.Donation)
	}
	list, err := scored(ctx, tx, bare)
	for i := range list {
		list[i].Distance = found[i].distance
	}
	return list, err
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

// History returns the records about a donation, oldest first, for its parties and
// admins, and the cursor of the next page, empty when there is none; for others it is
// ErrNotParty.
func (s *Service) History(ctx context.Context, viewer account.Account, id string, p Paging) (recs []eventlog.Record, next string, err error) {
	err = s.store.View(ctx, func(tx *store.Tx) error {
		d, err := tx.Donation(ctx, id)
		if err != nil {
			return err
		}
		if viewer.Role != account.Admin && !d.Party(viewer.ID) {
			return ErrNotParty
		}
		place := func(r eventlog.Record) string { return r.Position.String() }
		recs, next, err = page(p, MaxList, parsePlace, place, func(after *eventlog.Position, limit int) ([]eventlog.Record, error) {
			if after == nil {
				return tx.History(ctx, id, 0, limit)
			}
			if head, err := tx.Head(ctx); err != nil || head.Epoch != after.Epoch {
				return nil, cmp.Or(err, ErrCursor)
			}
			return tx.History(ctx, id, after.Seq, limit)
		})
		return err
	})
	return recs, next, err
}

// parsePlace reads a position as the cursor that it is in a history.
func parsePlace(s string) (eventlog.Position, error) {
	at, err := eventlog.ParsePosition(s)
	if err != nil {
		return at, fmt.Errorf("%.20q: %w", s, ErrCursor)
	}
	return at, nil
}
