// SPDX-License-Identifier: Apache-2.0

package sms

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // the vendor's choice; HMAC-SHA1 is not broken
	"encoding/base64"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

var _ = declare("twilio", twilioRequest, func(o ReceiptOptions) (receiptFunc, error) {
	return (&twilioReceipts{o}).read, nil
}, Quirks{
	// It signs with the auth token, which is not known where messages are sent with an API key.
	ReceiptSecret: func(o PresetOptions) string {
		if o.Extra["api_key"] != "" {
			return ""
		}
		return o.Secret
	},
})

var twilioAccount = regexp.MustCompile(`^AC[0-9a-zA-Z]{32}$`)

// twilioRequest describes Twilio's Programmable Messaging: Account is the account SID
// and Secret its auth token, or the secret of the API key whose SID is the
// option "api_key". The option "messaging_service" is the SID of a messaging
// service, which then chooses the sender. URL is that of another region, like
// https://api.dublin.ie1.twilio.com.
//
// See https://www.twilio.com/docs/messaging/api/message-resource#create-a-message-resource
// and https://www.twilio.com/docs/api/errors.
func twilioRequest(o PresetOptions) (HTTPConfig, error) {
	err := o.check([]string{"api_key", "messaging_service"},
		requirement{"account", o.Account, twilioAccount, "the account's SID, AC and 32 letters or digits"},
		requirement{"secret", o.Secret, nil, "the auth token, or the secret of an API key"})
	if err != nil {
		return HTTPConfig{}, err
	}
	fields := []Field{
		{Name: "To", Value: "{plus_to}"},
		{Name: "From", Value: "{from}"},
		{Name: "Body", Value: "{text}"},
		{Name: "StatusCallback", Value: "{receipt_url}"},
	}
	if service := o.Extra["messaging_service"]; service != "" {
		fields = append(fields, Field{Name: "MessagingServiceSid", Value: service, Literal: true})
	}
	return HTTPConfig{
		URL:       o.base("https://api.twilio.com") + "/2010-04-01/Accounts/" + o.Account + "/Messages.json",
		Body:      Body{Type: BodyForm, Fields: fields},
		BasicUser: cmp.Or(o.Extra["api_key"], o.Account), BasicPassword: o.Secret,
		Success:   Match{Pointer: "/sid"},
		MessageID: Source{Pointer: "/sid"},
		Refusals: []Refusal{
			refuse("/status", ReasonRejected, "failed", "undelivered", "canceled"),
			// Account not active; no permission for the region; only verified
			// numbers in a trial; senders that are not the account's.
			refuse("/code", ReasonCredit, "10001", "21408", "21608", "21212", "21603", "21606", "21659", "21660", "21661", "21703", "21705"),
			refuse("/code", ReasonAuth, "20003"),
			refuse("/code", ReasonRate, "20429", "21611"), // the second: the sender's queue is full
			refuse("/code", ReasonAnswer, "21609"),        // the StatusCallback
		},
	}, nil
}

// twilioReceipts reads the status callbacks of Twilio. Secret is the account's auth
// token, also where messages are sent with an API key.
//
// See https://www.twilio.com/docs/messaging/guides/track-outbound-message-status
// and https://www.twilio.com/docs/usage/security#validating-requests.
type twilioReceipts struct{ o ReceiptOptions }

var twilioStates = states{
	"delivered": Arrived, "read": Arrived, "undelivered": Undelivered, "failed": Undelivered, "canceled": Undelivered,
	"accepted": Underway, "scheduled": Underway, "queued": Underway, "sending": Underway, "sent": Underway, "partially_delivered": Underway,
}

// read is a [receiptFunc].
func (t *twilioReceipts) read(r *http.Request, body []byte, address string) (Receipt, error) {
	form, err := fields(string(body))
	if err != nil {
		return Receipt{}, err
	}
	if t.o.Secret != "" && !t.signed(r.Header.Get("X-Twilio-Signature"), form, address) {
		return Receipt{}, ErrForged
	}
	values, err := single(form, "MessageStatus", "MessageSid", "ErrorCode", "RawDlrDoneDate")
	if err != nil {
		return Receipt{}, err
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
	for _, name := range slices.Sorted(maps.Keys(form)) {
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
