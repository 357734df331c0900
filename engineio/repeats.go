package engineio

import (
	"hash/maphash"
	"slices"
)

// repeatsKept is how many requests of each kind are remembered. One that comes
// again has been overtaken by a few at most.
const repeatsKept = 16

// repeats tell a request of a polling client from one that came already (E-74,
// E-75). Browsers, proxies and HTTP libraries send a request again whose connection
// broke before the answer began, and the first may have arrived all the same, or
// arrive later.
type repeats struct{ polls, posts []uint64 } // marks, the newest last

// repeat is what a request is to the ones before it.
type repeat uint8

const (
	isNew    repeat = iota + 1
	isLatest        // it is the newest one again
	isOlder         // another one has come meanwhile
)

// note says what a request with that mark is, and remembers it.
func note(marks *[]uint64, mark uint64) repeat {
	if mark == 0 { // the client does not tell
		return isNew
	}
	switch i := slices.Index(*marks, mark); {
	case i >= 0 && i == len(*marks)-1:
		return isLatest
	case i >= 0:
		return isOlder
	}
	if len(*marks) == repeatsKept {
		*marks = slices.Delete(*marks, 0, 1)
	}
	*marks = append(*marks, mark)
	return isNew
}

// forgetPost forgets a POST that was refused: if it comes again it is refused again.
func (s *Session) forgetPost(mark uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.repeats != nil {
		s.repeats.posts = slices.DeleteFunc(s.repeats.posts, func(m uint64) bool { return m == mark })
	}
}

// repeatsLocked are those of the session.
func (s *Session) repeatsLocked() *repeats {
	if s.repeats == nil {
		s.repeats = new(repeats)
	}
	return s.repeats
}

// markOf makes the mark of a request from the text that the client has put into it,
// another one for each.
func markOf(text string) uint64 {
	if text == "" {
		return 0
	}
	return max(1, maphash.String(markSeed, text))
}

var markSeed = maphash.MakeSeed()
