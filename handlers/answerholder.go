// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"strconv"
)

// answerHolder is a ResponseWriter that keeps some answers back until they were
// looked at, and passes on everything else at once.
type answerHolder struct {
	http.ResponseWriter
	// wanted selects the answers that are kept back, by status and header.
	wanted func(status int, h http.Header) bool
	// sealing says that what is done to them needs no store, see [PassedOn].
	sealing bool

	decided   bool
	oversized bool
	status    int // of what is kept back; 0 if nothing is
	body      bytes.Buffer
}

// isChallenge selects the answers that may be a round of User-Interactive
// Authentication.
func isChallenge(status int, _ http.Header) bool { return status == http.StatusUnauthorized }

// holds reports whether there is something that the client does not have yet.
func (h *answerHolder) holds() bool { return h.status != 0 }

// text is what is kept back, as it is without its encoding.
func (h *answerHolder) text() ([]byte, error) {
	if h.oversized {
		return nil, errOversized
	}
	switch h.Header().Get("Content-Encoding") {
	case "", "identity":
		return h.body.Bytes(), nil
	case "gzip":
		return gunzip(h.body.Bytes())
	}
	return nil, errEncoding
}

var errEncoding = errors.New("the homeserver's answer has an encoding that nobody asked for")

func gunzip(raw []byte) ([]byte, error) {
	if len(raw) == 0 {
		return nil, nil // of HEAD, say
	}
	zr, err := gzip.NewReader(bytes.NewReader(raw))
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(zr, maxAnswer+1))
	if len(text) > maxAnswer {
		err = errOversized
	}
	return text, err
}

// pass gives the client what was kept back, changed by change if that is not nil.
// What cannot be read is not passed on: nobody has looked at it.
func (h *answerHolder) pass(change func([]byte) ([]byte, error)) {
	if !h.holds() {
		return
	}
	raw := h.body.Bytes()
	text, err := h.text()
	changed := text
	if err == nil && change != nil {
		changed, err = change(text)
	}
	if err != nil {
		h.Header().Del("Content-Encoding")
		failed := asMatrixError(upstreamFailure(err))
		writeError(h.ResponseWriter, failed, failed.body())
		return
	}
	if !bytes.Equal(changed, text) {
		raw = changed
		h.Header().Del("Content-Encoding")
		h.Header().Del("Etag")
	}
	if h.Header().Get("Content-Length") != "" && len(raw) > 0 {
		h.Header().Set("Content-Length", strconv.Itoa(len(raw)))
	}
	h.ResponseWriter.WriteHeader(h.status)
	_, _ = h.ResponseWriter.Write(raw) // the client may be gone
}

// WriteHeader implements http.ResponseWriter.
func (h *answerHolder) WriteHeader(status int) {
	switch {
	case h.holds(): // the first one counts
	case status < http.StatusOK || h.decided:
		h.ResponseWriter.WriteHeader(status)
	case h.wanted(status, h.Header()):
		h.decided, h.status = true, status
	default:
		h.decided = true
		h.ResponseWriter.WriteHeader(status)
	}
}

// Write implements http.ResponseWriter.
func (h *answerHolder) Write(p []byte) (int, error) {
	if !h.decided {
		h.WriteHeader(http.StatusOK)
	}
	switch {
	case !h.holds():
		return h.ResponseWriter.Write(p)
	case h.body.Len()+len(p) > maxAnswer:
		h.oversized = true
		return 0, errOversized
	}
	return h.body.Write(p)
}

// FlushError is what http.ResponseController looks for. What is kept back is not
// to be hurried.
func (h *answerHolder) FlushError() error {
	if h.holds() {
		return nil
	}
	return http.NewResponseController(h.ResponseWriter).Flush()
}

// Flush implements http.Flusher.
func (h *answerHolder) Flush() { _ = h.FlushError() } // not all can

// Unwrap gives http.ResponseController the connection.
func (h *answerHolder) Unwrap() http.ResponseWriter { return h.ResponseWriter }

// PassedOn returns the writer that a [Next] was called with, without what is
// around it only to change names: that needs nothing that could be in the way of
// whoever waits for the answer.
func PassedOn(w http.ResponseWriter) http.ResponseWriter {
	if h, ok := w.(*answerHolder); ok && h.sealing {
		return h.ResponseWriter
	}
	return w
}
