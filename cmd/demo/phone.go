// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/stack"
)

// The number is one of those that nobody has (Ofcom's for drama would do, but no
// library takes them for valid).
const (
	phoneTyped  = "07400 000000"
	phoneStored = "447400000000"
)

// addPhone adds a phone number, by the code of a message.
func (w *walker) addPhone() {
	if !w.step("Add the phone number %s, dialled from GB", phoneTyped) {
		return
	}
	token := w.login(newPassword)
	if w.err != nil {
		return
	}
	opened, err := w.c.RequestCode(w.ctx, "v3", "account/3pid", "fourth.secret", "GB", phoneTyped)
	w.expect(http.StatusOK, opened, err)
	code := w.text(phoneStored)
	if w.err != nil {
		return
	}
	done, err := w.c.Do(w.ctx, http.MethodPost, opened.Text("submit_url"), "", stack.Object{
		"sid": opened.Text("sid"), "client_secret": "fourth.secret", "token": code,
	})
	w.expect(http.StatusOK, done, err)
	w.post(http.StatusOK, "v3/account/3pid", token, stack.Object{"three_pid_creds": stack.Creds(opened.Text("sid"), "fourth.secret")})
	if w.err != nil {
		return
	}
	a, err := w.c.Do(w.ctx, http.MethodGet, "/_matrix/client/v3/account/3pid", token, nil)
	w.expect(http.StatusOK, a, err)
	if w.err == nil && !strings.Contains(a.Body, phoneStored) {
		w.err = fmt.Errorf("the number is not on the account: %s", a.Body)
	}
}

// text waits for the message to a number, prints it and returns its code.
func (w *walker) text(to string) string {
	if w.err != nil {
		return ""
	}
	ctx, cancel := context.WithTimeout(w.ctx, 20*time.Second)
	defer cancel()
	m, err := w.s.Phones.WaitFor(ctx, to)
	if err != nil {
		w.err = fmt.Errorf("no message arrived: %w", err)
		return ""
	}
	say("   ┌ message from %s to +%s\n   │ %s\n   └", m.From, m.To, m.Text)
	code, ok := m.Code()
	if !ok {
		w.err = errors.New("the message has no code")
	}
	return code
}
