package larder_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"iter"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

const module = "larder"

// pkg is what go list tells about one package; dir is its path in this module.
type pkg struct {
	dir        string
	ImportPath string
	GoFiles    []string
	CgoFiles   []string
	Imports    []string
}

func (p pkg) testsOnly() bool { return len(p.GoFiles)+len(p.CgoFiles) == 0 }

var listOnce = sync.OnceValues(func() ([]pkg, error) {
	out, err := exec.Command("go", "list", "-e", "-json=ImportPath,GoFiles,CgoFiles,Imports", "./...").Output()
	if err != nil {
		if ee, ok := errors.AsType[*exec.ExitError](err); ok {
			return nil, fmt.Errorf("go list: %w\n%s", err, ee.Stderr)
		}
		return nil, fmt.Errorf("go list: %w", err)
	}
	return decodeList(strings.NewReader(string(out)))
})

func decodeList(r io.Reader) ([]pkg, error) {
	var pkgs []pkg
	for dec := json.NewDecoder(r); ; {
		var p pkg
		if err := dec.Decode(&p); err == io.EOF {
			return pkgs, nil
		} else if err != nil {
			return nil, fmt.Errorf("go list output: %w", err)
		}
		p.dir = inModule(p.ImportPath)
		pkgs = append(pkgs, p)
	}
}

// inModule gives the path of a package inside this module: "." for the root,
// "" for a package of another module.
func inModule(importPath string) string {
	if importPath == module {
		return "."
	}
	dir, ok := strings.CutPrefix(importPath, module+"/")
	if !ok {
		return ""
	}
	return dir
}

func packages(t *testing.T) []pkg {
	t.Helper()
	pkgs, err := listOnce()
	if err != nil {
		t.Fatal(err)
	}
	return pkgs
}

// source is one parsed Go file; path and dir are slash-separated from the root.
type source struct {
	path, dir string
	test      bool
	text      string
	fset      *token.FileSet
	file      *ast.File
}

func parse(name, text string) (*source, error) {
	s := &source{path: name, dir: path.Dir(name), test: strings.HasSuffix(name, "_test.go"), text: text, fset: token.NewFileSet()}
	f, err := parser.ParseFile(s.fset, name, text, parser.ParseComments|parser.SkipObjectResolution)
	s.file = f
	return s, err
}

// at words a fault as go vet does, so that editors can jump to it.
func (s *source) at(pos token.Pos, format string, args ...any) string {
	return fmt.Sprintf("%s:%d: ", s.path, s.fset.Position(pos).Line) + fmt.Sprintf(format, args...)
}

// imports yields each import with its unquoted path.
func (s *source) imports() iter.Seq2[string, *ast.ImportSpec] {
	return func(yield func(string, *ast.ImportSpec) bool) {
		for _, spec := range s.file.Imports {
			p, err := strconv.Unquote(spec.Path.Value)
			if err == nil && !yield(p, spec) {
				return
			}
		}
	}
}

// uses yields every mention of one of the names of an imported package,
// whatever the import is called in this file.
func (s *source) uses(importPath string, names ...string) iter.Seq[*ast.SelectorExpr] {
	local := s.localName(importPath)
	return func(yield func(*ast.SelectorExpr) bool) {
		for n := range ast.Preorder(s.file) {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok || !slices.Contains(names, sel.Sel.Name) {
				continue
			}
			if x, ok := sel.X.(*ast.Ident); ok && local != "" && x.Name == local && !yield(sel) {
				return
			}
		}
	}
}

func (s *source) localName(importPath string) string {
	for p, spec := range s.imports() {
		if p == importPath && spec.Name != nil {
			return spec.Name.Name
		} else if p == importPath {
			return path.Base(p)
		}
	}
	return ""
}

var filesOnce = sync.OnceValues(func() ([]string, error) {
	var names []string
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && skipDir(name):
			return filepath.SkipDir
		case !d.IsDir():
			names = append(names, filepath.ToSlash(name))
		}
		return nil
	})
	return names, err
})

// skipDir leaves out what is not ours to judge: hidden folders, fetched
// packages, test data, folders that hold a module of their own.
func skipDir(name string) bool {
	base := filepath.Base(name)
	if name == "." {
		return false
	}
	return strings.HasPrefix(base, ".") || base == "node_modules" || base == "testdata" || name == "data" ||
		exists(filepath.Join(name, "go.mod"))
}

func filesWithSuffix(t *testing.T, suffix string) []string {
	t.Helper()
	names, err := filesOnce()
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(slices.Clone(names), func(n string) bool { return !strings.HasSuffix(n, suffix) })
}

var parsed struct {
	sync.Once
	all []*source
}

func sources(t *testing.T) []*source {
	t.Helper()
	parsed.Do(func() {
		for _, name := range filesWithSuffix(t, ".go") {
			s, err := parse(name, readFile(t, name))
			if err != nil {
				t.Error(err)
				continue
			}
			parsed.all = append(parsed.all, s)
		}
	})
	return parsed.all
}

func sourcesIn(t *testing.T, dir string) []*source {
	t.Helper()
	return slices.DeleteFunc(slices.Clone(sources(t)), func(s *source) bool { return s.dir != dir })
}

func checkDoc(dir string, files []*source) []string {
	var with []string
	for _, s := range files {
		doc := strings.TrimSpace(s.file.Doc.Text())
		if s.test || doc == "" {
			continue
		}
		with = append(with, s.path)
		if name := s.file.Name.Name; name != "main" && !strings.HasPrefix(doc, "Package "+name+" ") {
			return []string{s.at(s.file.Package, "the package comment must begin with %q", "Package "+name)}
		}
	}
	switch len(with) {
	case 0:
		return []string{fmt.Sprintf("%s: no file has a package comment; say what the package is for, what it promises, who calls it", dir)}
	case 1:
		return nil
	}
	return []string{fmt.Sprintf("%s: more than one file has a package comment: %s", dir, strings.Join(with, ", "))}
}

func checkImports(p pkg) []string {
	if p.dir == "." {
		if len(p.Imports) > 0 {
			return []string{"the root package holds no code and imports nothing"}
		}
		return nil
	}
	allowed, ok := may[p.dir]
	if !ok {
		return []string{fmt.Sprintf("%s has no row in the table may of repo_test.go: add one that says what it may import", p.dir)}
	}
	var faults []string
	for _, imp := range p.Imports {
		if f := checkImport(p.dir, imp, allowed); f != "" {
			faults = append(faults, f)
		}
	}
	return faults
}

func checkImport(dir, imp string, allowed []string) string {
	first, _, _ := strings.Cut(imp, "/")
	switch {
	case first == module:
		return checkOwnImport(dir, inModule(imp), allowed)
	case !strings.Contains(first, "."):
		return "" // The standard library.
	case slices.ContainsFunc(modules[dir], func(m string) bool { return m == anything || imp == m || strings.HasPrefix(imp, m+"/") }):
		return ""
	}
	return forbidden(dir, imp, "modules")
}

func checkOwnImport(dir, imp string, allowed []string) string {
	if slices.Contains(testOnly, imp) && !slices.Contains(testOnly, dir) {
		return fmt.Sprintf("%s imports %s, which is for tests and must not be linked into the program", dir, imp)
	}
	if slices.Contains(allowed, anything) || slices.Contains(allowed, imp) {
		return ""
	}
	return forbidden(dir, imp, "may")
}

func forbidden(dir, imp, table string) string {
	reason := why[dir]
	if reason == "" {
		reason = "packages depend downwards only, as ARCHITECTURE.md draws it"
	}
	return fmt.Sprintf("%s must not import %s: %s (table %s in repo_test.go)", dir, imp, reason, table)
}

func checkSleep(s *source) (faults []string) {
	if !s.test && !slices.Contains(testOnly, s.dir) {
		return nil
	}
	for sel := range s.uses("time", "Sleep") {
		faults = append(faults, s.at(sel.Pos(), "time.Sleep in a test: use testing/synctest, or wait for the thing itself"))
	}
	return faults
}

func checkGo(s *source) (faults []string) {
	if s.test || slices.Contains(mayStart, s.dir) {
		return nil
	}
	for n := range ast.Preorder(s.file) {
		if startsGoroutine(n) {
			faults = append(faults, s.at(n.Pos(), "%s may not start a goroutine: make it a blocking Run(ctx) error that internal/node starts", s.dir))
		}
	}
	return faults
}

// startsGoroutine sees the go statement and the Go(func) of sync.WaitGroup and
// errgroup.Group.
func startsGoroutine(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.GoStmt:
		return true
	case *ast.CallExpr:
		sel, ok := n.Fun.(*ast.SelectorExpr)
		return ok && sel.Sel.Name == "Go" && len(n.Args) == 1
	}
	return false
}

func checkExit(s *source) (faults []string) {
	if s.test || s.file.Name.Name == "main" && (strings.HasPrefix(s.dir, "cmd/") || slices.Contains(mayExit, s.dir)) {
		return nil
	}
	for sel := range s.uses("os", "Exit") {
		faults = append(faults, s.at(sel.Pos(), "os.Exit outside cmd: return an error"))
	}
	for sel := range s.uses("log", "Fatal", "Fatalf", "Fatalln") {
		faults = append(faults, s.at(sel.Pos(), "log.%s exits: return an error", sel.Sel.Name))
	}
	return faults
}

func checkContext(s *source) (faults []string) {
	if s.test || slices.Contains(mayMakeContext, s.dir) {
		return nil
	}
	for sel := range s.uses("context", "Background", "TODO") {
		faults = append(faults, s.at(sel.Pos(), "context.%s: take the context of the caller, or say in mayMakeContext why not", sel.Sel.Name))
	}
	return faults
}

func checkPure(s *source) (faults []string) {
	if s.test || !slices.Contains(pure, s.dir) {
		return nil
	}
	for p, spec := range s.imports() {
		if slices.Contains([]string{"context", "database/sql", "log/slog", "net", "net/http", "os"}, p) {
			faults = append(faults, s.at(spec.Pos(), "%s is pure and does not import %s", s.dir, p))
		}
	}
	for sel := range s.uses("time", "Now", "Since", "Until", "After", "NewTimer") {
		faults = append(faults, s.at(sel.Pos(), "%s is pure: take now as an argument instead of time.%s", s.dir, sel.Sel.Name))
	}
	return faults
}

func checkSQL(s *source) (faults []string) {
	if s.test || s.dir == "internal/store" || strings.HasPrefix(s.dir, "internal/store/") {
		return nil
	}
	for p, spec := range s.imports() {
		if p == "database/sql" || p == "database/sql/driver" {
			faults = append(faults, s.at(spec.Pos(), "%s outside internal/store: the store answers in our own words", p))
		}
	}
	return faults
}

func checkTestingImport(s *source) (faults []string) {
	if s.test || slices.Contains(testOnly, s.dir) {
		return nil
	}
	for p, spec := range s.imports() {
		if p == "testing" || strings.HasPrefix(p, "testing/") {
			faults = append(faults, s.at(spec.Pos(), "%s in code that is no test", p))
		}
	}
	return faults
}

var (
	clauseLine = regexp.MustCompile(`(?m)^- \*\*([A-Z]-\d+)\*\*`)
	clauseCite = regexp.MustCompile(`\b[ESCP]-\d+\b`)
)

// parseClauses gives the ids that docs/protocol.md defines.
func parseClauses(text string) (ids map[string]bool, faults []string) {
	ids = make(map[string]bool)
	for _, m := range clauseLine.FindAllStringSubmatch(text, -1) {
		if ids[m[1]] {
			faults = append(faults, fmt.Sprintf("docs/protocol.md defines %s twice", m[1]))
		}
		ids[m[1]] = true
	}
	return ids, faults
}

// citations yields the clauses that the comments of a file cite, and where.
func citations(s *source) iter.Seq2[string, token.Pos] {
	return func(yield func(string, token.Pos) bool) {
		for _, group := range s.file.Comments {
			for _, c := range group.List {
				for _, id := range clauseCite.FindAllString(c.Text, -1) {
					if !slices.Contains(notClauses, id) && !yield(id, c.Pos()) {
						return
					}
				}
			}
		}
	}
}

func checkCitations(s *source, clauses map[string]bool) (faults []string) {
	for id, pos := range citations(s) {
		if !clauses[id] {
			faults = append(faults, s.at(pos, "cites %s, which docs/protocol.md does not define", id))
		}
	}
	return faults
}

var listedFile = regexp.MustCompile("^\\s*(?:[-*]|\\d+\\.)\\s+`([^`]+)`")

// walkthrough gives the files listed under one heading of a document.
func walkthrough(text, section string) (files []string) {
	inside := false
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "#") {
			inside = strings.TrimSpace(strings.TrimLeft(line, "# ")) == section
		}
		if m := listedFile.FindStringSubmatch(line); inside && m != nil {
			files = append(files, m[1])
		}
	}
	return files
}

var (
	codeSpan = regexp.MustCompile("`[^`]*`")
	link     = regexp.MustCompile(`\]\(([^)\s]+)[^)]*\)`)
	scheme   = regexp.MustCompile(`^[a-z][a-z0-9+.-]*:`)
)

// checkLinks looks at the links of a Markdown file that point into the repository.
func checkLinks(name, text string, exists func(string) bool) (faults []string) {
	fenced, number := false, 0
	for line := range strings.Lines(text) {
		number++
		if strings.HasPrefix(strings.TrimSpace(line), "```") {
			fenced = !fenced
		}
		if fenced {
			continue
		}
		for _, m := range link.FindAllStringSubmatch(codeSpan.ReplaceAllString(line, ""), -1) {
			target, _, _ := strings.Cut(m[1], "#")
			if target != "" && !scheme.MatchString(target) && !exists(path.Join(path.Dir(name), target)) {
				faults = append(faults, fmt.Sprintf("%s:%d: link to %s, which does not exist", name, number, m[1]))
			}
		}
	}
	return faults
}

func sizes(s *source, fileLines, funcLines int) (long []string) {
	if n := strings.Count(s.text, "\n"); n > fileLines {
		long = append(long, fmt.Sprintf("%s: %d lines", s.path, n))
	}
	for _, d := range s.file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok {
			if n := s.fset.Position(f.End()).Line - s.fset.Position(f.Pos()).Line + 1; n > funcLines {
				long = append(long, s.at(f.Pos(), "%s has %d lines", f.Name.Name, n))
			}
		}
	}
	return long
}
