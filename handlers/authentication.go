// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/hsapi"
	"github.com/caddy-threepid/caddy-threepid/handlers/internal/report"
	"github.com/caddy-threepid/caddy-threepid/handlers/internal/wire"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// challenge is the 401 of a User-Interactive Authentication that we run
// ourselves (CS API, "User-interactive API in the REST API").
type challenge struct {
	Errcode   string       `json:"errcode,omitempty"`
	Message   string       `json:"error,omitempty"`
	Completed []string     `json:"completed"`
	Flows     []hsapi.Flow `json:"flows"`
	Params    struct{}     `json:"params"`
	Session   string       `json:"session"`
	say       string       // see MatrixError.Say
}

func (ch *challenge) Error() string { return "authentication is required" }

// Unwrap says how the challenge counts.
func (ch *challenge) Unwrap() error {
	return &wire.MatrixError{Status: http.StatusUnauthorized, Errcode: wire.CodeUnauthorized, Message: ch.Error()}
}

// authentication is one round of it.
type authentication struct {
	client    *Client
	who       *hsapi.Account
	operation string
	auth      wire.Object // nil: not tried yet
	// shown is the session that was shown, if it was one.
	shown *verification.Alias
}

// refuse makes the 401 for this round; the reason is empty on the first.
func (a *authentication) refuse(errcode, message string) *challenge {
	ch := &challenge{
		Errcode: errcode, Message: message, Completed: []string{},
		Flows:   []hsapi.Flow{{Stages: []string{wire.StagePassword}}},
		Session: a.client.svc.UIASession(a.who.User, a.operation),
	}
	if !a.client.cfg.NativeReset {
		ch.Flows = append(ch.Flows, hsapi.Flow{Stages: []string{wire.StageEmail}})
	}
	return ch
}

// check lets the user prove once more who they are. A device that was left
// unlocked must not be enough to add an address by which the account can be
// taken over (MSC2290).
func (a *authentication) check(call *wire.Call) error {
	if a.auth == nil {
		return a.refuse("", "")
	}
	session, given, err := a.auth.Text("session")
	if err != nil {
		return err
	}
	if given && session != "" && !a.client.svc.UIASessionValid(session, a.who.User, a.operation) {
		return a.refuse(wire.CodeUnauthorized, "The session has ended, or belongs to another request")
	}
	stage, _, err := a.auth.Text("type")
	switch {
	case err != nil:
		return err
	case stage == wire.StagePassword:
		return a.password(call)
	case stage == wire.StageEmail && !a.client.cfg.NativeReset:
		return a.email(call)
	}
	return a.refuse(wire.CodeUnauthorized, "None of the flows has this stage")
}

// password has the homeserver check the password, by a log-in of the user who
// the access token belongs to, whomever the client names.
func (a *authentication) password(call *wire.Call) error {
	password, given, err := a.auth.Text("password")
	if err != nil {
		return err
	}
	if !given {
		return wire.BadRequest(wire.CodeMissingParam, "Missing params: ['password']")
	}
	if !a.namesUser() {
		return a.refuse(wire.CodeForbidden, "This is another user")
	}
	if err := a.client.svc.CountUser(call.R.Context(), "add", a.who.User); err != nil {
		return err
	}
	body := wire.Encoded(map[string]any{
		"type": wire.StagePassword, "user": a.who.User, "password": password,
		"identifier":                  map[string]string{"type": "m.id.user", "user": a.who.User},
		"initial_device_display_name": "Confirmation of a password",
	})
	answer, err := a.client.hs.Post(call, "login", "", body)
	if err != nil {
		return wire.UpstreamFailure(err)
	}
	switch {
	case answer.Status/100 == 2:
		return a.logOut(call, answer)
	case answer.Status == http.StatusTooManyRequests, answer.Status >= http.StatusInternalServerError:
		return &wire.RefusalError{Answer: answer}
	}
	return a.wrongPassword()
}

// wrongPassword is the one refusal that people read.
func (a *authentication) wrongPassword() error {
	ch := a.refuse(wire.CodeForbidden, "Invalid password")
	ch.say = wire.SayPassword
	return ch
}

// namesUser compares the user that the client names, if it names one by their
// user ID, with the one whose token it has.
func (a *authentication) namesUser() bool {
	identifier := wire.Object{}
	if !a.auth.Null("identifier") && json.Unmarshal(a.auth["identifier"], &identifier) != nil {
		return false
	}
	for _, holder := range []wire.Object{a.auth, identifier} {
		name, given, err := holder.Text("user")
		if err != nil {
			return false
		}
		localpart, _, _ := strings.Cut(strings.TrimPrefix(a.who.User, "@"), ":")
		if given && name != a.who.User && !strings.EqualFold(name, localpart) {
			return false
		}
	}
	return true
}

// logOut removes the device that the log-in has made.
func (a *authentication) logOut(call *wire.Call, answer *wire.Answer) error {
	var made struct {
		UserID      string `json:"user_id"`
		AccessToken string `json:"access_token"`
	}
	if err := json.Unmarshal(answer.Body.Bytes(), &made); err != nil || made.AccessToken == "" {
		return wire.UpstreamFailure(errors.New("the homeserver's log-in has no access token"))
	}
	out, err := a.client.hs.Post(call, "logout", made.AccessToken, []byte("{}"))
	if err == nil && out.Status/100 != 2 {
		err = &wire.RefusalError{Answer: out}
	}
	if err != nil {
		// Nobody has that token; the device is an empty entry in a list.
		a.client.obs.Request(call.R, report.Event{
			Face: "client", Endpoint: "log_out", Outcome: "unknown", Status: http.StatusBadGateway, Err: err,
		})
	}
	if made.UserID != a.who.User {
		return a.refuse(wire.CodeForbidden, "This is another user")
	}
	return nil
}

// email accepts a session of ours for an address that the account has. Such a
// session has the purpose of a password reset: no other can be requested for
// an address in use.
func (a *authentication) email(call *wire.Call) error {
	creds, err := wire.StageCreds(a.auth)
	if err != nil {
		return err
	}
	if creds == nil || creds.SID == "" {
		return wire.BadRequest(wire.CodeMissingParam, "Missing params: ['threepid_creds']")
	}
	ctx := call.R.Context()
	waiting := a.refuse(wire.CodeUnauthorized, "The address is not confirmed")
	alias, err := a.client.svc.Claim(ctx, verification.Completion{
		SID: creds.SID, ClientSecret: creds.Secret, Purpose: verification.Password,
		Client: a.client.cfg.clientAddr(call.R),
	})
	if errors.Is(err, verification.ErrNoSession) {
		return waiting
	}
	if err != nil {
		return err
	}
	a.shown = alias
	if !alias.Live || alias.Medium != verification.Email {
		return waiting
	}
	own, err := a.client.hs.Owns(call, a.who, hsapi.Threepid{Medium: alias.Medium, Address: alias.Address})
	if err != nil {
		return err
	}
	if !own {
		return a.refuse(wire.CodeForbidden, "The address is not one of this account")
	}
	if err := a.client.svc.CountUser(ctx, "add", a.who.User); err != nil {
		return err
	}
	if _, err := a.client.svc.Validated(context.WithoutCancel(ctx), alias.SID, alias.ClientSecret); err != nil {
		return waiting
	}
	return nil
}

// settle uses the session up that was shown, if the homeserver may have done what it was
// shown for, once.
func (a *authentication) settle(ctx context.Context, outcome verification.Outcome) {
	if a.shown == nil {
		return
	}
	ctx, cancel := wire.Detached(ctx, wire.SettleTime)
	defer cancel()
	_ = a.client.svc.Finish(ctx, a.shown, outcome) // ends by itself, as in completion.settle
	a.shown = nil
}
