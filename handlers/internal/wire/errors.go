// SPDX-License-Identifier: Apache-2.0

package wire

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
	CodeNotJSON            = "M_NOT_JSON"
	CodeBadJSON            = "M_BAD_JSON"
	CodeMissingParam       = "M_MISSING_PARAM"
	CodeMissingParams      = "M_MISSING_PARAMS" // IS API spells it so
	CodeInvalidParam       = "M_INVALID_PARAM"
	CodeTooLarge           = "M_TOO_LARGE"
	CodeUnrecognized       = "M_UNRECOGNIZED"
	CodeForbidden          = "M_FORBIDDEN"
	CodeUnknown            = "M_UNKNOWN"
	CodeLimitExceeded      = "M_LIMIT_EXCEEDED"
	CodeServerNotTrusted   = "M_SERVER_NOT_TRUSTED"
	CodeMediumNotSupported = "M_THREEPID_MEDIUM_NOT_SUPPORTED"
	CodeMissingToken       = "M_MISSING_TOKEN"
	CodeUnauthorized       = "M_UNAUTHORIZED"
	CodeThreepidInUse      = "M_THREEPID_IN_USE"
	CodeThreepidNotFound   = "M_THREEPID_NOT_FOUND"
	CodeThreepidDenied     = "M_THREEPID_DENIED"
	CodeThreepidAuthFailed = "M_THREEPID_AUTH_FAILED"
	CodeTokenIncorrect     = "M_TOKEN_INCORRECT"       // MSC4183
	codeSessionExpired     = "M_SESSION_EXPIRED"       // IS API
	CodeSessionNotValid    = "M_SESSION_NOT_VALIDATED" // IS API
)

// What clients show as it comes, the text of an error, is for people: in their
// language, where their browser names one, and with a wait that they can read.
// [MatrixError.Say] names the words, which are those of our pages or stand beside
// them. All other errors are for those who write clients, and in English.
const (
	SayLimit       = "client limit"
	SayBusy        = "client busy"
	SayEmail       = "client email"
	SayNumber      = "client number"
	SayDenied      = "client denied"
	SayClosed      = "client closed"
	SayBegin       = "client begin"
	SayUnsupported = "client unsupported"
	SaySetup       = "client setup"
	SayUnconfirmed = "client unconfirmed"
	SayPassword    = "client password"
	SayWrong       = "code wrong"
	SayExpired     = "expired what"
	SayRevoked     = "revoked what"
	SayInvalid     = "invalid what"
	SayFault       = "error what"
	// SayBarred is for numbers that get no messages.
	SayBarred = "client barred"
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

func (e *MatrixError) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("%d %s: %v", e.Status, e.Errcode, e.Err)
	}
	return fmt.Sprintf("%d %s: %s", e.Status, e.Errcode, e.Message)
}

// Unwrap gives access to the private cause.
func (e *MatrixError) Unwrap() error { return e.Err }

// BadRequest refuses what a client has sent.
func BadRequest(errcode, message string) *MatrixError {
	return &MatrixError{Status: http.StatusBadRequest, Errcode: errcode, Message: message}
}

// Unrecognized refuses a path, or a method, that there is not.
func Unrecognized(status int) *MatrixError {
	return &MatrixError{Status: status, Errcode: CodeUnrecognized, Message: "Unrecognized request"}
}

// Internal hides a cause that is not the client's business.
func Internal(err error) *MatrixError {
	return &MatrixError{
		Status: http.StatusInternalServerError, Errcode: CodeUnknown,
		Message: "Internal server error", Say: SayFault, Err: err,
	}
}

// ErrorOf finds the answer in an error, and translates those of the
// domain that mean the same everywhere.
func ErrorOf(err error) *MatrixError {
	if me, ok := errors.AsType[*MatrixError](err); ok {
		return me
	}
	if limit, ok := errors.AsType[*verification.LimitError](err); ok {
		return limitReached(limit)
	}
	if errors.Is(err, context.Canceled) {
		// Only the client's connection ends our work in this way: no fault of ours.
		return &MatrixError{Status: 499, Errcode: CodeUnknown, Message: "Client closed the connection", Err: err}
	}
	if errors.Is(err, store.ErrClosed) {
		return Unavailable(err) // we are being stopped, or loaded anew
	}
	if ue, ok := errors.AsType[*UpstreamError](err); ok {
		return Unreachable(ue)
	}
	if errors.Is(err, verification.ErrTooManyBindings) {
		return &MatrixError{
			Status: http.StatusForbidden, Errcode: CodeForbidden,
			Message: "There are too many bindings of this account; unbind some first",
		}
	}
	if busy, ok := errors.AsType[interface {
		error
		RetryAfter() time.Duration
	}](err); ok {
		return &MatrixError{
			Status: http.StatusServiceUnavailable, Errcode: CodeUnknown,
			Message: "The server cannot send messages at the moment. Please try again later.", Say: SayBusy, RetryAfter: busy.RetryAfter(), Err: err,
		}
	}
	return Internal(err)
}

// limitReached says whose fault it is: when the server has sent all that it may,
// it is not the client's.
func limitReached(limit *verification.LimitError) *MatrixError {
	if limit.Limit == verification.LimitMessages || limit.Limit == verification.LimitHeld {
		return &MatrixError{
			Status: http.StatusServiceUnavailable, Errcode: CodeUnknown, Say: SayBusy, RetryAfter: limit.RetryAfter, Err: limit,
			Message: "The server has sent as many messages as it may for now. Please try again later.",
		}
	}
	return &MatrixError{
		Status: http.StatusTooManyRequests, Errcode: CodeLimitExceeded,
		Message: "Too many requests", Say: SayLimit, RetryAfter: limit.RetryAfter, Err: limit,
	}
}

// ErrorBody is the standard error response. Success is only set on
// submit_url, where old clients look at it before they look at errcode.
type ErrorBody struct {
	Success      *bool  `json:"success,omitempty"`
	Errcode      string `json:"errcode"`
	Error        string `json:"error"`
	RetryAfterMS int64  `json:"retry_after_ms,omitempty"`
}

// Body is the error as clients get it.
func (e *MatrixError) Body() ErrorBody {
	// Rounded up, or who comes back in time comes too early.
	wait := (e.RetryAfter + time.Millisecond - 1).Milliseconds()
	return ErrorBody{Errcode: e.Errcode, Error: e.Message, RetryAfterMS: wait}
}

// WriteError renders a refusal; it is the only place that does. A wait is told
// in the body for old clients and in the header for new ones (MSC4041).
func WriteError(w http.ResponseWriter, e *MatrixError, body ErrorBody) {
	e.SetRetryAfter(w.Header())
	WriteJSON(w, e.Status, body)
}

// SetRetryAfter tells a wait in the header.
func (e *MatrixError) SetRetryAfter(h http.Header) {
	if e.RetryAfter > 0 {
		h.Set("Retry-After", retryAfter(e.RetryAfter))
	}
}

// retryAfter is a wait as the header has it, in whole seconds.
func retryAfter(wait time.Duration) string {
	return strconv.FormatInt(int64(math.Ceil(wait.Seconds())), 10)
}

// WriteJSON writes one of our own answers, with CORS.
func WriteJSON(w http.ResponseWriter, status int, v any) {
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

// Preflight answers OPTIONS without doing anything else (CS API, "Web Browser
// Clients": servers MUST NOT perform any logic).
func Preflight(w http.ResponseWriter) {
	setCORS(w.Header())
	w.WriteHeader(http.StatusNoContent)
}

// Saying is a refusal with such words.
func Saying(status int, errcode, say, message string) *MatrixError {
	return &MatrixError{Status: status, Errcode: errcode, Say: say, Message: message}
}

// notReady is how long to wait for us, or for the store: a restart takes less.
const notReady = 5 * time.Second

// ErrNoPhones answers where there is no transport for messages to phones
// (MSC4178).
var ErrNoPhones = Saying(http.StatusBadRequest, CodeMediumNotSupported, SayUnsupported, "This server cannot verify phone numbers")

// Unavailable is the verdict while there is no store, or none any more.
func Unavailable(err error) *MatrixError {
	return &MatrixError{
		Status: http.StatusServiceUnavailable, Errcode: CodeUnknown, Err: err,
		Message: "The server is not ready. Please try again later.", RetryAfter: notReady,
	}
}

// NotReady tells a machine.
func NotReady(w http.ResponseWriter) {
	verdict := Unavailable(nil)
	WriteError(w, verdict, verdict.Body())
}

// SubmitError translates the domain's verdict (MSC4183). An unknown sid and a
// wrong client_secret are told alike.
func SubmitError(err error) error {
	switch {
	case errors.Is(err, verification.ErrTokenIncorrect):
		return Saying(http.StatusBadRequest, CodeTokenIncorrect, SayWrong, "The token is incorrect")
	case errors.Is(err, verification.ErrExpired):
		return Saying(http.StatusBadRequest, codeSessionExpired, SayExpired, "This validation session has expired")
	case errors.Is(err, verification.ErrRevoked):
		return Saying(http.StatusBadRequest, codeSessionExpired, SayRevoked, "This validation session has ended")
	case errors.Is(err, verification.ErrNoSession):
		return Saying(http.StatusBadRequest, CodeInvalidParam, SayInvalid, "No valid session was found matching that sid and client secret")
	}
	return err
}

// MustWait reports whether a client was refused because it, or the server, has
// had too much of it.
func MustWait(err error) bool {
	if _, ok := errors.AsType[*verification.LimitError](err); ok {
		return true
	}
	_, ok := errors.AsType[interface {
		error
		RetryAfter() time.Duration
	}](err)
	return ok
}
