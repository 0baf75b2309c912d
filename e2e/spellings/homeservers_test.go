// SPDX-License-Identifier: Apache-2.0

package spellings

import (
	"context"
	"errors"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/fakehs"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/fakeis"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/synapse"
)

const (
	serverName = "example.org"
	password   = "correct horse battery"
)

// realSynapse starts an unmodified Synapse 1.3.1.
func realSynapse(t *testing.T) *homeserver {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Minute)
	defer cancel()
	env, err := synapse.Install(ctx, log.Printf)
	switch {
	case errors.Is(err, synapse.ErrUnavailable) && os.Getenv("CI") != "true":
		t.Skipf("NOT PROVEN HERE: there is no Synapse 1.3.1: %v", err)
	case err != nil:
		t.Fatal(err)
	}
	is, err := fakeis.Start(fakeis.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(is.Close)
	dir := t.TempDir()
	ca := filepath.Join(dir, "ca.pem")
	if err := os.WriteFile(ca, is.CertificatePEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	server, err := synapse.Start(ctx, env, synapse.Options{
		Dir: filepath.Join(dir, "synapse"), ServerName: serverName, TrustedIDServers: []string{is.Name()}, ResetTrust: true, CAFile: ca,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Stop)
	base, err := url.Parse(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	hs := &homeserver{
		name: "Synapse 1.3.1", Handler: httputil.NewSingleHostReverseProxy(base), identity: is.Name(), slow: true, vouched: map[string]string{},
	}
	hs.newUser = func(name string) error {
		_, err := server.Register(t.Context(), name, password, false)
		return err
	}
	is.Inject(-1, nil, func(w http.ResponseWriter, r *http.Request, _ http.Handler) { hs.ServeIdentity(w, r) })
	return hs
}

// doubleOfSynapse makes the double.
func doubleOfSynapse(*testing.T) *homeserver {
	hs := &homeserver{name: "double", identity: "localhost:8443", vouched: map[string]string{}}
	double := fakehs.New(fakehs.Options{
		ServerName: serverName, TrustedIDServers: []string{hs.identity}, ResetMode: fakehs.ResetRemote, RegistrationEnabled: true,
		HTTPClient: &http.Client{Transport: toIdentity{hs}},
	})
	hs.Handler = double
	hs.newUser = func(name string) error {
		double.AddUser(name, password)
		return nil
	}
	return hs
}

// toIdentity is the way to the identity server of a homeserver.
type toIdentity struct{ hs *homeserver }

func (to toIdentity) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Host != to.hs.identity {
		return nil, http.ErrServerClosed
	}
	rec := httptest.NewRecorder()
	to.hs.ServeIdentity(rec, r.Clone(r.Context()))
	return rec.Result(), nil
}
