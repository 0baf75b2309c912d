// SPDX-License-Identifier: Apache-2.0

package verification

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/caddy-threepid/caddy-threepid/store"
)

// MaxBindings bounds how many bindings are kept of one user. An identity
// server of the user's own would confirm any number of them.
const MaxBindings = 100

// ErrTooManyBindings refuses one more.
var ErrTooManyBindings = errors.New("the user has too many bindings")

// Binding says that a user has published an address at an identity server.
// Homeservers should track them, so that they can be undone when the address
// or the account goes (MSC2290). SID and ClientSecret are those of the session
// at the identity server: they prove to it that we may unbind.
type Binding struct {
	User         string    `cbor:"1,keyasint"`
	Medium       Medium    `cbor:"2,keyasint"`
	Address      string    `cbor:"3,keyasint"`
	IDServer     string    `cbor:"4,keyasint"`
	SID          string    `cbor:"5,keyasint"`
	ClientSecret string    `cbor:"6,keyasint"`
	Bound        time.Time `cbor:"7,keyasint"`
	// Validated is the address as the identity server has validated it, if it
	// is spelled differently: Sydent unbinds only under that spelling.
	Validated string `cbor:"8,keyasint,omitempty"`
}

// bindingsOf is the beginning of the keys of a user's bindings, and where they
// are.
func (s *Service) bindingsOf(user string) (store.Partition, string) {
	name := s.keys.HashText("bindings of user", user)
	return s.shard(name), kindBinding + name + "/"
}

func (s *Service) bindingKey(prefix string, b Binding) string {
	return prefix + s.keys.HashText("binding", b.User, string(b.Medium), b.Address, b.IDServer)
}

// Bind records a binding. The same address at the same server is recorded
// once, with the newest credentials.
func (s *Service) Bind(ctx context.Context, b Binding) error {
	p, prefix := s.bindingsOf(b.User)
	b.Bound = s.now()
	return s.store.Update(ctx, p, func(txn store.Txn) error {
		return s.recs.put(txn, s.bindingKey(prefix, b), b, time.Time{})
	})
}

// ProofExpired reports whether the session at the identity server must be too
// old to prove a binding (IS API, "Terminology": 24 hours since the session was
// last modified, which was before it was bound).
func (s *Service) ProofExpired(b Binding) bool { return s.now().Sub(b.Bound) >= MaxLifetime }

// MayBind reports ErrTooManyBindings for a user who has as many as are kept.
func (s *Service) MayBind(ctx context.Context, user string) error {
	p, prefix := s.bindingsOf(user)
	n := 0
	err := s.store.Scan(ctx, p, prefix, func(string, []byte) (bool, error) {
		n++
		return n < MaxBindings, nil
	})
	if err == nil && n >= MaxBindings {
		err = ErrTooManyBindings
	}
	return err
}

// Bindings returns the bindings of a user, newest first.
func (s *Service) Bindings(ctx context.Context, user string) ([]Binding, error) {
	p, prefix := s.bindingsOf(user)
	var found []Binding
	err := s.store.Scan(ctx, p, prefix, func(key string, sealed []byte) (bool, error) {
		raw, err := s.keys.Open(key, sealed)
		if err != nil {
			return false, fmt.Errorf("open record %q: %w", kindOf(key), err)
		}
		var b Binding
		if err := decode(raw, &b); err != nil {
			return false, fmt.Errorf("decode record %q: %w", kindOf(key), err)
		}
		found = append(found, b)
		return true, nil
	})
	slices.SortStableFunc(found, func(a, b Binding) int {
		if c := b.Bound.Compare(a.Bound); c != 0 {
			return c
		}
		return strings.Compare(a.IDServer, b.IDServer)
	})
	return found, err
}

// Unbind forgets bindings of a user.
func (s *Service) Unbind(ctx context.Context, user string, gone ...Binding) error {
	if len(gone) == 0 {
		return nil
	}
	p, prefix := s.bindingsOf(user)
	return s.store.Update(ctx, p, func(txn store.Txn) error {
		for _, b := range gone {
			if err := txn.Delete(s.bindingKey(prefix, b)); err != nil {
				return err
			}
		}
		return nil
	})
}
