// SPDX-License-Identifier: Apache-2.0

package bindings

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/hsapi"
	"github.com/caddy-threepid/caddy-threepid/handlers/internal/report"
	"github.com/caddy-threepid/caddy-threepid/handlers/internal/route"
	"github.com/caddy-threepid/caddy-threepid/handlers/internal/wire"
	"github.com/caddy-threepid/caddy-threepid/internal/identityserver"
	"github.com/caddy-threepid/caddy-threepid/internal/outbound"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// Unbind serves /account/3pid/unbind and /account/3pid/delete. Both end the
// binding of an address; the second takes it from the account, too, which is
// the homeserver's to do.
func (f *Handler) Unbind(call *wire.Call) (int, error) {
	if call.R.Method != http.MethodPost {
		return call.PassTo(f.Homeserver.Path(call.Route))
	}
	body, err := call.SignedObject()
	if err != nil {
		return 0, err
	}
	asked, err := readUnbind(body)
	if err != nil {
		return 0, err
	}
	who, err := f.Homeserver.Whoami(call)
	if err != nil {
		return 0, err
	}
	wd, err := f.withdrawal(call.R, who.User, asked.of)
	if err != nil {
		return 0, err
	}
	wd.alone = call.Route.Tail == route.TailUnbind
	if err := wd.forbidden(call.R.Context(), asked.server); err != nil {
		return 0, err
	}
	path := f.Homeserver.Path(call.Route)
	asked.action = "deleted"
	if wd.alone {
		asked.action = "unbound"
		version, err := f.Homeserver.Has(call, call.Route.Tail)
		if err != nil {
			return 0, err
		}
		if version == "" {
			return f.unbindHere(call, wd, asked)
		}
		path = f.Homeserver.Prefix + "/" + version + "/" + call.Route.Tail
	}
	spelling, owned, err := f.spelling(call, who, asked)
	if err != nil {
		return 0, err
	}
	if !owned {
		if !wd.alone || len(wd.targets) == 0 {
			return f.notOwned(call, wd, asked)
		}
		spelling = asked.spelledAs(wd.targets)
	}
	wd.alsoAt(call.R.Context(), asked.server)
	status, err := wd.passOn(call, path, asked.body(spelling), asked)
	if err == nil && !wd.alone {
		f.Removals.Removed(call.R, who, asked.ThreePID)
	}
	return status, err
}

// unbindRequest is the address that a client wants unbound.
type unbindRequest struct {
	action string
	threepid.ThreePID
	typed  string
	server *outbound.Name // nil: the one that it was bound through
}

// of selects the bindings that a request is about.
func (u unbindRequest) of(b verification.Binding) bool {
	return b.ThreePID() == u.ThreePID && (u.server == nil || b.IDServer == u.server.String())
}

func readUnbind(body wire.Object) (unbindRequest, error) {
	var u unbindRequest
	medium, err := body.Required("medium")
	if err != nil {
		return u, err
	}
	if u.typed, err = body.Required("address"); err != nil {
		return u, err
	}
	u.ThreePID = hsapi.Canonical(threepid.Medium(medium), u.typed)
	if u.Medium != threepid.Email && u.Medium != threepid.MSISDN {
		return u, wire.BadRequest(wire.CodeInvalidParam, "'medium' must be email or msisdn")
	}
	u.server, err = namedServer(body)
	return u, err
}

// namedServer reads an optional id_server. Clients without an identity server
// write null, or an empty text.
func namedServer(body wire.Object) (*outbound.Name, error) {
	raw, _, err := body.Text("id_server")
	if err != nil || raw == "" {
		return nil, err
	}
	name, err := identityServerName(raw)
	if err != nil {
		return nil, err
	}
	return &name, nil
}

// unbindHere ends a binding without the homeserver, which has no endpoint for
// that. Only a binding that was made through us can be ended so: we have the
// session that proves it. A server that is down is an error here, because
// nothing else depends on it.
func (f *Handler) unbindHere(call *wire.Call, wd *Withdrawal, asked unbindRequest) (int, error) {
	ctx, cancel := wire.Detached(call.R.Context(), withdrawTime)
	defer cancel()
	result, err := unbindNoSupport, error(nil)
	if len(wd.targets) > 0 {
		result, err = wd.unbindAll(ctx)
	}
	f.Observer.Changed(call.R, report.Change{
		Action: asked.action, User: f.Service.Pseudonym(wd.user), Medium: asked.Medium,
		Address: f.Service.Pseudonym(asked.Address), Result: result, Err: err,
	})
	if wd.hopeless(err) {
		err = nil
	}
	if err != nil {
		return 0, identityFailure(err)
	}
	return call.OK(unbindAnswer{result})
}

// hopeless reports whether trying again will not help either: the server cannot
// unbind, or our proof is worth nothing to it any more. For that Sydent answers
// 500 after a day, and 401 some days later.
func (wd *Withdrawal) hopeless(err error) bool {
	if errors.Is(err, identityserver.ErrUnsupported) || errors.Is(err, errNoProof) {
		return true
	}
	refused, ok := errors.AsType[*identityserver.Refusal](err)
	switch {
	case !ok || refused.Status == http.StatusTooManyRequests:
		return false
	case refused.Status < http.StatusInternalServerError:
		return true
	}
	return slices.ContainsFunc(wd.targets, wd.face.Service.ProofExpired)
}

// The two results of an unbinding (CS API, /account/3pid/unbind).
const (
	Success         = "success"
	unbindNoSupport = "no-support"
)

type unbindAnswer struct {
	Result string `json:"id_server_unbind_result"`
}

// errNoProof: the binding was not made through us.
var errNoProof = errors.New("there is no session that proves the binding")

// unbindAt ends one binding by the session that made it.
func (f *Handler) unbindAt(ctx context.Context, b verification.Binding) error {
	if b.SID == "" {
		return errNoProof
	}
	name, err := outbound.ParseName(b.IDServer)
	if err != nil {
		return err
	}
	return f.Servers.Unbind(ctx, name, identityserver.Unbind{
		SID: b.SID, ClientSecret: b.ClientSecret, UserID: b.User, Medium: b.Medium, Address: cmp.Or(b.Validated, b.Address),
	})
}
