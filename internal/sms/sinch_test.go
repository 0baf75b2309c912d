// SPDX-License-Identifier: Apache-2.0

package sms

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"testing"
	"time"
)

func TestSinch(t *testing.T) {
	refused := func(code string) string { return `{"code":"` + code + `","text":"gossip about ` + number + `"}` }
	preset{
		name: "sinch", options: PresetOptions{Account: "plan1", Secret: "pa55word"},
		method: http.MethodPost, path: "/xms/v1/plan1/batches",
		header: map[string]string{"Content-Type": "application/json", "Authorization": "Bearer pa55word"},
		document: `{"from":"Example","to":["` + number + `"],"body":"` + secret + `","type":"mt_text","delivery_report":"per_recipient_final",
			"callback_url":"` + receipt + `","client_reference":"m-1"}`,
		bareDoc: `{"to":["` + number + `"],"body":"` + secret + `","type":"mt_text","delivery_report":"per_recipient_final","client_reference":"m-1"}`,
		answers: []answered{
			{"taken", 201, `{"id":"01FC66621XXXXX119Z8PMV1QPQ","to":["` + number + `"],"from":"Example","canceled":false,"body":"x","type":"mt_text"}`, "01FC66621XXXXX119Z8PMV1QPQ", outcome{}},
			{"taken, says a 200", 200, `{"id":"01FC"}`, "01FC", outcome{}},
			{"bad number", 400, refused("syntax_invalid_parameter_format"), "", outcome{reason: ReasonRejected}},
			{"bad auth", 401, ``, "", outcome{reason: ReasonAuth, fault: true}},
			{"no credit", 402, refused("gossip"), "", outcome{reason: ReasonCredit, fault: true}},
			{"forbidden", 403, refused("gossip"), "", outcome{reason: ReasonAuth, fault: true}},
			{"throttled", 429, ``, "", outcome{reason: ReasonRate, again: true}},
			{"wrong plan", 404, ``, "", outcome{reason: ReasonAnswer, fault: true}},
			{"error", 500, ``, "", outcome{reason: ReasonGateway, again: true, unsure: true}},
			{"not a batch", 200, `<html>`, "", outcome{reason: ReasonAnswer, again: true, unsure: true, fault: true}},
		},
	}.run(t)
}

// The example of the tests of https://github.com/sinch/sinch-sdk-python.
func TestSinchSignatureAsDocumented(t *testing.T) {
	const body = `{"app_id":"01EB37HMH1M6SV18BSNS3G135H","accepted_time":"2020-11-17T15:09:11.659Z",` +
		`"project_id":"c36f3d3d-1513-2edd-ae42-11995557ff61","message_delivery_report":{"message_id":"01EQBC1A3BEK731GY4YXEN0C2R",` +
		`"conversation_id":"01EPYATA64TMNZ1FV02JKF12JF","status":"QUEUED_ON_CHANNEL","contact_id":"01EXA07N79THJ20WSN6AS30TMW"}}`
	reader := &sinchReceipts{ReceiptOptions{Secret: "foo_secret1234", Now: func() time.Time { return time.Unix(1634579353, 0) }}.withDefaults()}
	h := http.Header{}
	h.Set("X-Sinch-Webhook-Signature", "Yc+3R1pIS78xLASybulhs8BsSo9BPB3Pr92QCUoczfk=")
	h.Set("X-Sinch-Webhook-Signature-Nonce", "01FJA8B4A7BM43YGWSG9GBV067")
	h.Set("X-Sinch-Webhook-Signature-Timestamp", "1634579353")
	if !reader.signed(h, []byte(body)) {
		t.Error("the vendor's own example was refused")
	}
	if reader.signed(h, []byte(body+" ")) {
		t.Error("a changed body passed")
	}
	for _, name := range []string{"", "-Nonce", "-Timestamp"} {
		broken := h.Clone()
		broken.Set("X-Sinch-Webhook-Signature"+name, "1634579354")
		if reader.signed(broken, []byte(body)) {
			t.Errorf("another %q passed", name)
		}
		broken.Del("X-Sinch-Webhook-Signature" + name)
		if reader.signed(broken, []byte(body)) {
			t.Errorf("no %q passed", name)
		}
	}
}

func TestSinchReceipts(t *testing.T) {
	reader := newReader(t, "sinch", ReceiptOptions{Secret: "pa55word"})
	sign := func(body, at, algorithm string) incoming {
		i := incoming{method: http.MethodPost, body: body}
		i = i.with("X-Sinch-Webhook-Signature", base64.StdEncoding.EncodeToString(macOf(sha256.New, "pa55word", body+".n1."+at)))
		return i.with("X-Sinch-Webhook-Signature-Nonce", "n1").with("X-Sinch-Webhook-Signature-Timestamp", at).with("X-Sinch-Webhook-Signature-Algorithm", algorithm)
	}
	const now, algorithm = "1777636800", "HmacSHA256"
	const one = `{"at":"2026-05-01T11:58:00.123Z","batch_id":"01FC","client_reference":"m-1","code":406,"recipient":"` + number + `","status":"Failed","type":"recipient_delivery_report_sms"}`
	want := Receipt{State: Undelivered, GatewayID: "01FC", Code: "406", MessageID: "m-1", At: time.Date(2026, 5, 1, 11, 58, 0, 123e6, time.UTC)}
	wantReceipt(t, sign(one, now, algorithm), reader, want)
	const batch = `{"batch_id":"01FC","statuses":[{"code":0,"count":1,"status":"Delivered"}],"total_message_count":1,"type":"delivery_report_sms"}`
	wantReceipt(t, sign(batch, now, algorithm), reader, Receipt{State: Arrived, GatewayID: "01FC"})
	wantRefusal(t, "old", sign(one, "1777630000", algorithm), reader, ErrForged)
	wantRefusal(t, "algorithm", sign(one, now, "HmacSHA1"), reader, ErrForged)
	wantRefusal(t, "unsigned", incoming{method: http.MethodPost, body: one}, reader, ErrForged)
	for _, body := range []string{`{}`, `[]`, `{"type":"mo_text"}`, `{"type":"delivery_report_sms","statuses":[]}`, `{"type":"recipient_delivery_report_sms"}`} {
		wantRefusal(t, body, sign(body, now, algorithm), reader, ErrReceipt)
	}
}
