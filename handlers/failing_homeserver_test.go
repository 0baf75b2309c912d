// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/wire"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/fakehs"
)

// farFault is a way in which a call of the homeserver fails.
type farFault struct {
	name string
	do   fakehs.Fault
	// acts says that it does what it was asked for; lies that what it says is not true.
	acts, lies bool
}

// farSide makes one call of the homeserver fail. Calls come one after the other.
type farSide struct {
	count, at int
	fault     farFault
	broke     string
	lied      bool
}

// arm makes the n-th call from here on fail, and none if n is zero.
func (f *farSide) arm(n int, fault farFault) { *f = farSide{at: n, fault: fault} }

// meets counts a call, and reports whether it is the one.
func (f *farSide) meets(r *http.Request) bool {
	if f.count++; f.count != f.at {
		return false
	}
	f.broke = f.fault.name + " for " + r.Method + " " + r.URL.Path
	return true
}

// says answers in place of the homeserver.
func says(status int, contentType, body string) fakehs.Fault {
	return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		wire.EnsureCORS(w.Header())
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body)) // to a recorder
	}
}

// after lets the homeserver act before a fault.
func after(fault fakehs.Fault) fakehs.Fault {
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		next.ServeHTTP(httptest.NewRecorder(), r)
		fault(w, r, next)
	}
}

// lost is an answer that never comes.
func lost(_ http.ResponseWriter, _ *http.Request, _ http.Handler) {
	panic(&wire.UpstreamError{Status: http.StatusBadGateway, Err: wire.ErrNoAnswer})
}

// hangs until the one who asks loses patience.
func hangs(_ http.ResponseWriter, r *http.Request, _ http.Handler) {
	<-r.Context().Done()
	panic(&wire.UpstreamError{Status: http.StatusGatewayTimeout, Err: context.Cause(r.Context())})
}

// breaksOff in the middle of its answer.
func breaksOff(w http.ResponseWriter, r *http.Request, next http.Handler) {
	answer := httptest.NewRecorder()
	next.ServeHTTP(answer, r)
	w.WriteHeader(answer.Code)
	_, _ = w.Write(answer.Body.Bytes()[:answer.Body.Len()/2]) // to a recorder
	panic(http.ErrAbortHandler)
}

// mistakes answers about another user.
func mistakes(w http.ResponseWriter, r *http.Request, next http.Handler) {
	answer := httptest.NewRecorder()
	next.ServeHTTP(answer, r)
	body := strings.ReplaceAll(answer.Body.String(), "@bob:", "@alice:")
	says(answer.Code, "application/json", body)(w, r, next)
}

const aPage = "<html><title>It works!</title></html>"

var farFaults = []farFault{
	{name: "500", do: says(500, "application/json", `{"errcode":"M_UNKNOWN","error":"Internal server error"}`)},
	{name: "500 after it acted", do: after(says(500, "application/json", `{"errcode":"M_UNKNOWN","error":"Internal server error"}`)), acts: true},
	{name: "504, no JSON, after it acted", do: after(says(504, "text/html", aPage)), acts: true},
	{name: "503, no JSON", do: says(503, "text/html", aPage)},
	{name: "no answer", do: lost},
	{name: "no answer after it acted", do: after(lost), acts: true},
	{name: "a hang", do: hangs},
	{name: "a hang after it acted", do: after(hangs), acts: true},
	{name: "half an answer", do: breaksOff, acts: true},
	{name: "429", do: says(429, "application/json", `{"errcode":"M_LIMIT_EXCEEDED","error":"Too many requests","retry_after_ms":1000}`)},
	{name: "401, no JSON", do: says(401, "text/html", aPage)},
	{name: "401 with a list of nothing", do: says(401, "application/json", `{"completed":[]}`)},
	{name: "403, no JSON", do: says(403, "text/html", aPage)},
	{name: "404, no JSON", do: says(404, "text/html", aPage)},
	{name: "another user", do: mistakes, acts: true, lies: true},
	{name: "200, no JSON", do: says(200, "text/html", aPage), lies: true},
	{name: "200 of nothing", do: says(200, "application/json", `{}`), lies: true},
}
