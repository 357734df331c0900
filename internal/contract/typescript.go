package contract

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/danielgtaylor/huma/v2"

	"larder/api"
)

// header opens the file of types and says how to use it.
const header = `// The live events of Larder for TypeScript, made by the server that serves them.
//
//   import { io, type Socket } from 'socket.io-client';
//   import type { ServerToClientEvents, ClientToServerEvents } from './larder-events';
//
//   const socket: Socket<ServerToClientEvents, ClientToServerEvents> =
//     io('http://localhost:3000/donations', { auth: { token } });
//   socket.on('donation.created', (donation) => console.log(donation.name));
//
// The same events come on the namespaces /donations and /. Times are texts, RFC 3339 in UTC.
// A field with ? can be absent, one with | null is there and can be null.
// What each event promises: docs/protocol.md, by the clauses named here.
`

// eventSchemas has the schemas of everything that stands in the table Events.
func eventSchemas() huma.Registry {
	reg := huma.NewMapRegistry(refs, huma.DefaultSchemaNamer)
	Prepare(reg)
	for _, e := range Events {
		for _, v := range []any{e.Payload, e.Ack} {
			if v != nil {
				reg.Schema(reflect.TypeOf(v), true, "")
			}
		}
	}
	reg.Schema(typeOf[api.Exception](), true, "")
	reg.Schema(typeOf[api.ConnectErrorData](), true, "")
	complete(reg)
	return reg
}

// TypeScript returns the types of the live events: ServerToClientEvents and
// ClientToServerEvents for the stock client's Socket, and all that they are made of.
var TypeScript = sync.OnceValue(func() []byte {
	reg := eventSchemas()
	var b strings.Builder
	b.WriteString(header)
	for _, name := range names(reg) {
		writeType(&b, reg, name)
	}
	writeEvents(&b, "ServerToClientEvents", FromServer,
		"What a server sends. offset is there for connection state recovery, by which the client does its own work.")
	writeEvents(&b, "ClientToServerEvents", FromClient,
		"What a client may send. A message that fails is answered by an Exception, which comes as event `exception`, too.")
	b.WriteString("\n/** A committed event as it comes live: it tells its place in the log. */\n" +
		"export type Committed<T> = T & { position: string };\n")
	b.WriteString("\n/** What an application puts into `auth` when it connects. */\nexport interface Handshake {\n  token: string;\n}\n")
	b.WriteString("\n/** What `connect_error` is called with when the server refused: `(error as ConnectError).data?.code`. */\n" +
		"export interface ConnectError extends Error {\n  data?: ConnectErrorData;\n}\n")
	return []byte(b.String())
})

// writeType writes one schema as a declaration.
func writeType(b *strings.Builder, reg huma.Registry, name string) {
	s := reg.Map()[name]
	b.WriteString("\n")
	comment(b, "", s.Description)
	t := reg.TypeFromRef(refs + name)
	if t == nil || s.Type != huma.TypeObject {
		fmt.Fprintf(b, "export type %s =%s;\n", name, tsType(s, true))
		return
	}
	fmt.Fprintf(b, "export interface %s {\n", name)
	for _, f := range fields(t) {
		p := s.Properties[f.name]
		if p == nil {
			continue
		}
		comment(b, "  ", p.Description)
		optional := "?"
		if slices.Contains(s.Required, f.name) {
			optional = ""
		}
		fmt.Fprintf(b, "  %s%s: %s;\n", key(f.name), optional, tsType(p, false))
	}
	b.WriteString("}\n")
}

// writeEvents writes the events of one side as methods of the stock client's map.
// The last argument of a client's event is its ack, as that client wants it.
func writeEvents(b *strings.Builder, name string, from Side, doc string) {
	b.WriteString("\n")
	comment(b, "", doc)
	fmt.Fprintf(b, "export interface %s {\n", name)
	for _, e := range Events {
		if e.From != from || e.Doors&SocketIO == 0 {
			continue
		}
		comment(b, "  ", e.Summary+" "+saidOfWho(e)+" ("+e.Clause+")")
		var args []string
		if e.Payload != nil {
			args = append(args, "payload: "+payloadType(e))
		}
		switch {
		case e.Ack != nil:
			args = append(args, "ack: (answer: "+reflect.TypeOf(e.Ack).Name()+" | Exception) => void")
		case e.Logged || e.Name == api.EventFeedReady || e.Name == api.EventFeedPosition:
			args = append(args, "offset?: string")
		}
		fmt.Fprintf(b, "  %s: (%s) => void;\n", eventKey(e.Name), strings.Join(args, ", "))
	}
	b.WriteString("}\n")
}

func payloadType(e Event) string {
	name := reflect.TypeOf(e.Payload).Name()
	if e.Logged {
		return "Committed<" + name + ">"
	}
	return name
}

func saidOfWho(e Event) string {
	if e.From == FromServer {
		return "Goes to " + e.Who + "."
	}
	return "For " + e.Who + "."
}

var parameter = regexp.MustCompile(`\{\w+\}`)

// eventKey is the key of an event; a parameter in its name is any text.
func eventKey(name string) string {
	if !strings.Contains(name, "{") {
		return key(name)
	}
	return "[event: `" + parameter.ReplaceAllString(name, "$${string}") + "`]"
}

var identifier = regexp.MustCompile(`^[A-Za-z_$][\w$]*$`)

func key(name string) string {
	if identifier.MatchString(name) {
		return name
	}
	return quote(name)
}

func quote(text string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(text) + "'"
}

// tsType is a schema as a type. At the top level a union has a line for each member.
func tsType(s *huma.Schema, top bool) string {
	t := plainType(s, top)
	if s.Nullable {
		t += " | null"
	}
	return t
}

func plainType(s *huma.Schema, top bool) string {
	switch {
	case s.Ref != "":
		return strings.TrimPrefix(s.Ref, refs)
	case len(s.Enum) > 0:
		separator, before := " | ", ""
		if top {
			separator, before = "\n  | ", "\n  | "
		}
		values := slices.DeleteFunc(slices.Clone(s.Enum), func(v any) bool { return v == nil })
		return before + union(values, separator, func(v any) string { return quote(fmt.Sprint(v)) })
	case len(s.OneOf) > 0:
		return union(s.OneOf, " | ", func(s *huma.Schema) string { return tsType(s, false) })
	case len(s.AnyOf) > 0:
		return union(s.AnyOf, " | ", func(s *huma.Schema) string { return tsType(s, false) })
	}
	switch s.Type {
	case huma.TypeString, huma.TypeBoolean, "null":
		return s.Type
	case huma.TypeInteger, huma.TypeNumber:
		return "number"
	case huma.TypeArray:
		items := tsType(s.Items, false)
		if strings.Contains(items, " ") {
			items = "(" + items + ")"
		}
		return items + "[]"
	case huma.TypeObject:
		if values, ok := s.AdditionalProperties.(*huma.Schema); ok {
			return "Record<string, " + tsType(values, false) + ">"
		}
		return "Record<string, unknown>"
	}
	return "unknown" // any JSON
}

func union[T any](list []T, separator string, text func(T) string) string {
	var parts []string
	for _, v := range list {
		parts = append(parts, text(v))
	}
	return strings.Join(parts, separator)
}

// comment writes a doc comment, in one line when it is short.
func comment(b *strings.Builder, indent, text string) {
	text = strings.ReplaceAll(text, "*/", "* /")
	const width = 100
	if text == "" {
		return
	}
	if len(text) < width-10 {
		fmt.Fprintf(b, "%s/** %s */\n", indent, text)
		return
	}
	b.WriteString(indent + "/**\n")
	line := ""
	for word := range strings.FieldsSeq(text) {
		if line != "" && len(line)+len(word) > width-len(indent)-4 {
			fmt.Fprintf(b, "%s * %s\n", indent, line)
			line = ""
		}
		line = strings.TrimSpace(line + " " + word)
	}
	fmt.Fprintf(b, "%s * %s\n%s */\n", indent, line, indent)
}
