// SPDX-License-Identifier: Apache-2.0

package sydent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

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

// realEnvs returns the real servers. A machine that cannot have them skips, and
// loudly, but on CI that is a failure: there the proof is owed.
func realEnvs(t *testing.T) (Env, synapse.Env) {
	t.Helper()
	envs, err := installed()
	switch {
	case errors.Is(err, ErrUnavailable) && os.Getenv("CI") != "true":
		t.Skipf("NOT PROVED ON REAL SERVERS: %v", err)
	case err != nil:
		t.Fatalf("Install: %v", err)
	}
	return envs.sydent, envs.synapse
}

// start runs a real Sydent for the length of a test.
func start(t *testing.T, opts Options) *Server {
	t.Helper()
	env, _ := realEnvs(t)
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

// world is a homeserver and an identity server that know each other.
type world struct {
	t      *testing.T
	inbox  *smtptest.Server
	front  *Front // of the homeserver, for other servers
	hs     *synapse.Server
	sydent *Server
}

// newWorld starts everything.
func newWorld(t *testing.T, opts Options) *world {
	t.Helper()
	_, env := realEnvs(t)
	w := &world{t: t}
	authority, err := NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, authority.PEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	if w.inbox, err = smtptest.Start(smtptest.Options{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.inbox.Close() })
	if w.front, err = NewFront(authority, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.front.Stop)
	opts.SMTPAddr, opts.CAFiles = w.inbox.Addr(), []string{ca}
	w.sydent = start(t, opts) // with an authority of its own
	w.hs, err = synapse.Start(t.Context(), env, synapse.Options{
		Dir: t.TempDir(), ServerName: w.front.Name(), Federation: true, CAFiles: []string{ca, w.sydent.CAFile()},
		TrustedIDServers: []string{w.sydent.Name()},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		w.hs.Stop()
		if t.Failed() {
			t.Logf("synapse's log ends:\n%s", venv.Tail(w.hs.Logs(), 40))
		}
	})
	if err := w.front.Forward(w.hs.URL()); err != nil {
		t.Fatal(err)
	}
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

// user makes a user.
func (w *world) user(name string) user {
	w.t.Helper()
	account, err := w.hs.Register(w.t.Context(), name, "a password", false)
	if err != nil {
		w.t.Fatal(err)
	}
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
