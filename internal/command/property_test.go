package command_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"larder/api"
	"larder/internal/account"
	"larder/internal/command"
	"larder/internal/donation"
	"larder/internal/query"
	"larder/internal/store"
)

// TestAnyHistory gives random commands of random people at random times, with the
// clock's own in between, to two nodes on one real store, and compares all that is
// stored with the model after each: answers, rows, records, karma, intake load.
func TestAnyHistory(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var failure any // of rapid, which stops a run by a panic in its own goroutine
		synctest.Test(t, func(t *testing.T) {
			defer func() { failure = recover() }()
			d := newDriver(t, rt)
			for i := range rapid.IntRange(30, 80).Draw(rt, "steps") {
				d.step()
				d.compareRows()
				if i%10 == 9 {
					d.compareSums()
				}
			}
			d.compareSums()
		})
		// Rapid tells one failure from another by where it comes from: what is no
		// failure but a draw that came to nothing has to come from another line.
		if strings.HasSuffix(fmt.Sprintf("%T", failure), ".invalidData") {
			panic(failure)
		}
		if failure != nil {
			panic(failure)
		}
	})
}

// firstStore is a migrated database with the people in it as a file, made once: to
// migrate costs more than many commands.
var firstStore = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "larder")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "larder.db")
	st, err := store.Open(context.Background(), "sqlite:"+path)
	if err != nil {
		return nil, err
	}
	_, err = st.Migrate(context.Background())
	if err == nil {
		err = st.Update(context.Background(), func(tx *store.Tx) error { return addPeople(context.Background(), tx) })
	}
	if err := errors.Join(err, st.Close()); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
})

// driver gives the same wishes to the real thing and to the model.
type driver struct {
	rt    *rapid.T
	w     *world
	nodes []*command.Service
	model *model
	seen  int64 // position up to which the log was compared
	past  []wish
}

// people of the model at the start.
var people = map[string]person{
	"donor": {Role: "DONOR", Verified: true, Active: true, Capacity: -1}, "donor2": {Role: "DONOR", Verified: true, Active: true, Capacity: -1},
	"ngo":     {Role: "NGO", Verified: true, Active: true, Capacity: -1},
	"ngo2":    {Role: "NGO", Verified: true, Active: true, Capacity: 10, Unit: "kg"},
	"ngo-new": {Role: "NGO", Active: true, Capacity: 8}, "ngo-out": {Role: "NGO", Verified: true, Capacity: -1},
	"volunteer":  {Role: "VOLUNTEER", Verified: true, Active: true, Capacity: -1, Away: 0.5},
	"volunteer2": {Role: "VOLUNTEER", Verified: true, Active: true, Capacity: -1, Away: 28}, // farther than the first look
	"admin":      {Role: "ADMIN", Verified: true, Active: true, Capacity: -1},
}

func addPeople(ctx context.Context, tx *store.Tx) error {
	for id, p := range people {
		a := account.Account{
			ID: id, Email: id + "@example.org", Name: id, Role: account.Role(p.Role), Verified: p.Verified, Active: p.Active, CapacityUnit: p.Unit,
		}
		if p.Capacity >= 0 {
			a.Capacity = &p.Capacity
		}
		if p.Away > 0 { // north of all food; a degree has 111.2 km
			a.Available, a.Latitude, a.Longitude = true, new(50+p.Away/111.195), new(14.0)
		}
		if err := tx.InsertAccount(ctx, a, ""); err != nil {
			return err
		}
	}
	return nil
}

func newDriver(t *testing.T, rt *rapid.T) *driver {
	file, err := firstStore()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "larder.db")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	st, err := store.Open(t.Context(), "sqlite:"+path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	if _, err := st.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	place, err := time.LoadLocation("Asia/Kolkata")
	if err != nil {
		t.Fatal(err)
	}
	d := &driver{rt: rt, w: &world{t: t, ctx: t.Context(), store: st}, model: &model{
		place: place, accounts: map[string]*person{}, donations: map[string]*food{}, karma: map[[3]string]int{}, badges: map[[2]any]bool{}, answers: map[[2]string]said{},
	}}
	for range 2 {
		d.nodes = append(d.nodes, command.NewService(st, nil, func() {}, place))
	}
	for id, p := range people {
		if p.Away == 0 {
			p.Away = -1
		}
		d.model.accounts[id] = &p
	}
	return d
}

// step lets some time pass, or the clock work, or somebody wish something.
func (d *driver) step() {
	node := d.nodes[rapid.IntRange(0, 1).Draw(d.rt, "node")]
	switch what := rapid.SampledFrom([]string{
		"wish", "wish", "again", "wait", "wish", "wish", "announce", "expire", "forget", "wish", "wish", "wish",
	}).Draw(d.rt, "what"); what {
	case "wait":
		<-time.After(d.pause())
	case "expire":
		n, err := node.ExpireDue(d.w.ctx)
		if want := d.model.expire(time.Now()); err != nil || n != want {
			d.rt.Fatalf("ExpireDue: %d, %v, want %d", n, err, want)
		}
	case "announce":
		n, err := node.AnnounceNearExpiry(d.w.ctx)
		if want := d.model.announce(time.Now()); err != nil || n != want {
			d.rt.Fatalf("AnnounceNearExpiry: %d, %v, want %d", n, err, want)
		}
	case "forget":
		if more, err := node.ForgetKeys(d.w.ctx); err != nil || more {
			d.rt.Fatalf("ForgetKeys: more %v, %v", more, err)
		}
		d.model.forget(time.Now())
	case "again":
		if len(d.past) > 0 {
			d.give(node, rapid.SampledFrom(d.past).Draw(d.rt, "earlier"))
		}
	default:
		d.give(node, d.wish())
	}
}

// pause is how long nothing happens: often exactly until something is due.
func (d *driver) pause() time.Duration {
	if len(d.model.donations) > 0 && rapid.Bool().Draw(d.rt, "to the moment") {
		at := d.model.donations[d.someDonation("AVAILABLE")].Expires
		if rapid.Bool().Draw(d.rt, "near") {
			at = at.Add(-time.Hour)
		}
		off := time.Duration(rapid.IntRange(-1, 1).Draw(d.rt, "off")) * time.Millisecond
		if wait := time.Until(at.Add(off)); wait > 0 {
			return wait
		}
	}
	return time.Duration(rapid.IntRange(0, 600).Draw(d.rt, "minutes")) * time.Minute
}

// someDonation draws one, rather one of that status.
func (d *driver) someDonation(status string) string {
	// By age, so that the choice does not depend on ids, which are never the same.
	list := slices.SortedFunc(maps.Values(d.model.donations), func(a, b *food) int {
		if c := a.Created.Compare(b.Created); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	fit := slices.DeleteFunc(slices.Clone(list), func(f *food) bool { return f.Status != status })
	if len(fit) > 0 && rapid.IntRange(0, 3).Draw(d.rt, "of any status") < 3 {
		list = fit
	}
	return list[rapid.IntRange(0, len(list)-1).Draw(d.rt, "donation")].ID
}

// fit are people who often may do it.
var fit = map[string][]string{
	"create": {"donor", "donor2"}, "claim": {"ngo", "ngo2", "ngo-new"}, "release": {"ngo", "ngo2", "admin"}, "pick up": {"volunteer", "volunteer2", "ngo"},
	"deliver": {"volunteer", "volunteer2", "ngo", "ngo2", "admin"}, "cancel": {"donor", "donor2", "admin"},
	"verify": {"admin"}, "toggle": {"admin"}, "capacity": {"ngo2", "ngo-new"},
}

// from is the status from which it often succeeds.
var from = map[string]string{"claim": "AVAILABLE", "release": "CLAIMED", "pick up": "CLAIMED", "deliver": "PICKED_UP", "cancel": "CLAIMED"}

func (d *driver) wish() wish {
	// Rapid prefers what comes first in a list: what makes a long life does.
	names := slices.Sorted(maps.Keys(people))
	w := wish{
		Kind: rapid.SampledFrom([]string{
			"claim", "pick up", "deliver", "create", "release", "cancel", "toggle", "verify", "capacity", "claim", "pick up", "deliver",
			"create", "expire",
		}).Draw(d.rt, "kind"),
		Key: rapid.SampledFrom([]string{"", "k1", "", "k2", "k3", "k4", "k5", "", "", ""}).Draw(d.rt, "key"),
	}
	if len(d.model.donations) < 3 && rapid.Bool().Draw(d.rt, "more") {
		w.Kind = "create"
	}
	w.By = rapid.SampledFrom(names).Draw(d.rt, "by")
	if list := fit[w.Kind]; len(list) > 0 && rapid.IntRange(0, 3).Draw(d.rt, "unfit") < 3 {
		w.By = rapid.SampledFrom(list).Draw(d.rt, "by one who may")
	}
	switch w.Kind {
	case "create":
		w.Draft = draft()
		w.Draft.FoodType = rapid.SampledFrom([]string{"bakery", "cooked"}).Draw(d.rt, "food")
		w.Draft.Unit = rapid.SampledFrom([]string{"kg", "KG", "meals"}).Draw(d.rt, "unit")
		w.Draft.Quantity = rapid.SampledFrom([]float64{3, 5, 0.5, 10, 0}).Draw(d.rt, "quantity")
		minutes := rapid.SampledFrom([]int{600, 2000, 121, 61, 120, 119, 60, 59, 1, 0, -1}).Draw(d.rt, "minutes left")
		w.Draft.PreparationTime = time.Now().Add(-24 * time.Hour)
		w.Draft.ExpiryTime = time.Now().Add(time.Duration(minutes) * time.Minute)
	case "verify", "toggle":
		w.Target = rapid.SampledFrom(append([]string{"ngo-new", "ngo-out", "volunteer"}, append(names, "nobody")...)).Draw(d.rt, "target")
	case "capacity":
		w.Capacity = float64(rapid.IntRange(0, 20).Draw(d.rt, "capacity"))
	default:
		w.Target = "00000000-0000-7000-8000-000000000000"
		if len(d.model.donations) > 0 && rapid.IntRange(0, 19).Draw(d.rt, "unknown") < 19 {
			w.Target = d.someDonation(from[w.Kind])
		}
		if f := d.model.donations[w.Target]; f != nil && rapid.Bool().Draw(d.rt, "by a party") {
			parties := map[string]string{"release": f.Claimer, "deliver": cmp.Or(f.Carrier, f.Claimer), "cancel": f.Donor}
			w.By = cmp.Or(parties[w.Kind], w.By)
		}
		w.Reason = rapid.SampledFrom([]string{"a reason", ""}).Draw(d.rt, "reason")
	}
	d.past = append(d.past, w)
	return w
}

// give gives a wish to a node and to the model and compares the answers.
func (d *driver) give(node *command.Service, w wish) {
	got := do(d.w, node, w)
	want := d.model.run(w, got.ID, time.Now())
	if diff := gocmp.Diff(want, got, gocmp.AllowUnexported(said{})); diff != "" {
		d.rt.Fatalf("answer to %+v at %v (-model +real):\n%s", w, time.Now().UTC(), diff)
	}
}

func do(w *world, node *command.Service, o wish) said {
	by := command.By{AccountID: o.By, Key: o.Key}
	var done command.Done
	var a account.Account
	var err error
	switch o.Kind {
	case "create":
		done, err = node.Create(w.ctx, by, o.Draft)
	case "verify":
		a, err = node.Verify(w.ctx, by, o.Target)
	case "toggle":
		a, err = node.ToggleActive(w.ctx, by, o.Target)
	case "capacity":
		var p query.Profile
		p, err = node.UpdateProfile(w.ctx, by, command.ProfileChange{Capacity: api.Given(&o.Capacity)})
		a = p.Account
	default:
		done, err = node.Do(w.ctx, by, command.Order{DonationID: o.Target, Action: donation.Action(o.Kind), Reason: o.Reason})
	}
	if err != nil {
		return said{Code: codeOf(err)}
	}
	if a.ID != "" {
		return said{ID: a.ID, Verified: a.Verified, Active: a.Active}
	}
	return said{
		ID: done.Donation.ID, Status: string(done.Donation.Status), Version: done.Donation.Version,
		CallerKarma: done.CallerKarma, DonorKarma: done.DonorKarma,
	}
}

func codeOf(err error) string {
	if r, ok := errors.AsType[*donation.Refusal](err); ok {
		return string(r.Code)
	}
	for known, code := range map[error]string{
		account.ErrSuspended: "suspended", account.ErrNotAdmin: "not admin", account.ErrNotNGO: "not ngo",
		account.ErrAdminTarget: "admin target", store.ErrNotFound: "not found", command.ErrKeyReused: "key reused",
	} {
		if errors.Is(err, known) {
			return code
		}
	}
	return "error: " + err.Error()
}

// compareRows wants the donations and the log to be what the model says.
func (d *driver) compareRows() {
	d.w.view(func(tx *store.Tx) error {
		rows := map[string]*food{}
		for row, err := range tx.Donations(d.w.ctx, store.DonationFilter{}) {
			if err != nil {
				return err
			}
			rows[row.ID] = asFood(row)
		}
		if diff := gocmp.Diff(d.model.donations, rows); diff != "" {
			d.rt.Fatalf("rows (-model +real):\n%s", diff)
		}
		return d.compareLog(tx)
	})
}

// compareSums wants the same of the accounts and of what adds up for them. A fault
// in them stays, so that it is enough to look now and then.
func (d *driver) compareSums() {
	now := time.Now()
	d.w.view(func(tx *store.Tx) error {
		for id, p := range d.model.accounts {
			a, err := tx.Account(d.w.ctx, id)
			if err != nil {
				return err
			}
			got := person{Role: string(a.Role), Verified: a.Verified, Active: a.Active, Capacity: -1, Unit: a.CapacityUnit, Away: p.Away}
			if a.Capacity != nil {
				got.Capacity = *a.Capacity
			}
			if diff := gocmp.Diff(*p, got); diff != "" {
				d.rt.Fatalf("account %s (-model +real):\n%s", id, diff)
			}
			points, err := tx.Karma(d.w.ctx, id)
			if want := d.model.points(id); err != nil || points != want {
				d.rt.Fatalf("karma of %s: %d, %v, want %d", id, points, err, want)
			}
			y, m, day := now.In(d.model.place).Date()
			load, err := tx.IntakeLoad(d.w.ctx, id, a.CapacityUnit, time.Date(y, m, day, 0, 0, 0, 0, d.model.place))
			if want := d.model.load(id, now); err != nil || load != want {
				d.rt.Fatalf("intake load of %s: %v, %v, want %v", id, load, err, want)
			}
		}
		return nil
	})
}

// compareLog wants exactly the events of the last step to have come to the log.
func (d *driver) compareLog(tx *store.Tx) error {
	recs, err := tx.Since(d.w.ctx, d.seen, 1000)
	if err != nil {
		return err
	}
	var got []fact
	for _, r := range recs {
		f := fact{Type: r.Type, Subject: r.Subject, Previous: r.Previous, Version: r.Version, Everyone: r.Audience.Everyone}
		if err := json.Unmarshal(r.Payload, &f.Payload); err != nil {
			return err
		}
		if !r.Audience.Everyone {
			f.To = strings.Join(append(r.Audience.Users, r.Audience.Roles...), " ")
		}
		if r.Type == "notification" {
			if f.Payload["id"] != r.Subject || f.Payload["createdAt"] != wire(time.Now()) {
				d.rt.Fatalf("record %v of %s: %v", r.Position, r.Subject, f.Payload)
			}
			f.Subject = ""
			maps.DeleteFunc(f.Payload, func(k string, _ any) bool {
				return !slices.Contains([]string{"type", "userId", "donationId", "read"}, k)
			})
		}
		if r.Type == "volunteer.assigned" {
			delete(f.Payload, "id")
		}
		if r.Type == "donation.created" {
			maps.DeleteFunc(f.Payload, func(k string, _ any) bool {
				return !slices.Contains([]string{"id", "status", "version", "donorId", "expiryTime", "createdAt"}, k)
			})
		}
		if r.Donation != nil {
			var after struct {
				ID, Status string
				Version    int64
			}
			if err := json.Unmarshal(r.Donation, &after); err != nil {
				return err
			}
			if f.Status = after.Status; after.ID != r.Subject || after.Version != r.Version {
				d.rt.Fatalf("record %v of %s carries %+v", r.Position, r.Subject, after)
			}
		}
		if !r.At.Equal(time.Now()) || r.Position.Seq != d.seen+1 {
			d.rt.Fatalf("record %v of %v after %d at %v", r.Position, r.At, d.seen, time.Now())
		}
		d.seen = r.Position.Seq
		got = append(got, f)
	}
	if diff := gocmp.Diff(d.model.events, got); diff != "" {
		d.rt.Fatalf("events (-model +real):\n%s", diff)
	}
	d.model.events = nil
	return nil
}

// asFood is a row in the words of the model.
func asFood(d donation.Donation) *food {
	at := func(t *time.Time) time.Time {
		if t == nil {
			return time.Time{}
		}
		return *t
	}
	return &food{
		ID: d.ID, Donor: d.DonorID, Status: string(d.Status), Unit: d.Unit, Quantity: d.Quantity,
		Created: d.CreatedAt, Expires: d.ExpiryTime, Updated: d.UpdatedAt,
		Claimer: d.ClaimedByID, Carrier: d.PickedUpBy, Volunteer: d.VolunteerID, Deliverer: d.DeliveredBy,
		Proposed: d.AssignedVolunteerID,
		Claimed:  at(d.ClaimedAt), Picked: at(d.PickedUpAt), Delivered: at(d.DeliveredAt), Near: at(d.NearExpiryAt),
		Reason: d.CancelReason, Version: d.Version,
	}
}
