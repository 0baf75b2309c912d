// SPDX-License-Identifier: Apache-2.0

package handlers

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

// idServers are the identity servers of a test, for us and for the homeserver.
type idServers struct {
	mu       sync.Mutex
	servers  map[string]bool              // by name: is it alive?
	private  map[string]bool              // names that lead to a private address
	sessions map[string]map[string]string // by server: sid and secret to medium and address
	bound    map[string]string            // server, medium, address to user
	refusal  error                        // of every bind and unbind
	calls    []string                     // in order
	tokens   []string                     // access tokens that were shown
}

func newIDServers() *idServers {
	return &idServers{
		servers: map[string]bool{}, private: map[string]bool{},
		sessions: map[string]map[string]string{}, bound: map[string]string{},
	}
}

// start adds a server with a validated session for an address.
func (s *idServers) start(name, sid, secret, medium, address string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.servers[name] = true
	if s.sessions[name] == nil {
		s.sessions[name] = map[string]string{}
	}
	s.sessions[name][sid+" "+secret] = medium + " " + address
}

func (s *idServers) kill(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.servers[name] = false
}

// expire forgets all sessions: a binding can only be ended by a signature.
func (s *idServers) expire(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sessions[name] = map[string]string{}
}

func (s *idServers) alive(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.servers[name]
}

// owner is who an address is bound to.
func (s *idServers) owner(name, medium, address string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bound[name+" "+medium+" "+address]
}

func (s *idServers) made() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.calls...)
}

// call notes a call; the caller holds s.mu.
func (s *idServers) call(kind string, name outbound.Name) error {
	s.calls = append(s.calls, kind+" "+name.String())
	switch {
	case s.private[name.String()]:
		return fmt.Errorf("dial: %w", outbound.ErrForbiddenAddress)
	case !s.servers[name.String()]:
		return identityserver.ErrUnavailable
	}
	return nil
}

func (s *idServers) Bind(_ context.Context, name outbound.Name, token string, b identityserver.Bind) (identityserver.Bound, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.call("bind", name); err != nil {
		return identityserver.Bound{}, err
	}
	if s.refusal != nil {
		return identityserver.Bound{}, s.refusal
	}
	s.tokens = append(s.tokens, token)
	found, ok := s.sessions[name.String()][b.SID+" "+b.ClientSecret]
	if !ok {
		return identityserver.Bound{}, refused(http.StatusNotFound, "M_NO_VALID_SESSION")
	}
	medium, address, _ := strings.Cut(found, " ")
	address = strings.ToLower(address) // as Sydent
	s.bound[name.String()+" "+medium+" "+address] = b.UserID
	return identityserver.Bound{Medium: medium, Address: address}, nil
}

func (s *idServers) Proven(_ context.Context, name outbound.Name, _, sid, secret string) (identityserver.Bound, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	medium, address, ok := strings.Cut(s.sessions[name.String()][sid+" "+secret], " ")
	if !ok {
		return identityserver.Bound{}, refused(http.StatusNotFound, "M_NO_VALID_SESSION")
	}
	return identityserver.Bound{Medium: medium, Address: address}, nil
}

func (s *idServers) Unbind(_ context.Context, name outbound.Name, u identityserver.Unbind) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.call("unbind", name); err != nil {
		return err
	}
	if s.refusal != nil {
		return s.refusal
	}
	if s.sessions[name.String()][u.SID+" "+u.ClientSecret] != u.Medium+" "+u.Address {
		return refused(http.StatusForbidden, "M_FORBIDDEN")
	}
	delete(s.bound, name.String()+" "+u.Medium+" "+strings.ToLower(u.Address))
	return nil
}

func (s *idServers) Probe(_ context.Context, name outbound.Name) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.call("probe", name)
}

// unbindSigned is what a homeserver calls with its own signature.
func (s *idServers) unbindSigned(req *http.Request) (*http.Response, error) {
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
	s.calls = append(s.calls, "signed unbind "+req.URL.Host)
	key := req.URL.Host + " " + body.Threepid.Medium + " " + body.Threepid.Address
	status := http.StatusOK
	if s.bound[key] != body.MXID {
		status = http.StatusForbidden
	}
	delete(s.bound, key)
	return &http.Response{StatusCode: status, Body: io.NopCloser(strings.NewReader("{}")), Header: http.Header{}}, nil
}

func refused(status int, errcode string) *identityserver.Refusal {
	return &identityserver.Refusal{
		Status: status, Errcode: errcode, Message: "no",
		Body: json.RawMessage(`{"errcode":"` + errcode + `","error":"no","policies":{"tos":1}}`),
	}
}
