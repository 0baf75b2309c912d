// SPDX-License-Identifier: Apache-2.0

package fakehs

import (
	"crypto/rand"
	"net/http"
)

// Rooms exist so that a test can send invite_3pid objects, which hold an id_server
// that is none of a proxy's business, and see in Requests that every byte arrived.

// postCreateRoom is POST /createRoom. The token is looked at before the body.
func (s *Server) postCreateRoom(x *exchange) (int, any, error) {
	if _, err := s.requester(x); err != nil {
		return 0, nil, err
	}
	if _, err := x.parseObject(); err != nil {
		return 0, nil, err
	}
	return http.StatusOK, object{"room_id": "!" + rand.Text()[:18] + ":" + s.opts.ServerName}, nil
}

// postInvite is POST /rooms/{id}/invite, by user or by address. A body that is no
// JSON object counts as an empty one. No identity server is asked.
func (s *Server) postInvite(x *exchange) (int, any, error) {
	if _, err := s.requester(x); err != nil {
		return 0, nil, err
	}
	body, err := x.parseObject()
	if err != nil {
		body = object{}
	}
	if requireKeys(body, "id_server", "medium", "address") == nil {
		return http.StatusOK, object{}, nil
	}
	if err := requireKeys(body, "user_id"); err != nil {
		return 0, nil, err
	}
	return http.StatusOK, object{}, nil
}
