// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/report"
	"github.com/caddy-threepid/caddy-threepid/handlers/internal/wire"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// stagedAddition is a homeserver that adds addresses: it asks about what it is shown, as far
// as asks says, and gives this answer.
func (r *rig) stagedAddition(asks []string, answer wire.Next) wire.Next {
	return func(w http.ResponseWriter, req *http.Request) error {
		raw, err := wire.ReadBody(w, req, 1<<20)
		if err != nil {
			return err
		}
		switch {
		case req.Header.Get("Authorization") == "":
			return upstream(401, `{"errcode":"M_MISSING_TOKEN"}`)(w, req)
		case strings.HasSuffix(req.URL.Path, "/whoami"):
			return upstream(200, `{"user_id":"@alice:example.org"}`)(w, req)
		case req.Method == http.MethodGet:
			return upstream(200, `{"threepids":[{"medium":"email","address":"own@x.org"}]}`)(w, req)
		case strings.HasSuffix(req.URL.Path, "/requestToken"):
			return upstream(403, `{"errcode":"M_FORBIDDEN"}`)(w, req)
		}
		type creds struct {
			SID    threepid.AliasSID    `json:"sid"`
			Secret threepid.AliasSecret `json:"client_secret"`
		}
		var body struct {
			creds
			Auth struct {
				Creds creds `json:"threepid_creds"`
			} `json:"auth"`
		}
		if err := json.Unmarshal(raw, &body); err != nil {
			return err
		}
		for who, shown := range map[string]creds{"new": body.creds, "own": body.Auth.Creds} {
			if slices.Contains(asks, who) {
				if _, err := r.svc.Validated(req.Context(), shown.SID, shown.Secret); err != nil {
					r.t.Errorf("it was shown what proves nothing: %s", raw)
				}
			}
		}
		return answer(w, req)
	}
}

// TestEachOfTwoCredentialsHasItsOwnEnd: what an answer says of a stage is not said of the
// address that is to be added by the same request; nor is it said, logged or mailed that
// this was added before the homeserver has done it, and asked about it.
func TestEachOfTwoCredentialsHasItsOwnEnd(t *testing.T) {
	round := func(completed string) wire.Next {
		return upstream(401, `{"completed":[`+completed+`],"flows":[{"stages":["m.login.email.identity","m.login.terms"]}],"session":"theirs"}`)
	}
	for name, c := range map[string]struct {
		answer   wire.Next
		new, own string // used "always", if it was "asked" about, or "never"
	}{
		"done":           {upstream(200, `{}`), "always", "always"},
		"kept":           {round(`"m.login.email.identity"`), "never", "always"},
		"another's kept": {round(`"m.login.msisdn"`), "never", "never"},
		"none kept":      {round(``), "never", "never"},
		"refused":        {upstream(400, `{"errcode":"M_UNKNOWN"}`), "never", "never"}, // in no conversation with a name
		"failed":         {upstream(500, `{}`), "asked", "asked"},
		"cut": {func(http.ResponseWriter, *http.Request) error {
			return &wire.UpstreamError{Status: 502, Err: wire.ErrNoAnswer}
		}, "asked", "asked"},
		"broken": {func(http.ResponseWriter, *http.Request) error { panic(http.ErrAbortHandler) }, "asked", "asked"},
	} {
		for _, asks := range [][]string{nil, {"own"}, {"own", "new"}, {"new"}} {
			t.Run(fmt.Sprint(name, asks), func(t *testing.T) {
				r := newRig(t, options{})
				own, added := r.validated("account/password", "o", "own@x.org"), r.validated("account/3pid", "n", "new@x.org")
				r.next = r.stagedAddition(asks, c.answer)
				func() {
					defer func() { _ = recover() }()
					r.as("t", "POST", addPath, addBody(added, "n", `{"type":"m.login.email.identity","threepid_creds":{"sid":"`+own+`","client_secret":"o"}}`))
				}()
				for _, s := range []struct{ who, sid, used string }{{"own", own, c.own}, {"new", added, c.new}} {
					session, err := r.svc.Describe(t.Context(), threepid.SID(s.sid))
					if want := s.used == "always" || s.used == "asked" && slices.Contains(asks, s.who); err != nil || (session.State == verification.Consumed) != want {
						t.Errorf("the session of %s is %v, %v; used: want %v", s.who, session.State, err, want)
					}
				}
				happened := name == "done" && slices.Contains(asks, "new")
				logged := slices.ContainsFunc(r.events.changes, func(c report.Change) bool { return c.Action == "added" })
				if logged != happened || (len(r.told()) > 0) != happened || len(r.events.changes) > 0 != happened {
					t.Errorf("the audit log says %+v, and told were %q; it has happened: %v", r.events.changes, r.told(), happened)
				}
			})
		}
	}
}
