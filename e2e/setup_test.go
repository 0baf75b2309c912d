// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/stack"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/sydent"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/synapse"
)

// shared are the two stacks, one for each way to decide about an address. They
// are started once: the tests use addresses and names of their own.
var shared = map[string]*stack.Stack{}

// parts are what a stack of a test's own is made from.
var parts struct {
	caddy   string
	synapse synapse.Env
}

func TestMain(m *testing.M) {
	flag.Parse()
	// They mostly wait, so there may be more of them than processors.
	if err := flag.Set("test.parallel", "12"); err != nil {
		panic(err) // it is a flag of the testing package
	}
	code, err := runAll(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "end-to-end tests:", err)
		code = 1
	}
	os.Exit(code)
}

func logf(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }

func runAll(m *testing.M) (code int, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Minute)
	defer cancel()
	env, err := synapse.Install(ctx, logf)
	if err != nil {
		if os.Getenv("CI") == "true" || !errors.Is(err, synapse.ErrUnavailable) {
			return 1, err
		}
		unavailable = err
		return m.Run(), nil
	}
	bin, err := stack.Build(ctx)
	if err != nil {
		return 1, err
	}
	program, server = bin, env
	dir, err := os.MkdirTemp("", "threepid-e2e-")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)
	parts.caddy, parts.synapse = bin, env
	if err := startIdentityServers(ctx, dir); err != nil {
		if os.Getenv("CI") != "true" && errors.Is(err, sydent.ErrUnavailable) {
			unavailable = err
			return m.Run(), nil
		}
		return 1, err
	}
	defer lookup.stop()
	defer func() { err = errors.Join(err, stopLate()) }()
	for _, mode := range modes {
		s, err := startStack(ctx, bin, dir+"/"+mode, mode, env)
		if err != nil {
			return 1, err
		}
		defer s.Stop()
		shared[mode] = s
	}
	return m.Run(), nil
}

// startStack starts one of the shared stacks. Its homeserver is known by the
// name of a TLS front, as an identity server has to find it.
func startStack(ctx context.Context, bin, dir, mode string, env synapse.Env) (*stack.Stack, error) {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	front, err := sydent.NewFront(lookup.authority, 0)
	if err != nil {
		return nil, err
	}
	lookup.stops = append(lookup.stops, front.Stop)
	s, err := stack.Start(ctx, stack.Options{
		Dir: dir, Caddy: bin, Synapse: &env, Callback: mode == "callback", RequireEmail: true,
		MapVersions: true, Logf: logf, ServerName: front.Name(), Federation: true,
		CAFiles: []string{lookup.caFile}, Roots: lookup.caFile,
		IdentityServers: []string{lookup.server.Name(), lookup.mortal},
	})
	if err != nil {
		return nil, err
	}
	return s, front.Forward(s.Direct)
}

var modes = []string{"off", "callback"}

// patience is how long a test waits for what takes a moment, on whatever machine.
const patience = 2 * time.Minute

// program and server are for tests with a stack of their own.
var (
	program string
	server  synapse.Env
)

// unavailable says why there is no Synapse on this machine. Under CI=true that
// is a failure, see runAll.
var unavailable error

// bothModes runs a test in front of each stack.
func bothModes(t *testing.T, run func(t *testing.T, w *world)) {
	t.Helper()
	if unavailable != nil {
		t.Skipf("NOT PROVEN HERE: the end-to-end tests need Synapse 1.3.1 and Sydent: %v", unavailable)
	}
	t.Parallel() // people take a second before they press a button
	for _, mode := range modes {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			s := shared[mode]
			run(t, &world{t: t, s: s, c: s.Client(), callback: mode == "callback"})
		})
	}
}

// world is one test's view of a stack.
type world struct {
	t        *testing.T
	s        *stack.Stack
	c        *stack.Client
	callback bool
}

var (
	started = time.Now().UnixNano()
	names   atomic.Int64
)

// unique makes a name that no other test uses, so that tests can run in any
// order and more than once against one homeserver.
func unique(prefix string) string {
	return fmt.Sprintf("%s%d.%d", prefix, started, names.Add(1))
}

func (w *world) must(a stack.Answer, err error) stack.Answer {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
	return a
}

func (w *world) want(a stack.Answer, status int) stack.Answer {
	w.t.Helper()
	if a.Status != status {
		w.t.Fatalf("got status %d, want %d; body %s", a.Status, status, a.Body)
	}
	return a
}

// request opens a session and returns its sid.
func (w *world) request(purpose, secret, email string) string {
	w.t.Helper()
	a := w.want(w.must(w.c.RequestToken(w.t.Context(), "v3", purpose, secret, email)), http.StatusOK)
	if a.Text("sid") == "" {
		w.t.Fatalf("no sid in %s", a.Body)
	}
	return a.Text("sid")
}

// link waits for the mail to an address and returns its link.
func (w *world) link(email string) string {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	m, err := w.s.Inbox.WaitFor(ctx, email)
	if err != nil {
		w.t.Fatalf("no mail arrived: %v; Caddy's log:\n%s", err, w.s.Caddy.Logs())
	}
	link, ok := m.Link()
	if !ok {
		w.t.Fatal("the mail has no link")
	}
	return link
}

// validated opens a session and clicks the link of its mail.
func (w *world) validated(purpose, secret, email string) string {
	w.t.Helper()
	sid := w.request(purpose, secret, email)
	page, done, err := w.c.Click(w.t.Context(), w.link(email))
	w.want(w.must(page, err), http.StatusOK)
	w.want(done, http.StatusOK)
	return sid
}

const password = "correct horse battery"

// register makes an account with an address, the whole way.
func (w *world) register(name, email string) {
	w.t.Helper()
	ctx := w.t.Context()
	first := w.want(w.must(w.c.Do(ctx, "POST", "/_matrix/client/v3/register", "", stack.Object{
		"username": name, "password": password, "bind_email": true,
	})), http.StatusUnauthorized)
	session := first.Text("session")
	sid := w.request("register", "reg."+name, email)
	body := stack.Object{
		"username": name, "password": password, "bind_email": true,
		"auth": stack.EmailAuth(session, stack.Creds(sid, "reg."+name)),
	}
	w.want(w.must(w.c.Do(ctx, "POST", "/_matrix/client/v3/register", "", body)), http.StatusUnauthorized)
	page, done, err := w.c.Click(ctx, w.link(email))
	w.want(w.must(page, err), http.StatusOK)
	w.want(done, http.StatusOK)
	made := w.must(w.c.Do(ctx, "POST", "/_matrix/client/v3/register", "", body))
	if made.Status == http.StatusUnauthorized && strings.Contains(made.Body, "m.login.dummy") {
		body["auth"] = stack.Object{"type": "m.login.dummy", "session": session}
		made = w.must(w.c.Do(ctx, "POST", "/_matrix/client/v3/register", "", body))
	}
	w.want(made, http.StatusOK)
}

// login returns an access token.
func (w *world) login(name, pw string) string {
	w.t.Helper()
	return w.want(w.must(w.c.Login(w.t.Context(), name, pw)), http.StatusOK).Text("access_token")
}

// emails returns the addresses of an account.
func (w *world) emails(token string) []string {
	w.t.Helper()
	a := w.want(w.must(w.c.Do(w.t.Context(), "GET", "/_matrix/client/v3/account/3pid", token, nil)), http.StatusOK)
	var list []string
	threepids, _ := a.JSON["threepids"].([]any)
	for _, entry := range threepids {
		if e, ok := entry.(map[string]any); ok {
			list = append(list, fmt.Sprint(e["address"]))
		}
	}
	return list
}

// reset tries to set a new password with a session.
func (w *world) reset(c *stack.Client, creds stack.Object, pw string) stack.Answer {
	w.t.Helper()
	return w.must(c.Do(w.t.Context(), "POST", "/_matrix/client/v3/account/password", "", stack.Object{
		"new_password": pw, "auth": stack.EmailAuth("", creds),
	}))
}

// notice waits for the mail to an address, which has some words in its subject
// and nothing to be confirmed.
func (w *world) notice(email, words string) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	m, err := w.s.Inbox.WaitFor(ctx, email)
	if err != nil {
		w.t.Fatalf("no mail arrived: %v; Caddy's log:\n%s", err, w.s.Caddy.Logs())
	}
	if !strings.Contains(m.Subject(), words) || strings.Contains(m.Text(), "submitToken") {
		w.t.Errorf("got a mail with the subject %q, want one with %q and no link to confirm:\n%s", m.Subject(), words, m.Text())
	}
}
