package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"math"
	"net/http"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"larder/api"
	"larder/internal/auth"
	"larder/internal/problem"
)

// refusal is an api.Error on its way out, in the form that the client asked for.
type refusal struct {
	body    *api.Error
	rfc9457 bool // application/problem+json (RFC 9457)
	headers http.Header
}

// Error implements error.
func (r *refusal) Error() string { return r.body.Error() }

// GetStatus implements huma.StatusError.
func (r *refusal) GetStatus() int { return r.body.StatusCode }

// GetHeaders implements huma.HeadersError.
func (r *refusal) GetHeaders() http.Header { return r.headers }

// ContentType implements huma.ContentTypeFilter.
func (r *refusal) ContentType(string) string {
	if r.rfc9457 {
		return "application/problem+json"
	}
	return "application/json"
}

// MarshalJSON writes the form that the client asked for.
func (r *refusal) MarshalJSON() ([]byte, error) {
	if !r.rfc9457 {
		return r.body.MarshalJSON() // json.Marshal would escape it for HTML
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(r.body.Problem())
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// Schema keeps the document honest: the fields are those of api.Error.
func (r *refusal) Schema(reg huma.Registry) *huma.Schema {
	return huma.SchemaFromType(reg, typeOf[api.Error]())
}

func wantsProblem(accept string) bool { return strings.Contains(accept, "application/problem+json") }

// refuse is problem.From for a request: it logs what is internal and adds headers.
func (a *API) refuse(ctx context.Context, err error) *refusal {
	info := infoFrom(ctx)
	e, internal := problem.From(err)
	r := &refusal{body: e, rfc9457: info.rfc9457, headers: http.Header{}}
	switch {
	case errors.Is(err, context.Canceled) && ctx.Err() != nil:
		// The client has gone: nobody reads the answer and nothing is broken.
	case internal:
		a.log.LogAttrs(ctx, slog.LevelError, "request failed", slog.String("request_id", info.id), slog.Any("err", err))
	}
	if e.StatusCode == http.StatusUnauthorized {
		r.headers.Set("WWW-Authenticate", "Bearer")
	}
	if rate, ok := errors.AsType[*auth.RateError](err); ok {
		r.headers.Set("Retry-After", strconv.Itoa(int(math.Ceil(rate.RetryAfter.Seconds()))))
	} else if e.StatusCode == http.StatusServiceUnavailable {
		r.headers.Set("Retry-After", "1")
	}
	return r
}

// humaErrors is what huma calls for the errors that it finds itself.
func humaErrors(ctx huma.Context, status int, msg string, errs ...error) huma.StatusError {
	r := &refusal{headers: http.Header{}}
	if ctx != nil {
		r.rfc9457 = wantsProblem(ctx.Header("Accept"))
	}
	switch status {
	case http.StatusUnprocessableEntity:
		r.body = api.NewError(http.StatusBadRequest, api.CodeValidation, faults(msg, errs)...)
	case http.StatusBadRequest:
		r.body = api.NewError(status, api.CodeBadRequest, strings.Join(faults(msg, errs), "; "))
	case http.StatusRequestEntityTooLarge:
		r.body = api.NewError(status, api.CodeTooLarge, "Body is larger than "+strconv.Itoa(maxBody/1024)+" KiB")
	case http.StatusUnsupportedMediaType:
		r.body = api.NewError(status, api.CodeUnsupportedMedia, "Content-Type must be application/json")
	case http.StatusNotAcceptable:
		r.body = api.NewError(status, api.CodeNotAcceptable, "Only application/json can be given")
	case http.StatusRequestTimeout:
		r.body = api.NewError(status, api.CodeRequestTimeout, "Body did not arrive in time")
	default:
		r.body = api.NewError(http.StatusInternalServerError, api.CodeInternal, "Something went wrong on our side")
	}
	return r
}

// faults are one sentence for each thing that is wrong, beginning with the name
// of the field. Values are not repeated: a password could be among them.
func faults(msg string, errs []error) []string {
	var list []string
	for _, err := range errs {
		d, ok := err.(huma.ErrorDetailer)
		if !ok {
			if err != nil {
				list = append(list, err.Error())
			}
			continue
		}
		detail := d.ErrorDetail()
		list = append(list, sentence(detail.Location, detail.Message))
	}
	if len(list) == 0 {
		list = []string{msg}
	}
	return list
}
