// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"net/url"
	"strings"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// TestRoutes_WhatEachPathIsFor: who answers, for which purpose and medium, and what the
// homeserver is asked for in its place.
func TestRoutes_WhatEachPathIsFor(t *testing.T) {
	rt := &router{prefixes: []string{"/_matrix/client", "/chat/client"}, identity: true}
	const password = verification.Password
	for tail, want := range map[string]route{
		"register":                        {kind: kindComplete, purpose: verification.Register},
		"account/password":                {kind: kindComplete, purpose: password},
		"account/3pid":                    {kind: kindComplete, purpose: verification.Add},
		"account/3pid/add":                {kind: kindAdd, purpose: verification.Add},
		"account/3pid/bind":               {kind: kindBind},
		"account/3pid/identity/bind":      {kind: kindBind},
		"account/3pid/unbind":             {kind: kindUnbind},
		"account/3pid/delete":             {kind: kindUnbind},
		"account/deactivate":              {kind: kindDeactivate, purpose: password},
		"register/email/requestToken":     {kind: kindRequestToken, purpose: verification.Register, medium: verification.Email},
		"register/msisdn/requestToken":    {kind: kindRequestToken, purpose: verification.Register, medium: verification.MSISDN},
		"register/fax/requestToken":       {kind: kindUnknown, purpose: verification.Register},
		"account/3pid/email/requestToken": {kind: kindRequestToken, purpose: verification.Add, medium: verification.Email},
		"account/password/x/requestToken": {kind: kindUnknown, purpose: password},
		"account":                         {},
		"account/3pid/add/add":            {},
		"account/whoami":                  {},
		"rooms/!a:x/state/a/b/c":          {},
		"register//requestToken":          {},
		"register/./requestToken":         {},
		"register/../requestToken":        {},
	} {
		for _, prefix := range rt.prefixes {
			for _, version := range []string{"r0", "v3", "api/v1", "v2_alpha", "r0.6.1-x"} {
				want.prefix, want.version, want.tail = prefix, version, tail
				found, suspicious := rt.classify(&url.URL{Path: prefix + "/" + version + "/" + tail})
				if found != want || suspicious {
					t.Errorf("%s/%s/%s: got %+v, %v, want %+v", prefix, version, tail, found, suspicious, want)
				}
			}
		}
	}
	for path, want := range map[string]route{
		"/_matrix/client/versions":                             {kind: kindVersions, prefix: "/_matrix/client", tail: "versions"},
		"/_threepid/refuse":                                    {kind: kindRefuse},
		"/_threepid/probe":                                     {kind: kindProbe},
		"/_threepid/validate/email/submitToken":                {kind: kindSubmit, medium: verification.Email, tail: "email/submitToken"},
		"/_threepid/validate/fax/submitToken":                  {kind: kindUnknown, tail: "fax/submitToken"},
		"/_threepid/validate/email":                            {},
		"/_threepid/validate/email/submitToken/x":              {},
		"/_matrix/identity/api/v1/validate/msisdn/submitToken": {kind: kindSubmit, medium: verification.MSISDN, tail: "msisdn/submitToken"},
		"/_matrix/federation/v1/version":                       {},
		"/_matrix/clientele/r0/register":                       {},
		"/_matrix/client/r0":                                   {},
		"/_matrix/client/r0/":                                  {},
		"/_matrix/client/api/v1":                               {},
		"/_matrix/client/api/v1/x":                             {prefix: "/_matrix/client", version: "api/v1", tail: "x"},
		"/_matrix/client/api/x":                                {},
		"/_matrix/client/apis/x":                               {prefix: "/_matrix/client", version: "apis", tail: "x"},
		"/_matrix/client/api//x":                               {},
		"/_matrix/client//x":                                   {},
		"/_matrix/identity/api/v1/validate//submitToken":       {},
		"/_matrix/client//register":                            {},
		"/_matrix/client/api//register":                        {},
	} {
		if found, suspicious := rt.classify(&url.URL{Path: path}); found != want || suspicious {
			t.Errorf("%s: got %+v, %v, want %+v", path, found, suspicious, want)
		}
	}
	if found, _ := (&router{}).classify(&url.URL{Path: "/_matrix/identity/api/v1/validate/email/submitToken"}); found.kind != kindNone {
		t.Errorf("the path of identity servers is served unasked: %+v", found)
	}
}

// TestRoutes_OddVersions: what a homeserver might read as another version, or as none, is
// none of ours.
func TestRoutes_OddVersions(t *testing.T) {
	rt := &router{prefixes: DefaultPrefixes}
	for _, version := range []string{"r0~", "r0:", "r0@", "[r0", "r0`", "{r0", "r!0", "r0+1", "ä", "a,b"} {
		if found, suspicious := rt.classify(&url.URL{Path: "/_matrix/client/" + version + "/register"}); !suspicious || found.kind != kindNone {
			t.Errorf("%s: got %+v, suspicious %v", version, found, suspicious)
		}
	}
	for _, version := range []string{"a", "z", "A", "Z", "0", "9", "_", "-", ".x", "r0.6.1"} {
		if found, suspicious := rt.classify(&url.URL{Path: "/_matrix/client/" + version + "/register"}); suspicious || found.version != version {
			t.Errorf("%s: got %+v, suspicious %v", version, found, suspicious)
		}
	}
	for _, version := range []string{".", ".."} {
		if plainVersion(version) {
			t.Errorf("%s is taken for a version", version)
		}
	}
}

// TestRoutes_PlainPaths: the short cut takes what every parser reads alike, and nothing
// else.
func TestRoutes_PlainPaths(t *testing.T) {
	for path, want := range map[string]bool{
		"/a/b": true, "/a!b~": true, "/a/b/": true, "/a.b": true, "/": true,
		"/a b": false, "/a\x7f": false, "/é": false, "/a%b": false, `/a\b`: false, "/a;b": false, "/a//b": false, "/a/./b": false, "/a/.b": false, "//": false,
	} {
		if got := plain(&url.URL{Path: path}); got != want {
			t.Errorf("%q: got %v, want %v", path, got, want)
		}
	}
	for raw, want := range map[string]bool{"/a%2Fb": false, "/%61/b": true, "/a/b": true} {
		if got := plain(&url.URL{Path: "/a/b", RawPath: raw}); got != want {
			t.Errorf("%s: got %v, want %v", raw, got, want)
		}
	}
	for path, want := range map[string]bool{"/x/register": false, "/x/REGISTER": false, "/x/register/": false, "/x/registers": true, "/x/register;": false, "register": false} {
		if got := plainlyOther(&url.URL{Path: path}); got != want {
			t.Errorf("%s: got %v, want %v", path, got, want)
		}
	}
}

// TestOddPaths_WhatParsersMakeOfThem, each by itself.
func TestOddPaths_WhatParsersMakeOfThem(t *testing.T) {
	for _, c := range []struct {
		does     func(string) string
		from, to string
	}{
		{decodeOnce, "/a", "/a"},
		{decodeOnce, "%41", "A"},
		{decodeOnce, "a%41b%42", "aAbB"},
		{decodeOnce, "%4a%4A%6f%6F", "JJoo"},
		{decodeOnce, "%20%39%1f%F9", " 9\x1f\xf9"},
		{decodeOnce, "%2541", "%41"},
		{decodeOnce, "%zz%4g%g4%", "%zz%4g%g4%"},
		{decodeOnce, "%4/%4:%4@%4G%4`%4", "%4/%4:%4@%4G%4`%4"},
		{decodeOnce, "%%41", "%A"},
		{dropBlanks, "/a b\t\u00a0\ufeff\x7f\x00c", "/abc"},
		{dropBlanks, "/!~\u00a1\x80", "/!~\u00a1\x80"},
		{cutParameters, "/a;b/c;d;e/f", "/a/c/f"},
		{cutParameters, "/a/b", "/a/b"},
		{removeDots, "/a/../b", "/b"},
		{removeDots, "/a/./b/..", "/a"},
		{removeDots, "/../a", "/a"},
		{removeDots, "/a//../b", "/a/b"},
		{removeDots, "/a//b/.c", "/a//b/.c"},
		{removeDots, "a/b", "/a/b"},
		{clean, "a//b", "/a/b"},
		{clean, "/a/../b/", "/b"},
	} {
		if got := c.does(c.from); got != c.to {
			t.Errorf("%q becomes %q, want %q", c.from, got, c.to)
		}
	}
}

// TestOddPaths_HowLongTheyMayBe, to the byte.
func TestOddPaths_HowLongTheyMayBe(t *testing.T) {
	rt := &router{prefixes: DefaultPrefixes}
	path := "/x//" + strings.Repeat("a", maxOddPath-4)
	if rt.suspicious(path) || !rt.suspicious(path+"a") {
		t.Errorf("of %d bytes: suspicious %v, of one more: %v", len(path), rt.suspicious(path), rt.suspicious(path+"a"))
	}
	const most = `/x/%41/a b/a\b/a;b/./y`
	if all, ok := readings(most); !ok || len(all) != maxReadings {
		t.Errorf("%s has %d readings, complete: %v, want %d", most, len(all), ok, maxReadings)
	}
	if all, ok := readings(`/x/%41/%2541/a b/a\b/a;b/./y`); ok || len(all) != maxReadings {
		t.Errorf("got %d readings, complete: %v, want the first %d", len(all), ok, maxReadings)
	}
	own := "//_threepid/" + strings.Repeat("a", maxOddPath-12)
	if !below(&url.URL{Path: own}) || below(&url.URL{Path: own + "a"}) {
		t.Errorf("of %d bytes: ours %v, of one more: %v", len(own), below(&url.URL{Path: own}), below(&url.URL{Path: own + "a"}))
	}
}
