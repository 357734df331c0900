package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"

	"larder/api"
	"larder/internal/account"
	"larder/internal/donation"
	"larder/internal/eventlog"
	"larder/internal/notice"
	"larder/internal/public"
	"larder/internal/store"
)

// Done is what a command on a donation did.
type Done struct {
	Donation    donation.Donation
	CallerKarma int // points that the caller got
	DonorKarma  int // points that the donor got from a delivery
}

// ErrFileGone is a file that was collected before the command that refers to it.
var ErrFileGone = errors.New("a file that was sent is gone")

// Create lists a donation. photos are the kept files that its addresses point to:
// from the commit on they stay.
func (s *Service) Create(ctx context.Context, by By, draft donation.Draft, photos ...string) (Done, error) {
	done, _, err := execute(ctx, s, by, "create", draft, func(tx *store.Tx) (Done, error) {
		donor, err := actor(ctx, tx, by.AccountID)
		if err != nil {
			return Done{}, err
		}
		id, err := uuid.NewV7()
		if err != nil {
			return Done{}, fmt.Errorf("donation id: %w", err)
		}
		listed, err := tx.Listed(ctx, donor.ID, donation.LentListings)
		if err != nil {
			return Done{}, err
		}
		out, err := donation.New(id.String(), draft, donor, listed, now())
		if err != nil {
			return Done{}, err
		}
		if err := tx.InsertDonation(ctx, out.Donation); err != nil {
			return Done{}, err
		}
		if err := score(ctx, tx, &out); err != nil {
			return Done{}, err
		}
		for _, name := range photos {
			if err := tx.HoldMedia(ctx, out.Donation.ID, name); err != nil {
				return Done{}, fileGone(err)
			}
		}
		return finish(ctx, tx, out, by.AccountID)
	})
	return done, err
}

func fileGone(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return ErrFileGone
	}
	return err
}

// score adds the donor's score to a new donation; one that is read brings it along.
func score(ctx context.Context, tx *store.Tx, out *donation.Outcome) error {
	ratings, err := tx.Ratings(ctx, out.Donation.DonorID)
	out.Donation.DonorTrustScore = ratings[out.Donation.DonorID].Score()
	for i := range out.Events {
		out.Events[i].After.DonorTrustScore = out.Donation.DonorTrustScore
	}
	return err
}

// Order is a command on a donation that exists.
type Order struct {
	DonationID          string
	Action              donation.Action
	Reason              string
	EstimatedPickupTime *time.Time
}

// Do runs an order. A donation that does not exist is store.ErrNotFound.
func (s *Service) Do(ctx context.Context, by By, o Order) (Done, error) {
	done, _, err := execute(ctx, s, by, "do", o, func(tx *store.Tx) (Done, error) {
		caller, err := actor(ctx, tx, by.AccountID)
		if err != nil {
			return Done{}, err
		}
		d, err := tx.Donation(ctx, o.DonationID)
		if err != nil {
			return Done{}, err
		}
		c := donation.Command{Action: o.Action, By: caller.Actor(), ByName: caller.DisplayName(), Reason: o.Reason, EstimatedPickupTime: o.EstimatedPickupTime}
		at := now()
		if o.Action == donation.Claim {
			c.Intake, err = s.intake(ctx, tx, caller, at)
			if err != nil {
				return Done{}, err
			}
			if d.StatusAt(at) == donation.Available { // most of a rush for one donation come too late
				if c.Volunteer, err = proposal(ctx, tx, d); err != nil {
					return Done{}, err
				}
			}
		}
		return carryOut(ctx, tx, d, c, at)
	})
	return done, err
}

// intake is what an NGO may still take in today. Without a capacity nobody asks what
// it has taken.
func (s *Service) intake(ctx context.Context, tx *store.Tx, a account.Account, at time.Time) (account.Intake, error) {
	if a.Capacity == nil {
		return account.Intake{}, nil
	}
	load, err := tx.IntakeLoad(ctx, a.ID, a.CapacityUnit, account.DayStart(at, s.place))
	return account.Intake{Capacity: a.Capacity, Unit: a.CapacityUnit, Load: load}, err
}

// carryOut decides c on d and saves what came of it.
func carryOut(ctx context.Context, tx *store.Tx, d donation.Donation, c donation.Command, at time.Time) (Done, error) {
	out, err := d.Decide(c, at)
	if err != nil {
		return Done{}, err
	}
	if len(out.Events) == 0 {
		return Done{Donation: out.Donation}, nil
	}
	if err := tx.UpdateDonation(ctx, out.Donation); err != nil {
		return Done{}, err
	}
	return finish(ctx, tx, out, c.By.ID)
}

// finish writes the karma, the notifications and, last, the records.
func finish(ctx context.Context, tx *store.Tx, out donation.Outcome, callerID string) (Done, error) {
	done := Done{Donation: out.Donation}
	at := out.Donation.UpdatedAt
	if err := tx.TakeKarmaBack(ctx, out.TakesBack, out.Donation.ID); err != nil {
		return Done{}, err
	}
	var earned []notice.Notice
	for _, award := range out.Awards {
		points, err := tx.AwardKarma(ctx, out.Donation.ID, award, at)
		if err != nil {
			return Done{}, err
		}
		told, err := badges(ctx, tx, award.AccountID, out.Donation.ID, points)
		if err != nil {
			return Done{}, err
		}
		earned = append(earned, told...)
		if award.AccountID == callerID {
			done.CallerKarma += points
		}
		if award.Reason == account.ReasonDonate {
			done.DonorKarma += points
		}
	}
	return done, write(ctx, tx, at, out.Events, earned)
}

// write appends what happened at one moment to the log: the events of donations,
// to whom trips were proposed, and then what somebody is told of it, which it stores.
func write(ctx context.Context, tx *store.Tx, at time.Time, events []donation.Event, told []notice.Notice) error {
	var drafts, proposals []eventlog.Draft
	var notices []notice.Notice
	for _, e := range events {
		d, err := record(e)
		if err != nil {
			return err
		}
		p, err := assigned(e)
		if err != nil {
			return err
		}
		drafts, proposals, notices = append(drafts, d), append(proposals, p...), append(notices, notice.Of(e)...)
	}
	notifications, err := notify(ctx, tx, at, append(notices, told...))
	if err != nil {
		return err
	}
	_, err = tx.Append(ctx, slices.Concat(drafts, proposals, notifications)...)
	return err
}

// record turns an event of a donation into what the log keeps and clients get.
func record(e donation.Event) (eventlog.Draft, error) {
	d := e.After
	var payload any
	switch e.Type {
	case donation.EventCreated:
		payload = api.DonationCreated{
			ID: d.ID, Name: d.Name, FoodType: d.FoodType, Quantity: strconv.FormatFloat(d.Quantity, 'f', -1, 64), Unit: d.Unit,
			Description: api.Text(d.Description), Location: api.Location{Lat: d.Latitude, Lng: d.Longitude, Address: d.Address},
			DonorName: d.DonorName, ExpiryTime: api.At(d.ExpiryTime), ImageURLs: list(d.ImageURLs), CreatedAt: api.At(d.CreatedAt),
			DonorID: d.DonorID, Latitude: d.Latitude, Longitude: d.Longitude, Status: string(d.Status), Version: d.Version,
		}
	case donation.EventClaimed:
		payload = api.DonationClaimed{
			DonationID: d.ID, ClaimedBy: e.By, Status: string(d.Status), ClaimedAt: api.At(e.At), Version: d.Version,
		}
	case donation.EventStatusUpdated:
		payload = api.DonationStatusUpdated{
			DonationID: d.ID, Status: string(d.Status), PreviousStatus: string(e.Previous), UpdatedBy: e.By,
			UpdatedAt: api.At(e.At), Reason: api.Text(e.Reason), Version: d.Version,
		}
	case donation.EventNearExpiry:
		payload = api.DonationNearExpiry{DonationID: d.ID, ExpiryTime: api.At(d.ExpiryTime)}
	}
	body, err := json.Marshal(payload)
	if err != nil {
		return eventlog.Draft{}, fmt.Errorf("payload of %s: %w", e.Type, err)
	}
	after, err := json.Marshal(public.Donation(d))
	if err != nil {
		return eventlog.Draft{}, fmt.Errorf("donation of %s: %w", e.Type, err)
	}
	return eventlog.Draft{
		Type: string(e.Type), Subject: d.ID, Version: d.Version,
		Audience: eventlog.Audience{Everyone: true}, Payload: body, At: e.At,
		Donation: after, Previous: string(e.Previous),
	}, nil
}

func list(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}
