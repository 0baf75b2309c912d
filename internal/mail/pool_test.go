// SPDX-License-Identifier: Apache-2.0

package mail

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/smtptest"
)

func wantConnections(t *testing.T, s *smtptest.Server, want int) {
	t.Helper()
	if got := s.Connections(); got != want {
		t.Errorf("got %d connections, want %d", got, want)
	}
}

func TestSMTPReusesConnections(t *testing.T) {
	server := startServer(t, smtptest.Options{Mode: smtptest.STARTTLS})
	transport := connectTo(t, server, SMTPConfig{})
	for range 5 {
		mustSend(t, transport)
	}
	wantConnections(t, server, 1)
	if got := len(server.Messages()); got != 5 {
		t.Errorf("got %d messages, want 5", got)
	}
}

func TestSMTPDeliversWhenAnIdleConnectionWasClosed(t *testing.T) {
	for _, mode := range []TLSMode{NoTLS, STARTTLS, ImplicitTLS} {
		server := startServer(t, smtptest.Options{Mode: map[TLSMode]smtptest.Mode{
			NoTLS: smtptest.Plain, STARTTLS: smtptest.STARTTLS, ImplicitTLS: smtptest.TLS,
		}[mode]})
		transport := connectTo(t, server, SMTPConfig{TLS: mode})
		mustSend(t, transport)
		server.DropConnections()
		mustSend(t, transport)
		wantConnections(t, server, 2)
		if got := len(server.Messages()); got != 2 {
			t.Errorf("%s: got %d messages, want 2", mode, got)
		}
	}
}

func TestSMTPReplacesAReusedConnectionThatIsSentAway(t *testing.T) {
	for _, stage := range []string{"MAIL", "RCPT"} {
		for name, fault := range map[string]error{"421": smtptest.Reply(421, "idle too long"), "dropped": smtptest.ErrDrop} {
			var calls atomic.Int32
			server := startServer(t, smtptest.Options{Fail: func(at, _ string) error {
				if at == stage && calls.Add(1) == 2 {
					return fault
				}
				return nil
			}})
			transport := connectTo(t, server, SMTPConfig{TLS: NoTLS})
			mustSend(t, transport)
			mustSend(t, transport)
			wantConnections(t, server, 2)
			if got := len(server.Messages()); got != 2 {
				t.Errorf("%s at %s: got %d messages, want 2", name, stage, got)
			}
		}
	}
}

// A connection that was opened for this message and fails says that the relay
// is in trouble; the outbox comes back later.
func TestSMTPDoesNotInsistOnANewConnection(t *testing.T) {
	var mails atomic.Int32
	ctx, cancel := context.WithCancel(t.Context())
	mute := startServer(t, smtptest.Options{Fail: func(at, _ string) error {
		if at == "MAIL" && mails.Add(1) == 2 {
			cancel()
			return smtptest.ErrSilence
		}
		return nil
	}})
	kept := connectTo(t, mute, SMTPConfig{TLS: NoTLS})
	mustSend(t, kept)
	if got := mustReturn(t, ctx, kept, composed(t)); got.Stage != "mail" || got.Reason != ReasonInterrupted {
		t.Errorf("got %v, want that it was interrupted at mail", got)
	}
	server := startServer(t, smtptest.Options{Fail: failAt("RCPT", smtptest.ErrDrop)})
	if got := mustFail(t, connectTo(t, server, SMTPConfig{TLS: NoTLS})); got.Stage != "rcpt" || !got.Temporary() || got.Operator() {
		t.Errorf("got %v, want a passing fault at rcpt", got)
	}
	wantConnections(t, server, 1)
}

// Once the message was sent, nobody knows whether it has arrived: a second copy
// at once would be one too many.
func TestSMTPDoesNotSendTwiceInOneGo(t *testing.T) {
	var calls atomic.Int32
	server := startServer(t, smtptest.Options{Fail: func(stage, _ string) error {
		if stage == "DATA" && calls.Add(1) == 2 {
			return smtptest.ErrDrop
		}
		return nil
	}})
	transport := connectTo(t, server, SMTPConfig{TLS: NoTLS})
	mustSend(t, transport)
	if got := mustFail(t, transport); got.Stage != "data" || !got.Temporary() {
		t.Errorf("got %v, want a passing fault at data", got)
	}
	if got := calls.Load(); got != 2 {
		t.Errorf("got the message %d times, want twice", got)
	}
}

func TestSMTPKeepsAConnectionThatSaidNo(t *testing.T) {
	for _, stage := range []string{"MAIL", "RCPT", "DATA"} {
		for _, code := range []int{450, 550} {
			var calls atomic.Int32
			server := startServer(t, smtptest.Options{Mode: smtptest.STARTTLS, Fail: func(at, _ string) error {
				if at == stage && calls.Add(1) == 1 {
					return smtptest.Reply(code, "no")
				}
				return nil
			}})
			transport := connectTo(t, server, SMTPConfig{HELO: "mx.example.org"})
			if got := mustFail(t, transport); got.Code != code {
				t.Errorf("%s: got %v, want reply %d", stage, got, code)
			}
			mustSend(t, transport)
			wantConnections(t, server, 1)
			if got := len(server.Messages()); got != 1 {
				t.Errorf("%d at %s: got %d messages, want 1", code, stage, got)
			}
		}
	}
}

func TestSMTPRetiresConnections(t *testing.T) {
	server := startServer(t, smtptest.Options{})
	transport := connectTo(t, server, SMTPConfig{TLS: NoTLS})
	transport.keep = -1 // idle for longer, at once
	mustSend(t, transport)
	mustSend(t, transport)
	wantConnections(t, server, 2)

	transport.mu.Lock()
	transport.keep = idleTime
	transport.mu.Unlock()
	for range maxMails { // the connection of the second message has one behind it
		mustSend(t, transport)
	}
	wantConnections(t, server, 3)
}
