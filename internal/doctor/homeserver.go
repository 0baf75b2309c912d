// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// versions looks whether a homeserver answers behind this module, and whether
// the module is in the way of the answer.
func (s *session) versions(ctx context.Context, r *results) bool {
	a := s.askHomeserver(ctx, r, http.MethodGet, "/_matrix/client/versions", nil)
	if a == nil {
		return false
	}
	var body struct {
		Versions []string       `json:"versions"`
		Features map[string]any `json:"unstable_features"`
	}
	if a.status != http.StatusOK || !a.object(&body) || len(body.Versions) == 0 {
		r.report(codeNotMatrix, "What answers behind this module is no Matrix homeserver (%s).", a.kind())
		return false
	}
	s.native = s.opts.Homeserver == "synapse" && slices.ContainsFunc(body.Versions, newerThanR05)
	if required, ok := body.Features["m.require_identity_server"].(bool); !ok || required {
		r.report(codeFeatureMissing, "Clients are not told that they need no identity server: "+
			"m.require_identity_server is not false in the homeserver's versions.")
	}
	return true
}

// askHomeserver sends a question through the public site. It reports what keeps
// the homeserver from answering, and then returns nil.
func (s *session) askHomeserver(ctx context.Context, r *results, method, path string, body any) *answer {
	var a *answer
	var err error
	if method == http.MethodPost {
		a, err = s.web.post(ctx, s.public(path), body)
	} else {
		a, err = s.web.get(ctx, s.public(path))
	}
	host := "the public URL"
	if u, parseErr := url.Parse(s.opts.PublicURL); parseErr == nil && u.Host != "" {
		host = u.Host
	}
	switch {
	case err != nil:
		f, _ := faultOf(err)
		r.reportFault(host, f)
		return nil
	case a.gatewayError():
		r.report(codeHomeserverDown, "The homeserver cannot be reached through %s (status %d).", host, a.status)
		return nil
	}
	return a
}

// newerThanR05 tells the versions that no Synapse without verification of its
// own has claimed: up to 1.3.1 they end with r0.5.0.
func newerThanR05(version string) bool {
	if strings.HasPrefix(version, "v") {
		return true
	}
	minor, ok := strings.CutPrefix(version, "r0.")
	minor, _, _ = strings.Cut(minor, ".")
	n, err := strconv.Atoi(minor)
	return ok && err == nil && n > 5
}
