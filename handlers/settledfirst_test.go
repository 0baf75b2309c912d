// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/route"
	"github.com/caddy-threepid/caddy-threepid/handlers/internal/wire"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// beforeAnswer does something once, before the client learns anything.
type beforeAnswer struct {
	*httptest.ResponseRecorder
	do func()
}

func (w beforeAnswer) WriteHeader(status int) {
	w.do()
	w.ResponseRecorder.WriteHeader(status)
}

func (w beforeAnswer) Write(p []byte) (int, error) {
	w.do()
	return w.ResponseRecorder.Write(p)
}

// stands is what another request could do with a session at this moment.
func (r *rig) stands(c verification.Completion) string {
	r.t.Helper()
	alias, err := r.svc.Claim(r.t.Context(), c)
	if err != nil {
		r.t.Fatal(err)
	}
	session, err := r.svc.Describe(r.t.Context(), c.SID)
	if err != nil {
		r.t.Fatal(err)
	}
	if !alias.Live && session.State == verification.Validated {
		return "in flight"
	}
	if err := r.svc.Finish(r.t.Context(), alias, verification.Refused); err != nil {
		r.t.Fatal(err)
	}
	return session.State.String()
}

// answers is a homeserver that answers with a status, and may have acted all the
// same.
func answers(acted bool, status int) func(wire.Next) wire.Next {
	return func(hs wire.Next) wire.Next {
		return func(w http.ResponseWriter, req *http.Request) error {
			if req.Method != http.MethodPost || strings.HasSuffix(req.URL.Path, route.TailAdd) {
				return hs(w, req)
			}
			if acted {
				if err := hs(httptest.NewRecorder(), req); err != nil {
					return err
				}
			}
			http.Error(w, `{"errcode":"M_FORBIDDEN","error":"no"}`, status)
			return nil
		}
	}
}

// TestSettledBeforeTheClientHasItsAnswer: whoever is answered may act on that at
// once. No session that was shown is in flight any more then, and none that was
// accepted is good for anything; that holds for the session that is completed, and
// for the one by which somebody proves who they are.
func TestSettledBeforeTheClientHasItsAnswer(t *testing.T) {
	const reset, legacy = "account/password", "account/3pid"
	for name, tt := range map[string]struct {
		tail       string
		homeserver func(wire.Next) wire.Next
		used, left string // the session that is completed, and the other one
	}{
		"reset":                        {reset, nil, "consumed", "validated"},
		"reset, refused":               {reset, answers(false, http.StatusForbidden), "validated", "validated"},
		"reset, refused after a look":  {reset, answers(true, http.StatusForbidden), "validated", "validated"},
		"reset, failed":                {reset, answers(false, http.StatusBadGateway), "validated", "validated"},
		"reset, failed after it acted": {reset, answers(true, http.StatusBadGateway), "consumed", "validated"},
		"add":                          {legacy, nil, "consumed", "validated"},
		"add, refused":                 {legacy, answers(false, http.StatusForbidden), "validated", "validated"},
		"add by a proof":               {route.TailAdd, nil, "consumed", "consumed"},
		"add by a proof, refused":      {route.TailAdd, answers(false, http.StatusForbidden), "validated", "validated"},
		"add by a proof, failed":       {route.TailAdd, answers(false, http.StatusBadGateway), "validated", "validated"},
		"add by a proof, failed after": {route.TailAdd, answers(true, http.StatusBadGateway), "consumed", "consumed"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, options{})
			r.hs.AddUser("alice", "old", "alice@x.org")
			token := r.login("alice", "old")
			proof := verification.Completion{SID: threepid.SID(r.validated(reset, "s", "alice@x.org")), ClientSecret: "s", Purpose: threepid.Password}
			added := verification.Completion{SID: threepid.SID(r.validated(legacy, "c", "new@x.org")), ClientSecret: "c", Purpose: threepid.Add}
			auth := fmt.Sprintf(`{"type":"m.login.email.identity","threepid_creds":{"sid":%q,"client_secret":"s"}}`, proof.SID)
			used, left, body := added, proof, addBody(string(added.SID), "c", auth)
			switch tt.tail {
			case reset:
				used, left, body = proof, added, resetBody(string(proof.SID), "s")
			case legacy:
				body = fmt.Sprintf(`{"three_pid_creds":{"sid":%q,"client_secret":"c"}}`, added.SID)
			}
			if tt.homeserver != nil {
				r.next = tt.homeserver(r.next)
			}
			var gotUsed, gotLeft string
			look := sync.OnceFunc(func() { gotUsed, gotLeft = r.stands(used), r.stands(left) })
			rec := beforeAnswer{httptest.NewRecorder(), look}
			req := httptest.NewRequest("POST", "/_matrix/client/v3/"+tt.tail, strings.NewReader(body))
			req.Header.Set("Authorization", "Bearer "+token)
			if err := r.client.ServeHTTP(rec, req, r.next); err != nil {
				t.Fatal(err)
			}
			if gotUsed != tt.used || gotLeft != tt.left {
				t.Errorf("before the answer %d %s the session is %q and the other %q, want %q and %q", rec.Code, rec.Body, gotUsed, gotLeft, tt.used, tt.left)
			}
		})
	}
}
