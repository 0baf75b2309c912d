// SPDX-License-Identifier: Apache-2.0

package bindings

import (
	"net/http"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/report"
	"github.com/caddy-threepid/caddy-threepid/handlers/internal/wire"
	"github.com/caddy-threepid/caddy-threepid/internal/keyring"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/idservers"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
	"github.com/caddy-threepid/caddy-threepid/store"
	"github.com/caddy-threepid/caddy-threepid/store/storetest"
)

const alice = "@alice:example.org"

// rig is the part that ends bindings, over a store in memory.
type rig struct {
	face    *Handler
	svc     *verification.Service
	ids     *idservers.Servers
	changes []report.Change
}

func newRig(t *testing.T) *rig {
	return newRigOver(t, func(s store.Store) store.Store { return s })
}

func newRigOver(t *testing.T, over func(store.Store) store.Store) *rig {
	t.Helper()
	r := &rig{ids: idservers.New()}
	keys, err := keyring.New(keyring.Key{ID: 1, Secret: make([]byte, keyring.SecretSize)})
	if err != nil {
		t.Fatal(err)
	}
	r.svc, err = verification.NewService(verification.Config{Store: over(storetest.NewMemory(r.now)), Keys: keys, Outbox: noOutbox{}, Now: r.now})
	if err != nil {
		t.Fatal(err)
	}
	r.face = &Handler{Service: r.svc, Servers: r.ids, Observer: r, IdentityName: "localhost:8443"}
	return r
}

func (r *rig) now() time.Time { return time.Unix(1_800_000_000, 0) }

func (r *rig) Request(*http.Request, report.Event) {}

func (r *rig) Changed(_ *http.Request, c report.Change) { r.changes = append(r.changes, c) }

func (r *rig) wantBindings(t *testing.T, want int) {
	t.Helper()
	list, err := r.svc.Bindings(t.Context(), alice)
	if err != nil || len(list) != want {
		t.Errorf("got %d bindings recorded (%v), want %d", len(list), err, want)
	}
}

// noOutbox sends nothing.
type noOutbox struct{}

func (noOutbox) Put(store.Txn, verification.Message) error { return nil }

func (noOutbox) Wake(store.Partition, string) {}

func mustRead(t *testing.T, raw []byte) wire.Object {
	t.Helper()
	o, err := wire.ParseObject(raw)
	if err != nil {
		t.Fatal(err)
	}
	return o
}
