package gateway

import "slices"

const (
	maxQueued = 256 << 10 // bytes that wait for one client, beside the largest frame
	maxPiece  = 64 << 10  // bytes that a client has writeTimeout for
)

// backlog is the frames that wait for a client of our own doors, oldest first, and
// what is being written. Its owner guards it.
//
// The largest frame does not count: a snapshot is larger than the bound by itself, and
// what happens while a client reads it is no reason to cut that client. Who asks for
// a second one before it has read the first is cut.
type backlog struct {
	frames  [][]byte
	bytes   int // of what waits and what is being written
	largest int // frame of these
}

// add takes a frame, if there is room.
func (b *backlog) add(frame []byte) bool {
	if b.bytes+len(frame)-max(b.largest, len(frame)) > maxQueued {
		return false
	}
	b.force(frame)
	return true
}

// force takes last words, for which there is always room.
func (b *backlog) force(frame []byte) {
	b.frames = append(b.frames, frame)
	b.bytes += len(frame)
	b.largest = max(b.largest, len(frame))
}

// take is what to write next: frames up to maxPiece, or one that is larger. It is
// empty when nothing waits.
func (b *backlog) take() []byte {
	n, size := 0, 0
	for n < len(b.frames) && (n == 0 || size+len(b.frames[n]) <= maxPiece) {
		size += len(b.frames[n])
		n++
	}
	var piece []byte
	if n == 1 { // maybe a snapshot: it is not copied
		piece = b.frames[0]
	} else {
		piece = slices.Concat(b.frames[:n]...)
	}
	clear(b.frames[:n])
	if b.frames = b.frames[n:]; len(b.frames) == 0 {
		b.frames = nil
	}
	return piece
}

// wrote takes off what take gave last.
func (b *backlog) wrote(piece []byte) {
	b.bytes -= len(piece)
	b.largest = 0
	for _, f := range b.frames {
		b.largest = max(b.largest, len(f))
	}
}

// drop forgets what waits.
func (b *backlog) drop() {
	for _, f := range b.frames {
		b.bytes -= len(f)
	}
	b.frames = nil
}
