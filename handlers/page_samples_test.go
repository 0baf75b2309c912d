// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/hsapi"
	"github.com/caddy-threepid/caddy-threepid/handlers/internal/wire"
	web "github.com/caddy-threepid/caddy-threepid/handlers/pages"
	"github.com/caddy-threepid/caddy-threepid/internal/words"
)

// TestSamplePages_AreAllThatThereAre: an operator sees each page that a reader may get, in
// each language and brand, with what stands on it.
func TestSamplePages_AreAllThatThereAre(t *testing.T) {
	folder := fstest.MapFS{"brands/acme/layout/look.txt": {Data: []byte(`{{define "logo"}}Acme{{end}}`)}}
	set := loadTemplates(t, words.Options{Folder: folder, Brands: []string{"acme"}})
	written := map[string]string{}
	err := web.EachSample("matrix.example.org", set, func(name string, html []byte) error {
		if written[name] != "" {
			t.Errorf("%s is written twice", name)
		}
		written[name] = string(html)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, state := range web.States {
		want = append(want, string(state)+"-sms")
		for _, purpose := range web.Purposes(state) {
			want = append(want, string(state)+"-"+purpose)
		}
		if len(web.Purposes(state)) == 0 {
			want = append(want, string(state))
		}
	}
	for _, language := range set.Languages() {
		for _, folder := range []string{"", "brands/acme/"} {
			for _, page := range want {
				if name := folder + language.Tag + "/pages/" + page + ".html"; !strings.Contains(written[name], "<html") {
					t.Errorf("%s is not there", name)
				}
			}
		}
	}
	if got, want := len(written), 2*len(want)*len(set.Languages()); got != want {
		t.Errorf("got %d pages, want %d", got, want)
	}
	for name, texts := range map[string][]string{
		"confirm-register": {"Create your account?", "reader@mail.example", "2026-01-31", "Element (Android)", "203.0.x.x", "matrix.example.org"},
		"confirm-password": {"Reset your password?"},
		"confirm-sms":      {"&#43;447400123456", "text message"},
		"busy":             {"5 minutes"},
		"code-add":         {`href="#"`, `action="#"`},
		"help":             {"The mail was handed over to your mail provider."},
	} {
		for _, text := range texts {
			if page := written["en/pages/"+name+".html"]; !strings.Contains(page, text) {
				t.Errorf("%s has no %q:\n%s", name, text, page)
			}
		}
	}
	for name, page := range written {
		if got, want := strings.Contains(page, "Acme"), strings.HasPrefix(name, "brands/acme/"); got != want {
			t.Errorf("%s is in the look of the brand: %v, want %v", name, got, want)
		}
	}
	full := errors.New("the disk is full")
	count := 0
	err = web.EachSample("matrix.example.org", set, func(string, []byte) error { count++; return full })
	if !errors.Is(err, full) || count != 1 {
		t.Errorf("got %v after %d pages, want %v after one", err, count, full)
	}
}

// wordless has no words for anything.
type wordless struct{}

func (wordless) Words(string, string) web.Words {
	return web.Words{Lang: "en", Text: func(string, string) (string, error) { return "", errNoWords }}
}

var errNoWords = errors.New("there are no words for it")

// TestPagesThatCannotBeMade are faults of ours, and reported as such.
func TestPagesThatCannotBeMade(t *testing.T) {
	r := newPageRig(t, options{})
	sid := r.request("register", "s", "a@x.org")
	if err := r.client.SetPages(PageOptions{Words: wordless{}, Now: r.clock.Now}); err != nil {
		t.Fatal(err)
	}
	for _, link := range []string{linkQuery("sid", sid, "token", string(r.box.last(t).Token)), linkPath} {
		r.events.list = nil
		page := r.do("GET", link, "")
		wantStatus(t, page, http.StatusInternalServerError)
		r.wantEvent("client", "page", "unknown", http.StatusInternalServerError)
		if got := r.events.list[len(r.events.list)-1].Err; !errors.Is(got, errNoWords) || strings.Contains(page.Body.String(), "words") {
			t.Errorf("%s: got cause %v and page %s", link, got, page.Body)
		}
	}
	// What is said to a client has its English, then.
	rec := r.do("POST", registerToken, `{"client_secret":"s","email":"x","send_attempt":1}`)
	if wantStatus(t, rec, http.StatusBadRequest); decoded(t, rec)["error"] != "'email' is not a valid address" {
		t.Errorf("got %s", rec.Body)
	}
	for _, refusal := range []*wire.MatrixError{
		errRegistrationClosed, errStageNotOffered, errNotBegun, errStagesMissing, hsapi.ErrNotFromHere, errMisconfigured, errMachine, wire.ErrNoPhones, errPhoneNumber,
		errNoPhoneReset, errDenied, hsapi.ErrAlike, wire.Unavailable(nil), wire.Unreachable(nil), wire.Unrecognized(http.StatusNotFound), wire.Internal(nil),
	} {
		if said := r.client.inWords(mustRequest(t, "GET", "/"), refusal); said.Message == "" || said.Errcode == "" || said.Status < 400 {
			t.Errorf("%+v says nothing", refusal)
		}
	}
}

// TestRefusalsAreSaidInTheReadersWords, where they are for people.
func TestRefusalsAreSaidInTheReadersWords(t *testing.T) {
	r := newPageRig(t, options{})
	arab := mustRequest(t, "GET", "/")
	arab.Header.Set("Accept-Language", "ar")
	for say, refusals := range map[string][]*wire.MatrixError{
		wire.SayClosed: {errRegistrationClosed}, wire.SayUnsupported: {errStageNotOffered, wire.ErrNoPhones, errNoPhoneReset}, wire.SayBegin: {errStagesMissing}, wire.SaySetup: {errMisconfigured},
		wire.SayNumber: {errPhoneNumber}, wire.SayDenied: {errDenied}, wire.SayFault: {wire.Unreachable(nil), wire.Internal(nil)}, wire.SayUnconfirmed: {errUnconfirmed},
	} {
		for _, refusal := range refusals {
			before := *refusal
			if said := r.client.inWords(arab, refusal); said.Message != "عربي "+say || said.Status != refusal.Status || said.Errcode != refusal.Errcode || *refusal != before {
				t.Errorf("%v is said as %q, want %s", refusal, said.Message, say)
			}
		}
	}
	if said := r.client.inWords(arab, errNotBegun); said != errNotBegun {
		t.Errorf("what is for who writes clients is said as %q", said.Message)
	}
	ch := &challenge{Message: "Invalid password", say: wire.SayPassword, Session: "s"}
	if said := r.client.challengeInWords(arab, ch); said.Message != "عربي "+wire.SayPassword || said.Session != "s" || ch.Message != "Invalid password" {
		t.Errorf("got %+v", said)
	}
}

// TestLooks_OfAMailsTemplates: each colour of both palettes, and the name.
func TestLooks_OfAMailsTemplates(t *testing.T) {
	set := loadTemplates(t, words.Options{})
	look, l := web.LooksOf(set)[""], set.Look("")
	if look.Name != l.Logo {
		t.Errorf("got name %q, want %q", look.Name, l.Logo)
	}
	for prefix, p := range map[string]words.Palette{"": l.Light, "dark-": l.Dark} {
		for name, want := range map[string]string{
			"bg": string(p.Background), "card": string(p.Card), "text": string(p.Text), "muted": string(p.Muted), "accent": string(p.Accent), "on-accent": string(p.OnAccent),
		} {
			if got := look.CSS[prefix+name]; got != want {
				t.Errorf("%s%s: got %q, want %q", prefix, name, got, want)
			}
		}
	}
}

// TestWords_OfTheTemplates: each word that names something names what it is given, and how
// long something lasts is said in the reader's language.
func TestWords_OfTheTemplates(t *testing.T) {
	german := web.FromTemplates(loadTemplates(t, words.Options{})).Words("", "de, en;q=0.5")
	if got := german.Lasting(5 * 60e9); got != "5 Minuten" || german.Lang != "de" || german.Dir != "ltr" {
		t.Errorf("got %q, %s, %s", got, german.Lang, german.Dir)
	}
	named := 0
	for _, key := range words.PageKeys() {
		text, err := german.Text(strings.TrimPrefix(key, "page "), "zqxj")
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(text, "zqxj") {
			named++
		}
	}
	if named < 5 {
		t.Errorf("%d texts name what they are given, want at least address, app, network, time and wait", named)
	}
}
