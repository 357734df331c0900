package verify

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"sort"
	"strings"

	"larder/api"
)

// Bounds of a replay on Socket.IO, from the contract (P-8). feed.ready counts as one
// of its events.
const (
	replayEvents = 10_000
	replayBytes  = 8 << 20
	keptViews    = 50 // of an account
)

// judgeWitnesses compares what each witness wrote down with what it should have
// heard.
func judgeWitnesses(e *Evidence) []string {
	var v verdict
	lines := map[string]*timeline{} // by account, for those who hear everything
	feeds := map[string]int{}       // by account: how often a feed was narrowed
	for _, w := range e.Witnesses {
		for _, n := range w.Notes {
			if n.Kind == NoteNarrowed {
				feeds[w.Account]++
			}
		}
	}
	for _, w := range e.Witnesses {
		log, ok := e.Logs[w.Account]
		if !ok {
			v.add("%s: nobody read the log of its account", w.Name)
			continue
		}
		line := func(view *View) *timeline {
			if view != nil {
				return narrowed(e, log, *view)
			}
			if lines[w.Account] == nil {
				lines[w.Account] = everything(e, log)
			}
			return lines[w.Account]
		}
		for _, f := range check(e, w, feeds[w.Account], line) {
			v.add("%s: %s", w.Name, f)
		}
	}
	return slices.Concat(v.all(), judgeSnapshots(e))
}

// timeline is what a witness should hear, in order.
type timeline struct {
	want []Sight
	at   []int32 // by the number of a sight: its index in want, or -1
}

func everything(e *Evidence, log []uint32) *timeline {
	t := &timeline{at: nowhere(len(e.Sights))}
	for i, id := range log {
		t.want = append(t.want, e.Sights[id])
		t.at[id] = int32(i)
	}
	return t
}

func nowhere(n int) []int32 {
	at := make([]int32, n)
	for i := range at {
		at[i] = -1
	}
	return at
}

// narrowed is what a view makes of a log: an event of a donation that is and stays
// in the view as it is, feed.left for one that goes out of it, feed.entered for one
// that comes into it.
func narrowed(e *Evidence, log []uint32, view View) *timeline {
	t := &timeline{at: nowhere(len(e.Sights))}
	b := board{}
	where := map[string]int32{}
	for _, id := range log {
		s := e.Sights[id]
		before, had := b[s.Donation]
		b.take(s, false)
		after, known := b[s.Donation]
		if !known && !own(s) {
			continue // of a time before the run
		}
		was, is := had && view.shows(before), view.shows(after)
		switch {
		case own(s):
			t.at[id] = int32(len(t.want))
		case !was && !is:
			continue
		case was && is, s.Name == api.EventDonationCreated:
			t.at[id] = int32(len(t.want))
		case is:
			s.Name, s.Stands = api.EventFeedEntered, s.Name
		default:
			s.Name, s.Stands = api.EventFeedLeft, s.Name
		}
		where[s.Position] = int32(len(t.want))
		t.want = append(t.want, s)
	}
	for id, s := range e.Sights {
		if i, ok := where[s.Position]; ok && t.at[id] < 0 && standsFor(s, t.want[i]) {
			t.at[id] = i
		}
	}
	return t
}

// standsFor says whether a sight is the feed.left or feed.entered that is wanted.
func standsFor(got, want Sight) bool {
	return want.Stands != "" && got.Name == want.Name && got.Stands == want.Stands && got.Donation == want.Donation &&
		got.Version == want.Version && got.Status == want.Status
}

// shows says whether a donation in a state is in the view.
func (v View) shows(d state) bool {
	if len(v.Statuses) > 0 && !slices.Contains(v.Statuses, d.status) {
		return false
	}
	if len(v.FoodTypes) > 0 && !slices.ContainsFunc(v.FoodTypes, func(f string) bool { return strings.EqualFold(f, d.FoodType) }) {
		return false
	}
	return v.RadiusKm == 0 || kilometres(v.Lat, v.Lng, d.Lat, d.Lng) <= v.RadiusKm
}

// kilometres is the great-circle distance, by the haversine formula.
func kilometres(lat1, lng1, lat2, lng2 float64) float64 {
	const radius, rad = 6371.0088, math.Pi / 180
	a, b := math.Sin((lat2-lat1)*rad/2), math.Sin((lng2-lng1)*rad/2)
	h := a*a + math.Cos(lat1*rad)*math.Cos(lat2*rad)*b*b
	return 2 * radius * math.Asin(math.Min(1, math.Sqrt(h)))
}

// perWitness bounds the faults that are told of one witness: what follows a fault
// is often its consequence.
const perWitness = 5

// check walks through the notes of a witness beside what it should have heard, which
// line makes for a view. feeds is how often the feeds of its account were narrowed.
func check(e *Evidence, w Testimony, feeds int, line func(*View) *timeline) []string {
	c := checker{timeline: line(w.View), feeds: feeds, sights: e.Sights, missed: map[int32]bool{}}
	for _, n := range w.Notes {
		switch n.Kind {
		case NoteBegan:
			c.next, c.seen = c.after(n.Position), n.Position
		case NoteGap:
			c.startsOver(e.Oldest, n)
		case NoteSaw:
			for id := n.First; id < n.First+n.Count; id++ {
				c.saw(id)
			}
		case NoteAsked:
			c.asked = line(n.View)
		case NoteUnsure:
			c.unsure = true
		case NoteNarrowed:
			c.narrows(line(n.View), n.Position)
		case NoteSuspended:
			if !slices.ContainsFunc(e.Suspensions, func(s Suspension) bool { return s.Account == w.Account }) {
				c.add("was not let in as suspended, and its account never was")
			}
		case NoteFault:
			c.add("%s", n.Reason)
		case NoteSnapshot:
		}
	}
	if end := int32(len(c.want)); c.next < end {
		c.add("did not hear the last %d of %d events, from %s on", end-c.next, end, c.want[c.next])
	}
	if c.more > 0 {
		c.told = append(c.told, fmt.Sprintf("… and %d faults more", c.more))
	}
	return c.told
}

// after is the index of the first event after a position.
func (t *timeline) after(position string) int32 {
	return int32(sort.Search(len(t.want), func(i int) bool { return t.want[i].Position > position }))
}

type checker struct {
	*timeline
	sights []Sight
	next   int32  // index of the event that should come now
	seen   string // position up to which the witness knows everything
	missed map[int32]bool
	feeds  int       // of its account that were narrowed
	asked  *timeline // of the view that the witness asked for and did not get yet, or nil
	unsure bool      // which of the two it gets
	told   []string
	more   int
}

func (c *checker) add(format string, args ...any) {
	if len(c.told) >= perWitness {
		c.more++
		return
	}
	c.told = append(c.told, fmt.Sprintf(format, args...))
}

// startsOver judges that a witness was told to start over. That is honest when the
// log no longer has what it missed, it missed too much, or its account has had so many
// views that its own may be forgotten. Nothing in a run makes a
// position strange to the log that gave it.
func (c *checker) startsOver(oldest string, n Note) {
	i := c.after(n.Position)
	if i < c.next {
		c.add("was told to start over at %s, before what it had seen", n.Position)
		return
	}
	missed, bytes := c.want[c.next:i], 0
	for _, s := range missed {
		bytes += s.Size
	}
	switch {
	case n.Reason == "window" && c.seen >= oldest:
		c.add("was told to start over because of \"window\", and the log has everything after %s", c.seen)
	case n.Reason == "limit" && len(missed) < replayEvents && bytes <= replayBytes:
		c.add("was told to start over because of \"limit\", and had missed %d events of %d bytes", len(missed), bytes)
	case n.Reason == "view" && c.feeds < keptViews:
		c.add("was told to start over because of \"view\", and its account had narrowed %d feeds", c.feeds)
	case !slices.Contains([]string{"window", "limit", "view"}, n.Reason):
		c.add("was told to start over because of %q", n.Reason)
	}
	c.next, c.seen = i, n.Position
}

func (c *checker) saw(id uint32) {
	s, i := c.sights[id], c.at[id]
	c.seen = max(c.seen, s.Position)
	switch {
	case i < 0 && c.asked != nil && c.asked.at[id] >= 0 && !inSnapshot(s): // told as the new view wants it
	case i < 0:
		c.add("heard %s, which is not what the log says for it there", s)
	case i < c.next && c.missed[i]:
		delete(c.missed, i)
		c.add("wrong order: heard %s after %s", s, c.want[c.next-1])
	case i < c.next:
		c.add("duplicate: heard %s again", s)
	default:
		c.passOver(i, s.String())
		c.next = i + 1
	}
}

// passOver takes note of what is missing before the event of that index. What a
// witness may find in the answer to feed.subscribe need not come before it.
func (c *checker) passOver(to int32, before string) {
	var holes []int32
	for j := c.next; j < to; j++ {
		if c.asked == nil || own(c.want[j]) {
			holes = append(holes, j)
			c.missed[j] = true
		}
	}
	if len(holes) > 0 {
		c.add("hole: %d events are missing before %s, the first is %s", len(holes), before, c.want[holes[0]])
	}
}

// narrows judges the answer to feed.subscribe, from whose position on the witness
// hears what is in line.
func (c *checker) narrows(line *timeline, position string) {
	if position < c.seen {
		c.add("feed.subscribe was answered at %s, before what it had seen", position)
	}
	if !c.unsure {
		c.passOver(c.after(position), "the answer to feed.subscribe")
	}
	c.timeline, c.asked, c.unsure = line, nil, false
	c.next, c.seen = c.after(position), position
	clear(c.missed)
}

// own says whether an event is an account's own, which is never narrowed.
func own(s Sight) bool {
	return !strings.HasPrefix(s.Name, "donation.") && !strings.HasPrefix(s.Name, "feed.")
}

// inSnapshot says whether a snapshot that is taken later shows what an event tells.
func inSnapshot(s Sight) bool { return s.Version > 0 }

// judgeSnapshots compares each snapshot with the board at its position.
func judgeSnapshots(e *Evidence) []string {
	type shot struct {
		who  *Testimony
		note *Note
	}
	var shots []shot
	for i := range e.Witnesses {
		w := &e.Witnesses[i]
		for j := range w.Notes {
			if w.Notes[j].Kind == NoteSnapshot {
				shots = append(shots, shot{w, &w.Notes[j]})
			}
		}
	}
	slices.SortStableFunc(shots, func(a, b shot) int { return cmp.Compare(a.note.Position, b.note.Position) })
	var v verdict
	b, next := board{}, 0
	final, _ := fold(e)
	for _, s := range shots {
		for next < len(e.Log) && e.Sights[e.Log[next]].Position <= s.note.Position {
			b.take(e.Sights[e.Log[next]], false)
			next++
		}
		for _, f := range b.compare(s.note, final) {
			v.add("%s: snapshot at %s: %s", s.who.Name, s.note.Position, f)
		}
	}
	return v.all()
}

// compare says what is wrong with a snapshot. Donations from before the run are
// passed over, and in one that is not exact, what has changed since.
func (b board) compare(n *Note, final board) (faults []string) {
	view := n.View
	there := make(map[string]bool, len(n.Items))
	for _, it := range n.Items {
		there[it.ID] = true
		d, known := b[it.ID]
		switch {
		case !known && n.Exact:
			if _, ever := final[it.ID]; ever {
				faults = append(faults, "has "+it.ID+", which was created later")
			}
		case n.Exact && (it.Version != d.version || it.Status != d.status):
			faults = append(faults, fmt.Sprintf("has %s as version %d %s, and it is version %d %s", it.ID, it.Version, it.Status, d.version, d.status))
		case n.Exact && view != nil && !view.shows(d):
			faults = append(faults, "has "+it.ID+", which is not in the view")
		case known && it.Version < d.version:
			faults = append(faults, fmt.Sprintf("has %s as version %d, and it was version %d before", it.ID, it.Version, d.version))
		}
	}
	for id, d := range b {
		if there[id] || ended(d.status) {
			continue
		}
		if n.Exact && (view == nil || view.shows(d)) || !n.Exact && final[id].version == d.version {
			faults = append(faults, fmt.Sprintf("lacks %s, %s", id, d.status))
		}
	}
	slices.Sort(faults)
	return faults
}

func ended(status string) bool {
	return status == "DELIVERED" || status == "CANCELLED" || status == "EXPIRED"
}
