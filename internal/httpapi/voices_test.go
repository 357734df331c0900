package httpapi_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"larder/api"
	"larder/internal/account"
	"larder/internal/store"
	"larder/internal/testkit"
)

// nowhere is the id of nothing.
const nowhere = "00000000-0000-4000-8000-000000000000"

// voice makes what a placeholder of this file stands for, or nothing. An admin
// speaks where a quota would else run out.
func (w *world) voice(t *testing.T, name string) string {
	t.Helper()
	admin := w.users["admin"].Token
	ticket := func() string {
		body := map[string]string{"subject": "Where is my bread?", "description": "It was <here>."}
		return testkit.Must[api.Ticket](w.Node, w.Post("/admin/tickets", admin, body), 201).ID
	}
	flag := func() string {
		body := map[string]string{"donationId": w.fill(t, "{AVAILABLE}"), "reason": "mould"}
		return testkit.Must[api.Flag](w.Node, w.Post("/admin/flagged", admin, body), 201).ID
	}
	switch name {
	case "TICKET":
		return ticket()
	case "TICKET_CLOSED":
		id := ticket()
		testkit.Must[api.Ticket](w.Node, w.Patch("/admin/tickets/"+id, admin, map[string]string{"status": "CLOSED"}), 200)
		return id
	case "FLAG":
		return flag()
	case "FLAG_APPROVED":
		id := flag()
		testkit.Must[api.Flag](w.Node, w.Patch("/admin/flagged/"+id, admin, map[string]string{"status": "APPROVED"}), 200)
		return id
	case "FLAGGED": // a donation that the volunteer has flagged
		id := w.fill(t, "{AVAILABLE}")
		testkit.Must[api.Flag](w.Node, w.Post("/donations/"+id+"/flag", w.users["volunteer"].Token, map[string]string{"reason": "mould"}), 201)
		return id
	case "RATED": // a donation of the stranger
		d := w.received(w.users["stranger"])
		w.rate(d, 4)
		return d
	}
	return ""
}

// received is a donation that the NGO got from a donor.
func (w *world) received(donor *testkit.User) string {
	d := w.Donate(donor, nil)
	w.Order(w.users["ngo"], d.ID, "claim", nil)
	w.Order(w.users["ngo"], d.ID, "status", map[string]string{"status": "PICKED_UP"})
	return w.Order(w.users["ngo"], d.ID, "deliver", nil).ID
}

func (w *world) rate(id string, rating int) api.Feedback {
	return testkit.Must[api.Feedback](w.Node, w.Post("/feedback", w.users["ngo"].Token,
		map[string]any{"donationId": id, "rating": rating, "comment": "Warm & good"}), 201)
}

func rating(id string, fields map[string]any) string {
	return asJSON(with(map[string]any{"donationId": id, "rating": 5, "comment": "Warm & good"}, fields))
}

var ticketBody = map[string]any{"subject": "Where is my bread?", "description": "It was <here>.", "priority": "HIGH"}

// forAdmins are the cases of a route that nobody else may use.
func forAdmins(path string, body any, list map[string]tc) map[string]tc {
	for _, who := range []string{"donor", "ngo", "volunteer"} {
		list["by a "+who] = tc{as: who, path: path, body: body, status: 403, code: api.CodeWrongRole}
	}
	list["nobody"] = tc{path: path, body: body, status: 401, code: api.CodeTokenMissing}
	return list
}

var (
	_ = cases("POST /feedback", map[string]tc{
		"the claimer":        {as: "ngo", body: rating("{DELIVERED}", nil), status: 201},
		"without a comment":  {as: "ngo", body: rating("{DELIVERED}", map[string]any{"rating": 1, "comment": absent}), status: 201},
		"of the longest":     {as: "ngo", body: rating("{DELIVERED}", map[string]any{"comment": strings.Repeat("é", 2000)}), status: 201},
		"again":              {as: "ngo", body: rating("{RATED}", nil), status: 400, code: api.CodeFeedbackExists},
		"another NGO":        {as: "rival", body: rating("{DELIVERED}", nil), status: 403, code: api.CodeNotYours},
		"the donor":          {as: "donor", body: rating("{DELIVERED}", nil), status: 403, code: api.CodeWrongRole},
		"the carrier":        {as: "carrier", body: rating("{DELIVERED}", nil), status: 403, code: api.CodeWrongRole},
		"an admin":           {as: "admin", body: rating("{DELIVERED}", nil), status: 403, code: api.CodeWrongRole},
		"nobody's claim":     {as: "ngo", body: rating("{AVAILABLE}", nil), status: 403, code: api.CodeNotYours},
		"not picked up":      {as: "ngo", body: rating("{CLAIMED}", nil), status: 400, code: api.CodeNotDelivered},
		"under way":          {as: "ngo", body: rating("{PICKED_UP}", nil), status: 400, code: api.CodeNotDelivered},
		"unknown":            {as: "ngo", body: rating(nowhere, nil), status: 404, code: api.CodeDonationNotFound},
		"no id":              {as: "ngo", body: rating("bread", nil), status: 400, code: invalid},
		"no rating":          {as: "ngo", body: rating(nowhere, map[string]any{"rating": absent}), status: 400, code: invalid},
		"no stars":           {as: "ngo", body: rating(nowhere, map[string]any{"rating": 0}), status: 400, code: invalid},
		"six stars":          {as: "ngo", body: rating(nowhere, map[string]any{"rating": 6}), status: 400, code: invalid},
		"half a star":        {as: "ngo", body: rating(nowhere, map[string]any{"rating": 4.5}), status: 400, code: invalid},
		"text for a number":  {as: "ngo", body: rating(nowhere, map[string]any{"rating": "5"}), status: 400, code: invalid},
		"long comment":       {as: "ngo", body: rating(nowhere, map[string]any{"comment": strings.Repeat("é", 2001)}), status: 400, code: invalid},
		"somebody else's id": {as: "ngo", body: rating(nowhere, map[string]any{"ngoId": "{rival}"}), status: 400, code: invalid},
		"NUL":                {as: "ngo", body: rating(nowhere, map[string]any{"comment": "a\x00b"}), status: 400},
		"nobody":             {body: rating(nowhere, nil), status: 401, code: api.CodeTokenMissing},
	})
	_ = cases("GET /feedback/donation/{id}", map[string]tc{
		"rated":     {as: "donor", path: "/feedback/donation/{RATED}", status: 200},
		"not rated": {as: "volunteer", path: "/feedback/donation/{AVAILABLE}", status: 200},
		"unknown":   {as: "ngo", path: "/feedback/donation/" + nowhere, status: 404, code: api.CodeDonationNotFound},
		"no id":     {as: "ngo", path: "/feedback/donation/x", status: 404, code: api.CodeDonationNotFound},
		"nobody":    {path: "/feedback/donation/" + nowhere, status: 401, code: api.CodeTokenMissing},
	})
	_ = cases("GET /feedback/donor/{id}/average", map[string]tc{
		"rated":     {as: "volunteer", path: "/feedback/donor/{stranger}/average?_t={RATED}", status: 200},
		"not rated": {as: "ngo", path: "/feedback/donor/{donor}/average", status: 200},
		"unknown":   {as: "ngo", path: "/feedback/donor/" + nowhere + "/average", status: 404, code: api.CodeUserNotFound},
		"no id":     {as: "ngo", path: "/feedback/donor/x/average", status: 404, code: api.CodeUserNotFound},
		"nobody":    {path: "/feedback/donor/{donor}/average", status: 401, code: api.CodeTokenMissing},
	})
	_ = cases("POST /donations/{id}/flag", map[string]tc{
		"a volunteer":   {as: "volunteer", path: "/donations/{AVAILABLE}/flag", body: `{"reason":" It <smells>. "}`, status: 201},
		"an NGO":        {as: "ngo", path: "/donations/{CLAIMED}/flag", body: `{"reason":"mould"}`, status: 201},
		"after its end": {as: "stranger", path: "/donations/{DELIVERED}/flag", body: `{"reason":"mould"}`, status: 201},
		"the longest":   {as: "ngo", path: "/donations/{id}/flag", body: `{"reason":"` + strings.Repeat("é", 1000) + `"}`, status: 201},
		"again":         {as: "volunteer", path: "/donations/{FLAGGED}/flag", body: `{"reason":"mould"}`, status: 400, code: api.CodeFlagExists},
		"another voice": {as: "ngo", path: "/donations/{FLAGGED}/flag", body: `{"reason":"mould"}`, status: 201},
		"too long":      {as: "ngo", body: `{"reason":"` + strings.Repeat("é", 1001) + `"}`, status: 400, code: invalid},
		"no reason":     {as: "ngo", body: `{}`, status: 400, code: invalid},
		"blank":         {as: "ngo", body: `{"reason":" \n"}`, status: 400, code: invalid},
		"decided":       {as: "ngo", body: `{"reason":"mould","status":"APPROVED"}`, status: 400, code: invalid},
		"unknown":       {as: "ngo", path: "/donations/" + nowhere + "/flag", body: `{"reason":"mould"}`, status: 404, code: api.CodeDonationNotFound},
		"no id":         {as: "ngo", path: "/donations/x/flag", body: `{"reason":"mould"}`, status: 404, code: api.CodeDonationNotFound},
		"suspended":     {as: "suspended", body: `{"reason":"mould"}`, status: 403, code: api.CodeAccountSuspended},
		"nobody":        {body: `{"reason":"mould"}`, status: 401, code: api.CodeTokenMissing},
	})
	_ = cases("POST /support/tickets", map[string]tc{
		"a donor":         {as: "donor", body: ticketBody, status: 201},
		"no priority":     {as: "unverified", body: with(ticketBody, map[string]any{"priority": absent}), status: 201},
		"blank subject":   {as: "donor", body: with(ticketBody, map[string]any{"subject": "  "}), status: 400, code: invalid},
		"no description":  {as: "donor", body: with(ticketBody, map[string]any{"description": absent}), status: 400, code: invalid},
		"long subject":    {as: "donor", body: with(ticketBody, map[string]any{"subject": strings.Repeat("é", 201)}), status: 400, code: invalid},
		"long text":       {as: "donor", body: with(ticketBody, map[string]any{"description": strings.Repeat("é", 5001)}), status: 400, code: invalid},
		"of the longest":  {as: "donor", body: with(ticketBody, map[string]any{"subject": strings.Repeat("é", 200), "description": strings.Repeat("é", 5000)}), status: 201},
		"other priority":  {as: "donor", body: with(ticketBody, map[string]any{"priority": "URGENT"}), status: 400, code: invalid},
		"another's name":  {as: "donor", body: with(ticketBody, map[string]any{"userId": "{ngo}"}), status: 400, code: invalid},
		"a status, too":   {as: "donor", body: with(ticketBody, map[string]any{"status": "CLOSED"}), status: 400, code: invalid},
		"suspended":       {as: "suspended", body: ticketBody, status: 403, code: api.CodeAccountSuspended},
		"nobody":          {body: ticketBody, status: 401, code: api.CodeTokenMissing},
		"nothing in it":   {as: "donor", body: `{}`, status: 400, code: invalid},
		"markup is text":  {as: "donor", body: with(ticketBody, map[string]any{"subject": "<script>alert(1)</script>"}), status: 201},
		"number for text": {as: "donor", body: with(ticketBody, map[string]any{"subject": 5}), status: 400, code: invalid},
	})
	_ = cases("GET /support/tickets", map[string]tc{
		"one's own":    {as: "admin", path: "?_t={TICKET}", status: 200},
		"none":         {as: "carrier", status: 200},
		"no limit":     {as: "carrier", path: "?limit=0", status: 400, code: invalid},
		"not a cursor": {as: "carrier", path: "?after=x", status: 400, code: badRequest},
		"nobody":       {status: 401, code: api.CodeTokenMissing},
	})
	_ = cases("GET /admin/donations", forAdmins("", nil, map[string]tc{
		"all":          {as: "admin", path: "?_t={EXPIRED}{CANCELLED}", status: 200},
		"a page":       {as: "admin", path: "?limit=1", status: 200},
		"too many":     {as: "admin", path: "?limit=1001", status: 400, code: invalid},
		"not a cursor": {as: "admin", path: "?after=x", status: 400, code: badRequest},
	}))
	_ = cases("GET /admin/tickets", forAdmins("", nil, map[string]tc{
		"all":    {as: "admin", path: "?_t={TICKET}{TICKET_CLOSED}", status: 200},
		"a page": {as: "admin", path: "?limit=1", status: 200},
	}))
	_ = cases("POST /admin/tickets", forAdmins("", ticketBody, map[string]tc{
		"admin":      {as: "admin", body: ticketBody, status: 201},
		"no subject": {as: "admin", body: with(ticketBody, map[string]any{"subject": absent}), status: 400, code: invalid},
	}))
	_ = cases("PATCH /admin/tickets/{id}", forAdmins("/admin/tickets/{TICKET}", `{"status":"CLOSED"}`, map[string]tc{
		"status and note":  {as: "admin", path: "/admin/tickets/{TICKET}", body: `{"status":"RESOLVED","adminNote":" It is <there>. "}`, status: 200},
		"a note alone":     {as: "admin", path: "/admin/tickets/{TICKET}", body: `{"adminNote":"Looking"}`, status: 200},
		"an empty note":    {as: "admin", path: "/admin/tickets/{TICKET}", body: `{"status":"IN_PROGRESS","adminNote":""}`, status: 200},
		"no note":          {as: "admin", path: "/admin/tickets/{TICKET}", body: `{"status":"IN_PROGRESS","adminNote":null}`, status: 200},
		"nothing":          {as: "admin", path: "/admin/tickets/{TICKET}", body: `{}`, status: 200},
		"resolve a closed": {as: "admin", path: "/admin/tickets/{TICKET_CLOSED}", body: `{"status":"RESOLVED"}`, status: 400, code: api.CodeInvalidTransition},
		"other status":     {as: "admin", path: "/admin/tickets/{TICKET}", body: `{"status":"DONE"}`, status: 400, code: invalid},
		"another subject":  {as: "admin", path: "/admin/tickets/{TICKET}", body: `{"subject":"x"}`, status: 400, code: invalid},
		"long note":        {as: "admin", path: "/admin/tickets/{TICKET}", body: `{"adminNote":"` + strings.Repeat("é", 2001) + `"}`, status: 400, code: invalid},
		"unknown":          {as: "admin", path: "/admin/tickets/" + nowhere, body: `{"status":"CLOSED"}`, status: 404, code: api.CodeTicketNotFound},
		"no id":            {as: "admin", path: "/admin/tickets/x", body: `{"status":"CLOSED"}`, status: 404, code: api.CodeTicketNotFound},
	}))
	_ = cases("GET /admin/flagged", forAdmins("", nil, map[string]tc{
		"all":    {as: "admin", path: "?_t={FLAG}{FLAG_APPROVED}", status: 200},
		"a page": {as: "admin", path: "?limit=1", status: 200},
	}))
	_ = cases("POST /admin/flagged", forAdmins("", asJSON(map[string]any{"donationId": nowhere, "reason": "mould"}), map[string]tc{
		"admin":     {as: "admin", body: `{"donationId":"{AVAILABLE}","reason":"mould"}`, status: 201},
		"no reason": {as: "admin", body: `{"donationId":"{AVAILABLE}"}`, status: 400, code: invalid},
		"no id":     {as: "admin", body: `{"donationId":"bread","reason":"mould"}`, status: 400, code: invalid},
		"unknown":   {as: "admin", body: `{"donationId":"` + nowhere + `","reason":"mould"}`, status: 404, code: api.CodeDonationNotFound},
	}))
	_ = cases("PATCH /admin/flagged/{id}", forAdmins("/admin/flagged/{FLAG}", `{"status":"REJECTED"}`, map[string]tc{
		"approved":       {as: "admin", path: "/admin/flagged/{FLAG}", body: `{"status":"APPROVED"}`, status: 200},
		"with a note":    {as: "admin", path: "/admin/flagged/{FLAG}", body: `{"status":"ESCALATED","adminNote":" Ask <them> "}`, status: 200},
		"corrected":      {as: "admin", path: "/admin/flagged/{FLAG_APPROVED}", body: `{"status":"REJECTED"}`, status: 200},
		"taken back":     {as: "admin", path: "/admin/flagged/{FLAG_APPROVED}", body: `{"status":"FLAGGED"}`, status: 400, code: api.CodeInvalidTransition},
		"no status":      {as: "admin", path: "/admin/flagged/{FLAG}", body: `{"adminNote":"x"}`, status: 400, code: invalid},
		"other status":   {as: "admin", path: "/admin/flagged/{FLAG}", body: `{"status":"OPEN"}`, status: 400, code: invalid},
		"another reason": {as: "admin", path: "/admin/flagged/{FLAG}", body: `{"status":"REJECTED","reason":"x"}`, status: 400, code: invalid},
		"unknown":        {as: "admin", path: "/admin/flagged/" + nowhere, body: `{"status":"REJECTED"}`, status: 404, code: api.CodeFlagNotFound},
		"no id":          {as: "admin", path: "/admin/flagged/x", body: `{"status":"REJECTED"}`, status: 404, code: api.CodeFlagNotFound},
	}))
	_ = cases("GET /admin/notifications", forAdmins("", nil, map[string]tc{
		"admin": {as: "admin", path: "?_t={TICKET}{FLAG}", status: 200},
	}))
)

// Of two at once one is kept, and the other hears why not.
func TestFeedbackAtOnce(t *testing.T) {
	w := newWorld(t)
	id := w.received(w.users["donor"])
	statuses := make([]int, 8)
	var group sync.WaitGroup
	for i := range statuses {
		group.Go(func() {
			r, err := w.Try(t.Context(), testkit.Call{
				Method: http.MethodPost, Path: "/feedback", Token: w.users["ngo"].Token, Body: rating(id, nil),
			})
			if err != nil {
				t.Error(err)
				return
			}
			if statuses[i] = r.Status; r.Status != 201 {
				wantRefusal(t, "feedback", r, 400, api.CodeFeedbackExists)
			}
		})
	}
	group.Wait()
	won := 0
	for _, s := range statuses {
		if s == 201 {
			won++
		}
	}
	if list := testkit.Must[[]api.Review](w.Node, w.Get("/feedback/donation/"+id, w.users["donor"].Token), 200); won != 1 || len(list) != 1 {
		t.Errorf("statuses %v, and %d are kept", statuses, len(list))
	}
}

// The score is in the profile as a number and on every donation of the donor, null
// before there is any feedback.
func TestTrustScoreIsEverywhere(t *testing.T) {
	w := newWorld(t)
	donor, other := w.users["donor"], w.users["stranger"]
	open, others := w.Donate(donor, nil), w.Donate(other, nil)
	scores := func() map[string]*float64 {
		got := map[string]*float64{}
		for _, d := range w.list("") {
			if d.ID == open.ID || d.ID == others.ID {
				got["list "+d.DonorName] = d.DonorTrustScore
			}
		}
		for _, d := range testkit.Must[[]api.AdminDonation](w.Node, w.Get("/admin/donations", w.users["admin"].Token), 200) {
			got["admin's list "+d.DonorName] = d.DonorTrustScore
		}
		got["one"] = testkit.Must[api.Donation](w.Node, w.Get("/donations/"+open.ID, other.Token), 200).DonorTrustScore
		got["claimed"] = w.Order(w.users["rival"], open.ID, "claim", nil).DonorTrustScore
		got["released"] = w.Order(w.users["rival"], open.ID, "release", nil).DonorTrustScore
		got["created"] = w.Donate(donor, nil).DonorTrustScore
		p := testkit.Must[api.Profile](w.Node, w.Get("/auth/profile", donor.Token), 200).TrustScore
		got["profile"] = &p
		return got
	}
	want := func(score *float64, profile float64) map[string]*float64 {
		return map[string]*float64{
			"list Corner Bakery": score, "admin's list Corner Bakery": score, "one": score, "claimed": score, "released": score,
			"created": score, "profile": &profile, "list stranger": nil, "admin's list stranger": nil,
		}
	}
	if diff := cmp.Diff(want(nil, 0), scores()); diff != "" {
		t.Errorf("before (-want +got):\n%s", diff)
	}
	for _, r := range []int{5, 4, 4} {
		w.rate(w.received(donor), r)
	}
	if diff := cmp.Diff(want(new(4.3), 4.3), scores()); diff != "" {
		t.Errorf("after (-want +got):\n%s", diff)
	}
	if got := testkit.Must[api.AverageScore](w.Node, w.Get("/feedback/donor/"+donor.ID+"/average", other.Token), 200); got != (api.AverageScore{AverageScore: 4.3, TotalReviews: 3}) {
		t.Errorf("average: got %+v", got)
	}
}

// More tickets than anybody needs are refused, and the answer says when to return.
func TestTicketsAreLimited(t *testing.T) {
	w := newWorld(t)
	for range 10 {
		testkit.Must[api.Ticket](w.Node, w.Post("/support/tickets", w.users["donor"].Token, ticketBody), 201)
	}
	r := w.Post("/support/tickets", w.users["donor"].Token, ticketBody)
	wantRefusal(t, "the eleventh", r, 429, api.CodeRateLimited)
	if s, err := strconv.Atoi(r.Header.Get("Retry-After")); err != nil || s < 3500 || s > 3600 {
		t.Errorf("Retry-After: %q", r.Header.Get("Retry-After"))
	}
	testkit.Must[api.Ticket](w.Node, w.Post("/support/tickets", w.users["ngo"].Token, ticketBody), 201)
	if got := testkit.Must[[]api.Ticket](w.Node, w.Get("/support/tickets", w.users["donor"].Token), 200); len(got) != 10 {
		t.Errorf("%d tickets are kept, want 10", len(got))
	}
}

// Nobody but its author and admins can read or change a ticket, by whatever name he
// asks for it.
func TestTicketsArePrivate(t *testing.T) {
	w := newWorld(t)
	k := testkit.Must[api.Ticket](w.Node, w.Post("/support/tickets", w.users["donor"].Token, ticketBody), 201)
	for name, u := range w.users {
		for _, path := range []string{
			"/support/tickets", "/support/tickets?userId=" + w.users["donor"].ID, "/support/tickets?accountId=" + w.users["donor"].ID,
			"/support/tickets/" + k.ID, "/admin/tickets", "/admin/tickets?limit=1", "/admin/tickets/" + k.ID, "/donations/" + k.ID + "/history", "/events",
		} {
			r := w.Get(path, u.Token)
			if mine := (name == "donor" && strings.HasPrefix(path, "/support/")) || name == "admin"; !mine && strings.Contains(string(r.Body), "bread") {
				t.Errorf("%s reads %s: %s", name, path, r)
			}
		}
		if name == "admin" {
			continue
		}
		for _, path := range []string{"/admin/tickets/" + k.ID, "/support/tickets/" + k.ID} {
			if r := w.Patch(path, u.Token, map[string]string{"status": "CLOSED"}); r.Status < 400 {
				t.Errorf("%s changes it at %s: %s", name, path, r)
			}
		}
	}
	list := testkit.Must[[]api.Ticket](w.Node, w.Get("/support/tickets", w.users["donor"].Token), 200)
	if diff := cmp.Diff([]api.Ticket{k}, list); diff != "" {
		t.Errorf("the author's list (-want +got):\n%s", diff)
	}
}

// No admin can be locked out through the admin area: neither another one nor oneself.
func TestAdminsStay(t *testing.T) {
	w := newWorld(t)
	admin, second := w.users["admin"], w.User(account.Admin)
	for name, target := range map[string]*testkit.User{"himself": admin, "another admin": second} {
		wantRefusal(t, name, w.Patch("/admin/users/"+target.ID+"/toggle-status", admin.Token, nil), 400, api.CodeBadRequest)
		if r := w.Get("/admin/users", target.Token); r.Status != 200 {
			t.Errorf("%s afterwards: %s", name, r)
		}
	}
}

// Every route of the admin area is closed to everybody else, whatever he asks.
func TestAdminRoutesAreForAdmins(t *testing.T) {
	w := newWorld(t)
	w.users["former"] = w.User(account.Admin) // with a token that says so
	w.Update(func(ctx context.Context, tx *store.Tx) error {
		a, err := tx.Account(ctx, w.users["former"].ID)
		if err != nil {
			return err
		}
		a.ChangeRole(account.Donor)
		return tx.UpdateAccount(ctx, a)
	})
	tried := 0
	for route := range contract {
		if !strings.Contains(route, " /admin/") {
			continue
		}
		for _, who := range []string{"donor", "ngo", "unverified", "volunteer", "former"} {
			for _, body := range []any{nil, `{"status":"CLOSED"}`, `{`} {
				tried++
				wantRefusal(t, route+" by "+who, w.send(t, route, tc{as: who, body: body}), 403, api.CodeWrongRole)
			}
		}
		wantRefusal(t, route+" by a suspended one", w.send(t, route, tc{as: "suspended"}), 403, api.CodeAccountSuspended)
	}
	if tried < 12*5*3 {
		t.Errorf("tried only %d requests", tried)
	}
}

// Pages of the admin's lists are followed by their Link alone.
func TestAdminListsInPages(t *testing.T) {
	w := newWorld(t)
	admin := w.users["admin"].Token
	for range 5 {
		w.fill(t, "{TICKET}{FLAG}")
	}
	for _, path := range []string{"/admin/donations", "/admin/tickets", "/admin/flagged", "/support/tickets"} {
		type entry struct{ ID string }
		want := testkit.Must[[]entry](w.Node, w.Get(path, admin), 200)
		var got []entry
		for next := path + "?limit=2"; next != ""; {
			r := w.Get(next, admin)
			got, next = append(got, testkit.Must[[]entry](w.Node, r, 200)...), ""
			if link := r.Header.Get("Link"); link != "" {
				next, _, _ = strings.Cut(strings.TrimPrefix(link, "<"), ">")
			}
			if len(got) > 5 {
				break
			}
		}
		if diff := cmp.Diff(want, got); diff != "" || len(want) != 5 {
			t.Errorf("%s: %d entries; pages (-want +got):\n%s", path, len(want), diff)
		}
	}
}

// No secret of anybody is in any body, of success or refusal.
func TestNoSecretInVoices(t *testing.T) {
	w := newWorld(t)
	w.fill(t, "{TICKET}{FLAG}{RATED}{FLAGGED}")
	for route := range contract {
		if !strings.Contains(route, "/feedback") && !strings.Contains(route, "/support") && !strings.Contains(route, "/admin") && !strings.Contains(route, "/flag") {
			continue
		}
		for name, c := range contract[route] {
			r := w.send(t, route, c)
			for _, secret := range []string{"argon2", "$2", "password", testkit.Password, "email_key", "tokensAfter"} {
				if strings.Contains(strings.ToLower(string(r.Body)), strings.ToLower(secret)) {
					t.Errorf("%s, %s: %q is in %s", route, name, secret, r)
				}
			}
		}
	}
}

// asJSON is a body in which placeholders are filled.
func asJSON(fields map[string]any) string {
	text, err := json.Marshal(fields)
	if err != nil {
		panic(err)
	}
	return string(text)
}
