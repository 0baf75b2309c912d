// SPDX-License-Identifier: Apache-2.0

package sms

// Sinch describes the batches of Sinch's SMS API: Account is the service plan,
// Secret its API token. URL is that of a region other than the United States,
// like https://eu.sms.api.sinch.com.
//
// See https://developers.sinch.com/docs/sms/api-reference/sms/batches/sendsms and
// https://developers.sinch.com/docs/sms/api-reference/status-codes.
func Sinch(o PresetOptions) (HTTPConfig, error) {
	err := o.check(nil,
		requirement{"account", o.Account, plainWord, "the id of the service plan"},
		requirement{"secret", o.Secret, nil, "the API token"})
	if err != nil {
		return HTTPConfig{}, err
	}
	return HTTPConfig{
		Name:   o.Name,
		URL:    o.base("https://us.sms.api.sinch.com") + "/xms/v1/" + o.Account + "/batches",
		Bearer: o.Secret,
		Body: Body{Type: BodyJSON, Template: `{
			"from": "{from}", "to": ["{to}"], "body": "{text}", "type": "mt_text", "delivery_report": "per_recipient_final",
			"callback_url": "{receipt_url}", "client_reference": "{id}"
		}`},
		Success:   Match{Statuses: []int{200, 201}, Pointer: "/id"},
		MessageID: Source{Pointer: "/id"},
		Refusals: []Refusal{
			refuse("/canceled", ReasonRejected, "true"),
		},
	}, nil
}
