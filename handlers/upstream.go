// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strconv"
	"time"
)

// Next is the handler behind us: the way to the homeserver. Its error means
// that it has not answered.
type Next func(w http.ResponseWriter, r *http.Request) error

// UpstreamError is a failure of Next that carries the HTTP status it stands
// for. The adapter makes it from its framework's own error.
type UpstreamError struct {
	Status int
	Err    error
}

// Error implements error.
func (e *UpstreamError) Error() string { return fmt.Sprintf("status %d: %v", e.Status, e.Err) }

// Unwrap gives access to the framework's error.
func (e *UpstreamError) Unwrap() error { return e.Err }

var (
	errNoAnswer  = errors.New("the handlers behind threepid did not answer")
	errAborted   = errors.New("the homeserver broke off in the middle of its answer")
	errOversized = errors.New("the homeserver's answer is too large")
)

// maxAnswer bounds an answer of the homeserver that we have to look at.
const maxAnswer = 1 << 20

// exchangeTime bounds how long the homeserver may take. It is shorter than an
// alias lives, so that the outcome is known while the alias is.
const exchangeTime = 90 * time.Second

// exchange sends a changed request through next and captures the answer.
//
// The request is changed in place, because placeholders of the handlers behind
// us are bound to it, and restored afterwards. It is cut loose from the
// client's connection: a client that hangs up must not leave us in doubt
// whether the homeserver has acted.
func exchange(r *http.Request, next Next, path string, body []byte) (*capture, error) {
	saved := *r
	defer func() { *r = saved }()

	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), exchangeTime)
	defer cancel()
	*r = *r.WithContext(ctx)
	r.Header = r.Header.Clone()
	for _, h := range []string{
		// An answer that we must be able to read, whole.
		"Accept-Encoding", "If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since", "If-Range", "Range",
		// What described the body that came in.
		"Content-Encoding", "Transfer-Encoding", "Expect", "Upgrade", "Connection",
	} {
		r.Header.Del(h)
	}
	r.Header.Set("Accept-Encoding", "identity")
	setPath(r, path)
	if body != nil {
		setBody(r, body)
	}
	c := &capture{header: http.Header{}}
	if err := protect(c, r, next); err != nil {
		return c, err
	}
	switch {
	case c.status == 0:
		return c, errNoAnswer
	case c.oversized:
		return c, errOversized
	}
	return c, nil
}

// protect calls next and turns the panic by which a reverse proxy aborts the
// client's connection into an error: nothing has been sent to the client yet,
// so it can still be told.
func protect(w http.ResponseWriter, r *http.Request, next Next) (err error) {
	defer func() {
		switch p := recover(); p {
		case nil:
		case http.ErrAbortHandler:
			err = errAborted
		default:
			panic(p)
		}
	}()
	return next(w, r)
}

func setBody(r *http.Request, body []byte) {
	r.Body = io.NopCloser(bytes.NewReader(body))
	r.ContentLength = int64(len(body))
	r.TransferEncoding = nil
	r.Header.Set("Content-Length", strconv.Itoa(len(body)))
	r.Header.Set("Content-Type", "application/json")
}

// setPath changes the path of a request in all the places where a handler may
// look for it.
func setPath(r *http.Request, path string) {
	if r.URL.Path == path {
		return
	}
	u := *r.URL
	u.Path, u.RawPath = path, ""
	r.URL = &u
	r.RequestURI = u.RequestURI()
}

// upstreamFailure is what a client is told when the homeserver has not
// answered. A status below 500 was the administrator's decision (a rule, a
// body limit) and is left to the server's own error handling.
func upstreamFailure(err error) error {
	if ue, ok := errors.AsType[*UpstreamError](err); ok && ue.Status >= 400 && ue.Status < 500 {
		return err
	}
	return unreachable(err)
}

// unreachable is the answer for a homeserver that has not given one.
func unreachable(err error) *MatrixError {
	status := http.StatusBadGateway
	if ue, ok := errors.AsType[*UpstreamError](err); ok && (ue.Status == http.StatusServiceUnavailable || ue.Status == http.StatusGatewayTimeout) {
		status = ue.Status
	}
	return &MatrixError{
		Status: status, Errcode: codeUnknown,
		Message: "The homeserver cannot be reached. Please try again later.", Say: sayFault, Err: err,
	}
}

// capture is a ResponseWriter that keeps the answer to itself.
type capture struct {
	header    http.Header
	status    int
	body      bytes.Buffer
	oversized bool
}

// Header implements http.ResponseWriter.
func (c *capture) Header() http.Header { return c.header }

// WriteHeader implements http.ResponseWriter. Informational answers are not
// the answer.
func (c *capture) WriteHeader(status int) {
	if c.status == 0 && status >= 200 {
		c.status = status
	}
}

// Write implements http.ResponseWriter.
func (c *capture) Write(p []byte) (int, error) {
	c.WriteHeader(http.StatusOK)
	if c.body.Len()+len(p) > maxAnswer {
		c.oversized = true
		return 0, errOversized
	}
	return c.body.Write(p)
}

// Flush implements http.Flusher; there is nobody to flush to.
func (c *capture) Flush() {}

// relay writes a captured answer to the client as the homeserver gave it.
func (c *capture) relay(w http.ResponseWriter) {
	h := w.Header()
	maps.Copy(h, c.header)
	ensureCORS(h)
	if c.status != http.StatusNoContent && c.status != http.StatusNotModified {
		h.Set("Content-Length", strconv.Itoa(c.body.Len()))
	}
	w.WriteHeader(c.status)
	_, _ = w.Write(c.body.Bytes()) //nolint:gosec // JSON by its Content-Type; the client may be gone
}

// ensureCORS adds the headers where the homeserver has not set its own.
func ensureCORS(h http.Header) {
	if h.Get("Access-Control-Allow-Origin") == "" {
		setCORS(h)
	}
}
