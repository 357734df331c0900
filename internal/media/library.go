package media

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"strings"
	"time"

	"larder/internal/store"
)

// Limits of what is taken in, in bytes.
const (
	MaxPhoto       = 5 << 20
	MaxCertificate = 10 << 20
)

// What is collected, and when.
const (
	// LooseFor is how long a file stays that nobody refers to. It is longer than
	// idempotency keys live, so that a command that is repeated with the same files is
	// still the same command.
	LooseFor = 48 * time.Hour
	// CancelledFor is how long the photos of a cancelled donation stay.
	CancelledFor = 7 * 24 * time.Hour

	sweepEvery = time.Hour
	sweepBatch = 100 // names in one transaction
)

// decodings is how many pictures are decoded at once.
const decodings = 2

// Library keeps files, and in a database who refers to them.
type Library struct {
	db    *store.Store
	files Files
	log   *slog.Logger

	decoding chan struct{} // one for each picture that is being decoded
	much     chan struct{} // the one that takes much memory
}

// New returns a Library.
func New(db *store.Store, files Files, log *slog.Logger) *Library {
	return &Library{
		db: db, files: files, log: log,
		decoding: make(chan struct{}, decodings), much: make(chan struct{}, 1),
	}
}

// KeepPhoto checks a photo, writes it anew and returns its name. It stays for
// LooseFor, and as long as somebody refers to it. A photo that is not taken is
// ErrNoImage, ErrUnreadable, ErrManyPixels, ErrMuchToRead or ErrAnimated.
func (l *Library) KeepPhoto(ctx context.Context, data []byte) (name string, err error) {
	rendered, err := l.render(ctx, data, len(sizes))
	if err != nil {
		return "", err
	}
	return l.keep(ctx, photos, "", rendered)
}

// KeepCertificate does the same for a certificate: an image is written anew, a PDF
// is kept as it is. What is neither is ErrNoDocument.
func (l *Library) KeepCertificate(ctx context.Context, data []byte) (name string, err error) {
	if kindOf(data) == pdfFile {
		return l.keep(ctx, certificates, ".pdf", [][]byte{data})
	}
	rendered, err := l.render(ctx, data, 1)
	if errors.Is(err, ErrNoImage) {
		err = ErrNoDocument
	}
	if err != nil {
		return "", err
	}
	return l.keep(ctx, certificates, ".jpg", rendered)
}

// render waits for its turn before it decodes.
func (l *Library) render(ctx context.Context, data []byte, n int) ([][]byte, error) {
	p, err := inspect(data)
	if err != nil {
		return nil, err
	}
	turns := []chan struct{}{l.decoding}
	if p.cost > muchDecoding {
		turns = []chan struct{}{l.much, l.decoding} // who waits for the first holds no second
	}
	for _, turn := range turns {
		select {
		case turn <- struct{}{}:
			defer func() { <-turn }()
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if err := ctx.Err(); err != nil { // it ended just as the turn came
		return nil, err
	}
	return p.render(n)
}

// keep reserves a name and writes what is not there yet.
func (l *Library) keep(ctx context.Context, folder, extension string, rendered [][]byte) (name string, err error) {
	content, fresh := newName(folder, rendered[0], extension)
	err = l.db.Update(ctx, func(tx *store.Tx) (err error) {
		name, err = tx.ReserveMedia(ctx, content, fresh, time.Now())
		return err
	})
	if err != nil {
		return "", err
	}
	for i, place := range filesOf(name) {
		there, err := l.files.Has(ctx, place)
		if err == nil && !there {
			err = l.files.Put(ctx, place, rendered[i])
		}
		if err != nil {
			return "", err
		}
	}
	return name, nil
}

// Want says whether a photo is there, and has it stay as if it were new.
func (l *Library) Want(ctx context.Context, name string) (bool, error) {
	err := l.db.Update(ctx, func(tx *store.Tx) error { return tx.WantMedia(ctx, name, time.Now()) })
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// File is a file that is open for reading.
type File struct {
	io.ReadCloser
	Size int64
	PDF  bool // else it is a JPEG
}

// OpenPhoto opens a photo by the last part of its path. What is no name of a photo is
// not looked for, and is fs.ErrNotExist like a photo that is not there.
func (l *Library) OpenPhoto(ctx context.Context, base string) (File, error) {
	if !photoFile.MatchString(base) {
		return File{}, fs.ErrNotExist
	}
	return l.open(ctx, photos+base)
}

// OpenCertificate opens the certificate that an account sent. If there is none it
// returns fs.ErrNotExist.
func (l *Library) OpenCertificate(ctx context.Context, accountID string) (File, error) {
	var c store.Certificate
	err := l.db.View(ctx, func(tx *store.Tx) (err error) {
		c, err = tx.Certificate(ctx, accountID)
		return err
	})
	if errors.Is(err, store.ErrNotFound) || err == nil && c.File == "" {
		return File{}, fs.ErrNotExist
	}
	if err != nil {
		return File{}, err
	}
	return l.open(ctx, c.File)
}

func (l *Library) open(ctx context.Context, file string) (File, error) {
	r, size, err := l.files.Open(ctx, where(file))
	return File{ReadCloser: r, Size: size, PDF: strings.HasSuffix(file, ".pdf")}, err
}

// Run collects what nobody refers to, until ctx ends, and returns nil then. A
// failure is logged and tried again an hour later.
func (l *Library) Run(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		removed, err := l.Sweep(ctx)
		if removed > 0 {
			l.log.Info("files collected", "count", removed)
		}
		if err != nil && ctx.Err() == nil {
			l.log.Error("files can't be collected", "err", err)
		}
		timer.Reset(sweepEvery)
	}
}

// Sweep collects all that is due now, in small transactions, and returns how many
// names went. Files are removed after the transaction that dropped their name, never
// in it; after a crash in between they are removed by the next Sweep of any node.
func (l *Library) Sweep(ctx context.Context) (removed int, err error) {
	return l.sweep(ctx, time.Now().Add(-LooseFor), time.Now().Add(-CancelledFor))
}

func (l *Library) sweep(ctx context.Context, loose, cancelled time.Time) (removed int, err error) {
	for {
		var over, drop, dropped []string
		err := l.db.View(ctx, func(tx *store.Tx) (err error) {
			if over, err = tx.OverMedia(ctx, cancelled, sweepBatch); err != nil {
				return err
			}
			if drop, err = tx.LooseMedia(ctx, loose, sweepBatch); err != nil {
				return err
			}
			dropped, err = tx.DroppedMedia(ctx, sweepBatch)
			return err
		})
		if err != nil || len(over)+len(drop)+len(dropped) == 0 {
			return removed, err
		}
		if err := l.removeFiles(ctx, dropped); err != nil {
			return removed, err
		}
		err = l.db.Update(ctx, func(tx *store.Tx) error {
			for _, owner := range over {
				if err := tx.ReleaseMedia(ctx, owner); err != nil {
					return err
				}
			}
			for _, name := range dropped {
				if err := tx.ForgetMedia(ctx, name); err != nil {
					return err
				}
			}
			return tx.DropMedia(ctx, loose, drop)
		})
		if err != nil {
			return removed, err
		}
		removed += len(dropped)
	}
}

func (l *Library) removeFiles(ctx context.Context, names []string) error {
	for _, name := range names {
		for _, place := range filesOf(name) {
			if err := l.files.Remove(ctx, place); err != nil {
				return fmt.Errorf("collect %s: %w", name, err)
			}
		}
	}
	return nil
}
