// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/wire"
)

const (
	loginPath = "/_matrix/client/r0/login"
	// idnLogin is a log-in by an address in another spelling than the canonical one.
	idnLogin = `{"type":"m.login.password","password":"p","identifier":{"type":"m.id.thirdparty","medium":"email","address":"me@b\u00fccher.example"}}`
)

// witness notes what a homeserver is asked, and gives it to another one, or answers with
// one status.
type witness struct {
	asked  []string // "path body"
	status int
}

func (s *witness) before(hs wire.Next) wire.Next {
	return func(w http.ResponseWriter, req *http.Request) error {
		raw, err := io.ReadAll(req.Body)
		if err != nil {
			return err
		}
		s.asked = append(s.asked, strings.TrimPrefix(req.URL.Path, "/_matrix/client/")+" "+string(raw))
		if s.status != 0 && strings.HasSuffix(req.URL.Path, "/login") {
			return upstream(s.status, `{"errcode":"M_FORBIDDEN","error":""}`)(w, req)
		}
		req.Body = io.NopCloser(strings.NewReader(string(raw)))
		return hs(w, req)
	}
}

func (s *witness) count(path string) (n int) {
	for _, a := range s.asked {
		if strings.HasPrefix(a, path+" ") {
			n++
		}
	}
	return n
}

// TestF19_LogInsGoOnAsTheyCame, byte for byte and without a question, but for an address
// that has another spelling.
func TestF19_LogInsGoOnAsTheyCame(t *testing.T) {
	for _, body := range []string{
		``, `[]`, `{`, `{"type":"m.login.password","user":"alice","password":"p"}`,
		`{"type":"m.login.password","identifier":{"type":"m.id.user","user":"me@b\u00fccher.example"},"password":"p"}`,
		`{"type":"m.login.password", "identifier":{"type":"m.id.thirdparty","medium":"email","address":"me@example.org"},"password":"p"}`,
		`{"type":"m.login.password", "medium":"email","address":"me@example.org","password":"p"}`,
		`{"type":"m.login.password", "identifier":{"type":"m.id.thirdparty","medium":"msisdn","address":"me@b\u00fccher.example"},"password":"p"}`,
		`{"type":"m.login.password", "identifier":{"type":"m.id.phone","medium":"email","address":"me@b\u00fccher.example"},"password":"p"}`,
		`{"type":"m.login.password", "identifier":{"type":"m.id.thirdparty","medium":"email","address":"no address"},"password":"p"}`,
		`{"type":"m.login.password", "identifier":{"type":"m.id.thirdparty","medium":"email","address":7},"password":"p"}`,
		// A token is no password: it may be good for one try only.
		`{"type":"m.login.token", "identifier":{"type":"m.id.thirdparty","medium":"email","address":"me@b\u00fccher.example"},"token":"t"}`,
		// What somebody could read in another way is nobody's to change.
		strings.Replace(idnLogin, `"medium"`, `"address":"x@x.org","medium"`, 1),
	} {
		r, seen := newRig(t, callback), &witness{}
		r.next = seen.before(r.next)
		r.do("POST", loginPath, body)
		if want := []string{"r0/login " + body}; !slices.Equal(seen.asked, want) {
			t.Errorf("got %q, want %q", seen.asked, want)
		}
	}
	for _, path := range []string{"/_matrix/client/r0/rooms/login", "/_matrix/client/r0/logins", "/other/login"} {
		r, seen := newRig(t, callback), &witness{}
		r.next = seen.before(r.next)
		r.do("POST", path, idnLogin)
		if len(seen.asked) != 1 || !strings.HasSuffix(seen.asked[0], idnLogin) {
			t.Errorf("%s: got %q, want what came", path, seen.asked)
		}
	}
}

// TestF19_LogInByAnySpelling, in both ways to name an address: the homeserver is asked
// which it has, and gets the password once.
func TestF19_LogInByAnySpelling(t *testing.T) {
	old := `{"type":"m.login.password","password":"p","medium":"email","address":"ME@B\u00dcCHER.example","identifier":{"type":"m.id.user","user":"other"}}`
	for _, stored := range []string{"me@xn--bcher-kva.example", "me@bücher.example", "me@bu\u0308cher.example"} {
		for _, body := range []string{idnLogin, old} {
			for _, how := range []options{callback, {}} {
				r, seen := newRig(t, how), &witness{}
				r.next = seen.before(r.next)
				r.hs.AddUser("alice", "p", stored)
				rec := r.do("POST", loginPath, body)
				wantStatus(t, rec, http.StatusOK)
				if got := decoded(t, rec)["user_id"]; got != "@alice:example.org" {
					t.Errorf("%s, stored %+q: got %v", body, stored, got)
				}
				if got := seen.count("r0/login"); got != 1 {
					t.Errorf("%s, stored %+q: the password was tried %d times", body, stored, got)
				}
			}
		}
	}
}

// TestF19_LogInToTwoAccountsOfOneMailbox: from before us there may be two. The password
// says whose it is, and the spelling that was typed comes first.
func TestF19_LogInToTwoAccountsOfOneMailbox(t *testing.T) {
	for password, want := range map[string]string{"p": "@unicode:example.org", "q": "@ascii:example.org", "x": ""} {
		r, seen := newRig(t, callback), &witness{}
		r.next = seen.before(r.next)
		r.hs.AddUser("ascii", "q", "me@xn--bcher-kva.example")
		r.hs.AddUser("unicode", "p", "me@bücher.example")
		rec := r.do("POST", loginPath, strings.Replace(idnLogin, `"p"`, `"`+password+`"`, 1))
		if got, _ := decoded(t, rec)["user_id"].(string); got != want {
			t.Errorf("password %s: got %q, want %q", password, got, want)
		}
		if got := seen.count("r0/login"); got > 2 {
			t.Errorf("the password was tried %d times", got)
		}
	}
}

// TestF19_LogInTriesAreBounded: a homeserver that would mail cannot be asked, and counts
// each try.
func TestF19_LogInTriesAreBounded(t *testing.T) {
	later := options{hs: laterHomeserver}
	r, seen := newRig(t, later), &witness{status: http.StatusForbidden}
	r.next = seen.before(r.next)
	rec := r.do("POST", loginPath, strings.Replace(idnLogin, "me@", `jos\u00e9@`, 1))
	wantStatus(t, rec, http.StatusForbidden)
	if got := seen.count("r0/login"); got != maxLogins {
		t.Errorf("the password was tried %d times, want %d", got, maxLogins)
	}
	if got := seen.count("r0/account/3pid/email/requestToken"); got != 0 {
		t.Errorf("the homeserver was asked for %d mails", got)
	}
	seen.asked, seen.status = nil, http.StatusTooManyRequests
	wantStatus(t, r.do("POST", loginPath, idnLogin), http.StatusTooManyRequests)
	if got := seen.count("r0/login"); got != 1 {
		t.Errorf("after a 429 the password was tried %d times", got)
	}
}

// TestF19_UnknownAddressesOfLogInsGoOnAsTheyCame: what is behind the homeserver may know
// them.
func TestF19_UnknownAddressesOfLogInsGoOnAsTheyCame(t *testing.T) {
	r, seen := newRig(t, callback), &witness{}
	r.next = seen.before(r.next)
	wantStatus(t, r.do("POST", loginPath, idnLogin), http.StatusForbidden)
	if got := seen.asked[len(seen.asked)-1]; got != "r0/login "+idnLogin || seen.count("r0/login") != 1 {
		t.Errorf("got %q last, want what came", got)
	}
}

// TestF19_PasswordStageByAnAddress: Synapse up to 1.3.1 knows a user by name only there,
// and the later ones an address by one spelling.
func TestF19_PasswordStageByAnAddress(t *testing.T) {
	for name, identifier := range map[string]string{
		"identifier": `"identifier":{"type":"m.id.thirdparty","medium":"email","address":"me@b\u00fccher.example"}`,
		"of then":    `"medium":"email","address":"ME@xn--bcher-kva.example"`,
	} {
		for _, path := range []string{"/_matrix/client/r0/delete_devices", "/_matrix/client/r0/account/deactivate"} {
			r := newRig(t, callback)
			r.hs.AddUser("alice", "p", "me@bu\u0308cher.example")
			r.hs.AddUser("mallory", "p", "mallory@example.org")
			for user, want := range map[string]int{"mallory": http.StatusUnauthorized, "alice": http.StatusOK} {
				body := `{"devices":[],"auth":{"type":"m.login.password","password":"p",` + identifier + `}}`
				rec := r.as(r.login(user, "p"), "POST", path, body)
				if refused := rec.Code != http.StatusOK; refused != (want != http.StatusOK) {
					t.Errorf("%s at %s by %s: got %d %s", name, path, user, rec.Code, rec.Body)
				}
			}
		}
	}
}

// TestF19_AnswersOfLogInsAreWhole: what was asked for us on the way is not in them.
func TestF19_AnswersOfLogInsAreWhole(t *testing.T) {
	r := newRig(t, callback)
	r.hs.AddUser("alice", "p", "me@bücher.example")
	direct := httptest.NewRecorder()
	if err := r.next(direct, httptest.NewRequest("POST", loginPath, strings.NewReader(idnLogin))); err != nil {
		t.Fatal(err)
	}
	rec := r.do("POST", loginPath, idnLogin)
	for key := range decoded(t, direct) {
		if decoded(t, rec)[key] == nil {
			t.Errorf("%s is missing in %s", key, rec.Body)
		}
	}
	if got, want := rec.Header().Get("Content-Type"), direct.Header().Get("Content-Type"); got != want {
		t.Errorf("got Content-Type %q, want %q", got, want)
	}
}
