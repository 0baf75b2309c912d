// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// errNoUser is an answer of the homeserver's that names nobody.
var errNoUser = errors.New("the homeserver's whoami names no user")

// refusal is somebody else's refusal, mostly the homeserver's, to be handed
// on as it is.
type refusal struct{ answer *capture }

// Error implements error.
func (e *refusal) Error() string { return fmt.Sprintf("relay an answer of %d", e.answer.status) }

// accessToken finds the client's token (CS API, "Using access tokens"). Two of
// them are refused: the homeserver might read the other one.
func accessToken(r *http.Request) (string, error) {
	missing := &MatrixError{Status: http.StatusUnauthorized, Errcode: codeMissingToken, Message: "Missing access token"}
	headers, query := r.Header.Values("Authorization"), r.URL.Query()["access_token"]
	switch {
	case len(headers)+len(query) == 0:
		return "", missing
	case len(headers)+len(query) > 1:
		missing.Message = "More than one access token"
		return "", missing
	case len(query) == 1:
		return query[0], nil
	}
	token, ok := strings.CutPrefix(headers[0], "Bearer ")
	if !ok || token == "" {
		missing.Message = "Invalid Authorization header"
		return "", missing
	}
	return token, nil
}

// hasToken reports whether there is anything that may be an access token.
func hasToken(r *http.Request) bool {
	return len(r.Header.Values("Authorization")) > 0 || r.URL.Query().Has("access_token")
}

// ask makes a request of our own, the way that the client's would go: no
// second address of the homeserver exists, and its proxy keeps its balancing
// and its health checks.
func (c *Client) ask(r *http.Request, next Next, method, tail, token string, body []byte) (*capture, error) {
	saved := *r
	defer func() { *r = saved }()
	r.Method = method
	u := *r.URL
	// An application service speaks for one of its users by this parameter.
	u.RawQuery = ""
	if user := saved.URL.Query()["user_id"]; len(user) > 0 && token != "" {
		u.RawQuery = url.Values{"user_id": user}.Encode()
	}
	r.URL, r.RequestURI = &u, u.RequestURI()
	r.Header = r.Header.Clone()
	for _, h := range []string{"Authorization", "Content-Length", "Content-Type", "Cookie"} {
		r.Header.Del(h)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	r.Body, r.ContentLength, r.TransferEncoding = http.NoBody, 0, nil
	return exchange(r, next, c.cfg.UpstreamPrefix+"/"+tail, body)
}

// askJSON is ask for an answer that is read: a refusal is an error, and so is
// what is no JSON.
func (c *Client) askJSON(r *http.Request, next Next, method, tail, token string, body []byte, into any) error {
	answer, err := c.ask(r, next, method, c.cfg.UpstreamVersion+"/"+tail, token, body)
	if err != nil {
		return upstreamFailure(err)
	}
	if answer.status/100 != 2 {
		return &refusal{answer}
	}
	if err := json.Unmarshal(answer.body.Bytes(), into); err != nil {
		return upstreamFailure(errors.New("the homeserver's answer is not the JSON that it should be"))
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
func (c *Client) whoami(r *http.Request, next Next) (account, error) {
	token, err := accessToken(r)
	if err != nil {
		return account{}, err
	}
	var body struct {
		UserID string `json:"user_id"`
	}
	if err := c.askJSON(r, next, http.MethodGet, "account/whoami", token, nil, &body); err != nil {
		return account{}, err
	}
	if !strings.HasPrefix(body.UserID, "@") || !strings.Contains(body.UserID, ":") || len(body.UserID) > 255 {
		return account{}, upstreamFailure(errNoUser)
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
func (c *Client) threepids(r *http.Request, next Next, who account) ([]threepid, error) {
	list, err := c.listed(r, next, who)
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
func (c *Client) owns(r *http.Request, next Next, who account, medium verification.Medium, addr string) (bool, error) {
	list, err := c.threepids(r, next, who)
	return slices.Contains(list, threepid{medium, addr}), err
}
