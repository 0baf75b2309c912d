// SPDX-License-Identifier: Apache-2.0

package sms

import (
	"net/http"
	"testing"
)

func TestBird(t *testing.T) {
	refused := func(kind, name string) string {
		return `{"error":{"code":"E10001","type":"` + kind + `","name":"` + name + `","message":"gossip about ` + number + `","doc_url":"https://bird.com/docs","request_id":"req_1"}}`
	}
	preset{
		name: "bird", options: PresetOptions{Secret: "bk_eu1_pa55word"},
		method: http.MethodPost, path: "/v1/sms/messages",
		header: map[string]string{"Content-Type": "application/json", "Authorization": "Bearer bk_eu1_pa55word", "Idempotency-Key": "m-1"},
		document: `{"to":"+` + number + `","from":"Example","text":"` + secret + `","category":"authentication",
			"metadata":{"id":"m-1","receipt_url":"` + receipt + `"}}`,
		bareDoc: `{"to":"+` + number + `","text":"` + secret + `","category":"authentication","metadata":{"id":"m-1"}}`,
		answers: []answered{
			{"taken", 202, `{"id":"sms_01","status":"accepted","to":"+` + number + `","from":"Example","text":"x","segments":{"count":1,"encoding":"GSM_7BIT"}}`, "sms_01", outcome{}},
			{"rejected at once", 202, `{"id":"sms_01","status":"rejected"}`, "", outcome{reason: ReasonRejected}},
			{"bad number", 422, refused("validation_error", "ValidationFailed"), "", outcome{reason: ReasonRejected}},
			{"bad sender", 422, refused("validation_error", "SMSNoEligibleSender"), "", outcome{reason: ReasonCredit, fault: true}},
			{"bad auth", 401, refused("auth_error", "InvalidAPIKey"), "", outcome{reason: ReasonAuth, fault: true}},
			{"forbidden", 403, refused("permission_error", "Forbidden"), "", outcome{reason: ReasonAuth, fault: true}},
			{"no credit", 402, refused("billing_error", "InsufficientBalance"), "", outcome{reason: ReasonCredit, fault: true}},
			{"throttled", 429, refused("rate_limit_error", "TooManyRequests"), "", outcome{reason: ReasonRate, again: true}},
			{"another region", 421, refused("misdirected_error", "Misdirected"), "", outcome{reason: ReasonAnswer, fault: true}},
			{"error", 500, refused("internal_error", "Internal"), "", outcome{reason: ReasonGateway, again: true, unsure: true}},
		},
	}.run(t)
}
