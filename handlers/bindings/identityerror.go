// SPDX-License-Identifier: Apache-2.0

package bindings

import (
	"errors"
	"net/http"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/wire"
	"github.com/caddy-threepid/caddy-threepid/internal/identityserver"
	"github.com/caddy-threepid/caddy-threepid/internal/outbound"
)

// identityFailure is what a client is told when an identity server has not
// done what it was asked. Its own refusals go back as they are, so that a
// client can show the terms that it wants to be agreed to (MSC2140).
func identityFailure(err error) error {
	if refused, ok := errors.AsType[*identityserver.Refusal](err); ok {
		return &wire.RefusalError{Answer: forClient(refused)}
	}
	switch {
	case errors.Is(err, outbound.ErrForbiddenAddress):
		return &wire.MatrixError{
			Status: http.StatusBadRequest, Errcode: wire.CodeServerNotTrusted,
			Message: "The identity server is not on the public internet", Err: err,
		}
	case errors.Is(err, identityserver.ErrToken):
		return wire.BadRequest(wire.CodeInvalidParam, "'id_access_token' is not an access token")
	}
	return &wire.MatrixError{
		Status: http.StatusBadGateway, Errcode: wire.CodeUnknown,
		Message: "The identity server cannot be reached, or gave no answer that can be used", Err: err,
	}
}

// ofTheHomeserver are codes by which a homeserver ends a client's session. An
// identity server that used one would log people out: its own word for a token
// that it does not know is M_UNAUTHORIZED (IS API, "Authentication").
var ofTheHomeserver = map[string]bool{
	"M_UNKNOWN_TOKEN": true, wire.CodeMissingToken: true, "M_USER_DEACTIVATED": true, "M_USER_LOCKED": true, "M_GUEST_ACCESS_FORBIDDEN": true,
}

// forClient is a refusal of an identity server as a client may see it: without
// what would make it log out, or begin a User-Interactive Authentication.
func forClient(refused *identityserver.Refusal) *wire.Answer {
	answer := &wire.Answer{Status: refused.Status}
	for name, value := range map[string]string{
		"Content-Type": "application/json", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff",
	} {
		answer.Header().Set(name, value)
	}
	body, err := wire.ParseObject(refused.Body)
	if err != nil {
		body = wire.Object{"errcode": wire.Encoded(refused.Errcode), "error": wire.Encoded(refused.Message)}
	}
	for _, key := range []string{"soft_logout", "flows", "session", "params", "completed"} {
		delete(body, key)
	}
	if ofTheHomeserver[refused.Errcode] {
		body["errcode"] = wire.Encoded(wire.CodeUnauthorized)
	}
	_, _ = answer.Body.Write(body.Encode()) // never fails
	return answer
}
