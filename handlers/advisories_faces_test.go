// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/handlers/identity"
	"github.com/caddy-threepid/caddy-threepid/handlers/internal/wire"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
	"github.com/caddy-threepid/caddy-threepid/store/storetest"
)

// inFlight runs a reset, and gives a look at the pair that the homeserver is
// shown while it is good.
func (r *rig) inFlight(look func(query string)) *httptest.ResponseRecorder {
	r.t.Helper()
	r.hs.AddUser("alice", "old", "alice@x.org")
	sid := r.validated("account/password", "s", "alice@x.org")
	next := r.next
	r.next = func(w http.ResponseWriter, req *http.Request) error {
		raw, err := wire.ReadBody(w, req, 1<<20)
		if err != nil {
			return err
		}
		creds := mustObject(r.t, mustObject(r.t, mustObject(r.t, raw)["auth"])["threepid_creds"])
		shown, _, _ := creds.Text("sid")
		secret, _, _ := creds.Text("client_secret")
		look("sid=" + shown + "&client_secret=" + secret)
		wire.SetBody(req, raw)
		return next(w, req)
	}
	return r.reset(resetBody(sid, "s"))
}

// Synapse 1.0: whoever answers getValidated3pid owns accounts. Here nobody else
// is answered at all, even with a pair that is good at that moment.
func TestAdvisory15_NobodyFromOutsideIsAnswered(t *testing.T) {
	r := newRig(t, options{})
	rec := r.inFlight(func(query string) {
		for _, peer := range []string{"203.0.113.5:1", "8.8.8.8:443", "[2001:db8::1]:1", "[::ffff:203.0.113.5]:1", "100.64.0.1:1", "nonsense:1"} {
			for path, endpoint := range identity.Endpoints {
				req := httptest.NewRequest(endpoint.Method, path+"?"+query, strings.NewReader("{}"))
				req.RemoteAddr = peer
				for _, name := range []string{"X-Forwarded-For", "X-Real-Ip", "Forwarded"} {
					req.Header.Set(name, "127.0.0.1") // anybody can say so
				}
				rec := httptest.NewRecorder()
				r.face.ServeHTTP(rec, req)
				wantError(t, rec, http.StatusNotFound, "M_UNRECOGNIZED")
			}
		}
		if got := decoded(t, r.local("GET", faceValidated+"?"+query, ""))["address"]; got != "alice@x.org" {
			t.Errorf("control: got address %v for the homeserver, want its own", got)
		}
	})
	wantStatus(t, rec, http.StatusOK)
}

// Dendrite builds its call without escaping: a sid can bring a parameter of its
// own. Whichever of two values is meant, none is taken.
func TestAdvisory28_NoParameterStandsTwice(t *testing.T) {
	r := newRig(t, options{})
	rec := r.inFlight(func(query string) {
		for _, twice := range []string{
			"sid=x&" + query, query + "&sid=x", "client_secret=x&" + query, query + "&client_secret=x", query + "&" + query,
			query + ";sid=x", "sid=x;" + query, query + "&%zz", query + "&s%69d=x",
		} {
			rec := r.local("GET", faceValidated+"?"+twice, "")
			if rec.Code != http.StatusBadRequest || strings.Contains(rec.Body.String(), "alice") {
				t.Errorf("%s: got %d %s, want 400", twice, rec.Code, rec.Body)
			}
		}
	})
	wantStatus(t, rec, http.StatusOK)
	for contentType, body := range map[string]string{
		"application/json":                  `{"client_secret":"a","client_secret":"b","email":"a@x.org"}`,
		"application/x-www-form-urlencoded": "client_secret=a&client_secret=b&email=a%40x.org",
	} {
		if rec := r.ask("POST", faceRequest, body, contentType, "127.0.0.1:1"); rec.Code != http.StatusBadRequest {
			t.Errorf("%s: got %d, want 400", contentType, rec.Code)
		}
	}
	// What a client could bring into such a call does not get there.
	for _, sid := range []string{"x&client_secret=victim", "x client", "x#", "x?sid=y", "../x"} {
		before := len(r.hs.IDServerCalls())
		body := fmt.Sprintf(`{"new_password":"p","auth":{"type":"m.login.email.identity","threepid_creds":{"sid":%q,"client_secret":"s","id_server":"localhost:8443"}}}`, sid)
		if rec := r.reset(body); rec.Code == http.StatusOK {
			t.Errorf("%s: got 200", sid)
		}
		for _, call := range r.hs.IDServerCalls()[before:] {
			if strings.Contains(call.URL, "victim") || strings.Contains(call.URL, "..") {
				t.Errorf("%s: the homeserver has called %s", sid, call.URL)
			}
		}
	}
}

// Pitfall 18 of homeservers: what they put into a URL without escaping it has
// nothing in it that would need to be escaped.
func TestPitfall18_WhatTheHomeserverIsShownNeedsNoEscaping(t *testing.T) {
	const alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_-"
	for range 20 {
		r := newRig(t, callback)
		r.inFlight(func(query string) {
			for _, value := range strings.FieldsFunc(strings.NewReplacer("sid=", "", "client_secret=", "").Replace(query), func(c rune) bool { return c == '&' }) {
				if rest := strings.Trim(value, alphabet); rest != "" || value == "" {
					t.Errorf("the homeserver is shown %q", value)
				}
			}
		})
		// The nonce of the first request is of the same kind.
		nonce, _, _ := mustObject(t, r.hs.Requests()[0].Body).Text("client_secret")
		if rest := strings.Trim(nonce, alphabet); rest != "" || nonce == "" {
			t.Errorf("the homeserver was shown %q", nonce)
		}
	}
}

// TestAdvisory23_OneOfTwoHundredWinsOnTwoNodes: two processes share a store, and
// each of them is asked a hundred times. The homeservers' answers are counted,
// not ours.
func TestAdvisory23_OneOfTwoHundredWinsOnTwoNodes(t *testing.T) {
	for round := range 5 {
		first := newRig(t, options{})
		shared := storetest.NewMemory(first.clock.Now)
		nodes := make([]*rig, 2)
		for i := range nodes {
			nodes[i] = newRig(t, options{service: func(c *verification.Config) { c.Store, c.Now = shared, first.clock.Now }})
			nodes[i].hs.AddUser("alice", "old", "alice@x.org")
		}
		sid := nodes[0].request("account/password", "s", "alice@x.org")
		// Confirmed at the other node than the one that it was opened at.
		nodes[1].clock = first.clock
		nodes[1].client.people.page.Now = first.clock.Now
		wantStatus(t, nodes[1].confirm(sid, string(nodes[0].box.last(t).Token)), http.StatusOK)

		var wg sync.WaitGroup
		won := make(chan int, 200)
		for n := range 200 {
			r := nodes[n%len(nodes)]
			wg.Go(func() {
				rec := httptest.NewRecorder()
				req := httptest.NewRequest("POST", "/_matrix/client/r0/account/password", strings.NewReader(resetBody(sid, "s")))
				if err := r.client.ServeHTTP(rec, req, r.next); err != nil {
					t.Error(err)
				}
				if rec.Code == http.StatusOK {
					won <- n
				}
			})
		}
		wg.Wait()
		changed := 0
		for _, r := range nodes {
			if r.hs.CheckPassword("alice", "correct horse") {
				changed++
			}
		}
		if len(won) != 1 || changed != 1 {
			t.Errorf("round %d: %d requests were answered with 200 and %d homeservers changed the password, want one each", round, len(won), changed)
		}
	}
}
