// SPDX-License-Identifier: Apache-2.0

package identityserver

import (
	"context"
	"fmt"
	"net/http"

	"github.com/caddy-threepid/caddy-threepid/internal/outbound"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
)

// Unbind is what a homeserver tells an identity server to have a binding removed.
// The session that proved the address when it was bound is the authority for it:
// signing requests is for the homeserver itself (MSC1915).
type Unbind struct {
	SID          threepid.SID
	ClientSecret threepid.ClientSecret
	UserID       string
	Medium       threepid.Medium
	Address      string
}

// Unbind has an address unbound from a user (POST /3pid/unbind).
//
// It fails as Bind does, without ErrToken and with [ErrUnsupported].
func (c *Client) Unbind(ctx context.Context, name outbound.Name, u Unbind) error {
	answer, err := c.post(ctx, name, unbindPath, "", map[string]any{
		"sid": u.SID, "client_secret": u.ClientSecret, "mxid": u.UserID,
		"threepid": map[string]string{"medium": string(u.Medium), "address": u.Address},
	})
	if err != nil {
		return err
	}
	refusal := answer.refusal()
	switch {
	case answer.unsupported(refusal):
		return &failedError{name: name, reason: "does not support unbinding", causes: []error{ErrUnsupported}}
	case refusal != nil:
		return refusal
	case !answer.succeeded():
		return unavailable(name, fmt.Sprintf("answers %d without a Matrix error", answer.status))
	}
	// A page that says 200 has unbound nothing.
	if _, ok := answer.object(); !ok {
		return unavailable(name, fmt.Sprintf("answers %d without a JSON object", answer.status))
	}
	return nil
}

// unsupported is MSC1915's sign of a server that cannot unbind: 400, 404 or 501
// without a Matrix error. M_UNRECOGNIZED means the same by now (MSC3743), with 405
// for a method.
func (a answer) unsupported(refusal *Refusal) bool {
	if refusal != nil && refusal.Errcode != "M_UNRECOGNIZED" {
		return false
	}
	switch a.status {
	case http.StatusBadRequest, http.StatusNotFound, http.StatusNotImplemented:
		return true
	case http.StatusMethodNotAllowed:
		return refusal != nil
	}
	return false
}
