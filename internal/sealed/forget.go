// SPDX-License-Identifier: Apache-2.0

package sealed

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/keyring"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
	"github.com/caddy-threepid/caddy-threepid/store"
)

// Forget is how the entries of a kind that tell of an address are found, or why they
// need not be.
type Forget struct {
	why    string
	names  func(*Query) ([]string, error)
	tells  func(*Query, Entry) bool
	anew   func(q *Query, k *Kind, txn store.Txn, key string) (done bool, err error)
	medium threepid.Medium // none but of this one; or empty
}

// Never forgets nothing of a kind, and says why.
func Never(why string) Forget { return Forget{why: why} }

// Named erases what is found by the names of an address, under every key.
func Named(names func(*Query) ([]string, error)) Forget { return Forget{names: names} }

// Seen erases the entries that can be told by a look.
func Seen(tells func(*Query, Entry) bool) Forget { return Forget{tells: tells} }

// Read erases the records that tell of an address. What was sealed with a key that is
// gone cannot be read, by this or by anybody.
func Read[T any](tells func(*Query, *T) bool) Forget {
	return Forget{tells: func(q *Query, e Entry) bool {
		rec := new(T)
		return e.Kind.Open(q.Keys, e.Key, e.Value, rec) == nil && tells(q, rec)
	}}
}

// Edited writes the records anew that tell of an address: edit takes it out of one, and
// says until when the rest matters.
func Edited[T any](edit func(*Query, *T) (expires time.Time, told bool)) Forget {
	f := Read(func(q *Query, rec *T) bool {
		_, told := edit(q, rec)
		return told
	})
	f.anew = func(q *Query, k *Kind, txn store.Txn, key string) (bool, error) {
		rec := new(T)
		if err := k.Get(txn, q.Keys, key, rec); err != nil {
			return false, err
		}
		expires, told := edit(q, rec)
		if !told {
			return false, nil
		}
		return true, k.Put(txn, q.Keys, key, rec, expires)
	}
	return f
}

// Of is the same for the addresses of one medium only.
func (f Forget) Of(medium threepid.Medium) Forget {
	f.medium = medium
	return f
}

func (f Forget) declared() bool { return f.why != "" || f.names != nil || f.tells != nil }

// Entry is one that is looked at. The name is its key without the prefix.
type Entry struct {
	Kind      *Kind
	Partition store.Partition
	Key, Name string
	Value     []byte
}

// Query is an address that is looked for.
type Query struct {
	threepid.ThreePID
	Keys  *keyring.Ring
	leads map[string]bool
}

// Is reports whether it is this one.
func (q *Query) Is(id threepid.ThreePID) bool { return id == q.ThreePID }

// Follow notes what belongs to the address, so that entries of kinds that are declared
// later, in the same partition, can be found by it.
func (q *Query) Follow(lead string) { q.leads[lead] = true }

// Follows reports whether something of the address leads there.
func (q *Query) Follows(lead string) bool { return q.leads[lead] }

// concerns reports whether a kind may have something of the address.
func (q *Query) concerns(k *Kind) bool {
	return k.forget.why == "" && (k.forget.medium == "" || k.forget.medium == q.Medium)
}

// Forgotten is how many entries were erased, by the names of their kinds.
type Forgotten map[string]int

// Total is how many entries that are.
func (f Forgotten) Total() (n int) {
	for _, of := range f {
		n += of
	}
	return n
}

// place is one entry.
type place struct {
	kind      *Kind
	partition store.Partition
	key       string
}

// together reports whether both may go in one transaction. Records that are written anew
// may be big.
func (p place) together(o place) bool {
	return p.partition == o.partition && p.kind.forget.anew == nil && o.kind.forget.anew == nil
}

// Erase forgets an address: whatever there is in a store that tells of it. It returns
// how many entries it has erased, also with an error. What is asked for while it runs
// may be left.
func Erase(ctx context.Context, s store.Store, keys *keyring.Ring, id threepid.ThreePID) (Forgotten, error) {
	q := &Query{ThreePID: id, Keys: keys}
	gone := Forgotten{}
	var named []place
	for _, k := range kinds {
		if !q.concerns(k) {
			continue
		}
		gone[k.name] = 0
		if k.forget.names == nil {
			continue
		}
		names, err := k.forget.names(q)
		if err != nil {
			return gone, err
		}
		for _, name := range slices.Backward(names) { // what is being moved is at its former place first
			named = append(named, place{k, k.Partition(name), k.Key(name)})
		}
	}
	for _, p := range All() {
		found, err := q.search(ctx, s, p)
		if err == nil {
			err = q.erase(ctx, s, found, gone)
		}
		if err != nil {
			return gone, err
		}
	}
	return gone, q.erase(ctx, s, named, gone)
}

// search finds what tells of the address in one partition.
func (q *Query) search(ctx context.Context, s store.Store, p store.Partition) (found []place, err error) {
	q.leads = map[string]bool{}
	for _, k := range kinds {
		if !q.concerns(k) || k.forget.tells == nil || !k.place.has(p) {
			continue
		}
		err := k.Scan(ctx, s, p, func(key string, value []byte) (bool, error) {
			if k.forget.tells(q, Entry{k, p, key, strings.TrimPrefix(key, k.prefix), value}) {
				found = append(found, place{k, p, key})
			}
			return true, nil
		})
		if err != nil {
			return nil, fmt.Errorf("search partition: %w", err)
		}
	}
	return found, nil
}

// eraseAtOnce bounds a transaction.
const eraseAtOnce = 500

// erase takes the address out of entries, and adds up what there was of each kind. Those
// that follow each other in one partition go in one transaction.
func (q *Query) erase(ctx context.Context, s store.Store, list []place, gone Forgotten) error {
	for len(list) > 0 {
		n := 1
		for n < min(len(list), eraseAtOnce) && list[n].together(list[0]) {
			n++
		}
		some := list[:n]
		list = list[n:]
		var erased []*Kind
		err := s.Update(ctx, some[0].partition, func(txn store.Txn) error {
			erased = erased[:0]
			for _, at := range some {
				done, err := q.take(txn, at)
				if err != nil && !errors.Is(err, store.ErrNotFound) {
					return err
				}
				if done {
					erased = append(erased, at.kind)
				}
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("erase entries: %w", err)
		}
		for _, k := range erased {
			gone[k.name]++
		}
	}
	return nil
}

func (q *Query) take(txn store.Txn, at place) (done bool, err error) {
	if at.kind.forget.anew != nil {
		return at.kind.forget.anew(q, at.kind, txn, at.key)
	}
	if _, err := txn.Get(at.key); err != nil {
		return false, err
	}
	return true, txn.Delete(at.key)
}
