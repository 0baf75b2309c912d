// SPDX-License-Identifier: Apache-2.0

package templates

import (
	"flag"
	"html"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

var update = flag.Bool("update", false, "write the golden files anew")

const (
	sampleLink = "https://matrix.example.org/_threepid/confirm?sid=0fAbCdEf&token=s3cr3t_token-1"
	sampleCode = "041592"
)

var sampleExpiry = time.Date(2026, 11, 23, 15, 5, 59, 0, time.FixedZone("CET", 3600))

// sample is a message of a kind, and the link that goes with it.
func sample(purpose verification.Purpose, proof verification.Proof) (verification.Message, string) {
	m := verification.Message{
		ID: "0fAbCdEf.1", SID: "0fAbCdEf", Purpose: purpose, Medium: verification.Email,
		Address: "reader@mail.example", Proof: proof, Token: "s3cr3t_token-1",
		Created: sampleExpiry.Add(-time.Hour), Expires: sampleExpiry,
	}
	if proof == verification.ProofCode {
		m.Token = sampleCode
		return m, ""
	}
	return m, sampleLink
}

// eachKind runs a test for the six kinds of mail.
func eachKind(t *testing.T, test func(t *testing.T, name string, m verification.Message, link string)) {
	t.Helper()
	for _, purpose := range []verification.Purpose{verification.Register, verification.Password, verification.Add} {
		for proof, word := range map[verification.Proof]string{verification.ProofLink: "link", verification.ProofCode: "code"} {
			name := string(purpose) + "_" + word
			t.Run(name, func(t *testing.T) {
				m, link := sample(purpose, proof)
				test(t, name, m, link)
			})
		}
	}
}

func newSet(t *testing.T, server string) *Set {
	t.Helper()
	s, err := New(server)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func render(t *testing.T, s *Set, m verification.Message, link string) Rendered {
	t.Helper()
	r, err := s.Render(m, link)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestGolden compares all mails, to the letter, with those in testdata.
func TestGolden(t *testing.T) {
	s := newSet(t, "matrix.example.org")
	eachKind(t, func(t *testing.T, name string, m verification.Message, link string) {
		r := render(t, s, m, link)
		golden(t, name+".txt", "Subject: "+r.Subject+"\n\n"+r.Text)
		golden(t, name+".html", r.HTML)
	})
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s is not what it was; go test -update writes it anew. Got:\n%s", name, got)
	}
}

// TestMailSaysWhatItIsFor: the text stands alone, and text and HTML say the
// same: for which server, what for, what happens, until when, and what to do
// if it was somebody else.
func TestMailSaysWhatItIsFor(t *testing.T) {
	asked := map[verification.Purpose]string{
		verification.Register: "asked to create an account on matrix.example.org",
		verification.Password: "asked to reset the password of the account that uses this address on matrix.example.org",
		verification.Add:      "asked to add this email address to an account on matrix.example.org",
	}
	effect := map[verification.Purpose]string{
		verification.Register: "can create the account with this address",
		verification.Password: "can set a new password for that account",
		verification.Add:      "the address belongs to that account",
	}
	s := newSet(t, "matrix.example.org")
	eachKind(t, func(t *testing.T, _ string, m verification.Message, link string) {
		r := render(t, s, m, link)
		proof := sampleCode
		if link != "" {
			proof = link
		}
		for part, got := range map[string]string{"text": r.Text, "HTML": html.UnescapeString(r.HTML)} {
			got = strings.Join(strings.Fields(got), " ")
			for _, want := range []string{
				"You, or somebody else,", asked[m.Purpose], effect[m.Purpose], proof,
				"until 14:05 UTC on 23 November 2026", "If it was not you, ignore this mail: nothing changes.",
			} {
				if !strings.Contains(got, want) {
					t.Errorf("the %s lacks %q:\n%s", part, want, got)
				}
			}
		}
		if !strings.Contains(r.Subject, "matrix.example.org") {
			t.Errorf("the subject %q does not name the server", r.Subject)
		}
	})
}

// TestProofStaysOutOfTheSubject: subjects are shown on locked screens.
func TestProofStaysOutOfTheSubject(t *testing.T) {
	s := newSet(t, "example.org")
	eachKind(t, func(t *testing.T, _ string, m verification.Message, link string) {
		if got := render(t, s, m, link).Subject; strings.Contains(got, m.Token) {
			t.Errorf("subject = %q has the token", got)
		}
	})
}

// TestNoClientTextInMail: what a client chose, or could have, is in no part of
// a mail (GHSA-mh74-4m5g-fcjx is what happens otherwise).
func TestNoClientTextInMail(t *testing.T) {
	s := newSet(t, "example.org")
	eachKind(t, func(t *testing.T, _ string, m verification.Message, link string) {
		plain := render(t, s, m, link)
		m.Address = "buy-now.evil.example@x.example"
		m.Language = "en, <b>evil</b>"
		m.ID, m.SID = "evil-id", "evil-sid"
		if m.Proof == verification.ProofLink {
			m.Token = "evil-token" // the link is made by the caller
		}
		if got := render(t, s, m, link); got != plain {
			t.Errorf("the mail depends on what a client sent:\n%s\n%s", got.Subject, got.Text)
		}
	})
}

// TestLayoutIsFitForMail: lines within RFC 5322 §2.1.1, nothing that is loaded
// from elsewhere, no script, and nothing but the link to click.
func TestLayoutIsFitForMail(t *testing.T) {
	s := newSet(t, "example.org")
	remote := regexp.MustCompile(`(?i)<(img|script|link|iframe|object|form|video)\b|@import|url\(|\ssrc=|\son\w+=`)
	anchors := regexp.MustCompile(`(?i)<a\b`)
	eachKind(t, func(t *testing.T, _ string, m verification.Message, link string) {
		r := render(t, s, m, link)
		for line := range strings.SplitSeq(r.Text, "\n") {
			if len(line) > 78 && !strings.Contains(line, link) {
				t.Errorf("line of %d characters: %q", len(line), line)
			}
		}
		for line := range strings.SplitSeq(r.HTML, "\n") {
			if len(line) > 998 {
				t.Errorf("HTML line of %d characters", len(line))
			}
		}
		if found := remote.FindString(r.HTML); found != "" {
			t.Errorf("the HTML has %q", found)
		}
		want := 0
		if link != "" {
			want = 1
		}
		if got := len(anchors.FindAllString(r.HTML, -1)); got != want {
			t.Errorf("%d links to click, want %d", got, want)
		}
		for _, needed := range []string{`lang="en" dir="ltr"`, `name="viewport"`, `name="color-scheme" content="light dark"`, `role="presentation"`} {
			if !strings.Contains(r.HTML, needed) {
				t.Errorf("the HTML lacks %s", needed)
			}
		}
	})
}
