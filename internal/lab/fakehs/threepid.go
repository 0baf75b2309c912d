// SPDX-License-Identifier: Apache-2.0

package fakehs

import (
	"net/http"
)

// getThreepids is GET /account/3pid.
func (s *Server) getThreepids(x *exchange) (int, any, error) {
	d, err := s.requester(x)
	if err != nil {
		return 0, nil, err
	}
	list := []object{}
	for _, t := range s.threepidsOf(d.userID) {
		list = append(list, object{
			"medium": t.medium, "address": t.address, "validated_at": t.validatedAt, "added_at": t.addedAt,
		})
	}
	return http.StatusOK, object{"threepids": list}, nil
}

// postThreepid is POST /account/3pid. It asks for no password and does not care
// whose address it is: who has validated creds gets the address, from anybody.
// Missing creds are noticed before a missing token.
func (s *Server) postThreepid(x *exchange) (int, any, error) {
	body, err := x.parseObject()
	if err != nil {
		return 0, nil, err
	}
	creds, ok := body["three_pid_creds"]
	if !ok {
		creds = body["threePidCreds"]
	}
	if creds == nil {
		return 0, nil, fail(http.StatusBadRequest, "M_MISSING_PARAM", "Missing param")
	}
	d, err := s.requester(x)
	if err != nil {
		return 0, nil, err
	}
	found, err := s.threepidFromCreds(x, creds)
	if err != nil {
		return 0, nil, err
	}
	if found == nil {
		return 0, nil, fail(http.StatusBadRequest, "M_THREEPID_AUTH_FAILED", "Failed to auth 3pid")
	}
	if requireKeys(found, "medium", "address", "validated_at") != nil {
		return 0, nil, fail(http.StatusInternalServerError, "M_UNKNOWN", "Invalid response from ID Server")
	}
	if err := s.addThreepid(d.userID, found["medium"], found["address"], found["validated_at"]); err != nil {
		return 0, nil, err
	}
	if truthy(body["bind"]) {
		// The address stays stored when this fails.
		if err := s.bindThreepid(x, creds, d.userID); err != nil {
			return 0, nil, err
		}
	}
	return http.StatusOK, object{}, nil
}

// postThreepidDelete is POST /account/3pid/delete. Every failure of it is the same 500,
// and then the address stays.
func (s *Server) postThreepidDelete(x *exchange) (int, any, error) {
	body, err := x.parseObject()
	if err != nil {
		return 0, nil, err
	}
	if err := requireKeys(body, "medium", "address"); err != nil {
		return 0, nil, err
	}
	d, err := s.requester(x)
	if err != nil {
		return 0, nil, err
	}
	medium, address, err := storedAs(body["medium"], body["address"])
	unbound := false
	if err == nil {
		unbound, err = s.unbindThreepid(x, d.userID, medium, address, body["id_server"])
	}
	if err != nil {
		return 0, nil, fail(http.StatusInternalServerError, "M_UNKNOWN", "Failed to remove threepid")
	}
	s.deleteThreepid(d.userID, medium, address)
	return http.StatusOK, unbindResult(unbound), nil
}

// storedAs is how the table of addresses has one that somebody names.
func storedAs(medium, address any) (m, a string, err error) {
	text, ok := address.(string)
	switch {
	case !hashable(medium) || !hashable(address):
		return "", "", errWrongType
	case medium != "email":
		return pythonText(medium), pythonText(address), nil
	case !ok:
		return "", "", errWrongType
	}
	return "email", lowered(text), nil
}

// unbindResult is what the two endpoints that unbind answer.
func unbindResult(unbound bool) object {
	if unbound {
		return object{"id_server_unbind_result": "success"}
	}
	return object{"id_server_unbind_result": "no-support"}
}
