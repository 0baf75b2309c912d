// SPDX-License-Identifier: Apache-2.0

package words

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// TestSubjectFits a header, for the composer of mails and for a list of mails.
func TestSubjectFits(t *testing.T) {
	tests := []struct{ name, subject, want string }{
		{"ordinary", "Reset your password on x.example", ""},
		{"the longest", strings.Repeat("x", maxSubject), ""},
		{"the most bytes", strings.Repeat("é", maxSubjectBytes/2), ""},
		{"empty", "", "missing"},
		{"too long", strings.Repeat("x", maxSubject+1), "151 characters"},
		{"too many bytes", strings.Repeat("é", maxSubjectBytes/2+1), "202 bytes"},
		{"CR", "a\rBcc: b", "one line"},
		{"LF", "a\nBcc: b", "one line"},
		{"tab", "a\tb", "one line"},
		{"NUL", "a\x00b", "one line"},
		{"line separator", "a\u2028b", "one line"},
		{"text turned around", "a\u202eb", "one line"},
		{"isolate", "a\u2066b", "one line"},
		{"no UTF-8", "a\xff", "one line"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := subjectFits(tt.subject)
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error = %v, want %q", err, tt.want)
			}
		})
	}
}

// TestMailsOfLongServerNames parse as well, or the name is refused at load.
func TestMailsOfLongServerNames(t *testing.T) {
	longest := 0
	for _, length := range []int{60, 90, 110, 130, 150, 253} {
		name := strings.Repeat("h", length)
		s, err := New(name)
		if err != nil {
			if !strings.Contains(err.Error(), "the subject has") {
				t.Errorf("%d characters: %v", length, err)
			}
			continue
		}
		longest = length
		if err := s.Each(func(_ string, r Rendered) error {
			checkComposed(t, r)
			return nil
		}); err != nil {
			t.Error(err)
		}
	}
	if longest < 90 || longest == 253 {
		t.Errorf("the longest name that is accepted has %d characters", longest)
	}
}

// TestIsLink: what a mail program takes for one link, from its first letter to
// its last, and what HTML does not write otherwise.
func TestIsLink(t *testing.T) {
	tests := map[string]bool{
		sampleLink: true, probeLink: true, probeRefuse: true,
		"https://x.example": true, "http://localhost:8080/a": true, "https://[::1]:8448/a?b": true, "https://x.example/%2F": true,
		"": false, "x.example/a": false, "//x.example/a": false, "ftp://x.example/a": false, "HTTPS://x.example": false,
		"https://": false, "https:///a": false, "https://user@x.example/": false, "https://x.example/a b": false,
		"https://x.example/a'b": false, "https://x.example/(a)": false, `https://x.example/"`: false, "https://x.example/<a>": false,
		"https://x.example/%": false, "https://x.example/%zz": false, "https://x.example/ä": false, "https://x.example/\u202e": false,
		"https://x.example/a.": false, "https://x.example/a,": false, "https://x.example/a?": false, "https://x.example/\n": false,
		"https://x.example/{{.}}": false, "https://x.example/\\": false, "javascript:alert(1)//https://x.example/": false,
		"https://x.example/" + strings.Repeat("a", 1000): false,
	}
	for link, want := range tests {
		if got := isLink(link); got != want {
			t.Errorf("isLink(%q) = %v, want %v", link, got, want)
		}
	}
}

// TestPhrase: the same words in a header, in text and in HTML.
func TestPhrase(t *testing.T) {
	v := &values{server: "s.example", life: "1 <h>", until: "2026", n: "5", address: "a&b@x.example", code: "<1>"}
	tests := []struct{ text, plain, isolated, markup string }{
		{"a <b> & c", "a <b> & c", "a <b> & c", "a &lt;b&gt; &amp; c"},
		{"{{.Server}}", "s.example", "\u2066s.example\u2069", `<bdi dir="ltr">s.example</bdi>`},
		{"x {{.Server}}, y", "x s.example, y", "x \u2066s.example\u2069, y", `x <bdi dir="ltr">s.example</bdi>, y`},
		{"{{.Address}}", "a&b@x.example", "\u2068a&b@x.example\u2069", "<bdi>a&amp;b@x.example</bdi>"},
		{"{{.Life}} {{.N}}", "1 <h> 5", "1 <h> 5", "1 &lt;h&gt; 5"},
		{"{{.Until}}", "2026", "\u20662026\u2069", `<bdi dir="ltr" style="white-space:nowrap">2026</bdi>`},
		{"{{.Code}}.", "<1>.", "<1>.", "&lt;1&gt;."},
	}
	rules := map[string]rule{"x": {may: 1<<8 - 1}}
	for _, tt := range tests {
		file, err := parseTexts("x.txt", []byte(define("x", tt.text)), rules)
		if err != nil {
			t.Fatal(err)
		}
		p := file.phrases["x"]
		if got := p.plain(v); got != tt.plain {
			t.Errorf("plain = %q, want %q", got, tt.plain)
		}
		if got := p.isolated(v); got != tt.isolated {
			t.Errorf("isolated = %q, want %q", got, tt.isolated)
		}
		if got := string(p.markup(v, true)); got != tt.markup {
			t.Errorf("markup = %q, want %q", got, tt.markup)
		}
	}
}

// broken is a folder with one file that cannot be read.
type broken struct {
	fs.FS

	name string
}

var errBroken = errors.New("the disk is on fire")

func (b broken) Open(name string) (fs.File, error) {
	if name == b.name {
		return nil, &fs.PathError{Op: "open", Path: name, Err: errBroken}
	}
	return b.FS.Open(name)
}

// TestFilesThatCannotBeRead are not taken for files that are not there: then
// mails would go out in another look than the operator's.
func TestFilesThatCannotBeRead(t *testing.T) {
	for _, name := range []string{"de/words.txt", textFile, htmlFile, lookFile, "brands/acme/fr/words.txt", "brands/acme/layout/mail.txt"} {
		fsys := broken{folder("de/words.txt", "", "brands/acme/README", ""), name}
		_, err := Load(Options{Server: testServer, Folder: fsys, Brands: []string{"acme"}})
		if !errors.Is(err, errBroken) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: error = %v", name, err)
		}
	}
	// A folder with the name of a file cannot be read either.
	fsys := fstest.MapFS{"de/words.txt/x": &fstest.MapFile{}}
	if _, err := Load(Options{Server: testServer, Folder: fsys}); err == nil {
		t.Error("a folder was read as a file of words")
	}
}

// TestLayoutsGetNothingElse: the values that layouts can name are these, and
// none of them is a client's.
func TestLayoutsGetNothingElse(t *testing.T) {
	w := newSet(t).brands[""]["en"]
	m, links := sample(kind{threepid.Add, verification.ProofCode}, "en")
	f := compose(w, m, links, &values{server: testServer, life: "LIFE", until: "UNTIL"}, func(p phrase) string { return p.plain(&values{server: testServer}) })
	all := fmt.Sprintf("%+v", f)
	for _, name := range []string{"Lang", "Dir", "RTL", "Server", "Logo", "Subject", "Link", "Code", "Refuse", "Page", "PageDo", "Title", "Asked", "Effect", "Do", "Button", "Copy", "Keep", "Until", "Ignore", "RefuseDo", "RefuseButton", "Look"} {
		if !strings.Contains(all, name+":") {
			t.Errorf("layouts have no %s", name)
		}
	}
	for _, secret := range []string{m.Address, string(m.SID), m.ID} {
		if strings.Contains(strings.NewReplacer(links.Refuse, "", links.Page, "").Replace(all), secret) {
			t.Errorf("layouts can name %q", secret)
		}
	}
}

// TestShortPlace keeps file and line of a place.
func TestShortPlace(t *testing.T) {
	for place, want := range map[string]string{"de/words.txt:3:14": "de/words.txt:3", "x": "x", "": ""} {
		if got := shortPlace(place); got != want {
			t.Errorf("shortPlace(%q) = %q, want %q", place, got, want)
		}
	}
}

// TestDistance is a metric, and what it counts are letters that were typed
// wrong, left out, or too many.
func TestDistance(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want int
	}{
		{"", "", 0},
		{"abc", "abc", 0},
		{"abc", "abd", 1},
		{"abc", "ab", 1},
		{"ab", "abc", 1},
		{"abc", "", 3},
		{"pasword", "password", 1},
		{"tilte", "title", 2},
		{strings.Repeat("x", 100), "x", 100},
	} {
		if got := distance(tt.a, tt.b); got != tt.want {
			t.Errorf("distance(%q, %q) = %d, want %d", tt.a, tt.b, got, tt.want)
		}
	}
}
