package query

import (
	"larder/api"
	"larder/internal/eventlog"
)

// EventViews are records as clients see them.
func EventViews(recs []eventlog.Record) []api.LoggedEvent {
	out := make([]api.LoggedEvent, 0, len(recs))
	for _, r := range recs {
		out = append(out, api.LoggedEvent{Position: r.Position.String(), Event: r.Type, At: api.At(r.At), Data: r.Data()})
	}
	return out
}
