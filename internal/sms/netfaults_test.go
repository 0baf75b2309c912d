// SPDX-License-Identifier: Apache-2.0

package sms

import (
	"fmt"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/netfaults"
)

var realFaults = map[string]string{
	"look-up is given up":                 "unreachable, it cannot be reached; tls-failed, the handshake failed!",
	"HTTP without TLS":                    "lost, the connection was lost; tls-failed, the handshake failed!",
	"TLS that is too old":                 "lost, the connection was lost; tls-failed, the handshake failed!",
	"broken pipe":                         "lost, the connection was lost; tls-failed, the handshake failed",
	"certificate for another name":        "lost, the connection was lost; tls-failed, its certificate is for another name!",
	"certificate for something else":      "lost, the connection was lost; tls-failed, its certificate is not valid!",
	"certificate has expired":             "lost, the connection was lost; tls-failed, its certificate has expired, or is not valid yet!",
	"certificate in its issuer's name":    "lost, the connection was lost; tls-failed, its certificate is of an authority that is not trusted!",
	"certificate is not valid yet":        "lost, the connection was lost; tls-failed, its certificate has expired, or is not valid yet!",
	"certificate of an unknown authority": "lost, the connection was lost; tls-failed, its certificate is of an authority that is not trusted!",
	"certificate with a critical unknown": "lost, the connection was lost; tls-failed, its certificate is not valid!",
	"closed by ourselves":                 "lost, the connection was lost; tls-failed, the handshake failed",
	"given up while dialling":             "unreachable, it cannot be reached; tls-failed, the handshake failed!",
	"handshake out of order":              "lost, the connection was lost; tls-failed, the handshake failed!",
	"hangs up before the handshake":       "lost, the connection was lost; tls-failed, the handshake failed",
	"hangs up within a record":            "lost, the connection was lost; tls-failed, the handshake failed",
	"name server is silent":               "timeout, context deadline exceeded; timeout, context deadline exceeded",
	"name server that fails":              "dns, its name does not resolve; tls-failed, the handshake failed!",
	"name that does not exist":            "dns, its name does not resolve; tls-failed, the handshake failed!",
	"no way to the host":                  "unreachable, it cannot be reached; tls-failed, the handshake failed!",
	"no way to the network":               "unreachable, it cannot be reached; tls-failed, the handshake failed!",
	"nobody answers":                      "timeout, context deadline exceeded; timeout, context deadline exceeded",
	"nobody listens":                      "refused, connection refused; tls-failed, the handshake failed!",
	"not allowed to connect":              "unreachable, it cannot be reached; tls-failed, the handshake failed!",
	"nothing in common":                   "lost, the connection was lost; tls-failed, the handshake failed!",
	"plain text":                          "lost, the connection was lost; tls-failed, the handshake failed!",
	"reset while connecting":              "unreachable, it cannot be reached; tls-failed, the handshake failed",
	"reset":                               "lost, the connection was lost; tls-failed, the handshake failed",
	"self-signed certificate":             "lost, the connection was lost; tls-failed, its certificate is of an authority that is not trusted!",
	"server wants a certificate":          "lost, the connection was lost; tls-failed, the handshake failed!",
	"silence before the handshake":        "timeout, context deadline exceeded; timeout, context deadline exceeded",
	"something else":                      "lost, the connection was lost; tls-failed, the handshake failed!",
	"too late to dial":                    "timeout, context deadline exceeded; timeout, context deadline exceeded",
	"unknown authority shows itself":      "lost, the connection was lost; tls-failed, its certificate is of an authority that is not trusted!",
}

// TestWordsForRealFaults: what connections end with, before and while a request was
// sent and in the handshake, has its word and its cause; "!" says that the operator is
// at fault.
func TestWordsForRealFaults(t *testing.T) {
	for name, err := range netfaults.Errors(t) {
		err = fmt.Errorf("wrapped: %w", err)
		inHandshake := &witness{}
		inHandshake.handshake.Store(&err)
		got := ""
		for _, w := range []*witness{{}, inHandshake} {
			e := lost(t.Context(), t.Context(), err, w)
			got += "; " + e.Reason + ", " + e.Err.Error()
			if e.Fault {
				got += "!"
			}
		}
		if got, want := got[2:], realFaults[name]; got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}
