// SPDX-License-Identifier: Apache-2.0

package sms

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"net/http"
	"net/url"
	"strings"
)

// vonageReceipts reads the delivery receipts of Vonage's SMS API, in each of the
// forms that an account can be set to: GET, POST with a form, POST with JSON.
//
// See https://developer.vonage.com/en/messaging/sms/guides/delivery-receipts,
// https://developer.vonage.com/en/getting-started/concepts/signing-messages (the
// parameter sig) and https://developer.vonage.com/en/getting-started/concepts/webhooks
// (the token in the header Authorization).
type vonageReceipts struct{ o ReceiptOptions }

// VonageReceipts makes a reader. Secret is the account's signature secret. A
// receipt is signed by a token, or by a parameter if the account's method is
// SHA-256 HMAC or SHA-512 HMAC; the hashes that are older are refused.
func VonageReceipts(o ReceiptOptions) (ReceiptReader, error) {
	return &vonageReceipts{o.withDefaults()}, nil
}

var vonageStates = states{
	"delivered": Arrived, "expired": Undelivered, "failed": Undelivered, "rejected": Undelivered, "deleted": Undelivered,
	"accepted": Underway, "buffered": Underway,
}

// tagParameter is the caller's own parameter of receipt URLs: no vendor signs it
// among its own.
const tagParameter = "tag"

// Read implements [ReceiptReader].
func (v *vonageReceipts) Read(r *http.Request, body []byte, _ string) (Receipt, error) {
	if err := v.o.basic(r); err != nil {
		return Receipt{}, err
	}
	all, err := v.parameters(r, body)
	if err != nil {
		return Receipt{}, err
	}
	if v.o.Secret != "" && !v.byToken(r, body) && !v.byParameter(all) {
		return Receipt{}, ErrForged
	}
	values := map[string]string{}
	for _, name := range []string{"status", "messageId", "err-code", "message-timestamp", "client-ref"} {
		if values[name], err = once(all, name); err != nil {
			return Receipt{}, err
		}
	}
	if values["status"] == "" {
		return Receipt{}, ErrReceipt
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
	for _, name := range sorted(all) {
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
