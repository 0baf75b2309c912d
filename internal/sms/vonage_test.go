// SPDX-License-Identifier: Apache-2.0

package sms

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"hash"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
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
		for _, name := range slices.Sorted(maps.Keys(v)) {
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

// TestTokensEndWhenTheySay, and bind nothing where there is nothing to bind.
func TestTokensEndWhenTheySay(t *testing.T) {
	const body = `{"status":"failed"}`
	reader := newReader(t, "vonage", ReceiptOptions{Secret: "pa55word"})
	by := func(body, more string) incoming {
		sum := sha256.Sum256([]byte(body))
		claims := `{"iat":1777636800,"payload_hash":"` + hex.EncodeToString(sum[:]) + `"` + more + `}`
		return incoming{method: http.MethodPost, body: body, header: map[string]string{"Authorization": "Bearer " + token(`{"alg":"HS256"}`, claims, "pa55word")}}
	}
	for exp, good := range map[string]bool{"1777636799": false, "1777636800": true, "0": false, "-1": false, "1777636800.5": false} {
		i := by(body, `,"exp":`+exp).with("Content-Type", "application/json")
		if _, err := i.read(t, reader); (err == nil) != good || !good && !errors.Is(err, ErrForged) {
			t.Errorf("a token until %s: %v", exp, err)
		}
	}
	wantRefusal(t, "nothing", by("", ""), reader, ErrForged)
}
