// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/wire"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/fakehs"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// TestHalfAnAnswerIsNoRefusal: the homeserver has kept a proof, and the answer that lists
// its stage does not come whole. The session is used, as after an answer that is lost.
func TestHalfAnAnswerIsNoRefusal(t *testing.T) {
	for name, cut := range map[string]func(w http.ResponseWriter, body string){
		"broken off": func(w http.ResponseWriter, body string) {
			_, _ = w.Write([]byte(body[:len(body)/2]))
			panic(http.ErrAbortHandler)
		},
		"too large": func(w http.ResponseWriter, body string) {
			_, _ = w.Write([]byte(strings.Repeat(" ", wire.MaxAnswer)))
			_, _ = w.Write([]byte(body))
		},
	} {
		r := newRig(t, options{hs: func(o *fakehs.Options) { o.CaptchaResponse = "solved" }})
		c := verification.Completion{SID: threepid.SID(r.validated("register", "s", "new@x.org")), ClientSecret: "s", Purpose: threepid.Register}
		hs := r.next
		r.next = func(w http.ResponseWriter, req *http.Request) error {
			answer := httptest.NewRecorder()
			err := hs(answer, req)
			if answer.Code != http.StatusUnauthorized || !strings.Contains(answer.Body.String(), wire.StageEmail) {
				t.Fatalf("%s: got %d %s, want the stage listed", name, answer.Code, answer.Body)
			}
			w.WriteHeader(answer.Code)
			cut(w, answer.Body.String())
			return err
		}
		body := `{"username":"new","password":"p","auth":{"type":"m.login.email.identity","threepid_creds":{"sid":"` + c.SID + `","client_secret":"s"}}}`
		wantError(t, r.do("POST", "/_matrix/client/r0/register", string(body)), http.StatusBadGateway, "M_UNKNOWN")
		if got := r.stands(c); got != "consumed" {
			t.Errorf("%s: the session is %s, want consumed", name, got)
		}
	}
}
