// SPDX-License-Identifier: Apache-2.0

package fakehs

import (
	"net/http"
)

// postPassword is POST /account/password: with a token, a change confirmed by the
// old password; without one, a reset by a validated address.
func (s *Server) postPassword(x *exchange) (int, any, error) {
	body, err := x.parseObject()
	if err != nil {
		return 0, nil, err
	}
	var (
		userID string
		params object
		by     *device
	)
	if x.hasToken() {
		d, err := s.requester(x)
		if err != nil {
			return 0, nil, err
		}
		if params, err = s.confirmUser(x, d, body); err != nil {
			return 0, nil, err
		}
		userID, by = d.userID, &d
	} else if userID, params, err = s.resetOwner(x, body); err != nil {
		return 0, nil, err
	}
	if err := requireKeys(params, "new_password"); err != nil {
		return 0, nil, err
	}
	if err := s.setPassword(userID, params["new_password"], by); err != nil {
		return 0, nil, err
	}
	return http.StatusOK, object{}, nil
}

// resetOwner authenticates a logged-out reset and finds whose password is meant. A
// phone number authenticates, and then fails with a 500: that flow never worked.
func (s *Server) resetOwner(x *exchange, body object) (string, object, error) {
	result, err := s.checkAuth(x, [][]string{{stageEmail}, {stageMSISDN}}, body, true)
	if err != nil {
		return "", nil, err
	}
	found := result.threepid(stageEmail)
	if found == nil && s.opts.PhoneReset {
		found = result.threepid(stageMSISDN)
	}
	if found == nil {
		return "", nil, fail(http.StatusInternalServerError, "M_UNKNOWN", "")
	}
	if requireKeys(found, "medium", "address") != nil {
		return "", nil, fail(http.StatusInternalServerError, "M_UNKNOWN", "Malformed threepid")
	}
	address, ok := found["address"].(string)
	if !ok {
		return "", nil, errWrongType
	}
	owner, err := s.lookupOwner(found["medium"], lowered(address))
	if err == nil && owner == "" {
		err = fail(http.StatusNotFound, "M_NOT_FOUND", "Email address not found")
	}
	return owner, result.params, err
}

// postDeactivate is POST /account/deactivate. An identity server that cannot be
// asked to unbind keeps the account alive.
func (s *Server) postDeactivate(x *exchange) (int, any, error) {
	body, err := x.parseObject()
	if err != nil {
		return 0, nil, err
	}
	if erase, ok := body["erase"]; ok {
		if _, ok := erase.(bool); !ok {
			return 0, nil, fail(http.StatusBadRequest, "M_BAD_JSON", "Param 'erase' must be a boolean, if given")
		}
	}
	d, err := s.requester(x)
	if err != nil {
		return 0, nil, err
	}
	if _, err := s.confirmUser(x, d, body); err != nil {
		return 0, nil, err
	}
	all := true
	for _, t := range s.threepidsOf(d.userID) {
		unbound, err := s.unbindThreepid(x, d.userID, t.medium, t.address, body["id_server"])
		if err != nil {
			return 0, nil, fail(http.StatusBadRequest, "M_UNKNOWN", "Failed to remove threepid from ID server")
		}
		all = all && unbound
		s.deleteThreepid(d.userID, t.medium, t.address)
	}
	s.logOut(d.userID, func(device) bool { return true })
	s.mu.Lock()
	if u := s.findUser(d.userID); u != nil {
		u.password, u.deactivated = nil, true
		s.note(Change{Kind: Deactivated, User: u.id})
	}
	s.mu.Unlock()
	return http.StatusOK, unbindResult(all), nil
}
