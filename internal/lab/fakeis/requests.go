// SPDX-License-Identifier: Apache-2.0

package fakeis

import (
	"net/http"
	"slices"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/faults"
)

// Request is one request that the server received, faulted ones included.
type Request struct {
	Method string
	Path   string // as it was sent, still escaped
	Query  string
	Header http.Header
	Body   []byte
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

// ResetRequests forgets the recorded requests.
func (s *Server) ResetRequests() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = nil
}

// record notes a request and returns the fault that is due for it, if any.
func (s *Server) record(r *http.Request, body []byte) faults.Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, Request{
		Method: r.Method, Path: r.URL.EscapedPath(), Query: r.URL.RawQuery,
		Header: r.Header.Clone(), Body: slices.Clone(body),
	})
	return s.Take(r)
}
