// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"net/http"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/wire"
)

// maxNonce bounds what is proved, in bytes.
const maxNonce = 64

// probe serves ProbePath.
func (c *Client) probe(call *wire.Call) (int, error) {
	if call.R.Method != http.MethodGet {
		return call.OnlyBy("GET, OPTIONS")
	}
	nonce := call.R.URL.Query().Get("nonce")
	if nonce == "" || len(nonce) > maxNonce {
		return 0, wire.BadRequest(wire.CodeInvalidParam, "'nonce' must be 1 to 64 characters")
	}
	return call.OK(struct {
		Proof string `json:"proof"`
	}{c.svc.Proof(nonce)})
}
