package fanout

import (
	"strconv"
	"sync"

	"github.com/tidwall/rtree"

	"larder/internal/feed"
)

// Views are what live clients have narrowed their feeds to. Equal views share
// one room, and a spatial index of their areas finds those that a record touches
// without looking at the rest.
//
// Views may be used from many goroutines. Whoever watches or forgets inside
// Fanout.Enter changes what the next record reaches, and no other.
type Views struct {
	mu      sync.Mutex // guards the fields below
	made    int
	clients map[any]*watched // by client, which is any value that tells it from others
	byKey   map[string]*watched
	located rtree.RTreeG[*watched]
	rest    map[*watched]struct{} // those without an area
}

// watched is one view and how many clients have it.
type watched struct {
	view    feed.View
	key     string
	room    string
	clients int
}

func newViews() *Views {
	return &Views{clients: map[any]*watched{}, byKey: map[string]*watched{}, rest: map[*watched]struct{}{}}
}

// Watch gives a client a view instead of the one that it had, and returns its room.
func (v *Views) Watch(client any, view feed.View) (room string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.forget(client)
	key := view.Key()
	w := v.byKey[key]
	if w == nil {
		v.made++
		w = &watched{view: view, key: key, room: "view:" + strconv.Itoa(v.made)}
		v.byKey[key] = w
		if view.Area == nil {
			v.rest[w] = struct{}{}
		}
		w.eachBox(v.located.Insert)
	}
	w.clients++
	v.clients[client] = w
	return w.room
}

// Of returns the view of a client and its room; without one, the whole feed and
// no room.
func (v *Views) Of(client any) (view feed.View, room string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if w := v.clients[client]; w != nil {
		return w.view, w.room
	}
	return feed.View{}, ""
}

// Forget takes the view of a client that has left, or wants the whole feed again.
func (v *Views) Forget(client any) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.forget(client)
}

// Len returns how many clients have a view, and how many views these are.
func (v *Views) Len() (clients, views int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return len(v.clients), len(v.byKey)
}

func (v *Views) forget(client any) {
	w := v.clients[client]
	if w == nil {
		return
	}
	delete(v.clients, client)
	if w.clients--; w.clients > 0 {
		return
	}
	delete(v.byKey, w.key)
	delete(v.rest, w)
	w.eachBox(v.located.Delete)
}

// eachBox does something with each box of the view's area.
func (w *watched) eachBox(do func(min, max [2]float64, w *watched)) {
	if w.view.Area == nil {
		return
	}
	for _, b := range w.view.Area.Boxes() {
		do([2]float64{b.MinLng, b.MinLat}, [2]float64{b.MaxLng, b.MaxLat}, w)
	}
}

// rooms returns the rooms of the views that a record touches, by passage.
func (v *Views) rooms(f feed.Facts) (rooms [feed.Leaves + 1][]string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	add := func(w *watched) {
		if p := w.view.Passage(f); p != feed.Outside {
			rooms[p] = append(rooms[p], w.room)
		}
	}
	for w := range v.rest {
		add(w)
	}
	if !f.About { // about nothing that has a place: no area keeps it out
		for _, w := range v.byKey {
			if w.view.Area != nil {
				add(w)
			}
		}
		return rooms
	}
	at := [2]float64{f.Lng, f.Lat}
	v.located.Search(at, at, func(_, _ [2]float64, w *watched) bool {
		add(w)
		return true
	})
	return rooms
}
