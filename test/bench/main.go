// Bench compares Larder's Socket.IO server with its peers: memory, the cost of
// connecting, and the cost and latency of a broadcast, all in one run on one
// machine. README.md says what is measured and how.
package main

import (
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// A plan is what one run does. A number that is 0, or an empty list, leaves
// its phase out.
type plan struct {
	servers []server
	idle    []int         // connections at which the memory is read
	conns   int           // sockets that a broadcast goes to
	many    int           // sockets of ours alone
	polls   int           // clients on long-polling
	rounds  int           // of broadcasts
	settle  time.Duration // of idleness before the memory is read again
	burst   int           // events in a burst
	paced   int           // events at a pace
	pace    time.Duration // between two of them
	json    string        // file for the raw numbers

	comeBack bool   // how they come back after a restart, instead of their memory
	heard    bool   // how long an event takes to them, instead of their memory
	rush     bool   // how long they wait when all claim one donation, instead of their memory
	larder   string // the program; empty: it is built
	product  int    // clients of `larder serve`; 0: the servers are compared instead
	accounts []int  // that these clients are signed in to
}

func main() {
	log.SetFlags(0)
	p, err := parsePlan(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err == nil {
		err = run(p)
	}
	if err != nil {
		log.Fatal(err)
	}
}

func parsePlan(args []string) (*plan, error) {
	p := new(plan)
	var names []string
	for _, s := range allServers {
		names = append(names, s.name)
	}
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	list := f.String("servers", strings.Join(names, ","), "servers to compare")
	idle := f.String("idle", "2000,10000", "connections at which to read the memory; empty: leave it out")
	f.IntVar(&p.conns, "conns", 5000, "sockets that a broadcast goes to; 0: leave it out")
	f.IntVar(&p.many, "many", 15000, "connections of ours alone; 0: leave it out")
	f.IntVar(&p.polls, "polls", 500, "clients on long-polling; 0: leave it out")
	f.IntVar(&p.rounds, "rounds", 3, "rounds of broadcasts, of which the median is told")
	f.DurationVar(&p.settle, "settle", 10*time.Second, "idleness before the memory is read again")
	f.IntVar(&p.burst, "burst", 100, "events in a burst")
	f.IntVar(&p.paced, "paced", 30, "events at a pace")
	f.DurationVar(&p.pace, "pace", 100*time.Millisecond, "time between two of them, in whole milliseconds")
	f.IntVar(&p.product, "product", 0, "measure larder serve alone, its memory with so many clients that are signed in")
	f.BoolVar(&p.comeBack, "come-back", false, "with -product: measure how long the clients take to hear all after a restart, instead")
	f.BoolVar(&p.heard, "heard", false, "with -product: measure how long it takes from a POST until the clients have heard of it, instead")
	f.BoolVar(&p.rush, "rush", false, "with -product: measure how long the clients wait when all claim one donation at once, instead")
	f.StringVar(&p.larder, "larder", "", "with -product: the program, instead of one that is built from this checkout")
	accounts := f.String("accounts", "1,1000", "with -product: accounts that these clients are signed in to")
	f.StringVar(&p.json, "json", "", "file to write the raw numbers to, one line of JSON each")
	quick := f.Bool("quick", false, "a small run that only shows that everything works; other flags still count")
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	if *quick {
		small := map[string]string{
			"idle": "200,1000", "conns": "500", "many": "1500", "polls": "50", "rounds": "1", "settle": "2s",
		}
		f.Visit(func(set *flag.Flag) { delete(small, set.Name) })
		for name, value := range small {
			if err := f.Set(name, value); err != nil {
				return nil, err
			}
		}
	}
	for name := range strings.SplitSeq(*list, ",") {
		i := slices.IndexFunc(allServers, func(s server) bool { return s.name == name })
		if i < 0 {
			return nil, fmt.Errorf("no server %q: there are %s", name, strings.Join(names, ", "))
		}
		p.servers = append(p.servers, allServers[i])
	}
	var err error
	if p.idle, err = numbers(*idle); err != nil {
		return nil, fmt.Errorf("-idle: %w", err)
	}
	slices.Sort(p.idle)
	if p.accounts, err = numbers(*accounts); err != nil {
		return nil, fmt.Errorf("-accounts: %w", err)
	}
	return p, nil
}

// numbers reads a comma list, which may be empty.
func numbers(list string) (all []int, err error) {
	for text := range strings.FieldsFuncSeq(list, func(r rune) bool { return r == ',' }) {
		n, err := strconv.Atoi(text)
		if err != nil {
			return nil, err
		}
		all = append(all, n)
	}
	return all, nil
}

func run(p *plan) error {
	// Children are killed with the thread that started them: it must last.
	runtime.LockOSThread()
	if err := raiseDescriptors(max(p.conns, p.many, p.polls, p.product, slices.Max(append(p.idle, 0)))); err != nil {
		return err
	}
	b := &bench{plan: p}
	if p.json != "" {
		raw, err := os.Create(p.json)
		if err != nil {
			return err
		}
		defer func() { _ = raw.Close() }()
		b.raw = raw
	}
	dir, err := os.MkdirTemp("", "larder-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if p.product > 0 {
		return runProduct(p, dir)
	}
	if err := b.build(dir); err != nil {
		return err
	}
	began := time.Now()
	if err := b.measure(); err != nil {
		return err
	}
	writeHeader(os.Stdout, b)
	writeTables(os.Stdout, b)
	log.Printf("took %v", time.Since(began).Round(time.Second))
	return nil
}

// raiseDescriptors makes sure that this process and those it starts may have
// so many connections.
func raiseDescriptors(conns int) error {
	need := uint64(conns + 500)
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return err
	}
	if l.Max < need {
		l.Max = need // only root may
	}
	l.Cur = l.Max
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return fmt.Errorf("%d descriptors are needed: raise the hard limit (ulimit -Hn): %w", need, err)
	}
	return nil
}
