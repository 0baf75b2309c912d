// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/smtptest"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/stack"
)

const (
	user        = "alice"
	password    = "correct horse battery"
	newPassword = "staple of the new horse"
	address     = "Alice@Example.test"
	second      = "alice.second@example.test"
)

// walker does one step after the other and stops at the first that goes
// wrong.
type walker struct {
	ctx context.Context
	s   *stack.Stack
	c   *stack.Client
	err error
}

// walk is the main job, from the first request to the added phone number.
func walk(ctx context.Context, s *stack.Stack) error {
	w := &walker{ctx: ctx, s: s, c: s.Client()}
	w.c.Trace = func(method, path string, status int, body string) {
		say("   %-4s %-58s → %d", method, short(path), status)
		if strings.HasPrefix(body, "{") {
			say("        %s", short(body))
		}
	}
	w.versions()
	w.register()
	w.reset()
	w.add()
	w.addPhone()
	if w.err == nil {
		say("\nAll steps went through: nobody but this machine was involved.")
	}
	return w.err
}

// step prints a headline, and reports whether to go on.
func (w *walker) step(format string, args ...any) bool {
	if w.err == nil {
		say("\n── "+format, args...)
	}
	return w.err == nil
}

// expect runs one exchange and checks its status.
func (w *walker) expect(status int, a stack.Answer, err error) stack.Answer {
	switch {
	case w.err != nil:
	case err != nil:
		w.err = err
	case a.Status != status:
		w.err = fmt.Errorf("got status %d, want %d: %s", a.Status, status, a.Body)
	}
	return a
}

func (w *walker) post(status int, path, token string, body stack.Object) stack.Answer {
	if w.err != nil {
		return stack.Answer{}
	}
	a, err := w.c.Do(w.ctx, http.MethodPost, "/_matrix/client/"+path, token, body)
	return w.expect(status, a, err)
}

// mail waits for the mail to an address, prints it and clicks its link.
func (w *walker) mail(to string) {
	if w.err != nil {
		return
	}
	ctx, cancel := context.WithTimeout(w.ctx, 20*time.Second)
	defer cancel()
	m, err := w.s.Inbox.WaitFor(ctx, strings.ToLower(to))
	if err != nil {
		w.err = fmt.Errorf("no mail arrived: %w", err)
		return
	}
	printMail(m)
	link, ok := m.Link()
	if !ok {
		w.err = fmt.Errorf("the mail has no link")
		return
	}
	say("   (a click on the link, and on the button of its page)")
	page, done, err := w.c.Click(w.ctx, link)
	w.expect(http.StatusOK, page, err)
	w.expect(http.StatusOK, done, err)
}

func (w *walker) versions() {
	if w.step("What the homeserver says it needs") {
		a, err := w.c.Do(w.ctx, http.MethodGet, "/_matrix/client/versions", "", nil)
		w.expect(http.StatusOK, a, err)
	}
}

func (w *walker) token(purpose, secret, email string) string {
	if w.err != nil {
		return ""
	}
	a, err := w.c.RequestToken(w.ctx, "v3", purpose, secret, email)
	return w.expect(http.StatusOK, a, err).Text("sid")
}

func (w *walker) login(pw string) string {
	if w.err != nil {
		return ""
	}
	a, err := w.c.Login(w.ctx, user, pw)
	return w.expect(http.StatusOK, a, err).Text("access_token")
}

func (w *walker) register() {
	if !w.step("Register %s with the address %s", user, address) {
		return
	}
	body := stack.Object{"username": user, "password": password}
	session := w.post(http.StatusUnauthorized, "v3/register", "", body).Text("session")
	sid := w.token("register", "first.secret", address)
	w.mail(address)
	body["auth"] = stack.EmailAuth(session, stack.Creds(sid, "first.secret"))
	w.post(http.StatusOK, "v3/register", "", body)
	if w.step("Log in") {
		w.login(password)
	}
}

func (w *walker) reset() {
	if !w.step("Reset the password") {
		return
	}
	sid := w.token("account/password", "second.secret", address)
	body := stack.Object{"new_password": newPassword, "auth": stack.EmailAuth("", stack.Creds(sid, "second.secret"))}
	if w.step("Before the click the homeserver refuses, and the app keeps asking") {
		w.post(http.StatusUnauthorized, "v3/account/password", "", body)
	}
	w.mail(address)
	w.post(http.StatusOK, "v3/account/password", "", body)
	if w.step("The same session a second time") {
		w.post(http.StatusUnauthorized, "v3/account/password", "", body)
	}
}

func (w *walker) add() {
	if !w.step("Log in with the new password, and add %s", second) {
		return
	}
	token := w.login(newPassword)
	sid := w.token("account/3pid", "third.secret", second)
	w.mail(second)
	w.post(http.StatusOK, "v3/account/3pid", token, stack.Object{"three_pid_creds": stack.Creds(sid, "third.secret")})
	if w.err == nil {
		a, err := w.c.Do(w.ctx, http.MethodGet, "/_matrix/client/v3/account/3pid", token, nil)
		w.expect(http.StatusOK, a, err)
		if w.err == nil && !strings.Contains(a.Body, second) {
			w.err = fmt.Errorf("the address is not on the account: %s", a.Body)
		}
	}
}

func printMail(m smtptest.Message) {
	say("   ┌ mail to %s: %s", m.To, m.Subject())
	for line := range strings.Lines(m.Text()) {
		say("   │ %s", strings.TrimRight(line, "\r\n"))
	}
	say("   └")
}

func short(s string) string {
	const limit = 160
	if r := []rune(s); len(r) > limit {
		return string(r[:limit]) + "…"
	}
	return s
}
