package verify

import (
	"context"
	"fmt"
	mathrand "math/rand/v2"
	"time"
)

// end is one end of the server.
type end struct {
	at      time.Duration
	inOrder bool // SIGTERM; else SIGKILL
}

// endsOf draws when the server is killed and when it is stopped.
func endsOf(seed uint64, kills, stops int, over time.Duration) []end {
	random := mathrand.New(mathrand.NewPCG(seed, 4))
	ends := make([]end, kills+stops)
	slot := (over - 2*killMargin) / time.Duration(max(len(ends), 1))
	for i := range ends {
		ends[i] = end{at: killMargin + time.Duration(i)*slot + time.Duration(random.Int64N(int64(max(slot, 2)/2)))}
	}
	for _, i := range random.Perm(len(ends))[:stops] {
		ends[i].inOrder = true
	}
	return ends
}

func (r *run) endAgainAndAgain(ctx context.Context, began time.Time) error {
	if r.server == nil {
		return nil
	}
	random := mathrand.New(mathrand.NewPCG(r.Seed, 5))
	for _, e := range endsOf(r.Seed, r.Kills, r.Stops, r.For) {
		wait := time.NewTimer(e.at - time.Since(began))
		select {
		case <-wait.C:
		case <-r.server.gone:
			wait.Stop()
			r.report.Violations = append(r.report.Violations, "the server ended by itself: "+r.server.lastWords())
		case <-ctx.Done():
			wait.Stop()
			return context.Cause(ctx)
		}
		if err := r.end(e.inOrder); err != nil {
			return err
		}
		down := time.Now()
		away := time.Duration(random.Int64N(int64(mostDowntime)))
		if err := sleep(ctx, away); err != nil {
			return err
		}
		if _, err := r.server.start(ctx); err != nil {
			return fmt.Errorf("after kill %d and stop %d: %w", r.report.Kills, r.report.Stops, err)
		}
		r.report.Restart = max(r.report.Restart, time.Since(down)-away)
	}
	return nil
}

// end ends the server.
func (r *run) end(inOrder bool) error {
	if !inOrder {
		r.report.Kills++
		return r.server.kill()
	}
	r.report.Stops++
	asked := time.Now()
	clean, fault, err := r.server.stop()
	if !clean {
		r.report.Unclean++
	}
	if fault != "" {
		r.report.Violations = append(r.report.Violations, fault)
	}
	r.report.Stopping = max(r.report.Stopping, time.Since(asked))
	return err
}
