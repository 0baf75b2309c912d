// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/route"
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
		// Too long to be read in each way that there is.
		"/_matrix/client/r0/x/" + strings.Repeat("%3B", route.MaxOddPath), // one byte each
		"/_matrix/client/r0/x//" + strings.Repeat("a", route.MaxOddPath),
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
