// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/caddy-threepid/caddy-threepid/e2e/internal/doubles"
	"github.com/caddy-threepid/caddy-threepid/handlers"
	"github.com/caddy-threepid/caddy-threepid/internal/keyring"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/fakehs"
	"github.com/caddy-threepid/caddy-threepid/internal/outbox"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
	"github.com/caddy-threepid/caddy-threepid/store/badgerstore"
)

// The address that an account has, and the one that nobody has.
const (
	owned  = "owner@example.test"
	nobody = "nobody@example.test"
)

// rig is both faces on servers of their own, before a homeserver on another.
type rig struct {
	url    string
	client *http.Client
	mails  atomic.Int64
	asked  atomic.Int64
	stops  []func() error
}

// later is a handler that is known later than its address.
type later struct{ atomic.Pointer[http.Handler] }

func (l *later) ServeHTTP(w http.ResponseWriter, r *http.Request) { (*l.Load()).ServeHTTP(w, r) }

func (l *later) set(h http.Handler) { l.Store(&h) }

// start starts everything, with a store in dir. pace is the shortest step.
func start(dir string, pace time.Duration) (r *rig, err error) {
	r = &rig{}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.stop())
		}
	}()
	public, face := new(later), new(later)
	faceServer := httptest.NewTLSServer(face)
	r.closes(faceServer.Close)
	name := faceServer.Listener.Addr().String()
	hs := fakehs.New(fakehs.Options{
		TrustedIDServers: []string{name}, ResetMode: fakehs.ResetRemote, RegistrationEnabled: true, HTTPClient: faceServer.Client(),
	})
	hs.AddUser("owner", "secret", owned)
	hsServer := httptest.NewServer(hs)
	r.closes(hsServer.Close)
	publicServer := httptest.NewServer(public)
	r.closes(publicServer.Close)
	r.url = publicServer.URL
	r.client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 100}}
	r.closes(r.client.CloseIdleConnections)

	svc, err := r.service(dir)
	if err != nil {
		return nil, err
	}
	cfg := handlers.Config{PublicURL: r.url, IdentityName: name, Callback: true, Pace: pace}
	if err := cfg.Normalize(); err != nil {
		return nil, err
	}
	next, err := r.proxy(hsServer.URL)
	if err != nil {
		return nil, err
	}
	client := handlers.NewClient(cfg, svc, nil, doubles.Silent{})
	public.set(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if err := client.ServeHTTP(w, req, next); err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
		}
	}))
	face.set(handlers.NewIdentity(cfg, svc, doubles.Silent{}))
	return r, nil
}

// closes remembers what stop has to do.
func (r *rig) closes(f func()) { r.stops = append(r.stops, func() error { f(); return nil }) }

// stop stops everything, what was started last first.
func (r *rig) stop() (err error) {
	for _, stop := range slices.Backward(r.stops) {
		err = errors.Join(err, stop())
	}
	r.stops = nil
	return err
}

// proxy is the way to the homeserver.
func (r *rig) proxy(to string) (handlers.Next, error) {
	target, err := url.Parse(to)
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{MaxIdleConnsPerHost: 100}
	r.closes(transport.CloseIdleConnections)
	proxy := &httputil.ReverseProxy{Transport: transport, Rewrite: func(p *httputil.ProxyRequest) { p.SetURL(target) }}
	return func(w http.ResponseWriter, req *http.Request) error {
		proxy.ServeHTTP(w, req)
		return nil
	}, nil
}

// service is the domain over a store on a disk, with an outbox that sends.
func (r *rig) service(dir string) (*verification.Service, error) {
	store, err := badgerstore.Open(badgerstore.Options{Dir: dir})
	if err != nil {
		return nil, err
	}
	r.stops = append(r.stops, store.Close)
	keys, err := keyring.New(keyring.Key{ID: 1, Secret: make([]byte, keyring.SecretSize)})
	if err != nil {
		return nil, err
	}
	box := outbox.New(outbox.Config{Store: store, Keys: keys, Sole: true})
	svc, err := verification.NewService(verification.Config{Store: store, Keys: keys, Outbox: box})
	if err != nil {
		return nil, err
	}
	box.SetSender(verification.Email, &outbox.DecoySender{Sender: r, Explanations: svc})
	box.Start()
	r.stops = append(r.stops, func() error {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		return box.Stop(ctx)
	})
	return svc, nil
}

// Send is a relay that is fast.
func (r *rig) Send(context.Context, verification.Message) error {
	r.mails.Add(1)
	return nil
}

// request asks for a token to register with an address, and tells how long that
// took.
func (r *rig) request(email string) (time.Duration, error) {
	body := fmt.Sprintf(`{"client_secret":"s%d","email":%q,"send_attempt":1}`, r.asked.Add(1), email)
	req, err := http.NewRequest(http.MethodPost, r.url+"/_matrix/client/v3/register/email/requestToken", strings.NewReader(body))
	if err != nil {
		return 0, err
	}
	start := time.Now()
	resp, err := r.client.Do(req)
	if err != nil {
		return 0, err
	}
	answer, err := io.ReadAll(resp.Body)
	took := time.Since(start)
	if err := errors.Join(err, resp.Body.Close()); err != nil {
		return 0, err
	}
	if resp.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("got %d %s, want 200", resp.StatusCode, answer)
	}
	return took, nil
}
