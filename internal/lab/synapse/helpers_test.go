// SPDX-License-Identifier: Apache-2.0

package synapse

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/certs"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/venv"
)

// installOnce installs the real Synapse for all tests of the package.
var installOnce = sync.OnceValues(func() (Env, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Minute)
	defer cancel()
	return Install(ctx, log.Printf)
})

// realEnv returns the real Synapse. A machine that cannot have it skips, and
// loudly, but on CI that is a failure: there the proof is owed.
func realEnv(t *testing.T) Env {
	t.Helper()
	env, err := installOnce()
	switch {
	case errors.Is(err, ErrUnavailable) && os.Getenv("CI") != "true":
		t.Skipf("NOT PROVED ON A REAL SYNAPSE: %v", err)
	case err != nil:
		t.Fatalf("Install: %v", err)
	}
	return env
}

// plain starts the real Synapse, without any option, that tests share which make
// users of their own.
var plain = sync.OnceValues(func() (*Server, error) {
	env, err := installOnce()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "threepid-synapse-")
	if err != nil {
		return nil, err
	}
	s, err := Start(context.Background(), env, Options{Dir: dir})
	stopPlain = func() {
		if err == nil {
			s.Stop()
		}
		_ = os.RemoveAll(dir) // the system clears it, too
	}
	return s, err
})

var stopPlain = func() {}

// TestMain ends what the tests share.
func TestMain(m *testing.M) {
	code := m.Run()
	stopPlain()
	os.Exit(code)
}

// sharedPlain returns the server that is shared.
func sharedPlain(t *testing.T) *Server {
	t.Helper()
	realEnv(t)
	s, err := plain()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// start runs a real Synapse for the length of a test.
func start(t *testing.T, opts Options) *Server {
	t.Helper()
	return run(t, realEnv(t), opts)
}

// run is start with an installation of some version.
func run(t *testing.T, env Env, opts Options) *Server {
	t.Helper()
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
			t.Logf("synapse's log ends:\n%s", venv.Tail(s.Logs(), 40))
		}
	})
	return s
}

// answer is a decoded response.
type answer struct {
	status int
	header http.Header
	body   map[string]any
	raw    string
}

// str returns a string member of the answer's body.
func (a answer) str(name string) string {
	s, _ := a.body[name].(string)
	return s
}

// do sends a request to s, as JSON if there is a body, and as the owner of token if there is one.
func do(t *testing.T, s *Server, method, path, token string, body any) answer {
	t.Helper()
	var reader io.Reader
	if body != nil {
		content, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		reader = bytes.NewReader(content)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, s.URL()+path, reader)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	a := answer{status: resp.StatusCode, header: resp.Header, raw: string(raw)}
	_ = json.Unmarshal(raw, &a.body) // an HTML page leaves it empty
	return a
}

// wantStatus fails the test unless a has that status and, if not empty, errcode.
func wantStatus(t *testing.T, a answer, status int, errcode string) {
	t.Helper()
	if a.status != status || a.str("errcode") != errcode {
		t.Fatalf("got %d %s, want %d %s\n%s", a.status, a.str("errcode"), status, errcode, a.raw)
	}
}

// identityServer is the least that Synapse needs of one, over TLS with a
// certificate from an authority of its own.
type identityServer struct {
	name   string // localhost:port
	caFile string

	mu       sync.Mutex
	requests []received
}

// received is one request as the identity server saw it.
type received struct {
	line, userAgent string
	query           url.Values
	body            map[string]any
}

// newIdentityServer starts one for the length of the test. It says that every
// session is a validated one of address.
func newIdentityServer(t *testing.T, address string) *identityServer {
	t.Helper()
	is := &identityServer{}
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got := received{line: r.Method + " " + r.URL.Path, userAgent: r.UserAgent(), query: r.URL.Query()}
		_ = json.NewDecoder(r.Body).Decode(&got.body) // a GET has none
		is.mu.Lock()
		is.requests = append(is.requests, got)
		is.mu.Unlock()
		result := map[string]any{"sid": "sid-of-the-identity-server"}
		if strings.HasSuffix(r.URL.Path, "/getValidated3pid") {
			result = map[string]any{"medium": "email", "address": address, "validated_at": 1567000000000}
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(result)
	}))
	srv.Config.ErrorLog = log.New(io.Discard, "", 0) // refused handshakes are part of the tests
	leaf, ca := issue(t)
	srv.TLS = &tls.Config{Certificates: []tls.Certificate{leaf}}
	srv.StartTLS()
	t.Cleanup(srv.Close)
	is.name = "localhost:" + srv.URL[strings.LastIndex(srv.URL, ":")+1:]
	is.caFile = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(is.caFile, ca, 0o600); err != nil {
		t.Fatal(err)
	}
	return is
}

// seen returns the requests so far and forgets them.
func (is *identityServer) seen() []received {
	is.mu.Lock()
	defer is.mu.Unlock()
	seen := is.requests
	is.requests = nil
	return seen
}

// issue returns a certificate for localhost and the authority that signed it.
func issue(t *testing.T) (leaf tls.Certificate, ca []byte) {
	t.Helper()
	authority, err := certs.New()
	if err != nil {
		t.Fatal(err)
	}
	if leaf, err = authority.Issue(certs.ServerTemplate("localhost")); err != nil {
		t.Fatal(err)
	}
	return leaf, authority.PEM()
}
