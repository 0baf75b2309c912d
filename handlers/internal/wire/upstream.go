// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"bytes"
	"context"
	"encoding/json"
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
// for. Package caddymodule makes it from its framework's own error.
type UpstreamError struct {
	Status int
	Err    error
}

func (e *UpstreamError) Error() string { return fmt.Sprintf("status %d: %v", e.Status, e.Err) }

// Unwrap gives access to the framework's error.
func (e *UpstreamError) Unwrap() error { return e.Err }

// What there can be in place of an answer that can be used.
var (
	ErrNoAnswer  = errors.New("the handlers behind threepid did not answer")
	errAborted   = errors.New("the homeserver broke off in the middle of its answer")
	ErrOversized = errors.New("the homeserver's answer is too large")
)

// MaxAnswer bounds an answer of the homeserver that we have to look at.
const MaxAnswer = 1 << 20

// exchangeTime bounds how long the homeserver may take. It is shorter than an
// alias lives, so that the outcome is known while the alias is.
const exchangeTime = 90 * time.Second

// Exchange sends a changed request through next and captures the answer.
//
// The request is changed in place, because placeholders of the handlers behind
// us are bound to it, and restored afterwards. It is cut loose from the
// client's connection: a client that hangs up must not leave us in doubt
// whether the homeserver has acted.
func Exchange(r *http.Request, next Next, path string, body []byte) (*Answer, error) {
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
	SetPath(r, path)
	if body != nil {
		SetBody(r, body)
	}
	c := &Answer{}
	if err := protect(c, r, next); err != nil {
		return c, err
	}
	switch {
	case c.Status == 0:
		return c, ErrNoAnswer
	case c.oversized:
		return c, ErrOversized
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

// SetBody gives a request a body of JSON.
func SetBody(r *http.Request, body []byte) {
	r.Body = io.NopCloser(bytes.NewReader(body))
	r.ContentLength = int64(len(body))
	r.TransferEncoding = nil
	r.Header.Set("Content-Length", strconv.Itoa(len(body)))
	r.Header.Set("Content-Type", "application/json")
}

// SetPath changes the path of a request in all the places where a handler may
// look for it.
func SetPath(r *http.Request, path string) {
	if r.URL.Path == path {
		return
	}
	u := *r.URL
	u.Path, u.RawPath = path, ""
	r.URL = &u
	r.RequestURI = u.RequestURI()
}

// UpstreamFailure is what a client is told when the homeserver has not
// answered. A status below 500 was the administrator's decision (a rule, a
// body limit) and is left to the server's own error handling.
func UpstreamFailure(err error) error {
	if ue, ok := errors.AsType[*UpstreamError](err); ok && ue.Status >= 400 && ue.Status < 500 {
		return err
	}
	return Unreachable(err)
}

// Unreachable is the answer for a homeserver that has not given one.
func Unreachable(err error) *MatrixError {
	status := http.StatusBadGateway
	if ue, ok := errors.AsType[*UpstreamError](err); ok && (ue.Status == http.StatusServiceUnavailable || ue.Status == http.StatusGatewayTimeout) {
		status = ue.Status
	}
	return &MatrixError{
		Status: status, Errcode: CodeUnknown,
		Message: "The homeserver cannot be reached. Please try again later.", Say: SayFault, Err: err,
	}
}

// Answer is a ResponseWriter that keeps the answer to itself.
type Answer struct {
	header    http.Header
	Status    int
	Body      bytes.Buffer
	oversized bool
}

func (c *Answer) Header() http.Header {
	if c.header == nil {
		c.header = http.Header{}
	}
	return c.header
}

// WriteHeader implements http.ResponseWriter. Informational answers are not
// the answer.
func (c *Answer) WriteHeader(status int) {
	if c.Status == 0 && status >= 200 {
		c.Status = status
	}
}

func (c *Answer) Write(p []byte) (int, error) {
	c.WriteHeader(http.StatusOK)
	if c.Body.Len()+len(p) > MaxAnswer {
		c.oversized = true
		return 0, ErrOversized
	}
	return c.Body.Write(p)
}

// Flush implements http.Flusher; there is nobody to flush to.
func (c *Answer) Flush() {}

// CopyTo writes a captured answer to the client as the homeserver gave it.
func (c *Answer) CopyTo(w http.ResponseWriter) {
	h := w.Header()
	maps.Copy(h, c.Header())
	EnsureCORS(h)
	if c.Status != http.StatusNoContent && c.Status != http.StatusNotModified {
		h.Set("Content-Length", strconv.Itoa(c.Body.Len()))
	}
	w.WriteHeader(c.Status)
	_, _ = w.Write(c.Body.Bytes()) // the client may be gone
}

// EnsureCORS adds the headers where the homeserver has not set its own.
func EnsureCORS(h http.Header) {
	if h.Get("Access-Control-Allow-Origin") == "" {
		setCORS(h)
	}
}

// RefusalError is somebody else's refusal, mostly the homeserver's, to be handed
// on as it is.
type RefusalError struct{ Answer *Answer }

func (e *RefusalError) Error() string { return fmt.Sprintf("relay an answer of %d", e.Answer.Status) }

// ErrcodeOf is the error code of an answer, or "".
func ErrcodeOf(answer *Answer) string {
	var body struct {
		Errcode string `json:"errcode"`
	}
	_ = json.Unmarshal(answer.Body.Bytes(), &body) // a page has none
	return body.Errcode
}

// SettleTime bounds the bookkeeping after the homeserver has answered; it goes
// on when the client has hung up.
const SettleTime = 15 * time.Second

// Detached is a context that survives the client, for what must not be left
// half done.
func Detached(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), limit)
}

// RefusalOf finds the homeserver's refusal in an error.
func RefusalOf(err error) (*RefusalError, bool) { return errors.AsType[*RefusalError](err) }

// RefusesWith reports whether an error is the homeserver's refusal with a code.
func RefusesWith(err error, code string) bool {
	refused, ok := RefusalOf(err)
	return ok && ErrcodeOf(refused.Answer) == code
}

// maxWait bounds a wait that a homeserver tells, in milliseconds.
const maxWait = 24 * 60 * 60 * 1000

// CopyRefusal passes on an error of the homeserver's, unless it is not one
// that a Matrix client understands (Dendrite: 500 {"Err":""}, proxies: HTML).
func CopyRefusal(w http.ResponseWriter, answer *Answer) {
	var body struct {
		Errcode      string `json:"errcode"`
		RetryAfterMS any    `json:"retry_after_ms"` // what is no number is no reason to doubt the rest
	}
	if _ = json.Unmarshal(answer.Body.Bytes(), &body); body.Errcode != "" {
		// It is our own wait, perhaps, of which a homeserver passes on the body only.
		if ms, ok := body.RetryAfterMS.(float64); ok && ms > 0 && ms < maxWait && answer.Header().Get("Retry-After") == "" {
			answer.Header().Set("Retry-After", retryAfter(time.Duration(ms)*time.Millisecond))
		}
		answer.CopyTo(w)
		return
	}
	WriteJSON(w, answer.Status, ErrorBody{Errcode: CodeUnknown, Error: "The homeserver refused the request without a reason"})
}
