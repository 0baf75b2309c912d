// SPDX-License-Identifier: Apache-2.0

package mail

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/smtptest"
)

// bulky is more than the buffers between two ends of a connection can hold.
var bulky = bytes.Repeat([]byte("0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcd\r\n"), 1<<19)

// mustReturn runs a Send that is to end by its context, and returns its error.
func mustReturn(t *testing.T, ctx context.Context, s *SMTP, message []byte) *SendError {
	t.Helper()
	result := make(chan error, 1)
	go func() { result <- s.Send(ctx, sender, reader, message) }()
	select {
	case err := <-result:
		var failed *SendError
		if !errors.As(err, &failed) {
			t.Fatalf("got %v, want a failed delivery", err)
		}
		return failed
	case <-time.After(patience):
		t.Fatal("still blocked")
		return nil
	}
}

// sudden is a context whose time is up when it is told so.
type sudden struct {
	context.Context
	over chan struct{}
}

func (s *sudden) Done() <-chan struct{} { return s.over }

func (s *sudden) Err() error {
	select {
	case <-s.over:
		return context.DeadlineExceeded
	default:
		return nil
	}
}

func TestSMTPEndsWithItsContextWhereverThePeerIsSilent(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		mode   smtptest.Mode
		silent string
		stage  string
	}{
		"greeting":               {smtptest.STARTTLS, "CONNECT", "hello"},
		"greeting without TLS":   {smtptest.Plain, "CONNECT", "hello"},
		"TLS handshake":          {smtptest.TLS, "CONNECT", "tls"},
		"EHLO":                   {smtptest.STARTTLS, "EHLO", "hello"},
		"EHLO over TLS":          {smtptest.TLS, "EHLO", "hello"},
		"AUTH":                   {smtptest.STARTTLS, "AUTH", "auth"},
		"MAIL":                   {smtptest.STARTTLS, "MAIL", "mail"},
		"RCPT":                   {smtptest.TLS, "RCPT", "rcpt"},
		"body over TLS":          {smtptest.STARTTLS, "BODY", "data"},
		"body without TLS":       {smtptest.Plain, "BODY", "data"},
		"reply to the final dot": {smtptest.STARTTLS, "DATA", "data"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // each waits, long enough for a busy machine to notice the silence
			ctx := &sudden{t.Context(), make(chan struct{})}
			begin := sync.OnceFunc(func() { time.AfterFunc(time.Second/2, func() { close(ctx.over) }) })
			opts := smtptest.Options{Mode: test.mode, Fail: func(stage, _ string) error {
				if stage != test.silent {
					return nil
				}
				begin()
				return smtptest.ErrSilence
			}}
			cfg := SMTPConfig{TLS: map[smtptest.Mode]TLSMode{
				smtptest.Plain: NoTLS, smtptest.STARTTLS: STARTTLS, smtptest.TLS: ImplicitTLS,
			}[test.mode]}
			if test.silent == "AUTH" {
				opts.Username, opts.Password = "user", "secret"
				cfg.Username, cfg.Password = "user", "secret"
			}
			transport := connectTo(t, startServer(t, opts), cfg)
			message := composed(t)
			if test.silent == "BODY" {
				message = bulky
			}
			got := mustReturn(t, ctx, transport, message)
			if got.Stage != test.stage || !errors.Is(got, context.DeadlineExceeded) || !got.Temporary() || got.Operator() {
				t.Errorf("got %v (temporary %t, operator %t), want a timeout at %s", got, got.Temporary(), got.Operator(), test.stage)
			}
			if got := len(transport.idle); got != 0 {
				t.Errorf("got %d idle connections, want none: this one is in an unknown state", got)
			}
		})
	}
}

func TestSMTPHasATimeoutOfItsOwn(t *testing.T) {
	for stage, cfg := range map[string]SMTPConfig{
		"RCPT": {TLS: NoTLS, Timeout: 200 * time.Millisecond},
		// The answer to the final dot has a limit of its own (RFC 5321 §4.5.3.2.6).
		"DATA": {TLS: NoTLS, HandoverTimeout: 200 * time.Millisecond},
	} {
		server := startServer(t, smtptest.Options{Fail: failAt(stage, smtptest.ErrSilence)})
		got := mustReturn(t, context.Background(), connectTo(t, server, cfg), []byte("x\r\n"))
		if !errors.Is(got, context.DeadlineExceeded) || !got.Temporary() || got.Uncertain() != (stage == "DATA") {
			t.Errorf("%s: got %v (uncertain %t), want a timeout", stage, got, got.Uncertain())
		}
	}
}

func TestSMTPEndsAtOnceWhenInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	server := startServer(t, smtptest.Options{Fail: func(stage, _ string) error {
		if stage == "DATA" {
			cancel()
			return smtptest.ErrSilence
		}
		return nil
	}})
	got := mustReturn(t, ctx, connectTo(t, server, SMTPConfig{TLS: NoTLS}), []byte("x\r\n"))
	if !errors.Is(got, context.Canceled) || !got.Temporary() || got.Operator() {
		t.Errorf("got %v, want an interruption that is nobody's fault", got)
	}
}

func TestSMTPDoesNotConnectAfterItsContext(t *testing.T) {
	server := startServer(t, smtptest.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got := mustReturn(t, ctx, connectTo(t, server, SMTPConfig{TLS: NoTLS}), []byte("x\r\n")); got.Stage != "dial" || !errors.Is(got, context.Canceled) {
		t.Errorf("got %v, want an interruption at dial", got)
	}
	wantConnections(t, server, 0)
}

func TestSMTPNobodyThereIsPassing(t *testing.T) {
	server := startServer(t, smtptest.Options{})
	transport := connectTo(t, server, SMTPConfig{TLS: NoTLS})
	if err := server.Close(); err != nil {
		t.Fatal(err)
	}
	if got := mustReturn(t, t.Context(), transport, []byte("x\r\n")); got.Stage != "dial" || !got.Temporary() || got.Operator() {
		t.Errorf("got %v, want a passing fault at dial", got)
	}
}

// A relay that does not answer QUIT must not hold up a shutdown.
func TestSMTPCloseDoesNotWaitForASilentRelay(t *testing.T) {
	address := scripted(t, "220 hi\r\n", "250 hi\r\n", "250 ok\r\n", "250 ok\r\n", "354 go\r\n", "", "250 ok\r\n")
	transport, err := NewSMTP(SMTPConfig{Address: address, TLS: NoTLS})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := transport.Send(ctx, sender, reader, []byte("x\r\n")); err != nil {
		t.Fatal(err)
	}
	closed := make(chan error, 1)
	go func() { closed <- transport.Close() }()
	select {
	case err := <-closed:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(patience):
		t.Error("still blocked")
	}
}
