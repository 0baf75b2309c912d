// SPDX-License-Identifier: Apache-2.0

package pages

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/e2e/internal/doubles"
	"github.com/caddy-threepid/caddy-threepid/handlers"
	web "github.com/caddy-threepid/caddy-threepid/handlers/pages"
	"github.com/caddy-threepid/caddy-threepid/internal/keyring"
	"github.com/caddy-threepid/caddy-threepid/internal/provenance"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
	"github.com/caddy-threepid/caddy-threepid/store"
	"github.com/caddy-threepid/caddy-threepid/store/storetest"
)

// publicURL is what the server believes to be called. It is a secure origin,
// so all rules of the pages apply; the browser reaches it on loopback, which it
// trusts as much, and the pages only have relative addresses.
const publicURL = "https://matrix.example.org"

const (
	address = "alice@example.org"
	secret  = "s3cret"
)

// site is the client-facing side over a store in memory.
type site struct {
	t      *testing.T
	base   string
	svc    *verification.Service
	store  *brokenStore
	box    *doubles.Inbox
	clock  *storetest.Clock
	client *handlers.Client
	keys   *keyring.Ring
	posts  atomic.Int32 // forms that were sent
}

// newSite serves pages whose messages carry a proof.
func newSite(t *testing.T, proof verification.Proof, words handlers.PageOptions) *site {
	t.Helper()
	s := &site{t: t, clock: storetest.NewClock(time.Unix(1_800_000_000, 0)), box: new(doubles.Inbox)}
	s.store = &brokenStore{Store: storetest.NewMemory(s.clock.Now)}
	keys, err := keyring.New(keyring.Key{ID: 1, Secret: make([]byte, keyring.SecretSize)})
	must(t, err)
	s.keys = keys
	s.svc, err = verification.NewService(verification.Config{Store: s.store, Keys: keys, Outbox: s.box, Now: s.clock.Now})
	must(t, err)
	cfg := handlers.Config{PublicURL: publicURL, IdentityName: "localhost:8443", Proof: proof}
	must(t, cfg.Normalize())
	s.client = handlers.NewClient(cfg, s.svc, nil, doubles.Silent{})
	words.Now = s.clock.Now
	must(t, s.client.SetPages(words))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			s.posts.Add(1)
		}
		err := s.client.ServeHTTP(w, r, func(w http.ResponseWriter, r *http.Request) error {
			http.NotFound(w, r) // a favicon, say
			return nil
		})
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
		}
	}))
	t.Cleanup(server.Close)
	s.base = server.URL
	return s
}

// open opens a session and returns its sid.
func (s *site) open(purpose verification.Purpose, proof verification.Proof) string {
	s.t.Helper()
	opened, err := s.svc.RequestToken(context.Background(), verification.Request{
		Purpose: purpose, Medium: verification.Email, Address: address, ClientSecret: secret, SendAttempt: 1, Proof: proof,
		Origin: provenance.Origin{Program: "Element", System: "Android", Network: "203.0.x.x"},
	})
	must(s.t, err)
	return opened.SID
}

// local is a link of ours as the browser reaches it.
func (s *site) local(link string) string { return s.base + strings.TrimPrefix(link, publicURL) }

// link is the link of the message.
func (s *site) link(sid string) string {
	return s.local(web.Link(publicURL, sid, s.box.Last().Token))
}

// pressCode is the code beside the link of the message.
func (s *site) pressCode(sid string) string {
	return verification.PressCode(s.keys, sid, s.box.Last().Token)
}

// codeLink is the page that asks for the code.
func (s *site) codeLink(sid string) string {
	return s.local(web.Link(publicURL, sid, ""))
}

// refuseLink is the link of the message that ends the request.
func (s *site) refuseLink(sid string) string {
	return s.local(web.RefuseLink(publicURL, sid, s.box.Last().Refusal))
}

// confirmed reports whether the session is validated.
func (s *site) confirmed(sid string) bool {
	s.t.Helper()
	found, err := s.svc.Inspect(context.Background(), verification.Submission{SID: sid, Token: s.box.Last().Token})
	must(s.t, err)
	return found.Already
}

// spoil ends a session by wrong codes.
func (s *site) spoil(sid string) {
	s.t.Helper()
	for range verification.DefaultMaxTries {
		_, err := s.svc.Submit(context.Background(), verification.Submission{SID: sid, Token: "wrong"})
		if !errors.Is(err, verification.ErrTokenIncorrect) {
			s.t.Fatalf("got %v, want %v", err, verification.ErrTokenIncorrect)
		}
	}
}

// wrongLink is a link with a token that was never sent.
func (s *site) wrongLink(sid string) string {
	return s.local(web.Link(publicURL, sid, url.QueryEscape("wrong")))
}

// brokenStore fails when it is told to.
type brokenStore struct {
	store.Store
	mu  sync.Mutex
	err error
}

func (b *brokenStore) fail(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.err = err
}

func (b *brokenStore) View(ctx context.Context, p store.Partition, f func(store.Txn) error) error {
	b.mu.Lock()
	err := b.err
	b.mu.Unlock()
	if err != nil {
		return err
	}
	return b.Store.View(ctx, p, f)
}
