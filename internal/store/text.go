package store

import (
	"database/sql"
	"reflect"
	"strings"
	"unicode/utf8"
)

// storable returns ErrText for text that PostgreSQL refuses to take, before it is
// asked: a refused statement ends the whole transaction. SQLite would take it, and
// the two must not differ.
func storable(args []any) error {
	for _, arg := range args {
		var s string
		switch a := arg.(type) {
		case string:
			s = a
		case sql.NullString:
			s = a.String
		default:
			v := reflect.ValueOf(arg)
			if v.Kind() != reflect.String { // a named string, such as a role
				continue
			}
			s = v.String()
		}
		if !utf8.ValidString(s) || strings.IndexByte(s, 0) >= 0 {
			return ErrText
		}
	}
	return nil
}
