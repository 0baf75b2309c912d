// SPDX-License-Identifier: Apache-2.0

package sms

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"testing"
)

func TestVonage(t *testing.T) {
	refused := func(status string) string {
		return `{"message-count":"1","messages":[{"status":"` + status + `","error-text":"gossip about ` + number + `"}]}`
	}
	preset{
		name: "vonage", options: PresetOptions{Account: "abcd1234", Secret: "pa55word"},
		method: http.MethodPost, path: "/sms/json",
		header: map[string]string{
			"Content-Type":  "application/x-www-form-urlencoded",
			"Authorization": "Basic " + base64.StdEncoding.EncodeToString([]byte("abcd1234:pa55word")),
		},
		form: url.Values{
			"from": {"Example"}, "to": {number}, "text": {secret}, "type": {"text"}, "callback": {receipt}, "client-ref": {"m-1"},
		},
		unicode: url.Values{"type": {"unicode"}},
		bare:    []string{"from", "callback"},
		answers: []answered{
			{"taken", 200, `{"message-count":"1","messages":[{"to":"` + number + `","message-id":"0A0000000123ABCD1","status":"0","remaining-balance":"3.14","message-price":"0.03","network":"12345"}]}`, "0A0000000123ABCD1", outcome{}},
			{"throttled", 200, refused("1"), "", outcome{reason: ReasonRate, again: true}},
			{"parameter missing", 200, refused("2"), "", outcome{reason: ReasonAnswer, fault: true}},
			{"bad number", 200, refused("3"), "", outcome{reason: ReasonRejected}},
			{"bad auth", 200, refused("4"), "", outcome{reason: ReasonAuth, fault: true}},
			{"internal error", 200, refused("5"), "", outcome{reason: ReasonGateway, again: true, unsure: true}},
			{"unknown prefix", 200, refused("6"), "", outcome{reason: ReasonRejected}},
			{"number barred", 200, refused("7"), "", outcome{reason: ReasonRejected}},
			{"no credit", 200, refused("9"), "", outcome{reason: ReasonCredit, fault: true}},
			{"bad sender", 200, refused("15"), "", outcome{reason: ReasonCredit, fault: true}},
			{"bad callback", 200, refused("23"), "", outcome{reason: ReasonAnswer, fault: true}},
			{"trial", 200, refused("29"), "", outcome{reason: ReasonCredit, fault: true}},
			{"unknown status", 200, refused("99"), "", outcome{reason: ReasonAnswer, again: true, unsure: true, fault: true}},
			{"bad auth by status", 401, `{}`, "", outcome{reason: ReasonAuth, fault: true}},
			{"throttled by status", 429, ``, "", outcome{reason: ReasonRate, again: true}},
		},
	}.run(t)
}
