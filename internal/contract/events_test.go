package contract_test

import (
	"go/ast"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"larder/internal/contract"
)

// constants are the names of events in package api, by their constants.
func constants(t *testing.T) map[string]string {
	t.Helper()
	list := map[string]string{}
	for _, file := range sources(t) {
		for n := range ast.Preorder(file) {
			if s, ok := n.(*ast.ValueSpec); ok && strings.HasPrefix(s.Names[0].Name, "Event") && len(s.Values) == 1 {
				if lit, ok := s.Values[0].(*ast.BasicLit); ok {
					name, err := strconv.Unquote(lit.Value)
					if err != nil {
						t.Fatal(err)
					}
					list[s.Names[0].Name] = name
				}
			}
		}
	}
	return list
}

func TestEveryEventIsInTheTable(t *testing.T) {
	known := slices.Collect(maps.Values(constants(t)))
	if len(known) < 15 {
		t.Fatalf("package api has %d events?", len(known))
	}
	var listed []string
	for _, e := range contract.Events {
		if slices.Contains(listed, e.Prefix()) {
			t.Errorf("%s stands twice in the table", e.Name)
		}
		listed = append(listed, e.Prefix())
		if !slices.Contains(known, e.Prefix()) {
			t.Errorf("%s is in the table, and no constant Event… of package api", e.Name)
		}
	}
	for _, name := range known {
		if !slices.Contains(listed, name) {
			t.Errorf("%s is an event of package api, and not in the table Events", name)
		}
	}
}

func TestEventsAreDescribed(t *testing.T) {
	clauses, err := os.ReadFile("../../docs/protocol.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range contract.Events {
		clause := regexp.MustCompile(`(?m)^- \*\*` + e.Clause + `\*\*.*$`).FindString(string(clauses))
		switch {
		case e.Who == "" || e.Summary == "" || e.Doors == 0 || e.From == 0:
			t.Errorf("%s: something is not said: %+v", e.Name, e)
		case clause == "":
			t.Errorf("%s: clause %q is not in docs/protocol.md", e.Name, e.Clause)
		case strings.Contains(clause, "*planned*"):
			t.Errorf("%s: clause %s is still planned", e.Name, e.Clause)
		case e.From == contract.FromServer && (e.Payload == nil || e.Ack != nil):
			t.Errorf("%s: a server's event has a payload and no ack", e.Name)
		}
		if e.Payload == nil {
			continue
		}
		position := reflect.ValueOf(e.Payload).FieldByName("Position")
		if e.Logged && (!position.IsValid() || position.String() == "") {
			t.Errorf("%s: what is committed has a position (P-6), in its example too", e.Name)
		}
	}
}

// TestGatewayTakesWhatTheTableSays compares the table with the two doors that
// clients can speak to. That each event really works, and answers what the table
// says, is tested over the wire in internal/gateway.
func TestGatewayTakesWhatTheTableSays(t *testing.T) {
	known := constants(t)
	files, err := filepath.Glob("../gateway/*.go")
	if err != nil {
		t.Fatal(err)
	}
	var gateway strings.Builder
	for _, name := range files {
		source, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(name, "_test.go") {
			gateway.WriteString(string(source))
		}
	}
	for door, pattern := range map[contract.Door]string{
		contract.SocketIO: `socketio\.On\w*\(n, api\.(\w+)`,
		contract.Plain:    `case api\.(\w+):`,
	} {
		var handled, listed []string
		for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(gateway.String(), -1) {
			handled = append(handled, known[m[1]])
		}
		for _, e := range contract.Events {
			if e.From == contract.FromClient && e.Doors&door != 0 {
				listed = append(listed, e.Prefix())
			}
		}
		slices.Sort(handled)
		slices.Sort(listed)
		if !slices.Equal(handled, listed) {
			t.Errorf("door %d: internal/gateway handles %q, the table says %q", door, handled, listed)
		}
	}
}
