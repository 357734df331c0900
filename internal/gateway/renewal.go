package gateway

import (
	"context"
	"slices"
	"time"

	"larder/internal/command"
	"larder/internal/fanout"
)

// renewBatch bounds the views that are renewed in one transaction.
const renewBatch = 500

// renewViews keeps the views of the sockets that are here, until ctx ends. They go by
// the time of their last renewal.
func (g *Gateway) renewViews(ctx context.Context, keep time.Duration) {
	if keep <= 0 {
		return
	}
	tick := time.NewTicker(command.ViewRenewal(keep))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		var sessions []string
		for _, n := range g.spaces {
			for _, s := range n.Sockets(fanout.RoomNarrowed) {
				sessions = append(sessions, s.ID())
			}
		}
		for batch := range slices.Chunk(sessions, renewBatch) {
			if err := g.commands.RenewViews(ctx, batch...); err != nil && ctx.Err() == nil {
				g.log.Error("views not renewed", "err", err) // they last until the next time, too
			}
		}
	}
}
