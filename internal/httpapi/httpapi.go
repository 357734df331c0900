package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"

	"larder/api"
	"larder/internal/account"
	"larder/internal/auth"
	"larder/internal/command"
	"larder/internal/media"
	"larder/internal/query"
)

// maxBody bounds the body of a request in bytes.
const maxBody = 100 << 10

// What one account may change: what nobody does by hand, and a script has no need of
// (P-58). Each of it is told to others.
const (
	changesPerAccount = 3000
	changesWindow     = 5 * time.Minute
)

// API is the REST surface.
type API struct {
	commands *command.Service
	queries  *query.Service
	auth     *auth.Auth
	health   Health
	log      *slog.Logger
	changes  *auth.Limit // of each account

	media     *media.Library // nil: no files are taken
	publicURL string
	uploads   *uploads
}

// Health is what the node says of itself: Health on /health, Ready on /readyz.
type Health struct {
	Health func(context.Context) api.Health
	Ready  func(context.Context) api.Health
}

// New returns an API.
func New(commands *command.Service, queries *query.Service, au *auth.Auth, health Health, log *slog.Logger) *API {
	return &API{
		commands: commands, queries: queries, auth: au, health: health, log: log, changes: auth.NewLimit(changesPerAccount, changesWindow),
	}
}

// setHuma configures what huma keeps in package variables.
var setHuma = sync.OnceFunc(func() {
	setWording()
	huma.NewErrorWithContext = humaErrors
	huma.NewError = func(status int, msg string, errs ...error) huma.StatusError {
		return humaErrors(nil, status, msg, errs...)
	}
	// Else a second field in other letters, {"name":…,"NAME":…}, would be taken
	// without having been looked at.
	huma.ValidateStrictCasing = true
})

// Mount adds all routes to mux.
func (a *API) Mount(mux *http.ServeMux) {
	a.routes(a.registry(mux))
	documents(mux)
	a.mountMedia(mux)
}

func typeOf[T any]() reflect.Type { return reflect.TypeFor[T]() }

// strictJSON is encoding/json with what a database can't keep refused: the NUL
// character in a text, and what is no UTF-8, which would be replaced unasked.
var strictJSON = huma.Format{
	Marshal: huma.DefaultJSONFormat.Marshal,
	Unmarshal: func(data []byte, v any) error {
		if !utf8.Valid(data) {
			return errors.New("body is not UTF-8")
		}
		if err := json.Unmarshal(data, v); err != nil {
			if _, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
				return errors.New("a value is out of range") // without the names of our types
			}
			return err
		}
		if tree, ok := v.(*any); ok {
			return noNUL(*tree, "body")
		}
		return nil
	},
}

func noNUL(v any, path string) error {
	switch v := v.(type) {
	case string:
		if strings.ContainsRune(v, 0) {
			return fmt.Errorf("%s must not hold the NUL character", path)
		}
	case []any:
		for i, e := range v {
			if err := noNUL(e, fmt.Sprintf("%s[%d]", path, i)); err != nil {
				return err
			}
		}
	case map[string]any:
		for k, e := range v {
			if strings.ContainsRune(k, 0) {
				return errors.New("a field name must not hold the NUL character")
			}
			if err := noNUL(e, strings.TrimPrefix(path+"."+k, "body.")); err != nil {
				return err
			}
		}
	}
	return nil
}

// access says who may use a route.
type access int

const (
	anyone access = iota + 1
	signedIn
	admins
)

// forWhom is that in words, for the documents.
var forWhom = map[access]string{anyone: "For anybody.", signedIn: "For whoever is signed in.", admins: "For admins."}

// route adds one route. Rights are checked before the body is read.
func route[I, O any](a *API, h huma.API, who access, method, path, summary string, handle func(context.Context, *I) (*O, error),
	with ...func(*huma.Operation),
) {
	op := huma.Operation{
		Method: method, Path: path, Summary: summary, OperationID: operationID(method, path),
		MaxBodyBytes: maxBody + 1, // the least that is too much
		Errors:       []int{400, 429, 500, 503},
		Description:  forWhom[who],
	}
	if method == http.MethodPost {
		op.DefaultStatus = http.StatusCreated
	}
	if who != anyone {
		op.Security = []map[string][]string{{"bearer": {}}}
		op.Errors = append(op.Errors, 401, 403)
		op.Middlewares = huma.Middlewares{a.authenticate(h, who)}
	}
	for _, change := range with {
		change(&op)
	}
	huma.Register(h, op, func(ctx context.Context, in *I) (*O, error) {
		out, err := handle(ctx, in)
		if err != nil {
			return nil, a.refuse(ctx, err)
		}
		return out, nil
	})
}

// also says more of a route than for whom it is.
func also(text string) func(*huma.Operation) {
	return func(op *huma.Operation) { op.Description += " " + text }
}

func operationID(method, path string) string {
	return strings.ToLower(method) + strings.NewReplacer("/", "-", "{", "", "}", "").Replace(path)
}

type callerKey struct{}

// caller is the account that asks, in handlers of routes that are not public.
func caller(ctx context.Context) account.Account {
	acc, _ := ctx.Value(callerKey{}).(account.Account)
	return acc
}

func (a *API) authenticate(h huma.API, who access) func(huma.Context, func(huma.Context)) {
	return func(ctx huma.Context, next func(huma.Context)) {
		identity, err := a.auth.Authenticate(ctx.Context(), ctx.Header("Authorization"))
		if err == nil && who == admins && identity.Account.Role != account.Admin {
			err = account.ErrNotAdmin
		}
		if err == nil && ctx.Method() != http.MethodGet {
			err = a.changes.Allow(identity.Account.ID, time.Now())
		}
		if err != nil {
			a.write(ctx, h, err)
			return
		}
		next(huma.WithValue(ctx, callerKey{}, identity.Account))
	}
}

// write answers a request outside of a handler.
func (a *API) write(ctx huma.Context, h huma.API, err error) {
	r := a.refuse(ctx.Context(), err)
	for k := range r.headers {
		ctx.SetHeader(k, r.headers.Get(k))
	}
	ctx.SetHeader("Content-Type", r.ContentType(""))
	ctx.SetStatus(r.GetStatus())
	if err := h.Marshal(ctx.BodyWriter(), "application/json", r); err != nil {
		a.log.Debug("answer not written", "err", err)
	}
}

// WriteError answers w with an error in the form that the request asks for, for
// handlers outside of the REST surface.
func WriteError(w http.ResponseWriter, r *http.Request, e *api.Error) {
	(&refusal{body: e, rfc9457: wantsProblem(r.Header.Get("Accept"))}).write(w)
}

// Refuse is WriteError for an error of any kind, by the rules of the REST surface.
func (a *API) Refuse(w http.ResponseWriter, r *http.Request, err error) {
	a.refuse(r.Context(), err).write(w)
}

func (ref *refusal) write(w http.ResponseWriter) {
	maps.Copy(w.Header(), ref.headers)
	w.Header().Set("Content-Type", ref.ContentType(""))
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(ref.body.StatusCode)
	if body, err := ref.MarshalJSON(); err == nil {
		_, _ = w.Write(append(body, '\n')) // an error here: the client has gone
	}
}
