// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/route"
	"github.com/caddy-threepid/caddy-threepid/handlers/internal/wire"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// A homeserver may believe the session of a User-Interactive Authentication at
// any endpoint, for any purpose, as often as somebody likes: Synapse up to 1.3.1
// does. What was proven in a session would then be worth whatever the one who
// knows its name wants. So no client learns a name that the homeserver uses.
// Each 401 has a sealed one in its place, which is bound to its endpoint and its
// time, and only such a name is opened again on the way in. Nothing is stored.
//
// Names change here and in fallback.go, and nowhere else: all that is called from
// here sees those of the homeserver.

// maxLook bounds a body that is looked at for the name of a conversation, in bytes.
const maxLook = 1 << 20

// converse serves a request that may be one round of a conversation.
func (c *Client) converse(call *wire.Call, t uiaEndpoint) error {
	saved := *call.R
	defer func() { *call.R = saved }()
	x := &uiaRequest{client: c, endpoint: t}
	wire.KeepHeaders(call.R)
	wire.LimitEncodings(call.R)
	if err := x.look(call); err != nil {
		return c.observed(call, "uia", func() (int, error) { return 0, err })
	}
	held := &wire.AnswerHolder{ResponseWriter: call.W, Wanted: x.hasNames, Sealing: true}
	err := c.serve(call.With(func(call *wire.Call) { call.W, call.Raw, call.Authenticates = held, x.raw, x.authenticates }))
	held.Pass(x.seal)
	return err
}

// uiaEndpoint is the conversation that a request may be a part of.
type uiaEndpoint struct {
	method, path string
	// user says that somebody is logged in: they prove their password, who is not an
	// address. One path, two endpoints.
	user bool
	// free says that the members of the body are the client's own: an event, the
	// data of an account. Nobody authenticates there.
	free bool
	// old says that it is the API of before UIA, which has the session outside of
	// "auth", and in its good answers, too.
	old bool
}

// registrationEndpoint is the one of a registration.
const registrationEndpoint = http.MethodPost + " register"

// freeContent is how endpoints begin whose bodies have members of any name.
var freeContent = []string{"rooms/", "user/", "sendToDevice/", "room_keys/"}

// endpointOf returns the conversation that a request may be a part of. Requests of
// other methods have none, and keep the ResponseWriter that they came with.
func (c *Client) endpointOf(call *wire.Call) (t uiaEndpoint, ok bool) {
	switch t.method = call.R.Method; t.method {
	case http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodPatch:
	default:
		return t, false
	}
	switch {
	case call.Route.Prefix != "":
		t.path = call.Route.Tail
		begins := func(prefix string) bool { return strings.HasPrefix(call.Route.Tail, prefix) }
		t.free = slices.ContainsFunc(freeContent, begins) && route.Plain(call.R.URL)
		t.old = call.Route.Ancient()
	case c.router.MayBeBelow(call.R.URL):
		t.path = call.R.URL.Path
	default:
		return t, false
	}
	t.user = call.Route.Tail == route.TailPassword && wire.HasToken(call.R)
	return t, true
}

// name is what a sealed name is bound to.
func (t *uiaEndpoint) name() string {
	if t.user {
		return t.method + " " + t.path + " by a user"
	}
	return t.method + " " + t.path
}

// uiaRequest is one request of a conversation, and its answer.
type uiaRequest struct {
	client   *Client
	endpoint uiaEndpoint
	// raw is the body as it goes on, if it was read to its end; authenticates says
	// that it has an "auth".
	raw           []byte
	authenticates bool
	// given is the name that the client gave, and opened what it stands for.
	given  threepid.SealedUIASession
	opened verification.Conversation
}

// look opens the name in a body in the time that there is for it, so that half a
// body does not wait for ever.
func (x *uiaRequest) look(call *wire.Call) error {
	if !wire.HasBody(call.R) {
		return nil
	}
	free := func() {} // what is ours has its bound until it is passed on
	if call.Route.Kind == route.KindNone {
		free = wire.Bound(call.W, call.R)
	}
	err := x.openBody(call)
	if err == nil {
		free()
	}
	return err
}

// openBody replaces the name in a body by the homeserver's. One that was not
// given out for this endpoint is taken out, whatever it is: the homeserver then
// begins a conversation of its own.
func (x *uiaRequest) openBody(call *wire.Call) error {
	start, err := wire.ReadStart(call.W, call.R, x.client.cfg.MaxBody+1)
	if err != nil {
		return err
	}
	wire.Resume(call.R, start)
	if x.endpoint.free || !wire.ResemblesObject(start) && len(wire.WithoutBlanks(start)) > 0 {
		return nil
	}
	limit := x.client.cfg.MaxBody
	if call.Route.Kind == route.KindNone && int64(len(start)) > limit {
		limit = max(limit, maxLook)
		if start, err = wire.ReadStart(call.W, call.R, limit+1); err != nil {
			return err
		}
		wire.Resume(call.R, start)
	}
	switch {
	case int64(len(start)) > limit: // what cannot be looked at is not passed on
		return wire.Unreadable(call.W, call.R, &http.MaxBytesError{Limit: limit})
	case !wire.ResemblesObject(start):
		return nil
	}
	return x.openText(call.R, start)
}

func (x *uiaRequest) openText(r *http.Request, raw []byte) error {
	x.raw = raw
	if !x.endpoint.old && !wire.MaySay(raw, "auth") {
		return nil
	}
	body, err := wire.ParseEnvelope(raw)
	if err != nil {
		return err
	}
	if !x.openIn(body) {
		return nil
	}
	x.raw = body.Encode()
	r.Header = r.Header.Clone()
	wire.SetBody(r, x.raw)
	return nil
}

// openIn opens the name where a body can have it, and reports whether the body
// has changed.
func (x *uiaRequest) openIn(body wire.Object) bool {
	changed := x.endpoint.old && x.openMember(body)
	var auth wire.Object
	if body.Null("auth") || json.Unmarshal(body["auth"], &auth) != nil {
		return changed // what is no object names no session
	}
	x.authenticates = true
	if !x.openMember(auth) {
		return changed
	}
	if body["auth"] = wire.Encoded(auth); len(auth) == 0 {
		delete(body, "auth") // there are homeservers that refuse an empty one
	}
	return true
}

func (x *uiaRequest) openMember(holder wire.Object) bool {
	if _, there := holder["session"]; !there {
		return false
	}
	text, _, _ := holder.Text("session") // what is no text opens nothing
	name := threepid.SealedUIASession(text)
	if opened, ok := x.client.svc.OpenConversation(name, x.endpoint.name()); ok {
		x.given, x.opened = name, opened
		holder["session"] = wire.Encoded(opened.Session)
		return true
	}
	delete(holder, "session")
	return true
}

// hasNames reports whether an answer may have the name of a conversation in it. A
// refusal may quote the one that was opened: Synapse does, if it has ended.
func (x *uiaRequest) hasNames(status int, _ http.Header) bool {
	return status == http.StatusUnauthorized || (x.endpoint.old && status/100 == 2) || (x.opened.Session != "" && status >= 400)
}

// errHalf is an object that nobody can read to its end, with a name in it perhaps.
var errHalf = errors.New("the homeserver's answer is half an object")

// seal replaces the names in an answer.
func (x *uiaRequest) seal(raw []byte) ([]byte, error) {
	if !wire.MaySay(raw, "session") {
		return raw, nil
	}
	raw = replaceName(raw, x.opened.Session, x.given)
	var body wire.Object
	if err := json.Unmarshal(raw, &body); err != nil {
		if wire.ResemblesObject(raw) {
			return nil, errHalf
		}
		return raw, nil // a page, say
	}
	for key, value := range body {
		if wire.Lenient(key) != "session" {
			continue
		}
		var name threepid.UIASession
		if json.Unmarshal(value, &name) != nil || name == "" {
			delete(body, key)
			continue
		}
		body[key] = wire.Encoded(x.sealed(name))
	}
	return body.Encode(), nil
}

// sealed is the name for the client: the one that it has, if that stands for the
// same conversation.
func (x *uiaRequest) sealed(name threepid.UIASession) threepid.SealedUIASession {
	if name == x.opened.Session || string(name) == string(x.given) {
		return x.given
	}
	return x.client.svc.SealConversation(verification.Conversation{Session: name, Endpoint: x.endpoint.name()})
}

// PassWithoutNames passes a request on while there is nothing to seal names with. A
// 401 that has one becomes the answer of a server that is not ready: nobody is to
// learn a name of the homeserver's, not even then.
func PassWithoutNames(w http.ResponseWriter, r *http.Request, next wire.Next) error {
	switch r.Method {
	case http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodPatch:
	default:
		return next(w, r)
	}
	header := r.Header
	defer func() { r.Header = header }()
	wire.LimitEncodings(r)
	held := &wire.AnswerHolder{ResponseWriter: w, Wanted: wire.IsChallenge}
	err := next(held, r)
	if !held.Holds() {
		return err
	}
	if text, unread := held.Text(); unread == nil && !namesConversation(text) {
		held.Pass(nil)
		return err
	}
	w.Header().Del("Content-Encoding")
	wire.NotReady(w)
	return err
}

// namesConversation reports whether an answer has the name of a conversation.
func namesConversation(raw []byte) bool {
	if !wire.MaySay(raw, "session") {
		return false
	}
	var body wire.Object
	if json.Unmarshal(raw, &body) != nil {
		return wire.ResemblesObject(raw)
	}
	for key := range body {
		if wire.Lenient(key) == "session" {
			return true
		}
	}
	return false
}
