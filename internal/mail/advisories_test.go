// SPDX-License-Identifier: Apache-2.0

// One test for each lesson that others had to learn in public. The numbers are
// those of the project's table of advisories.

package mail

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"net/mail"
	"strings"
	"sync/atomic"
	"testing"
	"unicode"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/smtptest"
)

// Advisory 1 (CVE-2019-11340, Sydent): what is mailed to is exactly what was
// asked for, or nothing is mailed at all.
func TestAdvisory01_TheRecipientIsExactlyWhatWasStored(t *testing.T) {
	said := new(lockedBuffer)
	server := startServer(t, smtptest.Options{SMTPUTF8: true, Transcript: said})
	transport := connectTo(t, server, SMTPConfig{TLS: NoTLS})
	sent := 0
	for _, to := range []string{
		"a@b@example.org", `"a@b"@example.org`, "a@b,c@example.org", "<a@example.org>", "a@example.org (comment)", "(c)a@example.org",
		"@relay.example:a@example.org", "Name <a@example.org>", "a@example.org;b@example.org", "group:a@example.org;", " a@example.org",
		"a@example.org ", "a\t@example.org", `a\@b@example.org`, "a@[192.0.2.1]", "A.b+c@Example.ORG", "a%b@example.org", "a!b@example.org",
		"müller@example.org", "a@bücher.example", "a@xn--bcher-kva.example", "'a'@example.org", "a=b@example.org", "{a}|b@example.org",
	} {
		m := sample()
		m.To = to
		raw, composeErr := Compose(m)
		err := transport.Send(t.Context(), sender, to, raw)
		if (composeErr == nil) != (err == nil) {
			t.Errorf("%q: Compose says %v, Send says %v", to, composeErr, err)
		}
		if err != nil {
			if !errors.Is(err, ErrInvalidRecipient) {
				t.Errorf("%q: got %v, want %v", to, err, ErrInvalidRecipient)
			}
			continue
		}
		sent++
		if want := "RCPT TO:<" + to + ">\r\n"; !strings.Contains(said.String(), want) {
			t.Errorf("got no command %q", want)
		}
		got := server.Messages()[sent-1]
		header, err := mail.ParseAddress(got.Header("To"))
		if err != nil || got.To != to || header.Address != to {
			t.Errorf("%q: got RCPT TO %q, To %q (%v)", to, got.To, got.Header("To"), err)
		}
	}
	if got, commands := len(server.Messages()), strings.Count(said.String(), "RCPT TO:"); got != sent || commands != sent || sent == 0 {
		t.Errorf("got %d messages after %d commands, want %d", got, commands, sent)
	}
}

// Advisory 5 (CVE-2021-29432, Sydent) and 9: whoever can choose a text in a
// mail cannot add a field, a part or a boundary to it.
func TestAdvisory05_NoTextAddsAFieldOrAPart(t *testing.T) {
	seen := map[string]bool{}
	for _, text := range []string{
		"x\r\n\r\n--boundary\r\nContent-Type: text/html\r\n\r\n<b>evil</b>", "\r\n.\r\nMAIL FROM:<evil@x.test>\r\n", "<script>alert(1)</script>",
		"--\r\n--\r\n", "\x00\x1b[31m", "\u202egro.elpmaxe@", strings.Repeat("=", 2000), "From: evil@x.test\r\n\r\n",
	} {
		m := sample()
		m.Text, m.HTML = text, "<p>fixed</p>"
		raw, err := Compose(m)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		parsed := parse(t, raw)
		if got := len(parsed.Header); got != 9 {
			t.Errorf("%q: got %d fields, want 9", text, got)
		}
		_, params, _ := strings.Cut(parsed.Header.Get("Content-Type"), "boundary=")
		if n := bytes.Count(raw, []byte("\r\n--"+params)); n != 3 || params == "" || seen[params] {
			t.Errorf("%q: got boundary %q %d times, want another one each time, for two parts", text, params, n)
		}
		seen[params] = true
		if got := (smtptest.Message{Raw: raw}).HTML(); got != m.HTML {
			t.Errorf("%q: got HTML %q, want %q", text, got, m.HTML)
		}
		m.Subject = text
		if raw, err := Compose(m); err == nil && strings.ContainsFunc(text, unicode.IsControl) {
			t.Errorf("got a message with a subject of control characters: %q", raw)
		}
	}
}

// impostors are relays that must be given nothing, with the reason to be told.
var impostors = map[string]struct {
	server smtptest.Options
	cfg    SMTPConfig
	reason string
}{
	"expired":           {smtptest.Options{Certificate: smtptest.Expired}, SMTPConfig{}, ReasonCertExpired},
	"not yet valid":     {smtptest.Options{Certificate: smtptest.NotYetValid}, SMTPConfig{}, ReasonCertNotYetValid},
	"self-signed":       {smtptest.Options{Certificate: smtptest.SelfSigned}, SMTPConfig{}, ReasonCertSelfSigned},
	"unknown authority": {smtptest.Options{}, SMTPConfig{RootCAs: x509.NewCertPool()}, ReasonCertAuthority},
	"wrong name":        {smtptest.Options{Hosts: []string{"evil.test", "192.0.2.1"}}, SMTPConfig{}, ReasonCertName},
	"another host's":    {smtptest.Options{}, SMTPConfig{ServerName: "smtp.example.org"}, ReasonCertName},
	"a common name":     {smtptest.Options{Hosts: []string{}}, SMTPConfig{}, ReasonCertName},
	"TLS 1.1":           {smtptest.Options{MaxTLS: 0x0302}, SMTPConfig{}, ReasonTLSVersion},
	"no TLS at all":     {smtptest.Options{Mode: smtptest.Plain}, SMTPConfig{}, ""},
}

// Advisory 7 (CVE-2023-38686, Sydent) over STARTTLS and advisory 26 (Airflow
// CVE-2026-41016) as the second way there: every fault of TLS ends it before a
// name, a password or a mail is sent, and says which it was.
func TestAdvisory07And26_BadTLSFailsClosedBeforeAUTH(t *testing.T) {
	for _, mode := range []TLSMode{STARTTLS, ImplicitTLS} {
		for name, test := range impostors {
			t.Run(fmt.Sprint(name, ", ", mode), func(t *testing.T) {
				if name != "no TLS at all" {
					test.server.Mode = modes[mode]
				} else if test.reason = ReasonNoSTARTTLS; mode == ImplicitTLS {
					test.reason = ReasonNoTLS
				}
				var asked atomic.Int32
				said := new(lockedBuffer)
				test.server.Username, test.server.Password, test.server.Transcript = "user", "secret", said
				test.server.Fail = func(stage, _ string) error {
					if stage == "AUTH" || stage == "MAIL" || stage == "RCPT" {
						asked.Add(1)
					}
					return nil
				}
				server := startServer(t, test.server)
				test.cfg.TLS, test.cfg.Username, test.cfg.Password = mode, "user", "secret"
				got := mustFail(t, connectTo(t, server, test.cfg))
				if got.Stage != "tls" || got.Reason != test.reason || !got.Operator() || !got.Temporary() {
					t.Errorf("got %v (%s, operator %t), want %s, for the operator", got, got.Reason, got.Operator(), test.reason)
				}
				if asked.Load() != 0 || len(server.Messages()) != 0 || strings.Contains(said.String(), "AUTH PLAIN ") {
					t.Errorf("the impostor was given mail or a password: %q", said)
				}
			})
		}
	}
}

// Advisory 24 (CVE-2025-59937, go-mail): a quoted local part that ends the
// address early would add parameters to the command, or another recipient.
func TestAdvisory24_NoAddressAddsAParameter(t *testing.T) {
	said := new(lockedBuffer)
	server := startServer(t, smtptest.Options{Transcript: said})
	transport := connectTo(t, server, SMTPConfig{TLS: NoTLS})
	for _, hostile := range []string{
		`"a@evil.test> ORCPT=x"@example.org`, `"x> NOTIFY=NEVER <y"@example.org`, "a@example.org> NOTIFY=SUCCESS", "a@example.org>\r\nRCPT TO:<evil@x.test",
		"a@example.org SIZE=1", "a@example.org\x00", "a>@example.org", "<a@example.org", "a@example.org\u2028", "a@example.org\u0085", `"a b"@example.org`,
		"a@example.org\nRSET", "a@example.org\tAUTH=<>", "a@example.org>BODY=8BITMIME",
	} {
		if err := transport.Send(t.Context(), sender, hostile, []byte("x\r\n")); !errors.Is(err, ErrInvalidRecipient) {
			t.Errorf("to %q: got %v, want %v", hostile, err, ErrInvalidRecipient)
		}
		if err := transport.Send(t.Context(), hostile, reader, []byte("x\r\n")); !errors.Is(err, ErrInvalidSender) {
			t.Errorf("from %q: got %v, want %v", hostile, err, ErrInvalidSender)
		}
		if found := transport.Check(t.Context(), hostile); found[len(found)-1].Code != ReasonSender {
			t.Errorf("check of %q: got %+v, want %s", hostile, found[len(found)-1], ReasonSender)
		}
	}
	if strings.Contains(said.String(), "MAIL FROM") || strings.Contains(said.String(), "evil") {
		t.Errorf("something was sent: %q", said)
	}
	mustSend(t, transport)
	if all := said.String(); !strings.Contains(all, "RCPT TO:<"+reader+">\r\n") {
		t.Errorf("got %q, want a recipient without parameters", all)
	}
}

// Advisory 25 (CVE-2026-92598, Nodemailer): the transport maps no domain; what
// the rules have seen is what is dialled for.
func TestAdvisory25_NoDomainIsMappedOnTheWay(t *testing.T) {
	server := startServer(t, smtptest.Options{SMTPUTF8: true})
	transport := connectTo(t, server, SMTPConfig{TLS: NoTLS})
	for _, to := range []string{"a@examp\u00adle.org", "a@ｅｘａｍｐｌｅ.org", "a@straße.example", "a@xn--strae-oqa.example", "a@exa\u200dmple.org"} {
		if err := transport.Send(t.Context(), sender, to, []byte("x\r\n")); err != nil {
			if !errors.Is(err, ErrInvalidRecipient) {
				t.Errorf("%q: %v", to, err)
			}
			continue
		}
		all := server.Messages()
		if got := all[len(all)-1].To; got != to {
			t.Errorf("got recipient %q, want %q, letter by letter", got, to)
		}
	}
}

// Advisory 30: control characters end it before anything else is looked at,
// and so do line separators, which some programs take for line ends.
func TestAdvisory30_ControlCharactersAreInNoAddress(t *testing.T) {
	transport, err := NewSMTP(SMTPConfig{Address: "127.0.0.1:1", TLS: NoTLS}) // nobody is there to ask
	if err != nil {
		t.Fatal(err)
	}
	for r := rune(0); r <= 0x2029; r++ {
		if !unicode.IsControl(r) && r != '\u2028' && r != '\u2029' {
			continue
		}
		for _, hostile := range []string{string(r) + reader, "rea" + string(r) + "der@example.org", "reader@exam" + string(r) + "ple.org", reader + string(r)} {
			m := sample()
			m.To = hostile
			if raw, err := Compose(m); !errors.Is(err, ErrInvalidRecipient) {
				t.Errorf("%q: got %q, %v, want %v", hostile, raw, err, ErrInvalidRecipient)
			}
			if err := transport.Send(t.Context(), sender, hostile, nil); !errors.Is(err, ErrInvalidRecipient) {
				t.Errorf("%q: got %v, want %v", hostile, err, ErrInvalidRecipient)
			}
			m = sample()
			m.From = hostile
			if raw, err := Compose(m); err == nil && bytes.ContainsRune(raw, r) && r != '\r' && r != '\n' {
				t.Errorf("%q as the sender: got %q", hostile, raw)
			}
		}
	}
}
