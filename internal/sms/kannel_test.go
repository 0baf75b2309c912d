// SPDX-License-Identifier: Apache-2.0

package sms

import (
	"net/http"
	"net/url"
	"testing"
	"time"
)

func TestKannel(t *testing.T) {
	p := preset{
		name: "kannel", options: PresetOptions{Account: "tester", Secret: "pa55{word}"},
		method: http.MethodGet, path: "/cgi-bin/sendsms",
		header: map[string]string{"Authorization": "", "Content-Type": ""},
		form: url.Values{
			"username": {"tester"}, "password": {"pa55{word}"}, "to": {"+" + number}, "from": {"Example"}, "text": {secret}, "charset": {"UTF-8"},
			"dlr-mask": {"19"}, "dlr-url": {receipt + "&state=%d&id=%I&at=%T"},
		},
		unicode: url.Values{"coding": {"2"}},
		bare:    []string{"from", "dlr-url"},
		answers: []answered{
			{"taken", 202, "0: Accepted for delivery", "", outcome{}},
			{"taken, says a 200", 200, "0: Accepted for delivery", "", outcome{}},
			{"queued", 202, "3: Queued for later delivery", "", outcome{}},
			{"immediate reply", 202, "Sent. Message splits: 2", "", outcome{}},
			{"bad auth", 403, "Authorization failed for sendsms", "", outcome{reason: ReasonAuth, fault: true}},
			{"bad number", 400, "Number(s) has/have been denied by white- and/or black-lists.", "", outcome{reason: ReasonRejected}},
			{"no receiver", 400, "Empty receiver number not allowed, rejected", "", outcome{reason: ReasonRejected}},
			{"no route", 403, "Not routable. Do not try again.", "", outcome{reason: ReasonCredit, fault: true}},
			{"no sender", 400, "Sender missing and no global set, rejected", "", outcome{reason: ReasonCredit, fault: true}},
			{"busy", 503, "Temporal failure, try again later.", "", outcome{reason: ReasonRate, again: true}},
			{"bad dlr-url", 400, "DLR-URL field misformed, rejected", "", outcome{reason: ReasonAnswer, fault: true}},
			{"error", 500, "Sending failed.", "", outcome{reason: ReasonGateway, again: true, unsure: true}},
			{"no kannel", 200, "<html>It works!</html>", "", outcome{reason: ReasonAnswer, again: true, unsure: true, fault: true}},
			{"unknown request", 404, "Unknown request.", "", outcome{reason: ReasonAnswer, fault: true}},
		},
	}
	p.run(t)
	p.options.Extra = map[string]string{"smsc": "fake{1}", "dlr_mask": "31"}
	p.form["smsc"], p.form["dlr-mask"] = []string{"fake{1}"}, []string{"31"}
	p.answers = p.answers[:1]
	t.Run("options", p.run)
}

func TestKannelReceipts(t *testing.T) {
	reader := newReader(t, "kannel", ReceiptOptions{})
	wantReceipt(t, incoming{method: http.MethodGet, query: "state=2&id=0f2d-1&at=1777636680"}, reader,
		Receipt{State: Undelivered, Code: "2", GatewayID: "0f2d-1", At: time.Date(2026, 5, 1, 11, 58, 0, 0, time.UTC)})
	for _, query := range []string{"state=", "state=x", "state=-1", "state=256", "state=1&state=2", "state=%25d", "id=1"} {
		wantRefusal(t, query, incoming{method: http.MethodGet, query: query}, reader, ErrReceipt)
	}
}
