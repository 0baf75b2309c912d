// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"encoding/json"
	"net/http"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/wire"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
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

var errMisconfigured = wire.Saying(http.StatusBadGateway, wire.CodeUnknown, wire.SaySetup,
	"This server is not set up correctly and cannot verify addresses. Please tell its administrator.")

// misconfigured tells the client, and the operator. It returns the status.
func (c *Client) misconfigured(call *wire.Call, found Misconfiguration) int {
	if c.cfg.Misconfigured != nil {
		c.cfg.Misconfigured(found)
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

// misconfiguration reads the answer to a request by which a proof was shown to
// the homeserver. One that refuses it unseen does not know our name; Synapse up
// to 1.3.1 does not say so here, see "threepid_from_creds". An answer by which
// the authentication goes on is the client's (CS API, "User-interactive API in
// the REST API"): there may be another stage to do first.
func (j *completion) misconfiguration(answer *wire.Answer) Misconfiguration {
	if !j.unasked {
		return ""
	}
	switch errcode := wire.ErrcodeOf(answer); {
	case answer.Status == http.StatusUnauthorized && errcode == wire.CodeUnauthorized && !goesOn(answer):
		return NotTrusted
	case answer.Status == http.StatusBadRequest && errcode == wire.CodeThreepidAuthFailed:
		return NotTrusted
	}
	return misconfigurationOf(answer)
}

// goesOn reports whether an answer is a round of an authentication.
func goesOn(answer *wire.Answer) bool {
	var body struct {
		Session json.RawMessage `json:"session"`
		Flows   json.RawMessage `json:"flows"`
	}
	_ = json.Unmarshal(answer.Body.Bytes(), &body) // what cannot be read has neither
	return body.Session != nil || body.Flows != nil
}

// shown notes what the homeserver has asked of the proofs that it was shown.
func (j *completion) shown(alias *verification.Alias) {
	j.unasked = j.unasked || alias.Unasked
}
