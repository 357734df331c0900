package store

import (
	"fmt"
	"time"
)

// ListCursor is the place of an entry in a list that is in the order in which its
// entries were made, or the other way round. Of one moment the ids decide.
type ListCursor struct {
	CreatedAt time.Time
	ID        string
}

// arguments are those of a statement whose text is put together.
type arguments []any

// add adds one and returns its mark in the text.
func (a *arguments) add(v any) string {
	*a = append(*a, v)
	return fmt.Sprintf("$%d", len(*a))
}

// place is a cursor as a row of two values, to compare (created_at, id) with: that
// is a range of an index, as an OR is not.
func (a *arguments) place(c ListCursor) string {
	return "(" + a.add(millis(c.CreatedAt)) + ", " + a.add(c.ID) + ")"
}
