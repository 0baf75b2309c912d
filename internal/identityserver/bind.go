// SPDX-License-Identifier: Apache-2.0

package identityserver

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/caddy-threepid/caddy-threepid/internal/outbound"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
)

// Limits on strings that come from strangers: longer ones are not in use.
const (
	maxToken   = 4096
	maxAddress = 255
)

// Bind is what a homeserver tells an identity server to have a validated address
// bound to a user. The session is the identity server's own.
type Bind struct {
	SID          threepid.SID
	ClientSecret threepid.ClientSecret
	UserID       string
}

// Bound is what was bound, by the identity server's account.
type Bound struct {
	Medium  threepid.Medium
	Address string
}

// Bind has the address of a session bound to a user (POST /3pid/bind). The access
// token is the user's own for that identity server.
//
// It fails with a [Refusal], [ErrUnavailable], [ErrToken],
// [outbound.ErrForbiddenAddress] or [outbound.ErrName]. After ErrUnavailable the
// address may be bound all the same.
func (c *Client) Bind(ctx context.Context, name outbound.Name, accessToken threepid.IDAccessToken, b Bind) (Bound, error) {
	if err := checkToken(accessToken); err != nil {
		return Bound{}, err
	}
	answer, err := c.post(ctx, name, bindPath, accessToken, map[string]string{
		"sid": string(b.SID), "client_secret": string(b.ClientSecret), "mxid": b.UserID,
	})
	if err != nil {
		return Bound{}, err
	}
	if refusal := answer.refusal(); refusal != nil {
		return Bound{}, refusal
	}
	if !answer.succeeded() {
		return Bound{}, unavailable(name, fmt.Sprintf("answers %d without a Matrix error", answer.status))
	}
	bound, ok := answer.bound()
	if !ok {
		return Bound{}, unavailable(name, fmt.Sprintf("answers %d without an association", answer.status))
	}
	return bound, nil
}

// Proven asks what a session of the identity server has validated (GET
// /3pid/getValidated3pid). Sydent answers a bind with the address in lower case,
// and unbinds it only as it was typed, which is what this tells.
//
// It fails as Bind does.
func (c *Client) Proven(ctx context.Context, name outbound.Name, accessToken threepid.IDAccessToken, sid threepid.SID, clientSecret threepid.ClientSecret) (Bound, error) {
	if err := checkToken(accessToken); err != nil {
		return Bound{}, err
	}
	query := url.Values{"sid": {string(sid)}, "client_secret": {string(clientSecret)}}
	answer, err := c.do(ctx, name, http.MethodGet, provenPath+"?"+query.Encode(), accessToken, nil)
	if err != nil {
		return Bound{}, err
	}
	if refusal := answer.refusal(); refusal != nil {
		return Bound{}, refusal
	}
	proven, ok := answer.bound()
	if !ok || !answer.succeeded() {
		return Bound{}, unavailable(name, fmt.Sprintf("answers %d without an address", answer.status))
	}
	return proven, nil
}

// bound returns what the answer to a bind says was bound. The rest of the
// association, its signatures above all, is for those who look the address up.
func (a answer) bound() (Bound, bool) {
	object, ok := a.object()
	if !ok {
		return Bound{}, false
	}
	named, _ := text(object, "medium")
	address, _ := text(object, "address")
	medium := threepid.Medium(named)
	if medium != threepid.Email && medium != threepid.MSISDN {
		return Bound{}, false
	}
	if address == "" || len(address) > maxAddress || strings.ContainsFunc(address, notPrintable) {
		return Bound{}, false
	}
	return Bound{Medium: medium, Address: address}, true
}

// notPrintable reports characters that no address has, among them the one that
// decoding puts in the place of invalid bytes.
func notPrintable(c rune) bool {
	return c == utf8.RuneError || !unicode.IsPrint(c)
}

// checkToken demands what can stand in a header as it is: visible characters of
// ASCII. A token with a line break would write headers of its own.
func checkToken(token threepid.IDAccessToken) error {
	switch {
	case token == "":
		return fmt.Errorf("%w: empty", ErrToken)
	case len(token) > maxToken:
		return fmt.Errorf("%w: too long", ErrToken)
	case strings.ContainsFunc(string(token), func(c rune) bool { return c <= ' ' || c > '~' }):
		return fmt.Errorf("%w: characters that no token has", ErrToken)
	}
	return nil
}
