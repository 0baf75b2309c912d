// SPDX-License-Identifier: Apache-2.0

package verification

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/keyring"
	"github.com/caddy-threepid/caddy-threepid/internal/sealed"
	"github.com/caddy-threepid/caddy-threepid/store"
	"github.com/caddy-threepid/caddy-threepid/store/storetest"
)

// tb is what a test and a property have in common.
type tb interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

var bg = context.Background()

// fixture is a service on a store in memory, with everything around it under
// the test's control.
type fixture struct {
	*Service
	tb
	clock   *storetest.Clock
	outbox  *outbox
	watcher *watcher
}

func ring(t tb, fill byte) *keyring.Ring {
	t.Helper()
	r, err := keyring.New(keyring.Key{ID: 1, Secret: bytes.Repeat([]byte{fill}, keyring.SecretSize)})
	if err != nil {
		t.Fatalf("keyring: %v", err)
	}
	return r
}

func newFixture(t tb, change ...func(*Config)) *fixture {
	t.Helper()
	clock := storetest.NewClock(time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC))
	box := &outbox{staged: map[string]Message{}}
	seen := &watcher{seen: map[string]int{}}
	cfg := Config{
		Store: &rerun{Store: storetest.NewMemory(clock.Now)}, Keys: ring(t, 'k'), Outbox: box, Observer: seen,
		Now: clock.Now, Random: &seeded{src: rand.NewChaCha8([32]byte{1})},
	}
	for _, c := range change {
		c(&cfg)
	}
	box.store = cfg.Store
	svc, err := NewService(cfg)
	if err != nil {
		t.Fatalf("NewService: %v", err)
	}
	return &fixture{Service: svc, tb: t, clock: clock, outbox: box, watcher: seen}
}

// ask is a registration by email with a link; change what differs.
func ask(change ...func(*Request)) Request {
	req := Request{
		Purpose: Register, Medium: Email, Address: "alice@example.com",
		ClientSecret: "monkeys_are_GREAT", SendAttempt: 1, Proof: ProofLink,
	}
	for _, c := range change {
		c(&req)
	}
	return req
}

func attempt(n int64) func(*Request) { return func(r *Request) { r.SendAttempt = n } }

func purpose(p Purpose) func(*Request) { return func(r *Request) { r.Purpose = p } }

func secret(s string) func(*Request) { return func(r *Request) { r.ClientSecret = s } }

func mailbox(a string) func(*Request) { return func(r *Request) { r.Address = a } }

func proof(p Proof) func(*Request) { return func(r *Request) { r.Proof = p } }

// meanwhile makes something happen in the middle of the next transaction.
func (f *fixture) meanwhile(do func()) {
	f.Helper()
	r, ok := f.cfg.Store.(*rerun)
	if !ok {
		f.Fatalf("the store of this fixture is a %T", f.cfg.Store)
	}
	r.between = do
}

func (f *fixture) open(req Request) Opened {
	f.Helper()
	got, err := f.RequestToken(bg, req)
	if err != nil {
		f.Fatalf("RequestToken: %v", err)
	}
	return got
}

// validated opens a session and confirms it with the token that was sent.
func (f *fixture) validated(req Request) string {
	f.Helper()
	sid := f.open(req).SID
	f.confirm(sid, f.outbox.last(f).Token)
	return sid
}

func (f *fixture) confirm(sid, token string) Confirmed {
	f.Helper()
	got, err := f.Submit(bg, Submission{SID: sid, Token: token})
	if err != nil {
		f.Fatalf("Submit: %v", err)
	}
	return got
}

func (f *fixture) claim(c Completion) *Alias {
	f.Helper()
	a, err := f.Claim(bg, c)
	if err != nil {
		f.Fatalf("Claim: %v", err)
	}
	return a
}

func (f *fixture) finish(a *Alias, o Outcome) {
	f.Helper()
	if err := f.Finish(bg, a, o); err != nil {
		f.Fatalf("Finish: %v", err)
	}
}

// proves is the homeserver asking about an alias.
func (f *fixture) proves(a *Alias) bool {
	f.Helper()
	got, err := f.Validated(bg, a.SID, a.ClientSecret)
	if err != nil && !errors.Is(err, ErrNotValidated) {
		f.Fatalf("Validated: %v", err)
	}
	if (err == nil) == (got == ThreePID{}) {
		f.Fatalf("Validated = %+v, %v: a proof and an error, or neither", got, err)
	}
	return err == nil
}

// record reads a session past the service, or returns nil.
func (f *fixture) record(sid string) *Session {
	f.Helper()
	var session *Session
	p, _ := sealed.PartitionIn(sid)
	err := f.cfg.Store.View(bg, p, func(txn store.Txn) (err error) {
		session, err = f.session(txn, sid)
		return err
	})
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		f.Fatalf("read session: %v", err)
	}
	return session
}

// dump is the content of the whole store.
func dump(t tb, s store.Store) map[string]string {
	t.Helper()
	all := map[string]string{}
	for n := range sealed.Partitions {
		p := sealed.PartitionName(n)
		err := s.Scan(bg, p, "", func(key string, value []byte) (bool, error) {
			all[string(p)+":"+key] = string(value)
			return true, nil
		})
		if err != nil {
			t.Fatalf("Scan: %v", err)
		}
	}
	return all
}

// entries counts what is stored of one kind.
func (f *fixture) entries(kind *sealed.Kind) int {
	f.Helper()
	n := 0
	for key := range dump(f, f.cfg.Store) {
		if strings.HasPrefix(key[strings.IndexByte(key, ':')+1:], kind.Key("")) {
			n++
		}
	}
	return n
}

// kindOf is the letter of an entry's kind.
func kindOf(key string) string {
	kind, _, _ := strings.Cut(key, "/")
	return kind
}

// Forget is what the operator can have done, of all kinds that this package declares.
func (f *fixture) Forget(ctx context.Context, medium Medium, address string) (sealed.Forgotten, error) {
	f.Helper()
	return sealed.Erase(ctx, f.store, f.keys, string(medium), address)
}

// SealedBy adds up what a rotation waits for.
func (f *fixture) SealedBy(ctx context.Context, counts map[byte]int) error {
	f.Helper()
	found, err := sealed.SealedBy(ctx, f.store)
	for id, n := range found {
		counts[id] += n
	}
	return err
}

// wantErr compares with a sentinel; nil wants success.
func wantErr(t testing.TB, what string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) || (want == nil && got != nil) {
		t.Errorf("%s: error %v, want %v", what, got, want)
	}
}
