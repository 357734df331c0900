package api_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"larder/api"
)

var update = flag.Bool("update", false, "write the goldens of testdata anew")

var (
	at       = api.At(time.Date(2026, 11, 2, 9, 30, 0, 123e6, time.UTC))
	position = "abcdefgh2345-000000000042b"
	id       = "01935f6e-0000-7000-8000-000000000001"
	other    = "01935f6e-0000-7000-8000-000000000002"
)

// samples hold every exported struct, with all fields set, and again bare where
// null, empty and absent differ. The key is the type's name, then a dot and what
// is special.
var samples = map[string]any{
	"AdminUser":             api.AdminUser{ID: id, Email: "a@b.c", Role: "NGO", IsVerified: true, IsActive: true, Name: "Ann", OrganizationName: new("Kitchen"), CreatedAt: at},
	"Badge":                 api.Badge{ID: "1", Name: "Newcomer", Icon: "🌱", Description: "First steps", Earned: true, Requirement: 10},
	"Cause":                 api.Cause{Pattern: "feed.resume", Data: json.RawMessage(`{"after":1}`)},
	"ClaimRequest":          api.ClaimRequest{EstimatedPickupTime: "2026-11-02T10:00:00Z"},
	"ClaimRequest.bare":     api.ClaimRequest{},
	"ConnectErrorData":      api.ConnectErrorData{Code: api.CodeRateLimited, Retry: true, RetryAfterMs: 2000},
	"ConnectErrorData.bare": api.ConnectErrorData{Code: api.CodeTokenInvalid},
	"Delivery":              api.Delivery{Donation: donation, KarmaAwarded: new(50), DonorKarmaAwarded: new(0)},
	"Delivery.bare":         api.Delivery{Donation: api.Donation{ImageURLs: []string{}, Hygiene: json.RawMessage("null")}},
	"Donation":              donation,
	"Donation.bare":         api.Donation{ImageURLs: []string{}, Hygiene: json.RawMessage("null")},
	"DonationClaimed":       api.DonationClaimed{DonationID: id, ClaimedBy: other, Status: "CLAIMED", ClaimedAt: at, Version: 2, Position: position},
	"DonationClaimed.log":   api.DonationClaimed{DonationID: id, ClaimedBy: other, Status: "CLAIMED", ClaimedAt: at, Version: 2},
	"DonationCreated": api.DonationCreated{
		ID: id, Name: "Rolls <fresh>", FoodType: "bakery", Quantity: "12.5", Unit: "kg", Description: new("Half is rye"), Location: location,
		DonorName: "Ann", ExpiryTime: at, ImageURLs: []string{"https://example.org/a.png?x=1&y=2"}, CreatedAt: at, DonorID: other,
		Latitude: 51.5, Longitude: -0.1, Status: "AVAILABLE", Version: 1, Position: position,
	},
	"DonationCreated.bare": api.DonationCreated{ImageURLs: []string{}},
	"DonationDraft": api.DonationDraft{
		Name: "Rolls", FoodType: "bakery", Quantity: 12.5, Unit: "kg", Latitude: 51.5, Longitude: -0.1, PreparationTime: "2026-11-02",
		ExpiryTime: "2026-11-03", Description: "d", Address: "a", SpecialInstructions: "s", Hygiene: json.RawMessage(`{"gloves":true}`),
		ImageURLs: []string{"https://example.org/a"}, DonorName: "Ann", DonorID: "ignored", DonorTrustScore: json.RawMessage(`4.5`),
	},
	"DonationDraft.bare":     api.DonationDraft{},
	"DonationNearExpiry":     api.DonationNearExpiry{DonationID: id, ExpiryTime: at, Position: position},
	"DonationNearExpiry.log": api.DonationNearExpiry{DonationID: id, ExpiryTime: at},
	"DonationStatusUpdated": api.DonationStatusUpdated{
		DonationID: id, Status: "CANCELLED", PreviousStatus: "CLAIMED", UpdatedBy: other, UpdatedAt: at, Reason: new("spoiled"), Version: 3, Position: position,
	},
	"DonationStatusUpdated.bare": api.DonationStatusUpdated{UpdatedBy: "system"},
	"Envelope":                   api.Envelope[api.Session]{Success: true, Data: api.Session{Token: "x.y.z", User: user}, Message: "Welcome"},
	"Envelope.bare":              api.Envelope[[]int]{Data: []int{}},
	"Error":                      *api.NewError(404, api.CodeDonationNotFound, "Donation not found"),
	"Error.pointer":              api.NewError(404, api.CodeDonationNotFound, "Donation not found"),
	"Error.validation":           api.NewError(400, api.CodeValidation, "name must not be blank"),
	"Exception":                  api.Exception{Status: "error", Message: "No", Code: api.CodeRateLimited, Cause: api.Cause{Pattern: "x", Data: json.RawMessage("null")}, RetryAfterMs: 20},
	"Exception.bare":             api.Exception{Status: "error", Message: "No", Code: api.CodeBadRequest, Cause: api.Cause{Pattern: "x", Data: json.RawMessage("null")}},
	"FeedReady":                  api.FeedReady{Position: position, Recovered: true, User: api.FeedUser{ID: id, Role: "NGO"}},
	"FeedReady.reason":           api.FeedReady{Position: position, Reason: "window", User: api.FeedUser{ID: id, Role: "NGO"}},
	"FeedArea":                   api.FeedArea{Lat: new(50.1), Lng: new(14.4), RadiusKm: new(5.0)},
	"FeedSubscribe":              api.FeedSubscribe{Area: &api.FeedArea{Lat: new(50.1), Lng: new(14.4), RadiusKm: new(5.0)}, Statuses: []string{"CLAIMED"}, FoodTypes: []string{"bread"}},
	"FeedSubscribe.whole":        api.FeedSubscribe{},
	"FeedSubscribed":             api.FeedSubscribed{Position: position, Items: []api.Donation{donation}, More: true},
	"FeedPosition":               api.FeedPosition{Position: position},
	"FeedEntered":                api.FeedEntered{Donation: json.RawMessage(`{"id":"x"}`), Event: api.EventDonationClaimed, Version: 2, Position: position},
	"FeedLeft":                   api.FeedLeft{DonationID: id, Status: "CLAIMED", PreviousStatus: "AVAILABLE", Event: api.EventDonationClaimed, Version: 2, Position: position},
	"FeedResume":                 api.FeedResume{After: position},
	"FeedResumed": api.FeedResumed{
		Position: position, Recovered: true, More: true,
		Events: []api.LoggedEvent{{Position: position, Event: "donation.claimed", At: at, Data: json.RawMessage(`{"a":1}`)}},
	},
	"FeedResumed.gap": api.FeedResumed{Position: position, Reason: "epoch", Events: []api.LoggedEvent{}},
	"FeedUser":        api.FeedUser{ID: id, Role: "DONOR"},
	"Frame":           api.Frame{Event: "test", Data: json.RawMessage(`{"a":"<"}`), ID: json.RawMessage(`7`)},
	"Frame.bare":      api.Frame{},
	"Health":          api.Health{Status: "DOWN", Timestamp: at, Checks: map[string]string{"store": "unavailable", "log": "ok"}},
	"Health.bare":     api.Health{Status: "OK", Timestamp: at},
	"Location":        location,
	"LoggedEvent":     api.LoggedEvent{Position: position, Event: "donation.created", At: at, Data: json.RawMessage(`{}`)},
	"Login":           api.Login{Email: "a@b.c", Password: "secret"},
	"Notification": api.Notification{
		ID: id, UserID: new(other), Title: "Your food was claimed", Message: "Kitchen has claimed Rolls (12.5 kg).", Type: "food_claimed", Read: true,
		CreatedAt: at, DonationID: new(other), Position: position,
	},
	"Notification.bare": api.Notification{Type: "new_food_nearby", CreatedAt: at},
	"PendingNGO": api.PendingNGO{
		ID: id, Email: "a@b.c", Name: "Ann", OrganizationName: new("Kitchen"), Phone: new("1"), Address: new("here"),
		CertificateURL: new("https://example.org/c.pdf"), CreatedAt: at,
	},
	"PendingNGO.bare": api.PendingNGO{},
	"AuthExpiring":    api.AuthExpiring{ExpiresAt: at},
	"AuthRefresh":     api.AuthRefresh{Token: "a.b.c"},
	"Pong":            api.Pong{Message: "Pong!", Timestamp: at},
	"Problem":         api.NewError(400, api.CodeValidation, "a", "b").Problem(),
	"Problem.bare":    api.NewError(403, api.CodeNotYours, "a").Problem(),
	"Profile": api.Profile{
		User: user, OrganizationName: new("Kitchen"), OrganizationType: new("shelter"), Phone: new("1"), Address: new("here"),
		Latitude: new(51.5), Longitude: new(-0.1), IsActive: true, DailyIntakeCapacity: new(20.0), CurrentIntakeLoad: 5, CapacityUnit: new("kg"),
		CertificateURL: new("https://example.org/c.pdf"),
		VehicleType:    new("van"), VehicleNumber: new("7"), IsAvailable: true, TrustScore: 4.5, KarmaPoints: 60,
		Badges: []string{"🌱 Newcomer"}, BadgeCatalog: []api.Badge{{ID: "1"}}, Level: 1, NextLevelPoints: 40,
		ImpactStats: api.ImpactStats{TotalDonations: 9, MealsProvided: 29, KgSaved: 12.3, Estimated: true, FactorSet: "uk-1"}, CreatedAt: at, UpdatedAt: at,
	},
	"Profile.bare": api.Profile{Badges: []string{}, BadgeCatalog: []api.Badge{}},
	"ProfileUpdate": api.ProfileUpdate{
		Name: new("Ann"), Phone: new(""), OrganizationName: new("Kitchen"), OrganizationType: new("shelter"), Address: new("here"),
		Latitude: api.Given(new(0.0)), Longitude: api.Given(new(1.0)), DailyIntakeCapacity: api.Given(new(0.0)), CapacityUnit: new("kg"), VehicleType: new("van"),
		VehicleNumber: new("7"), IsAvailable: new(false),
	},
	"ProfileUpdate.bare": api.ProfileUpdate{},
	"ProfileUpdate.null": api.ProfileUpdate{
		Latitude: api.Given[float64](nil), Longitude: api.Given[float64](nil), DailyIntakeCapacity: api.Given[float64](nil),
	},
	"Nullable":          api.Given(new(1.5)),
	"Nullable.null":     api.Given[float64](nil),
	"AdminDonation":     api.AdminDonation{Donation: donation, Donor: api.AdminDonor{ID: id, Name: "Ann", Email: "a@b.c"}},
	"AdminDonor":        api.AdminDonor{ID: id, Name: "Ann", Email: "a@b.c", OrganizationName: new("Kitchen")},
	"AdminDonor.bare":   api.AdminDonor{},
	"AdminFlagRequest":  api.AdminFlagRequest{DonationID: id, Reason: "It smells."},
	"AdminNotification": api.AdminNotification{ID: "open-tickets", Type: "support_ticket", Title: "1 open", Message: "m", Priority: "medium", CreatedAt: at},
	"AverageScore":      api.AverageScore{AverageScore: 4.3, TotalReviews: 3},
	"Feedback":          feedback,
	"Feedback.bare":     api.Feedback{},
	"FeedbackRequest":   api.FeedbackRequest{DonationID: id, Rating: 5, Comment: "Good <bread>"},
	"Flag": api.Flag{
		ID: id, DonationID: other, DonationName: "Rolls", ReportedByUserID: id, ReportedByEmail: "a@b.c", Reason: "It smells.",
		Status: "APPROVED", AdminNote: new("It does."), CreatedAt: at, UpdatedAt: at,
	},
	"Flag.bare":       api.Flag{},
	"FlagRequest":     api.FlagRequest{Reason: "It smells."},
	"FlagUpdate":      api.FlagUpdate{Status: "REJECTED", AdminNote: new("It does not.")},
	"FlagUpdate.bare": api.FlagUpdate{Status: "REJECTED"},
	"Review":          api.Review{Feedback: feedback, NGO: api.Reviewer{ID: other, Name: "Ann"}},
	"Reviewer":        api.Reviewer{ID: other, Name: "Ann", OrganizationName: new("Kitchen")},
	"Reviewer.bare":   api.Reviewer{},
	"Ticket": api.Ticket{
		ID: id, UserID: other, UserEmail: "a@b.c", UserName: "Ann", Subject: "Help", Description: "My bike broke", Status: "RESOLVED",
		Priority: "HIGH", AdminNote: new("Take ours."), CreatedAt: at, UpdatedAt: at,
	},
	"Ticket.bare":        api.Ticket{},
	"TicketRequest":      api.TicketRequest{Subject: "Help", Description: "My bike broke", Priority: "HIGH"},
	"TicketUpdate":       api.TicketUpdate{Status: "RESOLVED", AdminNote: new("Take ours.")},
	"TicketUpdate.bare":  api.TicketUpdate{},
	"ReasonRequest":      api.ReasonRequest{Reason: "spoiled"},
	"ReasonRequest.bare": api.ReasonRequest{},
	"VolunteerAssigned": api.VolunteerAssigned{
		VolunteerID: id, DonationID: other, DonationName: "Rolls", DonorAddress: "1 High St", NGOName: "Kitchen", ID: id, CreatedAt: at, Position: position,
	},
	"VolunteerAssigned.log": api.VolunteerAssigned{CreatedAt: at},
	"Success":               api.Success{Success: true},
	"Trip":                  api.Trip{Donation: donation, Donor: api.TripDonor{ID: id, Name: "Ann"}},
	"TripDonor":             api.TripDonor{ID: id, Name: "Ann", OrganizationName: new("Bakery"), Phone: new("1"), Address: new("here")},
	"TripDonor.bare":        api.TripDonor{ID: id, Name: "Ann"},
	"Registration": api.Registration{
		Email: "a@b.c", Password: "secret", Name: "Ann", Role: "NGO", Phone: "1", OrganizationName: "Kitchen", OrganizationType: "shelter", Address: "here",
		CertificateURL: "https://example.org/c.pdf",
	},
	"Registration.bare": api.Registration{},
	"ShareLocation":     api.ShareLocation{DonationID: "d1", VolunteerID: "v1", Lat: new(38.7), Lng: new(-9.1)},
	"Shared":            api.Shared{OK: true},
	"VolunteerLocation": api.VolunteerLocation{VolunteerID: "v1", DonationID: "d1", Lat: 38.7, Lng: -9.1, Timestamp: at},
	"ServerDraining":    api.ServerDraining{ReconnectInMs: 1500},
	"Session":           api.Session{Token: "x.y.z", User: user},
	"StatusRequest":     api.StatusRequest{Status: "DELIVERED", Reason: "done"},
	"Time":              at,
	"Toggled":           api.Toggled{Message: "Done", IsActive: true},
	"User":              user,
	"Verified":          api.Verified{Message: "Done", User: user},

	"CommunityStats": api.CommunityStats{
		TotalDonations: 9, DeliveredDonations: 5, ActiveDonations: 3, MealsProvided: 29, KgRescued: 12.3, CO2Saved: 19.7, TotalDonors: 2,
		TotalNGOs: 1, TotalVolunteers: 4, KgEstimated: 2.1, UncountedDonations: 1, FactorSet: "uk-1",
	},
	"CommunityStats.bare": api.CommunityStats{},
	"ImpactStats":         api.ImpactStats{TotalDonations: 9, MealsProvided: 29, KgSaved: 12.3, Estimated: true, FactorSet: "uk-1"},
	"Leader":              api.Leader{ID: id, Name: "Ann", Role: "Donor", Score: 60},
	"MonthStats":          api.MonthStats{Label: "Jun", Total: 4, Delivered: 1, Claimed: 3, Meals: 29},
}

var (
	user     = api.User{ID: id, Email: "ann@example.org", Name: "Ann", Role: "DONOR", IsVerified: true}
	feedback = api.Feedback{ID: id, Rating: 5, Comment: new("Good <bread>"), DonationID: id, NGOID: other, CreatedAt: at}
	location = api.Location{Lat: 51.5, Lng: -0.1, Address: "1 High St"}
	donation = api.Donation{
		ID: id, Name: "Rolls <fresh> & more", Description: new("Half is rye"), FoodType: "bakery", Quantity: 12.5, Unit: "kg",
		Hygiene: json.RawMessage(`{"gloves":true}`), PreparationTime: at, ExpiryTime: at, Latitude: 51.5, Longitude: -0.1, Address: new("1 High St"),
		Location: location, SpecialInstructions: new("Ring"), ImageURLs: []string{"https://example.org/a"}, Status: "DELIVERED", DonorID: id,
		DonorName: "Ann", DonorTrustScore: new(4.5), ClaimedByID: new(other), ClaimedAt: &at, EstimatedPickupTime: &at,
		AssignedVolunteerID: new("v1"), VolunteerID: new("v2"), PickedUpAt: &at, PickedUpBy: new("v2"), DeliveredAt: &at, DeliveredBy: new("v2"),
		CancelReason: new("none"), Version: 4, CreatedAt: at, UpdatedAt: at, Distance: new(1.25),
	}
)

// TestGoldens fixes the exact form of everything in this package. A golden that
// changes breaks clients: add fields, never change any.
func TestGoldens(t *testing.T) {
	for name, sample := range samples {
		t.Run(name, func(t *testing.T) {
			var buf bytes.Buffer
			if err := json.Indent(&buf, []byte(encode(t, sample)), "", "  "); err != nil {
				t.Fatal(err)
			}
			got := buf.String() + "\n"
			path := filepath.Join("testdata", name+".json")
			if *update {
				if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatalf("%v: go test -update writes it", err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Fatalf("golden (-want +got):\n%s", diff)
			}
			// What is read from the golden writes the same again, and knows every field.
			typ := reflect.TypeOf(sample)
			if typ.Kind() == reflect.Pointer {
				typ = typ.Elem()
			}
			back := reflect.New(typ)
			dec := json.NewDecoder(bytes.NewReader(want))
			dec.DisallowUnknownFields()
			if err := dec.Decode(back.Interface()); err != nil {
				t.Fatalf("read the golden: %v", err)
			}
			var plain any = back.Elem().Interface()
			if reflect.TypeOf(sample).Kind() == reflect.Pointer {
				plain = back.Interface()
			}
			if got := encode(t, plain); got != encode(t, sample) {
				t.Errorf("read and written again:\n got %s\nwant %s", got, encode(t, sample))
			}
		})
	}
}

func TestEveryStructHasAGolden(t *testing.T) {
	sampled := map[string]bool{}
	for name := range samples {
		typ, _, _ := strings.Cut(name, ".")
		sampled[typ] = true
	}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	structs := 0
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for n := range ast.Preorder(file) {
			spec, ok := n.(*ast.TypeSpec)
			if !ok || !spec.Name.IsExported() {
				continue
			}
			if _, ok := spec.Type.(*ast.StructType); !ok {
				continue
			}
			structs++
			if !sampled[spec.Name.Name] {
				t.Errorf("%s: struct %s has no sample in golden_test.go", name, spec.Name.Name)
			}
		}
	}
	if structs < 20 {
		t.Errorf("found %d exported structs only", structs)
	}
	goldens, err := filepath.Glob("testdata/*.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range goldens {
		if name := strings.TrimSuffix(filepath.Base(g), ".json"); samples[name] == nil {
			t.Errorf("%s belongs to no sample", g)
		}
	}
}

// TestFullSamplesAreFull catches a field that was added to a type and not to its
// sample.
func TestFullSamplesAreFull(t *testing.T) {
	for name, sample := range samples {
		v := reflect.ValueOf(sample)
		if strings.Contains(name, ".") || v.Kind() != reflect.Struct || name == "Time" || name == "Verified" {
			continue
		}
		for i := range v.NumField() {
			if f := v.Type().Field(i); v.Field(i).IsZero() && f.Name != "Reason" {
				t.Errorf("sample %s: field %s is not set", name, f.Name)
			}
		}
	}
}
