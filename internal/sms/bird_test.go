// SPDX-License-Identifier: Apache-2.0

package sms

import (
	"net/http"
	"testing"
	"time"
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

// The example that comes with the specification of Standard Webhooks.
func TestBirdSignatureAsDocumented(t *testing.T) {
	const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	reader, err := newBirdReceipts(ReceiptOptions{Secret: secret, Now: func() time.Time { return time.Unix(1614265330, 0) }}.withDefaults())
	if err != nil {
		t.Fatal(err)
	}
	h := http.Header{}
	h.Set("Webhook-Id", "msg_p5jXN8AQM9LWM0D4loKWxJek")
	h.Set("Webhook-Timestamp", "1614265330")
	h.Set("Webhook-Signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE= v1,AAAA v2,x")
	const body = `{"test": 2432232314}`
	if !reader.signed(h, []byte(body)) {
		t.Error("the example was refused")
	}
	for name, value := range map[string]string{
		"Webhook-Id": "msg_x", "Webhook-Timestamp": "1614265331", "Webhook-Signature": "v2,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
	} {
		broken := h.Clone()
		broken.Set(name, value)
		if reader.signed(broken, []byte(body)) {
			t.Errorf("another %s passed", name)
		}
		broken.Del(name)
		if reader.signed(broken, []byte(body)) {
			t.Errorf("no %s passed", name)
		}
	}
	reader.o.Now = func() time.Time { return time.Unix(1614265330+301, 0) }
	if reader.signed(h, []byte(body)) {
		t.Error("an old one passed")
	}
	for _, bad := range []string{"whsec_", "whsec_%", "pa55word!"} {
		_, err := newBirdReceipts(ReceiptOptions{Secret: bad})
		if err == nil {
			t.Errorf("%q: got no error", bad)
		}
		wantDiscreet(t, err)
	}
}

func TestBirdReceipts(t *testing.T) {
	reader := newReader(t, "bird", ReceiptOptions{})
	wantReceipt(t, incoming{method: http.MethodPost, body: `{"type":"sms.undelivered","timestamp":"2026-05-01T11:58:00Z","data":{"sms_id":"sms_1",
		"to":"+` + number + `","metadata":{"id":"m-1","receipt_url":"` + receipt + `"},"error":{"code":"unreachable","description":"gossip"}}}`}, reader,
		Receipt{State: Undelivered, GatewayID: "sms_1", Code: "unreachable", MessageID: "m-1", ReceiptURL: receipt, At: time.Date(2026, 5, 1, 11, 58, 0, 0, time.UTC)})
	wantReceipt(t, incoming{method: http.MethodPost, body: `{"type":"sms.delivered","data":{"sms_id":"sms_1","metadata":null}}`}, reader,
		Receipt{State: Arrived, GatewayID: "sms_1"})
}
