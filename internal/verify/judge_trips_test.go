package verify_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"larder/internal/verify"
)

// nearEvidence is the good run with the announcement that B expires in an hour, the
// last sight, and a last donation some seconds after it was due.
func nearEvidence() *verify.Evidence {
	e := evidence()
	offer := *e.Sights[createB].Created
	e.Sights[createB].Created = &offer
	e.Sights[createB].Created.Expires = noon.Add(time.Hour + 7*time.Second)
	last := e.Sights[createB]
	last.Position, last.Donation, last.At, last.Created, last.Sum = position(12), "C", at(12), &verify.Offer{}, 12
	near := verify.Sight{Position: position(8), Name: "donation.near_expiry", Donation: "B", Sum: 8}
	e.Sights = append(e.Sights, last, near)
	e.Log = append(slices.Clone(e.Log), uint32(len(e.Sights)-1), uint32(len(e.Sights)-2))
	return e
}

func TestNearExpiryIsJudged(t *testing.T) {
	judge := func(e *verify.Evidence) (list []string) { // the rest of this run is not told of
		return slices.DeleteFunc(verify.Judge(e), func(v string) bool {
			return !strings.Contains(v, "near_expiry") && !strings.Contains(v, "and nobody was told")
		})
	}
	if got := judge(nearEvidence()); len(got) > 0 {
		t.Errorf("all is well: %q", got)
	}
	const announced = 9
	for name, c := range map[string]struct {
		spoil func(e *verify.Evidence)
		want  string
	}{
		"twice": {func(e *verify.Evidence) {
			again := e.Sights[announced]
			again.Position = position(9)
			e.Sights = append(e.Sights, again)
			e.Log = append(e.Log, uint32(len(e.Sights)-1))
		}, "it was announced before"},
		"of what is over":  {func(e *verify.Evidence) { e.Sights[announced].Donation = "A" }, `it was "DELIVERED" then`},
		"of what is not":   {func(e *verify.Evidence) { e.Sights[announced].Donation = "X" }, `it was "" then`},
		"listed with less": {func(e *verify.Evidence) { e.Sights[createB].Created.Expires = at(3).Add(time.Hour) }, "no more than that left"},
		"never":            {func(e *verify.Evidence) { e.Log = slices.Delete(slices.Clone(e.Log), 6, 7) }, "donation B expires at"},
	} {
		e := nearEvidence()
		c.spoil(e)
		if got := strings.Join(judge(e), "\n"); !strings.Contains(got, c.want) {
			t.Errorf("%s: got %q, want something with %q", name, got, c.want)
		}
	}
	soon := nearEvidence() // it may come yet
	soon.Log, soon.Sights[8].At = slices.Delete(slices.Clone(soon.Log), 6, 7), at(9)
	if got := judge(soon); len(got) > 0 {
		t.Errorf("due two seconds before the end: %q", got)
	}
}
