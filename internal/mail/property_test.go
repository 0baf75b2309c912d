// SPDX-License-Identifier: Apache-2.0

package mail

import (
	"bytes"
	"errors"
	"maps"
	"mime"
	"net/mail"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/smtptest"
)

// hostile draws text out of what breaks headers, addresses and SMTP commands.
func hostile(most int) *rapid.Generator[string] {
	piece := rapid.SampledFrom([]string{
		"a", "b", "Z", "0", " ", "  ", ".", ",", ";", ":", "<", ">", "(", ")", "[", "]", `"`, `\`, "@", "=", "?", "_", "%", "'", "+",
		"=?", "?=", "?= =?", "=?utf-8?q?x?=", "\r", "\n", "\r\n", "\r\nBcc: x@y.test", "\r\n\r\nbody", "\x00", "\x1b", "\t", "\x7f", "\u0085",
		"\u2028", "\u200b", "\u202e", "é", "ß", "漢", "😀", "\xff", "> NOTIFY=NEVER <", "example.org", "@e.org",
	})
	return rapid.Custom(func(t *rapid.T) string {
		return strings.Join(rapid.SliceOfN(piece, 0, most).Draw(t, "pieces"), "")
	})
}

func drawMessage(t *rapid.T) Message {
	m := sample()
	plain := rapid.StringMatching(`[a-z0-9.+_-]{1,12}@[a-z]{1,8}\.org`)
	switch rapid.IntRange(0, 3).Draw(t, "from") {
	case 0:
		m.From = hostile(12).Draw(t, "from")
	case 1:
		m.From = (&mail.Address{Name: hostile(40).Draw(t, "name"), Address: plain.Draw(t, "sender")}).String()
	case 2:
		m.From = `"` + hostile(12).Draw(t, "name") + `" <` + plain.Draw(t, "sender") + ">"
	}
	if rapid.Bool().Draw(t, "hostile recipient") {
		m.To = hostile(4).Draw(t, "local") + "@" + rapid.OneOf(rapid.Just("e.org"), hostile(3)).Draw(t, "domain")
	} else {
		m.To = rapid.OneOf(plain, rapid.StringMatching(`[é漢a]{1,9}@e\.org`)).Draw(t, "to")
	}
	m.Subject = rapid.OneOf(hostile(40), rapid.StringMatching(`[a-z ,.é漢😀]{1,60}`)).Draw(t, "subject")
	m.Text = rapid.OneOf(hostile(30), rapid.StringMatching(`[.a-zé=\n ]{1,1000}`)).Draw(t, "text")
	m.HTML = rapid.OneOf(rapid.Just("<p>x</p>"), hostile(30)).Draw(t, "html")
	m.Date = time.Unix(rapid.Int64Range(0, 1<<34).Draw(t, "date"), 0)
	return m
}

type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
}

func parse(t fataler, raw []byte) *mail.Message {
	t.Helper()
	parsed, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		t.Fatalf("the message does not parse: %v", err)
	}
	return parsed
}

// Whatever it is given, Compose refuses with one of its own errors, or writes
// one sender, one recipient, and nothing that was not asked for.
func TestComposeWritesExactlyWhatWasAskedFor(t *testing.T) {
	composed, refused := 0, 0
	check := func(t *rapid.T) {
		m := drawMessage(t)
		raw, err := Compose(m)
		if err != nil {
			refused++
			for _, known := range []error{ErrInvalidSender, ErrInvalidRecipient, ErrInvalidSubject, ErrInvalidBody} {
				if errors.Is(err, known) {
					return
				}
			}
			t.Fatalf("got error %v, which is none of its own", err)
		}
		composed++
		checkHeader(t, m, raw)
		checkBody(t, m, raw)
		again, err := Compose(m)
		if got, want := boundary.ReplaceAll(again, nil), boundary.ReplaceAll(raw, nil); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("got %q the second time, want %q", got, want)
		}
	}
	for range 20 { // most draws are refused, and one round is 100
		rapid.Check(t, check)
	}
	if composed == 0 || refused == 0 {
		t.Errorf("got %d composed and %d refused, want some of both", composed, refused)
	}
}

func checkHeader(t *rapid.T, m Message, raw []byte) {
	t.Helper()
	header := parse(t, raw).Header
	got := slices.Sorted(maps.Keys(header))
	want := []string{"Auto-Submitted", "Content-Type", "Date", "From", "Message-Id", "Mime-Version", "Subject", "To", "X-Auto-Response-Suppress"}
	if !slices.Equal(got, want) {
		t.Fatalf("got fields %q, want %q", got, want)
	}
	for name, values := range header {
		if len(values) != 1 {
			t.Fatalf("got %d fields %s", len(values), name)
		}
	}
	sender, err := mail.ParseAddress(m.From)
	if err != nil {
		t.Fatalf("a sender was accepted that does not parse: %q", m.From)
	}
	from, err := header.AddressList("From")
	if err != nil || len(from) != 1 || *from[0] != *sender {
		t.Fatalf("got senders %v (%v), want %v", from, err, sender)
	}
	if got, want := header.Get("To"), "<"+m.To+">"; got != want {
		t.Fatalf("got recipient %q, want %q", got, want)
	}
	to, err := header.AddressList("To")
	if err != nil || len(to) != 1 || to[0].Address != m.To {
		t.Fatalf("got recipients %v (%v), want %q", to, err, m.To)
	}
	subject, err := new(mime.WordDecoder).DecodeHeader(header.Get("Subject"))
	if err != nil || subject != strings.TrimSpace(m.Subject) {
		t.Fatalf("got subject %q (%v), want %q", subject, err, m.Subject)
	}
	if got, err := header.Date(); err != nil || !got.Equal(m.Date) {
		t.Fatalf("got date %v (%v), want %v", got, err, m.Date)
	}
}

func checkBody(t *rapid.T, m Message, raw []byte) {
	t.Helper()
	for line := range bytes.SplitSeq(raw, []byte("\r\n")) {
		if len(line) > 998 || bytes.ContainsAny(line, "\r\n\x00") {
			t.Fatalf("got line %q", line)
		}
	}
	got := smtptest.Message{Raw: raw}
	lines := strings.NewReplacer("\r\n", "\n", "\r", "\n")
	if want := lines.Replace(m.Text); got.Text() != want {
		t.Fatalf("got text %q, want %q", got.Text(), want)
	}
	if want := lines.Replace(m.HTML); got.HTML() != want {
		t.Fatalf("got HTML %q, want %q", got.HTML(), want)
	}
}

// What passes as bare is, letter by letter, what an SMTP command may hold
// between its brackets.
func TestBareAddressesHaveNoRoomForParameters(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := hostile(8).Draw(t, "address")
		if bare(s) && (strings.ContainsAny(s, " <>\"\r\n\t\x00") || strings.Count(s, "@") != 1 || len(s) > maxAddress) {
			t.Fatalf("%q passes as bare", s)
		}
	})
}
