package contract

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/danielgtaylor/huma/v2"

	"larder/api"
)

// refs is where schemas stand, in OpenAPI and in AsyncAPI alike.
const refs = "#/components/schemas/"

// version is that of the contract: fields and events are added, none is changed or
// taken away.
const version = "1.0.0"

// setHuma configures what huma keeps in a package variable: our arrays are never
// null unless a tag says so.
var setHuma = sync.OnceFunc(func() { huma.DefaultArrayNullable = false })

// Prepare teaches a registry the types of package api that write their own JSON.
// It is called before the first schema is made.
func Prepare(reg huma.Registry) {
	setHuma()
	reg.RegisterTypeAlias(typeOf[api.Time](), typeOf[timeSchema]())
	reg.RegisterTypeAlias(typeOf[api.Quantity](), typeOf[quantitySchema]())
	reg.RegisterTypeAlias(typeOf[api.Messages](), typeOf[messagesSchema]())
	reg.RegisterTypeAlias(typeOf[api.Code](), typeOf[codeSchema]())
	reg.RegisterTypeAlias(typeOf[json.RawMessage](), typeOf[anySchema]())
	reg.RegisterTypeAlias(typeOf[api.Nullable[float64]](), typeOf[*float64]())
}

func typeOf[T any]() reflect.Type { return reflect.TypeFor[T]() }

// Schemas of types that write their own JSON.
type (
	timeSchema     struct{}
	quantitySchema struct{}
	messagesSchema struct{}
	codeSchema     struct{}
	anySchema      struct{}
)

// Schema implements huma.SchemaProvider.
func (timeSchema) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: "string", Format: "date-time"}
}

// Schema implements huma.SchemaProvider.
func (quantitySchema) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{
		Description: "0.1 to 1,000,000; a number, or a text with a number in it",
		OneOf: []*huma.Schema{
			{Type: "number"},
			{Type: "string", Pattern: `^\s*[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?\s*$`, MaxLength: new(40)},
		},
	}
}

// Schema implements huma.SchemaProvider.
func (messagesSchema) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{
		Description: "One sentence, or a list of them. With the code validation_failed it is always a list, one sentence for each fault, " +
			"which begins with the name of the field.",
		OneOf: []*huma.Schema{{Type: "string"}, {Type: "array", Items: &huma.Schema{Type: "string"}}},
	}
}

// Schema implements huma.SchemaProvider.
func (codeSchema) Schema(reg huma.Registry) *huma.Schema {
	reg.Map()["Code"] = &huma.Schema{Type: "string", Enum: codesOf(0), Description: words().Types["Code"].Doc}
	return &huma.Schema{Ref: refs + "Code"}
}

// Schema implements huma.SchemaProvider.
func (anySchema) Schema(huma.Registry) *huma.Schema { return &huma.Schema{} }

// vocabulary is what the source of package api says in its comments.
type vocabulary struct {
	Types map[string]typeWords `json:"types"`
	Codes []codeWords          `json:"codes"`
}

type typeWords struct {
	Doc    string            `json:"doc"`
	Fields map[string]string `json:"fields,omitempty"` // by the name in Go
}

type codeWords struct {
	Code    string `json:"code"`
	Status  int    `json:"status"`
	Meaning string `json:"meaning,omitempty"`
}

//go:embed words.json
var wordsFile []byte

var words = sync.OnceValue(func() vocabulary {
	var v vocabulary
	if err := json.Unmarshal(wordsFile, &v); err != nil {
		panic("contract: bug: words.json: " + err.Error())
	}
	return v
})

// codesOf are the codes that come with an HTTP status, all of them with 0.
func codesOf(status int) []any {
	var list []any
	for _, c := range words().Codes {
		if status == 0 || c.Status == status {
			list = append(list, c.Code)
		}
	}
	return list
}

// raw says what is in fields of package api that hold JSON as it came.
var raw = map[string]reflect.Type{
	"FeedEntered.donation": typeOf[api.Donation](),
}

// complete adds to the schemas of a registry what huma can't see: the comments of
// package api, examples, and which fields can be null. It changes the schemas, so
// it is for registries that validate no request.
func complete(reg huma.Registry) {
	for name, t := range raw {
		if typ, _, _ := strings.Cut(name, "."); reg.Map()[typ] != nil {
			reg.Schema(t, true, "")
		}
	}
	for name, s := range reg.Map() {
		t := reg.TypeFromRef(refs + name)
		if t == nil || s.Type != huma.TypeObject {
			continue
		}
		said := words().Types[plainName(t)]
		if s.Description == "" {
			s.Description = said.Doc
		}
		if v := exampleOf(t); v != nil && len(s.Examples) == 0 {
			s.Examples = []any{tree(v)}
		}
		for _, f := range fields(t) {
			p := s.Properties[f.name]
			if p == nil {
				continue
			}
			if in := raw[plainName(t)+"."+f.name]; in != nil {
				p.Ref = reg.Schema(in, true, "").Ref
			}
			describe(p, words().Types[plainName(f.in)].Fields[f.Name])
			if p.Nullable || f.Type.Kind() == reflect.Pointer && f.always && f.Tag.Get("nullable") != "false" {
				s.Properties[f.name] = orNull(p)
			}
		}
	}
}

// describe says something of a field, unless its doc tag does.
func describe(p *huma.Schema, text string) {
	if p.Description == "" {
		p.Description = text
	}
}

// orNull is a schema that takes null, too.
func orNull(p *huma.Schema) *huma.Schema {
	switch {
	case p.Type == "" && p.Ref == "" && len(p.OneOf) == 0: // it takes anything
		return p
	case p.Type != "":
		if p.Nullable = true; len(p.Enum) > 0 && !slices.Contains(p.Enum, nil) {
			p.Enum = append(p.Enum, nil)
		}
		return p
	}
	text := p.Description
	p.Description = ""
	return &huma.Schema{Description: text, AnyOf: []*huma.Schema{p, {Type: "null"}}}
}

// field is a field of a struct as JSON has it.
type field struct {
	reflect.StructField
	in     reflect.Type // the struct that it is declared in
	name   string
	always bool // present even when it has no value
}

// fields are those of a struct in the order of its declaration, embedded ones in
// the place of what embeds them.
func fields(t reflect.Type) []field {
	var list []field
	for f := range t.Fields() {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous && name == "" && f.Type.Kind() == reflect.Struct:
			list = append(list, fields(f.Type)...)
		case f.IsExported() && name != "-" && name != "":
			list = append(list, field{f, t, name, !strings.Contains(options, "omit")})
		}
	}
	return list
}

// plainName is the name of a type without its parameters.
func plainName(t reflect.Type) string {
	name, _, _ := strings.Cut(t.Name(), "[")
	return name
}

// tree is a value as JSON has it, so that what writes its own JSON is written once.
func tree(v any) any {
	d := json.NewDecoder(bytes.NewReader(encoded(v)))
	d.UseNumber()
	var out any
	if err := d.Decode(&out); err != nil {
		panic("contract: bug: " + err.Error())
	}
	return out
}

// document is JSON for people and programs: indented, and not escaped for HTML.
func document(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		panic("contract: bug: " + err.Error())
	}
	return b.Bytes()
}

// names are the keys of the schemas of a registry, sorted.
func names(reg huma.Registry) []string {
	var list []string
	for name := range reg.Map() {
		list = append(list, name)
	}
	slices.Sort(list)
	return list
}
