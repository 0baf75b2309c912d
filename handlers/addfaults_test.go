// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/route"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/fakehs"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
	"github.com/caddy-threepid/caddy-threepid/store/storetest"
)

// addFaulty is a rig over a store that breaks, with Alice's token.
func addFaulty(t *testing.T) (r *rig, disk *storetest.Breaking, token string) {
	t.Helper()
	disk = &storetest.Breaking{Err: errDisk}
	r = newRig(t, options{service: func(c *verification.Config) { disk.Store, c.Store = c.Store, disk }})
	r.hs.AddUser("alice", "secret", "alice@x.org")
	return r, disk, r.login("alice", "secret")
}

// TestNobodyIsToldThatTheyHaveNotConfirmed while that cannot be looked up, nor is anything
// added then.
func TestNobodyIsToldThatTheyHaveNotConfirmed(t *testing.T) {
	for _, auth := range []string{"", passwordAuth("", "secret")} {
		r, disk, token := addFaulty(t)
		sid := r.validated("account/3pid", "c", "new@x.org")
		disk.Arm(1)
		wantError(t, r.as(token, "POST", addPath, addBody(sid, "c", auth)), http.StatusInternalServerError, "M_UNKNOWN")
		r.wantEmails(t, "alice", "alice@x.org")
	}
}

// TestASessionThatIsNotOursIsAuthenticatedToo: the homeserver may know it. One that is ours
// and not confirmed is not; what is wrong with a request is said before that.
func TestASessionThatIsNotOursIsAuthenticatedToo(t *testing.T) {
	r, _, token := addFaulty(t)
	wantStatus(t, r.as(token, "POST", addPath, addBody("theirs", "c", "")), http.StatusUnauthorized)
	r.as(token, "POST", addPath, addBody("theirs", "c", passwordAuth("", "secret")))
	const creds = `{"client_secret":"c","sid":"theirs"}`
	if got, want := bodies(r.hs.Requests()), `{"threePidCreds":`+creds+`,"three_pid_creds":`+creds+`}`; !strings.HasSuffix(got, want) {
		t.Errorf("the homeserver saw %s, want %s at last", got, want)
	}
	sid := r.request("account/3pid", "c", "new@x.org")
	r.hs.ResetRecordings()
	wantError(t, r.as(token, "POST", addPath, addBody(sid, "c", passwordAuth("", "secret"))), http.StatusBadRequest, "M_THREEPID_AUTH_FAILED")
	for _, req := range r.hs.Requests() {
		if strings.HasSuffix(req.Path, "/login") {
			t.Error("the password was asked for in vain")
		}
	}
	wantError(t, r.as(token, "POST", addPath, addBody(sid, "c", `5`)), http.StatusBadRequest, "M_BAD_JSON")
}

// TestAddByAProofCanBeTriedAgain after any failure of the store, unless the homeserver was
// asked to add the address.
func TestAddByAProofCanBeTriedAgain(t *testing.T) {
	again := 0
	for n, met := 1, true; met; n++ {
		r, disk, token := addFaulty(t)
		proof := r.validated("account/password", "p", "alice@x.org")
		sid := r.validated("account/3pid", "c", "new@x.org")
		body := mailProof(sid, "c", proof, "p")
		disk.Arm(n)
		rec := r.as(token, "POST", addPath, body)
		broke := disk.Broke()
		disk.Arm(0)
		met = broke != ""
		asked := slices.ContainsFunc(r.hs.Requests(), func(req fakehs.Request) bool {
			return req.Method == "POST" && strings.HasSuffix(req.Path, "/account/3pid")
		})
		if rec.Code == http.StatusOK || asked {
			continue
		}
		again++
		r.clock.Advance(verification.DefaultInFlight)
		if rec := r.as(token, "POST", addPath, body); rec.Code != http.StatusOK {
			t.Errorf("after %s it cannot be done any more: %d %s", broke, rec.Code, rec.Body)
		}
	}
	if again == 0 {
		t.Error("no fault was met")
	}
}

// TestWhatPanicsHasUsedItsProofs: nobody knows what the homeserver has done.
func TestWhatPanicsHasUsedItsProofs(t *testing.T) {
	for _, tail := range []string{route.TailAdd, "account/3pid"} {
		r, _, token := addFaulty(t)
		proof := verification.Completion{SID: threepid.SID(r.validated("account/password", "p", "alice@x.org")), ClientSecret: "p", Purpose: threepid.Password}
		added := verification.Completion{SID: threepid.SID(r.validated("account/3pid", "c", "new@x.org")), ClientSecret: "c", Purpose: threepid.Add}
		legacy := r.next
		r.next = func(w http.ResponseWriter, req *http.Request) error {
			if req.Method != http.MethodPost || !strings.HasSuffix(req.URL.Path, "/account/3pid") {
				return legacy(w, req)
			}
			_ = legacy(httptest.NewRecorder(), req) // it panics all the same
			panic("on purpose")
		}
		body := mailProof(string(added.SID), "c", string(proof.SID), "p")
		if tail != route.TailAdd {
			body = oldCreds(string(added.SID), "c")
		}
		func() {
			defer func() {
				if p := recover(); p != "on purpose" {
					t.Errorf("%s: got panic %v", tail, p)
				}
			}()
			r.as(token, "POST", "/_matrix/client/r0/"+tail, body)
		}()
		want := [2]string{"consumed", "validated"}
		if tail == route.TailAdd {
			want[1] = "consumed"
		}
		if got := [2]string{r.stands(added), r.stands(proof)}; got != want {
			t.Errorf("%s: the address and the proof are %s, want %s", tail, got, want)
		}
	}
}

// TestAProofThatIsTakenBackIsNone: whoever reads the mail says that it was not them, while
// the homeserver is asked whose address that is.
func TestAProofThatIsTakenBackIsNone(t *testing.T) {
	r, _, token := addFaulty(t)
	proof := r.validated("account/password", "p", "alice@x.org")
	refusal := r.box.last(t).Refusal
	sid := r.validated("account/3pid", "c", "new@x.org")
	legacy, refused := r.next, 0
	r.next = func(w http.ResponseWriter, req *http.Request) error {
		if req.Method == http.MethodGet && strings.HasSuffix(req.URL.Path, "/account/3pid") {
			refused = r.do("POST", route.RefusePath+"?sid="+proof+"&refusal="+string(refusal), "List-Unsubscribe=One-Click", "Content-Type", "application/x-www-form-urlencoded").Code
		}
		return legacy(w, req)
	}
	wantError(t, r.as(token, "POST", addPath, mailProof(sid, "c", proof, "p")), http.StatusUnauthorized, "M_UNAUTHORIZED")
	if r.wantEmails(t, "alice", "alice@x.org"); refused != http.StatusOK {
		t.Errorf("it was not taken back: %d", refused)
	}
}

// TestWhatAnAccountHasStaysAsItIsSpelled there, and nobody is asked about an address for
// somebody who is not logged in.
func TestWhatAnAccountHasStaysAsItIsSpelled(t *testing.T) {
	r, _, token := addFaulty(t)
	r.hs.AddThreepid("alice", "email", "me@bücher.example")
	sid := r.validated("account/3pid", "c", "me@xn--bcher-kva.example")
	r.hs.ResetRecordings()
	wantError(t, r.do("POST", clientPath+"account/3pid", oldCreds(sid, "c")), http.StatusUnauthorized, "M_MISSING_TOKEN")
	if got := r.hs.Requests(); len(got) > 0 {
		t.Errorf("the homeserver saw %d requests", len(got))
	}
	wantStatus(t, r.add(token, "r0", oldCreds(sid, "c")), http.StatusOK)
	r.wantEmails(t, "alice", "alice@x.org", "me@bücher.example")
}

// TestAddAsksNothingTwice: whose token it is, whether there is an endpoint for it, and who
// has the address are asked once each.
func TestAddAsksNothingTwice(t *testing.T) {
	r, _, token := addFaulty(t)
	sid := r.validated("account/3pid", "c", "new@x.org")
	r.hs.ResetRecordings()
	wantStatus(t, r.as(token, "POST", addPath, addBody(sid, "c", passwordAuth("", "secret"))), http.StatusOK)
	var asked []string
	for _, req := range r.hs.Requests() {
		asked = append(asked, req.Method+" "+strings.TrimPrefix(req.Path, "/_matrix/client/"))
	}
	want := []string{
		"POST r0/account/3pid/add", "POST unstable/account/3pid/add", "GET r0/account/whoami", "POST r0/login", "POST r0/logout",
		"GET r0/account/3pid", "POST r0/account/3pid/email/requestToken", "POST r0/account/3pid",
	}
	if !slices.Equal(asked, want) {
		t.Errorf("the homeserver was asked %q, want %q", asked, want)
	}
}
