// SPDX-License-Identifier: Apache-2.0

package wiring

import (
	"net/http"
	"slices"
	"strings"

	"github.com/caddy-threepid/caddy-threepid/internal/doctor"
)

// links wants every link in a mail to reach us.
func (x *examination) links() {
	sites := x.entries
	for _, link := range x.Links {
		all := make([]end, 0, len(sites))
		for _, s := range sites {
			all = append(all, follow(s.server, http.MethodGet, s.host, link)...)
		}
		if slices.ContainsFunc(all, func(e end) bool { return e.sees(func(p string) bool { return p == link }) }) {
			continue
		}
		if cut := slices.IndexFunc(all, func(e end) bool { return e.guarded }); cut >= 0 {
			x.report(doctor.CodePathCut, x.name(sites), "Links in messages lead to %s, and threepid sees %s in its place.", link, all[cut].at)
		} else {
			x.report(doctor.CodeLinksNotCovered, x.name(sites), "Links in messages lead to %s, and requests for that path do not reach threepid.", link)
		}
		return // the others are the same
	}
}

// name is what a message is about if it is about several sites, or about none
// that requests come to.
func (x *examination) name(sites []site) string {
	if len(sites) == 0 {
		return x.PublicURL
	}
	return sites[0].String()
}

// paths wants what clients ask for to reach us. A single path may be closed by
// intention, but not all of them.
func (x *examination) paths() {
	for _, prefix := range x.Required {
		covered, cut, where := false, "", ""
		for _, s := range x.sites {
			for _, tail := range tails {
				for _, e := range follow(s.server, http.MethodPost, s.host, prefix+"/v3/"+tail) {
					covered = covered || e.sees(func(p string) bool { return x.covers(p, tail) })
					if e.guarded && cut == "" {
						cut, where = e.at, s.String()
					}
				}
			}
		}
		switch {
		case covered:
		case cut != "":
			x.report(doctor.CodePathCut, where, "Clients ask for paths below %s, and threepid sees %s in their place.", prefix, cut)
		default:
			x.report(doctor.CodePathsNotCovered, x.name(x.entries), "Clients ask for paths below %s, and no request for one reaches threepid.", prefix)
		}
	}
}

// covers reports whether a path is one of ours with a tail.
func (x *examination) covers(path, tail string) bool {
	return slices.ContainsFunc(x.Prefixes, func(prefix string) bool {
		rest, ok := strings.CutPrefix(path, prefix+"/")
		_, rest, _ = strings.Cut(rest, "/")
		return ok && rest == tail
	})
}

// behind wants something to stand behind us, at one site at least: another may
// be there for links only.
func (x *examination) behind() {
	var bare []site
	for _, s := range x.sites {
		switch x.next(s) {
		case yes:
			return
		case no:
			bare = append(bare, s)
		case maybe:
		}
	}
	if len(bare) > 0 {
		x.report(doctor.CodeNothingBehind, bare[0].String(), "Nothing comes after threepid, so that what is meant for the homeserver gets an empty answer.")
	}
}

// next says whether a handler answers what we pass on; maybe, if nothing comes
// to us.
func (x *examination) next(s site) answer {
	found := maybe
	for _, prefix := range x.Required {
		for _, tail := range []string{"sync", "account/whoami"} {
			for _, e := range follow(s.server, http.MethodGet, s.host, prefix+"/v3/"+tail) {
				switch {
				case e.guarded && e.kind != nothing:
					return yes
				case e.guarded && e.sure:
					found = no
				}
			}
		}
	}
	return found
}

// around wants no way to the homeserver past us, by which accounts are taken.
func (x *examination) around() {
	behind := x.upstreams()
	if len(behind) == 0 {
		return
	}
	said := map[string]bool{}
	for _, s := range x.sites {
		path, dial, found := x.past(s, behind)
		if name := s.String(); found && !said[name] {
			said[name] = true
			x.report(doctor.CodeWayAround, name, "Requests for %s get to the homeserver at %s and do not come by threepid.", path, dial)
		}
	}
}

// takings are the paths by which accounts are taken, as the homeserver knows
// them.
func (x *examination) takings() []string {
	paths := make([]string, len(tails)-firstTaking)
	for i, tail := range tails[firstTaking:] {
		paths[i] = x.UpstreamPrefix + "/" + x.UpstreamVersion + "/" + tail
	}
	return paths
}

// upstreams are where we pass on to what is for the homeserver.
func (x *examination) upstreams() []string {
	var dials []string
	for _, s := range x.sites {
		for _, p := range x.probes() {
			for _, e := range follow(s.server, p.method, s.host, p.path) {
				if e.kind == proxied && e.guarded && !e.fog {
					dials = append(dials, e.dials...)
				}
			}
		}
	}
	return dials
}

// past finds such a way in a site.
func (x *examination) past(s site, behind []string) (path, dial string, found bool) {
	if s.local() || s.closed() {
		return "", "", false
	}
	for i, path := range x.takings() {
		tail := tails[firstTaking+i]
		for _, e := range follow(s.server, http.MethodPost, s.host, path) {
			if e.kind != proxied || !e.sure || e.gated || e.fog || e.sees(func(p string) bool { return x.covers(p, tail) }) || e.path != path {
				continue
			}
			if i := slices.IndexFunc(e.dials, func(d string) bool { return slices.Contains(behind, d) }); i >= 0 {
				return path, e.dials[i], true
			}
		}
	}
	return "", "", false
}
