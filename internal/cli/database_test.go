package cli_test

import (
	"database/sql"
	"errors"
	"io/fs"
	"maps"
	"os"
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
			if path, file := strings.CutPrefix(env["DATABASE_URL"], "sqlite:"); file {
				noDatabase(t, env, path)
			} else {
				larder("pending", "migrate", "status")
			}
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

// A command that only reads does not touch the schema: a server of an older Larder
// may be running.
func TestReadingCommandsLeaveTheSchema(t *testing.T) {
	for name, address := range map[string]func(*testing.T) string{
		"SQLite":     func(t *testing.T) string { return "sqlite:" + filepath.Join(t.TempDir(), "larder.db") },
		"PostgreSQL": func(t *testing.T) string { return pgtest.Database(t) },
	} {
		t.Run(name, func(t *testing.T) {
			env := map[string]string{"DATABASE_URL": address(t), "DATA_DIR": t.TempDir(), "LARDER_PASSWORD": password}
			token := func(code int, want string) {
				t.Helper()
				out, stderr, got := run(t, env, "token", "--email", "a@example.org")
				if got != code || !strings.Contains(out+stderr, want) || strings.Count(stderr, "\n") != 1 {
					t.Errorf("larder token: exit code %d, want %d and %q in a line of:\n%s%s", got, code, want, out, stderr)
				}
			}
			token(1, "there is no database yet: larder serve makes it")
			if path, ok := strings.CutPrefix(env["DATABASE_URL"], "sqlite:"); ok {
				if _, err := os.Stat(path); err == nil {
					t.Error("it made the database")
				}
			}
			if _, stderr, code := run(t, env, "user", "add", "--role", "DONOR", "--email", "a@example.org", "--name", "A"); code != 0 {
				t.Fatal(stderr)
			}
			token(0, "valid until")
			status := func() string {
				t.Helper()
				out, stderr, code := run(t, env, "migrate", "status")
				if code != 0 {
					t.Fatal(stderr)
				}
				return out
			}
			older(t, env["DATABASE_URL"])
			if !strings.Contains(status(), "pending") {
				t.Fatalf("nothing is pending:\n%s", status())
			}
			token(1, "the database is of an older Larder: larder migrate brings it up to date")
			if !strings.Contains(status(), "pending") {
				t.Errorf("it was migrated:\n%s", status())
			}
		})
	}
}

// older takes a database back by the last step of its schema.
func older(t *testing.T, address string) {
	t.Helper()
	driver, source := "pgx", address
	if path, ok := strings.CutPrefix(address, "sqlite:"); ok {
		driver, source = "sqlite", path
	}
	db, err := sql.Open(driver, source)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), `DELETE FROM goose_db_version WHERE version_id = (SELECT MAX(version_id) FROM goose_db_version)`); err != nil {
		t.Fatal(err)
	}
}

// noDatabase asks for the state of a database that is not there, as after a typo.
func noDatabase(t *testing.T, env map[string]string, path string) {
	t.Helper()
	missing := filepath.Join(filepath.Dir(path), "typo", "larder.db")
	env = maps.Clone(env)
	env["DATABASE_URL"] = "sqlite:" + missing
	for args, want := range map[string]string{"status": "there is no database " + missing, "stauts": "usage: larder migrate [up|status]"} {
		if out, stderr, code := run(t, env, "migrate", args); code == 0 || out != "" || !strings.Contains(stderr, want) {
			t.Errorf("migrate %s: exit code %d, %q %q", args, code, out, stderr)
		}
	}
	if _, err := os.Stat(filepath.Dir(missing)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("its folder was made: %v", err)
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
