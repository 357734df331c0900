package donation

import (
	"math"

	"larder/internal/geo"
)

// Candidate is a volunteer who may be proposed for a trip.
type Candidate struct {
	ID       string
	Lat, Lng float64 // degrees
	Trips    int     // running trips that he is proposed for or carries
}

// TripPenaltyKm is how much farther away a volunteer counts for each trip that he
// has: whoever is free is preferred, unless he is at the other end of the country.
const TripPenaltyKm = 10.0

// cost is how far a candidate counts to be from a place, in kilometres.
func (c Candidate) cost(lat, lng float64) float64 {
	return geo.Distance(lat, lng, c.Lat, c.Lng) + TripPenaltyKm*float64(c.Trips)
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

// ProposeNear is Propose among all who may be proposed, of whom near returns those
// within so many kilometres of d, in any order, at most limit: it may return others,
// who are farther away, as well. Most often it is asked once.
//
// Where more than 50 are at one place, one of those that near happened to return is
// as good as any.
func (d Donation) ProposeNear(near func(radiusKm float64, limit int) ([]Candidate, error)) (id string, ok bool, err error) {
	var few, many []Candidate     // from the largest area without a crowd, and the smallest with one
	low, high := 0.0, math.Inf(1) // their radii
	radius := firstLookKm
	for look := 0; look < maxLooks && high-low > samePlaceKm; look++ {
		list, err := near(radius, crowd+1)
		if err != nil {
			return "", false, err
		}
		if len(list) > crowd {
			high, many = radius, list
			radius = math.Sqrt(max(low, high/16) * high)
			continue
		}
		id, km, ok := d.Propose(list)
		// Whoever is outside the radius counts to be farther away than that.
		if ok && km <= radius || radius >= geo.MaxRadiusKm {
			return id, ok, nil
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
	id, _, ok = d.Propose(append(few, many...))
	return id, ok, nil
}
