package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"mime"
	"mime/multipart"
	"net/http"
	"os"
	"path"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"larder/api"
	"larder/internal/media"
)

// Limits of a form beside those of its files.
const (
	maxFormText  = 100 << 10 // bytes of all texts
	maxFormParts = 100
	maxOverhead  = 256 << 10 // bytes of a body that are no file
)

// form is how a route takes multipart/form-data (P-50): as the JSON body that it takes, a
// text for each field, and files. Each file is taken in when it has come, so that
// one is in memory at a time; the fields go through the checks of the JSON body.
type form struct {
	numbers []string // fields that are numbers in JSON
	lists   []string // fields that are lists of texts there, one part for each

	files   string // the field of the files
	atMost  int
	maxSize int64 // bytes of a file
	keep    func(context.Context, []byte) (name string, err error)
	address string // the list to which the addresses of kept files go; empty: none
}

func (a *API) donationForm() form {
	return form{
		numbers: []string{"latitude", "longitude"}, lists: []string{"imageUrls"},
		files: "images", atMost: 5, maxSize: media.MaxPhoto, keep: a.media.KeepPhoto, address: "imageUrls",
	}
}

func (a *API) registrationForm() form {
	return form{files: "certificate", atMost: 1, maxSize: media.MaxCertificate, keep: a.media.KeepCertificate}
}

type filesKey struct{}

// keptFiles are the names of the files that came with a request.
func keptFiles(ctx context.Context) []string {
	names, _ := ctx.Value(filesKey{}).([]string)
	return names
}

// takes has a route take a form beside its JSON body of type T.
func takes[T any](a *API, h huma.API, make func() form) func(*huma.Operation) {
	return func(op *huma.Operation) {
		if a.media == nil {
			return
		}
		f := make()
		op.Errors = append(op.Errors, http.StatusRequestTimeout, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType)
		op.RequestBody = &huma.RequestBody{Content: map[string]*huma.MediaType{"multipart/form-data": {Schema: f.schema(huma.SchemaFromType(h.OpenAPI().Components.Schemas, reflect.TypeFor[T]()))}}}
		op.Middlewares = append(op.Middlewares, func(ctx huma.Context, next func(huma.Context)) {
			kind, params, err := mime.ParseMediaType(ctx.Header("Content-Type"))
			if err != nil || kind != "multipart/form-data" {
				next(ctx)
				return
			}
			r, w := humago.Unwrap(ctx)
			r, err = a.readForm(r.WithContext(ctx.Context()), w, f, params["boundary"])
			if err != nil {
				a.write(ctx, h, err)
				return
			}
			next(humago.NewContext(ctx.Operation(), r, w))
		})
	}
}

// schema is that of the JSON body with the files beside its fields.
func (f form) schema(s *huma.Schema) *huma.Schema {
	with := *s
	with.Properties = maps.Clone(s.Properties)
	file := &huma.Schema{Type: "string", Format: "binary", Description: fmt.Sprintf("At most %d MiB.", f.maxSize>>20)}
	with.Properties[f.files] = file
	if f.atMost > 1 {
		with.Properties[f.files] = &huma.Schema{Type: "array", Items: file, MaxItems: &f.atMost}
	}
	return &with
}

// readForm turns a request with a form into one with a JSON body.
func (a *API) readForm(r *http.Request, w http.ResponseWriter, f form, boundary string) (*http.Request, error) {
	ctx, control := r.Context(), http.NewResponseController(w)
	end, err := a.uploads.begin(ctx, caller(ctx).ID, infoFrom(ctx).address)
	if err != nil {
		return nil, err
	}
	defer end()
	limit := int64(f.atMost)*f.maxSize + maxOverhead
	if r.ContentLength > limit {
		return nil, tooLarge("Body is larger than %d MiB", limit>>20)
	}
	body := &paced{r: http.MaxBytesReader(w, r.Body, limit), setDeadline: control.SetReadDeadline}
	parts := partsOf{form: f, reader: multipart.NewReader(body, boundary), api: a, fields: map[string]any{}}
	err = parts.read(ctx)
	// The rest is read as well: who is still sending would not see the answer.
	if err == nil || !errors.Is(err, os.ErrDeadlineExceeded) && ctx.Err() == nil {
		_, _ = io.Copy(io.Discard, body)
	}
	_ = control.SetReadDeadline(time.Time{})
	_ = control.SetWriteDeadline(time.Now().Add(answerTime)) // sending may have taken all the time there was
	if err != nil {
		return nil, a.formError(ctx, err)
	}
	text, err := json.Marshal(parts.fields)
	if err != nil {
		return nil, fmt.Errorf("form as JSON: %w", err)
	}
	r = r.WithContext(context.WithValue(ctx, filesKey{}, parts.kept))
	r.Header = r.Header.Clone()
	r.Header.Set("Content-Type", "application/json")
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(text)), int64(len(text))
	return r, nil
}

// formError says what is wrong with a form.
func (a *API) formError(ctx context.Context, err error) error {
	_, refused := errors.AsType[*api.Error](err)
	_, large := errors.AsType[*http.MaxBytesError](err)
	switch {
	case refused:
		return err
	case large:
		return tooLarge("Body is too large")
	case errors.Is(err, os.ErrDeadlineExceeded):
		return api.NewError(http.StatusRequestTimeout, api.CodeRequestTimeout, "Body did not arrive in time")
	case errors.Is(err, errForm), ctx.Err() != nil:
		return api.NewError(http.StatusBadRequest, api.CodeBadRequest, "Body is not whole or not multipart/form-data")
	}
	a.log.LogAttrs(ctx, slog.LevelError, "file can't be kept", slog.String("request_id", infoFrom(ctx).id), slog.Any("err", err))
	return api.NewError(http.StatusServiceUnavailable, api.CodeUnavailable, "Files can't be kept for the moment, try again")
}

// errForm is a body that can't be read as a form.
var errForm = errors.New("not a form")

func tooLarge(format string, args ...any) error {
	return api.NewError(http.StatusRequestEntityTooLarge, api.CodeTooLarge, fmt.Sprintf(format, args...))
}

func invalidField(field, format string, args ...any) error {
	return api.NewError(http.StatusBadRequest, api.CodeValidation, field+": "+fmt.Sprintf(format, args...))
}

// partsOf reads the parts of one form.
type partsOf struct {
	form
	api    *API
	reader *multipart.Reader
	fields map[string]any
	kept   []string
	text   int // bytes of texts so far
}

func (p *partsOf) read(ctx context.Context) error {
	for range maxFormParts {
		part, err := p.reader.NextPart()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%w: %w", errForm, err)
		}
		if part.FormName() == p.files {
			err = p.file(ctx, part)
		} else {
			err = p.field(part)
		}
		if err != nil {
			return err
		}
	}
	return api.NewError(http.StatusBadRequest, api.CodeBadRequest, fmt.Sprintf("Body has more than %d parts", maxFormParts))
}

// field reads a text as the JSON body would have it.
func (p *partsOf) field(part *multipart.Part) error {
	name := part.FormName()
	if !utf8.ValidString(name) || len(name) > 100 {
		return api.NewError(http.StatusBadRequest, api.CodeBadRequest, "A field has a name that is none")
	}
	if part.FileName() != "" {
		return invalidField(name, "unexpected file")
	}
	b, err := io.ReadAll(io.LimitReader(part, int64(maxFormText-p.text)+1))
	if p.text += len(b); p.text > maxFormText {
		return tooLarge("Fields are larger than %d KiB", maxFormText>>10)
	}
	switch {
	case err != nil:
		return fmt.Errorf("%w: %w", errForm, err)
	case !utf8.Valid(b):
		return api.NewError(http.StatusBadRequest, api.CodeBadRequest, name+" is not UTF-8")
	}
	text := string(b)
	if slices.Contains(p.lists, name) {
		list, _ := p.fields[name].([]string)
		if text != "" { // an empty field is none
			p.fields[name] = append(list, text)
		}
		return nil
	}
	if p.fields[name] != nil {
		return invalidField(name, "sent more than once")
	}
	p.fields[name] = text
	if number, err := strconv.ParseFloat(text, 64); err == nil && slices.Contains(p.numbers, name) && strings.Trim(text, "0123456789+-.eE") == "" {
		p.fields[name] = number
	}
	return nil
}

// file takes a file in (P-51).
func (p *partsOf) file(ctx context.Context, part *multipart.Part) error {
	data, err := io.ReadAll(io.LimitReader(part, p.maxSize+1))
	if err != nil {
		return fmt.Errorf("%w: %w", errForm, err)
	}
	name := fileName(part.FileName())
	switch {
	case len(data) == 0 && part.FileName() == "": // a form in which nothing was chosen
		return nil
	case len(p.kept) == p.atMost:
		return invalidField(p.files, "at most %d may be sent", p.atMost)
	case int64(len(data)) > p.maxSize:
		return tooLarge("%s: %s is larger than %d MiB", p.files, name, p.maxSize>>20)
	}
	kept, err := p.keep(ctx, data)
	switch {
	case errors.Is(err, media.ErrNoImage), errors.Is(err, media.ErrNoDocument):
		return api.NewError(http.StatusUnsupportedMediaType, api.CodeUnsupportedMedia, fmt.Sprintf("%s: %s %v", p.files, name, err))
	case errors.Is(err, media.ErrUnreadable):
		return invalidField(p.files, "%s %v", name, media.ErrUnreadable)
	case errors.Is(err, media.ErrManyPixels), errors.Is(err, media.ErrMuchToRead), errors.Is(err, media.ErrAnimated):
		return invalidField(p.files, "%s %v", name, err)
	case err != nil:
		return err
	}
	p.kept = append(p.kept, kept)
	if p.address != "" {
		list, _ := p.fields[p.address].([]string)
		p.fields[p.address] = append(list, p.api.base(ctx)+media.PhotoPath(kept))
	}
	return nil
}

// fileName is a name that a client gave, as it may be shown.
func fileName(s string) string {
	s = strings.ToValidUTF8(path.Base(strings.ReplaceAll(s, `\`, "/")), "?")
	if r := []rune(s); len(r) > 60 {
		s = string(r[:60]) + "…"
	}
	return strconv.Quote(s)
}
