package socketio

import (
	"strconv"
	"testing"
	"time"
)

// Buckets that are full again are not kept, and those that are not are. S-60
func TestBucketsAreSweptOut(t *testing.T) {
	var b buckets
	rate := Rate{PerSecond: 10, Burst: 10}
	for range 10 {
		b.take("busy", 0, rate, 1)
	}
	for i := range 100_000 { // each is full again after 100 ms, in which there are 100 others
		now := time.Duration(i) * time.Millisecond
		b.take(strconv.Itoa(i), now, rate, 1)
		if i%100 == 0 && b.take("busy", now, rate, 1) > 0 != (i == 0) {
			t.Fatalf("after %v: the busy one was forgotten, or never gets better", now)
		}
		if len(b.of) > bucketsKept+1 {
			t.Fatalf("after %v: %d buckets are kept", now, len(b.of))
		}
	}
	if wait := b.take("busy", time.Hour, rate, 100); wait != 0 || len(b.of) > bucketsKept+1 {
		t.Errorf("more than the burst at once: wait %v", wait)
	}
	if wait := b.take("", time.Hour, rate, 1); wait != 0 || b.of[""] != 0 {
		t.Error("nobody has a bucket")
	}
}
