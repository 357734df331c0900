package cli_test

import (
	"strings"
	"testing"
)

// The help of a command begins with its own flags, and does not show what only a
// server needs.
func TestHelpShowsWhatMatters(t *testing.T) {
	for command, want := range map[string][]string{
		"backup":       {"Where the data is", "-data-dir", "-database-url"},
		"restore":      {"Where the data is", "-data-dir", "-database-url"},
		"migrate":      {"Where the data is", "-data-dir", "-database-host"},
		"import":       {"-apply", "-from ", "-report", "Where the data is", "-data-dir", "-database-url"},
		"token":        {"-email", "-ttl", "Where the data is", "-data-dir", "-jwt-secret"},
		"user add":     {"-email", "-role", "Where the data is", "-data-dir"},
		"user suspend": {"Where the data is", "-data-dir"},
		"serve":        {"-connect-timeout", "-data-dir", "-ping-interval", "-smtp-host"},
	} {
		out, stderr, code := run(t, map[string]string{"DATA_DIR": "./elsewhere"}, append(strings.Fields(command), "--help")...)
		if code != 0 || stderr != "" {
			t.Errorf("%s --help: exit code %d, %s", command, code, stderr)
		}
		rest := out
		for _, word := range want {
			_, after, ok := strings.Cut(rest, word)
			if !ok {
				t.Fatalf("%s --help: no %q, in the order of %q:\n%s", command, word, want, out)
			}
			rest = after
		}
		if strings.Contains(out, "-ping-interval") != (command == "serve") || strings.Contains(out, "-smtp-") != (command == "serve") {
			t.Errorf("%s --help:\n%s", command, out)
		}
	}
}
