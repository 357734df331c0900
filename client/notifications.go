package client

import (
	"context"
	"net/http"
	"net/url"

	"larder/api"
)

// Page is a part of a list. Its zero value is the first one, as long as the server
// gives by default.
type Page struct {
	Limit int
	After string // the cursor that came with the page before
}

func (p Page) query() url.Values { return ListOptions{Limit: p.Limit, After: p.After}.query() }

// Notifications lists what the caller was told, newest first. next is the cursor of
// the next page, empty when there is none.
func (c *Client) Notifications(ctx context.Context, p Page) (list []api.Notification, next string, err error) {
	h, err := c.do(ctx, http.MethodGet, "/notifications", p.query(), nil, &list)
	return list, nextCursor(h), err
}

// ReadNotification marks one as read.
func (c *Client) ReadNotification(ctx context.Context, id string) error {
	_, err := c.do(ctx, http.MethodPatch, "/notifications/"+url.PathEscape(id)+"/read", nil, nil, nil)
	return err
}

// ReadAllNotifications marks all that there are as read.
func (c *Client) ReadAllNotifications(ctx context.Context) error {
	_, err := c.do(ctx, http.MethodPatch, "/notifications/read-all", nil, nil, nil)
	return err
}

// MyDeliveries lists the running trips that are the caller's: what it claims, carries
// or is proposed for, newest first.
func (c *Client) MyDeliveries(ctx context.Context, p Page) (list []api.Trip, next string, err error) {
	h, err := c.do(ctx, http.MethodGet, "/donations/my-deliveries", p.query(), nil, &list)
	return list, nextCursor(h), err
}
