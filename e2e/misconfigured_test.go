// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/stack"
)

// TestMisconfiguredSynapse makes the two mistakes that most first installations
// make, in the configuration of the real homeserver: the client is not told of a
// server that it never named, and the operator finds one line in the log.
func TestMisconfiguredSynapse(t *testing.T) {
	t.Parallel()
	first := ownStack(t, stack.Options{DistrustName: true, Beside: []stack.Options{
		{DistrustCertificate: true}, {DistrustName: true, Callback: true}, {DistrustCertificate: true, Callback: true},
	}}).s
	sites := append([]*stack.Stack{first}, first.Beside...)
	for i, mode := range modes {
		for j, code := range []string{"not_trusted", "identity_unreachable"} {
			t.Run(mode+" "+code, func(t *testing.T) {
				t.Parallel()
				s := sites[2*i+j]
				w := &world{t: t, s: s, c: s.Client(), callback: mode == "callback"}
				name := unique("walter")
				account, err := w.s.Homeserver.Register(t.Context(), name, password, false)
				if err != nil {
					t.Fatal(err)
				}
				for range 3 {
					w.wantBlamed(w.tryToAdd(account.AccessToken, unique("walter")+"@example.test"))
				}
				if !w.callback {
					creds := stack.Creds(w.validated("account/password", "s", unique("walter")+"@example.test"), "s")
					w.wantBlamed(w.reset(w.c, creds, "another"))
				}
				if got := w.emails(account.AccessToken); len(got) != 0 {
					t.Errorf("got addresses %q, want none", got)
				}
				w.wantOneLine(code)
			})
		}
	}
}

// tryToAdd goes as far with an address as the homeserver lets it.
func (w *world) tryToAdd(token, email string) stack.Answer {
	w.t.Helper()
	if w.callback {
		return w.must(w.c.RequestToken(w.t.Context(), "v3", "account/3pid", "s", email))
	}
	body := stack.Object{"three_pid_creds": stack.Creds(w.validated("account/3pid", "s", email), "s")}
	return w.must(w.c.Do(w.t.Context(), "POST", "/_matrix/client/v3/account/3pid", token, body))
}

func (w *world) wantBlamed(a stack.Answer) {
	w.t.Helper()
	w.want(a, http.StatusBadGateway)
	if a.Text("errcode") != "M_UNKNOWN" || strings.Contains(a.Body, w.s.Identity) || !strings.Contains(a.Body, "administrator") {
		w.t.Errorf("got %s, want M_UNKNOWN, whom to tell, and no server's name", a.Body)
	}
}

func (w *world) wantOneLine(code string) {
	w.t.Helper()
	lines := 0
	for line := range strings.Lines(w.s.Caddy.Logs()) {
		if strings.Contains(line, "`caddy threepid doctor`") {
			lines++
			if !strings.Contains(line, `"code": "`+code+`"`) && !strings.Contains(line, `"code":"`+code+`"`) || strings.Contains(line, "walter") {
				w.t.Errorf("got the line %s, want one of %s", line, code)
			}
		}
	}
	if lines != 1 {
		w.t.Errorf("got %d lines that name the doctor, want 1; the log:\n%s", lines, w.s.Caddy.Logs())
	}
}
