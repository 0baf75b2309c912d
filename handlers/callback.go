// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/hsapi"
	"github.com/caddy-threepid/caddy-threepid/handlers/internal/report"
	"github.com/caddy-threepid/caddy-threepid/handlers/internal/wire"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// askHomeserver lets the homeserver decide. It sees a nonce as client_secret
// and us as id_server; if it agrees, it calls the identity side with that
// nonce, and the session is opened there. Its refusals go back as they are, but
// for those that would tell who has the address: they are answered by a decoy.
//
// It returns the session, or the status that it has written. What was sent is
// told in any case.
func (c *Client) askHomeserver(call *wire.Call, req verification.Request, to recipient) (opened verification.Opened, answered int, err error) {
	nonce, err := c.svc.Await(call.R.Context(), req)
	if err != nil {
		return opened, 0, err
	}
	defer c.svc.Abandon(nonce) // should somebody behind us panic
	answer, upErr := c.forward(call, req, nonce, to)

	ctx, cancel := context.WithTimeout(context.WithoutCancel(call.R.Context()), wire.SettleTime)
	defer cancel()
	hidden := upErr == nil && c.hides(req.Purpose, answer)
	var decoyErr error
	if hidden {
		_, decoyErr = c.svc.Decoy(ctx, nonce)
	}
	opened, err = c.svc.Settle(ctx, nonce, upErr != nil || answer.Status >= http.StatusInternalServerError)
	if wire.MustWait(err) {
		return opened, 0, err // and nothing was sent
	}
	switch err := errors.Join(err, decoyErr); {
	case err != nil:
		opened.Sent = true // perhaps: it is not known
		return opened, 0, err
	case upErr != nil:
		return opened, 0, wire.UpstreamFailure(upErr)
	case opened.SID != "" && (answer.Status/100 == 2 || hidden):
		return opened, 0, nil
	case answer.Status/100 != 2:
		if found := misconfigurationOf(answer); found != "" && opened.SID == "" {
			return opened, c.misconfigured(call, found), nil
		}
		wire.CopyRefusal(call.W, answer)
		return opened, answer.Status, nil
	}
	if err := c.adopt(ctx, answer, nonce, req); err != nil {
		return opened, 0, err
	}
	answer.CopyTo(call.W)
	return opened, answer.Status, nil
}

// forward asks the homeserver for a token, for the address as it spells it.
func (c *Client) forward(call *wire.Call, req verification.Request, nonce threepid.Nonce, to recipient) (*wire.Answer, error) {
	spelling, err := c.hs.Spelled(call, req)
	if refused, ok := wire.RefusalOf(err); ok {
		return refused.Answer, nil // it says so before it was asked in earnest
	}
	if err != nil {
		return nil, err
	}
	forwarded := hsapi.TokenRequest{ClientSecret: nonce, SendAttempt: req.SendAttempt, IDServer: c.cfg.IdentityName}
	forwarded.About(req.Medium, spelling, to.country)
	at := call.Route
	at.Version = c.cfg.UpstreamVersion // requestToken is the same in all of them
	return call.Exchange(c.hs.Path(at), wire.Encoded(forwarded))
}

// adopt handles a homeserver that agreed and did not call us: it has mailed
// its own link (Synapse 1.0-1.3.1 with its own mailer). It knows the session
// under our nonce, so that is put back when the client completes.
func (c *Client) adopt(ctx context.Context, answer *wire.Answer, nonce threepid.Nonce, req verification.Request) error {
	var body struct {
		SID threepid.SID `json:"sid"`
	}
	if _ = json.Unmarshal(answer.Body.Bytes(), &body); body.SID == "" {
		return nil
	}
	return c.svc.Adopt(ctx, body.SID, nonce, req)
}

// hides reports whether an answer of the homeserver's is one that a client must
// not see: it would tell whether an account has the address (CS API,
// requestToken: the server may send a mail instead). M_THREEPID_DENIED is about
// the address alone, and is told.
func (c *Client) hides(purpose threepid.Purpose, answer *wire.Answer) bool {
	if c.cfg.Reveal || answer.Status/100 != 4 {
		return false
	}
	telling := wire.CodeThreepidInUse
	if purpose == threepid.Password {
		telling = wire.CodeThreepidNotFound
	}
	return wire.ErrcodeOf(answer) == telling
}

// discreet reports whether there are decoys, so that whoever has no token out of
// the mail is to be told nothing that they do not know, see ADR 25. The service has
// to be told with each request.
func (c *Config) discreet() bool { return c.Callback && !c.Reveal }

// early reports whether a limit has refused a request before the homeserver was
// asked: when that is answered tells nothing.
func early(err error) bool {
	kind := report.LimitOf(err)
	return kind != "" && kind != report.UnknownLimit
}
