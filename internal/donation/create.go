package donation

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"net/url"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"larder/internal/account"
)

// Bounds of a draft. The lengths of texts are bounded by the schema of the
// request; these need a meaning to be checked.
const (
	MinQuantity     = 0.1
	MaxQuantity     = 1_000_000
	MaxImages       = 5
	MaxHygieneBytes = 4 << 10
	// HighRiskWindow is the time that high-risk food must have left when listed.
	HighRiskWindow = 2 * time.Hour
	// clockSkew is how far a donor's clock may run ahead of ours.
	clockSkew = time.Minute
)

// highRisk are the words of food types that spoil fast. Whole words count:
// "uncooked rice" is not high-risk.
var highRisk = map[string]bool{
	"cooked": true, "dairy": true, "meat": true, "poultry": true, "seafood": true,
}

// Draft is what a donor says of the food.
type Draft struct {
	Name                string
	Description         string
	FoodType            string
	Quantity            float64
	Unit                string
	Hygiene             json.RawMessage // an object, its JSON text, or nil
	PreparationTime     time.Time       // zero: now
	ExpiryTime          time.Time
	Latitude            float64
	Longitude           float64
	Address             string
	SpecialInstructions string
	ImageURLs           []string
	DonorName           string // empty: the account's display name
}

// HighRisk says whether a food type spoils fast.
func HighRisk(foodType string) bool {
	words := strings.FieldsFunc(strings.ToLower(foodType), func(r rune) bool { return !unicode.IsLetter(r) })
	for _, w := range words {
		if highRisk[w] {
			return true
		}
	}
	return false
}

// LentListings is how many listings that nobody has claimed may have earned their
// donor karma, which is lent until something comes of them (ADR 0015). More earn it
// when they are claimed: else listing what nobody can have would be a way to the top.
const LentListings = 20

// New lists a donation: draft by donor at now under the given id. The donor has
// listed so many already that nobody has claimed. A refusal for a bad draft names
// every fault.
func New(id string, draft Draft, donor account.Account, listed int, now time.Time) (Outcome, error) {
	if donor.Role != account.Donor && donor.Role != account.Admin {
		return Outcome{}, refuse(CodeWrongRole, fmt.Sprintf("%s can't create a donation", donor.Role))
	}
	if !donor.Active {
		return Outcome{}, refuse(CodeSuspended, "Account is suspended")
	}
	hygiene, hygieneFault := ParseHygiene(draft.Hygiene)
	if draft.PreparationTime.IsZero() {
		draft.PreparationTime = now
	}
	faults := draft.faults(now)
	if hygieneFault != "" {
		faults = append(faults, hygieneFault)
	}
	if len(faults) > 0 {
		return Outcome{}, refuse(CodeValidation, faults...)
	}
	name := strings.TrimSpace(draft.DonorName)
	if name == "" {
		name = donor.DisplayName()
	}
	d := Donation{
		ID: id, Name: strings.TrimSpace(draft.Name), Description: draft.Description,
		FoodType: strings.TrimSpace(draft.FoodType), Quantity: draft.Quantity, Unit: strings.TrimSpace(draft.Unit),
		Hygiene: hygiene, PreparationTime: draft.PreparationTime, ExpiryTime: draft.ExpiryTime,
		Latitude: draft.Latitude, Longitude: draft.Longitude, Address: draft.Address,
		SpecialInstructions: draft.SpecialInstructions, ImageURLs: draft.ImageURLs,
		Status: Available, DonorID: donor.ID, DonorName: name, Version: 1, CreatedAt: now, UpdatedAt: now,
	}
	out := Outcome{
		Donation: d,
		Events:   []Event{{Type: EventCreated, By: donor.ID, ByName: donor.DisplayName(), At: now, After: d}},
	}
	if listed < LentListings {
		out.Awards = []account.Award{{AccountID: donor.ID, Reason: account.ReasonCreate}}
	}
	return out, nil
}

// faults lists what is wrong with the draft, one sentence for each, naming the
// field.
func (d Draft) faults(now time.Time) []string {
	var f []string
	for _, t := range []struct{ field, value string }{{"name", d.Name}, {"foodType", d.FoodType}, {"unit", d.Unit}} {
		if strings.TrimSpace(t.value) == "" {
			f = append(f, t.field+" must not be blank")
		}
	}
	if !(d.Quantity >= MinQuantity && d.Quantity <= MaxQuantity) { // also refuses NaN
		f = append(f, "quantity must be between 0.1 and 1000000")
	}
	if math.IsNaN(d.Latitude) || math.Abs(d.Latitude) > 90 {
		f = append(f, "latitude must be between -90 and 90")
	}
	if math.IsNaN(d.Longitude) || math.Abs(d.Longitude) > 180 {
		f = append(f, "longitude must be between -180 and 180")
	}
	if d.PreparationTime.After(now.Add(clockSkew)) {
		f = append(f, "preparationTime must not be in the future")
	}
	f = append(f, d.expiryFaults(now)...)
	if len(d.ImageURLs) > MaxImages {
		f = append(f, fmt.Sprintf("imageUrls must hold at most %d addresses", MaxImages))
	}
	for i, u := range d.ImageURLs {
		if !WebURL(u) {
			f = append(f, fmt.Sprintf("imageUrls[%d] must be an http or https address", i))
		}
	}
	return f
}

// maxLife bounds how long a listing stands: what keeps for years can be listed again.
const maxLife = 366 * 24 * time.Hour

func (d Draft) expiryFaults(now time.Time) []string {
	switch {
	case !d.ExpiryTime.After(now):
		return []string{"expiryTime must be in the future"}
	case !d.ExpiryTime.After(d.PreparationTime):
		return []string{"expiryTime must be after preparationTime"}
	case d.ExpiryTime.Sub(now) > maxLife:
		return []string{"expiryTime must be within a year"}
	case HighRisk(d.FoodType) && d.ExpiryTime.Sub(now) < HighRiskWindow:
		return []string{"expiryTime must be at least 2 hours away for high-risk food"}
	}
	return nil
}

// WebURL says whether s is an http or https address of a bearable length.
func WebURL(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && len(s) <= 2048
}

// ParseHygiene takes an object or its JSON text and returns the object, compact, or
// what is wrong with it.
func ParseHygiene(raw json.RawMessage) (object json.RawMessage, fault string) {
	const noObject = "hygiene must be an object, or its JSON text, of at most 4 KiB"
	raw = bytes.TrimSpace(raw)
	if len(raw) > 0 && raw[0] == '"' {
		var text string
		if err := json.Unmarshal(raw, &text); err != nil {
			return nil, noObject
		}
		raw = bytes.TrimSpace([]byte(text))
	}
	if len(raw) == 0 || string(raw) == "null" {
		return nil, ""
	}
	var out bytes.Buffer
	if raw[0] != '{' || !utf8.Valid(raw) || json.Compact(&out, raw) != nil || out.Len() > MaxHygieneBytes {
		return nil, noObject
	}
	return out.Bytes(), ""
}
