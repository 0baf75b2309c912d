// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"encoding/json"
	"net/http"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/wire"
)

// Misconfiguration is a mistake in the homeserver's own configuration that
// keeps it from asking us. No client can mend it, and none has named us, so it
// is told to the operator, and to the client as the fault of the server.
type Misconfiguration string

const (
	// NotTrusted says that our name is not in the homeserver's list of trusted
	// identity servers.
	NotTrusted Misconfiguration = "not_trusted"
	// Unreached says that the homeserver has failed without having called us:
	// it cannot reach the site of our name, or does not trust its certificate.
	Unreached Misconfiguration = "identity_unreachable"
)

// Operator is told of what only the operator can mend.
type Operator interface {
	// Misconfigured is told of a homeserver that does not ask us. It must not block.
	Misconfigured(found Misconfiguration)
}

var errMisconfigured = wire.Saying(http.StatusBadGateway, wire.CodeUnknown, wire.SaySetup,
	"This server is not set up correctly and cannot verify addresses. Please tell its administrator.")

// misconfigured tells the client, and the operator. It returns the status.
func (c *Client) misconfigured(call *wire.Call, found Misconfiguration) int {
	if c.cfg.Operator != nil {
		c.cfg.Operator.Misconfigured(found)
	}
	e := c.inWords(call.R, errMisconfigured)
	wire.WriteError(call.W, e, e.Body())
	return e.Status
}

// misconfigurationOf reads the refusal of a request that named us as the
// identity server, and of which the homeserver has not asked us. What it has not
// got to the point of asking for is a refusal like any other, and empty.
func misconfigurationOf(answer *wire.Answer) Misconfiguration {
	switch {
	case wire.ErrcodeOf(answer) == wire.CodeServerNotTrusted:
		return NotTrusted
	case failedInside(answer):
		return Unreached
	}
	return ""
}

// failedInside recognizes how a homeserver fails over a call that it could not
// make: Synapse by M_UNKNOWN, Dendrite by an object without an error code. Other
// statuses, and pages, are those of somebody in between.
func failedInside(answer *wire.Answer) bool {
	var body map[string]json.RawMessage
	if answer.Status != http.StatusInternalServerError || json.Unmarshal(answer.Body.Bytes(), &body) != nil {
		return false
	}
	errcode := wire.ErrcodeOf(answer)
	return errcode == wire.CodeUnknown || errcode == ""
}
