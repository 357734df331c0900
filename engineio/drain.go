package engineio

import (
	"context"
	"maps"
	"math/rand/v2"
	"slices"
	"time"
)

const (
	// drainStep is the time from one turn of a drain to the next.
	drainStep = 50 * time.Millisecond

	// drainLeast is how many clients a turn takes at least, so that a server
	// with few of them does not use the whole window.
	drainLeast = 20
)

// Turns says when each of n clients is sent away in a drain that may take as
// long as over: in even steps of 50 ms, at least 20 clients in each, so that
// the last turn comes before over and few clients need little of it (E-65).
// The times count from the beginning, the first is 0.
func Turns(n int, over time.Duration) []time.Duration {
	steps := max(1, int(over/drainStep))
	each := max(drainLeast, (n+steps-1)/steps)
	turns := make([]time.Duration, n)
	for i := range turns {
		turns[i] = time.Duration(i/each) * drainStep
	}
	return turns
}

// AtTurns calls do with 0, 1, 2 and so on, each when its turn has come, until
// do reports that there is no need to go on. When ctx ends first it returns the
// cause.
func AtTurns(ctx context.Context, turns []time.Duration, do func(i int) (more bool)) error {
	start := time.Now()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for i, turn := range turns {
		if left := turn - time.Since(start); left > 0 { // absolute: what do takes does not add up
			timer.Reset(left)
			select {
			case <-timer.C:
			case <-ctx.Done():
			}
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if !do(i) {
			return nil
		}
	}
	return nil
}

// Drain sends the clients away in even steps: the first half of a stop, of
// which [Server.Shutdown] is the second. From its first moment new sessions are
// refused (503, Retry-After); those that are open live on, upgrades included,
// until their turn comes (see [Turns]). Then they are closed with
// [ReasonShutdown]: held polls are answered, WebSockets closed with 1012 (E-65).
//
// The order is a fresh shuffle of all sessions, so that no group of them is
// always the last. Before the first turn tell, if it is not nil, is called once
// for each session with the time until its turn; it may send, and must not wait
// for peers.
//
// Drain returns when the last session has had its turn, at once if there is
// none. The farewells may still be under way: Shutdown waits for them. When ctx
// ends first it returns the cause of ctx, and the rest is left to Shutdown.
func (srv *Server) Drain(ctx context.Context, over time.Duration, tell func(s *Session, in time.Duration)) error {
	sessions := srv.refuseNew()
	sessions = slices.DeleteFunc(sessions, func(s *Session) bool { return !s.isOpen() })
	rand.Shuffle(len(sessions), func(i, j int) { sessions[i], sessions[j] = sessions[j], sessions[i] })
	turns := Turns(len(sessions), over)
	if tell != nil {
		for i, s := range sessions {
			tell(s, turns[i])
		}
	}
	return AtTurns(ctx, turns, func(i int) bool {
		sessions[i].sendAway()
		return srv.Len() > 0
	})
}

// refuseNew lets no session in from now on, and returns those that are known.
func (srv *Server) refuseNew() []*Session {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	srv.closing = true
	return slices.Collect(maps.Values(srv.sessions))
}

// sendAway closes the session because the server goes away.
func (s *Session) sendAway() {
	s.close(Cause{Reason: ReasonShutdown}, farewell{
		flush: true, packet: closeMessage, grace: shutdownGrace, code: statusServiceRestart,
	})
}
