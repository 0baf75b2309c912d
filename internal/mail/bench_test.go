// SPDX-License-Identifier: Apache-2.0

package mail

import (
	"testing"

	"github.com/caddy-threepid/caddy-threepid/internal/failover"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/smtptest"
)

// BenchmarkSend sends a mail of two parts to a server on loopback, which has
// its share of the work on the same processors.
func BenchmarkSend(b *testing.B) {
	for _, mode := range []TLSMode{NoTLS, STARTTLS, ImplicitTLS} {
		for _, relays := range []bool{false, true} {
			name := string(mode)
			if relays {
				name += "-relays"
			}
			b.Run(name, func(b *testing.B) {
				server, err := smtptest.Start(smtptest.Options{Mode: modes[mode]})
				if err != nil {
					b.Fatal(err)
				}
				defer server.Close()
				s, err := NewSMTP(SMTPConfig{Address: server.Addr(), TLS: mode, RootCAs: server.CertPool()})
				if err != nil {
					b.Fatal(err)
				}
				var transport Transport = s
				if relays {
					if transport, err = NewRelays([]Relay{{Name: "one", Transport: s}}, failover.Config{}); err != nil {
						b.Fatal(err)
					}
				}
				defer s.Close()
				message, err := Compose(sample())
				if err != nil {
					b.Fatal(err)
				}
				b.SetParallelism(4)
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						if err := transport.Send(b.Context(), sender, reader, message); err != nil {
							b.Error(err)
						}
					}
				})
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "mails/s")
			})
		}
	}
}

func BenchmarkCompose(b *testing.B) {
	m := sample()
	for name, signer := range map[string]*DKIM{"unsigned": nil, "rsa": {Domain: "example.org", Selector: "sel", Signer: rsaKey()}} {
		m.DKIM = signer
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := Compose(m); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
