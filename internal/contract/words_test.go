package contract_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write words.json and the goldens anew")

const apiFolder = "../../api"

// TestWordsAreThoseOfTheSource keeps words.json what the comments of package api
// say. go test -update writes it; the types are made of what was there before.
func TestWordsAreThoseOfTheSource(t *testing.T) {
	if compare(t, "words.json", encode(t, readWords(t))) {
		t.Error("words.json was written: go test -update once more, for what is made of it")
	}
}

// compare compares with a file, or writes it when it has changed.
func compare(t *testing.T, file string, got []byte) (written bool) {
	t.Helper()
	if old, _ := os.ReadFile(file); *update && !bytes.Equal(old, got) {
		written = true
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s is not fresh: go test ./internal/contract -update (-want +got):\n%s", file, diff)
	}
	return written
}

func encode(t *testing.T, v any) []byte {
	t.Helper()
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

type words struct {
	Types map[string]*typeWords `json:"types"`
	Codes []codeWords           `json:"codes"`
}

type typeWords struct {
	Doc    string            `json:"doc"`
	Fields map[string]string `json:"fields,omitempty"`
}

type codeWords struct {
	Code    string `json:"code"`
	Status  int    `json:"status"`
	Meaning string `json:"meaning,omitempty"`
}

// sources are the files of package api.
func sources(t *testing.T) []*ast.File {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(apiFolder, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	var list []*ast.File
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, f)
	}
	if len(list) < 5 {
		t.Fatalf("package api has %d files?", len(list))
	}
	return list
}

func readWords(t *testing.T) words {
	w := words{Types: map[string]*typeWords{}}
	for _, file := range sources(t) {
		for _, decl := range file.Decls {
			gen, ok := decl.(*ast.GenDecl)
			if !ok {
				continue
			}
			for _, spec := range gen.Specs {
				switch s := spec.(type) {
				case *ast.TypeSpec:
					if s.Name.IsExported() {
						w.Types[s.Name.Name] = typeSaid(gen, s)
					}
				case *ast.ValueSpec:
					if id, ok := s.Type.(*ast.Ident); ok && id.Name == "Code" {
						w.Codes = append(w.Codes, codeSaid(t, s))
					}
				}
			}
		}
	}
	return w
}

func typeSaid(gen *ast.GenDecl, s *ast.TypeSpec) *typeWords {
	said := &typeWords{Doc: paragraph(gen.Doc.Text()), Fields: map[string]string{}}
	if s.Doc != nil {
		said.Doc = paragraph(s.Doc.Text())
	}
	if st, ok := s.Type.(*ast.StructType); ok {
		for _, f := range st.Fields.List {
			text := paragraph(f.Doc.Text())
			if text == "" {
				text = sentence(paragraph(f.Comment.Text()))
			}
			for _, name := range f.Names {
				if text != "" {
					said.Fields[name.Name] = text
				}
			}
		}
	}
	return said
}

var statusOf = regexp.MustCompile(`^(\d{3})(?:: (.*))?$`)

// codeSaid reads the comment behind a code: its status, and what it means.
func codeSaid(t *testing.T, s *ast.ValueSpec) codeWords {
	t.Helper()
	code, _ := strconv.Unquote(s.Values[0].(*ast.BasicLit).Value)
	m := statusOf.FindStringSubmatch(paragraph(s.Comment.Text()))
	if m == nil {
		t.Errorf("%s needs a comment on its line: its HTTP status, a colon, its meaning", s.Names[0])
		return codeWords{Code: code}
	}
	status, _ := strconv.Atoi(m[1])
	return codeWords{Code: code, Status: status, Meaning: sentence(m[2])}
}

func paragraph(text string) string { return strings.Join(strings.Fields(text), " ") }

func sentence(text string) string {
	if text == "" {
		return ""
	}
	return strings.ToUpper(text[:1]) + text[1:]
}
