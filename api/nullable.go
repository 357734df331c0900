package api

import "encoding/json"

// Nullable is a field of an update that can be taken away: absent it stays, and null
// clears it. Its zero value is absent; fields of it have omitzero.
type Nullable[T any] struct {
	Given bool // false: absent
	Value *T   // nil: null
}

// Given is a field with that value; nil is null.
func Given[T any](value *T) Nullable[T] { return Nullable[T]{Given: true, Value: value} }

// MarshalJSON writes the value, or null.
func (n Nullable[T]) MarshalJSON() ([]byte, error) { return json.Marshal(n.Value) }

// UnmarshalJSON reads a value or null.
func (n *Nullable[T]) UnmarshalJSON(b []byte) error {
	var v *T
	if err := json.Unmarshal(b, &v); err != nil {
		return err
	}
	*n = Given(v)
	return nil
}
