package movein

import (
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"larder/api"
	"larder/internal/store/surplussync"
)

// Outcome is what became of a row.
type Outcome string

// The outcomes.
const (
	Taken   Outcome = "taken"
	Fixed   Outcome = "fixed"   // taken with changes
	Here    Outcome = "here"    // it was here already, and is left as it is
	Left    Outcome = "left"    // not meant to be taken
	Refused Outcome = "refused" // it can't be taken
)

// entry is a row on its way in, and what was done to it.
type entry struct {
	surplussync.Row
	id      string
	outcome Outcome
	reasons []reason
	zone    *time.Location
}

// reason is why something was changed or refused: text is the same for all rows of
// a kind, detail is this row's.
type reason struct{ text, detail string }

func (m *mover) entry(row surplussync.Row) *entry {
	e := &entry{Row: row, id: row.Text("id"), outcome: Taken, zone: m.Zone}
	if id, err := uuid.Parse(e.id); err != nil {
		e.refuse("its id is no UUID", "")
	} else {
		e.id = id.String()
	}
	return e
}

func (e *entry) ok() bool { return e.outcome == Taken || e.outcome == Fixed }

func (e *entry) fix(text, detail string) {
	if e.ok() {
		e.outcome = Fixed
	}
	e.reasons = append(e.reasons, reason{text, detail})
}

func (e *entry) refuse(text, detail string) {
	e.outcome = Refused
	e.reasons = []reason{{text, detail}}
}

// here leaves what is here already; detail says what differs.
func (e *entry) here(detail string) {
	e.outcome, e.reasons = Here, nil
	if detail != "" {
		e.reasons = []reason{{"differs from what is here, which stays", detail}}
	}
}

// text returns a text of at most limit characters.
func (e *entry) text(column string, limit int) string {
	s := e.Text(column)
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "\uFFFD")
		e.fix(column+" was no UTF-8", "")
	}
	if n := utf8.RuneCountInString(s); n > limit {
		s = string([]rune(s)[:limit])
		e.fix(column+" was cut to "+strconv.Itoa(limit)+" characters", strconv.Itoa(n)+" characters")
	}
	return s
}

// required is text without surrounding space, or other where nothing is left.
func (e *entry) required(column string, limit int, other string) string {
	s := strings.TrimSpace(e.text(column, limit))
	if s == "" {
		s = string([]rune(other)[:min(limit, utf8.RuneCountInString(other))])
		e.fix(column+" was empty", "now "+strconv.Quote(s))
	}
	return s
}

// number returns a finite number, or false.
func (e *entry) number(column string) (float64, bool) {
	f, err := strconv.ParseFloat(strings.TrimSpace(e.Text(column)), 64)
	return f, err == nil && !math.IsNaN(f) && !math.IsInf(f, 0)
}

// yes returns a truth value, or other where there is none.
func (e *entry) yes(column string, other bool) bool {
	b, err := strconv.ParseBool(e.Text(column))
	if err != nil {
		return other
	}
	return b
}

// time returns a moment, or nil where there is none that can be understood.
func (e *entry) time(column string) *time.Time {
	s := strings.TrimSpace(e.Text(column))
	if s == "" {
		return nil
	}
	t, ok := parseTime(s, e.zone)
	if !ok {
		e.fix(column+" could not be understood", strconv.Quote(s))
		return nil
	}
	return &t
}

// timeOr is time with a substitute.
func (e *entry) timeOr(column string, other time.Time) time.Time {
	if t := e.time(column); t != nil {
		return *t
	}
	return other
}

// parseTime reads what PostgreSQL writes, what browsers send, and what JavaScript
// makes of a date when it becomes text by accident.
func parseTime(s string, zone *time.Location) (time.Time, bool) {
	if t, err := api.ParseTime(s); err == nil && (zone == time.UTC || strings.ContainsAny(s[min(10, len(s)):], "Z+-")) {
		return t, true
	}
	if ms, err := strconv.ParseInt(s, 10, 64); err == nil && len(s) == 13 {
		return time.UnixMilli(ms).UTC(), true
	}
	if i := strings.Index(s, " ("); i > 0 { // the name of the zone
		s = s[:i]
	}
	for _, layout := range []string{
		"2006-01-02 15:04:05.999999999Z07", "2006-01-02 15:04:05.999999999Z07:00", "2006-01-02 15:04:05.999999999", "2006-01-02 15:04",
		"2006-01-02T15:04:05.999999999", "2006-01-02T15:04", time.DateOnly, "Mon Jan 02 2006 15:04:05 GMT-0700", time.RFC1123,
	} {
		if t, err := time.ParseInLocation(layout, s, zone); err == nil && t.UTC().Year() >= 1 && t.UTC().Year() <= 9999 {
			return t.UTC(), true
		}
	}
	return time.Time{}, false
}
