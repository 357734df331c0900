package httpapi

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"larder/api"
	"larder/internal/query"
)

// Paged is the input of a list in pages that are opt-in.
type Paged struct {
	Limit string `query:"limit" doc:"1 to 1000."`
	After string `query:"after" doc:"Cursor from the Link header of the page before."`
}

func (p Paged) paging(most int) (out query.Paging, err error) {
	out.After = p.After
	if p.Limit == "" {
		return out, nil
	}
	if out.Limit, err = strconv.Atoi(p.Limit); err != nil || out.Limit < 1 || out.Limit > most {
		return out, api.NewError(http.StatusBadRequest, api.CodeValidation,
			fmt.Sprintf("limit must be a whole number from 1 to %d", most))
	}
	return out, nil
}

// paged is one page of a list, with a link to the next if there is one.
type paged[T any] struct {
	Link string `header:"Link" doc:"The next page, when there is one."`
	Body []T
}

// pageOf answers with a page of the list at path, of which one page holds so many at
// most.
func pageOf[F, T any](p *Paged, path string, most int, read func(query.Paging) ([]F, string, error), show func(F) T) (*paged[T], error) {
	wanted, err := p.paging(most)
	if err != nil {
		return nil, err
	}
	list, next, err := read(wanted)
	if err != nil {
		return nil, err
	}
	out := &paged[T]{Body: make([]T, 0, len(list))}
	for _, e := range list {
		out.Body = append(out.Body, show(e))
	}
	if next != "" {
		q := url.Values{"after": {next}}
		if p.Limit != "" {
			q.Set("limit", p.Limit)
		}
		out.Link = fmt.Sprintf("<%s?%s>; rel=\"next\"", path, q.Encode())
	}
	return out, nil
}
