// SPDX-License-Identifier: Apache-2.0

package verification

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/ratelimit"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
	"github.com/caddy-threepid/caddy-threepid/store"
	"github.com/caddy-threepid/caddy-threepid/store/storetest"
)

// recorder keeps everything that was ever written, committed or not.
type recorder struct {
	store.Store
	mu      sync.Mutex
	written []write
}

type write struct {
	partition store.Partition
	key       string
	value     []byte
	expires   time.Time
}

func (r *recorder) Update(ctx context.Context, p store.Partition, fn func(store.Txn) error) error {
	return r.Store.Update(ctx, p, func(txn store.Txn) error { return fn(recordingTxn{txn, r, p}) })
}

type recordingTxn struct {
	store.Txn
	r *recorder
	p store.Partition
}

func (t recordingTxn) Set(key string, value []byte, expires time.Time) error {
	t.r.mu.Lock()
	t.r.written = append(t.r.written, write{t.p, key, append([]byte(nil), value...), expires})
	t.r.mu.Unlock()
	return t.Txn.Set(key, value, expires)
}

// wholeLife runs everything that writes, and returns what must never be read
// in what it wrote.
func wholeLife(f *fixture) (secrets map[string]string) {
	f.Helper()
	req := ask(mailbox("alice-the-subject@example.com"), secret("client-secret-of-alice"), func(r *Request) {
		r.NextLink, r.Language = "https://app.example/next-link-of-alice", "de-x-alice"
	})
	sid := f.open(req).SID
	req.SendAttempt = 2
	f.open(req)
	_, _ = f.Submit(bg, Submission{SID: sid, Token: "wrong-token-of-eve"})
	f.confirm(sid, f.outbox.messages()[0].Token)
	c := completes(sid, func(c *Completion) { c.ClientSecret, c.UIASession = req.ClientSecret, "uia-session-of-alice" })
	refused := f.claim(c)
	f.proves(refused)
	f.finish(refused, Refused)
	done := f.claim(c)
	f.proves(done)
	f.finish(done, Completed)
	req.Proof, req.ClientSecret = ProofCode, "second-secret-of-alice"
	nonce := f.await(req)
	f.callback(nonce, req)
	f.settle(nonce)
	refusal := f.outbox.last(f)
	if err := f.Refuse(bg, refusal.SID, refusal.Refusal, false); err != nil {
		f.Fatalf("Refuse: %v", err)
	}
	if err := f.Adopt(bg, "homeserver-sid", "homeserver-nonce", req); err != nil {
		f.Fatalf("Adopt: %v", err)
	}
	if err := f.Notify(bg, Happened{Account: "@alice-the-subject:example.com", Language: "de-x-alice"}, []Reader{{req.Address, NoticeGone}}); err != nil {
		f.Fatalf("Notify: %v", err)
	}
	if _, err := f.NoteOpen(bg, refusal); err != nil {
		f.Fatalf("NoteOpen: %v", err)
	}
	secrets = map[string]string{
		"account": "@alice-the-subject:example.com", "notice": string(NoticeGone),
		"address": req.Address, "local part": "alice-the-subject", "domain": "example.com",
		"client_secret": string(c.ClientSecret), "second client_secret": string(req.ClientSecret), "wrong token": "wrong-token-of-eve",
		"next_link": req.NextLink, "host of next_link": "app.example", "language": req.Language, "UIA session": string(c.UIASession),
		"refused alias": string(refused.SID), "secret of refused alias": string(refused.ClientSecret),
		"alias": string(done.SID), "secret of alias": string(done.ClientSecret),
		"nonce": string(nonce), "homeserver's sid": "homeserver-sid", "homeserver's nonce": "homeserver-nonce",
		"purpose": string(threepid.Register), "refusal": string(refusal.Refusal),
	}
	for _, m := range f.outbox.messages() {
		if m.Proof == ProofLink && m.Token != "" {
			secrets["token of "+m.ID] = string(m.Token)
		}
	}
	return secrets
}

// TestStorageDiscipline: nothing that identifies or authorises anybody is in
// clear in any key or value, and all keys and values are within the limits.
func TestStorageDiscipline(t *testing.T) {
	rec := &recorder{}
	f := newFixture(t, func(c *Config) {
		rec.Store = c.Store
		c.Store, c.PerAddress = rec, ratelimit.Limit{Burst: 100, Per: time.Hour}
	})
	secrets := wholeLife(f)
	kinds := map[string]int{}
	for _, w := range rec.written {
		kinds[kindOf(w.key)]++
		if err := store.CheckKey(w.partition, w.key); err != nil || len(w.value) > store.MaxValueSize {
			t.Errorf("key %q (%d bytes) in %q: %v", w.key, len(w.value), w.partition, err)
		}
		if w.expires.IsZero() || w.expires.After(f.clock.Now().Add(2*MaxLifetime)) && kindOf(w.key) != "w" {
			t.Errorf("key %q expires at %v", w.key, w.expires)
		}
		for what, s := range secrets {
			for form, needle := range forms(s) {
				if strings.Contains(w.key, needle) || strings.Contains(string(w.value), needle) {
					t.Errorf("entry %q holds the %s (%s)", w.key, what, form)
				}
			}
		}
	}
	for _, kind := range []string{"s", "i", "n", "a", "l", "h", "q", "w"} {
		if kinds[kind] == 0 {
			t.Errorf("no entry of kind %q was written: this test no longer sees everything", kind)
		}
	}
}

// forms are the ways in which a text may be written down without being hidden.
func forms(s string) map[string]string {
	all := map[string]string{
		"plain": s, "hex": hex.EncodeToString([]byte(s)),
		"base64": base64.RawStdEncoding.EncodeToString([]byte(s))[:len(s)*4/3-2],
	}
	if raw, err := base64.RawURLEncoding.DecodeString(s); err == nil && len(raw) >= 8 {
		all["decoded"] = string(raw)
	}
	return all
}

// TestPendingSessionIsSmall: sessions are kept by the hundred thousand.
func TestPendingSessionIsSmall(t *testing.T) {
	f := newFixture(t, func(c *Config) { c.Store = storetest.NewMemory(nil); c.Now = time.Now })
	f.open(ask(mailbox("firstname.lastname@mail.example.com"), func(r *Request) { r.Language = "de" }))
	total := 0
	for key, value := range dump(t, f.cfg.Store) {
		key = key[strings.IndexByte(key, ':')+1:]
		if kindOf(key) == "o" {
			continue // the outbox is the delivery side's
		}
		t.Logf("%s: key %d + value %d bytes", kindOf(key), len(key), len(value))
		total += len(key) + len(value)
	}
	t.Logf("a typical pending session takes %d bytes", total)
	if total > 400 || total < 100 {
		t.Errorf("a typical pending session takes %d bytes, want at most 400", total)
	}
}
