// SPDX-License-Identifier: Apache-2.0

package route

import (
	"net/url"
	"slices"
	"strings"

	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// kind is what a path of ours is for. It is also a metric label, so the set is
// closed.
type kind string

// The kinds. KindNone is a path that is the homeserver's, KindStray one below our own
// name space where there is nothing.
const (
	KindNone         kind = ""
	KindRequestToken kind = "request_token"
	KindComplete     kind = "complete"
	KindAdd          kind = "add"
	KindBind         kind = "bind"
	KindUnbind       kind = "unbind"
	KindDeactivate   kind = "deactivate"
	KindVersions     kind = "versions"
	KindSubmit       kind = "submit"
	KindRefuse       kind = "refuse"
	KindProbe        kind = "probe"
	kindUnknown      kind = "unknown_medium"
	KindStray        kind = "unknown_path" // in ownSpace
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
	// RefusePath is where "I did not ask for this" of a mail leads.
	RefusePath = "/_threepid/refuse"
	// ProbePath answers a nonce with a proof that only we can give, so that the
	// operator can find out whether public_url leads here, and not to another
	// server or past this handler.
	ProbePath = "/_threepid/probe"
)

// Paths of ours below a prefix, by what follows the version.
const (
	TailRegister   = "register"
	TailPassword   = "account/password"
	TailThreepid   = "account/3pid"
	TailAdd        = "account/3pid/add"
	TailUnbind     = "account/3pid/unbind"
	TailDeactivate = "account/deactivate"
	// TailLogin is no path of ours: nothing is refused there, see login.go.
	TailLogin = "login"
	// ancientVersion is that of the API of before UIA.
	ancientVersion = "api/v1"
)

// Route is one classified path.
type Route struct {
	Kind    kind
	Purpose verification.Purpose
	Medium  verification.Medium
	Prefix  string // as configured, e.g. /_matrix/client; empty if it lies elsewhere
	Version string // one segment, or "api/v1"
	Tail    string // what follows the version
}

// entry is a row of the route table: the segments after prefix and version.
// "{medium}" stands for any one segment.
type entry struct {
	Segments []string
	kind     kind
	purpose  verification.Purpose
}

// Table lists every path below prefix and version that is ours. The version
// is a wildcard, as in MSC2263: a closed list would be a way around us on a
// homeserver that knows one more.
var Table = []entry{
	{strings.Split("register/{medium}/requestToken", "/"), KindRequestToken, verification.Register},
	{strings.Split("account/password/{medium}/requestToken", "/"), KindRequestToken, verification.Password},
	{strings.Split("account/3pid/{medium}/requestToken", "/"), KindRequestToken, verification.Add},
	{strings.Split("register", "/"), KindComplete, verification.Register},
	{strings.Split("account/password", "/"), KindComplete, verification.Password},
	{strings.Split("account/3pid", "/"), KindComplete, verification.Add},
	{strings.Split("account/3pid/add", "/"), KindAdd, verification.Add},
	{strings.Split("account/3pid/bind", "/"), KindBind, ""},
	{strings.Split("account/3pid/identity/bind", "/"), KindBind, ""},
	{strings.Split("account/3pid/unbind", "/"), KindUnbind, ""},
	{strings.Split("account/3pid/delete", "/"), KindUnbind, ""},
	{strings.Split("account/deactivate", "/"), KindDeactivate, verification.Password},
}

// maxSegments is how many there are in the longest row.
const maxSegments = 4

// Router classifies paths.
type Router struct {
	Prefixes []string
	// Identity also serves the submit path of identity servers.
	Identity bool
}

// Classify returns the route of a request path, which is split, too, if it is not
// ours. suspicious says that the path
// is not one of ours as it stands, but may be read as one.
func (rt *Router) Classify(u *url.URL) (found Route, suspicious bool) {
	if plainlyOther(u) {
		return rt.split(u.Path), false
	}
	found = rt.match(u.Path, exact)
	if found.Kind == KindNone {
		return rt.split(u.Path), rt.suspicious(u.Path)
	}
	// A canonical path is spelled with no escape at all.
	if u.EscapedPath() != u.Path || Loosen(u.Path) != u.Path || !PlainVersion(found.Version) {
		return Route{}, true
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
	if !Plain(u) {
		return false
	}
	p := strings.TrimSuffix(u.Path, "/")
	last := p[strings.LastIndexByte(p, '/')+1:]
	return !slices.ContainsFunc(lastSegments, func(s string) bool { return strings.EqualFold(s, last) })
}

// Plain reports whether every parser that decodes a path reads it alike. An escape
// may stand for a sign that needs none, but not for a slash.
func Plain(u *url.URL) bool {
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

func (rt *Router) match(p string, same comparison) Route {
	for _, prefix := range rt.Prefixes {
		rest, _ := cutPrefix(p, prefix+"/", same)
		if r := matchBelow(rest, same); r.Kind != KindNone {
			r.Prefix = prefix
			return r
		}
	}
	if rest, ok := cutPrefix(p, SubmitPath, same); ok {
		return matchSubmit(rest, same)
	}
	switch {
	case same(p, RefusePath):
		return Route{Kind: KindRefuse}
	case same(p, ProbePath):
		return Route{Kind: KindProbe}
	}
	if !rt.Identity {
		return Route{}
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
func matchBelow(rest string, same comparison) Route {
	if same(rest, "versions") {
		return Route{Kind: KindVersions, Tail: "versions"}
	}
	version, tail, ok := cutVersion(rest, same)
	if !ok {
		return Route{}
	}
	if strings.Count(tail, "/") >= maxSegments {
		return Route{}
	}
	segments := strings.Split(tail, "/")
	for _, e := range Table {
		medium, ok := e.match(segments, same)
		if !ok {
			continue
		}
		r := Route{Kind: e.kind, Purpose: e.purpose, Version: version, Tail: tail}
		if e.kind == KindRequestToken {
			r.setMedium(medium, same)
		}
		return r
	}
	return Route{}
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
	if len(segments) != len(e.Segments) {
		return "", false
	}
	for i, want := range e.Segments {
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

func matchSubmit(rest string, same comparison) Route {
	medium, tail, ok := strings.Cut(rest, "/")
	if !ok || !segment(medium) || !same("/"+tail, submitTail) {
		return Route{}
	}
	r := Route{Kind: KindSubmit, Tail: rest}
	r.setMedium(medium, same)
	return r
}

func (r *Route) setMedium(segment string, same comparison) {
	switch {
	case same(segment, string(verification.Email)):
		r.Medium = verification.Email
	case same(segment, string(verification.MSISDN)):
		r.Medium = verification.MSISDN
	default:
		r.Kind = kindUnknown
	}
}

// PlainVersion reports whether a version segment is one that every parser
// reads alike.
func PlainVersion(v string) bool {
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

// split splits a path that lies under one of the prefixes; the generic UIA rule
// applies there. Any other has no prefix.
func (rt *Router) split(p string) Route {
	for _, prefix := range rt.Prefixes {
		if rest, ok := strings.CutPrefix(p, prefix); ok && strings.HasPrefix(rest, "/") {
			if version, tail, ok := cutVersion(rest[1:], exact); ok && tail != "" {
				return Route{Prefix: prefix, Version: version, Tail: tail}
			}
		}
	}
	return Route{}
}

// ownSpace is where everything is ours, and nothing the homeserver's. People get
// here by links that they have copied, and which something on the way has changed.
const ownSpace = "/_threepid/"

// InOwnSpace reports whether a path is in ownSpace as it stands, or may be read so.
func InOwnSpace(u *url.URL) bool {
	if startsInOwnSpace(u.Path) {
		return true
	}
	return !Plain(u) && len(u.Path) <= MaxOddPath && startsInOwnSpace(Loosen(u.Path))
}

func startsInOwnSpace(p string) bool {
	return len(p) >= len(ownSpace) && strings.EqualFold(p[:len(ownSpace)], ownSpace)
}

// PagePath is the path of a medium's links and of its help page: where its tokens
// come back, and where the forms of its pages lead.
func PagePath(medium verification.Medium) string { return SubmitPath + string(medium) + submitTail }

// MediumOf is that of a path that was asked for, for pages about no session.
func MediumOf(path string) verification.Medium {
	if strings.Contains(path, "/"+string(verification.MSISDN)+"/") {
		return verification.MSISDN
	}
	return verification.Email
}

// Owned reports whether we know what the body of a request is for.
func (r Route) Owned() bool {
	switch r.Tail {
	case TailRegister, TailPassword, TailThreepid, TailAdd, TailDeactivate:
		return true
	}
	return false
}

// Ancient reports whether the body of a request is the auth dict itself.
func (r Route) Ancient() bool { return r.Version == ancientVersion && r.Tail == TailRegister }

// ProofPurpose is what credentials in "auth" have to be for.
func (r Route) ProofPurpose() verification.Purpose {
	if r.Kind == KindAdd {
		return verification.Password // proof of an address that the account has
	}
	return r.Purpose
}

// DefaultPrefixes are the path prefixes that are served unless told otherwise.
var DefaultPrefixes = []string{"/_matrix/client", "/chat/client"}
