// SPDX-License-Identifier: Apache-2.0

package sms

import (
	"errors"
	"net/http"
	"strconv"
)

// kannelReceipts reads what Kannel has written into the URL that [Kannel] gave
// it. It signs nothing: that the URL is known has to do.
type kannelReceipts struct{ o ReceiptOptions }

// KannelReceipts makes a reader. There is no Secret.
func KannelReceipts(o ReceiptOptions) (ReceiptReader, error) {
	if o.Secret != "" {
		return nil, errors.New("secret: kannel signs nothing; leave it out, or write basic_auth")
	}
	return &kannelReceipts{o.withDefaults()}, nil
}

// The states of a receipt are bits (user guide, "Delivery reports"). The last two
// come together with the second: expired, and not known to the SMSC.
const (
	kannelDelivered = 1 << iota
	kannelFailed
	kannelBuffered
	kannelSubmitted
	kannelRefused
	kannelExpired
	kannelUnknown
)

// Read implements [ReceiptReader].
func (k *kannelReceipts) Read(r *http.Request, _ []byte, _ string) (Receipt, error) {
	if err := k.o.basic(r); err != nil {
		return Receipt{}, err
	}
	query, err := fields(r.URL.RawQuery)
	if err != nil {
		return Receipt{}, err
	}
	values := map[string]string{}
	for _, name := range []string{"state", "id", "at"} {
		if values[name], err = once(query, name); err != nil {
			return Receipt{}, err
		}
	}
	state, err := strconv.ParseUint(values["state"], 10, 8)
	if err != nil {
		return Receipt{}, ErrReceipt
	}
	out := Receipt{GatewayID: clean(values["id"])}
	out.At, _ = unixTime(values["at"])
	switch {
	case state&kannelUnknown != 0:
	case state&kannelDelivered != 0:
		out.State = Arrived
	case state&(kannelFailed|kannelRefused) != 0:
		out.State, out.Code = Undelivered, strconv.FormatUint(state, 10)
	case state&(kannelBuffered|kannelSubmitted) != 0:
		out.State = Underway
	}
	return out, nil
}
