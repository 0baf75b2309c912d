// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/verification"
	"github.com/caddy-threepid/caddy-threepid/store"
)

// Error codes of the client-server API (CS API, "Standard error response")
// and, where marked, of the identity service API.
const (
	codeNotJSON            = "M_NOT_JSON"
	codeBadJSON            = "M_BAD_JSON"
	codeMissingParam       = "M_MISSING_PARAM"
	codeMissingParams      = "M_MISSING_PARAMS" // IS API spells it so
	codeInvalidParam       = "M_INVALID_PARAM"
	codeTooLarge           = "M_TOO_LARGE"
	codeUnrecognized       = "M_UNRECOGNIZED"
	codeForbidden          = "M_FORBIDDEN"
	codeUnknown            = "M_UNKNOWN"
	codeLimitExceeded      = "M_LIMIT_EXCEEDED"
	codeServerNotTrusted   = "M_SERVER_NOT_TRUSTED"
	codeMediumNotSupported = "M_THREEPID_MEDIUM_NOT_SUPPORTED"
	codeMissingToken       = "M_MISSING_TOKEN"
	codeUnauthorized       = "M_UNAUTHORIZED"
	codeThreepidInUse      = "M_THREEPID_IN_USE"
	codeThreepidNotFound   = "M_THREEPID_NOT_FOUND"
	codeThreepidDenied     = "M_THREEPID_DENIED"
	codeThreepidAuthFailed = "M_THREEPID_AUTH_FAILED"
	codeTokenIncorrect     = "M_TOKEN_INCORRECT"       // MSC4183
	codeSessionExpired     = "M_SESSION_EXPIRED"       // IS API
	codeSessionNotValid    = "M_SESSION_NOT_VALIDATED" // IS API
)

// MatrixError is an answer that refuses. Message is for the client; Err, which
// may be nil, is for the log only. Say names the words that people get in place of
// Message, if it is for people.
type MatrixError struct {
	Status     int
	Errcode    string
	Message    string
	Say        string
	RetryAfter time.Duration
	Err        error
}

// Error implements error.
func (e *MatrixError) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("%d %s: %v", e.Status, e.Errcode, e.Err)
	}
	return fmt.Sprintf("%d %s: %s", e.Status, e.Errcode, e.Message)
}

// Unwrap gives access to the private cause.
func (e *MatrixError) Unwrap() error { return e.Err }

func badRequest(errcode, message string) *MatrixError {
	return &MatrixError{Status: http.StatusBadRequest, Errcode: errcode, Message: message}
}

func unrecognized(status int) *MatrixError {
	return &MatrixError{Status: status, Errcode: codeUnrecognized, Message: "Unrecognized request"}
}

// internal hides a cause that is not the client's business.
func internal(err error) *MatrixError {
	return &MatrixError{
		Status: http.StatusInternalServerError, Errcode: codeUnknown,
		Message: "Internal server error", Say: sayFault, Err: err,
	}
}

// asMatrixError finds the answer in an error, and translates those of the
// domain that mean the same everywhere.
func asMatrixError(err error) *MatrixError {
	if me, ok := errors.AsType[*MatrixError](err); ok {
		return me
	}
	if limit, ok := errors.AsType[*verification.LimitError](err); ok {
		return limitReached(limit)
	}
	if errors.Is(err, context.Canceled) {
		// Only the client's connection ends our work in this way: no fault of ours.
		return &MatrixError{Status: 499, Errcode: codeUnknown, Message: "Client closed the connection", Err: err}
	}
	if errors.Is(err, store.ErrClosed) {
		return unavailable(err) // we are being stopped, or loaded anew
	}
	if ue, ok := errors.AsType[*UpstreamError](err); ok {
		return unreachable(ue)
	}
	if errors.Is(err, verification.ErrTooManyBindings) {
		return &MatrixError{
			Status: http.StatusForbidden, Errcode: codeForbidden,
			Message: "There are too many bindings of this account; unbind some first",
		}
	}
	if busy, ok := errors.AsType[interface {
		error
		RetryAfter() time.Duration
	}](err); ok {
		return &MatrixError{
			Status: http.StatusServiceUnavailable, Errcode: codeUnknown,
			Message: "The server cannot send messages at the moment. Please try again later.", Say: sayBusy, RetryAfter: busy.RetryAfter(), Err: err,
		}
	}
	return internal(err)
}

// limitReached says whose fault it is: when the server has sent all that it may,
// it is not the client's.
func limitReached(limit *verification.LimitError) *MatrixError {
	if limit.Limit == verification.LimitMessages || limit.Limit == verification.LimitHeld {
		return &MatrixError{
			Status: http.StatusServiceUnavailable, Errcode: codeUnknown, Say: sayBusy, RetryAfter: limit.RetryAfter, Err: limit,
			Message: "The server has sent as many messages as it may for now. Please try again later.",
		}
	}
	return &MatrixError{
		Status: http.StatusTooManyRequests, Errcode: codeLimitExceeded,
		Message: "Too many requests", Say: sayLimit, RetryAfter: limit.RetryAfter, Err: limit,
	}
}

// errorBody is the standard error response. Success is only set on
// submit_url, where old clients look at it before they look at errcode.
type errorBody struct {
	Success      *bool  `json:"success,omitempty"`
	Errcode      string `json:"errcode"`
	Error        string `json:"error"`
	RetryAfterMS int64  `json:"retry_after_ms,omitempty"`
}

func (e *MatrixError) body() errorBody {
	// Rounded up, or who comes back in time comes too early.
	wait := (e.RetryAfter + time.Millisecond - 1).Milliseconds()
	return errorBody{Errcode: e.Errcode, Error: e.Message, RetryAfterMS: wait}
}

// writeError renders a refusal; it is the only place that does. A wait is told
// in the body for old clients and in the header for new ones (MSC4041).
func writeError(w http.ResponseWriter, e *MatrixError, body errorBody) {
	e.setRetryAfter(w.Header())
	writeJSON(w, e.Status, body)
}

func (e *MatrixError) setRetryAfter(h http.Header) {
	if e.RetryAfter > 0 {
		h.Set("Retry-After", retryAfter(e.RetryAfter))
	}
}

// retryAfter is a wait as the header has it, in whole seconds.
func retryAfter(wait time.Duration) string {
	return strconv.FormatInt(int64(math.Ceil(wait.Seconds())), 10)
}

// writeJSON writes one of our own answers, with CORS.
func writeJSON(w http.ResponseWriter, status int, v any) {
	raw, _ := json.Marshal(v) // only our own plain structs come here
	h := w.Header()
	setCORS(h)
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(raw)))
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(raw) // the client may be gone; there is nobody to tell
}

// setCORS sets the headers of CS API "Web Browser Clients", each once,
// whatever was there before.
func setCORS(h http.Header) {
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Access-Control-Allow-Methods", "GET, POST, PUT, DELETE, OPTIONS")
	h.Set("Access-Control-Allow-Headers", "Origin, X-Requested-With, Content-Type, Accept, Authorization")
}

// preflight answers OPTIONS without doing anything else (CS API, "Web Browser
// Clients": servers MUST NOT perform any logic).
func preflight(w http.ResponseWriter) {
	setCORS(w.Header())
	w.WriteHeader(http.StatusNoContent)
}
