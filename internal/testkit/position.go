package testkit

import (
	"testing"

	"larder/internal/eventlog"
)

// OtherEpoch is a position of a log that no node here has.
var OtherEpoch = eventlog.Position{Epoch: "aaaaaaaaaaaa", Seq: 1}.String()

// Later returns the position so many records after a given one.
func Later(tb testing.TB, position string, records int64) string {
	tb.Helper()
	p, err := eventlog.ParsePosition(position)
	if err != nil {
		tb.Fatal(err)
	}
	p.Seq += records
	return p.String()
}
