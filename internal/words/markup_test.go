// SPDX-License-Identifier: Apache-2.0

package words

import (
	"strings"
	"testing"
)

// TestMarkupThatIsRefused: a mail does nothing, loads nothing and sends
// nothing, whoever has made its layout.
func TestMarkupThatIsRefused(t *testing.T) {
	tests := []struct{ name, markup, want string }{
		{"script", "<script>x</script>", "<script>"},
		{"script in SVG", "<svg onload=x></svg>", "<svg>"},
		{"handler", `<p onclick="x">`, "onclick"},
		{"handler in capitals", `<P OnMouseOver=x>`, "onmouseover"},
		{"frame", `<iframe srcdoc="x"></iframe>`, "<iframe>"},
		{"form", `<form action="https://evil.example">`, "<form>"},
		{"input", "<input type=password>", "<input>"},
		{"object", "<object data=x>", "<object>"},
		{"base", `<base href="https://evil.example/">`, "<base>"},
		{"style sheet", `<link rel=stylesheet href=https://x.example/a.css>`, "<link>"},
		{"refresh", `<meta http-equiv=refresh content="0;url=https://x.example">`, "http-equiv"},
		{"picture", `<img src="https://x.example/pixel.gif">`, "src"},
		{"picture without a scheme", `<img src="//x.example/pixel.gif">`, "src"},
		{"SVG as data in a frame", `<iframe src="data:image/svg+xml,x">`, "<iframe>"},
		{"picture in several sizes", `<img srcset="https://x.example/pixel.gif 1x">`, "srcset"},
		{"background", `<table background="https://x.example/a.gif">`, "background"},
		{"background in a style", `<p style="background:url(https://x.example/a.gif)">`, "url("},
		{"style that hides", `<p style="background:u\72l(https://x.example)">`, `\`},
		{"style that hides in a comment", `<p style="background:u/**/rl(x)">`, "/*"},
		{"import", "<style>@import 'https://x.example/a.css';</style>", "@import"},
		{"font", "<style>@font-face{src:local(x)}</style>", "@font-face"},
		{"expression", `<p style="width:expression(x)">`, "expression("},
		{"script for a link", `<a href="javascript:x">`, "a link that a mail cannot have"},
		{"script for a link, with a tab", "<a href=\"java\tscript:x\">", "a link that a mail cannot have"},
		{"script for a link, in entities", `<a href="&#106;avascript&colon;x">`, "a link that a mail cannot have"},
		{"data for a link", `<a href="data:text/html,x">`, "a link that a mail cannot have"},
		{"file for a link", `<a href="file:///etc/passwd">`, "a link that a mail cannot have"},
		{"link of something else", `<p href="https://x.example">`, "a link in <p>"},
		{"conditional comment", "<!--[if mso]><p><![endif]-->", "conditional comment"},
		{"element of the future", "<portal>", "<portal>"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := inspect(tt.markup); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error = %v, want one with %q", err, tt.want)
			}
			if strings.HasPrefix(tt.markup, "<!--") {
				return // html/template leaves comments out
			}
			// It is refused in a layout as well.
			layout := strings.Replace(ours(t, htmlFile), "</h1>", "</h1>"+tt.markup, 1)
			if _, err := Load(Options{Server: testServer, Folder: folder(htmlFile, layout)}); err == nil || !strings.Contains(err.Error(), htmlFile) {
				t.Errorf("in a layout: %v", err)
			}
		})
	}
}

// TestRelativeLinkIsRefused, because a mail is nowhere.
func TestRelativeLinkIsRefused(t *testing.T) {
	for _, link := range []string{"/help", "help.html", "#top", "//x.example"} {
		layout := strings.Replace(ours(t, htmlFile), "</h1>", `</h1><a href="`+link+`">x</a>`, 1)
		if _, err := Load(Options{Server: testServer, Folder: folder(htmlFile, layout)}); err == nil || !strings.Contains(err.Error(), "leads nowhere") {
			t.Errorf("%s: %v", link, err)
		}
	}
}

// TestInspect reads what a reader sees.
func TestInspect(t *testing.T) {
	page, err := inspect(`<html lang="he" dir="rtl"><style>p{color:red}</style><p title=x>a&amp;b <a href="https://x.example/?a=1&amp;b=2">c</a><!-- d -->`)
	if err != nil {
		t.Fatal(err)
	}
	if page.lang != "he" || page.dir != "rtl" || page.text != "a&b c" || len(page.links) != 1 || page.links[0] != "https://x.example/?a=1&b=2" {
		t.Errorf("%+v", page)
	}
}
