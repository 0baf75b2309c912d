// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"net/url"
	"slices"
	"strings"
)

// maxNextLink bounds next_link, in bytes; it is stored with the session.
const maxNextLink = 2000

// nextLink checks the page that a reader is sent to after confirming. Only
// origins on the operator's list are allowed, and none by default: it is an
// open redirect from a page that people trust.
func (c *Client) nextLink(body object) (string, error) {
	link, given, err := body.text("next_link")
	if err != nil || !given || link == "" {
		return "", err
	}
	if !c.nextLinkAllowed(link) {
		return "", badRequest(codeInvalidParam, "'next_link' must be an http(s) URL of an allowed origin")
	}
	return link, nil
}

func (c *Client) nextLinkAllowed(link string) bool {
	_, ok := c.nextLinkOrigin(link)
	return ok
}

// nextLinkOrigin returns the origin of an allowed link. Browsers take a
// backslash for a slash and drop tabs and newlines, url.Parse does not, so a
// link with any of them is refused.
func (c *Client) nextLinkOrigin(link string) (string, bool) {
	if len(link) > maxNextLink || strings.ContainsFunc(link, func(r rune) bool { return r <= ' ' || r == '\\' || r == 0x7f }) {
		return "", false
	}
	u, err := url.Parse(link)
	if err != nil {
		return "", false
	}
	o, err := originOf(u)
	if err != nil || !slices.Contains(c.cfg.NextLinkOrigins, o) {
		return "", false
	}
	return o, true
}

// withSID appends the sid to the query of a link: the client cannot have put
// it there, it was told the sid only after it named the link.
func withSID(link, sid string) string {
	u, err := url.Parse(link)
	if err != nil {
		return link
	}
	if u.RawQuery != "" {
		u.RawQuery += "&"
	}
	u.RawQuery += "sid=" + url.QueryEscape(sid)
	u.ForceQuery = false
	return u.String()
}
