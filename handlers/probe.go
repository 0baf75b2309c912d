// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"net/http"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/wire"
)

// maxNonce bounds what is proved, in bytes.
const maxNonce = 64

// probe serves ProbePath.
func (c *Client) probe(w http.ResponseWriter, r *http.Request) (int, error) {
	if r.Method != http.MethodGet {
		w.Header().Set("Allow", "GET, OPTIONS")
		return 0, wire.Unrecognized(http.StatusMethodNotAllowed)
	}
	nonce := r.URL.Query().Get("nonce")
	if nonce == "" || len(nonce) > maxNonce {
		return 0, wire.BadRequest(wire.CodeInvalidParam, "'nonce' must be 1 to 64 characters")
	}
	wire.WriteJSON(w, http.StatusOK, struct {
		Proof string `json:"proof"`
	}{c.svc.Proof(nonce)})
	return http.StatusOK, nil
}
