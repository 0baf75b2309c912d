// SPDX-License-Identifier: Apache-2.0

package fakeis

import "crypto/subtle"

// Session is a validation session as an identity server keeps it. The zero values
// of its marks are those of a session that was validated and is still good.
type Session struct {
	SID, ClientSecret string
	Medium, Address   string

	Pending bool // the address was not validated yet
	Expired bool // it was, too long ago
}

// AddSession makes a session known; one of the same sid is replaced.
func (s *Server) AddSession(session Session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sessions[session.SID] = session
}

// AddToken makes an access token known, as of the user with that Matrix ID.
func (s *Server) AddToken(token, userID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokens[token] = userID
}

// RequireTerms says whether every user has terms of service to accept before
// anything else (403 M_TERMS_NOT_SIGNED, MSC2140).
func (s *Server) RequireTerms(required bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.terms = required
}

// Lookup returns the user that an address is bound to, or "".
func (s *Server) Lookup(medium, address string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bindings[threepid{medium, address}]
}

// SetBinding binds an address to a user, or to nobody if that is "".
func (s *Server) SetBinding(medium, address, userID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if userID == "" {
		delete(s.bindings, threepid{medium, address})
		return
	}
	s.bindings[threepid{medium, address}] = userID
}

// session returns the session of that sid if the secret is right. The caller holds
// s.mu.
func (s *Server) session(sid, secret string) (Session, bool) {
	session, found := s.sessions[sid]
	if !found || subtle.ConstantTimeCompare([]byte(session.ClientSecret), []byte(secret)) != 1 {
		return Session{}, false
	}
	return session, true
}
