// SPDX-License-Identifier: Apache-2.0

package smtptest

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/smtp"
	"net/textproto"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
)

func start(t *testing.T, opts Options) *Server {
	t.Helper()
	s, err := Start(opts)
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

// dialogue talks to a server, line by line; it ends where a test is not
// interested in more.
type dialogue struct {
	*textproto.Conn
	raw net.Conn
}

func dial(t *testing.T, s *Server) dialogue {
	t.Helper()
	raw, err := net.Dial("tcp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = raw.Close() })
	if err := raw.SetDeadline(time.Now().Add(2 * time.Minute)); err != nil {
		t.Fatal(err)
	}
	return dialogue{textproto.NewConn(raw), raw}
}

// step returns the reply to a command, or to none.
func (d dialogue) step(command string) (code int, err error) {
	if command != "" {
		if err := d.PrintfLine("%s", command); err != nil {
			return 0, err
		}
	}
	code, _, err = d.ReadResponse(0) // any code
	return code, err
}

// commands are what comes before each stage, and what begins it.
var commands = []struct{ stage, command string }{
	{"CONNECT", ""},
	{"EHLO", "EHLO x.test"},
	{"MAIL", "MAIL FROM:<a@x.test>"},
	{"RCPT", "RCPT TO:<b@x.test>"},
	{"BODY", "DATA"},
	{"DATA", "hi\r\n."},
}

// until goes through the stages before one, and returns the reply to that one.
func until(t *testing.T, d dialogue, stage string) (int, error) {
	t.Helper()
	for _, c := range commands {
		code, err := d.step(c.command)
		if c.stage == stage {
			if code == 354 { // the reply to the body is what is asked for
				return d.step("hi\r\n.")
			}
			return code, err
		}
		if err != nil || code >= 400 {
			t.Errorf("at %s: got %d, %v", c.stage, code, err)
		}
	}
	return 0, errors.New("no such stage")
}

func at(stage string, err error) func(string, string) error {
	return func(s, _ string) error {
		if s == stage {
			return err
		}
		return nil
	}
}

func TestServerDropsAtEveryStage(t *testing.T) {
	for _, c := range commands {
		s := start(t, Options{Fail: at(c.stage, ErrDrop)})
		_, err := until(t, dial(t, s), c.stage)
		// Data that nobody reads any more makes the end a reset.
		var reset *net.OpError
		if !errors.Is(err, io.EOF) && !errors.As(err, &reset) || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: got %v, want the end of the connection", c.stage, err)
		}
		if got := len(s.Messages()); got != 0 {
			t.Errorf("%s: got %d messages, want none", c.stage, got)
		}
	}
}

func TestServerIsSilentAtEveryStageUntilItCloses(t *testing.T) {
	for _, c := range commands {
		reached := make(chan struct{})
		s := start(t, Options{Fail: func(stage, _ string) error {
			if stage != c.stage {
				return nil
			}
			close(reached)
			return ErrSilence
		}})
		d := dial(t, s)
		result := make(chan error, 1)
		go func() {
			_, err := until(t, d, c.stage)
			result <- err
		}()
		<-reached
		select {
		case err := <-result:
			t.Errorf("%s: the server was not silent: %v", c.stage, err)
		default:
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if err := <-result; err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: got %v, want the end of the connection", c.stage, err)
		}
	}
}

func TestServerRepliesAsTold(t *testing.T) {
	for _, c := range commands {
		s := start(t, Options{Fail: at(c.stage, Reply(452, "so sorry"))})
		if got, err := until(t, dial(t, s), c.stage); got != 452 || err != nil {
			t.Errorf("%s: got %d (%v), want 452", c.stage, got, err)
		}
		if got := len(s.Messages()); got != 0 {
			t.Errorf("%s: got %d messages, want none", c.stage, got)
		}
	}
}

func TestServerDropsIdleConnectionsAndStaysUp(t *testing.T) {
	s := start(t, Options{})
	d := dial(t, s)
	if code, err := until(t, d, "EHLO"); code != 250 || err != nil {
		t.Fatal(code, err)
	}
	s.DropConnections()
	if _, err := d.step(""); !errors.Is(err, io.EOF) {
		t.Errorf("got %v, want %v", err, io.EOF)
	}
	if code, err := until(t, dial(t, s), "DATA"); code != 250 || err != nil {
		t.Errorf("the next connection: got %d (%v), want 250", code, err)
	}
	if got, want := s.Connections(), 2; got != want {
		t.Errorf("got %d connections, want %d", got, want)
	}
}

func TestServerRefusesNestedMAIL(t *testing.T) {
	d := dial(t, start(t, Options{}))
	if code, err := until(t, d, "MAIL"); code != 250 || err != nil {
		t.Fatal(code, err)
	}
	for _, c := range []struct {
		command string
		want    int
	}{{"MAIL FROM:<a@x.test>", 503}, {"RSET", 250}, {"MAIL FROM:<a@x.test>", 250}} {
		if got, err := d.step(c.command); got != c.want || err != nil {
			t.Errorf("%s: got %d (%v), want %d", c.command, got, err, c.want)
		}
	}
}

func TestServerSpeaksTLSForItsHosts(t *testing.T) {
	s := start(t, Options{Mode: TLS, Hosts: []string{"mx.test", "192.0.2.1"}})
	for name, good := range map[string]bool{"mx.test": true, "192.0.2.1": true, "localhost": false} {
		c, err := tls.Dial("tcp", s.Addr(), &tls.Config{RootCAs: s.CertPool(), ServerName: name})
		if (err == nil) != good {
			t.Errorf("%s: got %v, want good %t", name, err, good)
		}
		if err == nil {
			_ = c.Close()
		}
	}
	old := start(t, Options{Mode: TLS, MaxTLS: tls.VersionTLS11})
	if _, err := tls.Dial("tcp", old.Addr(), &tls.Config{RootCAs: old.CertPool(), ServerName: "localhost"}); err == nil {
		t.Error("got a newer version of TLS than allowed")
	}
	if !strings.Contains(string(s.CAPEM()), "BEGIN CERTIFICATE") {
		t.Errorf("got PEM %q", s.CAPEM())
	}
}

func TestServerWantsToKnowWhoSends(t *testing.T) {
	s := start(t, Options{Username: "user", Password: "secret"})
	message := []byte("Subject: hi\r\n\r\nx\r\n")
	to := []string{"b@x.test"}
	if err := smtp.SendMail(s.Addr(), nil, "a@x.test", to, message); err == nil {
		t.Error("mail was accepted from nobody")
	}
	host, _, err := net.SplitHostPort(s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	err = smtp.SendMail(s.Addr(), smtp.PlainAuth("", "user", "wrong", host), "a@x.test", to, message)
	var reply *textproto.Error
	if !errors.As(err, &reply) || reply.Code != 535 {
		t.Errorf("got %v for a wrong password, want 535", err)
	}
	if err := smtp.SendMail(s.Addr(), smtp.PlainAuth("", "user", "secret", host), "a@x.test", to, message); err != nil {
		t.Error(err)
	}
	if got := s.Messages(); len(got) != 1 || !got[0].Authenticated {
		t.Errorf("got %+v, want one message of a known sender", got)
	}
}

func TestServerSideOfLOGIN(t *testing.T) {
	for _, initial := range []bool{true, false} {
		got := ""
		l := &loginServer{check: func(username, password string) error {
			got = fmt.Sprintf("%s:%s", username, password)
			return nil
		}}
		if !initial {
			if challenge, done, err := l.Next(nil); string(challenge) != "Username:" || done || err != nil {
				t.Errorf("got %q, %t, %v", challenge, done, err)
			}
		}
		if challenge, done, err := l.Next([]byte("user")); string(challenge) != "Password:" || done || err != nil {
			t.Errorf("got %q, %t, %v", challenge, done, err)
		}
		if _, done, err := l.Next([]byte("secret")); !done || err != nil || got != "user:secret" {
			t.Errorf("got %q, %t, %v", got, done, err)
		}
	}
	var _ sasl.Server = (*loginServer)(nil)
}
