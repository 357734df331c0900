package contract_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"larder/internal/contract"
)

// parse reads a document as the schema validator wants it.
func parse(t *testing.T, doc []byte) map[string]any {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(doc))
	if err != nil {
		t.Fatal(err)
	}
	return v.(map[string]any)
}

// walk calls f with everything in a document and its path.
func walk(v any, path string, f func(path string, v any)) {
	f(path, v)
	switch v := v.(type) {
	case map[string]any:
		for k, e := range v {
			walk(e, path+"/"+strings.NewReplacer("~", "~0", "/", "~1").Replace(k), f)
		}
	case []any:
		for _, e := range v {
			walk(e, path+"/…", f)
		}
	}
}

// at finds what a reference means.
func at(doc map[string]any, ref string) any {
	var v any = doc
	for part := range strings.SplitSeq(strings.TrimPrefix(ref, "#/"), "/") {
		in, _ := v.(map[string]any)
		v = in[strings.NewReplacer("~1", "/", "~0", "~").Replace(part)]
	}
	return v
}

// wantReferences fails for references that lead nowhere.
func wantReferences(t *testing.T, doc map[string]any) {
	t.Helper()
	count := 0
	walk(doc, "#", func(path string, v any) {
		if in, ok := v.(map[string]any); ok {
			if to, ok := in["$ref"].(string); ok {
				count++
				if !strings.HasPrefix(to, "#/") || at(doc, to) == nil {
					t.Errorf("%s refers to %s, which is not there", path, to)
				}
			}
		}
	})
	if count < 20 {
		t.Errorf("only %d references", count)
	}
}

func compile(t *testing.T, doc map[string]any, path string, draft *jsonschema.Draft) *jsonschema.Schema {
	t.Helper()
	c := jsonschema.NewCompiler()
	c.DefaultDraft(draft)
	c.AssertFormat()
	if err := c.AddResource("mem:///doc.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("mem:///doc.json" + path)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return s
}

// TestAsyncAPI checks the form by hand; test/interop has the official schema do it.
func TestAsyncAPI(t *testing.T) {
	doc := parse(t, contract.AsyncAPI())
	wantReferences(t, doc)
	if doc["asyncapi"] != "3.0.0" {
		t.Errorf("asyncapi is %v", doc["asyncapi"])
	}
	messages := at(doc, "#/components/messages").(map[string]any)
	for _, e := range contract.Events {
		key := strings.NewReplacer("{", "", "}", "").Replace(e.Name)
		for door, key := range map[contract.Door]string{contract.SocketIO: key, contract.Stream: key, contract.Plain: "frame." + key} {
			m, _ := messages[key].(map[string]any)
			switch {
			case e.Doors&door == 0:
			case m == nil || m["name"] != e.Name:
				t.Errorf("message %s of %s: %v", key, e.Name, m)
			case e.Ack != nil && messages[key+".ack"] == nil:
				t.Errorf("%s has no message for its ack", key)
			}
		}
	}
	for key, m := range messages {
		list, _ := m.(map[string]any)["examples"].([]any)
		if len(list) == 0 && key != "test" {
			t.Errorf("message %s has no example", key)
		}
		schema := compile(t, doc, "#/components/messages/"+key+"/payload", jsonschema.Draft7)
		for _, example := range list {
			if err := schema.Validate(example.(map[string]any)["payload"]); err != nil {
				t.Errorf("example of %s: %v", key, err)
			}
		}
	}
}

// TestFieldsThatMayBeNull looks at some that huma alone gets wrong.
func TestFieldsThatMayBeNull(t *testing.T) {
	doc := parse(t, contract.AsyncAPI())
	for path, want := range map[string]string{
		"Donation/properties/claimedAt":            `["string","null"]`, // a time
		"Donation/properties/description":          `["string","null"]`,
		"Donation/properties/distance":             `"number"`, // absent, never null
		"Donation/properties/createdAt":            `"string"`,
		"FeedArea/properties/lat":                  `"number"`,
		"DonationStatusUpdated/properties/reason":  `["string","null"]`,
		"FeedResumed/properties/events":            `"array"`,
		"DonationStatusUpdated/properties/version": `"integer"`,
	} {
		schema, _ := at(doc, "#/components/schemas/"+path).(map[string]any)
		got, err := json.Marshal(schema["type"])
		if err != nil || string(got) != want {
			t.Errorf("%s: type is %s, want %s", path, got, want)
		}
	}
}
