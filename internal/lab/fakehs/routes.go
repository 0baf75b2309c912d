// SPDX-License-Identifier: Apache-2.0

package fakehs

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// exchange is one request on its way through an endpoint.
type exchange struct {
	req  *http.Request
	body []byte
	vars []string // what the route's expression captured
}

// endpoint answers one request with a status and a JSON value.
type endpoint func(x *exchange) (int, any, error)

// route binds a method and a path to an endpoint.
type route struct {
	method string
	path   *regexp.Regexp
	handle endpoint
}

// mounts are the places of the resource tree where JSON is spoken; everything else
// is Twisted's HTML 404. v2_alpha has no route of its own left in 1.3.1, but the
// tree still has the branch, so that an unknown path below it is a JSON 400.
var mounts = [][]string{
	{"_matrix", "client", "r0"},
	{"_matrix", "client", "unstable"},
	{"_matrix", "client", "v2_alpha"},
	{"_matrix", "client", "api", "v1"},
	{"_matrix", "client", "versions"},
}

// synapseRoutes is the part of Synapse 1.3.1's client API that the double has.
// Note what is missing: /account/3pid/{add,bind,unbind} came with 1.4.
func (s *Server) synapseRoutes() []route {
	now, all := `/_matrix/client/(?:r0|unstable)`, `/_matrix/client/(?:r0|unstable|api/v1)` // as it was in 2014
	if s.opts.Later {
		now, all = `/_matrix/client/(?:r0|v3|unstable)`, `/_matrix/client/(?:r0|v3|unstable|api/v1)`
	}
	get := func(path string, h endpoint) route {
		return route{http.MethodGet, expression("^" + path + "$"), h}
	}
	post := func(path string, h endpoint) route {
		return route{http.MethodPost, expression("^" + path + "$"), h}
	}
	return append([]route{
		get(`/_matrix/client/versions`, s.getVersions),

		post(now+`/register/email/requestToken`, s.postRegisterRequestToken),
		post(now+`/account/3pid/email/requestToken`, s.postThreepidRequestToken),
		post(now+`/account/password/email/requestToken`, s.postPasswordRequestToken),
		post(now+`/register/msisdn/requestToken`, s.postRegisterMSISDN),
		post(now+`/account/3pid/msisdn/requestToken`, s.postThreepidMSISDN),
		post(now+`/account/password/msisdn/requestToken`, s.postPasswordMSISDN),

		post(now+`/register`, s.postRegister),
		get(all+`/login`, s.getLogin),
		post(all+`/login`, s.postLogin),
		post(all+`/logout`, s.postLogout),
		post(all+`/logout/all`, s.postLogoutAll),

		get(now+`/account/whoami`, s.getWhoami),
		get(now+`/account/3pid`, s.getThreepids),
		post(now+`/account/3pid`, s.postThreepid),
		post(now+`/account/3pid/delete`, s.postThreepidDelete),
		post(now+`/account/password`, s.postPassword),
		post(now+`/account/deactivate`, s.postDeactivate),

		post(all+`/createRoom`, s.postCreateRoom),
		post(all+`/rooms/([^/]*)/invite`, s.postInvite),
	}, s.authenticatedRoutes(now)...)
}

// expressions are those of all routes that there were: to compile them is most of the work
// of making a homeserver.
var expressions sync.Map

func expression(text string) *regexp.Regexp {
	if known, ok := expressions.Load(text); ok {
		return known.(*regexp.Regexp)
	}
	made := regexp.MustCompile(text)
	expressions.Store(text, made)
	return made
}

// dispatch finds the endpoint of a request and sends what it answers. As in
// Synapse, the tree is walked over decoded segments but the routes are matched
// against the path as it was sent, so that "%72egister" is not "register".
func (s *Server) dispatch(w http.ResponseWriter, r *http.Request, body []byte) {
	raw := r.URL.EscapedPath()
	if !mounted(raw) && !(s.opts.Later && laterPath(raw)) {
		sendNotFoundPage(w)
		return
	}
	if r.Method == http.MethodOptions {
		sendJSON(w, r, http.StatusOK, map[string]any{})
		return
	}
	for _, rt := range s.routes {
		if rt.method != r.Method {
			continue
		}
		m := rt.path.FindStringSubmatch(raw)
		if m == nil {
			continue
		}
		status, answer, err := rt.handle(&exchange{req: r, body: body, vars: m[1:]})
		if err != nil {
			sendError(w, r, err)
			return
		}
		if text, ok := answer.(page); ok {
			text.send(w, status)
			return
		}
		sendJSON(w, r, status, answer)
		return
	}
	// An unknown path and a wrong method are the same thing to Synapse, and 400.
	sendError(w, r, unrecognized("Unrecognized request"))
}

// mounted reports whether the path lies in a JSON branch of the resource tree.
func mounted(raw string) bool {
	segments := strings.Split(strings.TrimPrefix(raw, "/"), "/")
	for i, segment := range segments {
		if plain, err := url.PathUnescape(segment); err == nil {
			segments[i] = plain
		}
	}
	return slices.ContainsFunc(mounts, func(m []string) bool {
		return len(segments) >= len(m) && slices.Equal(segments[:len(m)], m)
	})
}

// getVersions answers what 1.3.1 claims to speak; no 3PID flag is among it.
func (s *Server) getVersions(*exchange) (int, any, error) {
	return http.StatusOK, map[string]any{
		"versions":          []string{"r0.0.1", "r0.1.0", "r0.2.0", "r0.3.0", "r0.4.0", "r0.5.0"},
		"unstable_features": map[string]bool{"m.lazy_load_members": true},
	}, nil
}
