// SPDX-License-Identifier: Apache-2.0

// Package idservers is a double of the way to all identity servers: they are in memory, and
// a test says which are there, what they know, and in which way they fail.
package idservers

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"

	"github.com/caddy-threepid/caddy-threepid/internal/identityserver"
	"github.com/caddy-threepid/caddy-threepid/internal/outbound"
)

// Servers are the identity servers of a test, for us and for the homeserver.
type Servers struct {
	mu       sync.Mutex
	servers  map[string]bool              // by name: is it alive?
	Private  map[string]bool              // names that lead to a private address
	sessions map[string]map[string]string // by server: sid and secret to medium and address
	Bound    map[string]string            // server, medium, address to user
	Refusal  error                        // of every bind and unbind
	Calls    []string                     // in order
	Tokens   []string                     // access tokens that were shown
}

// New has no servers yet.
func New() *Servers {
	return &Servers{
		servers: map[string]bool{}, Private: map[string]bool{},
		sessions: map[string]map[string]string{}, Bound: map[string]string{},
	}
}

// Start adds a server with a validated session for an address.
func (s *Servers) Start(name, sid, secret, medium, address string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.servers[name] = true
	if s.sessions[name] == nil {
		s.sessions[name] = map[string]string{}
	}
	s.sessions[name][sid+" "+secret] = medium + " " + address
}

// Kill has a server answer no more, until it is started again.
func (s *Servers) Kill(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.servers[name] = false
}

// Expire forgets all sessions: a binding can only be ended by a signature.
func (s *Servers) Expire(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sessions[name] = map[string]string{}
}

// Alive reports whether a server answers.
func (s *Servers) Alive(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.servers[name]
}

// Owner is who an address is bound to.
func (s *Servers) Owner(name, medium, address string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.Bound[name+" "+medium+" "+address]
}

// Made are the calls so far, in order.
func (s *Servers) Made() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.Calls...)
}

// call notes a call; the caller holds s.mu.
func (s *Servers) call(kind string, name outbound.Name) error {
	s.Calls = append(s.Calls, kind+" "+name.String())
	switch {
	case s.Private[name.String()]:
		return fmt.Errorf("dial: %w", outbound.ErrForbiddenAddress)
	case !s.servers[name.String()]:
		return identityserver.ErrUnavailable
	}
	return nil
}

func (s *Servers) Bind(_ context.Context, name outbound.Name, token string, b identityserver.Bind) (identityserver.Bound, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.call("bind", name); err != nil {
		return identityserver.Bound{}, err
	}
	if s.Refusal != nil {
		return identityserver.Bound{}, s.Refusal
	}
	s.Tokens = append(s.Tokens, token)
	found, ok := s.sessions[name.String()][b.SID+" "+b.ClientSecret]
	if !ok {
		return identityserver.Bound{}, Refused(http.StatusNotFound, "M_NO_VALID_SESSION")
	}
	medium, address, _ := strings.Cut(found, " ")
	address = strings.ToLower(address) // as Sydent
	s.Bound[name.String()+" "+medium+" "+address] = b.UserID
	return identityserver.Bound{Medium: medium, Address: address}, nil
}

func (s *Servers) Proven(_ context.Context, name outbound.Name, _, sid, secret string) (identityserver.Bound, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	medium, address, ok := strings.Cut(s.sessions[name.String()][sid+" "+secret], " ")
	if !ok {
		return identityserver.Bound{}, Refused(http.StatusNotFound, "M_NO_VALID_SESSION")
	}
	return identityserver.Bound{Medium: medium, Address: address}, nil
}

func (s *Servers) Unbind(_ context.Context, name outbound.Name, u identityserver.Unbind) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.call("unbind", name); err != nil {
		return err
	}
	if s.Refusal != nil {
		return s.Refusal
	}
	if s.sessions[name.String()][u.SID+" "+u.ClientSecret] != u.Medium+" "+u.Address {
		return Refused(http.StatusForbidden, "M_FORBIDDEN")
	}
	delete(s.Bound, name.String()+" "+u.Medium+" "+strings.ToLower(u.Address))
	return nil
}

func (s *Servers) Probe(_ context.Context, name outbound.Name) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.call("probe", name)
}

// UnbindSigned is what a homeserver calls with its own signature.
func (s *Servers) UnbindSigned(req *http.Request) (*http.Response, error) {
	raw, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	var body struct {
		MXID     string
		Threepid struct{ Medium, Address string }
	}
	if err := json.Unmarshal(raw, &body); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Calls = append(s.Calls, "signed unbind "+req.URL.Host)
	key := req.URL.Host + " " + body.Threepid.Medium + " " + body.Threepid.Address
	status := http.StatusOK
	if s.Bound[key] != body.MXID {
		status = http.StatusForbidden
	}
	delete(s.Bound, key)
	return &http.Response{StatusCode: status, Body: io.NopCloser(strings.NewReader("{}")), Header: http.Header{}}, nil
}

// Refused is a refusal as a server says it, with more than a client needs to see.
func Refused(status int, errcode string) *identityserver.Refusal {
	return &identityserver.Refusal{
		Status: status, Errcode: errcode, Message: "no",
		Body: json.RawMessage(`{"errcode":"` + errcode + `","error":"no","policies":{"tos":1}}`),
	}
}
