package larder_test

import (
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"testing"
)

// The rules of the repository. This file holds the rules and the tables that
// people edit; repo_check_test.go holds the checkers and their own tests.

// anything, alone in a row of may or modules, allows every import but those of
// testOnly.
const anything = "*"

// may lists, for each package, the packages of this module that its code may
// import. It is the arrow of ARCHITECTURE.md read downwards. Tests may import
// what they like.
var may = map[string][]string{
	"cmd/larder": {"internal/cli"},

	// Public, usable without the product.
	"api":      {},
	"engineio": {},
	"socketio": {"engineio"},
	"client":   {"api", "engineio", "socketio"},

	// Pure: the standard library and each other, downwards.
	"internal/account":  {},
	"internal/donation": {"internal/account", "internal/geo"},
	"internal/voice":    {"internal/account", "internal/donation"},
	"internal/impact":   {},
	"internal/notice":   {"internal/account", "internal/donation"},

	// What clients get to see of a donation, and who hears of it.
	"internal/geo":    {},
	"internal/public": {"api", "internal/account", "internal/donation", "internal/notice"},
	"internal/feed":   {"api", "internal/donation", "internal/eventlog", "internal/geo"},

	// Written down, read back.
	"internal/eventlog": {},
	"internal/store":    {"internal/account", "internal/donation", "internal/eventlog", "internal/geo", "internal/notice", "internal/voice"},

	// What a request asks for.
	"internal/auth": {"internal/account", "internal/store"},
	"internal/command": {
		"api", "internal/account", "internal/auth", "internal/donation", "internal/eventlog", "internal/feed", "internal/geo", "internal/notice", "internal/public", "internal/query", "internal/store", "internal/voice",
	},
	"internal/query": {
		"api", "internal/account", "internal/donation", "internal/eventlog", "internal/feed", "internal/geo", "internal/impact", "internal/public", "internal/store", "internal/voice",
	},
	"internal/media":             {"internal/store"},
	"internal/store/surplussync": {},
	"internal/movein": {
		"api", "internal/account", "internal/donation", "internal/eventlog", "internal/notice", "internal/store", "internal/store/surplussync",
		"internal/voice",
	},
	"internal/mail":  {"internal/account", "internal/donation", "internal/eventlog", "internal/store", "internal/voice"},
	"internal/timer": {"internal/command", "internal/donation", "internal/store"},
	"internal/problem": {
		"api", "internal/account", "internal/auth", "internal/command", "internal/donation", "internal/query", "internal/store",
	},

	// What other programs are told of the surface.
	"internal/contract": {"api"},

	// The way out, and the doors.
	"internal/fanout": {"api", "internal/eventlog", "internal/feed", "socketio"},
	"internal/gateway": {
		"api", "engineio", "internal/account", "internal/auth", "internal/command", "internal/eventlog", "internal/fanout",
		"internal/feed", "internal/problem", "internal/query", "internal/store", "socketio",
	},
	"internal/httpapi": {
		"api", "engineio", "internal/account", "internal/auth", "internal/command", "internal/contract", "internal/donation", "internal/geo", "internal/media", "internal/problem", "internal/public", "internal/query", "internal/voice",
	},

	// Around it.
	"internal/config":    {},
	"internal/console":   {},
	"internal/telemetry": {"api", "engineio", "socketio"},
	"internal/node":      {anything},
	"internal/cli": {
		"api", "client", "internal/account", "internal/auth", "internal/command", "internal/config",
		"internal/donation", "internal/media", "internal/movein", "internal/node", "internal/store", "internal/store/surplussync", "internal/telemetry",
		"internal/verify",
	},

	// The checker looks from outside: it shares the wire with the server, no rule.
	"internal/faults": {},
	"internal/verify": {"api", "client", "engineio", "internal/faults", "socketio"},

	// Only tests import these: see testOnly.
	"internal/store/storetest": {
		"internal/account", "internal/donation", "internal/eventlog", "internal/geo", "internal/notice", "internal/store", "internal/voice",
	},
	"internal/testkit":        {anything},
	"internal/testkit/pgtest": {},
	"internal/testkit/wire":   {"engineio", "socketio"},

	// A database of one's own, for developers.
	"test/pg": {"internal/testkit/pgtest"},

	// A program for the official protocol suites, on the public API alone.
	"test/conformance": {"engineio", "socketio"},

	// The same for the JavaScript client.
	"test/interop/engine": {"engineio", "socketio"},
}

// modules lists the modules from outside that a package's code may use. A
// package without a row uses the standard library alone. A new line here needs
// its reason in docs/adr.
var modules = map[string][]string{
	"engineio":                   {"github.com/gobwas/ws"},
	"client":                     {"github.com/gobwas/ws"},
	"internal/store":             {"github.com/jackc/pgx/v5", "github.com/pressly/goose/v3", "modernc.org/sqlite"},
	"internal/store/storetest":   {"github.com/google/go-cmp", "pgregory.net/rapid"},
	"internal/auth":              {"github.com/golang-jwt/jwt/v5", "github.com/google/uuid", "golang.org/x/crypto"},
	"internal/command":           {"github.com/google/uuid"},
	"internal/contract":          {"github.com/danielgtaylor/huma/v2"},
	"internal/fanout":            {"github.com/tidwall/rtree"},
	"internal/gateway":           {"github.com/gobwas/ws", "golang.org/x/time"},
	"internal/httpapi":           {"github.com/danielgtaylor/huma/v2", "github.com/google/uuid"},
	"internal/media":             {"github.com/minio/minio-go/v7", "golang.org/x/image"},
	"internal/config":            {"github.com/joho/godotenv"},
	"internal/telemetry":         {"github.com/prometheus/client_golang"},
	"internal/verify":            {"github.com/gobwas/ws"},
	"internal/testkit":           {anything},
	"internal/testkit/wire":      {"github.com/coder/websocket", "github.com/gobwas/ws"},
	"internal/store/surplussync": {"github.com/jackc/pgx/v5"},
	"internal/movein":            {"github.com/google/uuid"},
	"internal/mail":              {"github.com/wneessen/go-mail"},
}

// why is told to whoever breaks a row of the two tables above.
var why = map[string]string{
	"cmd/larder":        "main only hands its arguments to internal/cli",
	"api":               "the public contract is types and nothing else, so that a client costs no dependency",
	"engineio":          "the protocol engine knows nothing of donations and can be used alone",
	"socketio":          "the protocol engine knows nothing of donations and can be used alone",
	"internal/donation": "the rules are pure: state, command and time in, events or a refusal out",
	"internal/account":  "the rules are pure: state, command and time in, events or a refusal out",
	"internal/voice":    "the rules are pure: state, command and time in, the new state or a refusal out",
	"internal/impact":   "what food comes to depends on the food and the factors alone",
	"internal/eventlog": "the log must not know who reads it",
	"internal/store":    "the store must not be able to reach a client before the commit",
	"internal/command":  "a command writes rows and records; what clients get of them is decided on the way out of the log",
	"internal/movein":   "an import writes rows and records; what clients get of them is decided on the way out of the log",
	"internal/query":    "the read side must not be able to send",
	"internal/fanout":   "fan-out sends what it read from the log and cannot change anything",
	"internal/verify":   "a checker that used the server's rules would share its mistakes",
}

// pure packages get time as an argument and do nothing to the world.
var pure = []string{"internal/account", "internal/donation", "internal/feed", "internal/geo", "internal/impact", "internal/notice", "internal/voice"}

// testOnly packages must never be linked into the program.
var testOnly = []string{
	"internal/store/storetest", "internal/testkit", "internal/testkit/pgtest", "internal/testkit/wire", "test/pg",
}

// mayStart lists the packages whose code may start a goroutine. Everything
// else is a blocking Run(ctx) error that internal/node starts. internal/cli does
// so for one thing: the demo runs its city beside its node. internal/faults and
// internal/verify are clients, many of them; their Run waits for each.
var mayStart = slices.Concat([]string{
	"client", "engineio", "internal/cli", "internal/faults", "internal/gateway", "internal/node", "internal/verify",
}, testOnly)

// mayMakeContext lists the packages whose code may make a context out of
// nothing. Everything else is given one.
var mayMakeContext = slices.Concat([]string{"cmd/larder", "internal/cli", "internal/node", "test/conformance", "test/interop/engine"}, testOnly)

// mayExit lists the programs beside cmd: only their package main may end the
// process.
var mayExit = []string{"test/conformance", "test/interop/engine", "test/pg"}

// notClauses look like a clause and are none.
var notClauses = []string{"P-256", "P-384", "P-521"}

func TestEveryPackageHasOneDocComment(t *testing.T) {
	for _, p := range packages(t) {
		if p.testsOnly() {
			continue
		}
		report(t, checkDoc(p.dir, sourcesIn(t, p.dir)))
	}
}

func TestImportTableHolds(t *testing.T) {
	for _, p := range packages(t) {
		if !p.testsOnly() {
			report(t, checkImports(p))
		}
	}
}

func TestImportTableNamesPackagesThatExist(t *testing.T) {
	real := make(map[string]bool)
	for _, p := range packages(t) {
		real[p.dir] = true
	}
	rows := slices.Concat(slices.Collect(maps.Keys(may)), slices.Collect(maps.Keys(modules)), mayStart, mayMakeContext)
	slices.Sort(rows)
	for _, dir := range slices.Compact(rows) {
		if !real[dir] {
			t.Errorf("repo_test.go has a rule for %q, which is no package of this module", dir)
		}
		if may[dir] == nil {
			t.Errorf("repo_test.go has a rule for %q, which has no row in the table may", dir)
		}
	}
}

func TestNoSleepInTests(t *testing.T)           { eachSource(t, checkSleep) }
func TestGoroutinesHaveAnOwner(t *testing.T)    { eachSource(t, checkGo) }
func TestOnlyMainExits(t *testing.T)            { eachSource(t, checkExit) }
func TestContextsArePassedDown(t *testing.T)    { eachSource(t, checkContext) }
func TestPureCodeHasNoClockOrIO(t *testing.T)   { eachSource(t, checkPure) }
func TestSQLStaysInTheStore(t *testing.T)       { eachSource(t, checkSQL) }
func TestCodeIsFreeOfTestingHooks(t *testing.T) { eachSource(t, checkTestingImport) }

func TestCitedClausesExist(t *testing.T) {
	clauses, faults := parseClauses(readFile(t, "docs/protocol.md"))
	report(t, faults)
	cited := make(map[string]bool)
	for _, s := range sources(t) {
		report(t, checkCitations(s, clauses))
		if s.test {
			for id := range citations(s) {
				cited[id] = true
			}
		}
	}
	t.Logf("%d clauses, %d of them cited by a test", len(clauses), len(cited))
}

func TestWalkthroughNamesRealFiles(t *testing.T) {
	const section = "One claim, file by file"
	files := walkthrough(readFile(t, "ARCHITECTURE.md"), section)
	if len(files) == 0 {
		t.Fatalf("ARCHITECTURE.md has no section %q with lines like \"- `internal/httpapi/donations.go`\"", section)
	}
	for _, name := range files {
		if !exists(name) {
			t.Errorf("ARCHITECTURE.md, %q: no file %s", section, name)
		}
	}
}

func TestLocalLinksResolve(t *testing.T) {
	for _, name := range filesWithSuffix(t, ".md") {
		if ours := !strings.Contains(name, "/") || strings.HasPrefix(name, "docs/"); ours {
			report(t, checkLinks(name, readFile(t, name), exists))
		}
	}
}

func TestDecisionsAreIndexed(t *testing.T) {
	index := readFile(t, "docs/adr/README.md")
	for _, name := range filesWithSuffix(t, ".md") {
		if path.Dir(name) == "docs/adr" && path.Base(name) != "README.md" && !strings.Contains(index, "("+path.Base(name)+")") {
			t.Errorf("%s is not in the index of docs/adr/README.md", name)
		}
	}
}

// TestSizes fails nothing: it lists what deserves a second look.
func TestSizes(t *testing.T) {
	for _, s := range sources(t) {
		for _, line := range sizes(s, 400, 60) {
			t.Log(line)
		}
	}
}

func report(t *testing.T, faults []string) {
	t.Helper()
	for _, f := range faults {
		t.Error(f)
	}
}

func eachSource(t *testing.T, check func(*source) []string) {
	t.Helper()
	for _, s := range sources(t) {
		report(t, check(s))
	}
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}
