// SPDX-License-Identifier: Apache-2.0

package smtptest

import (
	"errors"
	"net"
	"net/smtp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func TestServerResetsAtEveryStage(t *testing.T) {
	refused := start(t, Options{Fail: At("CONNECT", ErrReset)})
	raw, err := net.Dial("tcp", refused.Addr())
	if err == nil { // it may come as late as that
		_, err = raw.Read(make([]byte, 1))
		_ = raw.Close()
	}
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("CONNECT: got %v, want a reset", err)
	}
	for _, c := range commands[1:] {
		s := start(t, Options{Fail: At(c.stage, ErrReset)})
		_, err := until(t, dial(t, s), c.stage)
		// What the client had sent may meet the end of the connection first.
		if !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
			t.Errorf("%s: got %v, want a reset", c.stage, err)
		}
		if got := len(s.Messages()); got != 0 {
			t.Errorf("%s: got %d messages, want none", c.stage, got)
		}
	}
}

// In the middle means after some of the text, and before all of it.
func TestServerDiesInTheMiddleOfTheText(t *testing.T) {
	for name, fault := range map[string]error{"drop": ErrDrop, "reset": ErrReset} {
		reached := make(chan struct{})
		s := start(t, Options{Fail: Join(func(stage, _ string) error {
			if stage == "MIDDATA" {
				close(reached)
			}
			return nil
		}, At("MIDDATA", fault))})
		d := dial(t, s)
		for _, c := range commands[:4] {
			if code, err := d.step(c.command); code >= 400 || err != nil {
				t.Fatal(code, err)
			}
		}
		if code, err := d.step("DATA"); code != 354 || err != nil {
			t.Fatal(code, err)
		}
		if err := d.PrintfLine("%s", strings.Repeat("text", 100)); err != nil {
			t.Fatal(err)
		}
		<-reached // and the final dot was not sent
		if code, err := d.step(""); err == nil {
			t.Errorf("%s: got reply %d, want the end", name, code)
		}
		if got := len(s.Messages()); got != 0 {
			t.Errorf("%s: got %d messages, want none", name, got)
		}
	}
}

// A short text has no middle.
func TestServerTakesShortTexts(t *testing.T) {
	s := start(t, Options{Fail: At("MIDDATA", Reply(451, "no"))})
	if err := smtp.SendMail(s.Addr(), nil, "a@x.test", []string{"b@x.test"}, []byte("x\r\n")); err != nil {
		t.Fatal(err)
	}
	if got := s.Messages(); len(got) != 1 || string(got[0].Raw) != "x\r\n" {
		t.Errorf("got %+v", got)
	}
	long := strings.Repeat("0123456789\r\n", 100)
	if err := smtp.SendMail(s.Addr(), nil, "a@x.test", []string{"b@x.test"}, []byte(long)); err == nil || !strings.HasPrefix(err.Error(), "451") {
		t.Errorf("got %v for a long one, want 451", err)
	}
}

func TestServerGreylists(t *testing.T) {
	s := start(t, Options{Fail: Greylist()})
	send := func(to string) error { return smtp.SendMail(s.Addr(), nil, "a@x.test", []string{to}, []byte("x\r\n")) }
	for _, to := range []string{"b@x.test", "c@x.test"} {
		if err := send(to); err == nil || !strings.HasPrefix(err.Error(), "451") {
			t.Errorf("%s: got %v the first time, want 451", to, err)
		}
		if err := send(strings.ToUpper(to)); err != nil {
			t.Errorf("%s: got %v the second time", to, err)
		}
	}
}

func TestHooks(t *testing.T) {
	fault := errors.New("no")
	twice, always, other := Times("RCPT", 2, fault), At("RCPT", fault), errors.New("other")
	for i, want := range []error{fault, fault, nil, nil} {
		if got := twice("RCPT", ""); !errors.Is(got, want) {
			t.Errorf("call %d: got %v, want %v", i, got, want)
		}
		if err := errors.Join(twice("MAIL", ""), always("MAIL", "")); err != nil {
			t.Errorf("got %v at another stage", err)
		}
		if got := Join(Times("RCPT", 0, other), always, At("RCPT", other))("RCPT", ""); !errors.Is(got, fault) {
			t.Errorf("got %v, want the first, %v", got, fault)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		before := time.Now()
		if err := Tarpit(time.Minute)("MAIL", ""); err != nil || time.Since(before) != time.Minute {
			t.Errorf("got %v after %s, want nothing after a minute", err, time.Since(before))
		}
	})
}

// locked is a transcript that several connections write.
type locked struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func TestServerTellsWhatWasSaid(t *testing.T) {
	said := new(locked)
	s := start(t, Options{Transcript: said})
	if code, err := until(t, dial(t, s), "RCPT"); code != 250 || err != nil {
		t.Fatal(code, err)
	}
	said.mu.Lock()
	defer said.mu.Unlock()
	for _, want := range []string{"220 ", "EHLO x.test\r\n", "MAIL FROM:<a@x.test>\r\n", "RCPT TO:<b@x.test>\r\n", "250 "} {
		if !strings.Contains(said.b.String(), want) {
			t.Errorf("got %q, want %q in it", said.b.String(), want)
		}
	}
}
