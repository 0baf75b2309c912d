// SPDX-License-Identifier: Apache-2.0

package words

import (
	"io/fs"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// brandFolder is the folder of an operator with two brands: one has a layout,
// a look and words of its own, the other nothing at all.
func brandFolder(t testing.TB) fs.FS {
	t.Helper()
	return folder(
		"de/words.txt", define("password subject", "Neues Passwort auf {{.Server}}")+define("link button", "Weiter"),
		"README.md", "Our templates.",
		"brands/acme/de/words.txt", define("link button", "Los geht’s"),
		"brands/acme/layout/look.txt", define("logo", "Acme & Söhne")+define("light accent", "#7a1fa2"),
		"brands/acme/layout/mail.txt", "ACME\n\n"+ours(t, textFile),
		"brands/other/README.md", "Nothing yet.",
	)
}

// TestFallback: brand, then folder, then what we bring; file by file, and in a
// file of words text by text.
func TestFallback(t *testing.T) {
	s := loaded(t, brandFolder(t), "acme", "other")
	render := func(brand, lang string) Rendered {
		m, links := sample(linkMail, lang)
		r, err := s.MailFor(brand, m, links)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	own, other, acme := render("", "de"), render("other", "de"), render("acme", "de")
	if own != other {
		t.Error("a brand with no files is not as the rest")
	}
	for _, r := range []Rendered{own, acme} {
		if want := "Neues Passwort auf " + testServer; r.Subject != want {
			t.Errorf("subject = %q, want the operator's %q", r.Subject, want)
		}
		if !strings.Contains(r.Text, "Sie oder jemand anderes") {
			t.Errorf("a text that the operator has not is missing:\n%s", r.Text)
		}
	}
	if !strings.Contains(own.HTML, ">Weiter<") || !strings.Contains(acme.HTML, ">Los geht’s<") {
		t.Error("the words of the button are not those of the place nearest to the brand")
	}
	if !strings.HasPrefix(acme.Text, "ACME\n") || strings.HasPrefix(own.Text, "ACME\n") {
		t.Error("the layout is not that of the brand")
	}
	if !strings.Contains(acme.Text, "Acme & Söhne") || !strings.Contains(acme.HTML, "<bdi>Acme &amp; Söhne</bdi>") || strings.Contains(own.HTML, "Acme") {
		t.Error("the logo is not that of the brand")
	}
	if !strings.Contains(acme.HTML, "#7a1fa2") || !strings.Contains(acme.HTML, "#ffffff") || strings.Contains(own.HTML, "#7a1fa2") {
		t.Error("the colours are not those of the brand, or the rest is missing")
	}
	if render("acme", "fr").Subject != mailOf(t, newSet(t), linkMail, "fr").Subject {
		t.Error("a language that nobody has changed has changed")
	}
	if s.Look("acme").Light.Accent != "#7a1fa2" || s.Look("nobody") != s.Look("") || !slices.Equal(s.Brands(), []string{"", "acme", "other"}) {
		t.Errorf("looks and brands = %v, %v", s.Look("acme"), s.Brands())
	}
	if got, err := s.WordsFor("nobody", "de").Text("page done title", PageData{}); got != "Bestätigt" || err != nil {
		t.Errorf("words for a brand that is not there = %q, %v", got, err)
	}
}

// TestRegionalWords: a file for a region says only what is different there.
func TestRegionalWords(t *testing.T) {
	s := loaded(t, folder(
		"pt-PT/words.txt", define("name", "Português (Portugal)")+define("password subject", "Reponha a palavra-passe em {{.Server}}"),
		"en-GB/words.txt", define("name", "British English"),
	))
	if got := s.Match("pt-PT"); got != "pt-PT" {
		t.Errorf("Match(pt-PT) = %q", got)
	}
	if got := s.Match("pt-BR"); got != "pt" {
		t.Errorf("Match(pt-BR) = %q", got)
	}
	r := mailOf(t, s, linkMail, "pt-PT")
	if !strings.HasPrefix(r.Subject, "Reponha") || !strings.Contains(r.Text, "redefinir a senha") || !strings.Contains(r.HTML, `lang="pt-PT"`) {
		t.Errorf("subject = %q, text:\n%s", r.Subject, r.Text)
	}
	if got, want := len(s.Languages()), len(newSet(t).Languages())+2; got != want {
		t.Errorf("%d languages, want %d", got, want)
	}
}

// TestANewLanguage has all texts, with its own plural forms.
func TestANewLanguage(t *testing.T) {
	english := strings.NewReplacer("English", "Svenska", "yes{{end}}", "no{{end}}").Replace(ours(t, "en/words.txt"))
	s := loaded(t, folder("sv/words.txt", english))
	if got := s.Match("sv-SE, en;q=0.5"); got != "sv" {
		t.Errorf("Match = %q", got)
	}
	if i := slices.IndexFunc(s.Languages(), func(l Language) bool { return l == Language{Tag: "sv", Name: "Svenska"} }); i < 0 {
		t.Errorf("languages = %v", s.Languages())
	}
	for name, tt := range map[string]struct{ lang, remove, want string }{
		"a text":         {"sv", define("page done title", "Confirmed"), `"page done title" is missing`},
		"a plural form":  {"cs", "nothing", `"life minutes few" is missing`},
		"a zero of many": {"lv", "nothing", `"life hours zero" is missing`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Load(Options{Server: testServer, Folder: folder(tt.lang+"/words.txt", strings.Replace(english, tt.remove, "", 1))})
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), tt.lang+"/words.txt") {
				t.Errorf("error = %v, want one with %q", err, tt.want)
			}
		})
	}
}

// TestFilesOfOtherEditors: a byte order mark and CRLF change nothing.
func TestFilesOfOtherEditors(t *testing.T) {
	var pairs []string
	for _, name := range []string{"en/words.txt", textFile, htmlFile, lookFile} {
		pairs = append(pairs, name, "\ufeff"+strings.ReplaceAll(ours(t, name), "\n", "\r\n"))
	}
	s := loaded(t, folder(pairs...))
	for _, k := range kinds() {
		if got := mailOf(t, s, k, "en"); got != mailOf(t, newSet(t), k, "en") {
			t.Errorf("the %s mail is another:\n%q", k.purpose, got.Text)
		}
	}
}

// TestFoldersThatAreRefused: a name that is nearly right is not a change
// without effect.
func TestFoldersThatAreRefused(t *testing.T) {
	tests := []struct {
		name   string
		files  fs.FS
		brands []string
		want   string
	}{
		{"language that is none", folder("german/words.txt", ""), nil, `german/words.txt: "german" is not the name of a language`},
		{"language written otherwise", folder("zh-cn/words.txt", ""), nil, "that is zh-CN"},
		{"language in capitals", folder("DE/words.txt", ""), nil, "that is de"},
		{"layout that is not read", folder("layout/mail.htm", ""), nil, "layout/mail.htm: no such file is read"},
		{"layout of a brand", folder("brands/acme/layout/looks.txt", ""), []string{"acme"}, "brands/acme/layout/looks.txt"},
		{"brand without a folder", folder("de/words.txt", ""), []string{"acme"}, "no folder brands/acme"},
		{"brand that is a file", folder("brands/acme", ""), []string{"acme"}, "no folder brands/acme"},
		{"brand outside of the folder", folder("de/words.txt", ""), []string{"../../etc"}, "the name may have"},
		{"brand with a slash", folder("brands/a/b/README", ""), []string{"a/b"}, "the name may have"},
		{"brand without a folder of templates", nil, []string{"acme"}, "need a folder"},
		{"language of a brand alone", folder("brands/acme/sv/words.txt", ""), []string{"acme"}, "only a brand has words in sv"},
		{"folder in place of a file", folder("layout/mail.txt/x", ""), nil, "layout/mail.txt"},
		{"language in the layout", folder("de/words.txt", ours(t, textFile)), nil, "de/words.txt"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Load(Options{Server: testServer, Folder: tt.files, Brands: tt.brands})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error = %v, want one with %q", err, tt.want)
			}
		})
	}
}

// TestServerNames: nothing but a host gets into subjects.
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
		{"too long for the subject", strings.Repeat("h", 190), false},
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

// TestEach has a name for each mail, which is a path.
func TestEach(t *testing.T) {
	s := loaded(t, brandFolder(t), "acme")
	seen := map[string]Rendered{}
	if err := s.Each(func(name string, r Rendered) error {
		seen[name] = r
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"de/password_link", "zh-Hans/add_code", "fa/register_notice", "brands/acme/de/register_link"} {
		if r := seen[name]; r.Subject == "" || r.Text == "" || r.HTML == "" {
			t.Errorf("%s is missing", name)
		}
	}
	if want := 2 * (9 + len(verification.Notices)) * len(s.Languages()); len(seen) != want {
		t.Errorf("%d mails, want %d", len(seen), want)
	}
	calls := 0
	if err := s.Each(func(string, Rendered) error { calls++; return fs.ErrClosed }); err == nil || calls != 1 {
		t.Errorf("Each = %v after %d calls, want the error of the first", err, calls)
	}
	if k := (kind{threepid.Add, verification.ProofCode}); !fs.ValidPath("de/" + string(k.purpose) + "_" + k.proofWord()) {
		t.Error("names are no paths")
	}
}
