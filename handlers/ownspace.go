// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"net/http"
	"net/url"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/route"
	"github.com/caddy-threepid/caddy-threepid/handlers/internal/wire"
	web "github.com/caddy-threepid/caddy-threepid/handlers/pages"
)

// serveOwn answers everything in ownSpace. A person's link is mended first; from
// here on it is one like any other.
func (c *Client) serveOwn(call *wire.Call) error {
	person := ForPerson(call.R)
	if len(call.R.URL.RawQuery) > web.MaxLink {
		return c.observed(call, string(route.KindStray), func() (int, error) {
			return 0, &wire.MatrixError{Status: http.StatusRequestURITooLong, Errcode: wire.CodeTooLarge, Message: "The query is too long"}
		})
	}
	if person {
		call.R = c.mended(call.R)
	}
	found, suspicious := c.router.Classify(call.R.URL)
	if suspicious || found.Kind == route.KindNone || person && found.Kind == route.KindProbe {
		found = route.Route{Kind: route.KindStray}
	}
	return c.serve(call.At(found))
}

// mended is a request for what is meant by its link.
func (c *Client) mended(r *http.Request) *http.Request {
	u := web.Mend(r.URL, c.svc.Owns)
	if u == nil {
		return r
	}
	clone := *r
	clone.URL = u
	return &clone
}

// ForPerson reports whether the answer to a request in ownSpace has to be a page.
// A browser asks for HTML, or sends a form; a link of ours is for people, unless
// who follows it wants JSON and nothing else.
func ForPerson(r *http.Request) bool {
	if !route.InOwnSpace(r.URL) {
		return false
	}
	if wire.IsForm(r) || wire.IsMultipart(r) {
		return true
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return false
	}
	if wire.Accepts(r, "text/html", "application/xhtml+xml", "text/*") {
		return true
	}
	_, link := web.PageOf(web.PlainText(&url.URL{Path: r.URL.Path, RawPath: r.URL.RawPath}))
	return link && !wire.Accepts(r, "application/json")
}

// maxNonce bounds what is proved, in bytes.
const maxNonce = 64

// probe serves ProbePath.
func (c *Client) probe(call *wire.Call) (int, error) {
	if call.R.Method != http.MethodGet {
		return call.OnlyBy("GET, OPTIONS")
	}
	nonce := call.R.URL.Query().Get("nonce")
	if nonce == "" || len(nonce) > maxNonce {
		return 0, wire.BadRequest(wire.CodeInvalidParam, "'nonce' must be 1 to 64 characters")
	}
	return call.OK(struct {
		Proof string `json:"proof"`
	}{c.svc.ProbeAnswer(nonce)})
}
