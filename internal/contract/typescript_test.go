package contract_test

import (
	"os"
	"strings"
	"testing"

	"larder/internal/contract"
)

// TestTypeScript fixes the types, so that a change of them is seen in a review.
// Whether a client compiles against them is tested in test/interop.
func TestTypeScript(t *testing.T) {
	if err := os.MkdirAll("testdata", 0o755); err != nil {
		t.Fatal(err)
	}
	compare(t, "testdata/events.d.ts", contract.TypeScript())
	for line := range strings.SplitSeq(string(contract.TypeScript()), "\n") {
		if len(line) > 160 {
			t.Errorf("a long line: %s", line)
		}
	}
}
