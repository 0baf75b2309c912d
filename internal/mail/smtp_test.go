// SPDX-License-Identifier: Apache-2.0

package mail

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/smtptest"
)

func TestSMTPDeliversInEveryMode(t *testing.T) {
	for _, test := range []struct {
		server smtptest.Mode
		client TLSMode
	}{
		{smtptest.STARTTLS, ""}, // the default
		{smtptest.STARTTLS, STARTTLS},
		{smtptest.TLS, ImplicitTLS},
		{smtptest.Plain, NoTLS},
	} {
		t.Run(fmt.Sprintf("mode %q", test.client), func(t *testing.T) {
			server := startServer(t, smtptest.Options{Mode: test.server})
			transport := connectTo(t, server, SMTPConfig{TLS: test.client, HELO: "mx.example.org"})
			message := append(composed(t), "\r\n.\r\n..dots\r\n"...) // must be stuffed
			if err := transport.Send(t.Context(), sender, reader, message); err != nil {
				t.Fatal(err)
			}
			got := server.Messages()
			if len(got) != 1 {
				t.Fatalf("got %d messages, want 1", len(got))
			}
			if m := got[0]; m.From != sender || m.To != reader || m.Encrypted != (test.client != NoTLS) || m.UTF8 {
				t.Errorf("got %s to %s, encrypted %t, UTF-8 %t", m.From, m.To, m.Encrypted, m.UTF8)
			}
			if !bytes.Equal(got[0].Raw, message) {
				t.Errorf("got message %q, want %q", got[0].Raw, message)
			}
			for _, helo := range server.Helos() {
				if helo != "mx.example.org" {
					t.Errorf("got HELO %q, want mx.example.org", helo)
				}
			}
		})
	}
}

func TestSMTPRefusesBadEnvelopesBeforeItConnects(t *testing.T) {
	server := startServer(t, smtptest.Options{})
	transport := connectTo(t, server, SMTPConfig{TLS: NoTLS})
	for _, bad := range []string{
		"", "a", "a@x.test\r\nRCPT TO:<evil@x.test>", "a@x.test> NOTIFY=NEVER <b@x.test", `"x> NOTIFY=NEVER <y"@x.test`,
		"Name <a@x.test>", "a@x.test,b@x.test", "a@x.test\x00", "@relay.test:a@x.test",
	} {
		if err := transport.Send(t.Context(), sender, bad, nil); !errors.Is(err, ErrInvalidRecipient) {
			t.Errorf("to %q: got %v, want %v", bad, err, ErrInvalidRecipient)
		}
		if err := transport.Send(t.Context(), bad, reader, nil); !errors.Is(err, ErrInvalidSender) {
			t.Errorf("from %q: got %v, want %v", bad, err, ErrInvalidSender)
		}
	}
	if got := server.Connections(); got != 0 {
		t.Errorf("got %d connections, want none", got)
	}
}

func TestSMTPClassifiesReplies(t *testing.T) {
	tests := []struct {
		stage               string
		code                int
		temporary, operator bool
	}{
		{"CONNECT", 421, true, false},
		{"CONNECT", 554, true, true},
		{"EHLO", 451, true, false},
		{"EHLO", 550, true, true},
		{"MAIL", 421, true, false},
		{"MAIL", 451, true, false},
		{"MAIL", 550, true, true},
		{"RCPT", 450, true, false},
		{"RCPT", 550, false, false},
		{"RCPT", 530, true, true},
		{"DATA", 452, true, false},
		{"DATA", 554, false, false},
	}
	for _, test := range tests {
		t.Run(fmt.Sprint(test.stage, " ", test.code), func(t *testing.T) {
			text := "<" + reader + "> is not here; ask " + reader
			server := startServer(t, smtptest.Options{Fail: failAt(test.stage, smtptest.Reply(test.code, text))})
			got := mustFail(t, connectTo(t, server, SMTPConfig{TLS: NoTLS}))
			if got.Code != test.code || got.Temporary() != test.temporary || got.Operator() != test.operator {
				t.Errorf("got %d, temporary %t, operator %t, want %d, %t, %t",
					got.Code, got.Temporary(), got.Operator(), test.code, test.temporary, test.operator)
			}
			if all := fmt.Sprintf("%v %+v", got, errors.Unwrap(got)); strings.Contains(all, "reader") {
				t.Errorf("the error holds the address: %s", all)
			}
			if got := len(server.Messages()); got != 0 {
				t.Errorf("got %d messages, want none", got)
			}
		})
	}
}

func TestSMTPNeedsSMTPUTF8ForNonASCIIAddresses(t *testing.T) {
	const umlaut = "müller@example.org"
	for _, offered := range []bool{true, false} {
		server := startServer(t, smtptest.Options{Mode: smtptest.STARTTLS, SMTPUTF8: offered})
		transport := connectTo(t, server, SMTPConfig{})
		m := sample()
		m.To = umlaut
		raw, err := Compose(m)
		if err != nil {
			t.Fatal(err)
		}
		err = transport.Send(t.Context(), sender, umlaut, raw)
		if offered {
			if got := server.Messages(); err != nil || len(got) != 1 || got[0].To != umlaut || !got[0].UTF8 {
				t.Errorf("got %+v, %v, want one message in UTF-8", got, err)
			}
			continue
		}
		var failed *SendError
		if !errors.As(err, &failed) || failed.Temporary() || failed.Operator() || !strings.Contains(err.Error(), "SMTPUTF8") {
			t.Errorf("got %v, want a final error about SMTPUTF8", err)
		}
		mustSend(t, transport)                                                    // the relay is as good as before for others
		for from, to := range map[string]string{sender: umlaut, umlaut: reader} { // a new connection would be no better
			if err := transport.Send(t.Context(), from, to, raw); !errors.Is(err, errNoSMTPUTF8) {
				t.Errorf("from %s to %s: got %v", from, to, err)
			}
		}
		if got := server.Connections(); got != 1 {
			t.Errorf("got %d connections, want 1", got)
		}
		if got := server.Messages(); len(got) != 1 || got[0].To != reader {
			t.Errorf("got %d messages, want the one in ASCII", len(got))
		}
	}
}

func TestSMTPIsSafeForConcurrentUse(t *testing.T) {
	server := startServer(t, smtptest.Options{Mode: smtptest.STARTTLS})
	transport := connectTo(t, server, SMTPConfig{})
	message := composed(t)
	const workers, each = 12, 10
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := range each {
				to := fmt.Sprintf("reader-%d-%d@example.org", w, i)
				if err := transport.Send(t.Context(), sender, to, message); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	seen := map[string]int{}
	for _, m := range server.Messages() {
		seen[m.To]++
	}
	if got, want := len(seen), workers*each; got != want || len(server.Messages()) != want {
		t.Errorf("got %d messages to %d recipients, want %d", len(server.Messages()), got, want)
	}
	if got := len(transport.idle); got > DefaultMaxConnections {
		t.Errorf("got %d idle connections, want at most %d", got, DefaultMaxConnections)
	}
}

func TestSMTPSendsNothingAfterClose(t *testing.T) {
	server := startServer(t, smtptest.Options{Mode: smtptest.TLS})
	transport := connectTo(t, server, SMTPConfig{TLS: ImplicitTLS})
	mustSend(t, transport)
	for range 2 {
		if err := transport.Close(); err != nil {
			t.Fatal(err)
		}
	}
	got := mustFail(t, transport)
	if !errors.Is(got, ErrClosed) || !got.Temporary() {
		t.Errorf("got %v, want %v, temporary: another process may send it", got, ErrClosed)
	}
	if got := len(server.Messages()); got != 1 {
		t.Errorf("got %d messages, want 1", got)
	}
}

func TestSMTPFinishesWhatIsInFlightAtClose(t *testing.T) {
	arrived, goOn := make(chan struct{}), make(chan struct{})
	server := startServer(t, smtptest.Options{Fail: func(stage, _ string) error {
		if stage == "DATA" {
			close(arrived)
			<-goOn
		}
		return nil
	}})
	transport := connectTo(t, server, SMTPConfig{TLS: NoTLS})
	result := make(chan error, 1)
	go func() { result <- transport.Send(context.Background(), sender, reader, []byte("x\r\n")) }()
	<-arrived
	if err := transport.Close(); err != nil {
		t.Error(err)
	}
	close(goOn)
	if err := <-result; err != nil {
		t.Error(err)
	}
	if got := len(transport.idle); got != 0 {
		t.Errorf("got %d idle connections after Close, want none", got)
	}
}
