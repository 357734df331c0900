// Package storetest is the contract of package store as tests: what every engine
// must do. An engine's own tests call Run with a way to open an empty store.
//
// The suite uses nothing but the exported methods of store.Store, so that it
// says the same of every engine. What only one engine has (its files, its
// settings) is tested beside that engine.
package storetest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"larder/internal/account"
	"larder/internal/donation"
	"larder/internal/eventlog"
	"larder/internal/store"
)

// Run runs the suite. open returns an empty, migrated store that is closed when
// the test ends; it is called once for each test.
func Run(t *testing.T, open func(t *testing.T) *store.Store) {
	for name, test := range map[string]func(*testing.T, *store.Store){
		"Update/commits rows and records together":  commitTogether,
		"Update/rolls both back":                    rollBackTogether,
		"Update/returns the error of the function":  ownError,
		"Update/ends with its context":              updateContext,
		"group/many commands, few commits":          groupShares,
		"group/one failure harms nobody":            groupFailsAlone,
		"group/the first one fails":                 groupFirstFails,
		"group/contexts":                            groupContext,
		"group/a Tx ends with its function":         groupTxEnds,
		"View/refuses writes":                       viewIsReadOnly,
		"View/sees one state":                       viewIsOneState,
		"closed store is unavailable":               closedStore,
		"Migrate/again changes nothing":             migrateAgain,
		"log/positions and content":                 logContent,
		"log/refuses what is no object":             logRefusals,
		"log/pages and bounds":                      logPages,
		"log/visible in order":                      logVisibleInOrder,
		"log/history of one subject":                logHistory,
		"log/prune takes a prefix":                  pruneTakesAPrefix,
		"log/prune everything":                      pruneEverything,
		"log/many at once":                          logMany,
		"accounts/every field is kept":              accountFields,
		"accounts/e-mail is unique without case":    accountEmail,
		"accounts/credentials":                      accountCredentials,
		"accounts/list":                             accountList,
		"accounts/not found":                        accountNotFound,
		"karma/once for each donation and reason":   karmaOnce,
		"karma/taken back":                          karmaTakenBack,
		"karma/concurrent awards":                   karmaConcurrent,
		"intake/unit, day and status":               intakeLoad,
		"statistics/by month, status and unit":      statisticsOfAccount,
		"statistics/counts of the whole board":      statisticsCounts,
		"statistics/leaders":                        statisticsLeaders,
		"donations/every field is kept":             donationFields,
		"donations/texts are kept as they are":      donationTexts,
		"texts/what an engine refuses":              textsRefused,
		"donations/version conflict":                donationConflict,
		"donations/one of many writers wins":        donationOneWinner,
		"donations/filter and pages":                donationFilter,
		"donations/breaking off frees the database": donationBreak,
		"donations/due and next expiry":             donationDue,
		"donations/near expiry":                     donationNear,
		"donations/many expire":                     donationsExpired,
		"notifications/every field is kept":         notificationFields,
		"notifications/who may see what":            notificationAudience,
		"notifications/read":                        notificationRead,
		"notifications/prune":                       notificationPrune,
		"volunteers/who can be proposed":            volunteersNear,
		"volunteers/everywhere":                     volunteersEverywhere,
		"donations/trips of an account":             tripsOf,
		"karma/up to a bound":                       karmaUpTo,
		"answers/kept for caller and key":           answers,
		"answers/forgotten by age":                  answersForgotten,
		"views/kept for a session":                  viewsKept,
		"views/the newest of an account":            viewsBounded,
		"views/forgotten by age":                    viewsForgotten,

		"voices/feedback once for each donation":  feedbackOnce,
		"voices/ratings and scores":               ratings,
		"voices/flags, one open for each account": flagsKept,
		"voices/tickets, filter and pages":        ticketsKept,
		"voices/tickets are deleted":              ticketsDeleted,
		"voices/what is left of the deleted":      voicesOfTheDeleted,
		"voices/how often somebody spoke":         voicesSaid,
		"voices/what waits for an admin":          backlog,
		"accounts/some by id":                     accountsByID,
		"media/names are kept and dropped":        mediaNames,
		"media/held or dropped, never both":       mediaHoldOrDrop,
		"media/over with its owner":               mediaOver,
		"media/certificates":                      certificates,
		"mail/a sink moves on":                    sinkMoves,
		"mail/mails wait and are tried":           mailsWait,

		"import/karma without a donation": karmaImported,
		"import/what is here already":     importPresent,
		"import/a new life of the log":    newLife,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

// start is the moment at which the stories of this package begin.
var start = time.Date(2026, 11, 2, 9, 30, 0, 123e6, time.UTC)

// equal compares what was stored with what came back: nil and empty lists are
// the same thing in a database.
var equal = cmp.Options{cmpopts.EquateEmpty()}

func update(t *testing.T, st *store.Store, fn func(*store.Tx) error) {
	t.Helper()
	if err := st.Update(t.Context(), fn); err != nil {
		t.Fatalf("Update: %v", err)
	}
}

func view(t *testing.T, st *store.Store, fn func(*store.Tx) error) {
	t.Helper()
	if err := st.View(t.Context(), fn); err != nil {
		t.Fatalf("View: %v", err)
	}
}

func newAccount(id string, role account.Role) account.Account {
	return account.Account{
		ID: id, Email: id + "@example.org", Name: "Name of " + id, Role: role, Verified: true, Active: true,
		CreatedAt: start, UpdatedAt: start,
	}
}

func addAccounts(t *testing.T, st *store.Store, list ...account.Account) {
	t.Helper()
	update(t, st, func(tx *store.Tx) error {
		for _, a := range list {
			if err := tx.InsertAccount(t.Context(), a, "hash of "+a.ID); err != nil {
				return err
			}
		}
		return nil
	})
}

// newDonation is an available donation of the account "donor".
func newDonation(id string) donation.Donation {
	return donation.Donation{
		ID: id, Name: "Bread", FoodType: "bakery", Quantity: 5, Unit: "kg",
		PreparationTime: start.Add(-time.Hour), ExpiryTime: start.Add(6 * time.Hour), Latitude: 51.5, Longitude: -0.1,
		Status: donation.Available, DonorID: "donor", DonorName: "Bakery", Version: 1, CreatedAt: start, UpdatedAt: start,
	}
}

func addDonations(t *testing.T, st *store.Store, list ...donation.Donation) {
	t.Helper()
	update(t, st, func(tx *store.Tx) error {
		for _, d := range list {
			if err := tx.InsertDonation(t.Context(), d); err != nil {
				return err
			}
		}
		return nil
	})
}

func getDonation(t *testing.T, st *store.Store, id string) (d donation.Donation) {
	t.Helper()
	view(t, st, func(tx *store.Tx) (err error) {
		d, err = tx.Donation(t.Context(), id)
		return err
	})
	return d
}

func draft(subject string, version int64) eventlog.Draft {
	return eventlog.Draft{
		Type: "test.happened", Subject: subject, Version: version, Audience: eventlog.Audience{Everyone: true},
		Payload: fmt.Appendf(nil, `{"id":%q,"version":%d}`, subject, version), At: start,
	}
}

func records(t *testing.T, st *store.Store, after int64, limit int) []eventlog.Record {
	t.Helper()
	recs, err := st.Log().Since(t.Context(), after, limit)
	if err != nil {
		t.Fatalf("Since(%d): %v", after, err)
	}
	return recs
}

func wantErr(t *testing.T, what string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("%s: got error %v, want %v", what, got, want)
	}
}
