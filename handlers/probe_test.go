// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/route"
)

func TestProbeProvesWhoAnswers(t *testing.T) {
	r := newRig(t, options{})
	rec := r.do("GET", route.ProbePath+"?nonce=n0nce", "")
	wantStatus(t, rec, http.StatusOK)
	if got, want := decoded(t, rec)["proof"], r.svc.ProbeAnswer("n0nce"); got != want || want == r.svc.ProbeAnswer("other") {
		t.Errorf("got %v, want %s, and another for another nonce", got, want)
	}
	if got := rec.Header().Get("Cache-Control"); got != "no-store" {
		t.Errorf("got Cache-Control %q", got)
	}
	for _, target := range []string{route.ProbePath, route.ProbePath + "?nonce=", route.ProbePath + "?nonce=" + strings.Repeat("x", 65)} {
		wantError(t, r.do("GET", target, ""), http.StatusBadRequest, "M_INVALID_PARAM")
	}
	wantStatus(t, r.do("GET", route.ProbePath+"?nonce="+strings.Repeat("x", 64), ""), http.StatusOK)
	r.wantEvent("client", "probe", "ok", http.StatusOK)
	post := r.do("POST", route.ProbePath+"?nonce=x", "")
	if wantError(t, post, http.StatusMethodNotAllowed, "M_UNRECOGNIZED"); post.Header().Get("Allow") != "GET, OPTIONS" {
		t.Errorf("got Allow %q", post.Header().Get("Allow"))
	}
	wantError(t, r.do("GET", route.ProbePath+"/?nonce=x", ""), http.StatusNotFound, "M_UNRECOGNIZED")
	if got := r.hs.Requests(); len(got) != 0 {
		t.Errorf("the homeserver saw %d requests, want none", len(got))
	}
}
