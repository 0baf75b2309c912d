// SPDX-License-Identifier: Apache-2.0

package smtptest

import (
	"crypto/tls"
	"encoding/base64"
	"strings"
	"testing"

	"github.com/xdg-go/scram"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/certs"
)

// login runs AUTH with what is to be said, and returns the last reply.
func login(t *testing.T, d dialogue, mechanism, initial string, next func(challenge string) string) int {
	t.Helper()
	encode := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	if err := d.PrintfLine("AUTH %s %s", mechanism, encode(initial)); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		code, text, err := d.ReadResponse(0)
		if err != nil {
			t.Fatal(err)
		}
		if code != 334 {
			return code
		}
		challenge, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		if err := d.PrintfLine("%s", encode(next(string(challenge)))); err != nil {
			t.Fatal(err)
		}
	}
	t.Fatal("the dialogue does not end")
	return 0
}

func TestServerTakesTokens(t *testing.T) {
	s := start(t, Options{Username: "user", Token: "t0ken", Mechanisms: []string{"XOAUTH2", "OAUTHBEARER"}})
	for _, test := range []struct {
		mechanism, initial, answer string
		want                       int
	}{
		{"XOAUTH2", "user=user\x01auth=Bearer t0ken\x01\x01", "", 235},
		{"XOAUTH2", "user=user\x01auth=Bearer other\x01\x01", "", 535},
		{"XOAUTH2", "user=other\x01auth=Bearer t0ken\x01\x01", "", 535},
		{"XOAUTH2", "nonsense", "", 535},
		{"XOAUTH2", "a\x01b\x01c\x01d", "", 535},
		{"OAUTHBEARER", "n,a=user,\x01auth=Bearer t0ken\x01\x01", "\x01", 235},
		{"OAUTHBEARER", "n,a=user,\x01auth=Bearer other\x01\x01", "\x01", 535},
		{"PLAIN", "\x00user\x00t0ken", "", 504},
	} {
		d := dial(t, s)
		if code, err := until(t, d, "EHLO"); code != 250 || err != nil {
			t.Fatal(code, err)
		}
		if got := login(t, d, test.mechanism, test.initial, func(string) string { return test.answer }); got != test.want {
			t.Errorf("%s %q: got %d, want %d", test.mechanism, test.initial, got, test.want)
		}
	}
}

func TestServerSideOfSCRAM(t *testing.T) {
	for name, test := range map[string]struct {
		opts     Options
		password string
		want     int
		proven   bool
	}{
		"right":     {Options{}, "secret", 235, true},
		"wrong":     {Options{}, "other", 535, false},
		"forged":    {Options{SCRAM: SCRAMForged}, "secret", 235, false},
		"skipped":   {Options{SCRAM: SCRAMSkipped}, "secret", 235, false},
		"more work": {Options{Iterations: 5000}, "secret", 235, true},
		"told no":   {Options{Fail: At("AUTH", Reply(454, "later"))}, "secret", 454, false},
	} {
		test.opts.Username, test.opts.Password, test.opts.Mechanisms = "user", "secret", []string{"SCRAM-SHA-256"}
		d := dial(t, start(t, test.opts))
		if code, err := until(t, d, "EHLO"); code != 250 || err != nil {
			t.Fatal(code, err)
		}
		client, err := scram.SHA256.NewClient("user", test.password, "")
		if err != nil {
			t.Fatal(err)
		}
		c := client.NewConversation()
		first, err := c.Step("")
		if err != nil {
			t.Fatal(err)
		}
		got := login(t, d, "SCRAM-SHA-256", first, func(challenge string) string {
			answer, _ := c.Step(challenge) // whether it is believed shows below
			return answer
		})
		if got != test.want || c.Valid() != test.proven {
			t.Errorf("%s: got %d, proven %t, want %d, %t", name, got, c.Valid(), test.want, test.proven)
		}
	}
}

func TestServerHasTheCertificateItIsToldTo(t *testing.T) {
	for fault, want := range map[CertificateFault]string{
		NoFault: "", ExpiresSoon: "", Expired: "expired", NotYetValid: "not yet valid", SelfSigned: "unknown authority",
	} {
		s := start(t, Options{Mode: TLS, Certificate: fault})
		c, err := tls.Dial("tcp", s.Addr(), &tls.Config{RootCAs: s.CertPool(), ServerName: "localhost"})
		if err == nil {
			_ = c.Close()
		}
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("fault %d: got %v, want an error with %q", fault, err, want)
		}
	}
}

func TestServerWantsACertificate(t *testing.T) {
	s, other := start(t, Options{Mode: TLS, ClientCert: true}), start(t, Options{})
	for name, test := range map[string]struct {
		certs []tls.Certificate
		good  bool
	}{
		"its own": {[]tls.Certificate{s.ClientCertificate()}, true}, "none": {nil, false}, "another's": {[]tls.Certificate{other.ClientCertificate()}, false},
	} {
		c, err := tls.Dial("tcp", s.Addr(), &tls.Config{RootCAs: s.CertPool(), ServerName: "localhost", Certificates: test.certs})
		if err == nil {
			_, err = c.Read(make([]byte, 4)) // with TLS 1.3, the refusal comes after the handshake
			_ = c.Close()
		}
		if (err == nil) != test.good {
			t.Errorf("%s: got %v, want good %t", name, err, test.good)
		}
	}
}

func TestAuthorityIssuesForFiles(t *testing.T) {
	ca, err := certs.New()
	if err != nil {
		t.Fatal(err)
	}
	cert, err := ca.Issue(certs.ServerTemplate("mx.test"))
	if err != nil {
		t.Fatal(err)
	}
	chain, key, err := certs.EncodePEM(cert)
	if err != nil {
		t.Fatal(err)
	}
	again, err := tls.X509KeyPair(chain, key)
	if err != nil {
		t.Fatal(err)
	}
	if got := again.Leaf.DNSNames; len(got) != 1 || got[0] != "mx.test" {
		t.Errorf("got names %v", got)
	}
	if _, _, err := certs.EncodePEM(tls.Certificate{}); err == nil {
		t.Error("got no error for a certificate without a key")
	}
}
