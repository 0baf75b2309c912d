// SPDX-License-Identifier: Apache-2.0

package mail

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emersion/go-smtp"
	"github.com/xdg-go/scram"

	"github.com/caddy-threepid/caddy-threepid/internal/failover"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/smtptest"
)

// TestWordsForErrors: what keeps us from a relay has its word, whatever it is wrapped
// in.
func TestWordsForErrors(t *testing.T) {
	remote := func(text string) error { return &net.OpError{Op: "remote error", Err: errors.New(text)} }
	for _, tt := range []struct {
		stage string
		err   error
		want  string
	}{
		{"dial", &net.DNSError{Err: "no such host"}, ReasonDNS},
		{"dial", os.NewSyscallError("connect", syscall.ECONNREFUSED), ReasonRefused},
		{"dial", os.NewSyscallError("connect", syscall.EHOSTUNREACH), ReasonUnreachable},
		{"tls", errors.New("x"), ReasonTLS},
		{"mail", errors.New("x"), ReasonLost},
		{"tls", x509.CertificateInvalidError{Reason: x509.Expired, Detail: "current time is before"}, ReasonCertNotYetValid},
		{"tls", x509.CertificateInvalidError{Reason: x509.Expired, Detail: "current time is after"}, ReasonCertExpired},
		{"tls", x509.CertificateInvalidError{Reason: x509.NotAuthorizedToSign, Detail: "is before"}, ReasonCertInvalid},
		{"tls", x509.HostnameError{Certificate: &x509.Certificate{}}, ReasonCertName},
		{"tls", x509.UnknownAuthorityError{}, ReasonCertAuthority},
		{"tls", &tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}, ReasonCertAuthority},
		{"tls", &tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}, UnverifiedCertificates: []*x509.Certificate{{}}}, ReasonCertAuthority},
		{"tls", &tls.CertificateVerificationError{Err: errors.New("x")}, ReasonCertInvalid},
		{"tls", tls.RecordHeaderError{}, ReasonNoTLS},
		{"tls", errors.New("tls: server selected unsupported protocol version 301"), ReasonTLSVersion},
		{"tls", remote("tls: protocol version not supported"), ReasonTLSVersion},
		{"tls", remote("tls: bad certificate"), ReasonClientCert},
		{"tls", remote("tls: handshake failure"), ReasonTLS},
		{"tls", &askedError{remote("tls: handshake failure")}, ReasonClientCert},
		{"tls", &net.OpError{Op: "read", Err: errors.New("certificate")}, ReasonTLS},
	} {
		if got := reasonFor(tt.stage, fmt.Errorf("wrapped: %w", tt.err)); got != tt.want {
			t.Errorf("%s, %v: got %s, want %s", tt.stage, tt.err, got, tt.want)
		}
	}
	for _, own := range ownReasons {
		if got := reasonFor("dial", fmt.Errorf("wrapped: %w", own.err)); got != own.word {
			t.Errorf("%v: got %s, want %s", own.err, got, own.word)
		}
	}
}

// TestACertificateIsAsGoodAsItsChain: what ends first is told, and warned of in time.
func TestACertificateIsAsGoodAsItsChain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		for _, tt := range []struct {
			ends []time.Duration
			want string
			code string
		}{
			{[]time.Duration{ExpiryWarning}, now.Add(ExpiryWarning).UTC().Format(time.DateOnly), CodeOK},
			{[]time.Duration{ExpiryWarning - 1}, now.Add(ExpiryWarning - 1).UTC().Format(time.DateOnly), CodeExpiresSoon},
			{[]time.Duration{100 * 24 * time.Hour, 40 * 24 * time.Hour, 50 * 24 * time.Hour}, now.Add(40 * 24 * time.Hour).UTC().Format(time.DateOnly), CodeOK},
			{[]time.Duration{100 * 24 * time.Hour, 20 * 24 * time.Hour}, now.Add(20 * 24 * time.Hour).UTC().Format(time.DateOnly), CodeExpiresSoon},
		} {
			var chain []*x509.Certificate
			for _, d := range tt.ends {
				chain = append(chain, &x509.Certificate{NotAfter: now.Add(d), DNSNames: []string{"mx.test"}, IPAddresses: []net.IP{net.IPv4(192, 0, 2, 1)}})
			}
			var found []Finding
			see := observer(func(f Finding) { found = append(found, f) })
			see.tls(tls.ConnectionState{Version: tls.VersionTLS13, CipherSuite: tls.TLS_AES_128_GCM_SHA256, VerifiedChains: [][]*x509.Certificate{chain}})
			if got := found[0]; got.Code != tt.code || !got.OK || got.Step != StepTLS || !strings.Contains(got.Detail, "valid until "+tt.want) ||
				!strings.Contains(got.Detail, "mx.test 192.0.2.1") || !strings.HasPrefix(got.Detail, "TLS 1.3, TLS_AES_128_GCM_SHA256") || !strings.Contains(got.Detail, fmt.Sprintf("chain of %d", len(chain))) {
				t.Errorf("%v: got %+v, want %s until %s", tt.ends, got, tt.code, tt.want)
			}
			see.tls(tls.ConnectionState{})
			if got := found[1]; got.Code != CodeOK || strings.Contains(got.Detail, "certificate") {
				t.Errorf("without a chain: got %+v", got)
			}
		}
		observer(nil).tls(tls.ConnectionState{}) // nobody looks
	})
}

// TestCheckEndsWithItsContext, wherever the relay falls silent.
func TestCheckEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const most = 5 * time.Second
		for _, own := range []bool{true, false} {
			b := &bubble{silent: true}
			cfg, ctx := SMTPConfig{}, t.Context()
			if own {
				cfg.Timeout = most
			} else {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, most)
				defer cancel()
			}
			start := time.Now()
			found := b.transport(t, cfg).Check(ctx, sender)
			if last := found[len(found)-1]; last.Step != StepMail || last.OK || last.Code != ReasonTimeout || time.Since(start) != most {
				t.Errorf("got %+v after %s, want a timeout at MAIL after %s", last, time.Since(start), most)
			}
		}
	})
}

// TestConnectEndsWithItsTime, and what was agreed on just then is of no use.
func TestConnectEndsWithItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &bubble{}
		s := b.transport(t, SMTPConfig{})
		ctx, cancel := context.WithCancel(t.Context())
		c, failed := s.connect(ctx, func(f Finding) {
			if f.Step == StepEHLO {
				cancel()
			}
		})
		if c != nil || failed == nil || failed.Reason != ReasonInterrupted || failed.Stage != "hello" {
			t.Errorf("got %v, %v", c, failed)
		}
		s.dial = func(ctx context.Context, _, _ string) (net.Conn, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		start := time.Now()
		if _, failed := s.connect(t.Context(), nil); failed == nil || failed.Reason != ReasonTimeout || time.Since(start) != DefaultConnectTimeout {
			t.Errorf("got %v after %s", failed, time.Since(start))
		}
	})
}

// TestHELOIsTheNameOfThisMachine if it is a whole one, and its address otherwise.
func TestHELOIsTheNameOfThisMachine(t *testing.T) {
	ours, theirs := net.Pipe()
	defer func() { _, _ = ours.Close(), theirs.Close() }()
	for name, want := range map[string]string{"mx.example.org": "mx.example.org", "laptop": "client.invalid", "": "client.invalid"} {
		s := &SMTP{hostname: func() (string, error) { return name, nil }}
		if got := s.helo(ours); got != want {
			t.Errorf("%q: got %q, want %q", name, got, want)
		}
		s.hostname = func() (string, error) { return "mx.example.org", errors.New("no name") }
		if got := s.helo(ours); got != "client.invalid" {
			t.Errorf("without a name: got %q", got)
		}
		s.cfg.HELO = "own.example.org"
		if got := s.helo(ours); got != "own.example.org" {
			t.Errorf("with a name that is configured: got %q", got)
		}
	}
}

// failing is a connection on which the n-th write fails.
type failing struct {
	heard
	left *int
}

func (f failing) Write(p []byte) (int, error) {
	if *f.left--; *f.left == 0 {
		return 0, syscall.EPIPE
	}
	return len(p), nil
}

// TestSTARTTLSOnALostConnection fails at the step that was being taken.
func TestSTARTTLSOnALostConnection(t *testing.T) {
	for n, want := range map[int]string{1: "hello", 2: "tls", 3: ""} {
		left := n
		c := failing{heard{Reader: strings.NewReader("220 hi\r\n250-h\r\n250 STARTTLS\r\n220 go\r\n")}, &left}
		// Whatever was written ahead would be refused: here all was.
		stage, err := startTLS(&dripping{Conn: c}, "mx.example.org", nil)
		if stage != want || errors.Is(err, syscall.EPIPE) != (want != "") {
			t.Errorf("write %d: got %q, %v, want %q", n, stage, err, want)
		}
	}
}

// dripping hands out one line at a time.
type dripping struct{ net.Conn }

func (d *dripping) Read(p []byte) (int, error) {
	for i := range p {
		if _, err := io.ReadFull(d.Conn, p[i:i+1]); err != nil || p[i] == '\n' {
			return i + 1, err
		}
	}
	return len(p), nil
}

// TestRepliesThatBreakTheRules: a line without a code belongs to the reply, one with
// another code makes nonsense of it.
func TestRepliesThatBreakTheRules(t *testing.T) {
	for said, want := range map[string]string{
		"250-kept\r\n as 7\r\n250 ok\r\n": "250-kept\r\n250- as 7\r\n250 ok\r\n", "\r\n\r\n250 ok\r\n": "250 ok\r\n", "250-kept\r\n\r\n250 ok\r\n": "250-kept\r\n250-\r\n250 ok\r\n",
		"250-kept\r\n550 no\r\n": "", "kept\r\n": "", "250-" + strings.Repeat("x", maxReply) + "\r\n250 ok\r\n": "",
		"250 " + strings.Repeat("x", maxReplyLine) + "\r\n": "250 " + strings.Repeat("x", maxReplyLine-4) + "\r\n",
	} {
		r := hears(said)
		r.awaited = toCommand
		if got, err := r.next(); string(got) != want || (err == nil) != (want != "") {
			t.Errorf("%.40q: got %.40q, %v, want %.40q", said, got, err, want)
		}
	}
}

// TestRepliesAreToWhatWasAsked: 3yz asks for more only where there is more, and 504 is
// as good as 502 only to EHLO.
func TestRepliesAreToWhatWasAsked(t *testing.T) {
	for was, want := range map[await][2]string{
		toCommand: {"354 go\r\n", "504 no\r\n"}, toHello: {"354 go\r\n", "502 no\r\n"}, toData: {"354 go\r\n", "504 no\r\n"}, toLogin: {"334 go\r\n", "504 no\r\n"},
	} {
		for i, said := range []string{"354 go\r\n", "504 no\r\n"} {
			r := hears(said)
			r.awaited = was
			if got, err := r.next(); string(got) != want[i] || err != nil {
				t.Errorf("to %v: got %q, %v, want %q", was, got, err, want[i])
			}
			after := map[await]await{toData: toText, toLogin: toLogin}[was]
			if i == 1 {
				after = toCommand
			}
			if r.awaited != after {
				t.Errorf("to %v: after %q it awaits %v, want %v", was, said, r.awaited, after)
			}
		}
	}
}

// TestLogInThatMakesNoSense is told from one that was refused.
func TestLogInThatMakesNoSense(t *testing.T) {
	for name, challenge := range map[string]string{"garbled": "334 !!!\r\n", "unexpected": "334 eA==\r\n"} {
		conn, err := net.Dial("tcp", scripted(t, "220 hi\r\n", "250-hi\r\n250 AUTH PLAIN\r\n", challenge, "501 no\r\n"))
		if err != nil {
			t.Fatal(err)
		}
		c := smtp.NewClient(newReplies(conn))
		if err := c.Hello("mx.example.org"); err != nil {
			t.Fatal(err)
		}
		s := &SMTP{cfg: SMTPConfig{TLS: STARTTLS, Username: "u", Password: "p", Auth: AuthPlain}}
		if method, err := s.login(t.Context(), c, &tls.ConnectionState{}); method != "" || !errors.Is(err, errLoginBroken) {
			t.Errorf("%s: got %q, %v", name, method, err)
		}
		_ = c.Close()
	}
}

// TestSCRAMIsNotBoundToWhatCannotBind.
func TestSCRAMIsNotBoundToWhatCannotBind(t *testing.T) {
	server := startServer(t, smtptest.Options{Mode: smtptest.TLS, MaxTLS: tls.VersionTLS12})
	conn, err := tls.Dial("tcp", server.Addr(), &tls.Config{RootCAs: server.CertPool(), Renegotiation: tls.RenegotiateOnceAsClient})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	client, err := scram.SHA256.NewClient("user", "pencil", "")
	if err != nil {
		t.Fatal(err)
	}
	state := conn.ConnectionState()
	if c, err := newSCRAM(client, AuthSCRAMPlus, &state); c != nil || !errors.Is(err, errNoBinding) {
		t.Errorf("got %v, %v", c, err)
	}
}

// TestDATAThatIsRefused leaves nothing open, and the relay as it was.
func TestDATAThatIsRefused(t *testing.T) {
	double, err := smtptest.StartDouble(smtptest.Script{Says: map[string]string{"DATA": "451 later\r\n"}})
	if err != nil {
		t.Fatal(err)
	}
	defer double.Close()
	s, err := NewSMTP(SMTPConfig{Address: double.Addr(), TLS: NoTLS})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if got := mustFail(t, s); got.Stage != "data" || got.Code != 451 || got.Uncertain() || len(s.idle) != 1 {
		t.Errorf("got %v, uncertain %t, with %d connections kept", got, got.Uncertain(), len(s.idle))
	}
	if _, err := (&DKIM{}).Sign([]byte("no field\r\n\r\nx")); !errors.Is(err, errHeader) {
		t.Errorf("got %v for what has no header", err)
	}
}

// TestTheEndOfATextIsSeen however it is written, and nothing else is taken for it.
func TestTheEndOfATextIsSeen(t *testing.T) {
	for text, want := range map[string]int{".\r\n": 1, "x\r\n.\r\n": 1, "x\r\n..\r\n": 0, "x.\r\n": 0, "\r\n.\r": 0, "x\n.\n": 0, strings.Repeat("x\r\n", 99) + ".\r\n": 1} {
		for _, size := range []int{1, 2, 5, 1000} {
			handed := 0
			r := hears("")
			r.awaited = toData
			r.canonical("354", []string{"go"})
			r.handed = func() { handed++ }
			for rest := text; rest != ""; {
				n := min(size, len(rest))
				if written, err := r.Write([]byte(rest[:n])); written != n || err != nil {
					t.Fatal(written, err)
				}
				rest = rest[n:]
			}
			if handed != want {
				t.Errorf("%.10q in pieces of %d: seen %d times, want %d", text, size, handed, want)
			}
		}
	}
}

// TestShortWordsAreNoSecrets: they would be found everywhere.
func TestShortWordsAreNoSecrets(t *testing.T) {
	r := hears("")
	if r.hide([][]byte{[]byte("abc"), []byte("abcd")}); len(r.secrets) != 1 || r.secrets[0] != "abcd" {
		t.Errorf("got %q", r.secrets)
	}
	e := &SendError{said: "abc abcd"}
	if got := e.hiding("abc", "abcd").Said(); got != "abc [secret]" {
		t.Errorf("got %q", got)
	}
}

// TestOtherLettersNeed8BITMIME, and no others do.
func TestOtherLettersNeed8BITMIME(t *testing.T) {
	for text, want := range map[string]error{"~\x7f": nil, "\u0080": errNo8BITMIME, "\xff": errNo8BITMIME} {
		s := (&bubble{final: "250 taken\r\n"}).transport(t, SMTPConfig{})
		if err := s.Send(t.Context(), sender, reader, []byte(text)); !errors.Is(err, want) {
			t.Errorf("%q: got %v, want %v", text, err, want)
		}
		_ = s.Close()
	}
}

// TestACertificateIsShownToWhoTakesIt.
func TestACertificateIsShownToWhoTakesIt(t *testing.T) {
	own := startServer(t, smtptest.Options{Mode: smtptest.TLS, ClientCert: true}).ClientCertificate()
	s := &SMTP{cfg: SMTPConfig{Certificates: []tls.Certificate{own}}}
	all := []tls.SignatureScheme{tls.ECDSAWithP256AndSHA256, tls.Ed25519, tls.PSSWithSHA256}
	for name, authorities := range map[string][][]byte{"any": nil, "others": {[]byte("another")}} {
		got, err := s.certificate(&tls.CertificateRequestInfo{Version: tls.VersionTLS13, SignatureSchemes: all, AcceptableCAs: authorities})
		if err != nil || got == nil || (len(got.Certificate) > 0) != (name == "any") {
			t.Errorf("%s: got %v, %v", name, got, err)
		}
	}
}

// TestTheLastFaultIsTold with what was said before any recipient was named, and what
// was offered for a log-in.
func TestTheLastFaultIsTold(t *testing.T) {
	auth := failed("auth", 535)
	auth.Detail, auth.said = "it offers PLAIN", "who are you"
	rcpt := failed("rcpt", 421)
	rcpt.Detail, rcpt.said = "a detail", "busy with "+reader
	for _, tt := range []struct {
		err         *SendError
		text, reply string
	}{{auth, "auth: auth-refused 535: it offers PLAIN", "who are you"}, {rcpt, "rcpt: relay-shutting-down 421", ""}, {failed("auth", 454), "auth: deferred 454", ""}, {failed("dial", 0), "dial: " + failed("dial", 0).Reason, ""}} {
		r := newRelays(t, failover.Config{Threshold: 1, Delay: time.Minute}, &fake{err: tt.err})
		before := time.Now()
		_ = send(t, r)
		got := r.Status()[0]
		if got.LastError != tt.text || got.LastReply != tt.reply || got.State != failover.Open || got.RetryAt.Before(before.Add(30*time.Second)) {
			t.Errorf("%v: got %+v, want %q and %q", tt.err, got, tt.text, tt.reply)
		}
	}
}
