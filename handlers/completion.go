// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/hsapi"
	"github.com/caddy-threepid/caddy-threepid/handlers/internal/route"
	"github.com/caddy-threepid/caddy-threepid/handlers/internal/wire"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// complete serves the calls that use a validated session: /register,
// /account/password, /account/3pid and /account/3pid/add.
func (c *Client) complete(call *wire.Call) (int, error) {
	path := c.upstreamPath(call.Route)
	call = c.watched(call)
	if call.R.Method != http.MethodPost {
		return call.PassTo(path)
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
	j := &completion{client: c, route: call.Route, body: body}
	if err := j.collect(); err != nil {
		return 0, err
	}
	return j.run(call, path, raw)
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
	j := &completion{client: c, route: call.Route, body: body}
	if err := j.collectUIA(); err != nil {
		return 0, err
	}
	if len(j.creds) == 0 && !j.namesAddress(call.R) {
		call.R.Body = io.NopCloser(bytes.NewReader(call.Raw))
		return call.PassOn()
	}
	path := call.R.URL.Path
	if call.Route.Version == "v3" {
		path = c.upstreamPath(call.Route)
	}
	return j.run(call, path, call.Raw)
}

// completion is one request that may use sessions of ours.
type completion struct {
	client  *Client
	route   route.Route
	body    wire.Object
	auth    wire.Object
	creds   []*wire.Credentials
	aliases []*verification.Alias
	stages  []string // the UIA stage of each alias, or ""
	changed bool
	// who makes the request, where that has been found out.
	who    *hsapi.Account
	sent   bool // the homeserver may have acted
	status int  // of its answer; 0 if there is none
	// unasked: it was shown a proof, and has not asked about it.
	unasked bool
	// withdrawal, if not nil, is how the request is sent.
	withdrawal *withdrawal
	// answered, if not nil, is told the homeserver's status before the client is.
	answered func(status int)
}

// collect finds the credentials of a path in the route table.
func (j *completion) collect() error {
	if err := j.collectUIA(); err != nil {
		return err
	}
	var creds *wire.Credentials
	var err error
	switch {
	case j.route.Tail == route.TailThreepid:
		creds, err = wire.CredsIn(j.body, wire.AddSpellings)
	case j.route.Kind == route.KindAdd:
		creds, err = wire.FlatCreds(j.body)
		if err == nil {
			creds.Place = j.placeFlat
		}
	case j.route.Ancient():
		// The ancient API: the whole body is the auth dict.
		creds, err = wire.StageCreds(j.body)
	}
	if err != nil {
		return err
	}
	if creds != nil && creds.SID != "" {
		creds.Purpose = j.route.Purpose
		j.creds = append(j.creds, creds)
	}
	return nil
}

func (j *completion) placeFlat(creds wire.Object) {
	delete(j.body, "clientSecret")
	j.body["sid"], j.body["client_secret"] = creds["sid"], creds["client_secret"]
}

func (j *completion) collectUIA() error {
	_ = json.Unmarshal(j.body["auth"], &j.auth) // what is not an object is the homeserver's to refuse
	if err := j.judgeServers(); err != nil {
		return err
	}
	wire.NameUser(j.auth)
	creds, err := wire.StageCreds(j.auth)
	if err != nil || creds == nil || creds.SID == "" {
		return err
	}
	creds.Purpose = j.route.ProofPurpose()
	j.creds = append(j.creds, creds)
	return nil
}

// run resolves the credentials and forwards the request; if there was nothing
// of ours in it, and the path is none of ours, with the bytes it came with.
func (j *completion) run(call *wire.Call, path string, raw []byte) (int, error) {
	outcome := verification.Unknown
	ctx := call.R.Context()
	defer func() { j.finish(ctx, outcome) }() // also when next panics
	for _, creds := range j.creds {
		if err := j.resolve(call.R.Context(), creds); err != nil {
			return 0, err
		}
	}
	if err := j.guard(call); err != nil {
		return 0, err
	}
	if err := wire.Rebuild(j.route, j.body, j.auth, j.changed); err != nil {
		return 0, err
	}
	if !j.changed && j.withdrawal == nil {
		wire.SetPath(call.R, path)
		return 0, j.passOn(call, raw)
	}
	j.sent = true
	answer, err := j.send(call, path)
	if err != nil {
		return 0, wire.UpstreamFailure(err)
	}
	outcome, j.status = j.judge(answer), answer.Status
	changes, readers := j.changes(answer, outcome), j.readers(answer)
	j.finish(call.R.Context(), outcome) // before the client learns of it
	if j.answered != nil {
		j.answered(j.status)
	}
	if found := j.misconfiguration(answer); found != "" {
		return j.client.misconfigured(call, found), nil
	}
	if j.withdrawal != nil && answer.Status/100 == 2 {
		result := j.withdrawal.settle(ctx, answer, unbindSuccess, true)
		changes = append(changes, Change{Action: "deactivated", User: j.client.svc.Pseudonym(j.who.User), Result: result})
	}
	for _, change := range changes {
		j.client.obs.Changed(call.R, change)
	}
	j.client.tell(call.R, j.who, readers)
	return call.Relay(answer)
}

// passOn sends a request on in which no credentials were replaced.
func (j *completion) passOn(call *wire.Call, raw []byte) error {
	if !j.route.Owned() {
		call.R.Body = io.NopCloser(bytes.NewReader(raw))
		return call.Next(call.W, call.R)
	}
	call.R.Header.Del("Content-Encoding") // of what it was before
	wire.SetBody(call.R, j.body.Encode())
	return call.Next(call.W, call.R)
}

func (j *completion) send(call *wire.Call, path string) (*wire.Answer, error) {
	if j.withdrawal != nil {
		return j.withdrawal.send(call, path, j.body)
	}
	return call.Exchange(path, j.body.Encode())
}

// resolve replaces one set of credentials, or decides to leave it alone.
func (j *completion) resolve(ctx context.Context, creds *wire.Credentials) error {
	svc := j.client.svc
	alias, err := svc.Claim(ctx, verification.Completion{
		SID: creds.SID, ClientSecret: creds.Secret, Purpose: creds.Purpose, UIASession: creds.UIASession,
	})
	if err != nil && !errors.Is(err, verification.ErrNoSession) {
		return err
	}
	switch {
	case err == nil:
		j.substitute(creds, alias)
		return nil
	case creds.IDServer == j.client.cfg.IdentityName:
		// It names us, and we do not know it.
		j.substitute(creds, svc.DeadAlias())
		return nil
	case creds.IDServer != "":
		return nil // one that is allowed, see judgeServers
	}
	nonce, err := svc.Adopted(ctx, creds.SID, creds.Secret, creds.Purpose)
	if errors.Is(err, verification.ErrNoSession) {
		return nil
	}
	if err != nil {
		return err
	}
	creds.Place(wire.Object{"sid": wire.Encoded(creds.SID), "client_secret": wire.Encoded(nonce)})
	j.changed = true
	return nil
}

func (j *completion) substitute(creds *wire.Credentials, alias *verification.Alias) {
	j.changed = true
	if alias.Replayed && j.auth != nil {
		// The homeserver has this stage already; it cannot be done twice, but
		// the session alone continues (CS API, "Completed stages").
		j.auth = wire.Object{"session": j.auth["session"]}
		return
	}
	creds.Place(wire.Object{
		"sid": wire.Encoded(alias.SID), "client_secret": wire.Encoded(alias.ClientSecret),
		"id_server": wire.Encoded(j.client.cfg.IdentityName),
	})
	j.aliases = append(j.aliases, alias)
	j.stages = append(j.stages, creds.Stage)
}

// finish reports the outcome to all sessions, once.
func (j *completion) finish(ctx context.Context, outcome verification.Outcome) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTime)
	defer cancel()
	for i, alias := range j.aliases {
		each := outcome
		if outcome == verification.Refused && j.keeps(j.stages[i]) {
			each = verification.Kept
		}
		// An alias whose end cannot be written down ends by itself, and
		// counts as used if the homeserver has asked for it.
		_ = j.client.svc.Finish(ctx, alias, each)
		j.shown(alias)
	}
	j.aliases = nil
}

// keeps reports whether a homeserver that has refused a request keeps the proof of
// a stage all the same. Synapse keeps it as soon as it has asked, and looks at the
// rest of the body afterwards: what is wrong there (no password, a name that cannot
// be) is a 400, and the session goes on. Its 401 says which stages it keeps. For a
// reset no session is passed on by itself, see guardReset, so there it is worth
// nothing, and whoever has chosen a bad password may choose another one.
func (j *completion) keeps(stage string) bool {
	return j.sent && stage != "" && j.route.Tail != route.TailPassword && j.status != http.StatusUnauthorized
}

// judge decides whether the homeserver has accepted the proof.
func (j *completion) judge(answer *wire.Answer) verification.Outcome {
	switch {
	case answer.Status/100 == 2:
		return verification.Completed
	case answer.Status >= 500:
		return verification.Unknown // it may have acted before it failed
	case answer.Status == http.StatusUnauthorized && j.stageCompleted(answer):
		return verification.Completed
	}
	return verification.Refused
}

// stageCompleted reads the UIA 401: the homeserver keeps the proof of a stage
// that it lists as completed.
func (j *completion) stageCompleted(answer *wire.Answer) bool {
	var body struct {
		Completed []string `json:"completed"`
	}
	if json.Unmarshal(answer.Body.Bytes(), &body) != nil {
		return false
	}
	return slices.ContainsFunc(j.stages, func(stage string) bool {
		return stage != "" && slices.Contains(body.Completed, stage)
	})
}
