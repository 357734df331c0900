package verify

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"larder/internal/faults"
)

// Report is what a run brought.
type Report struct {
	Seed        uint64
	Took        time.Duration // while writers wrote
	Clients     map[string]int
	Kills       int
	Stops       int           // in order
	Unclean     int           // of these, how many had to cut clients off
	Stopping    time.Duration // the longest of them
	Restart     time.Duration // the longest from an end to a ready server
	Connections int
	Struck      map[faults.Kind]int

	Commands, Refused, Repeated int
	Logged                      int
	Donations                   int
	Witnessed                   map[string]int
	Entries                     map[string]map[string]int
	Ends                        map[string]int
	Suspensions                 int
	Refreshed                   int // tokens, on open connections
	Narrowed                    int // feeds, once more on open connections
	Longest                     time.Duration
	LongestDoor                 string
	Judging                     time.Duration

	Violations []string
}

// Write prints the report.
func (r *Report) Write(w io.Writer) error {
	var b strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "  %-14s %s\n", name, fmt.Sprintf(format, args...))
	}
	b.WriteString("\n")
	line("seed", "%d", r.Seed)
	line("time", "%s of commands, %s to judge", r.Took.Round(time.Second), r.Judging.Round(time.Millisecond))
	line("kills", "%d, and %d stops in order (%d cut clients off), the longest %s; longest from an end to ready again %s",
		r.Kills, r.Stops, r.Unclean, r.Stopping.Round(time.Millisecond), r.Restart.Round(time.Millisecond))
	var hit []string
	for _, k := range faults.Kinds() {
		hit = append(hit, fmt.Sprintf("%s %d", k, r.Struck[k]))
	}
	line("faults", "%s; of %d connections", strings.Join(hit, ", "), r.Connections)
	line("clients", "%d: %s", sum(r.Clients), list(r.Clients))
	line("commands", "%d answered, %d of them refused, %d tries repeated", r.Commands, r.Refused, r.Repeated)
	line("log", "%d events of %d donations", r.Logged, r.Donations)
	line("witnessed", "%d: %s", sum(r.Witnessed), list(r.Witnessed))
	line("meanwhile", "%d feeds narrowed anew, %d tokens refreshed, %d accounts suspended", r.Narrowed, r.Refreshed, r.Suspensions)
	for _, door := range slices.Sorted(maps.Keys(r.Entries)) {
		line(door, "%s", list(r.Entries[door]))
	}
	line("recovery", "longest without a connection %s %s", r.Longest.Round(time.Millisecond), r.LongestDoor)
	if len(r.Violations) == 0 {
		line("violations", "0")
	} else {
		line("violations", "%d", len(r.Violations))
		for _, v := range r.Violations {
			b.WriteString("    " + v + "\n")
		}
	}
	if len(r.Violations) > 0 && len(r.Ends) > 0 {
		b.WriteString("  Connections ended because of\n")
		for _, why := range commonest(r.Ends) {
			b.WriteString("    " + why + "\n")
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func commonest(m map[string]int) []string {
	keys := slices.SortedFunc(maps.Keys(m), func(a, b string) int { return cmp.Or(cmp.Compare(m[b], m[a]), cmp.Compare(a, b)) })
	for i, k := range keys {
		keys[i] = fmt.Sprintf("%6d  %s", m[k], k)
	}
	return keys[:min(len(keys), 10)]
}

func sum(m map[string]int) (n int) {
	for _, v := range m {
		n += v
	}
	return n
}

// list writes counts, the greatest first.
func list(m map[string]int) string {
	keys := slices.SortedFunc(maps.Keys(m), func(a, b string) int { return cmp.Or(cmp.Compare(m[b], m[a]), cmp.Compare(a, b)) })
	parts := make([]string, 0, len(keys))
	for _, k := range keys {
		parts = append(parts, fmt.Sprintf("%s %d", k, m[k]))
	}
	return strings.Join(parts, ", ")
}
