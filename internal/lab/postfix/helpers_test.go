// SPDX-License-Identifier: Apache-2.0

package postfix_test

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/postfix"
	"github.com/caddy-threepid/caddy-threepid/internal/mail"
)

// patience is how long a test waits for what takes a moment.
const patience = 2 * time.Minute

const sender, reader = "noreply@example.org", "reader@example.org"

func install(t *testing.T) postfix.Env {
	t.Helper()
	env, err := postfix.Install(t.Context(), t.Logf)
	if errors.Is(err, postfix.ErrUnavailable) && os.Getenv("CI") != "true" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return env
}

func start(t *testing.T, o postfix.Options) *postfix.Server {
	t.Helper()
	s, err := postfix.Start(t.Context(), install(t), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the log of Postfix:\n%s", s.Logs())
		}
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// submission is the configuration that the server's defaults ask for.
func submission(s *postfix.Server) mail.SMTPConfig {
	return mail.SMTPConfig{
		Address: s.Addr(), RootCAs: s.CAPool(), Username: "user", Password: "secret", HELO: "matrix.example.org",
	}
}

func transport(t *testing.T, cfg mail.SMTPConfig) *mail.SMTP {
	t.Helper()
	transport, err := mail.NewSMTP(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := transport.Close(); err != nil {
			t.Error(err)
		}
	})
	return transport
}

func message() mail.Message {
	return mail.Message{
		From: "Example <" + sender + ">", To: reader, Subject: "Confirm your address", Text: "Hello\n", HTML: "<p>Hello</p>\n",
		MessageID: "<1abc.2@example.org>", Date: time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC),
	}
}

func composed(t *testing.T, m mail.Message) []byte {
	t.Helper()
	raw, err := mail.Compose(m)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func mustSend(t *testing.T, s *mail.SMTP, to string, raw []byte) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := s.Send(ctx, sender, to, raw); err != nil {
		t.Fatal(err)
	}
}

func mustFail(t *testing.T, s *mail.SMTP, to string) *mail.SendError {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	err := s.Send(ctx, sender, to, []byte("Subject: x\r\n\r\nhi\r\n"))
	failed, ok := errors.AsType[*mail.SendError](err)
	if !ok {
		t.Fatalf("got %v, want a failed delivery", err)
	}
	return failed
}
