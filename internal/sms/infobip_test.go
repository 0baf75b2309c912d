// SPDX-License-Identifier: Apache-2.0

package sms

import (
	"net/http"
	"testing"
	"time"
)

func TestInfobip(t *testing.T) {
	answer := func(group, name string) string {
		return `{"bulkId":"b","messages":[{"messageId":"44886","destination":"` + number + `","status":{"groupId":1,"groupName":"` + group +
			`","id":26,"name":"` + name + `","description":"gossip"},"details":{"messageCount":1}}]}`
	}
	refused := func(code string) string {
		return `{"errorCode":"` + code + `","description":"gossip","action":"gossip","violations":[],"resources":[]}`
	}
	preset{
		name: "infobip", options: PresetOptions{Secret: "pa55word"},
		method: http.MethodPost, path: "/sms/3/messages",
		header: map[string]string{"Content-Type": "application/json", "Accept": "application/json", "Authorization": "App pa55word"},
		document: `{"messages":[{"sender":"Example","destinations":[{"to":"` + number + `"}],"content":{"text":"` + secret + `"},
			"webhooks":{"delivery":{"url":"` + receipt + `"},"callbackData":"m-1"}}]}`,
		bareDoc: `{"messages":[{"destinations":[{"to":"` + number + `"}],"content":{"text":"` + secret + `"},"webhooks":{"callbackData":"m-1"}}]}`,
		answers: []answered{
			{"taken", 200, answer("PENDING", "PENDING_ACCEPTED"), "44886", outcome{}},
			{"bad number", 200, answer("REJECTED", "REJECTED_DESTINATION"), "", outcome{reason: ReasonRejected}},
			{"undeliverable", 200, answer("UNDELIVERABLE", "UNDELIVERABLE_NOT_DELIVERED"), "", outcome{reason: ReasonRejected}},
			{"no credit", 200, answer("REJECTED", "REJECTED_NOT_ENOUGH_CREDITS"), "", outcome{reason: ReasonCredit, fault: true}},
			{"bad sender", 200, answer("REJECTED", "REJECTED_SENDER"), "", outcome{reason: ReasonCredit, fault: true}},
			{"throttled", 429, refused("E429"), "", outcome{reason: ReasonRate, again: true}},
			{"bad auth", 401, refused("E401"), "", outcome{reason: ReasonAuth, fault: true}},
			{"old bad auth", 401, `{"requestError":{"serviceException":{"messageId":"UNAUTHORIZED","text":"Invalid login details"}}}`, "", outcome{reason: ReasonAuth, fault: true}},
			{"bad request", 400, refused("E400"), "", outcome{reason: ReasonRejected}},
			{"error", 500, refused("E500"), "", outcome{reason: ReasonGateway, again: true, unsure: true}},
			{"another group", 200, answer("NEWS", "NEWS"), "", outcome{reason: ReasonAnswer, again: true, unsure: true, fault: true}},
		},
	}.run(t)
}

func TestInfobipReceipts(t *testing.T) {
	reader := newReader(t, "infobip", ReceiptOptions{})
	wantReceipt(t, incoming{method: http.MethodPost, body: `{"results":[{"bulkId":"b","messageId":"44886","to":"` + number + `","callbackData":"m-1",
		"sentAt":"2026-05-01T11:57:00.000+0000","doneAt":"2026-05-01T13:58:00.500+0200","smsCount":1,
		"status":{"groupId":2,"groupName":"UNDELIVERABLE","id":9,"name":"UNDELIVERABLE_NOT_DELIVERED","description":"gossip"},
		"error":{"groupId":1,"groupName":"HANDSET_ERRORS","id":27,"name":"EC_ABSENT_SUBSCRIBER","description":"gossip","permanent":false}}]}`}, reader,
		Receipt{State: Undelivered, GatewayID: "44886", Code: "EC_ABSENT_SUBSCRIBER", MessageID: "m-1", At: time.Date(2026, 5, 1, 11, 58, 0, 500e6, time.UTC)})
	wantReceipt(t, incoming{method: http.MethodPost, body: `{"results":[{"status":{"groupName":"DELIVERED","name":"DELIVERED_TO_OPERATOR"}}]}`}, reader, Receipt{State: Underway})
	for _, body := range []string{`{"results":[]}`, `{"results":[{},{}]}`, `{"results":[{}]}`, `x`} {
		wantRefusal(t, body, incoming{method: http.MethodPost, body: body}, reader, ErrReceipt)
	}
}
