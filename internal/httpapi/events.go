package httpapi

import (
	"context"
	"net/http"
	"time"

	"larder/api"
	"larder/internal/query"
)

type eventsInput struct {
	After string `query:"after" maxLength:"60" doc:"A position; absent: from the beginning of what is kept."`
	Limit int    `query:"limit" minimum:"1" maximum:"500" default:"500"`
}

func (a *API) events(ctx context.Context, in *eventsInput) (*body[api.FeedResumed], error) {
	page, err := a.queries.Resume(ctx, query.Viewer{AccountID: caller(ctx).ID, Role: caller(ctx).Role}, in.After, in.Limit)
	if err != nil {
		return nil, err
	}
	return &body[api.FeedResumed]{page}, nil
}

type healthOutput struct {
	Status int
	Body   api.Health
}

func (a *API) getHealth(ctx context.Context, _ *struct{}) (*healthOutput, error) {
	return healthAnswer(a.health.Health(ctx)), nil
}

func (a *API) readyz(ctx context.Context, _ *struct{}) (*healthOutput, error) {
	return healthAnswer(a.health.Ready(ctx)), nil
}

func healthAnswer(h api.Health) *healthOutput {
	out := &healthOutput{Status: http.StatusOK, Body: h}
	if h.Status != "OK" {
		out.Status = http.StatusServiceUnavailable
	}
	return out
}

func (a *API) livez(context.Context, *struct{}) (*body[api.Health], error) {
	return &body[api.Health]{api.Health{Status: "OK", Timestamp: api.At(time.Now())}}, nil
}
