package account_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
	_ "time/tzdata" // the days of the tests do not depend on the machine

	"larder/internal/account"
)

func TestParseRole(t *testing.T) {
	for _, r := range []account.Role{account.Donor, account.NGO, account.Volunteer, account.Admin} {
		if got, err := account.ParseRole(string(r)); got != r || err != nil {
			t.Errorf("ParseRole(%s): got %q, %v", r, got, err)
		}
	}
	for _, s := range []string{"", "SYSTEM", "donor", " NGO", "OWNER", strings.Repeat("x", 1000)} {
		got, err := account.ParseRole(s)
		if err == nil || got != "" || len(err.Error()) > 200 {
			t.Errorf("ParseRole(%.20q): got %q, %v, want a short refusal", s, got, err)
		}
	}
}

func TestRegister(t *testing.T) {
	for role, tc := range map[account.Role]struct {
		verified bool
		err      error
	}{
		account.Donor: {true, nil}, account.Volunteer: {true, nil}, account.NGO: {false, nil},
		account.Admin: {false, account.ErrAdminByForm}, account.System: {false, account.ErrAdminByForm},
	} {
		verified, err := account.Register(role)
		if verified != tc.verified || !errors.Is(err, tc.err) {
			t.Errorf("Register(%s): got %v, %v, want %v, %v", role, verified, err, tc.verified, tc.err)
		}
	}
}

func TestVerifyAndSuspend(t *testing.T) {
	admin := account.Actor{ID: "a", Role: account.Admin, Active: true}
	off := account.Actor{ID: "a", Role: account.Admin}
	actor := func(r account.Role) account.Actor {
		return account.Actor{ID: "x", Role: r, Verified: true, Active: true}
	}
	for name, tc := range map[string]struct {
		by              account.Actor
		target          account.Role
		verify, suspend error
	}{
		"admin, NGO":           {admin, account.NGO, nil, nil},
		"admin, donor":         {admin, account.Donor, account.ErrNotNGO, nil},
		"admin, volunteer":     {admin, account.Volunteer, account.ErrNotNGO, nil},
		"admin, admin":         {admin, account.Admin, account.ErrNotNGO, account.ErrAdminTarget},
		"suspended admin, NGO": {off, account.NGO, account.ErrNotAdmin, account.ErrNotAdmin},
		"NGO, NGO":             {actor(account.NGO), account.NGO, account.ErrNotAdmin, account.ErrNotAdmin},
		"donor, NGO":           {actor(account.Donor), account.NGO, account.ErrNotAdmin, account.ErrNotAdmin},
		"volunteer, donor":     {actor(account.Volunteer), account.Donor, account.ErrNotAdmin, account.ErrNotAdmin},
		"donor, admin":         {actor(account.Donor), account.Admin, account.ErrNotAdmin, account.ErrNotAdmin},
		"system, NGO":          {account.SystemActor(), account.NGO, account.ErrNotAdmin, account.ErrNotAdmin},
	} {
		target := account.Account{ID: "t", Role: tc.target}
		if err := account.Verify(tc.by, target); !errors.Is(err, tc.verify) {
			t.Errorf("%s: Verify: got %v, want %v", name, err, tc.verify)
		}
		if err := account.Suspend(tc.by, target); !errors.Is(err, tc.suspend) {
			t.Errorf("%s: Suspend: got %v, want %v", name, err, tc.suspend)
		}
	}
}

func TestAdmit(t *testing.T) {
	// Not constants: their sums would be exact.
	tenths := 0.0
	for _, x := range []float64{0.1, 0.2} {
		tenths += x
	}
	for name, tc := range map[string]struct {
		intake   account.Intake
		quantity float64
		unit     string
		want     error
	}{
		"no limit":                 {account.Intake{Unit: "kg", Load: 1e9}, 1e6, "meals", nil},
		"room":                     {account.Intake{Capacity: new(10.0), Unit: "kg", Load: 4}, 5, "kg", nil},
		"exactly":                  {account.Intake{Capacity: new(10.0), Unit: "kg", Load: 4}, 6, "kg", nil},
		"a little too much":        {account.Intake{Capacity: new(10.0), Unit: "kg", Load: 4}, 6.001, "kg", account.ErrOverCapacity},
		"sum of tenths":            {account.Intake{Capacity: new(0.3), Unit: "kg", Load: 0.1}, 0.2, "kg", nil},
		"sum of tenths before":     {account.Intake{Capacity: new(12.3), Unit: "kg", Load: tenths}, 12, "kg", nil},
		"no capacity":              {account.Intake{Capacity: new(0.0), Unit: "kg"}, 0.1, "kg", account.ErrOverCapacity},
		"another unit":             {account.Intake{Capacity: new(10.0), Unit: "kg"}, 1, "meals", account.ErrUnitMismatch},
		"another unit and too big": {account.Intake{Capacity: new(10.0), Unit: "kg"}, 100, "meals", account.ErrUnitMismatch},
		"any unit":                 {account.Intake{Capacity: new(10.0)}, 1, "meals", nil},
		"case and space":           {account.Intake{Capacity: new(10.0), Unit: " KG"}, 1, "kg\t", nil},
		"case beyond ASCII":        {account.Intake{Capacity: new(10.0), Unit: "кг"}, 1, "КГ", nil},
	} {
		if err := tc.intake.Admit(tc.quantity, tc.unit); !errors.Is(err, tc.want) {
			t.Errorf("%s: got %v, want %v", name, err, tc.want)
		}
	}
}

func TestDayStart(t *testing.T) {
	for name, tc := range map[string]struct {
		place     string
		now, want string // RFC 3339
	}{
		"UTC":                               {"UTC", "2026-11-02T23:59:59.999Z", "2026-11-02T00:00:00Z"},
		"UTC, midnight":                     {"UTC", "2026-11-03T00:00:00Z", "2026-11-03T00:00:00Z"},
		"east, already tomorrow":            {"Asia/Kolkata", "2026-11-02T18:30:00Z", "2026-11-02T18:30:00Z"},
		"east, still today":                 {"Asia/Kolkata", "2026-11-02T18:29:59Z", "2026-11-01T18:30:00Z"},
		"west":                              {"America/New_York", "2026-07-01T03:59:59Z", "2026-06-30T04:00:00Z"},
		"spring, before the change":         {"Europe/Prague", "2026-03-29T00:30:00Z", "2026-03-28T23:00:00Z"},
		"spring, after the change":          {"Europe/Prague", "2026-03-29T21:59:59Z", "2026-03-28T23:00:00Z"},
		"spring, the next day":              {"Europe/Prague", "2026-03-29T22:00:00Z", "2026-03-29T22:00:00Z"},
		"autumn, the hour that comes twice": {"Europe/Prague", "2026-10-25T01:30:00Z", "2026-10-24T22:00:00Z"},
		"autumn, the end of 25 hours":       {"Europe/Prague", "2026-10-25T22:59:59Z", "2026-10-24T22:00:00Z"},
		// Clocks that change at midnight: the day begins at one o'clock, or has two
		// midnights, or midnight is put back into the day before.
		"no midnight in Cairo":                 {"Africa/Cairo", "2024-04-26T10:00:00Z", "2024-04-25T22:00:00Z"},
		"no midnight in Cairo, a minute in":    {"Africa/Cairo", "2024-04-25T22:01:00Z", "2024-04-25T22:00:00Z"},
		"no midnight in Cairo, a minute early": {"Africa/Cairo", "2024-04-25T21:59:00Z", "2024-04-24T22:00:00Z"},
		"no midnight in São Paulo":             {"America/Sao_Paulo", "2018-11-04T12:00:00Z", "2018-11-04T03:00:00Z"},
		"no midnight in Beirut":                {"Asia/Beirut", "2024-03-31T12:00:00Z", "2024-03-30T22:00:00Z"},
		"two midnights in Havana":              {"America/Havana", "2024-11-03T12:00:00Z", "2024-11-03T04:00:00Z"},
		"two midnights in Havana, the first":   {"America/Havana", "2024-11-03T04:30:00Z", "2024-11-03T04:00:00Z"},
		"a midnight taken back in Cairo":       {"Africa/Cairo", "2024-11-01T12:00:00Z", "2024-10-31T22:00:00Z"},
		"its last hour comes twice":            {"Africa/Cairo", "2024-10-31T21:30:00Z", "2024-10-30T21:00:00Z"},
		"half an hour on Lord Howe":            {"Australia/Lord_Howe", "2026-10-03T20:00:00Z", "2026-10-03T13:30:00Z"},
	} {
		place, err := time.LoadLocation(tc.place)
		if err != nil {
			t.Fatal(err)
		}
		now, want := moment(t, tc.now), moment(t, tc.want)
		if got := account.DayStart(now, place); !got.Equal(want) {
			t.Errorf("%s: got %v (%v), want %v", name, got.UTC(), got, want)
		}
	}
}

func moment(t *testing.T, s string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// TestDayStartOfEveryHour looks at each hour of two years in places with odd
// clocks: the day has begun, is the same date, and began with it.
func TestDayStartOfEveryHour(t *testing.T) {
	for _, name := range []string{"Africa/Cairo", "America/Havana", "America/Sao_Paulo", "Asia/Beirut", "Australia/Lord_Howe", "Europe/Prague", "Pacific/Apia"} {
		place, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		date := func(at time.Time) string { return at.In(place).Format(time.DateOnly) }
		for _, year := range []int{2011, 2018, 2024} {
			for now := time.Date(year, 1, 1, 0, 7, 0, 0, time.UTC); now.Year() == year; now = now.Add(time.Hour) {
				start := account.DayStart(now, place)
				if start.After(now) || date(start) != date(now) || date(start.Add(-time.Second)) == date(now) {
					t.Fatalf("%s: the day of %v begins at %v", name, now.In(place), start)
				}
			}
		}
	}
}

func TestPointsAndBadges(t *testing.T) {
	for reason, want := range map[account.Reason]int{
		account.ReasonCreate: 10, account.ReasonClaim: 10, account.ReasonNGODelivery: 20, account.ReasonCarry: 50, account.ReasonDonate: 30,
		"nothing": 0,
	} {
		if got := reason.Points(); got != want {
			t.Errorf("points for %s: got %d, want %d", reason, got, want)
		}
		if want > 0 && want < account.LeastPoints {
			t.Errorf("points for %s: %d, and no reason is said to give less than %d", reason, want, account.LeastPoints)
		}
	}
	for points, want := range map[int]int{-5: 0, 0: 0, 9: 0, 10: 1, 49: 1, 50: 2, 149: 2, 150: 3, 299: 3, 300: 4, 499: 4, 500: 5, 1 << 30: 5} {
		got := account.Earned(points)
		if got == nil || len(got) != want {
			t.Errorf("badges for %d points: got %q, want %d of them", points, got, want)
		}
	}
	if got, want := account.Earned(50), []string{"🌱 Newcomer", "🦸 Local Hero"}; !slices.Equal(got, want) {
		t.Errorf("badges for 50 points: got %q, want %q", got, want)
	}
	for i, b := range account.Badges() {
		if b.ID == "" || b.Name == "" || b.Icon == "" || b.Description == "" || (i > 0 && b.Points <= account.Badges()[i-1].Points) {
			t.Errorf("badge %d: got %+v, want it whole and dearer than the one before", i, b)
		}
	}
}

func TestLevel(t *testing.T) {
	for points, want := range map[int][2]int{
		0: {1, 100}, 99: {1, 1}, 100: {2, 150}, 249: {2, 1}, 250: {3, 250}, 499: {3, 1}, 500: {4, 500}, 999: {4, 1}, 1000: {5, 0}, 1 << 30: {5, 0},
	} {
		level, missing := account.Level(points)
		if got := [2]int{level, missing}; got != want {
			t.Errorf("level of %d points: got %v, want %v", points, got, want)
		}
	}
}

func TestValidEmail(t *testing.T) {
	for s, want := range map[string]bool{
		"a@b": true, "ann@example.org": true, "ann+food@example.co.uk": true, "o'neil@example.org": true, "žofie@příklad.cz": true,
		"a.b-c_d@1.2.3.4": true, "UPPER@CASE.ORG": true, strings.Repeat("a", 250) + "@b.c": true,
		"": false, "a": false, "@": false, "a@": false, "@b": false, "a@b@c": false, "a b@c": false, "a@b c": false, " a@b": false, "a@b ": false,
		"a@b\n": false, "a\t@b": false, "a\x00@b": false, "a\x7f@b": false, "Ann <a@b>": false, "a@b, c@d": false, "a;b@c": false, `"a"@b`: false,
		"a@[1.2.3.4]": false, `a\b@c`: false, "a:b@c": false, "(a)@b": false, strings.Repeat("a", 251) + "@b.c": false,
		"a\u00a0b@c": false, "a@b\u2003c": false, "a\u0085@b": false,
	} {
		if got := account.ValidEmail(s); got != want {
			t.Errorf("ValidEmail(%.30q): got %v, want %v", s, got, want)
		}
	}
}

func TestEmailKey(t *testing.T) {
	for s, want := range map[string]string{"A@B.Org": "a@b.org", "  a@b \n": "a@b", "ŽOFIE@x": "žofie@x", "": ""} {
		if got := account.EmailKey(s); got != want {
			t.Errorf("EmailKey(%q): got %q, want %q", s, got, want)
		}
	}
}

func TestDisplayNameAndActor(t *testing.T) {
	a := account.Account{ID: "a", Name: "Ann", Role: account.NGO, Verified: true, Active: true}
	if got := a.DisplayName(); got != "Ann" {
		t.Errorf("name without an organisation: got %q", got)
	}
	a.OrganizationName = "Kitchen"
	if got := a.DisplayName(); got != "Kitchen" {
		t.Errorf("name with an organisation: got %q", got)
	}
	if got, want := a.Actor(), (account.Actor{ID: "a", Role: account.NGO, Verified: true, Active: true}); got != want {
		t.Errorf("actor: got %+v, want %+v", got, want)
	}
}
