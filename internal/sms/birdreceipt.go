// SPDX-License-Identifier: Apache-2.0

package sms

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"
)

// birdReceipts reads the events of Bird's webhooks, which are signed as Standard
// Webhooks: https://www.standardwebhooks.com.
//
// See https://bird.com/docs and the events sms.… of https://github.com/messagebird/bird-sdk-go.
type birdReceipts struct {
	o   ReceiptOptions
	key []byte
}

// BirdReceipts makes a reader. Secret is what Bird has shown once, when the
// webhook was made: whsec_….
func BirdReceipts(o ReceiptOptions) (ReceiptReader, error) {
	b := &birdReceipts{o: o.withDefaults()}
	if o.Secret != "" {
		key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(o.Secret, "whsec_"))
		if err != nil || len(key) == 0 {
			return nil, errors.New("secret: must be that of a webhook of Bird: whsec_ and Base64")
		}
		b.key = key
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

// Read implements [ReceiptReader].
func (b *birdReceipts) Read(r *http.Request, body []byte, _ string) (Receipt, error) {
	if err := b.o.basic(r); err != nil {
		return Receipt{}, err
	}
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
