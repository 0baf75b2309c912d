// SPDX-License-Identifier: Apache-2.0

package sms

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"regexp"
	"strings"
	"time"
)

var _ = declare("bird", birdRequest, func(o ReceiptOptions) (receiptFunc, error) {
	b, err := newBirdReceipts(o)
	return b.read, err
}, Quirks{})

// birdKey has the region in it.
var birdKey = regexp.MustCompile(`^bk_([a-z]{2}[0-9]+)_`)

// birdRequest describes the SMS API of Bird (once MessageBird) of 2026: Secret is the
// API key, bk_REGION_…, which also tells the URL. The option "category" is what
// the messages are for; it is "authentication" by itself.
//
// Receipts go to the webhook that is registered for the whole workspace; they
// repeat the receipt URL of each message (see [birdReceipts]).
//
// See https://bird.com/docs (POST /v1/sms/messages), as in the OpenAPI
// description of https://github.com/messagebird/bird-sdk-go.
func birdRequest(o PresetOptions) (HTTPConfig, error) {
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
		URL: o.base(url) + "/v1/sms/messages",
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

// birdReceipts reads the events of Bird's webhooks, which are signed as Standard
// Webhooks: https://www.standardwebhooks.com.
//
// See https://bird.com/docs and the events sms.… of https://github.com/messagebird/bird-sdk-go.
type birdReceipts struct {
	o   ReceiptOptions
	key []byte
}

// newBirdReceipts makes a reader. Secret is what Bird has shown once, when the
// webhook was made: whsec_….
func newBirdReceipts(o ReceiptOptions) (*birdReceipts, error) {
	b := &birdReceipts{o: o}
	if o.Secret == "" {
		return b, nil
	}
	var err error
	if b.key, err = base64.StdEncoding.DecodeString(strings.TrimPrefix(o.Secret, "whsec_")); err != nil || len(b.key) == 0 {
		return nil, errors.New("secret: must be that of a webhook of Bird: whsec_ and Base64")
	}
	return b, nil
}

var birdStates = states{
	"sms.delivered": Arrived, "sms.undelivered": Undelivered, "sms.failed": Undelivered, "sms.rejected": Undelivered, "sms.expired": Undelivered,
	"sms.accepted": Underway, "sms.sent": Underway,
}

type birdEvent struct {
	Type      string `json:"type"`
	Timestamp string `json:"timestamp"`
	Data      struct {
		ID       string `json:"sms_id"`
		Metadata struct {
			ID         string `json:"id"`
			ReceiptURL string `json:"receipt_url"`
		} `json:"metadata"`
		Error struct {
			Code string `json:"code"`
		} `json:"error"`
	} `json:"data"`
}

// read is a [receiptFunc].
func (b *birdReceipts) read(r *http.Request, body []byte, _ string) (Receipt, error) {
	if b.key != nil && !b.signed(r.Header, body) {
		return Receipt{}, ErrForged
	}
	var e birdEvent
	if json.Unmarshal(body, &e) != nil || e.Type == "" {
		return Receipt{}, ErrReceipt
	}
	return Receipt{
		State: birdStates.of(e.Type), GatewayID: clean(e.Data.ID), Code: shortWord(e.Data.Error.Code), At: moment(e.Timestamp, time.RFC3339),
		MessageID: clean(e.Data.Metadata.ID), ReceiptURL: e.Data.Metadata.ReceiptURL,
	}, nil
}

// signed verifies the MAC over id, time and body. There may be several, while a
// secret is replaced.
func (b *birdReceipts) signed(h http.Header, body []byte) bool {
	id, at := h.Get("Webhook-Id"), h.Get("Webhook-Timestamp")
	if id == "" || !b.o.fresh(at) {
		return false
	}
	mac := hmac.New(sha256.New, b.key)
	mac.Write([]byte(id + "." + at + "."))
	mac.Write(body)
	want := mac.Sum(nil)
	good := false
	for one := range strings.FieldsSeq(h.Get("Webhook-Signature")) {
		version, encoded, _ := strings.Cut(one, ",")
		given, err := base64.StdEncoding.DecodeString(encoded)
		good = version == "v1" && err == nil && hmac.Equal(given, want) || good
	}
	return good
}
