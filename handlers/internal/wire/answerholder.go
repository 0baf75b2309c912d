// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"strconv"
)

// AnswerHolder is a ResponseWriter that keeps some answers back until they were
// looked at, and passes on everything else at once.
type AnswerHolder struct {
	http.ResponseWriter
	// Wanted selects the answers that are kept back, by status and header.
	Wanted func(status int, h http.Header) bool
	// Sealing says that what is done to them needs no store, see [PassedOn].
	Sealing bool

	decided   bool
	oversized bool
	status    int // of what is kept back; 0 if nothing is
	body      bytes.Buffer
}

// IsChallenge selects the answers that may be a round of User-Interactive
// Authentication.
func IsChallenge(status int, _ http.Header) bool { return status == http.StatusUnauthorized }

// Holds reports whether there is something that the client does not have yet.
func (h *AnswerHolder) Holds() bool { return h.status != 0 }

// Text is what is kept back, as it is without its encoding.
func (h *AnswerHolder) Text() ([]byte, error) {
	if h.oversized {
		return nil, ErrOversized
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
	text, err := io.ReadAll(io.LimitReader(zr, MaxAnswer+1))
	if len(text) > MaxAnswer {
		err = ErrOversized
	}
	return text, err
}

// Pass gives the client what was kept back, changed by change if that is not nil.
// What cannot be read is not passed on: nobody has looked at it.
func (h *AnswerHolder) Pass(change func([]byte) ([]byte, error)) {
	if !h.Holds() {
		return
	}
	raw := h.body.Bytes()
	text, err := h.Text()
	changed := text
	if err == nil && change != nil {
		changed, err = change(text)
	}
	if err != nil {
		h.Header().Del("Content-Encoding")
		failed := ErrorOf(UpstreamFailure(err))
		WriteError(h.ResponseWriter, failed, failed.Body())
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

func (h *AnswerHolder) WriteHeader(status int) {
	switch {
	case h.Holds(): // the first one counts
	case status < http.StatusOK || h.decided:
		h.ResponseWriter.WriteHeader(status)
	case h.Wanted(status, h.Header()):
		h.decided, h.status = true, status
	default:
		h.decided = true
		h.ResponseWriter.WriteHeader(status)
	}
}

func (h *AnswerHolder) Write(p []byte) (int, error) {
	if !h.decided {
		h.WriteHeader(http.StatusOK)
	}
	switch {
	case !h.Holds():
		return h.ResponseWriter.Write(p)
	case h.body.Len()+len(p) > MaxAnswer:
		h.oversized = true
		return 0, ErrOversized
	}
	return h.body.Write(p)
}

// FlushError is what http.ResponseController looks for. What is kept back is not
// to be hurried.
func (h *AnswerHolder) FlushError() error {
	if h.Holds() {
		return nil
	}
	return http.NewResponseController(h.ResponseWriter).Flush()
}

func (h *AnswerHolder) Flush() { _ = h.FlushError() } // not all can

// Unwrap gives http.ResponseController the connection.
func (h *AnswerHolder) Unwrap() http.ResponseWriter { return h.ResponseWriter }

// PassedOn returns the writer that a [Next] was called with, without what is
// around it only to change names: that needs nothing that could be in the way of
// whoever waits for the answer.
func PassedOn(w http.ResponseWriter) http.ResponseWriter {
	if h, ok := w.(*AnswerHolder); ok && h.Sealing {
		return h.ResponseWriter
	}
	return w
}
