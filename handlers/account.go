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

// homeserver is what we ask of the homeserver by ourselves, beside what clients ask. It
// has no address: it is asked the way that the request which it is about goes.
type homeserver struct {
	// Prefix and Version are the spelling of paths that it knows.
	Prefix, Version string
	// AsksUs says that it asks our homeserver-facing side before it sends anything.
	AsksUs bool
	// NoEmail says that there is no transport for mail.
	NoEmail bool

	caps capabilities
}

// homeserverOf makes it of a normalized configuration.
func homeserverOf(cfg *Config) *homeserver {
	return &homeserver{
		Prefix: cfg.UpstreamPrefix, Version: cfg.UpstreamVersion, AsksUs: cfg.Callback && !cfg.NativeReset, NoEmail: cfg.NoEmail,
		caps: capabilities{known: map[string]capability{}},
	}
}

// errNoUser is an answer of the homeserver's that names nobody.
var errNoUser = errors.New("the homeserver's whoami names no user")

// question is a request of our own.
type question struct {
	method string
	// path is what follows the prefix.
	path  string
	token string // of the user in whose name it is; empty in nobody's
	body  []byte
}

// ask makes a request of our own, the way that the client's would go: no
// second address of the homeserver exists, and its proxy keeps its balancing
// and its health checks.
func (h *homeserver) ask(call *wire.Call, q question) (*wire.Answer, error) {
	r := call.R
	saved := *r
	defer func() { *r = saved }()
	r.Method = q.method
	u := *r.URL
	// An application service speaks for one of its users by this parameter.
	u.RawQuery = ""
	if user := saved.URL.Query()["user_id"]; len(user) > 0 && q.token != "" {
		u.RawQuery = url.Values{"user_id": user}.Encode()
	}
	r.URL, r.RequestURI = &u, u.RequestURI()
	r.Header = r.Header.Clone()
	for _, name := range []string{"Authorization", "Content-Length", "Content-Type", "Cookie"} {
		r.Header.Del(name)
	}
	if q.token != "" {
		r.Header.Set("Authorization", "Bearer "+q.token)
	}
	r.Body, r.ContentLength, r.TransferEncoding = http.NoBody, 0, nil
	return call.Exchange(h.Prefix+"/"+q.path, q.body)
}

// post is a question with a body.
func (h *homeserver) post(call *wire.Call, tail, token string, body []byte) (*wire.Answer, error) {
	return h.ask(call, question{method: http.MethodPost, path: h.Version + "/" + tail, token: token, body: body})
}

// get asks for what a user may know, and reads it: a refusal is an error, and so is what
// is no JSON.
func (h *homeserver) get(call *wire.Call, tail, token string, into any) error {
	answer, err := h.ask(call, question{method: http.MethodGet, path: h.Version + "/" + tail, token: token})
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
	// listed are the addresses that the homeserver has last listed, in the form in
	// which they are compared.
	listed []threepid
}

// whoami asks the homeserver whose token this is.
func (h *homeserver) whoami(call *wire.Call) (*account, error) {
	token, err := wire.AccessToken(call.R)
	if err != nil {
		return nil, err
	}
	var body struct {
		UserID string `json:"user_id"`
	}
	if err := h.get(call, "account/whoami", token, &body); err != nil {
		return nil, err
	}
	if !strings.HasPrefix(body.UserID, "@") || !strings.Contains(body.UserID, ":") || len(body.UserID) > 255 {
		return nil, wire.UpstreamFailure(errNoUser)
	}
	return &account{user: body.UserID, token: token}, nil
}

// threepid is an address that an account has.
type threepid struct {
	Medium  verification.Medium `json:"medium"`
	Address string              `json:"address"`
}

// threepids are the addresses of this account, in the form in which they are
// compared.
func (h *homeserver) threepids(call *wire.Call, who *account) ([]threepid, error) {
	list, err := h.listed(call, who)
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
func (h *homeserver) owns(call *wire.Call, who *account, asked threepid) (bool, error) {
	list, err := h.threepids(call, who)
	return slices.Contains(list, asked), err
}
