// SPDX-License-Identifier: Apache-2.0

package route

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
)

// TestRoutes_WhatEachPathIsFor: who answers, for which purpose and medium, and what the
// homeserver is asked for in its place.
func TestRoutes_WhatEachPathIsFor(t *testing.T) {
	rt := &Router{Prefixes: []string{"/_matrix/client", "/chat/client"}, Identity: true}
	const password = threepid.Password
	for tail, want := range map[string]Route{
		"register":                        {Kind: KindComplete, Purpose: threepid.Register},
		"account/password":                {Kind: KindComplete, Purpose: password},
		"account/3pid":                    {Kind: KindComplete, Purpose: threepid.Add},
		"account/3pid/add":                {Kind: KindAdd, Purpose: threepid.Add},
		"account/3pid/bind":               {Kind: KindBind},
		"account/3pid/identity/bind":      {Kind: KindBind},
		"account/3pid/unbind":             {Kind: KindUnbind},
		"account/3pid/delete":             {Kind: KindUnbind},
		"account/deactivate":              {Kind: KindDeactivate, Purpose: password},
		"register/email/requestToken":     {Kind: KindRequestToken, Purpose: threepid.Register, Medium: threepid.Email},
		"register/msisdn/requestToken":    {Kind: KindRequestToken, Purpose: threepid.Register, Medium: threepid.MSISDN},
		"register/fax/requestToken":       {Kind: kindUnknown, Purpose: threepid.Register},
		"account/3pid/email/requestToken": {Kind: KindRequestToken, Purpose: threepid.Add, Medium: threepid.Email},
		"account/password/x/requestToken": {Kind: kindUnknown, Purpose: password},
		"account":                         {},
		"account/3pid/add/add":            {},
		"account/whoami":                  {},
		"rooms/!a:x/state/a/b/c":          {},
		"register//requestToken":          {},
		"register/./requestToken":         {},
		"register/../requestToken":        {},
	} {
		for _, prefix := range rt.Prefixes {
			for _, version := range []string{"r0", "v3", "api/v1", "v2_alpha", "r0.6.1-x"} {
				want.Prefix, want.Version, want.Tail = prefix, version, tail
				found, suspicious := rt.Classify(&url.URL{Path: prefix + "/" + version + "/" + tail})
				if found != want || suspicious {
					t.Errorf("%s/%s/%s: got %+v, %v, want %+v", prefix, version, tail, found, suspicious, want)
				}
			}
		}
	}
	for path, want := range map[string]Route{
		"/_matrix/client/versions":                             {Kind: KindVersions, Prefix: "/_matrix/client", Tail: "versions"},
		"/_threepid/refuse":                                    {Kind: KindRefuse},
		"/_threepid/probe":                                     {Kind: KindProbe},
		"/_threepid/validate/email/submitToken":                {Kind: KindSubmit, Medium: threepid.Email, Tail: "email/submitToken"},
		"/_threepid/validate/fax/submitToken":                  {Kind: kindUnknown, Tail: "fax/submitToken"},
		"/_threepid/validate/email":                            {},
		"/_threepid/validate/email/submitToken/x":              {},
		"/_matrix/identity/api/v1/validate/msisdn/submitToken": {Kind: KindSubmit, Medium: threepid.MSISDN, Tail: "msisdn/submitToken"},
		"/_matrix/federation/v1/version":                       {},
		"/_matrix/clientele/r0/register":                       {},
		"/_matrix/client/r0":                                   {},
		"/_matrix/client/r0/":                                  {},
		"/_matrix/client/api/v1":                               {},
		"/_matrix/client/api/v1/x":                             {Prefix: "/_matrix/client", Version: "api/v1", Tail: "x"},
		"/_matrix/client/api/x":                                {},
		"/_matrix/client/apis/x":                               {Prefix: "/_matrix/client", Version: "apis", Tail: "x"},
		"/_matrix/client/api//x":                               {},
		"/_matrix/client//x":                                   {},
		"/_matrix/identity/api/v1/validate//submitToken":       {},
		"/_matrix/client//register":                            {},
		"/_matrix/client/api//register":                        {},
	} {
		if found, suspicious := rt.Classify(&url.URL{Path: path}); found != want || suspicious {
			t.Errorf("%s: got %+v, %v, want %+v", path, found, suspicious, want)
		}
	}
	if found, _ := (&Router{}).Classify(&url.URL{Path: "/_matrix/identity/api/v1/validate/email/submitToken"}); found.Kind != KindNone {
		t.Errorf("the path of identity servers is served unasked: %+v", found)
	}
}

// TestRoutes_OddVersions: what a homeserver might read as another version, or as none, is
// none of ours.
func TestRoutes_OddVersions(t *testing.T) {
	rt := &Router{Prefixes: DefaultPrefixes}
	for _, version := range []string{"r0~", "r0:", "r0@", "[r0", "r0`", "{r0", "r!0", "r0+1", "ä", "a,b"} {
		if found, suspicious := rt.Classify(&url.URL{Path: "/_matrix/client/" + version + "/register"}); !suspicious || found.Kind != KindNone {
			t.Errorf("%s: got %+v, suspicious %v", version, found, suspicious)
		}
	}
	for _, version := range []string{"a", "z", "A", "Z", "0", "9", "_", "-", ".x", "r0.6.1"} {
		if found, suspicious := rt.Classify(&url.URL{Path: "/_matrix/client/" + version + "/register"}); suspicious || found.Version != version {
			t.Errorf("%s: got %+v, suspicious %v", version, found, suspicious)
		}
	}
	for _, version := range []string{".", ".."} {
		if PlainVersion(version) {
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
		if got := Plain(&url.URL{Path: path}); got != want {
			t.Errorf("%q: got %v, want %v", path, got, want)
		}
	}
	for raw, want := range map[string]bool{"/a%2Fb": false, "/%61/b": true, "/a/b": true} {
		if got := Plain(&url.URL{Path: "/a/b", RawPath: raw}); got != want {
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
		{DecodeOnce, "/a", "/a"},
		{DecodeOnce, "%41", "A"},
		{DecodeOnce, "a%41b%42", "aAbB"},
		{DecodeOnce, "%4a%4A%6f%6F", "JJoo"},
		{DecodeOnce, "%20%39%1f%F9", " 9\x1f\xf9"},
		{DecodeOnce, "%2541", "%41"},
		{DecodeOnce, "%zz%4g%g4%", "%zz%4g%g4%"},
		{DecodeOnce, "%4/%4:%4@%4G%4`%4", "%4/%4:%4@%4G%4`%4"},
		{DecodeOnce, "%%41", "%A"},
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
	rt := &Router{Prefixes: DefaultPrefixes}
	path := "/x//" + strings.Repeat("a", MaxOddPath-4)
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
	own := "//_threepid/" + strings.Repeat("a", MaxOddPath-12)
	if !InOwnSpace(&url.URL{Path: own}) || InOwnSpace(&url.URL{Path: own + "a"}) {
		t.Errorf("of %d bytes: ours %v, of one more: %v", len(own), InOwnSpace(&url.URL{Path: own}), InOwnSpace(&url.URL{Path: own + "a"}))
	}
}

// FuzzClassify checks that a path which any number of lenient readings turns
// into one of ours is either ours as it stands, or refused.
func FuzzClassify(f *testing.F) {
	for _, seed := range []string{
		"/_matrix/client/r0/register", "/_matrix/client/api/v1/register", "/chat/client/v3/account/3pid/email/requestToken",
		"/_matrix/client/r0/account%2Fpassword", "/_matrix/client/r0/..%2Fr0/register", "/_threepid/validate/email/submitToken",
	} {
		f.Add(seed)
	}
	rt := &Router{Prefixes: DefaultPrefixes, Identity: true}
	f.Fuzz(func(t *testing.T, raw string) {
		u, err := url.ParseRequestURI(raw)
		if err != nil || !strings.HasPrefix(raw, "/") {
			return
		}
		found, suspicious := rt.Classify(u)
		if found.Kind != KindNone && (suspicious || u.EscapedPath() != u.Path || Loosen(u.Path) != u.Path) {
			t.Errorf("%q is taken for ours although it is not canonical", raw)
		}
		if loose := rt.match(Loosen(u.Path), fold); plainlyOther(u) && loose.Kind != KindNone {
			t.Errorf("%q is passed without a look although it may be read as ours", raw)
		}
		lowered := strings.ToLower(u.Path)
		for _, variant := range []string{lowered, strings.TrimRight(lowered, "/"), strings.ReplaceAll(lowered, "//", "/")} {
			if rt.match(variant, fold).Kind != KindNone && found.Kind == KindNone && !suspicious {
				t.Errorf("%q passes although %q is ours", raw, variant)
			}
		}
	})
}

// TestLastSegmentsAreThoseOfTheTable keeps the short cut in step with the table.
func TestLastSegmentsAreThoseOfTheTable(t *testing.T) {
	ends := []string{"versions", strings.TrimPrefix(submitTail, "/")}
	for _, e := range Table {
		ends = append(ends, e.Segments[len(e.Segments)-1])
	}
	for _, end := range ends {
		if !slices.Contains(lastSegments, end) {
			t.Errorf("%q is missing", end)
		}
	}
}
