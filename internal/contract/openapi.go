package contract

import (
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"larder/api"
)

const about = `A live board for donated food: a donor lists surplus food, an NGO claims it, a volunteer carries it, and everyone who may see it sees it happen.

**Forms.** JSON in UTF-8. Times are RFC 3339 in UTC with milliseconds and Z. Ids are UUIDs; a path id that is none is answered 404. A field that can be null is null, never missing. Lists are bare arrays, newest first where nothing else is said. What a list leaves out is behind its Link header.

**Who asks.** ` + "`Authorization: Bearer <token>`" + `, with the token of POST /auth/login or /auth/register. Rights are those of the account now, not of the token.

**Refusals.** ` + "`{statusCode, error, message, code}`" + `: code is stable, message is for people and can be a list. With ` + "`Accept: application/problem+json`" + ` it is RFC 9457. X-Request-Id finds it in the server's log.

**Strict and lenient.** Unknown fields of a body are refused, unknown query parameters are ignored. POST answers 201, GET and PATCH 200.

**Once.** With an Idempotency-Key the same key, caller and body give the same answer, once. Repeat with the same key until there is an answer.

**Live.** Socket.IO at /socket.io/ (namespaces /donations and /), a plain WebSocket at /donations, server-sent events at /events: see /asyncapi.json, and /types/events.d.ts for TypeScript.`

// tags group the routes; the first prefix that fits counts.
var tags = []struct{ name, text string }{
	{"donations", "The board: listing, claiming, carrying and delivering food."},
	{"accounts", "Who somebody is, and what else is theirs."},
	{"feed", "What happened, as pages and live. The live events are in /asyncapi.json."},
	{"admin", "For admins."},
	{"operations", "Health, metrics and these documents."},
}

var tagOf = []struct{ prefix, tag string }{
	{"/donations", "donations"},
	{"/feedback", "donations"},
	{"/media", "donations"},
	{"/auth", "accounts"},
	{"/support", "accounts"},
	{"/certificates", "accounts"},
	{"/events", "feed"},
	{"/notifications", "feed"},
	{"/admin", "admin"},
}

// Tag is the group of a route.
func Tag(path string) string {
	for _, t := range tagOf {
		if strings.HasPrefix(path, t.prefix) {
			return t.tag
		}
	}
	return "operations"
}

// Route is a route that is served beside the registry, to read something.
type Route struct {
	Path, Summary, Description string
	Types                      []string // media types of the answer
	Refusals                   []int
	Cached                     bool // it has an entity tag: 304
	Bearer                     bool
}

// OpenAPI makes the OpenAPI 3.1 document of a registry and of what is served
// beside it. It returns it as JSON, and as the page that shows it to people, with the live
// events. It changes doc, which must serve nothing.
func OpenAPI(doc *huma.OpenAPI, beside []Route) (asJSON, asPage []byte) {
	reg := doc.Components.Schemas
	for _, t := range []any{api.Error{}, api.Problem{}} {
		reg.Schema(reflect.TypeOf(t), true, "")
	}
	doc.OpenAPI = "3.1.0"
	doc.Info = &huma.Info{
		Title: "Larder", Version: version, Description: about, Extensions: map[string]any{"summary": "A live board for donated food"},
	}
	doc.Servers = []*huma.Server{{URL: "/", Description: "This server."}}
	for _, t := range tags {
		doc.Tags = append(doc.Tags, &huma.Tag{Name: t.name, Description: t.text})
	}
	doc.Components.SecuritySchemes = map[string]*huma.SecurityScheme{"bearer": {
		Type: "http", Scheme: "bearer", BearerFormat: "JWT", Description: "The token of POST /auth/login or /auth/register.",
	}}
	doc.Components.Headers = map[string]*huma.Header{
		"X-Request-Id": {Description: "Finds this request in the server's log.", Schema: &huma.Schema{Type: "string"}},
		"Retry-After":  {Description: "Seconds after which to try again.", Schema: &huma.Schema{Type: "integer"}},
	}
	for _, op := range operations(doc) {
		finish(reg, op)
	}
	for _, r := range beside {
		doc.AddOperation(r.operation())
	}
	doc.Components.Responses = map[string]*huma.Response{
		refusalName(404): refusal(404), refusalName(405): refusal(405), // of every path and method that is no route
	}
	for _, op := range operations(doc) {
		for status, r := range op.Responses {
			if r.Ref == "" {
				r.Headers = with(r.Headers, "X-Request-Id")
				continue
			}
			if n, err := strconv.Atoi(status); err == nil && doc.Components.Responses[refusalName(n)] == nil {
				doc.Components.Responses[refusalName(n)] = refusal(n)
			}
		}
	}
	complete(reg)
	lenient(doc)
	return document(tree(doc)), page(doc)
}

// lenient lets what is optional in a request be null: it counts as absent, because
// existing forms send every field.
func lenient(doc *huma.OpenAPI) {
	reg := doc.Components.Schemas
	answered := map[string]bool{}
	for _, op := range operations(doc) {
		for _, r := range op.Responses {
			for _, m := range r.Content {
				reach(reg, m.Schema, answered)
			}
		}
	}
	asked := map[string]bool{}
	for _, op := range operations(doc) {
		if op.RequestBody != nil {
			for _, m := range op.RequestBody.Content {
				reach(reg, m.Schema, asked)
			}
		}
	}
	for name := range asked {
		s := reg.Map()[name]
		if answered[name] || s == nil {
			continue
		}
		for field, p := range s.Properties {
			if !slices.Contains(s.Required, field) {
				s.Properties[field] = orNull(p)
			}
		}
	}
}

// reach adds the names of all schemas that a schema leads to.
func reach(reg huma.Registry, s *huma.Schema, found map[string]bool) {
	if s == nil {
		return
	}
	if name, ok := strings.CutPrefix(s.Ref, refs); ok && !found[name] {
		found[name] = true
		reach(reg, reg.Map()[name], found)
	}
	for _, p := range s.Properties {
		reach(reg, p, found)
	}
	for _, p := range slices.Concat(s.OneOf, s.AnyOf, s.AllOf, []*huma.Schema{s.Items}) {
		reach(reg, p, found)
	}
	if values, ok := s.AdditionalProperties.(*huma.Schema); ok {
		reach(reg, values, found)
	}
}

// operations are those of a document in the order of their paths.
func operations(doc *huma.OpenAPI) []*huma.Operation {
	var list []*huma.Operation
	for _, path := range slices.Sorted(maps.Keys(doc.Paths)) {
		p := doc.Paths[path]
		for _, op := range []*huma.Operation{p.Get, p.Post, p.Put, p.Patch, p.Delete} {
			if op != nil {
				list = append(list, op)
			}
		}
	}
	return list
}

// finish says of an operation what its types do not.
func finish(reg huma.Registry, op *huma.Operation) {
	if len(op.Tags) == 0 {
		op.Tags = []string{Tag(op.Path)}
	}
	var query bool
	for _, p := range op.Parameters {
		query = query || p.In == "query"
		if p.In == "path" && p.Description == "" {
			p.Description = "A UUID; anything else is answered 404."
			p.Schema.Format = "uuid"
		}
	}
	say := func(text string) { op.Description = strings.TrimSpace(op.Description + " " + text) }
	if query {
		say("Unknown query parameters are ignored.")
	}
	if op.RequestBody != nil {
		say("Unknown fields of the body are refused.")
	}
	switch op.Path {
	case "/events":
		stream(op)
	case "/donations":
		if op.Method == http.MethodGet {
			op.Responses["101"] = &huma.Response{Description: "To an upgrade request: a plain WebSocket, see /asyncapi.json."}
		}
	}
	maps.DeleteFunc(op.Responses, func(status string, _ *huma.Response) bool { return status >= "400" }) // huma's own, of another shape
	for _, status := range refusals(op) {
		if status == http.StatusServiceUnavailable && isHealth(reg, op) {
			op.Responses["503"] = &huma.Response{Description: "It is not well.", Content: op.Responses["200"].Content}
			continue
		}
		op.Responses[strconv.Itoa(status)] = &huma.Response{Ref: "#/components/responses/" + refusalName(status)}
	}
}

// isHealth says whether an operation answers the same body with 503.
func isHealth(reg huma.Registry, op *huma.Operation) bool {
	ok := op.Responses["200"]
	if ok == nil || ok.Content["application/json"] == nil {
		return false
	}
	return ok.Content["application/json"].Schema.Ref == reg.Schema(typeOf[api.Health](), true, "").Ref
}

// refusals are the statuses that an operation can refuse with: those that it
// declares, and what follows from its form.
func refusals(op *huma.Operation) []int {
	list := slices.Clone(op.Errors)
	if len(op.Security) > 0 || strings.HasPrefix(op.Path, "/auth/") {
		list = append(list, 401, 403)
	}
	if strings.Contains(op.Path, "{") || len(op.Security) > 0 && op.RequestBody != nil || op.Path == "/auth/profile" {
		list = append(list, 404) // the body names something, too
	}
	if slices.ContainsFunc(op.Parameters, func(p *huma.Param) bool { return p.Name == "Idempotency-Key" }) {
		list = append(list, 409)
	}
	if op.RequestBody != nil {
		list = append(list, 408, 413, 415)
	}
	asksNothing := len(op.Parameters) == 0 && op.RequestBody == nil && len(op.Security) == 0
	list = slices.DeleteFunc(list, func(status int) bool { return status == 422 || asksNothing && status < 500 })
	list = append(list, 403) // a foreign origin (C-4)
	slices.Sort(list)
	return slices.Compact(list)
}

// stream adds server-sent events to the page of events (P-37).
func stream(op *huma.Operation) {
	op.Description = strings.TrimSpace(op.Description + " With `Accept: text/event-stream` the same live: first `feed.ready`, then what was missed " +
		"after `Last-Event-ID` or `after`, then what happens. The query parameters that narrow are for this form alone.")
	op.Responses["200"].Content["text/event-stream"] = &huma.MediaType{
		Schema:  &huma.Schema{Type: "string", Description: "Server-sent events: `id` is the position, `event` the name, `data` the payload."},
		Example: "id: " + examplePosition + "\nevent: donation.near_expiry\ndata: {\"donationId\":\"" + exampleDonation + "\",…}\n\n",
	}
	add := func(in, name, text string, s *huma.Schema) {
		op.Parameters = append(op.Parameters, &huma.Param{Name: name, In: in, Description: text, Schema: s})
	}
	add("header", "Last-Event-ID", "A position: what happened after it comes first. Browsers send it by themselves.", &huma.Schema{Type: "string"})
	for _, name := range []string{"lat", "lng", "radiusKm"} {
		add("query", name, "Narrows the stream to a circle; all three together.", &huma.Schema{Type: "number"})
	}
	add("query", "statuses", "Narrows the stream: a comma list.", &huma.Schema{Type: "string"})
	add("query", "foodTypes", "Narrows the stream: a comma list, compared without case.", &huma.Schema{Type: "string"})
}

func (r Route) operation() *huma.Operation {
	op := &huma.Operation{
		Method: http.MethodGet, Path: r.Path, Summary: r.Summary, Description: r.Description, Tags: []string{Tag(r.Path)},
		OperationID: "get" + strings.NewReplacer("/", "-", ".", "-", "{", "", "}", "").Replace(r.Path), Responses: map[string]*huma.Response{},
	}
	for _, name := range parameter.FindAllString(r.Path, -1) {
		op.Parameters = append(op.Parameters, &huma.Param{Name: strings.Trim(name, "{}"), In: "path", Required: true, Schema: &huma.Schema{Type: "string"}})
	}
	ok := &huma.Response{Description: "OK", Content: map[string]*huma.MediaType{}}
	for _, kind := range r.Types {
		ok.Content[kind] = &huma.MediaType{Schema: &huma.Schema{Type: "string"}}
		if kind == "application/json" {
			ok.Content[kind].Schema = &huma.Schema{Type: "object"}
		}
	}
	op.Responses["200"] = ok
	if r.Cached {
		op.Responses["304"] = &huma.Response{Description: "What the client has is still right."}
	}
	if r.Bearer {
		op.Security = []map[string][]string{{"bearer": {}}, {}}
	}
	for _, status := range append(r.Refusals, 403) {
		op.Responses[strconv.Itoa(status)] = &huma.Response{Ref: "#/components/responses/" + refusalName(status)}
	}
	return op
}

func refusalName(status int) string {
	return strings.ReplaceAll(http.StatusText(status), " ", "")
}

// refusal is the answer of every route that refuses with a status: the codes that
// come with it, each with an example.
func refusal(status int) *huma.Response {
	text := http.StatusText(status)
	examples := map[string]*huma.Example{}
	var said []string
	for _, c := range words().Codes {
		if c.Status != status {
			continue
		}
		message := c.Meaning
		if message == "" {
			message = text
		} else {
			said = append(said, fmt.Sprintf("`%s`: %s.", c.Code, strings.ToLower(c.Meaning[:1])+c.Meaning[1:]))
		}
		if api.Code(c.Code) == api.CodeValidation {
			message = "name: expected length >= 1"
		}
		examples[c.Code] = &huma.Example{Value: tree(api.NewError(status, api.Code(c.Code), message))}
	}
	only := func(of string) *huma.Schema {
		field := map[string]string{"Error": "statusCode", "Problem": "status"}[of]
		return &huma.Schema{
			AllOf: []*huma.Schema{{Ref: refs + of}},
			Properties: map[string]*huma.Schema{
				field: {Type: "integer", Enum: []any{status}}, "code": {Type: "string", Enum: codesOf(status)},
			},
		}
	}
	r := &huma.Response{
		Description: strings.TrimSpace(text + ". " + strings.Join(said, " ")),
		Content: map[string]*huma.MediaType{
			"application/json":         {Schema: only("Error"), Examples: examples},
			"application/problem+json": {Schema: only("Problem")},
		},
		Headers: with(nil, "X-Request-Id"),
	}
	switch status {
	case http.StatusUnauthorized:
		r.Headers["WWW-Authenticate"] = &huma.Header{Description: "The scheme that is wanted.", Schema: &huma.Schema{Type: "string"}}
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		with(r.Headers, "Retry-After")
	}
	return r
}

// with adds a header of the components.
func with(headers map[string]*huma.Param, name string) map[string]*huma.Param {
	if headers == nil {
		headers = map[string]*huma.Param{}
	}
	headers[name] = &huma.Header{Ref: "#/components/headers/" + name}
	return headers
}
