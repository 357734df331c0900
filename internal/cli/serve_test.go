package cli_test

import (
	"runtime/metrics"
	"testing"
)

// A node collects garbage early, for the sake of many idle clients, unless its
// environment knows better.
func TestServeSetsGOGC(t *testing.T) {
	gogc := func() uint64 {
		sample := []metrics.Sample{{Name: "/gc/gogc:percent"}}
		metrics.Read(sample)
		return sample[0].Value.Uint64()
	}
	usual := gogc()
	for _, tc := range []struct {
		env  map[string]string
		want uint64
	}{
		{map[string]string{}, 30},
		{map[string]string{"GOGC": "200"}, usual}, // which the runtime has read by itself
	} {
		tc.env["DATA_DIR"] = t.TempDir()
		c := start(t, tc.env, "serve", "--host", "127.0.0.1", "--port", "0")
		c.stdout.await(t, "is ready")
		if got := gogc(); got != tc.want {
			t.Errorf("GOGC of the environment %q: got %d, want %d", tc.env["GOGC"], got, tc.want)
		}
		c.end(t)
		if got := gogc(); got != usual {
			t.Errorf("afterwards: got %d, want %d", got, usual)
		}
	}
}
