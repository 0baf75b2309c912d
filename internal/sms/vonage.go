// SPDX-License-Identifier: Apache-2.0

package sms

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

var _ = declare("vonage", vonageRequest, func(o ReceiptOptions) (receiptFunc, error) {
	return (&vonageReceipts{o}).read, nil
}, Quirks{MaxReceiptURL: 100})

// vonageRequest describes the SMS API of Vonage (once Nexmo): Account is the API key,
// Secret the API secret.
//
// See https://developer.vonage.com/en/api/sms and, for the statuses of its
// answers, https://developer.vonage.com/en/messaging/sms/guides/troubleshooting-sms.
func vonageRequest(o PresetOptions) (HTTPConfig, error) {
	err := o.check(nil,
		requirement{"account", o.Account, nil, "the API key"},
		requirement{"secret", o.Secret, nil, "the API secret"})
	if err != nil {
		return HTTPConfig{}, err
	}
	const status = "/messages/0/status"
	return HTTPConfig{
		URL: o.base("https://rest.nexmo.com") + "/sms/json",
		Body: Body{Type: BodyForm, Fields: []Field{
			{Name: "from", Value: "{from}"},
			{Name: "to", Value: "{to}"},
			{Name: "text", Value: "{text}"},
			{Name: "type", Value: "{unicode}"},
			{Name: "callback", Value: "{receipt_url}"},
			{Name: "client-ref", Value: "{id}"},
		}},
		BasicUser: o.Account, BasicPassword: o.Secret,
		UnicodeWord: "unicode", PlainWord: "text",
		// Every answer has the status 200.
		Success:   Match{Pointer: status, Values: []string{"0"}},
		MessageID: Source{Pointer: "/messages/0/message-id"},
		Refusals: []Refusal{
			refuse(status, ReasonRate, "1", "10"),
			refuse(status, ReasonAnswer, "2", "23"), // parameters missing; callback not valid
			refuse(status, ReasonRejected, "3", "6", "7", "12", "22", "33"),
			refuse(status, ReasonAuth, "4", "11", "14", "32"),
			refuse(status, ReasonGateway, "5"),
			refuse(status, ReasonCredit, "8", "9", "15", "29"), // barred; no credit; sender; not on the list of a trial
		},
	}, nil
}

// vonageReceipts reads the delivery receipts of Vonage's SMS API, in each of the
// forms that an account can be set to: GET, POST with a form, POST with JSON.
// Secret is the account's signature secret. A receipt is signed by a token, or by
// a parameter if the account's method is SHA-256 HMAC or SHA-512 HMAC; the hashes
// that are older are refused.
//
// See https://developer.vonage.com/en/messaging/sms/guides/delivery-receipts,
// https://developer.vonage.com/en/getting-started/concepts/signing-messages (the
// parameter sig) and https://developer.vonage.com/en/getting-started/concepts/webhooks
// (the token in the header Authorization).
type vonageReceipts struct{ o ReceiptOptions }

var vonageStates = states{
	"delivered": Arrived, "expired": Undelivered, "failed": Undelivered, "rejected": Undelivered, "deleted": Undelivered,
	"accepted": Underway, "buffered": Underway,
}

// tagParameter is the caller's own parameter of receipt URLs: no vendor signs it
// among its own.
const tagParameter = "tag"

// read is a [receiptFunc].
func (v *vonageReceipts) read(r *http.Request, body []byte, _ string) (Receipt, error) {
	all, err := v.parameters(r, body)
	if err != nil {
		return Receipt{}, err
	}
	if v.o.Secret != "" && !v.byToken(r, body) && !v.byParameter(all) {
		return Receipt{}, ErrForged
	}
	values, err := single(all, "status", "messageId", "err-code", "message-timestamp", "client-ref")
	if err != nil {
		return Receipt{}, err
	}
	code := shortWord(values["err-code"])
	if code == "0" {
		code = ""
	}
	return Receipt{
		State: vonageStates.of(values["status"]), GatewayID: clean(values["messageId"]), Code: code,
		At: moment(values["message-timestamp"], "2006-01-02 15:04:05"), MessageID: clean(values["client-ref"]),
	}, nil
}

func (v *vonageReceipts) parameters(r *http.Request, body []byte) (url.Values, error) {
	if r.Method != http.MethodPost {
		return fields(r.URL.RawQuery)
	}
	if !strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
		return fields(string(body))
	}
	document, _ := decode(body)
	object, ok := document.(map[string]any)
	if !ok {
		return nil, ErrReceipt
	}
	all := url.Values{}
	for name, value := range object {
		switch x := value.(type) {
		case string:
			all.Set(name, x)
		case json.Number:
			all.Set(name, x.String())
		case nil:
		default:
			return nil, fmt.Errorf("%w: a field of it is no text", ErrReceipt)
		}
	}
	return all, nil
}

// byToken verifies a JSON Web Token (RFC 7519) that binds the body by its hash.
// Of a request without a body it binds nothing.
func (v *vonageReceipts) byToken(r *http.Request, body []byte) bool {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok || len(body) == 0 || r.Method != http.MethodPost {
		return false
	}
	var claims struct {
		IssuedAt    json.Number `json:"iat"`
		Expires     json.Number `json:"exp"`
		PayloadHash string      `json:"payload_hash"`
	}
	if !hs256(token, []byte(v.o.Secret), &claims) || !v.o.fresh(claims.IssuedAt.String()) {
		return false
	}
	if at, ok := unixTime(claims.Expires.String()); claims.Expires != "" && (!ok || v.o.Now().After(at)) {
		return false
	}
	given, err := hex.DecodeString(claims.PayloadHash)
	want := sha256.Sum256(body)
	return err == nil && hmac.Equal(given, want[:])
}

// byParameter verifies the MAC over all other parameters in order.
func (v *vonageReceipts) byParameter(all url.Values) bool {
	signature, err := once(all, "sig")
	if err != nil {
		return false
	}
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(all)) {
		value, err := once(all, name)
		if err != nil {
			return false
		}
		if name != "sig" && name != tagParameter {
			b.WriteString("&" + name + "=" + strings.NewReplacer("&", "_", "=", "_").Replace(value))
		}
	}
	given, err := hex.DecodeString(signature)
	if err != nil || !v.o.fresh(all.Get("timestamp")) {
		return false
	}
	method := map[int]func() hash.Hash{sha256.Size: sha256.New, sha512.Size: sha512.New}[len(given)]
	if method == nil {
		return false
	}
	mac := hmac.New(method, []byte(v.o.Secret))
	mac.Write([]byte(b.String()))
	return hmac.Equal(given, mac.Sum(nil))
}

// maxToken is longer than any token of a webhook.
const maxToken = 4 << 10

// hs256 verifies a token that is signed by HMAC-SHA256 (RFC 7515 §3, RFC 7518
// §3.2), and reads its claims. What the token says about its algorithm is
// compared, and never believed.
func hs256(token string, key []byte, claims any) bool {
	parts := strings.Split(token, ".")
	if len(parts) != 3 || len(token) > maxToken || len(key) == 0 {
		return false
	}
	var decoded [3][]byte
	for i, part := range parts {
		var err error
		if decoded[i], err = base64.RawURLEncoding.DecodeString(part); err != nil {
			return false
		}
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(parts[0] + "." + parts[1]))
	if !hmac.Equal(decoded[2], mac.Sum(nil)) {
		return false
	}
	var header struct {
		Algorithm string   `json:"alg"`
		Critical  []string `json:"crit"`
	}
	if json.Unmarshal(decoded[0], &header) != nil || header.Algorithm != "HS256" || len(header.Critical) > 0 {
		return false
	}
	return json.Unmarshal(decoded[1], claims) == nil
}
