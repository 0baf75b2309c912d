// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/internal/keyring"
)

// rotate puts another key in front of those that the rig runs with.
func (r *rig) rotate() {
	r.t.Helper()
	keys := []keyring.Key{{ID: r.keys.Keys()[0].ID + 1}}
	for _, k := range r.keys.Keys() {
		keys = append(keys, keyring.Key{ID: k.ID})
	}
	for i := range keys {
		// The first one is the one that every rig begins with.
		keys[i].Secret = bytes.Repeat([]byte{keys[i].ID - 1}, keyring.SecretSize)
	}
	ring, err := keyring.New(keys...)
	if err != nil {
		r.t.Fatal(err)
	}
	r.keys.Replace(ring)
}

// lived is what its client and its reader hold of a session.
type lived struct {
	*rig
	access, sid, uia string
	page, refusal    *httptest.ResponseRecorder
}

// life is a session from the client's request to its end, over HTTP: a reset of
// a password, and an address that is added with the password.
var life = []struct {
	name string
	run  func(l *lived)
}{
	{"request", func(l *lived) { l.sid = l.request("account/password", "c", "alice@x.org") }},
	{"request again", func(l *lived) {
		if again := l.request("account/password", "c", "alice@x.org"); again != l.sid {
			l.t.Errorf("got session %s for the same attempt, want %s", again, l.sid)
		}
	}},
	{"reset too early", func(l *lived) { wantStatus(l.t, l.reset(resetBody(l.sid, "c")), http.StatusUnauthorized) }},
	{"open the link", func(l *lived) { l.page = l.openLink(l.sid) }},
	{"open the link to refuse", func(l *lived) {
		m := l.box.last(l.t)
		l.refusal = l.do("GET", refuseQuery(string(m.SID), string(m.Refusal)), "")
		wantStatus(l.t, l.refusal, http.StatusOK)
	}},
	{"press the button", func(l *lived) { wantStatus(l.t, l.press(l.page), http.StatusOK) }},
	{"reset", func(l *lived) { wantStatus(l.t, l.reset(resetBody(l.sid, "c")), http.StatusOK) }},
	{"reset again", func(l *lived) { wantStatus(l.t, l.reset(resetBody(l.sid, "c")), http.StatusUnauthorized) }},
	{"log in", func(l *lived) { l.access = l.login("alice", "correct horse") }},
	{"request to add", func(l *lived) { l.sid = l.request("account/3pid", "d", "new@x.org") }},
	{"open the link to confirm it", func(l *lived) { l.page = l.openLink(l.sid) }},
	{"press that button", func(l *lived) { wantStatus(l.t, l.press(l.page), http.StatusOK) }},
	{"be asked for the password", func(l *lived) { l.uia = l.challenged(l.t, l.access, l.sid, "d") }},
	{"add", func(l *lived) {
		rec := l.as(l.access, "POST", addPath, addBody(l.sid, "d", passwordAuth(l.uia, "correct horse")))
		wantStatus(l.t, rec, http.StatusOK)
		l.wantEmails(l.t, "alice", "alice@x.org", "new@x.org")
	}},
}

// TestLifeAcrossARotation rotates before each step, before every one of them, and
// in the middle of each request: while the homeserver has it.
func TestLifeAcrossARotation(t *testing.T) {
	for name, mode := range map[string]options{"off": {}, "callback": callback} {
		for at := range len(life) + 2 {
			where := "before all"
			switch {
			case at < len(life):
				where = "before " + life[at].name
			case at == len(life)+1:
				where = "within all"
			}
			t.Run(name+"/"+where, func(t *testing.T) {
				var l *lived
				mode.next = func(w http.ResponseWriter, req *http.Request) error {
					if at == len(life)+1 {
						l.rotate()
						defer l.rotate()
					}
					l.hs.ServeHTTP(w, req)
					return nil
				}
				l = &lived{rig: newRig(t, mode)}
				l.hs.AddUser("alice", "secret", "alice@x.org")
				for i, step := range life {
					if i == at || at == len(life) {
						l.rotate()
					}
					step.run(l)
					if t.Failed() {
						t.Fatalf("failed at %q", step.name)
					}
				}
			})
		}
	}
}
