// SPDX-License-Identifier: Apache-2.0

package wiring

import (
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/rewrite"
)

// madeUp is a request with what matchers and rewrites of Caddy's need.
func madeUp(method, host, path string) *http.Request {
	r := &http.Request{
		Method: method, Host: host, URL: &url.URL{Path: path}, RequestURI: path,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{}, Body: http.NoBody,
		RemoteAddr: "192.0.2.1:50000", // of TEST-NET-1, where nobody is
	}
	return caddyhttp.PrepareRequest(r, caddy.NewReplacer(), nobody{}, nil)
}

// nobody is who gets the answer.
type nobody struct{}

func (nobody) Header() http.Header         { return http.Header{} }
func (nobody) Write(p []byte) (int, error) { return len(p), nil }
func (nobody) WriteHeader(int)             {}

// placeholder finds placeholders of Caddy's.
var placeholder = regexp.MustCompile(`\{[^{}]+\}`)

// rewritten is the request as a rewrite leaves it. It is not known if the rewrite
// uses a value that is made elsewhere, by `map` or `vars` say.
func rewritten(r *http.Request, how *rewrite.Rewrite) (changed *http.Request, known bool) {
	raw, err := json.Marshal(how)
	if err != nil {
		return r, false
	}
	for _, name := range placeholder.FindAllString(strings.ReplaceAll(string(raw), `{"`, ""), -1) {
		if !strings.HasPrefix(name, "{http.request.uri") {
			return r, false
		}
	}
	// A replacer looks at the request that it was made with.
	c := madeUp(r.Method, r.Host, r.URL.Path)
	c.URL.RawQuery, c.RequestURI = r.URL.RawQuery, r.RequestURI
	repl, ok := c.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	if !ok {
		return r, false
	}
	how.Rewrite(c, repl)
	return c, true
}
