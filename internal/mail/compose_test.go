// SPDX-License-Identifier: Apache-2.0

package mail

import (
	"errors"
	"mime"
	"regexp"
	"strings"
	"testing"
	"time"
)

func sample() Message {
	return Message{
		From: "Example <noreply@example.org>", To: "reader@example.org", Subject: "Confirm your address",
		Text: "Hello\n", HTML: "<p>Hello</p>\n", MessageID: "<1abc.2@example.org>",
		Date: time.Date(2026, 11, 23, 10, 0, 0, 0, time.FixedZone("", 3600)),
	}
}

var boundary = regexp.MustCompile(`[0-9a-f]{60}`)

func TestComposeIsTheSameButForTheBoundary(t *testing.T) {
	want := strings.ReplaceAll(`Date: Mon, 23 Nov 2026 09:00:00 +0000
From: "Example" <noreply@example.org>
To: <reader@example.org>
Subject: Confirm your address
Message-Id: <1abc.2@example.org>
Auto-Submitted: auto-generated
X-Auto-Response-Suppress: All
Mime-Version: 1.0
Content-Type: multipart/alternative;
 boundary=B

--B
Content-Transfer-Encoding: quoted-printable
Content-Type: text/plain; charset=UTF-8

Hello

--B
Content-Transfer-Encoding: quoted-printable
Content-Type: text/html; charset=UTF-8

<p>Hello</p>

--B--
`, "\n", "\r\n")
	for range 20 { // the library orders the header by chance
		raw, err := Compose(sample())
		if err != nil {
			t.Fatal(err)
		}
		if got := boundary.ReplaceAllString(string(raw), "B"); got != want {
			t.Fatalf("got %q, want %q", got, want)
		}
	}
}

func TestComposeRefuses(t *testing.T) {
	tests := map[string]struct {
		change func(*Message)
		want   error
	}{
		"CRLF in the sender":            {func(m *Message) { m.From = "a@example.org\r\nBcc: evil@example.org" }, ErrInvalidSender},
		"encoded CRLF in the sender":    {func(m *Message) { m.From = "=?utf-8?q?a=0D=0ABcc=3A_x?= <a@example.org>" }, ErrInvalidSender},
		"two senders":                   {func(m *Message) { m.From = "a@example.org, b@example.org" }, ErrInvalidSender},
		"unquoted comma in the name":    {func(m *Message) { m.From = "Some, Org <a@example.org>" }, ErrInvalidSender},
		"backslash in the name":         {func(m *Message) { m.From = `"a\\é" <a@example.org>` }, ErrInvalidSender},
		"name that looks encoded":       {func(m *Message) { m.From = `"=?utf-8?q?x?=" <a@example.org>` }, ErrInvalidSender},
		"long name":                     {func(m *Message) { m.From = strings.Repeat("n", maxName+1) + " <a@example.org>" }, ErrInvalidSender},
		"no sender":                     {func(m *Message) { m.From = "" }, ErrInvalidSender},
		"CRLF in the recipient":         {func(m *Message) { m.To = "a@example.org\r\nBcc: evil@example.org" }, ErrInvalidRecipient},
		"CRLF in a comment":             {func(m *Message) { m.To = "u@example.org (c\r\nBcc: x@example.org)" }, ErrInvalidRecipient},
		"recipient with a name":         {func(m *Message) { m.To = "Name <u@example.org>" }, ErrInvalidRecipient},
		"recipient in brackets":         {func(m *Message) { m.To = "<u@example.org>" }, ErrInvalidRecipient},
		"SMTP parameter in quotes":      {func(m *Message) { m.To = `"x> NOTIFY=NEVER <y"@example.org` }, ErrInvalidRecipient},
		"two recipients":                {func(m *Message) { m.To = "a@example.org,b@example.org" }, ErrInvalidRecipient},
		"group of recipients":           {func(m *Message) { m.To = "g:a@example.org;" }, ErrInvalidRecipient},
		"two at signs":                  {func(m *Message) { m.To = "a@b@example.org" }, ErrInvalidRecipient},
		"address literal":               {func(m *Message) { m.To = "a@[127.0.0.1]" }, ErrInvalidRecipient},
		"line separator":                {func(m *Message) { m.To = "a\u2028b@example.org" }, ErrInvalidRecipient},
		"long recipient":                {func(m *Message) { m.To = strings.Repeat("a", maxAddress) + "@example.org" }, ErrInvalidRecipient},
		"no recipient":                  {func(m *Message) { m.To = "" }, ErrInvalidRecipient},
		"CRLF in the subject":           {func(m *Message) { m.Subject = "Hi\r\nBcc: evil@example.org" }, ErrInvalidSubject},
		"subject that looks encoded":    {func(m *Message) { m.Subject = "=?utf-8?q?pay_now?=" }, ErrInvalidSubject},
		"subject that is not UTF-8":     {func(m *Message) { m.Subject = "\xff" }, ErrInvalidSubject},
		"long subject":                  {func(m *Message) { m.Subject = strings.Repeat("s", maxSubject+1) }, ErrInvalidSubject},
		"blank subject":                 {func(m *Message) { m.Subject = " \u00a0" }, ErrInvalidSubject},
		"no Message-ID":                 {func(m *Message) { m.MessageID = "" }, ErrInvalidID},
		"Message-ID without brackets":   {func(m *Message) { m.MessageID = "a@example.org" }, ErrInvalidID},
		"CRLF in the Message-ID":        {func(m *Message) { m.MessageID = "<a\r\nBcc:x@example.org>" }, ErrInvalidID},
		"two Message-IDs":               {func(m *Message) { m.MessageID = "<a@b> <c@d>" }, ErrInvalidID},
		"Message-ID without an at sign": {func(m *Message) { m.MessageID = "<a>" }, ErrInvalidID},
		"no text":                       {func(m *Message) { m.Text = "" }, ErrInvalidBody},
		"no HTML":                       {func(m *Message) { m.HTML = "" }, ErrInvalidBody},
		"text that is not UTF-8":        {func(m *Message) { m.Text = "\xff" }, ErrInvalidBody},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			m := sample()
			test.change(&m)
			raw, err := Compose(m)
			if !errors.Is(err, test.want) || raw != nil {
				t.Fatalf("got %q, %v, want %v", raw, err, test.want)
			}
			if strings.Contains(err.Error(), "example.org") {
				t.Errorf("the error holds an address: %v", err)
			}
		})
	}
}

// The library would write these itself in ways that cannot be read back.
func TestComposeKeepsTheNameOfTheSender(t *testing.T) {
	tests := map[string]string{
		`"Some, Org" <a@example.org>`:     "Some, Org",
		`"Müller, GmbH" <a@example.org>`:  "Müller, GmbH",
		`"Say \"hi\"" <a@example.org>`:    `Say "hi"`,
		"Example Org <a@example.org>":     "Example Org",
		"a@example.org":                   "",
		"漢字 (comment) <a@example.org>":    "漢字",
		"=?utf-8?q?caf=C3=A9?= <a@e.org>": "café",
	}
	for from, want := range tests {
		m := sample()
		m.From = from
		raw, err := Compose(m)
		if err != nil {
			t.Errorf("%s: %v", from, err)
			continue
		}
		got, err := parse(t, raw).Header.AddressList("From")
		if err != nil || len(got) != 1 || got[0].Name != want {
			t.Errorf("%s: got %v, %v, want one sender called %q", from, got, err, want)
		}
	}
}

// RFC 2047 §2 wants lines of at most 76 octets; the library writes a field on
// one line, with the field's name before it.
func TestComposeFoldsEncodedFields(t *testing.T) {
	m := sample()
	m.Subject = strings.Repeat("漢", maxSubject/3)
	m.From = strings.Repeat("é", maxName/2) + " <a@example.org>"
	raw, err := Compose(m)
	if err != nil {
		t.Fatal(err)
	}
	head, _, _ := strings.Cut(string(raw), "\r\n\r\n")
	for line := range strings.SplitSeq(head, "\r\n") {
		if len(line) > 76+len("Subject: ") || strings.Count(line, "=?utf-8?") > 1 {
			t.Errorf("got line %q", line)
		}
	}
	if got, err := new(mime.WordDecoder).DecodeHeader(parse(t, raw).Header.Get("Subject")); err != nil || got != m.Subject {
		t.Errorf("got subject %q (%v), want %q", got, err, m.Subject)
	}
}

func TestSenderSplitsAMailbox(t *testing.T) {
	header, address, err := Sender("Müller <noreply@example.org>")
	if err != nil {
		t.Fatal(err)
	}
	if want := "=?utf-8?q?M=C3=BCller?= <noreply@example.org>"; header != want {
		t.Errorf("got header %q, want %q", header, want)
	}
	if want := "noreply@example.org"; address != want {
		t.Errorf("got address %q, want %q", address, want)
	}
}

func TestOrderHeaderRefusesWhatWasNotAskedFor(t *testing.T) {
	raw, err := Compose(sample())
	if err != nil {
		t.Fatal(err)
	}
	for name, hostile := range map[string]string{
		"a field more":        "Bcc: x@example.org\r\n" + string(raw),
		"a field twice":       "To: x@example.org\r\n" + string(raw),
		"a field less":        strings.Replace(string(raw), "Auto-Submitted: auto-generated\r\n", "", 1),
		"a field for another": strings.Replace(string(raw), "Auto-Submitted:", "Bcc:", 1),
		"no field name":       "hello\r\n" + string(raw),
		"continued nothing":   " hello\r\n" + string(raw),
		"no end":              strings.ReplaceAll(string(raw), "\r\n\r\n", "\r\n"),
		"a long line":         string(raw) + strings.Repeat("x", maxLine+1),
	} {
		if got, err := orderHeader([]byte(hostile)); err == nil {
			t.Errorf("%s: got %q, want an error", name, got)
		}
	}
}

// TestComposeKeepsLineEnds: the encoder of the standard library loses one after
// a carriage return that stands alone.
func TestComposeKeepsLineEnds(t *testing.T) {
	m := sample()
	m.Text = "\r=\n"
	raw, err := Compose(m)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(raw), "\r\n\r\n\r\n=3D\r\n\r\n--") {
		t.Errorf("got %q, want two line ends kept", raw)
	}
}
