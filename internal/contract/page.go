package contract

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html"
	"maps"
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

// The page is one file: nothing is loaded, so that it works without a network and
// under a strict policy.
var (
	//go:embed page/page.html
	pageHTML string
	//go:embed page/page.css
	pageCSS string
	//go:embed page/page.js
	pageJS string
)

// PagePolicy is the Content-Security-Policy of the page: its own style and script,
// by their hashes, and nothing else.
var PagePolicy = strings.Join([]string{
	"default-src 'none'", "style-src " + hash(pageCSS), "script-src " + hash(pageJS), "img-src 'self'", "base-uri 'none'",
	"form-action 'none'", "frame-ancestors 'none'", "require-trusted-types-for 'script'", "trusted-types 'none'",
}, "; ")

func hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// markup is HTML in the making. It is no html/template, since one call of that keeps
// the linker from leaving out methods that nobody calls: 2.4 MB of the program (ADR 0017).
type markup struct{ strings.Builder }

// safe is HTML already.
type safe string

// put writes HTML with its arguments, which are texts unless they are safe.
func (m *markup) put(format string, args ...any) {
	for i, a := range args {
		if text, ok := a.(string); ok {
			args[i] = html.EscapeString(text)
		}
	}
	fmt.Fprintf(m, format, args...)
}

// page renders a finished document and the live events.
func page(doc *huma.OpenAPI) []byte {
	var nav, body markup
	nav.put(`<ul><li><a href="#about">About</a></li>`)
	for _, t := range doc.Tags {
		nav.put(`<li><a href="#group-%s">%s</a><ul>`, t.Name, t.Name)
		body.put(`<section id="group-%s"><h2>%s</h2>%s`, t.Name, t.Name, prose(t.Description))
		for _, op := range operations(doc) {
			if op.Tags[0] == t.Name {
				nav.put(`<li><a href="#%s"><span class="verb %s">%s</span> %s</a></li>`, op.OperationID, op.Method, op.Method, op.Path)
				body.operation(doc, op)
			}
		}
		nav.put("</ul></li>\n")
		body.put("</section>\n")
	}
	for _, side := range []struct {
		from           Side
		id, name, text string
	}{
		{FromServer, "heard", "Events from the server", "What a client hears."},
		{FromClient, "said", "Events from the client", "What a client may say, and what it is answered."},
	} {
		nav.put(`<li><a href="#%s">%s</a><ul>`, side.id, side.name)
		body.put(`<section id="%s"><h2>%s</h2><p>%s</p>`, side.id, side.name, side.text)
		for _, e := range Events {
			if e.From == side.from {
				nav.put(`<li><a href="#event-%s">%s</a></li>`, messageKey(0, e.Name), e.Name)
				body.event(e)
			}
		}
		nav.put("</ul></li>\n")
		body.put("</section>\n")
	}
	nav.put(`<li><a href="#types">Types</a></li></ul>`)
	body.types(doc.Components.Schemas, eventSchemas())
	return []byte(strings.NewReplacer(
		"/*style*/", pageCSS, "/*script*/", pageJS, "<!--nav-->", nav.String(), "<!--about-->", string(prose(about)), "<!--main-->", body.String(),
	).Replace(pageHTML))
}

func (m *markup) operation(doc *huma.OpenAPI, op *huma.Operation) {
	m.put(`<article id="%s"><h3><a href="#%s"><span class="verb %s">%s</span> %s</a></h3><p class="summary">%s</p>%s`,
		op.OperationID, op.OperationID, op.Method, op.Method, op.Path, op.Summary, prose(op.Description))
	if len(op.Parameters) > 0 {
		m.put("<h4>Parameters</h4><dl>")
		for _, p := range op.Parameters {
			m.put(`<div><dt><code>%s</code> <small>%s</small></dt><dd>%s %s</dd></div>`, p.Name, p.In, typed(tsType(p.Schema, false)), p.Description)
		}
		m.put("</dl>")
	}
	var example any
	if op.RequestBody != nil && op.RequestBody.Content["application/json"] != nil {
		s := op.RequestBody.Content["application/json"].Schema
		example = sample(doc.Components.Schemas, s, 0)
		m.put("<h4>Body: %s</h4>", typed(tsType(s, false)))
		m.code(indented(example))
	}
	m.put("<h4>Answers</h4><dl>")
	for _, status := range slices.Sorted(maps.Keys(op.Responses)) {
		m.answer(status, op.Responses[status])
	}
	m.put("</dl><h4>Try it</h4>")
	m.code(curl(op, example))
	m.put("</article>\n")
}

func (m *markup) answer(status string, r *huma.Response) {
	m.put(`<div><dt><code class="status s%s">%s</code></dt><dd>`, status[:1], status)
	if n, err := strconv.Atoi(status); err == nil && r.Ref != "" {
		m.put("%s", http.StatusText(n))
		for i, code := range codesOf(n) {
			m.put("%s <code>%s</code>", safe(map[bool]string{true: ":", false: ","}[i == 0]), code)
		}
		m.put("</dd></div>")
		return
	}
	if json := r.Content["application/json"]; json != nil {
		m.put("%s ", typed(tsType(json.Schema, false)))
	}
	m.put("%s <small>%s</small></dd></div>", prose(r.Description), strings.Join(slices.Sorted(maps.Keys(r.Content)), ", "))
}

func (m *markup) event(e Event) {
	id := messageKey(0, e.Name)
	m.put(`<article id="event-%s"><h3><a href="#event-%s">%s</a></h3><p class="summary">%s</p><dl>`, id, id, e.Name, e.Summary)
	row := func(name string, is safe) { m.put("<div><dt>%s</dt><dd>%s</dd></div>", name, is) }
	row(map[Side]string{FromServer: "Goes to", FromClient: "For"}[e.From], safe(html.EscapeString(e.Who)))
	if e.Payload != nil {
		row("Payload", typed(reflect.TypeOf(e.Payload).Name()))
	}
	if e.Ack != nil {
		row("Ack", typed(reflect.TypeOf(e.Ack).Name()+" | Exception"))
	}
	var on []string
	for _, d := range []struct {
		door Door
		name string
	}{{SocketIO, "Socket.IO"}, {Plain, "plain WebSocket"}, {Stream, "event stream"}} {
		if e.Doors&d.door != 0 {
			on = append(on, d.name)
		}
	}
	row("On", safe(strings.Join(on, ", ")))
	if e.Logged {
		row("Committed", "It carries its position.")
	}
	row("Clause", safe(e.Clause))
	m.put("</dl>")
	if e.Payload != nil {
		m.code(indented(e.Payload))
	}
	m.put("</article>\n")
}

// types writes the schemas of all registries, each name once.
func (m *markup) types(registries ...huma.Registry) {
	from := map[string]huma.Registry{}
	for _, reg := range slices.Backward(registries) {
		for name := range reg.Map() {
			from[name] = reg
		}
	}
	m.put(`<section id="types"><h2>Types</h2><p>A name with <code>?</code> can be absent. <code>| null</code> is there and can be null.</p>`)
	for _, name := range slices.Sorted(maps.Keys(from)) {
		s, t := from[name].Map()[name], from[name].TypeFromRef(refs+name)
		m.put(`<article id="type-%s"><h3><a href="#type-%s">%s</a></h3>%s`, name, name, name, prose(s.Description))
		if t == nil || s.Type != huma.TypeObject {
			m.put("<p>%s</p></article>\n", typed(tsType(s, false)))
			continue
		}
		m.put("<dl>")
		for _, f := range fields(t) {
			if p := s.Properties[f.name]; p != nil {
				optional := "?"
				if slices.Contains(s.Required, f.name) {
					optional = ""
				}
				m.put("<div><dt><code>%s%s</code></dt><dd>%s %s <small>%s</small></dd></div>", f.name, optional, typed(tsType(p, false)), p.Description, limits(p))
			}
		}
		m.put("</dl></article>\n")
	}
	m.put("</section>\n")
}

// code is a block that can be copied.
func (m *markup) code(text string) { m.put(`<div class="code"><pre tabindex="0">%s</pre></div>`, text) }

// limits says what values of a schema are bounded by.
func limits(s *huma.Schema) string {
	var list []string
	number := func(word string, v *float64) {
		if v != nil {
			list = append(list, word+" "+strconv.FormatFloat(*v, 'f', -1, 64))
		}
	}
	count := func(word, unit string, v *int) {
		if v != nil {
			list = append(list, word+" "+strconv.Itoa(*v)+" "+unit)
		}
	}
	number("from", s.Minimum)
	number("to", s.Maximum)
	count("at least", "characters", s.MinLength)
	count("at most", "characters", s.MaxLength)
	count("at least", "items", s.MinItems)
	count("at most", "items", s.MaxItems)
	if s.Format == "email" || s.Format == "date-time" {
		list = append(list, s.Format)
	}
	return strings.Join(list, ", ")
}

// sample is a body for a schema: its example, or something of the right form.
func sample(reg huma.Registry, s *huma.Schema, depth int) any {
	if s.Ref != "" {
		s = reg.SchemaFromRef(s.Ref)
	}
	switch {
	case s == nil || depth > 4:
		return nil
	case len(s.Examples) > 0:
		return s.Examples[0]
	case len(s.Enum) > 0:
		return s.Enum[0]
	case len(s.OneOf) > 0:
		return sample(reg, s.OneOf[0], depth+1)
	case len(s.AnyOf) > 0:
		return sample(reg, s.AnyOf[0], depth+1)
	}
	switch s.Type {
	case huma.TypeString:
		return map[string]string{"date-time": "2026-11-02T09:30:00.000Z", "uuid": exampleDonation}[s.Format]
	case huma.TypeInteger, huma.TypeNumber:
		return 1
	case huma.TypeBoolean:
		return true
	case huma.TypeArray:
		return []any{sample(reg, s.Items, depth+1)}
	case huma.TypeObject:
		out := object{}
		for name, p := range s.Properties {
			if slices.Contains(s.Required, name) {
				out[name] = sample(reg, p, depth+1)
			}
		}
		return out
	}
	return nil
}

// curl is a call that can be copied. $LARDER and $TOKEN are told at the top.
func curl(op *huma.Operation, example any) string {
	path := parameter.ReplaceAllString(op.Path, exampleDonation)
	parts := []string{"curl -s "}
	if op.Method != http.MethodGet {
		parts[0] += "-X " + op.Method + " "
	}
	parts[0] += `"$LARDER` + path + `"`
	if len(op.Security) > 0 {
		parts = append(parts, `-H "Authorization: Bearer $TOKEN"`)
	}
	for _, p := range op.Parameters {
		if p.Name == "Idempotency-Key" {
			parts = append(parts, `-H "Idempotency-Key: $(uuidgen)"`)
		}
	}
	if example != nil {
		body := strings.ReplaceAll(string(encoded(example)), "'", `'\''`)
		parts = append(parts, "-H 'Content-Type: application/json'", "-d '"+body+"'")
	}
	return strings.Join(parts, " \\\n  ")
}

func indented(v any) string {
	if v == nil {
		return ""
	}
	var b bytes.Buffer
	if err := json.Indent(&b, encoded(v), "", "  "); err != nil {
		return ""
	}
	return b.String()
}

var (
	codeMark   = regexp.MustCompile("`([^`]+)`")
	strongMark = regexp.MustCompile(`\*\*([^*]+)\*\*`)
	token      = regexp.MustCompile(`'[^']*'|\b[A-Z][A-Za-z]+\b`)
)

// prose is a text with `code` and **strong** marks, and empty lines between its
// paragraphs.
func prose(text string) safe {
	if text == "" {
		return ""
	}
	text = html.EscapeString(text)
	text = strongMark.ReplaceAllString(codeMark.ReplaceAllString(text, "<code>$1</code>"), "<strong>$1</strong>")
	return safe("<p>" + strings.ReplaceAll(text, "\n\n", "</p><p>") + "</p>")
}

// typed is a type in which the names of others are links.
func typed(text string) safe {
	var m markup
	m.put(`<code class="type">`)
	end := 0
	for _, at := range token.FindAllStringIndex(text, -1) {
		m.put("%s", text[end:at[0]])
		word := text[at[0]:at[1]]
		if end = at[1]; word[0] == '\'' || word == "Record" {
			m.put("%s", word)
		} else {
			m.put(`<a href="#type-%s">%s</a>`, word, word)
		}
	}
	m.put("%s</code>", text[end:])
	return safe(m.String())
}
