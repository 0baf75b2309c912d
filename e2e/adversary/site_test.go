// SPDX-License-Identifier: Apache-2.0

package adversary

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/caddy-threepid/caddy-threepid/e2e/internal/doubles"
	"github.com/caddy-threepid/caddy-threepid/handlers"
	"github.com/caddy-threepid/caddy-threepid/internal/keyring"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/fakehs"
	"github.com/caddy-threepid/caddy-threepid/internal/sealed"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
	"github.com/caddy-threepid/caddy-threepid/store"
	"github.com/caddy-threepid/caddy-threepid/store/storetest"
)

// tester is what a test and rapid's have in common.
type tester interface {
	Helper()
	Logf(format string, args ...any)
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// setup is how a site and its homeserver are configured.
type setup struct {
	Callback, Reveal bool
	Gate             handlers.Gate
	Captcha, Terms   bool
	RequireEmail     bool
	Later            bool // the homeserver has what came after 1.3.1
	TrustsAnybody    bool // it believes every identity server
}

// site is the module with two nodes, over one store and with one key file, before a
// homeserver.
type site struct {
	t        tester
	setup    setup
	clock    *clock
	identity string              // the name of the homeserver-facing side
	hs       http.Handler        // the homeserver, for whoever reaches it past us
	double   *fakehs.Server      // what it is, unless it is a real one
	box      *doubles.Inbox      // what was mailed
	keys     []keyring.Key       // the key file
	ring     *keyring.Ring       // what the nodes have of it
	data     *journal            // the store
	backups  []*journal          // copies of it
	nodes    [2]*node            // the homeserver asks the first
	evil     func(string) []byte // what an identity server of the attacker's says of a sid
}

// node is one process.
type node struct {
	svc    *verification.Service
	client *handlers.Client
	face   *handlers.Identity
}

const (
	identityName = "localhost:8443"
	evilServer   = "evil.example"
	serverName   = "example.org"
)

var keyIDs atomic.Uint32

// newSite puts a site before a double of the homeserver.
func newSite(t tester, how setup) *site {
	s := &site{t: t, setup: how, clock: &clock{now: time.Unix(1_800_000_000, 0)}, identity: identityName}
	opts := fakehs.Options{
		ServerName: serverName, TrustedIDServers: []string{identityName}, ResetMode: fakehs.ResetRemote,
		RegistrationEnabled: true, Require3PIDEmail: how.RequireEmail, Terms: how.Terms, Later: how.Later,
		TrustAnyIDServer: how.TrustsAnybody, Now: s.clock.Now, HTTPClient: &http.Client{Transport: wayBack{s}},
	}
	if how.Captcha {
		opts.CaptchaResponse = "solved"
	}
	s.double = fakehs.New(opts)
	s.hs = s.double
	s.begin()
	return s
}

// begin makes the keys, an empty store and the nodes.
func (s *site) begin() {
	s.box = new(doubles.Inbox)
	s.newKeys()
	s.data = newJournal(s.clock.Now)
	s.start()
}

func (s *site) newKeys() {
	secret := bytes.Repeat([]byte{byte(keyIDs.Add(1))}, keyring.SecretSize)
	s.keys = []keyring.Key{{ID: 1, Secret: secret, Since: s.clock.Now()}}
	s.ring = s.readKeys()
}

func (s *site) readKeys() *keyring.Ring {
	ring, err := keyring.New(s.keys...)
	if err != nil {
		s.t.Fatalf("make a ring: %v", err)
	}
	return ring
}

// start starts both nodes, which know nothing but the store and the key file.
func (s *site) start() {
	for i := range s.nodes {
		svc, err := verification.NewService(verification.Config{
			Store: s.data, Keys: s.ring, Outbox: s.box, Now: s.clock.Now,
		})
		if err != nil {
			s.t.Fatalf("start a node: %v", err)
		}
		cfg := handlers.Config{
			PublicURL: "https://matrix.example.org", IdentityName: s.identity, Callback: s.setup.Callback,
			Reveal: s.setup.Reveal, RegistrationGate: s.setup.Gate, Pace: -1,
		}
		if err := cfg.Normalize(); err != nil {
			s.t.Fatalf("configure a node: %v", err)
		}
		n := &node{svc: svc, client: handlers.NewClient(cfg, svc, doubles.NoServers{}, doubles.Silent{}), face: handlers.NewIdentity(cfg, svc, doubles.Silent{})}
		if err := n.client.SetPages(handlers.PageOptions{Now: s.clock.Now}); err != nil {
			s.t.Fatalf("configure a node: %v", err)
		}
		s.nodes[i] = n
	}
}

// request is what somebody sends.
type request struct {
	method, target, body string
	token                string
	form                 bool // says that it is a form
	node                 int
	around               bool // past us
}

// answer is what they get.
type answer struct {
	status int
	header http.Header
	body   string
}

// send delivers a request.
func (s *site) send(r request) answer {
	s.t.Helper()
	var body io.Reader = http.NoBody
	if r.body != "" {
		body = strings.NewReader(r.body)
	}
	req := httptest.NewRequest(r.method, r.target, body)
	if r.token != "" {
		req.Header.Set("Authorization", "Bearer "+r.token)
	}
	if req.Header.Set("Content-Type", "application/json"); r.form {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	rec := httptest.NewRecorder()
	if r.around {
		s.hs.ServeHTTP(rec, req)
		return answer{rec.Code, rec.Header(), rec.Body.String()}
	}
	err := s.nodes[r.node].client.ServeHTTP(rec, req, func(w http.ResponseWriter, req *http.Request) error {
		s.hs.ServeHTTP(w, req)
		return nil
	})
	if err != nil {
		s.t.Fatalf("%s %s: %v", r.method, r.target, err)
	}
	return answer{rec.Code, rec.Header(), rec.Body.String()}
}

// wayBack is how the homeserver reaches identity servers: our other side, and one
// of the attacker's.
type wayBack struct{ s *site }

func (w wayBack) RoundTrip(req *http.Request) (*http.Response, error) {
	rec := httptest.NewRecorder()
	switch {
	case req.URL.Host == evilServer && w.s.evil != nil:
		rec.Header().Set("Content-Type", "application/json")
		_, _ = rec.Write(w.s.evil(req.URL.Query().Get("sid")))
	case req.URL.Host == identityName:
		req = req.Clone(req.Context())
		req.RemoteAddr = "127.0.0.1:40000"
		w.s.nodes[0].face.ServeHTTP(rec, req)
	default:
		return nil, &url.Error{Op: req.Method, URL: req.URL.Host, Err: io.ErrUnexpectedEOF}
	}
	return rec.Result(), nil
}

// What the operator does, and what happens to them.

// restart forgets what is only in memory.
func (s *site) restart() { s.start() }

// rotate puts a new key in front of the others, without a restart.
func (s *site) rotate() {
	if len(s.keys) == 4 { // no rotation keeps more for ever
		s.keys = s.keys[:3]
	}
	id := byte(1 + keyIDs.Add(1)%250)
	secret := bytes.Repeat([]byte{id, byte(keyIDs.Add(1))}, keyring.SecretSize/2)
	for _, k := range s.keys {
		if k.ID == id {
			return
		}
	}
	s.keys = append([]keyring.Key{{ID: id, Secret: secret, Since: s.clock.Now()}}, s.keys...)
	s.ring.Replace(s.readKeys())
}

// backUp copies the store.
func (s *site) backUp() { s.backups = append(s.backups, s.data.copy(nil)) }

// restore goes back to the last backup, in the way of the command for it: what is
// part of a session is left out.
func (s *site) restore() {
	if len(s.backups) == 0 {
		return
	}
	s.data = s.backups[len(s.backups)-1].copy(func(p store.Partition, key string) bool {
		return !sealed.DroppedAtRestore(p, key)
	})
	s.start()
}

// loseStore begins with an empty store, with the keys that there are.
func (s *site) loseStore() {
	s.data = newJournal(s.clock.Now)
	s.start()
}

// loseAll loses the key file, too.
func (s *site) loseAll() {
	s.newKeys()
	s.loseStore()
}

// clock is the time, for us and for the double.
type clock struct{ now time.Time }

// Now is the time.
func (c *clock) Now() time.Time { return c.now }

// journal is a store in memory that can be copied: it knows how it came about.
type journal struct {
	store.Store
	now    func() time.Time
	writes []write
}

type write struct {
	p       store.Partition
	key     string
	value   []byte // nil: deleted
	expires time.Time
}

func newJournal(now func() time.Time) *journal {
	return &journal{Store: storetest.NewMemory(now), now: now}
}

func (j *journal) Update(ctx context.Context, p store.Partition, fn func(store.Txn) error) error {
	var txn *recorder
	err := j.Store.Update(ctx, p, func(inner store.Txn) error {
		txn = &recorder{Txn: inner, p: p}
		return fn(txn)
	})
	if err == nil {
		j.writes = append(j.writes, txn.writes...)
	}
	return err
}

// copy makes the same anew, as far as keep says so.
func (j *journal) copy(keep func(store.Partition, string) bool) *journal {
	made := newJournal(j.now)
	for _, w := range j.writes {
		if keep != nil && !keep(w.p, w.key) {
			continue
		}
		// The memory refuses nothing that it has taken once.
		_ = made.Update(context.Background(), w.p, func(txn store.Txn) error {
			if w.value == nil {
				return txn.Delete(w.key)
			}
			return txn.Set(w.key, w.value, w.expires)
		})
	}
	return made
}

type recorder struct {
	store.Txn
	p      store.Partition
	writes []write
}

func (r *recorder) Set(key string, value []byte, expires time.Time) error {
	r.writes = append(r.writes, write{r.p, key, append([]byte{}, value...), expires})
	return r.Txn.Set(key, value, expires)
}

func (r *recorder) Delete(key string) error {
	r.writes = append(r.writes, write{p: r.p, key: key})
	return r.Txn.Delete(key)
}
