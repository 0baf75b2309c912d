// SPDX-License-Identifier: Apache-2.0

package fakehs

import (
	"bytes"
	"maps"
	"net/http"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/faults"
)

// Fault answers a request in place of the homeserver.
type Fault = faults.Fault

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

// Acting handles a request in full, but then another fault answers it: what was done
// is done, and the client is told something else.
func Acting(then Fault) Fault {
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		next.ServeHTTP(&heldAnswer{header: make(http.Header)}, r)
		then(w, r, http.NotFoundHandler())
	}
}

// Failing answers with a Matrix error and does nothing else.
func Failing(status int) Fault {
	return func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
		sendError(w, r, fail(status, "M_UNKNOWN", http.StatusText(status)))
	}
}

// FailNext has the next n requests [Failing].
func (s *Server) FailNext(n, status int) { s.Inject(n, nil, Failing(status)) }

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
