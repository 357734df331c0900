package httpapi_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"maps"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"larder/api"
	"larder/internal/account"
	"larder/internal/auth"
	"larder/internal/config"
	"larder/internal/store"
	"larder/internal/testkit"
	"larder/internal/testkit/wire"
)

// upload is one part of a form; without a file name it is a field.
type upload struct{ field, file, content string }

func formOf(t *testing.T, parts ...upload) (body []byte, header http.Header) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for _, p := range parts {
		h := textproto.MIMEHeader{"Content-Disposition": {fmt.Sprintf(`form-data; name=%q`, p.field)}}
		if p.file != "" {
			h = textproto.MIMEHeader{"Content-Disposition": {fmt.Sprintf(`form-data; name=%q; filename=%q`, p.field, p.file)}, "Content-Type": {"image/jpeg"}}
		}
		part, err := w.CreatePart(h)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(part, p.content)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes(), http.Header{"Content-Type": {w.FormDataContentType()}}
}

// addFood is the form of the existing front end, field for field.
func addFood() []upload {
	now := time.Now().UTC()
	return []upload{
		{"name", "", "Veg Biryani"},
		{"foodType", "", "raw"},
		{"quantity", "", "5"},
		{"unit", "", "kg"},
		{"description", "", ""},
		{"preparationTime", "", now.Add(-time.Minute).Format(time.RFC3339)},
		{"expiryTime", "", now.Add(24 * time.Hour).Format(time.RFC3339)},
		{"donorId", "", "f1d6422b-cd89-4d4a-8ffb-4fee9fee0b33"},
		{"donorName", "", "Green Cafe"},
		{"donorTrustScore", "", "4.5"},
		{"latitude", "", "12.9716"},
		{"longitude", "", "-77.5946"},
		{"hygiene", "", `{"keptCovered":true,"containerClean":false}`},
	}
}

func (w *world) sendForm(t *testing.T, path, token string, parts ...upload) testkit.Reply {
	t.Helper()
	body, header := formOf(t, parts...)
	return w.Do(testkit.Call{Method: "POST", Path: path, Token: token, Body: body, Header: header})
}

func photo(w, h int) string {
	m := image.NewRGBA(image.Rect(0, 0, w, h))
	for x := range w {
		for y := range h {
			m.Set(x, y, color.RGBA{uint8(x), uint8(y), 90, 255})
		}
	}
	var b bytes.Buffer
	_ = jpeg.Encode(&b, m, nil) // a bytes.Buffer takes everything
	return b.String()
}

func pngPhoto(w, h int) string {
	var b bytes.Buffer
	_ = png.Encode(&b, image.NewGray(image.Rect(0, 0, w, h)))
	return b.String()
}

func gifPhoto() string {
	var b bytes.Buffer
	_ = gif.Encode(&b, image.NewPaletted(image.Rect(0, 0, 9, 9), color.Palette{color.Black, color.White}), nil)
	return b.String()
}

// taken is a photo as a phone has it: lying on its side, and with the place.
func taken(jpg string) string {
	exif := []byte("Exif\x00\x00MM\x00*\x00\x00\x00\x08\x00\x02" + "\x01\x12\x00\x03\x00\x00\x00\x01\x00\x06\x00\x00" +
		"\x88\x25\x00\x04\x00\x00\x00\x01\x00\x00\x00\x26" + "\x00\x00\x00\x00" + "\x00\x01\x00\x01\x00\x02\x00\x00\x00\x02N\x00\x00\x00\x00\x00\x00\x00GPS-was-here")
	return jpg[:2] + "\xff\xe1" + string(binary.BigEndian.AppendUint16(nil, uint16(len(exif)+2))) + string(exif) + jpg[2:]
}

// padded is a photo of exactly so many bytes.
func padded(jpg string, size int) string { return jpg + strings.Repeat("\x00", size-len(jpg)) }

// get asks for an absolute address of the node.
func (w *world) get(t *testing.T, address string) testkit.Reply {
	t.Helper()
	path, ok := strings.CutPrefix(address, w.URL())
	if !ok {
		t.Fatalf("%s is not at %s", address, w.URL())
	}
	return w.Get(path, "")
}

// P-50, P-52.
func TestPhotosOfADonation(t *testing.T) {
	w := newWorld(t)
	donor := w.users["donor"].Token
	r := w.sendForm(t, "/donations", donor, append(addFood(),
		upload{"images", "my.lunch.of.today.jpg", taken(photo(300, 200))},
		upload{"imageUrls", "", "https://example.org/mine.jpg"},
		upload{"images", "a.png", pngPhoto(2600, 20)},
		upload{"images", "never looked at", gifPhoto()})...)
	d := testkit.Must[api.Donation](w.Node, r, 201)
	if d.Quantity != 5 || d.Latitude != 12.9716 || d.Longitude != -77.5946 || d.DonorName != "Green Cafe" || d.DonorID != w.users["donor"].ID ||
		string(d.Hygiene) != `{"keptCovered":true,"containerClean":false}` || d.Description != nil {
		t.Errorf("got %s", r)
	}
	if len(d.ImageURLs) != 4 || d.ImageURLs[1] != "https://example.org/mine.jpg" {
		t.Fatalf("addresses: %q", d.ImageURLs)
	}
	for i, want := range map[int][3]image.Point{0: {{200, 300}, {200, 300}, {200, 300}}, 2: {{2048, 16}, {1280, 10}, {320, 2}}, 3: {{9, 9}, {9, 9}, {9, 9}}} {
		for j, size := range []string{"", "-1280", "-320"} {
			address := strings.TrimSuffix(d.ImageURLs[i], ".jpg") + size + ".jpg"
			r := w.get(t, address)
			m, err := jpeg.Decode(bytes.NewReader(r.Body))
			if r.Status != 200 || err != nil {
				t.Fatalf("%s: %d, %v", address, r.Status, err)
			}
			if got := m.Bounds().Size(); got != want[j] {
				t.Errorf("photo %d%s: %v, want %v", i, size, got, want[j])
			}
			if bytes.Contains(r.Body, []byte("GPS")) || bytes.Contains(r.Body, []byte("Exif")) {
				t.Errorf("photo %d%s still says where it was taken", i, size)
			}
		}
	}
	// What everybody gets to see, then and later, is the same.
	seen := testkit.Must[api.Donation](w.Node, w.Get("/donations/"+d.ID, donor), 200)
	history := w.Get("/donations/"+d.ID+"/history", donor)
	if !slices.Equal(seen.ImageURLs, d.ImageURLs) || !bytes.Contains(history.Body, []byte(d.ImageURLs[0])) {
		t.Errorf("read again: %q; history %s", seen.ImageURLs, history)
	}
}

// P-52.
func TestHowPhotosAreServed(t *testing.T) {
	w := newWorld(t)
	d := testkit.Must[api.Donation](w.Node, w.sendForm(t, "/donations", w.users["donor"].Token, append(addFood(), upload{"images", "a.jpg", photo(20, 20)})...), 201)
	path := strings.TrimPrefix(d.ImageURLs[0], w.URL())
	r := w.Do(testkit.Call{Method: "GET", Path: path, Header: http.Header{"Origin": {"http://localhost:5173"}}})
	for name, want := range map[string]string{
		"Content-Type": "image/jpeg", "Cache-Control": "public, max-age=31536000, immutable", "X-Content-Type-Options": "nosniff",
		"Content-Security-Policy": "default-src 'none'", "Cross-Origin-Resource-Policy": "cross-origin",
		"Access-Control-Allow-Origin": "http://localhost:5173", "Content-Length": strconv.Itoa(len(r.Body)),
	} {
		if got := r.Header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	again := w.Do(testkit.Call{Method: "GET", Path: path, Header: http.Header{"If-None-Match": {r.Header.Get("ETag")}}})
	if again.Status != 304 || len(again.Body) != 0 {
		t.Errorf("with its ETag: %s", again)
	}
	if head := w.Do(testkit.Call{Method: "HEAD", Path: path}); head.Status != 200 || len(head.Body) != 0 || head.Header.Get("Content-Length") != strconv.Itoa(len(r.Body)) {
		t.Errorf("HEAD: %d, %v", head.Status, head.Header)
	}
	for _, path := range []string{
		"/media/x", "/media/x.jpg", "/media/..%2flarder.db", "/media/%2e%2e%2fjwt-secret", "/media/..%5clarder.db", "/media/%00",
		strings.Replace(path, ".jpg", "-640.jpg", 1), strings.Replace(path, ".jpg", ".png", 1), path + "%00", "/media/" + strings.Repeat("0", 64) + "-aaaaaaaa.jpg",
		"/media/photos/x.jpg", "/media/unfinished", "/media/" + strings.Repeat("x", 4000),
	} {
		wantRefusal(t, path, w.Get(path, ""), 404, api.CodeNotFound)
	}
	wantRefusal(t, "POST", w.Post(path, "", nil), 405, api.CodeMethodNotAllowed)
}

// P-50, P-51.
func TestFilesThatAreRefused(t *testing.T) {
	w := newWorld(t)
	ok := upload{"images", "ok.jpg", photo(8, 8)}
	bomb := pngPhoto(1, 1)
	bomb = bomb[:16] + "\x00\x00\xc3\x50\x00\x00\xc3\x50" + bomb[24:]
	plain := photo(8, 8)
	scan := strings.Index(plain, "\xff\xda")
	scans := plain[:scan] + strings.Repeat(plain[scan:len(plain)-2], 65) + "\xff\xd9"
	animation := "RIFF\x16\x00\x00\x00WEBPVP8X\x0a\x00\x00\x00\x02\x00\x00\x00\x07\x00\x00\x07\x00\x00"
	bomb = bomb[:29] + string(binary.BigEndian.AppendUint32(nil, crc(bomb[12:29]))) + bomb[33:]
	for name, c := range map[string]struct {
		parts  []upload
		status int
		code   api.Code
		says   string
	}{
		"a program":        {[]upload{{"images", "photo.jpg", "MZ\x90\x00"}}, 415, api.CodeUnsupportedMedia, `images: "photo.jpg" is not a JPEG, PNG, WebP or GIF image`},
		"HEIC":             {[]upload{{"images", "IMG_1.HEIC", "\x00\x00\x00\x18ftypheic"}}, 415, api.CodeUnsupportedMedia, "IMG_1.HEIC"},
		"a page":           {[]upload{{"images", "a.svg", "<svg onload=alert(1)>"}}, 415, api.CodeUnsupportedMedia, "a.svg"},
		"a PDF":            {[]upload{{"images", "a.pdf", "%PDF-1.4"}}, 415, api.CodeUnsupportedMedia, "a.pdf"},
		"the second one":   {[]upload{ok, {"images", "b.jpg", "no"}}, 415, api.CodeUnsupportedMedia, "b.jpg"},
		"empty":            {[]upload{{"images", "a.jpg", ""}}, 415, api.CodeUnsupportedMedia, "a.jpg"},
		"half":             {[]upload{{"images", "a.jpg", photo(99, 99)[:400]}}, 400, invalid, `images: "a.jpg" is damaged`},
		"a bomb":           {[]upload{{"images", "a.png", bomb}}, 400, invalid, "more than 40 megapixels"},
		"many scans":       {[]upload{{"images", "a.jpg", scans}}, 400, invalid, `images: "a.jpg" takes too much memory or time to read`},
		"an animation":     {[]upload{{"images", "a.webp", animation}}, 400, invalid, `images: "a.webp" is an animated WebP`},
		"a path as a name": {[]upload{{"images", `..\..\etc/pass"wd`, "no"}}, 415, api.CodeUnsupportedMedia, `"pass\"wd"`},
		"a long name":      {[]upload{{"images", strings.Repeat("ä", 500), "no"}}, 415, api.CodeUnsupportedMedia, "ä…"},
		"5 MiB and a byte": {[]upload{{"images", "a.jpg", padded(photo(8, 8), 5<<20+1)}}, 413, api.CodeTooLarge, `images: "a.jpg" is larger than 5 MiB`},
		"six":              {[]upload{ok, ok, ok, ok, ok, ok}, 400, invalid, "images: at most 5 may be sent"},
		"four and two addresses": {
			[]upload{ok, ok, ok, ok, {"imageUrls", "", "https://a"}, {"imageUrls", "", "https://b"}},
			400, invalid, "imageUrls must have 5 entries or less",
		},
		"another field":   {[]upload{{"photo", "a.jpg", photo(8, 8)}}, 400, invalid, "photo: unexpected file"},
		"an unknown text": {[]upload{{"colour", "", "red"}}, 400, invalid, "colour is no field of this request"},
		"a text twice":    {[]upload{{"name", "", "again"}}, 400, invalid, "name: sent more than once"},
		"long texts":      {[]upload{{"a", "", strings.Repeat("x", 60<<10)}, {"b", "", strings.Repeat("x", 60<<10)}}, 413, api.CodeTooLarge, "Fields are larger"},
		"no UTF-8":        {[]upload{{"address", "", "\xff"}}, 400, badRequest, "address is not UTF-8"},
		"NUL":             {[]upload{{"address", "", "a\x00b"}}, 400, badRequest, "NUL"},
		"many parts":      {slices.Repeat([]upload{{"imageUrls", "", ""}}, 100), 400, badRequest, "more than 100 parts"},
	} {
		t.Run(name, func(t *testing.T) {
			r := w.sendForm(t, "/donations", w.User(account.Donor).Token, append(addFood(), c.parts...)...)
			wantRefusal(t, name, r, c.status, c.code)
			var e api.Error
			if err := json.Unmarshal(r.Body, &e); err != nil || !strings.Contains(e.Message.String(), c.says) {
				t.Errorf("got %s, %v, want %q", r, err, c.says)
			}
		})
	}
	if n := strings.Count(string(w.Get("/donations", "").Body), `"id"`); n != 0 {
		t.Errorf("%d donations were listed", n)
	}
}

// What is exactly at the limits is taken.
func TestLargestForm(t *testing.T) {
	w := newWorld(t)
	parts := append(addFood(), upload{"images", "", ""}) // as a form in which nothing was chosen
	for i := range 5 {
		parts = append(parts, upload{"images", fmt.Sprintf("%d.jpg", i), padded(photo(10+i, 10), 5<<20)})
	}
	d := testkit.Must[api.Donation](w.Node, w.sendForm(t, "/donations", w.users["donor"].Token, parts...), 201)
	if len(d.ImageURLs) != 5 || d.ImageURLs[0] == d.ImageURLs[1] {
		t.Errorf("got %q", d.ImageURLs)
	}
	// More than that is refused before it is sent.
	conn, err := w.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "POST /donations HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: multipart/form-data; boundary=x\r\nContent-Length: %d\r\n\r\n",
		w.users["donor"].Token, 26<<20)
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	wantRefusal(t, "26 MiB", testkit.Reply{Status: resp.StatusCode, Header: resp.Header, Body: body}, 413, api.CodeTooLarge)
}

func crc(s string) uint32 { return crc32.ChecksumIEEE([]byte(s)) }

// Bodies that are no form, and forms from whom they may not come.
func TestFormsThatAreNone(t *testing.T) {
	w := newWorld(t)
	donor := w.users["donor"].Token
	body, header := formOf(t, append(addFood(), upload{"images", "a.jpg", photo(8, 8)})...)
	send := func(token, kind string, body []byte) testkit.Reply {
		return w.Do(testkit.Call{Method: "POST", Path: "/donations", Token: token, Body: body, Header: http.Header{"Content-Type": {kind}}})
	}
	kind := header.Get("Content-Type")
	wantRefusal(t, "nobody", send("", kind, body), 401, api.CodeTokenMissing)
	wantRefusal(t, "NGO", send(w.users["ngo"].Token, kind, body), 403, api.CodeWrongRole)
	wantRefusal(t, "suspended", send(w.users["suspended"].Token, kind, body), 403, api.CodeAccountSuspended)
	wantRefusal(t, "cut off", send(donor, kind, body[:len(body)-200]), 400, badRequest)
	wantRefusal(t, "no boundary", send(donor, "multipart/form-data", body), 400, badRequest)
	wantRefusal(t, "another boundary", send(donor, "multipart/form-data; boundary=y", body), 400, badRequest)
	wantRefusal(t, "urlencoded", send(donor, "application/x-www-form-urlencoded", []byte("name=x")), 415, api.CodeUnsupportedMedia)
	wantRefusal(t, "where no form is taken", w.Do(testkit.Call{
		Method: "POST", Path: "/auth/login", Body: body, Header: header,
	}), 415, api.CodeUnsupportedMedia)
	if r := send(donor, strings.Replace(kind, "multipart/form-data", "Multipart/Form-Data", 1), body); r.Status != 201 {
		t.Errorf("in capitals: %s", r)
	}
}

// A form is refused in the words in which its JSON would be.
func TestFormsAndJSONAgree(t *testing.T) {
	w := newWorld(t)
	for name, change := range map[string]map[string]string{
		"nothing wrong": nil, "blank name": {"name": " "}, "empty name": {"name": ""}, "no quantity": {"quantity": ""}, "bad quantity": {"quantity": "1e3"},
		"too much": {"quantity": "1000001"}, "text as latitude": {"latitude": "north"}, "empty latitude": {"latitude": ""}, "far latitude": {"latitude": "91"},
		"hexadecimal": {"longitude": "0x10"}, "hygiene": {"hygiene": "[]"}, "broken hygiene": {"hygiene": "{"}, "no hygiene": {"hygiene": ""}, "past": {"expiryTime": "2001-01-01"},
		"long": {"description": strings.Repeat("x", 2001)}, "several": {"unit": "", "expiryTime": "soon", "latitude": "-91"}, "cooked": {"foodType": "cooked", "expiryTime": soon()},
		"unknown": {"status": "DELIVERED"},
	} {
		t.Run(name, func(t *testing.T) {
			fields := map[string]any{}
			var parts []upload
			for _, p := range addFood() {
				fields[p.field] = p.content
			}
			for k, v := range change {
				fields[k] = v
			}
			for _, k := range slices.Sorted(maps.Keys(fields)) {
				v := fields[k].(string)
				parts = append(parts, upload{k, "", v})
				if f, err := strconv.ParseFloat(v, 64); err == nil && strings.HasSuffix(k, "itude") {
					fields[k] = f
				}
			}
			token := w.User(account.Donor).Token
			form, plain := w.sendForm(t, "/donations", token, parts...), w.Post("/donations", token, fields)
			if diff := cmp.Diff(string(w.show(plain)), string(w.show(form))); diff != "" {
				t.Errorf("(-JSON +form):\n%s", diff)
			}
		})
	}
}

func TestFormsAreIdempotent(t *testing.T) {
	w := newWorld(t)
	send := func(key string, parts ...upload) testkit.Reply {
		body, header := formOf(t, parts...)
		header.Set("Idempotency-Key", key)
		return w.Do(testkit.Call{Method: "POST", Path: "/donations", Token: w.users["donor"].Token, Body: body, Header: header})
	}
	good := append(addFood(), upload{"images", "a.jpg", photo(30, 30)})
	first, again := send("k1", good...), send("k1", good...)
	if first.Status != 201 || !bytes.Equal(first.Body, again.Body) {
		t.Errorf("got %s, again %s", first, again)
	}
	wantRefusal(t, "another photo", send("k1", append(addFood(), upload{"images", "a.jpg", photo(31, 30)})...), 409, api.CodeIdempotencyConflict)
	bad := append(slices.Clone(good), upload{"address", "", "x"})
	bad[6].content = "2001-01-01" // expiryTime
	if first, again := send("k2", bad...), send("k2", bad...); first.Status != 400 || !bytes.Equal(first.Body, again.Body) {
		t.Errorf("a refusal: got %s, again %s", first, again)
	}
	var all sync.WaitGroup
	answers := make([]testkit.Reply, 3)
	for i := range answers {
		all.Go(func() {
			body, header := formOf(t, good...)
			header.Set("Idempotency-Key", "k3")
			answers[i], _ = w.Try(t.Context(), testkit.Call{Method: "POST", Path: "/donations", Token: w.users["donor"].Token, Body: body, Header: header})
		})
	}
	all.Wait()
	for _, a := range answers {
		if a.Status != 201 || !bytes.Equal(a.Body, answers[0].Body) {
			t.Errorf("at once: %s and %s", a, answers[0])
		}
	}
}

func TestPublicURL(t *testing.T) {
	n := testkit.Start(t, testkit.Options{Config: func(c *config.Config) { c.PublicURL = "https://api.example.org/larder" }})
	w := &world{Node: n}
	send := func(header http.Header) string {
		t.Helper()
		body, h := formOf(t, append(addFood(), upload{"images", "a.jpg", photo(30, 30)})...)
		maps.Copy(h, header)
		d := testkit.Must[api.Donation](n, n.Do(testkit.Call{Method: "POST", Path: "/donations", Token: w.User(account.Donor).Token, Body: body, Header: h}), 201)
		return d.ImageURLs[0]
	}
	if got := send(nil); !strings.HasPrefix(got, "https://api.example.org/larder/media/") {
		t.Errorf("got %s", got)
	}
	n = testkit.Start(t, testkit.Options{})
	w.Node = n
	if got := send(nil); !strings.HasPrefix(got, n.URL()+"/media/") {
		t.Errorf("got %s", got)
	}
	if got := send(http.Header{"X-Forwarded-Proto": {"https"}}); !strings.HasPrefix(got, strings.Replace(n.URL(), "http:", "https:", 1)+"/media/") {
		t.Errorf("behind a proxy with TLS: got %s", got)
	}
}

// registration is the form of the existing front end for an NGO.
func registration(email string, parts ...upload) []upload {
	return append([]upload{
		{"name", "", "Helping Hands"},
		{"email", "", email},
		{"password", "", "secret"},
		{"phone", "", ""},
		{"role", "", "NGO"},
		{"organizationName", "", "Helping Hands"},
		{"organizationType", "", ""},
		{"address", "", ""},
	}, parts...)
}

// P-53.
func TestCertificates(t *testing.T) {
	w := newWorld(t)
	const pdf = "%PDF-1.4\nas it was sent\n%%EOF"
	for name, c := range map[string]struct {
		parts             []upload
		kind, disposition string
		body              string // empty: a JPEG
	}{
		"pdf": {[]upload{{"certificate", "my.paper.pdf", pdf}}, "application/pdf", "attachment", pdf},
		"jpg": {[]upload{{"certificate", "scan.jpg", taken(photo(30, 20))}, {"certificateUrl", "", ""}}, "image/jpeg", "inline", ""},
		"png": {[]upload{{"certificate", "scan.pdf", pngPhoto(30, 20)}}, "image/jpeg", "inline", ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := testkit.Must[api.Envelope[api.Session]](w.Node, w.sendForm(t, "/auth/register", "", registration(name+"@example.org", c.parts...)...), 201).Data
			own := testkit.Must[api.Profile](w.Node, w.Get("/auth/profile", s.Token), 200)
			var admins *string
			for _, p := range testkit.Must[[]api.PendingNGO](w.Node, w.Get("/admin/pending-ngos", w.users["admin"].Token), 200) {
				if p.ID == s.User.ID {
					admins = p.CertificateURL
				}
			}
			if own.CertificateURL == nil || admins == nil {
				t.Fatalf("links: %v and %v", own.CertificateURL, admins)
			}
			for _, link := range []string{*own.CertificateURL, *admins} {
				r := w.get(t, link)
				if r.Status != 200 || r.Header.Get("Content-Type") != c.kind || !strings.HasPrefix(r.Header.Get("Content-Disposition"), c.disposition) ||
					r.Header.Get("Cache-Control") != "private, no-store" || !strings.Contains(r.Header.Get("Content-Security-Policy"), "sandbox") ||
					r.Header.Get("X-Content-Type-Options") != "nosniff" {
					t.Errorf("%s: got %d, %v", link, r.Status, r.Header)
				}
				if c.body != "" && string(r.Body) != c.body {
					t.Errorf("got %q", r.Body)
				}
				if _, err := jpeg.Decode(bytes.NewReader(r.Body)); c.body == "" && (err != nil || bytes.Contains(r.Body, []byte("GPS"))) {
					t.Errorf("it is no clean JPEG: %v", err)
				}
				if strings.Contains(link, ".pdf") != (c.kind == "application/pdf") {
					t.Errorf("%s does not say what it leads to", link)
				}
				w.forge(t, link, w.users["ngo"].ID)
			}
		})
	}
	elsewhere := testkit.Must[api.Envelope[api.Session]](w.Node, w.Post("/auth/register", "", with(newcomer, map[string]any{
		"email": "else@example.org", "role": "NGO", "certificateUrl": "https://example.org/c.pdf",
	})), 201).Data
	if p := testkit.Must[api.Profile](w.Node, w.Get("/auth/profile", elsewhere.Token), 200); p.CertificateURL == nil || *p.CertificateURL != "https://example.org/c.pdf" {
		t.Errorf("an address: got %v", p.CertificateURL)
	}
	if p := testkit.Must[api.Profile](w.Node, w.Get("/auth/profile", w.users["ngo"].Token), 200); p.CertificateURL != nil {
		t.Errorf("none: got %v", *p.CertificateURL)
	}
}

// forge tries what a link must not allow.
func (w *world) forge(t *testing.T, link, otherID string) {
	t.Helper()
	u, err := url.Parse(link)
	if err != nil {
		t.Fatal(err)
	}
	change := func(name string, f func(u *url.URL, q url.Values)) {
		t.Helper()
		forged, q := *u, u.Query()
		f(&forged, q)
		forged.RawQuery = q.Encode()
		wantRefusal(t, name, w.get(t, forged.String()), 403, api.CodeLinkInvalid)
	}
	change("later", func(_ *url.URL, q url.Values) { q.Set("expires", q.Get("expires")+"0") })
	change("no signature", func(_ *url.URL, q url.Values) { q.Del("signature") })
	change("another signature", func(_ *url.URL, q url.Values) { q.Set("signature", "A"+q.Get("signature")[1:]+"A") })
	change("nothing", func(_ *url.URL, q url.Values) { clear(q) })
	change("another's", func(u *url.URL, _ url.Values) { u.Path = "/certificates/" + otherID })
	change("a path", func(u *url.URL, _ url.Values) { u.Path, u.RawPath = "/certificates/../x", "/certificates/..%2fx" })
}

func TestCertificatesThatAreRefused(t *testing.T) {
	w := newWorld(t)
	for name, c := range map[string]struct {
		parts  []upload
		status int
		code   api.Code
	}{
		"a program":            {[]upload{{"certificate", "c.pdf", "MZ\x90"}}, 415, api.CodeUnsupportedMedia},
		"a late PDF":           {[]upload{{"certificate", "c.pdf", "\n%PDF-1.4"}}, 415, api.CodeUnsupportedMedia},
		"more than 10 MiB":     {[]upload{{"certificate", "c.pdf", padded("%PDF-1.4", 10<<20+1)}}, 413, api.CodeTooLarge},
		"two":                  {[]upload{{"certificate", "c.pdf", "%PDF-1.4"}, {"certificate", "d.pdf", "%PDF-1.5"}}, 400, invalid},
		"an address that runs": {[]upload{{"certificateUrl", "", "javascript:alert(1)"}}, 400, invalid},
		"an admin":             {[]upload{{"certificate", "c.pdf", "%PDF-1.4"}}, 403, api.CodeWrongRole},
		"e-mail taken":         {[]upload{{"certificate", "c.pdf", "%PDF-1.4"}}, 409, api.CodeEmailTaken},
	} {
		parts := registration("refused@example.org", c.parts...)
		switch name {
		case "an admin":
			parts[4].content = "ADMIN"
		case "e-mail taken":
			parts[1].content = "DONOR@example.org"
		}
		wantRefusal(t, name, w.sendForm(t, "/auth/register", "", parts...), c.status, c.code)
	}
	if r := w.sendForm(t, "/auth/register", "", registration("largest@example.org", upload{"certificate", "c.pdf", padded("%PDF-1.4", 10<<20)})...); r.Status != 201 {
		t.Errorf("exactly 10 MiB: %s", r)
	}
}

// P-54.
func TestUploadsAreLimited(t *testing.T) {
	w := newWorld(t)
	send := func(token string) testkit.Reply { return w.sendForm(t, "/donations", token, addFood()...) }
	for i := range 40 {
		if r := send(w.users["donor"].Token); r.Status != 201 {
			t.Fatalf("upload %d: %s", i+1, r)
		}
	}
	r := send(w.users["donor"].Token)
	wantRefusal(t, "upload 41", r, 429, api.CodeRateLimited)
	if s, err := strconv.Atoi(r.Header.Get("Retry-After")); err != nil || s < 1 || s > 300 {
		t.Errorf("Retry-After: %q", r.Header.Get("Retry-After"))
	}
	if r := send(w.users["stranger"].Token); r.Status != 201 {
		t.Errorf("somebody else: %s", r)
	}
	if r := w.Post("/donations", w.users["donor"].Token, testkit.Draft(nil)); r.Status != 201 {
		t.Errorf("without a form: %s", r)
	}
	admin := registration("x@example.org")
	admin[4].content = "ADMIN" // refused before it costs anything
	for i := range 30 {
		if r := w.sendForm(t, "/auth/register", "", admin...); r.Status != 403 {
			t.Fatalf("registration %d: %s", i+1, r)
		}
	}
	wantRefusal(t, "registration 31", w.sendForm(t, "/auth/register", "", admin...), 429, api.CodeRateLimited)
}

// slowly sends a form to the rig, some of it at a time with a pause behind each, and
// nothing after most of it.
func (r *rig) slowly(body []byte, header http.Header, some int, pause time.Duration, most int) testkit.Reply {
	r.t.Helper()
	out, in := io.Pipe()
	go func() {
		for sent := 0; sent < most; sent += some {
			if _, err := in.Write(body[sent:min(sent+some, most)]); err != nil {
				return
			}
			<-time.After(pause)
		}
		if most < len(body) {
			<-time.After(time.Hour)
		}
		_ = in.Close()
	}()
	req, err := http.NewRequestWithContext(r.t.Context(), "POST", wire.URL+"/donations", out)
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header = header.Clone()
	req.Header.Set("Authorization", "Bearer "+r.token)
	resp, err := r.http.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return testkit.Reply{Status: resp.StatusCode, Header: resp.Header, Body: text}
}

// P-54.
func TestSlowUploads(t *testing.T) {
	for name, c := range map[string]struct {
		some  int
		pause time.Duration
		part  float64 // of the body that is sent at all
		want  int
		least time.Duration
		most  time.Duration
	}{
		"a phone in the country": {64 << 10, 900 * time.Millisecond, 1, 201, 70 * time.Second, 80 * time.Second},
		"a pause":                {4 << 20, 9 * time.Second, 1, 201, 17 * time.Second, 30 * time.Second},
		"stops":                  {64 << 10, 0, 0.9, 408, 10 * time.Second, 11 * time.Second},
		"never begins":           {64 << 10, 0, 0, 408, 10 * time.Second, 11 * time.Second},
		"a byte now and then":    {1, 5 * time.Second, 1, 408, 9 * time.Second, 11 * time.Second},
		"a little now and then":  {20 << 10, time.Second, 1, 408, 10 * time.Second, 30 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				body, header := formOf(t, append(addFood(), upload{"images", "a.jpg", padded(photo(20, 10), 5<<20)})...)
				start := time.Now()
				reply := r.slowly(body, header, c.some, c.pause, int(float64(len(body))*c.part))
				if d := time.Since(start); reply.Status != c.want || d < c.least || d > c.most {
					t.Errorf("after %v: got %s, want %d", d, reply, c.want)
				}
				if c.want == 408 {
					wantRefusal(t, name, reply, 408, api.CodeRequestTimeout)
				}
				<-time.After(2 * time.Hour)
			})
		})
	}
}

// Uploads that stop keep an account from more of them, and nobody else.
func TestUploadsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		body, header := formOf(t, addFood()...)
		var stopped sync.WaitGroup
		for range 3 {
			stopped.Go(func() {
				if reply := r.slowly(body, header, len(body), 0, len(body)/2); reply.Status != 408 {
					t.Errorf("stopped: %s", reply)
				}
			})
		}
		synctest.Wait()
		send := func() testkit.Reply { return r.slowly(body, header, len(body), 0, len(body)) }
		wantRefusal(t, "the fourth", send(), 429, api.CodeRateLimited)
		mine := r.token
		other := account.Account{ID: strings.Replace(nobodysID, "4", "5", 1), Email: "o@example.org", Role: account.Donor, Verified: true, Active: true}
		if err := r.store.Update(t.Context(), func(tx *store.Tx) error { return tx.InsertAccount(t.Context(), other, "") }); err != nil {
			t.Fatal(err)
		}
		var err error
		if r.token, _, err = auth.NewTokens([]byte(testkit.Secret), time.Hour).Issue(other, time.Now()); err != nil {
			t.Fatal(err)
		}
		if reply := send(); reply.Status != 201 {
			t.Errorf("somebody else: %s", reply)
		}
		stopped.Wait()
		r.token = mine
		if reply := send(); reply.Status != 201 {
			t.Errorf("when they have ended: %s", reply)
		}
		<-time.After(2 * time.Hour)
	})
}

// loose counts the files that nobody refers to.
func (w *world) loose() (n int) {
	w.Update(func(ctx context.Context, tx *store.Tx) error {
		list, err := tx.LooseMedia(ctx, time.Now().Add(time.Hour), 100)
		n = len(list)
		return err
	})
	return n
}

// What a committed command brought, or points to, stays; what a refused one
// brought does not.
func TestWhoHoldsFiles(t *testing.T) {
	w := newWorld(t)
	form := append(addFood(), upload{"images", "a.jpg", photo(40, 30)})
	refused := slices.Clone(form)
	refused[6].content = "2001-01-01" // expiryTime
	if r := w.sendForm(t, "/donations", w.users["donor"].Token, refused...); r.Status != 400 || w.loose() != 1 {
		t.Errorf("refused: %s; loose: %d", r, w.loose())
	}
	d := testkit.Must[api.Donation](w.Node, w.sendForm(t, "/donations", w.users["donor"].Token, form...), 201)
	if n := w.loose(); n != 0 {
		t.Errorf("taken: %d loose", n)
	}
	// Another donation points to the photo, and the first one lets it go.
	w.Donate(w.users["stranger"], map[string]any{"imageUrls": []string{
		"https://elsewhere.example.org" + strings.TrimPrefix(d.ImageURLs[0], w.URL()), "https://a.example.org/media/" + strings.Repeat("0", 64) + "-aaaaaaaa.jpg",
	}})
	w.Update(func(ctx context.Context, tx *store.Tx) error { return tx.ReleaseMedia(ctx, d.ID) })
	if n := w.loose(); n != 0 {
		t.Errorf("pointed to: %d loose", n)
	}
	paper := registration("paper@example.org", upload{"certificate", "c.pdf", "%PDF-1.4"})
	taken := slices.Clone(paper)
	taken[1].content = "donor@example.org"
	if r := w.sendForm(t, "/auth/register", "", taken...); r.Status != 409 || w.loose() != 1 {
		t.Errorf("refused: %s; loose: %d", r, w.loose())
	}
	if r := w.sendForm(t, "/auth/register", "", paper...); r.Status != 201 || w.loose() != 0 {
		t.Errorf("taken: %s; loose: %d", r, w.loose())
	}
}

// P-53.
func TestLinksExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		body, header := formOf(t, registration("paper@example.org", upload{"certificate", "c.pdf", "%PDF-1.4"})...)
		reply, err := wire.Do(t.Context(), r.http, "POST", wire.URL+"/auth/register", "", header, string(body))
		if err != nil || reply.Status != 201 {
			t.Fatalf("%v, %v", reply, err)
		}
		var s api.Envelope[api.Session]
		if err := json.Unmarshal([]byte(reply.Body), &s); err != nil {
			t.Fatal(err)
		}
		r.token = s.Data.Token
		var p api.Profile
		if err := json.Unmarshal(r.do("GET", "/auth/profile", "").Body, &p); err != nil || p.CertificateURL == nil {
			t.Fatalf("%+v, %v", p, err)
		}
		path := strings.TrimPrefix(*p.CertificateURL, wire.URL)
		<-time.After(10*time.Minute - time.Second)
		if reply := r.do("GET", path, ""); reply.Status != 200 {
			t.Errorf("just before: %s", reply)
		}
		<-time.After(time.Second)
		wantRefusal(t, "after ten minutes", r.do("GET", path, ""), 403, api.CodeLinkInvalid)
	})
}
