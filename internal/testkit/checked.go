package testkit

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"larder/internal/console"
	"larder/internal/httpapi"
)

// checked is a transport that holds every answer against the OpenAPI document and
// fails the test for what is not in there: a route, a status, a media type, a
// field, a missing field, a value of another form. A body that a request got a
// success with must be in there, too.
type checked struct {
	tb   testing.TB
	next http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (c checked) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := c.next.RoundTrip(r)
	if err != nil || resp.StatusCode == http.StatusSwitchingProtocols {
		return resp, err
	}
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	var body []byte
	if kind != "text/event-stream" {
		var broken error
		body, broken = io.ReadAll(resp.Body)
		rest := &readBody{Reader: bytes.NewReader(body), end: broken, Closer: resp.Body}
		if resp.Body = rest; broken != nil {
			return resp, nil // the reader is told
		}
	}
	if err := surface().Check(r, resp, kind, body); err != nil {
		c.tb.Errorf("%s %s: the OpenAPI document does not say so: %v", r.Method, r.URL.Path, err)
	}
	return resp, nil
}

// readBody is a body that was read already, to its end or to an error.
type readBody struct {
	io.Reader
	io.Closer
	end error
}

// Read implements io.Reader.
func (b *readBody) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if errors.Is(err, io.EOF) && b.end != nil {
		err = b.end
	}
	return n, err
}

// surface is the document of package httpapi, made once for all tests.
var surface = sync.OnceValue(func() *Surface {
	s, err := NewSurface(httpapi.OpenAPI())
	if err != nil {
		panic(err)
	}
	return s
})

// Surface checks answers against an OpenAPI 3.1 document. It is safe for
// concurrent use.
type Surface struct {
	doc   object
	paths map[string]object

	mu       sync.Mutex // guards the fields below
	compiler *jsonschema.Compiler
	schemas  map[string]*jsonschema.Schema // by pointer
}

type object = map[string]any

// NewSurface reads a document.
func NewSurface(doc []byte) (*Surface, error) {
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(doc))
	if err != nil {
		return nil, err
	}
	s := &Surface{paths: map[string]object{}, compiler: jsonschema.NewCompiler(), schemas: map[string]*jsonschema.Schema{}}
	s.doc, _ = v.(object)
	for path, item := range get(s.doc, "paths") {
		s.paths[path], _ = item.(object)
	}
	s.compiler.DefaultDraft(jsonschema.Draft2020)
	s.compiler.AssertFormat()
	return s, s.compiler.AddResource(docURL, v)
}

const docURL = "mem:///openapi.json"

// get is what lies below a value, empty when there is nothing.
func get(v any, path ...string) object {
	in, _ := v.(object)
	for _, p := range path {
		in, _ = in[p].(object)
	}
	return in
}

// Check says what of an answer is not in the document.
func (s *Surface) Check(r *http.Request, resp *http.Response, kind string, body []byte) error {
	if undocumented(r) {
		return nil
	}
	if resp.Header.Get("X-Request-Id") == "" {
		return errors.New("no X-Request-Id")
	}
	path, ok := s.find(r.URL.EscapedPath())
	method := strings.ToLower(strings.Replace(r.Method, http.MethodHead, http.MethodGet, 1))
	op := get(s.paths[path], method)
	want := http.StatusNotFound
	switch {
	case ok && op == nil:
		want = http.StatusMethodNotAllowed
	case ok:
		want = resp.StatusCode
	}
	if resp.StatusCode != want {
		return fmt.Errorf("status %d, and there is no such route", resp.StatusCode)
	}
	pointer := []string{"paths", path, method, "responses", strconv.Itoa(resp.StatusCode)}
	answer := get(s.doc, pointer...)
	switch to, isRef := answer["$ref"].(string); {
	case op == nil: // every path and method can be refused so
		pointer = []string{"components", "responses", strings.ReplaceAll(http.StatusText(want), " ", "")}
	case answer == nil:
		return fmt.Errorf("status %d is not documented", resp.StatusCode)
	case isRef:
		pointer = strings.Split(strings.TrimPrefix(to, "#/"), "/")
	}
	if err := s.body("answer "+strconv.Itoa(resp.StatusCode), append(pointer, "content"), kind, body, r.Method == http.MethodHead); err != nil {
		return err
	}
	return s.request(r, resp, path, method)
}

// request checks a body that was taken.
func (s *Surface) request(r *http.Request, resp *http.Response, path, method string) error {
	pointer := []string{"paths", path, method, "requestBody", "content"}
	if resp.StatusCode >= 300 || r.GetBody == nil || get(s.doc, pointer...) == nil {
		return nil
	}
	rc, err := r.GetBody()
	if err != nil {
		return err
	}
	defer rc.Close()
	body, err := io.ReadAll(rc)
	if err != nil {
		return err
	}
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case len(body) == 0, kind == "multipart/form-data":
		return nil
	case kind == "": // is taken for JSON
		kind = "application/json"
	}
	return s.body("request", pointer, kind, body, false)
}

// body checks one body by the media types at a pointer.
func (s *Surface) body(what string, pointer []string, kind string, body []byte, head bool) error {
	content := get(s.doc, pointer...)
	switch {
	case len(content) == 0 && len(body) == 0:
		return nil
	case len(content) == 0:
		return fmt.Errorf("%s has a body, %.200s", what, body)
	case content[kind] == nil:
		return fmt.Errorf("%s is of type %q", what, kind)
	case head, kind == "text/event-stream", !strings.HasSuffix(kind, "json"):
		return nil
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("%s %.200s: %w", what, body, err)
	}
	schema, err := s.schema(append(slices.Clone(pointer), kind, "schema"))
	if err != nil {
		return err
	}
	if err := schema.Validate(v); err != nil {
		return fmt.Errorf("%s %.1000s: %w", what, body, err)
	}
	return nil
}

// schema is the one at a pointer.
func (s *Surface) schema(pointer []string) (*jsonschema.Schema, error) {
	var fragment strings.Builder
	for _, p := range pointer {
		fragment.WriteString("/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(p))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if known := s.schemas[fragment.String()]; known != nil {
		return known, nil
	}
	made, err := s.compiler.Compile(docURL + (&url.URL{Fragment: fragment.String()}).String())
	s.schemas[fragment.String()] = made
	return made, err
}

// find is the path of the document that a request's path belongs to. A plain one
// goes before one with parameters.
func (s *Surface) find(path string) (string, bool) {
	if len(path) > 1 {
		path = strings.TrimRight(path, "/") // forgiven
	}
	if s.paths[path] != nil {
		return path, true
	}
	parts := strings.Split(path, "/")
	for template := range s.paths {
		want := strings.Split(template, "/")
		fits := len(want) == len(parts) && strings.Contains(template, "{")
		for i := range want {
			fits = fits && (want[i] == parts[i] || strings.HasPrefix(want[i], "{") && parts[i] != "")
		}
		if fits {
			return template, true
		}
	}
	return "", false
}

// undocumented says whether a request is for something that is no part of the
// surface: the console's own files, the engine, and questions about origins.
func undocumented(r *http.Request) bool {
	if r.Method == http.MethodOptions || strings.HasPrefix(r.URL.Path, "/socket.io") {
		return true
	}
	for _, pattern := range console.PagePatterns() {
		if strings.TrimSuffix(strings.TrimPrefix(pattern, "GET "), "{$}") == r.URL.Path {
			return true
		}
	}
	return false
}
