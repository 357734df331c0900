package larder_test

import (
	"slices"
	"strings"
	"testing"
)

// A rule that cannot fail is no rule: each checker is tried here on small
// sources, one that breaks the rule and one that keeps it.

func TestSourceCheckers(t *testing.T) {
	const (
		sleep   = "package p\nimport \"time\"\nfunc f() { time.Sleep(1) }\n"
		renamed = "package p\nimport clock \"time\"\nvar nap = clock.Sleep\n"
		ownTime = "package p\nvar time struct{ Sleep func(int) }\nfunc f() { time.Sleep(1) }\n"
		starts  = "package p\nfunc f() { go f() }\n"
		group   = "package p\nimport \"sync\"\nfunc f() { var wg sync.WaitGroup; wg.Go(f) }\n"
		exit    = "package p\nimport \"os\"\nfunc f() { os.Exit(1) }\n"
		fatal   = "package p\nimport \"log\"\nfunc f() { log.Fatal(1) }\n"
		ctx     = "package p\nimport \"context\"\nvar c = context.Background()\n"
		now     = "package p\nimport \"time\"\nvar t = time.Now()\n"
		usesOS  = "package p\nimport \"os\"\nvar e = os.Environ()\n"
		sql     = "package p\nimport \"database/sql\"\nvar db *sql.DB\n"
		usesT   = "package p\nimport \"testing\"\nvar t testing.TB\n"
	)
	for name, tc := range map[string]struct {
		check      func(*source) []string
		path, text string
		want       string // Part of the only fault; empty for none.
	}{
		"sleep in a test":           {checkSleep, "api/a_test.go", sleep, "api/a_test.go:3: time.Sleep"},
		"sleep under another name":  {checkSleep, "api/a_test.go", renamed, ":3: time.Sleep"},
		"sleep in a test helper":    {checkSleep, "internal/testkit/a.go", sleep, "time.Sleep"},
		"sleep in code":             {checkSleep, "api/a.go", sleep, ""},
		"sleep of something else":   {checkSleep, "api/a_test.go", ownTime, ""},
		"go in a handler":           {checkGo, "internal/httpapi/a.go", starts, "internal/httpapi may not start a goroutine"},
		"WaitGroup.Go in a handler": {checkGo, "internal/httpapi/a.go", group, "may not start"},
		"go in the node":            {checkGo, "internal/node/a.go", starts, ""},
		"go in a test":              {checkGo, "internal/httpapi/a_test.go", starts, ""},
		"exit in a package":         {checkExit, "internal/cli/a.go", exit, "os.Exit outside cmd"},
		"fatal in a package":        {checkExit, "internal/cli/a.go", fatal, "log.Fatal exits"},
		"exit in main":              {checkExit, "cmd/larder/main.go", strings.Replace(exit, "package p", "package main", 1), ""},
		"exit in a stray main":      {checkExit, "internal/cli/a.go", strings.Replace(exit, "package p", "package main", 1), "os.Exit outside cmd"},
		"exit in conformance":       {checkExit, "test/conformance/main.go", strings.Replace(exit, "package p", "package main", 1), ""},
		"new context in a handler":  {checkContext, "internal/httpapi/a.go", ctx, "context.Background"},
		"new context in a test":     {checkContext, "internal/httpapi/a_test.go", ctx, ""},
		"new context in the node":   {checkContext, "internal/node/a.go", ctx, ""},
		"clock in the rules":        {checkPure, "internal/donation/a.go", now, "take now as an argument"},
		"files in the rules":        {checkPure, "internal/donation/a.go", usesOS, "does not import os"},
		"clock elsewhere":           {checkPure, "internal/store/a.go", now, ""},
		"SQL in a query":            {checkSQL, "internal/query/a.go", sql, "database/sql outside internal/store"},
		"SQL in the store":          {checkSQL, "internal/store/a.go", sql, ""},
		"testing in code":           {checkTestingImport, "internal/node/a.go", usesT, "testing in code"},
		"testing in the test kit":   {checkTestingImport, "internal/testkit/a.go", usesT, ""},
	} {
		t.Run(name, func(t *testing.T) {
			expect(t, tc.check(mustParse(t, tc.path, tc.text)), tc.want)
		})
	}
}

func TestDocChecker(t *testing.T) {
	const good = "// Package p is small.\npackage p\n"
	for name, tc := range map[string]struct {
		texts []string
		want  string
	}{
		"one":               {[]string{good, "package p\n"}, ""},
		"none":              {[]string{"package p\n"}, "no file has a package comment"},
		"only a directive":  {[]string{"//go:build linux\n\npackage p\n"}, "no file has a package comment"},
		"two":               {[]string{good, good}, "more than one file"},
		"wrong first words": {[]string{"// P is small.\npackage p\n"}, `must begin with "Package p"`},
		"a command":         {[]string{"// Larder serves the board.\npackage main\n"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var files []*source
			for i, text := range tc.texts {
				files = append(files, mustParse(t, "p/"+string(rune('a'+i))+".go", text))
			}
			files = append(files, mustParse(t, "p/a_test.go", "// Package p is tested.\npackage p\n"))
			expect(t, checkDoc("p", files), tc.want)
		})
	}
}

func TestImportChecker(t *testing.T) {
	for name, tc := range map[string]struct {
		dir  string
		imp  string
		want string
	}{
		"down the arrow":      {"internal/command", "larder/internal/store", ""},
		"up the arrow":        {"internal/command", "larder/internal/fanout", "internal/command must not import internal/fanout: a command writes"},
		"engine to product":   {"engineio", "larder/internal/donation", "must not import internal/donation"},
		"standard library":    {"internal/donation", "net/netip", ""},
		"known module":        {"engineio", "github.com/gobwas/ws", ""},
		"package of a module": {"engineio", "github.com/gobwas/ws/wsutil", ""},
		"name with a prefix":  {"engineio", "github.com/gobwas/wsx", "must not import github.com/gobwas/wsx"},
		"module in the rules": {"internal/donation", "github.com/google/uuid", "the rules are pure"},
		"anything":            {"internal/node", "larder/internal/fanout", ""},
		"test kit":            {"internal/node", "larder/internal/testkit", "is for tests"},
		"test kit's own":      {"internal/testkit", "larder/internal/testkit/wire", ""},
		"root with code":      {".", "fmt", "the root package holds no code"},
		"package without row": {"internal/util", "fmt", "internal/util has no row"},
	} {
		t.Run(name, func(t *testing.T) {
			expect(t, checkImports(pkg{dir: tc.dir, Imports: []string{tc.imp}}), tc.want)
		})
	}
}

func TestListDecoder(t *testing.T) {
	got, err := decodeList(strings.NewReader(`{"ImportPath":"larder"}{"ImportPath":"larder/api","GoFiles":["a.go"],"Imports":["fmt"]}`))
	if err != nil || len(got) != 2 {
		t.Fatalf("decodeList: %v, %v", got, err)
	}
	if got[0].dir != "." || got[1].dir != "api" || !got[0].testsOnly() || got[1].testsOnly() {
		t.Errorf("decodeList: got %+v", got)
	}
	if _, err := decodeList(strings.NewReader(`{"ImportPath":`)); err == nil {
		t.Error("decodeList took half an object")
	}
}

func TestClauseChecker(t *testing.T) {
	clauses, faults := parseClauses("# Wire\n- **E-1** One.\n- **P-2** Two, see **E-9**.\n  - **E-3** not at the margin\n")
	expect(t, faults, "")
	_, faults = parseClauses("- **E-1** One.\n- **E-1** Again.\n")
	expect(t, faults, "defines E-1 twice")
	for name, tc := range map[string]struct{ comment, want string }{
		"known":        {"E-1 and P-2.", ""},
		"unknown":      {"E-3 says so.", "api/a.go:2: cites E-3"},
		"a curve":      {"ES256 uses P-256.", ""},
		"another word": {"UTF-8, AES-1, E-one.", ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := mustParse(t, "api/a.go", "package p\n// "+tc.comment+"\nvar s = \"E-77 in a string\"\n")
			expect(t, checkCitations(s, clauses), tc.want)
		})
	}
}

func TestWalkthroughReader(t *testing.T) {
	const text = "# A\n- `no.go`\n## One claim\n\nText `b.go`.\n- `a.go` first\n2. `b.go`\n### Next\n- `c.go`\n"
	if got, want := walkthrough(text, "One claim"), []string{"a.go", "b.go"}; !slices.Equal(got, want) {
		t.Errorf("walkthrough: got %q, want %q", got, want)
	}
	if got := walkthrough(text, "Another"); got != nil {
		t.Errorf("walkthrough of a missing section: got %q", got)
	}
}

func TestLinkChecker(t *testing.T) {
	there := func(name string) bool { return name == "docs/a.md" || name == "README.md" }
	for name, tc := range map[string]struct{ text, want string }{
		"beside":    {"[a](a.md)", ""},
		"above":     {"see [r](../README.md#run) and [a](a.md \"title\")", ""},
		"missing":   {"line\n[b](b.md#x)", "docs/x.md:2: link to b.md#x"},
		"image":     {"![b](b.png)", "link to b.png"},
		"web":       {"[w](https://example.org/b.md) <mailto:a@example.org>", ""},
		"anchor":    {"[here](#here)", ""},
		"code span": {"`[b](b.md)`", ""},
		"fence":     {"```\n[b](b.md)\n```\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			expect(t, checkLinks("docs/x.md", tc.text, there), tc.want)
		})
	}
}

func TestSizeReport(t *testing.T) {
	s := mustParse(t, "api/a.go", "package p\n\nfunc f() {\n\tf()\n}\n")
	if got := sizes(s, 5, 3); len(got) != 0 {
		t.Errorf("sizes within bounds: got %q", got)
	}
	want := []string{"api/a.go: 5 lines", "api/a.go:3: f has 3 lines"}
	if got := sizes(s, 4, 2); !slices.Equal(got, want) {
		t.Errorf("sizes: got %q, want %q", got, want)
	}
}

func mustParse(t *testing.T, name, text string) *source {
	t.Helper()
	s, err := parse(name, text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// expect wants no fault, or exactly one that contains want.
func expect(t *testing.T, faults []string, want string) {
	t.Helper()
	switch {
	case want == "" && len(faults) > 0:
		t.Errorf("got %q, want no fault", faults)
	case want != "" && (len(faults) != 1 || !strings.Contains(faults[0], want)):
		t.Errorf("got %q, want one fault with %q", faults, want)
	}
}
