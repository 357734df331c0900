package media_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"larder/internal/account"
	"larder/internal/donation"
	"larder/internal/media"
	"larder/internal/store"
	"larder/internal/testkit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type rig struct {
	*media.Library
	t      *testing.T
	store  *store.Store
	folder string
	files  *failing
}

func newRig(t *testing.T) *rig {
	r := &rig{t: t, folder: t.TempDir()}
	var err error
	if r.store, err = store.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "larder.db")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.store.Close() })
	if _, err := r.store.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.files = &failing{Files: openDisk(t, r.folder)}
	r.Library = media.New(r.store, r.files, slog.New(testkit.NewLogs(t).Handler()))
	return r
}

func (r *rig) photo(side int) string {
	r.t.Helper()
	name, err := r.KeepPhoto(r.t.Context(), jpegOf(r.t, quarters(side, 10)))
	if err != nil {
		r.t.Fatal(err)
	}
	return name
}

func (r *rig) update(fn func(*store.Tx) error) {
	r.t.Helper()
	if err := r.store.Update(r.t.Context(), fn); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) hold(owner, name string) {
	r.t.Helper()
	r.update(func(tx *store.Tx) error { return tx.HoldMedia(r.t.Context(), owner, name) })
}

func (r *rig) sweep() int {
	r.t.Helper()
	n, err := r.Sweep(r.t.Context())
	if err != nil {
		r.t.Fatalf("sweep: %v", err)
	}
	return n
}

// there says whether a photo can be read in all its sizes, or in none.
func (r *rig) there(name string) bool {
	r.t.Helper()
	n := 0
	for _, place := range media.FilesOf(name) {
		f, err := r.OpenPhoto(r.t.Context(), filepath.Base(place))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			r.t.Fatal(err)
		}
		_ = f.Close()
		n++
	}
	if n != 0 && n != 3 {
		r.t.Errorf("%s: %d of 3 sizes", name, n)
	}
	return n == 3
}

func readAll(t *testing.T, f media.File, err error) []byte {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b, err := io.ReadAll(f)
	if err != nil || int64(len(b)) != f.Size {
		t.Fatalf("read %d bytes of %d: %v", len(b), f.Size, err)
	}
	return b
}

func TestNamesAreHashesOfWhatIsWritten(t *testing.T) {
	r := newRig(t)
	name := r.photo(100)
	base := strings.TrimSuffix(strings.TrimPrefix(media.PhotoPath(name), "/media/"), ".jpg")
	f, err := r.OpenPhoto(t.Context(), base+".jpg")
	sum := sha256.Sum256(readAll(t, f, err))
	if hash, _, _ := strings.Cut(base, "-"); hash != hex.EncodeToString(sum[:]) {
		t.Errorf("%s holds %x", base, sum)
	}
	if again := r.photo(100); again != name {
		t.Errorf("the same photo is %s and %s", name, again)
	}
	if other := r.photo(101); other == name {
		t.Error("another photo has the same name")
	}
	for _, size := range []string{"", "-320", "-1280"} {
		f, err := r.OpenPhoto(t.Context(), base+size+".jpg")
		readAll(t, f, err)
		address := "https://larder.example.org/media/" + base + size + ".jpg"
		if got, ok := media.PhotoAt(address); !ok || got != name {
			t.Errorf("%s: got %q, %t", address, got, ok)
		}
	}
	for _, base := range []string{
		"", base, base + ".png", base + "-640.jpg", base + ".jpg/", "../" + base + ".jpg", strings.ToUpper(base) + ".jpg",
		base + ".jpg\x00", "..", "../../larder.db", strings.Repeat("0", 64) + "-aaaaaaaa.jpg", base[:70] + ".jpg", base + ".jpg\n",
	} {
		if _, err := r.OpenPhoto(t.Context(), base); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%q: got %v", base, err)
		}
	}
	for _, address := range []string{"https://example.org/a.jpg", "/media/x.jpg", "/media/" + base + ".jpg?x", "/media/" + base + ".png"} {
		if got, ok := media.PhotoAt(address); ok {
			t.Errorf("%s: taken for %s", address, got)
		}
	}
}

func TestCertificates(t *testing.T) {
	r := newRig(t)
	ctx := t.Context()
	pdf := []byte("%PDF-1.4\n<script>kept as it is</script>\n%%EOF\n")
	r.update(func(tx *store.Tx) error {
		return tx.InsertAccount(ctx, account.Account{ID: "ngo", Email: "n@example.org", Role: account.NGO, Active: true}, "")
	})
	save := func(data []byte) media.File {
		t.Helper()
		name, err := r.KeepCertificate(ctx, data)
		if err != nil {
			t.Fatal(err)
		}
		r.update(func(tx *store.Tx) error {
			return tx.SaveCertificate(ctx, "ngo", store.Certificate{File: name}, time.Now())
		})
		f, err := r.OpenCertificate(ctx, "ngo")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.OpenPhoto(ctx, filepath.Base(name)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("a certificate is public: %v", err)
		}
		return f
	}
	if _, err := r.OpenCertificate(ctx, "ngo"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("none: %v", err)
	}
	if f := save(pdf); !f.PDF || !bytes.Equal(readAll(t, f, nil), pdf) {
		t.Error("the PDF was changed")
	}
	_ = save(pngOf(t, quarters(20, 20))).Close()
	if f := save(append(jpegOf(t, quarters(40, 20)), "%PDF-"...)); f.PDF || bytes.Contains(readAll(t, f, nil), []byte("%PDF-")) {
		t.Error("an image was kept with what is behind it")
	}
	for name, data := range map[string][]byte{"text": []byte("x"), "PDF later": []byte(" %PDF-1.4"), "nothing": nil, "program": []byte("MZ\x90")} {
		if _, err := r.KeepCertificate(ctx, data); !errors.Is(err, media.ErrNoDocument) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// The same photo from many at once is one photo.
func TestSamePhotoAtOnce(t *testing.T) {
	r := newRig(t)
	data := jpegOf(t, quarters(60, 40))
	names := make([]string, 12)
	var all sync.WaitGroup
	for i := range names {
		all.Go(func() {
			var err error
			if names[i], err = r.KeepPhoto(t.Context(), data); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	for _, name := range names {
		if name != names[0] {
			t.Errorf("two names: %s and %s", name, names[0])
		}
	}
	wantFiles(t, r.folder, media.FilesOf(names[0])...)
}

func TestWhoWaitsForATurnCanLeave(t *testing.T) {
	r := newRig(t)
	free := r.TakeTurns()
	ctx, cancel := context.WithCancel(t.Context())
	left := make(chan error)
	go func() {
		_, err := r.KeepPhoto(ctx, jpegOf(t, quarters(10, 10)))
		left <- err
	}()
	cancel()
	if err := <-left; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	free()
	r.photo(10)
}

// Turns are free, and who sent the picture has left: it is not decoded.
func TestWhoHasLeftGetsNoTurn(t *testing.T) {
	r := newRig(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 30 { // of two that are ready, select takes any
		if _, err := r.KeepPhoto(ctx, bomb(10, 10, 8, 2)); !errors.Is(err, context.Canceled) {
			t.Fatalf("got %v", err)
		}
	}
}

// What takes much memory waits for its own kind and keeps no small photo waiting.
func TestLargePhotosComeOneByOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		large := header(0xc0, 8000, 5000, 0x11, 0x11, 0x11) // of 120 MB, and with nothing in it
		free := r.TakeMuch()
		ended := make(chan error, 1)
		go func() {
			_, err := r.KeepPhoto(t.Context(), large)
			ended <- err
		}()
		synctest.Wait()
		r.photo(10)
		select {
		case err := <-ended:
			t.Errorf("it did not wait: %v", err)
		default:
			free()
			if err := <-ended; !errors.Is(err, media.ErrUnreadable) {
				t.Errorf("when it is its turn: %v", err)
			}
		}
	})
}

func TestWhatIsCollected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		ctx := t.Context()
		r.update(func(tx *store.Tx) error {
			return errors.Join(
				tx.InsertAccount(ctx, account.Account{ID: "donor", Email: "d@example.org", Role: account.Donor, Active: true}, ""),
				tx.InsertAccount(ctx, account.Account{ID: "ngo", Email: "n@example.org", Role: account.NGO, Active: true}, ""))
		})
		list := func(id string, status donation.Status, photo string) {
			d := donation.Donation{ID: id, DonorID: "donor", Status: status, Version: 1, CreatedAt: time.Now(), UpdatedAt: time.Now(), ExpiryTime: time.Now(), PreparationTime: time.Now()}
			r.update(func(tx *store.Tx) error {
				return errors.Join(tx.InsertDonation(ctx, d), tx.HoldMedia(ctx, id, photo))
			})
		}
		refused, shared, cancelled, wanted := r.photo(20), r.photo(21), r.photo(22), r.photo(23)
		list("kept", donation.Delivered, shared)
		list("cancelled", donation.Cancelled, cancelled)
		list("cancelled too", donation.Cancelled, shared)
		certificate, err := r.KeepCertificate(ctx, []byte("%PDF-1.4"))
		if err != nil {
			t.Fatal(err)
		}
		r.update(func(tx *store.Tx) error {
			return tx.SaveCertificate(ctx, "ngo", store.Certificate{File: certificate}, time.Now())
		})
		want := func(when string, names ...string) {
			t.Helper()
			for _, name := range []string{refused, shared, cancelled, wanted} {
				is := false
				for _, n := range names {
					is = is || n == name
				}
				if r.there(name) != is {
					t.Errorf("%s: %s is there: %t", when, name, !is)
				}
			}
		}
		<-time.After(media.LooseFor)
		if n := r.sweep(); n != 0 {
			t.Errorf("%d went too early", n)
		}
		if ok, err := r.Want(ctx, wanted); !ok || err != nil {
			t.Errorf("wanted again: %t, %v", ok, err)
		}
		<-time.After(time.Millisecond)
		if n := r.sweep(); n != 1 {
			t.Errorf("%d went, want 1", n)
		}
		want("after 48 h", shared, cancelled, wanted)
		if ok, err := r.Want(ctx, refused); ok || err != nil {
			t.Errorf("gone and wanted: %t, %v", ok, err)
		}
		if again := r.photo(20); again == refused || !r.there(again) {
			t.Errorf("sent again it is %s", again)
		}
		<-time.After(media.CancelledFor)
		r.sweep()
		want("after a week more", shared)
		f, err := r.OpenCertificate(ctx, "ngo")
		readAll(t, f, err)
		r.update(func(tx *store.Tx) error {
			a, err := tx.Account(ctx, "ngo")
			a.Deleted = true
			return errors.Join(err, tx.UpdateAccount(ctx, a))
		})
		r.sweep()
		wantFiles(t, r.folder, media.FilesOf(shared)...)
	})
}

// A sweep that ends in the middle, by a crash or because files can't be removed, is
// taken up again.
func TestCollectionIsTakenUpAgain(t *testing.T) {
	r := newRig(t)
	name, later := r.photo(20), time.Now().Add(time.Hour)
	r.files.err = errors.New("no way to remove")
	if _, err := r.SweepAt(t.Context(), later, later); !errors.Is(err, r.files.err) {
		t.Fatalf("got %v", err)
	}
	if err := r.store.Update(t.Context(), func(tx *store.Tx) error { return tx.HoldMedia(t.Context(), "d", name) }); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("held what was dropped: %v", err)
	}
	fresh := r.photo(20) // the same photo, while the old one is on its way out
	r.hold("d", fresh)
	r.files.err = nil
	if n, err := r.SweepAt(t.Context(), later, later); n != 1 || err != nil {
		t.Errorf("got %d, %v", n, err)
	}
	if r.there(name) || !r.there(fresh) {
		t.Errorf("old one there: %t, new one: %t", r.there(name), r.there(fresh))
	}
}

// However an upload and a sweep meet, a photo that a committed row refers to is there.
// Without a grace time at all they meet all the time.
func TestCollectionAgainstUploads(t *testing.T) {
	r := newRig(t)
	ctx := t.Context()
	done := make(chan struct{})
	var sweeping, uploading sync.WaitGroup
	var swept atomic.Int64
	for range 2 { // two nodes
		sweeping.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				later := time.Now().Add(time.Hour)
				if n, err := r.SweepAt(ctx, later, later); err != nil {
					t.Error(err)
					return
				} else {
					swept.Add(int64(n))
				}
			}
		})
	}
	data := jpegOf(t, quarters(16, 8))
	for i := range 4 {
		uploading.Go(func() {
			for j := range 25 {
				owner := fmt.Sprintf("%d-%d", i, j)
				name, err := r.KeepPhoto(ctx, data)
				if err != nil {
					t.Error(err)
					return
				}
				err = r.store.Update(ctx, func(tx *store.Tx) error { return tx.HoldMedia(ctx, owner, name) })
				switch {
				case errors.Is(err, store.ErrNotFound): // dropped meanwhile: the command would be refused
					continue
				case err != nil:
					t.Error(err)
					return
				case !r.there(name):
					t.Errorf("%s is held and not there", name)
				}
				if err := r.store.Update(ctx, func(tx *store.Tx) error { return tx.ReleaseMedia(ctx, owner) }); err != nil {
					t.Error(err)
				}
			}
		})
	}
	uploading.Wait()
	close(done)
	sweeping.Wait()
	t.Logf("%d names were collected meanwhile", swept.Load())
}
