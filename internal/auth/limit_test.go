package auth_test

import (
	"errors"
	"testing"
	"time"

	"larder/internal/auth"
)

func TestLimit(t *testing.T) {
	l, now := auth.NewLimit(3, time.Minute), time.Now()
	at := func(key string, after time.Duration, want time.Duration) {
		t.Helper()
		err := l.Allow(key, now.Add(after))
		rate, limited := errors.AsType[*auth.RateError](err)
		if limited != (want > 0) || limited && rate.RetryAfter != want {
			t.Errorf("%s after %v: got %v, want %v", key, after, err, want)
		}
	}
	at("a", 0, 0)
	at("a", 10*time.Second, 0)
	at("a", 20*time.Second, 0)
	at("a", 30*time.Second, 30*time.Second)
	at("b", 30*time.Second, 0)
	at("a", 59*time.Second, time.Second)
	at("a", time.Minute, 0) // what was refused does not count
	at("a", time.Minute, 10*time.Second)
}
