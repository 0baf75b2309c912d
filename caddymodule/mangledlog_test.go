// SPDX-License-Identifier: Apache-2.0

package caddymodule_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/handlers"
	"github.com/caddy-threepid/caddy-threepid/handlers/pages"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/fakehs"
)

// TestMangledLinksAreNotLogged: a link that was changed on the way works all the same,
// so its secrets must not be in the access log, wherever in it they have come to stand.
func TestMangledLinksAreNotLogged(t *testing.T) {
	_, upstream := homeserver(t, fakehs.Options{})
	s := newSite(t, upstream)
	s.mustLoad(s.simple())
	const sid = "0123456789abcdefghijklmnopqrstuv"
	asked := map[string]string{} // by their secrets
	for _, link := range []string{pages.Link("", sid, "SECRET"), pages.RefuseLink("", sid, "SECRET"), handlers.SubmitPath + "email/submitToken?" + pages.Query("sid", sid, "client_secret", "SECRET", "help", "1")} {
		for name, mangled := range map[string]string{
			"as it is":          link,
			"&amp;":             strings.ReplaceAll(link, "&", "&amp;"),
			"semicolons":        strings.ReplaceAll(link, "&", ";"),
			"& escaped":         strings.ReplaceAll(link, "&", "%26"),
			"= escaped":         strings.ReplaceAll(link, "=", "%3D"),
			"= escaped twice":   strings.ReplaceAll(link, "=", "%253D"),
			"? escaped":         strings.ReplaceAll(link, "?", "%3F"),
			"all escaped":       "/" + url.QueryEscape(link[1:]),
			"quoted-printable":  strings.NewReplacer("=", "=3D", "&", "=26", "?", "=3F").Replace(link),
			"upper case":        strings.NewReplacer("sid=", "SID=", "token=", "TOKEN=", "refusal=", "Refusal=", "client_secret=", "Client_Secret=").Replace(link),
			"a broken name":     strings.NewReplacer("token=", "to%0Aken=", "refusal=", "refu%0Asal=", "client_secret=", "client_%0Asecret=").Replace(link),
			"an escaped path":   strings.Replace(link, "_threepid", "%5Fthreepid", 1),
			"an upper-case one": strings.Replace(link, "/_threepid/", "/_THREEPID//", 1),
			"written twice":     link + "%20https://matrix.example.org" + link,
			"& in place of ?":   strings.Replace(link, "?", "&", 1),
		} {
			secret := fmt.Sprintf("secret%036d0", len(asked)) // 32 bytes in base64
			asked[secret] = name + ": " + mangled
			resp, err := http.Get(s.url() + strings.ReplaceAll(mangled, "SECRET", secret))
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
		}
	}
	s.mustLoad(s.without()) // then all is written
	logged := s.log("access.log")
	for secret, link := range asked {
		if strings.Contains(logged, secret) {
			t.Errorf("the access log has the secret of %s", link)
		}
	}
	if want := "?sid=" + sid + "&REDACTED"; strings.Count(logged, want) < 3 {
		t.Errorf("the access log does not show whose links were followed: %q", want)
	}
}
