package donation

import (
	"math"

	"larder/internal/geo"
)

// Candidate is a volunteer who may be proposed for a trip.
type Candidate struct {
	ID       string
	Lat, Lng float64 // degrees
	Unplaced bool    // nobody knows where he is: Lat and Lng mean nothing
	Trips    int     // running trips that he is proposed for or carries
}

// TripPenaltyKm is how much farther away a volunteer counts for each trip that he
// has: whoever is free is preferred, unless he is at the other end of the country.
const TripPenaltyKm = 10.0

// UnplacedKm is how far away a volunteer counts to be whose place nobody knows. Forms
// need not ask for one: where none does, they are all there are.
const UnplacedKm = 50.0

// cost is how far a candidate counts to be from a place, in kilometres.
func (c Candidate) cost(lat, lng float64) float64 {
	away := UnplacedKm
	if !c.Unplaced {
		away = geo.Distance(lat, lng, c.Lat, c.Lng)
	}
	return away + TripPenaltyKm*float64(c.Trips)
}

// Propose picks the volunteer to whom d is proposed, and how far he counts to be,
// in kilometres: the nearest one, where each running trip counts as a way of
// TripPenaltyKm; of equals the one with the smaller id. ok is false when there is none.
func (d Donation) Propose(list []Candidate) (id string, km float64, ok bool) {
	for _, c := range list {
		cost := c.cost(d.Latitude, d.Longitude)
		if !ok || cost < km || cost == km && c.ID < id {
			id, km, ok = c.ID, cost, true
		}
	}
	return id, km, ok
}

// Bounds of a search for whom to propose a trip.
const (
	firstLookKm = 25.0
	crowd       = 50 // more candidates than that are not compared
	maxLooks    = 16
	samePlaceKm = 0.05
)

// ProposeAmong is Propose among all who may be proposed. Of those near returns who is
// within so many kilometres of d; it may return others, who are farther away, as well.
// unplaced returns those whose place nobody knows. Both do so in any order, at most
// limit. Most often near is asked once, and nobody else.
//
// Where more than 50 are at one place, or have none, one of those that happened to be
// returned is as good as any.
func (d Donation) ProposeAmong(near func(radiusKm float64, limit int) ([]Candidate, error), unplaced func(limit int) ([]Candidate, error),
) (id string, ok bool, err error) {
	id, km, ok, err := d.nearest(near)
	if err != nil || ok && km <= UnplacedKm {
		return id, ok, err
	}
	list, err := unplaced(crowd)
	if err != nil {
		return "", false, err
	}
	if other, count, any := d.Propose(list); any && (!ok || count < km) {
		return other, true, nil
	}
	return id, ok, nil
}

// nearest is Propose among those who have a place, whom near returns.
func (d Donation) nearest(near func(radiusKm float64, limit int) ([]Candidate, error)) (id string, km float64, ok bool, err error) {
	var few, many []Candidate     // from the largest area without a crowd, and the smallest with one
	low, high := 0.0, math.Inf(1) // their radii
	radius := firstLookKm
	for look := 0; look < maxLooks && high-low > samePlaceKm; look++ {
		list, err := near(radius, crowd+1)
		if err != nil {
			return "", 0, false, err
		}
		if len(list) > crowd {
			high, many = radius, list
			radius = math.Sqrt(max(low, high/16) * high)
			continue
		}
		id, km, ok := d.Propose(list)
		// Whoever is outside the radius counts to be farther away than that.
		if ok && km <= radius || radius >= geo.MaxRadiusKm {
			return id, km, ok, nil
		}
		low, few = radius, list
		radius = geo.MaxRadiusKm
		if ok {
			radius = min(km, radius) // nobody beyond counts for less
		}
		if radius >= high {
			radius = math.Sqrt(low * high)
		}
	}
	id, km, ok = d.Propose(append(few, many...))
	return id, km, ok, nil
}
