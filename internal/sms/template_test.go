// SPDX-License-Identifier: Apache-2.0

package sms

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"
)

func TestTemplates(t *testing.T) {
	v := valuesOf(message(), "2", "")
	for text, want := range map[string]string{
		"":                           "",
		"plain":                      "plain",
		"{to}":                       number,
		"to {plus_to} from {from}":   "to +" + number + " from Example",
		"{id}{segments}":             "m-11",
		"{unicode}":                  "",
		"{receipt_url}&state=%d":     receipt + "&state=%d",
		"{text}":                     secret,
		"100% of {segments} part(s)": "100% of 1 part(s)",
	} {
		parsed, err := parseTemplate(text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if got := parsed.plain(v); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

func TestTemplatesWithOtherBracesAreRefused(t *testing.T) {
	for _, text := range []string{"{", "}", "{}", "{TO}", "{ to}", "{to", "to}", "{{to}}", "{env.SECRET}", "{file.x}", "{text }", "a{b}c", "{to}}"} {
		_, err := parseTemplate(text)
		if err == nil || !strings.Contains(err.Error(), "{plus_to}") {
			t.Errorf("%q: got %v, want an error that names what is known", text, err)
		}
	}
	if _, err := parseTemplate("{}"); err == nil || !strings.Contains(err.Error(), "enclose none") {
		t.Errorf("got %v, want nothing to be named", err)
	}
	// A slip is named, a secret is not.
	if _, err := parseTemplate("{env.key}"); err == nil || !strings.Contains(err.Error(), "{env.key}") {
		t.Errorf("got %v, want it to name the placeholder", err)
	}
	if _, err := parseTemplate("aB3{Pa55word!}"); err == nil || strings.Contains(err.Error(), "Pa55") {
		t.Errorf("got %v, want it not to repeat a secret", err)
	}
}

func TestOmittedFields(t *testing.T) {
	full := valuesOf(message(), "true", "false")
	empty := valuesOf(Message{To: number, Text: secret}, "2", "")
	for text, want := range map[string]bool{
		"{from}": true, "x{from}": false, "{receipt_url}": true, "{receipt_url}&state=%d": true, "{unicode}": true,
		"{text}": false, "": false, "x": false, "{id}": true,
	} {
		parsed, err := parseTemplate(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := parsed.omitted(empty); got != want {
			t.Errorf("%q: got left out %t, want %t", text, got, want)
		}
		if parsed.omitted(full) {
			t.Errorf("%q: left out although there is something", text)
		}
	}
}

func TestURLs(t *testing.T) {
	m := message()
	m.From, m.Text = "a/b?c=d&e#f%2F", "x&to=+33 é/../"
	for text, want := range map[string]string{
		"https://example.com":                             "https://example.com",
		"https://example.com/send/{to}":                   "https://example.com/send/" + number,
		"https://example.com/{from}/x":                    "https://example.com/a%2Fb%3Fc=d&e%23f%252F/x",
		"https://example.com/s?a=%20b&to={to}&t={text}":   "https://example.com/s?a=%20b&to=" + number + "&t=x%26to%3D%2B33+%C3%A9%2F..%2F",
		"https://example.com?t={from}-{to}":               "https://example.com?t=a%2Fb%3Fc%3Dd%26e%23f%252F-" + number,
		"http://[::1]:8080/x?key&dlr={receipt_url}%26a=b": "http://[::1]:8080/x?key=&dlr=" + url.QueryEscape(receipt) + "%26a=b",
	} {
		u, err := parseURL(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		got, err := u.expand(valuesOf(m, "", ""), nil)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got.String() != want {
			t.Errorf("%s:\n got %s\nwant %s", text, got, want)
		}
		if base, _ := url.Parse(text[:19]); base.Host != got.Host && got.Host != "[::1]:8080" {
			t.Errorf("%s: got host %s", text, got.Host)
		}
	}
}

func TestURLsThatAreRefused(t *testing.T) {
	for _, text := range []string{
		"", "example.com", "ftp://example.com", "https://", "https:///x", "https:x", "https://{to}/", "https://a.example{to}/", "https://e.example:{to}/",
		"https://pa55word@example.com/", "https://user:pa55word@example.com", "https://example.com/#x", "https://example.com/{nothing}",
		"https://example.com/?{to}=x", "https://example.com/%zz", "https://example.com/a/../b", "https://example.com/%2e%2E/b", "https://exa mple.com/",
		"https://example.com/?pa55word={", "{to}", "//example.com/x", "https://example.com/a b", "https://example.com/ {to}",
	} {
		_, err := parseURL(text)
		if err == nil {
			t.Errorf("%q: got no error", text)
		}
		wantDiscreet(t, err)
	}
}

// A value that would be a step in a path, or nothing at all, has no place there.
func TestValuesThatWouldChangeAPath(t *testing.T) {
	u, err := parseURL("https://example.com/accounts/{from}/send")
	if err != nil {
		t.Fatal(err)
	}
	for _, from := range []string{"", ".", ".."} {
		if got, err := u.expand(values{placeFrom: from}, nil); err == nil {
			t.Errorf("%q: got %s", from, got)
		}
	}
	if got, err := u.expand(values{placeFrom: "..."}, nil); err != nil || got.Path != "/accounts/.../send" {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestJSONTemplates(t *testing.T) {
	const text = `{"to":["{plus_to}"],"n":1.50,"big":12345678901234567890,"on":true,"none":null,"empty":"",
		"from":"{from}","hook":{"url":"{receipt_url}","more":{"x":"{receipt_url}"}},"list":["{from}"],"keep":[],"object":{},"t":"<{text}>"}`
	parsed, err := parseJSONTemplate(text)
	if err != nil {
		t.Fatal(err)
	}
	m := Message{To: number, Text: "\"},\"to\":[\"1\"],{\"x\":\"\\ \n\u2028é</script>\xff"}
	got := parsed.expand(valuesOf(m, "", ""))
	var back map[string]any
	if err := json.Unmarshal(got, &back); err != nil {
		t.Fatalf("got %s: %v", got, err)
	}
	if want := "<" + strings.ToValidUTF8(m.Text, "\ufffd") + ">"; back["t"] != want {
		t.Errorf("got %q, want %q", back["t"], want)
	}
	for _, gone := range []string{"from", "hook", "list"} {
		if _, there := back[gone]; there {
			t.Errorf("%s: it is there, want it left out", gone)
		}
	}
	for _, kept := range []string{`"to":["+` + number + `"]`, `"n":1.50`, `"big":12345678901234567890`, `"on":true`, `"none":null`, `"empty":""`, `"keep":[]`, `"object":{}`} {
		if !strings.Contains(string(got), kept) {
			t.Errorf("got %s, want %s in it", got, kept)
		}
	}
	full := parsed.expand(valuesOf(message(), "", ""))
	if !strings.Contains(string(full), `"hook":{"more":{"x":"`+receipt+`"},"url":"`+receipt+`"}`) {
		t.Errorf("got %s", full)
	}
	if nothing, err := parseJSONTemplate(`{"a":["{from}"],"b":{"c":"{receipt_url}"}}`); err != nil || string(nothing.expand(valuesOf(m, "", ""))) != "null" {
		t.Errorf("got %s, %v of what stands for nothing", nothing.expand(valuesOf(m, "", "")), err)
	}
}

func TestJSONTemplatesThatAreRefused(t *testing.T) {
	for _, text := range []string{
		"", "{", `{"a":{to}}`, `{"a":"{to}"} x`, `{"a":"{nobody}"}`, `{"{to}":"a"}`, `["{"]`, `{"a":["b",{"c":"}"}]}`, `{"a":1}{"b":2}`,
	} {
		if _, err := parseJSONTemplate(text); err == nil {
			t.Errorf("%s: got no error", text)
		}
	}
}

// RFC 6901 §5, the whole table.
func TestPointers(t *testing.T) {
	document, ok := decode([]byte(`{"foo":["bar","baz"],"":0,"a/b":1,"c%d":2,"e^f":3,"g|h":4,"i\\j":5,"k\"l":6," ":7,"m~n":8}`))
	if !ok {
		t.Fatal("not read")
	}
	for text, want := range map[string]string{
		"/foo/0": "bar", "/": "0", "/a~1b": "1", "/c%d": "2", "/e^f": "3", "/g|h": "4", "/i\\j": "5", "/k\"l": "6", "/ ": "7", "/m~0n": "8",
	} {
		p, err := parsePointer(text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if got, ok := p.text(document); !ok || got != want {
			t.Errorf("%q: got %q, %t, want %q", text, got, ok, want)
		}
	}
	for _, text := range []string{"/foo/2", "/foo/-", "/foo/-1", "/foo/00", "/foo/+1", "/foo/bar", "/nothing", "/foo/0/x", "", "/foo", "/~01"} {
		p, err := parsePointer(text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if got, ok := p.text(document); ok {
			t.Errorf("%q: got %q, want nothing", text, got)
		}
	}
	for _, text := range []string{"foo", "/~", "/~2", "/a~", "/~0~", " /a"} {
		if _, err := parsePointer(text); err == nil {
			t.Errorf("%q: got no error", text)
		}
	}
}

func TestOneDocumentIsDecoded(t *testing.T) {
	for text, want := range map[string]bool{"{}": true, " 1 ": true, "": false, "{}{}": false, "{} x": false, "<html>": false, "null": true} {
		if _, got := decode([]byte(text)); got != want {
			t.Errorf("%q: got %t, want %t", text, got, want)
		}
	}
}
