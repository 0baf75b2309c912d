// SPDX-License-Identifier: Apache-2.0

package identityserver

import (
	"fmt"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/netfaults"
)

var realFaults = map[string]string{
	"look-up is given up":                 "the request was cancelled",
	"HTTP without TLS":                    "does not speak TLS as it must",
	"TLS that is too old":                 "does not speak TLS as it must",
	"broken pipe":                         "the connection broke, or it does not speak HTTP",
	"certificate for another name":        "its certificate is not good for it",
	"certificate for something else":      "its certificate is not good for it",
	"certificate has expired":             "its certificate is not good for it",
	"certificate in its issuer's name":    "its certificate is not good for it",
	"certificate is not valid yet":        "its certificate is not good for it",
	"certificate of an unknown authority": "its certificate is not good for it",
	"certificate with a critical unknown": "its certificate is not good for it",
	"closed by ourselves":                 "the connection broke, or it does not speak HTTP",
	"given up while dialling":             "the request was cancelled",
	"handshake out of order":              "does not speak TLS as it must",
	"hangs up before the handshake":       "the connection broke, or it does not speak HTTP",
	"hangs up within a record":            "the connection broke, or it does not speak HTTP",
	"name server is silent":               "no answer in time",
	"name server that fails":              "its name does not resolve",
	"name that does not exist":            "its name does not resolve",
	"no way to the host":                  "cannot be connected to",
	"no way to the network":               "cannot be connected to",
	"nobody answers":                      "no answer in time",
	"nobody listens":                      "cannot be connected to",
	"not allowed to connect":              "the connection broke, or it does not speak HTTP",
	"nothing in common":                   "does not speak TLS as it must",
	"plain text":                          "does not speak TLS as it must",
	"reset while connecting":              "the connection broke, or it does not speak HTTP",
	"reset":                               "the connection broke, or it does not speak HTTP",
	"self-signed certificate":             "its certificate is not good for it",
	"server wants a certificate":          "does not speak TLS as it must",
	"silence before the handshake":        "no answer in time",
	"something else":                      "the connection broke, or it does not speak HTTP",
	"too late to dial":                    "no answer in time",
	"unknown authority shows itself":      "its certificate is not good for it",
}

// TestReasonsOfRealFaults: what connections end with is told in words of our own.
func TestReasonsOfRealFaults(t *testing.T) {
	for name, err := range netfaults.Errors(t) {
		if got, want := reasonOf(fmt.Errorf("wrapped: %w", err)), realFaults[name]; got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}
