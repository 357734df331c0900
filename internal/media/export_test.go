package media

import (
	"context"
	"time"
)

// Orientation is what is read of the EXIF of an image.
func Orientation(data []byte) int { return orientation(kindOf(data), data) }

// TIFFOrientation is the same of a bare TIFF structure.
var TIFFOrientation = tiffOrientation

// Cost is what decoding an image is said to take, in bytes.
func Cost(data []byte) (int64, error) {
	p, err := inspect(data)
	return p.cost, err
}

// Render is what becomes of an image.
func Render(data []byte) ([][]byte, error) {
	p, err := inspect(data)
	if err != nil {
		return nil, err
	}
	return p.render(len(sizes))
}

// FilesOf are the places of what is kept under a name.
var FilesOf = filesOf

// SweepAt is Sweep with other limits.
func (l *Library) SweepAt(ctx context.Context, loose, cancelled time.Time) (int, error) {
	return l.sweep(ctx, loose, cancelled)
}

// TakeMuch takes the turn of what takes much memory, until free is called.
func (l *Library) TakeMuch() (free func()) {
	l.much <- struct{}{}
	return func() { <-l.much }
}

// TakeTurns takes all turns at decoding until free is called.
func (l *Library) TakeTurns() (free func()) {
	for range decodings {
		l.decoding <- struct{}{}
	}
	return func() {
		for range decodings {
			<-l.decoding
		}
	}
}
