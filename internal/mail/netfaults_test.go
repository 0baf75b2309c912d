// SPDX-License-Identifier: Apache-2.0

package mail

import (
	"fmt"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/netfaults"
)

var realFaults = map[string]string{
	"look-up is given up":                 "unreachable/tls-failed!/lost!/lost",
	"HTTP without TLS":                    "tls-not-spoken/tls-not-spoken!/tls-not-spoken!/lost",
	"TLS that is too old":                 "tls-version/tls-version!/tls-version!/lost",
	"broken pipe":                         "unreachable/lost/lost/lost",
	"certificate for another name":        "cert-wrong-name/cert-wrong-name!/cert-wrong-name!/lost",
	"certificate for something else":      "cert-invalid/cert-invalid!/cert-invalid!/lost",
	"certificate has expired":             "cert-expired/cert-expired!/cert-expired!/lost",
	"certificate in its issuer's name":    "cert-unknown-authority/cert-unknown-authority!/cert-unknown-authority!/lost",
	"certificate is not valid yet":        "cert-not-yet-valid/cert-not-yet-valid!/cert-not-yet-valid!/lost",
	"certificate of an unknown authority": "cert-unknown-authority/cert-unknown-authority!/cert-unknown-authority!/lost",
	"certificate with a critical unknown": "cert-invalid/cert-invalid!/cert-invalid!/lost",
	"closed by ourselves":                 "unreachable/lost/lost/lost",
	"given up while dialling":             "unreachable/tls-failed!/lost!/lost",
	"handshake out of order":              "unreachable/tls-failed!/lost!/lost",
	"hangs up before the handshake":       "unreachable/lost/lost/lost",
	"hangs up within a record":            "unreachable/lost/lost/lost",
	"name server is silent":               "timeout/timeout/timeout/timeout",
	"name server that fails":              "dns/dns!/dns!/lost",
	"name that does not exist":            "dns/dns!/dns!/lost",
	"no way to the host":                  "unreachable/tls-failed!/lost!/lost",
	"no way to the network":               "unreachable/tls-failed!/lost!/lost",
	"nobody answers":                      "timeout/timeout/timeout/timeout",
	"nobody listens":                      "refused/refused!/refused!/lost",
	"not allowed to connect":              "unreachable/tls-failed!/lost!/lost",
	"nothing in common":                   "tls-failed/tls-failed!/tls-failed!/lost",
	"plain text":                          "tls-not-spoken/tls-not-spoken!/tls-not-spoken!/lost",
	"reset while connecting":              "unreachable/lost/lost/lost",
	"reset":                               "unreachable/lost/lost/lost",
	"self-signed certificate":             "cert-self-signed/cert-self-signed!/cert-self-signed!/lost",
	"server wants a certificate":          "tls-failed/tls-failed!/tls-failed!/lost",
	"silence before the handshake":        "timeout/timeout/timeout/timeout",
	"something else":                      "unreachable/tls-failed!/lost!/lost",
	"too late to dial":                    "timeout/timeout/timeout/timeout",
	"unknown authority shows itself":      "cert-unknown-authority/cert-unknown-authority!/cert-unknown-authority!/lost",
}

// TestWordsForRealFaults: what connections end with has its word at each stage; "!"
// says that the operator is at fault.
func TestWordsForRealFaults(t *testing.T) {
	for name, err := range netfaults.Errors(t) {
		got := ""
		for _, stage := range []string{"dial", "tls", "auth", "mail"} {
			e := failure(t.Context(), stage, fmt.Errorf("wrapped: %w", err))
			got += "/" + e.Reason
			if e.Operator() {
				got += "!"
			}
		}
		if got, want := got[1:], realFaults[name]; got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}
