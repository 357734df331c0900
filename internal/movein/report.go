package movein

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// maxExamples bounds what the report shows of one reason.
const maxExamples = 3

// Report says what became of the rows.
type Report struct {
	Tables []*Tally
	Notes  []string

	lines   *json.Encoder // nil: nobody wants them
	lineErr error
}

// Tally counts the rows of one table by their outcome.
type Tally struct {
	Entity  string
	Counts  map[Outcome]int
	Reasons []*Reason
}

// Reason is why rows were changed, left or refused.
type Reason struct {
	Outcome  Outcome
	Text     string
	Count    int
	Examples []string
}

// Line is a row that was not simply taken, for the file of all lines.
type Line struct {
	Table   string   `json:"table"`
	ID      string   `json:"id"`
	Outcome Outcome  `json:"outcome"`
	Reasons []string `json:"reasons"`
}

func newReport(lines io.Writer) *Report {
	r := &Report{}
	if lines != nil {
		r.lines = json.NewEncoder(lines)
	}
	return r
}

// Refused says whether anything could not be taken.
func (r *Report) Refused() bool {
	for _, t := range r.Tables {
		if t.Counts[Refused] > 0 {
			return true
		}
	}
	return false
}

// Table returns the tally of an entity; nil: there is none.
func (r *Report) Table(entity string) *Tally {
	for _, t := range r.Tables {
		if t.Entity == entity {
			return t
		}
	}
	return nil
}

func (r *Report) table(entity string) *Tally {
	if t := r.Table(entity); t != nil {
		return t
	}
	t := &Tally{Entity: entity, Counts: map[Outcome]int{}}
	r.Tables = append(r.Tables, t)
	return t
}

func (r *Report) note(format string, args ...any) {
	r.Notes = append(r.Notes, fmt.Sprintf(format, args...))
}

func (r *Report) add(t *Tally, e *entry) {
	t.Counts[e.outcome]++
	line := Line{Table: t.Entity, ID: e.id, Outcome: e.outcome}
	for _, why := range e.reasons {
		example := e.id
		full := why.text
		if why.detail != "" {
			example, full = e.id+": "+why.detail, full+": "+why.detail
		}
		t.count(e.outcome, why.text, example)
		line.Reasons = append(line.Reasons, full)
	}
	if r.lines != nil && len(line.Reasons) > 0 && r.lineErr == nil {
		r.lineErr = r.lines.Encode(line)
	}
}

func (t *Tally) count(o Outcome, text, example string) {
	for _, r := range t.Reasons {
		if r.Outcome == o && r.Text == text {
			if r.Count++; len(r.Examples) < maxExamples {
				r.Examples = append(r.Examples, example)
			}
			return
		}
	}
	t.Reasons = append(t.Reasons, &Reason{Outcome: o, Text: text, Count: 1, Examples: []string{example}})
}

// String is the report for people.
func (r *Report) String() string {
	var b strings.Builder
	for _, n := range r.Notes {
		fmt.Fprintf(&b, "note: %s\n", n)
	}
	fmt.Fprintf(&b, "\n%-14s %8s %8s %8s %8s %8s\n", "", "taken", "fixed", "here", "left out", "refused")
	for _, t := range r.Tables {
		fmt.Fprintf(&b, "%-14s %8d %8d %8d %8d %8d\n", t.Entity, t.Counts[Taken], t.Counts[Fixed], t.Counts[Here], t.Counts[Left], t.Counts[Refused])
	}
	for _, t := range r.Tables {
		for _, why := range t.Reasons {
			fmt.Fprintf(&b, "\n%s, %s: %s (%d)\n", t.Entity, why.Outcome, why.Text, why.Count)
			for _, x := range why.Examples {
				fmt.Fprintf(&b, "    %.200s\n", x)
			}
			if more := why.Count - len(why.Examples); more > 0 {
				fmt.Fprintf(&b, "    and %d more\n", more)
			}
		}
	}
	return b.String()
}
