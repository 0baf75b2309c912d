// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"net/http"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/wire"
)

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
		wire.NotReady(w)
		return
	}
	_, _ = u.client.failedPage(&wire.Call{W: w, R: r}, wire.Unavailable(nil)) // whoever calls has a log
}
