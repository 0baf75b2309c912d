// SPDX-License-Identifier: Apache-2.0

package words

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/internal/sms/gsm7"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
)

// noticeIn renders a notice in a language.
func noticeIn(t *testing.T, s *Set, purpose, lang string) Rendered {
	t.Helper()
	m := noticeOf(purpose, threepid.Email)
	m.Language = lang
	r, err := s.Mail(m, Links{Refuse: "https://matrix.example.org/_threepid/refuse?sid=sample&refusal=sample"})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestNoticesGolden compares the notices, to the letter, with those in testdata.
func TestNoticesGolden(t *testing.T) {
	s := newSet(t)
	for _, lang := range goldenLanguages {
		for _, purpose := range purposes {
			r := noticeIn(t, s, purpose, lang)
			name := filepath.Join("testdata", lang, purpose+"_notice")
			golden(t, name+".txt", "Subject: "+r.Subject+"\n\n"+r.Text)
			golden(t, name+".html", r.HTML)
		}
	}
}

// TestF15_NoticeHasNothingToConfirm: a notice says what was asked and what
// became of it, can be refused, and has nothing that could be confirmed.
func TestF15_NoticeHasNothingToConfirm(t *testing.T) {
	s := newSet(t)
	for _, lang := range s.Languages() {
		said := map[string]string{}
		for _, purpose := range purposes {
			r := noticeIn(t, s, purpose, lang.Tag)
			if !strings.Contains(r.Text, "/_threepid/refuse?") || strings.Contains(r.Text, "submitToken") || strings.Contains(r.Text, "\n\n\n") {
				t.Errorf("%s, %s: %s", lang.Tag, purpose, r.Text)
			}
			if other, twice := said[r.Subject]; twice {
				t.Errorf("%s: the subjects of %s and %s are the same", lang.Tag, purpose, other)
			}
			said[r.Subject] = purpose
		}
	}
	m := noticeOf("add", threepid.Email)
	m.Token = "123456"
	if r, err := s.Mail(m, Links{Refuse: probeRefuse}); err == nil {
		t.Errorf("with a token: rendered %q", r.Text)
	}
	if r, err := s.Mail(noticeOf("add", threepid.Email), Links{Refuse: probeRefuse, Confirm: probeLink}); err == nil {
		t.Errorf("with a link: rendered %q", r.Text)
	}
}

// TestNoticeByPhoneCostsOne: a notice is one segment with a name of usual
// length, in every language, and refused if it had a code.
func TestNoticeByPhoneCostsOne(t *testing.T) {
	s := serving(t, Options{Server: usualServer})
	for _, lang := range s.Languages() {
		for _, purpose := range purposes {
			m := noticeOf(purpose, threepid.MSISDN)
			m.Language = lang.Tag
			text, err := s.SMS("", m)
			if err != nil {
				t.Fatal(err)
			}
			if got := gsm7.Of(text); got.Segments != 1 || got.Unicode != ucs2[lang.Tag] {
				t.Errorf("%s, %s: got %+v for %q, want one segment, UCS-2 %v", lang.Tag, purpose, got, text, ucs2[lang.Tag])
			}
			if !strings.Contains(text, usualServer) || strings.Contains(text, "{{") {
				t.Errorf("%s, %s: %q does not name the server", lang.Tag, purpose, text)
			}
			m.Token = sampleCode
			if text, err := s.SMS("", m); err == nil {
				t.Errorf("%s, %s: with a code it says %q", lang.Tag, purpose, text)
			}
		}
	}
}

// TestNoticesThatAreRefused when templates are loaded, with the place.
func TestNoticesThatAreRefused(t *testing.T) {
	for name, tt := range map[string]struct{ path, text, want string }{
		"dear":                 {"de/words.txt", define("add notice sms", "{{.Server}} "+strings.Repeat("x", 160)), "costs 2 messages"},
		"subject of two lines": {"de/words.txt", define("add notice subject", "a\nb"), "more than one line"},
		"code":                 {"de/words.txt", define("add notice sms", "{{.Server}} {{.Code}}"), "Code"},
		"silent text":          {"layout/mail.txt", strings.ReplaceAll(ours(t, "layout/mail.txt"), "{{wrap .Effect}}", "{{if .Link}}{{wrap .Effect}}{{else if .Code}}{{wrap .Effect}}{{end}}"), "{{.Effect}}, is missing in the text"},
		"silent HTML":          {"layout/mail.html", strings.ReplaceAll(ours(t, "layout/mail.html"), "{{.Effect}}", "{{if .Link}}{{.Effect}}{{else if .Code}}{{.Effect}}{{end}}"), "{{.Effect}}, is missing in the HTML"},
	} {
		_, err := Load(Options{Server: testServer, Folder: folder(tt.path, tt.text)})
		if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), tt.path) {
			t.Errorf("%s: error = %v, want one of %s with %q", name, err, tt.path, tt.want)
		}
	}
}
