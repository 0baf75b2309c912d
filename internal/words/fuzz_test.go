// SPDX-License-Identifier: Apache-2.0

package words

import (
	"strings"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// tryFolder does what Load does for one language, which a fuzzer can do often.
func tryFolder(pairs ...string) (*renderer, error) {
	opts := &Options{Server: testServer, Folder: folder(pairs...)}
	places := opts.of("")
	look, err := loadLook(places)
	if err != nil {
		return nil, err
	}
	l, err := loadLayout(places)
	if err != nil {
		return nil, err
	}
	w, err := (&reader{files: map[string]*texts{}}).language(places, "ar")
	if err != nil {
		return nil, err
	}
	s := &renderer{server: testServer, words: w, layout: l, look: look}
	for _, k := range kinds() {
		if err := s.check(k); err != nil {
			return nil, err
		}
	}
	for _, purpose := range purposes {
		if err := s.checkSMS(purpose); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// mustServe insists that what was accepted serves its reader with other data
// than that which it was accepted with.
func mustServe(t *testing.T, s *renderer) {
	t.Helper()
	for _, k := range kinds() {
		m, links := sample(k, "ar")
		r, err := s.write(m, links)
		if err != nil {
			t.Fatalf("accepted, but %v", err)
		}
		proof := links.Confirm
		if k.proof == verification.ProofCode {
			proof = m.Token
		}
		page, err := inspect(r.HTML)
		if err != nil {
			t.Fatalf("accepted, but %v", err)
		}
		for _, want := range []string{proof, links.Refuse} {
			if !strings.Contains(r.Text, want) {
				t.Errorf("the text lacks %q:\n%s", want, r.Text)
			}
			if !strings.Contains(page.text+strings.Join(page.links, " "), want) {
				t.Errorf("the HTML lacks %q:\n%s", want, r.HTML)
			}
		}
		if !strings.Contains(r.Text, testServer) || r.Subject == "" || strings.ContainsAny(r.Subject, "\r\n\x00") {
			t.Errorf("subject = %q, text:\n%s", r.Subject, r.Text)
		}
		for _, secret := range []string{m.Address, m.ID} {
			if strings.Contains(r.Subject+r.Text+r.HTML, secret) {
				t.Errorf("the mail has %q", secret)
			}
		}
	}
	for _, purpose := range purposes {
		text := s.message(purpose, sampleCode)
		if !strings.Contains(text, testServer) || !strings.Contains(text, sampleCode) || strings.ContainsAny(text, "\r\n\x00") {
			t.Errorf("short message %q", text)
		}
	}
}

// FuzzWords: whatever an operator writes into a file of words, either it is
// refused, or every message serves its reader (row 5 of the advisories: lint the
// templates of users).
func FuzzWords(f *testing.F) {
	for _, seed := range []string{
		"", define("password subject", "{{.Server}}"), define("password subject", "x\ny"), define("code until", "{{.Until}}"), "{{", "{{define",
		define("add title", "{{range 9}}{{end}}"), define("dir", "ltr"), define("password asked", "\u2066{{.Server}}"), define("refuse do", "</style>"),
		define("link do", "{{.Server}}{{.Server}}") + define("reviewed", "yes"), define("life hours one", ""), "{{/* */}}",
		define("add sms", "{{.Server}}\n{{.Code}}"), define("add sms", "{{.Code}}{{.Code}} \t{{.Server}}ا"), define("ar/words.txt", "x"),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, content string) {
		s, err := tryFolder("ar/words.txt", content)
		if err != nil {
			return
		}
		mustServe(t, s)
	})
}

// FuzzLayout is the same for layouts, which are programs: they also have to end.
func FuzzLayout(f *testing.F) {
	for _, seed := range []string{
		"", "{{.Link}}", "{{.Code}}", "{{template \"x\"}}", "{{if .Link}}{{end}}", "{{wrap .Until}}", "{{range 1000000000}}x{{end}}",
		"{{define \"a\"}}{{template \"a\"}}{{end}}{{template \"a\"}}", "<script>", "{{- with .Refuse}}{{.}}{{end -}}", "\x00", "<!--{{.Link}}-->", "{{break}}",
	} {
		f.Add(seed, true)
		f.Add(seed, false)
	}
	f.Fuzz(func(t *testing.T, added string, inText bool) {
		name, place := htmlFile, "</h1>"
		if inText {
			name, place = textFile, "{{wrap .Do}}"
		}
		s, err := tryFolder(name, strings.Replace(ours(t, name), place, place+added, 1))
		if err != nil {
			return
		}
		mustServe(t, s)
	})
}
