// SPDX-License-Identifier: Apache-2.0

package sms

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"strings"
)

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
