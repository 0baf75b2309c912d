// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/wire"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// errNoUser is an answer of the homeserver's that names nobody.
var errNoUser = errors.New("the homeserver's whoami names no user")

// ask makes a request of our own, the way that the client's would go: no
// second address of the homeserver exists, and its proxy keeps its balancing
// and its health checks.
func (c *Client) ask(call *wire.Call, method, tail, token string, body []byte) (*wire.Answer, error) {
	saved := *call.R
	defer func() { *call.R = saved }()
	call.R.Method = method
	u := *call.R.URL
	// An application service speaks for one of its users by this parameter.
	u.RawQuery = ""
	if user := saved.URL.Query()["user_id"]; len(user) > 0 && token != "" {
		u.RawQuery = url.Values{"user_id": user}.Encode()
	}
	call.R.URL, call.R.RequestURI = &u, u.RequestURI()
	call.R.Header = call.R.Header.Clone()
	for _, h := range []string{"Authorization", "Content-Length", "Content-Type", "Cookie"} {
		call.R.Header.Del(h)
	}
	if token != "" {
		call.R.Header.Set("Authorization", "Bearer "+token)
	}
	call.R.Body, call.R.ContentLength, call.R.TransferEncoding = http.NoBody, 0, nil
	return call.Exchange(c.cfg.UpstreamPrefix+"/"+tail, body)
}

// askJSON is ask for an answer that is read: a refusal is an error, and so is
// what is no JSON.
func (c *Client) askJSON(call *wire.Call, method, tail, token string, body []byte, into any) error {
	answer, err := c.ask(call, method, c.cfg.UpstreamVersion+"/"+tail, token, body)
	if err != nil {
		return wire.UpstreamFailure(err)
	}
	if answer.Status/100 != 2 {
		return &wire.Refusal{Answer: answer}
	}
	if err := json.Unmarshal(answer.Body.Bytes(), into); err != nil {
		return wire.UpstreamFailure(errors.New("the homeserver's answer is not the JSON that it should be"))
	}
	return nil
}

// account is the user who makes a request.
type account struct {
	user, token string
	// book keeps the addresses that the homeserver has last listed.
	book *book
}

// book are the addresses of an account.
type book struct{ list []threepid }

// whoami asks the homeserver whose token this is.
func (c *Client) whoami(call *wire.Call) (account, error) {
	token, err := wire.AccessToken(call.R)
	if err != nil {
		return account{}, err
	}
	var body struct {
		UserID string `json:"user_id"`
	}
	if err := c.askJSON(call, http.MethodGet, "account/whoami", token, nil, &body); err != nil {
		return account{}, err
	}
	if !strings.HasPrefix(body.UserID, "@") || !strings.Contains(body.UserID, ":") || len(body.UserID) > 255 {
		return account{}, wire.UpstreamFailure(errNoUser)
	}
	return account{body.UserID, token, new(book)}, nil
}

// threepid is an address that an account has.
type threepid struct {
	Medium  verification.Medium `json:"medium"`
	Address string              `json:"address"`
}

// threepids are the addresses of this account, in the form in which they are
// compared.
func (c *Client) threepids(call *wire.Call, who account) ([]threepid, error) {
	list, err := c.listed(call, who)
	return canonicalOf(list), err
}

func canonicalOf(list []threepid) []threepid {
	canonical := slices.Clone(list)
	for i, t := range canonical {
		canonical[i].Address = canonicalAddress(t.Medium, t.Address)
	}
	return canonical
}

// owns reports whether the homeserver has an address for this account.
func (c *Client) owns(call *wire.Call, who account, medium verification.Medium, addr string) (bool, error) {
	list, err := c.threepids(call, who)
	return slices.Contains(list, threepid{medium, addr}), err
}
