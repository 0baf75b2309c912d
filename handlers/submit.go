// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"errors"
	"net/http"
	"strings"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/route"
	"github.com/caddy-threepid/caddy-threepid/handlers/internal/wire"
	"github.com/caddy-threepid/caddy-threepid/internal/input"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// submit serves the place where tokens come back: the link of a mail (GET),
// the button of its page (POST of a form), and submit_url (POST of JSON).
// GET and HEAD change nothing, because mail scanners follow links.
func (c *Client) submit(call *wire.Call) error {
	switch call.R.Method {
	case http.MethodGet, http.MethodHead:
		return c.observed(call, "page", func() (int, error) {
			return c.people.showPage(call)
		})
	case http.MethodPost:
		if c.human(call.R) {
			return c.observed(call, "confirm", func() (int, error) {
				return c.people.confirmPage(call)
			})
		}
		return c.submitMachine(call)
	}
	return c.observed(call, string(route.KindSubmit), func() (int, error) {
		return call.OnlyBy("GET, HEAD, POST, OPTIONS")
	})
}

// human tells the page's form from a machine. On the path of identity servers
// forms are a machine's as well (IS API r0.3.0, submitToken).
func (c *Client) human(r *http.Request) bool {
	return wire.IsForm(r) && strings.HasPrefix(r.URL.Path, route.SubmitPath)
}

// submitMachine is submit_url: JSON in, {"success": true} or an error of
// MSC4183 out; no access token is needed, and next_link is ignored.
func (c *Client) submitMachine(call *wire.Call) error {
	return c.observedAs(call, string(route.KindSubmit), func() (int, error) {
		sub, err := submission(call)
		if err != nil {
			return 0, err
		}
		if _, err := c.people.confirm(call.R, sub); err != nil {
			return 0, machineError(err)
		}
		return call.OK(struct {
			Success bool `json:"success"`
		}{true})
	}, func(e *wire.MatrixError) wire.ErrorBody {
		body, no := e.Body(), false
		body.Success = &no
		return body
	})
}

// submission reads sid, client_secret and token from a JSON or form body.
func submission(call *wire.Call) (verification.Submission, error) {
	var sub verification.Submission
	body, err := wire.Parameters(call.W, call.R, call.MaxBody)
	if err != nil {
		return sub, err
	}
	sid, err := body.Required("sid")
	if err != nil {
		return sub, err
	}
	secret, err := body.Required("client_secret")
	if err != nil {
		return sub, err
	}
	token, err := body.Required("token")
	if err != nil {
		return sub, err
	}
	token, ok := input.Code(token)
	if !ok {
		return sub, wire.BadRequest(wire.CodeInvalidParam, "'token' must be 1 to 255 characters")
	}
	return verification.Submission{
		SID: threepid.SID(sid), ClientSecret: new(threepid.ClientSecret(secret)), Token: threepid.Token(token),
	}, nil
}

// machineError is submitError for clients that have a field for the code of a text
// message. Element keeps the field of a registration only if it reads 200 and
// "success", and that of an added number only if it reads this errcode
// (docs/clients.md); any other answer ends what the person was at.
func machineError(err error) error {
	about, ok := errors.AsType[*verification.WrongTokenError](err)
	if !ok || about.Medium != threepid.MSISDN {
		return wire.SubmitError(err)
	}
	wrong := wire.ErrorOf(wire.SubmitError(err))
	if about.Purpose == threepid.Register {
		wrong.Status = http.StatusOK
	}
	if about.Purpose == threepid.Add {
		wrong.Errcode = wire.CodeThreepidAuthFailed
	}
	return wrong
}
