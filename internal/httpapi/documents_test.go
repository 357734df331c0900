package httpapi_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"maps"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	surface "larder/internal/contract"
	"larder/internal/httpapi"
	"larder/internal/testkit"
)

type object = map[string]any

func openAPI(t *testing.T) object {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(httpapi.OpenAPI()))
	if err != nil {
		t.Fatal(err)
	}
	return v.(object)
}

// below is what a reference or a path of keys leads to.
func below(v any, path ...string) any {
	for _, p := range path {
		in, _ := v.(object)
		v = in[p]
	}
	return v
}

// eachOperation calls f with every operation of the document.
func eachOperation(doc object, f func(method, path string, op object)) {
	for path, item := range doc["paths"].(object) {
		for method, op := range item.(object) {
			f(strings.ToUpper(method), path, op.(object))
		}
	}
}

// TestOpenAPIHasEveryRoute compares the document with routes.go, and with the
// table of what is served beside it.
func TestOpenAPIHasEveryRoute(t *testing.T) {
	source, err := os.ReadFile("routes.go")
	if err != nil {
		t.Fatal(err)
	}
	others, err := os.ReadFile("documents.go")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{} // who may
	for _, r := range regexp.MustCompile(`\bPath: "([^"]+)"`).FindAllStringSubmatch(string(others), -1) {
		want["GET "+r[1]] = "beside"
	}
	if len(want) < 5 {
		t.Errorf("beside the registry: %v", want)
	}
	for _, r := range regexp.MustCompile(`route\(a, h, (\w+), (\w+), "([^"]+)"`).FindAllStringSubmatch(string(source), -1) {
		want[strings.ToUpper(r[2])+" "+r[3]] = r[1]
	}
	doc := openAPI(t)
	var tags []string
	for _, tag := range doc["tags"].([]any) {
		tags = append(tags, below(tag, "name").(string))
	}
	ids := map[string]bool{}
	eachOperation(doc, func(method, path string, op object) {
		route := method + " " + path
		who := want[route]
		delete(want, route)
		responses := op["responses"].(object)
		said, _ := op["description"].(string)
		id, _ := op["operationId"].(string)
		switch tag := op["tags"].([]any); {
		case who == "":
			t.Errorf("%s is documented and not in routes.go", route)
		case len(tag) != 1 || !slices.Contains(tags, tag[0].(string)):
			t.Errorf("%s: tags %v", route, tag)
		case op["summary"] == "" || op["summary"] == nil || id == "" || ids[id]:
			t.Errorf("%s: summary %q, operationId %q", route, op["summary"], id)
		case (who == "signedIn" || who == "admins") && (op["security"] == nil || responses["401"] == nil || responses["403"] == nil):
			t.Errorf("%s is for %s, and the document does not say so", route, who)
		case who == "anyone" && op["security"] != nil:
			t.Errorf("%s is for anyone, and the document wants a token", route)
		case who == "admins" && !strings.Contains(said, "For admins."):
			t.Errorf("%s is for admins: %q", route, said)
		}
		ids[id] = true
		for status, r := range responses {
			if content := below(r, "content"); status == "200" || status == "201" {
				if content == nil || len(content.(object)) == 0 {
					t.Errorf("%s: nothing is said of the body of %s", route, status)
				}
			}
		}
		wantParameters(t, route, op)
	})
	for route := range want {
		t.Errorf("%s is in routes.go and not documented", route)
	}
}

// wantParameters wants the key of a command wherever something changes, and
// something said of every parameter that is not plain.
func wantParameters(t *testing.T, route string, op object) {
	t.Helper()
	var names []string
	list, _ := op["parameters"].([]any)
	for _, p := range list {
		names = append(names, below(p, "name").(string))
		if below(p, "in") == "query" && !strings.Contains(op["description"].(string), "Unknown query parameters are ignored.") {
			t.Errorf("%s: nothing is said of unknown query parameters", route)
		}
	}
	changes := strings.HasPrefix(route, "POST ") || strings.HasPrefix(route, "PATCH ")
	if want := changes && route != "POST /auth/login"; want != slices.Contains(names, "Idempotency-Key") {
		t.Errorf("%s: parameters %q", route, names)
	}
	for _, m := range regexp.MustCompile(`\{(\w+)\}`).FindAllStringSubmatch(route, -1) {
		if !slices.Contains(names, m[1]) {
			t.Errorf("%s: nothing is said of %s", route, m[1])
		}
	}
}

// TestOpenAPISchemas compiles every schema, follows every reference, and holds
// every example against its schema.
func TestOpenAPISchemas(t *testing.T) {
	doc := openAPI(t)
	schemas := below(doc, "components", "schemas").(object)
	examples := 0
	for _, name := range slices.Sorted(maps.Keys(schemas)) {
		c := jsonschema.NewCompiler()
		c.AssertFormat()
		if err := c.AddResource("mem:///doc", doc); err != nil {
			t.Fatal(err)
		}
		s, err := c.Compile("mem:///doc#/components/schemas/" + name)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		list, _ := below(schemas[name], "examples").([]any)
		for _, v := range list {
			examples++
			if err := s.Validate(v); err != nil {
				t.Errorf("example of %s: %v", name, err)
			}
		}
		if fields, _ := below(schemas[name], "properties").(object); fields["$schema"] != nil || fields["passwordHash"] != nil {
			t.Errorf("%s has a field that nobody should see", name)
		}
	}
	if examples < 10 {
		t.Errorf("only %d examples", examples)
	}
	for _, name := range []string{"Registration", "Login", "Session", "DonationDraft", "Donation", "StatusRequest"} {
		if below(schemas[name], "examples") == nil {
			t.Errorf("%s has no example", name)
		}
	}
	text := string(httpapi.OpenAPI())
	for _, m := range regexp.MustCompile(`"\$ref": "#/([^"]+)"`).FindAllStringSubmatch(text, -1) {
		if below(doc, strings.Split(m[1], "/")...) == nil {
			t.Errorf("#/%s is not there", m[1])
		}
	}
}

// TestDocumentsAreServed asks for each over HTTP, and again: P-55, P-56.
func TestDocumentsAreServed(t *testing.T) {
	n := testkit.Start(t, testkit.Options{})
	for path, want := range map[string]struct{ kind, begins string }{
		"/api-json":           {"application/json", "{\n"},
		"/asyncapi.json":      {"application/json", "{\n"},
		"/types/events.d.ts":  {"text/plain; charset=utf-8", "// The live events of Larder"},
		"/api":                {"text/html; charset=utf-8", "<!doctype html>"},
		"/api/":               {"text/html; charset=utf-8", "<!doctype html>"},
		"/api-json?_t=123456": {"application/json", "{\n"},
	} {
		r := n.Get(path, "")
		tag := r.Header.Get("ETag")
		switch {
		case r.Status != http.StatusOK || r.Header.Get("Content-Type") != want.kind || !strings.HasPrefix(string(r.Body), want.begins):
			t.Errorf("%s: got %d %q %.40q, want %v", path, r.Status, r.Header.Get("Content-Type"), r.Body, want)
		case !strings.HasPrefix(tag, `"`) || r.Header.Get("Cache-Control") != "public, max-age=60":
			t.Errorf("%s: ETag %s, Cache-Control %q", path, tag, r.Header.Get("Cache-Control"))
		case !strings.HasPrefix(r.Header.Get("Content-Security-Policy"), "default-src 'none'"):
			t.Errorf("%s: policy %q", path, r.Header.Get("Content-Security-Policy"))
		}
		again := n.Do(testkit.Call{Method: http.MethodGet, Path: path, Header: http.Header{"If-None-Match": {tag}}})
		if again.Status != http.StatusNotModified || len(again.Body) != 0 {
			t.Errorf("%s again: got %d and %d bytes, want 304", path, again.Status, len(again.Body))
		}
		if head := n.Do(testkit.Call{Method: http.MethodHead, Path: path}); head.Status != http.StatusOK || head.Header.Get("ETag") != tag {
			t.Errorf("HEAD %s: got %d, ETag %s", path, head.Status, head.Header.Get("ETag"))
		}
		if post := n.Post(path, "", "{}"); post.Status != http.StatusMethodNotAllowed {
			t.Errorf("POST %s: got %s", path, post)
		}
	}
	// What the framework would serve by itself is not there.
	for _, path := range []string{"/docs", "/openapi.json", "/openapi.yaml", "/openapi-3.0.json", "/schemas/Donation.json"} {
		if r := n.Get(path, ""); r.Status != http.StatusNotFound {
			t.Errorf("%s: got %d, want 404", path, r.Status)
		}
	}
}

// TestPage looks for what a page made by hand gets wrong: links that lead
// nowhere, things left out, text that became markup, and anything from elsewhere.
func TestPage(t *testing.T) {
	n := testkit.Start(t, testkit.Options{})
	r := n.Get("/api", "")
	page := string(r.Body)
	ids := map[string]bool{}
	for _, m := range regexp.MustCompile(` id="([^"]+)"`).FindAllStringSubmatch(page, -1) {
		if ids[m[1]] {
			t.Errorf("id %s is there twice", m[1])
		}
		ids[m[1]] = true
	}
	for _, m := range regexp.MustCompile(`(?:href|src)="([^"]+)"`).FindAllStringSubmatch(page, -1) {
		if name, here := strings.CutPrefix(m[1], "#"); here && !ids[name] {
			t.Errorf("#%s leads nowhere", name)
		} else if !here && !strings.HasPrefix(m[1], "/") {
			t.Errorf("%s is from elsewhere", m[1])
		}
	}
	eachOperation(openAPI(t), func(method, path string, op object) {
		if !ids[op["operationId"].(string)] || !strings.Contains(page, method+"</span> "+path) {
			t.Errorf("%s %s is not on the page", method, path)
		}
	})
	for _, e := range surface.Events {
		if !strings.Contains(page, ">"+e.Name+"</a></h3>") {
			t.Errorf("event %s is not on the page", e.Name)
		}
	}
	for name := range below(openAPI(t), "components", "schemas").(object) {
		if !ids["type-"+name] {
			t.Errorf("type %s is not on the page", name)
		}
	}
	for _, wrong := range []string{"%!", "<nil>", "<!--", "/*style*/", "&amp;quot;", "&amp;#"} {
		if strings.Contains(page, wrong) {
			t.Errorf("the page has %q", wrong)
		}
	}
	if !strings.Contains(page, `-H &#34;Authorization: Bearer $TOKEN&#34;`) || !strings.Contains(page, `-d &#39;{&#34;status&#34;:&#34;PICKED_UP&#34;}&#39;`) {
		t.Error("the page has no call to copy")
	}
	// The style and the script are those that the policy names.
	policy := r.Header.Get("Content-Security-Policy")
	for _, element := range []string{"style", "script"} {
		m := regexp.MustCompile(`(?s)<`+element+`>(.*?)</`+element+`>`).FindAllStringSubmatch(page, -1)
		if len(m) != 1 {
			t.Fatalf("%d elements %s", len(m), element)
		}
		sum := sha256.Sum256([]byte(m[0][1]))
		if want := element + "-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"; !strings.Contains(policy, want) {
			t.Errorf("policy %q lacks %s", policy, want)
		}
	}
}
