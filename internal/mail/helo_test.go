// SPDX-License-Identifier: Apache-2.0

package mail

import (
	"net"
	"strings"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/smtptest"
)

// RFC 5321 §4.1.1.1; synapse#8358: a relay refuses everybody else's server for
// this, and nobody can change it there.
func TestConfigTakesAHELOThatRelaysTake(t *testing.T) {
	for _, good := range []string{
		"mx.example.org", "MX-1.Example.ORG", "xn--bcher-kva.example", "a.b", "1.2.3.example", "[192.0.2.1]", "[IPv6:2001:db8::1]",
	} {
		c := SMTPConfig{Address: "smtp.example.org:587", HELO: good}
		if err := c.Validate(); err != nil || c.HELO != good {
			t.Errorf("%s: got %q, %v", good, c.HELO, err)
		}
	}
	for _, bad := range []string{
		"no-such-machine-here", "localhost", "192.0.2.1", "mx..example.org", "mx.example.org.", ".example.org", "-mx.example.org", "mx-.example.org",
		"mx_1.example.org", "[192.0.2.1", "[2001:db8::1]", "[IPv6:192.0.2.1]", "[IPv6:fe80::1%eth0]", "[]", "[mx.example.org]", "mx.42",
		strings.Repeat("a", 64) + ".example.org", strings.Repeat("a.", 130) + "org", "<mx.example.org>", "mx.example.org\r\nRSET",
	} {
		if err := (&SMTPConfig{Address: "smtp.example.org:587", HELO: bad}).Validate(); err == nil || !strings.Contains(err.Error(), "helo") {
			t.Errorf("%q: got %v, want an error about helo", bad, err)
		}
	}
}

func TestConfigTakesAnyHELOForThisMachine(t *testing.T) {
	for address, helo := range map[string]string{"localhost:25": "laptop", "127.0.0.1:25": "", "[::1]:25": "a_b"} {
		c := SMTPConfig{Address: address, HELO: helo}
		if err := c.Validate(); err != nil || c.HELO == "" {
			t.Errorf("%s: got %q, %v", address, c.HELO, err)
		}
	}
}

func TestHELOWithoutANameIsTheAddress(t *testing.T) {
	for ip, want := range map[string]string{
		"192.0.2.1": "[192.0.2.1]", "::ffff:192.0.2.1": "[192.0.2.1]", "2001:db8::1": "[IPv6:2001:db8::1]",
	} {
		got := addressLiteral(&net.TCPAddr{IP: net.ParseIP(ip), Port: 25})
		if got != want || !validHELO(got) {
			t.Errorf("%s: got %q, want %q", ip, got, want)
		}
	}
	for _, odd := range []net.Addr{&net.TCPAddr{}, &net.UnixAddr{Name: "x"}} {
		if got := addressLiteral(odd); !validHELO(got) {
			t.Errorf("%v: got %q, which no relay takes", odd, got)
		}
	}
}

// Without a name of its own the transport says one that is fit to be said.
func TestSMTPIntroducesItselfByDefault(t *testing.T) {
	for _, mode := range []TLSMode{STARTTLS, ImplicitTLS, NoTLS} {
		server := startServer(t, smtptest.Options{Mode: modes[mode]})
		transport := connectTo(t, server, SMTPConfig{TLS: mode})
		transport.cfg.HELO = "" // as for a relay elsewhere
		mustSend(t, transport)
		for _, got := range server.Helos() {
			if !validHELO(got) {
				t.Errorf("%s: got HELO %q", mode, got)
			}
		}
	}
}
