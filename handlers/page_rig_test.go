// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	web "github.com/caddy-threepid/caddy-threepid/handlers/pages"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// newPageRig is a rig whose pages speak two languages.
func newPageRig(t *testing.T, opts options) *rig {
	t.Helper()
	r := newRig(t, opts)
	if err := r.client.SetPages(PageOptions{Words: twoLanguages{}, Now: r.clock.Now}); err != nil {
		t.Fatal(err)
	}
	return r
}

// twoLanguages speaks English, and to those who ask for it an Arabic that says
// which words it stands for.
type twoLanguages struct{}

func (twoLanguages) Words(brand, accept string) web.Words {
	if !strings.HasPrefix(accept, "ar") {
		return web.Builtin("matrix.example.org").Words(brand, "en")
	}
	return web.Words{Lang: "ar", Dir: "rtl", Text: func(key, _ string) (string, error) { return "عربي " + key, nil }}
}

// helpLink is the page that says why no message has arrived.
func helpLink(sid, clientSecret string) string {
	return server + linkPath + "?" + web.HelpQuery(verification.Submission{SID: sid, ClientSecret: &clientSecret})
}

var hiddenField = regexp.MustCompile(`<input type="hidden" name="([a-z_]+)" value="([^"]*)">`)

// fields are the hidden fields of a page's form.
func fields(page *httptest.ResponseRecorder) url.Values {
	values := url.Values{}
	for _, m := range hiddenField.FindAllStringSubmatch(page.Body.String(), -1) {
		values.Add(m[1], html.UnescapeString(m[2]))
	}
	return values
}

// openLink opens the link of the last mail.
func (r *rig) openLink(sid string, header ...string) *httptest.ResponseRecorder {
	r.t.Helper()
	return r.do("GET", linkQuery("sid", sid, "token", r.box.last(r.t).Token), "", header...)
}

// press reads a page for some seconds and presses its button.
func (r *rig) press(page *httptest.ResponseRecorder, header ...string) *httptest.ResponseRecorder {
	r.t.Helper()
	r.clock.Advance(5 * time.Second)
	return r.post(fields(page), header...)
}

// typed is press with a code typed in first.
func (r *rig) typed(page *httptest.ResponseRecorder, code string, header ...string) *httptest.ResponseRecorder {
	r.t.Helper()
	r.clock.Advance(5 * time.Second)
	form := fields(page)
	form.Set("token", code)
	return r.post(form, header...)
}

// wantCodePage checks that the code beside the link is asked for.
func wantCodePage(t *testing.T, page *httptest.ResponseRecorder) {
	t.Helper()
	if body := page.Body.String(); page.Code != http.StatusForbidden || !strings.Contains(body, "Type the code from the mail instead.") || !strings.Contains(body, `id="token"`) {
		t.Errorf("got status %d, want 403 and a page that asks for the code:\n%s", page.Code, body)
	}
}

// post sends a form to where the links of mails lead.
func (r *rig) post(values url.Values, header ...string) *httptest.ResponseRecorder {
	r.t.Helper()
	return r.postTo(linkPath, values, header...)
}

// postTo sends a form, and looks at the page that the answer names, as browsers do.
func (r *rig) postTo(path string, values url.Values, header ...string) *httptest.ResponseRecorder {
	r.t.Helper()
	answer := r.do("POST", path, values.Encode(), append([]string{"Content-Type", "application/x-www-form-urlencoded"}, header...)...)
	if answer.Code != http.StatusSeeOther {
		return answer
	}
	return r.do("GET", answer.Header().Get("Location"), "", header...)
}

// wantPage checks status and heading.
func wantPage(t *testing.T, page *httptest.ResponseRecorder, status int, heading string) {
	t.Helper()
	if page.Code != status || !strings.Contains(page.Body.String(), "<h1>"+heading+"</h1>") {
		t.Errorf("got status %d, want %d and %q; page:\n%s", page.Code, status, heading, page.Body)
	}
}
