// SPDX-License-Identifier: Apache-2.0

package pages

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// MinRead is the least time between showing a page and pressing its button.
const MinRead = time.Second

// Sealer makes the MACs of nonces; every node of a server makes the same. A
// *verification.Service is one.
type Sealer interface {
	UIASession(user, operation string) string
	UIASessionValid(session, user, operation string) bool
}

// sealUser keeps nonces apart from the sessions of users, whose names begin
// with an @.
const sealUser = "page"

// Press is how often a form was shown: some checks are for the first only.
type Press byte

// The presses.
const (
	First  Press = '1'
	Second Press = '2'
)

// PressCheck decides whether a form was sent by a person; the rules are in the
// comment of the package.
type PressCheck struct {
	Seal Sealer
	Now  func() time.Time
	// Secure says that browsers send Fetch Metadata to us: they do so to
	// trustworthy origins only (W3C Fetch Metadata, §2).
	Secure bool
}

// Nonce makes the nonce of a form that is about what: a session and a token,
// say.
func (c PressCheck) Nonce(press Press, what string) string {
	head := string(press) + strconv.FormatInt(c.Now().UnixMilli(), 36)
	return head + "." + c.Seal.UIASession(sealUser, head+"\x00"+what)
}

// open checks a nonce and tells which press it is for and when it was made.
func (c PressCheck) open(nonce, what string) (press Press, made time.Time, ok bool) {
	head, seal, _ := strings.Cut(nonce, ".")
	if len(nonce) > 256 || len(head) < 2 || !c.Seal.UIASessionValid(seal, sealUser, head+"\x00"+what) {
		return 0, time.Time{}, false
	}
	ms, err := strconv.ParseInt(head[1:], 36, 64)
	if err != nil {
		return 0, time.Time{}, false
	}
	return Press(head[0]), time.UnixMilli(ms), true
}

// Genuine reports whether a form comes from a page of ours that is about what,
// and its browser does not deny it. It is enough where the reader had to type
// something in.
func (c PressCheck) Genuine(r *http.Request, nonce, what string) bool {
	_, _, ok := c.open(nonce, what)
	return ok && navigated(r.Header)
}

// Sealed reports whether a nonce was made for something, no longer than an hour ago.
func (c PressCheck) Sealed(nonce, what string) bool {
	_, _, ok := c.open(nonce, what)
	return ok
}

// Human reports whether it was a person who pressed the button.
func (c PressCheck) Human(r *http.Request, nonce, what string) bool {
	press, made, ok := c.open(nonce, what)
	if !ok || !navigated(r.Header) {
		return false
	}
	// Clocks of nodes may differ; whoever shows the page again has one clock.
	if c.Now().Sub(made) < MinRead && hurried(r.Header) {
		return false
	}
	return press == Second || !c.Secure || plausible(r.Header)
}

// hurried reports whether time has to speak for what calls itself a browser,
// because it does not say that a person has pressed something. Text browsers and
// people's own tools may be as quick as they like: scanners do not read forms
// under their own name.
func hurried(h http.Header) bool {
	return strings.HasPrefix(h.Get("User-Agent"), "Mozilla/") && h.Get("Sec-Fetch-User") != "?1"
}

// navigated reports whether a browser says, or does not deny, that this is a
// navigation from a page of ours to be shown in a window. A reload from the
// history has no initiator, hence "none".
func navigated(h http.Header) bool {
	return among(h, "Sec-Fetch-Site", "", "same-origin", "none") &&
		among(h, "Sec-Fetch-Mode", "", "navigate") &&
		among(h, "Sec-Fetch-Dest", "", "document") &&
		among(h, "Sec-Purpose", "") && among(h, "Purpose", "")
}

func among(h http.Header, name string, values ...string) bool {
	return slices.Contains(values, h.Get(name))
}

// plausible reports whether the Fetch Metadata is what a browser of the name
// in User-Agent sends when somebody presses a button.
func plausible(h http.Header) bool {
	site, user := sendsMetadata(h.Get("User-Agent"))
	if site && h.Get("Sec-Fetch-Site") == "" {
		return false
	}
	return !user || h.Get("Sec-Fetch-User") == "?1"
}

// engines are the browsers that send Fetch Metadata, with the first major
// version in which all of them do. The marks are tried in this order, because
// browsers also name those that they are like.
var engines = []struct {
	mark  string
	since int
	user  bool // sends Sec-Fetch-User as well
}{
	{"Firefox/", 90, true},
	{"Chrome/", 80, true},
	{"Version/", 17, false}, // Safari; 16.4 is the first, but minor versions do not count here
}

// sendsMetadata tells from the name of a browser whether it sends
// Sec-Fetch-Site, and Sec-Fetch-User.
func sendsMetadata(userAgent string) (site, user bool) {
	for _, e := range engines {
		_, rest, found := strings.Cut(userAgent, e.mark)
		if !found {
			continue
		}
		digits, _, _ := strings.Cut(rest, ".")
		major, err := strconv.Atoi(digits)
		modern := err == nil && major >= e.since
		return modern, modern && e.user
	}
	return false, false
}
