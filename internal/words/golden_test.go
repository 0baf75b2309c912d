// SPDX-License-Identifier: Apache-2.0

package words

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// goldenLanguages are those whose mails are compared to the letter: two
// ordinary ones, one that is written from right to left, and one without
// spaces.
var goldenLanguages = []string{"en", "de", "ar", "ja"}

// TestGolden compares all mails, to the letter, with those in testdata.
func TestGolden(t *testing.T) {
	s := newSet(t)
	for _, lang := range goldenLanguages {
		for _, k := range kinds() {
			r := mailOf(t, s, k, lang)
			name := filepath.Join("testdata", lang, string(k.purpose)+"_"+k.proofWord())
			golden(t, name+".txt", "Subject: "+r.Subject+"\n\n"+r.Text)
			golden(t, name+".html", r.HTML)
		}
	}
}

// TestPagesGolden compares the words of all pages with those in testdata.
func TestPagesGolden(t *testing.T) {
	s := newSet(t)
	for _, lang := range goldenLanguages {
		var b strings.Builder
		for _, key := range PageKeys() {
			address := "reader@mail.example"
			if key == "page sms address" {
				address = "+49 170 1234567"
			}
			words := s.Words(lang)
			text, err := words.Text(key, PageData{Address: address, Life: words.Wait(5*time.Minute + time.Second)})
			if err != nil {
				t.Error(err)
			}
			fmt.Fprintf(&b, "%s\n    %s\n", key, text)
		}
		golden(t, filepath.Join("testdata", lang, "pages.txt"), b.String())
	}
}

// TestListOfLanguages: LANGUAGES.md says of each language what its file says.
func TestListOfLanguages(t *testing.T) {
	var b strings.Builder
	b.WriteString(`# Languages

The words of messages and pages, and whether a native speaker has read all of them. Whoever speaks one of those that are not reviewed is
welcome to read its ` + "`words.txt`" + `, mend it, and set ` + "`reviewed`" + ` to ` + "`yes`" + `.

| Tag | Language | Direction | Reviewed by a native speaker |
|---|---|---|---|
`)
	for _, l := range newSet(t).Languages() {
		direction, reviewed := "left to right", "**needs review**"
		if l.RTL {
			direction = "right to left"
		}
		if l.Reviewed {
			reviewed = "yes"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", l.Tag, l.Name, direction, reviewed)
	}
	b.WriteString(`
To add a language, copy ` + "`de/words.txt`" + ` to a folder of its tag (BCP 47), translate every text, and set ` + "`reviewed`" + ` to ` + "`yes`" + ` if you speak it natively, else ` + "`no`" + `.
Add the tag to ` + "`go:embed` in `files.go`" + `, whose tests tell what is missing or does not fit; the keys are explained in ` + "`doc.go`" + `.
Then have this page written, in this folder: ` + "`go test -tags nobadger,nomysql,nopgx -run TestListOfLanguages -update .`" + `
`)
	golden(t, "LANGUAGES.md", b.String())
}

func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s is not what it was; go test -update writes it anew. Got:\n%s", path, got)
	}
}
