// SPDX-License-Identifier: Apache-2.0

package mail

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/smtptest"
)

var modes = map[TLSMode]smtptest.Mode{STARTTLS: smtptest.STARTTLS, ImplicitTLS: smtptest.TLS, NoTLS: smtptest.Plain}

func TestSMTPLogsInByEveryMechanism(t *testing.T) {
	for _, method := range []AuthMethod{AuthPlain, AuthLogin, AuthSCRAM, AuthSCRAMPlus, AuthXOAUTH2, AuthOAuthBearer} {
		for _, mode := range []TLSMode{STARTTLS, ImplicitTLS} {
			t.Run(string(method)+" over "+string(mode), func(t *testing.T) {
				opts := smtptest.Options{Mode: modes[mode], Username: "us=er,@x", Mechanisms: []string{method.mechanism()}}
				cfg := SMTPConfig{TLS: mode, Username: opts.Username, Auth: method}
				if slices.Contains(tokenMethods, method) {
					opts.Token, cfg.Token = "ya29.a+b/c==", staticToken("ya29.a+b/c==")
				} else {
					opts.Password, cfg.Password = "pass word €", "pass word €"
				}
				if method == AuthOAuthBearer { // go-sasl's server does not decode the name
					opts.Username, cfg.Username = "user@x.test", "user@x.test"
				}
				server := startServer(t, opts)
				transport := connectTo(t, server, cfg)
				mustSend(t, transport)
				if kept := transport.idle[0].replies.secrets; kept != nil {
					t.Errorf("%d secrets are kept", len(kept))
				}
				if got := server.Messages(); len(got) != 1 || !got[0].Authenticated || !got[0].Encrypted {
					t.Errorf("got %+v, want one message of a known sender", got)
				}
			})
		}
	}
}

func TestSMTPTakesTheStrongestMechanism(t *testing.T) {
	tests := map[string]struct {
		offered []string
		token   bool
		want    AuthMethod
	}{
		"all":              {[]string{"LOGIN", "PLAIN", "XOAUTH2", "OAUTHBEARER", "SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"}, false, AuthSCRAM},
		"no SCRAM":         {[]string{"CRAM-MD5", "LOGIN", "PLAIN", "XOAUTH2"}, false, AuthPlain},
		"only LOGIN":       {[]string{"XOAUTH2", "LOGIN"}, false, AuthLogin},
		"a token":          {[]string{"PLAIN", "SCRAM-SHA-256", "XOAUTH2", "OAUTHBEARER"}, true, AuthOAuthBearer},
		"a token, XOAUTH2": {[]string{"PLAIN", "SCRAM-SHA-256", "XOAUTH2"}, true, AuthXOAUTH2},
	}
	for name, test := range tests {
		cfg := SMTPConfig{Address: "x.test:25", Username: "u", Password: "p"}
		if test.token {
			cfg.Password, cfg.Token = "", staticToken("t")
		}
		s, err := NewSMTP(cfg)
		if err != nil {
			t.Fatal(err)
		}
		offers := func(mechanism string) bool { return slices.Contains(test.offered, mechanism) }
		if got, err := s.choose(offers); got != test.want || err != nil {
			t.Errorf("%s: got %s, %v, want %s", name, got, err, test.want)
		}
		if got, err := s.choose(func(string) bool { return false }); !errors.Is(err, errNoAuth) {
			t.Errorf("%s: got %s, %v where nothing is offered, want %v", name, got, err, errNoAuth)
		}
	}
}

// A password that RFC 4013 forbids cannot be used with SCRAM; the other ways
// take any.
func TestSMTPAutoLeavesOutSCRAMForAPasswordThatIsNotFitForIt(t *testing.T) {
	const odd = "bell\a"
	server := startServer(t, smtptest.Options{
		Mode: smtptest.STARTTLS, Username: "user", Password: odd, Mechanisms: []string{"SCRAM-SHA-256", "PLAIN"},
	})
	mustSend(t, connectTo(t, server, SMTPConfig{Username: "user", Password: odd}))
	_, err := NewSMTP(SMTPConfig{Address: "x.test:25", Username: "user", Password: odd, Auth: AuthSCRAM})
	if err == nil || strings.Contains(err.Error(), "bell") {
		t.Errorf("got %v, want an error without the password", err)
	}
}

func TestSMTPRefusedLogInSaysWhy(t *testing.T) {
	broken := func(context.Context) (string, error) { return "", errors.New("token s3cret is gone") }
	tests := map[string]struct {
		server smtptest.Options
		cfg    SMTPConfig
		reason string
	}{
		"PLAIN":             {smtptest.Options{Mechanisms: []string{"PLAIN"}}, SMTPConfig{Password: "s3cret"}, ReasonAuthRefused},
		"LOGIN":             {smtptest.Options{Mechanisms: []string{"LOGIN"}}, SMTPConfig{Password: "s3cret"}, ReasonAuthRefused},
		"SCRAM":             {smtptest.Options{Mechanisms: []string{"SCRAM-SHA-256"}}, SMTPConfig{Password: "s3cret"}, ReasonAuthRefused},
		"SCRAM-PLUS":        {smtptest.Options{Mechanisms: []string{"SCRAM-SHA-256-PLUS"}}, SMTPConfig{Password: "s3cret", Auth: AuthSCRAMPlus}, ReasonAuthRefused},
		"XOAUTH2":           {smtptest.Options{Mechanisms: []string{"XOAUTH2"}}, SMTPConfig{Token: staticToken("s3cret")}, ReasonAuthRefused},
		"OAUTHBEARER":       {smtptest.Options{Mechanisms: []string{"OAUTHBEARER"}}, SMTPConfig{Token: staticToken("s3cret")}, ReasonAuthRefused},
		"no token":          {smtptest.Options{Mechanisms: []string{"XOAUTH2"}}, SMTPConfig{Token: broken}, ReasonNoToken},
		"a token with CRLF": {smtptest.Options{Mechanisms: []string{"XOAUTH2"}}, SMTPConfig{Token: staticToken("s3cret\r\nRSET")}, ReasonNoToken},
		"a token with \\1":  {smtptest.Options{Mechanisms: []string{"XOAUTH2"}}, SMTPConfig{Token: staticToken("s3cret\x01x")}, ReasonNoToken},
		"not offered":       {smtptest.Options{Mechanisms: []string{"PLAIN"}}, SMTPConfig{Password: "s3cret", Auth: AuthSCRAM}, ReasonNoAuth},
		"a passing fault":   {smtptest.Options{Fail: failAt("AUTH", smtptest.Reply(454, "s3cret"))}, SMTPConfig{Password: "s3cret"}, ReasonDeferred},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			test.server.Mode, test.server.Username, test.server.Password, test.server.Token = smtptest.STARTTLS, "user", "other", "other"
			test.cfg.Username = "user"
			server := startServer(t, test.server)
			got := mustFail(t, connectTo(t, server, test.cfg))
			if got.Stage != "auth" || got.Reason != test.reason || !got.Temporary() || got.Operator() != (test.reason != ReasonDeferred) {
				t.Errorf("got %+v (%v), want %s for the operator", got, got, test.reason)
			}
			if strings.Contains(got.Error(), "s3cret") {
				t.Errorf("the error tells the secret: %v", got)
			}
			if len(server.Messages()) != 0 {
				t.Error("a message was taken")
			}
		})
	}
}

// RFC 5802 §3: the client is to know that the server knows the password.
func TestSMTPWantsTheSignatureOfSCRAM(t *testing.T) {
	tests := map[string]struct {
		fault      smtptest.SCRAMFault
		iterations int
		reason     string
	}{
		"forged":              {smtptest.SCRAMForged, 0, ReasonUnproven},
		"left out":            {smtptest.SCRAMSkipped, 0, ReasonUnproven},
		"for too little work": {0, 1000, ReasonAuthBroken},
		"for too much work":   {0, 1 << 30, ReasonAuthBroken},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			server := startServer(t, smtptest.Options{
				Mode: smtptest.STARTTLS, Username: "user", Password: "secret", Mechanisms: []string{"SCRAM-SHA-256"},
				SCRAM: test.fault, Iterations: test.iterations,
			})
			got := mustFail(t, connectTo(t, server, SMTPConfig{Username: "user", Password: "secret"}))
			if got.Stage != "auth" || got.Reason != test.reason || !got.Operator() || !strings.HasSuffix(got.Detail, "; it offers SCRAM-SHA-256") {
				t.Errorf("got %v (%s), want %s", got, got.Reason, test.reason)
			}
			if len(server.Messages()) != 0 {
				t.Error("the impostor was given a message")
			}
		})
	}
}

func TestSMTPNeverShowsThePasswordToSCRAM(t *testing.T) {
	said := new(lockedBuffer)
	server := startServer(t, smtptest.Options{
		Mode: smtptest.STARTTLS, Username: "user", Password: "a-long-secret", Mechanisms: []string{"PLAIN", "LOGIN", "SCRAM-SHA-256"},
		Transcript: said,
	})
	mustSend(t, connectTo(t, server, SMTPConfig{Username: "user", Password: "a-long-secret"}))
	all := said.String()
	if !strings.Contains(all, "AUTH SCRAM-SHA-256 ") {
		t.Fatalf("got no SCRAM in %q", all)
	}
	for field := range strings.FieldsSeq(all) {
		if decoded, err := base64.StdEncoding.DecodeString(field); err == nil && strings.Contains(string(decoded), "a-long-secret") {
			t.Errorf("the password was sent as %q", field)
		}
	}
}

func TestSMTPShowsItsCertificate(t *testing.T) {
	for _, mode := range []TLSMode{STARTTLS, ImplicitTLS} {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			server := startServer(t, smtptest.Options{Mode: modes[mode], ClientCert: true, MaxTLS: version})
			own := server.ClientCertificate()
			mustSend(t, connectTo(t, server, SMTPConfig{TLS: mode, Certificates: []tls.Certificate{own}}))
			got := mustFail(t, connectTo(t, server, SMTPConfig{TLS: mode}))
			if got.Reason != ReasonClientCert || !got.Temporary() || !got.Operator() {
				t.Errorf("%s, %s, no certificate: got %v (%s)", mode, tls.VersionName(version), got, got.Reason)
			}
		}
	}
}

func TestConfigOfTheLogInIsRefusedWithAReason(t *testing.T) {
	token := staticToken("t")
	for name, test := range map[string]struct {
		cfg  SMTPConfig
		want string
	}{
		"unknown method":               {SMTPConfig{Auth: "cram-md5", Username: "u", Password: "p"}, "must be one of auto, plain"},
		"password and token":           {SMTPConfig{Username: "u", Password: "p", Token: token}, "not both"},
		"token without a name":         {SMTPConfig{Token: token}, "go together"},
		"OAuth with a password":        {SMTPConfig{Auth: AuthXOAUTH2, Username: "u", Password: "p"}, "needs a token"},
		"a password's way for a token": {SMTPConfig{Auth: AuthPlain, Username: "u", Token: token}, "needs a password"},
		"a method and no name":         {SMTPConfig{Auth: AuthSCRAM}, "needs a username"},
		"NUL in the password":          {SMTPConfig{Username: "u", Password: "p\x00q"}, "control characters"},
		"\\1 in the name":              {SMTPConfig{Username: "u\x01auth=Bearer x", Token: token}, "control characters"},
		"a token without TLS":          {SMTPConfig{TLS: NoTLS, Username: "u", Token: token}, "never sent without tls"},
		"a certificate without TLS":    {SMTPConfig{TLS: NoTLS, Certificates: make([]tls.Certificate, 1)}, "no use with tls none"},
	} {
		test.cfg.Address = "localhost:25"
		if _, err := NewSMTP(test.cfg); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want an error with %q", name, err, test.want)
		}
	}
}

// staticToken is a token for [SMTPConfig.Token] that does not change.
func staticToken(token string) func(context.Context) (string, error) {
	return func(context.Context) (string, error) { return token, nil }
}
