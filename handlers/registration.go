// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"encoding/json"
	"errors"
	"net/http"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/hsapi"
	"github.com/caddy-threepid/caddy-threepid/handlers/internal/report"
	"github.com/caddy-threepid/caddy-threepid/handlers/internal/route"
	"github.com/caddy-threepid/caddy-threepid/handlers/internal/wire"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// Gate says when a message for a registration is sent.
type Gate string

// The gates.
const (
	// GateOffered sends while the homeserver offers a stage for the medium.
	GateOffered Gate = "offered"
	// GateCompleted sends when, besides, all stages before it are complete.
	GateCompleted Gate = "completed"
	// GateOff sends always.
	GateOff Gate = "off"
)

var (
	errRegistrationClosed = &wire.MatrixError{
		Status: http.StatusForbidden, Errcode: wire.CodeForbidden, Message: "Registration is disabled on this homeserver", Say: wire.SayClosed,
	}
	errStageNotOffered = &wire.MatrixError{
		Status: http.StatusForbidden, Errcode: wire.CodeForbidden, Message: "This homeserver asks for no address of this kind at registration", Say: wire.SayUnsupported,
	}
	errNotBegun = &wire.MatrixError{
		Status: http.StatusForbidden, Errcode: wire.CodeForbidden,
		Message: "Please begin the registration first: no registration is under way that this request belongs to",
	}
	errStagesMissing = &wire.MatrixError{
		Status: http.StatusForbidden, Errcode: wire.CodeForbidden, Message: "Please complete the earlier steps of the registration first", Say: wire.SayBegin,
	}
)

// mayRegister refuses a message for a registration that cannot be: a server
// that registers nobody must not be used to mail strangers. Where the earlier
// stages have to be complete and are not, a mail is held back, as
// [verification.Service.Hold] says: matrix-js-sdk asks for it as soon as it
// knows the flows, and gives the registration up if it is refused.
func (c *Client) mayRegister(call *wire.Call, req *verification.Request) error {
	if req.Purpose != verification.Register || c.cfg.RegistrationGate == GateOff {
		return nil
	}
	offered, err := c.offers.Get(call.R.Context(), c.people.page.Now, func() (*hsapi.Offer, error) { return c.hs.AskOffer(call) })
	switch {
	case err != nil:
		return err
	case offered.Closed:
		return errRegistrationClosed
	case !offered.Has(req.Medium):
		return errStageNotOffered
	case !c.gated() || offered.Free(req.Medium):
		return nil
	}
	if req.UIA == "" {
		if req.UIA, err = c.svc.NewestRegistration(call.R.Context(), req.Client, call.R.UserAgent()); err != nil {
			return err
		}
		if req.UIA == "" && c.cfg.RegistrationGate != GateCompleted {
			return nil // it began before the gate was closed: what is left decides
		}
		if req.UIA == "" {
			return errNotBegun
		}
	}
	ready, err := c.svc.Reached(call.R.Context(), req.UIA, req.Medium)
	switch {
	case err != nil || ready:
		req.Begun = ready
		return err
	case req.Medium == verification.MSISDN:
		return errStagesMissing // clients ask for it at its stage, and it is paid for at once
	}
	req.Held = true
	return nil
}

// gated reports whether a message has to wait for the stages before it: also where it
// usually has not, while newcomers have used up what is there for them. Then whoever gets
// through them comes first.
func (c *Client) gated() bool {
	return c.cfg.RegistrationGate == GateCompleted || c.svc.Dry()
}

// watched looks at the homeserver's answers to registrations: at what it offers
// and, where that matters, at how far somebody has come.
func (c *Client) watched(call *wire.Call) *wire.Call {
	kind := call.R.URL.Query()["kind"]
	guest := len(kind) > 0 && kind[0] != "user"
	if c.cfg.RegistrationGate == GateOff || call.Route.Tail != route.TailRegister || call.Route.Ancient() || guest {
		return call
	}
	return call.With(func(call *wire.Call) { call.Next = c.watch(call.Next) })
}

// watch does so with one answer.
func (c *Client) watch(next wire.Next) wire.Next {
	return func(w http.ResponseWriter, r *http.Request) error {
		header := r.Header
		r.Header = header.Clone()
		defer func() { r.Header = header }()
		r.Header.Set("Accept-Encoding", "identity") // an answer that can be read
		held := &wire.AnswerHolder{ResponseWriter: w, Wanted: wire.IsChallenge}
		if err := next(held, r); err != nil {
			return err
		}
		if text, err := held.Text(); err == nil {
			c.progress(r, text) // before the client learns of it, and asks for the mail
		}
		held.Pass(nil)
		return nil
	}
}

// progress takes in the 401 of a registration.
func (c *Client) progress(r *http.Request, body []byte) {
	var told struct {
		Session   string       `json:"session"`
		Completed []string     `json:"completed"`
		Flows     []hsapi.Flow `json:"flows"`
	}
	if json.Unmarshal(body, &told) != nil || len(told.Flows) == 0 {
		return
	}
	offered := &hsapi.Offer{Flows: told.Flows}
	c.offers.Learn(offered, c.people.page.Now())
	if !c.gated() || told.Session == "" || len(told.Session) > maxUIASession {
		return
	}
	at := c.equalizer.start()
	ctx, cancel := wire.Detached(r.Context(), wire.SettleTime)
	defer cancel()
	released := false
	err := c.svc.NoteRegistration(ctx, c.cfg.clientAddr(r), r.UserAgent(), told.Session)
	for _, medium := range []verification.Medium{verification.Email, verification.MSISDN} {
		if offered.Reached(medium, told.Completed) && !offered.Free(medium) {
			// A mail that cannot be sent is no reason to send no text message.
			sent, failed := c.svc.Advance(ctx, told.Session, medium)
			err, released = errors.Join(err, failed), released || sent
		}
	}
	if released {
		at.wait(r.Context(), false) // how full the outbox is depends on who has which address
	}
	if err != nil {
		// The client's next request tries again.
		e := report.Event{Face: "client", Endpoint: "release", Purpose: verification.Register, Limit: report.LimitOf(err)}
		e.Outcome, e.Status, e.Err = report.OutcomeOf(err)
		c.obs.Request(r, e)
	}
}
