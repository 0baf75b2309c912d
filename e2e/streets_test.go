// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"net/http"
	"os"
	"sync"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/stack"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/synapse"
)

// street is a homeserver unlike the shared one, and the sites in front of it: one for
// each mode, in their order, and more. It is started when the first test asks for it;
// the tests use addresses and names of their own.
type street func() ([]*stack.Stack, error)

var (
	// What the two nodes of the third site have in common is only theirs.
	captchaStreet = newStreet(true, stack.Options{RequireEmail: true, Gate: "completed"}, stack.Options{Callback: true, Gate: "completed", Nodes: 2})
	closedStreet  = newStreet(false, stack.Options{DisableRegistration: true})
	noticesStreet = newStreet(false, stack.Options{RequireEmail: true, Notices: true})
	riotStreet    = newStreet(false, stack.Options{RequireEmail: true, NextLink: riotOrigin})
	solvedStreet  = newStreet(true, stack.Options{})
	// The homeservers of these believe every identity server.
	naiveStreet       = newStreet(false, stack.Options{TrustAnyIDServer: true})
	naiveSolvedStreet = newStreet(true, stack.Options{TrustAnyIDServer: true})
)

func newStreet(captcha bool, opts stack.Options, more ...stack.Options) street {
	return sync.OnceValues(func() ([]*stack.Stack, error) {
		first, asking := opts, opts
		asking.Callback = true
		first.Beside = append([]stack.Options{asking}, more...)
		for i := range first.Beside {
			first.Beside[i].MapVersions = true
		}
		first.MapVersions = true
		s, err := startLate(server, captcha, first)
		if err != nil {
			return nil, err
		}
		return append([]*stack.Stack{s}, s.Beside...), nil
	})
}

// bothModes runs a test in front of the sites of both modes.
func (s street) bothModes(t *testing.T, run func(t *testing.T, w *world)) {
	t.Helper()
	t.Parallel()
	for i, mode := range modes {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			run(t, s.site(t, i, mode == "callback"))
		})
	}
}

// site is one of the sites.
func (s street) site(t *testing.T, i int, callback bool) *world {
	t.Helper()
	needSynapse(t)
	sites, err := s()
	if err != nil {
		t.Fatal(err)
	}
	c := sites[i].Client()
	// Those who come from one address are told apart by their browsers.
	c.Header = http.Header{"User-Agent": {unique("browser")}}
	return &world{t: t, s: sites[i], c: c, callback: callback}
}

// startLate starts a stack for the tests that come now and later.
func startLate(env synapse.Env, captcha bool, opts stack.Options) (*stack.Stack, error) {
	dir, err := os.MkdirTemp("", "late-") // short, as the names of sockets must be
	if err != nil {
		return nil, err
	}
	atTheEnd(func() error { return os.RemoveAll(dir) })
	opts.Dir, opts.Caddy, opts.Synapse, opts.Logf = dir, program, &env, logf
	if captcha {
		captchas := judge()
		atTheEnd(func() error { captchas.Close(); return nil })
		opts.CaptchaVerify = captchas.URL
	}
	s, err := stack.Start(context.Background(), opts)
	if err == nil {
		atTheEnd(func() error { s.Stop(); return nil })
	}
	return s, err
}
