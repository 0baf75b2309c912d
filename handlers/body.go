// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"time"
)

// bodyTime bounds how long a client may take to send a body that we read. Caddy
// has no such bound by default, and a body that never ends costs a goroutine.
const bodyTime = 30 * time.Second

// Bound gives a client bodyTime to send its body, whether or not anybody reads it:
// before it writes an answer, net/http waits for what is left of a body. The bound
// ends with free, which whoever passes a request on must call before: how long an
// upload takes is between the client and who takes it.
//
// Where the connection does not support it, there is no bound of ours; nor where
// the server has one, which is the operator's.
func Bound(w http.ResponseWriter, r *http.Request) (free func()) {
	if r.Body == nil || r.Body == http.NoBody || hasBound(r) {
		return func() {}
	}
	conn := http.NewResponseController(w)
	if conn.SetReadDeadline(time.Now().Add(bodyTime)) != nil {
		return func() {}
	}
	return func() { _ = conn.SetReadDeadline(time.Time{}) } // it could be set
}

// hasBound reports whether the server that got the request bounds how long it takes
// to read one.
func hasBound(r *http.Request) bool {
	server, ok := r.Context().Value(http.ServerContextKey).(*http.Server)
	return ok && server.ReadTimeout > 0
}

// readBody reads a whole request body of at most limit bytes.
func readBody(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	if r.Body == nil {
		return nil, nil
	}
	return bounded(w, r, func() ([]byte, error) { return io.ReadAll(http.MaxBytesReader(w, r.Body, limit)) })
}

// readStart reads at most limit bytes of a body, into a buffer of the right size if
// the client has told it: this is on the way of every message that is sent. What
// was read is put back by resume.
func readStart(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	return bounded(w, r, func() ([]byte, error) {
		if r.ContentLength <= 0 {
			return io.ReadAll(io.LimitReader(r.Body, limit))
		}
		start := make([]byte, min(r.ContentLength, limit))
		_, err := io.ReadFull(r.Body, start)
		return start, err
	})
}

// bounded reads in the time that there is for it, and translates what went wrong.
func bounded(w http.ResponseWriter, r *http.Request, read func() ([]byte, error)) ([]byte, error) {
	free := Bound(w, r)
	raw, err := read()
	if err == nil {
		free()
		return raw, nil
	}
	// The bound stays for whatever is waited for now.
	if r.ProtoMajor == 1 {
		// The rest is of no use, and without this net/http would wait for some of it
		// before it answers: what Caddy makes of w keeps MaxBytesReader from saying so.
		w.Header().Set("Connection", "close")
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, &MatrixError{Status: http.StatusRequestEntityTooLarge, Errcode: codeTooLarge, Message: "Request body is too large"}
	}
	return nil, &MatrixError{Status: http.StatusBadRequest, Errcode: codeNotJSON, Message: "Request body is incomplete", Err: err}
}

// resume puts back the beginning of a body; closing it is still the original's
// business.
func resume(r *http.Request, start []byte) {
	if int64(len(start)) == r.ContentLength {
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
