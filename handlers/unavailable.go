// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"net/http"
	"time"
)

// notReady is how long to wait for us, or for the store: a restart takes less.
const notReady = 5 * time.Second

// unavailable is the verdict while there is no store, or none any more.
func unavailable(err error) *MatrixError {
	return &MatrixError{
		Status: http.StatusServiceUnavailable, Errcode: codeUnknown, Err: err,
		Message: "The server is not ready. Please try again later.", RetryAfter: notReady,
	}
}

// Unavailable answers in place of a [Client] while the store cannot be opened.
type Unavailable struct{ client *Client }

// NewUnavailable makes it of a normalized configuration.
func NewUnavailable(cfg Config, opts PageOptions) (*Unavailable, error) {
	c := &Client{cfg: cfg, page: newPages(cfg.PublicURL)}
	return &Unavailable{c}, c.SetPages(opts)
}

// ServeHTTP implements http.Handler.
func (u *Unavailable) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !ForPerson(r) {
		NotReady(w)
		return
	}
	_, _ = u.client.failedPage(w, r, unavailable(nil)) // whoever calls has a log
}

// NotReady tells a machine.
func NotReady(w http.ResponseWriter) {
	verdict := unavailable(nil)
	writeError(w, verdict, verdict.body())
}
