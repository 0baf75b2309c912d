// SPDX-License-Identifier: Apache-2.0

package caddymodule_test

import (
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/fakehs"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/stack"
)

// TestExampleMapsTheRemainingPaths takes the lines out of Caddyfile.example, as
// an administrator would, and looks at what reaches a homeserver that knows r0
// only: what we own, and what we do not.
func TestExampleMapsTheRemainingPaths(t *testing.T) {
	raw, err := os.ReadFile("../Caddyfile.example")
	if err != nil {
		t.Fatal(err)
	}
	lines := regexp.MustCompile(`(?m)^\t# (uri .*)$`).FindAllStringSubmatch(string(raw), -1)
	if len(lines) == 0 {
		t.Fatal("the example has no lines that map paths")
	}
	mapped := ""
	for _, line := range lines {
		mapped += "\t" + line[1] + "\n"
	}
	hs, url := homeserver(t, fakehs.Options{})
	hs.AddUser("alice", "secret", "alice@example.test")
	s := newSite(t, url)
	s.mustLoad(strings.Replace(s.simple(), "\tthreepid\n", mapped+"\tthreepid\n", 1))
	do := func(method, path, token string, body any, want int) stack.Answer {
		t.Helper()
		a := s.settled(func() (stack.Answer, error) { return s.client.Do(t.Context(), method, path, token, body) })
		if a.Status != want {
			t.Fatalf("%s %s: got %d %s, want %d", method, path, a.Status, a.Body, want)
		}
		return a
	}
	const v3 = "/_matrix/client/v3/"
	token := do("POST", v3+"login", "", stack.Object{"type": "m.login.password", "user": "alice", "password": "secret"}, http.StatusOK).Text("access_token")
	do("GET", v3+"account/whoami", token, nil, http.StatusOK)
	do("GET", v3+"account/3pid", token, nil, http.StatusOK)
	do("POST", v3+"account/3pid/add", token, stack.Object{"sid": "x", "client_secret": "s"}, http.StatusUnauthorized)
	do("POST", v3+"account/3pid/unbind", token, stack.Object{"medium": "email", "address": "alice@example.test"}, http.StatusOK)
	do("POST", v3+"account/deactivate", token, stack.Object{}, http.StatusUnauthorized)
	do("POST", v3+"register/email/requestToken", "", stack.Object{"client_secret": "s", "email": "new@example.test", "send_attempt": 1}, http.StatusOK)
	do("GET", v3+"rooms/%21a%2Fv3%2F:example.test/state", token, nil, http.StatusBadRequest)
	do("GET", "/_matrix/media/v3/config", token, nil, http.StatusNotFound)
	seen := map[string]bool{}
	for _, req := range hs.Requests() {
		seen[req.Path] = true
		if strings.Contains(req.Path, "/v3/") {
			t.Errorf("the homeserver saw %s", req.Path)
		}
	}
	for _, want := range []string{
		"/_matrix/client/r0/login", "/_matrix/client/r0/account/whoami", "/_matrix/client/r0/account/3pid",
		"/_matrix/client/r0/account/deactivate", "/_matrix/client/r0/rooms/%21a%2Fv3%2F:example.test/state", "/_matrix/media/r0/config",
	} {
		if !seen[want] {
			t.Errorf("the homeserver has not seen %s, but %v", want, seen)
		}
	}
}
