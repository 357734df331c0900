package httpapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"larder/api"
	"larder/internal/account"
	"larder/internal/donation"
	"larder/internal/store"
	"larder/internal/testkit"
)

var update = flag.Bool("update", false, "write the golden files anew")

// tc is one request to a fresh world. In its path and body, {status} stands for
// the id of a donation that was brought to that status for it, and {role} for a
// user of the world.
type tc struct {
	as     string // who asks: a user of the world, or nobody
	path   string // instead of the route's; a query alone is added to the route's
	body   any
	header http.Header
	status int
	code   api.Code // of a refusal
}

// contract has all cases, by route as routes.go writes it.
var contract = map[string]map[string]tc{}

// cases adds to the contract; the files beside this one call it for their noun.
func cases(route string, list map[string]tc) bool {
	contract[route] = list
	return true
}

// TestContract sends every case and compares the whole answer with the golden
// file of its route.
func TestContract(t *testing.T) {
	w := newWorld(t)
	for _, route := range slices.Sorted(maps.Keys(contract)) {
		t.Run(strings.Trim(strings.Map(fileChar, route), "_"), func(t *testing.T) {
			var got bytes.Buffer
			for _, name := range slices.Sorted(maps.Keys(contract[route])) {
				reply := w.send(t, route, contract[route][name])
				check(t, name, contract[route][name], reply)
				fmt.Fprintf(&got, "-- %s --\n%s\n", name, w.show(reply))
			}
			golden(t, filepath.Join("testdata", strings.Trim(strings.Map(fileChar, route), "_")+".golden"), got.Bytes())
		})
	}
}

// TestEveryRouteHasACase compares the contract with routes.go.
func TestEveryRouteHasACase(t *testing.T) {
	source, err := os.ReadFile("routes.go")
	if err != nil {
		t.Fatal(err)
	}
	routes := regexp.MustCompile(`route\(a, h, (\w+), (\w+), "([^"]+)"`).FindAllStringSubmatch(string(source), -1)
	if len(routes) < 15 {
		t.Fatalf("found only %d routes", len(routes))
	}
	for _, r := range routes {
		name := strings.ToUpper(r[2]) + " " + r[3]
		list := contract[name]
		good, anonymous := false, r[1] == "anyone"
		for _, c := range list {
			good = good || c.status < 300
			anonymous = anonymous || c.as == "" && c.status == 401
		}
		if !good || !anonymous {
			t.Errorf("%s: %d cases; a success: %t; without a token: %t", name, len(list), good, anonymous)
		}
	}
}

func fileChar(r rune) rune {
	if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
		return r
	}
	return '_'
}

// check wants the status and, of a refusal, the code and the shape.
func check(t *testing.T, name string, c tc, r testkit.Reply) {
	t.Helper()
	if r.Status != c.status {
		t.Errorf("%s: got %s, want %d", name, r, c.status)
		return
	}
	if r.Status >= 300 {
		wantRefusal(t, name, r, c.status, c.code)
	}
}

// wantRefusal checks what every refusal has to look like.
func wantRefusal(t *testing.T, name string, r testkit.Reply, status int, code api.Code) {
	t.Helper()
	var e api.Error
	d := json.NewDecoder(bytes.NewReader(r.Body))
	d.DisallowUnknownFields()
	if err := d.Decode(&e); err != nil {
		t.Errorf("%s: body %s: %v", name, r.Body, err)
		return
	}
	if r.Status != status || e.StatusCode != status || e.Status != http.StatusText(status) || code != "" && e.Code != code || len(e.Message) == 0 {
		t.Errorf("%s: got %s, want %d %s", name, r, status, code)
	}
	if ct := r.Header.Get("Content-Type"); ct != "application/json" {
		t.Errorf("%s: Content-Type is %q", name, ct)
	}
}

func golden(t *testing.T, file string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}

// world is a node with one user of each kind.
type world struct {
	*testkit.Node
	users map[string]*testkit.User
	names []string // pairs for a strings.Replacer: id, name
}

func newWorld(t *testing.T) *world {
	w := &world{Node: testkit.Start(t, testkit.Options{}), users: map[string]*testkit.User{}}
	add := func(name string, role account.Role, change ...func(*account.Account)) {
		u := w.User(role, append(change, func(a *account.Account) { a.Name, a.Email = name, name+"@example.org" })...)
		w.users[name] = u
		w.names = append(w.names, u.ID, "<"+name+">")
	}
	add("admin", account.Admin)
	add("donor", account.Donor, func(a *account.Account) { a.OrganizationName = "Corner Bakery" })
	add("stranger", account.Donor)
	add("ngo", account.NGO, func(a *account.Account) { a.Capacity, a.CapacityUnit = new(1000.0), "kg" })
	add("rival", account.NGO)
	add("unverified", account.NGO, testkit.Unverified)
	add("volunteer", account.Volunteer)
	add("carrier", account.Volunteer)
	add("suspended", account.Donor, testkit.Suspended)
	add("banned", account.Volunteer, testkit.Suspended)
	return w
}

func (w *world) send(t *testing.T, route string, c tc) testkit.Reply {
	t.Helper()
	method, path, _ := strings.Cut(route, " ")
	if strings.HasPrefix(c.path, "/") {
		path = c.path
	} else {
		path += c.path
	}
	call := testkit.Call{Method: method, Path: w.fill(t, path), Body: c.body, Header: c.header}
	if text, ok := c.body.(string); ok {
		call.Body = w.fill(t, text)
	}
	if c.as != "" {
		call.Token = w.users[c.as].Token
	}
	return w.Do(call)
}

var placeholder = regexp.MustCompile(`\{[A-Za-z_]+\}`)

// fill puts ids in the place of names.
func (w *world) fill(t *testing.T, text string) string {
	return placeholder.ReplaceAllStringFunc(text, func(p string) string {
		name := strings.Trim(p, "{}")
		if u := w.users[name]; u != nil {
			return u.ID
		}
		if id := w.voice(t, name); id != "" {
			return id
		}
		if name == "NOTIFICATION" {
			return w.notification(t)
		}
		return w.donation(t, name)
	})
}

// donation lists one and brings it to a status.
func (w *world) donation(t *testing.T, status string) string {
	t.Helper()
	if status == "EXPIRED" {
		return w.expired()
	}
	d := w.Donate(w.users["donor"], nil)
	steps := map[string][]func(){
		"id": {}, "AVAILABLE": {},
		"BIG":       {func() { d = w.Donate(w.users["donor"], map[string]any{"quantity": 5000}) }},
		"LITRES":    {func() { d = w.Donate(w.users["donor"], map[string]any{"unit": "litres"}) }},
		"CANCELLED": {func() { w.Order(w.users["donor"], d.ID, "cancel", map[string]string{"reason": "spoilt"}) }},
	}
	claim := func() { w.Order(w.users["ngo"], d.ID, "claim", nil) }
	pickUp := func() { w.Order(w.users["carrier"], d.ID, "status", map[string]string{"status": "PICKED_UP"}) }
	deliver := func() { w.Order(w.users["carrier"], d.ID, "deliver", nil) }
	steps["CLAIMED"] = []func(){claim}
	steps["PICKED_UP"] = []func(){claim, pickUp}
	steps["DELIVERED"] = []func(){claim, pickUp, deliver}
	list, ok := steps[status]
	if !ok {
		t.Fatalf("no placeholder %q", status)
	}
	for _, step := range list {
		step()
	}
	return d.ID
}

// expired is a donation whose time is over.
func (w *world) expired() string {
	at := time.Now().Add(-time.Hour).UTC().Truncate(time.Millisecond)
	d := donation.Donation{
		ID: uuid.NewString(), Name: "Old bread", FoodType: "Bakery", Quantity: 1, Unit: "kg", PreparationTime: at,
		ExpiryTime: at.Add(time.Minute), Status: donation.Expired, DonorID: w.users["donor"].ID, DonorName: "donor",
		Version: 2, CreatedAt: at, UpdatedAt: at,
	}
	w.Update(func(ctx context.Context, tx *store.Tx) error { return tx.InsertDonation(ctx, d) })
	return d.ID
}

var changing = []struct {
	pattern *regexp.Regexp
	name    string
}{
	{regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`), "<id>"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z`), "<time>"},
	{regexp.MustCompile(`eyJ[\w-]+\.[\w-]+\.[\w-]+`), "<token>"},
	{regexp.MustCompile(`"[a-z2-7]{12}-\d{12,}[a-w]"`), `"<position>"`},
	{regexp.MustCompile(`after=[\w-]{20,}`), "after=<cursor>"},
	// Statistics depend on all that came before; statistics_test.go has their numbers.
	{regexp.MustCompile(`"(totalDonations|deliveredDonations|activeDonations|mealsProvided|kgRescued|co2Saved|total(?:Donors|NGOs|Volunteers)|kgEstimated|uncountedDonations|kgSaved|score)": [0-9.]+`), `"$1": <number>`},
	{regexp.MustCompile(`"estimated": (true|false)`), `"estimated": <bool>`},
	{regexp.MustCompile(`"label": "[A-Z][a-z]{2}"`), `"label": "<month>"`},
}

// show is a reply in the form of the golden files: what changes from run to run
// has a name instead, and the JSON is indented.
func (w *world) show(r testkit.Reply) []byte {
	text := strings.NewReplacer(w.names...).Replace(string(r.Body))
	var b bytes.Buffer
	fmt.Fprintf(&b, "%d\n", r.Status)
	for _, name := range []string{"Content-Type", "Link", "Allow", "Retry-After", "Www-Authenticate"} {
		if v := r.Header.Get(name); v != "" {
			fmt.Fprintf(&b, "%s: %s\n", name, v)
		}
	}
	if json.Indent(&b, []byte(text), "", "  ") != nil {
		b.WriteString(text)
	}
	shown := b.String()
	for _, c := range changing {
		shown = c.pattern.ReplaceAllString(shown, c.name)
	}
	return []byte(strings.TrimRight(shown, "\n") + "\n")
}
