// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"time"
)

// BodyTime bounds how long a client may take to send a body that we read. Caddy
// has no such bound by default, and a body that never ends costs a goroutine.
const BodyTime = 30 * time.Second

// Bound gives a client BodyTime to send its body, whether or not anybody reads it:
// before it writes an answer, net/http waits for what is left of a body. It ends with
// free: how long an upload takes that is passed on is between the client and who takes
// it. To set a deadline, and to take it back, is what passing on a short message costs
// most, so it is for what is read here.
//
// Where the connection does not support it, there is no bound of ours; nor where
// the server has one, which is the operator's.
func Bound(w http.ResponseWriter, r *http.Request) (free func()) {
	if !HasBody(r) || hasBound(r) {
		return func() {}
	}
	conn := http.NewResponseController(w)
	_ = conn.SetReadDeadline(time.Now().Add(BodyTime))
	return func() { _ = conn.SetReadDeadline(time.Time{}) }
}

// BoundUntil bounds a body until the request is passed on.
func BoundUntil(w http.ResponseWriter, r *http.Request, next Next) Next {
	free := Bound(w, r)
	return func(w http.ResponseWriter, r *http.Request) error {
		free()
		return next(w, r)
	}
}

// HasBody reports whether a request has one.
func HasBody(r *http.Request) bool { return r.Body != nil && r.Body != http.NoBody }

// hasBound reports whether the server that got the request bounds how long it takes
// to read one.
func hasBound(r *http.Request) bool {
	server, ok := r.Context().Value(http.ServerContextKey).(*http.Server)
	return ok && server.ReadTimeout > 0
}

// ReadBody reads a whole request body of at most limit bytes.
func ReadBody(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	if r.Body == nil {
		return nil, nil
	}
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	if err != nil {
		return nil, Unreadable(w, r, err)
	}
	return raw, nil
}

// ReadStart reads at most limit bytes of a body, into a buffer of the right size if
// the client has told it: this is on the way of every message that is sent. What
// was read is put back by resume.
func ReadStart(w http.ResponseWriter, r *http.Request, limit int64) (start []byte, err error) {
	if r.ContentLength > 0 {
		start = make([]byte, min(r.ContentLength, limit))
		_, err = io.ReadFull(r.Body, start)
	} else {
		start, err = io.ReadAll(io.LimitReader(r.Body, limit))
	}
	if err != nil {
		return nil, Unreadable(w, r, err)
	}
	return start, nil
}

// Unreadable translates what went wrong. Nothing more is read of such a body.
func Unreadable(w http.ResponseWriter, r *http.Request, err error) error {
	if r.ProtoMajor == 1 {
		// The rest is of no use, and without this net/http would wait for some of it
		// before it answers: what Caddy makes of w keeps MaxBytesReader from saying so.
		w.Header().Set("Connection", "close")
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return &MatrixError{Status: http.StatusRequestEntityTooLarge, Errcode: CodeTooLarge, Message: "Request body is too large"}
	}
	return &MatrixError{Status: http.StatusBadRequest, Errcode: CodeNotJSON, Message: "Request body is incomplete", Err: err}
}

// Resume puts back the beginning of a body; closing it is still the original's
// business.
func Resume(r *http.Request, start []byte) {
	if int64(len(start)) == r.ContentLength { // the usual case need not ask the original again
		r.Body = resumed{bytes.NewReader(start), r.Body}
		return
	}
	r.Body = resumed{io.MultiReader(bytes.NewReader(start), r.Body), r.Body}
}

// resumed is a body of which the beginning has been read.
type resumed struct {
	io.Reader
	io.Closer
}
