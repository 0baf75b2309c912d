// SPDX-License-Identifier: Apache-2.0

package fakehs

import (
	"bytes"
	"io"
	"maps"
	"net/http"
	"slices"
	"sync"
)

// Fault answers a request in place of the homeserver. It may call next to have the
// request handled after all, before or after doing harm.
type Fault func(w http.ResponseWriter, r *http.Request, next http.Handler)

// fault is a Fault that is due for the next n requests that match.
type fault struct {
	n     int // negative: until ClearFaults
	match func(*http.Request) bool
	do    Fault
}

// Inject gives the next n requests that match to f; a nil match matches every
// request, and a negative n lasts until [Server.ClearFaults]. Of several faults
// that match, the one injected first is used up first. match must not call the
// server.
func (s *Server) Inject(n int, match func(*http.Request) bool, f Fault) {
	if n == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, &fault{n: n, match: match, do: f})
}

// Past matches from the request after the next n on, and so a fault that is injected
// once with it hits the n-th of the calls of a journey, whichever it is.
func Past(n int) func(*http.Request) bool {
	return func(*http.Request) bool {
		n--
		return n < 0
	}
}

// On matches the requests with one method and path.
func On(method, path string) func(*http.Request) bool {
	return func(r *http.Request) bool { return r.Method == method && r.URL.Path == path }
}

// As has a request handled as if it were another user's, whoever's token it carries:
// what a cache between two users does, or a proxy that mixes up two connections.
func (s *Server) As(name string) Fault {
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		d, _ := s.logIn(s.storedID(name), nil) // nothing is wrong with no device
		query := r.URL.Query()
		query.Del("access_token")
		r.URL.RawQuery = query.Encode()
		r.Header.Set("Authorization", "Bearer "+d.token)
		next.ServeHTTP(w, r)
	}
}

// Answering gives an answer of any kind, and does nothing else: a page of an error, or
// a 200 that lies.
func Answering(status int, contentType, text string) Fault {
	return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, text)
	}
}

// Acting handles a request in full, but then another fault answers it: what was done
// is done, and the client is told something else.
func Acting(then Fault) Fault {
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		next.ServeHTTP(&heldAnswer{header: make(http.Header)}, r)
		then(w, r, http.NotFoundHandler())
	}
}

// ClearFaults drops every fault that is still due. Requests that are already in
// one stay in it.
func (s *Server) ClearFaults() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

// takeFault uses up one due fault. The caller holds s.mu.
func (s *Server) takeFault(r *http.Request) Fault {
	for i, f := range s.faults {
		if f.match != nil && !f.match(r) {
			continue
		}
		if f.n > 0 {
			f.n--
		}
		if f.n == 0 {
			s.faults = slices.Delete(s.faults, i, i+1)
		}
		return f.do
	}
	return nil
}

// Failing answers with a Matrix error and does nothing else.
func Failing(status int) Fault {
	return func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
		sendError(w, r, fail(status, "M_UNKNOWN", http.StatusText(status)))
	}
}

// FailNext has the next n requests [Failing].
func (s *Server) FailNext(n, status int) { s.Inject(n, nil, Failing(status)) }

// HangNext holds the next n requests until release is called, and then answers
// them; a request whose client gives up meanwhile is dropped. Release may be called
// more than once.
func (s *Server) HangNext(n int) (release func()) {
	gate := make(chan struct{})
	s.Inject(n, nil, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		select {
		case <-gate:
			next.ServeHTTP(w, r)
		case <-r.Context().Done():
			panic(http.ErrAbortHandler)
		}
	})
	return sync.OnceFunc(func() { close(gate) })
}

// AbortNext handles the next n requests in full, but breaks the connection after
// the answer's header and that many bytes of its body: the client cannot know
// whether the request took effect, and it did.
func (s *Server) AbortNext(n, after int) {
	s.Inject(n, nil, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		answer := &heldAnswer{header: make(http.Header), status: http.StatusOK}
		next.ServeHTTP(answer, r)
		maps.Copy(w.Header(), answer.header)
		w.WriteHeader(answer.status)
		body := answer.body.Bytes()
		_, _ = w.Write(body[:min(after, len(body))])
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
}

// heldAnswer keeps an answer back. net/http/httptest has such a recorder, but also
// a command-line flag that a program like the demo should not grow.
type heldAnswer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (a *heldAnswer) Header() http.Header         { return a.header }
func (a *heldAnswer) WriteHeader(status int)      { a.status = status }
func (a *heldAnswer) Write(p []byte) (int, error) { return a.body.Write(p) }
