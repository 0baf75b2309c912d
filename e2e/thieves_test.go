// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/stack"
)

// Each attack here was once carried out against an unmodified Synapse 1.3.1 behind
// us, and ended in a log-in with the thief's password. It ends in one still, which
// has to fail. Package adversary looks for others like them.

// withAndWithoutCaptcha runs a test in front of the shared stacks, and of others that
// have a captcha.
func withAndWithoutCaptcha(t *testing.T, run func(t *testing.T, w *world, captcha bool)) {
	bothModes(t, func(t *testing.T, w *world) { run(t, w, false) })
	t.Run("with captcha", func(t *testing.T) {
		solvedStreet.bothModes(t, func(t *testing.T, w *world) { run(t, w, true) })
	})
}

// TestAttack_OneClickManyResets: whatever a click has proven, and wherever it was
// shown, no name of a session is worth a reset.
func TestAttack_OneClickManyResets(t *testing.T) { //nolint:tparallel // bothModes makes it parallel
	withAndWithoutCaptcha(t, func(t *testing.T, w *world, captcha bool) {
		for told, session := range map[string]string{"no session": "", "an invented session": "bogus"} {
			if captcha { // without one, the proof is a registration, and spent
				t.Run("register with "+told, func(t *testing.T) { w.of(t).manyByRegister(session) })
			}
			t.Run("delete_devices with "+told, func(t *testing.T) { w.of(t).manyByDevices(session) })
		}
		t.Run("devices", func(t *testing.T) { w.of(t).manyByDevice() })
		t.Run("a second way to the homeserver", func(t *testing.T) { w.of(t).aroundBySession() })
	})
}

// TestAttack_ForeignIdentityServer is in front of a homeserver that believes every
// identity server, with a captcha and without.
func TestAttack_ForeignIdentityServer(t *testing.T) {
	t.Parallel()
	for name, naive := range map[string]street{"without": naiveStreet, "with captcha": naiveSolvedStreet} {
		t.Run(name, func(t *testing.T) {
			naive.bothModes(t, func(_ *testing.T, w *world) { w.foreignServer() })
		})
	}
}

// of is the same world for a subtest.
func (w *world) of(t *testing.T) *world {
	dup := *w
	dup.t = t
	return &dup
}

// member makes an account that gets its address afterwards.
func (w *world) member(prefix, email string) (name, token string) {
	w.t.Helper()
	name = strings.ReplaceAll(unique(prefix), ".", "-")
	made, err := w.s.Homeserver.Register(w.t.Context(), name, password, false)
	if err != nil {
		w.t.Fatal(err)
	}
	if email != "" {
		creds := stack.Creds(w.validated("account/3pid", "add."+name, email), "add."+name)
		body := stack.Object{"three_pid_creds": creds}
		w.want(w.must(w.c.Do(w.t.Context(), "POST", "/_matrix/client/r0/account/3pid", made.AccessToken, body)), http.StatusOK)
	}
	return name, made.AccessToken
}

// thieve tries resets by the name of a session alone, through us and past us, and
// then the thief's password.
func (w *world) thieve(name, session string) {
	w.t.Helper()
	body := stack.Object{"new_password": "thief", "auth": stack.Object{"session": session}}
	for _, version := range []string{"r0", "v3", "unstable"} {
		a := w.must(w.c.Do(w.t.Context(), "POST", "/_matrix/client/"+version+"/account/password", "", body))
		if a.Status == http.StatusOK {
			w.t.Errorf("got a reset by a session alone, under %s", version)
		}
	}
	if a := w.must(w.direct().Do(w.t.Context(), "POST", "/_matrix/client/r0/account/password", "", body)); a.Status == http.StatusOK {
		w.t.Error("got a reset by a session alone, past us")
	}
	w.wantSafe(name)
}

func (w *world) wantSafe(name string) {
	w.t.Helper()
	if a := w.must(w.c.Login(w.t.Context(), name, "thief")); a.Status != http.StatusForbidden {
		w.t.Errorf("got status %d for a log-in with the thief's password, want 403; body %s", a.Status, a.Body)
	}
	w.login(name, password)
}

// manyByRegister: whoever reads a mailbox has confirmed it for a registration, which
// is then not made; later the address belongs to an account.
func (w *world) manyByRegister(session string) {
	email := unique("reader") + "@example.test"
	creds := stack.Creds(w.validated("register", "s", email), "s")
	a := w.want(w.must(w.c.Do(w.t.Context(), "POST", "/_matrix/client/v3/register", "", stack.Object{
		"username": unique("x"), "password": "x", "auth": stack.EmailAuth(session, creds),
	})), http.StatusUnauthorized)
	if !strings.Contains(a.Body, `"completed": ["m.login.email.identity"]`) && !strings.Contains(a.Body, `"completed":["m.login.email.identity"]`) {
		w.t.Fatalf("got %s, want the stage completed", a.Body)
	}
	name, _ := w.member("victim", email)
	w.thieve(name, a.Text("session"))
}

// manyByDevices: the proof of one reset, shown where a password is asked for.
func (w *world) manyByDevices(session string) {
	email := unique("victim") + "@example.test"
	name, _ := w.member("victim", email)
	_, token := w.member("mallory", "")
	creds := stack.Creds(w.validated("account/password", "s", email), "s")
	a := w.want(w.must(w.c.Do(w.t.Context(), "POST", "/_matrix/client/r0/delete_devices", token, stack.Object{
		"devices": []string{"none"}, "auth": stack.EmailAuth(session, creds),
	})), http.StatusUnauthorized)
	w.thieve(name, a.Text("session"))
}

// manyByDevice: the same, at the endpoint that has its body in a DELETE.
func (w *world) manyByDevice() {
	email := unique("victim") + "@example.test"
	name, _ := w.member("victim", email)
	_, token := w.member("mallory", "")
	creds := stack.Creds(w.validated("account/password", "s", email), "s")
	a := w.want(w.must(w.c.Do(w.t.Context(), "DELETE", "/_matrix/client/unstable/devices/none", token, stack.Object{
		"auth": stack.EmailAuth("", creds),
	})), http.StatusUnauthorized)
	w.thieve(name, a.Text("session"))
}

// aroundBySession: a reset that went well by us leaves nothing that can be named at
// another door, such as a site on port 8448 that leads to the same homeserver.
func (w *world) aroundBySession() {
	email := unique("victim") + "@example.test"
	name, _ := w.member("victim", email)
	path := "/_matrix/client/v3/account/password"
	session := w.want(w.must(w.c.Do(w.t.Context(), "POST", path, "", stack.Object{})), http.StatusUnauthorized).Text("session")
	creds := stack.Creds(w.validated("account/password", "s", email), "s")
	w.want(w.must(w.c.Do(w.t.Context(), "POST", path, "", stack.Object{
		"new_password": password, "auth": stack.EmailAuth(session, creds),
	})), http.StatusOK)
	w.thieve(name, session)
}

// foreignServer: an identity server of the thief's says yes to everything, and must
// never be asked, whatever stands where the session should.
func (w *world) foreignServer() {
	email := unique("victim") + "@example.test"
	name, victims := w.member("victim", "")
	_, token := w.member("mallory", "")
	var asked atomic.Int64
	evil := httptest.NewTLSServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		rw.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(rw, `{"medium":"email","address":%q,"validated_at":1}`, email)
	}))
	defer evil.Close()
	there := strings.TrimPrefix(evil.URL, "https://")
	// Past us, it is how the account gets its address.
	w.want(w.must(w.direct().Do(w.t.Context(), "POST", "/_matrix/client/r0/account/3pid", victims, stack.Object{
		"three_pid_creds": stack.Object{"sid": nil, "client_secret": "s", "id_server": there},
	})), http.StatusOK)
	asked.Store(0)
	for _, sid := range []any{"", nil, 7, true, []string{}, "x"} {
		for _, creds := range []stack.Object{
			{"sid": sid, "client_secret": "s", "id_server": there},
			{"sid": sid, "client_secret": "s", "idServer": there},
			{"sid": sid, "clientSecret": "s", "id_server": there, "idServer": w.s.Identity},
			{"sid": sid, "client_secret": nil, "id_server": there},
		} {
			ours := stack.Object{"sid": sid, "client_secret": "s", "id_server": w.s.Identity}
			for _, both := range [][2]stack.Object{{creds, creds}, {creds, ours}, {ours, creds}} {
				auth := stack.Object{"type": "m.login.email.identity", "threepid_creds": both[0], "threepidCreds": both[1]}
				for path, body := range map[string]stack.Object{
					"v3/account/password": {"new_password": "thief", "auth": auth},
					"r0/register":         {"username": unique("x"), "password": "x", "auth": auth},
					"r0/account/3pid":     {"three_pid_creds": both[0], "threePidCreds": both[1]},
					"r0/delete_devices":   {"devices": []string{}, "auth": auth},
				} {
					with := ""
					if !strings.HasPrefix(path, "r0/register") && !strings.HasSuffix(path, "password") {
						with = token
					}
					a := w.must(w.c.Do(w.t.Context(), "POST", "/_matrix/client/"+path, with, body))
					if a.Status == http.StatusOK {
						w.t.Errorf("got 200 of %s for %v, want it refused", path, both)
					}
				}
			}
		}
	}
	if got := asked.Load(); got != 0 {
		w.t.Errorf("the thief's identity server was asked %d times", got)
	}
	w.wantSafe(name)
	if got := w.emails(w.login(name, password)); len(got) != 1 || got[0] != email {
		w.t.Errorf("got the victim's addresses %q, want %q", got, email)
	}
}
