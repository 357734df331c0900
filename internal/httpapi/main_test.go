package httpapi_test

import (
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// soon is a time that is too near for food that spoils fast.
func soon() string { return time.Now().Add(time.Hour).UTC().Format(time.RFC3339) }
