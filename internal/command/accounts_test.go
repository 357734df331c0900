package command_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"larder/api"
	"larder/internal/account"
	"larder/internal/auth"
	"larder/internal/command"
	"larder/internal/donation"
	"larder/internal/eventlog"
	"larder/internal/notice"
	"larder/internal/store"
)

func newcomer(role account.Role) command.NewAccount {
	return command.NewAccount{
		Email: " New@Example.org ", Password: "secret", Name: " Ann ", Role: role, Phone: "1", OrganizationName: " Kitchen ",
		OrganizationType: "shelter", Address: "here",
	}
}

func TestRegister(t *testing.T) {
	for role, verified := range map[account.Role]bool{account.Donor: true, account.NGO: false} {
		t.Run(string(role), func(t *testing.T) {
			w := newWorld(t)
			a, err := w.Register(w.ctx, "", newcomer(role))
			if err != nil {
				t.Fatal(err)
			}
			want := account.Account{
				ID: a.ID, Email: "New@Example.org", Name: "Ann", Role: role, Verified: verified, Active: true, Phone: "1",
				OrganizationName: "Kitchen", OrganizationType: "shelter", Address: "here", CreatedAt: a.CreatedAt, UpdatedAt: a.CreatedAt,
			}
			if diff := cmp.Diff(want, a); diff != "" || len(a.ID) != 36 || a.CreatedAt.IsZero() {
				t.Errorf("answer (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(a, w.account(a.ID)); diff != "" {
				t.Errorf("stored (-answer +stored):\n%s", diff)
			}
			wantAccountRecord(t, w, a, eventlog.TypeAccountRegistered, 1)
			var hash string
			w.view(func(tx *store.Tx) (err error) {
				_, hash, err = tx.Credentials(w.ctx, "new@example.org")
				return err
			})
			if ok, _, err := auth.NewPasswords().Verify(w.ctx, hash, "secret"); !ok || err != nil {
				t.Errorf("the stored hash is not of the password: %v", err)
			}
		})
	}
}

// wantAccountRecord wants the newest of n records about an account to be of that
// type, for nobody's feed, with today's rights.
func wantAccountRecord(t *testing.T, w *world, a account.Account, kind string, n int) {
	t.Helper()
	recs := w.log(a.ID)
	if len(recs) != n {
		t.Fatalf("%d records about the account, want %d", len(recs), n)
	}
	r := recs[n-1]
	if r.Type != kind || r.Audience.Everyone || len(r.Audience.Users) != 0 || r.Version != 0 {
		t.Errorf("record: got %s for %+v, version %d, want %s for nobody", r.Type, r.Audience, r.Version, kind)
	}
	var got map[string]any
	if err := json.Unmarshal(r.Payload, &got); err != nil {
		t.Fatal(err)
	}
	if want := map[string]any{"id": a.ID, "role": string(a.Role), "verified": a.Verified, "active": a.Active}; !cmp.Equal(got, want) {
		t.Errorf("payload: got %v, want %v", got, want)
	}
}

func TestRegisterRefuses(t *testing.T) {
	w := newWorld(t)
	for name, tc := range map[string]struct {
		change func(*command.NewAccount)
		want   string // fields that the faults begin with
	}{
		"no e-mail":          {func(n *command.NewAccount) { n.Email = "somebody" }, "email"},
		"password of five":   {func(n *command.NewAccount) { n.Password = "12345" }, "password"},
		"password of 257":    {func(n *command.NewAccount) { n.Password = strings.Repeat("x", 257) }, "password"},
		"a blank name":       {func(n *command.NewAccount) { n.Name = " " }, "name"},
		"everything at once": {func(n *command.NewAccount) { *n = command.NewAccount{Role: account.NGO} }, "email password name"},
	} {
		n := newcomer(account.NGO)
		tc.change(&n)
		_, err := w.Register(w.ctx, "", n)
		wantCode(t, name, err, donation.CodeValidation)
		var fields []string
		for part := range strings.SplitSeq(err.Error(), "; ") {
			fields = append(fields, strings.Fields(part)[0])
		}
		if got := strings.Join(fields, " "); got != tc.want {
			t.Errorf("%s: faults of %q, want %q", name, got, tc.want)
		}
	}
	for _, role := range []account.Role{account.Admin, account.System} {
		_, err := w.Register(w.ctx, "", newcomer(role))
		wantErr(t, string(role), err, account.ErrAdminByForm)
	}
	if n := len(w.log("")); n != 0 {
		t.Errorf("refused registrations left %d records", n)
	}
}

// A key outlives the account that was registered with it. Its answer is of no use to
// whoever has the e-mail next, even with the same password.
func TestRegisterAgainAfterDeletion(t *testing.T) {
	eachEngine(t, func(t *testing.T, w *world) {
		n := newcomer(account.Donor)
		first, err := w.Register(w.ctx, "k", n)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := w.Register(w.ctx, "k", n); err != nil || again.ID != first.ID {
			t.Errorf("before: got %s, %v, want %s", again.ID, err, first.ID)
		}
		if _, err := w.Delete(w.ctx, n.Email); err != nil {
			t.Fatal(err)
		}
		_, err = w.Register(w.ctx, "k", n)
		wantErr(t, "deleted", err, command.ErrKeyReused)
		if second, err := w.Register(w.ctx, "k2", n); err != nil || second.ID == first.ID {
			t.Errorf("with another key: got %s, %v, want a new account", second.ID, err)
		}
		_, err = w.Register(w.ctx, "k", n)
		wantErr(t, "the e-mail of another account", err, command.ErrKeyReused)
	})
}

func TestOperatorsAccounts(t *testing.T) {
	w := newWorld(t)
	n := newcomer(account.NGO)
	_, err := w.AddUser(w.ctx, n) // six bytes
	wantCode(t, "password of six by the operator", err, donation.CodeValidation)
	n.Password = "secret78"
	a, err := w.AddUser(w.ctx, n)
	if err != nil || !a.Verified || !a.Active {
		t.Errorf("AddUser: got %+v, %v, want an active, verified account", a, err)
	}
	for _, want := range []bool{true, false} {
		a, added, err := w.EnsureAdmin(w.ctx, "Root@example.org", "secret78")
		if added != want || err != nil || a.Role != account.Admin || a.Email != "Root@example.org" {
			t.Errorf("EnsureAdmin: got %+v, %v, %v, want %v", a, added, err, want)
		}
	}
	if a, added, err := w.EnsureAdmin(w.ctx, "DONOR@example.org", "secret78"); a.ID != "donor" || a.Role != account.Donor || added || err != nil {
		t.Errorf("EnsureAdmin of a donor: got %+v, %v, %v", a, added, err)
	}
	if _, added, err := w.EnsureAdmin(w.ctx, "other@example.org", "short"); added || err == nil {
		t.Errorf("EnsureAdmin with a short password: got %v, %v", added, err)
	}
}

func TestUpdateProfile(t *testing.T) {
	w := newWorld(t)
	change := command.ProfileChange{
		Name: new("Ngó"), Phone: new("2"), OrganizationName: new("Org"), OrganizationType: new("kind"), Address: new("there"),
		Latitude: api.Given(new(1.5)), Longitude: api.Given(new(-2.5)), Capacity: api.Given(new(20.0)), CapacityUnit: new("kg"), VehicleType: new("van"),
		VehicleNumber: new("7"), Available: new(true),
	}
	before := w.account("ngo")
	p, err := w.UpdateProfile(w.ctx, command.By{AccountID: "ngo"}, change)
	if err != nil {
		t.Fatal(err)
	}
	got := p.Account
	want := before
	want.Name, want.Phone, want.OrganizationName, want.OrganizationType, want.Address = "Ngó", "2", "Org", "kind", "there"
	want.Latitude, want.Longitude, want.Capacity, want.CapacityUnit = new(1.5), new(-2.5), new(20.0), "kg"
	want.VehicleType, want.VehicleNumber, want.Available, want.UpdatedAt = "van", "7", true, got.UpdatedAt
	if diff := cmp.Diff(want, got); diff != "" || got.UpdatedAt.Before(before.UpdatedAt) {
		t.Errorf("all fields (-want +got):\n%s", diff)
	}
	wantAccountRecord(t, w, got, eventlog.TypeAccountUpdated, 1)
	p, err = w.UpdateProfile(w.ctx, command.By{AccountID: "ngo"}, command.ProfileChange{Phone: new(""), Available: new(false)})
	got = p.Account
	want.Phone, want.Available, want.UpdatedAt = "", false, got.UpdatedAt
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("two fields: %v (-want +got):\n%s", err, diff)
	}
	if diff := cmp.Diff(got, w.account("ngo")); diff != "" {
		t.Errorf("stored (-answer +stored):\n%s", diff)
	}
	_, err = w.UpdateProfile(w.ctx, command.By{AccountID: "ngo"}, command.ProfileChange{Name: new(" ")})
	wantCode(t, "a blank name", err, donation.CodeValidation)
	w.change("ngo", func(a *account.Account) { a.Active = false })
	_, err = w.UpdateProfile(w.ctx, command.By{AccountID: "ngo"}, command.ProfileChange{Name: new("X")})
	wantErr(t, "suspended", err, account.ErrSuspended)
}

func TestClearProfile(t *testing.T) {
	w := newWorld(t)
	by := command.By{AccountID: "ngo", Key: "k"}
	number, null := api.Given(new(1.5)), api.Given[float64](nil)
	change := func(by command.By, c command.ProfileChange) account.Account {
		t.Helper()
		p, err := w.UpdateProfile(w.ctx, by, c)
		if err != nil {
			t.Fatal(err)
		}
		return p.Account
	}
	change(command.By{AccountID: "ngo"}, command.ProfileChange{Latitude: number, Longitude: number, Capacity: number})
	if a := change(by, command.ProfileChange{Phone: new("1")}); a.Latitude == nil || a.Longitude == nil || a.Capacity == nil {
		t.Errorf("what was not given went: %+v", a)
	}
	_, err := w.UpdateProfile(w.ctx, by, command.ProfileChange{Phone: new("1"), Capacity: null})
	wantErr(t, "the same key with null for absent", err, command.ErrKeyReused)
	by.Key = "k2"
	if a := change(by, command.ProfileChange{Capacity: null}); a.Latitude == nil || a.Longitude == nil || a.Capacity != nil {
		t.Errorf("no limit: got %+v", a)
	}
	if a := change(command.By{AccountID: "ngo"}, command.ProfileChange{Latitude: null, Longitude: null}); a.Latitude != nil || a.Longitude != nil {
		t.Errorf("no place: got %+v", a)
	}
	if a := w.account("ngo"); a.Latitude != nil || a.Longitude != nil || a.Capacity != nil {
		t.Errorf("stored: %+v", a)
	}
}

// Half a place is none.
func TestPlaceIsSetAsAWhole(t *testing.T) {
	w := newWorld(t)
	absent, number, null := api.Nullable[float64]{}, api.Given(new(1.5)), api.Given[float64](nil)
	if _, err := w.UpdateProfile(w.ctx, command.By{AccountID: "ngo"}, command.ProfileChange{Latitude: number, Longitude: number}); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		lat, lng api.Nullable[float64]
		field    string
	}{
		"latitude alone":      {number, absent, "longitude"},
		"longitude alone":     {absent, number, "latitude"},
		"only latitude goes":  {null, absent, "longitude"},
		"only longitude goes": {absent, null, "latitude"},
		"latitude is null":    {null, number, "latitude"},
		"longitude is null":   {number, null, "longitude"},
	} {
		_, err := w.UpdateProfile(w.ctx, command.By{AccountID: "ngo"}, command.ProfileChange{Latitude: tc.lat, Longitude: tc.lng})
		wantCode(t, name, err, donation.CodeValidation)
		if !strings.HasPrefix(err.Error(), tc.field) {
			t.Errorf("%s: %v does not begin with %s", name, err, tc.field)
		}
	}
	if a := w.account("ngo"); a.Latitude == nil || a.Longitude == nil {
		t.Errorf("a refused change took the place: %+v", a)
	}
}

func TestVerifyAndToggle(t *testing.T) {
	w := newWorld(t)
	w.change("ngo", func(a *account.Account) { a.Verified = false })
	admin := command.By{AccountID: "admin"}

	a, err := w.Verify(w.ctx, admin, "ngo")
	if err != nil || !a.Verified || !w.account("ngo").Verified {
		t.Fatalf("Verify: %v, %v", a.Verified, err)
	}
	wantAccountRecord(t, w, a, eventlog.TypeAccountVerified, 1)
	if _, err := w.Verify(w.ctx, admin, "ngo"); err != nil || len(w.log("ngo")) != 1 {
		t.Errorf("Verify again: %v, %d records, want none new", err, len(w.log("ngo")))
	}
	a, err = w.ToggleActive(w.ctx, admin, "ngo")
	if err != nil || a.Active {
		t.Errorf("first toggle: active %v, %v", a.Active, err)
	}
	wantAccountRecord(t, w, a, eventlog.TypeAccountSuspended, 2)
	a, err = w.ToggleActive(w.ctx, admin, "ngo")
	if err != nil || !a.Active {
		t.Errorf("second toggle: active %v, %v", a.Active, err)
	}
	wantAccountRecord(t, w, a, eventlog.TypeAccountRestored, 3)

	for name, tc := range map[string]struct {
		by, target      string
		verify, suspend error
	}{
		"by an NGO":           {"ngo", "ngo2", account.ErrNotAdmin, account.ErrNotAdmin},
		"by nobody":           {"nobody", "ngo", account.ErrSuspended, account.ErrSuspended},
		"an admin":            {"admin", "admin", account.ErrNotNGO, account.ErrAdminTarget},
		"nobody":              {"admin", "nobody", store.ErrNotFound, store.ErrNotFound},
		"nobody, by an NGO":   {"ngo", "nobody", account.ErrNotAdmin, account.ErrNotAdmin},
		"a donor, by a donor": {"donor", "donor", account.ErrNotAdmin, account.ErrNotAdmin},
	} {
		_, err := w.Verify(w.ctx, command.By{AccountID: tc.by}, tc.target)
		wantErr(t, "verify "+name, err, tc.verify)
		_, err = w.ToggleActive(w.ctx, command.By{AccountID: tc.by}, tc.target)
		wantErr(t, "suspend "+name, err, tc.suspend)
	}
	// The NGO is told that it was verified, once.
	w.add(account.NGO, "new")
	w.change("new", func(a *account.Account) { a.Verified = false })
	for range 2 {
		if _, err := w.Verify(w.ctx, command.By{AccountID: "admin"}, "new"); err != nil {
			t.Error(err)
		}
	}
	if told := w.told("new"); types(told) != notice.TypeVerified || told[0].DonationID != "" {
		t.Errorf("told %+v", told)
	}
	// A toggle that is repeated with its key toggles once.
	by := command.By{AccountID: "admin", Key: "k"}
	for range 2 {
		if a, err := w.ToggleActive(w.ctx, by, "donor"); err != nil || a.Active {
			t.Errorf("toggle with a key: active %v, %v", a.Active, err)
		}
	}
}
