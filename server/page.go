package server

import (
	"net/http"
	"strings"
)

// pagePolicy lets the page load its own files and call its own server, and
// nothing else: no inline script, no frame, no request elsewhere.
const pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// page serves index.html at / and the page's other files under /static/. It
// needs no key: it holds nothing, and asks for the key when the API wants one.
func (s *Server) page(w http.ResponseWriter, r *http.Request) {
	name := strings.TrimPrefix(r.URL.Path, "/static/")
	if r.URL.Path == "/" {
		name = "index.html"
	}
	h := w.Header()
	h.Set("Content-Security-Policy", pagePolicy)
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-cache") // a new binary brings a new page
	http.ServeFileFS(w, r, s.opts.Page, name)
}
