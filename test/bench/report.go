package main

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
)

// A row is one line of a table.
type row struct {
	label         string
	phase, figure string
	kind          kind
}

// A kind is what can be said of a figure.
type kind int

const (
	cost  kind = iota // the median, and its ratio to ours
	about             // the median alone: it does not judge the server
	fault             // how often something went wrong, in all rounds
)

// value is what the rounds gave. It returns false if nothing was measured.
func (b *bench) value(r row, s server) (float64, bool) {
	var all []float64
	var sum float64
	for _, m := range b.samples {
		if m.Phase == r.phase && m.Figure == r.figure && m.Server == s.name {
			all = append(all, m.Value)
			sum += m.Value
		}
	}
	if len(all) == 0 {
		return 0, false
	}
	if r.kind == fault {
		return sum, true
	}
	return median(all), true
}

func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	n := len(v)
	return (v[(n-1)/2] + v[n/2]) / 2
}

// number prints three digits that mean something.
func number(v float64) string {
	if v == 0 || math.Abs(v) >= 100 {
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.*f", max(0, 2-int(math.Floor(math.Log10(math.Abs(v))))), v)
}

// ratio prints a value of a peer as so many times that of ours.
func ratio(v, ours float64) string {
	if ours <= 0 || v < 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f", v/ours)
}

// table prints the rows that have values; with ratios, those that have one.
func (b *bench) table(w io.Writer, servers []server, rows []row, ratios bool) {
	var out [][]string
	for _, r := range rows {
		line := []string{r.label}
		var ours float64
		some := false
		for _, s := range servers {
			v, ok := b.value(r, s)
			if s.name == "ours" {
				ours = v
			}
			switch {
			case !ok:
				line = append(line, "")
			case ratios:
				line = append(line, ratio(v, ours))
			case r.kind == fault:
				line = append(line, fmt.Sprintf("%.0f", v))
			default:
				line = append(line, number(v))
			}
			some = some || ok
		}
		if some && (!ratios || r.kind == cost) {
			out = append(out, line)
		}
	}
	if len(out) == 0 {
		return
	}
	head, rule := []string{""}, []string{"---"}
	for _, s := range servers {
		head, rule = append(head, s.title), append(rule, "---:")
	}
	for _, line := range slices.Concat([][]string{head, rule}, out) {
		fmt.Fprintf(w, "| %s |\n", strings.Join(line, " | "))
	}
	fmt.Fprintln(w)
}

func (b *bench) rows() []row {
	var rows []row
	for _, n := range b.idle {
		rows = append(rows,
			row{fmt.Sprintf("KB resident per connection, %d just connected", n), idlePhase, fmt.Sprintf("KB at once, %d", n), cost},
			row{fmt.Sprintf("the same, %v later", b.settle), idlePhase, fmt.Sprintf("KB settled, %d", n), cost})
	}
	rows = append(rows,
		row{"server µs to connect a client", idlePhase, "connect µs", cost},
		row{"lost CONNECT answers", idlePhase, "lost", fault},
		row{"clients cut off", idlePhase, "cut", fault})
	for _, kind := range []struct{ phase, label string }{
		{burstPhase, fmt.Sprintf("burst of %d to %d", b.burst, b.conns)},
		{pacedPhase, fmt.Sprintf("%d to %d, one every %v", b.paced, b.conns, b.pace)},
		{pollsPhase, fmt.Sprintf("%d to %d pollers, one every %v", b.paced, b.polls, b.pace)},
	} {
		rows = append(rows, fanoutRows(kind.phase, kind.label)...)
	}
	return append(rows,
		row{"lost CONNECT answers before those", pacedPhase, "lost", fault},
		row{"lost CONNECT answers of pollers", pollsPhase, "lost", fault})
}

func fanoutRows(phase, label string) []row {
	return []row{
		{label + ": server µs for each delivered", phase, "server µs", cost},
		{"latency p50, ms", phase, "p50", cost},
		{"latency p99, ms", phase, "p99", cost},
		{"client µs for each delivered", phase, "client µs", about},
		{"not delivered", phase, "missing", fault},
		{"delivered twice", phase, "extra", fault},
		{"clients cut off by then", phase, "cut", fault},
	}
}

func writeTables(w io.Writer, b *bench) {
	servers := slices.Clone(b.servers)
	slices.SortStableFunc(servers, func(x, y server) int { return boolInt(y.name == "ours") - boolInt(x.name == "ours") })
	if servers[0].name == "ours" && len(servers) > 1 {
		fmt.Fprintf(w, "Each figure as a multiple of ours; more than 1 is worse than ours.\n\n")
		b.table(w, servers, b.rows(), true)
	}
	fmt.Fprintf(w, "The figures. Processor time is that of the server alone; the median of %d rounds for\nbroadcasts, the sum for what was lost.\n\n", b.rounds)
	b.table(w, servers, b.rows(), false)
	if b.many > 0 && servers[0].name == "ours" {
		fmt.Fprintf(w, "%d connections in one process.\n\n", b.many)
		b.table(w, servers[:1], append([]row{
			{"KB resident per connection, just connected", manyPhase, fmt.Sprintf("KB at once, %d", b.many), cost},
			{fmt.Sprintf("the same, %v later", b.settle), manyPhase, fmt.Sprintf("KB settled, %d", b.many), cost},
			{"server µs to connect a client", manyPhase, "connect µs", cost},
			{"lost CONNECT answers", manyPhase, "lost", fault},
		}, fanoutRows(manyPhase, fmt.Sprintf("%d events, one every %v", b.paced, b.pace))...), false)
	}
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}
