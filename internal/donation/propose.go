package donation

import "larder/internal/geo"

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
