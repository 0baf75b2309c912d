// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"fmt"
	"net/url"
	"regexp"
	"testing"

	"pgregory.net/rapid"

	web "github.com/caddy-threepid/caddy-threepid/handlers/pages"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// TestNoLinkEndsInPunctuation: mail programs leave off what ends a sentence, and some
// a hyphen or a low line as well.
func TestNoLinkEndsInPunctuation(t *testing.T) {
	r := newRig(t, options{})
	links, odd := 0, 0
	for i := range 500 {
		opened, err := r.svc.RequestToken(t.Context(), verification.Request{
			Purpose: verification.Register, Medium: verification.Email, Address: fmt.Sprintf("a%d@x%d.org", i, i), ClientSecret: "s", SendAttempt: 1,
		})
		if err != nil {
			t.Fatal(err)
		}
		m := r.box.last(t)
		if !regexp.MustCompile(`^[0-9A-Za-z]$`).MatchString(string(opened.SID[len(opened.SID)-1])) {
			odd++
		}
		for _, link := range []string{
			web.Link(server, m.SID, m.Token), web.Link(server, m.SID, ""), web.Link(server, m.SID, "123456"), web.RefuseLink(server, m.SID, m.Refusal), helpLink(m.SID, "s."), helpLink(m.SID, ""),
		} {
			links++
			if !regexp.MustCompile(`^[0-9A-Za-z]$`).MatchString(string(link[len(link)-1])) {
				t.Errorf("%s ends in punctuation", link)
			}
			if m.Token != "" && links%6 == 1 && link != server+linkPath+"?sid="+m.SID+"&token="+m.Token {
				t.Errorf("%s has more in it than it needs", link)
			}
		}
	}
	t.Logf("%d links, of which %d sids end in - or _", links, odd)
	if odd == 0 {
		t.Error("no sid ended in punctuation: nothing is shown")
	}
}

// TestLinkParametersAreReadBack, whatever they hold.
func TestLinkParametersAreReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.String().Draw(t, "a"), rapid.String().Draw(t, "b")
		query := web.Query("sid", a, "token", b)
		values, err := url.ParseQuery(query)
		if err != nil || values.Get("sid") != a || values.Get("token") != b {
			t.Fatalf("%q, %q became %s, which is %v (%v)", a, b, query, values, err)
		}
		if query != "" && !regexp.MustCompile(`^[0-9A-Za-z]$`).MatchString(string(query[len(query)-1])) {
			t.Fatalf("%s ends in punctuation", query)
		}
	})
}
