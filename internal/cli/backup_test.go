package cli_test

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"larder/api"
	"larder/internal/account"
	"larder/internal/config"
	"larder/internal/testkit"
)

// A live client whose server comes back with a restored database is told to start
// over, and hears then what happens in the new life of the log: P-22.
func TestRestoreIsANewLifeForClients(t *testing.T) {
	folder := t.TempDir()
	data, file := filepath.Join(folder, "data"), filepath.Join(folder, "backup.db")
	n := testkit.Start(t, testkit.Options{DataDir: data})
	env := map[string]string{"DATA_DIR": data, "JWT_SECRET": testkit.Secret}
	donor := n.User(account.Donor)
	n.Donate(donor, map[string]any{"name": "Before"})
	c := start(t, nil, "tail", "--url", n.URL(), "--token", donor.Token, "--json")
	c.stderr.await(t, "connected, position ") // it shows what happens from then on
	n.Donate(donor, map[string]any{"name": "Seen"})
	c.stdout.await(t, "Seen")

	stdout, stderr, code := run(t, env, "backup", file)
	if code != 0 || !strings.Contains(stdout, "up to position") || stderr != "" {
		t.Fatalf("backup: %d %q %q", code, stdout, stderr)
	}
	n.Donate(donor, map[string]any{"name": "Lost"})
	c.stdout.await(t, "Lost")
	page := testkit.Must[api.FeedResumed](n, n.Get("/events", donor.Token), 200)

	_, stderr, code = run(t, env, "restore", file)
	if code != 1 || !strings.Contains(stderr, "stop the server first") {
		t.Fatalf("restore under a running server: %d %q", code, stderr)
	}
	n.Donate(donor, map[string]any{"name": "Undisturbed"})
	c.stdout.await(t, "Undisturbed")
	if err := n.Stop(); err != nil {
		t.Fatal(err)
	}
	stdout, stderr, code = run(t, env, "restore", file)
	if code != 0 || !strings.Contains(stdout, "larder.db.before-") {
		t.Fatalf("restore: %d %q %q", code, stdout, stderr)
	}

	port, err := strconv.Atoi(n.URL()[strings.LastIndex(n.URL(), ":")+1:])
	if err != nil {
		t.Fatal(err)
	}
	again := testkit.Start(t, testkit.Options{DataDir: data, Config: func(c *config.Config) { c.Port = port }})
	r := testkit.Must[api.FeedResumed](again, again.Get("/events?after="+page.Position, donor.Token), 200)
	if r.Recovered || r.Reason != "epoch" || len(r.Events) != 0 {
		t.Errorf("a position of the old life: got %+v, want the reason epoch", r)
	}
	c.stdout.await(t, `"gap":"epoch"`)
	again.Donate(donor, map[string]any{"name": "New life"})
	c.stdout.await(t, "New life")
	c.end(t)
	all := testkit.Must[api.FeedResumed](again, again.Get("/events", donor.Token), 200)
	text, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	if text := string(text); strings.Contains(text, "Lost") || !strings.Contains(text, "Seen") {
		t.Errorf("the log after the restore: %s", text)
	}
}

func TestBackupCommandLine(t *testing.T) {
	folder := t.TempDir()
	env := map[string]string{"DATA_DIR": folder}
	text := filepath.Join(folder, "text")
	if err := os.WriteFile(text, []byte("no database, whatever its name"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		args []string
		code int
		want string
	}{
		"no file":             {[]string{"backup"}, 2, "usage: larder backup FILE"},
		"a flag for the file": {[]string{"backup", "--data-dir=x"}, 2, "usage: larder backup FILE"},
		"two files":           {[]string{"backup", "a", "b"}, 2, `unexpected argument "b"`},
		"no database":         {[]string{"backup", filepath.Join(folder, "a")}, 1, "there is no database to copy: " + filepath.Join(folder, "larder.db") + " does not exist\n"},
		"nothing to restore":  {[]string{"restore"}, 2, "usage: larder restore FILE"},
		"no such backup":      {[]string{"restore", filepath.Join(folder, "a")}, 1, "there is no backup to restore: " + filepath.Join(folder, "a") + " does not exist\n"},
		"no file of ours":     {[]string{"restore", text}, 1, "copy " + text + ": "},
		"a folder":            {[]string{"restore", folder}, 1, folder + " is no file\n"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, stderr, code := run(t, env, tc.args...); code != tc.code || !strings.Contains(stderr, tc.want) {
				t.Errorf("got %d %q, want %d with %q", code, stderr, tc.code, tc.want)
			}
		})
	}
	for _, command := range []string{"backup", "restore"} {
		if stdout, _, code := run(t, env, command, "--help"); code != 0 || !strings.Contains(stdout, "larder "+command+" FILE") {
			t.Errorf("%s --help: %d %q", command, code, stdout)
		}
	}
	if _, err := os.Stat(filepath.Join(folder, "a")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a backup of nothing is there: %v", err)
	}
	// The secret is no part of a backup, and that is said.
	if _, stderr, code := run(t, env, "migrate"); code != 0 {
		t.Fatal(stderr)
	}
	stdout, stderr, code := run(t, env, "backup", filepath.Join(folder, "a"))
	if code != 0 || stderr != "" || !strings.Contains(stdout, filepath.Join(folder, "jwt-secret")+" is not in it") {
		t.Errorf("backup: %d %q %q", code, stdout, stderr)
	}
	if _, err := os.Stat(filepath.Join(folder, "a")); err != nil {
		t.Error(err)
	}
	behind := filepath.Join(folder, "behind")
	if stdout, stderr, code := run(t, nil, "backup", "--data-dir", folder, behind); code != 0 || !strings.HasPrefix(stdout, behind+" holds everything") {
		t.Errorf("a file behind the flags: %d %q %q", code, stdout, stderr)
	}
}
