// SPDX-License-Identifier: Apache-2.0

package caddymodule_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/internal/emailpolicy"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/stack"
)

// TestPastedInputOfOperators: an address or a number on the command line, or for the
// admin endpoint, comes from a chat or a mail as often as from a keyboard.
func TestPastedInputOfOperators(t *testing.T) {
	s := newPhoneSite(t, "allow GB", "resend_after 1ns")
	numbers := []string{
		"+447400123456", "\u202a+44 7400-123456\u202c\n", "tel:+44%207400%20123456", "＋４４７４００１２３４５６", "\u200e+٤٤٧٤٠٠١٢٣٤٥٦",
	}
	addresses := []string{"joe@example.test", " Joe@example.test\n", "mailto:joe@example.test", "<joe@example.test>", "Joe <joe@example.test>", "\ufeffjoe@example.test\u00a0"}
	for _, to := range slices.Concat(numbers, addresses) {
		text, err := s.command("send-test", "--to", to)
		if err != nil || !strings.Contains(text, "It was taken") && !strings.Contains(text, "It was written") { // the mailer is a folder
			t.Errorf("send-test to %+q: got %q, %v", to, text, err)
		}
	}
	if got := s.message("447400123456"); got.To != "447400123456" {
		t.Errorf("got a message to %q", got.To)
	}
	for medium, list := range map[string][]string{"email": addresses, "msisdn": numbers} {
		for i, one := range list {
			other := list[(i+1)%len(list)]
			s.admins("POST", "suppressions/add", stack.Object{"medium": medium, "address": one}, http.StatusOK)
			s.admins("POST", "suppressions/remove", stack.Object{"medium": medium, "address": other}, http.StatusOK)
			if got := s.admins("GET", "suppressions", nil, http.StatusOK); !strings.Contains(got.Body, `"suppressions":[]`) {
				t.Errorf("%+q was suppressed, and %+q released: got %s", one, other, got.Body)
			}
			s.admins("POST", "addresses/forget", stack.Object{"medium": medium, "address": one}, http.StatusOK)
		}
	}
	for _, req := range []stack.Object{
		{"medium": "email", "address": "joe@example.test, ann@example.test"},
		{"medium": "email", "address": "j\u200boe@example.test"},
		{"medium": "msisdn", "address": "+447400123456x1"},
		{"medium": "msisdn", "address": "joe@example.test"},
		{"medium": "msisdn", "address": ""},
	} {
		s.admins("POST", "addresses/forget", req, http.StatusBadRequest)
	}
}

// TestPastedOptions: configuration is pasted, too, and a file that a placeholder
// names ends with a line end.
func TestPastedOptions(t *testing.T) {
	const pasted = "\ufeff\u00a0%s\u200b\n"
	paste := func(text string) string {
		return strings.NewReplacer("\ufeff", `\ufeff`, "\u00a0", `\u00a0`, "\u200b", `\u200b`, "\n", `\n`).Replace(strings.Replace(pasted, "%s", text, 1))
	}
	app := mustProvision(t, `{"mailer":{"type":"file","from":"`+paste("Example <noreply@example.test>")+`"},"feedback":{"bounces":"`+paste("bounces@example.test")+`"},
		"email_policy":{"allow":["`+paste("=example.test")+`"],"deny":["`+paste("bücher.example")+`"]},
		"sms":{"senders":{"main":{"type":"file"}},"allow":["`+paste("gb")+`","`+paste("+33 6")+`"],"deny":["`+paste("＋44-79")+`"],
			"routes":[{"match":["`+paste("fr")+`","`+paste("+44 74")+`"],"senders":["main"]},{"senders":["main"]}],
			"originators":{"GB":["`+paste("+44 7400 123456")+`"],"default":["`+paste("Example Co")+`","`+paste("60123")+`"]}}}`)
	if got := app.Settings().Mailer.From(); got != "Example <noreply@example.test>" {
		t.Errorf("got from %q", got)
	}
	if got := app.Settings().Feedback.VERP; got.Prefix != "bounces" || got.Domain != "example.test" {
		t.Errorf("got bounces to %+v", got)
	}
	for email, want := range map[string]bool{"a@example.test": false, "a@sub.example.test": true, "a@xn--bcher-kva.example": true} {
		if got := app.Settings().EmailPolicy.Check(t.Context(), email).Action == emailpolicy.Refused; got != want {
			t.Errorf("%s: got refused %v, want %v", email, got, want)
		}
	}
	if got := app.Settings().SMS.Originators; got["GB"][0] != "+447400123456" || !slices.Equal(got["default"], []string{"Example Co", "60123"}) {
		t.Errorf("got originators %q", got)
	}
}
