package donation_test

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"larder/internal/account"
	"larder/internal/donation"
)

// The people of the tests, by the names that the matrix gives them.
var actors = map[string]account.Actor{
	"donor-own":                   {ID: "donor", Role: account.Donor, Verified: true, Active: true},
	"donor-own-suspended":         {ID: "donor", Role: account.Donor, Verified: true},
	"donor-other":                 {ID: "donor-other", Role: account.Donor, Verified: true, Active: true},
	"ngo-claimer":                 {ID: "ngo", Role: account.NGO, Verified: true, Active: true},
	"ngo-claimer-unverified":      {ID: "ngo", Role: account.NGO, Active: true},
	"ngo-claimer-suspended":       {ID: "ngo", Role: account.NGO, Verified: true},
	"ngo-other":                   {ID: "ngo-other", Role: account.NGO, Verified: true, Active: true},
	"ngo-other-unverified":        {ID: "ngo-other", Role: account.NGO, Active: true},
	"ngo-other-suspended":         {ID: "ngo-other", Role: account.NGO, Verified: true},
	"volunteer-carrier":           {ID: "volunteer", Role: account.Volunteer, Verified: true, Active: true},
	"volunteer-carrier-suspended": {ID: "volunteer", Role: account.Volunteer, Verified: true},
	"volunteer-other":             {ID: "volunteer-other", Role: account.Volunteer, Verified: true, Active: true},
	"admin":                       {ID: "admin", Role: account.Admin, Verified: true, Active: true},
	"admin-suspended":             {ID: "admin", Role: account.Admin, Verified: true},
	"system":                      account.SystemActor(),
}

var (
	created = time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)
	expires = created.Add(8 * time.Hour)
	early   = created.Add(time.Hour) // before the expiry
)

// listed is a donation that was just listed.
func listed(t *testing.T) donation.Donation {
	t.Helper()
	out, err := donation.New("d1", goodDraft(), goodDonor(), 0, created)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	return out.Donation
}

func goodDonor() account.Account {
	return account.Account{ID: "donor", Role: account.Donor, Verified: true, Active: true, Name: "Ann", OrganizationName: "Ann's Bakery"}
}

func goodDraft() donation.Draft {
	return donation.Draft{
		Name: "Rolls", FoodType: "bakery", Quantity: 12, Unit: "kg", Latitude: 51.5, Longitude: -0.1,
		PreparationTime: created.Add(-time.Hour), ExpiryTime: expires,
	}
}

// after runs accepted commands one after another.
func after(t *testing.T, d donation.Donation, now time.Time, steps ...donation.Command) donation.Donation {
	t.Helper()
	for _, c := range steps {
		out, err := d.Decide(c, now)
		if err != nil {
			t.Fatalf("%s by %s from %s: %v", c.Action, c.By.ID, d.Status, err)
		}
		d = out.Donation
	}
	return d
}

// by is a command with everything that it needs to be accepted.
func by(actor string, action donation.Action) donation.Command {
	who, ok := actors[actor]
	if !ok {
		panic("no actor " + actor)
	}
	return donation.Command{Action: action, By: who, Reason: "a reason"}
}

func refusalOf(t *testing.T, err error) *donation.Refusal {
	t.Helper()
	r, ok := errors.AsType[*donation.Refusal](err)
	if !ok {
		t.Fatalf("got error %v, want a refusal", err)
	}
	return r
}

func TestTransitionRefusalSaysWhatIsAllowed(t *testing.T) {
	for name, tc := range map[string]struct {
		state  string
		actor  string
		action donation.Action
		want   string
	}{
		"release before the claim":  {"A", "admin", donation.Release, "Donation is AVAILABLE and can't become AVAILABLE; from AVAILABLE it can become CANCELLED, CLAIMED, EXPIRED"},
		"pick up before the claim":  {"A", "volunteer-other", donation.PickUp, "Donation is AVAILABLE and can't become PICKED_UP; from AVAILABLE it can become CANCELLED, CLAIMED, EXPIRED"},
		"deliver before pick-up":    {"C", "ngo-claimer", donation.Deliver, "Donation is CLAIMED and can't become DELIVERED; from CLAIMED it can become AVAILABLE, CANCELLED, EXPIRED, PICKED_UP"},
		"release after pick-up":     {"P-vol", "ngo-claimer", donation.Release, "Donation is PICKED_UP and can't become AVAILABLE; from PICKED_UP it can become DELIVERED"},
		"cancel after pick-up":      {"P-vol", "donor-own", donation.Cancel, "Donation is PICKED_UP and can't become CANCELLED; from PICKED_UP it can become DELIVERED"},
		"a second carrier":          {"P-vol", "volunteer-other", donation.PickUp, "Donation is PICKED_UP: another carrier already has it; from PICKED_UP it can become DELIVERED"},
		"cancel after delivery":     {"D-vol", "donor-own", donation.Cancel, "Donation is DELIVERED and can't become CANCELLED; DELIVERED is final"},
		"cancel when it is overdue": {"A-late", "donor-own", donation.Cancel, "Donation is EXPIRED and can't become CANCELLED; EXPIRED is final"},
		"cancel again":              {"X", "donor-own", donation.Cancel, "Donation is CANCELLED and can't become CANCELLED; CANCELLED is final"},
		"expire what was picked up": {"P-vol", "system", donation.Expire, "Donation is PICKED_UP and can't become EXPIRED; from PICKED_UP it can become DELIVERED"},
	} {
		t.Run(name, func(t *testing.T) {
			s := states(t)[tc.state]
			_, err := s.donation.Decide(by(tc.actor, tc.action), s.now)
			r := refusalOf(t, err)
			if r.Code != donation.CodeInvalidTransition || r.Error() != tc.want {
				t.Errorf("got %s %q\nwant %s %q", r.Code, r.Error(), donation.CodeInvalidTransition, tc.want)
			}
		})
	}
}

func TestClaimNeedsRoom(t *testing.T) {
	for name, tc := range map[string]struct {
		intake   account.Intake
		wantCode donation.Code
		wantText string
	}{
		"no limit":        {account.Intake{}, "", ""},
		"exactly":         {account.Intake{Capacity: new(20.0), Unit: "kg", Load: 8}, "", ""},
		"too much":        {account.Intake{Capacity: new(20.0), Unit: "kg", Load: 8.5}, donation.CodeOverCapacity, "Donation of 12 kg exceeds today's remaining capacity of 11.5"},
		"more than full":  {account.Intake{Capacity: new(20.0), Unit: "kg", Load: 30}, donation.CodeOverCapacity, "Donation of 12 kg exceeds today's remaining capacity of 0"},
		"rounding noise":  {account.Intake{Capacity: new(12.3), Unit: "kg", Load: 0.1 + 0.2}, "", ""},
		"readable number": {account.Intake{Capacity: new(0.3), Unit: "kg", Load: 0.1}, donation.CodeOverCapacity, "Donation of 12 kg exceeds today's remaining capacity of 0.2"},
		"takes nothing":   {account.Intake{Capacity: new(0.0), Unit: "kg"}, donation.CodeOverCapacity, "Donation of 12 kg exceeds today's remaining capacity of 0"},
		"another unit":    {account.Intake{Capacity: new(20.0), Unit: "meals"}, donation.CodeUnitMismatch, "Donation is in kg, the NGO's capacity is in meals"},
	} {
		t.Run(name, func(t *testing.T) {
			c := by("ngo-claimer", donation.Claim)
			c.Intake = tc.intake
			_, err := listed(t).Decide(c, early)
			if tc.wantCode == "" {
				if err != nil {
					t.Fatalf("claim: got %v, want none", err)
				}
				return
			}
			if r := refusalOf(t, err); r.Code != tc.wantCode || r.Error() != tc.wantText {
				t.Errorf("got %s %q\nwant %s %q", r.Code, r.Error(), tc.wantCode, tc.wantText)
			}
		})
	}
	t.Run("large quantity reads well", func(t *testing.T) {
		d := listed(t)
		d.Quantity = donation.MaxQuantity
		c := by("ngo-claimer", donation.Claim)
		c.Intake = account.Intake{Capacity: new(999_999.5), Unit: "kg"}
		_, err := d.Decide(c, early)
		if want := "Donation of 1000000 kg exceeds today's remaining capacity of 999999.5"; refusalOf(t, err).Error() != want {
			t.Errorf("got %q, want %q", err, want)
		}
	})
	t.Run("the state comes first", func(t *testing.T) {
		c := by("ngo-other", donation.Claim)
		c.Intake = account.Intake{Capacity: new(1.0), Unit: "meals"}
		_, err := after(t, listed(t), early, by("ngo-claimer", donation.Claim)).Decide(c, early)
		if r := refusalOf(t, err); r.Code != donation.CodeNotAvailable {
			t.Errorf("got %s, want %s", r.Code, donation.CodeNotAvailable)
		}
	})
}

func TestCancelNeedsAReason(t *testing.T) {
	for _, reason := range []string{"", " ", "\n\t"} {
		c := by("donor-own", donation.Cancel)
		c.Reason = reason
		_, err := listed(t).Decide(c, early)
		if r := refusalOf(t, err); r.Code != donation.CodeValidation || !strings.Contains(r.Error(), "reason") {
			t.Errorf("reason %q: got %s %q, want validation_failed that names the reason", reason, r.Code, r.Error())
		}
	}
}

func TestOverdueToTheMillisecond(t *testing.T) {
	for name, tc := range map[string]struct {
		now  time.Time
		want donation.Status
	}{
		"before":     {expires.Add(-time.Millisecond), donation.Available},
		"the moment": {expires, donation.Expired},
		"after":      {expires.Add(time.Millisecond), donation.Expired},
	} {
		d := listed(t)
		if got := d.StatusAt(tc.now); got != tc.want {
			t.Errorf("%s: StatusAt: got %s, want %s", name, got, tc.want)
		}
		_, err := d.Decide(by("ngo-other", donation.Claim), tc.now)
		if claimed := err == nil; claimed != (tc.want == donation.Available) {
			t.Errorf("%s: claimed: %v (%v)", name, claimed, err)
		}
		_, err = d.Decide(by("system", donation.Expire), tc.now)
		if expired := err == nil; expired != (tc.want == donation.Expired) {
			t.Errorf("%s: expired: %v (%v)", name, expired, err)
		}
	}
	for _, s := range []string{"P-vol", "D-vol", "X"} {
		st := states(t)[s]
		if got := st.donation.StatusAt(expires.AddDate(1, 0, 0)); got != st.donation.Status {
			t.Errorf("%s a year later: got %s, want %s", s, got, st.donation.Status)
		}
	}
}

func TestParty(t *testing.T) {
	d := after(t, listed(t), early,
		by("ngo-claimer", donation.Claim), by("volunteer-carrier", donation.PickUp), by("admin", donation.Deliver))
	d.AssignedVolunteerID = "proposed"
	for id, want := range map[string]bool{
		"donor": true, "ngo": true, "volunteer": true, "admin": true, "proposed": true,
		"": false, "ngo-other": false, "DONOR": false,
	} {
		if got := d.Party(id); got != want {
			t.Errorf("Party(%q): got %v, want %v", id, got, want)
		}
	}
	if listed(t).Party("") {
		t.Error("nobody is a party of an unclaimed donation, got true for the empty id")
	}
}

func TestActionFor(t *testing.T) {
	want := map[donation.Status]donation.Action{
		donation.Available: donation.Release, donation.Claimed: donation.Claim, donation.PickedUp: donation.PickUp,
		donation.Delivered: donation.Deliver, donation.Expired: donation.Expire, donation.Cancelled: donation.Cancel, "LOST": "",
	}
	for s, a := range want {
		if got := donation.ActionFor(s); got != a {
			t.Errorf("ActionFor(%s): got %q, want %q", s, got, a)
		}
	}
	for _, s := range donation.Statuses() {
		if donation.ActionFor(s) == "" {
			t.Errorf("no action leads to %s", s)
		}
	}
	_, err := listed(t).Decide(by("admin", ""), early)
	refusalOf(t, err) // no action at all is refused like any other
}

func TestHighRisk(t *testing.T) {
	for foodType, want := range map[string]bool{
		"cooked": true, "Cooked Rice": true, "COOKED": true, "dairy": true, "Meat": true, "poultry": true, "seafood": true,
		"rice, cooked": true, "pre-cooked meal": true, "meat/fish": true, "cooked_meal": true, "1cooked2": true, "hot,MEAT": true,
		"uncooked rice": false, "precooked": false, "meatless": false, "sea-food": false, "sea food": false, "bakery": false,
		"vegetables": false, "": false, "nondairy": false, "çooked": false, "meatš": false,
		// Whole words, whatever stands before them: better careful than sorry.
		"non-dairy": true,
	} {
		if got := donation.HighRisk(foodType); got != want {
			t.Errorf("HighRisk(%q): got %v, want %v", foodType, got, want)
		}
	}
}

func TestNew(t *testing.T) {
	long := "https://example.org/" + strings.Repeat("a", 2048)
	images := func(u ...string) func(*donation.Draft) { return func(d *donation.Draft) { d.ImageURLs = u } }
	hygiene := func(s string) func(*donation.Draft) { return func(d *donation.Draft) { d.Hygiene = []byte(s) } }
	left := func(foodType string, by time.Duration) func(*donation.Draft) {
		return func(d *donation.Draft) { d.FoodType, d.ExpiryTime = foodType, created.Add(by) }
	}
	for name, tc := range map[string]struct {
		change func(*donation.Draft)
		want   string // beginning of the only fault, which names the field; empty for none
	}{
		"good":                        {func(*donation.Draft) {}, ""},
		"name blank":                  {func(d *donation.Draft) { d.Name = " \t" }, "name must"},
		"foodType blank":              {func(d *donation.Draft) { d.FoodType = "" }, "foodType must"},
		"unit blank":                  {func(d *donation.Draft) { d.Unit = "\n" }, "unit must"},
		"quantity smallest":           {func(d *donation.Draft) { d.Quantity = 0.1 }, ""},
		"quantity below":              {func(d *donation.Draft) { d.Quantity = 0.0999 }, "quantity must"},
		"quantity zero":               {func(d *donation.Draft) { d.Quantity = 0 }, "quantity must"},
		"quantity negative":           {func(d *donation.Draft) { d.Quantity = -1 }, "quantity must"},
		"quantity largest":            {func(d *donation.Draft) { d.Quantity = 1e6 }, ""},
		"quantity above":              {func(d *donation.Draft) { d.Quantity = 1e6 + 0.1 }, "quantity must"},
		"quantity NaN":                {func(d *donation.Draft) { d.Quantity = math.NaN() }, "quantity must"},
		"quantity infinite":           {func(d *donation.Draft) { d.Quantity = math.Inf(1) }, "quantity must"},
		"latitude north pole":         {func(d *donation.Draft) { d.Latitude = 90 }, ""},
		"latitude south pole":         {func(d *donation.Draft) { d.Latitude = -90 }, ""},
		"latitude beyond":             {func(d *donation.Draft) { d.Latitude = 90.0001 }, "latitude must"},
		"latitude NaN":                {func(d *donation.Draft) { d.Latitude = math.NaN() }, "latitude must"},
		"latitude infinite":           {func(d *donation.Draft) { d.Latitude = math.Inf(-1) }, "latitude must"},
		"longitude east":              {func(d *donation.Draft) { d.Longitude = 180 }, ""},
		"longitude west":              {func(d *donation.Draft) { d.Longitude = -180 }, ""},
		"longitude beyond":            {func(d *donation.Draft) { d.Longitude = -180.0001 }, "longitude must"},
		"longitude NaN":               {func(d *donation.Draft) { d.Longitude = math.NaN() }, "longitude must"},
		"longitude infinite":          {func(d *donation.Draft) { d.Longitude = math.Inf(1) }, "longitude must"},
		"preparation absent":          {func(d *donation.Draft) { d.PreparationTime = time.Time{} }, ""},
		"preparation now":             {func(d *donation.Draft) { d.PreparationTime = created }, ""},
		"preparation by a fast clock": {func(d *donation.Draft) { d.PreparationTime = created.Add(time.Minute) }, ""},
		"preparation in the future":   {func(d *donation.Draft) { d.PreparationTime = created.Add(time.Minute + time.Millisecond) }, "preparationTime must"},
		"expiry absent":               {func(d *donation.Draft) { d.ExpiryTime = time.Time{} }, "expiryTime must"},
		"expiry now":                  {func(d *donation.Draft) { d.ExpiryTime = created }, "expiryTime must"},
		"expiry a moment away":        {func(d *donation.Draft) { d.ExpiryTime = created.Add(time.Millisecond) }, ""},
		"expiry at preparation": {func(d *donation.Draft) {
			d.ExpiryTime, d.PreparationTime = created.Add(time.Second), created.Add(time.Second)
		}, "expiryTime must be after preparationTime"},
		"expiry in a year":                  {func(d *donation.Draft) { d.ExpiryTime = created.Add(366 * 24 * time.Hour) }, ""},
		"expiry later than that":            {func(d *donation.Draft) { d.ExpiryTime = created.Add(366*24*time.Hour + 1) }, "expiryTime must be within a year"},
		"high risk, two hours left":         {left("Cooked Rice", 2*time.Hour), ""},
		"high risk, less":                   {left("Cooked Rice", 2*time.Hour-time.Millisecond), "expiryTime must be at least 2 hours"},
		"low risk, less":                    {left("uncooked rice", time.Hour), ""},
		"hygiene object":                    {hygiene(`{"gloves": true}`), ""},
		"hygiene as its text":               {hygiene(`"{\"gloves\": true}"`), ""},
		"hygiene null":                      {hygiene(`null`), ""},
		"hygiene empty text":                {hygiene(`""`), ""},
		"hygiene null as text":              {hygiene(`"null"`), ""},
		"hygiene nothing":                   {hygiene(``), ""},
		"hygiene a list":                    {hygiene(`[1]`), "hygiene must"},
		"hygiene a number":                  {hygiene(`7`), "hygiene must"},
		"hygiene a word":                    {hygiene(`"clean"`), "hygiene must"},
		"hygiene text of text":              {hygiene(`"\"{}\""`), "hygiene must"},
		"hygiene half an object":            {hygiene(`{"a":`), "hygiene must"},
		"hygiene half a text":               {hygiene(`"{}`), "hygiene must"},
		"hygiene two objects":               {hygiene(`{}{}`), "hygiene must"},
		"hygiene not UTF-8":                 {hygiene("{\"a\":\"\xff\"}"), "hygiene must"},
		"hygiene of 4 KiB":                  {hygiene(`{"a":"` + strings.Repeat("x", donation.MaxHygieneBytes-8) + `"}`), ""},
		"hygiene of 4 KiB and spaces":       {hygiene(`{"a": "` + strings.Repeat("x", donation.MaxHygieneBytes-8) + `" }`), ""},
		"hygiene larger":                    {hygiene(`{"a":"` + strings.Repeat("x", donation.MaxHygieneBytes-7) + `"}`), "hygiene must"},
		"no images":                         {images(), ""},
		"five images":                       {images("http://a", "https://b/c.png", "HTTPS://D", "http://[::1]:8080/x", "https://e?f=g#h"), ""},
		"six images":                        {images("http://a", "http://a", "http://a", "http://a", "http://a", "http://a"), "imageUrls must"},
		"image by script":                   {images("javascript:alert(1)"), "imageUrls[0] must"},
		"image by script with a host":       {images("javascript://a/%0aalert(1)"), "imageUrls[0] must"},
		"image as data":                     {images("http://a", "data:image/png;base64,AA=="), "imageUrls[1] must"},
		"image by ftp":                      {images("ftp://a/b"), "imageUrls[0] must"},
		"image without a scheme":            {images("//a/b.png"), "imageUrls[0] must"},
		"image relative":                    {images("/b.png"), "imageUrls[0] must"},
		"image without a host":              {images("https:///b.png"), "imageUrls[0] must"},
		"image opaque":                      {images("https:a"), "imageUrls[0] must"},
		"image empty":                       {images(""), "imageUrls[0] must"},
		"image with a space before it":      {images(" https://a"), "imageUrls[0] must"},
		"image with a line break":           {images("https://a/\n"), "imageUrls[0] must"},
		"image too long":                    {images(long), "imageUrls[0] must"},
		"donor's own name for it is blank":  {func(d *donation.Draft) { d.DonorName = "  " }, ""},
		"texts of any length are fine here": {func(d *donation.Draft) { d.Description = strings.Repeat("x", 10_000) }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			draft := goodDraft()
			tc.change(&draft)
			out, err := donation.New("d1", draft, goodDonor(), 0, created)
			if tc.want == "" {
				if err != nil {
					t.Fatalf("New: %v", err)
				}
				return
			}
			r := refusalOf(t, err)
			if r.Code != donation.CodeValidation || len(r.Messages) != 1 || !strings.HasPrefix(r.Messages[0], tc.want) {
				t.Errorf("got %s %q, want one fault %q…", r.Code, r.Messages, tc.want)
			}
			if out.Donation.ID != "" || out.Events != nil || out.Awards != nil {
				t.Errorf("a refused draft made %+v", out)
			}
		})
	}
}

func TestNewNamesEveryFault(t *testing.T) {
	_, err := donation.New("d1", donation.Draft{
		Quantity: math.NaN(), Latitude: 91, Longitude: 181, PreparationTime: created.Add(time.Hour),
		Hygiene: []byte(`[]`), ImageURLs: []string{"a", "https://b", "c"},
	}, goodDonor(), 0, created)
	r := refusalOf(t, err)
	fields := []string{
		"name", "foodType", "unit", "quantity", "latitude", "longitude", "preparationTime", "expiryTime",
		"imageUrls[0]", "imageUrls[2]", "hygiene",
	}
	if len(r.Messages) != len(fields) {
		t.Fatalf("got %d faults %q, want %d", len(r.Messages), r.Messages, len(fields))
	}
	for i, f := range fields {
		if !strings.HasPrefix(r.Messages[i], f+" must") {
			t.Errorf("fault %d: got %q, want one about %s", i, r.Messages[i], f)
		}
	}
}

func TestNewMakesAnAvailableDonation(t *testing.T) {
	draft := goodDraft()
	draft.Name, draft.Unit, draft.FoodType = "  Rolls ", " kg", "bakery\n"
	draft.Hygiene = []byte(`"{\"gloves\" : true}"`)
	out, err := donation.New("d1", draft, goodDonor(), 0, created)
	if err != nil {
		t.Fatal(err)
	}
	d := out.Donation
	if d.ID != "d1" || d.Status != donation.Available || d.Version != 1 || !d.CreatedAt.Equal(created) || !d.UpdatedAt.Equal(created) {
		t.Errorf("got id %q, status %s, version %d, times %v %v", d.ID, d.Status, d.Version, d.CreatedAt, d.UpdatedAt)
	}
	if d.Name != "Rolls" || d.Unit != "kg" || d.FoodType != "bakery" || d.DonorName != "Ann's Bakery" || d.DonorID != "donor" {
		t.Errorf("got name %q, unit %q, foodType %q, donor %q %q", d.Name, d.Unit, d.FoodType, d.DonorName, d.DonorID)
	}
	if string(d.Hygiene) != `{"gloves":true}` {
		t.Errorf("hygiene: got %s", d.Hygiene)
	}
	if len(out.Events) != 1 || out.Events[0].Type != donation.EventCreated || out.Events[0].By != "donor" ||
		out.Events[0].Previous != "" || out.Events[0].After.ID != "d1" || !out.Events[0].At.Equal(created) {
		t.Errorf("events: got %+v", out.Events)
	}
	if want := []account.Award{{AccountID: "donor", Reason: account.ReasonCreate}}; fmt.Sprint(out.Awards) != fmt.Sprint(want) {
		t.Errorf("awards: got %v, want %v", out.Awards, want)
	}

	draft.DonorName, draft.PreparationTime = " Stall 7 ", time.Time{}
	out, err = donation.New("d2", draft, account.Account{ID: "a", Role: account.Admin, Active: true, Name: "Root"}, 0, created)
	if err != nil || out.Donation.DonorName != "Stall 7" || !out.Donation.PreparationTime.Equal(created) {
		t.Errorf("own name and no preparation time: got %q, %v, %v", out.Donation.DonorName, out.Donation.PreparationTime, err)
	}
}

func TestWhoMayList(t *testing.T) {
	for name, tc := range map[string]struct {
		donor account.Account
		want  donation.Code
	}{
		"donor":            {account.Account{Role: account.Donor, Active: true}, ""},
		"admin":            {account.Account{Role: account.Admin, Active: true}, ""},
		"NGO":              {account.Account{Role: account.NGO, Active: true, Verified: true}, donation.CodeWrongRole},
		"volunteer":        {account.Account{Role: account.Volunteer, Active: true}, donation.CodeWrongRole},
		"system":           {account.Account{Role: account.System, Active: true}, donation.CodeWrongRole},
		"suspended donor":  {account.Account{Role: account.Donor}, donation.CodeSuspended},
		"nobody":           {account.Account{Active: true}, donation.CodeWrongRole},
		"suspended no one": {account.Account{}, donation.CodeWrongRole},
	} {
		t.Run(name, func(t *testing.T) {
			// Rights come before the draft: who has none learns nothing of its faults.
			for _, draft := range []donation.Draft{goodDraft(), {}} {
				_, err := donation.New("d1", draft, tc.donor, 0, created)
				want := tc.want
				if want == "" && draft.Name == "" {
					want = donation.CodeValidation
				}
				if want == "" {
					if err != nil {
						t.Errorf("New: %v", err)
					}
				} else if r := refusalOf(t, err); r.Code != want {
					t.Errorf("got %s, want %s", r.Code, want)
				}
			}
		})
	}
}
