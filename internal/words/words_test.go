// SPDX-License-Identifier: Apache-2.0

package words

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestWordsThatAreRefused: a fault is found when the file is loaded and not by
// a reader, and the error says where it is. A variable in a subject once
// stopped all mails of a rival, three times.
func TestWordsThatAreRefused(t *testing.T) {
	tests := []struct{ name, content, want string }{
		{"a key with a typo", "\n" + define("pasword subject", "x"), `de/words.txt:2: there is no text "pasword subject"; did you mean "password subject"?`},
		{"a key of nothing", define("x", "x"), `de/words.txt:1: there is no text "x"`},
		{"a value with a typo", "\n\n" + define("add title", "{{.Sever}}"), `de/words.txt:3: the text "add title" cannot name {{.Sever}}, only {{.Server}}`},
		{"a value of another text", define("add subject", "{{.Until}}"), "cannot name {{.Until}}"},
		{"a link in words", define("link do", "{{.Link}}"), "cannot name {{.Link}}"},
		{"no expiry", define("code until", "soon"), `must have one of {{.Life}} and {{.Until}}`},
		{"no server", define("password asked", "Somebody asked."), "must have {{.Server}}"},
		{"an empty text", define("page done what", " \n"), "is empty"},
		{"an empty subject", define("add subject", ""), "is empty"},
		{"two lines in a subject", define("add subject", "one\ntwo"), "more than one line"},
		{"CR in a subject", define("add subject", "one\rtwo"), "more than one line"},
		{"an encoded word in a subject", define("add subject", "=?utf-8?q?x?= {{.Server}}"), "encoded word"},
		{"a condition", define("add title", "{{if .Server}}x{{end}}"), "has {{if .Server}}"},
		{"a loop", define("add title", "{{range 9}}x{{end}}"), "has {{range 9}}"},
		{"a function", define("add title", `{{printf "%9999999d" 1}}`), `function "printf" not defined`},
		{"a method", define("add title", "{{.Server.Foo}}"), "can only name values"},
		{"another text in a text", define("add title", `{{template "add title"}}`), "can only name values"},
		{"everything", define("add title", "{{.}}"), "can only name values"},
		{"a variable", define("add title", "{{$x := .Server}}"), "can only name values"},
		{"text outside", "Hello" + define("add title", "x"), "outside of any"},
		{"a value outside", "{{.Server}}", "outside of any"},
		{"a broken action", `{{define "add title"}}{{.Server}`, "de/words.txt:1"},
		{"no end", "\n" + `{{define "add title"}}x`, "de/words.txt:2"},
		{"twice", define("add title", "x") + define("add title", "y"), "multiple definition"},
		{"a control character", define("add title", "x\x1b[0m"), "de/words.txt:1: the file has the character U+001B"},
		{"text turned around", "\n" + define("add title", "\u202eevil"), "de/words.txt:2: the file has the character U+202E"},
		{"an isolate without end", define("add title", "\u2067"), "U+2067"},
		{"no UTF-8", define("add title", "\xfc"), "not UTF-8"},
		{"a direction that is none", define("dir", "up"), `"dir" is "up", not ltr or rtl`},
		{"a review that is none", define("reviewed", "maybe"), "not yes or no"},
		{"no number of several", define("life hours other", "Stunden"), "must have {{.N}}"},
		{"a short message without a code", "\n" + define("add sms", "{{.Server}}"), `de/words.txt:2: the text "add sms" must have {{.Code}} and {{.Server}}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Load(Options{Server: testServer, Folder: folder("de/words.txt", tt.content)})
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "de/words.txt") {
				t.Errorf("error = %v, want one with %q", err, tt.want)
			}
		})
	}
}

// TestAllFaultsAreTold at once, in the order of the file, and not without end.
func TestAllFaultsAreTold(t *testing.T) {
	content := define("one", "") + define("two", "") + strings.Repeat("\n", 3) + define("add title", "{{.X}}")
	_, err := Load(Options{Server: testServer, Folder: folder("de/words.txt", content)})
	if err == nil {
		t.Fatal("it was accepted")
	}
	lines := strings.Split(err.Error(), "\n")
	if len(lines) != 3 || !strings.HasPrefix(lines[0], "de/words.txt:1") || !strings.HasPrefix(lines[1], "de/words.txt:2") || !strings.HasPrefix(lines[2], "de/words.txt:6") {
		t.Errorf("errors = %q", lines)
	}
	content = ""
	for c := range 50 {
		content += define("wrong "+strconv.Itoa(c), "")
	}
	_, err = Load(Options{Server: testServer, Folder: folder("de/words.txt", content)})
	if lines := strings.Split(err.Error(), "\n"); len(lines) != maxErrors+1 || lines[maxErrors] != "and 30 more" {
		t.Errorf("%d errors, the last %q", len(lines), lines[len(lines)-1])
	}
}

// TestWordsThatAreAccepted: line breaks do not count, and what is not ours to
// know stays as it is.
func TestWordsThatAreAccepted(t *testing.T) {
	s := loaded(t, folder("de/words.txt", strings.Join([]string{
		"{{- /* a comment */ -}}\n", define("add title", "\n  two\n\tlines {{.Server}}\n"),
		define("page done what", "nbsp\u00a0: zwnj\u200c rlm\u200f <b>&amp;"), define("password subject", "\n {{.Server}}: {{- /* x */ -}} los \n"),
	}, "")))
	w := s.brands[""]["de"].words
	if got := w.phrases["add title"].plain(&values{server: "S"}); got != "two lines S" {
		t.Errorf("title = %q", got)
	}
	if got := w.phrases["password subject"].plain(&values{server: "S"}); got != "S:los" {
		t.Errorf("subject = %q", got)
	}
	words := s.Words("de")
	text, err := words.Text("page done what", PageData{})
	if want := "nbsp\u00a0: zwnj\u200c rlm\u200f <b>&amp;"; text != want || err != nil {
		t.Errorf("Text = %q, %v, want %q", text, err, want)
	}
	markup, err := words.HTML("page done what", PageData{})
	if want := "nbsp\u00a0: zwnj\u200c rlm\u200f &lt;b&gt;&amp;amp;"; string(markup) != want || err != nil {
		t.Errorf("HTML = %q, %v, want %q", markup, err, want)
	}
}

// TestLanguagesAreComplete: each of those that the product promises is there,
// has all texts itself, and says them otherwise than English does.
func TestLanguagesAreComplete(t *testing.T) {
	promised := []string{"en", "ar", "de", "es", "fa", "fr", "he", "it", "ja", "ko", "nl", "pl", "pt", "ru", "tr", "uk", "zh-Hans"}
	s := newSet(t)
	var tags []string
	for _, l := range s.Languages() {
		tags = append(tags, l.Tag)
		if l.Name == "" || l.Reviewed != (l.Tag == "en") {
			t.Errorf("%+v", l)
		}
	}
	if !slices.Equal(tags, promised) {
		t.Errorf("languages = %q, want %q", tags, promised)
	}
	english := s.brands[""]["en"].words
	for _, tag := range promised[1:] {
		w := s.brands[""][tag].words
		for key, p := range english.phrases {
			if wordRules[key].optional || key == "dir" || key == "reviewed" {
				continue
			}
			v := &values{server: "S", life: "L", until: "U", address: "A", n: "N"}
			if got := w.phrases[key].plain(v); got == p.plain(v) {
				t.Errorf("%s says %q in English: %q", tag, key, got)
			}
			if w.phrases[key].names() != p.names() {
				t.Errorf("%s: %q names other values than in English", tag, key)
			}
		}
	}
}

// TestKeysOfPages are those that the documentation of the package lists.
func TestKeysOfPages(t *testing.T) {
	raw, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	doc := strings.Join(strings.Fields(strings.ReplaceAll(string(raw), "//", " ")), " ")
	for _, key := range PageKeys() {
		if !strings.Contains(doc, strings.TrimPrefix(key, "page ")) {
			t.Errorf("doc.go does not list %q", key)
		}
		// What came later is optional: an operator's language has it or not.
		if r, ok := wordRules[key]; !ok || r.optional && !strings.HasPrefix(key, "page request ") && !strings.HasPrefix(key, "page busy ") && !isLater(key) {
			t.Errorf("%q is not needed in every language", key)
		}
	}
	if _, err := newSet(t).Words("de").Text("page of nothing", PageData{}); err == nil {
		t.Error("there are words for a page that is not there")
	}
	if _, err := newSet(t).Words("de").HTML("password subject", PageData{}); err == nil {
		t.Error("a page may have the words of a mail")
	}
	if _, err := (Words{}).Text("page done title", PageData{}); err == nil {
		t.Error("there are words of no language")
	}
}

// TestWordsOfPages are in the language that was asked for, or the nearest.
func TestWordsOfPages(t *testing.T) {
	s := newSet(t)
	for lang, want := range map[string]Words{"de": {Lang: "de", Dir: "ltr"}, "he": {Lang: "he", Dir: "rtl"}, "": {Lang: "en", Dir: "ltr"}, "pt-BR": {Lang: "pt", Dir: "ltr"}} {
		if got := s.Words(lang); got.Lang != want.Lang || got.Dir != want.Dir {
			t.Errorf("Words(%q) is %s %s", lang, got.Lang, got.Dir)
		}
	}
	tests := []struct{ lang, key, text, markup string }{
		{"en", "page address", "Address: a&b@x.example", "Address: <bdi>a&amp;b@x.example</bdi>"},
		{"he", "page address", "כתובת: \u2068a&b@x.example\u2069", "כתובת: <bdi>a&amp;b@x.example</bdi>"},
		{"en", "page code hint", "You find it in the newest message from " + testServer + ".", "You find it in the newest message from " + testServer + "."},
		{"he", "page code hint", "הוא נמצא בהודעה האחרונה מאת \u2066" + testServer + "\u2069.", `הוא נמצא בהודעה האחרונה מאת <bdi dir="ltr">` + testServer + "</bdi>."},
	}
	for _, tt := range tests {
		text, err := s.Words(tt.lang).Text(tt.key, PageData{Address: "a&b@x.example"})
		if text != tt.text || err != nil {
			t.Errorf("%s %s = %q, %v, want %q", tt.lang, tt.key, text, err, tt.text)
		}
		markup, err := s.Words(tt.lang).HTML(tt.key, PageData{Address: "a&b@x.example"})
		if string(markup) != tt.markup || err != nil {
			t.Errorf("%s %s = %q, %v, want %q", tt.lang, tt.key, markup, err, tt.markup)
		}
	}
}
