package httpapi

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"larder/api"
	"larder/internal/media"
	"larder/internal/query"
)

// certificateLife is how long a link to a certificate is good.
const certificateLife = 10 * time.Minute

// UseMedia has the API take photos and certificates and serve them. publicURL is
// where clients reach this server; empty: where the request at hand did. It is
// called before Mount.
func (a *API) UseMedia(lib *media.Library, publicURL string) {
	a.media, a.publicURL, a.uploads = lib, publicURL, newUploads()
}

// mountMedia adds the routes of files, which are no JSON.
func (a *API) mountMedia(mux *http.ServeMux) {
	if a.media == nil {
		return
	}
	mux.HandleFunc("GET /media/{name}", a.servePhoto)
	mux.HandleFunc("GET /certificates/{id}", a.serveCertificate)
}

// base is where the client of a request reaches this server.
func (a *API) base(ctx context.Context) string {
	if a.publicURL != "" {
		return a.publicURL
	}
	return infoFrom(ctx).base
}

// baseOf is where a request was sent to, as its sender sees it.
func baseOf(r *http.Request) string {
	scheme := "http"
	if r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https" {
		scheme = "https"
	}
	return scheme + "://" + r.Host
}

// photosOf are the names of the photos that a donation's addresses point to: those
// that came with the request, and others of ours that are still there. Both stay as
// long as the donation needs them.
func (a *API) photosOf(ctx context.Context, addresses []string) ([]string, error) {
	names := slices.Clone(keptFiles(ctx))
	for _, address := range addresses {
		name, ok := media.PhotoAt(address)
		if !ok || a.media == nil || slices.Contains(names, name) || len(addresses) > 5 { // too many are refused anyway
			continue
		}
		there, err := a.media.Want(ctx, name)
		if err != nil {
			return nil, err
		}
		if there {
			names = append(names, name)
		}
	}
	return names, nil
}

// servePhoto serves what never changes (P-52).
func (a *API) servePhoto(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	f, err := a.media.OpenPhoto(r.Context(), name)
	if err != nil {
		a.refuseFile(w, r, err)
		return
	}
	defer f.Close() //nolint:errcheck // it was only read
	h := w.Header()
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Set("Content-Security-Policy", "default-src 'none'")
	h.Set("Cross-Origin-Resource-Policy", "cross-origin") // the front end is another origin
	h.Set("ETag", `"`+name+`"`)
	if r.Header.Get("If-None-Match") == h.Get("ETag") {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	serveFile(w, r, f)
}

// serveCertificate serves whoever has a good link (P-53).
func (a *API) serveCertificate(w http.ResponseWriter, r *http.Request) {
	id, link := r.PathValue("id"), r.URL.Query()
	if !a.goodLink(id, link.Get("expires"), link.Get("signature"), time.Now()) {
		WriteError(w, r, api.NewError(http.StatusForbidden, api.CodeLinkInvalid, "This link is not valid or has expired: ask for a new one"))
		return
	}
	f, err := a.media.OpenCertificate(r.Context(), id)
	if err != nil {
		a.refuseFile(w, r, err)
		return
	}
	defer f.Close() //nolint:errcheck // it was only read
	h := w.Header()
	h.Set("Cache-Control", "private, no-store")
	h.Set("Content-Security-Policy", "default-src 'none'; sandbox")
	h.Set("Content-Disposition", `inline; filename="certificate.jpg"`)
	if f.PDF { // as it was sent, so no browser shows it in our name
		h.Set("Content-Disposition", `attachment; filename="certificate.pdf"`)
	}
	serveFile(w, r, f)
}

func serveFile(w http.ResponseWriter, r *http.Request, f media.File) {
	h := w.Header()
	h.Set("Content-Type", "image/jpeg")
	if f.PDF {
		h.Set("Content-Type", "application/pdf")
	}
	h.Set("Content-Length", strconv.FormatInt(f.Size, 10))
	if r.Method != http.MethodHead {
		_, _ = io.Copy(w, f) // an error: the client has gone, or gets less than was said
	}
}

func (a *API) refuseFile(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(err, fs.ErrNotExist) {
		err = api.NewError(http.StatusNotFound, api.CodeNotFound, "No such file")
	} else {
		a.log.Error("file can't be read", "request_id", infoFrom(r.Context()).id, "err", err)
		err = api.NewError(http.StatusServiceUnavailable, api.CodeUnavailable, "Files can't be read for the moment, try again")
	}
	a.Refuse(w, r, err)
}

// certificateURL is where a certificate can be read: the address that was given, or
// a link to the file that was sent, for whoever holds the answer and for a short time.
func (a *API) certificateURL(ctx context.Context, accountID string, c query.Certificate) *string {
	if c.File == "" || a.media == nil {
		return api.Text(c.URL)
	}
	expires := strconv.FormatInt(time.Now().Add(certificateLife).Unix(), 10)
	q := url.Values{"expires": {expires}, "signature": {a.sign(accountID, expires)}}
	if strings.HasSuffix(c.File, ".pdf") { // SurplusSync's front end shows as an image what has no .pdf in its address
		q.Set("file", "certificate.pdf")
	}
	return new(a.base(ctx) + "/certificates/" + accountID + "?" + q.Encode())
}

func (a *API) sign(accountID, expires string) string {
	mac := hmac.New(sha256.New, a.auth.Tokens.Key("links to certificates"))
	mac.Write([]byte(accountID + "\n" + expires))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

func (a *API) goodLink(accountID, expires, signature string, now time.Time) bool {
	at, err := strconv.ParseInt(expires, 10, 64)
	return hmac.Equal([]byte(signature), []byte(a.sign(accountID, expires))) && err == nil && now.Before(time.Unix(at, 0))
}
