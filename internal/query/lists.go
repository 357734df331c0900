package query

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"larder/internal/store"
)

// MaxList bounds a page of most lists. What else of a list there is comes by cursor.
const MaxList = 1000

// ErrCursor is a cursor that no list has given out.
var ErrCursor = errors.New("not a cursor of this list")

// Paging is which part of a list is wanted.
type Paging struct {
	Limit int    // 0: as many as a page can have
	After string // cursor of the page before, empty for the first
}

// page reads a part of a list, of which a page has at most so many entries, and
// returns the cursor of the next, empty when there is none. place says where an entry
// is in the list, and parse reads that again. One entry more than wanted is read, to
// see whether there is one.
func page[T, C any](p Paging, most int, parse func(string) (C, error), place func(T) string,
	read func(after *C, limit int) ([]T, error),
) (list []T, next string, err error) {
	limit := p.Limit
	if limit <= 0 || limit > most {
		limit = most
	}
	var after *C
	if p.After != "" {
		c, err := parse(p.After)
		if err != nil {
			return nil, "", err
		}
		after = &c
	}
	if list, err = read(after, limit+1); err != nil {
		return nil, "", err
	}
	if len(list) > limit {
		list = list[:limit]
		next = place(list[limit-1])
	}
	return list, next, nil
}

// cursor is the opaque form of a place in a list.
func cursor(createdAt time.Time, id string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(strconv.FormatInt(createdAt.UnixMilli(), 36) + "." + id))
}

func parseCursor(s string) (store.ListCursor, error) {
	b, err := base64.RawURLEncoding.DecodeString(s)
	at, id, ok := strings.Cut(string(b), ".")
	ms, err2 := strconv.ParseInt(at, 36, 64)
	if err != nil || err2 != nil || !ok || id == "" {
		return store.ListCursor{}, fmt.Errorf("%.20q: %w", s, ErrCursor)
	}
	return store.ListCursor{CreatedAt: time.UnixMilli(ms).UTC(), ID: id}, nil
}
