// SPDX-License-Identifier: Apache-2.0

package fakehs

import (
	"crypto/hmac"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Request is one request that the homeserver received, faulted ones included.
type Request struct {
	Method string
	Path   string // as it was sent, still escaped
	Query  string
	Header http.Header
	Body   []byte
}

// IDServerCall is one call that the homeserver made, or tried to make.
type IDServerCall struct {
	Method      string
	URL         string
	ContentType string
	Body        []byte

	Status int    // 0 when there was no answer
	Answer []byte // the body of the answer
	Err    error  // why there was none
}

// AddUser makes an account with validated email addresses and returns its user ID.
// An account of the same name is replaced, an address of another account moves.
func (s *Server) AddUser(name, password string, emails ...string) string {
	id := s.userID(name)
	s.mu.Lock()
	u := &user{id: id}
	if password != "" {
		u.password = s.hashPassword(password)
	}
	s.users[strings.ToLower(name)] = u
	s.mu.Unlock()
	for _, email := range emails {
		// Strings cannot be of the wrong type.
		_ = s.addThreepid(id, "email", email, time.Now().UnixMilli())
	}
	return id
}

// HasUser reports whether there is an active account of that name (localpart).
func (s *Server) HasUser(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.users[strings.ToLower(name)]
	return u != nil && !u.deactivated
}

// CheckPassword reports whether the account exists and has that password.
func (s *Server) CheckPassword(name, password string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.users[strings.ToLower(name)]
	return u != nil && u.password != nil && hmac.Equal(u.password, s.hashPassword(password))
}

// Emails lists the email addresses of an account, as stored, oldest first.
func (s *Server) Emails(name string) []string {
	var out []string
	for _, t := range s.threepidsOf(s.storedID(name)) {
		if t.medium == "email" {
			out = append(out, t.address)
		}
	}
	return out
}

// AddThreepid gives an account one more validated address, of either medium.
func (s *Server) AddThreepid(name, medium, address string) {
	// Strings cannot be of the wrong type.
	_ = s.addThreepid(s.storedID(name), medium, address, time.Now().UnixMilli())
}

// Threepids lists the addresses of an account as "medium address", oldest first.
func (s *Server) Threepids(name string) []string {
	list := s.threepidsOf(s.storedID(name))
	out := make([]string, 0, len(list))
	for _, t := range list {
		out = append(out, t.medium+" "+t.address)
	}
	return out
}

// BoundAt lists where the homeserver remembers to have bound an email address of
// an account, sorted.
func (s *Server) BoundAt(name, email string) []string {
	return s.bindingsOf(s.storedID(name), "email", email)
}

// storedID is the user ID of an account in the case it was registered in.
func (s *Server) storedID(name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if u := s.users[strings.ToLower(name)]; u != nil {
		return u.id
	}
	return ""
}

// Requests returns what was received so far, in order of arrival.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := slices.Clone(s.requests)
	for i := range out {
		out[i].Header = out[i].Header.Clone()
		out[i].Body = slices.Clone(out[i].Body)
	}
	return out
}

// IDServerCalls returns the calls made to identity servers so far, in order of
// their completion.
func (s *Server) IDServerCalls() []IDServerCall {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := slices.Clone(s.calls)
	for i := range out {
		out[i].Body = slices.Clone(out[i].Body)
		out[i].Answer = slices.Clone(out[i].Answer)
	}
	return out
}

// ResetRecordings forgets the recorded requests and calls, but no accounts.
func (s *Server) ResetRecordings() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests, s.calls = nil, nil
}

// record notes a request and returns the fault that is due for it, if any.
func (s *Server) record(r *http.Request, body []byte) Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, Request{
		Method: r.Method, Path: r.URL.EscapedPath(), Query: r.URL.RawQuery,
		Header: r.Header.Clone(), Body: slices.Clone(body),
	})
	return s.Take(r)
}
