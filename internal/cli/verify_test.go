package cli_test

import (
	"strings"
	"testing"

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
	stdout, code := runVerify(t, "--kills", "1", "--stops", "1", "--clients", "20", "--for", "6s", "--rate", "20", "--seed", "4", "--data-dir", t.TempDir())
	if code != 0 {
		t.Errorf("exit code %d", code)
	}
	for _, want := range []string{"Seed 4:", "kills          1, and 1 stops in order", "clients        20:", "violations     0"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("no %q in\n%s", want, stdout)
		}
	}
}

func TestVerifyServerThatRuns(t *testing.T) {
	if testing.Short() {
		t.Skip("takes some seconds")
	}
	url := startNode(t)
	c, _ := register(t, url, "DONOR", "donor@example.org")
	offer(t, c, "Food of somebody else")
	stdout, code := runVerify(t, "--url", url, "--email", adminEmail, "--password", password, "--clients", "10", "--for", "5s", "--rate", "20")
	if code != 0 {
		t.Errorf("exit code %d", code)
	}
	for _, want := range []string{"which stay there", "kills          0, and 0 stops", "violations     0"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("no %q in\n%s", want, stdout)
		}
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
	} {
		if _, code := runVerify(t, args...); code != 2 {
			t.Errorf("%v: exit code %d, want 2", args, code)
		}
	}
}
