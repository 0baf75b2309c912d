// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"net/url"
	"slices"
	"strings"

	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// kind is what a path of ours is for. It is also a metric label, so the set is
// closed.
type kind string

const (
	kindNone         kind = ""
	kindRequestToken kind = "request_token"
	kindComplete     kind = "complete"
	kindAdd          kind = "add"
	kindBind         kind = "bind"
	kindUnbind       kind = "unbind"
	kindDeactivate   kind = "deactivate"
	kindVersions     kind = "versions"
	kindSubmit       kind = "submit"
	kindRefuse       kind = "refuse"
	kindProbe        kind = "probe"
	kindUnknown      kind = "unknown_medium"
	kindStray        kind = "unknown_path" // in ownSpace
)

// Paths of our own, outside the homeserver's name space (MSC2078: the path
// must not be one of an identity server's).
const (
	// SubmitPath serves the link in a mail (GET), its page's form (POST) and
	// submit_url (POST with JSON), for one medium each.
	SubmitPath = "/_threepid/validate/"
	submitTail = "/submitToken"
	// identitySubmit is where clients of before MSC2078 post a code.
	identitySubmit = "/_matrix/identity/api/v1/validate/"
)

// route is one classified path.
type route struct {
	kind    kind
	purpose verification.Purpose
	medium  verification.Medium
	prefix  string // as configured, e.g. /_matrix/client; empty if it lies elsewhere
	version string // one segment, or "api/v1"
	tail    string // what follows the version
}

// entry is a row of the route table: the segments after prefix and version.
// "{medium}" stands for any one segment.
type entry struct {
	segments []string
	kind     kind
	purpose  verification.Purpose
}

// table lists every path below prefix and version that is ours. The version
// is a wildcard, as in MSC2263: a closed list would be a way around us on a
// homeserver that knows one more.
var table = []entry{
	{strings.Split("register/{medium}/requestToken", "/"), kindRequestToken, verification.Register},
	{strings.Split("account/password/{medium}/requestToken", "/"), kindRequestToken, verification.Password},
	{strings.Split("account/3pid/{medium}/requestToken", "/"), kindRequestToken, verification.Add},
	{strings.Split("register", "/"), kindComplete, verification.Register},
	{strings.Split("account/password", "/"), kindComplete, verification.Password},
	{strings.Split("account/3pid", "/"), kindComplete, verification.Add},
	{strings.Split("account/3pid/add", "/"), kindAdd, verification.Add},
	{strings.Split("account/3pid/bind", "/"), kindBind, ""},
	{strings.Split("account/3pid/identity/bind", "/"), kindBind, ""},
	{strings.Split("account/3pid/unbind", "/"), kindUnbind, ""},
	{strings.Split("account/3pid/delete", "/"), kindUnbind, ""},
	{strings.Split("account/deactivate", "/"), kindDeactivate, verification.Password},
}

// maxSegments is how many there are in the longest row.
const maxSegments = 4

// router classifies paths.
type router struct {
	prefixes []string
	// identity also serves the submit path of identity servers.
	identity bool
}

// classify returns the route of a request path, which is split, too, if it is not
// ours. suspicious says that the path
// is not one of ours as it stands, but may be read as one.
func (rt *router) classify(u *url.URL) (found route, suspicious bool) {
	if plainlyOther(u) {
		return rt.below(u.Path), false
	}
	found = rt.match(u.Path, exact)
	if found.kind == kindNone {
		return rt.below(u.Path), rt.suspicious(u.Path)
	}
	// A canonical path is spelled with no escape at all.
	if u.EscapedPath() != u.Path || loosen(u.Path) != u.Path || !plainVersion(found.version) {
		return route{}, true
	}
	return found, false
}

// lastSegments are those that a path of ours can end with.
var lastSegments = []string{
	"requestToken", "register", "password", "3pid", "add", "bind", "unbind", "delete", "deactivate",
	"versions", "submitToken", "refuse", "probe",
}

// plainlyOther tells at little cost that a path is read alike by every parser
// and is none of ours: most requests are.
func plainlyOther(u *url.URL) bool {
	if !plain(u) {
		return false
	}
	p := strings.TrimSuffix(u.Path, "/")
	last := p[strings.LastIndexByte(p, '/')+1:]
	return !slices.ContainsFunc(lastSegments, func(s string) bool { return strings.EqualFold(s, last) })
}

// plain reports whether every parser that decodes a path reads it alike. An escape
// may stand for a sign that needs none, but not for a slash.
func plain(u *url.URL) bool {
	p := u.Path
	if u.RawPath != "" && strings.Count(u.RawPath, "/") != strings.Count(p, "/") {
		return false
	}
	for i := range len(p) {
		c := p[i]
		odd := c <= ' ' || c >= 0x7f || c == '%' || c == '\\' || c == ';'
		if odd || (c == '/' && i+1 < len(p) && (p[i+1] == '/' || p[i+1] == '.')) {
			return false
		}
	}
	return true
}

// comparison is how strictly segments are compared.
type comparison func(a, b string) bool

func exact(a, b string) bool { return a == b }
func fold(a, b string) bool  { return strings.EqualFold(a, b) }

func (rt *router) match(p string, same comparison) route {
	for _, prefix := range rt.prefixes {
		rest, _ := cutPrefix(p, prefix+"/", same)
		if r := matchBelow(rest, same); r.kind != kindNone {
			r.prefix = prefix
			return r
		}
	}
	if rest, ok := cutPrefix(p, SubmitPath, same); ok {
		return matchSubmit(rest, same)
	}
	switch {
	case same(p, RefusePath):
		return route{kind: kindRefuse}
	case same(p, ProbePath):
		return route{kind: kindProbe}
	}
	if !rt.identity {
		return route{}
	}
	rest, _ := cutPrefix(p, identitySubmit, same)
	return matchSubmit(rest, same)
}

func cutPrefix(p, prefix string, same comparison) (string, bool) {
	if len(p) < len(prefix) || !same(p[:len(prefix)], prefix) {
		return "", false
	}
	return p[len(prefix):], true
}

// matchBelow matches what follows a prefix.
func matchBelow(rest string, same comparison) route {
	if same(rest, "versions") {
		return route{kind: kindVersions, tail: "versions"}
	}
	version, tail, ok := cutVersion(rest, same)
	if !ok {
		return route{}
	}
	if strings.Count(tail, "/") >= maxSegments {
		return route{}
	}
	segments := strings.Split(tail, "/")
	for _, e := range table {
		medium, ok := e.match(segments, same)
		if !ok {
			continue
		}
		r := route{kind: e.kind, purpose: e.purpose, version: version, tail: tail}
		if e.kind == kindRequestToken {
			r.setMedium(medium, same)
		}
		return r
	}
	return route{}
}

// cutVersion takes the version off: one segment, or the two of "api/v1".
func cutVersion(rest string, same comparison) (version, tail string, ok bool) {
	if len(rest) > 4 && same(rest[:4], "api/") {
		second, tail, ok := strings.Cut(rest[4:], "/")
		return rest[:4] + second, tail, ok && second != ""
	}
	version, tail, ok = strings.Cut(rest, "/")
	return version, tail, ok && version != ""
}

func (e *entry) match(segments []string, same comparison) (medium string, ok bool) {
	if len(segments) != len(e.segments) {
		return "", false
	}
	for i, want := range e.segments {
		switch {
		case want == "{medium}":
			if medium = segments[i]; !segment(medium) {
				return "", false
			}
		case !same(segments[i], want):
			return "", false
		}
	}
	return medium, true
}

// segment reports whether s stays a segment of its own in a canonical path.
func segment(s string) bool { return s != "" && s != "." && s != ".." }

func matchSubmit(rest string, same comparison) route {
	medium, tail, ok := strings.Cut(rest, "/")
	if !ok || !segment(medium) || !same("/"+tail, submitTail) {
		return route{}
	}
	r := route{kind: kindSubmit, tail: rest}
	r.setMedium(medium, same)
	return r
}

func (r *route) setMedium(segment string, same comparison) {
	switch {
	case same(segment, string(verification.Email)):
		r.medium = verification.Email
	case same(segment, string(verification.MSISDN)):
		r.medium = verification.MSISDN
	default:
		r.kind = kindUnknown
	}
}

// plainVersion reports whether a version segment is one that every parser
// reads alike.
func plainVersion(v string) bool {
	for i := range len(v) {
		c := v[i]
		switch {
		case c >= '0' && c <= '9', c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c == '_', c == '-', c == '.', c == '/':
		default:
			return false
		}
	}
	return v != "." && v != ".."
}

// below splits a path that lies under one of the prefixes; the generic UIA rule
// applies there. Any other has no prefix.
func (rt *router) below(p string) route {
	for _, prefix := range rt.prefixes {
		if rest, ok := strings.CutPrefix(p, prefix); ok && strings.HasPrefix(rest, "/") {
			if version, tail, ok := cutVersion(rest[1:], exact); ok && tail != "" {
				return route{prefix: prefix, version: version, tail: tail}
			}
		}
	}
	return route{}
}
