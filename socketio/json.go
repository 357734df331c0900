package socketio

import (
	"bytes"
	"encoding/json"
	"iter"
	"strconv"
)

// validJSON reports whether data is one JSON value that starts with the byte
// first and nests no deeper than MaxDepth. S-35
func validJSON(data []byte, first byte) bool {
	return len(data) > 0 && data[0] == first && shallow(data, MaxDepth) && json.Valid(data)
}

// shallow counts brackets outside strings. It is asked before anything that
// keeps a stack, and says nothing about data being JSON.
func shallow(data []byte, most int) bool {
	depth := 0
	for i := 0; i < len(data); i++ {
		switch data[i] {
		case '"':
			i = endOfString(data, i)
		case '[', '{':
			if depth++; depth > most {
				return false
			}
		case ']', '}':
			depth--
		}
	}
	return true
}

// endOfString returns the index of the quote that closes the string opened at
// i, or the last index of data if none does.
func endOfString(data []byte, i int) int {
	for i++; i < len(data); i++ {
		switch data[i] {
		case '\\':
			i++
		case '"':
			return i
		}
	}
	return len(data) - 1
}

// elements yields the raw elements of a valid JSON array, without copying.
// Numbers stay text, so none loses precision. S-35
func elements(array []byte) iter.Seq[json.RawMessage] {
	return func(yield func(json.RawMessage) bool) {
		depth, start := 0, 1
		for i := 1; i < len(array); i++ {
			switch array[i] {
			case '"':
				i = endOfString(array, i)
			case '[', '{':
				depth++
			case '}':
				depth--
			case ',':
				if depth > 0 {
					continue
				}
				if !yield(trim(array[start:i])) {
					return
				}
				start = i + 1
			case ']':
				if depth--; depth < 0 {
					if last := trim(array[start:i]); len(last) > 0 {
						yield(last)
					}
					return
				}
			}
		}
	}
}

func trim(raw []byte) json.RawMessage {
	raw = bytes.Trim(raw, " \t\r\n")
	return raw[:len(raw):len(raw)]
}

// collect returns the elements of a valid JSON array from the one at index
// skip on. They point into array.
func collect(array []byte, skip int) []json.RawMessage {
	var values []json.RawMessage
	for v := range elements(array) {
		if skip--; skip < 0 {
			values = append(values, v)
		}
	}
	return values
}

// eventName returns the name of an event from its valid JSON array: a string
// that is not reserved, or a number, whose digits are then the name. S-20
func eventName(array []byte) (string, error) {
	for v := range elements(array) {
		switch {
		case v[0] == '-' || isDigit(v[0]):
			return string(v), nil
		case v[0] != '"':
			return "", malformed("event name is neither string nor number")
		}
		name := string(v[1 : len(v)-1])
		if bytes.IndexByte(v, '\\') >= 0 {
			if err := json.Unmarshal(v, &name); err != nil {
				return "", malformed("event name")
			}
		}
		return name, checkEventName(name)
	}
	return "", malformed("event without a name")
}

// checkPlaceholders reads valid JSON and refuses a placeholder whose number is
// no integer or names no attachment (S-32). It tells named of every other one.
func checkPlaceholders(data []byte, attachments int, named func(i int)) error {
	if !bytes.Contains(data, []byte(`placeholder`)) && bytes.IndexByte(data, '\\') < 0 {
		return nil // no key can spell it
	}
	type frame struct {
		object, isKey, mark bool
		key, num            string
	}
	var stack []frame
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	for {
		token, err := dec.Token()
		if err != nil { // the end: data is valid
			return nil
		}
		if d, ok := token.(json.Delim); ok && (d == '}' || d == ']') {
			closed := stack[len(stack)-1]
			stack = stack[:len(stack)-1]
			if !closed.mark {
				continue
			}
			i, ok := attachmentIndex(closed.num, attachments)
			if !ok {
				return malformed("placeholder without attachment")
			}
			named(i)
			continue
		}
		if n := len(stack); n > 0 && stack[n-1].object {
			top := &stack[n-1]
			if top.isKey {
				top.key, top.isKey = token.(string), false
				continue
			}
			top.isKey = true
			switch top.key {
			case "_placeholder": // the last of repeated keys counts, as in JavaScript
				top.mark = token == true
			case "num":
				number, _ := token.(json.Number)
				top.num = number.String()
			}
		}
		if d, ok := token.(json.Delim); ok {
			stack = append(stack, frame{object: d == '{', isKey: true})
		}
	}
}

// attachmentIndex reads the number of a placeholder.
func attachmentIndex(num string, attachments int) (int, bool) {
	i, err := strconv.ParseUint(num, 10, 31)
	return int(i), err == nil && int(i) < attachments
}

// marshal encodes v without the escapes that only HTML needs.
func marshal(v any) (json.RawMessage, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return trim(buf.Bytes()), nil
}
