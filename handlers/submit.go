// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"errors"
	"mime"
	"net/http"
	"net/url"
	"strings"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/route"
	"github.com/caddy-threepid/caddy-threepid/internal/input"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// submit serves the place where tokens come back: the link of a mail (GET),
// the button of its page (POST of a form), and submit_url (POST of JSON).
// GET and HEAD change nothing, because mail scanners follow links.
func (c *Client) submit(w http.ResponseWriter, r *http.Request, at route.Route) error {
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		return c.observed(w, r, at, "page", func() (int, error) {
			return c.showPage(w, r)
		})
	case http.MethodPost:
		if c.human(r) {
			return c.observed(w, r, at, "confirm", func() (int, error) {
				return c.confirmPage(w, r)
			})
		}
		return c.submitMachine(w, r, at)
	}
	return c.observed(w, r, at, string(route.KindSubmit), func() (int, error) {
		w.Header().Set("Allow", "GET, HEAD, POST, OPTIONS")
		return 0, unrecognized(http.StatusMethodNotAllowed)
	})
}

// human tells the page's form from a machine. On the path of identity servers
// forms are a machine's as well (IS API r0.3.0, submitToken).
func (c *Client) human(r *http.Request) bool {
	return isForm(r) && strings.HasPrefix(r.URL.Path, route.SubmitPath)
}

func isForm(r *http.Request) bool {
	mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	// The second is a misprint in the identity service API, r0.1.0 to v1.19.
	return err == nil && (mediaType == "application/x-www-form-urlencoded" || mediaType == "application/x-form-www-urlencoded")
}

// submitMachine is submit_url: JSON in, {"success": true} or an error of
// MSC4183 out; no access token is needed, and next_link is ignored.
func (c *Client) submitMachine(w http.ResponseWriter, r *http.Request, at route.Route) error {
	return c.observedAs(w, r, at, string(route.KindSubmit), func() (int, error) {
		sub, err := c.submission(w, r)
		if err != nil {
			return 0, err
		}
		if _, err := c.confirm(r, sub); err != nil {
			return 0, machineError(err)
		}
		writeJSON(w, http.StatusOK, struct {
			Success bool `json:"success"`
		}{true})
		return http.StatusOK, nil
	}, func(e *MatrixError) errorBody {
		body, no := e.body(), false
		body.Success = &no
		return body
	})
}

// submission reads sid, client_secret and token from a JSON or form body.
func (c *Client) submission(w http.ResponseWriter, r *http.Request) (verification.Submission, error) {
	var sub verification.Submission
	raw, err := readBody(w, r, c.cfg.MaxBody)
	if err != nil {
		return sub, err
	}
	var body object
	if isForm(r) {
		body, err = formObject(raw)
	} else {
		body, err = parseObject(raw)
	}
	if err != nil {
		return sub, err
	}
	if sub.SID, err = body.required("sid"); err != nil {
		return sub, err
	}
	secret, err := body.required("client_secret")
	if err != nil {
		return sub, err
	}
	sub.ClientSecret = &secret
	token, err := body.required("token")
	if err != nil {
		return sub, err
	}
	var ok bool
	if sub.Token, ok = input.Code(token); !ok {
		return sub, badRequest(codeInvalidParam, "'token' must be 1 to 255 characters")
	}
	return sub, nil
}

// formObject reads a form body as if it were JSON. A repeated field is
// refused like a duplicate key.
func formObject(raw []byte) (object, error) {
	values, err := url.ParseQuery(string(raw))
	if err != nil {
		return nil, badRequest(codeInvalidParam, "Content is not a valid form")
	}
	o := make(object, len(values))
	for key, list := range values {
		if len(list) != 1 {
			return nil, errDuplicate
		}
		o[key] = member(list[0])
	}
	return o, nil
}

// machineError is submitError for clients that have a field for the code of a text
// message. Element keeps the field of a registration only if it reads 200 and
// "success", and that of an added number only if it reads this errcode
// (docs/clients.md); any other answer ends what the person was at.
func machineError(err error) error {
	about, ok := errors.AsType[*verification.WrongTokenError](err)
	if !ok || about.Medium != verification.MSISDN {
		return submitError(err)
	}
	wrong := asMatrixError(submitError(err))
	if about.Purpose == verification.Register {
		wrong.Status = http.StatusOK
	}
	if about.Purpose == verification.Add {
		wrong.Errcode = codeThreepidAuthFailed
	}
	return wrong
}

// submitError translates the domain's verdict (MSC4183). An unknown sid and a
// wrong client_secret are told alike.
func submitError(err error) error {
	switch {
	case errors.Is(err, verification.ErrTokenIncorrect):
		return saying(http.StatusBadRequest, codeTokenIncorrect, sayWrong, "The token is incorrect")
	case errors.Is(err, verification.ErrExpired):
		return saying(http.StatusBadRequest, codeSessionExpired, sayExpired, "This validation session has expired")
	case errors.Is(err, verification.ErrRevoked):
		return saying(http.StatusBadRequest, codeSessionExpired, sayRevoked, "This validation session has ended")
	case errors.Is(err, verification.ErrNoSession):
		return saying(http.StatusBadRequest, codeInvalidParam, sayInvalid, "No valid session was found matching that sid and client secret")
	}
	return err
}
