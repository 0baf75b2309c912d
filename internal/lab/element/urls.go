// SPDX-License-Identifier: Apache-2.0

package element

import (
	"net/url"
	"strings"
)

// Resume is a registration that another tab has begun.
type Resume struct{ ClientSecret, HomeserverURL, IdentityURL, Session, SID string }

// RegistrationLink is the next_link of a registration (Registration.requestEmailToken
// and app.makeRegistrationUrl, up to 1.11.10; 1.11.50 sends none).
func RegistrationLink(app string, r Resume) string {
	return app + "#/register?client_secret=" + encodeURIComponent(r.ClientSecret) + "&hs_url=" + encodeURIComponent(r.HomeserverURL) +
		"&is_url=" + encodeURIComponent(r.IdentityURL) + "&session_id=" + encodeURIComponent(r.Session)
}

// encodeURIComponent is JavaScript's, for what is in such links.
func encodeURIComponent(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }

// Landing is the screen that an address leads to, and its parameters
// (url_utils.parseQsFromFragment): they stand in the fragment, between its first
// question mark and its second.
func Landing(location string) (screen string, params url.Values) {
	_, fragment, _ := strings.Cut(location, "#")
	parts := strings.Split(fragment, "?")
	params = url.Values{}
	if len(parts) > 1 {
		params, _ = url.ParseQuery(parts[1])
	}
	screen, _ = url.PathUnescape(parts[0])
	return screen, params
}

// Resumed is the registration that an address goes on with
// (MatrixChat.startRegistration): without one of its parameters there is none, and
// the person sees an empty form.
func Resumed(location string) (r Resume, ok bool) {
	screen, p := Landing(location)
	r = Resume{p.Get("client_secret"), p.Get("hs_url"), p.Get("is_url"), p.Get("session_id"), p.Get("sid")}
	ok = screen == "/register"
	for _, part := range []string{r.ClientSecret, r.HomeserverURL, r.IdentityURL, r.Session, r.SID} {
		ok = ok && part != ""
	}
	return r, ok
}
