// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/textproto"
	"strings"
	"testing"
)

// relayServer is a mail relay that follows a script, over a real connection.
type relayServer struct {
	implicit bool
	cert     *leaf
	maxTLS   uint16
	// The replies; an empty one is the good one.
	greeting, hello, auth, mail string
	offers                      []string // of EHLO
}

func goodRelay() relayServer {
	l := good("mail.example.org")
	return relayServer{cert: &l, offers: []string{"STARTTLS", "AUTH PLAIN"}}
}

func (s relayServer) start(t *testing.T, ca *authority) string {
	config := &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: s.maxTLS}
	if s.cert != nil {
		config.Certificates = []tls.Certificate{ca.issue(t, *s.cert)}
	}
	return serveRaw(t, func(c net.Conn) {
		if s.implicit {
			c = tls.Server(c, config)
		}
		s.talk(c, config)
	})
}

func (s relayServer) talk(c net.Conn, config *tls.Config) {
	text := textproto.NewConn(c)
	reply := func(given, usual string) {
		if given == "" {
			given = usual
		}
		_ = text.PrintfLine("%s", given)
	}
	reply(s.greeting, "220 mail.example.org ESMTP")
	for {
		line, err := text.ReadLine()
		if err != nil {
			return
		}
		switch verb, _, _ := strings.Cut(strings.ToUpper(line), " "); verb {
		case "EHLO":
			if s.hello != "" {
				reply(s.hello, "")
				continue
			}
			for _, offer := range s.offers {
				reply("250-"+offer, "")
			}
			reply("250 8BITMIME", "")
		case "STARTTLS":
			reply("220 go ahead", "")
			c = tls.Server(c, config)
			text = textproto.NewConn(c)
		case "AUTH":
			reply(s.auth, "235 2.7.0 accepted")
		case "MAIL":
			reply(s.mail, "250 2.1.0 ok")
		default:
			reply("250 ok", "")
		}
	}
}

// relayCode is the code for an error at a step: that of the network or of TLS
// if it is one of theirs, else what a refusal at this step means. Errors that
// mean more than that (no STARTTLS, no mechanism) are the caller's to tell.
func relayCode(step string, err error) string {
	if f, ok := faultOf(err); ok {
		return f.code
	}
	if code, ok := stepCodes[step]; ok {
		return code
	}
	return CodeRelayFailed
}

// relayClient tries a relay as a mailer would, and tells its steps.
type relayClient struct {
	address  string
	implicit bool
	config   *tls.Config
	dial     dialFunc
}

func (c relayClient) check(ctx context.Context) []RelayStep {
	var steps []RelayStep
	add := func(name string, err error, code string) bool {
		step := RelayStep{Step: name, OK: err == nil}
		if err != nil {
			step.Detail = err.Error()
			if step.Code = code; code == "" {
				step.Code = relayCode(name, err)
			}
		}
		steps = append(steps, step)
		return err == nil
	}
	conn, err := c.dial(ctx, "tcp", c.address)
	if !add("dial", err, "") {
		return steps
	}
	defer conn.Close()
	if deadline, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(deadline)
	}
	secure := func() bool {
		tc := tls.Client(conn, c.config)
		conn = tc
		return add("tls", tc.HandshakeContext(ctx), "")
	}
	if c.implicit && !secure() {
		return steps
	}
	text := textproto.NewConn(conn)
	_, _, err = text.ReadResponse(220)
	if !add("greeting", err, "") {
		return steps
	}
	command := func(want int, line string) (string, error) {
		if err := text.PrintfLine("%s", line); err != nil {
			return "", err
		}
		_, reply, err := text.ReadResponse(want)
		return reply, err
	}
	offers, err := command(250, "EHLO here.example.org")
	if !add("hello", err, "") {
		return steps
	}
	if !c.implicit {
		if !strings.Contains(offers, "STARTTLS") {
			add("tls", errors.New("no STARTTLS among the offers"), CodeNoSTARTTLS)
			return steps
		}
		if _, err := command(220, "STARTTLS"); err != nil || !secure() {
			return steps
		}
		text = textproto.NewConn(conn)
	}
	if !strings.Contains(offers, "AUTH PLAIN") {
		add("auth", errors.New("it offers GSSAPI only"), CodeAuthNoMechanism)
		return steps
	}
	if _, err := command(235, "AUTH PLAIN AHVzZXIAc2VjcmV0"); !add("auth", err, "") {
		return steps
	}
	_, err = command(250, "MAIL FROM:<noreply@example.org>")
	add("mail", err, "")
	return steps
}

func TestRelayStepsWithoutACode(t *testing.T) {
	for step, want := range map[string]string{
		"dial": CodeUnreachable, "greeting": CodeGreetingRefused, "hello": CodeHelloRefused, "tls": CodeTLSFailed,
		"auth": CodeAuthRefused, "mail": CodeSenderRefused, "data": CodeRelayFailed, "": CodeRelayFailed,
	} {
		relay := Relay{Name: "r", Check: func(context.Context) []RelayStep { return []RelayStep{{Step: step}, {Step: "mail"}} }}
		got := Run(t.Context(), Options{Relays: []Relay{relay}}).Findings
		if len(got) != 1 || got[0].Code != want || got[0].Severity != Error {
			t.Errorf("step %q: got %+v, want only %s", step, got, want)
		}
	}
}

// TestRelayRepliesAreNotTrusted: what a relay writes goes to a terminal.
func TestRelayRepliesAreNotTrusted(t *testing.T) {
	reply := "550 5.1.8 <victim@example.net>: \x1b[2J\r\nrejected \u202efdp " + strings.Repeat("x", 10_000)
	for _, code := range []string{CodeSenderRefused, CodeTLSFailed, "no such code"} {
		relay := Relay{Name: "r\x1b[31m user@example.org", Check: func(context.Context) []RelayStep {
			return []RelayStep{{Step: "mail", Code: code, Detail: reply}}
		}}
		f := Run(t.Context(), Options{Relays: []Relay{relay}}).Findings[0]
		for _, text := range []string{f.Subject, f.Problem, f.Advice} {
			if strings.ContainsAny(text, "\x1b\r\u202e@") || len(text) > 600 {
				t.Errorf("%s: got %q", code, text)
			}
		}
		if !strings.Contains(f.Problem, "5.1.8") {
			t.Errorf("%s: the reply code is missing in %q", code, f.Problem)
		}
	}
}

func TestRelayCodeOfErrors(t *testing.T) {
	wrapped := fmt.Errorf("delivery failed at dial: %w", &net.OpError{Op: "dial", Err: context.DeadlineExceeded})
	tests := []struct {
		step string
		err  error
		want string
	}{
		{"dial", wrapped, CodeTimeout},
		{"auth", context.DeadlineExceeded, CodeTimeout},
		{"auth", &textproto.Error{Code: 535, Msg: "no"}, CodeAuthRefused},
		{"auth", errors.New("tls: first record does not look right"), CodeTLSFailed},
		{"auth", &textproto.Error{Code: 530, Msg: "remember: tls: first"}, CodeAuthRefused},
		{"dial", &net.DNSError{Err: "server misbehaving", IsTemporary: true}, CodeNameUnknown},
		{"dial", &net.DNSError{Err: "i/o timeout", IsTimeout: true}, CodeTimeout},
		{"rcpt", errors.New("odd"), CodeRelayFailed},
	}
	for _, tt := range tests {
		if got := relayCode(tt.step, tt.err); got != tt.want {
			t.Errorf("%s, %v: got %s, want %s", tt.step, tt.err, got, tt.want)
		}
	}
}

// TestReasonsOfTheMailer: each of its words leads to a code of the table, or to
// that of the step.
func TestReasonsOfTheMailer(t *testing.T) {
	table := codeTable(t)
	for word, want := range map[string]string{
		"dns": CodeNameUnknown, "refused": CodeRefused, "unreachable": CodeUnreachable, "timeout": CodeTimeout, "lost": CodeLost,
		"not-smtp": CodeRelayFailed, "starttls-missing": CodeNoSTARTTLS, "starttls-refused": CodeSTARTTLSRefused,
		"starttls-injection": CodeSTARTTLSInjected, "tls-not-spoken": CodeTLSNotSpoken, "tls-version": CodeTLSFailed, "tls-failed": CodeTLSFailed,
		"cert-expired": CodeCertExpired, "cert-not-yet-valid": CodeCertExpired, "cert-self-signed": CodeCertSelfSigned,
		"cert-unknown-authority": CodeCertAuthority, "cert-wrong-name": CodeCertName, "cert-invalid": CodeTLSFailed,
		"client-cert-refused": CodeClientCert, "tls-expected": CodeTLSExpected, "plaintext-auth": CodePlainAuth, "auth-refused": CodeAuthRefused, "auth-required": CodeAuthRequired,
		"auth-not-offered": CodeAuthNoMechanism, "auth-unproven": CodeAuthRefused, "token-unavailable": CodeNoToken,
		"client-refused": CodeHelloRefused, "sender-refused": CodeSenderRefused, "deferred": CodeRelayDeferred,
		"cert-expires-soon": CodeCertExpiresSoon, "new-word": "", "ok": "", "": "",
	} {
		got := CodeOfReason(word)
		if got != want {
			t.Errorf("%q: got %q, want %q", word, got, want)
		}
		if row, ok := table[got]; got != "" && (!ok || !row.of(checkRelay)) {
			t.Errorf("%q: the code %q is not one of a relay", word, got)
		}
	}
	for word, code := range reasons {
		if row, ok := table[code]; !ok || !row.of(checkRelay) {
			t.Errorf("%q: the code %q is not one of a relay", word, code)
		}
	}
}

// TestReportHasWhatTheRelaySaid, made fit for a terminal, and without addresses.
func TestReportHasWhatTheRelaySaid(t *testing.T) {
	r := newRig(t)
	opts := r.options()
	opts.Relays = []Relay{{Name: "mail.example.org:587", Check: func(context.Context) []RelayStep {
		return []RelayStep{{Step: "mail", Code: CodeSenderRefused, Said: "not from <a@example.org>,\x1b[31m see https://x.test/why"}}
	}}}
	for _, f := range Run(t.Context(), opts).Findings {
		if f.Check != checkRelay {
			continue
		}
		if !strings.HasSuffix(f.Problem, "The relay said: not from <<address>>, [31m see https://x.test/why") || f.Code != CodeSenderRefused {
			t.Errorf("got %+v", f)
		}
	}
}
