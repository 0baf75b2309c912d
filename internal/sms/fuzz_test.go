// SPDX-License-Identifier: Apache-2.0

package sms

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"
	"testing"
)

// FuzzTemplate looks whether a message can be more than a value: whatever it
// holds, the request has the parts that were configured, and the value is one
// of them.
func FuzzTemplate(f *testing.F) {
	for _, text := range []string{"{text}", "a{to}b", "{", "{{text}}", "{receipt_url}&state=%d", "{env.x}", "&x={from}"} {
		f.Add(text, "Example", "code 123456")
		f.Add(text, `x&to=1","to":"1`, "a\r\nb: c\x00\"},{'\\é😀%26+{to}")
	}
	f.Fuzz(func(t *testing.T, text, from, body string) {
		parsed, err := parseTemplate(text)
		if err != nil {
			return
		}
		v := valuesOf(Message{To: number, From: from, Text: body, ID: "m", ReceiptURL: receipt}, "2", "")
		want := parsed.plain(v)
		fields := []Field{{Name: "first", Value: "1"}, {Name: "value", Value: text}, {Name: "last", Value: "{to}"}}
		d, err := describe(HTTPConfig{URL: "https://example.com/{to}?a=b&q={text}", Body: Body{Fields: fields}})
		if err != nil {
			t.Fatal(err)
		}
		encoded := d.body(v)
		expected := url.Values{"first": {"1"}, "value": {want}, "last": {number}}
		if parsed.omitted(v) {
			expected.Del("value")
		}
		if got, err := url.ParseQuery(string(encoded)); err != nil || !reflect.DeepEqual(got, expected) {
			t.Fatalf("form %q: got %v, %v, want %v", encoded, got, err, expected)
		}
		u, err := d.url.expand(v, nil)
		if err != nil {
			t.Fatal(err)
		}
		query := url.Values{"a": {"b"}, "q": {body}}
		if body == "" {
			query.Del("q")
		}
		if got, err := url.ParseQuery(u.RawQuery); err != nil || !reflect.DeepEqual(got, query) || u.Host != "example.com" || u.Path != "/"+number {
			t.Fatalf("url %s: got %v, %v, want %v", u, got, err, query)
		}
		d, err = describe(HTTPConfig{URL: "https://example.com/", Body: Body{Type: BodyJSON, Fields: fields}})
		if err != nil {
			t.Fatal(err)
		}
		encoded = d.body(v)
		object := map[string]string{}
		for name := range expected {
			// JSON has no way to carry what is not UTF-8.
			object[name] = string([]rune(expected.Get(name)))
		}
		var got map[string]string
		if err := json.Unmarshal(encoded, &got); err != nil || !reflect.DeepEqual(got, object) {
			t.Fatalf("json %s: got %v, %v, want %v", encoded, got, err, object)
		}
	})
}

// FuzzURL looks whether a value can change where a request goes.
func FuzzURL(f *testing.F) {
	f.Add("https://example.com/a/{from}/b?x={text}", "../../x", "a&b=c#d")
	f.Add("http://127.0.0.1:1/{to}{from}", "?x=y", "")
	f.Add("https://{to}/", "", "")
	f.Fuzz(func(t *testing.T, text, from, body string) {
		parsed, err := parseURL(text)
		if err != nil {
			return
		}
		plain, err := parsed.expand(valuesOf(Message{To: "1", From: "x", Text: "x", ID: "x", ReceiptURL: "x"}, "x", "x"), nil)
		if err != nil {
			return
		}
		got, err := parsed.expand(valuesOf(Message{To: "1", From: from, Text: body, ID: "x", ReceiptURL: "x"}, "x", "x"), nil)
		if err != nil {
			return
		}
		segments := func(u *url.URL) int { return strings.Count(u.EscapedPath(), "/") }
		if got.Host != plain.Host || got.Scheme != plain.Scheme || got.Fragment != "" || got.User != nil || segments(got) != segments(plain) {
			t.Fatalf("%s: got %s instead of %s", text, got, plain)
		}
	})
}

// FuzzPointer looks whether a pointer that is written by its rules finds what
// it was made for, and whether any other does no harm.
func FuzzPointer(f *testing.F) {
	for _, text := range []string{"", "/a", "/a/0", "/~0~1", "/~", "a", "/m~0n", "//"} {
		f.Add(text, "a/b", `{"a":[1,"x"],"m~n":true}`)
	}
	f.Fuzz(func(t *testing.T, text, name, body string) {
		if document, ok := decode([]byte(body)); ok {
			if p, err := parsePointer(text); err == nil {
				_, _ = p.text(document)
			}
		}
		escaped := strings.ReplaceAll(strings.ReplaceAll(name, "~", "~0"), "/", "~1")
		p, err := parsePointer("/x/0/" + escaped)
		if err != nil {
			t.Fatal(err)
		}
		document := map[string]any{"x": []any{map[string]any{name: "found"}}}
		if got, ok := p.text(document); !ok || got != "found" {
			t.Fatalf("%q: got %q", escaped, got)
		}
	})
}

// FuzzReceipts feeds readers with whatever the internet sends: they refuse it
// with one of their two errors, and never say what is not signed.
func FuzzReceipts(f *testing.F) {
	f.Add("POST", "", "application/x-www-form-urlencoded", "MessageStatus=delivered&MessageSid=SM1", "x")
	f.Add("POST", "", "application/json", `{"results":[{"status":{"groupName":"DELIVERED"}}]}`, "Bearer a.b.c")
	f.Add("POST", "", "application/json", `{"type":"sms.delivered","data":{"metadata":{}}}`, "v1,AAAA")
	f.Add("POST", "", "application/json", `{"type":"delivery_report_sms","statuses":[{"status":"Delivered","code":1e400}]}`, "")
	f.Add("GET", "state=1&id=x&at=99999999999", "", "", "")
	f.Add("GET", "status=delivered&sig=00&timestamp=1777636800", "", "", "")
	f.Fuzz(func(t *testing.T, method, query, kind, body, signature string) {
		if method != http.MethodGet && method != http.MethodPost {
			return
		}
		r := httptest.NewRequestWithContext(t.Context(), method, receipt, nil)
		r.URL.RawQuery = query
		for _, name := range []string{"Authorization", "X-Twilio-Signature", "Webhook-Signature", "X-Sinch-Webhook-Signature"} {
			r.Header.Set(name, signature)
		}
		r.Header.Set("Content-Type", kind)
		r.Header.Set("Webhook-Id", signature)
		for _, name := range []string{"Webhook-Timestamp", "X-Sinch-Webhook-Signature-Timestamp", "X-Sinch-Webhook-Signature-Nonce"} {
			r.Header.Set(name, "1777636800")
		}
		for name, vendor := range Vendors {
			for _, secret := range []string{"", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"} {
				reader, err := vendor.Receipts(ReceiptOptions{Secret: secret, Now: clock})
				if err != nil {
					continue
				}
				got, err := reader.Read(r, []byte(body), receipt)
				switch {
				case err == nil && secret != "":
					t.Fatalf("%s: %+v passed unsigned", name, got)
				case err != nil && !errors.Is(err, ErrForged) && !errors.Is(err, ErrReceipt):
					t.Fatalf("%s: got %v", name, err)
				case strings.ContainsAny(got.GatewayID+got.Code+got.MessageID, "\r\n\x00"):
					t.Fatalf("%s: got %+q", name, got)
				}
			}
		}
	})
}
