// SPDX-License-Identifier: Apache-2.0

package sms

import (
	"encoding/base64"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
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

// The example of https://www.twilio.com/docs/usage/security#validating-requests.
func TestTwilioSignatureAsDocumented(t *testing.T) {
	const address = "https://mycompany.com/myapp.php?foo=1&bar=2"
	form := url.Values{
		"CallSid": {"CA1234567890ABCDE"}, "Caller": {"+14158675309"}, "Digits": {"1234"}, "From": {"+14158675309"}, "To": {"+18005551212"},
	}
	reader := &twilioReceipts{ReceiptOptions{Secret: "12345"}}
	const signature = "RSOYDt4T1cUTdK1PDd93/VVr8B8="
	for u, want := range map[string]bool{
		address: true, strings.Replace(address, ".com", ".com:443", 1): true, strings.Replace(address, ".com", ".com:8443", 1): false,
		strings.Replace(address, "https", "http", 1): false, address + "&x=1": false, "": false, "%": false,
	} {
		if got := reader.signed(signature, form, u); got != want {
			t.Errorf("%s: got %t, want %t", u, got, want)
		}
	}
	for _, bad := range []string{"", "x", "SSOYDt4T1cUTdK1PDd93/VVr8B8=", signature + "=", strings.ToLower(signature)} {
		if reader.signed(bad, form, address) {
			t.Errorf("%q: it passed", bad)
		}
	}
	form.Set("Digits", "12345")
	if reader.signed(signature, form, address) {
		t.Error("a changed parameter passed")
	}
}

func TestTwilioReceipts(t *testing.T) {
	reader := newReader(t, "twilio", ReceiptOptions{Secret: "12345"})
	sign := func(i incoming) incoming {
		form, _ := url.ParseQuery(i.body)
		text := receipt
		for _, name := range slices.Sorted(maps.Keys(form)) {
			text += name + form.Get(name)
		}
		return i.with("X-Twilio-Signature", base64.StdEncoding.EncodeToString(macOf(sha1New, "12345", text)))
	}
	i := incoming{method: http.MethodPost, body: "MessageSid=SM1&MessageStatus=undelivered&ErrorCode=30005&To=%2B" + number + "&RawDlrDoneDate=2605011158"}
	wantReceipt(t, sign(i), reader, Receipt{State: Undelivered, GatewayID: "SM1", Code: "30005", At: time.Date(2026, 5, 1, 11, 58, 0, 0, time.UTC)})
	wantRefusal(t, "unsigned", i, reader, ErrForged)
	changed := sign(i)
	changed.body = strings.Replace(changed.body, "undelivered", "delivered", 1)
	wantRefusal(t, "changed", changed, reader, ErrForged)
	other := sign(i)
	other.query = "x=1"
	wantRefusal(t, "another url", other, reader, ErrForged)
	wantRefusal(t, "no state", sign(incoming{method: http.MethodPost, body: "MessageSid=SM1"}), reader, ErrReceipt)
	twice := newReader(t, "twilio", ReceiptOptions{})
	wantRefusal(t, "twice", incoming{method: http.MethodPost, body: "MessageStatus=sent&MessageStatus=delivered"}, twice, ErrReceipt)
}

// TestTwilioSignsSortedValues, each once, and no address that is none.
func TestTwilioSignsSortedValues(t *testing.T) {
	reader := &twilioReceipts{ReceiptOptions{Secret: "12345"}}
	signature := base64.StdEncoding.EncodeToString(macOf(sha1New, "12345", receipt+"A1A2B3"))
	for address, want := range map[string]bool{receipt: true, "https://%zz/": false} {
		if got := reader.signed(signature, url.Values{"B": {"3"}, "A": {"2", "1", "2"}}, address); got != want {
			t.Errorf("%s: got %t", address, got)
		}
	}
}
