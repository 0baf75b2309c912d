// SPDX-License-Identifier: Apache-2.0

package fakehs

import (
	"net/http"
	"regexp"
	"strings"
	"unicode"
)

// maxUserIDLength is the length of a whole user ID, in bytes here as there.
const maxUserIDLength = 255

var (
	localpartGrammar = regexp.MustCompile(`^[_\-./=a-z0-9]*$`)
	numericLocalpart = regexp.MustCompile(`^-?[0-9]+(_[0-9]+)*$`)
)

func errUserInUse() error {
	return fail(http.StatusBadRequest, "M_USER_IN_USE", "User ID already taken.")
}

// checkUsername refuses a localpart that cannot be registered. assigned is the user
// that this authentication session has already registered, if any.
func (s *Server) checkUsername(localpart, assigned string) error {
	invalid := func(message string) error { return fail(http.StatusBadRequest, "M_INVALID_USERNAME", message) }
	id := s.userID(localpart)
	switch {
	case !localpartGrammar.MatchString(localpart):
		return invalid("User ID can only contain characters a-z, 0-9, or '=_-./'")
	case localpart == "":
		return invalid("User ID cannot be empty")
	case localpart[0] == '_':
		return invalid("User ID may not begin with _")
	case assigned != "" && assigned == id:
		return nil
	case assigned != "":
		return fail(http.StatusBadRequest, "M_UNKNOWN", "A different user ID has already been registered for this session")
	case len(id) > maxUserIDLength:
		return invalid("User ID may not be longer than 255 characters")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.findUser(id) != nil {
		return errUserInUse()
	}
	return nil
}

// getRegisterAvailable is GET /register/available?username=.
func (s *Server) getRegisterAvailable(x *exchange) (int, any, error) {
	name, ok := x.req.URL.Query()["username"]
	if !ok {
		return 0, nil, fail(http.StatusBadRequest, "M_MISSING_PARAM", "Missing string query parameter 'username'")
	}
	if strings.ContainsFunc(name[0], func(r rune) bool { return r > unicode.MaxASCII }) {
		return 0, nil, fail(http.StatusBadRequest, "M_UNKNOWN", "Query parameter b'username' must be ascii")
	}
	if err := s.checkUsername(name[0], ""); err != nil {
		return 0, nil, err
	}
	return http.StatusOK, object{"available": true}, nil
}
