// SPDX-License-Identifier: Apache-2.0

package words

import (
	"fmt"
	"strings"
	"testing"
)

// TestLayoutsThatAreRefused: a layout that would fail, or leave its reader
// without a way on, is found when it is loaded. The error names the file, and
// says what to put where.
func TestLayoutsThatAreRefused(t *testing.T) {
	tests := []struct{ name, path, from, to, want string }{
		{"no link in the text", textFile, "{{.Link}}", "", "{{.Link}}, is missing in the text"},
		{"no code in the text", textFile, "{{.Code}}", "", "{{.Code}}, is missing in the text"},
		{"no refusal in the text", textFile, "{{.Refuse}}", "", "{{.Refuse}}, is missing in the text"},
		{"link with a full stop", textFile, "{{.Link}}", "{{.Link}}.", "not on a line of its own"},
		{"link that is wrapped in signs", textFile, "{{.Link}}", "\"{{.Link}}\"", "not on a line of its own"},
		{"no reason in the text", textFile, "{{wrap .Asked}}", "", "{{.Asked}}, is missing in the text"},
		{"no effect in the text", textFile, "{{wrap .Effect}}", "", "{{.Effect}}, is missing in the text"},
		{"no expiry in the text", textFile, "{{wrap .Until}}", "", "{{.Until}}, is missing in the text"},
		{"nothing to do in the text", textFile, "{{wrap .Do}}", "", "{{.Do}}, is missing in the text"},
		{"no way out in the text", textFile, "{{wrap .Ignore}}", "", "{{.Ignore}}, is missing in the text"},
		{"no link in the HTML", htmlFile, `href="{{.Link}}"`, "", `<a href="{{.Link}}">, is missing`},
		{"link that is shown only", htmlFile, `href="{{.Link}}"`, `href="https://example.org"`, "is missing in the HTML"},
		{"link with something added", htmlFile, `href="{{.Link}}"`, `href="{{.Link}}&utm_source=mail"`, "is missing in the HTML"},
		{"no code in the HTML", htmlFile, "{{.Code}}", "", "{{.Code}}, is missing in the HTML"},
		{"no refusal in the HTML", htmlFile, `href="{{.Refuse}}"`, "", `<a href="{{.Refuse}}">, is missing`},
		{"no reason in the HTML", htmlFile, "{{.Asked}}", "", "{{.Asked}}, is missing in the HTML"},
		{"no expiry in the HTML", htmlFile, "{{.Until}}", "", "{{.Until}}, is missing in the HTML"},
		{"no language", htmlFile, `<html lang="{{.Lang}}" dir="{{.Dir}}">`, "<html>", `<html lang="{{.Lang}}" dir="{{.Dir}}"> is missing`},
		{"a language for all", htmlFile, `<html lang="{{.Lang}}"`, `<html lang="en"`, `<html lang="{{.Lang}}"`},
		{"a field that does not exist", textFile, "{{.Link}}", "{{.Lnik}}", "layout/mail.txt:15"},
		{"a field of no mail", htmlFile, "{{.Title}}", "{{.Address}}", "Address"},
		{"broken syntax in the text", textFile, "{{if .Link}}", "{{if .Link", "layout/mail.txt:"},
		{"broken syntax in the HTML", htmlFile, "{{- else if .Code}}", "{{- otherwise if .Code}}", "layout/mail.html:"},
		{"HTML that is not closed", htmlFile, "{{if .RTL}}right{{else}}left{{end}}", `{{if .RTL}}right"{{else}}left{{end}}`, "layout/mail.html:"},
		{"a part that is not there", textFile, "{{.Link}}", `{{.Link}}{{template "footer"}}`, "footer"},
		{"words in a script", htmlFile, "<h1", "<script>{{.Title}}</script><h1", "<script>"},
		{"a loop", textFile, "{{.Link}}", "{{range 1000000000000}}x{{end}}{{.Link}}", "layout/mail.txt:15: a layout cannot have {{range"},
		{"a loop over the title", htmlFile, "<h1", "{{range .Title}}x{{end}}<h1", "cannot have {{range"},
		{"a function that composes", textFile, "{{.Link}}", `{{printf "%1000000000s" .Link}}`, `function "printf" not defined`},
		{"a function that hides", htmlFile, "{{.Title}}", "{{html .Title}}", `function "html" not defined`},
		{"a comparison", textFile, "{{.Link}}", `{{if eq .Code "918273"}}{{else}}{{.Link}}{{end}}`, `function "eq" not defined`},
		{"a variable", textFile, "{{.Link}}", "{{$x := .Link}}{{$x}}", "cannot have variables"},
		{"a text of the layout", textFile, "{{.Link}}", `{{wrap "x"}}{{.Link}}`, "can only name values"},
		{"recursion", textFile, "{{if .Refuse}}", `{{block "a" .}}{{template "a"}}{{end}}{{if .Refuse}}`, `{{template "a"}}: a layout must not call itself`},
		{"recursion through another", textFile, "{{if .Refuse}}", `{{block "a" .}}{{block "b" .}}{{template "a"}}{{end}}{{end}}{{if .Refuse}}`, "must not call itself"},
		{"a control character", htmlFile, "<h1", "\x00<h1", "U+0000"},
	}
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			raw, dir := ours(t, tt.path), []string{"", "brands/acme/"}[i%2]
			if !strings.Contains(raw, tt.from) {
				t.Fatalf("%s does not have %q", tt.path, tt.from)
			}
			fsys := folder(dir+tt.path, strings.ReplaceAll(raw, tt.from, tt.to), "brands/acme/README", "")
			_, err := Load(Options{Server: testServer, Folder: fsys, Brands: []string{"acme"}})
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), dir+tt.path) {
				t.Errorf("error = %v, want one of %s with %q", err, dir+tt.path, tt.want)
			}
		})
	}
}

// TestErrorsOfRenderingNameTheLanguage: a reader of the log knows whom it hits.
func TestErrorsOfRenderingNameTheLanguage(t *testing.T) {
	long := define("add subject", strings.Repeat("Й", 120))
	_, err := Load(Options{Server: testServer, Folder: folder("ru/words.txt", long)})
	if want := "mail for add with a link in ru: ru/words.txt:1: the subject has 240 bytes"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error = %v, want one with %q", err, want)
	}
	noLink := strings.ReplaceAll(ours(t, textFile), "{{.Link}}", "")
	_, err = Load(Options{Server: testServer, Folder: folder("brands/acme/layout/mail.txt", noLink), Brands: []string{"acme"}})
	if want := "brand acme: mail for register with a link in en: brands/acme/layout/mail.txt: "; err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("error = %v, want one with %q", err, want)
	}
}

// TestLayoutsThatNeverEnd are refused before they run: parts that call two
// others each do 2^50 steps with 50 of them.
func TestLayoutsThatNeverEnd(t *testing.T) {
	var b strings.Builder
	for i := range 50 {
		fmt.Fprintf(&b, `{{define "p%d"}}x{{template "p%d"}}{{template "p%d"}}{{end}}`, i, i+1, i+1)
	}
	b.WriteString(`{{define "p50"}}x{{end}}{{template "p0"}}`)
	_, err := Load(Options{Server: testServer, Folder: folder(textFile, ours(t, textFile)+b.String())})
	if err == nil || !strings.Contains(err.Error(), "runs more than 1000 parts") {
		t.Errorf("error = %v", err)
	}
}

// TestLayoutsThatAreAccepted may do all that an operator needs.
func TestLayoutsThatAreAccepted(t *testing.T) {
	markup := strings.NewReplacer(
		"<h1", `{{template "head" .}}<h1`,
		"</body>", `{{define "head"}}{{if and .Link (not .RTL)}}<p>{{.Server}}</p>{{else if or .Code .Logo}}<hr>{{end}}{{end}}`+
			`<img alt="" src="data:image/png;base64,iVBORw0KGgo="><p><a href="https://example.org/help">?</a> <a href="mailto:help@example.org">!</a></p></body>`,
	).Replace(ours(t, htmlFile))
	s := loaded(t, folder(htmlFile, markup, textFile, "{{.Server}}: {{$.Subject}}\n{{with .Title}}{{.}}{{end}}\n\n"+ours(t, textFile)))
	r := mailOf(t, s, linkMail, "en")
	if !strings.Contains(r.HTML, "<p>"+testServer+"</p>") || !strings.Contains(r.HTML, `href="https://example.org/help"`) {
		t.Errorf("HTML:\n%s", r.HTML)
	}
	if want := testServer + ": " + r.Subject + "\nReset your password?\n"; !strings.HasPrefix(r.Text, want) {
		t.Errorf("text:\n%s\nwant it to begin with:\n%s", r.Text, want)
	}
}
