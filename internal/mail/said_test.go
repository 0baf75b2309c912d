// SPDX-License-Identifier: Apache-2.0

package mail

import (
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net/textproto"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/emersion/go-smtp"

	"github.com/caddy-threepid/caddy-threepid/internal/failover"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/smtptest"
)

// TestWhatTheRelaySaid is there for who may see it, and in no error's text.
func TestWhatTheRelaySaid(t *testing.T) {
	for name, test := range map[string]struct {
		message, said, enhanced string
	}{
		"plain":              {"5.7.1 <reader@example.org> is blocked, see https://x.test/1", "<reader@example.org> is blocked, see https://x.test/1", "5.7.1"},
		"no text":            {"", "", ""},
		"a code only":        {"5.7.1", "", "5.7.1"},
		"another class":      {"2.0.0 fine", "2.0.0 fine", ""},
		"lines":              {"5.1.1 nobody\n5.1.1 of that name", "nobody of that name", "5.1.1"},
		"control characters": {"\x1b[31mred\x07 \u202eback\u200b\x00", " [31mred   back  ", ""},
		"not UTF-8":          {"\xfcber", "?ber", ""},
	} {
		e := failure(t.Context(), "rcpt", &smtp.SMTPError{Code: 550, Message: test.message})
		if got := e.Said(); strings.TrimSpace(got) != strings.TrimSpace(test.said) || e.Enhanced != test.enhanced {
			t.Errorf("%s: got %q and %q, want %q and %q", name, got, e.Enhanced, test.said, test.enhanced)
		}
		if text := fmt.Sprintf("%v %s", e, e.nameless()); strings.Contains(text, "reader") || strings.Contains(text, "blocked") {
			t.Errorf("%s: it is in %q", name, text)
		}
	}
	long := failure(t.Context(), "rcpt", &smtp.SMTPError{Code: 550, Message: strings.Repeat("é", 5000)}).Said()
	if len(long) > maxSaid+len("…") || !utf8.ValidString(long) {
		t.Errorf("got %d bytes", len(long))
	}
	lines := reply(&textproto.Error{Code: 502, Msg: "5.5.1 no\nTLS"})
	if got := failure(t.Context(), "tls", lines); got.Enhanced != "5.5.1" || got.nameless() != "no TLS" {
		t.Errorf("before TLS: got %q, %q", got.Enhanced, got.nameless())
	}
	if got := failure(t.Context(), "mail", &smtp.SMTPError{Code: 550, Message: "tag+1@x.test may not send"}).nameless(); got != "[address] may not send" {
		t.Errorf("at MAIL: got %q", got)
	}
}

// TestNothingOfALogInIsRepeated: there are relays that quote what they do not
// understand, or what was wrong.
func TestNothingOfALogInIsRepeated(t *testing.T) {
	const password = "correct horse"
	server := startServer(t, smtptest.Options{Mode: smtptest.STARTTLS, Username: "u", Password: "other", Fail: func(stage, _ string) error {
		if stage != "AUTH" {
			return nil
		}
		return smtptest.Reply(535, "bad password "+password+" in AUTH PLAIN "+base64.StdEncoding.EncodeToString([]byte("\x00u\x00"+password)))
	}})
	got := mustFail(t, connectTo(t, server, SMTPConfig{Username: "u", Password: password, Auth: AuthPlain}))
	if want := "bad password [secret] in AUTH PLAIN [secret]"; got.Said() != want {
		t.Errorf("got %q, want %q", got.Said(), want)
	}
}

// TestLogInThatFailsTellsWhatIsOffered and nothing that is no name of a method.
func TestLogInThatFailsTellsWhatIsOffered(t *testing.T) {
	for _, test := range []struct {
		mechanisms []string
		want       string
	}{
		{[]string{"CRAM-MD5", "GSSAPI"}, "supported; it offers CRAM-MD5 GSSAPI"},
		{[]string{}, "supported; it offers no log-in at all"},
		{[]string{"PLAIN", "LOGIN"}, "535 5.7.8: it offers PLAIN LOGIN"},
		{[]string{"PLAIN", "reader@example.org\x1b[31m"}, "535 5.7.8: it offers PLAIN"},
	} {
		server := startServer(t, smtptest.Options{Mode: smtptest.STARTTLS, Username: "u", Password: "other", Mechanisms: test.mechanisms})
		got := mustFail(t, connectTo(t, server, SMTPConfig{Username: "u", Password: "secret"})).Error()
		if !strings.Contains(got, test.want) || strings.Contains(got, "reader") {
			t.Errorf("%v: got %q, want %q", test.mechanisms, got, test.want)
		}
	}
}

// TestPortThatTellsItsTLS: what cannot work is refused when it is configured.
func TestPortThatTellsItsTLS(t *testing.T) {
	for _, test := range []struct {
		address string
		tls     TLSMode
		want    string
	}{
		{"smtp.example.org:465", "", "the first byte"},
		{"smtp.example.org:465", STARTTLS, "the first byte"},
		{"smtp.example.org:587", ImplicitTLS, "begins in plain text"},
		{"smtp.example.org:25", ImplicitTLS, "begins in plain text"},
		{"smtp.example.org:465", ImplicitTLS, ""},
		{"smtp.example.org:587", STARTTLS, ""},
		{"smtp.example.org:25", "", ""},
		{"localhost:25", NoTLS, ""},
		{"smtp.example.org:2465", "", ""},
		{"smtp.example.org:2525", ImplicitTLS, ""},
	} {
		err := (&SMTPConfig{Address: test.address, TLS: test.tls}).Validate()
		if (err == nil) != (test.want == "") || err != nil && (!strings.Contains(err.Error(), test.want) || !strings.HasPrefix(err.Error(), "tls: ")) {
			t.Errorf("%s, tls %q: got %v, want %q", test.address, test.tls, err, test.want)
		}
	}
}

// TestCheckTellsWhichTLSThePortHas, in both directions, and where its
// certificate is bad.
func TestCheckTellsWhichTLSThePortHas(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		mode smtptest.Mode
		cfg  SMTPConfig
		want string
	}{
		"starttls for TLS":              {smtptest.TLS, SMTPConfig{}, "greeting=tls-expected"},
		"starttls for TLS, unknown":     {smtptest.TLS, SMTPConfig{RootCAs: x509.NewCertPool()}, "greeting=tls-expected"},
		"none for TLS":                  {smtptest.TLS, SMTPConfig{TLS: NoTLS}, "greeting=tls-expected"},
		"tls for a port that greets":    {smtptest.STARTTLS, SMTPConfig{TLS: ImplicitTLS}, "tls=tls-not-spoken"},
		"starttls, as it should be":     {smtptest.STARTTLS, SMTPConfig{}, "mail=ok"},
		"starttls for one without any":  {smtptest.Plain, SMTPConfig{}, "tls=starttls-missing"},
		"starttls for one that is mute": {smtptest.Plain, SMTPConfig{}, "greeting=no-greeting"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			opts := smtptest.Options{Mode: test.mode}
			if strings.Contains(test.want, "greeting") {
				test.cfg.ConnectTimeout = 4 * time.Second
			}
			if strings.Contains(name, "mute") {
				opts.Fail, test.cfg.ConnectTimeout = failAt("CONNECT", smtptest.ErrSilence), time.Second
			}
			found := connectTo(t, startServer(t, opts), test.cfg).Check(t.Context(), sender)
			if got := steps(found); got[len(got)-1] != test.want {
				t.Errorf("got %v, want it to end with %s", got, test.want)
			}
		})
	}
}

// TestCannotCarry is known of relays that were seen, for a while, asked of those
// that were not, and only true if none of them can.
func TestCannotCarry(t *testing.T) {
	const umlaut, plain = "müller@example.org", "mueller@example.org"
	seen := func(utf8 bool) *SMTP {
		s := connectTo(t, startServer(t, smtptest.Options{SMTPUTF8: utf8}), SMTPConfig{TLS: NoTLS})
		mustSend(t, s)
		return s
	}
	// asked is a relay that no mail has gone through yet.
	asked := func(utf8 bool) *SMTP {
		return connectTo(t, startServer(t, smtptest.Options{SMTPUTF8: utf8}), SMTPConfig{TLS: NoTLS})
	}
	changed := asked(true) // since it was seen
	changed.seen.lacks, changed.seen.seenAt = true, time.Now().Add(-seenFor)
	dead := connectTo(t, startServer(t, smtptest.Options{}), SMTPConfig{TLS: NoTLS})
	dead.cfg.Address = "127.0.0.1:1"
	for name, test := range map[string]struct {
		relays []Transport
		want   bool
	}{
		"has it not":             {[]Transport{seen(false)}, true},
		"has it":                 {[]Transport{seen(true)}, false},
		"asked, has it not":      {[]Transport{asked(false)}, true},
		"asked, has it":          {[]Transport{asked(true)}, false},
		"cannot be asked":        {[]Transport{dead}, false},
		"seen long ago":          {[]Transport{changed}, false},
		"neither of two":         {[]Transport{seen(false), seen(false)}, true},
		"the second has it":      {[]Transport{seen(false), seen(true)}, false},
		"the second is dead":     {[]Transport{seen(false), dead}, false},
		"the second is a folder": {[]Transport{seen(false), NewDir(t.TempDir())}, false},
	} {
		r := newRelays(t, failover.Config{}, test.relays...)
		if got := r.CannotCarry(t.Context(), umlaut); got != test.want || r.CannotCarry(t.Context(), plain) {
			t.Errorf("%s: got %t, want %t, and false for ASCII", name, got, test.want)
		}
	}
}

// TestRelayIsNotInOrderWhileEveryMailFails, whoever is to blame for each.
func TestRelayIsNotInOrderWhileEveryMailFails(t *testing.T) {
	doubt := func() *SendError {
		e := failed("data", 0)
		e.uncertain = true
		return e
	}
	for name, test := range map[string]struct {
		errs []error
		want bool
	}{
		"nothing sent yet":      {nil, false},
		"one reader unknown":    {[]error{failed("rcpt", 550)}, false},
		"greylisted":            {[]error{failed("rcpt", 450), nil}, false},
		"one fault":             {[]error{failed("tls", 0)}, true},
		"a fault that is over":  {[]error{failed("tls", 0), nil}, false},
		"one in doubt":          {[]error{nil, doubt()}, true},
		"every reader unknown":  {[]error{failed("rcpt", 550), failed("rcpt", 550), failed("rcpt", 550), failed("rcpt", 550), failed("rcpt", 550)}, true},
		"every mail is refused": {[]error{failed("data", 554), failed("data", 554), failed("data", 554), failed("data", 554), failed("data", 554)}, true},
		"we were interrupted":   {[]error{failure(canceled(), "data", errors.New("x"))}, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			one := &fake{}
			r := newRelays(t, failover.Config{}, one)
			for _, err := range test.errs {
				time.Sleep(time.Second)
				one.set(err)
				_ = send(t, r)
			}
			if got := r.Status()[0]; got.Failing() != test.want || got.State != failover.Closed {
				t.Errorf("%s: got %+v, want failing %t", name, got, test.want)
			}
		})
	}
}
