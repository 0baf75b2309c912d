// SPDX-License-Identifier: Apache-2.0

package words

import (
	"flag"
	"io/fs"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

var update = flag.Bool("update", false, "write the golden files anew")

const (
	testServer   = "matrix.example.org"
	sampleLink   = "https://matrix.example.org/_threepid/confirm?sid=0fAbCdEf&token=s3cr3t_token-1"
	sampleRefuse = "https://matrix.example.org/_threepid/refuse?sid=0fAbCdEf&token=s3cr3t_token-2"
	samplePage   = "https://matrix.example.org/_threepid/validate/email/submitToken?sid=0fAbCdEf&with=code"
	sampleCode   = "041592"
	sampleCheck  = "706152"
	sampleUntil  = "2026-11-23\u00a014:05\u00a0UTC"
)

var sampleExpiry = time.Date(2026, 11, 23, 15, 5, 59, 0, time.FixedZone("CET", 3600))

// sample is a message of a kind in a language, and the links that go with it.
func sample(k kind, lang string) (verification.Message, Links) {
	m := verification.Message{
		ID: "0fAbCdEf.1", SID: "0fAbCdEf", Purpose: k.purpose, Medium: threepid.Email, Language: lang,
		Address: "reader@mail.example", Proof: k.proof, Token: "s3cr3t_token-1",
		Created: sampleExpiry.Add(-time.Hour), Expires: sampleExpiry,
	}
	if k.proof == verification.ProofCode {
		m.Token = sampleCode
		return m, Links{Refuse: sampleRefuse, Page: samplePage}
	}
	return m, Links{Confirm: sampleLink, Check: sampleCheck, Refuse: sampleRefuse}
}

var linkMail = kind{threepid.Password, verification.ProofLink}

// builtIn is the templates as they come, which do not change.
var builtIn = sync.OnceValues(func() (*Set, error) { return New(testServer) })

func newSet(t testing.TB) *Set {
	t.Helper()
	s, err := builtIn()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func mailOf(t testing.TB, s *Set, k kind, lang string) Rendered {
	t.Helper()
	m, links := sample(k, lang)
	r, err := s.Mail(m, links)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// aMail is one mail of all.
type aMail struct {
	kind
	Rendered

	lang  Language
	links Links
	token string
}

// everyMail runs a test for each kind of mail in each language.
func everyMail(t *testing.T, test func(t *testing.T, m aMail)) {
	t.Helper()
	s := newSet(t)
	for _, lang := range s.Languages() {
		for _, k := range kinds() {
			t.Run(lang.Tag+"/"+string(k.purpose)+"_"+k.proofWord(), func(t *testing.T) {
				m, links := sample(k, lang.Tag)
				test(t, aMail{k, mailOf(t, s, k, lang.Tag), lang, links, string(m.Token)})
			})
		}
	}
}

// folder is an operator's folder, from pairs of a name and what is in it.
func folder(pairs ...string) fs.FS {
	fsys := fstest.MapFS{}
	for i := 0; i+1 < len(pairs); i += 2 {
		fsys[pairs[i]] = &fstest.MapFile{Data: []byte(pairs[i+1])}
	}
	return fsys
}

// ours is the text of a built-in file.
func ours(t testing.TB, name string) string {
	t.Helper()
	raw, err := builtin.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// loaded loads an operator's folder that has to be good.
func loaded(t testing.TB, fsys fs.FS, brands ...string) *Set {
	t.Helper()
	s, err := Load(Options{Server: testServer, Folder: fsys, Brands: brands})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func define(key, text string) string { return `{{define "` + key + `"}}` + text + "{{end}}\n" }
