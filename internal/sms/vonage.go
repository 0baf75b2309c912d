// SPDX-License-Identifier: Apache-2.0

package sms

// Vonage describes the SMS API of Vonage (once Nexmo): Account is the API key,
// Secret the API secret. The vendor takes receipt URLs of at most 100
// characters.
//
// See https://developer.vonage.com/en/api/sms and, for the statuses of its
// answers, https://developer.vonage.com/en/messaging/sms/guides/troubleshooting-sms.
func Vonage(o PresetOptions) (HTTPConfig, error) {
	err := o.check(nil,
		requirement{"account", o.Account, nil, "the API key"},
		requirement{"secret", o.Secret, nil, "the API secret"})
	if err != nil {
		return HTTPConfig{}, err
	}
	const status = "/messages/0/status"
	return HTTPConfig{
		Name: o.Name,
		URL:  o.base("https://rest.nexmo.com") + "/sms/json",
		Body: Body{Type: BodyForm, Fields: []Field{
			{Name: "from", Value: "{from}"},
			{Name: "to", Value: "{to}"},
			{Name: "text", Value: "{text}"},
			{Name: "type", Value: "{unicode}"},
			{Name: "callback", Value: "{receipt_url}"},
			{Name: "client-ref", Value: "{id}"},
		}},
		BasicUser: o.Account, BasicPassword: o.Secret,
		UnicodeWord: "unicode", PlainWord: "text",
		// Every answer has the status 200.
		Success:   Match{Pointer: status, Values: []string{"0"}},
		MessageID: Source{Pointer: "/messages/0/message-id"},
		Refusals: []Refusal{
			refuse(status, ReasonRate, "1", "10"),
			refuse(status, ReasonAnswer, "2", "23"), // parameters missing; callback not valid
			refuse(status, ReasonRejected, "3", "6", "7", "12", "22", "33"),
			refuse(status, ReasonAuth, "4", "11", "14", "32"),
			refuse(status, ReasonGateway, "5"),
			refuse(status, ReasonCredit, "8", "9", "15", "29"), // barred; no credit; sender; not on the list of a trial
		},
	}, nil
}
