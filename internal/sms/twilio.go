// SPDX-License-Identifier: Apache-2.0

package sms

import (
	"cmp"
	"regexp"
)

var twilioAccount = regexp.MustCompile(`^AC[0-9a-zA-Z]{32}$`)

// Twilio describes Twilio's Programmable Messaging: Account is the account SID
// and Secret its auth token, or the secret of the API key whose SID is the
// option "api_key". The option "messaging_service" is the SID of a messaging
// service, which then chooses the sender. URL is that of another region, like
// https://api.dublin.ie1.twilio.com.
//
// See https://www.twilio.com/docs/messaging/api/message-resource#create-a-message-resource
// and https://www.twilio.com/docs/api/errors.
func Twilio(o PresetOptions) (HTTPConfig, error) {
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
		Name:      o.Name,
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
