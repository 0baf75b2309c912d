// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/hsapi"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/fakehs"
)

// laterHomeserver has what came after 1.3.1, adding with a password among it.
func laterHomeserver(o *fakehs.Options) { o.Later = true }

func (r *rig) tokenFor(purpose, email string) (status int, errcode string) {
	r.t.Helper()
	rec := r.do("POST", "/_matrix/client/r0/"+purpose+"/email/requestToken", `{"client_secret":"s","email":"`+email+`","send_attempt":1}`)
	errcode, _ = decoded(r.t, rec)["errcode"].(string)
	return rec.Code, errcode
}

// TestF19_PlainAddressesCostNothing: nearly all have one spelling, and the homeserver is
// asked once about them, if it is asked at all.
func TestF19_PlainAddressesCostNothing(t *testing.T) {
	for _, email := range []string{"alice@example.org", "Alice@EXAMPLE.org", "alice@ab--cd.example"} {
		for want, how := range map[int]options{0: {}, 1: callback} {
			for _, purpose := range []string{"register", "account/password", "account/3pid"} {
				r, seen := newRig(t, how), &witness{}
				r.next = seen.before(r.next)
				if status, code := r.tokenFor(purpose, email); status != http.StatusOK || len(seen.asked) != want {
					t.Errorf("%s for %s: got %d %s and %d requests at the homeserver, want %d", purpose, email, status, code, len(seen.asked), want)
				}
			}
		}
	}
}

// TestF19_AskedForEveryOutcomeAlike: how often the homeserver is asked tells nothing
// about who has the address.
func TestF19_AskedForEveryOutcomeAlike(t *testing.T) {
	for _, purpose := range []string{"register", "account/password"} {
		counts := map[int]bool{}
		for _, stored := range []string{"", "me@bücher.example", "me@xn--bcher-kva.example", "me@bu\u0308cher.example"} {
			r, seen := newRig(t, callback), &witness{}
			r.next = seen.before(r.next)
			if stored != "" {
				r.hs.AddUser("alice", "p", stored)
			}
			if status, code := r.tokenFor(purpose, "me@bücher.example"); status != http.StatusOK {
				t.Errorf("%s, stored %+q: got %d %s", purpose, stored, status, code)
			}
			counts[len(seen.asked)] = true
		}
		if len(counts) != 1 {
			t.Errorf("%s: the homeserver was asked %v times", purpose, counts)
		}
	}
}

// TestF19_TwoAccountsOfOneMailbox: from before us there may be two. Each is reset by its
// own spelling.
func TestF19_TwoAccountsOfOneMailbox(t *testing.T) {
	for typed, want := range map[string]string{"me@bücher.example": "unicode", "me@XN--bcher-kva.example": "ascii"} {
		r := newRig(t, callback)
		r.hs.AddUser("ascii", "p", "me@xn--bcher-kva.example")
		r.hs.AddUser("unicode", "p", "me@bücher.example")
		sid := r.validated("account/password", "s", typed)
		wantStatus(t, r.reset(resetBody(sid, "s")), http.StatusOK)
		for _, name := range []string{"ascii", "unicode"} {
			if got := r.hs.CheckPassword(name, "correct horse"); got != (name == want) {
				t.Errorf("typed %q: the password of %s was set: %t", typed, name, got)
			}
		}
	}
}

// TestF19_AnAddressIsNotMovedBySpelling: what somebody else has in another spelling is not
// added, and what the account has itself stays as it is spelled.
func TestF19_AnAddressIsNotMovedBySpelling(t *testing.T) {
	for _, how := range []options{callback, {}} {
		r := newRig(t, how)
		r.hs.AddUser("alice", "p", "alice@example.org")
		r.hs.AddUser("bob", "p", "bob@example.org")
		alice := r.login("alice", "p")
		sid := r.validated("account/3pid", "s", "me@bücher.example")
		creds := `{"three_pid_creds":{"sid":"` + sid + `","client_secret":"s"}}`
		r.hs.AddUser("bob", "p", "me@bu\u0308cher.example") // since then
		wantError(t, r.add(alice, "r0", creds), http.StatusBadRequest, "M_THREEPID_IN_USE")
		r.hs.AddUser("alice", "p", "me@bücher.example")
		wantStatus(t, r.add(alice, "r0", creds), http.StatusOK)
		rec := r.as(alice, "GET", "/_matrix/client/r0/account/3pid", "")
		if got := strings.Count(rec.Body.String(), "cher.example"); got != 1 || !strings.Contains(rec.Body.String(), "me@bücher.example") {
			t.Errorf("got %s, want the address once, as it was", rec.Body)
		}
	}
}

// TestF19_HomeserversThatFold take two mailboxes for one. There neither is verified that
// is not folded, or the proof of the one would be that of the other; whoever is refused
// is told so, whether or not the other has an account.
func TestF19_HomeserversThatFold(t *testing.T) {
	for _, how := range []func(*Config){callback.config, func(*Config) {}} {
		r := newRig(t, options{config: how, hs: laterHomeserver})
		r.hs.AddUser("alice", "p", "strasse@example.org")
		for _, purpose := range []string{"register", "account/password", "account/3pid"} {
			for _, email := range []string{"straße@example.org", "ſam@example.org", "σίσυφος@example.org"} {
				if status, code := r.tokenFor(purpose, email); status != http.StatusBadRequest || code != "M_INVALID_PARAM" {
					t.Errorf("%s for %s: got %d %s", purpose, email, status, code)
				}
			}
			if status, code := r.tokenFor(purpose, "me@straße.example"); status != http.StatusOK {
				t.Errorf("%s for a domain: got %d %s", purpose, status, code)
			}
		}
		for _, m := range r.box.messages {
			if m.Address != "me@xn--strae-oqa.example" {
				t.Errorf("a mail went to %s", m.Address)
			}
		}
	}
}

// TestF19_OneMailboxDoesNotProveAnother: straße and strasse are two people's. Neither can
// reset the other's password, and mail goes to the one that was typed.
func TestF19_OneMailboxDoesNotProveAnother(t *testing.T) {
	for typed, stored := range map[string]string{
		"straße@example.org": "strasse@example.org", "strasse@example.org": "straße@example.org", "me@straße.example": "me@strasse.example",
	} {
		r := newRig(t, options{}) // nobody is asked before the proof
		r.hs.AddUser("alice", "p", stored)
		sid := r.validated("account/password", "s", typed)
		if got := r.box.last(t).Address; got != hsapi.Canonical("email", typed).Address {
			t.Errorf("mail for %s went to %s", typed, got)
		}
		if rec := r.reset(resetBody(sid, "s")); rec.Code == http.StatusOK || !r.hs.CheckPassword("alice", "p") {
			t.Errorf("whoever has %s resets %s: %d %s", typed, stored, rec.Code, rec.Body)
		}
	}
}

// TestF19_NativeResetsAreSpelledAsStored, where the homeserver compares texts.
func TestF19_NativeResetsAreSpelledAsStored(t *testing.T) {
	native := options{
		config: func(c *Config) { c.NativeReset = true },
		hs:     func(o *fakehs.Options) { o.ResetMode = fakehs.ResetLocal },
	}
	for typed, stored := range map[string]string{
		"ME@Example.org": "me@example.org", "me@bücher.example": "me@xn--bcher-kva.example", "me@xn--bcher-kva.example": "me@bücher.example",
	} {
		r := newRig(t, native)
		r.hs.AddUser("alice", "p", stored)
		if status, code := r.tokenFor("account/password", typed); status != http.StatusOK {
			t.Errorf("typed %s, stored %s: got %d %s", typed, stored, status, code)
		}
		if status, code := r.tokenFor("account/password", "nobody@bücher.example"); code != "M_THREEPID_NOT_FOUND" {
			t.Errorf("an address of nobody's: got %d %s", status, code)
		}
	}
}

// TestF19_NotAskedIsNotUnknown: while nobody can find out whether the homeserver may be
// asked, an address that has other spellings is not taken for one that nobody has.
func TestF19_NotAskedIsNotUnknown(t *testing.T) {
	r := newRig(t, options{})
	sid := r.validated("register", "s", "me@xn--bcher-kva.example")
	r.hs.AddUser("alice", "p", "me@bücher.example")
	hs := r.next
	inBetween := upstream(http.StatusBadGateway, `{"errcode":"M_UNKNOWN","error":""}`)
	r.next = func(w http.ResponseWriter, req *http.Request) error {
		if inBetween != nil && strings.HasSuffix(req.URL.Path, "/account/3pid/add") {
			return inBetween(w, req)
		}
		return hs(w, req)
	}
	body := `{"username":"carol","password":"secret","auth":{"type":"m.login.email.identity","threepid_creds":{"sid":"` + sid + `","client_secret":"s"}}}`
	wantError(t, r.do("POST", "/_matrix/client/r0/register", body), http.StatusBadGateway, "M_UNKNOWN")
	inBetween = upstream(http.StatusNotFound, "<html>", "Content-Type", "text/html")
	wantError(t, r.do("POST", "/_matrix/client/r0/register", body), http.StatusBadGateway, "M_UNKNOWN")
	if status, code := r.tokenFor("register", "straße@example.org"); status != http.StatusBadGateway || code != "M_UNKNOWN" {
		t.Errorf("whether it folds is not known, and got %d %s", status, code)
	}
	inBetween = nil
	if rec := r.do("POST", "/_matrix/client/r0/register", body); rec.Code == http.StatusOK || r.hs.CheckPassword("carol", "secret") {
		t.Errorf("a second account has the mailbox: %d %s", rec.Code, rec.Body)
	}
}

// TestF19_APageDoesNotSayThatNothingIsFolded: somebody in between, who answers 404 while
// the homeserver is away, does not make it an old one.
func TestF19_APageDoesNotSayThatNothingIsFolded(t *testing.T) {
	r := newRig(t, options{hs: laterHomeserver})
	hs := r.next
	r.next = func(w http.ResponseWriter, req *http.Request) error {
		if strings.HasSuffix(req.URL.Path, "/account/3pid/add") {
			http.Error(w, "default backend - 404", http.StatusNotFound)
			return nil
		}
		return hs(w, req)
	}
	if status, code := r.tokenFor("account/password", "straße@example.org"); status != http.StatusBadGateway || code != "M_UNKNOWN" {
		t.Errorf("got %d %s: whoever reads straße@ may reset strasse@", status, code)
	}
	if status, code := r.tokenFor("account/password", "strasse@example.org"); status != http.StatusOK {
		t.Errorf("got %d %s for an address that nobody folds", status, code)
	}
}
