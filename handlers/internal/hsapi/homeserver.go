// SPDX-License-Identifier: Apache-2.0

package hsapi

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/route"
	"github.com/caddy-threepid/caddy-threepid/handlers/internal/wire"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
)

// Homeserver is what we ask of the homeserver by ourselves, beside what clients ask. It
// has no address: it is asked the way that the request which it is about goes.
type Homeserver struct {
	// Prefix and Version are the spelling of paths that it knows.
	Prefix, Version string
	// AsksUs says that it asks our homeserver-facing side before it sends anything.
	AsksUs bool
	// NoEmail says that there is no transport for mail.
	NoEmail bool

	caps capabilities
}

// Path is the spelling of a path that it knows.
func (h *Homeserver) Path(at route.Route) string {
	if at.Kind == route.KindVersions {
		return h.Prefix + "/versions"
	}
	version := at.Version
	if version == "v3" {
		version = h.Version
	}
	return h.Prefix + "/" + version + "/" + at.Tail
}

// errNoUser is an answer of the homeserver's that names nobody.
var errNoUser = errors.New("the homeserver's whoami names no user")

// Question is a request of our own.
type Question struct {
	Method string
	// Path is what follows the prefix.
	Path  string
	Token threepid.AccessToken // of the user in whose name it is; empty in nobody's
	Body  []byte
}

// Ask makes a request of our own, the way that the client's would go: no
// second address of the homeserver exists, and its proxy keeps its balancing
// and its health checks.
func (h *Homeserver) Ask(call *wire.Call, q Question) (*wire.Answer, error) {
	r := call.R
	saved := *r
	defer func() { *r = saved }()
	r.Method = q.Method
	u := *r.URL
	// An application service speaks for one of its users by this parameter.
	u.RawQuery = ""
	if user := saved.URL.Query()["user_id"]; len(user) > 0 && q.Token != "" {
		u.RawQuery = url.Values{"user_id": user}.Encode()
	}
	r.URL, r.RequestURI = &u, u.RequestURI()
	r.Header = r.Header.Clone()
	for _, name := range []string{"Authorization", "Content-Length", "Content-Type", "Cookie"} {
		r.Header.Del(name)
	}
	if q.Token != "" {
		r.Header.Set("Authorization", "Bearer "+string(q.Token))
	}
	r.Body, r.ContentLength, r.TransferEncoding = http.NoBody, 0, nil
	return call.Exchange(h.Prefix+"/"+q.Path, q.Body)
}

// Post is a question with a body.
func (h *Homeserver) Post(call *wire.Call, tail string, token threepid.AccessToken, body []byte) (*wire.Answer, error) {
	return h.Ask(call, Question{Method: http.MethodPost, Path: h.Version + "/" + tail, Token: token, Body: body})
}

// get asks for what a user may know, and reads it: a refusal is an error, and so is what
// is no JSON.
func (h *Homeserver) get(call *wire.Call, tail string, token threepid.AccessToken, into any) error {
	answer, err := h.Ask(call, Question{Method: http.MethodGet, Path: h.Version + "/" + tail, Token: token})
	if err != nil {
		return wire.UpstreamFailure(err)
	}
	if answer.Status/100 != 2 {
		return &wire.RefusalError{Answer: answer}
	}
	if err := json.Unmarshal(answer.Body.Bytes(), into); err != nil {
		return wire.UpstreamFailure(errors.New("the homeserver's answer is not the JSON that it should be"))
	}
	return nil
}

// Account is the user who makes a request.
type Account struct {
	User  string
	Token threepid.AccessToken
	// Listed are the addresses that the homeserver has last listed, in the form in
	// which they are compared.
	Listed []threepid.ThreePID
	// Guest says that they have no account of their own.
	Guest bool
}

// Whoami asks the homeserver whose token this is.
func (h *Homeserver) Whoami(call *wire.Call) (*Account, error) {
	token, err := wire.AccessToken(call.R)
	if err != nil {
		return nil, err
	}
	var body struct {
		UserID string `json:"user_id"`
		Guest  bool   `json:"is_guest"`
	}
	if err := h.get(call, "account/whoami", token, &body); err != nil {
		return nil, err
	}
	if !strings.HasPrefix(body.UserID, "@") || !strings.Contains(body.UserID, ":") || len(body.UserID) > 255 {
		return nil, wire.UpstreamFailure(errNoUser)
	}
	return &Account{User: body.UserID, Token: token, Guest: body.Guest}, nil
}

// Threepids are the addresses of this account, in the form in which they are
// compared.
func (h *Homeserver) Threepids(call *wire.Call, who *Account) ([]threepid.ThreePID, error) {
	list, err := h.List(call, who)
	return canonicalOf(list), err
}

// Owns reports whether the homeserver has an address for this account.
func (h *Homeserver) Owns(call *wire.Call, who *Account, asked threepid.ThreePID) (bool, error) {
	list, err := h.Threepids(call, who)
	return slices.Contains(list, asked), err
}

var errNoList = errors.New("the homeserver's list of addresses is not what it should be")

// List asks the homeserver for the addresses of this account, in its own
// spelling. Dendrite's list is null when there is none.
func (h *Homeserver) List(call *wire.Call, who *Account) ([]Entry, error) {
	var body struct {
		Threepids json.RawMessage `json:"threepids"`
	}
	if err := h.get(call, "account/3pid", who.Token, &body); err != nil {
		return nil, err
	}
	var list []Entry
	if json.Unmarshal(body.Threepids, &list) != nil {
		return nil, wire.UpstreamFailure(errNoList)
	}
	who.Listed = canonicalOf(list)
	return list, nil
}
