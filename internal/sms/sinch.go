// SPDX-License-Identifier: Apache-2.0

package sms

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"time"
)

var _ = declare("sinch", sinchRequest, func(o ReceiptOptions) (receiptFunc, error) {
	return (&sinchReceipts{o}).read, nil
}, Quirks{})

// sinchRequest describes the batches of Sinch's SMS API: Account is the service plan,
// Secret its API token. URL is that of a region other than the United States,
// like https://eu.sms.api.sinch.com.
//
// See https://developers.sinch.com/docs/sms/api-reference/sms/batches/sendsms and
// https://developers.sinch.com/docs/sms/api-reference/status-codes.
func sinchRequest(o PresetOptions) (HTTPConfig, error) {
	err := o.check(nil,
		requirement{"account", o.Account, plainWord, "the id of the service plan"},
		requirement{"secret", o.Secret, nil, "the API token"})
	if err != nil {
		return HTTPConfig{}, err
	}
	return HTTPConfig{
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

// sinchReceipts reads the delivery reports of Sinch's SMS API. Secret is that of
// the HMAC which is configured for the service plan.
//
// See https://developers.sinch.com/docs/sms/api-reference/sms/webhooks and, for the
// signature, https://github.com/sinch/sinch-sdk-python (sms_sinch_event).
type sinchReceipts struct{ o ReceiptOptions }

var sinchStates = states{
	"delivered": Arrived, "aborted": Undelivered, "cancelled": Undelivered, "failed": Undelivered, "expired": Undelivered,
	"rejected": Undelivered, "deleted": Undelivered, "queued": Underway, "dispatched": Underway,
}

// sinchReport is a report about one recipient, or about a batch of one.
type sinchReport struct {
	Type      string      `json:"type"`
	BatchID   string      `json:"batch_id"`
	Reference string      `json:"client_reference"`
	Status    string      `json:"status"`
	Code      json.Number `json:"code"`
	At        string      `json:"at"`
	Statuses  []struct {
		Status string      `json:"status"`
		Code   json.Number `json:"code"`
	} `json:"statuses"`
}

// read is a [receiptFunc].
func (s *sinchReceipts) read(r *http.Request, body []byte, _ string) (Receipt, error) {
	if s.o.Secret != "" && !s.signed(r.Header, body) {
		return Receipt{}, ErrForged
	}
	var report sinchReport
	if json.Unmarshal(body, &report) != nil {
		return Receipt{}, ErrReceipt
	}
	switch report.Type {
	case "recipient_delivery_report_sms":
	case "delivery_report_sms":
		if len(report.Statuses) != 1 { // each batch of ours has one recipient
			return Receipt{}, ErrReceipt
		}
		report.Status, report.Code = report.Statuses[0].Status, report.Statuses[0].Code
	default:
		return Receipt{}, ErrReceipt
	}
	if report.Status == "" {
		return Receipt{}, ErrReceipt
	}
	code := shortWord(report.Code.String())
	if code == "0" {
		code = ""
	}
	return Receipt{
		State: sinchStates.of(report.Status), GatewayID: clean(report.BatchID), Code: code, At: moment(report.At, time.RFC3339),
		MessageID: clean(report.Reference),
	}, nil
}

// signed verifies the MAC over body, nonce and time.
func (s *sinchReceipts) signed(h http.Header, body []byte) bool {
	const prefix = "X-Sinch-Webhook-Signature"
	nonce, at := h.Get(prefix+"-Nonce"), h.Get(prefix+"-Timestamp")
	if algorithm := h.Get(prefix + "-Algorithm"); algorithm != "" && !strings.EqualFold(algorithm, "HmacSHA256") {
		return false
	}
	given, err := base64.StdEncoding.DecodeString(h.Get(prefix))
	if err != nil || nonce == "" || !s.o.fresh(at) {
		return false
	}
	mac := hmac.New(sha256.New, []byte(s.o.Secret))
	mac.Write(body)
	mac.Write([]byte("." + nonce + "." + at))
	return hmac.Equal(given, mac.Sum(nil))
}
