package httpapi

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"log/slog"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"larder/internal/contract"
	"larder/internal/media"
)

// beside lists what is served and is in no line of routes.go, for the documents.
var beside = []contract.Route{
	{
		Path: "/metrics", Summary: "What the node counts, for Prometheus", Types: []string{"text/plain"}, Refusals: []int{401, 403}, Bearer: true,
		Description: "With METRICS_TOKEN for whoever shows it as Bearer, without one for the server's own machine alone.",
	},
	{Path: "/media/{name}", Summary: "A photo", Types: []string{"image/jpeg"}, Refusals: []int{404, 503}, Cached: true},
	{
		Path: "/certificates/{id}", Summary: "A certificate, by the link that its owner or an admin was given",
		Types: []string{"image/jpeg", "application/pdf"}, Refusals: []int{403, 404, 503},
	},
	{Path: "/api", Summary: "These documents, for people", Types: []string{"text/html"}, Cached: true},
	{Path: "/api-json", Summary: "This document: the routes, as OpenAPI 3.1", Types: []string{"application/json"}, Cached: true},
	{Path: "/asyncapi.json", Summary: "The live events, as AsyncAPI 3.0", Types: []string{"application/json"}, Cached: true},
	{
		Path: "/types/events.d.ts", Summary: "The live events, for TypeScript and the stock Socket.IO client", Types: []string{"text/plain"},
		Description: "For `Socket<ServerToClientEvents, ClientToServerEvents>` of socket.io-client.", Cached: true,
	},
}

// OpenAPI returns the OpenAPI 3.1 document of everything that a node serves, as
// JSON. It is made from the routes themselves, once. The caller must not change it.
func OpenAPI() []byte {
	asJSON, _ := openAPI()
	return asJSON
}

var openAPI = sync.OnceValues(func() (asJSON, asPage []byte) {
	// A registry of its own, on a mux that nobody serves: the document says more
	// than requests are checked for.
	a := &API{log: slog.New(slog.DiscardHandler), media: new(media.Library)}
	h := a.registry(http.NewServeMux())
	a.routes(h)
	return contract.OpenAPI(h.OpenAPI(), beside)
})

// registry is what routes are declared to.
func (a *API) registry(mux *http.ServeMux) huma.API {
	setHuma()
	cfg := huma.DefaultConfig("Larder", "1")
	cfg.OpenAPIPath, cfg.DocsPath, cfg.SchemasPath = "", "", ""
	cfg.CreateHooks = nil
	cfg.Formats = map[string]huma.Format{"application/json": strictJSON, "json": strictJSON}
	contract.Prepare(cfg.Components.Schemas)
	return humago.New(mux, cfg)
}

// documents serves what Larder says of itself to other programs and to people (P-55,
// P-56).
func documents(mux *http.ServeMux) {
	serve := func(path, contentType, policy string, content func() []byte) {
		tag := sync.OnceValue(func() string {
			sum := sha256.Sum256(content())
			return strconv.Quote(base64.RawURLEncoding.EncodeToString(sum[:12]))
		})
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) {
			h := w.Header()
			h.Set("Content-Type", contentType)
			h.Set("Content-Security-Policy", policy)
			h.Set("Cache-Control", "public, max-age=60")
			h.Set("ETag", tag())
			http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content()))
		})
	}
	const nothing = "default-src 'none'; frame-ancestors 'none'"
	serve("/api", "text/html; charset=utf-8", contract.PagePolicy, func() []byte {
		_, asPage := openAPI()
		return asPage
	})
	serve("/api-json", "application/json", nothing, OpenAPI)
	serve("/asyncapi.json", "application/json", nothing, contract.AsyncAPI)
	serve("/types/events.d.ts", "text/plain; charset=utf-8", nothing, contract.TypeScript)
}
