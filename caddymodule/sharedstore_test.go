// SPDX-License-Identifier: Apache-2.0

package caddymodule_test

import (
	"errors"
	"sync"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/internal/keyring"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
	"github.com/caddy-threepid/caddy-threepid/store"
	"github.com/caddy-threepid/caddy-threepid/store/badgerstore"
)

// keptMessage is an outbox that keeps the token of its last message.
type keptMessage struct {
	mu    sync.Mutex
	token threepid.Token
}

func (k *keptMessage) Put(_ store.Txn, m verification.Message) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.token = m.Token
	return nil
}

func (k *keptMessage) Wake(store.Partition, string) {}

// TestAdvisory23_TwoServicesShareABadger: the same race over a real database,
// with two services that know nothing of each other. One process at a time can
// open a Badger, so this is as far as it can be shared; see
// TestAdvisory23_OneOfTwoHundredWinsOnTwoNodes for the rest of the way.
func TestAdvisory23_TwoServicesShareABadger(t *testing.T) {
	db, err := badgerstore.Open(badgerstore.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	keys, err := keyring.New(keyring.Key{ID: 1, Secret: make([]byte, keyring.SecretSize)})
	if err != nil {
		t.Fatal(err)
	}
	box := &keptMessage{}
	services := make([]*verification.Service, 2)
	for i := range services {
		if services[i], err = verification.NewService(verification.Config{Store: db, Keys: keys, Outbox: box}); err != nil {
			t.Fatal(err)
		}
	}
	opened, err := services[0].RequestToken(t.Context(), verification.Request{
		Purpose: threepid.Password, ThreePID: threepid.ThreePID{Medium: threepid.Email, Address: "a@example.test"}, ClientSecret: "s", SendAttempt: 1,
		Proof: verification.ProofLink,
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := services[1].Submit(t.Context(), verification.Submission{SID: opened.SID, Token: box.token}); err != nil {
		t.Fatal(err)
	}

	var wg sync.WaitGroup
	proven := make(chan *verification.Alias, 200)
	for n := range 200 {
		svc := services[n%len(services)]
		wg.Go(func() {
			alias, err := svc.Claim(t.Context(), verification.Completion{SID: opened.SID, ClientSecret: "s", Purpose: threepid.Password})
			if err != nil {
				t.Error(err)
				return
			}
			outcome := verification.Refused
			switch _, err := svc.Validated(t.Context(), alias.SID, alias.ClientSecret); {
			case err == nil:
				proven <- alias
				outcome = verification.Completed
			case !errors.Is(err, verification.ErrNotValidated):
				t.Error(err)
			}
			if err := svc.Finish(t.Context(), alias, outcome); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got := len(proven); got != 1 {
		t.Errorf("%d of 200 completions were proven, want 1", got)
	}
}
