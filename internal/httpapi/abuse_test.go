package httpapi_test

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"larder/api"
	"larder/internal/account"
	"larder/internal/store"
	"larder/internal/testkit"
)

// What is tried here worked, in one form or another, on a backend that Larder takes
// the place of. Others of its kind: karma_test.go, limits_test.go, the trips of
// package gateway, tickets and notifications of others beside their contract.

// routeTable is every route as routes.go has it, with who may use it: anyone, signedIn
// or admins. What is added there is tried here.
func routeTable(t *testing.T) map[string]string {
	t.Helper()
	source, err := os.ReadFile("routes.go")
	if err != nil {
		t.Fatal(err)
	}
	who := map[string]string{}
	for _, r := range regexp.MustCompile(`route\(a, h, (\w+), (\w+), "([^"]+)"`).FindAllStringSubmatch(string(source), -1) {
		who[strings.ToUpper(r[2])+" "+r[3]] = r[1]
	}
	if len(who) < 30 {
		t.Fatalf("found only %d routes", len(who))
	}
	return who
}

// ask sends a request without a body to a route; its ids are those of nothing.
func (w *world) ask(route, token string) testkit.Reply {
	method, path, _ := strings.Cut(route, " ")
	return w.Do(testkit.Call{Method: method, Path: placeholder.ReplaceAllString(path, nowhere), Token: token})
}

// TestNoPasswordHashInAnyBody sends each good request of the contract in every role
// and looks for the hashes, and for what a hash looks like.
func TestNoPasswordHashInAnyBody(t *testing.T) {
	w := newWorld(t)
	imported, err := bcrypt.GenerateFromPassword([]byte(testkit.Password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	secrets := []string{"$argon2", "$2a$", "$2b$", "password_hash", "passwordHash", `"hash"`, `"password"`, string(imported), testkit.Password}
	w.Update(func(ctx context.Context, tx *store.Tx) error {
		if err := tx.SetPasswordHash(ctx, w.users["donor"].ID, string(imported)); err != nil {
			return err
		}
		for _, u := range w.users {
			_, hash, err := tx.Credentials(ctx, u.Email)
			if err != nil || hash == "" {
				return fmt.Errorf("hash of %s: %q, %w", u.Email, hash, err)
			}
			secrets = append(secrets, hash, hash[len(hash)/2:])
		}
		return nil
	})
	looked, named := 0, 0
	look := func(where string, body []byte) {
		looked++
		if bytes.Contains(body, []byte(w.users["donor"].ID)) {
			named++
		}
		for _, s := range secrets {
			if bytes.Contains(body, []byte(s)) {
				t.Errorf("%s: %q in %s", where, s, body)
			}
		}
	}
	tried := map[string]bool{}
	for _, route := range slices.Sorted(maps.Keys(contract)) {
		w.Update(func(ctx context.Context, tx *store.Tx) error { // a profile may have been changed, and much is claimed
			ngo := w.users["ngo"].Account
			ngo.Capacity = new(1e6)
			return tx.UpdateAccount(ctx, ngo)
		})
		for name, c := range contract[route] {
			if c.status >= 300 {
				continue
			}
			for _, role := range []string{c.as, "donor", "ngo", "volunteer", "admin"} {
				c.as = role
				r := w.send(t, route, c)
				tried[route] = tried[route] || r.Status < 300
				look(route+", "+name+", as "+role, r.Body)
			}
		}
	}
	for route := range routeTable(t) {
		if !tried[route] {
			t.Errorf("%s was never seen to succeed", route)
		}
	}
	for name, u := range w.users {
		if u.Active {
			look("log of "+name, w.Get("/events?limit=1000", u.Token).Body)
		}
	}
	if named < 50 {
		t.Errorf("only %d of %d bodies name the donor: the search would find nothing", named, looked)
	}
}

// TestNothingForWhoHasNoRight sends a request to every route that wants a right, with
// tokens that were good when they were issued.
func TestNothingForWhoHasNoRight(t *testing.T) {
	w := newWorld(t)
	demoted, deleted := w.User(account.Admin), w.User(account.Admin)
	w.Update(func(ctx context.Context, tx *store.Tx) error {
		now := demoted.Account
		now.Role = account.Donor
		return tx.UpdateAccount(ctx, now)
	})
	w.Update(func(ctx context.Context, tx *store.Tx) error {
		gone := deleted.Account
		gone.Delete(time.Now())
		return tx.UpdateAccount(ctx, gone)
	})
	for route, who := range routeTable(t) {
		if who == "anyone" {
			continue
		}
		wantRefusal(t, route+" suspended", w.ask(route, w.users["suspended"].Token), 403, api.CodeAccountSuspended)
		wantRefusal(t, route+" deleted", w.ask(route, deleted.Token), 401, api.CodeTokenInvalid)
		wantRefusal(t, route+" nobody", w.ask(route, ""), 401, api.CodeTokenMissing)
		if who != "admins" {
			if r := w.ask(route, demoted.Token); r.Status == 401 || r.Status >= 500 {
				t.Errorf("%s demoted: got %s, want what a donor gets", route, r)
			}
			continue
		}
		for _, name := range []string{"donor", "ngo", "volunteer"} {
			wantRefusal(t, route+" "+name, w.ask(route, w.users[name].Token), 403, api.CodeWrongRole)
		}
		wantRefusal(t, route+" demoted", w.ask(route, demoted.Token), 403, api.CodeWrongRole)
		if r := w.ask(route, w.users["admin"].Token); r.Status == 401 || r.Status == 403 {
			t.Errorf("%s: an admin got %s", route, r)
		}
	}
}

// TestNobodyBecomesAdmin tries to take a role by the forms that everybody has.
func TestNobodyBecomesAdmin(t *testing.T) {
	w := newWorld(t)
	for _, role := range []string{"ADMIN", "admin", "Admin", " ADMIN", "SYSTEM", ""} {
		r := w.Post("/auth/register", "", with(newcomer, map[string]any{"email": "evil@example.org", "role": role}))
		if r.Status != 403 && r.Status != 400 {
			t.Errorf("role %q: got %s", role, r)
		}
	}
	for field, value := range map[string]any{
		"role": "ADMIN", "Role": "ADMIN", "isVerified": true, "isActive": true, "karmaPoints": 999, "trustScore": 5, "email": "admin@example.org",
		"id": w.users["admin"].ID, "currentIntakeLoad": 0, "badges": []string{"x"},
	} {
		wantRefusal(t, "change of "+field, w.Patch("/auth/profile", w.users["unverified"].Token, map[string]any{field: value}), 400, api.CodeValidation)
		wantRefusal(t, "registration with "+field, w.Post("/auth/register", "", with(newcomer, map[string]any{"email": "evil@example.org", field: value, "unknown": 1})), 400, "")
	}
	p := testkit.Must[api.Profile](w.Node, w.Get("/auth/profile", w.users["unverified"].Token), 200)
	if p.Role != "NGO" || p.IsVerified || p.KarmaPoints != 0 || p.TrustScore != 0 {
		t.Errorf("the profile is now %+v", p)
	}
	wantRefusal(t, "login", w.Post("/auth/login", "", map[string]string{"email": "evil@example.org", "password": "secret"}), 401, api.CodeBadCredentials)
}

// TestFiftyClaimsAtOnce: fifty claims hung the backend before for ever, of one
// donation as well as of fifty. Here each is answered, and each donation has one
// claimer.
func TestFiftyClaimsAtOnce(t *testing.T) {
	const many = 50
	w := newWorld(t)
	ngos := make([]*testkit.User, 10)
	for i := range ngos {
		ngos[i] = w.User(account.NGO)
	}
	ids := make([]string, many)
	for i := range ids {
		ids[i] = w.Donate(w.users["donor"], nil).ID
	}
	for name, of := range map[string]func(int) string{
		"of one donation":    func(int) string { return ids[0] },
		"of fifty donations": func(i int) string { return ids[i] },
	} {
		t.Run(name, func(t *testing.T) {
			ids[0] = w.Donate(w.users["donor"], nil).ID // one that nobody has claimed
			ctx, stop := context.WithTimeout(t.Context(), 30*time.Second)
			defer stop()
			replies, errs := make([]testkit.Reply, many), make([]error, many)
			var group sync.WaitGroup
			for i := range many {
				group.Go(func() {
					replies[i], errs[i] = w.Try(ctx, testkit.Call{Method: "PATCH", Path: "/donations/" + of(i) + "/claim", Token: ngos[i%len(ngos)].Token})
				})
			}
			group.Wait()
			won, claimed := 0, map[string]bool{}
			for i, r := range replies {
				claimed[of(i)] = true
				if errs[i] != nil {
					t.Errorf("claim %d: %v", i, errs[i])
				} else if r.Status == 200 {
					won++
				} else {
					wantRefusal(t, fmt.Sprint("claim ", i), r, 400, api.CodeNotAvailable)
				}
			}
			if won != len(claimed) {
				t.Errorf("%d claims won, want %d", won, len(claimed))
			}
			if r := w.Get("/health", ""); r.Status != 200 {
				t.Errorf("afterwards: %s", r)
			}
		})
	}
}
