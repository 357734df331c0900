// Package event makes the one event that every server sends, and reads in it
// when it was sent.
package event

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"maps"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// Name is the name of the event.
const Name = "donation.created"

// digits is the width of a time in the event: nanoseconds of the monotonic
// clock of the machine, which all processes share.
const digits = 19

//go:embed donation.json
var text []byte

var (
	donation map[string]any
	marks    = [][]byte{[]byte(`"sentAt":"`), []byte(sentAt)}
	// zero is the beginning of the clock: what time.Since measures from here
	// costs no system call.
	zero time.Time
)

func init() {
	if err := json.Unmarshal(text, &donation); err != nil {
		panic(err)
	}
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		panic(err)
	}
	zero = time.Now().Add(-time.Duration(ts.Nano()))
}

// Now is the time on the clock that all processes share.
func Now() time.Duration { return time.Since(zero) }

// Donation is what the event of that time has to tell.
func Donation(at time.Duration) map[string]any {
	d := maps.Clone(donation)
	d["sentAt"] = fmt.Sprintf("%0*d", digits, int64(at))
	return d
}

// JSON is the same, encoded.
func JSON(at time.Duration) []byte {
	b, err := json.Marshal(Donation(at))
	if err != nil {
		panic(err) // it came out of JSON
	}
	return b
}

// sentAt stands before the time in a text.
const sentAt = "sent at "

// Text is a text that tells a time, for events whose fields are not ours.
func Text(at time.Duration) string { return fmt.Sprintf("%s%0*d", sentAt, digits, int64(at)) }

// SentAt is the time in the packet of an event.
func SentAt(packet []byte) (time.Duration, bool) {
	for _, mark := range marks {
		if i := bytes.Index(packet, mark); i >= 0 && len(packet) >= i+len(mark)+digits {
			n, err := strconv.ParseInt(string(packet[i+len(mark):][:digits]), 10, 64)
			return time.Duration(n), err == nil
		}
	}
	return 0, false
}
