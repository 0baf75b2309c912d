// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/wire"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// maxNextLink bounds next_link, in bytes; it is stored with the session.
const maxNextLink = 2000

// nextLink is the page that a reader is sent to after confirming, or empty. Only
// origins on the operator's list are followed, and none by default: it is an open
// redirect from a page that people trust. A link that is not followed is no reason
// to send no mail: clients add one to every registration, and people cannot leave it
// out (ADR 6).
func (c *Config) nextLink(body wire.Object) string {
	link := linkOf(body)
	if !c.nextLinkAllowed(link) {
		return ""
	}
	return link
}

// linkOf is the next_link of a body as the client has sent it. What is no text is
// none: it is optional.
func linkOf(body wire.Object) string {
	link, _, err := body.Text("next_link")
	if err != nil {
		return ""
	}
	return link
}

func (c *Config) nextLinkAllowed(link string) bool {
	_, ok := c.nextLinkOrigin(link)
	return ok
}

// nextLinkOrigin returns the origin of an allowed link. Browsers take a
// backslash for a slash and drop tabs and newlines, url.Parse does not, so a
// link with any of them is refused.
func (c *Config) nextLinkOrigin(link string) (string, bool) {
	if len(link) > maxNextLink || strings.ContainsFunc(link, func(r rune) bool { return r <= ' ' || r == '\\' }) {
		return "", false
	}
	u, err := url.Parse(link)
	if err != nil {
		return "", false
	}
	o, err := originOf(u)
	if err != nil || !slices.Contains(c.NextLinkOrigins, o) {
		return "", false
	}
	return o, true
}

// wayOn is where the reader of a confirmed session goes on, or empty: then a page of
// ours says that it is where they started. The list may have changed since the link
// was kept.
func (p *people) wayOn(found verification.Confirmed, sid threepid.SID) string {
	if !p.cfg.nextLinkAllowed(found.NextLink) {
		return ""
	}
	return withSID(found.NextLink, sid)
}

// withSID appends the sid to a link: the client cannot have put it there, it was told
// the sid only after it named the link. It goes to the very end, as Synapse and Sydent
// write it, for that is where clients look: in the fragment, if there is one, as in
// ".../#/register?client_secret=...&sid=...".
func withSID(link string, sid threepid.SID) string {
	last := link
	if i := strings.IndexByte(link, '#'); i >= 0 {
		last = link[i:]
	}
	glue := "?"
	if strings.Contains(last, "?") {
		glue = "&"
	}
	if strings.HasSuffix(last, "?") || strings.HasSuffix(last, "&") {
		glue = ""
	}
	return ascii(link) + glue + "sid=" + url.QueryEscape(string(sid))
}

// ascii writes a link as a header has to have it.
func ascii(link string) string {
	var b strings.Builder
	for i := range len(link) {
		if link[i] < 0x80 {
			b.WriteByte(link[i])
			continue
		}
		fmt.Fprintf(&b, "%%%02X", link[i])
	}
	return b.String()
}
