package faults

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"time"
)

// Kind is what a fault does to a connection.
type Kind int

// The kinds.
const (
	// Delay holds each piece for Fault.By, both ways, as long as the fault lasts.
	Delay Kind = iota + 1
	// Reset cuts both sides with RST.
	Reset
	// Finish closes both sides with FIN.
	Finish
	// HalfOpen lets nothing through any more, either way, while both sides think
	// that they are connected. When the fault is over they are reset.
	HalfOpen
	// StallDown reads nothing from the server as long as the fault lasts.
	StallDown
	// StallUp reads nothing from the client as long as the fault lasts.
	StallUp
)

// Kinds are all kinds.
func Kinds() []Kind { return []Kind{Delay, Reset, Finish, HalfOpen, StallDown, StallUp} }

// String names the kind for reports.
func (k Kind) String() string {
	switch k {
	case Delay:
		return "delay"
	case Reset:
		return "reset"
	case Finish:
		return "finish"
	case HalfOpen:
		return "half-open"
	case StallDown:
		return "stall down"
	case StallUp:
		return "stall up"
	}
	return fmt.Sprintf("kind %d", int(k))
}

// Fault is done to a share of the connections that are open when it strikes.
type Fault struct {
	Kind  Kind
	Share float64       // 0 to 1; each connection is hit with this probability
	For   time.Duration // how long it lasts; no matter for the two cuts
	By    time.Duration // Delay only
}

// Step is one fault of a plan.
type Step struct {
	At    time.Duration // since the beginning
	Fault Fault
}

// Bounds of what Make draws.
const (
	leastShare = 0.05
	mostShare  = 0.40
	longest    = 4 * time.Second
	mostDelay  = 200 * time.Millisecond
)

// Make draws a plan from a seed: one fault after another, on average one in each
// interval, none in the first of them and none from end on. Every kind comes once
// before one comes twice.
func Make(seed uint64, end, interval time.Duration) []Step {
	r := rand.New(rand.NewPCG(seed, 1))
	var plan []Step
	var bag []Kind
	for at := interval; ; {
		at += interval/2 + time.Duration(r.Int64N(int64(interval)+1))
		if at >= end {
			return plan
		}
		if len(bag) == 0 {
			bag = Kinds()
			r.Shuffle(len(bag), func(i, j int) { bag[i], bag[j] = bag[j], bag[i] })
		}
		f := Fault{
			Kind: bag[0], Share: leastShare + r.Float64()*(mostShare-leastShare),
			For: longest/4 + time.Duration(r.Int64N(int64(longest*3/4))),
		}
		bag = bag[1:]
		if f.Kind == Delay {
			f.By = cmp.Or(time.Duration(r.Int64N(int64(mostDelay))), time.Millisecond)
		}
		plan = append(plan, Step{At: at, Fault: f})
	}
}
