// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	web "github.com/caddy-threepid/caddy-threepid/handlers/pages"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// TestGuessingAnAddressForADay: whoever opens as many sessions for one address as
// they like, from wherever they like, and guesses at all of them, has 100 guesses in
// a day. With email it was as many as the address may have messages, five times.
func TestGuessingAnAddressForADay(t *testing.T) {
	for _, medium := range []string{"email", "msisdn"} {
		t.Run(medium, func(t *testing.T) {
			r, _ := phoneRig(t, options{config: func(c *Config) { c.Proof = verification.ProofCode }})
			compared := 0
			for i := range 24 * 12 { // once in five minutes
				secret := fmt.Sprintf("s%d", i)
				var sid string
				if medium == "email" {
					sid = r.request("register", secret, "alice@x.org")
				} else {
					rec := r.requestPhone("register", phoneBody(secret, "GB", "07400 123456", 1))
					wantStatus(t, rec, http.StatusOK)
					sid, _ = decoded(t, rec)["sid"].(string)
				}
				tries, _ := r.guessAll(sid, secret)
				compared += tries
				r.clock.Advance(5 * time.Minute)
			}
			t.Logf("%d guesses were compared in a day", compared)
			if compared == 0 || compared > 100 {
				t.Errorf("got %d guesses compared in a day, want 100 at most", compared)
			}
		})
	}
}

// spent is a rig where no more wrong codes for an address are compared, with a
// session of that address and one that has ended, and their codes.
func spent(t *testing.T) (r *rig, sids, tokens [2]string) {
	t.Helper()
	r = newRig(t, options{config: func(c *Config) { c.Proof = verification.ProofCode }})
	open := func(secret, email string) (sid, token string) {
		return r.request("register", secret, email), r.box.last(t).Token
	}
	sids[0], tokens[0] = open("last", "alice@x.org")
	sids[1], tokens[1] = open("last", "bob@x.org")
	r.guessAll(sids[1], "last")
	for i := range 20 {
		secret := fmt.Sprint("s", i)
		sid, _ := open(secret, "alice@x.org")
		r.guessAll(sid, secret)
	}
	return r, sids, tokens
}

var varying = regexp.MustCompile(`value="[^"]*"|nonce-[^']*|nonce="[^"]*"`)

// TestSpentCodesLookLikeAnEndedSession: by a machine and on the page, for a wrong
// code and for the right one.
func TestSpentCodesLookLikeAnEndedSession(t *testing.T) {
	r, sids, tokens := spent(t)
	for i, token := range []string{"000000", ""} {
		var machine, page [2]*httptest.ResponseRecorder
		for which := range sids {
			code := token
			if code == "" {
				code = tokens[which]
			}
			machine[which] = r.do("POST", linkPath, `{"sid":"`+sids[which]+`","client_secret":"last","token":"`+code+`"}`)
			wantError(t, machine[which], http.StatusBadRequest, "M_SESSION_EXPIRED")
			page[which] = r.post(map[string][]string{"sid": {sids[which]}, "token": {code}, "client_secret": {"last"}, "nonce": {r.client.people.pressCheck().Nonce(web.First, aboutCode(verification.Submission{SID: sids[which]}))}})
		}
		for what, pair := range map[string][2]*httptest.ResponseRecorder{"machine": machine, "page": page} {
			got, want := pair[0], pair[1]
			if got.Code != want.Code || varying.ReplaceAllString(got.Body.String(), "") != varying.ReplaceAllString(want.Body.String(), "") {
				t.Errorf("%s, token %d: got %d %s, want it as of a session that has ended: %d %s", what, i, got.Code, got.Body, want.Code, want.Body)
			}
			if got.Header().Get("Retry-After") != "" {
				t.Errorf("%s, token %d: got a Retry-After, which an ended session has not", what, i)
			}
		}
	}
	if strings.Contains(fmt.Sprint(r.events.refusals()), "codes") {
		t.Error("the limit is told")
	}
}

// TestSpentCodesLeaveTheOwnersLink: who guesses keeps nobody from the link in their mail.
func TestSpentCodesLeaveTheOwnersLink(t *testing.T) {
	r, _, _ := spent(t)
	r.client.cfg.Proof = verification.ProofLink
	sid := r.request("register", "mine", "alice@x.org")
	wantStatus(t, r.confirm(sid, r.box.last(t).Token), http.StatusOK)
	rec := r.do("POST", "/_matrix/client/r0/register", `{"auth":{"type":"m.login.email.identity","threepid_creds":{"sid":"`+sid+`","client_secret":"mine"}}}`)
	if rec.Code >= 500 {
		t.Errorf("got %d %s", rec.Code, rec.Body)
	}
	state, err := r.svc.Inspect(t.Context(), verification.Submission{SID: sid, Token: r.box.last(t).Token})
	if err != nil || state.State == verification.Pending {
		t.Errorf("got %+v (%v), want it confirmed", state, err)
	}
}
