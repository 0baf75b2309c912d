// SPDX-License-Identifier: Apache-2.0

package sms

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"hash"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

func macOf(method func() hash.Hash, key, text string) []byte {
	mac := hmac.New(method, []byte(key))
	mac.Write([]byte(text))
	return mac.Sum(nil)
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
		for _, name := range sorted(form) {
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

// token makes a JSON Web Token.
func token(header, claims, key string) string {
	text := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString([]byte(claims))
	return text + "." + base64.RawURLEncoding.EncodeToString(macOf(sha256.New, key, text))
}

func TestVonageReceiptsByToken(t *testing.T) {
	reader := newReader(t, "vonage", ReceiptOptions{Secret: "pa55word"})
	const body = `{"msisdn":"` + number + `","to":"Example","messageId":"0A1","price":"0.03","status":"failed","err-code":"5","message-timestamp":"2026-05-01 11:58:00","client-ref":"m-1"}`
	sum := sha256.Sum256([]byte(body))
	hash := hex.EncodeToString(sum[:])
	claims := func(iat, hash, more string) string {
		return `{"iat":` + iat + `,"jti":"x","iss":"Vonage","payload_hash":"` + hash + `","api_key":"a1"` + more + `}`
	}
	const head, now = `{"typ":"JWT","alg":"HS256"}`, "1777636800"
	i := incoming{method: http.MethodPost, body: body, header: map[string]string{"Content-Type": "application/json; charset=UTF-8"}}
	by := func(token string) incoming { return i.with("Authorization", "Bearer "+token) }
	want := Receipt{State: Undelivered, GatewayID: "0A1", Code: "5", MessageID: "m-1", At: time.Date(2026, 5, 1, 11, 58, 0, 0, time.UTC)}
	wantReceipt(t, by(token(head, claims(now, hash, ""), "pa55word")), reader, want)
	wantReceipt(t, by(token(head, claims(now, hash, `,"exp":1777636801`), "pa55word")), reader, want)
	good := token(head, claims(now, hash, ""), "pa55word")
	for name, bad := range map[string]string{
		"no token": "", "not one": "x", "two parts": good[:strings.LastIndex(good, ".")], "four parts": good + ".x", "cut": good[:len(good)-2],
		"other key":   token(head, claims(now, hash, ""), "other"),
		"none":        token(`{"alg":"none"}`, claims(now, hash, ""), "pa55word"),
		"HS512":       token(`{"alg":"HS512"}`, claims(now, hash, ""), "pa55word"),
		"critical":    token(`{"alg":"HS256","crit":["exp"]}`, claims(now, hash, ""), "pa55word"),
		"old":         token(head, claims("1777636000", hash, ""), "pa55word"),
		"ahead":       token(head, claims("1777640000", hash, ""), "pa55word"),
		"expired":     token(head, claims(now, hash, `,"exp":1777636799`), "pa55word"),
		"other body":  token(head, claims(now, strings.Repeat("0", 64), ""), "pa55word"),
		"no hash":     token(head, claims(now, "", ""), "pa55word"),
		"no iat":      token(head, `{"payload_hash":"`+hash+`"}`, "pa55word"),
		"long":        token(head, claims(now, hash, `,"x":"`+strings.Repeat("x", maxToken)+`"`), "pa55word"),
		"not json":    token(head, "x", "pa55word"),
		"header text": token("x", claims(now, hash, ""), "pa55word"),
	} {
		wantRefusal(t, name, by(bad), reader, ErrForged)
	}
	wantRefusal(t, "another scheme", i.with("Authorization", good), reader, ErrForged)
	// A token is about a body: it must not vouch for a query.
	get := by(good)
	get.method, get.query = http.MethodGet, "status=delivered"
	wantRefusal(t, "query", get, reader, ErrForged)
}

func TestVonageReceiptsByParameter(t *testing.T) {
	reader := newReader(t, "vonage", ReceiptOptions{Secret: "pa55word"})
	sign := func(method func() hash.Hash, v url.Values) url.Values {
		text := ""
		for _, name := range sorted(v) {
			text += "&" + name + "=" + strings.NewReplacer("&", "_", "=", "_").Replace(v.Get(name))
		}
		v.Set("sig", strings.ToUpper(hex.EncodeToString(macOf(method, "pa55word", text))))
		return v
	}
	fresh := func() url.Values {
		return url.Values{"status": {"delivered"}, "messageId": {"0A1"}, "err-code": {"0"}, "nonce": {"a&b=c"}, "timestamp": {"1777636800"}, "client-ref": {"m-1"}}
	}
	want := Receipt{State: Arrived, GatewayID: "0A1", MessageID: "m-1"}
	for _, method := range []func() hash.Hash{sha256.New, sha512.New} {
		wantReceipt(t, incoming{method: http.MethodPost, body: sign(method, fresh()).Encode()}, reader, want)
		// The tag that is ours is not among what the vendor has signed.
		wantReceipt(t, incoming{method: http.MethodGet, query: sign(method, fresh()).Encode()}, reader, want)
	}
	wantRefusal(t, "SHA-1", incoming{method: http.MethodPost, body: sign(sha1New, fresh()).Encode()}, reader, ErrForged)
	wantRefusal(t, "unsigned", incoming{method: http.MethodPost, body: fresh().Encode()}, reader, ErrForged)
	changed := sign(sha256.New, fresh())
	changed.Set("status", "failed")
	wantRefusal(t, "changed", incoming{method: http.MethodPost, body: changed.Encode()}, reader, ErrForged)
	more := sign(sha256.New, fresh())
	more.Add("status", "failed")
	wantRefusal(t, "twice", incoming{method: http.MethodPost, body: more.Encode()}, reader, ErrForged)
	old := fresh()
	old.Set("timestamp", "1777630000")
	wantRefusal(t, "old", incoming{method: http.MethodPost, body: sign(sha256.New, old).Encode()}, reader, ErrForged)
	open := newReader(t, "vonage", ReceiptOptions{})
	jsonType := map[string]string{"Content-Type": "application/json"}
	for _, body := range []string{"[]", "{", `{"status":["x"]}`, `{"status":null}`, `{}`} {
		wantRefusal(t, body, incoming{method: http.MethodPost, body: body, header: jsonType}, open, ErrReceipt)
	}
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

// The example that comes with the specification of Standard Webhooks.
func TestBirdSignatureAsDocumented(t *testing.T) {
	const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	made, err := BirdReceipts(ReceiptOptions{Secret: secret, Now: func() time.Time { return time.Unix(1614265330, 0) }})
	if err != nil {
		t.Fatal(err)
	}
	reader, _ := made.(*birdReceipts)
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
		_, err := BirdReceipts(ReceiptOptions{Secret: bad})
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

func TestKannelReceipts(t *testing.T) {
	reader := newReader(t, "kannel", ReceiptOptions{})
	wantReceipt(t, incoming{method: http.MethodGet, query: "state=2&id=0f2d-1&at=1777636680"}, reader,
		Receipt{State: Undelivered, Code: "2", GatewayID: "0f2d-1", At: time.Date(2026, 5, 1, 11, 58, 0, 0, time.UTC)})
	for _, query := range []string{"state=", "state=x", "state=-1", "state=256", "state=1&state=2", "state=%25d", "id=1"} {
		wantRefusal(t, query, incoming{method: http.MethodGet, query: query}, reader, ErrReceipt)
	}
}

func TestDescribedReceipts(t *testing.T) {
	words := ReceiptConfig{Arrived: []string{"ok", "1"}, Undelivered: []string{"bad"}, Underway: []string{"wait"}}
	byQuery, byPointer := words, words
	byQuery.State, byQuery.ID, byQuery.Code = Place{Parameter: "s"}, Place{Parameter: "id"}, Place{Parameter: "why"}
	byPointer.State, byPointer.ID = Place{Pointer: "/a/0/s"}, Place{Pointer: "/id"}
	build := func(cfg ReceiptConfig, o ReceiptOptions) ReceiptReader {
		t.Helper()
		reader, err := NewReceipts(cfg, o)
		if err != nil {
			t.Fatal(err)
		}
		return reader
	}
	reader := build(byQuery, ReceiptOptions{})
	for word, want := range map[string]ReceiptState{"ok": Arrived, "1": Arrived, "bad": Undelivered, "wait": Underway, "OK": Unknown, "x": Unknown} {
		wantReceipt(t, incoming{method: http.MethodGet, query: "s=" + word + "&id=7&why=E+1"}, reader, Receipt{State: want, GatewayID: "7", Code: "E 1"})
	}
	form := map[string]string{"Content-Type": "application/x-www-form-urlencoded"}
	wantReceipt(t, incoming{method: http.MethodPost, body: "s=ok", header: form}, reader, Receipt{State: Arrived})
	wantRefusal(t, "query and form", incoming{method: http.MethodPost, query: "s=bad", body: "s=ok", header: form}, reader, ErrReceipt)
	wantRefusal(t, "no state", incoming{method: http.MethodGet, query: "id=1"}, reader, ErrReceipt)
	wantReceipt(t, incoming{method: http.MethodPost, body: `{"a":[{"s":1}],"id":"x"}`}, build(byPointer, ReceiptOptions{}), Receipt{State: Arrived, GatewayID: "x"})

	byPointer.SignatureHeader, byQuery.SignatureHeader = "X-Sig", "X-Sig"
	reader = build(byPointer, ReceiptOptions{Secret: "pa55word"})
	const body = `{"a":[{"s":"bad"}]}`
	mac := macOf(sha256.New, "pa55word", body)
	i := incoming{method: http.MethodPost, body: body}
	for _, good := range []string{hex.EncodeToString(mac), "sha256=" + hex.EncodeToString(mac), base64.StdEncoding.EncodeToString(mac)} {
		wantReceipt(t, i.with("X-Sig", good), reader, Receipt{State: Undelivered})
	}
	for _, bad := range []string{"", "x", hex.EncodeToString(mac[:31]), hex.EncodeToString(macOf(sha256.New, "x", body))} {
		wantRefusal(t, bad, i.with("X-Sig", bad), reader, ErrForged)
	}
	// A signature over the body says nothing about the query.
	reader = build(byQuery, ReceiptOptions{Secret: "pa55word"})
	i.query = "s=ok"
	wantRefusal(t, "query", i.with("X-Sig", hex.EncodeToString(mac)), reader, ErrReceipt)
	empty := incoming{method: http.MethodGet, query: "s=ok"}
	wantRefusal(t, "empty", empty.with("X-Sig", hex.EncodeToString(macOf(sha256.New, "pa55word", ""))), reader, ErrForged)

	for name, cfg := range map[string]ReceiptConfig{
		"no state":   {Arrived: []string{"1"}},
		"no words":   {State: Place{Parameter: "s"}},
		"two places": {State: Place{Parameter: "s", Pointer: "/s"}, Arrived: []string{"1"}},
		"pointer":    {State: Place{Pointer: "s"}, Arrived: []string{"1"}},
		"word twice": {State: Place{Parameter: "s"}, Arrived: []string{"1"}, Undelivered: []string{"1"}},
		"no secret":  {State: Place{Parameter: "s"}, Arrived: []string{"1"}, SignatureHeader: "X"},
	} {
		if _, err := NewReceipts(cfg, ReceiptOptions{}); err == nil {
			t.Errorf("%s: got no error", name)
		}
	}
}

// What a gateway writes does not come back longer or odder than it may.
func TestReceiptsKeepWordsOnly(t *testing.T) {
	reader := newReader(t, "twilio", ReceiptOptions{})
	form := url.Values{"MessageStatus": {"failed"}, "MessageSid": {"a\nb"}, "ErrorCode": {strings.Repeat("9", 65)}, "RawDlrDoneDate": {"yesterday"}}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, receipt, nil)
	got, err := reader.Read(r, []byte(form.Encode()), receipt)
	if err != nil || got != (Receipt{State: Undelivered}) {
		t.Errorf("got %+v, %v", got, err)
	}
}
