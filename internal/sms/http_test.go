// SPDX-License-Identifier: Apache-2.0

package sms

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// hostile is a message that tries to be more than a value.
func hostile() Message {
	m := message()
	m.From = `x&to=1","to":"1`
	m.Text = "a\r\nX-Injected: 1\r\n\r\n&to=33123&api_key=x\"}],{'\\ \x00 é 😀 %26 + {to} {text}"
	return m
}

func TestHTTPForm(t *testing.T) {
	d := startDouble(t, says(http.StatusOK, ""))
	h := newHTTP(t, HTTPConfig{URL: d.URL + "/send?v=1", Body: Body{Fields: []Field{
		{Name: "To", Value: "{plus_to}"}, {Name: "From", Value: "{from}"}, {Name: "Body", Value: "{text}"},
	}}, BasicUser: "AC1", BasicPassword: "pa55word"})
	m := hostile()
	if _, err := h.Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	got := d.only(t)
	if got.method != http.MethodPost || got.path != "/send" || got.query != "v=1" {
		t.Errorf("got %s %s?%s", got.method, got.path, got.query)
	}
	want := url.Values{"To": {"+" + number}, "From": {m.From}, "Body": {m.Text}}
	form, err := url.ParseQuery(got.body)
	if err != nil || !maps.EqualFunc(form, want, slices.Equal) {
		t.Errorf("got %v, %v, want %v", form, err, want)
	}
	for name, want := range map[string]string{
		"Content-Type": "application/x-www-form-urlencoded", "User-Agent": "caddy-threepid",
		"Authorization": "Basic " + base64.StdEncoding.EncodeToString([]byte("AC1:pa55word")), "X-Injected": "", "Accept-Encoding": "",
	} {
		if got.header.Get(name) != want {
			t.Errorf("%s: got %q, want %q", name, got.header.Get(name), want)
		}
	}
}

func TestHTTPJSON(t *testing.T) {
	for name, body := range map[string]Body{
		"template": {Type: BodyJSON, Template: `{"to":"{to}","from":"{from}","text":"{text}","secret":"x"}`},
		"fields": {Type: BodyJSON, Fields: []Field{
			{Name: "to", Value: "{to}"}, {Name: "from", Value: "{from}"}, {Name: "text", Value: "{text}"}, {Name: "secret", Value: "x"},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			d := startDouble(t, says(http.StatusAccepted, `{"id":"abc"}`))
			h := newHTTP(t, HTTPConfig{URL: d.URL, Body: body, Bearer: "pa55word", MessageID: Source{Pointer: "/id"}})
			m := hostile()
			a, err := h.Send(t.Context(), m)
			if err != nil || a.ID != "abc" {
				t.Fatalf("got %+v, %v", a, err)
			}
			got := d.only(t)
			var back map[string]string
			if err := json.Unmarshal([]byte(got.body), &back); err != nil {
				t.Fatal(err)
			}
			if want := map[string]string{"to": number, "from": m.From, "text": m.Text, "secret": "x"}; !maps.Equal(back, want) {
				t.Errorf("got %v, want %v", back, want)
			}
			if got.header.Get("Authorization") != "Bearer pa55word" || got.header.Get("Content-Type") != "application/json" {
				t.Errorf("got header %v", got.header)
			}
		})
	}
}

func TestHTTPQueryTextAndNone(t *testing.T) {
	m := hostile()
	query := Body{Type: BodyQuery, Fields: []Field{
		{Name: "password", Value: "{p}&", Literal: true},
		{Name: "text", Value: "{text}"},
		{Name: "from", Value: "{from}"},
		{Name: "dlr", Value: "{receipt_url}&s=%d"},
	}}
	d := startDouble(t, says(http.StatusOK, ""))
	if _, err := newHTTP(t, HTTPConfig{URL: d.URL + "/?a=b", Body: query}).Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	got := d.only(t)
	want := url.Values{"a": {"b"}, "password": {"{p}&"}, "text": {m.Text}, "from": {m.From}, "dlr": {receipt + "&s=%d"}}
	if form, err := url.ParseQuery(got.query); err != nil || !maps.EqualFunc(form, want, slices.Equal) || got.method != http.MethodGet || got.body != "" {
		t.Errorf("got %s %v %q, %v, want %v", got.method, form, got.body, err, want)
	}
	if got.header.Get("Transfer-Encoding") != "" || got.header.Get("Content-Type") != "" {
		t.Errorf("got header %v", got.header)
	}

	d = startDouble(t, says(http.StatusOK, ""))
	text := HTTPConfig{URL: d.URL + "/{to}", Method: "put", Body: Body{Type: BodyText, Template: "{text}"}, Headers: map[string][]string{"X-To": {"{to}", "{from}"}}}
	if _, err := newHTTP(t, text).Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	got = d.only(t)
	if got.body != m.Text || got.header.Get("Content-Type") != "text/plain; charset=utf-8" || got.method != http.MethodPut || got.path != "/"+number || !slices.Equal(got.header["X-To"], []string{number, m.From}) {
		t.Errorf("got %+v", got)
	}

	d = startDouble(t, says(http.StatusOK, ""))
	if _, err := newHTTP(t, HTTPConfig{URL: d.URL + "/{to}", Method: "POST"}).Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if got = d.only(t); got.body != "" || got.method != http.MethodPost || got.header.Get("Content-Length") != "0" {
		t.Errorf("got %+v", got)
	}
}

func TestHTTPLeavesOutWhatIsEmpty(t *testing.T) {
	d := startDouble(t, says(http.StatusOK, ""))
	fields := []Field{{Name: "from", Value: "{from}"}, {Name: "hook", Value: "{receipt_url}"}, {Name: "u", Value: "{unicode}"}, {Name: "t", Value: "{to}"}}
	h := newHTTP(t, HTTPConfig{URL: d.URL + "/?f={from}", Body: Body{Fields: fields}, Headers: map[string][]string{"X-From": {"{from}"}}, UnicodeWord: "2"})
	if _, err := h.Send(t.Context(), Message{To: number, Text: secret}); err != nil {
		t.Fatal(err)
	}
	got := d.only(t)
	if _, there := got.header["X-From"]; there || got.body != "t="+number || got.query != "" {
		t.Errorf("got %q ?%q %v", got.body, got.query, got.header)
	}
}

// What cannot stand in a header is not sent at all.
func TestHTTPHeaderInjection(t *testing.T) {
	d := startDouble(t, says(http.StatusOK, ""))
	h := newHTTP(t, HTTPConfig{URL: d.URL, Headers: map[string][]string{"X-Text": {"{text}"}, "X-From": {"{from}"}}})
	for _, evil := range []string{"a\r\nX-Injected: 1", "a\nb", "a\x00b", "a\x7fb", "a\tb"} {
		m := message()
		m.From = evil
		if got := refusedBy(t, h, m); got.Reason != ReasonRejected || got.Again || got.Unsure || got.Fault {
			t.Errorf("%q: got %+v, want it rejected", evil, got)
		}
	}
	if d.count() != 0 {
		t.Errorf("got %d requests, want none", d.count())
	}
}

func TestHTTPConfigurationsThatAreRefused(t *testing.T) {
	const u = "https://example.com/"
	form := Body{Fields: []Field{{Name: "a", Value: "{to}"}}}
	for name, cfg := range map[string]HTTPConfig{
		"no url":               {},
		"timeout":              {URL: u, Timeout: -1},
		"method":               {URL: u, Method: "PATCH"},
		"get with a body":      {URL: u, Method: "GET", Body: form},
		"unknown type":         {URL: u, Body: Body{Type: "xml", Template: "x"}},
		"none with content":    {URL: u, Body: Body{Type: BodyNone, Template: "x"}},
		"template, no type":    {URL: u, Body: Body{Template: "{}"}},
		"fields and template":  {URL: u, Body: Body{Type: BodyJSON, Template: "{}", Fields: form.Fields}},
		"form without fields":  {URL: u, Body: Body{Type: BodyForm}},
		"field without a name": {URL: u, Body: Body{Fields: []Field{{Value: "x"}}}},
		"field with braces":    {URL: u, Body: Body{Fields: []Field{{Name: "a", Value: "{pa55word}"}}}},
		"named by placeholder": {URL: u, Body: Body{Fields: []Field{{Name: "{to}", Value: "x"}}}},
		"json field twice":     {URL: u, Body: Body{Type: BodyJSON, Fields: []Field{{Name: "a"}, {Name: "a"}}}},
		"text with more":       {URL: u, Body: Body{Type: BodyText, Template: "to={to}\n{text}"}},
		"text literal":         {URL: u, Body: Body{Type: BodyText, Template: "x"}},
		"header name":          {URL: u, Headers: map[string][]string{"a b": {"x"}}},
		"header value":         {URL: u, Headers: map[string][]string{"A": {"x\ny"}}},
		"header braces":        {URL: u, Headers: map[string][]string{"A": {"{x}"}}},
		"header of ours":       {URL: u, Headers: map[string][]string{"content-length": {"1"}}},
		"header host":          {URL: u, Headers: map[string][]string{"Host": {"a"}}},
		"header twice":         {URL: u, Headers: map[string][]string{"X-A": {"1"}, "x-a": {"2"}}},
		"two credentials":      {URL: u, Bearer: "pa55word", BasicUser: "a"},
		"credentials, header":  {URL: u, Bearer: "pa55word", Headers: map[string][]string{"authorization": {"x"}}},
		"colon in user":        {URL: u, BasicUser: "a:b", BasicPassword: "pa55word"},
		"bearer with newline":  {URL: u, Bearer: "pa55word\n"},
		"success values":       {URL: u, Success: Match{Values: []string{"0"}}},
		"success pointer":      {URL: u, Success: Match{Pointer: "x"}},
		"success status":       {URL: u, Success: Match{Statuses: []int{100}}},
		"refusal of all":       {URL: u, Refusals: []Refusal{{Reason: ReasonRejected}}},
		"refusal reason":       {URL: u, Refusals: []Refusal{{Match: Match{Statuses: []int{400}}, Reason: "bad"}}},
		"refusal pointer":      {URL: u, Refusals: []Refusal{{Match: Match{Pointer: "/~"}, Reason: ReasonRejected}}},
		"two ids":              {URL: u, MessageID: Source{Pointer: "/a", Header: "B"}},
		"id pointer":           {URL: u, MessageID: Source{Pointer: "a"}},
	} {
		_, err := NewHTTP(cfg)
		if err == nil {
			t.Errorf("%s: got no error", name)
		}
		wantDiscreet(t, err)
	}
}

func TestHTTPKeepsConnections(t *testing.T) {
	var peers sync.Map
	d := startDouble(t, func(w http.ResponseWriter, r *http.Request) {
		peers.Store(r.RemoteAddr, true)
		_, _ = io.WriteString(w, "fine")
	})
	h := newHTTP(t, HTTPConfig{URL: d.URL, Body: Body{Type: BodyQuery, Fields: []Field{{Name: "t", Value: "{text}"}}}})
	for range 3 {
		if _, err := h.Send(t.Context(), message()); err != nil {
			t.Fatal(err)
		}
	}
	conns := 0
	peers.Range(func(any, any) bool { conns++; return true })
	if conns != 1 || d.count() != 3 {
		t.Errorf("got %d connections for %d requests, want 1 for 3", conns, d.count())
	}
}

// A request that was written is never repeated behind our back, even where
// net/http would: a message sent twice is paid twice.
func TestHTTPNeverSendsTwice(t *testing.T) {
	for name, cfg := range map[string]HTTPConfig{
		"get":         {Body: Body{Type: BodyQuery, Fields: []Field{{Name: "t", Value: "{text}"}}}},
		"post":        {Body: Body{Fields: []Field{{Name: "t", Value: "{text}"}}}},
		"idempotency": {Body: Body{Fields: []Field{{Name: "t", Value: "{text}"}}}, Headers: map[string][]string{"Idempotency-Key": {"{id}"}}},
	} {
		t.Run(name, func(t *testing.T) {
			var requests atomic.Int64
			cfg.URL = listen(t, func(conn net.Conn, in *bufio.Reader) {
				if readRequest(in) != nil {
					return
				}
				if requests.Add(1) == 1 {
					_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
					if readRequest(in) == nil {
						requests.Add(1)
					}
				}
			}) + "/"
			h := newHTTP(t, cfg)
			if _, err := h.Send(t.Context(), message()); err != nil {
				t.Fatal(err)
			}
			if got := refusedBy(t, h, message()); got.Reason != ReasonLost || !got.Unsure || !got.Again {
				t.Errorf("got %+v, want it lost and unsure", got)
			}
			if requests.Load() != 2 {
				t.Errorf("got %d requests, want 2", requests.Load())
			}
		})
	}
}

// A connection that was closed while it was idle costs nothing: either that is
// seen before anything was written to it, and the message takes another one; or
// nobody knows whether it arrived, and that is said.
func TestHTTPReplacesAConnectionThatWasClosed(t *testing.T) {
	h := newHTTP(t, HTTPConfig{Body: Body{Fields: []Field{{Name: "t", Value: "{text}"}}}, URL: listen(t, func(conn net.Conn, in *bufio.Reader) {
		if readRequest(in) == nil {
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		}
	})})
	for i := range 50 {
		_, err := h.Send(t.Context(), message())
		if failed, ok := errors.AsType[*SendError](err); ok && !failed.Unsure {
			t.Fatalf("message %d: got %v", i, err)
		}
	}
}

func TestHTTPMessageIDs(t *testing.T) {
	for _, tt := range []struct {
		name   string
		source Source
		body   string
		want   string
	}{
		{"pointer", Source{Pointer: "/messages/0/id"}, `{"messages":[{"id":"m1"}]}`, "m1"},
		{"number", Source{Pointer: "/id"}, `{"id":12345678901234567890}`, "12345678901234567890"},
		{"missing", Source{Pointer: "/id"}, `{}`, ""},
		{"not json", Source{Pointer: "/id"}, `<html>`, ""},
		{"header", Source{Header: "X-Message"}, "", "from-header"},
		{"controls", Source{Pointer: "/id"}, `{"id":"a\u0007b"}`, ""},
		{"not ascii", Source{Pointer: "/id"}, `{"id":"é"}`, ""},
		{"too long", Source{Pointer: "/id"}, `{"id":"` + strings.Repeat("x", maxMessageID+1) + `"}`, ""},
		{"nowhere", Source{}, `{"id":"x"}`, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := startDouble(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("X-Message", "from-header")
				_, _ = io.WriteString(w, tt.body)
			})
			a, err := newHTTP(t, HTTPConfig{URL: d.URL, MessageID: tt.source}).Send(t.Context(), message())
			if err != nil || a.ID != tt.want {
				t.Errorf("got %q, %v, want %q", a.ID, err, tt.want)
			}
		})
	}
}
