package httpapi

import (
	"context"

	"larder/api"
	"larder/internal/command"
	"larder/internal/problem"
	"larder/internal/query"
	"larder/internal/voice"
)

type feedbackInput struct {
	Keyed
	Body api.FeedbackRequest
}

func (a *API) giveFeedback(ctx context.Context, in *feedbackInput) (*body[api.Feedback], error) {
	id, _ := parseID(in.Body.DonationID)
	f, err := a.commands.GiveFeedback(ctx, in.by(ctx), command.Rating{DonationID: id, Rating: in.Body.Rating, Comment: in.Body.Comment})
	if err != nil {
		return nil, problem.NotFound(err, problem.ErrDonationNotFound)
	}
	return &body[api.Feedback]{feedback(f)}, nil
}

func feedback(f voice.Feedback) api.Feedback {
	return api.Feedback{
		ID: f.ID, Rating: f.Rating, Comment: api.Text(f.Comment), DonationID: f.DonationID, NGOID: f.NGOID, CreatedAt: api.At(f.CreatedAt),
	}
}

func (a *API) reviews(ctx context.Context, in *DonationID) (*body[[]api.Review], error) {
	id, ok := parseID(in.ID)
	if !ok {
		return nil, problem.ErrDonationNotFound
	}
	list, err := a.queries.Reviews(ctx, id)
	if err != nil {
		return nil, problem.NotFound(err, problem.ErrDonationNotFound)
	}
	out := make([]api.Review, 0, len(list))
	for _, r := range list {
		ngo := api.Reviewer{ID: r.NGO.ID, Name: r.NGO.Name, OrganizationName: api.Text(r.NGO.OrganizationName)}
		out = append(out, api.Review{Feedback: feedback(r.Feedback), NGO: ngo})
	}
	return &body[[]api.Review]{out}, nil
}

type donorInput struct {
	ID string `path:"id"`
}

func (a *API) averageScore(ctx context.Context, in *donorInput) (*body[api.AverageScore], error) {
	id, ok := parseID(in.ID)
	if !ok {
		return nil, problem.ErrUserNotFound
	}
	r, err := a.queries.Ratings(ctx, id)
	if err != nil {
		return nil, problem.NotFound(err, problem.ErrUserNotFound)
	}
	return &body[api.AverageScore]{api.AverageScore{AverageScore: r.Mean(), TotalReviews: r.Count}}, nil
}

type ticketInput struct {
	Keyed
	Body api.TicketRequest
}

func (a *API) openTicket(ctx context.Context, in *ticketInput) (*body[api.Ticket], error) {
	k, err := a.commands.OpenTicket(ctx, in.by(ctx), voice.TicketDraft{
		Subject: in.Body.Subject, Description: in.Body.Description, Priority: voice.Priority(in.Body.Priority),
	})
	if err != nil {
		return nil, err
	}
	return &body[api.Ticket]{ticket(k)}, nil
}

func ticket(k voice.Ticket) api.Ticket {
	return api.Ticket{
		ID: k.ID, UserID: k.By.ID, UserEmail: k.By.Email, UserName: k.By.Name, Subject: k.Subject, Description: k.Description,
		Status: string(k.Status), Priority: string(k.Priority), AdminNote: api.Text(k.Note),
		CreatedAt: api.At(k.CreatedAt), UpdatedAt: api.At(k.UpdatedAt),
	}
}

func (a *API) tickets(ctx context.Context, in *Paged) (*paged[api.Ticket], error) {
	return a.ticketsOf(ctx, in, caller(ctx).ID, "/support/tickets")
}

func (a *API) allTickets(ctx context.Context, in *Paged) (*paged[api.Ticket], error) {
	return a.ticketsOf(ctx, in, "", "/admin/tickets")
}

func (a *API) ticketsOf(ctx context.Context, in *Paged, accountID, path string) (*paged[api.Ticket], error) {
	return pageOf(in, path, query.MaxList, func(p query.Paging) ([]voice.Ticket, string, error) {
		return a.queries.Tickets(ctx, accountID, p)
	}, ticket)
}

type flagInput struct {
	Keyed
	DonationID
	Body api.FlagRequest
}

func (a *API) flagDonation(ctx context.Context, in *flagInput) (*body[api.Flag], error) {
	return a.flag(ctx, in.Keyed, in.ID, in.Body.Reason)
}

type adminFlagInput struct {
	Keyed
	Body api.AdminFlagRequest
}

func (a *API) flagByAdmin(ctx context.Context, in *adminFlagInput) (*body[api.Flag], error) {
	return a.flag(ctx, in.Keyed, in.Body.DonationID, in.Body.Reason)
}

func (a *API) flag(ctx context.Context, k Keyed, donationID, reason string) (*body[api.Flag], error) {
	id, ok := parseID(donationID)
	if !ok {
		return nil, problem.ErrDonationNotFound
	}
	f, err := a.commands.Flag(ctx, k.by(ctx), command.Complaint{DonationID: id, Reason: reason})
	if err != nil {
		return nil, problem.NotFound(err, problem.ErrDonationNotFound)
	}
	return &body[api.Flag]{flag(f)}, nil
}

func flag(f voice.Flag) api.Flag {
	return api.Flag{
		ID: f.ID, DonationID: f.DonationID, DonationName: f.DonationName, ReportedByUserID: f.By.ID, ReportedByEmail: f.By.Email,
		Reason: f.Reason, Status: string(f.Status), AdminNote: api.Text(f.Note), CreatedAt: api.At(f.CreatedAt), UpdatedAt: api.At(f.UpdatedAt),
	}
}
