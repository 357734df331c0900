package gateway

import "sync"

// maxEnded bounds the sockets that are remembered as ended on purpose. Who is
// forgotten could come back with a token of the same account, to what that
// account may see: a curiosity, no leak.
const maxEnded = 10_000

// endedSockets are the last that have left on purpose, by their ids. The zero value
// has none.
type endedSockets struct {
	mu    sync.Mutex // guards the fields below
	ids   map[string]struct{}
	order []string // of ids, oldest first
}

func (e *endedSockets) add(id string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.ids == nil {
		e.ids = map[string]struct{}{}
	}
	if len(e.order) >= maxEnded {
		delete(e.ids, e.order[0])
		e.order = e.order[1:]
	}
	e.ids[id] = struct{}{}
	e.order = append(e.order, id)
}

func (e *endedSockets) has(id string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	_, has := e.ids[id]
	return has
}
