// SPDX-License-Identifier: Apache-2.0

package mail

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/smtptest"
)

// In each row the relay, or whoever plays it, gets neither mail nor password.
func TestSMTPFailsClosedWithoutGoodTLS(t *testing.T) {
	tests := map[string]struct {
		server smtptest.Options
		cfg    SMTPConfig
		stage  string
		reason string
	}{
		"STARTTLS stripped":           {smtptest.Options{Mode: smtptest.Plain}, SMTPConfig{}, "tls", "STARTTLS"},
		"wrong name, STARTTLS":        {smtptest.Options{Mode: smtptest.STARTTLS, Hosts: []string{"other.test"}}, SMTPConfig{}, "tls", "certificate"},
		"wrong name, implicit TLS":    {smtptest.Options{Mode: smtptest.TLS, Hosts: []string{"other.test"}}, SMTPConfig{TLS: ImplicitTLS}, "tls", "certificate"},
		"other name asked for":        {smtptest.Options{Mode: smtptest.STARTTLS}, SMTPConfig{ServerName: "smtp.example.org"}, "tls", "certificate"},
		"unknown CA, STARTTLS":        {smtptest.Options{Mode: smtptest.STARTTLS}, SMTPConfig{RootCAs: x509.NewCertPool()}, "tls", "unknown authority"},
		"unknown CA, implicit TLS":    {smtptest.Options{Mode: smtptest.TLS}, SMTPConfig{TLS: ImplicitTLS, RootCAs: x509.NewCertPool()}, "tls", "unknown authority"},
		"TLS 1.1":                     {smtptest.Options{Mode: smtptest.TLS, MaxTLS: tls.VersionTLS11}, SMTPConfig{TLS: ImplicitTLS}, "tls", "protocol version"},
		"no TLS where it is implicit": {smtptest.Options{Mode: smtptest.Plain}, SMTPConfig{TLS: ImplicitTLS}, "tls", "does not look like a TLS handshake"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var asked atomic.Int32
			test.server.Username, test.server.Password = "user", "secret"
			test.server.Fail = func(stage, _ string) error {
				if stage == "AUTH" || stage == "MAIL" {
					asked.Add(1)
				}
				return nil
			}
			server := startServer(t, test.server)
			test.cfg.Username, test.cfg.Password = "user", "secret"
			got := mustFail(t, connectTo(t, server, test.cfg))
			if got.Stage != test.stage || !strings.Contains(got.Detail, test.reason) {
				t.Errorf("got %q, want a failure at %s because of %q", got, test.stage, test.reason)
			}
			if !got.Temporary() || !got.Operator() {
				t.Errorf("got temporary %t, operator %t, want both", got.Temporary(), got.Operator())
			}
			if asked.Load() != 0 || len(server.Messages()) != 0 {
				t.Error("the relay was given mail or a password")
			}
		})
	}
}

func TestSMTPTakesTheNameThatIsConfigured(t *testing.T) {
	server := startServer(t, smtptest.Options{Mode: smtptest.STARTTLS, Hosts: []string{"smtp.example.org"}})
	mustSend(t, connectTo(t, server, SMTPConfig{ServerName: "smtp.example.org"}))
}

func TestSMTPLogsIn(t *testing.T) {
	for _, mechanisms := range [][]string{{"PLAIN"}, {"LOGIN"}, {"CRAM-MD5", "LOGIN", "PLAIN"}} {
		for _, mode := range []TLSMode{STARTTLS, ImplicitTLS} {
			opts := smtptest.Options{Mode: smtptest.STARTTLS, Username: "user", Password: "pass word", Mechanisms: mechanisms}
			if mode == ImplicitTLS {
				opts.Mode = smtptest.TLS
			}
			server := startServer(t, opts)
			mustSend(t, connectTo(t, server, SMTPConfig{TLS: mode, Username: "user", Password: "pass word"}))
			if got := server.Messages(); len(got) != 1 || !got[0].Authenticated || !got[0].Encrypted {
				t.Errorf("%v over %s: got %+v, want one message of a known sender", mechanisms, mode, got)
			}
		}
	}
}

func TestSMTPLogInThatFailsIsForTheOperator(t *testing.T) {
	tests := map[string]struct {
		server smtptest.Options
		want   string
		code   int
	}{
		"wrong password": {smtptest.Options{Password: "other"}, "auth", 535},
		"no mechanism":   {smtptest.Options{Password: "secret", Mechanisms: []string{"CRAM-MD5"}}, "no way to log in", 0},
		"no AUTH at all": {smtptest.Options{Password: "secret", Mechanisms: []string{}}, "no way to log in", 0},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			test.server.Mode, test.server.Username = smtptest.STARTTLS, "user"
			server := startServer(t, test.server)
			got := mustFail(t, connectTo(t, server, SMTPConfig{Username: "user", Password: "secret"}))
			if got.Stage != "auth" || got.Code != test.code || !got.Temporary() || !got.Operator() || !strings.Contains(got.Error(), test.want) {
				t.Errorf("got %v (temporary %t, operator %t)", got, got.Temporary(), got.Operator())
			}
			if strings.Contains(got.Error(), "secret") {
				t.Errorf("the error tells the password: %v", got)
			}
		})
	}
}

// Validate refuses this; so does the code that would do it.
func TestSMTPNeverLogsInWithoutTLS(t *testing.T) {
	asked := make(chan struct{}, 1)
	server := startServer(t, smtptest.Options{Username: "user", Password: "secret", Fail: func(stage, _ string) error {
		if stage == "AUTH" {
			asked <- struct{}{}
		}
		return nil
	}})
	transport := connectTo(t, server, SMTPConfig{TLS: NoTLS})
	transport.cfg.Username, transport.cfg.Password = "user", "secret"
	if got := mustFail(t, transport); !errors.Is(got, errPlainAuth) {
		t.Errorf("got %v, want %v", got, errPlainAuth)
	}
	if len(asked) != 0 {
		t.Error("the password was sent in plain text")
	}
}

// scripted answers each line from a client with the next of its replies.
func scripted(t *testing.T, greeting string, replies ...string) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		_, _ = fmt.Fprint(c, greeting)
		lines := bufio.NewScanner(c)
		for _, reply := range replies {
			if !lines.Scan() {
				return
			}
			if _, err := fmt.Fprint(c, reply); err != nil {
				return
			}
		}
		for lines.Scan() { // silent until the client goes
			continue
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-ended
	})
	return l.Addr().String()
}

func TestSMTPDistrustsWhatComesBeforeTLS(t *testing.T) {
	tests := map[string]struct {
		greeting string
		replies  []string
		want     error
	}{
		"replies ahead of the handshake": {"220 hi\r\n", []string{"250-hi\r\n250 STARTTLS\r\n", "220 go\r\n250 AUTH PLAIN\r\n"}, errInjected},
		"a greeting without end":         {strings.Repeat("220-hi\r\n", maxReply), nil, errNotSMTP},
		"a line without end":             {"220 hi\r\n", []string{"250-" + strings.Repeat("x", 2*maxReply)}, errNotSMTP},
		"another protocol":               {"HTTP/1.1 400 Bad Request\r\n\r\n", nil, errNotSMTP},
		"STARTTLS only as a part":        {"220 STARTTLS\r\n", []string{"250-STARTTLS hi\r\n250-XSTARTTLS\r\n250 STARTTLSX\r\n"}, errNoSTARTTLS},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			transport, err := NewSMTP(SMTPConfig{Address: scripted(t, test.greeting, test.replies...)})
			if err != nil {
				t.Fatal(err)
			}
			got := mustFail(t, transport)
			if !errors.Is(got, test.want) || !got.Temporary() || !got.Operator() {
				t.Errorf("got %v (temporary %t, operator %t), want %v", got, got.Temporary(), got.Operator(), test.want)
			}
		})
	}
}

func TestSMTPRefusedUpgradeIsForTheOperator(t *testing.T) {
	transport, err := NewSMTP(SMTPConfig{Address: scripted(t, "220 hi\r\n", "250-hi\r\n250 STARTTLS\r\n", "502 5.5.1 no\r\n")})
	if err != nil {
		t.Fatal(err)
	}
	if got := mustFail(t, transport); got.Stage != "tls" || got.Code != 502 || !got.Temporary() || !got.Operator() {
		t.Errorf("got %v (temporary %t, operator %t)", got, got.Temporary(), got.Operator())
	}
}
