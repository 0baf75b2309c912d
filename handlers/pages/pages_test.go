// SPDX-License-Identifier: Apache-2.0

package pages

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

func newPages(t *testing.T, opts Options) *Pages {
	t.Helper()
	if opts.Server == "" {
		opts.Server = "matrix.example.org"
	}
	p, err := New(opts)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// render returns a page and its headers.
func render(t *testing.T, p *Pages, v View, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	rec := httptest.NewRecorder()
	if err := p.Render(rec, r, http.StatusOK, v); err != nil {
		t.Fatal(err)
	}
	return rec
}

// full is a view with everything in it that the state can show.
func full(state State) View {
	return View{
		State: state, Purpose: "password", Address: "alice@example.org", Action: "/submit", Help: "/help",
		Fields: []Field{{"sid", "s"}, {"nonce", "n"}}, Delivery: "bounced", Next: "https://app.example/#/register?sid=s",
		Asked: Asked{Made: "2027-01-15 08:00 UTC", App: "Nheko", Network: "203.0.x.x", Another: true},
	}
}

// count counts the elements of a name, or those with an attribute.
func count(n *html.Node, match func(*html.Node) bool) int {
	total := 0
	if n.Type == html.ElementNode && match(n) {
		total++
	}
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		total += count(c, match)
	}
	return total
}

func named(name string) func(*html.Node) bool {
	return func(n *html.Node) bool { return n.Data == name }
}

func attribute(n *html.Node, key string) string {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}

// TestPageStructure: landmarks, one heading, a language, no script and nothing
// from elsewhere, in every state.
func TestPageStructure(t *testing.T) {
	p := newPages(t, Options{})
	for _, state := range States {
		for _, v := range []View{{State: state}, full(state)} {
			rec := render(t, p, v)
			body := rec.Body.String()
			doc, err := html.Parse(strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			for name, want := range map[string]int{
				"html": 1, "header": 1, "main": 1, "footer": 0, "h1": 1, "title": 1, "style": 1,
				"script": 0, "link": 0, "iframe": 0, "object": 0, "img": 0,
			} {
				if got := count(doc, named(name)); got != want {
					t.Errorf("%s: got %d %s, want %d", state, got, name, want)
				}
			}
			forms := map[State]bool{Confirm: true, Code: true, Wrong: true, Again: true, Refuse: true, Insist: true}
			if got := count(doc, named("form")) == 1; got != forms[state] {
				t.Errorf("%s: has a form: %v, want %v", state, got, forms[state])
			}
			if count(doc, func(n *html.Node) bool {
				return n.Data == "html" && attribute(n, "lang") == "en" && attribute(n, "dir") == "ltr"
			}) != 1 {
				t.Errorf("%s: the page does not say its language", state)
			}
			if bad := count(doc, func(n *html.Node) bool {
				return slices.ContainsFunc(n.Attr, func(a html.Attribute) bool {
					return strings.HasPrefix(a.Key, "on") || a.Key == "style" || a.Key == "src" || a.Key == "autofocus"
				})
			}); bad != 0 {
				t.Errorf("%s: %d elements have an attribute that they must not have", state, bad)
			}
			if strings.Contains(body, "{server}") || strings.Contains(body, "ZgotmplZ") || strings.Contains(body, "<p></p>") {
				t.Errorf("%s: a word is missing:\n%s", state, body)
			}
		}
	}
}

// TestEveryControlHasItsLabel: for those who cannot see where it stands.
func TestEveryControlHasItsLabel(t *testing.T) {
	p := newPages(t, Options{})
	for _, v := range []View{full(Code), full(Wrong), {State: Code, Retype: true}, {State: Again}} {
		body := render(t, p, v).Body.String()
		for _, want := range []string{`<label for="token">`, `id="token"`, `id="hint"`, "required"} {
			if strings.Count(body, want) != 1 {
				t.Errorf("%s: got %d times %s, want it once", v.State, strings.Count(body, want), want)
			}
		}
		complains := v.State == Wrong || v.State == Again || v.Retype
		for _, want := range []string{`role="alert"`, `aria-describedby="problem hint"`, `aria-invalid="true"`} {
			if strings.Contains(body, want) != complains {
				t.Errorf("%s: has %s: %v, want %v", v.State, want, !complains, complains)
			}
		}
	}
}

// TestPolicyAllowsTheStyle: the digest is that of what stands in the page.
func TestPolicyAllowsTheStyle(t *testing.T) {
	looks := map[string]Look{"": {}, "blue": {CSS: map[string]string{"accent": "#00c", "dark-accent": "#99f", "radius": "0", "font": "Inter, sans-serif"}}}
	p := newPages(t, Options{Looks: looks})
	digests := map[string]bool{}
	for _, brand := range []string{"", "blue", "unknown"} {
		rec := render(t, p, View{State: Done, Brand: brand, FormTarget: "https://app.example"})
		_, rest, _ := strings.Cut(rec.Body.String(), "<style>")
		style, _, _ := strings.Cut(rest, "</style>")
		sum := sha256.Sum256([]byte(style))
		digest := base64.StdEncoding.EncodeToString(sum[:])
		digests[digest] = true
		want := "default-src 'none'; style-src 'sha256-" + digest + "'; form-action 'self' https://app.example; frame-ancestors 'none'; base-uri 'none'"
		if got := rec.Header().Get("Content-Security-Policy"); got != want {
			t.Errorf("brand %q: got policy %q, want %q", brand, got, want)
		}
	}
	if len(digests) != 2 {
		t.Errorf("got %d styles for two looks", len(digests))
	}
}

// TestEverythingIsEscaped: a page is safe even for what should never get there.
func TestEverythingIsEscaped(t *testing.T) {
	const evil = `"><script>alert(1)</script>`
	p := newPages(t, Options{Looks: map[string]Look{"": {Name: evil}}})
	for _, state := range States {
		v := View{
			State: state, Purpose: evil, Address: evil, Action: evil, Brand: evil, Language: evil, Help: "javascript:alert(1)",
			Fields: []Field{{"x", evil}}, Asked: Asked{Made: evil, App: evil, Network: evil, Another: true},
		}
		body := render(t, p, v).Body.String()
		if strings.Contains(body, "<script") || strings.Contains(body, "javascript:") {
			t.Errorf("%s: not escaped:\n%s", state, body)
		}
	}
}

// TestBrokenWords: a page without its words is not half a page.
func TestBrokenWords(t *testing.T) {
	p := newPages(t, Options{Words: silent{}})
	for _, state := range append(slices.Clone(States), "no such state") {
		rec := httptest.NewRecorder()
		err := p.Render(rec, httptest.NewRequest(http.MethodGet, "/", http.NoBody), http.StatusOK, full(state))
		if !errors.Is(err, errSilent) || rec.Code != http.StatusInternalServerError {
			t.Errorf("%s: got status %d, %v", state, rec.Code, err)
		}
		body, _ := io.ReadAll(rec.Body)
		if got := string(body); got != "Internal server error\n" {
			t.Errorf("%s: got body %q", state, got)
		}
		if rec.Header().Get("Content-Security-Policy") == "" || rec.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s: got headers %v", state, rec.Header())
		}
	}
}

var errSilent = errors.New("no words")

type silent struct{}

func (silent) Words(string, string) Words {
	return Words{Lang: "en", Dir: "ltr", Text: func(string, string) (string, error) { return "", errSilent }}
}

func TestNewRefuses(t *testing.T) {
	for name, opts := range map[string]Options{
		"no server": {}, "a bad look": {Server: "x", Looks: map[string]Look{"b": {CSS: map[string]string{"bg": "red"}}}},
	} {
		if _, err := New(opts); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// TestBoxOfARefusal: it stands in the forms that end a request and in no other, with
// its label, and is ticked only for who has ticked it before; words of an operator's
// that are from before it leave it out.
func TestBoxOfARefusal(t *testing.T) {
	box := func(ticked bool) func(*html.Node) bool {
		return func(n *html.Node) bool {
			return attribute(n, "type") == "checkbox" && attribute(n, "name") == "everybody" && attribute(n, "value") == "1" &&
				slices.ContainsFunc(n.Attr, func(a html.Attribute) bool { return a.Key == "checked" }) == ticked &&
				n.Parent.Data == "label" && n.NextSibling.FirstChild.Data != "" && n.Parent.Parent.Data == "form"
		}
	}
	boxes := func(p *Pages, v View, match func(*html.Node) bool) int {
		doc, err := html.Parse(render(t, p, v).Body)
		if err != nil {
			t.Fatal(err)
		}
		return count(doc, match)
	}
	p, old := newPages(t, Options{}), newPages(t, Options{Words: older{}})
	every := func(n *html.Node) bool { return attribute(n, "type") == "checkbox" }
	for _, state := range States {
		want := 0
		if state == Refuse || state == Insist {
			want = 1
		}
		for _, ticked := range []bool{false, true} {
			for _, phone := range []bool{false, true} {
				v := full(state)
				v.Everybody, v.Phone = ticked, phone
				if got, all := boxes(p, v, box(ticked)), boxes(p, v, every); got != want || all != want {
					t.Errorf("%s, ticked %v: got %d boxes, %d of them right, want %d", state, ticked, all, got, want)
				}
				if got := boxes(old, v, every); got != 0 {
					t.Errorf("%s: got %d boxes without words", state, got)
				}
			}
		}
	}
}

// older are the words of an operator's that are from before the box.
type older struct{}

func (older) Words(brand, accept string) Words {
	w := Builtin("x").Words(brand, accept)
	text := w.Text
	w.Text = func(key, value string) (string, error) {
		if strings.HasSuffix(key, "refuse everybody") {
			return "", nil
		}
		return text(key, value)
	}
	return w
}
