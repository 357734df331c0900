package query

import (
	"larder/api"
	"larder/internal/eventlog"
	"larder/internal/feed"
)

// EventViews are records as clients see them.
func EventViews(recs []eventlog.Record) []api.LoggedEvent {
	out := make([]api.LoggedEvent, 0, len(recs))
	for _, r := range recs {
		out = append(out, logged(r, r.Type, r.Data()))
	}
	return out
}

// views are records as a viewer is told of them.
func views(recs []seen) ([]api.LoggedEvent, error) {
	out := make([]api.LoggedEvent, 0, len(recs))
	for _, r := range recs {
		name, data, err := feed.Tell(r.Record, r.Passage)
		if err != nil {
			return nil, err
		}
		out = append(out, logged(r.Record, name, data))
	}
	return out, nil
}

func logged(r eventlog.Record, name string, data []byte) api.LoggedEvent {
	return api.LoggedEvent{Position: r.Position.String(), Event: name, At: api.At(r.At), Data: data}
}
