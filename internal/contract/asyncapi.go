package contract

import (
	"reflect"
	"strings"
	"sync"

	"github.com/danielgtaylor/huma/v2"

	"larder/api"
)

// object is a JSON object that is written down as it is.
type object = map[string]any

func ref(parts ...string) object {
	for i, p := range parts {
		parts[i] = strings.NewReplacer("~", "~0", "/", "~1").Replace(p)
	}
	return object{"$ref": "#/" + strings.Join(parts, "/")}
}

// channel is one way to hear events, as AsyncAPI has it.
type channel struct {
	key, address, server, title, text string
	door                              Door
}

var channels = []channel{
	{
		"donations", "/donations", "socketio", "Socket.IO, namespace /donations",
		"The token is `auth.token` of the CONNECT, else the `Authorization` header. A refusal is a `connect_error` with " +
			"`data {code, retry, retryAfterMs?}`. `feed.ready` comes first (P-1 to P-8).", SocketIO,
	},
	{"default", "/", "socketio", "Socket.IO, the default namespace", "The same events by the same rules as on /donations (P-1).", SocketIO},
	{
		"websocket", "/donations", "websocket", "Plain WebSocket",
		"Text frames `{event, data}`, both ways; with an `id` there is an answer `{id, data}`. The token is in the `Authorization` header, in a " +
			"subprotocol `bearer.<token>`, or in a first frame `auth`. `after` in the query resumes; `lat`, `lng`, `radiusKm`, `statuses` and " +
			"`foodTypes` narrow (P-30 to P-37).", Plain,
	},
	{
		"events", "/events", "http", "Server-sent events",
		"`GET` with `Accept: text/event-stream` and the token in `Authorization`. `event` is the name, `data` the payload, `id` the position; " +
			"`Last-Event-ID` or `after` resumes, the query narrows as on the plain WebSocket (P-37).", Stream,
	},
}

// AsyncAPI returns the AsyncAPI 3.0 document of the live events, as JSON.
var AsyncAPI = sync.OnceValue(func() []byte {
	reg := eventSchemas()
	messages, operations, listed := object{}, object{}, object{}
	for _, c := range channels {
		in := object{}
		sent := []any{}
		for _, e := range Events {
			if e.Doors&c.door == 0 {
				continue
			}
			key := messageKey(c.door, e.Name)
			messages[key] = message(c.door, e)
			in[key] = ref("components", "messages", key)
			if e.From == FromServer {
				sent = append(sent, ref("channels", c.key, "messages", key))
				continue
			}
			op := object{
				"action": "receive", "channel": ref("channels", c.key), "title": e.Name, "summary": e.Summary,
				"description": saidOfWho(e), "messages": []any{ref("channels", c.key, "messages", key)},
			}
			if e.Ack != nil {
				answer := key + ".ack"
				messages[answer] = ack(c.door, e)
				in[answer] = ref("components", "messages", answer)
				op["reply"] = object{"channel": ref("channels", c.key), "messages": []any{ref("channels", c.key, "messages", answer)}}
			}
			operations[c.key+"."+messageKey(0, e.Name)] = op
		}
		operations[c.key+".feed"] = object{
			"action": "send", "channel": ref("channels", c.key), "title": "What is heard on " + c.title,
			"summary": "Everything that was committed and that the account may see, in order, and what is the connection's own.", "messages": sent,
		}
		listed[c.key] = object{
			"address": c.address, "title": c.title, "description": c.text, "servers": []any{ref("servers", c.server)}, "messages": in,
		}
	}
	return document(object{
		"asyncapi": "3.0.0",
		"info": object{
			"title": "Larder", "version": version, "description": "The live events of Larder. " +
				"An event is sent only after it was read back from the committed log, and carries its position there. " +
				"TypeScript types of them are at /types/events.d.ts, the routes at /api-json.",
		},
		"defaultContentType": "application/json",
		"servers": object{
			"socketio":  server("ws", "/socket.io/", "Socket.IO 5 on Engine.IO 4, over WebSocket or long-polling"),
			"websocket": server("ws", "/donations", "One WebSocket, JSON frames"),
			"http":      server("http", "/events", "Server-sent events"),
		},
		"channels":   listed,
		"operations": operations,
		"components": object{
			"messages": messages, "schemas": draft7(reg),
			"securitySchemes": object{"bearer": object{
				"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "The token of POST /auth/login.",
			}},
		},
	})
})

func server(protocol, path, text string) object {
	return object{
		"host": "{host}", "protocol": protocol, "pathname": path, "description": text,
		"variables": object{"host": object{"default": "localhost:3000", "description": "Where the server listens."}},
		"security":  []any{ref("components", "securitySchemes", "bearer")},
	}
}

// messageKey names a message among the components: those of the plain WebSocket
// have a frame around them.
func messageKey(door Door, name string) string {
	name = strings.NewReplacer("{", "", "}", "").Replace(name)
	if door == Plain {
		return "frame." + name
	}
	return name
}

func message(door Door, e Event) object {
	m := object{"name": e.Name, "title": e.Name, "summary": e.Summary, "description": saidOfWho(e) + " Clause " + e.Clause + "."}
	schema, example := object{"type": "null", "description": "no payload"}, any(nil)
	if e.Payload != nil {
		schema, example = ref("components", "schemas", reflect.TypeOf(e.Payload).Name()), tree(e.Payload)
	}
	if door == Plain {
		f := object{"event": object{"type": "string", "const": e.Name}, "data": schema}
		wrapped := object{"event": e.Name, "data": example}
		required := []any{"event", "data"}
		if e.Payload == nil {
			delete(f, "data")
			delete(wrapped, "data")
			required = required[:1]
		}
		if e.From == FromClient {
			f["id"] = object{"type": []any{"number", "string"}, "description": "asks for an answer under this id"}
			wrapped["id"] = 1
		}
		if e.Prefix() != e.Name {
			f["event"] = object{"type": "string", "pattern": "^" + strings.ReplaceAll(e.Prefix(), ".", `\.`)}
		}
		schema, example = object{"type": "object", "required": required, "properties": f}, wrapped
	}
	m["payload"] = schema
	if example != nil {
		m["examples"] = []any{object{"payload": example}}
	}
	return m
}

// ack is the answer to a message: what the table says, or an exception.
func ack(door Door, e Event) object {
	schema := object{"oneOf": []any{
		ref("components", "schemas", reflect.TypeOf(e.Ack).Name()), ref("components", "schemas", typeOf[api.Exception]().Name()),
	}}
	example := tree(e.Ack)
	if door == Plain {
		schema = object{"type": "object", "required": []any{"id", "data"}, "properties": object{
			"id": object{"type": []any{"number", "string"}}, "data": schema,
		}}
		example = object{"id": 1, "data": example}
	}
	return object{
		"name": e.Name + " ack", "title": "The answer to " + e.Name, "payload": schema,
		"summary": "What was asked for, or an exception.", "examples": []any{object{"payload": example}},
	}
}

// draft7 are the schemas of a registry for AsyncAPI, whose own dialect is JSON
// Schema draft 7: there, nothing may stand beside $ref.
func draft7(reg huma.Registry) any {
	out := tree(reg.Map())
	lone(out)
	return out
}

func lone(v any) {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			lone(e)
		}
	case object:
		if to, ok := v["$ref"].(string); ok && len(v) > 1 {
			delete(v, "$ref")
			v["allOf"] = []any{object{"$ref": to}}
		}
		for key, e := range v {
			if key != "examples" {
				lone(e)
			}
		}
	}
}
