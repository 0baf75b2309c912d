// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/wire"
)

// refusingOne is a homeserver behind a proxy that refuses one client.
func refusingOne(a *answering, refuse func(w http.ResponseWriter) error) wire.Next {
	return func(w http.ResponseWriter, r *http.Request) error {
		if r.UserAgent() == "refused" {
			return refuse(w)
		}
		return a.next(w, r)
	}
}

// refusalsOfOne are ways in which a proxy refuses one client.
var refusalsOfOne = map[string]func(w http.ResponseWriter) error{
	"a rule's page": func(w http.ResponseWriter) error {
		w.WriteHeader(http.StatusForbidden)
		_, err := w.Write([]byte("<html>Forbidden</html>"))
		return err
	},
	"a rule's error": func(http.ResponseWriter) error {
		return &wire.UpstreamError{Status: http.StatusForbidden, Err: errors.New("a rule")}
	},
	"a limit": func(w http.ResponseWriter) error {
		w.WriteHeader(http.StatusTooManyRequests)
		_, err := w.Write([]byte(`{"errcode":"M_LIMIT_EXCEEDED","error":"x"}`))
		return err
	},
	"not logged in": func(w http.ResponseWriter) error {
		w.WriteHeader(http.StatusUnauthorized)
		_, err := w.Write([]byte(`{"errcode":"M_UNKNOWN_TOKEN","error":"x"}`))
		return err
	},
}

func (r *rig) signUpAs(agent, secret string) (*httptest.ResponseRecorder, error) {
	req := httptest.NewRequest("POST", registerToken, strings.NewReader(`{"client_secret":"`+secret+`","email":"`+secret+`@x.org","send_attempt":1}`))
	req.Header.Set("User-Agent", agent)
	rec := httptest.NewRecorder()
	return rec, r.client.ServeHTTP(rec, req, r.next)
}

// TestGate_OneRefusedClientTeachesNothing: what a proxy says to one client is no
// answer to what the homeserver offers to all.
func TestGate_OneRefusedClientTeachesNothing(t *testing.T) {
	for name, refuse := range refusalsOfOne {
		t.Run(name, func(t *testing.T) {
			a := &answering{}
			a.say(401, withEmail)
			r := gated(t, options{next: refusingOne(a, refuse)}, GateOffered, nil)
			if rec, err := r.signUpAs("refused", "a"); err == nil && rec.Code == http.StatusOK {
				t.Error("got 200 for the client that is refused")
			}
			r.wantMails(0)
			if rec, err := r.signUpAs("another", "b"); err != nil || rec.Code != http.StatusOK {
				t.Errorf("got %d %s (%v) for another, want 200", rec.Code, rec.Body, err)
			}
			r.wantMails(1)
		})
	}
}

// TestGate_WhoWaitsIsNotRefusedForAnother: the one who asks for all is refused, and
// the next asks.
func TestGate_WhoWaitsIsNotRefusedForAnother(t *testing.T) {
	const others = 5
	for name, refuse := range refusalsOfOne {
		synctest.Test(t, func(t *testing.T) {
			a := &answering{}
			a.say(401, withEmail)
			asking, gate := make(chan struct{}), make(chan struct{})
			r := gated(t, options{next: refusingOne(a, func(w http.ResponseWriter) error {
				close(asking)
				<-gate
				return refuse(w)
			})}, GateOffered, nil)
			var wg sync.WaitGroup
			wg.Go(func() { _, _ = r.signUpAs("refused", "a") })
			<-asking
			for i := range others {
				wg.Go(func() {
					if rec, err := r.signUpAs("another", fmt.Sprint("b", i)); err != nil || rec.Code != http.StatusOK {
						t.Errorf(name+": got %d %s (%v), want 200", rec.Code, rec.Body, err)
					}
				})
			}
			synctest.Wait() // until all of them wait
			close(gate)
			wg.Wait()
			r.wantMails(others)
		})
	}
}

// TestGate_ARefusalLastsSeconds, and an offer minutes: who opens registration need
// not wait, and who is asked by everybody need not answer each.
func TestGate_ARefusalLastsSeconds(t *testing.T) {
	a := &answering{}
	a.say(403, `{"errcode":"M_FORBIDDEN","error":"closed"}`)
	r := gated(t, options{next: a.next}, GateOffered, nil)
	wantError(t, r.signUp("a"), http.StatusForbidden, "M_FORBIDDEN")
	a.say(401, withEmail)
	wantError(t, r.signUp("a"), http.StatusForbidden, "M_FORBIDDEN")
	r.clock.Advance(5 * time.Second)
	wantStatus(t, r.signUp("a"), http.StatusOK)
	a.say(403, `{"errcode":"M_FORBIDDEN","error":"closed"}`)
	r.clock.Advance(5*time.Minute - time.Second)
	wantStatus(t, r.signUp("b"), http.StatusOK)
	if got := a.asked.Load(); got != 2 {
		t.Errorf("got the homeserver asked %d times, want twice", got)
	}
}
