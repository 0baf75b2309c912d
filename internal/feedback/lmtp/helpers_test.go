// SPDX-License-Identifier: Apache-2.0

package lmtp

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/caddy-threepid/caddy-threepid/internal/feedback"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
)

// deadline is when a test gives up waiting.
const deadline = 2 * time.Minute

var errBroken = errors.New("broken on purpose")

const bounce = "Date: Sun, 1 Mar 2026 11:59:58 +0000\r\nFrom: mallory@evil.example\r\nTo: nobody@example.org\r\n" +
	"Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\n" +
	"Reporting-MTA: dns; mx.example.net\r\n\r\nFinal-Recipient: rfc822; alice@example.net\r\nAction: failed\r\nStatus: 5.1.1\r\n--b--\r\n"

// inbox is a receiver that keeps what it gets, fails for some tags, and can
// be made to wait.
type inbox struct {
	mu      sync.Mutex
	reports []feedback.Report
	notes   []feedback.Outcome
	fail    map[string]bool
	entered chan struct{} // if not nil, told when Receive begins
	wait    chan struct{} // if not nil, Receive ends after it is closed
	ended   error         // why Receive ended early
}

func (b *inbox) Receive(ctx context.Context, from feedback.Provider, reports []feedback.Report) error {
	if from != feedback.Mail {
		return fmt.Errorf("provider %q", from)
	}
	if b.wait != nil {
		b.entered <- struct{}{}
		select {
		case <-b.wait:
		case <-ctx.Done():
			b.mu.Lock()
			defer b.mu.Unlock()
			b.ended = ctx.Err()
			return b.ended
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.fail[reports[0].VERPTag] {
		return errBroken
	}
	b.reports = append(b.reports, reports...)
	return nil
}

func (b *inbox) Note(_ feedback.Provider, what feedback.Outcome) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.notes = append(b.notes, what)
}

func (b *inbox) got() ([]feedback.Report, []feedback.Outcome) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.reports, b.notes
}

// rig is a server on a Unix socket. Tags that begin with "good" are genuine.
type rig struct {
	*Server
	t      *testing.T
	box    *inbox
	addr   net.Addr
	served chan error
}

func start(t *testing.T, edit func(*Config)) *rig {
	t.Helper()
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "lmtp"))
	if err != nil {
		t.Fatal(err)
	}
	return startOn(t, l, edit)
}

func startOn(t *testing.T, l net.Listener, edit func(*Config)) *rig {
	t.Helper()
	r := &rig{t: t, box: &inbox{fail: map[string]bool{}}, addr: l.Addr(), served: make(chan error, 1)}
	cfg := Config{
		VERP: feedback.VERP{Prefix: "bounces", Domain: "example.org"}, Receiver: r.box,
		Tag: func(tag string) (threepid.SID, bool) {
			return threepid.SID("session of " + tag), strings.HasPrefix(tag, "good")
		},
		Grace: time.Hour, // what waits for it fails
	}
	if edit != nil {
		edit(&cfg)
	}
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	r.Server = s
	go func() { r.served <- s.Serve(l) }()
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
		select {
		case err := <-r.served:
			if err != nil {
				t.Errorf("serve: %v", err)
			}
		case <-time.After(deadline):
			t.Error("Serve did not return")
		}
	})
	return r
}

func (r *rig) dial() net.Conn {
	r.t.Helper()
	c, err := net.Dial(r.addr.Network(), r.addr.String())
	if err != nil {
		r.t.Fatal(err)
	}
	if err := c.SetDeadline(time.Now().Add(deadline)); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { c.Close() })
	return c
}

// client is a conversation that has said LHLO.
func (r *rig) client() *smtp.Client {
	r.t.Helper()
	c := smtp.NewClientLMTP(r.dial())
	if err := c.Hello("mail.example.org"); err != nil {
		r.t.Fatal(err)
	}
	return c
}

// send delivers one mail, and returns what was answered for each recipient.
func send(c *smtp.Client, body string, to ...string) (map[string]error, error) {
	if err := c.Mail("", nil); err != nil {
		return nil, err
	}
	for _, rcpt := range to {
		if err := c.Rcpt(rcpt, nil); err != nil {
			return nil, err
		}
	}
	w, err := c.Data()
	if err != nil {
		return nil, err
	}
	if _, err := w.Write([]byte(body)); err != nil {
		return nil, err
	}
	return answers(to, w.Close())
}

func answers(to []string, err error) (map[string]error, error) {
	result := map[string]error{}
	for _, rcpt := range to {
		result[rcpt] = nil
	}
	if refused, ok := errors.AsType[smtp.LMTPDataError](err); ok {
		for rcpt, e := range refused {
			result[rcpt] = e
		}
		return result, nil
	}
	return result, err
}

// want checks the code of an answer; 0 is none.
func want(t *testing.T, what string, err error, code int, enhanced smtp.EnhancedCode) {
	t.Helper()
	var answer *smtp.SMTPError
	switch {
	case code == 0 && err != nil:
		t.Errorf("%s: %v", what, err)
	case code != 0 && (!errors.As(err, &answer) || answer.Code != code || answer.EnhancedCode != enhanced):
		t.Errorf("%s: %v (%+v), want %d %v", what, err, answer, code, enhanced)
	}
}

// line reads one line of an answer.
func line(t *testing.T, r *bufio.Reader) string {
	t.Helper()
	s, err := r.ReadString('\n')
	if err != nil {
		t.Fatalf("read: %v after %q", err, s)
	}
	return strings.TrimRight(s, "\r\n")
}
