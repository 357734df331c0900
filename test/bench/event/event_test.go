package event_test

import (
	"testing"
	"time"

	"larder/test/bench/event"
)

func TestSentAtIsReadBack(t *testing.T) {
	const at = 123456789 * time.Second
	packet := append(append([]byte(`42["`+event.Name+`",`), event.JSON(at)...), ']')
	if got, ok := event.SentAt(packet); !ok || got != at {
		t.Errorf("SentAt: got %v, %t, want %v", got, ok, at)
	}
	for n := range packet {
		if got, ok := event.SentAt(packet[:n:n]); ok && got != at {
			t.Errorf("SentAt of the first %d bytes: got %v", n, got)
		}
	}
	if _, ok := event.SentAt([]byte(`40{"sid":"a"}`)); ok {
		t.Error("SentAt read a packet without a time")
	}
	if got, ok := event.SentAt([]byte(`42["x",{"name":"` + event.Text(at) + `"}]`)); !ok || got != at {
		t.Errorf("SentAt in a text: got %v, %t, want %v", got, ok, at)
	}
	if len(packet) != 550 {
		t.Errorf("the packet has %d bytes, want 550", len(packet))
	}
}

func TestNowGoesOn(t *testing.T) {
	a := event.Now()
	if b := event.Now(); a <= 0 || b < a {
		t.Errorf("Now: got %v, then %v", a, b)
	}
}
