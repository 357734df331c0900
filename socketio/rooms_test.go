package socketio

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// verify reports every way in which the two directions disagree.
func (g *registry) verify(t interface{ Errorf(string, ...any) }) {
	g.mu.Lock()
	defer g.mu.Unlock()
	places := 0
	for name, r := range g.rooms {
		if len(r.list) == 0 {
			t.Errorf("room %s is empty and still there", name)
		}
		places += len(r.list)
	}
	for i, s := range g.all.list {
		if s.member.at != i {
			t.Errorf("%s is at %d of all, and believes to be at %d", s.id, i, s.member.at)
		}
	}
	if len(g.all.list) != len(g.ids) {
		t.Errorf("%d sockets, %d ids", len(g.all.list), len(g.ids))
	}
	for id, s := range g.ids {
		if s.id != id || s.member.state != memberJoined {
			t.Errorf("ghost %s in state %d", id, s.member.state)
		}
		places -= len(s.member.seats)
		for _, p := range s.member.seats {
			if r := g.rooms[p.name]; r == nil || r != p.room || p.at >= len(r.list) || r.list[p.at] != s {
				t.Errorf("%s believes to be at %d of room %s, which knows nothing of it", id, p.at, p.name)
			}
		}
	}
	if places != 0 {
		t.Errorf("rooms have %d more members than sockets have rooms", places)
	}
}

// model is the registry as one would write it on paper.
type model map[string]map[string]bool // socket -> rooms

func (m model) members(rooms, except []string) []string {
	var ids []string
	for id, in := range m {
		hit := len(rooms) == 0
		for _, name := range rooms {
			hit = hit || in[name] || name == id
		}
		for _, name := range except {
			hit = hit && !in[name] && name != id
		}
		if hit {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// Whatever is done to it one after the other, the registry says what the model
// says, and lists it gave out before stay what they were. S-40, S-41
func TestRegistryIsItsModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var g registry
		sockets := map[string]*Socket{}
		want := model{}
		type given struct {
			list []*Socket
			copy []*Socket
		}
		var lists []given
		// Some rooms have the names of sockets.
		roomNames := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "c", "s1", "s2"}), 0, 3)
		pick := func(t *rapid.T) *Socket {
			if len(sockets) == 0 {
				t.Skip("no socket")
			}
			return sockets[rapid.SampledFrom(slices.Sorted(maps.Keys(sockets))).Draw(t, "id")]
		}
		next := 0
		t.Repeat(map[string]func(*rapid.T){
			"connect": func(t *rapid.T) {
				next++
				s := &Socket{id: fmt.Sprint("s", next)}
				before := roomNames.Draw(t, "rooms")
				g.join(s, before)
				if !g.add(s) {
					t.Fatalf("add refused")
				}
				sockets[s.id], want[s.id] = s, map[string]bool{}
				for _, name := range before {
					want[s.id][name] = true
				}
				delete(want[s.id], s.id)
			},
			"join": func(t *rapid.T) {
				s, rooms := pick(t), roomNames.Draw(t, "rooms")
				g.join(s, rooms)
				for _, name := range rooms {
					if name != s.id {
						want[s.id][name] = true
					}
				}
			},
			"leave": func(t *rapid.T) {
				s, rooms := pick(t), roomNames.Draw(t, "rooms")
				g.leave(s, rooms)
				for _, name := range rooms {
					delete(want[s.id], name)
				}
			},
			"disconnect": func(t *rapid.T) {
				s := pick(t)
				g.remove(s)
				g.join(s, []string{"a"}) // too late
				if g.add(s) {
					t.Fatalf("a socket came back")
				}
				delete(sockets, s.id)
				delete(want, s.id)
			},
			"select": func(t *rapid.T) {
				rooms, except := roomNames.Draw(t, "rooms"), roomNames.Draw(t, "except")
				got := g.members(rooms, except)
				lists = append(lists, given{got, slices.Clone(got)})
				if diff := cmp.Diff(want.members(rooms, except), ids(got)); diff != "" {
					t.Fatalf("members of %v without %v (-want +got):\n%s", rooms, except, diff)
				}
			},
			"": func(t *rapid.T) {
				g.verify(t)
				for _, l := range lists {
					if !slices.Equal(l.list, l.copy) {
						t.Fatalf("a list changed after it was given out")
					}
				}
			},
		})
	})
}

func ids(sockets []*Socket) []string {
	var names []string
	for _, s := range sockets {
		names = append(names, s.id)
	}
	slices.Sort(names)
	return names
}

// TestRegistryStress has several goroutines join, leave and remove the same
// sockets while others select: no membership may be lost, none may be left over.
func TestRegistryStress(t *testing.T) {
	const workers, rounds, rooms = 4, 3000, 6
	var g registry
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for range rounds {
				seen := map[*Socket]bool{}
				for _, s := range g.members([]string{"room0", "room1", "pair"}, []string{"room2"}) {
					if seen[s] {
						t.Error("a socket twice in one selection")
					}
					seen[s] = true
				}
				_ = g.members(nil, nil)
				_ = g.members([]string{"room3"}, nil)
				runtime.Gosched()
			}
		})
	}
	kept := make([]*Socket, workers)
	for w := range workers {
		kept[w] = &Socket{id: fmt.Sprint("kept", w)}
	}
	for w := range workers {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(w), 1))
			g.add(kept[w])
			for i := range rounds {
				name := []string{fmt.Sprint("room", rng.IntN(rooms))}
				g.join(kept[w], name)
				g.leave(kept[(w+1)%workers], name) // maybe not there yet

				s := &Socket{id: fmt.Sprint("s", w, "-", i)}
				var pair sync.WaitGroup // a CONNECT in flight while the connection closes
				pair.Go(func() { g.join(s, []string{"pair"}); g.add(s); g.join(s, name) })
				pair.Go(func() { g.remove(s); g.forget(s) })
				pair.Wait()
			}
			g.join(kept[w], []string{"last"})
		})
	}
	wg.Wait()
	g.verify(t)
	if got, want := ids(g.members(nil, nil)), ids(kept); !slices.Equal(got, want) {
		t.Errorf("members: got %v, want %v", got, want)
	}
	if got, want := ids(g.members([]string{"last"}, nil)), ids(kept); !slices.Equal(got, want) {
		t.Errorf("members of last: got %v, want %v", got, want)
	}
	for _, s := range kept {
		g.remove(s)
	}
	if len(g.rooms)+len(g.ids)+len(g.all.list) != 0 {
		t.Errorf("left over: %d rooms, %d ids, %d sockets", len(g.rooms), len(g.ids), len(g.all.list))
	}
}

func BenchmarkSelect(b *testing.B) {
	var g registry
	for i := range 5000 {
		s := &Socket{id: fmt.Sprint("s", i)}
		g.join(s, []string{"half"}[i%2:])
		g.add(s)
	}
	for name, rooms := range map[string][]string{"all": nil, "one": {"half"}, "union": {"half", "s7"}} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_ = g.members(rooms, nil)
			}
		})
	}
}
