// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"net/netip"
	"net/url"
	"strings"
)

// ProbePath is where the public site answers {"proof": "..."} to a ?nonce=.
// Only a process with the same keys can give the same proof.
const ProbePath = "/_threepid/probe"

// publicURL goes out by the public name and looks who answers. If that is not
// this module, nothing more is sent there.
func (s *session) publicURL(ctx context.Context, r *results) bool {
	u, err := url.Parse(s.opts.PublicURL)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" {
		r.report(codeURLInvalid, "The public URL is not an http or https URL with a host.")
		return false
	}
	if u.Scheme == "http" {
		r.report(codeURLPlain, "The public URL is http, so links, and the passwords behind them, travel in the clear.")
	}
	if notPublic(u.Hostname()) {
		r.report(codeURLNotPublic, "Links in mails lead to %s, which only this machine or network can reach.", u.Hostname())
	}
	nonce := rand.Text()
	a, err := s.web.get(ctx, s.public(ProbePath+"?nonce="+nonce))
	if err != nil {
		f, _ := faultOf(err)
		r.reportFault(u.Host, f)
		return false
	}
	return s.judgeProbe(r, u, a, s.opts.Prove(nonce))
}

func (s *session) judgeProbe(r *results, u *url.URL, a *answer, want string) bool {
	var got struct {
		Proof string `json:"proof"`
	}
	to, redirected := a.redirect()
	switch {
	case redirected:
		r.report(codeRedirected, "%s sends us away to %s (status %d).", u.Host, location(u, to), a.status)
	case a.gatewayError():
		r.report(codeBadGateway, "A proxy at %s does not reach this server (status %d).", u.Host, a.status)
	case a.status != 200 || !a.object(&got) || got.Proof == "":
		r.report(codeNotThisModule, "Something else than this module answers at %s (%s).", u.Host, a.kind())
	case subtle.ConstantTimeCompare([]byte(got.Proof), []byte(want)) != 1:
		r.report(codeOtherInstance, "Another instance of this module, with other keys, answers at %s.", u.Host)
	default:
		return true
	}
	return false
}

// public is an absolute URL of the public site.
func (s *session) public(path string) string {
	return strings.TrimRight(s.opts.PublicURL, "/") + path
}

// location is the origin of a redirect: the rest may hold what was asked.
func location(from *url.URL, to string) string {
	u, err := from.Parse(to)
	if err != nil {
		return "a place that is no URL"
	}
	return u.Scheme + "://" + u.Host
}

// notPublic reports whether a host means nothing elsewhere.
func notPublic(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.IsLoopback() || ip.IsPrivate() || ip.IsLinkLocalUnicast() || ip.IsUnspecified()
	}
	return localName(host)
}
