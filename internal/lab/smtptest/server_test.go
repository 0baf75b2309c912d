// SPDX-License-Identifier: Apache-2.0

package smtptest

import (
	"context"
	"net/smtp"
	"testing"
	"time"
)

const mailText = "From: a@x.test\r\nTo: b@x.test\r\nSubject: =?utf-8?q?caf=C3=A9?=\r\nContent-Type: multipart/alternative; boundary=b\r\n\r\n" +
	"--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nsee https://x.test/?a=3Db=\r\nc now\r\n" +
	"--b\r\nContent-Type: text/html\r\n\r\n<p>hi</p>\r\n--b--\r\n"

func TestServerKeepsWhatItIsSent(t *testing.T) {
	s, err := Start(Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := smtp.SendMail(s.Addr(), nil, "a@x.test", []string{"b@x.test", "c@x.test"}, []byte(mailText)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	m, err := s.WaitFor(ctx, "B@x.test")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := m.Subject(), "café"; got != want {
		t.Errorf("got subject %q, want %q", got, want)
	}
	if got, _ := m.Link(); got != "https://x.test/?a=bc" {
		t.Errorf("got link %q", got)
	}
	if got := m.HTML(); got != "<p>hi</p>" {
		t.Errorf("got HTML %q", got)
	}
	if all, err := s.Wait(ctx, 2); err != nil || len(all) != 2 || all[1].To != "c@x.test" {
		t.Errorf("got %d messages, %v", len(all), err)
	}
	short, stop := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer stop()
	if _, err := s.WaitFor(short, "b@x.test"); err == nil {
		t.Error("a message was returned twice")
	}
}

func TestServerFailsOnRequest(t *testing.T) {
	for _, stage := range []string{"MAIL", "RCPT", "DATA"} {
		s, err := Start(Options{Fail: func(at, _ string) error {
			if at == stage {
				return Reply(451, "later")
			}
			return nil
		}})
		if err != nil {
			t.Fatal(err)
		}
		if err := smtp.SendMail(s.Addr(), nil, "a@x.test", []string{"b@x.test"}, []byte(mailText)); err == nil {
			t.Errorf("%s did not fail", stage)
		}
		if n := len(s.Messages()); n != 0 {
			t.Errorf("%s: got %d messages", stage, n)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}
