// SPDX-License-Identifier: Apache-2.0

package outbound

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/certs"
)

// TestTLS: nothing but a verified connection carries a request, and no request
// is sent before.
func TestTLS(t *testing.T) {
	ca, stranger := newAuthority(t), newAuthority(t)
	good, own := ca.issue(t, nil, host), certs.ServerTemplate(host)
	config := func(certs ...tls.Certificate) *tls.Config { return &tls.Config{Certificates: certs} }
	tests := []struct {
		name   string
		config *tls.Config
		ok     bool
	}{
		{"good", config(good), true},
		{"TLS 1.2", &tls.Config{Certificates: []tls.Certificate{good}, MaxVersion: tls.VersionTLS12}, true},
		{"TLS 1.1", &tls.Config{Certificates: []tls.Certificate{good}, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, false},
		{"TLS 1.0", &tls.Config{Certificates: []tls.Certificate{good}, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS10}, false},
		{"plain HTTP", nil, false},
		{"another name", config(ca.issue(t, nil, "other.example")), false},
		{"the parent", config(ca.issue(t, nil, "example")), false},
		{"its address", config(ca.issue(t, nil, "127.0.0.1", public4.String())), false},
		{"another authority", config(stranger.issue(t, nil, host)), false},
		{"self-signed", config(authority{certs.SelfSigned(own)}.issue(t, func(c *x509.Certificate) { *c = *own })), false},
		{"expired", config(ca.issue(t, func(c *x509.Certificate) { c.NotAfter = c.NotBefore.AddDate(0, 0, 0) }, host)), false},
		{"for clients", config(ca.issue(t, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }, host)), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var served atomic.Int64
			l := listen(t)
			serve(t, l, tt.config, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { served.Add(1) }))
			client := NewClient(Options{RootCAs: ca.Pool(), Resolver: resolveTo(public4), Dial: l.reach})
			_, _, err := get(client, mustName(t, host).URL("/"))
			if (err == nil) != tt.ok || (served.Load() == 1) != tt.ok {
				t.Errorf("got %v with %d requests served, want ok: %t", err, served.Load(), tt.ok)
			}
			if l.accepts.Load() != 1 {
				t.Errorf("got %d connections, want 1", l.accepts.Load())
			}
		})
	}
	// Without a pool it is the system that vouches, and it does not know ours.
	l := listen(t)
	serve(t, l, config(good), http.NotFoundHandler())
	var unknown x509.UnknownAuthorityError
	if _, _, err := get(NewClient(Options{Resolver: resolveTo(public4), Dial: l.reach}), mustName(t, host).URL("/")); !errors.As(err, &unknown) {
		t.Errorf("system's authorities: got %v, want an unknown authority", err)
	}
}

// TestTLSOfLiterals: an address as a name needs a certificate for the address.
func TestTLSOfLiterals(t *testing.T) {
	ca := newAuthority(t)
	for _, tt := range []struct {
		literal, cert string
		ok            bool
	}{{"93.184.215.14", "93.184.215.14", true}, {"93.184.215.14", host, false}, {"[2600::1]", "2600::1", true}, {"[2600::1]", "2600::2", false}} {
		l := listen(t)
		serve(t, l, &tls.Config{Certificates: []tls.Certificate{ca.issue(t, nil, tt.cert)}}, http.NotFoundHandler())
		client := NewClient(Options{RootCAs: ca.Pool(), Resolver: resolveTo(), Dial: l.reach})
		if _, _, err := get(client, mustName(t, tt.literal).URL("/")); (err == nil) != tt.ok {
			t.Errorf("%s with a certificate for %s: got %v, want ok: %t", tt.literal, tt.cert, err, tt.ok)
		}
	}
}
