// SPDX-License-Identifier: Apache-2.0

package identityserver

import (
	"context"
	"errors"
	"net/http"

	"github.com/caddy-threepid/caddy-threepid/internal/outbound"
)

// Probe reports, within a short time, whether anything answers HTTP under a name,
// with a certificate for it (GET /_matrix/identity/v2). What it answers does not
// matter: this tells a dead server from a living one, not a good one from a bad.
func (c *Client) Probe(ctx context.Context, name outbound.Name) error {
	ctx, cancel := context.WithTimeout(ctx, c.probeTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, name.URL(statusPath), nil)
	if err != nil {
		return explain(name, err)
	}
	resp, err := c.http.Do(req)
	if err == nil {
		_ = resp.Body.Close()
		return nil
	}
	// Answers these are, if not of the kind that is passed on.
	if errors.Is(err, outbound.ErrRedirect) || errors.Is(err, outbound.ErrTooLarge) {
		return nil
	}
	return explain(name, err)
}
