// SPDX-License-Identifier: Apache-2.0

package sydent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/certs"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/smtptest"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/synapse"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/venv"
)

// installed installs both real servers for all tests of the package.
var installed = sync.OnceValues(func() (envs struct {
	sydent  Env
	synapse synapse.Env
}, err error,
) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Minute)
	defer cancel()
	if envs.sydent, err = Install(ctx, log.Printf); err != nil {
		return envs, err
	}
	envs.synapse, err = synapse.Install(ctx, log.Printf)
	return envs, err
})

// realEnvs sees to it that there are real servers, and returns the identity server. A machine that cannot have them skips, and
// loudly, but on CI that is a failure: there the proof is owed.
func realEnvs(t *testing.T) Env {
	t.Helper()
	envs, err := installed()
	switch {
	case errors.Is(err, ErrUnavailable) && os.Getenv("CI") != "true":
		t.Skipf("NOT PROVED ON REAL SERVERS: %v", err)
	case err != nil:
		t.Fatalf("Install: %v", err)
	}
	return envs.sydent
}

// start runs a real Sydent for the length of a test.
func start(t *testing.T, opts Options) *Server {
	t.Helper()
	env := realEnvs(t)
	if opts.Dir == "" {
		opts.Dir = t.TempDir()
	}
	s, err := Start(t.Context(), env, opts)
	if err != nil {
		t.Fatalf("Start: %v", err)
	}
	t.Cleanup(func() {
		s.Stop()
		if t.Failed() {
			t.Logf("sydent's log ends:\n%s", venv.Tail(s.Logs(), 60))
		}
	})
	return s
}

// homeserver is what all tests share: they make users of their own, and each has an
// identity server to itself.
type homeserver struct {
	*synapse.Server
	front  *Front // for other servers
	caFile string // of the authority of the front
	// authority is that of the identity servers, which the homeserver trusts.
	authority *certs.Authority
	dir       string
	stops     []func()
}

var (
	shared  homeserver
	started = sync.OnceValues(func() (*homeserver, error) { return &shared, shared.start() })
	users   atomic.Int64
)

// TestMain ends what the tests share.
func TestMain(m *testing.M) {
	code := m.Run()
	for _, stop := range slices.Backward(shared.stops) {
		stop()
	}
	os.Exit(code)
}

func (hs *homeserver) start() (err error) {
	envs, err := installed()
	if err != nil {
		return err
	}
	if hs.dir, err = os.MkdirTemp("", "threepid-sydent-"); err != nil {
		return err
	}
	hs.stops = append(hs.stops, func() { _ = os.RemoveAll(hs.dir) }) // the system clears it, too
	theirs := filepath.Join(hs.dir, "theirs.pem")
	hs.caFile = filepath.Join(hs.dir, "ca.pem")
	authority, err := certs.New()
	if err != nil {
		return err
	}
	if hs.authority, err = certs.New(); err != nil {
		return err
	}
	if err := errors.Join(os.WriteFile(hs.caFile, authority.PEM(), 0o600), os.WriteFile(theirs, hs.authority.PEM(), 0o600)); err != nil {
		return err
	}
	if hs.front, err = NewFront(authority, 0); err != nil {
		return err
	}
	hs.stops = append(hs.stops, hs.front.Stop)
	hs.Server, err = synapse.Start(context.Background(), envs.synapse, synapse.Options{
		Dir: filepath.Join(hs.dir, "synapse"), ServerName: hs.front.Name(), Federation: true, CAFiles: []string{hs.caFile, theirs},
	})
	if err != nil {
		return err
	}
	hs.stops = append(hs.stops, hs.Stop)
	return hs.front.Forward(hs.URL())
}

// world is a homeserver and an identity server that know each other.
type world struct {
	t      *testing.T
	inbox  *smtptest.Server
	front  *Front // of the homeserver
	hs     *synapse.Server
	sydent *Server
}

// newWorld starts an identity server beside the homeserver.
func newWorld(t *testing.T, opts Options) *world {
	t.Helper()
	realEnvs(t)
	t.Parallel() // it waits for servers that start
	hs, err := started()
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, hs: hs.Server, front: hs.front}
	if w.inbox, err = smtptest.Start(smtptest.Options{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.inbox.Close() })
	opts.SMTPAddr, opts.CAFiles, opts.Authority = w.inbox.Addr(), []string{hs.caFile}, hs.authority
	w.sydent = start(t, opts)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("synapse's log ends:\n%s", venv.Tail(w.hs.Logs(), 40))
		}
	})
	return w
}

// user is an account at the homeserver and at the identity server.
type user struct {
	mxid, token, idToken string
}

// homeserver sends a request to the homeserver and returns the answer.
func (w *world) homeserver(method, path, token string, body any) (int, map[string]any) {
	w.t.Helper()
	content, err := json.Marshal(body)
	if err != nil {
		w.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(w.t.Context(), method, w.hs.URL()+path, bytes.NewReader(content))
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	var answer map[string]any
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		w.t.Fatal(err)
	}
	return resp.StatusCode, answer
}

// openID returns an OpenID token for a user of the homeserver.
func (w *world) openID(mxid, token string) json.RawMessage {
	w.t.Helper()
	status, answer := w.homeserver(http.MethodPost, "/_matrix/client/r0/user/"+mxid+"/openid/request_token", token, object{})
	if status != http.StatusOK {
		w.t.Fatalf("openid: %d %v", status, answer)
	}
	content, err := json.Marshal(answer)
	if err != nil {
		w.t.Fatal(err)
	}
	return content
}

// account makes an account at the homeserver.
func (w *world) account(name string) synapse.Account {
	w.t.Helper()
	account, err := w.hs.Register(w.t.Context(), fmt.Sprint(name, users.Add(1)), "a password", false)
	if err != nil {
		w.t.Fatal(err)
	}
	return account
}

// user makes a user.
func (w *world) user(name string) user {
	w.t.Helper()
	account := w.account(name)
	var err error
	u := user{mxid: account.UserID, token: account.AccessToken}
	if u.idToken, err = w.sydent.Register(w.t.Context(), w.openID(u.mxid, u.token)); err != nil {
		w.t.Fatal(err)
	}
	return u
}

// validate proves an address for a user.
func (w *world) validate(u user, email string) Session {
	w.t.Helper()
	session, err := w.sydent.Validate(w.t.Context(), u.idToken, email, w.inbox)
	if err != nil {
		w.t.Fatal(err)
	}
	return session
}
