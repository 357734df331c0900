package httpapi

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"larder/api"
	"larder/internal/command"
	"larder/internal/donation"
	"larder/internal/geo"
	"larder/internal/problem"
	"larder/internal/public"
	"larder/internal/query"
)

// parseID reads an id in a path. What is no UUID names nothing that exists.
func parseID(s string) (string, bool) {
	id, err := uuid.Parse(s)
	return id.String(), err == nil && len(s) == 36
}

type listInput struct {
	Status    string `query:"status" doc:"Comma list; unknown names are ignored."`
	Latitude  string `query:"latitude" doc:"With longitude: only what lies within the radius."`
	Longitude string `query:"longitude"`
	Radius    string `query:"radius" doc:"Kilometres, 5 by default."`
	Limit     string `query:"limit" doc:"1 to 1000: in pages of so many."`
	After     string `query:"after" doc:"Cursor from the Link header of the page before."`
}

type listOutput struct {
	Link string `header:"Link" doc:"Of a page: the next one, when there is one. Else the first of the pages, when they have more than this answer."`
	Body []api.Donation
}

// bareList says what a client gets that knows of no pages: see query.Newest.
const bareList = "Without limit and after it has at most the newest 1,000 of each status, so that what is over never pushes out " +
	"what is open; when that is not all, a Link with rel=\"first\" leads to the whole, in pages."

func (a *API) listDonations(ctx context.Context, in *listInput) (*listOutput, error) {
	f, err := in.filter()
	if err != nil {
		return nil, err
	}
	out := &listOutput{}
	if in.Limit == "" && in.After == "" {
		var cut bool
		if out.Body, cut, err = a.queries.Newest(ctx, f); cut {
			out.Link = in.link("first", strconv.Itoa(query.MaxList), "")
		}
		return out, err
	}
	var next string
	if out.Body, next, err = a.queries.Donations(ctx, f); next != "" {
		out.Link = in.link("next", in.Limit, next)
	}
	return out, err
}

// link leads to a page of the same list.
func (in *listInput) link(rel, limit, after string) string {
	q := url.Values{}
	for name, v := range map[string]string{
		"status": in.Status, "latitude": in.Latitude, "longitude": in.Longitude, "radius": in.Radius, "limit": limit, "after": after,
	} {
		if v != "" {
			q.Set(name, v)
		}
	}
	return fmt.Sprintf("</donations?%s>; rel=%q", q.Encode(), rel)
}

func (in *listInput) filter() (query.ListFilter, error) {
	f := query.ListFilter{Statuses: statuses(in.Status), After: in.After}
	var faults []string
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	number := func(name, text string, lo, hi float64) float64 {
		v, err := strconv.ParseFloat(text, 64)
		decimal := strings.Trim(text, "0123456789+-.eE") == ""
		if err != nil || !decimal || v < lo || v > hi {
			fault("%s must be a number from %g to %g", name, lo, hi)
		}
		return v
	}
	if in.Limit != "" {
		var err error
		if f.Limit, err = strconv.Atoi(in.Limit); err != nil || f.Limit < 1 || f.Limit > query.MaxList {
			fault("limit must be a whole number from 1 to %d", query.MaxList)
		}
	}
	radius := query.DefaultRadius
	if in.Radius != "" {
		radius = number("radius", in.Radius, 0.001, 20_040)
	}
	if in.Latitude != "" || in.Longitude != "" {
		f.Near = &geo.Area{
			Lat: number("latitude", in.Latitude, -90, 90), Lng: number("longitude", in.Longitude, -180, 180), RadiusKm: radius,
		}
	}
	if len(faults) > 0 {
		return f, api.NewError(http.StatusBadRequest, api.CodeValidation, faults...)
	}
	return f, nil
}

// statuses reads a comma list in any case. Unknown names are dropped, and when
// nothing is left the list is the default one: what is or was under way.
func statuses(s string) []donation.Status {
	var list []donation.Status
	for name := range strings.SplitSeq(s, ",") {
		for _, known := range donation.Statuses() {
			if strings.EqualFold(strings.TrimSpace(name), string(known)) {
				list = append(list, known)
			}
		}
	}
	if len(list) == 0 {
		return []donation.Status{donation.Available, donation.Claimed, donation.PickedUp, donation.Delivered}
	}
	return list
}

type createInput struct {
	Keyed
	Body api.DonationDraft
}

func (a *API) createDonation(ctx context.Context, in *createInput) (*body[api.Donation], error) {
	draft, err := draftOf(in.Body)
	if err != nil {
		return nil, err
	}
	photos, err := a.photosOf(ctx, draft.ImageURLs)
	if err != nil {
		return nil, err
	}
	done, err := a.commands.Create(ctx, in.by(ctx), draft, photos...)
	if err != nil {
		return nil, err
	}
	return &body[api.Donation]{public.Donation(done.Donation)}, nil
}

// parseTime reads a moment as it is kept, or says what is wrong with it. Years
// that RFC 3339 can't write in UTC are refused.
func parseTime(name, text string) (t time.Time, fault string) {
	t, err := api.ParseTime(text)
	if err != nil || t.Year() < 1 || t.Year() > 9999 {
		return time.Time{}, name + " must be an ISO 8601 date"
	}
	return t.Truncate(time.Millisecond), ""
}

func draftOf(d api.DonationDraft) (donation.Draft, error) {
	var faults []string
	moment := func(name, text string) time.Time {
		if text == "" {
			return time.Time{}
		}
		t, fault := parseTime(name, text)
		if fault != "" {
			faults = append(faults, fault)
		}
		return t
	}
	draft := donation.Draft{
		Name: d.Name, Description: d.Description, FoodType: d.FoodType, Quantity: float64(d.Quantity), Unit: d.Unit,
		Hygiene: d.Hygiene, PreparationTime: moment("preparationTime", d.PreparationTime),
		ExpiryTime: moment("expiryTime", d.ExpiryTime), Latitude: d.Latitude, Longitude: d.Longitude, Address: d.Address,
		SpecialInstructions: d.SpecialInstructions, ImageURLs: d.ImageURLs, DonorName: d.DonorName,
	}
	if len(faults) > 0 {
		return draft, &donation.Refusal{Code: donation.CodeValidation, Messages: faults}
	}
	return draft, nil
}

// DonationID is the input of every request about one donation.
type DonationID struct {
	ID string `path:"id"`
}

func (a *API) getDonation(ctx context.Context, in *DonationID) (*body[api.Donation], error) {
	id, ok := parseID(in.ID)
	if !ok {
		return nil, problem.ErrDonationNotFound
	}
	d, err := a.queries.Donation(ctx, id)
	if err != nil {
		return nil, problem.NotFound(err, problem.ErrDonationNotFound)
	}
	return &body[api.Donation]{public.Donation(d)}, nil
}

type historyInput struct {
	DonationID
	Paged
}

func (a *API) history(ctx context.Context, in *historyInput) (*paged[api.LoggedEvent], error) {
	id, ok := parseID(in.ID)
	if !ok {
		return nil, problem.ErrDonationNotFound
	}
	out, err := pageOf(&in.Paged, "/donations/"+id+"/history", query.MaxList, func(p query.Paging) ([]api.LoggedEvent, string, error) {
		recs, next, err := a.queries.History(ctx, caller(ctx), id, p)
		return query.EventViews(recs), next, err
	}, func(e api.LoggedEvent) api.LoggedEvent { return e })
	return out, problem.NotFound(err, problem.ErrDonationNotFound)
}

type claimInput struct {
	Keyed
	DonationID
	Body *api.ClaimRequest
}

func (a *API) claim(ctx context.Context, in *claimInput) (*body[api.Donation], error) {
	o := command.Order{Action: donation.Claim}
	if in.Body != nil && in.Body.EstimatedPickupTime != "" {
		t, fault := parseTime("estimatedPickupTime", in.Body.EstimatedPickupTime)
		if fault != "" {
			return nil, &donation.Refusal{Code: donation.CodeValidation, Messages: []string{fault}}
		}
		o.EstimatedPickupTime = &t
	}
	done, err := a.do(ctx, in.Keyed, in.ID, o)
	if err != nil {
		return nil, err
	}
	return &body[api.Donation]{public.Donation(done.Donation)}, nil
}

type reasonInput struct {
	Keyed
	DonationID
	Body *api.ReasonRequest
}

func (in *reasonInput) reason() string {
	if in.Body == nil {
		return ""
	}
	return in.Body.Reason
}

func (a *API) release(ctx context.Context, in *reasonInput) (*body[api.Donation], error) {
	return a.withReason(ctx, in, donation.Release)
}

func (a *API) cancel(ctx context.Context, in *reasonInput) (*body[api.Donation], error) {
	return a.withReason(ctx, in, donation.Cancel)
}

func (a *API) withReason(ctx context.Context, in *reasonInput, action donation.Action) (*body[api.Donation], error) {
	done, err := a.do(ctx, in.Keyed, in.ID, command.Order{Action: action, Reason: in.reason()})
	if err != nil {
		return nil, err
	}
	return &body[api.Donation]{public.Donation(done.Donation)}, nil
}

type statusInput struct {
	Keyed
	DonationID
	Body api.StatusRequest
}

func (a *API) changeStatus(ctx context.Context, in *statusInput) (*body[api.Delivery], error) {
	o := command.Order{Action: donation.ActionFor(donation.Status(in.Body.Status)), Reason: in.Body.Reason}
	done, err := a.do(ctx, in.Keyed, in.ID, o)
	if err != nil {
		return nil, err
	}
	return delivery(done, o.Action), nil
}

type deliverInput struct {
	Keyed
	DonationID
}

func (a *API) deliver(ctx context.Context, in *deliverInput) (*body[api.Delivery], error) {
	done, err := a.do(ctx, in.Keyed, in.ID, command.Order{Action: donation.Deliver})
	if err != nil {
		return nil, err
	}
	return delivery(done, donation.Deliver), nil
}

// delivery adds to a delivered donation what it earned.
func delivery(done command.Done, action donation.Action) *body[api.Delivery] {
	out := api.Delivery{Donation: public.Donation(done.Donation)}
	if action == donation.Deliver {
		out.KarmaAwarded, out.DonorKarmaAwarded = &done.CallerKarma, &done.DonorKarma
	}
	return &body[api.Delivery]{out}
}

func (a *API) do(ctx context.Context, k Keyed, id string, o command.Order) (command.Done, error) {
	id, ok := parseID(id)
	if !ok {
		return command.Done{}, problem.ErrDonationNotFound
	}
	o.DonationID = id
	done, err := a.commands.Do(ctx, k.by(ctx), o)
	return done, problem.NotFound(err, problem.ErrDonationNotFound)
}
