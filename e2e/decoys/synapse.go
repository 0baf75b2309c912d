// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/stack"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/synapse"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/twosample"
)

// Before a real Synapse fewer clients ask, because it is slower, and a bound on
// fewer pairs is wider.
const (
	realClients = 6
	realBound   = 0.1
)

// beforeSynapse compares requests that a real Synapse grants and refuses, for a
// registration and for a reset: the address that is refused for the one is granted
// for the other.
func beforeSynapse(ctx context.Context, pairs int) (err error) {
	env, err := synapse.Install(ctx, say)
	if err != nil {
		return err
	}
	bin, err := stack.Build(ctx)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "threepid-decoys-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	s, err := stack.Start(ctx, stack.Options{Dir: dir, Caddy: bin, Synapse: &env, Callback: true, RequireEmail: true, Logf: say})
	if err != nil {
		return err
	}
	defer s.Stop()
	client := s.Client()
	if err := register(ctx, s, client, "timed", owned); err != nil {
		return err
	}
	var asked atomic.Int64
	request := func(purpose, email string) func() (time.Duration, error) {
		return func() (time.Duration, error) {
			secret := fmt.Sprint("t", asked.Add(1))
			start := time.Now()
			a, err := client.RequestToken(ctx, "r0", purpose, secret, email)
			if err == nil && a.Status != http.StatusOK {
				err = fmt.Errorf("got %d %s, want 200", a.Status, a.Body)
			}
			return time.Since(start), err
		}
	}
	for _, c := range []struct{ purpose, granted, refused string }{{"register", nobody, owned}, {"account/password", owned, nobody}} {
		say("%s", c.purpose)
		e := hidden(realBound, pairs, func(n int) (twosample.Result, error) {
			a, b, err := twosample.Interleave(n, realClients, request(c.purpose, c.granted), request(c.purpose, c.refused))
			if err != nil {
				return twosample.Result{}, err
			}
			return twosample.Compare(a, b), nil
		}, say)
		if e != nil {
			err = errors.Join(err, fmt.Errorf("%s: %w", c.purpose, e))
		}
	}
	return err
}

// register makes an account with an address.
func register(ctx context.Context, s *stack.Stack, client *stack.Client, user, email string) error {
	body := stack.Object{"username": user, "password": "a password"}
	first, err := client.Do(ctx, http.MethodPost, "/_matrix/client/r0/register", "", body)
	if err != nil {
		return err
	}
	token, err := client.RequestToken(ctx, "r0", "register", "secret", email)
	if err != nil {
		return err
	}
	mail, err := s.Inbox.WaitFor(ctx, email)
	if err != nil {
		return err
	}
	link, _ := mail.Link()
	if _, _, err := client.Click(ctx, link); err != nil {
		return err
	}
	body["auth"] = stack.EmailAuth(first.Text("session"), stack.Creds(token.Text("sid"), "secret"))
	done, err := client.Do(ctx, http.MethodPost, "/_matrix/client/r0/register", "", body)
	if err == nil && done.Status != http.StatusOK {
		err = fmt.Errorf("register: got %d %s, want 200", done.Status, done.Body)
	}
	return err
}
