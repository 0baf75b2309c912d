// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/wire"
	"github.com/caddy-threepid/caddy-threepid/internal/identityserver"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/fakehs"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/idservers"
	"github.com/caddy-threepid/caddy-threepid/internal/ratelimit"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

const (
	unbindPath     = "/_matrix/client/v3/account/3pid/unbind"
	deletePath     = "/_matrix/client/v3/account/3pid/delete"
	deactivatePath = "/_matrix/client/v3/account/deactivate"
)

// bound is a rig with a user whose address is bound at a server, through us.
func bound(t *testing.T, server string) (*rig, string) {
	t.Helper()
	r := newRig(t, options{})
	r.hs.AddUser("alice", "secret", "alice@x.org")
	r.ids.Start(server, "1", "s", "email", "alice@x.org")
	token := r.login("alice", "secret")
	wantStatus(t, r.as(token, "POST", bindPath, bindBody(server, "1", "s")), http.StatusOK)
	r.ids.Calls = nil
	return r, token
}

func ofAlice(extra string) string { return `{"medium":"email","address":"alice@x.org"` + extra + `}` }

// wantResult checks the answer of an unbinding and who is bound after it.
func (r *rig) wantResult(t *testing.T, token, path, body, result, owner string) {
	t.Helper()
	rec := r.as(token, "POST", path, body)
	wantStatus(t, rec, http.StatusOK)
	wantCORS(t, rec)
	if got := decoded(t, rec)["id_server_unbind_result"]; got != result {
		t.Errorf("got result %v, want %s; calls %q", got, result, r.ids.Made())
	}
	if got := r.ids.Owner("id.example.org", "email", "alice@x.org"); got != owner {
		t.Errorf("the address is bound to %q, want %q", got, owner)
	}
}

const alice = "@alice:example.org"

func (r *rig) wantBindings(t *testing.T, want int) {
	t.Helper()
	list, err := r.svc.Bindings(t.Context(), alice)
	if err != nil || len(list) != want {
		t.Errorf("got %d bindings recorded (%v), want %d", len(list), err, want)
	}
}

func TestF33_UnbindByTheRecordedSession(t *testing.T) {
	for _, extra := range []string{``, `,"id_server":null`, `,"id_server":""`, `,"id_server":"id.example.org"`, `,"id_server":"ID.example.org:443"`} {
		r, token := bound(t, "id.example.org")
		r.wantResult(t, token, unbindPath, strings.Replace(ofAlice(extra), "alice@", "Alice@", 1), "success", "")
		if want := []string{"unbind id.example.org"}; !slices.Equal(r.ids.Made(), want) {
			t.Errorf("got calls %q, want %q", r.ids.Made(), want)
		}
		r.wantBindings(t, 0)
		if got := r.hs.Emails("alice"); len(got) != 1 {
			t.Errorf("the account has %q; unbinding must leave it its address", got)
		}
		r.wantResult(t, token, unbindPath, ofAlice(extra[:0]), "no-support", "")
	}
}

func TestF33_UnbindWithoutARecord(t *testing.T) {
	r, token := bound(t, "id.example.org")
	r.ids.Start("other.example.org", "1", "s", "email", "alice@x.org")
	r.wantResult(t, token, unbindPath, ofAlice(`,"id_server":"other.example.org"`), "no-support", "@alice:example.org")
	r.hs.AddUser("bob", "secret", "bob@x.org")
	r.wantResult(t, r.login("bob", "secret"), unbindPath, ofAlice(""), "no-support", "@alice:example.org")
	r.wantBindings(t, 1)
}

func TestF33_UnbindWhenTheIdentityServerRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		refusal error
		status  int
	}{
		"expired":      {idservers.Refused(http.StatusForbidden, "M_FORBIDDEN"), http.StatusOK},
		"unsupported":  {identityserver.ErrUnsupported, http.StatusOK},
		"broken":       {idservers.Refused(http.StatusInternalServerError, "M_UNKNOWN"), http.StatusInternalServerError},
		"limited":      {idservers.Refused(http.StatusTooManyRequests, "M_LIMIT_EXCEEDED"), http.StatusTooManyRequests},
		"unreachable":  {identityserver.ErrUnavailable, http.StatusBadGateway},
		"other errors": {errors.New("other"), http.StatusBadGateway},
	} {
		t.Run(name, func(t *testing.T) {
			r, token := bound(t, "id.example.org")
			r.ids.Start("two.example.org", "1", "s", "email", "alice@x.org")
			wantStatus(t, r.as(token, "POST", bindPath, bindBody("two.example.org", "1", "s")), http.StatusOK)
			r.ids.Refusal = c.refusal
			rec := r.as(token, "POST", unbindPath, ofAlice(""))
			wantStatus(t, rec, c.status)
			if c.status == http.StatusOK && decoded(t, rec)["id_server_unbind_result"] != "no-support" {
				t.Errorf("got %s, want no-support", rec.Body)
			}
			r.wantBindings(t, 2) // it may work another time
		})
	}
}

// TestF33_UnbindUnderTheSpellingThatWasValidated: Sydent binds in lower case
// and unbinds what was typed.
func TestF33_UnbindUnderTheSpellingThatWasValidated(t *testing.T) {
	r := newRig(t, options{})
	r.hs.AddUser("alice", "secret", "alice@x.org")
	r.ids.Start("id.example.org", "1", "s", "email", "Alice@X.org")
	token := r.login("alice", "secret")
	wantStatus(t, r.as(token, "POST", bindPath, bindBody("id.example.org", "1", "s")), http.StatusOK)
	if got := r.ids.Owner("id.example.org", "email", "alice@x.org"); got != alice {
		t.Fatalf("the address is bound to %q, want %q", got, alice)
	}
	r.wantResult(t, token, unbindPath, ofAlice(""), "success", "")
}

// TestF33_UnbindAfterADay: Sydent answers 500 for a session that has expired.
func TestF33_UnbindAfterADay(t *testing.T) {
	r, token := bound(t, "id.example.org")
	r.ids.Refusal = idservers.Refused(http.StatusInternalServerError, "M_UNKNOWN")
	wantStatus(t, r.as(token, "POST", unbindPath, ofAlice("")), http.StatusInternalServerError)
	r.clock.Advance(24 * time.Hour)
	r.wantResult(t, token, unbindPath, ofAlice(""), "no-support", alice)
}

func TestF33_UnbindOnAHomeserverThatHasIt(t *testing.T) {
	r, token := bound(t, "id.example.org")
	legacy := r.next
	var seen string
	r.next = func(w http.ResponseWriter, req *http.Request) error {
		if !strings.HasSuffix(req.URL.Path, "/3pid/unbind") {
			return legacy(w, req)
		}
		if !strings.Contains(req.URL.Path, "/unstable/") { // as Synapse 1.4
			return upstream(404, `{"errcode":"M_UNRECOGNIZED"}`)(w, req)
		}
		raw, err := wire.ReadBody(w, req, 1<<20)
		if err != nil || string(raw) == "{}" {
			return errors.Join(err, upstream(401, `{"errcode":"M_MISSING_TOKEN"}`)(w, req))
		}
		seen = string(raw)
		return upstream(200, `{"id_server_unbind_result":"success"}`)(w, req)
	}
	rec := r.as(token, "POST", unbindPath, ofAlice(""))
	wantStatus(t, rec, http.StatusOK)
	if want := `{"address":"alice@x.org","id_server":"id.example.org","medium":"email"}`; seen != want {
		t.Errorf("the homeserver saw %s, want %s", seen, want)
	}
	if want := []string{"probe id.example.org"}; !slices.Equal(r.ids.Made(), want) {
		t.Errorf("got calls %q, want %q: the homeserver unbinds by itself", r.ids.Made(), want)
	}
	r.wantBindings(t, 0)
}

func TestF33_DeleteLetsTheHomeserverUnbind(t *testing.T) {
	for _, extra := range []string{``, `,"id_server":"id.example.org"`} {
		r, token := bound(t, "id.example.org")
		r.ids.Expire("id.example.org") // days later, our own proof is worth nothing
		r.wantResult(t, token, deletePath, ofAlice(extra), "success", "")
		if want := []string{"probe id.example.org", "signed unbind id.example.org"}; !slices.Equal(r.ids.Made(), want) {
			t.Errorf("got calls %q, want %q", r.ids.Made(), want)
		}
		if got := r.hs.Emails("alice"); len(got) != 0 {
			t.Errorf("the account has %q, want nothing", got)
		}
		r.wantBindings(t, 0)
	}
}

func TestF33_DeleteWithADeadIdentityServer(t *testing.T) {
	for _, extra := range []string{``, `,"id_server":"id.example.org"`} {
		r, token := bound(t, "id.example.org")
		r.ids.Kill("id.example.org")
		r.wantResult(t, token, deletePath, ofAlice(extra), "no-support", "@alice:example.org")
		if got := r.hs.Emails("alice"); len(got) != 0 {
			t.Errorf("the account has %q, want nothing", got)
		}
		// When it is back, the user can still unbind.
		r.ids.Start("id.example.org", "1", "s", "email", "alice@x.org")
		r.wantResult(t, token, unbindPath, ofAlice(""), "success", "")
	}
}

func TestF33_DeleteWhenTheHomeserversOwnRecordIsDead(t *testing.T) {
	r := newRig(t, options{})
	r.hs.AddUser("alice", "secret", "alice@x.org")
	token := r.login("alice", "secret")
	// It was bound through the homeserver, before we were there.
	body := `{"medium":"email","address":"alice@x.org"}`
	held := 0
	legacy := r.next
	r.next = func(w http.ResponseWriter, req *http.Request) error {
		if strings.HasSuffix(req.URL.Path, "/delete") && held == 0 {
			held++
			return upstream(500, `{"errcode":"M_UNKNOWN","error":"Failed to remove threepid"}`)(w, req)
		}
		return legacy(w, req)
	}
	r.wantResult(t, token, deletePath, body, "no-support", "")
	if got := r.hs.Emails("alice"); len(got) != 0 || held != 1 {
		t.Errorf("the account has %q after %d failures, want nothing after one", got, held)
	}
}

func TestF33_DeleteThatFails(t *testing.T) {
	r, token := bound(t, "id.example.org")
	r.hs.Inject(2, func(req *http.Request) bool { return strings.HasSuffix(req.URL.Path, "/delete") },
		func(w http.ResponseWriter, req *http.Request, _ http.Handler) {
			_ = upstream(500, `{"errcode":"M_UNKNOWN","error":"disk full"}`)(w, req)
		})
	wantError(t, r.as(token, "POST", deletePath, ofAlice("")), http.StatusInternalServerError, "M_UNKNOWN")
	r.wantBindings(t, 1)
	if r.ids.Owner("id.example.org", "email", "alice@x.org") == "" {
		t.Error("the address was unbound although it was not deleted")
	}
}

func TestDeleteOnDendrite(t *testing.T) {
	r, token := bound(t, "id.example.org")
	legacy := r.next
	r.next = func(w http.ResponseWriter, req *http.Request) error {
		if strings.HasSuffix(req.URL.Path, "/delete") {
			return upstream(200, `{}`)(w, req) // it contacts nobody and says nothing
		}
		return legacy(w, req)
	}
	r.wantResult(t, token, deletePath, ofAlice(""), "success", "")
	r.wantResult(t, token, deletePath, ofAlice(""), "no-support", "")
}

func TestDeleteWithAnAnswerThatCannotBeRead(t *testing.T) {
	r, token := bound(t, "id.example.org")
	legacy := r.next
	r.next = func(w http.ResponseWriter, req *http.Request) error {
		if strings.HasSuffix(req.URL.Path, "/delete") {
			return upstream(200, "\x1f\x8b", "Content-Encoding", "gzip")(w, req)
		}
		return legacy(w, req)
	}
	rec := r.as(token, "POST", deletePath, ofAlice(""))
	wantStatus(t, rec, http.StatusOK)
	if got := rec.Header().Get("Content-Encoding"); got != "" || decoded(t, rec)["id_server_unbind_result"] != "success" {
		t.Errorf("got %q %s, want a result that can be read", got, rec.Body)
	}
}

func TestUnbindBadInput(t *testing.T) {
	for _, path := range []string{unbindPath, deletePath} {
		r, token := bound(t, "id.example.org")
		for body, errcode := range map[string]string{
			`{`:                                     "M_NOT_JSON",
			`[]`:                                    "M_BAD_JSON",
			`{"medium":"email"}`:                    "M_MISSING_PARAM",
			`{"address":"a@b.c"}`:                   "M_MISSING_PARAM",
			`{"medium":"fax","address":"1"}`:        "M_INVALID_PARAM",
			`{"medium":5,"address":"1"}`:            "M_INVALID_PARAM",
			ofAlice(`,"id_server":5`):               "M_INVALID_PARAM",
			ofAlice(`,"id_server":"https://x.org"`): "M_INVALID_PARAM",
			ofAlice(`,"id_server":"127.1"`):         "M_INVALID_PARAM",
		} {
			wantError(t, r.as(token, "POST", path, body), http.StatusBadRequest, errcode)
		}
		wantError(t, r.do("POST", path, ofAlice("")), http.StatusUnauthorized, "M_MISSING_TOKEN")
		wantError(t, r.as("x", "POST", path, ofAlice("")), http.StatusUnauthorized, "M_UNKNOWN_TOKEN")
		for _, server := range []string{"127.0.0.1", "10.0.0.1:8090", "[::1]", "[fe80::1]:443"} {
			r.ids.Private[strings.TrimSuffix(server, ":443")] = true
			wantError(t, r.as(token, "POST", path, ofAlice(`,"id_server":"`+server+`"`)), http.StatusBadRequest, "M_SERVER_NOT_TRUSTED")
		}
		if got := r.hs.Emails("alice"); len(got) != 1 || r.ids.Owner("id.example.org", "email", "alice@x.org") != alice {
			t.Errorf("the account has %q; bad input must change nothing", got)
		}
	}
}

func deactivation(extra string) string {
	return `{"erase":false,"auth":{"type":"m.login.password","user":"alice","password":"secret"}` + extra + `}`
}

func TestF33_DeactivateUnbinds(t *testing.T) {
	for name, before := range map[string]func(*rig, string){
		"by signature": func(r *rig, _ string) { r.ids.Expire("id.example.org") },
		"by session": func(r *rig, token string) {
			r.as(token, "POST", deletePath, `{"medium":"email","address":"alice@x.org","id_server":"x.org"}`)
		},
	} {
		t.Run(name, func(t *testing.T) {
			r, token := bound(t, "id.example.org")
			before(r, token)
			wantStatus(t, r.as(token, "POST", deactivatePath, `{}`), http.StatusUnauthorized)
			if r.hs.HasUser("alice") == false {
				t.Fatal("the first round already deactivated the account")
			}
			r.wantResult(t, token, deactivatePath, deactivation(""), "success", "")
			if r.hs.HasUser("alice") {
				t.Error("the account is still there")
			}
			r.wantBindings(t, 0)
		})
	}
}

func TestF33_DeactivateWithADeadIdentityServer(t *testing.T) {
	for _, extra := range []string{``, `,"id_server":"id.example.org"`, `,"id_server":"nowhere.example.org"`} {
		r, token := bound(t, "id.example.org")
		r.ids.Kill("id.example.org")
		r.wantResult(t, token, deactivatePath, deactivation(extra), "no-support", "@alice:example.org")
		if r.hs.HasUser("alice") {
			t.Error("the account is still there")
		}
		r.wantBindings(t, 0)
	}
}

func TestF33_DeactivateWhenTheHomeserverIsHeldUp(t *testing.T) {
	r, token := bound(t, "id.example.org")
	r.hs.Inject(1, func(req *http.Request) bool { return strings.HasSuffix(req.URL.Path, "/deactivate") },
		func(w http.ResponseWriter, req *http.Request, _ http.Handler) {
			_ = upstream(400, `{"errcode":"M_UNKNOWN","error":"Failed to remove threepid from ID server"}`)(w, req)
		})
	r.wantResult(t, token, deactivatePath, deactivation(""), "success", "") // by the session, afterwards
	if r.hs.HasUser("alice") {
		t.Error("the account is still there")
	}
}

func TestDeactivateNeedsTheHomeserversConsent(t *testing.T) {
	r, token := bound(t, "id.example.org")
	wantError(t, r.as(token, "POST", deactivatePath, strings.Replace(deactivation(""), "secret", "wrong", 1)), http.StatusUnauthorized, "M_FORBIDDEN")
	wantStatus(t, r.do("POST", deactivatePath, deactivation("")), http.StatusUnauthorized)
	wantError(t, r.as("x", "POST", deactivatePath, deactivation("")), http.StatusUnauthorized, "M_UNKNOWN_TOKEN")
	wantError(t, r.as(token, "POST", deactivatePath, deactivation(`,"id_server":"https://x.org"`)), http.StatusBadRequest, "M_INVALID_PARAM")
	wantError(t, r.as(token, "POST", deactivatePath, "{"), http.StatusBadRequest, "M_NOT_JSON")
	wantStatus(t, r.as(token, "POST", deactivatePath, ""), http.StatusUnauthorized)
	if !r.hs.HasUser("alice") || r.ids.Owner("id.example.org", "email", "alice@x.org") == "" {
		t.Error("a refused deactivation had an effect")
	}
	r.wantBindings(t, 1)
}

// TestDeactivateWithATokenThatOnlyTheHomeserverFinds: Synapse looks for a token in a form,
// too, and this body is an object and a form.
func TestDeactivateWithATokenThatOnlyTheHomeserverFinds(t *testing.T) {
	r, token := bound(t, "id.example.org")
	body := deactivation(`,"id_server":"127.0.0.1:9000","x":"&access_token=` + token + `&"`)
	wantStatus(t, r.do("POST", deactivatePath, body, "Content-Type", "application/x-www-form-urlencoded"), http.StatusUnauthorized)
	seen := r.hs.Requests()
	last := seen[len(seen)-1]
	if got := last.Header.Get("Content-Type"); got != "application/json" || strings.Contains(string(last.Body), "127.0.0.1") {
		t.Errorf("the homeserver saw %s of type %s, want an object without a server", last.Body, got)
	}
}

func TestDeactivateByEmailSession(t *testing.T) {
	r, token := bound(t, "id.example.org")
	var forwarded string
	legacy := r.next
	r.next = func(w http.ResponseWriter, req *http.Request) error {
		if !strings.HasSuffix(req.URL.Path, "/deactivate") {
			return legacy(w, req)
		}
		raw, err := wire.ReadBody(w, req, 1<<20)
		forwarded = string(raw)
		return errors.Join(err, upstream(200, `{}`)(w, req))
	}
	sid := r.validated("account/password", "c", "alice@x.org")
	body := fmt.Sprintf(`{"auth":{"type":"m.login.email.identity","threepid_creds":{"sid":%q,"client_secret":"c"}}}`, sid)
	r.wantResult(t, token, deactivatePath, body, "success", "")
	if strings.Contains(forwarded, sid) || !strings.Contains(forwarded, `"id_server":"localhost:8443"`) {
		t.Errorf("the homeserver saw %s, want an alias", forwarded)
	}
}

func TestDeactivateEndsBindingsAtSeveralServers(t *testing.T) {
	r, token := bound(t, "id.example.org")
	for _, server := range []string{"two.example.org", "three.example.org"} {
		r.ids.Start(server, "1", "s", "email", "other@x.org")
		wantStatus(t, r.as(token, "POST", bindPath, bindBody(server, "1", "s")), http.StatusOK)
	}
	r.ids.Kill("two.example.org")
	r.wantResult(t, token, deactivatePath, deactivation(""), "no-support", "")
	if r.ids.Owner("three.example.org", "email", "other@x.org") != "" || r.ids.Owner("two.example.org", "email", "other@x.org") == "" {
		t.Error("want the bindings at the two servers that are alive ended, and no other")
	}
	r.wantBindings(t, 0)
}

// TestF33_ANameThatHasBecomePrivate: a resolver that blocks an identity server
// must not keep its users from deleting what they have.
func TestF33_ANameThatHasBecomePrivate(t *testing.T) {
	r, token := bound(t, "id.example.org")
	r.ids.Private["inside.example.org"] = true
	named := `,"id_server":"inside.example.org"`
	wantError(t, r.as(token, "POST", unbindPath, ofAlice(named)), http.StatusBadRequest, "M_SERVER_NOT_TRUSTED")
	r.wantResult(t, token, deletePath, ofAlice(named), "no-support", alice)
	if got := r.hs.Emails("alice"); len(got) != 0 {
		t.Errorf("the account has %q, want nothing", got)
	}
	r.wantResult(t, token, deactivatePath, deactivation(named), "no-support", "")
	if r.hs.HasUser("alice") {
		t.Error("the account is still there")
	}
	for _, call := range r.hs.IDServerCalls() {
		if strings.Contains(call.URL, "inside") {
			t.Errorf("the homeserver was sent to %s", call.URL)
		}
	}
}

// TestF33_TheSignatureGoesWhereItIsNeeded: where the session has expired,
// nothing else ends the binding.
func TestF33_TheSignatureGoesWhereItIsNeeded(t *testing.T) {
	r, token := bound(t, "old.example.org")
	r.clock.Advance(49 * time.Hour)
	r.ids.Expire("old.example.org")
	r.ids.Start("new.example.org", "1", "s", "email", "alice@x.org")
	wantStatus(t, r.as(token, "POST", bindPath, bindBody("new.example.org", "1", "s")), http.StatusOK)
	r.wantResult(t, token, deletePath, ofAlice(""), "success", "")
	for _, server := range []string{"old.example.org", "new.example.org"} {
		if got := r.ids.Owner(server, "email", "alice@x.org"); got != "" {
			t.Errorf("%s still has %q", server, got)
		}
	}
}

// TestF33_AProxyThatLosesPatience: Synapse waits a minute for an identity
// server that hangs, the proxy before it may not.
func TestF33_AProxyThatLosesPatience(t *testing.T) {
	for path, body := range map[string]string{deletePath: ofAlice(""), deactivatePath: deactivation("")} {
		r, token := bound(t, "id.example.org")
		legacy := r.next
		r.next = func(w http.ResponseWriter, req *http.Request) error {
			raw, err := wire.ReadBody(w, req, 1<<20)
			if err != nil || strings.Contains(string(raw), `"id_server":"id.example.org"`) {
				return &wire.UpstreamError{Status: http.StatusGatewayTimeout, Err: wire.ErrNoAnswer}
			}
			wire.SetBody(req, raw)
			return legacy(w, req)
		}
		r.wantResult(t, token, path, body, "success", "") // by the session
	}
}

func TestDeactivateThatWasDoneBeforeTheAnswerWasLost(t *testing.T) {
	r, token := bound(t, "id.example.org")
	legacy := r.next
	lost := false
	r.next = func(w http.ResponseWriter, req *http.Request) error {
		if !strings.HasSuffix(req.URL.Path, "/deactivate") || lost {
			return legacy(w, req)
		}
		lost = true
		if err := legacy(httptest.NewRecorder(), req); err != nil {
			return err
		}
		return &wire.UpstreamError{Status: http.StatusGatewayTimeout, Err: wire.ErrNoAnswer}
	}
	r.wantResult(t, token, deactivatePath, deactivation(""), "success", "")
	r.wantBindings(t, 0)
}

func TestDeactivateThatFailedIsNotRepeated(t *testing.T) {
	r, token := bound(t, "id.example.org")
	tries := 0
	legacy := r.next
	r.next = func(w http.ResponseWriter, req *http.Request) error {
		if !strings.HasSuffix(req.URL.Path, "/deactivate") {
			return legacy(w, req)
		}
		tries++
		return upstream(500, `{"errcode":"M_UNKNOWN","error":"disk full"}`)(w, req)
	}
	wantError(t, r.as(token, "POST", deactivatePath, deactivation("")), http.StatusInternalServerError, "M_UNKNOWN")
	if tries != 1 {
		t.Errorf("got %d tries, want 1", tries)
	}
	r.wantBindings(t, 1)
}

func TestDeactivateWithoutAListOfAddresses(t *testing.T) {
	r, token := bound(t, "id.example.org")
	legacy := r.next
	r.next = func(w http.ResponseWriter, req *http.Request) error {
		if req.Method == http.MethodGet && strings.HasSuffix(req.URL.Path, "/3pid") {
			return upstream(404, `{"errcode":"M_UNRECOGNIZED"}`)(w, req)
		}
		return legacy(w, req)
	}
	rec := r.as(token, "POST", deactivatePath, deactivation(""))
	wantStatus(t, rec, http.StatusOK)
	if r.hs.HasUser("alice") {
		t.Error("the account is still there")
	}
}

func TestDeactivateAsksNobodyBeforeItsAuthentication(t *testing.T) {
	r := newRig(t, options{service: func(c *verification.Config) { c.User = ratelimit.Limit{Burst: 2, Per: 1 << 40} }})
	r.hs.AddUser("alice", "secret", "alice@x.org")
	token := r.login("alice", "secret")
	for range 20 {
		wantStatus(t, r.as(token, "POST", deactivatePath, `{"id_server":"id.example.org"}`), http.StatusUnauthorized)
	}
	if got := r.ids.Made(); len(got) != 0 {
		t.Errorf("got calls %q, want none", got)
	}
	r.wantResult(t, token, deactivatePath, deactivation(`,"id_server":"id.example.org"`), "no-support", "")
}

func TestUnbindOfANamedServerIsLimited(t *testing.T) {
	r := newRig(t, options{service: func(c *verification.Config) { c.User = ratelimit.Limit{Burst: 2, Per: 1 << 40} }, hs: func(*fakehs.Options) {}})
	r.hs.AddUser("alice", "secret", "1@x.org", "2@x.org", "3@x.org")
	token := r.login("alice", "secret")
	numbered := func(n, port string) string {
		return strings.Replace(ofAlice(`,"id_server":"scan.example.org:`+port+`"`), "alice", n, 1)
	}
	for _, n := range []string{"1", "2"} {
		r.wantResult(t, token, deletePath, numbered(n, "22"), "no-support", "")
	}
	if got := r.ids.Made(); len(got) != 2 {
		t.Errorf("got calls %q, want two", got)
	}
	r.ids.Calls = nil
	r.wantResult(t, token, deletePath, numbered("3", "23"), "no-support", "")
	if got := r.ids.Made(); len(got) != 0 {
		t.Errorf("got calls %q, want none any more", got)
	}
	wantError(t, r.as(token, "POST", unbindPath, ofAlice(`,"id_server":"scan.example.org:23"`)), http.StatusTooManyRequests, "M_LIMIT_EXCEEDED")
}

// TestUnbindOfANamedServerCountsOnce: on a homeserver that can unbind, the name
// is looked at twice.
func TestUnbindOfANamedServerCountsOnce(t *testing.T) {
	r := newRig(t, options{service: func(c *verification.Config) { c.User = ratelimit.Limit{Burst: 2, Per: 1 << 40} }})
	r.hs.AddUser("alice", "secret", "alice@x.org")
	token := r.login("alice", "secret")
	legacy := r.next
	r.next = func(w http.ResponseWriter, req *http.Request) error {
		switch {
		case !strings.HasSuffix(req.URL.Path, "/3pid/unbind"):
			return legacy(w, req)
		case req.Header.Get("Authorization") == "":
			return upstream(401, `{"errcode":"M_MISSING_TOKEN"}`)(w, req)
		}
		return upstream(200, `{"id_server_unbind_result":"no-support"}`)(w, req)
	}
	body := ofAlice(`,"id_server":"id.example.org"`)
	for range 2 {
		wantStatus(t, r.as(token, "POST", unbindPath, body), http.StatusOK)
	}
	wantError(t, r.as(token, "POST", unbindPath, body), http.StatusTooManyRequests, "M_LIMIT_EXCEEDED")
}

// TestWithdrawal_AStoreThatFails holds the request back: nobody knows what is bound.
func TestWithdrawal_AStoreThatFails(t *testing.T) {
	broken := &brokenStore{}
	r := newRig(t, options{service: func(c *verification.Config) {
		broken.Store = c.Store
		c.Store = broken
	}})
	r.hs.AddUser("alice", "secret", "alice@x.org")
	token := r.login("alice", "secret")
	broken.err = errors.New("disk is gone")
	for path, body := range map[string]string{deletePath: ofAlice(""), unbindPath: ofAlice(""), deactivatePath: deactivation("")} {
		wantError(t, r.as(token, "POST", path, body), http.StatusInternalServerError, "M_UNKNOWN")
	}
	if got := strings.Join(r.hs.Emails("alice"), " "); got != "alice@x.org" || !r.hs.HasUser("alice") {
		t.Errorf("the account has %q", got)
	}
}

// TestWithdrawal_OtherMethodsArePassedOn: a path of ours that nobody posts to is passed on,
// under the name that the homeserver knows.
func TestWithdrawal_OtherMethodsArePassedOn(t *testing.T) {
	r := newRig(t, options{})
	for _, path := range []string{unbindPath, deletePath} {
		r.do("PUT", path, ofAlice(""))
		seen := r.hs.Requests()
		if got, want := seen[len(seen)-1].Path, strings.Replace(path, "v3", "r0", 1); got != want || len(r.ids.Made()) != 0 {
			t.Errorf("the homeserver was asked for %s, want %s; calls %q", got, want, r.ids.Made())
		}
		if len(r.events.list) != 0 {
			t.Errorf("what the homeserver has answered by itself is reported: %+v", r.events.list)
		}
	}
}

// TestWithdrawal_AHomeserverThatDoesNotAnswer is told as such: whether it has the endpoint
// is not known then, and nor is what it has done.
func TestWithdrawal_AHomeserverThatDoesNotAnswer(t *testing.T) {
	for path, silent := range map[string]string{unbindPath: "/3pid/unbind", deletePath: "/3pid/delete"} {
		r, token := bound(t, "id.example.org")
		legacy := r.next
		r.next = func(w http.ResponseWriter, req *http.Request) error {
			if strings.HasSuffix(req.URL.Path, silent) {
				return &wire.UpstreamError{Status: http.StatusServiceUnavailable, Err: wire.ErrNoAnswer}
			}
			return legacy(w, req)
		}
		r.events.changes = nil
		wantError(t, r.as(token, "POST", path, ofAlice("")), http.StatusServiceUnavailable, "M_UNKNOWN")
		if r.wantBindings(t, 1); len(r.events.changes) != 0 {
			t.Errorf("%s: reported was %+v", path, r.events.changes)
		}
	}
}
