// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"bytes"
	"net/http"
)

// challengeHolder is a ResponseWriter that keeps a 401 back until it was looked
// at, and passes on everything else at once.
type challengeHolder struct {
	http.ResponseWriter
	decided bool
	status  int // of what is kept back; 0 if nothing is
	body    bytes.Buffer
}

// holds reports whether there is something that the client does not have yet.
func (h *challengeHolder) holds() bool { return h.status != 0 }

// pass gives the client what was kept back.
func (h *challengeHolder) pass() {
	status := h.status
	h.status = 0
	h.ResponseWriter.WriteHeader(status)
	_, _ = h.ResponseWriter.Write(h.body.Bytes()) //nolint:gosec // JSON by its Content-Type; the client may be gone
}

// WriteHeader implements http.ResponseWriter.
func (h *challengeHolder) WriteHeader(status int) {
	if status < http.StatusOK || h.decided {
		h.ResponseWriter.WriteHeader(status)
		return
	}
	h.decided = true
	if encoding := h.Header().Get("Content-Encoding"); status == http.StatusUnauthorized && (encoding == "" || encoding == "identity") {
		h.status = status
		return
	}
	h.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (h *challengeHolder) Write(p []byte) (int, error) {
	if !h.decided {
		h.WriteHeader(http.StatusOK)
	}
	if h.holds() && h.body.Len()+len(p) > maxAnswer {
		h.pass() // nobody is to be made to remember it
	}
	if h.holds() {
		return h.body.Write(p)
	}
	return h.ResponseWriter.Write(p)
}

// Flush implements http.Flusher.
func (h *challengeHolder) Flush() {
	if !h.holds() {
		_ = http.NewResponseController(h.ResponseWriter).Flush() // not all can
	}
}
