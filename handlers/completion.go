// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"bytes"
	"context"
	"io"
	"net/http"

	"github.com/caddy-threepid/caddy-threepid/handlers/bindings"
	"github.com/caddy-threepid/caddy-threepid/handlers/internal/hsapi"
	"github.com/caddy-threepid/caddy-threepid/handlers/internal/report"
	"github.com/caddy-threepid/caddy-threepid/handlers/internal/route"
	"github.com/caddy-threepid/caddy-threepid/handlers/internal/wire"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// complete serves the calls that use a validated session: /register,
// /account/password, /account/3pid and /account/3pid/add.
func (c *Client) complete(call *wire.Call) (int, error) {
	path := c.hs.Path(call.Route)
	call = c.watched(call)
	if call.R.Method != http.MethodPost {
		return c.noting(call).PassTo(path)
	}
	raw, err := call.Body()
	if err != nil {
		return 0, err
	}
	if len(raw) == 0 {
		return call.PassEmptyTo(path)
	}
	body, err := wire.ParseObject(raw)
	if err != nil {
		return 0, err
	}
	j := &completion{client: c, call: call, body: body}
	if err := j.read(); err != nil {
		return 0, err
	}
	return j.run(path)
}

// other handles everything that is not in the route table. Any endpoint may
// ask for User-Interactive Authentication, so a body that takes part in one is
// looked at; everything else is passed on as it came.
func (c *Client) other(call *wire.Call) error {
	if stage, ok := fallbackOf(call); ok {
		return c.fallback(call, stage)
	}
	if l := c.loginOf(call); l != nil {
		return c.observed(call.At(route.Route{}), "login", func() (int, error) { return l.run(call) })
	}
	if !call.Authenticates {
		return call.Next(call.W, call.R)
	}
	// An address of an account can only have a session of this purpose: the
	// other two are refused for an address in use.
	call.Route.Kind, call.Route.Purpose = route.KindComplete, verification.Password
	return c.observed(call, "uia", func() (int, error) { return c.completeElsewhere(call) })
}

func (c *Client) completeElsewhere(call *wire.Call) (int, error) {
	if wire.AmbiguousQuery(call.R.URL) {
		return 0, wire.BadRequest(wire.CodeInvalidParam, "The query cannot be read in one way only")
	}
	body, _ := wire.ParseEnvelope(call.Raw) // it was read before, see openText
	j := &completion{client: c, call: call, body: body}
	if err := j.readAuth(); err != nil {
		return 0, err
	}
	path := call.R.URL.Path
	if len(j.credentials) == 0 && !j.namesAddress() {
		return 0, j.passOn(path)
	}
	if call.Route.Version == "v3" {
		path = c.hs.Path(call.Route)
	}
	return j.run(path)
}

// completion is a request that may use sessions of ours. It goes through phases, each of
// which needs what those before have found out:
//
//	read     which credentials are shown, and where (credential.go)
//	claim    their sessions, for this request alone; the homeserver is to see aliases
//	precheck what must not be proven by them, and in whose spelling (precheck.go)
//	forward  the body, made anew
//	judge    whether the homeserver has accepted what it was shown (verdict.go)
//	settle   what becomes of each session: once, and also when the handlers behind us panic
//	answer   the client, and tell the others
type completion struct {
	client      *Client
	call        *wire.Call
	body, auth  wire.Object
	credentials []*credential
	// changed says that the homeserver gets something else than the client has sent.
	changed bool
	// who makes the request, where that has been found out.
	who *hsapi.Account
	// confirmation, if not nil, is an authentication of the user that is ours to run.
	confirmation *authentication
	// withdrawal, if not nil, is how the request is sent.
	withdrawal *bindings.Withdrawal
}

// run takes a request through what comes after reading it.
func (j *completion) run(path string) (int, error) {
	v, err := j.settled(path)
	if err != nil || v.answer == nil { // or it was passed on
		return 0, err
	}
	return j.answer(v)
}

// settled forwards the request and settles what was shown in it. An empty verdict is that
// of a request which was broken off by a panic.
func (j *completion) settled(path string) (v verdict, err error) {
	ctx := j.call.R.Context()
	defer func() { v.unasked = j.settle(ctx, v) }()
	return j.forward(path)
}

// forward has the homeserver act. If there was nothing of ours in the request, it is
// passed on, and what there is to be judged the client learns by itself.
func (j *completion) forward(path string) (verdict, error) {
	if err := j.prepare(); err != nil {
		return verdict{end: endUnsent}, err
	}
	if !j.changed && j.withdrawal == nil {
		return verdict{end: endUnsent}, j.passOn(path)
	}
	answer, err := j.send(path)
	if err != nil {
		return verdict{end: endUnanswered}, wire.UpstreamFailure(err)
	}
	return j.judge(answer), nil
}

// prepare claims the sessions, and makes the body that the homeserver gets.
func (j *completion) prepare() error {
	if j.confirmation != nil {
		if err := j.confirmation.check(j.call); err != nil {
			return err
		}
	}
	for _, c := range j.credentials {
		if err := j.claim(j.call.R.Context(), c); err != nil {
			return err
		}
	}
	if err := j.precheck(); err != nil {
		return err
	}
	return wire.Rebuild(j.call.Route, j.body, j.auth, j.changed)
}

// passOn sends a request on in which no credentials were replaced; if the path is none of
// ours, with the bytes it came with.
func (j *completion) passOn(path string) error {
	r := j.call.R
	wire.SetPath(r, path)
	if j.call.Route.Owned() {
		r.Header.Del("Content-Encoding") // of what it was before
		wire.SetBody(r, j.body.Encode())
	} else {
		r.Body = io.NopCloser(bytes.NewReader(j.call.Raw))
	}
	return j.call.Next(j.call.W, r)
}

func (j *completion) send(path string) (*wire.Answer, error) {
	if j.withdrawal != nil {
		return j.withdrawal.Send(j.call, path, j.body)
	}
	return j.call.Exchange(path, j.body.Encode())
}

// settle tells all sessions what has become of them, and whether the homeserver has left
// one of them unasked.
func (j *completion) settle(ctx context.Context, v verdict) (unasked bool) {
	within, cancel := wire.Detached(ctx, wire.SettleTime)
	defer cancel()
	for _, c := range j.credentials {
		if c.alias == nil {
			continue
		}
		// An alias whose end cannot be written down ends by itself, and
		// counts as used if the homeserver has asked for it.
		_ = j.client.svc.Finish(within, c.alias, v.of(c, j.call.Route.Tail))
		unasked = unasked || c.alias.Unasked
	}
	if j.confirmation != nil {
		v.unasked = unasked
		j.confirmation.settle(ctx, v.ofConfirmation())
	}
	return unasked
}

// answer gives the client the homeserver's answer, and tells those who have to know.
func (j *completion) answer(v verdict) (int, error) {
	if found := v.misconfiguration(); found != "" {
		return j.client.misconfigured(j.call, found), nil
	}
	changes := j.changes(v)
	if j.withdrawal != nil && v.succeeded() {
		result := j.withdrawal.Settle(j.call.R.Context(), v.answer, bindings.Success, true)
		changes = append(changes, report.Change{Action: "deactivated", User: j.client.svc.Pseudonym(j.who.User), Result: result})
	}
	for _, change := range changes {
		j.client.obs.Changed(j.call.R, change)
	}
	j.client.notices.tell(j.call.R, j.who, j.readers(v))
	return j.call.Respond(v.answer)
}
