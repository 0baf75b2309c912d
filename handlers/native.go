// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"maps"
	"strings"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/hsapi"
	"github.com/caddy-threepid/caddy-threepid/handlers/internal/wire"
	"github.com/caddy-threepid/caddy-threepid/internal/address"
	"github.com/caddy-threepid/caddy-threepid/internal/input"
	"github.com/caddy-threepid/caddy-threepid/internal/phone"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// nativeToken leaves a request to the homeserver, if our limits let it: its mails
// bother people as ours do. Only id_access_token is taken out: a homeserver of
// before MSC2140 answers 500 to it, or forwards it.
func (c *Client) nativeToken(call *wire.Call) error {
	raw, err := call.Body()
	if err != nil {
		return err
	}
	body, err := wire.ParseObject(raw)
	if err != nil {
		return err
	}
	id, cleaned, err := nativeAddress(body, call.Route.Medium)
	if err != nil {
		return err
	}
	req := verification.Request{Purpose: call.Route.Purpose, ThreePID: id}
	c.identify(call.R, body, &req)
	if err := c.svc.Count(call.R.Context(), req); err != nil {
		return err
	}
	spelling, err := c.nativeSpelling(call, req, body)
	if err != nil {
		return err
	}
	if cleaned || spelling != nil || body["id_access_token"] != nil {
		delete(body, "id_access_token")
		maps.Copy(body, spelling)
		raw = body.Encode()
	}
	contentType := call.R.Header.Get("Content-Type")
	wire.SetBody(call.R, raw)
	call.R.Header.Set("Content-Type", contentType)
	wire.SetPath(call.R, c.hs.Path(call.Route))
	return call.Next(call.W, call.R)
}

// nativeSpelling replaces an email address by the homeserver's spelling of it, on a
// homeserver that compares what it keeps in lower case with what is typed. One that has
// canonical forms of its own is told what was typed, and lower case does no harm.
func (c *Client) nativeSpelling(call *wire.Call, req verification.Request, body wire.Object) (wire.Object, error) {
	typed, _, _ := body.Text("email")
	if all := address.Spellings(typed, req.Address); req.Medium != threepid.Email || len(all) == 0 || len(all) == 1 && all[0] == typed {
		return nil, nil
	}
	req.Typed = hsapi.TypedAs(typed, req.Address)
	if req.Typed != "" {
		if older, err := c.hs.Older(call); err != nil || !older {
			return nil, nil // as it was typed
		}
	}
	spelling, err := c.hs.Spelled(call, req)
	return wire.Object{"email": wire.Encoded(spelling)}, err
}

// nativeAddress is what a request is counted for. Whether it is an address at all is
// the homeserver's to say, so what we would not take is counted by what was typed.
// What is counted must be what the homeserver reads: where something was around it,
// or in other digits, the body gets what is left (see package input), and cleaned
// is true.
func nativeAddress(body wire.Object, medium threepid.Medium) (id threepid.ThreePID, cleaned bool, err error) {
	if medium == threepid.MSISDN {
		id.Medium = medium
		id.Address, cleaned, err = nativeNumber(body)
		return id, cleaned, err
	}
	typed, err := body.Required("email")
	if err != nil {
		return id, false, err
	}
	plain := input.Address(typed)
	return hsapi.Canonical(medium, plain), body.Replace("email", typed, plain), nil
}

func nativeNumber(body wire.Object) (number string, cleaned bool, err error) {
	country, err := body.Required("country")
	if err != nil {
		return "", false, err
	}
	typed, err := body.Required("phone_number")
	if err != nil {
		return "", false, err
	}
	dialled, ok := input.Number(typed)
	if !ok {
		return "", false, errPhoneNumber // an extension would be another number to us, and none to the homeserver
	}
	cleaned = body.Replace("phone_number", typed, dialled)
	if number, err := phone.Parse(dialled, country, phone.Policy{}); err == nil {
		return number.Digits, cleaned, nil
	}
	return strings.ToUpper(country) + " " + dialled, cleaned, nil
}
