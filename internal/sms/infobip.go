// SPDX-License-Identifier: Apache-2.0

package sms

// Infobip describes version 3 of Infobip's SMS API: Secret is the API key. URL is
// required: each account has its own, like https://abc123.api.infobip.com.
//
// See https://www.infobip.com/docs/api/channels/sms/outbound-sms/send-sms-messages
// and https://www.infobip.com/docs/developer-resources/api-fundamentals/message-status-codes.
func Infobip(o PresetOptions) (HTTPConfig, error) {
	err := o.check(nil,
		requirement{"url", o.URL, nil, "the account's own, like https://abc123.api.infobip.com"},
		requirement{"secret", o.Secret, nil, "the API key"})
	if err == nil {
		err = o.noAccount()
	}
	if err != nil {
		return HTTPConfig{}, err
	}
	const status = "/messages/0/status/"
	return HTTPConfig{
		Name:          o.Name,
		URL:           o.base("") + "/sms/3/messages",
		Headers:       map[string][]string{"Accept": {"application/json"}},
		Authorization: "App " + o.Secret,
		Body: Body{Type: BodyJSON, Template: `{"messages": [{
			"sender": "{from}",
			"destinations": [{"to": "{to}"}],
			"content": {"text": "{text}"},
			"webhooks": {"delivery": {"url": "{receipt_url}"}, "callbackData": "{id}"}
		}]}`},
		// The answer to a message that is refused has the status 200, too.
		Success:   Match{Pointer: status + "groupName", Values: []string{"PENDING", "ACCEPTED", "DELIVERED"}},
		MessageID: Source{Pointer: "/messages/0/messageId"},
		Refusals: []Refusal{
			refuse(status+"name", ReasonCredit, "REJECTED_NOT_ENOUGH_CREDITS", "REJECTED_SENDER", "REJECTED_DESTINATION_NOT_REGISTERED",
				"REJECTED_DEMO_ACCOUNT", "REJECTED_ROUTE_NOT_AVAILABLE"),
			refuse(status+"name", ReasonRate, "REJECTED_FLOODING_FILTER"),
			refuse(status+"name", ReasonGateway, "REJECTED_SYSTEM_ERROR"),
			refuse(status+"groupName", ReasonRejected, "REJECTED", "UNDELIVERABLE", "EXPIRED"),
		},
	}, nil
}
