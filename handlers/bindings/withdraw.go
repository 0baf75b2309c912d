// SPDX-License-Identifier: Apache-2.0

package bindings

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/hsapi"
	"github.com/caddy-threepid/caddy-threepid/handlers/internal/report"
	"github.com/caddy-threepid/caddy-threepid/handlers/internal/wire"
	"github.com/caddy-threepid/caddy-threepid/internal/outbound"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// withdrawTime bounds what we do at identity servers after the homeserver has
// done its part.
const withdrawTime = 20 * time.Second

const (
	// parallelUnbinds bounds how many identity servers are asked at once.
	parallelUnbinds = 8
	// maxProbes bounds how many dead identity servers a deletion waits for.
	maxProbes = 3
)

// Withdrawal is a request by which a user takes addresses away, and the
// bindings that have to end with it.
//
// A legacy homeserver unbinds by itself, with its own signature, if it is told
// where: that proof never expires, so it comes first. But it also refuses to
// delete an address, or an account, while the identity server fails. So it is
// told of none that is not alive, and when it fails all the same, it is given
// our own name, where nothing is bound and every answer is a good one.
type Withdrawal struct {
	face    *Handler
	user    string
	targets []verification.Binding
	// signed selects the bindings that the homeserver ends if it says so.
	signed       func(verification.Binding) bool
	signer       string // whom the homeserver is told to call; "" leaves it to its own records
	deactivation bool
	alone        bool // nothing else is to happen than the unbinding
	// unhurried leaves identity servers alone until the homeserver agrees.
	unhurried bool
	barred    bool // the homeserver was kept from its identity server
	counted   bool // the server that the client has named, against its limit
}

// withdrawal finds the recorded bindings that have to end.
func (f *Handler) withdrawal(r *http.Request, user string, of func(verification.Binding) bool) (*Withdrawal, error) {
	wd := &Withdrawal{face: f, user: user, signed: of}
	recorded, err := f.Service.Bindings(r.Context(), user)
	if err != nil {
		return nil, err
	}
	for _, b := range recorded {
		if of(b) {
			wd.targets = append(wd.targets, b)
		}
	}
	return wd, nil
}

// alsoAt adds the server that the client has named, if it is not one of those
// that were found. It is a stranger's choice, so it is looked at before the
// homeserver is sent there, and not often; but it must not hold up a deletion.
func (wd *Withdrawal) alsoAt(ctx context.Context, named *outbound.Name) {
	if named == nil || wd.knows(named) {
		return
	}
	wd.targets = append(wd.targets, verification.Binding{User: wd.user, IDServer: named.String()})
	if wd.count(ctx) != nil {
		wd.bar()
	}
}

// forbidden refuses a server that the client has named and that is not on the
// public internet. A name may have become one since it was bound (a resolver
// that blocks it, say), and must not hold up a deletion; an address was one
// always, and unbinding alone can be refused.
func (wd *Withdrawal) forbidden(ctx context.Context, named *outbound.Name) error {
	if named == nil || wd.knows(named) || (!wd.alone && !isAddress(named.String())) {
		return nil
	}
	if err := wd.count(ctx); err != nil {
		return err
	}
	if err := wd.face.Servers.Probe(ctx, *named); errors.Is(err, outbound.ErrForbiddenAddress) {
		return identityFailure(err)
	}
	return nil
}

// count counts a request that names a server, once.
func (wd *Withdrawal) count(ctx context.Context) error {
	if wd.counted {
		return nil
	}
	wd.counted = true
	return wd.face.Service.CountUser(ctx, "unbind", wd.user)
}

func (wd *Withdrawal) knows(named *outbound.Name) bool {
	return slices.ContainsFunc(wd.targets, func(b verification.Binding) bool { return b.IDServer == named.String() })
}

// isAddress reports whether a server's name is an IP address.
func isAddress(name string) bool {
	if _, err := netip.ParseAddrPort(name); err == nil {
		return true
	}
	_, err := netip.ParseAddr(strings.Trim(name, "[]"))
	return err == nil
}

// bar keeps the homeserver from all identity servers, by giving it our name.
func (wd *Withdrawal) bar() { wd.signer, wd.barred = wd.face.IdentityName, true }

// passOn has the homeserver do its part, unbinds what it has not, and tells
// the client both.
func (wd *Withdrawal) passOn(call *wire.Call, path string, body wire.Object, asked unbindRequest) (int, error) {
	answer, err := wd.Send(call, path, body)
	if err != nil {
		return 0, wire.UpstreamFailure(err)
	}
	if answer.Status/100 != 2 {
		return 0, &wire.RefusalError{Answer: answer}
	}
	result := wd.Settle(call.R.Context(), answer, unbindNoSupport, false)
	wd.face.Observer.Changed(call.R, report.Change{
		Action: asked.action, User: wd.face.Service.Pseudonym(wd.user), Medium: asked.medium,
		Address: wd.face.Service.Pseudonym(asked.address), Result: result,
	})
	return call.Respond(answer)
}

// Send forwards the request, such that no identity server can hold it up.
func (wd *Withdrawal) Send(call *wire.Call, path string, body wire.Object) (*wire.Answer, error) {
	if !wd.unhurried && !wd.barred {
		wd.chooseSigner(call.R.Context())
	}
	answer, err := wd.exchange(call, path, body)
	// A proxy in between may lose patience before the homeserver does.
	late := err != nil && wd.signer != ""
	if wd.barred || !late && (err != nil || !wd.heldUp(answer)) {
		return answer, err
	}
	wd.bar()
	again, err := wd.exchange(call, path, body)
	if late && wd.deactivation && err == nil && again.Status == http.StatusUnauthorized && wire.ErrcodeOf(again) == "M_UNKNOWN_TOKEN" {
		// The token was good a moment ago: the first try has done it.
		again = &wire.Answer{Status: http.StatusOK}
	}
	return again, err
}

// chooseSigner takes the first server that is alive, and begins with those
// where only a signature can end the binding.
func (wd *Withdrawal) chooseSigner(ctx context.Context) {
	var names []string
	for _, b := range slices.SortedStableFunc(slices.Values(wd.targets), wd.urgency) {
		if !slices.Contains(names, b.IDServer) {
			names = append(names, b.IDServer)
		}
	}
	for _, raw := range names[:min(len(names), maxProbes)] {
		name, err := outbound.ParseName(raw)
		if err == nil && wd.face.Servers.Probe(ctx, name) == nil {
			wd.signer = raw
			return
		}
	}
	if len(names) > 0 {
		wd.bar()
	}
}

// urgency orders bindings: those without a proof, then those whose proof has
// expired, then the oldest.
func (wd *Withdrawal) urgency(a, b verification.Binding) int {
	rank := func(x verification.Binding) int {
		switch {
		case x.SID == "":
			return 0
		case wd.face.Service.ProofExpired(x):
			return 1
		}
		return 2
	}
	return cmp.Or(cmp.Compare(rank(a), rank(b)), a.Bound.Compare(b.Bound))
}

func (wd *Withdrawal) exchange(call *wire.Call, path string, body wire.Object) (*wire.Answer, error) {
	delete(body, "id_server")
	if wd.signer != "" {
		body["id_server"] = wire.Encoded(wd.signer)
	}
	return call.Exchange(path, body.Encode())
}

// heldUp reports whether the homeserver has failed because an identity server
// did: Synapse answers 500 to a deletion, and to a deactivation 400 with no
// code of its own. A deactivation that failed in another way is not repeated:
// it may have got far enough for the token to be gone.
func (wd *Withdrawal) heldUp(answer *wire.Answer) bool {
	if wd.deactivation {
		return answer.Status == http.StatusBadRequest && wire.ErrcodeOf(answer) == wire.CodeUnknown
	}
	return answer.Status >= http.StatusInternalServerError
}

// Settle ends the bindings that the homeserver has not ended, and writes the
// result into its answer. whenNone is the result if nothing was bound and the
// homeserver does not say.
func (wd *Withdrawal) Settle(ctx context.Context, answer *wire.Answer, whenNone string, forget bool) string {
	body, err := wire.ParseAnswer(answer.Body.Bytes())
	if err != nil {
		body = wire.Object{}
	}
	bound := len(wd.targets) > 0
	said, _, _ := body.Text("id_server_unbind_result") // Dendrite does not say
	if said != Success && said != unbindNoSupport {
		said = ""
	}
	ctx, cancel := wire.Detached(ctx, withdrawTime)
	defer cancel()
	if said == Success && wd.signer != "" && !wd.barred {
		wd.done(ctx, func(b verification.Binding) bool { return b.IDServer == wd.signer && (b.SID == "" || wd.signed(b)) })
	}
	result := said
	switch {
	case bound:
		result, _ = wd.unbindAll(ctx)
	case wd.barred:
		result = unbindNoSupport
	case result == "":
		result = whenNone
	}
	if forget {
		// The account is gone, and nobody can ask again.
		wd.done(ctx, func(verification.Binding) bool { return true })
	}
	body["id_server_unbind_result"] = wire.Encoded(result)
	answer.Body.Reset()
	_, _ = answer.Body.Write(body.Encode()) // never fails
	answer.Header().Set("Content-Type", "application/json")
	answer.Header().Del("Content-Encoding") // of what it was before
	return result
}

// done forgets the bindings that have ended.
func (wd *Withdrawal) done(ctx context.Context, ended func(verification.Binding) bool) {
	var gone, left []verification.Binding
	for _, b := range wd.targets {
		if ended(b) {
			gone = append(gone, b)
		} else {
			left = append(left, b)
		}
	}
	ctx, cancel := wire.Detached(ctx, wire.SettleTime)
	defer cancel()
	// A record that stays is only a binding that will be ended once more.
	_ = wd.face.Service.Unbind(ctx, wd.user, gone...)
	wd.targets = left
}

// unbindAll ends the bindings that are left, and reports "success" if that was
// all of them, and else why not.
func (wd *Withdrawal) unbindAll(ctx context.Context) (string, error) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	failed := map[verification.Binding]error{}
	slots := make(chan struct{}, parallelUnbinds)
	for _, b := range wd.targets {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			if err := wd.face.unbindAt(ctx, b); err != nil {
				mu.Lock()
				defer mu.Unlock()
				failed[b] = err
			}
		})
	}
	wg.Wait()
	var first error
	for _, b := range wd.targets {
		if first == nil {
			first = failed[b]
		}
	}
	wd.done(ctx, func(b verification.Binding) bool { return failed[b] == nil })
	if first != nil {
		return unbindNoSupport, first
	}
	return Success, nil
}

// Leaving finds all bindings of a user. The homeserver only unbinds addresses
// that the account has, so of those alone may it be believed.
func (f *Handler) Leaving(call *wire.Call, who *hsapi.Account, body wire.Object) (*Withdrawal, error) {
	named, err := namedServer(body)
	if err != nil {
		return nil, err
	}
	wd, err := f.withdrawal(call.R, who.User, func(verification.Binding) bool { return true })
	if err != nil {
		return nil, err
	}
	wd.deactivation = true
	// The first round only asks which stages there are.
	if wd.unhurried = body.Null("auth"); wd.unhurried {
		return wd, nil
	}
	if err := wd.forbidden(call.R.Context(), named); err != nil {
		return nil, err
	}
	wd.alsoAt(call.R.Context(), named)
	var list []hsapi.Threepid // without it the homeserver's word counts for none
	if len(wd.targets) > 0 {
		list, _ = f.Homeserver.Threepids(call, who)
	}
	wd.signed = func(b verification.Binding) bool {
		return slices.Contains(list, hsapi.Threepid{Medium: b.Medium, Address: b.Address})
	}
	return wd, nil
}
