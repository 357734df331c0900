package query

import (
	"context"
	"time"

	"larder/api"
	"larder/internal/account"
	"larder/internal/donation"
	"larder/internal/impact"
	"larder/internal/store"
)

// Bounds of the statistics.
const (
	maxLeaders = 20
	months     = 6 // this one and those before
)

// Community adds up the whole board. That of a large one may be up to a minute old.
func (s *Service) Community(ctx context.Context) (api.CommunityStats, error) {
	return s.community.get(ctx, struct{}{}, func() (api.CommunityStats, time.Duration, error) {
		c, err := s.addUp(ctx)
		return c, lifeOf(c.TotalDonations), err
	})
}

func (s *Service) addUp(ctx context.Context) (c api.CommunityStats, err error) {
	now := time.Now()
	err = s.store.View(ctx, func(tx *store.Tx) error {
		roles, err := tx.RoleCounts(ctx)
		if err != nil {
			return err
		}
		overdue, err := tx.Overdue(ctx, now)
		if err != nil {
			return err
		}
		factors := impact.Default()
		c = api.CommunityStats{
			ActiveDonations: -overdue, // they are over, whatever is written down
			TotalDonors:     roles[account.Donor], TotalNGOs: roles[account.NGO], TotalVolunteers: roles[account.Volunteer],
			FactorSet: factors.Name,
		}
		var sum impact.Impact
		for t, err := range tx.Tallies(ctx) {
			if err != nil {
				return err
			}
			c.TotalDonations += t.Donations
			switch t.Status {
			case donation.Available, donation.Claimed, donation.PickedUp:
				c.ActiveDonations += t.Donations
			case donation.Delivered:
				c.DeliveredDonations += t.Donations
				i := factors.Of(t.Quantity, t.Unit)
				if i.Uncounted {
					c.UncountedDonations += t.Donations
				}
				sum = sum.Plus(i)
			}
		}
		c.MealsProvided, c.KgRescued, c.CO2Saved, c.KgEstimated = sum.WholeMeals(), sum.Kg(), sum.CO2eKg(), sum.EstimatedKg()
		return nil
	})
	return c, err
}

// partOf is by what the donations of an account are its own.
func partOf(r account.Role) store.Part {
	switch r {
	case account.NGO:
		return store.AsClaimer
	case account.Volunteer:
		return store.AsCarrier
	}
	return store.AsDonor
}

// Monthly counts the viewer's donations in this month and the five before, oldest
// first: those that an NGO claims, a volunteer carries, and anybody else listed.
// A month is that of the place of the service.
func (s *Service) Monthly(ctx context.Context, viewer account.Account) ([]api.MonthStats, error) {
	now := time.Now()
	starts := s.monthsUntil(now)
	list := make([]api.MonthStats, len(starts))
	meals := make([]impact.Impact, len(starts))
	for i, start := range starts {
		list[i].Label = start.In(s.place).Format("Jan")
	}
	err := s.store.View(ctx, func(tx *store.Tx) error {
		for t, err := range tx.TalliesOf(ctx, viewer.ID, partOf(viewer.Role), starts, now) {
			if err != nil {
				return err
			}
			m := &list[t.Period]
			m.Total += t.Donations
			switch t.Status {
			case donation.Delivered:
				m.Delivered += t.Donations
				m.Claimed += t.Donations
				meals[t.Period] = meals[t.Period].Plus(impact.Default().Of(t.Quantity, t.Unit))
			case donation.Claimed, donation.PickedUp:
				m.Claimed += t.Donations
			}
		}
		return nil
	})
	for i := range list {
		list[i].Meals = meals[i].WholeMeals()
	}
	return list, err
}

// monthsUntil are the beginnings of the last months, oldest first.
func (s *Service) monthsUntil(now time.Time) []time.Time {
	year, month, _ := now.In(s.place).Date()
	starts := make([]time.Time, months)
	for i := range starts {
		noon := time.Date(year, month-time.Month(months-1-i), 1, 12, 0, 0, 0, s.place)
		starts[i] = account.DayStart(noon, s.place)
	}
	return starts
}

// Scope is since when karma counts on the leaderboard.
type Scope int

// The scopes. A week is the last 7 days, a month the last 30.
const (
	Ever Scope = iota
	LastWeek
	LastMonth
)

// ranking is a leaderboard.
type ranking struct {
	scope Scope
	role  account.Role
}

// Leaderboard ranks accounts by the karma that they earned in the scope. role
// narrows it to donors, NGOs or volunteers; empty is any. That of a large board may
// be up to a minute old.
func (s *Service) Leaderboard(ctx context.Context, scope Scope, role account.Role) ([]api.Leader, error) {
	return s.leaders.get(ctx, ranking{scope, role}, func() ([]api.Leader, time.Duration, error) { return s.rank(ctx, scope, role) })
}

// rank reads a leaderboard, and says how long it may be kept. A record is about an
// entry of the ledger.
func (s *Service) rank(ctx context.Context, scope Scope, role account.Role) ([]api.Leader, time.Duration, error) {
	var since time.Time
	switch scope {
	case LastWeek:
		since = time.Now().AddDate(0, 0, -7)
	case LastMonth:
		since = time.Now().AddDate(0, 0, -30)
	}
	list := []api.Leader{}
	var life time.Duration
	err := s.store.View(ctx, func(tx *store.Tx) error {
		head, err := tx.Head(ctx)
		if err != nil {
			return err
		}
		life = lifeOf(head.Seq)
		leaders, err := tx.Leaders(ctx, since, role, maxLeaders)
		for _, l := range leaders {
			list = append(list, api.Leader{ID: l.ID, Name: l.DisplayName(), Role: roleLabels[l.Role], Score: l.Points})
		}
		return err
	})
	return list, life, err
}

var roleLabels = map[account.Role]string{account.Donor: "Donor", account.NGO: "NGO", account.Volunteer: "Volunteer"}

// impactOf says what came of an account's own donations. Of a volunteer only those
// count that it delivered.
func impactOf(ctx context.Context, tx *store.Tx, a account.Account, now time.Time) (api.ImpactStats, error) {
	factors := impact.Default()
	stats := api.ImpactStats{FactorSet: factors.Name}
	var sum impact.Impact
	for t, err := range tx.TalliesOf(ctx, a.ID, partOf(a.Role), nil, now) {
		if err != nil {
			return stats, err
		}
		if t.Status == donation.Delivered {
			sum = sum.Plus(factors.Of(t.Quantity, t.Unit))
		}
		if t.Status == donation.Delivered || a.Role != account.Volunteer {
			stats.TotalDonations += t.Donations
		}
	}
	stats.MealsProvided, stats.KgSaved, stats.Estimated = sum.WholeMeals(), sum.Kg(), sum.Estimated > 0
	return stats, nil
}
