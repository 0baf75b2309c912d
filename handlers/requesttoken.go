// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strconv"

	"github.com/caddy-threepid/caddy-threepid/internal/address"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// clientSecret is the grammar of client_secret (IS API, "Establishing
// associations"). The apostrophes in the examples of MSC2290 are a slip.
var clientSecret = regexp.MustCompile(`^[0-9a-zA-Z.=_-]{1,255}$`)

// tokenResponse is the 200 of requestToken. submit_url is there if and only
// if the message carries a code (MSC2078).
type tokenResponse struct {
	SID       string `json:"sid"`
	SubmitURL string `json:"submit_url,omitempty"`
}

// requestToken serves the six endpoints of MSC2263, without authentication
// and whether or not there is a Content-Type.
func (c *Client) requestToken(w http.ResponseWriter, r *http.Request, next Next, route route) (int, error) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", "POST, OPTIONS")
		return 0, unrecognized(http.StatusMethodNotAllowed)
	}
	if route.purpose == verification.Password && c.cfg.NativeReset {
		return 0, c.nativeToken(w, r, next, route)
	}
	if route.medium != verification.Email || c.cfg.NoEmail {
		// No transport for this medium: say so before anything else (MSC4178).
		return 0, badRequest(codeMediumNotSupported, "This server cannot verify addresses of this kind")
	}
	raw, err := readBody(w, r, c.cfg.MaxBody)
	if err != nil {
		return 0, err
	}
	body, err := parseObject(raw)
	if err != nil {
		return 0, err
	}
	req, err := c.tokenRequest(body, route)
	if err != nil {
		return 0, err
	}
	if c.cfg.Match != nil {
		req.Language = c.cfg.Match(r.Header.Get("Accept-Language"))
	}
	if c.cfg.Brand != nil {
		req.Brand = c.cfg.Brand(r.Host)
	}
	var sid string
	if c.cfg.Callback {
		var answered int
		sid, answered, err = c.askHomeserver(w, r, next, route, req)
		if err != nil || answered != 0 {
			return answered, err
		}
	} else {
		opened, err := c.svc.RequestToken(r.Context(), req)
		if err != nil {
			return 0, err
		}
		sid = opened.SID
	}
	resp := tokenResponse{SID: sid}
	if req.Proof == verification.ProofCode {
		resp.SubmitURL = c.cfg.PublicURL + SubmitPath + string(route.medium) + submitTail
	}
	writeJSON(w, http.StatusOK, resp)
	return http.StatusOK, nil
}

// nativeToken leaves a request to the homeserver. Only id_access_token is taken
// out: a homeserver of before MSC2140 answers 500 to it, or forwards it.
func (c *Client) nativeToken(w http.ResponseWriter, r *http.Request, next Next, route route) error {
	raw, err := readBody(w, r, c.cfg.MaxBody)
	if err != nil {
		return err
	}
	if body, err := parseObject(raw); err == nil && body["id_access_token"] != nil {
		delete(body, "id_access_token")
		if raw, err = body.encode(); err != nil {
			return internal(err)
		}
	}
	contentType := r.Header.Get("Content-Type")
	setBody(r, raw)
	r.Header.Set("Content-Type", contentType)
	setPath(r, c.upstreamPath(route))
	return next(w, r)
}

// tokenRequest checks the body. Only known fields leave here: unknown ones
// would be a TypeError in Synapse 1.0-1.3.1, and id_access_token is nobody
// else's business.
func (c *Client) tokenRequest(body object, route route) (verification.Request, error) {
	req := verification.Request{Purpose: route.purpose, Medium: route.medium, Proof: c.cfg.Proof}
	var err error
	if req.ClientSecret, err = body.required("client_secret"); err != nil {
		return req, err
	}
	typed, err := body.required("email")
	if err != nil {
		return req, err
	}
	if req.SendAttempt, err = sendAttempt(body); err != nil {
		return req, err
	}
	if !clientSecret.MatchString(req.ClientSecret) {
		return req, badRequest(codeInvalidParam, "'client_secret' must be 1 to 255 characters of [0-9a-zA-Z.=_-]")
	}
	if req.Address, err = address.Email(typed); err != nil {
		return req, badRequest(codeInvalidParam, "'email' is not a valid address")
	}
	if req.NextLink, err = c.nextLink(body); err != nil {
		return req, err
	}
	return req, c.checkIDServer(body)
}

// sendAttempt reads an integer; the examples of r0.2 and r0.3 have it as a
// string.
func sendAttempt(body object) (int64, error) {
	if body.null("send_attempt") {
		return 0, badRequest(codeMissingParam, "Missing params: ['send_attempt']")
	}
	var n json.Number
	if json.Unmarshal(body["send_attempt"], &n) == nil {
		if v, err := strconv.ParseInt(n.String(), 10, 64); err == nil {
			return v, nil
		}
	}
	return 0, badRequest(codeInvalidParam, "'send_attempt' must be an integer")
}

// checkIDServer applies the operator's policy to the deprecated parameters.
// By default they are ignored (CS API: "ignored when the homeserver handles
// 3PID verification").
func (c *Client) checkIDServer(body object) error {
	if c.cfg.TrustedIDServers == nil && !c.cfg.RequireIDAccessToken {
		return nil
	}
	server, given, err := body.text("id_server")
	if err != nil || !given {
		return err
	}
	if c.cfg.TrustedIDServers != nil && !slices.Contains(c.cfg.TrustedIDServers, server) {
		return badRequest(codeServerNotTrusted, "Identity server is not trusted by this homeserver")
	}
	if c.cfg.RequireIDAccessToken && body.null("id_access_token") {
		return badRequest(codeMissingParam, "'id_access_token' is required if an 'id_server' is supplied")
	}
	return nil
}
