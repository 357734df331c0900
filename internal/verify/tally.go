package verify

import (
	"fmt"
	"maps"
	"sync"
	"time"
)

// tally counts what happens in a run, for the report.
type tally struct {
	mu       sync.Mutex // guards the fields below
	events   map[string]int
	entries  map[string]map[string]int // by door: how connections began
	ends     map[string]int            // by text: why connections ended
	longest  time.Duration
	longDoor string // where that was
	commands int
	refused  int
	sent     int
	fresh    int // tokens shown with auth.refresh
	views    int // taken by clients that had one
}

func newTally() *tally {
	return &tally{events: map[string]int{}, entries: map[string]map[string]int{}, ends: map[string]int{}}
}

func (t *tally) heard(door string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.events[door]++
}

func (t *tally) ready(door, how string, away time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.entries[door] == nil {
		t.entries[door] = map[string]int{}
	}
	t.entries[door][how]++
	if away > t.longest {
		t.longest, t.longDoor = away, door
	}
}

// maxEnds bounds the texts of ends that are told apart.
const maxEnds = 200

func (t *tally) ended(door string, err error) {
	text := door + ": unknown"
	if err != nil {
		text = door + ": " + err.Error()
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, known := t.ends[text]; known || len(t.ends) < maxEnds {
		t.ends[text]++
	}
}

func (t *tally) refreshed() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.fresh++
}

func (t *tally) narrowed() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.views++
}

func (t *tally) answered(refused bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.commands++
	if refused {
		t.refused++
	}
}

func (t *tally) tried() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sent++
}

// line says how far a run is.
func (t *tally) line() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return fmt.Sprintf("%d commands answered, %d events witnessed", t.commands, sum(t.events))
}

// fill writes the counts into a report.
func (t *tally) fill(r *Report) {
	t.mu.Lock()
	defer t.mu.Unlock()
	r.Witnessed, r.Longest, r.LongestDoor = maps.Clone(t.events), t.longest, t.longDoor
	r.Refreshed, r.Narrowed = t.fresh, t.views
	r.Commands, r.Refused, r.Repeated = t.commands, t.refused, t.sent-t.commands
	r.Entries = map[string]map[string]int{}
	for door, how := range t.entries {
		r.Entries[door] = maps.Clone(how)
	}
	r.Ends = maps.Clone(t.ends)
}
