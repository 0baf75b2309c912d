// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-threepid/caddy-threepid/internal/address"
	"github.com/caddy-threepid/caddy-threepid/internal/feedback"
	"github.com/caddy-threepid/caddy-threepid/internal/input"
	"github.com/caddy-threepid/caddy-threepid/internal/phone"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// sessionRequest names sessions. What it is about stands in the body, because
// paths are logged.
type sessionRequest struct {
	SID       string `json:"sid,omitempty"`
	Pseudonym string `json:"pseudonym,omitempty"`
}

// SessionInfo is what an operator may know of a session.
type SessionInfo struct {
	SID       string     `json:"sid"`
	Purpose   string     `json:"purpose"`
	Medium    string     `json:"medium"`
	Pseudonym string     `json:"pseudonym"`
	State     string     `json:"state"`
	Delivery  string     `json:"delivery"`
	Created   *time.Time `json:"created,omitempty"`
	Until     time.Time  `json:"until"`
	Sends     int        `json:"sends"`
	Tries     int        `json:"tries"`
	Language  string     `json:"language,omitempty"`
	Brand     string     `json:"brand,omitempty"`
	// Decoy says that the homeserver has refused the request, that nobody has a
	// token, and that the owner of the address is told so once a day.
	Decoy bool `json:"decoy,omitempty"`
}

func infoOf(a verification.Admin) SessionInfo {
	return SessionInfo{
		SID: a.SID, Purpose: string(a.Purpose), Medium: string(a.Medium), Pseudonym: a.Pseudonym, State: a.State.String(),
		Delivery: string(a.Delivery), Created: known(a.Created), Until: a.Until, Sends: a.Sends, Tries: a.Tries,
		Language: a.Language, Brand: a.Brand, Decoy: a.Decoy,
	}
}

// Sessions is the answer to a search.
type Sessions struct {
	Sessions []SessionInfo `json:"sessions"`
}

func adminFind(ctx context.Context, app *App, req sessionRequest) (any, error) {
	req.SID, req.Pseudonym = input.Trim(req.SID), input.Trim(req.Pseudonym)
	if (req.SID == "") == (req.Pseudonym == "") {
		return nil, refused(errors.New("name either a sid or a pseudonym"))
	}
	rt, release, err := app.serving()
	if err != nil {
		return nil, err
	}
	defer release()
	found := Sessions{Sessions: []SessionInfo{}}
	var list []verification.Admin
	if req.SID != "" {
		var one verification.Admin
		if one, err = rt.service.Describe(ctx, req.SID); err == nil {
			list = append(list, one)
		}
	} else {
		list, err = rt.service.FindByPseudonym(ctx, req.Pseudonym)
	}
	if err != nil {
		return nil, adminVerdict(err)
	}
	for _, a := range list {
		found.Sessions = append(found.Sessions, infoOf(a))
	}
	return found, nil
}

// adminVerdict gives an error of the domain its status.
func adminVerdict(err error) error {
	if api, ok := errors.AsType[caddy.APIError](err); ok {
		return api
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

// done is an answer that has nothing to say.
type done struct{}

func adminResend(ctx context.Context, app *App, req sessionRequest) (any, error) {
	return app.onSession(ctx, req, func(s *verification.Service, ctx context.Context, sid string) error {
		return app.resend(ctx, s, sid)
	})
}

func adminRevoke(ctx context.Context, app *App, req sessionRequest) (any, error) {
	return app.onSession(ctx, req, (*verification.Service).RevokeSession)
}

func (a *App) onSession(ctx context.Context, req sessionRequest, do func(*verification.Service, context.Context, string) error) (any, error) {
	rt, release, err := a.serving()
	if err != nil {
		return nil, err
	}
	defer release()
	if err := do(rt.service, ctx, input.Trim(req.SID)); err != nil {
		return nil, adminVerdict(err)
	}
	return done{}, nil
}

// addressRequest names an address.
type addressRequest struct {
	Medium  verification.Medium `json:"medium"`
	Address string              `json:"address"`
}

// canonical is the address as it is stored.
func (req addressRequest) canonical() (addressRequest, error) {
	var err error
	switch req.Medium {
	case verification.Email:
		req.Address, err = address.Email(input.Address(req.Address))
	case verification.MSISDN:
		dialled, _ := input.Number(req.Address)
		var number phone.Number
		number, err = phone.FromDigits(strings.TrimPrefix(dialled, "+"))
		req.Address = number.Digits
	default:
		err = fmt.Errorf("medium %q is neither email nor msisdn", req.Medium)
	}
	if err != nil {
		return req, refused(errors.New("'medium' and 'address' do not name an address"))
	}
	return req, nil
}

func adminForget(ctx context.Context, app *App, req addressRequest) (any, error) {
	req, err := req.canonical()
	if err != nil {
		return nil, err
	}
	rt, release, err := app.serving()
	if err != nil {
		return nil, err
	}
	defer release()
	return rt.forget(ctx, req)
}

// Suppressions are the addresses that get no mail.
type Suppressions struct {
	Suppressions []Suppressed `json:"suppressions"`
	// More says that there are others.
	More bool `json:"more"`
}

// Suppressed is one of them.
type Suppressed struct {
	Pseudonym string    `json:"pseudonym"`
	Medium    string    `json:"medium"`
	Reason    string    `json:"reason"`
	Code      string    `json:"code,omitempty"`
	Since     time.Time `json:"since"`
	Until     time.Time `json:"until"`
}

// maxListed bounds a list.
const maxListed = 1000

func adminSuppressions(ctx context.Context, app *App) (any, error) {
	rt, release, err := app.serving()
	if err != nil {
		return nil, err
	}
	defer release()
	list, more, err := rt.suppression.List(ctx, maxListed)
	answer := Suppressions{Suppressions: []Suppressed{}, More: more}
	for _, l := range list {
		answer.Suppressions = append(answer.Suppressions, Suppressed{
			Pseudonym: l.Pseudonym, Medium: string(l.Medium), Reason: string(l.Reason), Code: l.Code, Since: l.Since, Until: l.Until,
		})
	}
	return answer, err
}

// manualTime is how long an operator's word holds.
const manualTime = 365 * 24 * time.Hour

func adminSuppress(ctx context.Context, app *App, req addressRequest) (any, error) {
	return app.onAddress(ctx, req, func(rt *runtime, req addressRequest) error {
		return rt.suppression.Add(ctx, req.Medium, req.Address, feedback.ReasonManual, time.Now().Add(manualTime))
	})
}

func adminRelease(ctx context.Context, app *App, req addressRequest) (any, error) {
	return app.onAddress(ctx, req, func(rt *runtime, req addressRequest) error {
		_, err := rt.suppression.Remove(ctx, req.Medium, req.Address)
		return err
	})
}

func (a *App) onAddress(_ context.Context, req addressRequest, do func(*runtime, addressRequest) error) (any, error) {
	req, err := req.canonical()
	if err != nil {
		return nil, err
	}
	rt, release, err := a.serving()
	if err != nil {
		return nil, err
	}
	defer release()
	return done{}, do(rt, req)
}
