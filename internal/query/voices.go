package query

import (
	"context"
	"fmt"
	"strconv"

	"larder/api"
	"larder/internal/account"
	"larder/internal/donation"
	"larder/internal/store"
	"larder/internal/voice"
)

// Review is feedback and who gave it.
type Review struct {
	voice.Feedback
	NGO account.Account
}

// Reviews lists the feedback on a donation, or returns store.ErrNotFound.
func (s *Service) Reviews(ctx context.Context, donationID string) (list []Review, err error) {
	err = s.store.View(ctx, func(tx *store.Tx) error {
		if _, err := tx.Donation(ctx, donationID); err != nil {
			return err
		}
		given, err := tx.Feedback(ctx, donationID)
		if err != nil {
			return err
		}
		list = nil
		for _, f := range given {
			ngo, err := tx.Account(ctx, f.NGOID)
			if err != nil {
				return err
			}
			list = append(list, Review{f, ngo})
		}
		return nil
	})
	return list, err
}

// Ratings are what the feedback on an account adds up to, or store.ErrNotFound.
func (s *Service) Ratings(ctx context.Context, accountID string) (r voice.Ratings, err error) {
	err = s.store.View(ctx, func(tx *store.Tx) error {
		if _, err := tx.Account(ctx, accountID); err != nil {
			return err
		}
		ratings, err := tx.Ratings(ctx, accountID)
		r = ratings[accountID]
		return err
	})
	return r, err
}

// Tickets lists the tickets of an account, or with an empty id everybody's, newest
// first, and the cursor of the next page, empty when there is none.
func (s *Service) Tickets(ctx context.Context, accountID string, p Paging) ([]voice.Ticket, string, error) {
	return voices(ctx, s, accountID, p, (*store.Tx).Tickets, func(k voice.Ticket) string { return cursor(k.CreatedAt, k.ID) })
}

// Flags lists all flags in the same way.
func (s *Service) Flags(ctx context.Context, p Paging) ([]voice.Flag, string, error) {
	return voices(ctx, s, "", p, (*store.Tx).Flags, func(f voice.Flag) string { return cursor(f.CreatedAt, f.ID) })
}

func voices[T any](ctx context.Context, s *Service, accountID string, p Paging,
	read func(*store.Tx, context.Context, store.VoiceFilter) ([]T, error), place func(T) string,
) (list []T, next string, err error) {
	err = s.store.View(ctx, func(tx *store.Tx) error {
		list, next, err = page(p, MaxList, parseCursor, place, func(before *store.ListCursor, limit int) ([]T, error) {
			return read(tx, ctx, store.VoiceFilter{AccountID: accountID, Before: before, Limit: limit})
		})
		return err
	})
	return list, next, err
}

// AllDonations lists donations of every status for admins, with their donors.
func (s *Service) AllDonations(ctx context.Context, p Paging) (list []api.AdminDonation, next string, err error) {
	var page []api.Donation
	var donors map[string]account.Account
	err = s.store.View(ctx, func(tx *store.Tx) error {
		if page, next, err = donations(ctx, tx, ListFilter{Limit: p.Limit, After: p.After}); err != nil {
			return err
		}
		var ids []string
		for _, d := range page {
			ids = append(ids, d.DonorID)
		}
		donors, err = tx.AccountsByID(ctx, ids...)
		return err
	})
	list = make([]api.AdminDonation, 0, len(page))
	for _, d := range page {
		donor := donors[d.DonorID]
		list = append(list, api.AdminDonation{Donation: d, Donor: api.AdminDonor{
			ID: donor.ID, Name: donor.Name, Email: donor.Email, OrganizationName: api.Text(donor.OrganizationName),
		}})
	}
	return list, next, err
}

// newDonations is how many of the newest donations an admin is told of.
const newDonations = 5

// AdminNotifications tells an admin what waits for him, and the newest donations.
// Nothing of it is stored.
func (s *Service) AdminNotifications(ctx context.Context) (list []api.AdminNotification, err error) {
	var waiting store.Backlog
	var newest []donation.Donation
	err = s.store.View(ctx, func(tx *store.Tx) error {
		newest = nil
		if waiting, err = tx.Backlog(ctx); err != nil {
			return err
		}
		for d, err := range tx.Donations(ctx, store.DonationFilter{Expect: newDonations}) {
			if err != nil {
				return err
			}
			if newest = append(newest, d); len(newest) == newDonations {
				break
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	list = []api.AdminNotification{}
	pile := func(id, kind, priority, one, many, message string, p store.Pile) {
		if p.Count > 0 {
			title := one
			if p.Count > 1 {
				title = fmt.Sprintf(many, p.Count)
			}
			list = append(list, api.AdminNotification{
				ID: id, Type: kind, Title: title, Message: message, Priority: priority, CreatedAt: api.At(p.Newest),
			})
		}
	}
	pile("pending-ngos", "pending_ngo", "high", "1 NGO waits for verification", "%d NGOs wait for verification",
		"An NGO can claim nothing until an admin has verified it.", waiting.NGOs)
	pile("open-tickets", "support_ticket", "medium", "1 open support ticket", "%d open support tickets",
		"Somebody needs help, and no admin has taken it on yet.", waiting.Tickets)
	pile("flagged-food", "flagged_food", "high", "1 flagged donation to look at", "%d flagged donations to look at",
		"Somebody found something wrong, and no admin has decided yet.", waiting.Flags)
	for _, d := range newest {
		list = append(list, api.AdminNotification{
			ID: "donation-" + d.ID, Type: "new_donation", Title: "New donation: " + d.Name,
			Message:  strconv.FormatFloat(d.Quantity, 'f', -1, 64) + " " + d.Unit + " of " + d.FoodType + " by " + d.DonorName,
			Priority: "low", CreatedAt: api.At(d.CreatedAt),
		})
	}
	return list, nil
}
