// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/route"
	web "github.com/caddy-threepid/caddy-threepid/handlers/pages"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
	"github.com/caddy-threepid/caddy-threepid/store"
)

// TestPageStates walks a session of each kind through its pages.
func TestPageStates(t *testing.T) {
	for purpose, heading := range map[string]string{
		"register": "Create your account?", "account/password": "Reset your password?", "account/3pid": "Add this address to your account?",
	} {
		r := newPageRig(t, options{})
		sid := r.request(purpose, "s", "alice@x.org")
		ask := r.openLink(sid)
		wantPage(t, ask, http.StatusOK, heading)
		if !strings.Contains(ask.Body.String(), ">Address: alice@x.org</p>") {
			t.Errorf("%s: the page does not say which address", purpose)
		}
		wantPage(t, r.press(ask), http.StatusOK, "Confirmed")
		wantPage(t, r.press(ask), http.StatusOK, "Already confirmed")
		wantPage(t, r.openLink(sid), http.StatusOK, "Already confirmed")
		r.clock.Advance(25 * time.Hour)
		wantPage(t, r.openLink(sid), http.StatusBadRequest, "This request is too old")
		wantPage(t, r.post(fields(ask)), http.StatusBadRequest, "This request is too old")
		wantPage(t, r.do("GET", linkQuery("sid", "nonsense"), ""), http.StatusBadRequest, "This link does not work")
		wantPage(t, r.do("GET", linkPath, ""), http.StatusBadRequest, "This link does not work")
	}
}

// TestPageWrongCode: the form is there again, and says what is wrong to those
// who cannot see it, too; in the end the session is over.
func TestPageWrongCode(t *testing.T) {
	r := newPageRig(t, withCodes)
	sid := r.request("register", "s", "a@x.org")
	right := r.box.last(t).Token
	page := r.do("GET", linkQuery("sid", sid), "")
	wantPage(t, page, http.StatusOK, "Create your account?")
	if strings.Contains(page.Body.String(), "role=\"alert\"") {
		t.Error("the page complains before anything was typed")
	}
	for try := 1; ; try++ {
		form := fields(page)
		form.Set("token", "wrong")
		page = r.post(form)
		if try == verification.DefaultMaxTries {
			break
		}
		wantPage(t, page, http.StatusBadRequest, "Create your account?")
		for _, want := range []string{
			`id="problem" role="alert">This code is not right. Look at the newest message again`, `aria-describedby="problem hint"`, `aria-invalid="true"`, `name="token"`,
		} {
			if !strings.Contains(page.Body.String(), want) {
				t.Fatalf("after try %d the page has no %s:\n%s", try, want, page.Body)
			}
		}
		if strings.Contains(page.Body.String(), "wrong\"") {
			t.Error("the page repeats what was typed")
		}
	}
	wantPage(t, page, http.StatusBadRequest, "This request was ended")
	wantPage(t, r.do("GET", linkQuery("sid", sid, "token", right), ""), http.StatusBadRequest, "This request was ended")
}

func TestPageCodeIsTyped(t *testing.T) {
	r := newPageRig(t, withCodes)
	sid := r.request("register", "s", "a@x.org")
	form := fields(r.do("GET", linkQuery("sid", sid), ""))
	form.Set("token", " "+r.box.last(t).Token+" ")
	wantPage(t, r.post(form), http.StatusOK, "Confirmed") // at once: autofill is fast
}

// TestPageFailure: a fault of ours is called one, and reported.
func TestPageFailure(t *testing.T) {
	broken := &brokenStore{}
	r := newPageRig(t, options{service: func(c *verification.Config) {
		broken.Store = c.Store
		c.Store = broken
	}})
	sid := r.request("register", "s", "a@x.org")
	ask := r.openLink(sid)
	broken.err = errors.New("disk is gone")
	for _, page := range []*httptest.ResponseRecorder{r.openLink(sid), r.press(ask), r.do("GET", linkQuery("sid", sid, "help", "1"), "")} {
		wantPage(t, page, http.StatusInternalServerError, "Something went wrong")
		if strings.Contains(page.Body.String(), "disk") {
			t.Error("the page tells the cause")
		}
	}
	last := r.events.list[len(r.events.list)-1]
	if last.Status != http.StatusInternalServerError || !errors.Is(last.Err, broken.err) {
		t.Errorf("the failure was reported as %+v", last)
	}
	broken.err = nil
	wantPage(t, r.press(ask), http.StatusOK, "Confirmed")
}

// brokenStore fails when it is told to.
type brokenStore struct {
	store.Store
	err error
}

func (b *brokenStore) Update(ctx context.Context, p store.Partition, f func(store.Txn) error) error {
	if b.err != nil {
		return b.err
	}
	return b.Store.Update(ctx, p, f)
}

func (b *brokenStore) View(ctx context.Context, p store.Partition, f func(store.Txn) error) error {
	if b.err != nil {
		return b.err
	}
	return b.Store.View(ctx, p, f)
}

func (b *brokenStore) Scan(ctx context.Context, p store.Partition, prefix string, f func(string, []byte) (bool, error)) error {
	if b.err != nil {
		return b.err
	}
	return b.Store.Scan(ctx, p, prefix, f)
}

func TestPageLanguages(t *testing.T) {
	r := newPageRig(t, options{})
	sid := r.request("register", "s", "a@x.org")
	for accept, want := range map[string]string{
		"": `<html lang="en" dir="ltr">`, "en-GB,en;q=0.8": `<html lang="en" dir="ltr">`,
		"ar": `<html lang="ar" dir="rtl">`, "ar-EG,en;q=0.5": `<html lang="ar" dir="rtl">`,
		"ar" + strings.Repeat(",x", 1000): `<html lang="en" dir="ltr">`,
	} {
		for _, page := range []*httptest.ResponseRecorder{
			r.openLink(sid, "Accept-Language", accept), r.do("GET", linkPath, "", "Accept-Language", accept),
			r.do("GET", route.RefusePath, "", "Accept-Language", accept),
		} {
			if !strings.Contains(page.Body.String(), want) {
				t.Errorf("%.20q: got page %.120s, want %s", accept, page.Body, want)
			}
			if lang := page.Header().Get("Content-Language"); !strings.Contains(want, `"`+lang+`"`) {
				t.Errorf("%.20q: got Content-Language %q", accept, lang)
			}
		}
	}
	if got := r.openLink(sid, "Accept-Language", "ar").Body.String(); !strings.Contains(got, "عربي confirm register title") {
		t.Errorf("the words are not those of the language: %s", got)
	}
}

// TestPageHostileParameters: whatever a link or a form carries, the answer is a
// page that repeats none of it.
func TestPageHostileParameters(t *testing.T) {
	const mark = "zqxj"
	r := newPageRig(t, withCodes)
	sid := r.request("register", "s", "a@x.org")
	hostile := []string{
		mark + `"><script>alert(1)</script>`, mark + `'"--></style><img src=x onerror=alert(1)>`, mark + "\x00\x7f\r\nSet-Cookie: a=b",
		mark + "\xff\xfe\xc0\x80", mark + "{{.SID}}", "javascript:" + mark, strings.Repeat(mark, 1<<18), "\u202e" + mark,
	}
	names := []string{"sid", "token", "client_secret", "help", "nonce", "refusal", "lang", mark + "<b>"}
	for _, path := range []string{linkPath, route.RefusePath} {
		for _, name := range names {
			for _, value := range hostile {
				values := url.Values{"sid": {sid}, "token": {"123456"}}
				values.Set(name, value)
				pages := []*httptest.ResponseRecorder{
					r.do("GET", path+"?"+values.Encode(), ""), r.do("HEAD", path+"?"+values.Encode(), ""),
					r.postTo(path, values),
				}
				for _, page := range pages {
					what := path + " " + name + " " + value[:min(len(value), 20)]
					if page.Code >= 500 || page.Code < 200 {
						t.Errorf("%q: got status %d", what, page.Code)
					}
					if strings.Contains(page.Body.String(), mark) || page.Body.Len() > 16<<10 {
						t.Errorf("%q: the page of %d bytes repeats what it was given", what, page.Body.Len())
					}
					if got := page.Header().Get("Content-Type"); got != "text/html; charset=utf-8" {
						t.Errorf("%q: got Content-Type %q", what, got)
					}
					if page.Header().Get("Set-Cookie") != "" || page.Header().Get("Access-Control-Allow-Origin") != "" {
						t.Errorf("%q: got headers %v", what, page.Header())
					}
				}
				if pages[1].Body.Len() != 0 || pages[1].Code != pages[0].Code {
					t.Errorf("HEAD: got status %d and %d bytes, GET has status %d", pages[1].Code, pages[1].Body.Len(), pages[0].Code)
				}
			}
		}
	}
	// The session has not suffered, but for the codes that were tried in forms.
	wantPage(t, r.do("GET", linkQuery("sid", sid), ""), http.StatusOK, "Create your account?")
}

// TestPageBrands: a brand changes colours, name and picture, and the policy
// allows just that.
func TestPageBrands(t *testing.T) {
	r := newPageRig(t, options{})
	png := "\x89PNG\r\n\x1a\n and so on"
	set := func(look web.Look) error { return r.client.SetPages(PageOptions{Looks: map[string]web.Look{"": look}}) }
	if err := set(web.Look{Name: "Example & Sons", CSS: map[string]string{"accent": "#0000cc"}, Logo: []byte(png), LogoType: "image/png"}); err != nil {
		t.Fatal(err)
	}
	page := r.do("GET", linkPath, "")
	for _, want := range []string{"--accent:#0000cc", `alt="Example &amp; Sons"`, `<img src="data:image/png;base64,`, "<bdi>matrix.example.org</bdi>"} {
		if !strings.Contains(page.Body.String(), want) {
			t.Errorf("the page has no %q:\n%s", want, page.Body)
		}
	}
	if csp := page.Header().Get("Content-Security-Policy"); !strings.Contains(csp, "img-src data:;") {
		t.Errorf("got policy %q", csp)
	}
	if err := set(web.Look{CSS: map[string]string{"accent": "red}</style><script>"}}); err == nil {
		t.Error("a look that breaks out of the style was accepted")
	}
	if got := r.do("GET", linkPath, "").Body.String(); !strings.Contains(got, "--accent:#0000cc") {
		t.Error("a refused look took the other one's place")
	}
}

func TestHelpPage(t *testing.T) {
	r := newPageRig(t, withCodes)
	sid := r.request("register", "s", "a@x.org")
	link := helpLink(sid, "s")
	if !strings.HasPrefix(link, "https://matrix.example.org"+linkPath+"?") {
		t.Errorf("got %s", link)
	}
	page := r.do("GET", link, "")
	wantPage(t, page, http.StatusOK, "Why did no mail arrive?")
	if strings.Contains(page.Body.String(), "a@x.org") || strings.Contains(page.Body.String(), "<form") {
		t.Errorf("the page tells the address, or asks for something:\n%s", page.Body)
	}
	// Who does not know the session gets the same advice.
	for _, other := range []string{linkPath + "?help=1", linkQuery("help", "1", "sid", "x"), linkQuery("help", "1", "sid", sid, "client_secret", "t")} {
		wantPage(t, r.do("GET", other, ""), http.StatusOK, "Why did no mail arrive?")
	}
	code := r.do("GET", linkQuery("sid", sid, "client_secret", "s"), "").Body.String()
	if !strings.Contains(code, `href="`+linkPath+`?sid=`+url.QueryEscape(sid)+`&amp;client_secret=s&amp;help=1"`) {
		t.Errorf("no way leads from the page to its help:\n%s", code)
	}
}

// TestHelpPageTellsWhatBecameOfTheMail: to those who wait for it, and to nobody
// else.
func TestHelpPageTellsWhatBecameOfTheMail(t *testing.T) {
	for state, want := range map[verification.DeliveryState]string{
		verification.Bounced: "Your mail provider refused the mail.", verification.Deferred: "We keep trying by ourselves;",
		verification.Delivered: "The mail was handed over to your mail provider.", verification.Failed: "The mail could not be sent.",
		verification.Complained: "We send no mail to this address at present", verification.Waiting: "The mail is waiting to be sent.",
	} {
		for _, opts := range []options{{}, withCodes} {
			var kept store.Store
			codes := opts.config != nil
			opts.service = func(c *verification.Config) { kept = c.Store }
			r := newPageRig(t, opts)
			sid := r.request("register", "s", "a@x.org")
			noteDelivery(t, kept, r.box.last(t), state)
			page := r.do("GET", helpLink(sid, "s"), "")
			wantPage(t, page, http.StatusOK, "Why did no mail arrive?")
			if !strings.Contains(page.Body.String(), want) {
				t.Errorf("%s: the page does not say %q:\n%s", state, want, page.Body)
			}
			strangers := []string{helpLink(sid, "t"), linkQuery("help", "1", "sid", another(sid))}
			if !codes {
				strangers = append(strangers, helpLink(sid, ""))
			}
			for _, link := range strangers {
				if page := r.do("GET", link, ""); page.Code != http.StatusOK || strings.Contains(page.Body.String(), want) {
					t.Errorf("%s: %s tells a stranger (status %d)", state, link, page.Code)
				}
			}
			r.clock.Advance(48 * time.Hour)
			if page := r.do("GET", helpLink(sid, "s"), ""); !strings.Contains(page.Body.String(), "We know of no mail for this request.") {
				t.Errorf("%s: of a session that is gone the page says\n%s", state, page.Body)
			}
		}
	}
}

// another is a sid of the same shape.
func another(sid string) string {
	if last := len(sid) - 1; sid[last] != 'x' {
		return sid[:last] + "x"
	}
	return sid[:len(sid)-1] + "y"
}

// noteDelivery does what the outbox does: it keeps a message that it has not
// sent yet, and writes down what became of it.
func noteDelivery(t *testing.T, kept store.Store, m verification.Message, state verification.DeliveryState) {
	t.Helper()
	err := kept.Update(t.Context(), store.Partition(m.ID[:2]), func(txn store.Txn) error {
		if state == verification.Waiting || state == verification.Deferred {
			key, _ := verification.OutboxKey(m.ID)
			if err := txn.Set(key, []byte("message"), m.Expires); err != nil {
				return err
			}
		}
		if state == verification.Waiting {
			return nil
		}
		return verification.NoteDelivery(txn, m, state)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestPageOfABrand: the session remembers under which name it was opened.
func TestPageOfABrand(t *testing.T) {
	r := newPageRig(t, options{})
	looks := map[string]web.Look{"acme": {Name: "Acme"}, "": {Name: "Everybody"}}
	if err := r.client.SetPages(PageOptions{Looks: looks, Now: r.clock.Now}); err != nil {
		t.Fatal(err)
	}
	audienceOf(&r.client.cfg).brand = func(host string) string {
		if host == "acme.example" {
			return "acme"
		}
		return ""
	}
	for _, path := range []string{linkPath, linkPath + "?help=1", route.RefusePath} { // no session to ask
		for host, want := range map[string]string{"http://acme.example": "Acme", "http://other.example": "Everybody"} {
			if page := r.do("GET", host+path, ""); !strings.Contains(page.Body.String(), "<bdi>"+want+"</bdi>") {
				t.Errorf("%s%s: got page\n%s", host, path, page.Body)
			}
		}
	}
	for brand, want := range map[string]string{"acme": "Acme", "": "Everybody", "gone": "Everybody"} {
		opened, err := r.svc.RequestToken(t.Context(), verification.Request{
			Purpose: verification.Register, Medium: verification.Email, Address: "a@x.org", ClientSecret: "s" + brand, SendAttempt: 1, Brand: brand,
		})
		if err != nil {
			t.Fatal(err)
		}
		refuse := refuseQuery(opened.SID, r.box.last(t).Refusal)
		for _, page := range []*httptest.ResponseRecorder{r.openLink(opened.SID), r.do("GET", refuse, ""), r.press(r.openLink(opened.SID))} {
			if !strings.Contains(page.Body.String(), "<bdi>"+want+"</bdi>") {
				t.Errorf("brand %q: got page\n%s", brand, page.Body)
			}
		}
	}
}

// TestEveryPageHasItsHeaders: also those of failures.
func TestEveryPageHasItsHeaders(t *testing.T) {
	r := newPageRig(t, options{})
	sid := r.request("register", "s", "a@x.org")
	ask := r.openLink(sid)
	for name, page := range map[string]*httptest.ResponseRecorder{
		"confirm": ask, "again": r.post(fields(ask)), "done": r.press(ask), "already": r.openLink(sid), "help": r.do("GET", linkPath+"?help=1", ""),
		"invalid": r.do("GET", linkPath, ""), "refuse": r.do("GET", route.RefusePath, ""), "refuse by form": r.do("POST", route.RefusePath, "", "Content-Type", "application/x-www-form-urlencoded"),
	} {
		for header, want := range map[string]string{
			"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY",
			"X-Robots-Tag": "noindex, nofollow", "Cross-Origin-Opener-Policy": "same-origin", "Vary": "Accept-Language",
			"Cross-Origin-Resource-Policy": "same-origin", "Access-Control-Allow-Origin": "",
		} {
			if got := page.Header().Get(header); got != want {
				t.Errorf("%s: got %s %q, want %q", name, header, got, want)
			}
		}
		csp := page.Header().Get("Content-Security-Policy")
		if !strings.HasPrefix(csp, "default-src 'none'; style-src 'sha256-") || strings.Contains(csp, "unsafe") {
			t.Errorf("%s: got policy %q", name, csp)
		}
		body := page.Body.String()
		for _, bad := range []string{"<script", "http://", "https://", "url(", "@import", "style=", "onclick"} {
			if strings.Contains(body, bad) {
				t.Errorf("%s: the page has %q", name, bad)
			}
		}
	}
}
