package node_test

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"larder/internal/account"
	"larder/internal/config"
	"larder/internal/testkit"
	"larder/internal/testkit/wire"
)

// What commands and the clock do is mailed to those whom it concerns; without a
// mail server that is a line in the log.
func TestMails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := testkit.Options{DataDir: t.TempDir(), Network: wire.Listen(), Config: func(c *config.Config) { c.EventRetention = time.Hour }}
		n := testkit.Start(t, o)
		donor, admin := n.User(account.Donor), n.User(account.Admin)
		ngo := n.User(account.NGO, testkit.Unverified)
		testkit.Must[any](n, n.Patch("/admin/verify/"+ngo.ID, admin.Token, nil), http.StatusOK)
		d := n.Donate(donor, map[string]any{"name": "Soup", "expiryTime": time.Now().Add(2 * time.Hour)})
		n.Order(ngo, d.ID, "claim", nil)
		ticket := testkit.Must[struct{ ID string }](n, n.Post("/support/tickets", donor.Token, map[string]any{
			"subject": "Bowls", "description": "Whose are they?",
		}), http.StatusCreated)
		testkit.Must[any](n, n.Patch("/admin/tickets/"+ticket.ID, admin.Token, map[string]any{"status": "RESOLVED", "adminNote": "Yours."}), http.StatusOK)
		<-time.After(90 * time.Minute)
		var got []string
		for _, line := range n.Logs.Lines("mail not sent, as there is no mail server") {
			got = append(got, line["account"].(string)+" "+line["subject"].(string))
		}
		want := []string{
			ngo.ID + " Your account is verified", donor.ID + " Your request was resolved: Bowls",
			donor.ID + " Expires soon: Soup", ngo.ID + " Expires soon: Soup",
		}
		if len(got) != len(want) {
			t.Fatalf("got %q, want %q", got, want)
		}
		for i := range want {
			if got[i] != want[i] {
				t.Errorf("got %q, want %q", got[i], want[i])
			}
		}
	})
}
