package api

import (
	"fmt"
	"time"
)

// timeLayout is the one form of a time on the wire: RFC 3339, UTC, milliseconds.
const timeLayout = "2006-01-02T15:04:05.000Z"

// Time is a moment on the wire, to the millisecond.
type Time struct{ time.Time }

// At returns t as a wire time, cut to milliseconds in UTC.
func At(t time.Time) Time { return Time{t.UTC().Truncate(time.Millisecond)} }

// AtPtr is At for a time that may be absent.
func AtPtr(t *time.Time) *Time {
	if t == nil {
		return nil
	}
	return new(At(*t))
}

// MarshalJSON writes the moment as a string with milliseconds and Z.
func (t Time) MarshalJSON() ([]byte, error) {
	return t.UTC().AppendFormat(nil, `"`+timeLayout+`"`), nil
}

// UnmarshalJSON reads any form that ParseTime takes; null changes nothing.
func (t *Time) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		return nil
	}
	if len(b) < 2 || b[0] != '"' || b[len(b)-1] != '"' {
		return fmt.Errorf("api: a time is a string, got %.20s", b)
	}
	p, err := ParseTime(string(b[1 : len(b)-1]))
	if err != nil {
		return err
	}
	*t = At(p)
	return nil
}

// ParseTime reads an ISO 8601 date with or without a time: RFC 3339 (any offset,
// any fraction), a local time without an offset (taken as UTC), or a date alone
// (midnight UTC). Existing front ends send all three. An offset can push the
// moment out of the years that the wire has digits for: that is no date either.
func ParseTime(s string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02T15:04", time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil && t.UTC().Year() >= 0 && t.UTC().Year() <= 9999 {
			return t.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("%.40q is not an ISO 8601 date", s)
}
