// SPDX-License-Identifier: Apache-2.0

package fakehs

import (
	"crypto/rand"
	"net/http"
	"strings"
)

// device is what an access token stands for. Several tokens may share a device,
// and go when it goes.
type device struct {
	userID string
	id     string
	said   any // the id as the client gave it, number or text
	token  string
}

// logIn makes an access token for an account, on the named device or a new one.
func (s *Server) logIn(userID string, deviceID any) (device, error) {
	if !hashable(deviceID) {
		return device{}, errWrongType
	}
	if deviceID == nil {
		deviceID = rand.Text()[:10]
	}
	d := device{userID: userID, id: pythonText(deviceID), said: deviceID, token: "fake_" + rand.Text()}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokens[d.token] = d
	return d, nil
}

// logOut ends every token of an account for which gone is true.
func (s *Server) logOut(userID string, gone func(device) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for token, d := range s.tokens {
		if d.userID == userID && gone(d) {
			delete(s.tokens, token)
		}
	}
}

// hasToken reports whether the request carries any kind of access token, and be it an
// empty one.
func (x *exchange) hasToken() bool {
	return x.req.URL.Query().Has("access_token") || len(x.req.Header.Values("Authorization")) > 0
}

// token takes the access token out of a request, header or query but not both.
func (x *exchange) token() (string, error) {
	missing := func(message string) (string, error) {
		return "", fail(http.StatusUnauthorized, "M_MISSING_TOKEN", message)
	}
	headers := x.req.Header.Values("Authorization")
	query, inQuery := x.req.URL.Query()["access_token"]
	switch {
	case len(headers) == 0 && !inQuery:
		return missing("Missing access token")
	case len(headers) == 0:
		return query[0], nil
	case inQuery:
		return missing("Mixing Authorization headers and access_token query parameters.")
	case len(headers) > 1:
		return missing("Too many Authorization headers.")
	}
	parts := strings.Split(headers[0], " ")
	if len(parts) != 2 || parts[0] != "Bearer" {
		return missing("Invalid Authorization header.")
	}
	return parts[1], nil
}

// errUnknownToken is the answer to a token that is not, or no longer, known.
func errUnknownToken() error {
	return &apiError{
		status: http.StatusUnauthorized, errcode: "M_UNKNOWN_TOKEN",
		message: "Unrecognised access token", extra: object{"soft_logout": false},
	}
}

// requester finds who sends a request.
func (s *Server) requester(x *exchange) (device, error) {
	token, err := x.token()
	if err != nil {
		return device{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	d, ok := s.tokens[token]
	if !ok {
		return device{}, errUnknownToken()
	}
	return d, nil
}
