package node_test

import (
	"bytes"
	"fmt"
	"image"
	"image/jpeg"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"

	"larder/api"
	"larder/internal/account"
	"larder/internal/config"
	"larder/internal/testkit"
)

// A photo outlives its node, in the data folder and in a bucket.
func TestPhotosOutliveTheirNode(t *testing.T) {
	backend := s3mem.New()
	if err := backend.CreateBucket("larder"); err != nil {
		t.Fatal(err)
	}
	store := httptest.NewServer(gofakes3.New(backend, gofakes3.WithLogger(gofakes3.DiscardLog())).Server())
	t.Cleanup(store.Close)
	for name, bucket := range map[string]config.S3{
		"folder": {},
		"bucket": {Endpoint: strings.TrimPrefix(store.URL, "http://"), Bucket: "larder", AccessKey: "k", SecretKey: "s"},
	} {
		t.Run(name, func(t *testing.T) {
			o := testkit.Options{DataDir: t.TempDir(), Config: func(c *config.Config) { c.S3 = bucket }}
			n := testkit.Start(t, o)
			path := strings.TrimPrefix(donateWithPhoto(t, n), n.URL())
			before := n.Get(path, "")
			if err := n.Stop(); err != nil {
				t.Fatal(err)
			}
			n = testkit.Start(t, o)
			after := n.Get(path, "")
			if before.Status != 200 || after.Status != 200 || !bytes.Equal(before.Body, after.Body) {
				t.Errorf("before: %d, after: %d", before.Status, after.Status)
			}
			photos, err := filepath.Glob(filepath.Join(o.DataDir, "media", "photos", "*", "*"))
			if want := map[string]int{"folder": 3, "bucket": 0}[name]; err != nil || len(photos) != want {
				t.Errorf("in the data folder: %v, %v, want %d", photos, err, want)
			}
			if info, err := os.Stat(filepath.Join(o.DataDir, "media")); name == "folder" && (err != nil || info.Mode().Perm() != 0o700) {
				t.Errorf("media folder: %v, %v", info, err)
			}
		})
	}
}

// donateWithPhoto lists a donation with a photo and returns the photo's address.
func donateWithPhoto(t *testing.T, n *testkit.Node) string {
	t.Helper()
	var photo bytes.Buffer
	if err := jpeg.Encode(&photo, image.NewGray(image.Rect(0, 0, 30, 20)), nil); err != nil {
		t.Fatal(err)
	}
	var body strings.Builder
	for field, text := range map[string]string{
		"name": "Bread", "foodType": "bakery", "quantity": "2", "unit": "kg", "latitude": "1", "longitude": "2",
		"expiryTime": time.Now().Add(time.Hour).UTC().Format(time.RFC3339),
	} {
		fmt.Fprintf(&body, "--x\r\nContent-Disposition: form-data; name=%q\r\n\r\n%s\r\n", field, text)
	}
	fmt.Fprintf(&body, "--x\r\nContent-Disposition: form-data; name=\"images\"; filename=\"a.jpg\"\r\n\r\n%s\r\n--x--\r\n", photo.String())
	d := testkit.Must[api.Donation](n, n.Do(testkit.Call{
		Method: "POST", Path: "/donations", Token: n.User(account.Donor).Token, Body: body.String(),
		Header: http.Header{"Content-Type": {"multipart/form-data; boundary=x"}},
	}), 201)
	return d.ImageURLs[0]
}
