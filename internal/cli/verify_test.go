package cli_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"larder/api"
	"larder/client"
	"larder/internal/cli"
)

// runVerify runs the checker, which ends by itself.
func runVerify(t *testing.T, args ...string) (stdout string, code int) {
	t.Helper()
	var out, errs strings.Builder
	env := map[string]string{serveVariable: "1"}
	code = cli.Run(t.Context(), append([]string{"verify"}, args...), cli.Env{
		LookupEnv: func(k string) (string, bool) { v, ok := env[k]; return v, ok },
		Stdin:     strings.NewReader(""), Stdout: &out, Stderr: &errs,
	})
	if code != 0 {
		t.Logf("larder verify %s: %s", strings.Join(args, " "), errs.String())
	}
	return out.String(), code
}

// TestVerifyKillsAndFindsNothing runs the checker for some seconds against a server
// of its own that is killed. `make verify` does so for longer.
func TestVerifyKillsAndFindsNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("takes some seconds")
	}
	stdout, code := runVerify(t, "--kills", "1", "--stops", "1", "--clients", "20", "--for", "6s", "--rate", "20", "--seed", "4", "--data-dir", filepath.Join(t.TempDir(), "it's here"))
	if code != 0 {
		t.Errorf("exit code %d", code)
	}
	for _, want := range []string{"Seed 4:", " verify --clients=20 --data-dir='", `it'\''s here' --for=6s --kills=1 --rate=20 --stops=1 --seed=4`, "kills          1, and 1 stops in order", "clients        20:", "violations     0"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("no %q in\n%s", want, stdout)
		}
	}
}

// Later checks of a server that runs use the accounts of the first one, and nothing
// of a check is open when it is over.
func TestVerifyServerThatRuns(t *testing.T) {
	if testing.Short() {
		t.Skip("takes some seconds")
	}
	url := startNode(t)
	c, _ := register(t, url, "DONOR", "donor@example.org")
	offer(t, c, "Food of somebody else")
	for i := range 2 {
		stdout, code := runVerify(t, "--url", url, "--email", adminEmail, "--password", password, "--clients", "10", "--for", "5s", "--rate", "20")
		if code != 0 {
			t.Errorf("exit code %d", code)
		}
		for _, want := range []string{"They stay there", "kills          0, and 0 stops", "violations     0", "--url=" + url} {
			if !strings.Contains(stdout, want) || strings.Contains(stdout, password) {
				t.Errorf("no %q, or the password, in\n%s", want, stdout)
			}
		}
		if i == 0 { // as if the run had been broken off while the account was suspended
			suspend(t, url, "bystander1@verify.test")
		}
	}
	if users := accounts(t, url); len(users) != 2+17 {
		t.Errorf("%d accounts are there, want the admin, the donor and 17 of the checks", len(users))
	}
	open, _, err := c.Donations(t.Context(), client.ListOptions{Statuses: []string{"AVAILABLE", "CLAIMED", "PICKED_UP"}})
	if err != nil || len(open) != 1 {
		t.Errorf("%d donations are open, %v; want that of somebody else", len(open), err)
	}
}

func admin(t *testing.T, url string) *client.Client {
	t.Helper()
	c := newClient(t, url)
	if _, err := c.Login(t.Context(), adminEmail, password); err != nil {
		t.Fatal(err)
	}
	return c
}

func accounts(t *testing.T, url string) []api.AdminUser {
	t.Helper()
	users, _, err := admin(t, url).Users(t.Context(), client.Page{})
	if err != nil {
		t.Fatal(err)
	}
	return users
}

func suspend(t *testing.T, url, name string) {
	t.Helper()
	users := accounts(t, url)
	i := slices.IndexFunc(users, func(u api.AdminUser) bool { return strings.HasSuffix(u.Email, name) })
	if i < 0 {
		t.Fatalf("nobody is %s", name)
	}
	if _, err := admin(t, url).ToggleStatus(t.Context(), users[i].ID); err != nil {
		t.Fatal(err)
	}
}

// What can't be checked is told at once, and leaves nothing behind.
func TestVerifyThatCanNotBegin(t *testing.T) {
	url := startNode(t)
	register(t, url, "DONOR", "donor@example.org")
	for _, c := range []struct{ url, email, password, want string }{
		{"http://127.0.0.1:1", adminEmail, password, "larder: sign in at http://127.0.0.1:1: POST /auth/login: dial tcp 127.0.0.1:1: connect: connection refused\n"},
		{url, adminEmail, "not that", "larder: sign in at " + url + ": POST /auth/login: 401 bad_credentials: E-mail or password is wrong\n"},
		{url, "donor@example.org", password, "larder: donor@example.org is no admin at " + url + ": a check needs one, to verify its NGOs\n"},
	} {
		_, stderr, code := run(t, nil, "verify", "--url", c.url, "--email", c.email, "--password", c.password)
		if code != 1 || stderr != c.want {
			t.Errorf("exit code %d, want 1 and %q: %q", code, c.want, stderr)
		}
	}
	if users := accounts(t, url); len(users) != 2 {
		t.Errorf("%d accounts are there, want the admin and the donor", len(users))
	}
}

func TestVerifyRefuses(t *testing.T) {
	for _, args := range [][]string{
		{"--clients", "0"},
		{"--rate", "0"},
		{"--for", "1s"},
		{"--kills", "9", "--for", "10s"},
		{"--timezone", "Nowhere"},
		{"--url", "ftp://here", "--email", "a@b", "--password", "x"},
		{"--url", "http://here"},
		{"--url", "http://here", "--email", "a@b", "--password", "x", "--kills", "1"},
		{"--url", "http://here", "--email", "a@b", "--password", "x", "--stops=0"},
		{"--url", "http://here", "--email", "a@b", "--password", "x", "--data-dir", "x"},
	} {
		if _, code := runVerify(t, args...); code != 2 {
			t.Errorf("%v: exit code %d, want 2", args, code)
		}
	}
}
