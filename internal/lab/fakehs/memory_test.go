// SPDX-License-Identifier: Apache-2.0

package fakehs_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/fakehs"
)

// TestASessionLives48HoursFromEachUse: the clock of the memory, which no comparison
// with the real one can wait for (handlers/auth.py, SESSION_EXPIRE_MS).
func TestASessionLives48HoursFromEachUse(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	w := newWorld(t, fakehs.Options{RegistrationEnabled: true, Now: func() time.Time { return now }})
	id := w.session("/register", `{"username":"bob","password":"pw"}`)
	for _, tc := range []struct {
		wait time.Duration
		kept bool
	}{
		{47 * time.Hour, true}, {47 * time.Hour, true}, {48 * time.Hour, true}, {96 * time.Hour, false},
	} {
		now = now.Add(tc.wait)
		got := w.post("/register", "", `{"auth":{"session":"`+id+`"}}`)
		if kept := got.json["session"] == id; kept != tc.kept {
			t.Errorf("after %s: got it kept: %t, want %t", tc.wait, kept, tc.kept)
		}
	}
}

// TestAProofCountsEverywhere: what was shown at one endpoint is good at all others,
// any number of times, and the ledger says what came of it.
func TestAProofCountsEverywhere(t *testing.T) {
	w := newWorld(t, fakehs.Options{ResetMode: fakehs.ResetRemote, Later: true})
	w.hs.AddUser("alice", "old", "alice@example.org")
	w.hs.AddUser("mallory", "pw")
	token := w.token("mallory", "pw")
	w.is.validated("alice@example.org")
	for path, body := range map[string]string{
		"DELETE /devices/none":              `{"auth":$AUTH}`,
		"POST /delete_devices":              `{"devices":[],"auth":$AUTH}`,
		"POST /account/deactivate":          `{"auth":$AUTH}`,
		"POST /account/password":            `{"new_password":"x","auth":$AUTH}`,
		"POST /account/3pid/add":            `{"sid":"S1","client_secret":"C1","auth":$AUTH}`,
		"POST /keys/device_signing/upload":  `{"auth":$AUTH}`,
		"POST /../v1/login/get_token":       `{"auth":$AUTH}`,
		"POST /../v3/account/deactivate":    `{"auth":$AUTH}`,
		"POST /../unstable/delete_devices/": `{"devices":[],"auth":$AUTH}`,
	} {
		method, tail, _ := strings.Cut(path, " ")
		target := r0 + tail
		if rest, ok := strings.CutPrefix(tail, "/.."); ok {
			target = "/_matrix/client" + rest
		}
		got := w.do(method, target, token, w.fill(strings.ReplaceAll(body, "$AUTH", emailAuth(""))))
		got.wants(t, 401, "")
		if list, _ := got.json["completed"].([]any); len(list) != 1 || list[0] != "m.login.email.identity" {
			t.Errorf("%s: got %s, want the proof kept", path, got.raw)
		}
		id, _ := got.json["session"].(string)
		if !slices.Contains(w.hs.SessionNames(), id) {
			t.Errorf("%s: the name %q is in no list", path, id)
		}
		for _, password := range []string{"one", "two"} {
			before := len(w.hs.Changes())
			w.post("/account/password", "", `{"new_password":"`+password+`","auth":{"session":"`+id+`"}}`).wants(t, 200, "")
			if made := w.hs.Changes()[before:]; len(made) != 1 || made[0] != (fakehs.Change{Kind: fakehs.PasswordSet, User: "@alice:hs.example"}) {
				t.Errorf("%s: got %v in the ledger, want the reset", path, made)
			}
		}
	}
}

// TestFallbackPagesPrintTheName: they are a way to learn what a session is called,
// and to put a proof into it.
func TestFallbackPagesPrintTheName(t *testing.T) {
	w := newWorld(t, fakehs.Options{RegistrationEnabled: true, Terms: true, CaptchaResponse: "solved"})
	id := w.session("/register", `{"username":"bob","password":"pw"}`)
	for _, stage := range []string{"m.login.recaptcha", "m.login.terms"} {
		target := r0 + "/auth/" + stage + "/fallback/web"
		if got := w.do("GET", target+"?session="+id, "", ""); got.status != 200 || !strings.Contains(got.raw, `value="`+id+`"`) {
			t.Errorf("%s: got %d %s, want the name in a page", stage, got.status, got.raw)
		}
		got := w.do("POST", target, "", "session="+id+"&g-recaptcha-response=solved")
		if got.status != 200 || !strings.Contains(got.raw, "Thank you") {
			t.Errorf("%s: got %d %s, want it done", stage, got.status, got.raw)
		}
	}
	w.do("GET", r0+"/auth/m.login.dummy/fallback/web?session=x", "", "").wants(t, 404, "M_UNKNOWN")
	w.do("GET", r0+"/auth/m.login.terms/fallback/web", "", "").wants(t, 400, "M_UNKNOWN")
	w.post("/register", "", `{"auth":{"type":"m.login.dummy","session":"`+id+`"}}`).wants(t, 200, "")
}
