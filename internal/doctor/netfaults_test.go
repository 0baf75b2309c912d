// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"fmt"
	"regexp"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/netfaults"
)

var realFaults = map[string]string{
	"look-up is given up":                 "timeout, ",
	"HTTP without TLS":                    "tls_not_spoken, ",
	"TLS that is too old":                 "tls_failed, protocol version not supported",
	"broken pipe":                         "connection_lost, ",
	"certificate for another name":        "cert_wrong_name, it is for other.example",
	"certificate for something else":      "tls_failed, x509: certificate specifies an incompatible key usage",
	"certificate has expired":             "cert_expired, it is valid from DATE to DATE",
	"certificate in its issuer's name":    "cert_unknown_authority, its issuer is CN=leaf",
	"certificate is not valid yet":        "cert_expired, it is valid from DATE to DATE",
	"certificate of an unknown authority": "cert_unknown_authority, its issuer is CN=Private Root",
	"certificate with a critical unknown": "tls_failed, x509: unhandled critical extension",
	"closed by ourselves":                 "connection_lost, ",
	"given up while dialling":             "timeout, ",
	"handshake out of order":              "tls_failed, received unexpected handshake message of type *tls.serverHelloDoneMsg when waiting for *tls.serverHelloMsg",
	"hangs up before the handshake":       "connection_lost, ",
	"hangs up within a record":            "connection_lost, ",
	"name server is silent":               "timeout, ",
	"name server that fails":              "name_unknown, server misbehaving",
	"name that does not exist":            "name_unknown, it does not exist",
	"no way to the host":                  "unreachable, no route to host",
	"no way to the network":               "unreachable, network is unreachable",
	"nobody answers":                      "timeout, ",
	"nobody listens":                      "connection_refused, ",
	"not allowed to connect":              "unreachable, permission denied",
	"nothing in common":                   "tls_failed, handshake failure",
	"plain text":                          "tls_not_spoken, ",
	"reset while connecting":              "connection_lost, ",
	"reset":                               "connection_lost, ",
	"self-signed certificate":             "cert_self_signed, ",
	"server wants a certificate":          "tls_failed, handshake failure",
	"silence before the handshake":        "timeout, ",
	"something else":                      "connection_lost, malformed answer?",
	"too late to dial":                    "timeout, ",
	"unknown authority shows itself":      "cert_unknown_authority, its issuer is CN=Private Root",
}

// TestCodesOfRealFaults: what connections end with has its code, and what is said
// beside it. "?" marks what is none of the network or of TLS.
func TestCodesOfRealFaults(t *testing.T) {
	date := regexp.MustCompile(`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d`)
	for name, err := range netfaults.Errors(t) {
		f, known := faultOf(fmt.Errorf("wrapped: %w", err))
		got := f.code + ", " + date.ReplaceAllString(f.detail, "DATE")
		if !known {
			got += "?"
		}
		if want := realFaults[name]; got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}
