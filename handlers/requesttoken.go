// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/hsapi"
	"github.com/caddy-threepid/caddy-threepid/handlers/internal/route"
	"github.com/caddy-threepid/caddy-threepid/handlers/internal/wire"
	"github.com/caddy-threepid/caddy-threepid/internal/address"
	"github.com/caddy-threepid/caddy-threepid/internal/input"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// tokenResponse is the 200 of requestToken. submit_url is there if and only
// if the message carries a code (MSC2078). The last three are what Sydent
// answers for a phone number, and what clients of then show.
type tokenResponse struct {
	SID           threepid.SID `json:"sid"`
	SubmitURL     string       `json:"submit_url,omitempty"`
	MSISDN        string       `json:"msisdn,omitempty"`
	International string       `json:"intl_fmt,omitempty"`
	Success       bool         `json:"success,omitempty"`
}

// requestToken serves the six endpoints of MSC2263, without authentication
// and whether or not there is a Content-Type.
func (c *Client) requestToken(call *wire.Call) (int, error) {
	if call.R.Method != http.MethodPost {
		return call.OnlyBy("POST, OPTIONS")
	}
	if call.Route.Purpose == threepid.Password && c.cfg.NativeReset {
		return 0, c.nativeToken(call)
	}
	if err := c.cfg.supports(call.Route.Medium, call.Route.Purpose); err != nil {
		return 0, err // before anything else (MSC4178)
	}
	body, err := call.Object()
	if err != nil {
		return 0, err
	}
	req, to, err := c.tokenRequest(body, call.Route)
	if err == nil {
		err = c.cfg.permits(call.R.Context(), req)
	}
	if err == nil {
		err = c.hs.Distinguishes(call, req)
	}
	if err != nil {
		return 0, err
	}
	c.identify(call.R, body, &req)
	if err := c.mayRegister(call, &req); err != nil {
		return 0, err
	}
	settle, err := c.admit(call, &req, to)
	if err != nil {
		return 0, err
	}
	opened, answered, err := c.open(call, req, to)
	if early(err) && c.loggedIn(call, req) {
		req.LoggedIn = true
		opened, answered, err = c.open(call, req, to)
	}
	settle(call.R.Context(), opened.Sent)
	if err != nil || answered != 0 {
		return answered, err
	}
	if err := c.hold(call.R, req, opened.Decoy); err != nil {
		return 0, err
	}
	return call.OK(c.tokenAnswer(opened.SID, req, to))
}

// open opens the session, or has the homeserver decide about it. It returns the
// status if the homeserver's answer was written.
func (c *Client) open(call *wire.Call, req verification.Request, to recipient) (verification.Opened, int, error) {
	if c.cfg.Callback {
		at := c.equalizer.start()
		opened, answered, err := c.askHomeserver(call, req, to)
		if answered == 0 && !early(err) {
			at.wait(call.R.Context(), err == nil && !opened.Decoy)
		}
		return opened, answered, err
	}
	if err := call.R.Context().Err(); err != nil {
		return verification.Opened{}, 0, err
	}
	// Not cut off by the client: it would get messages that nobody has counted.
	ctx, cancel := wire.Detached(call.R.Context(), wire.SettleTime)
	defer cancel()
	opened, err := c.svc.RequestToken(ctx, req)
	if err != nil && !wire.MustWait(err) {
		opened.Sent = true // perhaps: it is not known
	}
	return opened, 0, err
}

// hold keeps the message back of a request that is to wait.
func (c *Client) hold(r *http.Request, req verification.Request, decoy bool) error {
	if !req.Held {
		return nil
	}
	return c.svc.Hold(r.Context(), req, decoy)
}

func (c *Client) tokenAnswer(sid threepid.SID, req verification.Request, to recipient) tokenResponse {
	resp := tokenResponse{SID: sid}
	if req.Proof == verification.ProofCode {
		resp.SubmitURL = c.cfg.PublicURL + route.PagePath(req.Medium)
	}
	if req.Medium == threepid.MSISDN {
		resp.MSISDN, resp.International, resp.Success = to.Digits, to.International(), true
	}
	return resp
}

// recipient is the address that a message is asked for. It is read, and brought into its
// canonical form, here and nowhere else.
type recipient struct {
	threepid.ThreePID
	// typed is what the address does not tell of what was typed.
	typed string
	// dialled is the number, if it is one.
	dialled
}

// tokenRequest checks the body. Only known fields leave here: unknown ones
// would be a TypeError in Synapse 1.0-1.3.1, and id_access_token is nobody
// else's business.
func (c *Client) tokenRequest(body wire.Object, at route.Route) (req verification.Request, to recipient, err error) {
	req = verification.Request{Purpose: at.Purpose, Proof: c.cfg.Proof, Discreet: c.cfg.discreet()}
	keys := []string{"client_secret", "email", "send_attempt"}
	if at.Medium == threepid.MSISDN {
		keys = []string{"client_secret", "country", "phone_number", "send_attempt"}
		req.Proof = verification.ProofCode // a link in a short message is what frauds send
	}
	for _, key := range keys {
		if body.Null(key) {
			return req, to, wire.BadRequest(wire.CodeMissingParam, "Missing params: ['"+key+"']")
		}
	}
	secret, err := body.Required("client_secret")
	if err != nil {
		return req, to, err
	}
	req.ClientSecret = threepid.ClientSecret(secret)
	if req.SendAttempt, err = sendAttempt(body); err != nil {
		return req, to, err
	}
	if !req.ClientSecret.Valid() {
		return req, to, wire.BadRequest(wire.CodeInvalidParam, "'client_secret' must be 1 to 255 characters of [0-9a-zA-Z.=_-]")
	}
	if to, err = c.recipient(body, at.Medium); err != nil {
		return req, to, err
	}
	req.ThreePID, req.Typed, req.NextLink = to.ThreePID, to.typed, c.cfg.nextLink(body)
	return req, to, c.checkIDServer(body)
}

// recipient reads what is to be verified.
func (c *Client) recipient(body wire.Object, medium threepid.Medium) (recipient, error) {
	if medium == threepid.MSISDN {
		number, err := c.phoneNumber(body)
		return recipient{ThreePID: threepid.ThreePID{Medium: medium, Address: number.Digits}, dialled: number}, err
	}
	typed, err := body.Required("email")
	if err != nil {
		return recipient{}, err
	}
	typed = input.Address(typed)
	canonical, err := address.Email(typed)
	if err != nil {
		return recipient{}, wire.Saying(http.StatusBadRequest, wire.CodeInvalidParam, wire.SayEmail, "'email' is not a valid address")
	}
	return recipient{ThreePID: threepid.ThreePID{Medium: medium, Address: canonical}, typed: hsapi.TypedAs(typed, canonical)}, nil
}

// sendAttempt reads an integer; the examples of r0.2 and r0.3 have it as a
// string.
func sendAttempt(body wire.Object) (int64, error) {
	var n json.Number
	if json.Unmarshal(body["send_attempt"], &n) == nil {
		if v, err := strconv.ParseInt(n.String(), 10, 64); err == nil {
			return v, nil
		}
	}
	return 0, wire.BadRequest(wire.CodeInvalidParam, "'send_attempt' must be an integer")
}

// checkIDServer applies the operator's policy to the deprecated parameters.
// By default they are ignored (CS API: "ignored when the homeserver handles
// 3PID verification").
func (c *Client) checkIDServer(body wire.Object) error {
	if c.cfg.TrustedIDServers == nil && !c.cfg.RequireIDAccessToken {
		return nil
	}
	server, given, err := body.Text("id_server")
	if err != nil || !given {
		return err
	}
	if c.cfg.TrustedIDServers != nil && !slices.Contains(c.cfg.TrustedIDServers, server) {
		return wire.BadRequest(wire.CodeServerNotTrusted, "Identity server is not trusted by this homeserver")
	}
	if c.cfg.RequireIDAccessToken && body.Null("id_access_token") {
		return wire.BadRequest(wire.CodeMissingParam, "'id_access_token' is required if an 'id_server' is supplied")
	}
	return nil
}
