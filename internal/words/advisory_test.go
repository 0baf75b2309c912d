// SPDX-License-Identifier: Apache-2.0

package words

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"strings"
	"testing"

	"pgregory.net/rapid"

	transport "github.com/caddy-threepid/caddy-threepid/internal/mail"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// Each test here is about a fault that somebody else has had, by its row in the
// table of advisories.

// hostile is text that has done harm in mails: line breaks that begin a header
// or a part, markup, template actions, and marks that turn text around.
var hostile = []string{
	"x\r\nBcc: eve@evil.example", "x\nSubject: win", "\r\n\r\n<h1>x</h1>", "--boundary--\r\n", `"><script>alert(1)</script>`,
	"</title><img src=x onerror=alert(1)>", "{{.Token}}", "{{template \"x\"}}", "=?utf-8?q?x?=", "\u202egnp.exe", "\u2066\u2066", "\x00", "\xff\xfe",
	"javascript:alert(1)", "https://evil.example/login", strings.Repeat("A", 5000),
}

// hostileFields puts hostile text where a client has, or once had, a say.
func hostileFields(m *verification.Message, text string) {
	m.Address, m.ID, m.SID = text+"@x.example", "id"+text, threepid.SID("sid"+text)
	if m.Proof == verification.ProofLink {
		m.Token = threepid.Token(text) // the link is made by the caller
	}
}

// TestAdvisory5_NoClientTextInMail: what a client chose, or could have chosen,
// is in no part of a mail (row 5, CVE-2021-29432: text of an attacker in mails
// is phishing from the operator's domain).
func TestAdvisory5_NoClientTextInMail(t *testing.T) {
	s := newSet(t)
	for _, k := range kinds() {
		plain := mailOf(t, s, k, "en")
		for _, text := range hostile {
			m, links := sample(k, text) // as a language there is no such
			hostileFields(&m, text)
			got, err := s.Mail(m, links)
			if err != nil {
				t.Fatal(err)
			}
			if got != plain {
				t.Errorf("with %q the mail is another:\n%s\n%s", text, got.Subject, got.Text)
			}
		}
	}
}

// TestAdvisory5_HostileMailParsesWithTheSameHeaders: the composed mail has the
// headers and the two parts that any other has (row 5: fuzz each field, parse
// with net/mail, assert header set and part count).
func TestAdvisory5_HostileMailParsesWithTheSameHeaders(t *testing.T) {
	s := newSet(t)
	rapid.Check(t, func(t *rapid.T) {
		k := rapid.SampledFrom(kinds()).Draw(t, "kind")
		m, links := sample(k, rapid.SampledFrom(append(hostile, s.matcher.tags...)).Draw(t, "language"))
		hostileFields(&m, rapid.OneOf(rapid.SampledFrom(hostile), rapid.String()).Draw(t, "text"))
		if k.proof == verification.ProofCode && rapid.Bool().Draw(t, "spoil the code") {
			m.Token = threepid.Token(rapid.SampledFrom(hostile).Draw(t, "code"))
		}
		r, err := s.Mail(m, links)
		if err != nil {
			return // it was refused
		}
		checkComposed(t, r)
	})
}

// tester is what *testing.T and *rapid.T have in common.
type tester interface {
	Helper()
	Errorf(format string, args ...any)
	Fatal(args ...any)
}

// checkComposed composes a mail and reads it as a mail program does.
func checkComposed(t tester, r Rendered) {
	t.Helper()
	raw, err := transport.Compose(transport.Message{
		From: "Example <noreply@mail.example.org>", To: "reader@mail.example", Subject: r.Subject, Text: r.Text, HTML: r.HTML,
		MessageID: "<sample@mail.example.org>", Date: sampleExpiry,
	})
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.SplitSeq(raw, []byte("\r\n")) {
		if len(line) > 998 || bytes.ContainsAny(line, "\r\n") {
			t.Errorf("a line of %d octets, or one that ends wrongly: %.80q", len(line), line)
		}
	}
	parsed, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	if len(parsed.Header) != 9 || parsed.Header.Get("Bcc") != "" {
		t.Errorf("header = %v", parsed.Header)
	}
	checkSubject(t, raw, parsed.Header.Get("Subject"), r.Subject)
	mediaType, params, err := mime.ParseMediaType(parsed.Header.Get("Content-Type"))
	if err != nil || mediaType != "multipart/alternative" {
		t.Fatal(mediaType, err)
	}
	parts := multipart.NewReader(parsed.Body, params["boundary"])
	for _, want := range []struct{ mediaType, body string }{{"text/plain", r.Text}, {"text/html", r.HTML}} {
		part, err := parts.NextRawPart()
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(quotedprintable.NewReader(part))
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.ReplaceAll(string(body), "\r\n", "\n"); strings.TrimRight(got, "\n") != strings.TrimRight(want.body, "\n") {
			t.Errorf("the part is not what was rendered:\n%s", got)
		}
		if got := part.Header.Get("Content-Type"); !strings.HasPrefix(got, want.mediaType+";") || !strings.Contains(strings.ToLower(got), "utf-8") {
			t.Errorf("Content-Type = %q, want %s in UTF-8", got, want.mediaType)
		}
	}
	if _, err := parts.NextRawPart(); !errors.Is(err, io.EOF) {
		t.Errorf("there are more parts: %v", err)
	}
}

// checkSubject: encoded words of at most 75 characters, on lines of at most 76
// (RFC 2047 §2), that say what was meant.
func checkSubject(t tester, raw []byte, encoded, want string) {
	t.Helper()
	got, err := new(mime.WordDecoder).DecodeHeader(encoded)
	if err != nil || got != want {
		t.Errorf("the subject reads %q, %v, want %q", got, err, want)
	}
	for word := range strings.FieldsSeq(encoded) {
		if strings.HasPrefix(word, "=?") && len(word) > 75 {
			t.Errorf("an encoded word of %d characters", len(word))
		}
	}
	_, rest, _ := bytes.Cut(raw, []byte("\r\nSubject: "))
	for i, line := range bytes.Split(rest, []byte("\r\n")) {
		if i > 0 && !bytes.HasPrefix(line, []byte(" ")) {
			return
		}
		// The name of the field is on the first line, which we have cut.
		if bytes.Contains(line, []byte("=?")) && len(line) > 76 {
			t.Errorf("line %d of the subject has %d octets: %s", i+1, len(line), line)
		}
	}
}

// TestAllMailsParse: in each language, for each purpose and proof, with each
// brand (rows 5 and 9; RFC 5322 §2.1.1; RFC 2047 §2).
func TestAllMailsParse(t *testing.T) {
	s := loaded(t, brandFolder(t), "acme", "other")
	count := 0
	err := s.Each(func(name string, r Rendered) error {
		count++
		t.Run(name, func(t *testing.T) { checkComposed(t, r) })
		return nil
	})
	if want := 3 * len(s.Languages()) * (len(kinds()) + len(purposes) + len(verification.Notices)); err != nil || count != want {
		t.Errorf("%d mails, %v, want %d", count, err, want)
	}
}

// TestAdvisory9_NothingComesToLifeInHTML: values that should never get as far
// as a layout are inert all the same (row 9, CVE-2021-21333: HTML injection in
// mails; row 2: HTML through a name of a room).
func TestAdvisory9_NothingComesToLifeInHTML(t *testing.T) {
	s := newSet(t)
	for _, k := range kinds() {
		for _, text := range append(hostile, hostileCode, hostileLink) {
			m, links := sample(k, "en")
			m.Token, links.Refuse = threepid.Token(text), text
			if k.proof == verification.ProofLink {
				links.Confirm = text
			}
			r, err := s.brands[""]["en"].write(m, links)
			if err != nil {
				t.Fatal(err)
			}
			page, err := inspect(r.HTML)
			if err != nil {
				t.Errorf("%.40q: %v", text, err)
				continue
			}
			for _, link := range page.links {
				if strings.Contains(link, "javascript") || strings.ContainsAny(link, "\"'<>\r\n ") {
					t.Errorf("%.40q became the link %.40q", text, link)
				}
			}
			if strings.ContainsAny(r.Subject, "\r\n") || strings.Contains(r.Subject, text) {
				t.Errorf("subject = %q", r.Subject)
			}
		}
	}
}

// TestAdvisory8_PagesEscapeWhatTheyShow: the one value of a client that words
// can show, the reader's own address, is text (row 8, CVE-2021-21332: markup in
// a password-reset page; row 30: line breaks and marks in addresses).
func TestAdvisory8_PagesEscapeWhatTheyShow(t *testing.T) {
	s := newSet(t)
	for _, lang := range s.Languages() {
		for _, key := range PageKeys() {
			for _, text := range hostile {
				markup, err := s.Words(lang.Tag).HTML(key, PageData{Address: text})
				if err != nil {
					t.Fatal(err)
				}
				page, err := inspect(string(markup))
				if err != nil || len(page.links) != 0 || strings.Contains(string(markup), "<script") || strings.Contains(string(markup), "<img") {
					t.Errorf("%s %s with %q: %v: %s", lang.Tag, key, text, err, markup)
				}
				if key != "page address" && key != "page sms address" && strings.Contains(string(markup), text) {
					t.Errorf("%s %s shows the address", lang.Tag, key)
				}
			}
		}
	}
}

// TestAdvisory5_OperatorTemplatesAreLinted: what made Sydent's own templates
// safe left those of its operators vulnerable (row 5). Here every way to name
// what a client has sent is refused when the file is loaded.
func TestAdvisory5_OperatorTemplatesAreLinted(t *testing.T) {
	for _, field := range []string{"Address", "Token", "NextLink"} {
		tests := map[string]string{
			"en/words.txt":                    define("password asked", "On {{.Server}} for {{."+field+"}}"),
			"de/words.txt":                    define("password subject", "{{."+field+"}}"),
			"layout/mail.txt":                 ours(t, textFile) + "{{." + field + "}}",
			"layout/mail.html":                strings.Replace(ours(t, htmlFile), "{{.Asked}}", "{{.Asked}} {{."+field+"}}", 1),
			"brands/acme/fr/words.txt":        define("add title", "{{."+field+"}}"),
			"brands/acme/layout/mail.txt":     "{{." + field + "}}" + ours(t, textFile),
			"brands/acme/layout/mail.html":    strings.Replace(ours(t, htmlFile), "<h1", `<p title="{{.`+field+`}}">x</p><h1`, 1),
			"brands/acme/layout/look.txt":     define("logo", "{{."+field+"}}"),
			"brands/acme/zh-Hans/words.txt":   define("link until", "{{.Until}} {{."+field+"}}"),
			"brands/acme/pt/words.txt":        define("page done what", "{{."+field+"}}"),
			"brands/acme/layout/mail.txt ":    "", // not read
			"brands/acme/layout/elsewhere.md": "", // not read
		}
		for name, content := range tests {
			fsys := folder(name, content, "brands/acme/README", "")
			_, err := Load(Options{Server: testServer, Folder: fsys, Brands: []string{"acme"}})
			switch read := content != ""; {
			case !read && strings.HasSuffix(name, ".md") && err != nil:
				t.Errorf("%q is not read, but %v", name, err)
			case read && (err == nil || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), field)):
				t.Errorf("%s with {{.%s}}: %v", name, field, err)
			}
		}
	}
}

// TestAdvisory6_WhatIsLongIsRefused (row 6, CVE-2021-29433: bound every list and
// string): files, texts, what layouts write, and headers.
func TestAdvisory6_WhatIsLongIsRefused(t *testing.T) {
	tests := []struct{ name, file, content, want string }{
		{"file of words", "en/words.txt", strings.Repeat(" ", maxFile+1), "65536 bytes"},
		{"layout", textFile, strings.Repeat(" ", maxFile+1), "65536 bytes"},
		{"text", "en/words.txt", define("add effect", strings.Repeat("x ", maxText)), "at most 1000"},
		{"subject", "en/words.txt", define("add subject", strings.Repeat("x", maxSubject+1)), "at most 150"},
		{"subject in bytes", "ja/words.txt", define("add subject", strings.Repeat("あ", 70)), "at most 200"},
		{"line", textFile, ours(t, textFile) + strings.Repeat("x", maxLine+1), "at most 998"},
		{"what is written", textFile, ours(t, textFile) + `{{define "x"}}` + strings.Repeat("x\n", 30_000) + `{{end}}{{template "x"}}{{template "x"}}{{template "x"}}`, "more than 131072 bytes"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Load(Options{Server: testServer, Folder: folder(tt.file, tt.content)})
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), tt.file) {
				t.Errorf("error = %v, want one with %q", err, tt.want)
			}
		})
	}
}
