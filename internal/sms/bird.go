// SPDX-License-Identifier: Apache-2.0

package sms

import (
	"cmp"
	"errors"
	"regexp"
)

// birdKey has the region in it.
var birdKey = regexp.MustCompile(`^bk_([a-z]{2}[0-9]+)_`)

// Bird describes the SMS API of Bird (once MessageBird) of 2026: Secret is the
// API key, bk_REGION_…, which also tells the URL. The option "category" is what
// the messages are for; it is "authentication" by itself.
//
// Receipts go to the webhook that is registered for the whole workspace; they
// repeat the receipt URL of each message (see [BirdReceipts]).
//
// See https://bird.com/docs (POST /v1/sms/messages), as in the OpenAPI
// description of https://github.com/messagebird/bird-sdk-go.
func Bird(o PresetOptions) (HTTPConfig, error) {
	err := o.check([]string{"category"}, requirement{"secret", o.Secret, nil, "the API key"})
	if err == nil {
		err = o.noAccount()
	}
	url := o.URL
	if url == "" && err == nil {
		region := birdKey.FindStringSubmatch(o.Secret)
		if region == nil {
			err = errors.New("url: is required, since the API key names no region; write: url https://REGION.platform.bird.com")
		} else {
			url = "https://" + region[1] + ".platform.bird.com"
		}
	}
	if err != nil {
		return HTTPConfig{}, err
	}
	category := cmp.Or(o.Extra["category"], "authentication")
	if !plainWord.MatchString(category) {
		return HTTPConfig{}, errors.New("option category: must be letters, digits, _ and -")
	}
	return HTTPConfig{
		Name: o.Name,
		URL:  o.base(url) + "/v1/sms/messages",
		// The same key within a day returns the first answer, and sends nothing.
		Headers: map[string][]string{"Idempotency-Key": {"{id}"}},
		Bearer:  o.Secret,
		Body: Body{Type: BodyJSON, Template: `{
			"to": "{plus_to}", "from": "{from}", "text": "{text}", "category": "` + category + `",
			"metadata": {"id": "{id}", "receipt_url": "{receipt_url}"}
		}`},
		Success:   Match{Pointer: "/id"},
		MessageID: Source{Pointer: "/id"},
		Refusals: []Refusal{
			refuse("/status", ReasonRejected, "rejected", "failed"),
			refuse("/error/name", ReasonCredit, "SMSNoEligibleSender"),
			refuse("/error/type", ReasonCredit, "billing_error"),
			refuse("/error/type", ReasonAuth, "auth_error", "permission_error"),
			refuse("/error/type", ReasonAnswer, "not_found_error", "misdirected_error", "not_implemented_error"),
			refuse("/error/type", ReasonRejected, "validation_error"),
			refuse("/error/type", ReasonRate, "rate_limit_error"),
		},
	}, nil
}
