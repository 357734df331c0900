package verify

import (
	"cmp"
	"encoding/json"
	"fmt"
	"hash/maphash"
	"sync"
	"time"
	"unique"

	"larder/api"
)

// Sight is one committed event as a client saw it.
type Sight struct {
	Position string
	Name     string
	Donation string
	Version  int64  // of the donation; 0 if the event does not say
	Status   string // of the donation after it; empty if the event does not say
	Previous string
	By       string // who did it
	At       time.Time
	Stands   string // feed.left and feed.entered: the event in whose place it came
	Created  *Offer // donation.created only
	Told     Told   // notification and volunteer.assigned only
	Sum      uint64 // of everything in the payload
	Size     int    // bytes of the payload
}

// Told is whom a notification is for and what it is about, or to whom a trip was
// proposed.
type Told struct {
	To, Kind, ID string // To is empty where it is for roles
}

// Offer is what donation.created says beyond the rest.
type Offer struct {
	Quantity, Unit, FoodType string
	Lat, Lng                 float64
	Expires                  time.Time
}

// ledger numbers the sights of all clients. The same content has the same number,
// whoever saw it and through which door.
type ledger struct {
	seed maphash.Seed

	mu     sync.Mutex
	raw    map[uint64]uint32 // by the bytes of the wire
	sights map[uint64]uint32 // by content
	list   []Sight
}

func newLedger() *ledger {
	return &ledger{seed: maphash.MakeSeed(), raw: map[uint64]uint32{}, sights: map[uint64]uint32{}}
}

// note numbers an event. It returns no position for what is no committed event.
func (l *ledger) note(name string, data []byte) (id uint32, position string, err error) {
	var h maphash.Hash
	h.SetSeed(l.seed)
	_, _ = h.WriteString(name)
	_ = h.WriteByte(0)
	_, _ = h.Write(data)
	key := h.Sum64()
	l.mu.Lock()
	defer l.mu.Unlock()
	if id, ok := l.raw[key]; ok {
		return id, l.list[id].Position, nil
	}
	s, err := l.look(name, data)
	if err != nil || s.Position == "" {
		return 0, "", err
	}
	id, ok := l.sights[s.Sum]
	if !ok {
		id = uint32(len(l.list))
		l.list = append(l.list, s)
		l.sights[s.Sum] = id
	}
	l.raw[key] = id
	return id, s.Position, nil
}

// all are the sights, by number.
func (l *ledger) all() []Sight {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.list[:len(l.list):len(l.list)]
}

func (l *ledger) look(name string, data []byte) (Sight, error) {
	var tree any
	if err := json.Unmarshal(data, &tree); err != nil {
		return Sight{}, fmt.Errorf("%s: %w", name, err)
	}
	var b struct {
		api.DonationStatusUpdated
		ID        string        `json:"id"`
		ClaimedBy string        `json:"claimedBy"`
		DonorID   string        `json:"donorId"`
		Event     string        `json:"event"`
		ClaimedAt *api.Time     `json:"claimedAt"`
		CreatedAt *api.Time     `json:"createdAt"`
		Donation  *api.Donation `json:"donation"`
		UserID    string        `json:"userId"`
		Volunteer string        `json:"volunteerId"`
		Type      string        `json:"type"`
	}
	if _, ok := tree.(map[string]any); !ok { // a signal of another form
		return Sight{}, nil
	}
	if err := json.Unmarshal(data, &b); err != nil {
		return Sight{}, fmt.Errorf("%s: %w", name, err)
	}
	s := Sight{
		Position: b.Position, Name: name, Donation: cmp.Or(b.DonationID, b.ID), Version: b.Version, Status: b.Status,
		Previous: b.PreviousStatus, By: cmp.Or(b.UpdatedBy, b.ClaimedBy, b.DonorID), At: b.UpdatedAt.Time, Stands: b.Event,
		Size: len(data),
	}
	switch {
	case name == api.EventNotification:
		s.Donation, s.Told = b.DonationID, Told{b.UserID, b.Type, b.ID}
		if b.CreatedAt != nil {
			s.At = b.CreatedAt.Time
		}
	case name == api.EventVolunteerAssigned:
		s.Told = Told{To: b.Volunteer, ID: b.ID}
		if b.CreatedAt != nil {
			s.At = b.CreatedAt.Time
		}
	case b.Donation != nil:
		s.Donation, s.Version, s.Status = b.Donation.ID, b.Donation.Version, b.Donation.Status
	case name == api.EventDonationCreated:
		var d api.DonationCreated
		if err := json.Unmarshal(data, &d); err != nil {
			return Sight{}, fmt.Errorf("%s: %w", name, err)
		}
		s.At = d.CreatedAt.Time
		s.Created = &Offer{Quantity: d.Quantity, Unit: d.Unit, FoodType: d.FoodType, Lat: d.Latitude, Lng: d.Longitude, Expires: d.ExpiryTime.Time}
	case b.ClaimedAt != nil:
		s.At, s.Previous = b.ClaimedAt.Time, "AVAILABLE"
	}
	content, err := json.Marshal(tree) // keys in order
	if err != nil {
		return Sight{}, fmt.Errorf("%s: %w", name, err)
	}
	var h maphash.Hash
	h.SetSeed(l.seed)
	_, _ = h.WriteString(name)
	_ = h.WriteByte(1)
	_, _ = h.Write(content)
	s.Sum = h.Sum64()
	return s, nil
}

// Item is a donation in a snapshot.
type Item struct {
	ID      string
	Version int64
	Status  string
}

// itemsOf keeps of a list what a snapshot is judged by. Clients list the same
// donations again and again: their ids are kept once.
func itemsOf(list []api.Donation) []Item {
	items := make([]Item, 0, len(list))
	for _, d := range list {
		items = append(items, Item{ID: unique.Make(d.ID).Value(), Version: d.Version, Status: d.Status})
	}
	return items
}

// NoteKind says what a note is about.
type NoteKind int

// The kinds of notes.
const (
	// NoteSaw: Count events, numbered from First on.
	NoteSaw NoteKind = iota + 1
	// NoteBegan: the witness hears what comes after Position. Its first note.
	NoteBegan
	// NoteGap: what was missed can't be told, because of Reason; it goes on after
	// Position.
	NoteGap
	// NoteSnapshot: what the board looked like at Position if Exact, else at some
	// moment after it.
	NoteSnapshot
	// NoteAsked: the witness asked for another View and goes on to hear what it hears.
	NoteAsked
	// NoteUnsure: its connection ended before it was answered. Until it is, it writes
	// down nothing.
	NoteUnsure
	// NoteNarrowed: what comes after Position is told as View wants it.
	NoteNarrowed
	// NoteSuspended: the witness was not let in, as its account was suspended.
	NoteSuspended
	// NoteFault: something came that is no answer of a Larder.
	NoteFault
)

// Note is one thing that a witness wrote down.
type Note struct {
	Kind         NoteKind
	First, Count uint32
	Position     string
	Reason       string // of a gap; of a fault what it was
	Items        []Item
	Exact        bool
	View         *View // nil: everything
}

// View is what a client wants to hear of.
type View struct {
	Lat, Lng, RadiusKm float64 // RadiusKm 0: everywhere
	Statuses           []string
	FoodTypes          []string
}

// Testimony is what one witness wrote down, in the order in which it came.
type Testimony struct {
	Name    string
	Door    string
	Account string
	View    *View // at first; nil: everything
	Notes   []Note
}

// saw adds an event.
func (t *Testimony) saw(id uint32) {
	if n := len(t.Notes); n > 0 {
		if last := &t.Notes[n-1]; last.Kind == NoteSaw && last.First+last.Count == id {
			last.Count++
			return
		}
	}
	t.Notes = append(t.Notes, Note{Kind: NoteSaw, First: id, Count: 1})
}
