// SPDX-License-Identifier: Apache-2.0

package fakehs

import (
	"net/http"
)

// getLogin is GET /login.
func (s *Server) getLogin(*exchange) (int, any, error) {
	return http.StatusOK, object{"flows": []object{{"type": stagePassword}}}, nil
}

// postLogin is POST /login. Unlike the check at requestToken it does put an email
// address in lower case.
func (s *Server) postLogin(x *exchange) (int, any, error) {
	body, err := x.parseObject()
	if err != nil {
		return 0, nil, err
	}
	name, err := s.loginName(body)
	if err != nil {
		return 0, nil, err
	}
	id, err := s.validateLogin(name, body)
	if err != nil {
		return 0, nil, err
	}
	d, err := s.logIn(id, body["device_id"])
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, object{
		"user_id": id, "access_token": d.token, "device_id": d.said, "home_server": s.opts.ServerName,
	}, nil
}

// loginName finds out who wants to log in, by user or by address.
func (s *Server) loginName(body object) (any, error) {
	bad := func(message string) error { return fail(http.StatusBadRequest, "M_UNKNOWN", message) }
	switch kind, ok := body["type"]; {
	case !ok:
		return nil, bad("Missing JSON keys.")
	case kind == "m.login.token" && body["token"] == nil:
		return nil, bad("Missing JSON keys.")
	case kind == "m.login.token":
		return nil, fail(http.StatusForbidden, "M_FORBIDDEN", "Invalid token")
	}
	identifier, err := loginIdentifier(body)
	if err != nil {
		return nil, err
	}
	if identifier["type"] == "m.id.thirdparty" {
		return s.loginByThreepid(identifier, body)
	}
	if identifier["type"] != "m.id.user" {
		return nil, bad("Unknown login identifier type")
	}
	name, ok := identifier["user"]
	if !ok {
		return nil, bad("User identifier is missing 'user' key")
	}
	return name, nil
}

// loginIdentifier is the identifier object, made from the older top-level keys where
// those are used; they win.
func loginIdentifier(body object) (object, error) {
	medium, hasMedium := body["medium"]
	address, hasAddress := body["address"]
	if hasMedium && hasAddress {
		return object{"type": "m.id.thirdparty", "medium": medium, "address": address}, nil
	}
	if name, ok := body["user"]; ok {
		return object{"type": "m.id.user", "user": name}, nil
	}
	value, ok := body["identifier"]
	if !ok {
		return nil, fail(http.StatusBadRequest, "M_UNKNOWN", "Missing param: identifier")
	}
	kind, ok, err := member(value, "type")
	if err == nil && !ok {
		err = fail(http.StatusBadRequest, "M_UNKNOWN", "Login identifier has no type")
	}
	if err != nil {
		return nil, err
	}
	identifier, _ := value.(object)
	if kind == "m.id.phone" {
		return phoneIdentifier(identifier)
	}
	return identifier, nil
}

// phoneIdentifier is the identifier of a number that is written as somebody dials it.
func phoneIdentifier(identifier object) (object, error) {
	country, ok := identifier["country"]
	number, ok2 := identifier["number"]
	if !ok || !ok2 {
		return nil, fail(http.StatusBadRequest, "M_UNKNOWN", "Invalid phone-type identifier")
	}
	digits, err := msisdn(country, number)
	return object{"type": "m.id.thirdparty", "medium": "msisdn", "address": digits}, err
}

// loginByThreepid finds the account behind an address.
func (s *Server) loginByThreepid(identifier, body object) (any, error) {
	medium, address := identifier["medium"], identifier["address"]
	if medium == nil || address == nil {
		return nil, fail(http.StatusBadRequest, "M_UNKNOWN", "Invalid thirdparty identifier")
	}
	if medium == "email" {
		text, ok := address.(string)
		if !ok {
			return nil, errWrongType
		}
		address = lowered(text)
	}
	if _, ok := body["password"]; !ok {
		return nil, fail(http.StatusBadRequest, "M_UNKNOWN", "Missing JSON keys.")
	}
	owner, err := s.lookupOwner(medium, address)
	if err == nil && owner == "" {
		err = fail(http.StatusForbidden, "M_FORBIDDEN", "")
	}
	return owner, err
}

// postLogout is POST /logout; it ends the device, and so every token of it.
func (s *Server) postLogout(x *exchange) (int, any, error) {
	d, err := s.requester(x)
	if err != nil {
		return 0, nil, err
	}
	s.logOut(d.userID, func(other device) bool { return other.id == d.id })
	return http.StatusOK, object{}, nil
}

// postLogoutAll is POST /logout/all.
func (s *Server) postLogoutAll(x *exchange) (int, any, error) {
	d, err := s.requester(x)
	if err != nil {
		return 0, nil, err
	}
	s.logOut(d.userID, func(device) bool { return true })
	return http.StatusOK, object{}, nil
}

// getWhoami is GET /account/whoami.
func (s *Server) getWhoami(x *exchange) (int, any, error) {
	d, err := s.requester(x)
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, object{"user_id": d.userID}, nil
}
