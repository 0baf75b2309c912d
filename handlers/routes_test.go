// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
)

func TestHostileSpellingsAre404(t *testing.T) {
	for _, path := range []string{
		"/_MATRIX/client/r0/register/email/requestToken", "/_matrix/client/r0/Register/email/requestToken",
		"/_matrix/client/r0/register/email/requestToken/", "//_matrix/client/r0/register/email/requestToken",
		"/_matrix//client/r0/register/email/requestToken", "/_matrix/client/r0/x/../register/email/requestToken",
		"/_matrix/client/r0/./account/password", "/_matrix/client/r0/account%2Fpassword", "/_matrix/client/r0/account%252Fpassword",
		"/_matrix/client/r0/%72egister", "/_matrix/client/r0/account/password;x=1", "/_matrix/client/r0/account%5Cpassword",
		"/_matrix/client/r0/account/password%20", "/_matrix/client/r0/account/password%00", "/_matrix/client/versions/",
		"/_matrix/client/VERSIONS", "/_threepid/validate/EMAIL/submitToken", "/_threepid//validate/email/submitToken",
		"/CHAT/client/r0/account/3pid", "/_matrix/client/r%30/account/3pid",
		"/_matrix/client/%20/ACCount%2FpAssword",
		// Found by comparing with Caddy's own cleaning of paths: dots that an
		// empty segment, or one with a parameter, stands before.
		"/_matrix/client/r0/account//../password", "/_matrix/client/r0/register/..;/..", "/_matrix/client/r%252fx/../0/register",
		"/_matrix/client/r0/register/" + strings.Repeat("%25", 9000),
	} {
		r := newRig(t, options{})
		rec := r.do("POST", path, validToken)
		wantError(t, rec, http.StatusNotFound, "M_UNRECOGNIZED")
		if len(r.hs.Requests()) != 0 || r.box.count() != 0 {
			t.Errorf("%s had an effect", path)
		}
	}
}

func TestOtherPathsPass(t *testing.T) {
	for _, path := range []string{
		"/", "/_matrix/client/r0/sync", "/_matrix/client/r0/register/available", "/_matrix/client/r0/account/whoami",
		"/_matrix/client/r0/rooms/%21a%3Ax%2Fregister/state", "/_matrix/identity/api/v1/3pid/getValidated3pid",
		"/_matrix/client/r0/account/3pid/delete", "/_matrix/federation/v1/version", "/_threepid", "/_matrix/client/r0/devices/register",
	} {
		r := newRig(t, options{})
		passed := false
		r.next = func(w http.ResponseWriter, req *http.Request) error {
			passed = req.URL.EscapedPath() == path
			w.WriteHeader(http.StatusOK)
			return nil
		}
		r.do("GET", path, "")
		if !passed {
			t.Errorf("%s did not reach the homeserver as it was", path)
		}
	}
}

func TestPassThroughKeepsTheWriter(t *testing.T) {
	r := newRig(t, options{})
	w := &marked{}
	req := mustRequest(t, "GET", "/_matrix/client/r0/sync")
	err := r.client.ServeHTTP(w, req, func(got http.ResponseWriter, gotReq *http.Request) error {
		if got != http.ResponseWriter(w) || gotReq != req {
			t.Error("the next handler got another writer or request")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

type marked struct{ http.ResponseWriter }

func mustRequest(t *testing.T, method, target string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, target, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	return req
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
	rt := &router{prefixes: DefaultPrefixes, identity: true}
	f.Fuzz(func(t *testing.T, raw string) {
		u, err := url.ParseRequestURI(raw)
		if err != nil || !strings.HasPrefix(raw, "/") {
			return
		}
		found, suspicious := rt.classify(u)
		if found.kind != kindNone && (suspicious || u.EscapedPath() != u.Path || loosen(u.Path) != u.Path) {
			t.Errorf("%q is taken for ours although it is not canonical", raw)
		}
		if loose := rt.match(loosen(u.Path), fold); plainlyOther(u) && loose.kind != kindNone {
			t.Errorf("%q is passed without a look although it may be read as ours", raw)
		}
		lowered := strings.ToLower(u.Path)
		for _, variant := range []string{lowered, strings.TrimRight(lowered, "/"), strings.ReplaceAll(lowered, "//", "/")} {
			if rt.match(variant, fold).kind != kindNone && found.kind == kindNone && !suspicious {
				t.Errorf("%q passes although %q is ours", raw, variant)
			}
		}
	})
}

// TestLastSegmentsAreThoseOfTheTable keeps the short cut in step with the table.
func TestLastSegmentsAreThoseOfTheTable(t *testing.T) {
	ends := []string{"versions", strings.TrimPrefix(submitTail, "/")}
	for _, e := range table {
		ends = append(ends, e.segments[len(e.segments)-1])
	}
	for _, end := range ends {
		if !slices.Contains(lastSegments, end) {
			t.Errorf("%q is missing", end)
		}
	}
}
