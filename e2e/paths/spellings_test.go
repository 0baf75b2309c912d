// SPDX-License-Identifier: Apache-2.0

package paths

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"

	"github.com/caddy-threepid/caddy-threepid/handlers"
)

// tails are the paths of ours below prefix and version.
var tails = []string{
	"register/email/requestToken", "register/msisdn/requestToken", "account/password/email/requestToken", "account/password/msisdn/requestToken",
	"account/3pid/email/requestToken", "account/3pid/msisdn/requestToken", "register", "account/password", "account/3pid", "account/3pid/add",
	"account/3pid/bind", "account/3pid/unbind", "account/3pid/delete", "account/deactivate",
}

// versions are those that Synapse 1.3.1 knows, and some that it does not.
var versions = []string{"r0", "unstable", "v2_alpha", "api/v1", "v3", "v1"}

// roots are the paths of ours outside of that.
var roots = []string{
	"/_matrix/client/versions", handlers.SubmitPath + "email/submitToken", handlers.SubmitPath + "msisdn/submitToken",
	handlers.RefusePath, handlers.ProbePath,
}

// router is ours, as it is configured by default.
func router() handlers.Config {
	cfg := handlers.Config{PublicURL: "https://matrix.example.org", IdentityName: "localhost:8443", IdentitySubmit: true}
	if err := cfg.Normalize(); err != nil {
		panic(err) // constant options
	}
	return cfg
}

// canonical are all paths of ours.
func canonical() (all []string) {
	for _, prefix := range handlers.DefaultPrefixes {
		for _, version := range versions {
			for _, tail := range tails {
				all = append(all, prefix+"/"+version+"/"+tail)
			}
		}
	}
	return append(all, roots...)
}

// parse reads a request target as net/http does; ok is false for one that no
// handler ever sees.
func parse(target string) (r *http.Request, ok bool) {
	text := "GET " + target + " HTTP/1.1\r\nHost: matrix.example.org\r\n\r\n"
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(text)))
	if err != nil || !strings.HasPrefix(r.RequestURI, "/") {
		return nil, false
	}
	return r, true
}

// passed reports whether our router passes a target on as none of ours, and
// returns what reverse_proxy then sends.
func passed(cfg handlers.Config, target string) (r *http.Request, sent string, ok bool) {
	r, ok = parse(target)
	if !ok || handlers.Ours(cfg, r.URL) {
		return nil, "", false
	}
	return r, r.URL.RequestURI(), true
}

// junk is what lenient parsers drop, merge or cut off.
var junk = []string{
	"/", "//", "/./", "/../", "/x/../", "/..;/", ".", "..", ";", ";a=b", "%20", "+", "%00", "%0a", "%0d%0a", "%09", "%2f", "%2F", "%252f", "%5c", `\`, "%2e", "%2e%2e/",
	"?", "?a=b", "#", "%23", "%3f", "%3b", "%", "%%", "%c0%af", "%ef%bc%8f", "%c2%a0", "%ef%bb%bf", "%e2%80%8b", "\xa0", "\u017f", "\u212a", "\u0130", "%c5%bf", "%e2%84%aa",
	":", "@", "!", "*", "$", "&", "=", ",", "'", "~", "%7e", "_", "%u0072", "1", "a", "Z", "%80", "%ff", "\u2044", "r0/", "/r0", "index.html", ".json",
}

// misspell makes some changes to a path, of the kind that parsers disagree on.
func misspell(rnd *rand.Rand, path string) string {
	for range 1 + rnd.IntN(3) {
		at := rnd.IntN(len(path) + 1)
		if rnd.IntN(3) == 0 {
			at = len(path) // ends are cut off by most parsers
		}
		switch rnd.IntN(6) {
		case 0:
			path = path[:at] + junk[rnd.IntN(len(junk))] + path[at:]
		case 1:
			path += junk[rnd.IntN(len(junk))]
		case 2:
			if at < len(path) {
				path = path[:at] + fmt.Sprintf([]string{"%%%02x", "%%%02X", "%%25%02x"}[rnd.IntN(3)], path[at]) + path[at+1:]
			}
		case 3:
			if at < len(path) {
				path = path[:at] + swapCase(path[at:at+1]) + path[at+1:]
			}
		case 4:
			path = strings.Replace(path, "/", junk[rnd.IntN(len(junk))], 1+rnd.IntN(2))
		case 5:
			if at < len(path) {
				path = path[:at] + path[at+1:]
			}
		}
		if !strings.HasPrefix(path, "/") {
			path = "/" + path
		}
	}
	return path
}

func swapCase(s string) string {
	if up := strings.ToUpper(s); up != s {
		return up
	}
	return strings.ToLower(s)
}

// seeds are spellings that have told parsers apart before.
func seeds() []string {
	return append(canonical(),
		"/_matrix/client/r0/account%2Fpassword", "/_matrix/client/r0/..%2Fr0/register", "//_matrix/client/r0/register", "/_matrix/client/r0/%72egister",
		"/%5fmatrix/client/r0/register", "/_matrix/client/%72%30/register", "/_matrix/client/r0/register.", "/_matrix/client/r0/register%20", "/_matrix/client/r0/register#",
		"/_matrix/client/r0/register%0a", "/_matrix/client/r0/register;x", "/_matrix/client/r0/register?", "/_matrix/client/r0/regi\u017fter", "/_matrix/client/r0/register/available",
		"/_matrix/client/r0/sync", "/_matrix/client/api/v1/login", "/_synapse/admin/v1/register", "/_matrix/client/r0/admin/register", "/",
	)
}
