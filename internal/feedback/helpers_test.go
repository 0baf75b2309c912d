// SPDX-License-Identifier: Apache-2.0

package feedback

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/keyring"
	"github.com/caddy-threepid/caddy-threepid/internal/sealed"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
	"github.com/caddy-threepid/caddy-threepid/store"
	"github.com/caddy-threepid/caddy-threepid/store/storetest"
)

const (
	alice = "alice@example.org"
	bob   = "bob@example.org"
	// aliceSID has the form of a session id.
	aliceSID = "2aAAAAAAAAAAAAAAAAAAAAAAAATagTag"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

var errBroken = errors.New("broken on purpose")

// fatal is what testing.T and rapid.T have in common here.
type fatal interface {
	Helper()
	Fatal(args ...any)
}

func newKeys(t fatal, secret byte) *keyring.Ring {
	t.Helper()
	ring, err := keyring.New(keyring.Key{ID: secret, Secret: bytes.Repeat([]byte{secret}, keyring.SecretSize)})
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

// bench is a suppression list over a store in memory.
type bench struct {
	*Suppression
	clock *storetest.Clock
	store store.Store
	keys  *keyring.Ring
}

func newBench(t fatal, p Policy) *bench {
	t.Helper()
	b := &bench{clock: storetest.NewClock(start), keys: newKeys(t, 7)}
	b.store = storetest.NewMemory(b.clock.Now)
	s, err := NewSuppression(SuppressionConfig{Store: b.store, Keys: b.keys, Policy: p, Now: b.clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	b.Suppression = s
	return b
}

// SealedBy adds up what a rotation waits for.
func (b *bench) SealedBy(ctx context.Context, counts map[byte]int) error {
	found, err := sealed.SealedBy(ctx, b.store)
	for id, n := range found {
		counts[id] += n
	}
	return err
}

func (b *bench) record(t fatal, addr string, r Report) {
	t.Helper()
	if err := b.Record(context.Background(), verification.Email, addr, r); err != nil {
		t.Fatal(err)
	}
}

// reason is why an address gets no mail now; "" if it does.
func (b *bench) reason(t fatal, addr string) Reason {
	t.Helper()
	e, ok, err := b.Lookup(context.Background(), verification.Email, addr)
	if err != nil {
		t.Fatal(err)
	}
	if !ok && e != (Entry{}) {
		t.Fatal("an entry for an address that is not suppressed")
	}
	return e.Reason
}

// everything is all that the store holds, keys and values.
func (b *bench) everything(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	for n := range sealed.Partitions {
		p := sealed.PartitionName(n)
		err := b.store.Scan(context.Background(), p, "", func(key string, value []byte) (bool, error) {
			all[string(p)+" "+key] = string(value)
			return true, nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// brokenStore fails at everything.
type brokenStore struct{ store.Store }

func (brokenStore) View(context.Context, store.Partition, func(store.Txn) error) error {
	return errBroken
}

func (brokenStore) Update(context.Context, store.Partition, func(store.Txn) error) error {
	return errBroken
}

func (brokenStore) Scan(context.Context, store.Partition, string, func(string, []byte) (bool, error)) error {
	return errBroken
}

func hardBounce(at time.Time) Report {
	return Report{Kind: Bounce, Permanent: true, Code: "5.1.1", At: at, ID: "hard"}
}

func softBounce(at time.Time, id string) Report {
	return Report{Kind: Bounce, Code: "4.2.2", At: at, ID: id}
}
