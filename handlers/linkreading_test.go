// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/route"
	web "github.com/caddy-threepid/caddy-threepid/handlers/pages"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// browser is what a browser says of what it would like to have.
var browser = []string{"Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}

// mangles are what happens to a link between the mail and us, by name. Each can be
// undone in one way only. A link is what follows the name of the server.
var mangles = map[string]func(link string) string{
	"as it is":            func(l string) string { return l },
	"&amp;":               func(l string) string { return strings.ReplaceAll(l, "&", "&amp;") },
	"&amp; twice":         func(l string) string { return strings.ReplaceAll(l, "&", "&amp;amp;") },
	"&amp; escaped":       func(l string) string { return strings.ReplaceAll(l, "&", "%26amp%3B") },
	"&#38; escaped":       func(l string) string { return strings.ReplaceAll(l, "&", "&%2338;") },
	"semicolons":          func(l string) string { return strings.ReplaceAll(l, "&", ";") },
	"= escaped":           func(l string) string { return strings.ReplaceAll(l, "=", "%3D") },
	"= escaped twice":     func(l string) string { return strings.ReplaceAll(l, "=", "%253D") },
	"& escaped":           func(l string) string { return strings.ReplaceAll(l, "&", "%26") },
	"? escaped":           func(l string) string { return strings.ReplaceAll(l, "?", "%3F") },
	"all escaped":         func(l string) string { return "/" + url.QueryEscape(l[1:]) },
	"all escaped but /":   func(l string) string { return strings.ReplaceAll(url.QueryEscape(l), "%2F", "/") },
	"quoted-printable":    func(l string) string { return strings.ReplaceAll(l, "=", "=3D") },
	"qp, all of it":       func(l string) string { return strings.NewReplacer("=", "=3D", "&", "=26", "?", "=3F").Replace(l) },
	"qp, lower case":      func(l string) string { return strings.ReplaceAll(l, "=", "=3d") },
	"qp, soft line break": func(l string) string { return l[:len(l)-20] + "=%0D%0A" + l[len(l)-20:] },
	"qp, its equals sign": func(l string) string { return l[:len(l)-20] + "=" + l[len(l)-20:] },
	"a line break":        func(l string) string { return l[:len(l)-20] + "%0D%0A" + l[len(l)-20:] },
	"a line break, %20":   func(l string) string { return l[:len(l)-20] + "%20" + l[len(l)-20:] },
	"a line break, +":     func(l string) string { return l[:len(l)-20] + "+" + l[len(l)-20:] },
	"a line break at &":   func(l string) string { return strings.ReplaceAll(l, "&", "%0A&") },
	"a line break after?": func(l string) string { return strings.ReplaceAll(l, "?", "?%0A") },
	"a broken path":       func(l string) string { return l[:15] + "%0A%20" + l[15:] },
	"a soft hyphen":       func(l string) string { return l[:len(l)-20] + "%C2%AD" + l[len(l)-20:] },
	"a zero-width space":  func(l string) string { return l[:len(l)-20] + "%E2%80%8B" + l[len(l)-20:] },
	"a mark of direction": func(l string) string { return l + "%E2%80%8E" },
	"upper-case names": func(l string) string {
		return strings.NewReplacer("sid=", "SID=", "token=", "Token=", "refusal=", "REFUSAL=").Replace(l)
	},
	"an upper-case path":   upperPath,
	"a slash at the end":   func(l string) string { return strings.Replace(l, "?", "/?", 1) },
	"slashes at the end":   func(l string) string { return strings.Replace(l, "?", "//?", 1) },
	"two slashes":          func(l string) string { return strings.Replace(l, "/_threepid/", "/_threepid//", 1) },
	"a slash at the start": func(l string) string { return "/" + l },
	"backslashes":          func(l string) string { return "/_threepid" + strings.ReplaceAll(l[len("/_threepid"):], "/", "%5C") },
	"an escaped path":      func(l string) string { return strings.Replace(l, "_threepid", "%5Fthreepid", 1) },
	"a dot after the path": func(l string) string { return strings.Replace(l, "?", ".?", 1) },
	"two question marks":   func(l string) string { return strings.Replace(l, "?", "??", 1) },
	"& first":              func(l string) string { return strings.Replace(l, "?", "?&", 1) },
	"& in place of ?":      func(l string) string { return strings.Replace(l, "?", "&", 1) },
	"two &":                func(l string) string { return strings.ReplaceAll(l, "&", "&&") },
	"a space after =":      func(l string) string { return strings.ReplaceAll(l, "=", "=%20") },
	"quotes around values": func(l string) string {
		return strings.ReplaceAll(strings.ReplaceAll(l, "=", "=%22"), "&", "%22&") + "%22"
	},
	"brackets around": func(l string) string {
		return strings.ReplaceAll(strings.ReplaceAll(l, "=", "=%3C"), "&", "%3E&") + "%3E"
	},
	"written twice": func(l string) string {
		_, query, _ := strings.Cut(l, "?")
		return l + "&" + query
	},
	"written twice, joined": func(l string) string { return l + "%20https://matrix.example.org" + l },
	"followed by words":     func(l string) string { return l + "%20and%20then%20press%20the%20button" },
	"followed by a tag":     func(l string) string { return l + "%22%3Ehere%3C/a%3E" },
	"in another order": func(l string) string {
		path, query, _ := strings.Cut(l, "?")
		parts := strings.Split(query, "&")
		slices.Reverse(parts)
		return path + "?" + strings.Join(parts, "&")
	},
	"counted":         func(l string) string { return l + "&utm_source=mail&utm_medium=email&utm_campaign=x%20y" },
	"counted first":   func(l string) string { return strings.Replace(l, "?", "?fbclid=IwAR0-_x&mc_eid=1&", 1) },
	"counted badly":   func(l string) string { return l + "?utm_source=mail" },
	"counted by ;":    func(l string) string { return l + ";jsessionid=1" },
	"counted, by sid": func(l string) string { return strings.Replace(l, "?", "?sid=12345&token=abc&", 1) },
	"a fragment":      func(l string) string { return l + "%23top" },
}

func init() {
	for _, after := range []string{".", ",", ";", ":", "!", ")", "]", "}", ">", "'", "%22", "%27", "*", "_", "__", "|", "~", "%60", "%3E", "%C2%BB", "%E2%80%9D", "%E2%80%A6", "%E3%80%82", "%20", "%09", "%0A", "&", "=", "/", "%5C", ").", "%3E.", "&gt;", "&quot;", "%3C/a%3E"} {
		mangles["followed by "+after] = func(l string) string { return l + after }
	}
}

func upperPath(l string) string {
	path, query, _ := strings.Cut(l, "?")
	return strings.ToUpper(path) + "?" + query
}

// mangled is a link as a browser would ask for it.
func mangled(t *testing.T, link string) string {
	t.Helper()
	if _, err := url.ParseRequestURI(link); err != nil {
		t.Fatalf("%s is nothing that a browser asks for: %v", link, err)
	}
	return link
}

const server = "https://matrix.example.org"

// TestMangledLinksConfirm: each of them leads to the page, whose button confirms.
func TestMangledLinksConfirm(t *testing.T) {
	t.Logf("%d ways to mangle a link", len(mangles))
	for name, mangle := range mangles {
		r := newPageRig(t, options{})
		sid := r.request("register", "s", "a@x.org")
		link := strings.TrimPrefix(web.Link(server, sid, r.box.last(t).Token), server)
		for _, accept := range [][]string{browser, nil} {
			page := r.do("GET", mangled(t, mangle(link)), "", accept...)
			if page.Code != http.StatusOK {
				t.Errorf("%s: got status %d for %s", name, page.Code, mangle(link))
				break
			}
			wantPage(t, page, http.StatusOK, "Create your account?")
		}
		page := r.do("GET", mangle(link), "", browser...)
		if page.Code == http.StatusOK {
			wantPage(t, r.press(page), http.StatusOK, "Confirmed")
		}
	}
}

// TestMangledLinksRefuse: the same for "I did not ask for this", in the order of
// before as well.
func TestMangledLinksRefuse(t *testing.T) {
	m := newRefuseRig(t)
	old := route.RefusePath + "?" + url.Values{"sid": {m.sid}, "refusal": {m.refusal}}.Encode()
	for _, link := range []string{m.link(), old} {
		for name, mangle := range mangles {
			if page := m.do("GET", mangled(t, mangle(link)), "", browser...); page.Code != http.StatusOK {
				t.Errorf("%s: got status %d for %s", name, page.Code, mangle(link))
			}
		}
	}
	wantPage(t, m.pressRefuse(m.do("GET", mangles["&amp;"](old), "", browser...)), http.StatusOK, "The request was ended")
}

// TestMangledLinksOfCodes: a link may have a code, and one without any leads to the
// page that asks for it.
func TestMangledLinksOfCodes(t *testing.T) {
	r := newPageRig(t, withCodes)
	sid := r.request("register", "s", "a@x.org")
	for _, token := range []string{"", r.box.last(t).Token} {
		link := strings.TrimPrefix(web.Link(server, sid, token), server)
		for _, name := range []string{"&amp;", "quoted-printable", "a slash at the end", "followed by .", "followed by )", "upper-case names", "all escaped"} {
			page := r.do("GET", mangles[name](link), "", browser...)
			wantPage(t, page, http.StatusOK, "Create your account?")
			if got := fields(page).Get("token"); got != token {
				t.Errorf("%s: got token %q, want %q", name, got, token)
			}
		}
	}
}

// TestLinksThatWereCut: mail programs have cut a hyphen or a low line off links that
// ended in one.
func TestLinksThatWereCut(t *testing.T) {
	r := newPageRig(t, options{})
	cut := 0
	for i := 0; cut < 3 && i < 400; i++ {
		opened, err := r.svc.RequestToken(t.Context(), verification.Request{
			Purpose: verification.Register, Medium: verification.Email, Address: fmt.Sprintf("a%d@x%d.org", i, i), ClientSecret: "s", SendAttempt: 1,
		})
		if err != nil {
			t.Fatal(err)
		}
		short := strings.TrimRight(opened.SID, "-_")
		if short == opened.SID || len(opened.SID)-len(short) > 2 {
			continue
		}
		cut++
		link := route.RefusePath + "?refusal=" + r.box.last(t).Refusal + "&sid=" + short
		if page := r.do("GET", link, "", browser...); page.Code != http.StatusOK {
			t.Errorf("got status %d for %s of %s", page.Code, short, opened.SID)
		}
	}
	if cut == 0 {
		t.Error("no sid ended in a sign that is cut off")
	}
}

// TestLinksInDoubt: what could be meant in two ways, or in none, is not guessed. The
// answer is a page that says what to do.
func TestLinksInDoubt(t *testing.T) {
	r := newPageRig(t, options{})
	other := r.request("register", "s2", "b@x.org")
	otherToken := r.box.last(t).Token
	sid := r.request("register", "s", "a@x.org")
	token := r.box.last(t).Token
	for name, link := range map[string]string{
		"two sessions":           linkPath + "?sid=" + sid + "&sid=" + other + "&token=" + token,
		"two tokens":             linkPath + "?sid=" + sid + "&token=" + token + "&Token=" + otherToken,
		"two links":              linkPath + "?sid=" + sid + "&token=" + token + "%20" + linkPath + "?sid=" + other + "&token=" + otherToken,
		"a cut token":            linkPath + "?sid=" + sid + "&token=" + token[:30],
		"a lower-case token":     linkPath + "?sid=" + sid + "&token=" + strings.ToLower(token),
		"no token":               linkPath + "?sid=" + sid,
		"no sid":                 linkPath + "?token=" + token,
		"the token of another":   linkPath + "?sid=" + sid + "&token=" + otherToken,
		"nothing":                linkPath,
		"a bad escape":           linkPath + "?sid=%zz&token=%",
		"a semicolon":            linkPath + "?;",
		"a sid that is not ours": linkPath + "?sid=" + strings.Repeat("a", 32) + "&token=" + token,
		"a query that is long":   linkPath + "?" + strings.Repeat("x", web.MaxLink+1),
		"many parameters":        linkPath + "?" + strings.Repeat("sid=x&", 1000),
	} {
		page := r.do("GET", link, "", browser...)
		if page.Code < 400 || page.Code > 499 || !strings.Contains(page.Body.String(), "<h1>This link does not work</h1>") {
			t.Errorf("%s: got status %d, %.80s", name, page.Code, page.Body)
		}
	}
	r.stillPending(sid, "links in doubt")
}

// inOrder reports whether the signs of a value are in a text, in this order: nothing
// was added to what is there.
func inOrder(value, text string) bool {
	for _, sign := range value {
		_, rest, found := strings.Cut(text, string(sign))
		if !found {
			return false
		}
		text = rest
	}
	return true
}

// TestNoManglingChangesWhatIsMeant: whatever is done to a link, it is never read as
// another one, nor as more than is there. (With other signs among its own it may look
// like a token that nobody has.) And done one after the other, most of it can be undone.
func TestNoManglingChangesWhatIsMeant(t *testing.T) {
	r := newRig(t, options{})
	sid := r.request("register", "s", "a@x.org")
	token := r.box.last(t).Token
	link := strings.TrimPrefix(web.Link(server, sid, token), server)
	names := make([]string, 0, len(mangles))
	for name := range mangles {
		names = append(names, name)
	}
	slices.Sort(names)
	understood, all := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		text := link
		for range rapid.IntRange(1, 3).Draw(t, "mangles") {
			text = mangles[rapid.SampledFrom(names).Draw(t, "mangle")](text)
		}
		if at := rapid.IntRange(0, 3*len(text)).Draw(t, "at"); at > 0 && at < len(text) {
			text = text[:at] + url.QueryEscape(rapid.String().Draw(t, "noise")) + text[at:]
		}
		u, err := url.ParseRequestURI(text)
		if err != nil {
			return
		}
		all++
		sent := u
		if mended := web.Mend(u, r.svc.Owns); mended != nil {
			u = mended
		}
		if u.Path != linkPath {
			return
		}
		values := u.Query()
		if got := values.Get("sid"); r.svc.Owns(got) && got != sid {
			t.Fatalf("%s is read as the session %s", text, got)
		}
		if got := values.Get("token"); secret.MatchString(got) && !inOrder(got, web.PlainText(sent)+" "+route.DecodeOnce(sent.RawQuery)) {
			t.Fatalf("%s is read as the token %s", text, got)
		}
		if values.Get("sid") == sid && values.Get("token") == token {
			understood++
		}
	})
	t.Logf("%d of %d were understood", understood, all)
	if all > 50 && understood < all/3 {
		t.Errorf("%d of %d were understood", understood, all)
	}
}

// TestAWholeLinkIsLeftAlone: nothing is mended that is not broken.
func TestAWholeLinkIsLeftAlone(t *testing.T) {
	r := newRig(t, options{})
	sid := r.request("register", "s", "a@x.org")
	m := r.box.last(t)
	secret := "a.b=c_d-e"
	for _, link := range []string{
		web.Link(server, sid, m.Token), web.Link(server, sid, ""), web.RefuseLink(server, sid, m.Refusal), helpLink(sid, secret), helpLink(sid, ""),
		server + linkQuery("sid", sid, "token", m.Token), server + linkQuery("sid", sid, "token", m.Token, "utm_source", "x;y"),
	} {
		u, err := url.Parse(link)
		if err != nil {
			t.Fatal(err)
		}
		if mended := web.Mend(u, r.svc.Owns); mended != nil {
			t.Errorf("%s became %s", link, mended)
		}
	}
	u, err := url.Parse(strings.Replace(helpLink(sid, secret), "submitToken", "submitToken/", 1))
	if err != nil {
		t.Fatal(err)
	}
	if got := web.Mend(u, r.svc.Owns).Query(); got.Get("client_secret") != secret || got.Get("help") != "1" {
		t.Errorf("got %v, want the client_secret as it was", got)
	}
}

// TestSidLength holds the length that cut links are completed to.
// secret is the form of 32 bytes in base64.
var secret = regexp.MustCompile(`^[0-9A-Za-z_-]{42}[048AEIMQUYcgkosw]$`)

func TestSidLength(t *testing.T) {
	r := newRig(t, options{})
	if sid := r.request("register", "s", "a@x.org"); len(sid) != web.SIDLength {
		t.Errorf("a sid has %d characters, want %d", len(sid), web.SIDLength)
	}
}

// FuzzMendLink: nothing that is asked for makes it fail, and what is mended is one of
// our paths.
func FuzzMendLink(f *testing.F) {
	for _, mangle := range mangles {
		f.Add(mangle(linkPath + "?sid=00abc&token=123456"))
	}
	owns := func(sid string) bool { return len(sid) == web.SIDLength }
	f.Fuzz(func(t *testing.T, raw string) {
		u, err := url.ParseRequestURI(raw)
		if err != nil || !strings.HasPrefix(raw, "/") {
			return
		}
		mended := web.Mend(u, owns)
		if mended == nil {
			return
		}
		if !slices.Contains([]string{linkPath, route.PagePath(verification.MSISDN), route.RefusePath}, mended.Path) || mended.Host != "" || mended.Scheme != "" {
			t.Errorf("%q became %s", raw, mended)
		}
		if _, err := url.ParseQuery(mended.RawQuery); err != nil {
			t.Errorf("%q became %s: %v", raw, mended, err)
		}
	})
}
