// SPDX-License-Identifier: Apache-2.0

package sms

import (
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // the vendor's choice; HMAC-SHA1 is not broken
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// twilioReceipts reads the status callbacks of Twilio.
//
// See https://www.twilio.com/docs/messaging/guides/track-outbound-message-status
// and https://www.twilio.com/docs/usage/security#validating-requests.
type twilioReceipts struct{ o ReceiptOptions }

// TwilioReceipts makes a reader. Secret is the account's auth token, also where
// messages are sent with an API key.
func TwilioReceipts(o ReceiptOptions) (ReceiptReader, error) {
	return &twilioReceipts{o.withDefaults()}, nil
}

var twilioStates = states{
	"delivered": Arrived, "read": Arrived, "undelivered": Undelivered, "failed": Undelivered, "canceled": Undelivered,
	"accepted": Underway, "scheduled": Underway, "queued": Underway, "sending": Underway, "sent": Underway, "partially_delivered": Underway,
}

// Read implements [ReceiptReader].
func (t *twilioReceipts) Read(r *http.Request, body []byte, address string) (Receipt, error) {
	if err := t.o.basic(r); err != nil {
		return Receipt{}, err
	}
	form, err := fields(string(body))
	if err != nil {
		return Receipt{}, err
	}
	if t.o.Secret != "" && !t.signed(r.Header.Get("X-Twilio-Signature"), form, address) {
		return Receipt{}, ErrForged
	}
	values := map[string]string{}
	for _, name := range []string{"MessageStatus", "MessageSid", "ErrorCode", "RawDlrDoneDate"} {
		if values[name], err = once(form, name); err != nil {
			return Receipt{}, err
		}
	}
	if values["MessageStatus"] == "" {
		return Receipt{}, ErrReceipt
	}
	return Receipt{
		State: twilioStates.of(values["MessageStatus"]), GatewayID: clean(values["MessageSid"]), Code: shortWord(values["ErrorCode"]),
		At: moment(values["RawDlrDoneDate"], "0601021504"),
	}, nil
}

// signed verifies the MAC over the URL and the sorted parameters. Whether the
// port is part of the URL depends on the time and place of the vendor's code, so
// its own libraries try both, too.
func (t *twilioReceipts) signed(signature string, form url.Values, address string) bool {
	given, err := base64.StdEncoding.DecodeString(signature)
	if err != nil {
		return false
	}
	var b strings.Builder
	for _, name := range sorted(form) {
		list := slices.Clone(form[name])
		slices.Sort(list)
		for _, value := range slices.Compact(list) {
			b.WriteString(name)
			b.WriteString(value)
		}
	}
	good := false
	for _, u := range withAndWithoutPort(address) {
		mac := hmac.New(sha1.New, []byte(t.o.Secret))
		mac.Write([]byte(u + b.String()))
		good = hmac.Equal(given, mac.Sum(nil)) || good
	}
	return good
}

func withAndWithoutPort(address string) []string {
	all := []string{address}
	scheme, rest, found := strings.Cut(address, "://")
	u, err := url.Parse(address)
	if !found || err != nil {
		return all
	}
	standard := map[string]string{"https": ":443", "http": ":80"}[scheme]
	switch {
	case u.Port() == "":
		return append(all, scheme+"://"+u.Host+standard+strings.TrimPrefix(rest, u.Host))
	case ":"+u.Port() == standard:
		return append(all, scheme+"://"+strings.TrimSuffix(u.Host, standard)+strings.TrimPrefix(rest, u.Host))
	}
	return all
}
