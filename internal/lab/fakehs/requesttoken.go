// SPDX-License-Identifier: Apache-2.0

package fakehs

import (
	"net/http"
)

// postRegisterRequestToken is POST /register/email/requestToken.
func (s *Server) postRegisterRequestToken(x *exchange) (int, any, error) {
	return s.requestTokenForNew(x, "Your email domain is not authorized to register on this server")
}

// postThreepidRequestToken is POST /account/3pid/email/requestToken. It asks for no
// access token.
func (s *Server) postThreepidRequestToken(x *exchange) (int, any, error) {
	return s.requestTokenForNew(x, "Your email domain is not authorized on this server")
}

// requestTokenForNew is requestToken for an address that nobody may have yet. Order
// counts: keys, allowed, in use, unknown keys, trust. The last two are why an
// untrusted id_server can be used to ask for the first three alone, and why an
// id_access_token is a 500.
func (s *Server) requestTokenForNew(x *exchange, denied string) (int, any, error) {
	body, err := x.parseObject()
	if err != nil {
		return 0, nil, err
	}
	if err := requireKeys(body, "id_server", "client_secret", "email", "send_attempt"); err != nil {
		return 0, nil, err
	}
	if err := s.requireAllowed(body["email"], denied); err != nil {
		return 0, nil, err
	}
	owner, err := s.lookupOwner("email", body["email"])
	if err != nil {
		return 0, nil, err
	}
	if owner != "" {
		return 0, nil, fail(http.StatusBadRequest, "M_THREEPID_IN_USE", "Email is already in use")
	}
	for key := range body {
		switch key {
		case "id_server", "client_secret", "email", "send_attempt", "next_link":
		default:
			return 0, nil, errWrongType
		}
	}
	answer, err := s.requestEmailToken(x, body["id_server"], body["email"],
		body["client_secret"], body["send_attempt"], body["next_link"])
	return http.StatusOK, answer, err
}

// requireAllowed refuses an address that allowed_local_3pids leaves out.
func (s *Server) requireAllowed(email any, denied string) error {
	ok, err := s.allowedEmail(email)
	if err == nil && !ok {
		return fail(http.StatusForbidden, "M_THREEPID_DENIED", denied)
	}
	return err
}

// postPasswordRequestToken is POST /account/password/email/requestToken. When resets
// are off it answers before it has looked at the body; when they are local it pays
// no attention to id_server; unknown keys it ignores.
func (s *Server) postPasswordRequestToken(x *exchange) (int, any, error) {
	if s.opts.ResetMode == ResetOff {
		return 0, nil, fail(http.StatusBadRequest, "M_UNKNOWN",
			"Email-based password resets have been disabled on this server")
	}
	body, err := x.parseObject()
	if err != nil {
		return 0, nil, err
	}
	if err := requireKeys(body, "client_secret", "email", "send_attempt"); err != nil {
		return 0, nil, err
	}
	if err := s.requireAllowed(body["email"], "Your email domain is not authorized on this server"); err != nil {
		return 0, nil, err
	}
	owner, err := s.lookupOwner("email", body["email"])
	if err != nil {
		return 0, nil, err
	}
	if owner == "" {
		return 0, nil, fail(http.StatusBadRequest, "M_THREEPID_NOT_FOUND", "Email not found")
	}
	if s.opts.ResetMode == ResetLocal {
		sid, err := s.openLocalReset(body)
		return http.StatusOK, object{"sid": sid}, err
	}
	if _, ok := body["id_server"]; !ok {
		return 0, nil, fail(http.StatusBadRequest, "M_UNKNOWN", "Missing 'id_server' param in body")
	}
	answer, err := s.requestEmailToken(x, body["id_server"], body["email"],
		body["client_secret"], body["send_attempt"], body["next_link"])
	return http.StatusOK, answer, err
}
