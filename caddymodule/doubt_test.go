// SPDX-License-Identifier: Apache-2.0

package caddymodule_test

import (
	"net/mail"
	"strings"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/fakehs"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/smtptest"
)

// TestKillAfterTheDotMakesNoThirdMail: the process is killed whenever the relay
// has a mail and has not answered. The next process sends it once more, under
// the same id, and whoever comes after that does not.
func TestKillAfterTheDotMakesNoThirdMail(t *testing.T) {
	double, err := smtptest.StartDouble(smtptest.Script{Says: map[string]string{"DOT": smtptest.Hold + "250 ok\r\n"}, Takes: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(double.Close)
	_, upstream := homeserver(t, fakehs.Options{})
	s := newSite(t, upstream)
	config := s.caddyfile(s.options("mailer smtp {\nserver " + double.Addr() + "\ntls none\nfrom noreply@example.test\n}")...)
	for n := range 2 {
		running := s.startChild(config)
		if n == 0 {
			if sid, err := askAs(t.Context(), s.url(), 0); err != nil || sid == "" {
				t.Fatalf("got sid %q, %v", sid, err)
			}
		}
		s.await("the mail", func() bool { return len(double.Taken()) > n })
		running.kill()
	}
	s.startChild(config)
	s.await("the end", func() bool {
		text, err := s.command("status")
		return err == nil && strings.HasPrefix(text, "0 of at most")
	})
	var ids []string
	for _, raw := range double.Taken() {
		m, err := mail.ReadMessage(strings.NewReader(raw))
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, m.Header.Get("Message-Id"))
	}
	if len(ids) != 2 || ids[0] != ids[1] {
		t.Errorf("got the mails %v, want two of one", ids)
	}
}
