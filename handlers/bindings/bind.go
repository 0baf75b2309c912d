// SPDX-License-Identifier: Apache-2.0

package bindings

import (
	"context"
	"net/http"
	"time"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/hsapi"
	"github.com/caddy-threepid/caddy-threepid/handlers/internal/report"
	"github.com/caddy-threepid/caddy-threepid/handlers/internal/wire"
	"github.com/caddy-threepid/caddy-threepid/internal/identityserver"
	"github.com/caddy-threepid/caddy-threepid/internal/outbound"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// IdentityServers is the way to the identity servers that users choose. It is
// used for binding and unbinding, and for nothing else: no identity server has
// a say in who owns an account.
type IdentityServers interface {
	Bind(ctx context.Context, name outbound.Name, accessToken threepid.IDAccessToken, b identityserver.Bind) (identityserver.Bound, error)
	Proven(ctx context.Context, name outbound.Name, accessToken threepid.IDAccessToken, sid threepid.SID, clientSecret threepid.ClientSecret) (identityserver.Bound, error)
	Unbind(ctx context.Context, name outbound.Name, u identityserver.Unbind) error
	Probe(ctx context.Context, name outbound.Name) error
}

// Removals are told of an address that is removed from an account.
type Removals interface {
	Removed(r *http.Request, who *hsapi.Account, removed threepid.ThreePID)
}

// Handler serve what binds addresses at identity servers, and what ends that.
type Handler struct {
	Service    *verification.Service
	Servers    IdentityServers
	Observer   report.Observer
	Homeserver *hsapi.Homeserver
	Removals   Removals
	// IdentityName is the id_server at which nothing is bound and every answer is a
	// good one: we.
	IdentityName string
	// Idle says that nothing is verified here at all.
	Idle bool
}

// bindTime bounds a bind together with its bookkeeping, whether or not the
// client waits for it.
const bindTime = 30 * time.Second

// MaxSID is how long a session identifier of an identity server may be.
const MaxSID = 255

// BindRequest is what a client asks for.
type BindRequest struct {
	Server       outbound.Name
	token        threepid.IDAccessToken
	SID          threepid.SID
	ClientSecret threepid.ClientSecret
}

// Bind serves /account/3pid/bind (MSC2290), and the path that a draft of it
// had. The session was opened at the identity server by the client itself, so
// its sid is none of ours, and the account's own addresses do not change.
func (f *Handler) Bind(call *wire.Call) (int, error) {
	if f.Idle {
		return call.PassTo(f.Homeserver.Path(call.Route)) // nothing of this is served
	}
	if call.R.Method != http.MethodPost {
		return call.OnlyBy("POST, OPTIONS")
	}
	body, err := call.SignedObject()
	if err != nil {
		return 0, err
	}
	req, err := ReadBind(body)
	if err != nil {
		return 0, err
	}
	who, err := f.Homeserver.Whoami(call)
	if err != nil {
		return 0, err
	}
	if err := f.bindAs(call.R, who, req); err != nil {
		return 0, err
	}
	return call.OK(struct{}{})
}

// bindAs binds at the server of the user's choice, and records it.
func (f *Handler) bindAs(r *http.Request, who *hsapi.Account, req BindRequest) (err error) {
	ctx, cancel := wire.Detached(r.Context(), bindTime)
	defer cancel()
	if err := f.Service.CountUser(ctx, "bind", who.User); err != nil {
		return err
	}
	if err := f.Service.MayBind(ctx, who.User); err != nil {
		return err
	}
	change := report.Change{Action: "bound", User: f.Service.Pseudonym(who.User), IDServer: req.Server.String()}
	defer func() {
		change.Err = err
		f.Observer.Changed(r, change)
	}()
	bound, err := f.Servers.Bind(ctx, req.Server, req.token, identityserver.Bind{
		SID: req.SID, ClientSecret: req.ClientSecret, UserID: who.User,
	})
	if err != nil {
		return identityFailure(err)
	}
	published := hsapi.Canonical(bound.Medium, bound.Address)
	binding := verification.Binding{
		User: who.User, Medium: published.Medium, Address: published.Address, IDServer: req.Server.String(),
		SID: req.SID, ClientSecret: req.ClientSecret, Validated: bound.Address,
	}
	if proven, err := f.Servers.Proven(ctx, req.Server, req.token, req.SID, req.ClientSecret); err == nil {
		binding.Validated = proven.Address // not every server says, and most need not
	}
	if binding.Validated == binding.Address {
		binding.Validated = ""
	}
	change.Medium, change.Address = binding.Medium, f.Service.Pseudonym(binding.Address)
	// If this fails it is bound all the same; a client that tries again
	// repairs the record.
	return f.Service.Bind(ctx, binding)
}

// ReadBind reads the flat body of r0.6, or the nested one of the draft.
func ReadBind(body wire.Object) (BindRequest, error) {
	var req BindRequest
	for _, key := range wire.AddSpellings {
		if body.Null(key) {
			continue
		}
		nested, err := wire.ParseObject(body[key])
		if err != nil {
			return req, wire.BadRequest(wire.CodeInvalidParam, "'"+key+"' must be an object")
		}
		for name, value := range nested {
			if before, ok := body[name]; ok && string(before) != string(value) {
				return req, wire.BadRequest(wire.CodeInvalidParam, "'"+name+"' is given twice")
			}
			body[name] = value
		}
	}
	var server string
	for _, f := range []struct {
		key string
		to  *string
	}{
		{"client_secret", (*string)(&req.ClientSecret)},
		{"id_server", &server},
		{"id_access_token", (*string)(&req.token)},
		{"sid", (*string)(&req.SID)},
	} {
		var err error
		if *f.to, err = body.Required(f.key); err != nil {
			return req, err
		}
	}
	if !req.ClientSecret.Valid() {
		return req, wire.BadRequest(wire.CodeInvalidParam, "'client_secret' must be 1 to 255 characters of [0-9a-zA-Z.=_-]")
	}
	if req.SID == "" || len(req.SID) > MaxSID {
		return req, wire.BadRequest(wire.CodeInvalidParam, "'sid' must be 1 to 255 characters")
	}
	var err error
	req.Server, err = identityServerName(server)
	return req, err
}

// identityServerName checks an id_server: it is a name and perhaps a port,
// and no URL.
func identityServerName(raw string) (outbound.Name, error) {
	name, err := outbound.ParseName(raw)
	if err != nil {
		return name, wire.BadRequest(wire.CodeInvalidParam, "'id_server' must be a host name, with a port if it is not 443")
	}
	return name, nil
}
