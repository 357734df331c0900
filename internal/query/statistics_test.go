package query_test

import (
	"database/sql"
	"fmt"
	"testing"
	"testing/synctest"
	"time"
	_ "time/tzdata" // the months of the tests do not depend on the machine

	"github.com/google/go-cmp/cmp"

	"larder/api"
	"larder/internal/account"
	"larder/internal/donation"
	"larder/internal/query"
	"larder/internal/store"
)

// The bubble begins at midnight of 1 January 2000 in UTC: in New York the old year
// has five hours left.
func TestMonthsAreThoseOfThePlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		delivered := func(id, created, unit string, quantity float64) {
			at, err := time.Parse(time.RFC3339, created)
			if err != nil {
				t.Fatal(err)
			}
			w.add(id, 0, 0, func(d *donation.Donation) {
				d.Status, d.CreatedAt, d.Quantity, d.Unit = donation.Delivered, at, quantity, unit
				d.ClaimedByID, d.VolunteerID = "ngo", "carrier"
			})
		}
		delivered("july", "1999-07-01T03:59:59Z", "kg", 420) // still June in New York
		delivered("summer", "1999-07-01T04:00:00Z", "kg", 4.2)
		delivered("half", "1999-12-01T04:59:59Z", "g", 210) // two halves of a meal, in one month or in two
		delivered("other half", "1999-12-01T05:00:00Z", "G", 210)
		w.add("open", 0, 0, func(d *donation.Donation) { d.CreatedAt = w.start })
		w.add("claimed", 0, 0, func(d *donation.Donation) { d.Status, d.ClaimedByID = donation.Claimed, "ngo" })
		w.add("over", 0, 0, func(d *donation.Donation) { d.Status, d.ClaimedByID, d.ExpiryTime = donation.Claimed, "ngo", w.start })
		none := func(labels ...string) (list []api.MonthStats) {
			for _, l := range labels {
				list = append(list, api.MonthStats{Label: l})
			}
			return list
		}
		utc := none("Aug", "Sep", "Oct", "Nov", "Dec", "Jan")
		utc[4] = api.MonthStats{Label: "Dec", Total: 2, Delivered: 2, Claimed: 2, Meals: 1}
		utc[5] = api.MonthStats{Label: "Jan", Total: 3, Claimed: 1}
		newYork := none("Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
		newYork[0] = api.MonthStats{Label: "Jul", Total: 1, Delivered: 1, Claimed: 1, Meals: 10}
		newYork[4] = api.MonthStats{Label: "Nov", Total: 1, Delivered: 1, Claimed: 1}
		newYork[5] = api.MonthStats{Label: "Dec", Total: 4, Delivered: 1, Claimed: 2}
		carrier := none("Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
		carrier[0], carrier[4] = newYork[0], newYork[4]
		carrier[5] = api.MonthStats{Label: "Dec", Total: 1, Delivered: 1, Claimed: 1}
		for _, tc := range []struct {
			place string
			who   account.Account
			want  []api.MonthStats
		}{
			{"UTC", account.Account{ID: "donor", Role: account.Donor}, utc},
			{"America/New_York", account.Account{ID: "donor", Role: account.Donor}, newYork},
			{"America/New_York", account.Account{ID: "carrier", Role: account.Volunteer}, carrier},
			{"America/New_York", account.Account{ID: "donor", Role: account.NGO}, none("Jul", "Aug", "Sep", "Oct", "Nov", "Dec")},
		} {
			place, err := time.LoadLocation(tc.place)
			if err != nil {
				t.Fatal(err)
			}
			got, err := query.NewService(w.store, place).Monthly(w.ctx, tc.who)
			if diff := cmp.Diff(tc.want, got); err != nil || diff != "" {
				t.Errorf("%s %s in %s: %v (-want +got):\n%s", tc.who.Role, tc.who.ID, tc.place, err, diff)
			}
		}
	})
}

// What is over counts as expired even before the clock has written it down.
func TestCommunityAtTheSecondOfExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.add("short", 0, 0, func(d *donation.Donation) { d.ExpiryTime = w.start.Add(time.Hour) })
		w.add("long", 0, 0)
		w.add("carried", 0, 0, func(d *donation.Donation) { d.Status, d.ExpiryTime = donation.PickedUp, w.start })
		for _, want := range []int64{3, 2} {
			c, err := w.Community(w.ctx)
			if err != nil || c.ActiveDonations != want || c.TotalDonations != 3 {
				t.Errorf("after %v: got %d of %d active, %v, want %d of 3", time.Since(w.start), c.ActiveDonations, c.TotalDonations, err, want)
			}
			<-time.After(time.Hour)
		}
	})
}

// Whoever asks a large board again and again does not make it add everything up each
// time.
func TestStatisticsOfALargeBoardAreKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.add("first", 0, 0)
		karma := func(id string) {
			w.update(func(tx *store.Tx) error {
				_, err := tx.AwardKarma(w.ctx, id, account.Award{AccountID: "donor", Reason: account.ReasonCreate}, w.start)
				return err
			})
		}
		karma("first")
		count := int64(1)
		look := func(when string, donations int64, points int) {
			t.Helper()
			c, err := w.Community(w.ctx)
			if err != nil || c.TotalDonations != donations {
				t.Errorf("%s: got %d donations, %v, want %d", when, c.TotalDonations, err, donations)
			}
			for _, scope := range []query.Scope{query.Ever, query.LastWeek} {
				l, err := w.Leaderboard(w.ctx, scope, account.Donor)
				if err != nil || len(l) != 1 || l[0].Score != points {
					t.Errorf("%s: got leaders %+v, %v, want %d points", when, l, err, points)
				}
			}
		}
		look("small", 1, 10)
		w.add("second", 0, 0)
		karma("second")
		look("small, and something is new", 2, 20)

		raw, err := sql.Open("sqlite", w.path)
		if err != nil {
			t.Fatal(err)
		}
		defer raw.Close()
		raw.SetMaxOpenConns(1) // for the temporary table
		exec := func(statement string) {
			if _, err := raw.Exec(statement); err != nil {
				t.Fatal(err)
			}
		}
		// One journal for all, and none of the indexes, which took most of the time.
		exec(`PRAGMA synchronous = OFF; BEGIN`)
		for _, index := range []string{"board", "claimer", "donor", "newest", "tally", "open", "unannounced"} {
			exec(`DROP INDEX donations_` + index)
		}
		for count = 2; count < 50_000; count *= 2 {
			exec(`CREATE TEMP TABLE more AS SELECT * FROM donations`)
			exec(fmt.Sprintf(`UPDATE more SET id = id || '-%d'`, count))
			exec(`INSERT INTO donations SELECT * FROM more; DROP TABLE more`)
		}
		exec(`COMMIT`)
		exec(`UPDATE events SET seq = 50000 WHERE seq = (SELECT MAX(seq) FROM events)`)
		look("large", count, 20)
		w.add("third", 0, 0)
		karma("third")
		<-time.After(time.Second - 1)
		look("large, and something is new", count, 20)
		<-time.After(1)
		look("a second later", count+1, 30)
	})
}
