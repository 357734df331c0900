package cli_test

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"
	"time"

	"larder/api"
	"larder/client"
	"larder/internal/config"
	"larder/internal/testkit"
)

func TestTailTellsWhatHappensInWords(t *testing.T) {
	url := startNode(t)
	donor, _ := register(t, url, "DONOR", "donor@example.org")
	delivered(t, donor, offer(t, donor, "Old bread").ID)
	c := start(t, nil, "tail", "--url", url, "--token", donor.Token())
	c.stderr.await(t, "connected, position ", "signed in as DONOR")
	d := offer(t, donor, "Rolls \x1b[31mred")
	line := c.stdout.await(t, "donation.created", d.ID[28:], "Rolls ·[31mred, 4 kg, from DONOR", "good until")
	if strings.Contains(line, "\x1b") {
		t.Errorf("an escape sequence of a stranger got through: %q", line)
	}
	if _, err := donor.Cancel(t.Context(), d.ID, "sold"); err != nil {
		t.Fatal(err)
	}
	c.stdout.await(t, "donation.status.updated", "was cancelled: sold")
	if strings.Contains(c.stdout.String(), "Old bread") {
		t.Error("what happened before was shown without --after")
	}
	c.end(t)
}

// delivered waits until the node has told its clients of a donation: who connects a
// moment earlier hears of it.
func delivered(t *testing.T, c *client.Client, donationID string) {
	t.Helper()
	history, _, err := c.History(t.Context(), donationID, client.Page{})
	if err != nil || len(history) == 0 {
		t.Fatalf("history: %v, %v", history, err)
	}
	for position := ""; position < history[len(history)-1].Position; {
		conn, err := c.Connect(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		position = conn.Ready().Position
		_ = conn.Close()
	}
}

// P-13: food that is listed with a little more than an hour left.
func TestTailTellsOfNearExpiry(t *testing.T) {
	url := startNode(t)
	donor, _ := register(t, url, "DONOR", "donor@example.org")
	c := start(t, map[string]string{"LARDER_PASSWORD": password, "LARDER_EMAIL": "donor@example.org"}, "tail", "--url", url)
	c.stderr.await(t, "connected, position ")
	due := time.Now().Add(time.Hour + 3*time.Second)
	_, err := donor.CreateDonation(t.Context(), api.DonationDraft{
		Name: "Rolls", FoodType: "Bread", Unit: "kg", Quantity: 4, ExpiryTime: due.Format(time.RFC3339Nano),
	})
	if err != nil {
		t.Fatal(err)
	}
	c.stdout.await(t, "donation.near_expiry", "Rolls expires at "+due.Format(time.TimeOnly))
	c.end(t)
}

func TestTailShowsWhatItMissed(t *testing.T) {
	url := startNode(t)
	wire := newCable(t, url)
	donor, _ := register(t, url, "DONOR", "donor@example.org")
	c := start(t, map[string]string{"LARDER_PASSWORD": password, "LARDER_EMAIL": "donor@example.org"}, "tail", "--url", wire.url(), "--json")
	c.stderr.await(t, "connected, position ")
	offer(t, donor, "One")
	c.stdout.await(t, `"One"`)
	c.stdout.await(t, `"badge_earned"`) // for it, else it is missed as well
	wire.cut()
	c.stderr.await(t, "connection lost, trying again")
	offer(t, donor, "Two")
	offer(t, donor, "Three")
	wire.mend()
	c.stderr.await(t, "resumed, 2 events missed and shown")
	offer(t, donor, "Four")
	c.stdout.await(t, `"Four"`)
	c.end(t)
	var names []string
	for line := range strings.Lines(c.stdout.String()) {
		var ev struct {
			Position, Event string
			Data            api.DonationCreated
		}
		if strings.Contains(line, `"badge_earned"`) {
			continue
		}
		if err := json.Unmarshal([]byte(line), &ev); err != nil || ev.Position != ev.Data.Position || ev.Event != api.EventDonationCreated {
			t.Errorf("line %q: %v", line, err)
		}
		names = append(names, ev.Data.Name)
	}
	if got, want := strings.Join(names, " "), "One Two Three Four"; got != want {
		t.Errorf("shown: got %q, want %q", got, want)
	}
}

func TestTailOutlivesARestart(t *testing.T) {
	folder := t.TempDir()
	port, err := strconv.Atoi(freePort(t))
	if err != nil {
		t.Fatal(err)
	}
	restart := func() *testkit.Node {
		return testkit.Start(t, testkit.Options{DataDir: folder, Config: func(c *config.Config) { c.Port = port }})
	}
	n := restart()
	donor, _ := register(t, n.URL(), "DONOR", "donor@example.org")
	c := start(t, nil, "tail", "--url", n.URL(), "--token", donor.Token())
	c.stderr.await(t, "connected, position ")
	offer(t, donor, "Before")
	c.stdout.await(t, "Before")
	if err := n.Stop(); err != nil {
		t.Fatal(err)
	}
	c.stdout.await(t, "server.draining", "going away")
	c.stderr.await(t, "connection lost, trying again")
	donor.Close()
	restart()
	offer(t, donor, "After")
	c.stdout.await(t, "After")
	c.end(t)
	for _, name := range []string{"Before", "After"} {
		if n := strings.Count(c.stdout.String(), name); n != 1 {
			t.Errorf("%q was shown %d times", name, n)
		}
	}
}

func TestTailBeginsWhereItIsTold(t *testing.T) {
	url := startNode(t)
	donor, _ := register(t, url, "DONOR", "donor@example.org")
	offer(t, donor, "Early")
	page, err := donor.Events(t.Context(), "", 0)
	if err != nil {
		t.Fatal(err)
	}
	offer(t, donor, "Late")
	c := start(t, nil, "tail", "--url", url, "--token", donor.Token(), "--after", page.Position)
	c.stdout.await(t, "Late")
	c.end(t)
	if strings.Contains(c.stdout.String(), "Early") {
		t.Errorf("shown:\n%s", c.stdout)
	}
	other := testkit.OtherEpoch
	c = start(t, nil, "tail", "--url", url, "--token", donor.Token(), "--json", "--after", other)
	c.stdout.await(t, `"gap":"epoch"`)
	c.stderr.await(t, "can't be told any more (epoch)")
	c.end(t)
}

func TestTailIsRefused(t *testing.T) {
	url := startNode(t)
	for name, tc := range map[string]struct {
		args []string
		code int
		want string
	}{
		"nobody":      {nil, 2, "sign in with --token"},
		"bad token":   {[]string{"--token", "x"}, 1, "401 token_invalid"},
		"wrong words": {[]string{"--token", "x", "now"}, 2, `unexpected argument "now"`},
		"no such flag": {
			[]string{"--tokens", "x"}, 2, "not defined",
		},
		"bad password": {[]string{"--email", "no@example.org", "--password", "wrong wrong"}, 1, "401 bad_credentials"},
		"no namespace": {[]string{"--token", "x", "--namespace", "/nowhere"}, 1, "Invalid namespace"},
	} {
		t.Run(name, func(t *testing.T) {
			_, stderr, code := run(t, nil, append([]string{"tail", "--url", url}, tc.args...)...)
			if code != tc.code || !strings.Contains(stderr, tc.want) {
				t.Errorf("got %d %q, want %d with %q", code, stderr, tc.code, tc.want)
			}
		})
	}
}
