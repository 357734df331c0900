package media_test

import (
	"errors"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"

	"larder/internal/media"
	"larder/internal/testkit"
)

// bucket is one in an object store in this process.
func bucket(t *testing.T, change ...func(http.Handler) http.Handler) *media.Bucket {
	t.Helper()
	backend := s3mem.New()
	if err := backend.CreateBucket("larder"); err != nil {
		t.Fatal(err)
	}
	handler := gofakes3.New(backend, gofakes3.WithLogger(gofakes3.DiscardLog())).Server()
	for _, c := range change {
		handler = c(handler)
	}
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	b, err := media.NewBucket(media.BucketConfig{
		Endpoint: strings.TrimPrefix(server.URL, "http://"), Bucket: "larder", AccessKey: "key", SecretKey: "secret", Region: "us-east-1",
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

func TestBucketKeepsFiles(t *testing.T) { filesSuite(t, bucket(t)) }

// A library on a bucket does what one on a disk does.
func TestLibraryOnABucket(t *testing.T) {
	r := newRig(t)
	r.files.Files = bucket(t)
	r.Library = media.New(r.store, r.files, slog.New(testkit.NewLogs(t).Handler()))
	name := r.photo(50)
	if !r.there(name) {
		t.Error("what was kept is not there")
	}
	free := r.photo(51)
	r.hold("d", name)
	if n := r.sweep(); n != 0 {
		t.Errorf("%d went too early", n)
	}
	later := time.Now().Add(media.LooseFor * 2)
	if n, err := r.SweepAt(t.Context(), later, later); n != 1 || err != nil || r.there(free) || !r.there(name) {
		t.Errorf("%d went, %v; free there: %t; held there: %t", n, err, r.there(free), r.there(name))
	}
}

// A store that is away or says no is an error, never a file that is not there.
func TestBucketFails(t *testing.T) {
	status := http.StatusForbidden
	b := bucket(t, func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
	})
	there, err := b.Has(t.Context(), "photos/ab/x.jpg")
	_, _, openErr := b.Open(t.Context(), "photos/ab/x.jpg")
	if there || err == nil || openErr == nil || errors.Is(openErr, fs.ErrNotExist) {
		t.Errorf("has: %t, %v; open: %v", there, err, openErr)
	}
	if b.Put(t.Context(), "photos/ab/x.jpg", []byte("x")) == nil || b.Remove(t.Context(), "photos/ab/x.jpg") == nil {
		t.Error("put or removed")
	}
	for _, c := range []media.BucketConfig{{Endpoint: "http://a b"}, {Endpoint: ""}} {
		if _, err := media.NewBucket(c); err == nil {
			t.Errorf("%+v was taken", c)
		}
	}
}
