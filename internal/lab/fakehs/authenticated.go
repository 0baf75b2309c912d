// SPDX-License-Identifier: Apache-2.0

package fakehs

import (
	"crypto/rand"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// authenticatedRoutes are the endpoints whose only part in third-party identifiers
// is that they have interactive authentication: a proof that is shown at one of them
// stays with the session, and the session is good everywhere.
func (s *Server) authenticatedRoutes(now string) []route {
	at := func(method, path string, h endpoint) route {
		return route{method, expression("^" + path), h}
	}
	const stage = `/auth/([\w.]*)/fallback/web`
	routes := []route{
		// Without an end: Synapse matches whatever follows (v2_alpha/devices.py, auth.py).
		at(http.MethodPost, now+`/delete_devices`, s.postDeleteDevices),
		at(http.MethodGet, now+`/register/available`, s.getRegisterAvailable),
		at(http.MethodDelete, now+`/devices/([^/]*)$`, s.deleteDevice),
		at(http.MethodGet, now+stage, s.getFallback),
		at(http.MethodPost, now+stage, s.postFallback),
	}
	if s.opts.Later {
		routes = append(
			routes,
			at(http.MethodPost, now+`/account/3pid/add$`, s.postThreepidAdd),
			at(http.MethodPost, now+`/keys/device_signing/upload$`, s.postDeviceSigning),
			at(http.MethodPost, `/_matrix/client/v1/login/get_token$`, s.postLoginToken),
			at(http.MethodPost, `/_matrix/client/unstable/org\.matrix\.msc3882/login/token$`, s.postLoginToken),
		)
	}
	if s.opts.ConfirmByAddress {
		for _, method := range []string{http.MethodPut, http.MethodPatch, http.MethodDelete} {
			routes = append(routes, at(method, now+`/org\.example\.thing$`, s.postDeviceSigning))
		}
	}
	return routes
}

// laterPath reports whether a path lies in a branch of the tree that came later.
func laterPath(raw string) bool {
	return strings.HasPrefix(raw, "/_matrix/client/v3/") || strings.HasPrefix(raw, "/_matrix/client/v1/")
}

// parseOptionalObject is parseObject for the endpoints that take what is no JSON for
// an empty object: clients of before r0.3 sent none.
func (x *exchange) parseOptionalObject() (object, error) {
	body, err := x.parseObject()
	if failed, ok := errors.AsType[*apiError](err); ok && failed.errcode == "M_NOT_JSON" {
		return object{}, nil
	}
	return body, err
}

// postDeleteDevices is POST /delete_devices.
func (s *Server) postDeleteDevices(x *exchange) (int, any, error) {
	d, err := s.requester(x)
	if err != nil {
		return 0, nil, err
	}
	body, err := x.parseOptionalObject()
	if err != nil {
		return 0, nil, err
	}
	if err := requireKeys(body, "devices"); err != nil {
		return 0, nil, err
	}
	if _, err := s.confirmUser(x, d, body); err != nil {
		return 0, nil, err
	}
	// The list of this round counts, and not what an earlier one kept.
	list, err := items(body["devices"])
	if err != nil || slices.ContainsFunc(list, func(id any) bool { return !hashable(id) }) {
		return 0, nil, errWrongType
	}
	for _, id := range list {
		if id == nil { // no device in particular: it ends all of them before it fails
			s.logOut(d.userID, func(device) bool { return true })
			return 0, nil, errWrongType
		}
		s.dropDevice(d.userID, pythonText(id))
	}
	return http.StatusOK, object{}, nil
}

// items is what a loop over a value goes through for Synapse: the characters of a text,
// the keys of an object.
func items(value any) (out []any, err error) {
	switch v := value.(type) {
	case []any:
		return v, nil
	case string:
		for _, char := range v {
			out = append(out, string(char))
		}
	case object:
		for key := range v {
			out = append(out, key)
		}
	default:
		err = errWrongType
	}
	return out, err
}

// deleteDevice is DELETE /devices/{id}. A body is optional.
func (s *Server) deleteDevice(x *exchange) (int, any, error) {
	d, err := s.requester(x)
	if err != nil {
		return 0, nil, err
	}
	body, err := x.parseOptionalObject()
	if err != nil {
		return 0, nil, err
	}
	if _, err := s.confirmUser(x, d, body); err != nil {
		return 0, nil, err
	}
	id, err := url.PathUnescape(x.vars[0])
	if err != nil {
		id = x.vars[0] // as Python leaves what is no escape
	}
	s.dropDevice(d.userID, id)
	return http.StatusOK, object{}, nil
}

// dropDevice ends a device of an account, if it has such a one.
func (s *Server) dropDevice(userID, id string) {
	gone := false
	s.logOut(userID, func(d device) bool {
		same := d.id == id
		gone = gone || same
		return same
	})
	if gone {
		s.noted(Change{Kind: DeviceGone, User: userID})
	}
}

// postThreepidAdd is POST /account/3pid/add (MSC2290), on a homeserver that leaves
// the validation to the identity server that it trusts.
func (s *Server) postThreepidAdd(x *exchange) (int, any, error) {
	body, err := x.parseObject()
	if err != nil {
		return 0, nil, err
	}
	d, err := s.requester(x)
	if err != nil {
		return 0, nil, err
	}
	if err := requireKeys(body, "client_secret", "sid"); err != nil {
		return 0, nil, err
	}
	if _, err := s.confirmUser(x, d, body); err != nil {
		return 0, nil, err
	}
	found, err := s.threepidFromCreds(x, object{
		"sid": body["sid"], "client_secret": body["client_secret"], "id_server": s.opts.TrustedIDServers[0],
	})
	if err != nil {
		return 0, nil, err
	}
	if found == nil || requireKeys(found, "medium", "address", "validated_at") != nil {
		return 0, nil, fail(http.StatusBadRequest, "M_THREEPID_AUTH_FAILED", "No validated 3pid session found")
	}
	return http.StatusOK, object{}, s.addThreepid(d.userID, found["medium"], found["address"], found["validated_at"])
}

// postDeviceSigning is POST /keys/device_signing/upload.
func (s *Server) postDeviceSigning(x *exchange) (int, any, error) {
	return s.confirmed(x, KeysReplaced, object{})
}

// postLoginToken is POST /login/get_token (MSC3882).
func (s *Server) postLoginToken(x *exchange) (int, any, error) {
	return s.confirmed(x, TokenIssued, object{"login_token": rand.Text(), "expires_in_ms": 120_000})
}

// confirmed is an endpoint of which only the authentication matters here.
func (s *Server) confirmed(x *exchange, kind ChangeKind, answer object) (int, any, error) {
	d, err := s.requester(x)
	if err != nil {
		return 0, nil, err
	}
	body, err := x.parseObject()
	if err != nil {
		return 0, nil, err
	}
	if _, err := s.confirmUser(x, d, body); err != nil {
		return 0, nil, err
	}
	s.noted(Change{Kind: kind, User: d.userID})
	return http.StatusOK, answer, nil
}
