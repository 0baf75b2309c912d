// SPDX-License-Identifier: Apache-2.0

package postfix_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/emersion/go-msgauth/dkim"

	"github.com/caddy-threepid/caddy-threepid/internal/failover"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/postfix"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/smtptest"
	"github.com/caddy-threepid/caddy-threepid/internal/mail"
)

// arrived waits for the message, and returns it without what Postfix has put
// before it.
func arrived(t *testing.T, s *postfix.Server, to string) (m smtptest.Message, text []byte) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	m, err := s.WaitFor(ctx, to)
	if err != nil {
		t.Fatal(err)
	}
	text = m.Raw
	for bytes.HasPrefix(text, []byte("Received:")) || bytes.HasPrefix(text, []byte(" ")) || bytes.HasPrefix(text, []byte("\t")) {
		_, text, _ = bytes.Cut(text, []byte("\r\n"))
	}
	return m, text
}

// Every way to log in that Postfix and Cyrus SASL offer, over both kinds of TLS.
func TestPostfixTakesMailByEveryMechanism(t *testing.T) {
	s := start(t, postfix.Options{})
	for _, method := range []mail.AuthMethod{mail.AuthAuto, mail.AuthSCRAM, mail.AuthPlain, mail.AuthLogin} {
		for mode, address := range map[mail.TLSMode]string{mail.STARTTLS: s.Addr(), mail.ImplicitTLS: s.AddrTLS()} {
			t.Run(fmt.Sprint(method, " over ", mode), func(t *testing.T) {
				cfg := submission(s)
				cfg.Address, cfg.TLS, cfg.Auth = address, mode, method
				want := composed(t, message())
				mustSend(t, transport(t, cfg), reader, want)
				m, got := arrived(t, s, reader)
				if m.From != sender || m.To != reader || !bytes.Equal(got, want) {
					t.Errorf("got %s to %s, %q, want %q", m.From, m.To, got, want)
				}
				log := s.Logs()
				mechanism := strings.ToUpper(string(method))
				if method == mail.AuthAuto {
					mechanism = "SCRAM-SHA-256"
				}
				if !strings.Contains(log, "sasl_method="+mechanism) || !strings.Contains(log, "TLSv1.3") || !strings.Contains(m.Header("Received"), "ESMTPSA") {
					t.Errorf("Postfix has not seen %s over TLS 1.3; it says %q", mechanism, m.Header("Received"))
				}
				if !strings.Contains(m.Header("Received"), "from matrix.example.org") {
					t.Errorf("got %q, want the name of HELO", m.Header("Received"))
				}
			})
		}
	}
}

func TestPostfixRefusesWhatItShould(t *testing.T) {
	s := start(t, postfix.Options{})
	tests := map[string]struct {
		change    func(*mail.SMTPConfig)
		to        string
		reason    string
		temporary bool
	}{
		"wrong password, PLAIN":  {func(c *mail.SMTPConfig) { c.Password, c.Auth = "wrong", mail.AuthPlain }, reader, mail.ReasonAuthRefused, true},
		"wrong password, LOGIN":  {func(c *mail.SMTPConfig) { c.Password, c.Auth = "wrong", mail.AuthLogin }, reader, mail.ReasonAuthRefused, true},
		"wrong password, SCRAM":  {func(c *mail.SMTPConfig) { c.Password = "wrong" }, reader, mail.ReasonAuthRefused, true},
		"unknown user, SCRAM":    {func(c *mail.SMTPConfig) { c.Username = "nobody" }, reader, mail.ReasonAuthRefused, true},
		"not offered":            {func(c *mail.SMTPConfig) { c.Auth = mail.AuthSCRAMPlus }, reader, mail.ReasonNoAuth, true},
		"another authority":      {func(c *mail.SMTPConfig) { c.RootCAs = x509.NewCertPool() }, reader, mail.ReasonCertAuthority, true},
		"another name":           {func(c *mail.SMTPConfig) { c.ServerName = "smtp.example.org" }, reader, mail.ReasonCertName, true},
		"the port of STARTTLS":   {func(c *mail.SMTPConfig) { c.TLS = mail.ImplicitTLS }, reader, mail.ReasonNoTLS, true},
		"the port of TLS":        {func(c *mail.SMTPConfig) { c.Address, c.ConnectTimeout = s.AddrTLS(), 500_000_000 }, reader, mail.ReasonNoGreeting, true},
		"no log-in":              {func(c *mail.SMTPConfig) { c.Username, c.Password = "", "" }, reader, mail.ReasonPolicy, true},
		"unknown recipient":      {func(*mail.SMTPConfig) {}, "nobody@example.org", mail.ReasonRecipient, false},
		"a recipient in quotes":  {func(*mail.SMTPConfig) {}, "no.body@example.org", mail.ReasonRecipient, false},
		"unknown in a second go": {func(*mail.SMTPConfig) {}, "nobody2@example.org", mail.ReasonRecipient, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			cfg := submission(s)
			test.change(&cfg)
			got := mustFail(t, transport(t, cfg), test.to)
			if got.Reason != test.reason || got.Temporary() != test.temporary {
				t.Errorf("got %v (%s, temporary %t), want %s, temporary %t", got, got.Reason, got.Temporary(), test.reason, test.temporary)
			}
			if test.reason == mail.ReasonRecipient && (got.Code != 550 || got.Enhanced != "5.1.1" || got.Operator()) {
				t.Errorf("got reply %d %s, operator %t, want 550 5.1.1, nobody's fault but the address's", got.Code, got.Enhanced, got.Operator())
			}
			if test.reason != mail.ReasonRecipient && test.reason != mail.ReasonNoGreeting && !got.Operator() {
				t.Errorf("got %v, want it to be for the operator", got)
			}
			if (got.Code != 0) != (got.Said() != "") {
				t.Errorf("got reply %d, which says %q", got.Code, got.Said())
			}
			if test.reason == mail.ReasonNoAuth && !strings.Contains(got.Error(), "it offers PLAIN") && !strings.Contains(got.Error(), "SCRAM-SHA-256") {
				t.Errorf("got %v, want what is offered", got)
			}
			if strings.Contains(got.Error(), "nobody") {
				t.Errorf("the error names the recipient: %v", got)
			}
		})
	}
	if got := s.Messages(); len(got) != 0 {
		t.Errorf("got %d messages, want none", len(got))
	}
}

func TestPostfixTakesACertificateInPlaceOfALogIn(t *testing.T) {
	s := start(t, postfix.Options{})
	own, err := s.ClientCertificate()
	if err != nil {
		t.Fatal(err)
	}
	cfg := submission(s)
	cfg.Username, cfg.Password, cfg.Certificates = "", "", []tls.Certificate{own}
	mustSend(t, transport(t, cfg), reader, composed(t, message()))
	arrived(t, s, reader)
}

// What a mail is made of arrives as it was sent, and its signature verifies.
func TestPostfixKeepsMailAsItIs(t *testing.T) {
	s := start(t, postfix.Options{Recipients: []string{"reader@example.org", "müller@example.org"}})
	client := transport(t, submission(s))
	public, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	long := message()
	long.Subject = strings.Repeat("漢", 60)
	long.Text = strings.Repeat("Grüße, 漢字, 😀, שלום. ", 2000) + "\n.\n..\nFrom here\n"
	long.HTML = "<p>" + strings.Repeat("é", 5000) + "</p>"
	long.ListUnsubscribe, long.Language = "https://matrix.example.org/stop?t="+strings.Repeat("x", 300), "de"
	long.DKIM = &mail.DKIM{Domain: "example.org", Selector: "sel", Signer: key}
	utf8 := message()
	utf8.To = "müller@example.org"
	eight := "From: <" + sender + ">\r\nDate: Mon, 23 Nov 2026 09:00:00 +0000\r\nMessage-Id: <8@example.org>\r\nSubject: eight bits\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" +
		strings.Repeat(strings.Repeat("ü", 490)+"\r\n", 20)
	for name, test := range map[string]struct {
		to  string
		raw []byte
	}{
		"a long one, signed":  {reader, composed(t, long)},
		"8BITMIME":            {reader, []byte(eight)},
		"an address in UTF-8": {utf8.To, composed(t, utf8)},
	} {
		t.Run(name, func(t *testing.T) {
			mustSend(t, client, test.to, test.raw)
			m, got := arrived(t, s, test.to)
			if !bytes.Equal(got, test.raw) || m.To != test.to {
				t.Errorf("got %d bytes for %s, want the %d that were sent", len(got), m.To, len(test.raw))
			}
			if test.to == utf8.To && !m.UTF8 {
				t.Error("Postfix has not asked for SMTPUTF8 in its turn")
			}
			if name != "a long one, signed" {
				return
			}
			if m.Text() != long.Text || m.HTML() != long.HTML || m.Subject() != long.Subject {
				t.Error("what a reader sees is not what was written")
			}
			verified, err := dkim.VerifyWithOptions(bytes.NewReader(m.Raw), &dkim.VerifyOptions{LookupTXT: func(string) ([]string, error) {
				return []string{"v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(public)}, nil
			}})
			if err != nil || len(verified) != 1 || verified[0].Err != nil {
				t.Errorf("got %+v, %v, want one good signature", verified, err)
			}
		})
	}
}

// A relay for ASCII only says so, and so do we, before it is given anything.
func TestPostfixWithoutSMTPUTF8IsToldNothing(t *testing.T) {
	s := start(t, postfix.Options{Settings: map[string]string{"smtputf8_enable": "no"}})
	got := mustFail(t, transport(t, submission(s)), "müller@example.org")
	if got.Reason != mail.ReasonNoSMTPUTF8 || got.Temporary() || got.Operator() {
		t.Errorf("got %v (%s), want a final %s", got, got.Reason, mail.ReasonNoSMTPUTF8)
	}
}

func TestPostfixIsUsedOverFewConnections(t *testing.T) {
	const workers, each = 6, 20
	s := start(t, postfix.Options{Recipients: []string{"@example.org"}})
	cfg := submission(s)
	cfg.MaxConnections = 3
	client := transport(t, cfg)
	raw := composed(t, message())
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := range each {
				if err := client.Send(t.Context(), sender, fmt.Sprintf("r%d-%d@example.org", w, i), raw); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if err := client.Close(); err != nil {
		t.Error(err)
	}
	seen := map[string]bool{}
	for w := range workers {
		for i := range each {
			m, _ := arrived(t, s, fmt.Sprintf("r%d-%d@example.org", w, i))
			seen[m.To] = true
		}
	}
	if got := len(s.Messages()); got != workers*each || len(seen) != got {
		t.Errorf("got %d messages to %d recipients, want %d", got, len(seen), workers*each)
	}
	if got := strings.Count(s.Logs(), ": connect from "); got > cfg.MaxConnections+2 { // two were the test's own, to see whether it is there
		t.Errorf("got %d connections, want at most %d", got, cfg.MaxConnections)
	}
	if log := s.Logs(); strings.Contains(log, "lost connection") && strings.Contains(log, "lost connection after DATA") {
		t.Error("connections were left without QUIT")
	}
}

func TestPostfixIsCheckedWithoutAMail(t *testing.T) {
	s := start(t, postfix.Options{})
	found := transport(t, submission(s)).Check(t.Context(), sender)
	var steps []string
	for _, f := range found {
		steps = append(steps, f.Step)
		if !f.OK {
			t.Errorf("got %+v", f)
		}
	}
	want := []string{mail.StepConnect, mail.StepGreeting, mail.StepTLS, mail.StepEHLO, mail.StepAuth, mail.StepMail}
	if !slices.Equal(steps, want) {
		t.Errorf("got steps %v, want %v", steps, want)
	}
	if got := s.Messages(); len(got) != 0 {
		t.Errorf("got %d messages, want none", len(got))
	}
}

// A relay that is restarted is one that comes back: the idle connections are
// replaced, and another takes its place meanwhile.
func TestPostfixIsReplacedByAnotherRelay(t *testing.T) {
	first, second := start(t, postfix.Options{}), start(t, postfix.Options{Hostname: "mx2.postfix.test"})
	relays, err := mail.NewRelays([]mail.Relay{
		{Name: "first", Transport: transport(t, submission(first))}, {Name: "second", Transport: transport(t, submission(second))},
	}, failover.Config{})
	if err != nil {
		t.Fatal(err)
	}
	raw := composed(t, message())
	if err := relays.Send(t.Context(), sender, reader, raw); err != nil {
		t.Fatal(err)
	}
	arrived(t, first, reader)
	if err := first.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := relays.Send(t.Context(), sender, reader, raw); err != nil {
		t.Fatal(err)
	}
	arrived(t, second, reader)
	if got := relays.Status(); got[0].Failed != 1 || got[0].LastError == "" || got[1].Sent != 1 {
		t.Errorf("got status %+v", got)
	}
}

func TestStopLeavesNothingBehind(t *testing.T) {
	s, err := postfix.Start(t.Context(), install(t), postfix.Options{})
	if err != nil {
		t.Fatal(err)
	}
	cfg := submission(s)
	for range 2 {
		if err := s.Stop(); err != nil {
			t.Fatal(err)
		}
	}
	if got := mustFail(t, transport(t, cfg), reader); got.Reason != mail.ReasonRefused {
		t.Errorf("got %v (%s), want nobody at that port", got, got.Reason)
	}
}

func TestStartTellsWhatPostfixHasAgainstIt(t *testing.T) {
	env := install(t)
	s, err := postfix.Start(t.Context(), env, postfix.Options{Settings: map[string]string{"mail_owner": "nobody-of-this-name"}})
	if err == nil {
		t.Fatal(errors.Join(errors.New("it started"), s.Stop()))
	}
	if !strings.Contains(err.Error(), "mail_owner") {
		t.Errorf("got %v, want Postfix's own words", err)
	}
}
