package client

import (
	"context"
	"net/http"
	"net/url"

	"larder/api"
)

// GiveFeedback rates a delivered donation. For the NGO that claimed it, once.
func (c *Client) GiveFeedback(ctx context.Context, r api.FeedbackRequest) (f api.Feedback, err error) {
	_, err = c.do(ctx, http.MethodPost, "/feedback", nil, r, &f)
	return f, err
}

// Reviews lists the feedback on a donation.
func (c *Client) Reviews(ctx context.Context, donationID string) (list []api.Review, err error) {
	_, err = c.do(ctx, http.MethodGet, "/feedback/donation/"+url.PathEscape(donationID), nil, nil, &list)
	return list, err
}

// AverageScore is what NGOs said of all donations of a donor.
func (c *Client) AverageScore(ctx context.Context, donorID string) (s api.AverageScore, err error) {
	_, err = c.do(ctx, http.MethodGet, "/feedback/donor/"+url.PathEscape(donorID)+"/average", nil, nil, &s)
	return s, err
}

// Flag tells the admins that something is wrong with a donation.
func (c *Client) Flag(ctx context.Context, donationID, reason string) (f api.Flag, err error) {
	_, err = c.do(ctx, http.MethodPost, donationPath(donationID, "/flag"), nil, api.FlagRequest{Reason: reason}, &f)
	return f, err
}

// AllFlags lists all flags, newest first. Admins only.
func (c *Client) AllFlags(ctx context.Context, p Page) (list []api.Flag, next string, err error) {
	h, err := c.do(ctx, http.MethodGet, "/admin/flagged", p.query(), nil, &list)
	return list, nextCursor(h), err
}

// DecideFlag says what an admin makes of a flag. Admins only.
func (c *Client) DecideFlag(ctx context.Context, id string, u api.FlagUpdate) (f api.Flag, err error) {
	_, err = c.do(ctx, http.MethodPatch, "/admin/flagged/"+url.PathEscape(id), nil, u, &f)
	return f, err
}

// OpenTicket asks the admins for help.
func (c *Client) OpenTicket(ctx context.Context, r api.TicketRequest) (t api.Ticket, err error) {
	_, err = c.do(ctx, http.MethodPost, "/support/tickets", nil, r, &t)
	return t, err
}

// Tickets lists the caller's support tickets, newest first.
func (c *Client) Tickets(ctx context.Context, p Page) (list []api.Ticket, next string, err error) {
	h, err := c.do(ctx, http.MethodGet, "/support/tickets", p.query(), nil, &list)
	return list, nextCursor(h), err
}

// AllTickets lists everybody's. Admins only.
func (c *Client) AllTickets(ctx context.Context, p Page) (list []api.Ticket, next string, err error) {
	h, err := c.do(ctx, http.MethodGet, "/admin/tickets", p.query(), nil, &list)
	return list, nextCursor(h), err
}

// HandleTicket changes or answers a ticket. Admins only.
func (c *Client) HandleTicket(ctx context.Context, id string, u api.TicketUpdate) (t api.Ticket, err error) {
	_, err = c.do(ctx, http.MethodPatch, "/admin/tickets/"+url.PathEscape(id), nil, u, &t)
	return t, err
}
