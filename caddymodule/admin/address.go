// SPDX-License-Identifier: Apache-2.0

package admin

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/caddy-threepid/caddy-threepid/caddymodule"
	"github.com/caddy-threepid/caddy-threepid/internal/address"
	"github.com/caddy-threepid/caddy-threepid/internal/input"
	"github.com/caddy-threepid/caddy-threepid/internal/instance"
	"github.com/caddy-threepid/caddy-threepid/internal/phone"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
)

// AddressRequest names an address. The medium may be left out: an email address has
// an "@", and a number has none.
type AddressRequest struct {
	Medium  threepid.Medium `json:"medium"`
	Address string          `json:"address"`
}

// canonical is the address as it is stored.
func (req AddressRequest) canonical() (id threepid.ThreePID, err error) {
	if req.Medium == "" {
		req.Medium = threepid.MSISDN
		if strings.Contains(input.Address(req.Address), "@") {
			req.Medium = threepid.Email
		}
	}
	switch id.Medium = req.Medium; id.Medium {
	case threepid.Email:
		id.Address, err = address.Email(input.Address(req.Address))
	case threepid.MSISDN:
		dialled, _ := input.Number(req.Address)
		var number phone.Number
		number, err = phone.FromDigits(strings.TrimPrefix(dialled, "+"))
		id.Address = number.Digits
	default:
		err = fmt.Errorf("medium %q is neither email nor msisdn", id.Medium)
	}
	if err != nil {
		return id, refused(errors.New("this is neither an email address nor a phone number with its country code, like +447400123456"))
	}
	return id, nil
}

func forget(ctx context.Context, app *caddymodule.App, req AddressRequest) (any, error) {
	return onAddress(app, req, func(inst *instance.Instance, id threepid.ThreePID) (any, error) {
		gone, err := inst.Forget(ctx, id)
		return Forgotten{Entries: gone.Entries, Erased: gone.Erased, Compacted: gone.Compacted, Left: gone.Left}, err
	})
}

// Forgotten is what was erased.
type Forgotten struct {
	Entries int `json:"entries"`
	// Erased is how many entries of each kind.
	Erased map[string]int `json:"erased"`
	// Compacted says that the files of the store do not have them any more
	// either. Otherwise that happens by itself, in time.
	Compacted bool `json:"compacted"`
	// Left are folders that messages were written into instead of being sent: what
	// is in them is not erased.
	Left []string `json:"left,omitempty"`
}
