// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/caddy-threepid/caddy-threepid/internal/address"
	"github.com/caddy-threepid/caddy-threepid/internal/input"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// probeServer is an identity server that no homeserver trusts (RFC 2606: the
// name never exists). A homeserver that is asked for a token through it makes
// its own checks of the address first, and then stops without side effects.
const probeServer = "probe.invalid"

var errNoOracle = errors.New("the homeserver did not say whether the address is in use")

// canonicalAddress is the form in which addresses are compared. One that has
// no such form is left as it is: it equals itself.
func canonicalAddress(medium verification.Medium, raw string) string {
	switch medium {
	case verification.Email:
		raw = input.Address(raw)
		if canonical, err := address.Email(raw); err == nil {
			return canonical
		}
		return strings.ToLower(raw)
	case verification.MSISDN:
		if dialled, ok := input.Number(raw); ok {
			raw = dialled
		}
		return strings.TrimPrefix(raw, "+")
	}
	return raw
}

// refuseTaken keeps an address of one account from being moved to another:
// homeservers do that without asking, if only the address is validated. Their
// check is at requestToken, long before. MSC2290 wants it refused.
//
// The homeserver is asked for one more token, through an identity server that
// it cannot trust. From 1.4 on, Synapse asks its own delegate instead, which is
// us; we refuse what nobody has requested.
func (c *Client) refuseTaken(r *http.Request, next Next, who account, alias *verification.Alias) error {
	own, err := c.owns(r, next, who, alias.Medium, alias.Address)
	if err != nil || own {
		return err
	}
	body, err := probeBody(alias)
	if err != nil {
		return err
	}
	tail := c.cfg.UpstreamVersion + "/account/3pid/" + string(alias.Medium) + "/requestToken"
	answer, err := c.ask(r, next, http.MethodPost, tail, who.token, body)
	if err != nil {
		return upstreamFailure(err)
	}
	switch errcodeOf(answer) {
	case codeServerNotTrusted, codeForbidden:
		return nil // all its other checks have passed
	case codeThreepidInUse, codeThreepidDenied, codeLimitExceeded:
		return &refusal{answer}
	}
	return upstreamFailure(errNoOracle)
}

// probeBody asks about the address that an alias proves, in the name of nobody.
func probeBody(alias *verification.Alias) ([]byte, error) {
	probe := forwardedToken{ClientSecret: rand.Text(), SendAttempt: 1, IDServer: probeServer}
	probe.about(alias.Medium, alias.Address, regionOf(alias.Address))
	return json.Marshal(probe)
}
