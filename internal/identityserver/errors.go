// SPDX-License-Identifier: Apache-2.0

package identityserver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"

	"github.com/caddy-threepid/caddy-threepid/internal/neterr"
	"github.com/caddy-threepid/caddy-threepid/internal/outbound"
)

// The outcomes of a call that did not succeed, besides a [Refusal].
// [outbound.ErrForbiddenAddress] and [outbound.ErrName] are outcomes of their own:
// no connection was made.
var (
	// ErrUnavailable means that nothing is known of the outcome at the server:
	// it could not be reached or did not answer as identity servers do.
	ErrUnavailable = errors.New("identity server is unavailable")
	// ErrUnsupported means that the server cannot unbind (MSC1915).
	ErrUnsupported = errors.New("identity server does not support unbinding")
	// ErrToken means that the access token cannot be one, and was not sent.
	ErrToken = errors.New("malformed access token")
)

// Refusal is an answer of 400 to 599 with a Matrix error object: the server
// understood and will not.
type Refusal struct { //nolint:errname // an answer of the server first, and an error because it ends a call.
	Status  int
	Errcode string
	// Message is the server's own text, the key "error"; it may be empty.
	Message string
	// Body is the whole object for the client to see: decoded and encoded again,
	// so that it is one well-formed object without duplicate keys. One too large
	// to relay is reduced to the two keys above.
	Body json.RawMessage
}

// plainErrcode is what an errcode must look like to be repeated in a log.
var plainErrcode = regexp.MustCompile(`^M_[A-Z_]{1,48}$`)

// Error implements error. Of what the server chose it repeats a status and, if it
// looks like one, the errcode.
func (r *Refusal) Error() string {
	errcode := r.Errcode
	if !plainErrcode.MatchString(errcode) {
		errcode = "an unusual errcode"
	}
	return fmt.Sprintf("identity server answers %d %s", r.Status, errcode)
}

// failedError is a failed call. What its causes say is left out of its text, as
// errors of net/http and crypto/x509 quote the peer; errors.Is and errors.As
// still find them.
type failedError struct {
	name   outbound.Name
	reason string
	causes []error
}

func (e *failedError) Error() string {
	return fmt.Sprintf("identity server %s: %s", e.name, e.reason)
}

// Unwrap implements what errors.Is looks for.
func (e *failedError) Unwrap() []error { return e.causes }

// unavailable is the error for an answer that is not as specified.
func unavailable(name outbound.Name, reason string) error {
	return &failedError{name: name, reason: reason, causes: []error{ErrUnavailable}}
}

// explain classifies the failure of a request or of reading its answer.
func explain(name outbound.Name, err error) error {
	causes := []error{ErrUnavailable, err}
	if errors.Is(err, outbound.ErrForbiddenAddress) || errors.Is(err, outbound.ErrName) {
		causes = []error{err}
	}
	return &failedError{name: name, reason: reasonOf(err), causes: causes}
}

// reasonOf puts a failure into words of our own.
func reasonOf(err error) string {
	class := neterr.Of(err)
	switch {
	case errors.Is(err, outbound.ErrForbiddenAddress):
		return "its address is not on the public internet"
	case errors.Is(err, outbound.ErrName):
		return "not the name of a server"
	case errors.Is(err, outbound.ErrRedirect):
		return "redirects"
	case errors.Is(err, outbound.ErrTooLarge):
		return "its answer is too large"
	case errors.Is(err, context.Canceled):
		return "the request was cancelled"
	case class == neterr.Timeout:
		return "no answer in time"
	case class.Certificate():
		return "its certificate is not good for it"
	case class.TLS():
		return "does not speak TLS as it must"
	case class == neterr.UnknownHost:
		return "its name does not resolve"
	case class == neterr.Refused, class == neterr.NoRoute:
		return "cannot be connected to"
	}
	return "the connection broke, or it does not speak HTTP"
}
