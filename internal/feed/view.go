package feed

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"larder/api"
	"larder/internal/donation"
	"larder/internal/eventlog"
	"larder/internal/geo"
)

// maxFoodTypes and maxFoodType bound what one view may list.
const (
	maxFoodTypes = 50
	maxFoodType  = 200 // bytes
)

// View is what a client has narrowed its feed to. Its zero value is everything.
// Views that want the same are equal in all but their pointers: see Key.
type View struct {
	Area      *geo.Area         `json:"area,omitempty"`
	Statuses  []donation.Status `json:"statuses,omitempty"`  // sorted; empty: all
	FoodTypes []string          `json:"foodTypes,omitempty"` // folded and sorted; empty: all
}

// NewView returns what a client asks for, or what is wrong with it, one sentence
// per fault.
func NewView(req api.FeedSubscribe) (View, []string) {
	var v View
	var faults []string
	if a := req.Area; a != nil {
		switch {
		case a.Lat == nil || a.Lng == nil || a.RadiusKm == nil:
			faults = append(faults, "area must have lat, lng and radiusKm")
		case !(*a.Lat >= -90 && *a.Lat <= 90):
			faults = append(faults, "area.lat must be between -90 and 90")
		case !(*a.Lng >= -180 && *a.Lng <= 180):
			faults = append(faults, "area.lng must be between -180 and 180")
		case !(*a.RadiusKm > 0 && *a.RadiusKm <= geo.MaxRadiusKm):
			faults = append(faults, fmt.Sprintf("area.radiusKm must be more than 0 and at most %d", geo.MaxRadiusKm))
		default:
			v.Area = &geo.Area{Lat: *a.Lat, Lng: *a.Lng, RadiusKm: *a.RadiusKm}
		}
	}
	for _, s := range req.Statuses {
		status := donation.Status(strings.ToUpper(strings.TrimSpace(s)))
		if !slices.Contains(donation.Statuses(), status) {
			faults = append(faults, fmt.Sprintf("statuses: %.40q is none of %s", s, statusList()))
			break
		}
		v.Statuses = append(v.Statuses, status)
	}
	if len(req.FoodTypes) > maxFoodTypes {
		faults = append(faults, fmt.Sprintf("foodTypes must be at most %d", maxFoodTypes))
	}
	for _, f := range req.FoodTypes[:min(len(req.FoodTypes), maxFoodTypes)] {
		folded := fold(f)
		if folded == "" || len(folded) > maxFoodType {
			faults = append(faults, fmt.Sprintf("foodTypes: each must have 1 to %d bytes", maxFoodType))
			break
		}
		v.FoodTypes = append(v.FoodTypes, folded)
	}
	slices.Sort(v.Statuses)
	slices.Sort(v.FoodTypes)
	v.Statuses, v.FoodTypes = slices.Compact(v.Statuses), slices.Compact(v.FoodTypes)
	if len(v.Statuses) == len(donation.Statuses()) {
		v.Statuses = nil
	}
	return v, faults
}

func statusList() string {
	var names []string
	for _, s := range donation.Statuses() {
		names = append(names, string(s))
	}
	return strings.Join(names, ", ")
}

// fold is the form in which kinds of food are compared.
func fold(foodType string) string { return strings.ToLower(strings.TrimSpace(foodType)) }

// Whole says that the view is everything.
func (v View) Whole() bool { return v.Area == nil && len(v.Statuses) == 0 && len(v.FoodTypes) == 0 }

// Key is the same text for views that want the same, and their stored form.
func (v View) Key() string {
	text, err := json.Marshal(v)
	if err != nil {
		panic("feed: bug: a view that does not marshal: " + err.Error()) // NewView and ParseKey let no such number in
	}
	return string(text)
}

// ParseKey reads what Key wrote.
func ParseKey(text string) (v View, err error) {
	if err = json.Unmarshal([]byte(text), &v); err != nil {
		return View{}, fmt.Errorf("feed: view: %w", err)
	}
	return v, nil
}

// Facts are what a view chooses a record by.
type Facts struct {
	About    bool // the record is about a donation; otherwise no view touches it
	Lat, Lng float64
	FoodType string          // folded
	Before   donation.Status // empty: it was new
	After    donation.Status
}

// InSnapshot says whether a snapshot taken later shows what the record told: a new
// donation or a new status. What else happened, such as an announcement, it does
// not show.
func (f Facts) InSnapshot() bool { return f.About && f.Before != f.After }

// FactsOf reads them from a record. A record without its donation, from before
// the log kept it, is told to everybody.
func FactsOf(r eventlog.Record) Facts {
	if r.Donation == nil {
		return Facts{}
	}
	var d struct {
		Latitude  float64         `json:"latitude"`
		Longitude float64         `json:"longitude"`
		FoodType  string          `json:"foodType"`
		Status    donation.Status `json:"status"`
	}
	if json.Unmarshal(r.Donation, &d) != nil {
		return Facts{}
	}
	return Facts{
		About: true, Lat: d.Latitude, Lng: d.Longitude, FoodType: fold(d.FoodType),
		Before: donation.Status(r.Previous), After: d.Status,
	}
}

// Passage is what a record means to a view.
type Passage int

// The passages.
const (
	Outside Passage = iota // not told
	Within                 // told as it is
	Enters                 // told with the whole donation, which the client may not have
	Leaves                 // told as feed.left
)

// Passage says what a record with these facts means to the view. Place and kind
// of food of a donation never change, so only its status brings it in or out.
func (v View) Passage(f Facts) Passage {
	if !f.About {
		return Within
	}
	if !v.wants(f.Lat, f.Lng, f.FoodType) {
		return Outside
	}
	after := v.wantsStatus(f.After)
	before := f.Before != "" && v.wantsStatus(f.Before)
	switch {
	case f.Before == "" && after, before && after:
		return Within
	case after:
		return Enters
	case before:
		return Leaves
	}
	return Outside
}

// Holds says whether a snapshot of the view has the donation.
func (v View) Holds(d donation.Donation) bool {
	return v.wants(d.Latitude, d.Longitude, fold(d.FoodType)) && v.wantsStatus(d.Status)
}

func (v View) wants(lat, lng float64, foodType string) bool {
	return (len(v.FoodTypes) == 0 || slices.Contains(v.FoodTypes, foodType)) && (v.Area == nil || v.Area.Contains(lat, lng))
}

func (v View) wantsStatus(s donation.Status) bool {
	return len(v.Statuses) == 0 || slices.Contains(v.Statuses, s)
}

// Tell is what a client gets of a record by a passage: the name and the data of
// an event. Outside tells nothing and is a mistake.
func Tell(r eventlog.Record, p Passage) (name string, data json.RawMessage, err error) {
	switch p {
	case Within:
		return r.Type, r.Data(), nil
	case Enters:
		data, err = json.Marshal(api.FeedEntered{
			Donation: r.Donation, Event: r.Type, Version: r.Version, Position: r.Position.String(),
		})
		return api.EventFeedEntered, data, err
	case Leaves:
		data, err = json.Marshal(api.FeedLeft{
			DonationID: r.Subject, Status: string(FactsOf(r).After), PreviousStatus: r.Previous, Event: r.Type,
			Version: r.Version, Position: r.Position.String(),
		})
		return api.EventFeedLeft, data, err
	}
	return "", nil, fmt.Errorf("feed: bug: nothing to tell of record %s by passage %d", r.Position, p)
}
