package movein_test

import (
	"database/sql"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	_ "github.com/jackc/pgx/v5/stdlib"
	"golang.org/x/crypto/bcrypt"

	"larder/api"
	"larder/internal/account"
	"larder/internal/cli"
	"larder/internal/config"
	"larder/internal/donation"
	"larder/internal/eventlog"
	"larder/internal/movein"
	"larder/internal/store"
	"larder/internal/store/surplussync"
	"larder/internal/testkit"
	"larder/internal/testkit/pgtest"
)

var long = strings.Repeat("long word ", 9) // 90 bytes, of which the old backend used 72

const password = "old secret"

func u(n string) string { return "00000000-0000-4000-8000-0000000000" + n }
func d(n string) string { return "00000000-0000-4000-9000-0000000000" + n }

// oldDatabase makes a database as the old backend left it.
func oldDatabase(t *testing.T) (address string, db *sql.DB) {
	t.Helper()
	address = pgtest.Database(t)
	db, err := sql.Open("pgx", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	hash := func(s string) string {
		h, err := bcrypt.GenerateFromPassword([]byte(s), bcrypt.MinCost)
		if err != nil {
			t.Fatal(err)
		}
		return string(h)
	}
	do(t, db, schema)
	do(t, db, strings.NewReplacer("{hash}", hash(password), "{long}", hash(long[:72]), "{other}", hash("mallory's")).Replace(rows))
	return address, db
}

// do runs statements, one after another.
func do(t *testing.T, db *sql.DB, statements string) {
	t.Helper()
	for s := range strings.SplitSeq(statements, ";\n") {
		if _, err := db.ExecContext(t.Context(), s); err != nil {
			t.Fatalf("%v\n%s", err, s)
		}
	}
}

func larder(t *testing.T, env map[string]string, args ...string) (out string, code int) {
	t.Helper()
	var text strings.Builder
	code = cli.Run(t.Context(), args, cli.Env{
		LookupEnv: func(k string) (string, bool) { v, ok := env[k]; return v, ok }, Stdin: strings.NewReader(""), Stdout: &text, Stderr: &text,
	})
	return text.String(), code
}

func TestMoveIn(t *testing.T) {
	for name, address := range map[string]func(folder string) string{
		"SQLite":     func(folder string) string { return "sqlite:" + filepath.Join(folder, "larder.db") },
		"PostgreSQL": func(string) string { return pgtest.Database(t) },
	} {
		t.Run(name, func(t *testing.T) { moveIn(t, address(t.TempDir())) })
	}
}

func moveIn(t *testing.T, database string) {
	from, old := oldDatabase(t)
	folder := t.TempDir()
	env := map[string]string{"DATABASE_URL": database, "DATA_DIR": folder, "LARDER_IMPORT_FROM": from}
	file := filepath.Join(folder, "report.jsonl")

	dry, code := larder(t, env, "import", "--admins", "boss@EXAMPLE.org", "--report", file)
	if code != 1 || !strings.HasPrefix(dry, "Dry run: nothing was written.") {
		t.Fatalf("dry run: exit code %d\n%s", code, dry)
	}
	for _, want := range []string{
		`table "user"`, "DONOR now", "mallory@example.org", "suspended, its e-mail is duplicate-<id>@duplicate.invalid", "ANN@example.org",
		"javascript:alert(1)", "its hygiene is no object", "its coordinates are no place, and its donor has none", "its quantity is not between",
		"the donation has been rated already", "open flag", "nobody had claimed it: CANCELLED", "its time was over: EXPIRED", "is no bcrypt",
		"the address of its certificate is none of the web", `preparationTime could not be understood`, "it had no expiryTime", `its carrier is no account`,
	} {
		if !strings.Contains(dry, want) {
			t.Errorf("the report lacks %q", want)
		}
	}
	refused := map[string]bool{}
	for _, l := range lines(t, file) {
		if l.Outcome == movein.Refused {
			refused[l.ID] = true
		}
	}
	for _, id := range []string{d("08"), d("09"), d("22"), d("23"), d("24"), d("32"), d("42")} {
		if !refused[id] {
			t.Errorf("%s is not in the report as refused", id)
		}
	}
	if len(refused) != 7 {
		t.Errorf("refused: %v, want seven", refused)
	}
	if path, ok := strings.CutPrefix(database, "sqlite:"); ok {
		if _, err := os.Stat(path); err == nil {
			t.Error("the dry run has made a database")
		}
	}

	done, code := larder(t, env, "import", "--apply", "--admins", "boss@EXAMPLE.org")
	table := func(s string) string { s = s[strings.Index(s, "taken"):]; return s[:strings.Index(s, "\n\n")] }
	if code != 1 || table(done) != table(dry) {
		t.Fatalf("exit code %d; the dry run foretold\n%s\nand this came:\n%s", code, table(dry), done)
	}
	epoch := check(t, database)

	// A second run changes nothing, not even the epoch.
	again, code := larder(t, env, "import", "--apply", "--admins", "boss@EXAMPLE.org")
	if code != 1 || !strings.Contains(again, "donations             0        0        7        0        2") || strings.Contains(again, "no admin there has that e-mail") {
		t.Errorf("a second run: exit code %d\n%s", code, again)
	}
	if got := check(t, database); got != epoch {
		t.Errorf("a run that wrote nothing changed the epoch from %s to %s", epoch, got)
	}
	live(t, database, epoch, old, env)
}

func lines(t *testing.T, file string) (list []movein.Line) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for s := range strings.Lines(string(text)) {
		var l movein.Line
		if err := json.Unmarshal([]byte(s), &l); err != nil {
			t.Fatal(err)
		}
		list = append(list, l)
	}
	return list
}

// check looks at what was brought in, and returns the epoch of the log.
func check(t *testing.T, database string) (epoch string) {
	t.Helper()
	st, err := store.Open(t.Context(), database)
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	if _, err := st.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	err = st.View(t.Context(), func(tx *store.Tx) error {
		checkAccounts(t, tx)
		checkDonations(t, tx)
		head, err := tx.Head(t.Context())
		epoch = head.Epoch
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return epoch
}

func checkAccounts(t *testing.T, tx *store.Tx) {
	t.Helper()
	for id, want := range map[string]struct {
		role             account.Role
		verified, active bool
		karma            int
	}{
		u("01"): {account.Donor, true, true, 190}, u("02"): {account.NGO, true, true, 50}, // 3 claims and a delivery prove more than 30
		u("03"): {account.Volunteer, true, true, 50}, u("04"): {account.Admin, true, true, 0}, u("05"): {account.Donor, true, true, 0},
		u("06"): {account.Donor, true, false, 10}, u("07"): {account.NGO, false, false, 0},
	} {
		a, err := tx.Account(t.Context(), id)
		karma, karmaErr := tx.Karma(t.Context(), id)
		if err != nil || karmaErr != nil || a.Role != want.role || a.Verified != want.verified || a.Active != want.active || karma != want.karma {
			t.Errorf("%s: %v, %v, got %+v with karma %d, want %+v", id, err, karmaErr, a, karma, want)
		}
	}
	ann, err := tx.Account(t.Context(), u("01"))
	if want := time.Date(2026, 1, 1, 10, 0, 0, 123e6, time.UTC); err != nil || !ann.CreatedAt.Equal(want) || *ann.Latitude != 12.9 || ann.OrganizationName != "Green Cafe" {
		t.Errorf("Ann: %v, %+v", err, ann)
	}
	twin, err := tx.Account(t.Context(), u("06"))
	if err != nil || twin.Email != "duplicate-"+u("06")+"@duplicate.invalid" || twin.Name != "ANN" {
		t.Errorf("the account with Ann's e-mail: %v, %+v", err, twin)
	}
	vic, err := tx.Account(t.Context(), u("03"))
	if err != nil || vic.Latitude != nil || vic.Longitude != nil {
		t.Errorf("Vic: %v, %+v", err, vic)
	}
	ratings, err := tx.Ratings(t.Context(), u("01"))
	if err != nil || ratings[u("01")].Sum != 4 || ratings[u("01")].Count != 1 {
		t.Errorf("Ann's ratings: %v, %v", ratings, err)
	}
	ngo, err := tx.Account(t.Context(), u("02"))
	if err != nil {
		t.Fatal(err)
	}
	for id, want := range map[string]string{u("02"): "https://res.example/c.pdf", u("07"): ""} {
		if c, err := tx.Certificate(t.Context(), id); c.URL != want || err != nil && !errors.Is(err, store.ErrNotFound) {
			t.Errorf("certificate of %s: got %v, %v, want %q", id, c, err, want)
		}
	}
	notes, err := tx.Notifications(t.Context(), ngo, nil, 9)
	if err != nil || len(notes) != 2 || notes[0].Read || !notes[1].Read {
		t.Errorf("the NGO's notifications: %v, %+v", err, notes)
	}
	flags, err := tx.Flags(t.Context(), store.VoiceFilter{Limit: 9})
	if err != nil || len(flags) != 1 || flags[0].By.ID != u("04") {
		t.Errorf("flags: %v, %+v", err, flags)
	}
	tickets, err := tx.Tickets(t.Context(), store.VoiceFilter{Limit: 9})
	if err != nil || len(tickets) != 1 || tickets[0].Note != "done" || tickets[0].Status != "RESOLVED" {
		t.Errorf("tickets: %v, %+v", err, tickets)
	}
}

func checkDonations(t *testing.T, tx *store.Tx) {
	t.Helper()
	got := map[string]donation.Donation{}
	for x, err := range tx.Donations(t.Context(), store.DonationFilter{}) {
		if err != nil {
			t.Fatal(err)
		}
		got[x.ID] = x
	}
	for id, want := range map[string]donation.Donation{
		d("01"): {Status: donation.Available},
		d("02"): {Status: donation.Claimed, ClaimedByID: u("02")},
		d("03"): {Status: donation.PickedUp, ClaimedByID: u("02"), VolunteerID: u("03"), PickedUpBy: u("03")},
		d("04"): {Status: donation.Delivered, ClaimedByID: u("02"), VolunteerID: u("03"), PickedUpBy: u("03"), DeliveredBy: u("03")},
		d("05"): {Status: donation.Cancelled}, d("06"): {Status: donation.Expired, ClaimedByID: u("02")}, d("07"): {Status: donation.Available},
	} {
		x := got[id]
		if x.Status != want.Status || x.ClaimedByID != want.ClaimedByID || x.VolunteerID != want.VolunteerID || x.PickedUpBy != want.PickedUpBy ||
			x.DeliveredBy != want.DeliveredBy || x.Version != 1 {
			t.Errorf("%s: got %+v", id, x)
		}
		history, err := tx.History(t.Context(), id, 0, 100)
		if err != nil || len(history) != 1 || history[0].Type != eventlog.TypeDonationImported || history[0].Audience.Includes(u("01"), "ADMIN") {
			t.Errorf("history of %s: %v, %+v", id, err, history)
		}
	}
	if len(got) != 7 {
		t.Errorf("%d donations, want 7", len(got))
	}
	if bread := got[d("01")]; len(bread.ImageURLs) != 2 || bread.ImageURLs[0] != "https://img.example/w_300,h_200,/a.jpg" ||
		string(bread.Hygiene) != `{"keptCovered":true}` || !bread.PreparationTime.Equal(time.Date(2026, 11, 23, 6, 43, 22, 613e6, time.UTC)) {
		t.Errorf("bread: %+v", bread)
	}
	if rice := got[d("02")]; len(rice.ImageURLs) != 1 || rice.Hygiene != nil || rice.Latitude != 12.9 || rice.Quantity != 2.5 {
		t.Errorf("rice: %+v", rice)
	}
	if at := time.Date(2026, 11, 23, 6, 43, 22, 0, time.UTC); !got[d("03")].PreparationTime.Equal(at) {
		t.Errorf("soup was made at %v, want %v", got[d("03")].PreparationTime, at)
	}
	if at := time.UnixMilli(1774000000000); !got[d("04")].PreparationTime.Equal(at) {
		t.Errorf("milk is from %v, want %v", got[d("04")].PreparationTime, at)
	}
	if name := got[d("07")].Name; name != "raw" || got[d("07")].DonorName != "Green Cafe" {
		t.Errorf("food without a name: got %+v", got[d("07")])
	}
}

// live starts a node on what was brought in: passwords and tokens of before are
// good, with the rights of today, and what has changed here since stays.
func live(t *testing.T, database, epoch string, old *sql.DB, env map[string]string) {
	n := testkit.Start(t, testkit.Options{Database: database, Config: func(c *config.Config) { c.Port = 0 }})
	login := func(email, word string, want int) {
		t.Helper()
		if r := n.Post("/auth/login", "", map[string]string{"email": email, "password": word}); r.Status != want {
			t.Errorf("login of %s: got %v, want %d", email, r, want)
		}
	}
	for range 2 { // the second time with the new hash
		login("ann@example.org", password, 201)
		login("VIC@example.org", long, 201)
	}
	login("ann@example.org", "mallory's", 401)
	login("new-ngo@example.org", "plain", 401)

	token := func(id, email, role string) string {
		t.Helper()
		s, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{
			"sub": id, "email": email, "role": role, "iat": time.Now().Add(-time.Hour).Unix(), "exp": time.Now().Add(time.Hour).Unix(),
		}).SignedString([]byte(testkit.Secret))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	for name, tc := range map[string]struct {
		token, path string
		want        int
	}{
		"a donor":              {token(u("01"), "ann@example.org", "DONOR"), "/auth/profile", 200},
		"a named admin":        {token(u("04"), "Boss@example.org", "ADMIN"), "/admin/users", 200},
		"an admin of his own":  {token(u("05"), "mallory@example.org", "ADMIN"), "/admin/users", 403},
		"Ann in other letters": {token(u("06"), "ANN@example.org", "DONOR"), "/auth/profile", 403},
		"somebody never seen":  {token(u("99"), "x@example.org", "ADMIN"), "/admin/users", 401},
		"a party, its history": {token(u("01"), "ann@example.org", "DONOR"), "/donations/" + d("04") + "/history", 200},
	} {
		if r := n.Get(tc.path, tc.token); r.Status != tc.want {
			t.Errorf("%s: got %v, want %d", name, r, tc.want)
		}
	}
	// The carrier of before brings what he had picked up.
	delivered := testkit.Must[api.Delivery](n, n.Patch("/donations/"+d("03")+"/deliver", token(u("03"), "vic@example.org", "VOLUNTEER"), nil), 200)
	if delivered.Status != "DELIVERED" || delivered.KarmaAwarded == nil || *delivered.KarmaAwarded != 50 {
		t.Errorf("delivery of what was under way: %+v", delivered)
	}
	// Something new there, something that differs by now; and beside a node that runs
	// all goes well, too.
	do(t, old, `INSERT INTO donation SELECT d(10), 'Late', "donorName", description, hygiene, "donorTrustScore", "foodType", quantity, unit, "preparationTime", latitude,
		longitude, address, "imageUrls", "specialInstructions", status, "donorId", "claimedById", "volunteerId", "expiryTime", "pickedUpAt", "deliveredAt", now() FROM donation WHERE id = d(1)`)
	out, _ := larder(t, env, "import", "--apply")
	if !strings.Contains(out, "donations             1        0        7        0        2") || !strings.Contains(out, "PICKED_UP there, DELIVERED here") {
		t.Errorf("a third run:\n%s", out)
	}
	late := testkit.Must[[]api.LoggedEvent](n, n.Get("/donations/"+d("10")+"/history", token(u("01"), "ann@example.org", "DONOR")), 200)
	if len(late) != 1 || late[0].Event != "donation.imported" { // P-19
		t.Errorf("the history of what came late: %+v", late)
	}
	mine := testkit.Must[api.FeedResumed](n, n.Get("/events", token(u("01"), "ann@example.org", "DONOR")), 200)
	for _, e := range mine.Events {
		if e.Event == "donation.imported" {
			t.Errorf("somebody is sent the record of an import: %+v", e)
		}
	}
	if err := n.Stop(); err != nil {
		t.Fatal(err)
	}
	st, err := store.Open(t.Context(), database)
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	if _, err := st.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	err = st.View(t.Context(), func(tx *store.Tx) error {
		x, err := tx.Donation(t.Context(), d("03"))
		if x.Status != donation.Delivered {
			t.Errorf("what has changed here since was overwritten: %+v", x)
		}
		if err != nil {
			return err
		}
		head, err := tx.Head(t.Context())
		if head.Epoch == epoch {
			t.Error("rows came in, and the log has no new epoch")
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// What happens here after an import proves nothing of what was there: a later run
// finds the same karma, and adds what came since.
func TestLaterRunsKeepKarma(t *testing.T) {
	from, old := oldDatabase(t)
	do(t, old, `UPDATE "user" SET "karmaPoints" = 300`) // more than all that their donations prove
	st, err := store.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "larder.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	if _, err := st.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	run := func(now time.Time) {
		t.Helper()
		source, err := surplussync.Open(t.Context(), from)
		if err != nil {
			t.Fatal(err)
		}
		defer source.Close()
		if _, err := movein.Run(t.Context(), source, st, movein.Options{Apply: true, Zone: time.UTC, Now: now}); err != nil {
			t.Fatal(err)
		}
	}
	karma := func(when, id string, want int) {
		t.Helper()
		err := st.View(t.Context(), func(tx *store.Tx) error {
			got, err := tx.Karma(t.Context(), id)
			if got != want {
				t.Errorf("%s: karma of %s is %d, want %d", when, id, got, want)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	run(at)
	karma("moved in", u("01"), 300)
	karma("moved in", u("02"), 300)
	err = st.Update(t.Context(), func(tx *store.Tx) error { // d(2), claimed by u(2), is delivered; d(3) is released
		for _, a := range []account.Award{{AccountID: u("01"), Reason: account.ReasonDonate}, {AccountID: u("02"), Reason: account.ReasonNGODelivery}} {
			if _, err := tx.AwardKarma(t.Context(), d("02"), a, at); err != nil {
				return err
			}
		}
		return tx.TakeKarmaBack(t.Context(), []account.Reason{account.ReasonClaim}, d("03"))
	})
	if err != nil {
		t.Fatal(err)
	}
	for when, now := range map[string]time.Time{"a second run": at, "a run when their time is over": at.AddDate(90, 0, 0)} {
		run(now)
		karma(when, u("01"), 330)
		karma(when, u("02"), 310)
	}
	do(t, old, `UPDATE "user" SET "karmaPoints" = 340`)
	run(at.AddDate(90, 0, 0))
	karma("something happened there", u("01"), 370)
}

// A database that is none of theirs, one that lacks what can be done without, and
// command lines that make no sense.
func TestOddSources(t *testing.T) {
	env := map[string]string{"DATA_DIR": t.TempDir()}
	if out, code := larder(t, env, "import", "--from", pgtest.Database(t)); code != 1 || !strings.Contains(out, "no such table: user") {
		t.Errorf("an empty database: %d %s", code, out)
	}
	from, db := oldDatabase(t)
	do(t, db, `DROP TABLE flagged_donation, user_notification, support_ticket, donation_feedback;
ALTER TABLE donation DROP COLUMN "volunteerId", DROP COLUMN "expiryTime";
ALTER TABLE "user" RENAME TO people`)
	out, code := larder(t, env, "import", "--from", from)
	for _, want := range []string{`table "people"`, `no column "expiryTime"`, "flags: skipped", "notifications: skipped"} {
		if code != 1 || !strings.Contains(out, want) {
			t.Errorf("an older schema: %d, want %q in\n%s", code, want, out)
		}
	}
	// Times without a zone are of the place where the backend ran.
	if out, code := larder(t, env, "import", "--from", from, "--apply", "--from-timezone", "Asia/Kolkata"); code != 1 {
		t.Errorf("an older schema: %d\n%s", code, out)
	}
	st, err := store.Open(t.Context(), "sqlite:"+filepath.Join(env["DATA_DIR"], "larder.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	err = st.View(t.Context(), func(tx *store.Tx) error {
		ann, err := tx.Account(t.Context(), u("01"))
		if want := time.Date(2026, 1, 1, 4, 30, 0, 123e6, time.UTC); !ann.CreatedAt.Equal(want) {
			t.Errorf("Ann is from %v, want %v", ann.CreatedAt, want)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	for _, args := range [][]string{
		{"import"},
		{"import", "--from", "mysql://x"},
		{"import", "--from", from, "--apply", "--dry-run"},
		{"import", "--from", from, "--from-timezone", "Mars"},
		{"import", "--from", from, "--notifications", "101"},
	} {
		if out, code := larder(t, env, args...); code != 2 {
			t.Errorf("larder %q: exit code %d, want 2\n%s", args, code, out)
		}
	}
	out, code = larder(t, map[string]string{"DATA_DIR": t.TempDir(), "DATABASE_URL": from}, "import", "--from", from, "--apply")
	if code != 1 || !strings.Contains(out, "--from is this Larder's own database") {
		t.Errorf("into the old database itself: %d %s", code, out)
	}
	var tables int
	if err := db.QueryRowContext(t.Context(), `SELECT COUNT(*) FROM information_schema.tables WHERE table_name = 'accounts' AND table_schema = current_schema()`).Scan(&tables); err != nil || tables != 0 {
		t.Errorf("into the old database itself: %d tables of ours are there, %v", tables, err)
	}
	out, code = larder(t, env, "import", "--from", "postgres://u:s3cret@127.0.0.1:1/x")
	if code != 1 || strings.Contains(out, "s3cret") {
		t.Errorf("a database that is away: %d %s", code, out)
	}
}
