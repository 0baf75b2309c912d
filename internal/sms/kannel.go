// SPDX-License-Identifier: Apache-2.0

package sms

import (
	"errors"
	"net/http"
	"regexp"
	"strconv"
)

var _ = declare("kannel", kannelRequest, unsigned(kannelReceipts), Quirks{})

var kannelMask = regexp.MustCompile(`^([0-9]|[1-5][0-9]|6[0-6])$`)

// kannelRequest describes the sendsms request of a Kannel: Account and Secret are the
// username and password of its sendsms-user. URL is http://127.0.0.1:13013 by
// itself. The option "smsc" names the connection that carries the messages, and
// "dlr_mask" the receipts that are wanted: 19 by itself, for what is final.
//
// Kannel writes what it knows into the receipt URL. It takes every % there for
// its own, so a receipt URL must have none.
//
// See the chapter "Using the HTTP interface to send SMS messages" and, for the
// letters after %, "Parameters" of https://www.kannel.org/download/1.4.5/userguide-1.4.5/userguide.html.
func kannelRequest(o PresetOptions) (HTTPConfig, error) {
	err := o.check([]string{"dlr_mask", "smsc"},
		requirement{"account", o.Account, nil, "the username of the sendsms-user"},
		requirement{"secret", o.Secret, nil, "the password of the sendsms-user"})
	if err != nil {
		return HTTPConfig{}, err
	}
	mask := "19" // delivered, not delivered, refused by the SMSC
	if own := o.Extra["dlr_mask"]; own != "" {
		if mask = own; !kannelMask.MatchString(mask) {
			return HTTPConfig{}, errors.New("option dlr_mask: must be a number from 0 to 66")
		}
	}
	fields := []Field{
		{Name: "username", Value: o.Account, Literal: true},
		{Name: "password", Value: o.Secret, Literal: true},
		{Name: "to", Value: "{plus_to}"},
		{Name: "from", Value: "{from}"},
		{Name: "text", Value: "{text}"},
		{Name: "charset", Value: "UTF-8"},
		{Name: "coding", Value: "{unicode}"},
		{Name: "dlr-mask", Value: mask},
		{Name: "dlr-url", Value: "{receipt_url}&state=%d&id=%I&at=%T"},
	}
	if smsc := o.Extra["smsc"]; smsc != "" {
		fields = append(fields, Field{Name: "smsc", Value: smsc, Literal: true})
	}
	return HTTPConfig{
		URL:  o.base("http://127.0.0.1:13013") + "/cgi-bin/sendsms",
		Body: Body{Type: BodyQuery, Fields: fields},
		// 2 is UCS-2; without it Kannel finds the 7 bits of GSM.
		UnicodeWord: "2",
		// The last is the answer of a smsbox with immediate-sendsms-reply.
		Success: Match{Statuses: []int{200, 202}, Prefixes: []string{"0: Accepted", "3: Queued", "Sent."}},
		Refusals: []Refusal{
			{Match: Match{Prefixes: []string{"Not routable", "Sender missing"}}, Reason: ReasonCredit},
			// Its bearerbox has answered: it did not take the message.
			{Match: Match{Prefixes: []string{"Temporal failure"}}, Reason: ReasonRate},
			{Match: Match{Prefixes: []string{"DLR-URL", "DLR-Mask", "Coding field", "Charset or body"}}, Reason: ReasonAnswer},
		},
	}, nil
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

// kannelReceipts reads what Kannel has written into the URL that [kannelRequest] gave
// it. It signs nothing: that the URL is known has to do.
func kannelReceipts(r *http.Request, _ []byte, _ string) (Receipt, error) {
	query, err := fields(r.URL.RawQuery)
	if err != nil {
		return Receipt{}, err
	}
	values, err := single(query, "state", "id", "at")
	if err != nil {
		return Receipt{}, err
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
