package testkit

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"larder/internal/contract"
)

// documented says what of an event is not in the AsyncAPI document: its name, or
// something of its payload. Next returns it, so that no test can hear an event
// that clients were not told of.
func (e Event) documented(door contract.Door) error {
	switch {
	case e.Ack: // to what it answers only the test knows: see Answers
		return nil
	case len(e.Name) == 1: // a record that a test has put into the log itself
		return nil
	}
	for _, known := range contract.Events {
		if known.From != contract.FromServer || known.Doors&door == 0 || !named(known, e.Name) {
			continue
		}
		if known.Logged && e.Position() == "" {
			return fmt.Errorf("event %s %s has no position", e.Name, e.Data)
		}
		return matches(reflect.TypeOf(known.Payload).Name(), e.Data)
	}
	return fmt.Errorf("event %s %s is not in the table of package contract", e.Name, e.Data)
}

func named(e contract.Event, name string) bool {
	return name == e.Name || e.Prefix() != e.Name && strings.HasPrefix(name, e.Prefix())
}

// Answers says what of the answer to an event is not in the AsyncAPI document.
func Answers(event string, data json.RawMessage) error {
	for _, e := range contract.Events {
		if e.From == contract.FromClient && named(e, event) && e.Ack != nil {
			return matches(reflect.TypeOf(e.Ack).Name(), data)
		}
	}
	return fmt.Errorf("event %s has no answer in the table of package contract", event)
}

// live has the schemas of the AsyncAPI document, compiled when they are needed.
var live struct {
	sync.Mutex
	compiler *jsonschema.Compiler
	schemas  map[string]*jsonschema.Schema
}

const liveURL = "mem:///asyncapi.json"

func matches(schema string, data json.RawMessage) error {
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		return fmt.Errorf("%s %s: %w", schema, data, err)
	}
	s, err := liveSchema(schema)
	if err != nil {
		return err
	}
	if err := s.Validate(v); err != nil {
		return fmt.Errorf("the AsyncAPI document does not say so: %s: %w", data, err)
	}
	return nil
}

func liveSchema(name string) (*jsonschema.Schema, error) {
	live.Lock()
	defer live.Unlock()
	if live.compiler == nil {
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(contract.AsyncAPI()))
		if err != nil {
			return nil, err
		}
		c := jsonschema.NewCompiler()
		c.DefaultDraft(jsonschema.Draft7)
		c.AssertFormat()
		if err := c.AddResource(liveURL, doc); err != nil {
			return nil, err
		}
		live.compiler, live.schemas = c, map[string]*jsonschema.Schema{}
	}
	if live.schemas[name] == nil {
		s, err := live.compiler.Compile(liveURL + "#/components/schemas/" + name)
		if err != nil {
			return nil, err
		}
		live.schemas[name] = s
	}
	return live.schemas[name], nil
}
