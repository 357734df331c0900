package httpapi

import (
	"context"

	"larder/api"
	"larder/internal/problem"
	"larder/internal/query"
)

type notificationsInput struct {
	Limit string `query:"limit" doc:"1 to 100, 100 by default."`
	After string `query:"after" doc:"Cursor from the Link header of the page before."`
}

func (a *API) notifications(ctx context.Context, in *notificationsInput) (*paged[api.Notification], error) {
	return pageOf(&Paged{Limit: in.Limit, After: in.After}, "/notifications", query.MaxNotifications,
		func(p query.Paging) ([]api.Notification, string, error) {
			return a.queries.Notifications(ctx, caller(ctx), p)
		},
		func(n api.Notification) api.Notification { return n })
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

func (a *API) myDeliveries(ctx context.Context, in *Paged) (*paged[api.Trip], error) {
	return pageOf(in, "/donations/my-deliveries", query.MaxList, func(p query.Paging) ([]api.Trip, string, error) {
		return a.queries.Trips(ctx, caller(ctx).ID, p)
	}, func(t api.Trip) api.Trip { return t })
}
