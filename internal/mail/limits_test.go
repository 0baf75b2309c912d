// SPDX-License-Identifier: Apache-2.0

package mail

import (
	"context"
	"errors"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/smtptest"
)

// A relay bears only so many connections of one client; idle ones count.
func TestSMTPOpensNoMoreConnectionsThanAllowed(t *testing.T) {
	const most, messages = 3, 60
	var open, peak atomic.Int32
	server := startServer(t, smtptest.Options{Fail: func(stage, _ string) error {
		switch stage {
		case "MAIL":
			now := open.Add(1)
			for old := peak.Load(); now > old && !peak.CompareAndSwap(old, now); old = peak.Load() {
				continue
			}
		case "DATA":
			open.Add(-1)
		}
		return nil
	}})
	transport := connectTo(t, server, SMTPConfig{TLS: NoTLS, MaxConnections: most})
	transport.most = messages
	message := composed(t)
	var wg sync.WaitGroup
	for range messages {
		wg.Go(func() {
			if err := transport.Send(t.Context(), sender, reader, message); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got := peak.Load(); got > most || got < 1 {
		t.Errorf("got %d messages at a time, want at most %d", got, most)
	}
	if got := server.Connections(); got > most {
		t.Errorf("got %d connections, want at most %d", got, most)
	}
	if got := len(server.Messages()); got != messages {
		t.Errorf("got %d messages, want %d", got, messages)
	}
}

func TestSMTPWaitsForAConnectionNoLongerThanItsContext(t *testing.T) {
	arrived, goOn := make(chan struct{}), make(chan struct{})
	server := startServer(t, smtptest.Options{Fail: func(stage, _ string) error {
		if stage == "DATA" {
			close(arrived)
			<-goOn
		}
		return nil
	}})
	transport := connectTo(t, server, SMTPConfig{TLS: NoTLS, MaxConnections: 1})
	first := make(chan error, 1)
	go func() { first <- transport.Send(context.WithoutCancel(t.Context()), sender, reader, []byte("x\r\n")) }()
	<-arrived

	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	got := mustReturn(t, ctx, transport, []byte("x\r\n"))
	if got.Stage != "wait" || got.Reason != ReasonBusy || !got.Temporary() || got.Operator() || !errors.Is(got, context.DeadlineExceeded) {
		t.Errorf("got %v (%s), want a passing %s", got, got.Reason, ReasonBusy)
	}
	stopped, stop := context.WithCancel(t.Context())
	stop()
	if got := mustReturn(t, stopped, transport, []byte("x\r\n")); got.Reason != ReasonInterrupted || !errors.Is(got, context.Canceled) {
		t.Errorf("got %v (%s), want %s", got, got.Reason, ReasonInterrupted)
	}

	waiting := make(chan error, 1)
	go func() { waiting <- transport.Send(context.WithoutCancel(t.Context()), sender, reader, []byte("x\r\n")) }()
	if err := transport.Close(); err != nil { // with one in flight, and one waiting
		t.Error(err)
	}
	if err := <-waiting; !errors.Is(err, ErrClosed) {
		t.Errorf("got %v for the one that waited, want %v", err, ErrClosed)
	}
	close(goOn)
	if err := <-first; err != nil {
		t.Errorf("the one in flight: %v", err)
	}
}

// The clock is a false one: 100 messages at 10 a second take about ten seconds,
// the first of them none.
func TestSMTPKeepsToItsRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := NewSMTP(SMTPConfig{Address: "x.test:25", Rate: 10, MaxConnections: 100})
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		for i := range 100 {
			leave, failed := s.admit(t.Context())
			if failed != nil {
				t.Fatal(failed)
			}
			leave()
			if got, want := time.Since(start), time.Duration(i)*100*time.Millisecond; got < want || got > want+time.Millisecond {
				t.Fatalf("message %d went after %s, want %s", i, got, want)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		if _, failed := s.admit(ctx); failed == nil || failed.Stage != "wait" || failed.Reason != ReasonRate || !failed.Temporary() || failed.Operator() {
			t.Errorf("got %v, want a passing %s", failed, ReasonRate)
		}
	})
}

// A connection that was idle for a while is asked before it is trusted: the
// relay may have gone away in a manner that nobody noticed.
func TestSMTPAsksAnIdleConnectionBeforeItIsUsed(t *testing.T) {
	said := new(lockedBuffer)
	server := startServer(t, smtptest.Options{Mode: smtptest.STARTTLS, Transcript: said})
	transport := connectTo(t, server, SMTPConfig{})
	mustSend(t, transport)
	mustSend(t, transport)
	if got := strings.Count(said.String(), "NOOP"); got != 0 {
		t.Errorf("got %d questions on a busy connection, want none", got)
	}
	transport.probe = 0
	mustSend(t, transport)
	if got := strings.Count(said.String(), "NOOP"); got != 1 {
		t.Errorf("got %d questions on an idle connection, want one", got)
	}
	wantConnections(t, server, 1)
	server.DropConnections()
	mustSend(t, transport)
	wantConnections(t, server, 2)
	if got := strings.Count(said.String(), "MAIL FROM"); got != 4 {
		t.Errorf("got %d transactions for 4 messages: the dead connection was used", got)
	}
}

// Nobody needs the connection any more, so it is ended with QUIT rather than
// left for the relay to complain about.
func TestSMTPEndsConnectionsThatNobodyNeeds(t *testing.T) {
	said := new(lockedBuffer)
	server := startServer(t, smtptest.Options{Transcript: said})
	transport := connectTo(t, server, SMTPConfig{TLS: NoTLS})
	transport.keep = 20 * time.Millisecond
	mustSend(t, transport)
	deadline := time.Now().Add(patience)
	for !strings.Contains(said.String(), "QUIT") {
		if time.Now().After(deadline) {
			t.Fatal("the connection was not ended")
		}
		time.Sleep(time.Millisecond)
	}
	transport.mu.Lock()
	got := len(transport.idle)
	transport.mu.Unlock()
	if got != 0 {
		t.Errorf("got %d idle connections, want none", got)
	}
	mustSend(t, transport)
}

// Setting up the connection has a time of its own, so that another relay can be
// asked while the reader still waits.
func TestSMTPGivesUpOnAConnectionEarly(t *testing.T) {
	for _, stage := range []string{"CONNECT", "EHLO", "AUTH"} {
		server := startServer(t, smtptest.Options{
			Mode: smtptest.STARTTLS, Username: "user", Password: "secret", Fail: failAt(stage, smtptest.ErrSilence),
		})
		transport := connectTo(t, server, SMTPConfig{Username: "user", Password: "secret", ConnectTimeout: time.Second})
		got := mustReturn(t, t.Context(), transport, []byte("x\r\n"))
		want := map[string]string{"CONNECT": ReasonNoGreeting, "EHLO": ReasonTimeout, "AUTH": ReasonTimeout}[stage]
		if got.Reason != want || !got.Temporary() || got.Operator() {
			t.Errorf("%s: got %v (%s), want a passing %s", stage, got, got.Reason, want)
		}
	}
}

func TestConfigOfTheLimitsIsRefusedWithAReason(t *testing.T) {
	for name, test := range map[string]struct {
		cfg  SMTPConfig
		want string
	}{
		"negative connections":     {SMTPConfig{MaxConnections: -1}, "limits"},
		"negative connect timeout": {SMTPConfig{ConnectTimeout: -1}, "connect timeout"},
		"negative rate":            {SMTPConfig{Rate: -1}, "rate"},
		"endless rate":             {SMTPConfig{Rate: math.Inf(1)}, "rate"},
		"no rate":                  {SMTPConfig{Rate: math.NaN()}, "rate"},
	} {
		test.cfg.Address = "h.test:25"
		if err := test.cfg.Validate(); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want an error with %q", name, err, test.want)
		}
	}
	c := SMTPConfig{Address: "h.test:25", Timeout: time.Second}
	if err := c.Validate(); err != nil || c.ConnectTimeout != time.Second {
		t.Errorf("got a connect timeout of %s (%v), want no more than the timeout", c.ConnectTimeout, err)
	}
}

// A message with other letters than ASCII in it is not put through a relay that
// would cut the eighth bit off.
func TestSMTPNeeds8BITMIMEForOtherLetters(t *testing.T) {
	address := scripted(t, "220 hi\r\n", "250 hi\r\n", "250 reset\r\n", "250 hi again\r\n", "221 bye\r\n")
	transport, err := NewSMTP(SMTPConfig{Address: address, TLS: NoTLS})
	if err != nil {
		t.Fatal(err)
	}
	err = transport.Send(t.Context(), sender, reader, []byte("Subject: ü\r\n\r\nx\r\n"))
	failed, ok := errors.AsType[*SendError](err)
	if !ok || failed.Reason != ReasonNo8BITMIME || failed.Temporary() || failed.Operator() {
		t.Errorf("got %v, want a final %s", err, ReasonNo8BITMIME)
	}
	if err := transport.Close(); err != nil {
		t.Error(err)
	}
}

// The size is told ahead, so that a relay can say no before it has all of it.
func TestSMTPTellsTheSizeAhead(t *testing.T) {
	said := new(lockedBuffer)
	transport := connectTo(t, startServer(t, smtptest.Options{Transcript: said}), SMTPConfig{TLS: NoTLS})
	if err := transport.Send(t.Context(), sender, reader, make([]byte, 65<<20)); err == nil {
		t.Error("a message was taken that is too big")
	}
	if all := said.String(); !strings.Contains(all, " SIZE=68157440") || strings.Contains(all, "RCPT TO") {
		t.Errorf("got %.500q, want the size and no recipient", all)
	}
}
