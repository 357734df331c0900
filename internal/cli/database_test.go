package cli_test

import (
	"maps"
	"path/filepath"
	"strings"
	"testing"

	"larder/internal/testkit/pgtest"
)

// Every command that names the database does so without its password.
func TestDatabaseCommands(t *testing.T) {
	for name, address := range map[string]func(*testing.T) string{
		"SQLite": func(t *testing.T) string { return "sqlite:" + filepath.Join(t.TempDir(), "larder.db") },
		"PostgreSQL": func(t *testing.T) string {
			address, err := pgtest.Shared(t).Database()
			if err != nil {
				t.Fatal(err)
			}
			return strings.Replace(address, "larder@", "larder:s3cret@", 1)
		},
	} {
		t.Run(name, func(t *testing.T) {
			env := map[string]string{"DATABASE_URL": address(t), "DATA_DIR": t.TempDir(), "PORT": freePort(t)}
			larder := func(want string, args ...string) {
				t.Helper()
				out, stderr, code := run(t, env, args...)
				if code != 0 || !strings.Contains(out, want) || strings.Contains(out+stderr, "s3cret") {
					t.Errorf("larder %q: exit code %d, want %q and no password in:\n%s%s", args, code, want, out, stderr)
				}
			}
			larder("pending", "migrate", "status")
			larder("migrations applied", "migrate")
			larder(": 0 migrations applied", "migrate", "up")
			larder("applied 20", "migrate", "status")
			larder(": opens\n", "doctor")
			larder("ADMIN", "user", "add", "--role", "ADMIN", "--email", "a@example.org", "--name", "A", "--password", password)

			c := start(t, env, "serve", "--host", "127.0.0.1")
			c.stdout.await(t, "Ctrl-C stops it")
			c.end(t)
			if said := c.stdout.String() + c.stderr.String(); strings.Contains(said, "s3cret") || !strings.Contains(said, "Database   "+strings.Split(env["DATABASE_URL"], ":")[0]) {
				t.Errorf("serve says:\n%s", said)
			}
		})
	}
}

func TestDatabaseThatIsAway(t *testing.T) {
	env := map[string]string{"DATABASE_URL": "postgres://larder:s3cret@127.0.0.1:1/larder", "DATA_DIR": t.TempDir(), "PORT": freePort(t)}
	for _, args := range [][]string{{"serve"}, {"migrate"}, {"migrate", "status"}, {"doctor"}} {
		out, stderr, code := run(t, maps.Clone(env), args...)
		if code != 1 || !strings.Contains(out+stderr, "127.0.0.1") || strings.Contains(out+stderr, "s3cret") {
			t.Errorf("larder %q: exit code %d, want 1, the address and no password in:\n%s%s", args, code, out, stderr)
		}
	}
}
