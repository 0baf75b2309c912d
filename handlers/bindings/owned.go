// SPDX-License-Identifier: Apache-2.0

package bindings

import (
	"errors"
	"net/http"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/hsapi"
	"github.com/caddy-threepid/caddy-threepid/handlers/internal/wire"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// errCannotSay is an answer while nobody can say whose address it is.
var errCannotSay = errors.New("the homeserver does not say which addresses the account has")

// spelling finds an address that somebody wants taken away among those of their
// account. It is our own check: Dendrite takes it from whoever has it. It
// returns the homeserver's spelling, the only one under which a homeserver that
// compares texts finds it; one that was typed exactly so comes first, because
// such a homeserver may have two.
func (f *Handler) spelling(call *wire.Call, who *hsapi.Account, asked unbindRequest) (spelling string, owned bool, err error) {
	list, err := f.Homeserver.List(call, who)
	if err != nil {
		return "", false, cannotSay(err)
	}
	for _, t := range list {
		if t.ThreePID() != asked.ThreePID {
			continue
		}
		if t.Spelling == asked.typed {
			return t.Spelling, true, nil
		}
		if !owned {
			spelling, owned = t.Spelling, true
		}
	}
	return spelling, owned, nil
}

// cannotSay is the refusal when the homeserver has not given the list. What it
// says about the token, or about too many requests, the client has to know;
// anything else would read as if the address could not be deleted.
func cannotSay(err error) error {
	if refused, ok := errors.AsType[*wire.RefusalError](err); ok {
		switch refused.Answer.Status {
		case http.StatusUnauthorized, http.StatusForbidden, http.StatusTooManyRequests:
			return err
		}
		return wire.UpstreamFailure(errCannotSay)
	}
	return err
}

// notOwned answers a request to take away an address that the account has not.
//
// It is the answer of Synapse, whose deletion finds nothing to delete: clients
// repeat a deletion whose answer got lost, and two devices delete the same
// address. Whether somebody else has the address is not said, because nobody
// was asked. Bindings that this user has made through us end all the same.
func (f *Handler) notOwned(call *wire.Call, wd *Withdrawal, asked unbindRequest) (int, error) {
	if len(wd.targets) > 0 {
		asked.action = "unbound"
		return f.unbindHere(call, wd, asked)
	}
	return call.OK(unbindAnswer{unbindNoSupport})
}

// body is the request as the homeserver gets it, made anew.
func (u unbindRequest) body(spelling string) wire.Object {
	return wire.Object{"medium": wire.Encoded(string(u.Medium)), "address": wire.Encoded(spelling)}
}

// spelledAs is the homeserver's spelling of an address that is bound and not in
// the account's list: the one that the binding has, if there is one.
func (u unbindRequest) spelledAs(targets []verification.Binding) string {
	for _, b := range targets {
		if b.Validated != "" {
			return b.Validated
		}
	}
	return u.Address
}
