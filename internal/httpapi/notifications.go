package httpapi

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"larder/api"
	"larder/internal/problem"
	"larder/internal/query"
)

type notificationsInput struct {
	Limit string `query:"limit" doc:"1 to 100, 100 by default."`
	After string `query:"after" doc:"Cursor from the Link header of the page before."`
}

type notificationsOutput struct {
	Link string `header:"Link" doc:"The next page, when there is one."`
	Body []api.Notification
}

func (a *API) notifications(ctx context.Context, in *notificationsInput) (*notificationsOutput, error) {
	limit := 0
	if in.Limit != "" {
		var err error
		if limit, err = strconv.Atoi(in.Limit); err != nil || limit < 1 || limit > query.MaxNotifications {
			return nil, api.NewError(http.StatusBadRequest, api.CodeValidation,
				fmt.Sprintf("limit must be a whole number from 1 to %d", query.MaxNotifications))
		}
	}
	list, next, err := a.queries.Notifications(ctx, caller(ctx), limit, in.After)
	if err != nil {
		return nil, err
	}
	out := &notificationsOutput{Body: list}
	if next != "" {
		q := url.Values{"after": {next}}
		if in.Limit != "" {
			q.Set("limit", in.Limit)
		}
		out.Link = fmt.Sprintf("</notifications?%s>; rel=\"next\"", q.Encode())
	}
	return out, nil
}

type readInput struct {
	Keyed
	ID string `path:"id"`
}

func (a *API) readNotification(ctx context.Context, in *readInput) (*body[api.Success], error) {
	id, ok := parseID(in.ID)
	if !ok {
		return nil, problem.ErrNotificationNotFound
	}
	if err := a.commands.ReadNotification(ctx, in.by(ctx), id); err != nil {
		return nil, problem.NotFound(err, problem.ErrNotificationNotFound)
	}
	return &body[api.Success]{api.Success{Success: true}}, nil
}

func (a *API) readNotifications(ctx context.Context, in *struct{ Keyed }) (*body[api.Success], error) {
	if err := a.commands.ReadAllNotifications(ctx, in.by(ctx)); err != nil {
		return nil, err
	}
	return &body[api.Success]{api.Success{Success: true}}, nil
}

func (a *API) myDeliveries(ctx context.Context, _ *struct{}) (*body[[]api.Trip], error) {
	list, err := a.queries.Trips(ctx, caller(ctx).ID)
	if err != nil {
		return nil, err
	}
	return &body[[]api.Trip]{list}, nil
}
