// SPDX-License-Identifier: Apache-2.0

package sms

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// preset is how a vendor documents its API: what it wants to be asked, and what
// it answers.
type preset struct {
	name    string
	options PresetOptions
	method  string
	path    string
	header  map[string]string
	// form are the fields of a form, or of the query of a GET; document is the
	// body in JSON.
	form     url.Values
	document string
	// unicode is what changes for a message in UCS-2; bare what is gone without
	// originator and receipt URL.
	unicode url.Values
	bare    []string
	bareDoc string
	answers []answered
}

// answered is an answer of a vendor, with what it means.
type answered struct {
	name   string
	status int
	body   string
	id     string // if it takes the message
	want   outcome
}

// run puts a preset through its documentation.
func (p preset) run(t *testing.T) {
	t.Run("request", func(t *testing.T) {
		got := p.ask(t, message())
		p.compareHead(t, got)
		p.compareBody(t, got, p.form, p.document)
	})
	t.Run("unicode", func(t *testing.T) {
		m := message()
		m.Unicode, m.Text = true, "код 123456 🔑"
		form := maps.Clone(p.form)
		for name, value := range form {
			if value[0] == secret {
				form[name] = []string{m.Text}
			}
		}
		maps.Copy(form, p.unicode)
		got := p.ask(t, m)
		p.compareBody(t, got, form, strings.ReplaceAll(p.document, secret, m.Text))
	})
	t.Run("bare", func(t *testing.T) {
		m := message()
		m.From, m.ReceiptURL = "", ""
		form := maps.Clone(p.form)
		for _, name := range p.bare {
			delete(form, name)
		}
		p.compareBody(t, p.ask(t, m), form, p.bareDoc)
	})
	for _, a := range p.answers {
		t.Run(a.name, func(t *testing.T) {
			d := startDouble(t, says(a.status, a.body))
			h := p.build(t, d.URL)
			if a.want == (outcome{}) {
				accepted, err := h.Send(t.Context(), message())
				if err != nil || accepted.ID != a.id {
					t.Errorf("got %+v, %v, want id %q", accepted, err, a.id)
				}
				return
			}
			a.want.status = a.status
			wantOutcome(t, refusedBy(t, h, message()), a.want)
		})
	}
}

func (p preset) build(t *testing.T, url string) *HTTP {
	t.Helper()
	o := p.options
	o.URL = url + "/"
	cfg, err := Vendors[p.name].Request(o)
	if err != nil {
		t.Fatal(err)
	}
	return newHTTP(t, cfg)
}

// ask sends a message, and returns what the vendor was asked.
func (p preset) ask(t *testing.T, m Message) seen {
	t.Helper()
	d := startDouble(t, says(p.answers[0].status, p.answers[0].body))
	if _, err := p.build(t, d.URL).Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	return d.only(t)
}

func (p preset) compareHead(t *testing.T, got seen) {
	t.Helper()
	if got.method != p.method || got.path != p.path {
		t.Errorf("got %s %s, want %s %s", got.method, got.path, p.method, p.path)
	}
	for name, want := range p.header {
		if got.header.Get(name) != want {
			t.Errorf("%s: got %q, want %q", name, got.header.Get(name), want)
		}
	}
}

func (p preset) compareBody(t *testing.T, got seen, form url.Values, document string) {
	t.Helper()
	text, rest := got.body, got.query
	if p.method == http.MethodGet {
		text, rest = got.query, got.body
	}
	if rest != "" {
		t.Errorf("got %q as well", rest)
	}
	if form != nil {
		fields, err := url.ParseQuery(text)
		if err != nil || !maps.EqualFunc(fields, form, slices.Equal) {
			t.Errorf("got %v, %v\nwant %v", fields, err, form)
		}
		return
	}
	var is, want any
	if err := json.Unmarshal([]byte(text), &is); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(document), &want); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(is, want) {
		t.Errorf("got %s\nwant %s", text, document)
	}
}

func TestPresetsRequireTheirOptions(t *testing.T) {
	const sid = "ACaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	for _, tt := range []struct {
		preset  string
		options PresetOptions
		word    string // in the error; empty: it is fine
	}{
		{"twilio", PresetOptions{Account: sid, Secret: "pa55word"}, ""},
		{"twilio", PresetOptions{Account: sid, Secret: "pa55word", Extra: map[string]string{"api_key": "SK1", "messaging_service": "MG1"}}, ""},
		{"twilio", PresetOptions{Secret: "pa55word"}, "account"},
		{"twilio", PresetOptions{Account: "AC1/../x", Secret: "pa55word"}, "account"},
		{"twilio", PresetOptions{Account: sid}, "secret"},
		{"twilio", PresetOptions{Account: sid, Secret: "pa55word", Extra: map[string]string{"region": "x"}}, "option region: there is none of this name; there are api_key, messaging_service"},
		{"vonage", PresetOptions{Account: "abcd1234", Secret: "pa55word"}, ""},
		{"vonage", PresetOptions{Secret: "pa55word"}, "account"},
		{"vonage", PresetOptions{Account: "abcd1234"}, "secret"},
		{"vonage", PresetOptions{Account: "abcd1234", Secret: "pa55word", Extra: map[string]string{"x": ""}}, "this gateway has none"},
		{"infobip", PresetOptions{URL: "https://abc.api.infobip.com", Secret: "pa55word"}, ""},
		{"infobip", PresetOptions{Secret: "pa55word"}, "url"},
		{"infobip", PresetOptions{URL: "https://abc.api.infobip.com"}, "secret"},
		{"infobip", PresetOptions{URL: "https://abc.api.infobip.com", Secret: "pa55word", Account: "x"}, "account"},
		{"bird", PresetOptions{Secret: "bk_eu1_pa55word"}, ""},
		{"bird", PresetOptions{Secret: "bk_eu1_pa55word", Extra: map[string]string{"category": "service"}}, ""},
		{"bird", PresetOptions{Secret: "pa55word"}, "url"},
		{"bird", PresetOptions{Secret: "bk_evil.example/_pa55word"}, "url"},
		{"bird", PresetOptions{}, "secret"},
		{"bird", PresetOptions{Secret: "bk_eu1_pa55word", Account: "x"}, "account"},
		{"bird", PresetOptions{Secret: "bk_eu1_pa55word", Extra: map[string]string{"category": `x","a":"`}}, "category"},
		{"sinch", PresetOptions{Account: "plan-1", Secret: "pa55word"}, ""},
		{"sinch", PresetOptions{Account: "a/b", Secret: "pa55word"}, "account"},
		{"sinch", PresetOptions{Account: "plan-1"}, "secret"},
		{"kannel", PresetOptions{Account: "u", Secret: "pa55word"}, ""},
		{"kannel", PresetOptions{Account: "u", Secret: "pa55word", Extra: map[string]string{"smsc": "x", "dlr_mask": "31"}}, ""},
		{"kannel", PresetOptions{Account: "u", Secret: "pa55word", Extra: map[string]string{"dlr_mask": "67"}}, "dlr_mask"},
		{"kannel", PresetOptions{Secret: "pa55word"}, "account"},
		{"kannel", PresetOptions{Account: "u"}, "secret"},
	} {
		cfg, err := Vendors[tt.preset].Request(tt.options)
		switch {
		case tt.word != "" && (err == nil || !strings.Contains(err.Error(), tt.word)):
			t.Errorf("%s %+v: got %v, want an error about %s", tt.preset, tt.options, err, tt.word)
		case tt.word == "" && err != nil:
			t.Errorf("%s: got %v", tt.preset, err)
		case tt.word == "":
			newHTTP(t, cfg)
		}
		wantDiscreet(t, err)
	}
}

// The URLs that presets use by themselves.
func TestPresetsURLs(t *testing.T) {
	const sid = "ACaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	for _, tt := range []struct {
		preset  string
		options PresetOptions
		want    string
	}{
		{"twilio", PresetOptions{Account: sid, Secret: "x"}, "https://api.twilio.com/2010-04-01/Accounts/" + sid + "/Messages.json"},
		{"vonage", PresetOptions{Account: "a", Secret: "x"}, "https://rest.nexmo.com/sms/json"},
		{"infobip", PresetOptions{URL: "https://abc.api.infobip.com/", Secret: "x"}, "https://abc.api.infobip.com/sms/3/messages"},
		{"bird", PresetOptions{Secret: "bk_us1_x"}, "https://us1.platform.bird.com/v1/sms/messages"},
		{"sinch", PresetOptions{Account: "p", Secret: "x"}, "https://us.sms.api.sinch.com/xms/v1/p/batches"},
		{"sinch", PresetOptions{Account: "p", Secret: "x", URL: "https://eu.sms.api.sinch.com"}, "https://eu.sms.api.sinch.com/xms/v1/p/batches"},
		{"kannel", PresetOptions{Account: "a", Secret: "x"}, "http://127.0.0.1:13013/cgi-bin/sendsms"},
	} {
		cfg, err := Vendors[tt.preset].Request(tt.options)
		if err != nil || cfg.URL != tt.want {
			t.Errorf("got %s, %v, want %s", cfg.URL, err, tt.want)
		}
	}
}

// No secret is read as a template.
func TestPresetsTakeSecretsAsTheyAre(t *testing.T) {
	const odd = `{text}%&"\'{x}{`
	for name, o := range map[string]PresetOptions{
		"twilio": {Account: "ACaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", Extra: map[string]string{"messaging_service": odd}}, "vonage": {Account: odd}, "infobip": {}, "bird": {}, "sinch": {Account: "p"},
		"kannel": {Account: odd},
	} {
		o.URL, o.Secret = "https://example.com", odd
		cfg, err := Vendors[name].Request(o)
		if err != nil {
			t.Fatal(err)
		}
		newHTTP(t, cfg)
	}
}

// TestEveryVendorIsWhole, and known to who reads the manual.
func TestEveryVendorIsWhole(t *testing.T) {
	readme, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, presets, _ := strings.Cut(string(readme), "presets: ")
	presets, _, _ = strings.Cut(presets, "(")
	for name, v := range Vendors {
		if v.Request == nil || v.Receipts == nil || !strings.Contains(presets, "`"+name+"`") {
			t.Errorf("%s: request %t, receipts %t; the presets of README.md are %s", name, v.Request != nil, v.Receipts != nil, presets)
		}
	}
	defer func() {
		if recover() == nil || len(Vendors) != 6 {
			t.Errorf("a vendor was declared twice; there are %d", len(Vendors))
		}
	}()
	declare("twilio", nil, nil, Quirks{})
}

// TestTwilioSignsWithTheAuthToken, which is not the secret of an API key.
func TestTwilioSignsWithTheAuthToken(t *testing.T) {
	for key, want := range map[string]string{"": "pa55word", "SK1": ""} {
		if got := Vendors["twilio"].ReceiptSecret(PresetOptions{Secret: "pa55word", Extra: map[string]string{"api_key": key}}); got != want {
			t.Errorf("API key %q: got %q, want %q", key, got, want)
		}
	}
}
