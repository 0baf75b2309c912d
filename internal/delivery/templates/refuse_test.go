// SPDX-License-Identifier: Apache-2.0

package templates

import (
	"html"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

func TestServerNames(t *testing.T) {
	tests := []struct {
		name, server string
		ok           bool
	}{
		{"a host", "matrix.example.org", true},
		{"a host and port", "localhost:8443", true},
		{"IPv6", "[::1]:8008", true},
		{"an A-label", "xn--bcher-kva.example", true},
		{"an underscore", "my_host", true},
		{"a long host", strings.Repeat("h", 60) + ".example", true},
		{"empty", "", false},
		{"header injection", "x.org\r\nBcc: eve@x.org", false},
		{"newline at the end", "x.org\n", false},
		{"markup", "<b>x.org</b>", false},
		{"quote", `x.org" onclick="x`, false},
		{"ampersand", "x&y", false},
		{"space", "x.org is not y.org", false},
		{"a template action", "{{.Token}}", false},
		{"path", "x.org/path", false},
		{"user", "matrix.org@x.org", false},
		{"non-ASCII look-alike", "m\u0430trix.org", false},
		{"right-to-left override", "x\u202egro.y", false},
		{"invalid UTF-8", "x\xff", false},
		{"NUL", "x\x00", false},
		{"too long for the subject", strings.Repeat("h", 90), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, err := New(tt.server)
			if (err == nil) != tt.ok || (s != nil) != tt.ok {
				t.Errorf("New(%q) = %v, %v, want ok = %v", tt.server, s, err, tt.ok)
			}
		})
	}
}

// TestMessagesThatAreNotMail: what there are no words for is refused, and the
// refusal tells neither link nor code.
func TestMessagesThatAreNotMail(t *testing.T) {
	s := newSet(t, "example.org")
	type message = verification.Message
	tests := []struct {
		name  string
		proof verification.Proof
		spoil func(m *message, link *string)
	}{
		{"unknown purpose", verification.ProofLink, func(m *message, _ *string) { m.Purpose = "bind" }},
		{"no purpose", verification.ProofCode, func(m *message, _ *string) { m.Purpose = "" }},
		{"another medium", verification.ProofCode, func(m *message, _ *string) { m.Medium = verification.MSISDN }},
		{"unknown proof", verification.ProofCode, func(m *message, _ *string) { m.Proof = 9 }},
		{"no link", verification.ProofLink, func(_ *message, l *string) { *l = "" }},
		{"relative link", verification.ProofLink, func(_ *message, l *string) { *l = "/confirm" }},
		{"script for a link", verification.ProofLink, func(_ *message, l *string) { *l = "javascript:alert(1)//x" }},
		{"link with a newline", verification.ProofLink, func(_ *message, l *string) { *l += "\nx" }},
		{"link with a space", verification.ProofLink, func(_ *message, l *string) { *l += " x" }},
		{"link with a letter outside ASCII", verification.ProofLink, func(_ *message, l *string) { *l += "é" }},
		{"link with markup", verification.ProofLink, func(_ *message, l *string) { *l += `"><script>` }},
		{"no code", verification.ProofCode, func(m *message, _ *string) { m.Token = "" }},
		{"code with a newline", verification.ProofCode, func(m *message, _ *string) { m.Token = "12\n34" }},
		{"code and link", verification.ProofCode, func(_ *message, l *string) { *l = sampleLink }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m, link := sample(verification.Password, tt.proof)
			tt.spoil(&m, &link)
			_, err := s.Render(m, link)
			if err == nil {
				t.Fatal("it was rendered")
			}
			for _, secret := range []string{sampleLink, sampleCode, "s3cr3t", m.Address, m.SID} {
				if strings.Contains(err.Error(), secret) {
					t.Errorf("the error %q tells %q", err, secret)
				}
			}
		})
	}
}

// changed is the built-in files with one text replaced by another.
func changed(t *testing.T, path, from, to string) fs.FS {
	t.Helper()
	fsys := fstest.MapFS{}
	for _, name := range []string{"en/words.txt", "layout/mail.txt", "layout/mail.html"} {
		raw, err := files.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if name == path {
			if !strings.Contains(string(raw), from) {
				t.Fatalf("%s does not have %q", path, from)
			}
			raw = []byte(strings.ReplaceAll(string(raw), from, to))
		}
		fsys[name] = &fstest.MapFile{Data: raw}
	}
	return fsys
}

// TestBadTemplatesAreRefusedAtLoad: a template that would fail, or leave its
// reader without a way on, is found when it is loaded and not by a reader. A
// variable in the subject once stopped all reset mails of a rival.
func TestBadTemplatesAreRefusedAtLoad(t *testing.T) {
	const words, text, markup = "en/words.txt", "layout/mail.txt", "layout/mail.html"
	tests := []struct{ name, path, from, to, want string }{
		{"no link in the text", text, "{{.Link}}", "", "missing in the text"},
		{"no code in the text", text, "{{.Code}}", "", "missing in the text"},
		{"no link in the HTML", markup, `href="{{.Link}}"`, "", "missing in the HTML"},
		{"link that is shown only", markup, `href="{{.Link}}"`, `href="https://example.org"`, "missing in the HTML"},
		{"no code in the HTML", markup, "{{.Code}}", "", "missing in the HTML"},
		{"no expiry in the text", text, "{{wrap .Until}}", "", "expiry is missing"},
		{"no expiry in the HTML", markup, "{{.Until}}", "", "expiry is missing"},
		{"words without an expiry", words, "The code works until {{.Until}}.", "", "expiry is missing"},
		{"no subject", words, "Reset your password on {{.Server}}", "", "subject is missing"},
		{"a field that does not exist", words, "on {{.Server}}{{end}}", "on {{.Sever}}{{end}}", "Sever"},
		{"client text in the subject", words, "Reset your password on", "{{.Address}}", "Address"},
		{"a block that does not exist", words, `"add effect"`, `"ad effect"`, "add effect"},
		{"broken syntax in words", words, `{{define "ignore"}}`, `{{define "ignore"`, "parse words"},
		{"broken syntax in text", text, "{{if .Link}}", "{{if .Link", "parse text layout"},
		{"broken syntax in HTML", markup, "{{- else}}", "{{- otherwise}}", "parse HTML layout"},
		{"a subject that is too long", words, "Reset your password on", strings.Repeat("long ", 30), "at most 100"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := load(changed(t, tt.path, tt.from, tt.to), "en", "example.org")
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error = %v, want one with %q", err, tt.want)
			}
		})
	}
	if _, err := load(fstest.MapFS{}, "en", "example.org"); err == nil {
		t.Error("an empty folder was accepted")
	}
	if _, err := load(files, "xx", "example.org"); err == nil {
		t.Error("a language that does not exist was accepted")
	}
}

// TestAnyLinkArrivesWhole: whatever a link is made of, a reader can click and
// copy exactly it.
func TestAnyLinkArrivesWhole(t *testing.T) {
	s := newSet(t, "example.org")
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`[0-9A-Za-z_-]{1,80}`)
		link := "https://" + rapid.StringMatching(`[a-z0-9]{1,20}(\.[a-z]{2,8}){0,2}(:[1-9][0-9]{0,3})?`).Draw(t, "host") +
			"/" + text.Draw(t, "path") + "?sid=" + text.Draw(t, "sid") + "&token=" + text.Draw(t, "token")
		m, _ := sample(verification.Add, verification.ProofLink)
		m.Expires = time.Unix(rapid.Int64Range(0, 1<<34).Draw(t, "expiry"), 0)
		r, err := s.Render(m, link)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(r.Text, "\n"+link+"\n") {
			t.Errorf("the link is not on a line of its own:\n%s", r.Text)
		}
		if got := strings.Count(html.UnescapeString(r.HTML), link); got != 2 {
			t.Errorf("the link is in the HTML %d times, want 2", got)
		}
	})
}

// TestWrap: no line is too long unless it is one word, and no word is lost.
func TestWrap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		words := rapid.SliceOf(rapid.StringMatching(`[a-zé]{1,90}`)).Draw(t, "words")
		got := wrap(strings.Join(words, rapid.SampledFrom([]string{" ", "\n", " \n\t"}).Draw(t, "space")))
		if back := strings.Fields(got); strings.Join(back, " ") != strings.Join(words, " ") {
			t.Fatalf("wrap changed the words to %q", back)
		}
		for line := range strings.SplitSeq(got, "\n") {
			if utf8.RuneCountInString(line) > 72 && strings.Contains(line, " ") {
				t.Fatalf("line of %d characters: %q", utf8.RuneCountInString(line), line)
			}
		}
	})
}
