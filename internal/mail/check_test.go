// SPDX-License-Identifier: Apache-2.0

package mail

import (
	"crypto/tls"
	"crypto/x509"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/failover"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/smtptest"
)

func steps(found []Finding) []string {
	var all []string
	for _, f := range found {
		all = append(all, f.Step+"="+f.Code)
	}
	return all
}

func TestCheckGoesThroughAllThatADeliveryDoes(t *testing.T) {
	for mode, want := range map[TLSMode][]string{
		STARTTLS:    {"connect=ok", "greeting=ok", "tls=ok", "ehlo=ok", "auth=ok", "mail=ok"},
		ImplicitTLS: {"connect=ok", "tls=ok", "greeting=ok", "ehlo=ok", "auth=ok", "mail=ok"},
		NoTLS:       {"connect=ok", "greeting=ok", "ehlo=ok", "tls=not-configured", "auth=not-configured", "mail=ok"},
	} {
		said := new(lockedBuffer)
		opts := smtptest.Options{Mode: modes[mode], Transcript: said, SMTPUTF8: true}
		cfg := SMTPConfig{TLS: mode}
		if mode != NoTLS {
			opts.Username, opts.Password, opts.Mechanisms = "user", "secret", []string{"PLAIN", "SCRAM-SHA-256"}
			cfg.Username, cfg.Password = "user", "secret"
		}
		server := startServer(t, opts)
		found := connectTo(t, server, cfg).Check(t.Context(), sender)
		if got := steps(found); !slices.Equal(got, want) {
			t.Errorf("%s: got %v, want %v", mode, got, want)
		}
		for _, f := range found {
			if !f.OK || strings.Contains(f.Detail, "secret") || strings.Contains(f.Detail, sender) {
				t.Errorf("%s: got %+v", mode, f)
			}
			for _, word := range map[string][]string{
				StepTLS: {"TLS 1.3", "localhost 127.0.0.1", "issued by CN=authority", "chain of 2", "valid until 20"}, StepEHLO: {"8BITMIME SIZE SMTPUTF8", map[bool]string{true: "AUTH=PLAIN AUTH=SCRAM-SHA-256"}[mode != NoTLS]}, StepAuth: {"scram"},
			}[f.Step] {
				if f.Code == CodeOK && !strings.Contains(f.Detail, word) {
					t.Errorf("%s: got %s %q, want %q in it", mode, f.Step, f.Detail, word)
				}
			}
		}
		if all := said.String(); strings.Contains(all, "RCPT") || strings.Contains(all, "DATA") || !strings.Contains(all, "RSET") || !strings.Contains(all, "QUIT") {
			t.Errorf("%s: got the dialogue %q, want no recipient, and a proper end", mode, all)
		}
		if got := len(server.Messages()); got != 0 {
			t.Errorf("%s: got %d messages, want none", mode, got)
		}
	}
}

// Each fault is named at the step where it is, and nothing is said of those
// that were not reached.
func TestCheckNamesTheFault(t *testing.T) {
	tests := map[string]struct {
		server smtptest.Options
		cfg    SMTPConfig
		want   string
	}{
		"nobody there":          {smtptest.Options{}, SMTPConfig{}, "connect=refused"},
		"says nothing":          {smtptest.Options{Fail: failAt("CONNECT", smtptest.ErrSilence)}, SMTPConfig{ConnectTimeout: time.Second}, "greeting=no-greeting"},
		"busy":                  {smtptest.Options{Fail: failAt("CONNECT", smtptest.Reply(421, "x"))}, SMTPConfig{}, "greeting=relay-shutting-down"},
		"not welcome":           {smtptest.Options{Fail: failAt("CONNECT", smtptest.Reply(554, "x"))}, SMTPConfig{}, "greeting=client-refused"},
		"HELO refused":          {smtptest.Options{Fail: failAt("EHLO", smtptest.Reply(550, "x"))}, SMTPConfig{}, "ehlo=client-refused"},
		"STARTTLS stripped":     {smtptest.Options{Mode: smtptest.Plain}, SMTPConfig{}, "tls=starttls-missing"},
		"the wrong port":        {smtptest.Options{Mode: smtptest.Plain}, SMTPConfig{TLS: ImplicitTLS}, "tls=tls-not-spoken"},
		"expired":               {smtptest.Options{Certificate: smtptest.Expired}, SMTPConfig{}, "tls=cert-expired"},
		"not yet valid":         {smtptest.Options{Certificate: smtptest.NotYetValid}, SMTPConfig{}, "tls=cert-not-yet-valid"},
		"self-signed":           {smtptest.Options{Certificate: smtptest.SelfSigned}, SMTPConfig{}, "tls=cert-self-signed"},
		"unknown authority":     {smtptest.Options{}, SMTPConfig{RootCAs: x509.NewCertPool()}, "tls=cert-unknown-authority"},
		"wrong name":            {smtptest.Options{}, SMTPConfig{ServerName: "mx.example.org"}, "tls=cert-wrong-name"},
		"old TLS":               {smtptest.Options{MaxTLS: tls.VersionTLS11}, SMTPConfig{}, "tls=tls-version"},
		"wants a certificate":   {smtptest.Options{ClientCert: true}, SMTPConfig{}, "tls=client-cert-refused"},
		"wrong password":        {smtptest.Options{Username: "u", Password: "other"}, SMTPConfig{Username: "u", Password: "p"}, "auth=auth-refused"},
		"no AUTH":               {smtptest.Options{}, SMTPConfig{Username: "u", Password: "p"}, "auth=auth-not-offered"},
		"an impostor":           {smtptest.Options{Username: "u", Password: "p", Mechanisms: []string{"SCRAM-SHA-256"}, SCRAM: smtptest.SCRAMForged}, SMTPConfig{Username: "u", Password: "p"}, "auth=auth-unproven"},
		"a log-in is missing":   {smtptest.Options{Username: "u", Password: "p", Fail: failAt("MAIL", smtptest.Reply(530, "x"))}, SMTPConfig{}, "mail=auth-required"},
		"sender refused":        {smtptest.Options{Fail: failAt("MAIL", smtptest.Reply(553, "x"))}, SMTPConfig{}, "mail=sender-refused"},
		"sender refused, later": {smtptest.Options{Fail: failAt("MAIL", smtptest.Reply(451, "x"))}, SMTPConfig{}, "mail=deferred"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if name != "STARTTLS stripped" && name != "the wrong port" {
				test.server.Mode = smtptest.STARTTLS
			}
			if name == "a log-in is missing" {
				test.server.Username, test.server.Password = "", ""
			}
			server := startServer(t, test.server)
			transport := connectTo(t, server, test.cfg)
			if name == "nobody there" {
				if err := server.Close(); err != nil {
					t.Fatal(err)
				}
			}
			found := transport.Check(t.Context(), sender)
			last := found[len(found)-1]
			if got := last.Step + "=" + last.Code; got != test.want || last.OK || last.Detail == "" {
				t.Errorf("got %v, want it to end with %s", found, test.want)
			}
			for _, f := range found[:len(found)-1] {
				if !f.OK {
					t.Errorf("got %+v before the end", f)
				}
			}
		})
	}
}

func TestCheckWarnsBeforeACertificateEnds(t *testing.T) {
	server := startServer(t, smtptest.Options{Mode: smtptest.TLS, Certificate: smtptest.ExpiresSoon})
	found := connectTo(t, server, SMTPConfig{TLS: ImplicitTLS}).Check(t.Context(), sender)
	at := slices.IndexFunc(found, func(f Finding) bool { return f.Step == StepTLS })
	if at < 0 || !found[at].OK || found[at].Code != CodeExpiresSoon {
		t.Errorf("got %+v, want %s", found, CodeExpiresSoon)
	}
}

// A relay that is left alone is checked all the same: the doctor is asked just
// then.
func TestCheckOfRelaysCoversAll(t *testing.T) {
	good, bad := startServer(t, smtptest.Options{}), startServer(t, smtptest.Options{Fail: failAt("MAIL", smtptest.Reply(550, "x"))})
	r := newRelays(t, failover.Config{Threshold: 1}, connectTo(t, bad, SMTPConfig{TLS: NoTLS}), NewDir(t.TempDir()), connectTo(t, good, SMTPConfig{TLS: NoTLS}))
	if err := send(t, r); err != nil {
		t.Fatal(err)
	}
	if got := r.Status()[0].State; got != failover.Open {
		t.Fatalf("got %s, want open", got)
	}
	last := map[string]string{}
	for _, f := range r.Check(t.Context(), sender) {
		last[f.Relay] = f.Step + "=" + f.Code
	}
	if len(last) != 2 || last["relay1"] != "mail=sender-refused" || last["relay3"] != "mail=ok" {
		t.Errorf("got %v", last)
	}
}

// TestCheckOfABadSender: no relay is to blame for that.
func TestCheckOfABadSender(t *testing.T) {
	said := new(lockedBuffer)
	found := connectTo(t, startServer(t, smtptest.Options{Transcript: said}), SMTPConfig{TLS: NoTLS}).Check(t.Context(), "no address")
	if last := found[len(found)-1]; last.OK || last.Step != StepMail || last.Code != ReasonSender || last.Detail != ErrInvalidSender.Error() {
		t.Errorf("got %+v", last)
	}
	if all := said.String(); strings.Contains(all, "MAIL") {
		t.Errorf("got the dialogue %q", all)
	}
}

// TestWhatIsNotConfiguredIsToldInItsPlace, and not of a relay that was not greeted.
func TestWhatIsNotConfiguredIsToldInItsPlace(t *testing.T) {
	for ok, want := range map[bool]string{true: "ehlo=ok tls=not-configured", false: "ehlo=x"} {
		s := &SMTP{cfg: SMTPConfig{TLS: NoTLS, Username: "u"}}
		got := s.complete([]Finding{{Step: StepEHLO, OK: ok, Code: map[bool]string{true: CodeOK, false: "x"}[ok]}})
		if got := strings.Join(steps(got), " "); got != want {
			t.Errorf("EHLO ok %t: got %s, want %s", ok, got, want)
		}
	}
}
