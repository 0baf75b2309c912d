// SPDX-License-Identifier: Apache-2.0

package verification

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/keyring"
	"github.com/caddy-threepid/caddy-threepid/internal/sealed"
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

// same reports whether two of one user are the binding of one address at one server,
// as a bindingKey is.
func (b Binding) same(o Binding) bool {
	return b.Medium == o.Medium && b.Address == o.Address && b.IDServer == o.IDServer
}

// bindingPrefix is where the bindings of a user are: a partition, and the beginning of
// their keys there.
type bindingPrefix struct {
	partition store.Partition
	prefix    string
	keys      *keyring.Ring // at the moment when it was named
	key       int           // the one of them that it is named by
}

// bindingPrefixes are those of a user, the one in use first. Bindings have no end, so
// they outlive a change of keys, and are found under the names of before it.
func (s *Service) bindingPrefixes(user string) []bindingPrefix {
	keys := s.keys.Fixed()
	names := keys.HashTexts("bindings of user", user)
	list := make([]bindingPrefix, len(names))
	for i, name := range names {
		list[i] = bindingPrefix{sealed.PartitionOf(name), kindBinding.Key(name + "/"), keys, i}
	}
	return list
}

func (s *Service) bindingKey(on bindingPrefix, b Binding) string {
	return on.prefix + on.keys.HashTexts("binding", b.User, string(b.Medium), b.Address, b.IDServer)[on.key]
}

// Bind records a binding. The same address at the same server is recorded
// once, with the newest credentials.
func (s *Service) Bind(ctx context.Context, b Binding) error {
	b.Bound = s.now()
	prefixes := s.bindingPrefixes(b.User)
	err := s.store.Update(ctx, prefixes[0].partition, func(txn store.Txn) error {
		return kindBinding.Put(txn, s.keys, s.bindingKey(prefixes[0], b), b, time.Time{})
	})
	if err != nil {
		return err
	}
	return s.remove(ctx, prefixes[1:], []Binding{b})
}

// ProofExpired reports whether the session at the identity server must be too
// old to prove a binding (IS API, "Terminology": 24 hours since the session was
// last modified, which was before it was bound).
func (s *Service) ProofExpired(b Binding) bool { return s.now().Sub(b.Bound) >= MaxLifetime }

// MayBind reports ErrTooManyBindings for a user who has as many as are kept.
func (s *Service) MayBind(ctx context.Context, user string) error {
	list, err := s.Bindings(ctx, user)
	if len(list) >= MaxBindings {
		err = ErrTooManyBindings
	}
	return err
}

// Bindings returns the bindings of a user, newest first.
func (s *Service) Bindings(ctx context.Context, user string) ([]Binding, error) {
	var found []Binding
	for _, on := range slices.Backward(s.bindingPrefixes(user)) { // see moveBinding
		err := s.store.Scan(ctx, on.partition, on.prefix, func(key string, value []byte) (bool, error) {
			var b Binding
			if err := kindBinding.Open(s.keys, key, value, &b); err != nil {
				return false, err
			}
			if i := slices.IndexFunc(found, b.same); i >= 0 {
				found[i] = b // it is being moved
			} else {
				found = append(found, b)
			}
			return true, nil
		})
		if err != nil {
			return nil, err
		}
	}
	slices.SortStableFunc(found, func(a, b Binding) int {
		return cmp.Or(b.Bound.Compare(a.Bound), strings.Compare(a.IDServer, b.IDServer))
	})
	return found, nil
}

// Unbind forgets bindings of a user.
func (s *Service) Unbind(ctx context.Context, user string, gone ...Binding) error {
	if len(gone) == 0 {
		return nil
	}
	return s.remove(ctx, s.bindingPrefixes(user), gone)
}

func (s *Service) remove(ctx context.Context, prefixes []bindingPrefix, gone []Binding) error {
	for _, on := range slices.Backward(prefixes) { // see moveBinding
		err := s.store.Update(ctx, on.partition, func(txn store.Txn) error {
			for _, b := range gone {
				if err := txn.Delete(s.bindingKey(on, b)); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
