// SPDX-License-Identifier: Apache-2.0

package caddymodule_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/fakehs"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/freeport"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/stack"
)

// patience is how long a test waits for what takes a moment, on whatever machine.
const patience = 2 * time.Minute

// site is a public and a homeserver-facing site on ports of its own, served by
// a Caddy inside this process.
type site struct {
	loaded   string // the Caddyfile of the last mustLoad
	t        *testing.T
	dir      string
	public   int
	identity int
	admin    int
	upstream string
	client   *stack.Client
}

// newSite makes a site in front of an upstream. Nothing runs before load.
func newSite(t *testing.T, upstream string) *site {
	t.Helper()
	ports, err := freeport.Take(3)
	if err != nil {
		t.Fatal(err)
	}
	s := &site{t: t, dir: t.TempDir(), public: ports[0], identity: ports[1], admin: ports[2], upstream: upstream}
	s.client = stack.NewClient(s.url())
	t.Cleanup(func() {
		// Before the folder disappears under the store.
		if err := caddy.Stop(); err != nil {
			t.Errorf("stop caddy: %v", err)
		}
	})
	return s
}

func (s *site) url() string          { return fmt.Sprintf("http://127.0.0.1:%d", s.public) }
func (s *site) identityName() string { return fmt.Sprintf("localhost:%d", s.identity) }
func (s *site) path(name string) string {
	return filepath.Join(s.dir, name)
}

// caddyfile is the site with these options of the app.
func (s *site) caddyfile(options ...string) string {
	return s.global("threepid {\n"+strings.Join(options, "\n")+"\n}") + s.sites()
}

// global is the global options block with what every test needs. Events are not
// logged, because Caddy's own way of doing that reads the TLS app while it is
// still being started, which the race detector reports.
func (s *site) global(more string) string {
	return fmt.Sprintf(`{
	admin 127.0.0.1:%d
	persist_config off
	storage file_system %s
	skip_install_trust
	auto_https disable_redirects
	log {
		output file %s
		level DEBUG
		exclude events
	}
	%s
}
`, s.admin, storageDir(), s.path("caddy.log"), more)
}

func (s *site) sites() string {
	return fmt.Sprintf(`http://127.0.0.1:%d {
%s
	threepid
	reverse_proxy %s
}
https://localhost:%d {
	bind 127.0.0.1
	tls internal
	threepid_identity
}
`, s.public, s.accessLog(), strings.TrimPrefix(s.upstream, "http://"), s.identity)
}

// accessLog is what Caddyfile.example says about the log of the public site.
func (s *site) accessLog() string {
	s.t.Helper()
	example, err := os.ReadFile("../Caddyfile.example")
	if err != nil {
		s.t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(example), "\tlog {\n\t\tformat filter {\n")
	filter, _, ends := strings.Cut(rest, "\n\t}\n")
	if !found || !ends {
		s.t.Fatal("Caddyfile.example has no log with a filter")
	}
	return "\tlog {\n\t\toutput file " + s.path("access.log") + "\n\t\tformat filter {\n" + filter + "\n\t}"
}

// options are those of a small app whose files are all in the site's folder.
func (s *site) options(more ...string) []string {
	return append([]string{
		"public_url " + s.url(),
		"key_file " + s.path("keys.json"),
		"store badger {\npath " + s.path("store") + "\n}",
		"homeserver {\nidentity_name " + s.identityName() + "\n}",
		"limit address off", "limit client off", "limit domain off", "limit messages off",
	}, more...)
}

// simple is a Caddyfile whose mail goes into a folder.
func (s *site) simple() string {
	return s.caddyfile(s.options("mailer file {\npath " + s.path("outbox") + "\n}")...)
}

// load makes Caddy run a Caddyfile in place of the one before.
func (s *site) load(config string) error {
	s.t.Helper()
	adapted, err := adapt(config)
	if err != nil {
		return err
	}
	defer s.awaitHandover()
	return caddy.Load(adapted, true)
}

func (s *site) mustLoad(config string) {
	s.loaded = config
	s.t.Helper()
	if err := s.load(config); err != nil {
		s.t.Fatalf("load: %v", err)
	}
}

func adapt(config string) ([]byte, error) {
	adapted, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(config), map[string]any{"filename": "Caddyfile"})
	return adapted, err
}

// validate is `caddy validate`, in this process.
func validate(raw []byte) error {
	var config *caddy.Config
	if err := caddy.StrictUnmarshalJSON(raw, &config); err != nil {
		return err
	}
	return caddy.Validate(config)
}

// open asks for a token and returns the sid.
func (s *site) open(secret, email string) string {
	s.t.Helper()
	a := s.settled(func() (stack.Answer, error) {
		return s.client.RequestToken(s.t.Context(), "r0", "register", secret, email)
	})
	if a.Status != http.StatusOK || a.Text("sid") == "" {
		s.t.Fatalf("got %d %s, want a sid", a.Status, a.Body)
	}
	return a.Text("sid")
}

// settled repeats a request whose connection was lost, on systems where
// awaitHandover sees nothing. The request must be one that can be repeated.
func (s *site) settled(do func() (stack.Answer, error)) stack.Answer {
	s.t.Helper()
	a, err := do()
	for range 3 {
		if err != nil {
			a, err = do()
		}
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return a
}

// homeserver starts a double of Synapse behind a real port. Like most it asks for
// no phone number at registration.
func homeserver(t *testing.T, opts fakehs.Options) (*fakehs.Server, string) {
	t.Helper()
	opts.DisableMSISDNRegistration = true
	return phoneHomeserver(t, opts)
}

// phoneHomeserver is one that asks for phone numbers too.
func phoneHomeserver(t *testing.T, opts fakehs.Options) (*fakehs.Server, string) {
	t.Helper()
	if opts.HTTPClient == nil {
		opts.HTTPClient = &http.Client{Transport: lazyRoots{t}}
	}
	opts.ServerName = "example.test"
	opts.ResetMode = fakehs.ResetRemote
	opts.RegistrationEnabled = true
	hs := fakehs.New(opts)
	server := httptest.NewServer(hs)
	t.Cleanup(server.Close)
	return hs, server.URL
}

// lazyRoots trusts Caddy's authority, which exists only when Caddy runs.
type lazyRoots struct{ t *testing.T }

func (l lazyRoots) RoundTrip(r *http.Request) (*http.Response, error) {
	transport := &http.Transport{
		TLSClientConfig:   &tls.Config{RootCAs: roots(l.t), MinVersion: tls.VersionTLS12},
		DisableKeepAlives: true,
	}
	return transport.RoundTrip(r)
}

func roots(t *testing.T) *x509.CertPool {
	pem, err := os.ReadFile(rootCert())
	if err != nil {
		t.Errorf("read Caddy's root certificate: %v", err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	return pool
}

// awaitIdentity waits until the homeserver-facing site has its certificate,
// which Caddy makes in the background.
func (s *site) awaitIdentity() {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	addr := fmt.Sprintf("127.0.0.1:%d", s.identity)
	for {
		var err error
		if _, statErr := os.Stat(rootCert()); statErr == nil {
			d := tls.Dialer{Config: &tls.Config{RootCAs: roots(s.t), ServerName: "localhost", MinVersion: tls.VersionTLS12}}
			conn, dialErr := d.DialContext(ctx, "tcp", addr)
			if err = dialErr; err == nil {
				_ = conn.Close() // it has served its purpose
				return
			}
		}
		select {
		case <-ctx.Done():
			s.t.Fatalf("no certificate: %v", err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// log returns what was logged so far.
func (s *site) log(name string) string {
	s.t.Helper()
	raw, err := os.ReadFile(s.path(name))
	if err != nil {
		s.t.Fatal(err)
	}
	return string(raw)
}

// metric is the sum of a counter over all labels, as the admin endpoint shows
// it.
func (s *site) metric(name string) float64 {
	s.t.Helper()
	a := s.settled(func() (stack.Answer, error) {
		return stack.NewClient(fmt.Sprintf("http://127.0.0.1:%d", s.admin)).Do(s.t.Context(), "GET", "/metrics", "", nil)
	})
	var sum float64
	for line := range strings.Lines(a.Body) {
		if !strings.HasPrefix(line, name+"{") && !strings.HasPrefix(line, name+" ") {
			continue
		}
		var v float64
		if err := json.Unmarshal([]byte(line[strings.LastIndex(line, " ")+1:]), &v); err != nil {
			s.t.Fatalf("read %q: %v", line, err)
		}
		sum += v
	}
	return sum
}
