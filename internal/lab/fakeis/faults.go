// SPDX-License-Identifier: Apache-2.0

package fakeis

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/faults"
)

// On matches the requests to one path, for Inject.
func On(path string) func(*http.Request) bool {
	return func(r *http.Request) bool { return r.URL.Path == path }
}

// AnswerNext gives the next n requests that answer, and does nothing else.
func (s *Server) AnswerNext(n, status int, contentType, text string) {
	s.Inject(n, nil, faults.Answering(status, contentType, text))
}

// FailNext answers the next n requests with a Matrix error.
func (s *Server) FailNext(n, status int, errcode, message string) {
	s.Inject(n, nil, func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		sendError(w, status, errcode, message)
	})
}

// HTMLNext answers the next n requests with a page, as a web server without an
// identity server does (404), or a captive portal (200).
func (s *Server) HTMLNext(n, status int) {
	s.AnswerNext(n, status, "text/html; charset=utf-8",
		fmt.Sprintf("<!DOCTYPE html><title>%d</title><p>%s</p>", status, http.StatusText(status)))
}

// BareNext answers the next n requests with 200 and an object that has nothing in it.
func (s *Server) BareNext(n int) {
	s.AnswerNext(n, http.StatusOK, "application/json", "{}")
}

// OversizeNext answers the next n requests with 200 and an association of that
// many bytes, most of them padding, in chunks whose number is not announced.
func (s *Server) OversizeNext(n, size int) {
	s.Inject(n, nil, func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		w.Header().Set("Content-Type", "application/json")
		const head, tail = `{"medium":"email","address":"big@example.org","padding":"`, `"}`
		_, _ = w.Write([]byte(head))
		chunk := strings.Repeat("x", 32<<10)
		for left := size - len(head) - len(tail); left > 0; left -= len(chunk) {
			if _, err := w.Write([]byte(chunk[:min(left, len(chunk))])); err != nil {
				panic(http.ErrAbortHandler)
			}
			_ = http.NewResponseController(w).Flush()
		}
		_, _ = w.Write([]byte(tail))
	})
}

// RedirectNext sends the next n requests with that status to another server, whose
// visitors [Server.Redirected] counts and who would be told that all is well.
func (s *Server) RedirectNext(n, status int) {
	s.Inject(n, nil, func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
		w.Header().Set("Location", fmt.Sprintf("https://%s:%d%s", s.host, s.decoy.port(), r.URL.Path))
		w.WriteHeader(status)
	})
}

// CutNext breaks the connection of the next n requests within the body of an
// answer that had begun well. The requests have no effect.
func (s *Server) CutNext(n int) {
	s.Inject(n, nil, func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		const text = `{"medium":"email","address":"cut@example.org"}`
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", strconv.Itoa(len(text)))
		_, _ = w.Write([]byte(text[:len(text)-1]))
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
}
