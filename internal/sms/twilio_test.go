// SPDX-License-Identifier: Apache-2.0

package sms

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"testing"
)

func TestTwilio(t *testing.T) {
	const sid = "ACaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	refused := func(code, message string, status string) string {
		return `{"code":` + code + `,"message":"` + message + `","more_info":"https://www.twilio.com/docs/errors/` + code + `","status":` + status + `}`
	}
	p := preset{
		name: "twilio", options: PresetOptions{Account: sid, Secret: "pa55word"},
		method: http.MethodPost, path: "/2010-04-01/Accounts/" + sid + "/Messages.json",
		header: map[string]string{
			"Content-Type":  "application/x-www-form-urlencoded",
			"Authorization": "Basic " + base64.StdEncoding.EncodeToString([]byte(sid+":pa55word")),
		},
		form: url.Values{"To": {"+" + number}, "From": {"Example"}, "Body": {secret}, "StatusCallback": {receipt}},
		bare: []string{"From", "StatusCallback"},
		answers: []answered{
			{"taken", 201, `{"account_sid":"` + sid + `","body":"x","error_code":null,"num_segments":"1","sid":"SM0123456789abcdef0123456789abcdef","status":"queued","to":"+` + number + `"}`, "SM0123456789abcdef0123456789abcdef", outcome{}},
			{"taken by a service", 201, `{"sid":"SM1","status":"accepted"}`, "SM1", outcome{}},
			{"failed at once", 201, `{"sid":"SM1","status":"failed","error_code":30007}`, "", outcome{reason: ReasonRejected}},
			{"bad number", 400, refused("21211", "Invalid 'To' Phone Number: +"+number, "400"), "", outcome{reason: ReasonRejected}},
			{"unsubscribed", 400, refused("21610", "gossip", "400"), "", outcome{reason: ReasonRejected}},
			{"bad auth", 401, refused("20003", "Authenticate", "401"), "", outcome{reason: ReasonAuth, fault: true}},
			{"wrong account", 404, refused("20404", "gossip", "404"), "", outcome{reason: ReasonAnswer, fault: true}},
			{"throttled", 429, refused("20429", "Too Many Requests", "429"), "", outcome{reason: ReasonRate, again: true}},
			{"queue is full", 400, refused("21611", "gossip", "400"), "", outcome{reason: ReasonRate, again: true}},
			{"account not active", 400, refused("10001", "gossip", "400"), "", outcome{reason: ReasonCredit, fault: true}},
			{"region not enabled", 403, refused("21408", "gossip", "403"), "", outcome{reason: ReasonCredit, fault: true}},
			{"sender is not ours", 400, refused("21606", "gossip", "400"), "", outcome{reason: ReasonCredit, fault: true}},
			{"trial", 400, refused("21608", "gossip", "400"), "", outcome{reason: ReasonCredit, fault: true}},
			{"error", 500, refused("20500", "gossip", "500"), "", outcome{reason: ReasonGateway, again: true, unsure: true}},
			{"another 201", 201, `{}`, "", outcome{reason: ReasonAnswer, again: true, unsure: true, fault: true}},
		},
	}
	p.run(t)
	p.options.Extra = map[string]string{"api_key": "SK1", "messaging_service": "MG1"}
	p.header["Authorization"] = "Basic " + base64.StdEncoding.EncodeToString([]byte("SK1:pa55word"))
	p.form["MessagingServiceSid"] = []string{"MG1"}
	p.answers = p.answers[:1]
	t.Run("service", p.run)
}
