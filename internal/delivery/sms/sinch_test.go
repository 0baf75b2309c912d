// SPDX-License-Identifier: Apache-2.0

package sms

import (
	"net/http"
	"testing"
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
