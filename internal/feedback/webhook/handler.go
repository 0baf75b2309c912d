// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/feedback"
)

// MaxBody bounds the body of a request, in bytes.
const MaxBody = 1 << 20

// Outcomes of a request that yields no reports. Their text tells nothing that
// the sender wrote.
var (
	errForbidden = errors.New("request is not genuine")
	errStale     = errors.New("request is too old")
	errMalformed = errors.New("request is not in the form of the service")
	errTooLarge  = errors.New("request is over a limit")
	errLater     = errors.New("request cannot be checked now")
	// errConfirmed is one that is well: the request has done what it was for.
	errConfirmed = errors.New("subscription is confirmed")
)

// provider is what differs between the services.
type provider interface {
	// admit judges the header, before anything of the body is read.
	admit(r *http.Request) error
	// read checks the body and returns the reports in it.
	read(ctx context.Context, r *http.Request, body []byte) ([]feedback.Report, error)
}

// serve answers one request.
func serve(w http.ResponseWriter, r *http.Request, name feedback.Provider, p provider, to feedback.Receiver) {
	w.Header().Set("Cache-Control", "no-store")
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	reports, err := accept(w, r, p)
	if err != nil {
		status, outcome := verdict(err)
		to.Note(name, outcome)
		w.WriteHeader(status)
		return
	}
	if len(reports) == 0 {
		to.Note(name, feedback.Ignored)
	} else if err := to.Receive(r.Context(), name, reports); err != nil {
		// Receive counts what fails, and the provider repeats it.
		w.Header().Set("Retry-After", "60")
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	w.WriteHeader(http.StatusOK)
}

func accept(w http.ResponseWriter, r *http.Request, p provider) ([]feedback.Report, error) {
	if err := p.admit(r); err != nil {
		return nil, err
	}
	if r.ContentLength > MaxBody {
		return nil, errTooLarge
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxBody))
	if err != nil {
		if tooLong := new(http.MaxBytesError); errors.As(err, &tooLong) {
			return nil, errTooLarge
		}
		return nil, errMalformed
	}
	return p.read(r.Context(), r, body)
}

// verdict is the answer to an error. One that is none of ours is that of a
// store or of a fetch.
func verdict(err error) (int, feedback.Outcome) {
	switch {
	case errors.Is(err, errConfirmed):
		return http.StatusOK, feedback.Confirmed
	case errors.Is(err, errForbidden):
		return http.StatusForbidden, feedback.Forbidden
	case errors.Is(err, errStale):
		return http.StatusForbidden, feedback.Stale
	case errors.Is(err, errMalformed):
		return http.StatusBadRequest, feedback.Malformed
	case errors.Is(err, errTooLarge):
		return http.StatusRequestEntityTooLarge, feedback.TooLarge
	default:
		return http.StatusServiceUnavailable, feedback.Failed
	}
}

// clock is the real one if none was given.
func clock(now func() time.Time) func() time.Time {
	if now == nil {
		return time.Now
	}
	return now
}

// inWindow reports whether at is at most age ago; a little lies ahead of us
// where clocks differ.
func inWindow(now, at time.Time, age time.Duration) bool {
	const skew = 5 * time.Minute
	return !at.Before(now.Add(-age)) && !at.After(now.Add(skew))
}
