package cli_test

import (
	"bytes"
	"strings"
	"testing"

	"larder/internal/cli"
)

func TestUserChanges(t *testing.T) {
	data := "--data-dir=" + t.TempDir()
	env := map[string]string{"LARDER_PASSWORD": password}
	run := func(args ...string) (code int, out string) {
		var b bytes.Buffer
		code = cli.Run(t.Context(), args, cli.Env{
			LookupEnv: func(k string) (string, bool) { v, ok := env[k]; return v, ok }, Stdin: strings.NewReader(""), Stdout: &b, Stderr: &b,
		})
		return code, b.String()
	}
	if code, out := run("user", "add", data, "--email=a@b.c", "--name=A", "--role=ADMIN"); code != 0 {
		t.Fatal(out)
	}
	if code, out := run("user", "add", data, "--email=d@b.c", "--name=D", "--role=DONOR"); code != 0 {
		t.Fatal(out)
	}
	for _, tc := range []struct {
		args string
		code int
		out  string
	}{
		{"user role d@b.c volunteer", 0, "is now VOLUNTEER"},
		{"user suspend d@b.c", 0, "suspended"},
		{"user restore d@b.c", 0, "restored"},
		{"user logout d@b.c", 0, "logged out everywhere"},
		{"user delete d@b.c", 0, "deleted"},
		{"user delete d@b.c", 1, "nobody here"},
		{"user delete a@b.c", 1, "last active admin"},
		{"user role a@b.c nothing", 2, "not one of"},
		{"user role a@b.c", 2, "usage"},
		{"user befriend a@b.c", 2, "usage"},
	} {
		if code, out := run(append(strings.Fields(tc.args), data)...); code != tc.code || !strings.Contains(out, tc.out) {
			t.Errorf("%s: got %d %q, want %d %q", tc.args, code, out, tc.code, tc.out)
		}
	}
}
