package api

// CommunityStats is what the whole board came to, as GET /donations/stats/community
// answers in an Envelope. Food counts when it was delivered.
type CommunityStats struct {
	TotalDonations     int64   `json:"totalDonations"`
	DeliveredDonations int64   `json:"deliveredDonations"`
	ActiveDonations    int64   `json:"activeDonations" doc:"AVAILABLE, CLAIMED or PICKED_UP."`
	MealsProvided      int64   `json:"mealsProvided"`
	KgRescued          float64 `json:"kgRescued"`
	CO2Saved           float64 `json:"co2Saved" doc:"Kilograms of CO2 equivalent, gross."`
	TotalDonors        int64   `json:"totalDonors" doc:"Accounts that can sign in."`
	TotalNGOs          int64   `json:"totalNGOs"`
	TotalVolunteers    int64   `json:"totalVolunteers"`
	KgEstimated        float64 `json:"kgEstimated" doc:"The part of kgRescued that was no weight and is counted by a table of defaults."`
	UncountedDonations int64   `json:"uncountedDonations" doc:"Delivered, but in a unit that nobody knows: they are in no weight, meals or CO2."`
	FactorSet          string  `json:"factorSet" doc:"By which factors meals and CO2 are counted."`
}

// MonthStats is one month of the caller's donations, as GET /donations/stats/monthly
// lists it: the month in which a donation was created counts.
type MonthStats struct {
	Label     string `json:"label" doc:"The first three letters of the month, in English."`
	Total     int64  `json:"total"`
	Delivered int64  `json:"delivered"`
	Claimed   int64  `json:"claimed" doc:"CLAIMED, PICKED_UP or DELIVERED."`
	Meals     int64  `json:"meals" doc:"Of the delivered ones."`
}

// Leader is one entry of GET /donations/leaderboard.
type Leader struct {
	ID    string `json:"id"`
	Name  string `json:"name" doc:"The organisation, or the name where there is none."`
	Role  string `json:"role" enum:"Donor,NGO,Volunteer"`
	Score int    `json:"score" doc:"Karma."`
}

// ImpactStats is what an account did: a donor by its donations, an NGO by its
// claims, a volunteer by what it delivered. Meals and weight are of delivered food.
type ImpactStats struct {
	TotalDonations int64   `json:"totalDonations"`
	MealsProvided  int64   `json:"mealsProvided"`
	KgSaved        float64 `json:"kgSaved"`
	Estimated      bool    `json:"estimated" doc:"Part of it was no weight and is counted by a table of defaults."`
	FactorSet      string  `json:"factorSet" doc:"By which factors meals are counted."`
}
