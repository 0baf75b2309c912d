// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"sync"
	"time"

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

// withdrawal is a request by which a user takes addresses away, and the
// bindings that have to end with it.
//
// A legacy homeserver unbinds by itself, with its own signature, if it is told
// where: that proof never expires, so it comes first. But it also refuses to
// delete an address, or an account, while the identity server fails. So it is
// told of none that is not alive, and when it fails all the same, it is given
// our own name, where nothing is bound and every answer is a good one.
type withdrawal struct {
	client  *Client
	user    string
	targets []verification.Binding
	// signed selects the bindings that the homeserver ends if it says so.
	signed func(verification.Binding) bool
	signer string // whom the homeserver is told to call; "" leaves it to its own records
	// unhurried leaves identity servers alone until the homeserver agrees.
	unhurried bool
	barred    bool // the homeserver was kept from its identity server
}

// withdrawal finds what has to be unbound: recorded bindings, and one at a
// server that the client has named, of which we may know nothing.
func (c *Client) withdrawal(r *http.Request, user string, named *outbound.Name, of func(verification.Binding) bool) (*withdrawal, error) {
	wd := &withdrawal{client: c, user: user, signed: of}
	recorded, err := c.svc.Bindings(r.Context(), user)
	if err != nil {
		return nil, err
	}
	known := named == nil
	for _, b := range recorded {
		if of(b) {
			wd.targets = append(wd.targets, b)
			known = known || b.IDServer == named.String()
		}
	}
	if known {
		return wd, nil
	}
	// A stranger's choice: it is looked at before anybody is sent there.
	if err := c.svc.CountUser(r.Context(), "unbind", user); err != nil {
		return nil, err
	}
	if err := c.ids.Probe(r.Context(), *named); errors.Is(err, outbound.ErrForbiddenAddress) {
		return nil, identityFailure(err)
	}
	wd.targets = append(wd.targets, verification.Binding{User: user, IDServer: named.String()})
	return wd, nil
}

// passOn has the homeserver do its part, unbinds what it has not, and tells
// the client both.
func (wd *withdrawal) passOn(w http.ResponseWriter, r *http.Request, next Next, path string, body object, asked unbindRequest) (int, error) {
	answer, err := wd.send(r, next, path, body)
	if err != nil {
		return 0, upstreamFailure(err)
	}
	if answer.status/100 != 2 {
		return 0, &refusal{answer}
	}
	result := wd.settle(r.Context(), answer, unbindNoSupport, false)
	wd.client.obs.Changed(r, Change{
		Action: asked.action, User: wd.client.svc.Pseudonym(wd.user), Medium: asked.medium,
		Address: wd.client.svc.Pseudonym(asked.address), Result: result,
	})
	answer.relay(w)
	return answer.status, nil
}

// send forwards the request, such that no identity server can hold it up.
func (wd *withdrawal) send(r *http.Request, next Next, path string, body object) (*capture, error) {
	if !wd.unhurried {
		wd.chooseSigner(r.Context())
	}
	answer, err := wd.exchange(r, next, path, body)
	if err != nil || wd.barred || !heldUp(answer) {
		return answer, err
	}
	wd.signer, wd.barred = wd.client.cfg.IdentityName, true
	return wd.exchange(r, next, path, body)
}

// chooseSigner takes the first server that is alive.
func (wd *withdrawal) chooseSigner(ctx context.Context) {
	asked := map[string]bool{}
	for _, b := range wd.targets {
		if asked[b.IDServer] {
			continue
		}
		asked[b.IDServer] = true
		name, err := outbound.ParseName(b.IDServer)
		if err == nil && wd.client.ids.Probe(ctx, name) == nil {
			wd.signer = b.IDServer
			return
		}
		if len(asked) == maxProbes {
			break
		}
	}
	if len(wd.targets) > 0 {
		wd.signer, wd.barred = wd.client.cfg.IdentityName, true
	}
}

func (wd *withdrawal) exchange(r *http.Request, next Next, path string, body object) (*capture, error) {
	delete(body, "id_server")
	if wd.signer != "" {
		body["id_server"] = member(wd.signer)
	}
	raw, err := body.encode()
	if err != nil {
		return nil, err
	}
	return exchange(r, next, path, raw)
}

// heldUp reports whether the homeserver may have failed because an identity
// server did: Synapse answers 500 to a deletion, and to a deactivation 400
// with no code of its own.
func heldUp(answer *capture) bool {
	if answer.status >= http.StatusInternalServerError {
		return true
	}
	var body struct {
		Errcode string `json:"errcode"`
	}
	return answer.status == http.StatusBadRequest &&
		json.Unmarshal(answer.body.Bytes(), &body) == nil && body.Errcode == codeUnknown
}

// settle ends the bindings that the homeserver has not ended, and writes the
// result into its answer. whenNone is the result if nothing was bound and the
// homeserver does not say.
func (wd *withdrawal) settle(ctx context.Context, answer *capture, whenNone string, forget bool) string {
	body, err := parseObject(answer.body.Bytes())
	if err != nil {
		body = object{}
	}
	bound := len(wd.targets) > 0
	said, _, _ := body.text("id_server_unbind_result") // Dendrite does not say
	ctx, cancel := detached(ctx, withdrawTime)
	defer cancel()
	if said == unbindSuccess && wd.signer != "" && !wd.barred {
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
	body["id_server_unbind_result"] = member(result)
	if raw, err := body.encode(); err == nil {
		answer.body.Reset()
		_, _ = answer.body.Write(raw) // never fails
		answer.header.Set("Content-Type", "application/json")
		answer.header.Del("Content-Encoding") // of what it was before
	}
	return result
}

// done forgets the bindings that have ended.
func (wd *withdrawal) done(ctx context.Context, ended func(verification.Binding) bool) {
	var gone, left []verification.Binding
	for _, b := range wd.targets {
		if ended(b) {
			gone = append(gone, b)
		} else {
			left = append(left, b)
		}
	}
	ctx, cancel := detached(ctx, settleTime)
	defer cancel()
	// A record that stays is only a binding that will be ended once more.
	_ = wd.client.svc.Unbind(ctx, wd.user, gone...)
	wd.targets = left
}

// unbindAll ends the bindings that are left, and reports "success" if that was
// all of them, and else why not.
func (wd *withdrawal) unbindAll(ctx context.Context) (string, error) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	failed := map[verification.Binding]error{}
	slots := make(chan struct{}, parallelUnbinds)
	for _, b := range wd.targets {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			if err := wd.client.unbindAt(ctx, b); err != nil {
				mu.Lock()
				defer mu.Unlock()
				failed[b] = err
			}
		})
	}
	wg.Wait()
	var first error
	for _, b := range wd.targets {
		if err := failed[b]; err != nil && first == nil {
			first = err
		}
	}
	wd.done(ctx, func(b verification.Binding) bool { return failed[b] == nil })
	if first != nil {
		return unbindNoSupport, first
	}
	return unbindSuccess, nil
}
