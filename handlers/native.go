// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"net/http"
	"strings"

	"github.com/caddy-threepid/caddy-threepid/internal/address"
	"github.com/caddy-threepid/caddy-threepid/internal/phone"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// nativeToken leaves a request to the homeserver, if our limits let it: its mails
// bother people as ours do. Only id_access_token is taken out: a homeserver of
// before MSC2140 answers 500 to it, or forwards it.
func (c *Client) nativeToken(w http.ResponseWriter, r *http.Request, next Next, route route) error {
	raw, err := readBody(w, r, c.cfg.MaxBody)
	if err != nil {
		return err
	}
	body, err := parseObject(raw)
	if err != nil {
		return err
	}
	req := verification.Request{Purpose: route.purpose, Medium: route.medium}
	if req.Address, err = nativeAddress(body, route.medium); err != nil {
		return err
	}
	c.identify(r, &req)
	if err := c.svc.Count(r.Context(), req); err != nil {
		return err
	}
	if body["id_access_token"] != nil {
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

// nativeAddress is what a request is counted for. Whether it is an address at all is
// the homeserver's to say, so what we would not take is counted by what was typed.
func nativeAddress(body object, medium verification.Medium) (string, error) {
	if medium == verification.MSISDN {
		country, err := body.required("country")
		if err != nil {
			return "", err
		}
		typed, err := body.required("phone_number")
		if err != nil {
			return "", err
		}
		if number, err := phone.Parse(typed, country, phone.Policy{}); err == nil {
			return number.Digits, nil
		}
		return strings.ToUpper(country) + " " + digits(typed), nil
	}
	typed, err := body.required("email")
	if err != nil {
		return "", err
	}
	if canonical, err := address.Email(typed); err == nil {
		return canonical, nil
	}
	return strings.ToLower(strings.TrimSpace(typed)), nil
}

// digits are those of what somebody has typed.
func digits(typed string) string {
	return strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, typed)
}
