// SPDX-License-Identifier: Apache-2.0

package mail

import (
	"errors"
	"strings"
	"testing"
)

func TestComposeOffersOneClickUnsubscription(t *testing.T) {
	m := sample()
	m.ListUnsubscribe = "https://matrix.example.org/_matrix/stop?sid=a&t=" + strings.Repeat("x", 400)
	m.Language = "pt-BR"
	raw, err := Compose(m)
	if err != nil {
		t.Fatal(err)
	}
	header := parse(t, raw).Header
	for name, want := range map[string]string{
		"List-Unsubscribe": "<" + m.ListUnsubscribe + ">", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click", "Content-Language": "pt-BR",
		"Auto-Submitted": "auto-generated",
	} {
		if got := header[name]; len(got) != 1 || got[0] != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	order := -1
	for _, name := range []string{
		"Date", "From", "To", "Subject", "Message-Id", "Auto-Submitted", "X-Auto-Response-Suppress", "List-Unsubscribe", "List-Unsubscribe-Post",
		"Content-Language", "Mime-Version", "Content-Type",
	} {
		at := strings.Index("\r\n"+string(raw), "\r\n"+name+": ")
		if at <= order {
			t.Errorf("%s is not in its place", name)
		}
		order = at
	}
}

func TestComposeHasNoUnsubscriptionUnlessItIsAskedFor(t *testing.T) {
	raw, err := Compose(sample())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"List-Unsubscribe", "List-Unsubscribe-Post", "Content-Language", "DKIM-Signature"} {
		if got := parse(t, raw).Header.Get(name); got != "" {
			t.Errorf("got %s: %s", name, got)
		}
	}
}

// RFC 8058 §3.1 wants https. The rest would end the link early, or the field.
func TestComposeRefusesBadLinksAndLanguages(t *testing.T) {
	for _, link := range []string{
		"http://example.org/", "mailto:stop@example.org", "//example.org/", "https:///x", "https://", "example.org", "javascript:alert(1)",
		"https://example.org/a>, <https://evil.test/", "https://example.org/\r\nBcc: x", "https://example.org/a b", "https://example.org/ü",
		"https://user:secret@example.org/", "https://example.org/\x00", `https://example.org/"`, "https://example.org/" + strings.Repeat("x", maxUnsubscribe),
	} {
		m := sample()
		m.ListUnsubscribe = link
		if raw, err := Compose(m); !errors.Is(err, ErrInvalidList) || raw != nil {
			t.Errorf("%q: got %q, %v, want %v", link, raw, err, ErrInvalidList)
		}
	}
	for _, tag := range []string{"de_DE", "x\r\nBcc: y", "-de", "de-", "d", "de-toolongsubtag", "de, en", strings.Repeat("a-", 20) + "a"} {
		m := sample()
		m.Language = tag
		if raw, err := Compose(m); !errors.Is(err, ErrInvalidLanguage) || raw != nil {
			t.Errorf("%q: got %q, %v, want %v", tag, raw, err, ErrInvalidLanguage)
		}
	}
	for _, tag := range []string{"en", "zh-Hans", "zh-Hant-TW", "de-CH-1996", "sr-Latn", "fil"} {
		m := sample()
		m.Language = tag
		if _, err := Compose(m); err != nil {
			t.Errorf("%q: %v", tag, err)
		}
	}
}

// The last line of defence knows what was asked for, and what was not.
func TestOrderHeaderKnowsWhatWasAskedFor(t *testing.T) {
	m := sample()
	m.Language = "de"
	raw, err := Compose(m)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := orderHeader(raw); err == nil {
		t.Errorf("got %q with a field that was not asked for", got)
	}
	if got, err := orderHeader(raw, "content-language", "list-unsubscribe"); err == nil {
		t.Errorf("got %q without a field that was asked for", got)
	}
	if _, err := orderHeader(raw, "content-language"); err != nil {
		t.Error(err)
	}
}
