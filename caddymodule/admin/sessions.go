// SPDX-License-Identifier: Apache-2.0

package admin

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-threepid/caddy-threepid/caddymodule"
	"github.com/caddy-threepid/caddy-threepid/internal/input"
	"github.com/caddy-threepid/caddy-threepid/internal/instance"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// SessionRequest names sessions. What it is about stands in the body, because
// paths are logged.
type SessionRequest struct {
	SID       threepid.SID    `json:"sid,omitempty"`
	Pseudonym string          `json:"pseudonym,omitempty"`
	Medium    threepid.Medium `json:"medium,omitempty"`
	Address   string          `json:"address,omitempty"`
	All       bool            `json:"all,omitempty"`
}

// One reports whether sessions are named in exactly one way.
func (req SessionRequest) One() bool {
	n := 0
	for _, named := range []bool{req.SID != "", req.Pseudonym != "", req.Address != "", req.All} {
		if named {
			n++
		}
	}
	return n == 1
}

// SessionInfo is what an operator may know of a session.
type SessionInfo struct {
	SID       threepid.SID `json:"sid"`
	Purpose   string       `json:"purpose"`
	Medium    string       `json:"medium"`
	Pseudonym string       `json:"pseudonym"`
	State     string       `json:"state"`
	Delivery  string       `json:"delivery"`
	Created   *time.Time   `json:"created,omitempty"`
	Asked     *time.Time   `json:"asked,omitempty"`
	Until     time.Time    `json:"until"`
	Sends     int          `json:"sends"`
	Tries     int          `json:"tries"`
	Language  string       `json:"language,omitempty"`
	Brand     string       `json:"brand,omitempty"`
	// Decoy says that the homeserver has refused the request, that nobody has a
	// token, and that the owner of the address is told so once a day.
	Decoy bool `json:"decoy,omitempty"`
	// Held says that the message waits until a registration has come so far.
	Held bool `json:"held,omitempty"`
}

func infoOf(a verification.Admin) SessionInfo {
	return SessionInfo{
		SID: a.SID, Purpose: string(a.Purpose), Medium: string(a.Medium), Pseudonym: a.Pseudonym, State: a.State.String(),
		Delivery: string(a.Delivery), Created: known(a.Created), Until: a.Until, Sends: a.Sends, Tries: a.Tries,
		Language: a.Language, Brand: a.Brand, Decoy: a.Decoy,
		Held: a.Held, Asked: known(a.Asked),
	}
}

// Sessions is the answer to a search.
type Sessions struct {
	Sessions []SessionInfo `json:"sessions"`
	// More says that there are older ones.
	More bool `json:"more,omitempty"`
}

func findSessions(ctx context.Context, app *caddymodule.App, req SessionRequest) (any, error) {
	req.SID, req.Pseudonym = threepid.SID(input.Trim(string(req.SID))), input.Trim(req.Pseudonym)
	if !req.One() {
		return nil, refused(errors.New("name sessions by a sid, a pseudonym or an address, or all of them"))
	}
	inst, release, err := serving(app)
	if err != nil {
		return nil, err
	}
	defer release()
	list, err := sessionsOf(ctx, inst, req)
	if err != nil {
		return nil, verdict(err)
	}
	found := Sessions{Sessions: []SessionInfo{}, More: len(list) > instance.MaxListed}
	for _, a := range list[:min(len(list), instance.MaxListed)] {
		found.Sessions = append(found.Sessions, infoOf(a))
	}
	return found, nil
}

func sessionsOf(ctx context.Context, inst *instance.Instance, req SessionRequest) (list []verification.Admin, err error) {
	switch {
	case req.All:
		return inst.Service.FindAll(ctx)
	case req.Pseudonym != "":
		return inst.Service.FindByPseudonym(ctx, req.Pseudonym)
	case req.SID != "":
		one, err := inst.Service.Describe(ctx, req.SID)
		return []verification.Admin{one}, err
	}
	id, err := AddressRequest{req.Medium, req.Address}.canonical()
	if err != nil {
		return nil, err
	}
	found, err := inst.Service.FindByAddress(ctx, id)
	for _, f := range found {
		list = append(list, f.Admin)
	}
	return list, err
}

// verdict gives an error of the domain its status.
func verdict(err error) error {
	if api, ok := errors.AsType[caddy.APIError](err); ok {
		return api
	}
	if unpaid, ok := errors.AsType[*instance.UnpaidError](err); ok {
		return caddy.APIError{HTTPStatus: http.StatusTooManyRequests, Err: unpaid.Unwrap()}
	}
	status := http.StatusInternalServerError
	var limited *verification.LimitError
	switch {
	case errors.Is(err, verification.ErrNoSession), errors.Is(err, verification.ErrExpired):
		status = http.StatusNotFound
	case errors.Is(err, verification.ErrRevoked), errors.Is(err, verification.ErrConsumed):
		status = http.StatusConflict
	case errors.As(err, &limited):
		status = http.StatusTooManyRequests
	}
	return caddy.APIError{HTTPStatus: status, Err: err}
}

// Done is an answer that has nothing to say.
type Done struct{}

func resend(ctx context.Context, app *caddymodule.App, req SessionRequest) (any, error) {
	return onSession(ctx, app, req, (*instance.Instance).Resend)
}

// Revoked is how many sessions were ended.
type Revoked struct {
	Revoked int `json:"revoked"`
}

// revoke ends a session, or all open ones of an address.
func revoke(ctx context.Context, app *caddymodule.App, req SessionRequest) (any, error) {
	if req.Address == "" {
		_, err := onSession(ctx, app, req, func(inst *instance.Instance, ctx context.Context, sid threepid.SID) error {
			return inst.Service.RevokeSession(ctx, sid)
		})
		return Revoked{1}, err
	}
	if !req.One() {
		return nil, refused(errors.New("name the session by its sid, or those of an address"))
	}
	return onAddress(app, AddressRequest{req.Medium, req.Address}, func(inst *instance.Instance, id threepid.ThreePID) (any, error) {
		n, err := inst.Service.RevokeByAddress(ctx, id)
		return Revoked{n}, err
	})
}

func onSession(ctx context.Context, app *caddymodule.App, req SessionRequest, do func(*instance.Instance, context.Context, threepid.SID) error) (any, error) {
	if req != (SessionRequest{SID: req.SID}) {
		return nil, refused(errors.New("name the session by its sid alone"))
	}
	inst, release, err := serving(app)
	if err != nil {
		return nil, err
	}
	defer release()
	if err := do(inst, ctx, threepid.SID(input.Trim(string(req.SID)))); err != nil {
		return nil, verdict(err)
	}
	return Done{}, nil
}
