// SPDX-License-Identifier: Apache-2.0

package fakehs

import (
	"net/http"
	"strings"
	"unicode/utf8"
)

// registerFlows computes the flows of /register as Synapse does. Phone flows are
// offered unless they are disabled.
func (s *Server) registerFlows() [][]string { return s.gated(s.addressFlows()) }

// addressFlows are the flows without captcha, terms and token.
func (s *Server) addressFlows() [][]string {
	var flows [][]string
	if !s.opts.Require3PIDEmail {
		flows = append(flows, []string{stageDummy})
	}
	flows = append(flows, []string{stageEmail})
	if s.opts.DisableMSISDNRegistration {
		return flows
	}
	if !s.opts.Require3PIDEmail {
		flows = append(flows, []string{stageMSISDN})
	}
	return append(flows, []string{stageMSISDN, stageEmail})
}

// postRegister is POST /register.
func (s *Server) postRegister(x *exchange) (int, any, error) {
	body, err := x.parseObject()
	if err != nil {
		return 0, nil, err
	}
	if err := s.admitRegistration(x, body); err != nil {
		return 0, nil, err
	}
	_, hasPassword := body["password"]
	if _, ok := body["initial_device_display_name"]; ok && !hasPassword {
		// An old client sent this key alone in later rounds; taking it out keeps
		// the parameters of the first round.
		delete(body, "initial_device_display_name")
	}

	registered, err := s.registeredIn(body)
	if err != nil {
		return 0, nil, err
	}
	if name, ok := body["username"].(string); ok {
		if err := s.checkUsername(strings.ToLower(name), registered); err != nil {
			return 0, nil, err
		}
	}
	result, err := s.checkAuth(x, s.registerFlows(), body, false)
	if err != nil {
		return 0, nil, err
	}
	if err := s.requireAllowedStages(result); err != nil {
		return 0, nil, err
	}
	if registered != "" {
		answer, err := s.registrationAnswer(registered, result.params)
		return http.StatusOK, answer, err
	}
	id, err := s.register(result)
	if err != nil {
		return 0, nil, err
	}
	answer, err := s.registrationAnswer(id, result.params)
	if err == nil {
		err = s.afterRegistration(x, id, result)
	}
	return http.StatusOK, answer, err
}

// admitRegistration is everything that comes before interactive authentication.
func (s *Server) admitRegistration(x *exchange, body object) error {
	if kind, ok := x.req.URL.Query()["kind"]; ok && kind[0] != "user" {
		if kind[0] == "guest" {
			return fail(http.StatusForbidden, "M_UNKNOWN", "Guest access is disabled")
		}
		return unrecognized("Do not understand membership kind: " + kind[0])
	}
	for _, key := range []string{"password", "username"} {
		if value, ok := body[key]; ok {
			text, ok := value.(string)
			if !ok || utf8.RuneCountInString(text) > 512 {
				return fail(http.StatusBadRequest, "M_UNKNOWN", "Invalid "+key)
			}
		}
	}
	if x.hasToken() {
		// Only application services register with a token, and there are none: a
		// logged-in client's token does not pass for nothing, it is refused.
		if _, err := x.token(); err != nil {
			return err
		}
		return errUnknownToken()
	}
	if _, ok := body["mac"]; ok {
		return fail(http.StatusBadRequest, "M_UNKNOWN", "Shared secret registration is not enabled")
	}
	if !s.opts.RegistrationEnabled {
		return fail(http.StatusForbidden, "M_UNKNOWN", "Registration has been disabled")
	}
	return nil
}

// registeredIn is the user that the body's session has already registered, or "".
func (s *Server) registeredIn(body object) (string, error) {
	auth, _, err := authOf(body)
	if err != nil {
		return "", err
	}
	id := auth["session"]
	if !truthy(id) {
		return "", nil
	}
	if !hashable(id) {
		return "", errWrongType
	}
	name, _ := id.(string)
	s.mu.Lock()
	defer s.mu.Unlock()
	if sess := s.findSession(name); sess != nil {
		return sess.registered, nil
	}
	return "", nil
}

// requireAllowedStages applies allowed_local_3pids to what the stages proved.
func (s *Server) requireAllowedStages(result authResult) error {
	for _, stage := range []string{stageEmail, stageMSISDN} {
		found := result.threepid(stage)
		if found == nil {
			continue
		}
		address, ok := found["address"]
		if !ok {
			return errWrongType
		}
		allowed, err := s.allowedThreepid(found["medium"], address)
		if err != nil {
			return err
		}
		if !allowed {
			return fail(http.StatusForbidden, "M_THREEPID_DENIED",
				"Third party identifiers (email/phone numbers) are not authorized on this server")
		}
	}
	return nil
}

// register makes the account. The in-use check compares the address as the identity
// server spells it, so that Victim@x passes although victim@x is taken.
func (s *Server) register(result authResult) (string, error) {
	if err := requireKeys(result.params, "password"); err != nil {
		return "", err
	}
	for _, stage := range []string{stageEmail, stageMSISDN} {
		found := result.threepid(stage)
		if found == nil {
			continue
		}
		owner, err := s.lookupOwner(found["medium"], found["address"])
		if err != nil {
			return "", err
		}
		if owner != "" {
			medium, _ := found["medium"].(string)
			return "", fail(http.StatusBadRequest, "M_THREEPID_IN_USE", medium+" is already in use")
		}
	}
	name, _ := result.params["username"].(string)
	name = strings.ToLower(name)
	if name != "" {
		if err := s.checkUsername(name, ""); err != nil {
			return "", err
		}
		if numericLocalpart.MatchString(name) {
			return "", fail(http.StatusBadRequest, "M_UNKNOWN", "Numeric user IDs are reserved for guest users.")
		}
	}
	password, _ := result.params["password"].(string)
	id, err := s.createUser(name, password)
	if err != nil {
		return "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if sess := s.uia[result.session]; sess != nil {
		sess.registered = id
	}
	return id, nil
}

// registrationAnswer logs the new user in, unless the client would rather not.
func (s *Server) registrationAnswer(id string, params object) (object, error) {
	answer := object{"user_id": id, "home_server": s.opts.ServerName}
	if truthy(params["inhibit_login"]) {
		return answer, nil
	}
	d, err := s.logIn(id, params["device_id"])
	answer["access_token"], answer["device_id"] = d.token, d.said
	return answer, err
}

// afterRegistration stores the validated addresses and binds them if asked to. A
// failed bind is a 500 for an account that exists.
func (s *Server) afterRegistration(x *exchange, id string, result authResult) error {
	for _, do := range []struct{ stage, bind string }{{stageEmail, "bind_email"}, {stageMSISDN, "bind_msisdn"}} {
		found := result.threepid(do.stage)
		if found == nil || requireKeys(found, "medium", "address", "validated_at") != nil {
			// Without validated_at the address is dropped, and nobody is told.
			continue
		}
		if err := s.addThreepid(id, found["medium"], found["address"], found["validated_at"]); err != nil {
			return err
		}
		if !truthy(result.params[do.bind]) {
			continue
		}
		if err := s.bindThreepid(x, found["threepid_creds"], id); err != nil {
			return err
		}
	}
	return nil
}
