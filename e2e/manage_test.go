// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/stack"
)

func TestR43_R44_R48_F26_F33_BindLookUpUnbind(t *testing.T) {
	bothModes(t, func(t *testing.T, w *world) {
		name := unique("bind")
		u := w.tenant(lookup.server, name, name+"@example.test")
		other := name + "@lookup.test" // never added to the account
		u.bound(other)
		if got, want := w.emails(u.access), []string{name + "@example.test"}; !slices.Equal(got, want) {
			t.Errorf("the account has %q, want %q", got, want)
		}
		u.wantResult(u.post("3pid/unbind", threepid(other)), "success")
		u.wantFound(other, "")
		u.wantResult(u.post("3pid/unbind", threepid(other)), "no-support")
	})
}

func TestR40_R42_BindByTheDraft(t *testing.T) {
	bothModes(t, func(t *testing.T, w *world) {
		name := unique("draft")
		u := w.tenant(lookup.server, name, name+"@example.test")
		s := u.session(name + "@example.test")
		w.want(u.post("3pid/identity/bind", stack.Object{"three_pid_creds": stack.Object{
			"id_server": u.is.Name(), "id_access_token": u.token, "sid": s.SID, "client_secret": s.ClientSecret,
		}}), http.StatusOK)
		u.wantFound(name+"@example.test", u.mxid)
	})
}

func TestR46_F28_SydentsRefusalsAreRelayed(t *testing.T) {
	bothModes(t, func(t *testing.T, w *world) {
		name := unique("refused")
		u := w.tenant(lookup.server, name, name+"@example.test")
		s := u.session(name + "@example.test")
		good := stack.Object{"id_server": u.is.Name(), "id_access_token": u.token, "sid": s.SID, "client_secret": s.ClientSecret}
		for _, c := range []struct {
			key, value string
			status     int
			errcode    string
		}{
			{"sid", "999999", http.StatusNotFound, "M_NO_VALID_SESSION"},
			{"client_secret", "wrong", http.StatusNotFound, "M_NO_VALID_SESSION"},
			{"id_access_token", "wrong", http.StatusUnauthorized, "M_UNAUTHORIZED"},
		} {
			body := maps.Clone(good)
			body[c.key] = c.value
			if got := w.want(u.post("3pid/bind", body), c.status).Text("errcode"); got != c.errcode {
				t.Errorf("wrong %s: got %s, want %s", c.key, got, c.errcode)
			}
		}
		u.wantFound(name+"@example.test", "")
	})
}

func TestF33_DeleteUnbinds(t *testing.T) {
	bothModes(t, func(t *testing.T, w *world) {
		name := unique("delete")
		email := name + "@example.test"
		u := w.tenant(lookup.server, name, email)
		u.bound(email)
		u.wantResult(u.post("3pid/delete", threepid(email)), "success")
		u.wantFound(email, "")
		if got := w.emails(u.access); len(got) != 0 {
			t.Errorf("the account has %q, want nothing", got)
		}
	})
}

// TestF33_DeleteUnbindsBySignature: after a day the session is worth nothing,
// and what the homeserver signs still is.
func TestF33_DeleteUnbindsBySignature(t *testing.T) {
	bothModes(t, func(t *testing.T, w *world) {
		is := mortalServer(t)
		name := unique("aged")
		email, other := name+"@example.test", name+"@lookup.test"
		u := w.tenant(is, name, email)
		u.bound(email)
		u.bound(other)
		if err := is.Age(t.Context(), 25*time.Hour); err != nil {
			t.Fatal(err)
		}
		u.wantResult(u.post("3pid/delete", threepid(email)), "success")
		u.wantFound(email, "")
	})
}

func TestF33_DeactivateUnbinds(t *testing.T) {
	bothModes(t, func(t *testing.T, w *world) {
		name := unique("leave")
		email, other := name+"@example.test", name+"@lookup.test"
		u := w.tenant(lookup.server, name, email)
		u.bound(email)
		u.bound(other)
		w.want(u.post("deactivate", stack.Object{}), http.StatusUnauthorized)
		u.wantFound(email, u.mxid)
		u.wantResult(u.post("deactivate", stack.Object{"auth": passwordStage("", name, password)}), "success")
		u.wantFound(email, "")
		u.wantFound(other, "")
		w.want(w.must(w.c.Login(t.Context(), name, password)), http.StatusForbidden)
	})
}

// TestF33_DeadIdentityServer: whatever happens to the identity server, a user
// can delete an address and an account.
func TestF33_DeadIdentityServer(t *testing.T) {
	bothModes(t, func(t *testing.T, w *world) {
		is := mortalServer(t)
		name := unique("dead")
		email, other := name+"@example.test", name+"@lookup.test"
		u := w.tenant(is, name, email)
		u.bound(email)
		u.bound(other)
		is.Stop()
		u.wantResult(u.post("3pid/delete", threepid(email)), "no-support")
		if got := w.emails(u.access); len(got) != 0 {
			t.Errorf("the account has %q, want nothing", got)
		}
		w.want(u.post("3pid/unbind", threepid(other)), http.StatusBadGateway)
		u.wantResult(u.post("deactivate", stack.Object{"auth": passwordStage("", name, password)}), "no-support")
		w.want(w.must(w.c.Login(t.Context(), name, password)), http.StatusForbidden)
	})
}

// TestF33_DeadIdentityServerByName: the client's word must not hold it up
// either; older clients always name the server.
func TestF33_DeadIdentityServerByName(t *testing.T) {
	bothModes(t, func(t *testing.T, w *world) {
		lookup.one.Lock()
		t.Cleanup(lookup.one.Unlock)
		name := unique("named")
		email := name + "@example.test"
		w.register(name, email)
		token := w.login(name, password)
		post := func(path string, body stack.Object) stack.Answer {
			body["id_server"] = lookup.mortal // nobody listens there now
			return w.want(w.must(w.c.Do(t.Context(), "POST", "/_matrix/client/r0/account/"+path, token, body)), http.StatusOK)
		}
		for _, a := range []stack.Answer{
			post("3pid/delete", threepid(email)),
			post("deactivate", stack.Object{"auth": passwordStage("", name, password)}),
		} {
			if got := a.Text("id_server_unbind_result"); got != "no-support" {
				t.Errorf("got result %q, want no-support", got)
			}
		}
	})
}

// TestR41_ForbiddenIdentityServers: a user must not make us connect to what is
// inside. The identity servers of the tests are on loopback by permission.
func TestR41_ForbiddenIdentityServers(t *testing.T) {
	bothModes(t, func(t *testing.T, w *world) {
		name := unique("ssrf")
		w.register(name, name+"@example.test")
		token := w.login(name, password)
		direct := strings.TrimPrefix(w.s.Direct, "http://")
		for server, errcode := range map[string]string{
			direct: "M_SERVER_NOT_TRUSTED", w.s.Identity: "M_SERVER_NOT_TRUSTED", "[::1]:8008": "M_SERVER_NOT_TRUSTED",
			"10.0.0.1": "M_SERVER_NOT_TRUSTED", "169.254.169.254": "M_SERVER_NOT_TRUSTED",
			"https://" + lookup.server.Name(): "M_INVALID_PARAM", lookup.server.Name() + "/x": "M_INVALID_PARAM", "2130706433": "M_INVALID_PARAM",
		} {
			a := w.must(w.c.Do(t.Context(), "POST", "/_matrix/client/v3/account/3pid/bind", token, stack.Object{
				"id_server": server, "id_access_token": "t", "sid": "1", "client_secret": "s",
			}))
			if got := w.want(a, http.StatusBadRequest).Text("errcode"); got != errcode {
				t.Errorf("%s: got %s, want %s", server, got, errcode)
			}
		}
	})
}
