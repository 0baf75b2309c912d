// SPDX-License-Identifier: Apache-2.0

package wiring

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-threepid/caddy-threepid/internal/doctor"
)

// Config is what the rules have to know of the threepid app.
type Config struct {
	// PublicURL is where links in mails lead.
	PublicURL string
	// Links are the paths of ours that readers of messages open.
	Links []string
	// Prefixes are those under which clients find us.
	Prefixes []string
	// Required are those of them that have to reach us: not everybody has the
	// clients that all of the defaults are for.
	Required []string
	// UpstreamPrefix and UpstreamVersion are the homeserver's.
	UpstreamPrefix, UpstreamVersion string
	// IdentityName is whom the homeserver asks.
	IdentityName string
	// NeedsIdentity: the homeserver asks somebody, and this process is the only
	// one that can answer.
	NeedsIdentity bool
}

// tails are paths of ours below prefix and version. By the last three, accounts
// are taken.
var tails = []string{"register/email/requestToken", "account/password/email/requestToken", "register", "account/password", "account/3pid"}

const firstTaking = 2

// examination is one run.
type examination struct {
	Config
	sites    []site
	entries  []site // see candidates
	problems []doctor.WiringProblem
}

// Examine returns what is wrong. A configuration without any handler of ours has
// nothing to be wrong.
func Examine(app *caddyhttp.App, c Config) []doctor.WiringProblem {
	found := contents{}
	for _, server := range app.Servers {
		in := inventory(server)
		found.guard, found.identity = found.guard || in.guard, found.identity || in.identity
	}
	if !found.guard && found.identity {
		x := &examination{Config: c}
		x.report(doctor.CodeSiteMissing, c.PublicURL, "No site has threepid, so clients get to the homeserver past it, and links in messages lead nowhere.")
		return x.problems
	}
	if !found.guard {
		return nil
	}
	public, _ := hostAndPort(c.PublicURL)
	asked, _ := hostAndPort("https://" + c.IdentityName)
	x := &examination{Config: c, sites: sitesOf(app, public, asked)}
	x.entries = x.candidates()
	x.identity(app, found.identity)
	x.links()
	x.paths()
	x.behind()
	x.around()
	return x.problems
}

func (x *examination) report(code, subject, problem string, values ...any) {
	x.problems = append(x.problems, doctor.WiringProblem{Code: code, Subject: subject, Problem: problem, Values: values})
}

// identity looks for the site that the homeserver asks.
func (x *examination) identity(app *caddyhttp.App, exists bool) {
	if !exists {
		if x.NeedsIdentity {
			x.report(doctor.CodeIdentityMissing, x.IdentityName, "No site has threepid_identity, so nobody answers the homeserver when it asks whether an address was verified.")
		}
		return
	}
	host, port := hostAndPort("https://" + x.IdentityName)
	_, prefix, _ := strings.Cut(x.IdentityName, "/")
	path := strings.TrimSuffix("/"+prefix, "/") + "/_matrix/identity/api/v1/3pid/getValidated3pid"
	var ports []string
	for _, s := range x.sites {
		if s.host != nameless || !inventory(s.server).identity {
			continue // one for each server
		}
		for _, a := range s.listen {
			if a.IsUnixNetwork() {
				return // what stands before the socket is not known
			}
			ports = append(ports, strconv.FormatUint(uint64(a.StartPort), 10))
		}
	}
	here := slices.DeleteFunc(slices.Clone(x.sites), func(s site) bool { return s.host != host || !s.on(port) || !inventory(s.server).identity })
	switch {
	case len(here) == 0:
		x.report(doctor.CodeIdentityPort, x.IdentityName, "The site with threepid_identity listens on port %s, and the homeserver asks %s.", strings.Join(ports, ", "), x.IdentityName)
	case !slices.ContainsFunc(here, func(s site) bool {
		return slices.ContainsFunc(follow(s.server, http.MethodGet, host, path), func(e end) bool { return e.kind == identity || e.kind == unknown || e.fog })
	}):
		x.report(doctor.CodeIdentityHidden, x.IdentityName, "A site listens where the homeserver asks, at %s, but its questions do not reach threepid_identity there.", x.IdentityName)
	}
}

// candidates are the sites to which a client or the reader of a mail comes: those
// of public_url, as far as they are there, else all that have us.
func (x *examination) candidates() []site {
	host, port := hostAndPort(x.PublicURL)
	guarded := slices.DeleteFunc(slices.Clone(x.sites), func(s site) bool { return !x.guarded(s) })
	public := slices.DeleteFunc(slices.Clone(guarded), func(s site) bool { return s.host != host })
	exact := slices.DeleteFunc(slices.Clone(public), func(s site) bool { return !s.on(port) })
	switch {
	case len(exact) > 0:
		return exact
	case len(public) > 0:
		return public
	}
	return guarded
}

// guarded reports whether anything that comes to a site may come to us.
func (x *examination) guarded(s site) bool {
	probes := append(x.probes(), probe{http.MethodGet, "/"})
	for _, link := range x.Links {
		probes = append(probes, probe{http.MethodGet, link})
	}
	for _, p := range probes {
		if slices.ContainsFunc(follow(s.server, p.method, s.host, p.path), func(e end) bool { return e.guarded }) {
			return true
		}
	}
	return false
}

type probe struct{ method, path string }

// probes are requests of clients that are for us.
func (x *examination) probes() []probe {
	probes := make([]probe, 0, (1+2*len(tails))*len(x.Prefixes))
	for _, prefix := range x.Prefixes {
		probes = append(probes, probe{http.MethodGet, prefix + "/versions"})
		for _, tail := range tails {
			probes = append(probes, probe{http.MethodPost, prefix + "/v3/" + tail}, probe{http.MethodPost, prefix + "/" + x.UpstreamVersion + "/" + tail})
		}
	}
	return probes
}
