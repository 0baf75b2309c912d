// SPDX-License-Identifier: Apache-2.0

package fakehs

import (
	"crypto/hmac"
	"fmt"
	"maps"
	"net/http"
	"strings"
)

// checkStage tries one stage and returns what it proved: an object for a 3PID, a
// user ID for a password, true for the rest.
func (s *Server) checkStage(x *exchange, stage string, auth object, forReset bool) (any, error) {
	switch stage {
	case stageEmail:
		return s.checkThreepid(x, "email", auth, forReset)
	case stageMSISDN:
		// A phone number is always looked up at the identity server, even when
		// resets are local or off.
		return s.checkThreepid(x, "msisdn", auth, false)
	case stageDummy, stageTerms:
		return true, nil
	case stageRecaptcha:
		return s.checkCaptcha(auth)
	case stageToken:
		return s.checkToken(auth)
	}
	// Every other type is tried as a log-in, which in 1.3.1 knows no identifier
	// object here: the user goes by auth.user.
	name, ok := auth["user"]
	if !ok || name == nil {
		return nil, fail(http.StatusBadRequest, "M_MISSING_PARAM", "")
	}
	return s.validateLogin(name, auth)
}

// checkThreepid asks whether creds stand for a validated address of that medium.
func (s *Server) checkThreepid(x *exchange, medium string, auth object, forReset bool) (any, error) {
	creds, ok := auth["threepid_creds"]
	if !ok {
		return nil, stageFailure(http.StatusBadRequest, "M_MISSING_PARAM", "Missing threepid_creds")
	}
	var found object
	var err error
	switch {
	case !forReset || s.opts.ResetMode == ResetRemote:
		found, err = s.threepidFromCreds(x, creds)
	case s.opts.ResetMode == ResetLocal:
		found, err = s.takeLocalReset(creds)
	default:
		err = fail(http.StatusBadRequest, "M_UNKNOWN", "Password resets are not enabled on this homeserver")
	}
	if err != nil {
		return nil, err
	}
	if found == nil {
		return nil, stageFailure(http.StatusUnauthorized, "M_UNAUTHORIZED", "")
	}
	if found["medium"] != medium {
		return nil, stageFailure(http.StatusUnauthorized, "M_UNAUTHORIZED",
			fmt.Sprintf("Expecting threepid of type '%s', got '%v'", medium, found["medium"]))
	}
	proof := maps.Clone(found)
	proof["threepid_creds"] = creds
	return proof, nil
}

// validateLogin checks a password and returns the account's user ID. The name may
// be a localpart or a full user ID, in any case.
func (s *Server) validateLogin(name any, submission object) (string, error) {
	id, ok := name.(string)
	if !ok {
		return "", errWrongType
	}
	if !strings.HasPrefix(id, "@") {
		id = s.userID(id)
	}
	if submission["type"] != stagePassword {
		return "", fail(http.StatusBadRequest, "M_UNKNOWN", fmt.Sprintf("Unknown login type %v", submission["type"]))
	}
	if !truthy(submission["password"]) {
		return "", fail(http.StatusBadRequest, "M_UNKNOWN", "Missing parameter: password")
	}
	password, ok := submission["password"].(string)
	if !ok {
		return "", errWrongType
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.findUser(id)
	if u != nil && u.deactivated {
		return "", fail(http.StatusForbidden, "M_USER_DEACTIVATED", "This account has been deactivated")
	}
	if u == nil || u.password == nil || !hmac.Equal(u.password, s.hashPassword(password)) {
		return "", stageFailure(http.StatusForbidden, "M_FORBIDDEN", "Invalid password")
	}
	return u.id, nil
}
