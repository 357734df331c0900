package main

import (
	"strings"
	"testing"
)

func TestTables(t *testing.T) {
	p, err := parsePlan([]string{"-quick", "-rounds", "3", "-servers", "node,ours", "-idle", ""})
	if err != nil {
		t.Fatal(err)
	}
	if p.rounds != 3 || p.conns != 500 || len(p.idle) != 0 || len(p.servers) != 2 {
		t.Fatalf("plan: got %+v", p)
	}
	b := &bench{plan: p}
	for i, s := range p.servers { // node first
		for round, v := range []float64{9, 1, 2} {
			e := b.entry(burstPhase, s, round)
			for figure, v := range map[string]float64{"server µs": v * float64(2-i), "missing": v} {
				if err := e.add(figure, v); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	var out strings.Builder
	writeTables(&out, b)
	const ratios = `|  | ours | Node socket.io |
| --- | ---: | ---: |
| burst of 100 to 500: server µs for each delivered | 1.00 | 2.00 |

`
	const figures = `|  | ours | Node socket.io |
| --- | ---: | ---: |
| burst of 100 to 500: server µs for each delivered | 2.00 | 4.00 |
| not delivered | 12 | 12 |
`
	first := strings.Index(out.String(), ratios)
	if second := strings.Index(out.String(), figures); first < 0 || second < first {
		t.Errorf("got\n%s", out.String())
	}
}

func TestNumber(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 0.04512: "0.0451", 1: "1.00", 12.34: "12.3", 99.96: "100.0", 1234.5: "1234", -0.5: "-0.500"} {
		if got := number(v); got != want {
			t.Errorf("number(%v): got %s, want %s", v, got, want)
		}
	}
}

func TestUnknownServer(t *testing.T) {
	if _, err := parsePlan([]string{"-servers", "ours,nothing"}); err == nil {
		t.Error("parsePlan took a server that there is not")
	}
}
