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

// patience is how long a test waits for what should come at once.
const patience = 2 * time.Minute

const sender, reader = "noreply@example.org", "reader@example.org"

func startServer(t *testing.T, opts smtptest.Options) *smtptest.Server {
	t.Helper()
	s, err := smtptest.Start(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// connectTo makes a transport to a server that trusts its certificate.
func connectTo(t *testing.T, s *smtptest.Server, cfg SMTPConfig) *SMTP {
	t.Helper()
	cfg.Address = s.Addr()
	if cfg.RootCAs == nil {
		cfg.RootCAs = s.CertPool()
	}
	transport, err := NewSMTP(cfg)
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

func composed(t *testing.T) []byte {
	t.Helper()
	raw, err := Compose(sample())
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func mustSend(t *testing.T, s *SMTP) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := s.Send(ctx, sender, reader, composed(t)); err != nil {
		t.Fatal(err)
	}
}

// mustFail returns how sending one message failed.
func mustFail(t *testing.T, s *SMTP) *SendError {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	err := s.Send(ctx, sender, reader, composed(t))
	var failed *SendError
	if !errors.As(err, &failed) {
		t.Fatalf("got %v, want a failed delivery", err)
	}
	return failed
}

// failAt makes a hook that fails one stage.
func failAt(stage string, err error) func(string, string) error {
	return func(at, _ string) error {
		if at == stage {
			return err
		}
		return nil
	}
}

// lockedBuffer is a buffer that several connections write to.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// String returns what was written so far.
func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func canceled() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}
