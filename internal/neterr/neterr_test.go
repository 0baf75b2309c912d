// SPDX-License-Identifier: Apache-2.0

package neterr

import (
	"errors"
	"fmt"
	"net"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/netfaults"
)

// TestEachFaultHasItsClass, whatever it is wrapped in; and there is a fault for each class
// but that of TLS 1.3, where the peer's word about our certificate comes later.
func TestEachFaultHasItsClass(t *testing.T) {
	want := map[string]Class{
		"something else":           Other,
		"name that does not exist": UnknownHost, "name server that fails": UnknownHost, "name server is silent": Timeout,
		"nobody listens": Refused, "no way to the host": NoRoute, "no way to the network": NoRoute, "not allowed to connect": NotDialled,
		"reset while connecting": DialLost, "nobody answers": Timeout, "given up while dialling": Canceled, "look-up is given up": Canceled, "too late to dial": Timeout,
		"reset": Lost, "broken pipe": Lost, "closed by ourselves": Lost,
		"hangs up before the handshake": Lost, "hangs up within a record": Lost, "silence before the handshake": Timeout,
		"plain text": NotTLS, "HTTP without TLS": NotTLS, "TLS that is too old": TLSVersion, "nothing in common": Alert,
		"server wants a certificate": Alert, "handshake out of order": Handshake,
		"certificate has expired": Expired, "certificate is not valid yet": NotYetValid, "certificate for another name": WrongName,
		"self-signed certificate": SelfSigned, "certificate of an unknown authority": UnknownAuthority,
		"unknown authority shows itself": UnknownAuthority, "certificate in its issuer's name": UnknownAuthority,
		"certificate for something else": Unfit, "certificate with a critical unknown": Unfit,
	}
	seen := map[Class]bool{}
	for name, err := range netfaults.Errors(t) {
		got := Of(fmt.Errorf("wrapped: %w", err))
		seen[got] = true
		if got != want[name] {
			t.Errorf("%s: got %d, want %d", name, got, want[name])
		}
		if got.Certificate() != (got >= Expired) || got.TLS() != (got >= NotTLS) || got.Broken() != (got == Lost || got == DialLost) {
			t.Errorf("%s: certificate %t, TLS %t, broken %t", name, got.Certificate(), got.TLS(), got.Broken())
		}
	}
	for c := range Unfit + 1 {
		if !seen[c] && c != ClientCertificate {
			t.Errorf("there is no fault of the class %d", c)
		}
	}
}

// TestAlertsAreKnownByTheirText, since crypto/tls keeps their types to itself.
func TestAlertsAreKnownByTheirText(t *testing.T) {
	for text, want := range map[string]Class{
		"tls: protocol version not supported": TLSVersion, "tls: bad certificate": ClientCertificate, "tls: certificate required": ClientCertificate,
		"tls: handshake failure": Alert,
	} {
		if got := Of(&net.OpError{Op: "remote error", Err: errors.New(text)}); got != want {
			t.Errorf("%s: got %d, want %d", text, got, want)
		}
	}
	if got := Of(errors.New("tls: server selected unsupported protocol version 301")); got != TLSVersion {
		t.Errorf("got %d, want %d", got, TLSVersion)
	}
}

// TestOnlyANameServerKnowsThatANameIsMissing.
func TestOnlyANameServerKnowsThatANameIsMissing(t *testing.T) {
	for name, want := range map[string]bool{"name that does not exist": true, "name server that fails": false, "nobody listens": false} {
		if got := NoSuchName(netfaults.Errors(t)[name]); got != want {
			t.Errorf("%s: got %t, want %t", name, got, want)
		}
	}
	if got := Cause(fmt.Errorf("a: %w", fmt.Errorf("b: %w", errors.New("c")))); got != "c" {
		t.Errorf("got %q, want c", got)
	}
}
