// SPDX-License-Identifier: Apache-2.0

package sealed

import (
	"slices"
	"strings"

	"github.com/caddy-threepid/caddy-threepid/store"
)

// Kind is a kind of entries of a store.
type Kind struct {
	name, prefix string
	place        Place
	rotation     Rotation
	restore      Restore
	forget       Forget
}

// kinds are all that are declared, in the order in which they are.
var kinds []*Kind

// Declare makes a kind, and makes it known. The name is for people, in the answer of
// what was forgotten; the prefix begins its keys in the store, which hold neither an
// address nor a secret.
func Declare(name, prefix string, place Place, rotation Rotation, restore Restore, forget Forget) *Kind {
	k := &Kind{name, prefix, place, rotation, restore, forget}
	if name == "" || prefix == "" || place == (Place{}) || rotation.after == 0 || restore == 0 || !forget.declared() {
		panic("something is missing in the declaration of " + prefix) // by a constant
	}
	for _, other := range kinds {
		same := strings.HasPrefix(prefix, other.prefix) || strings.HasPrefix(other.prefix, prefix)
		if same && slices.ContainsFunc(place.partitions(), other.place.has) {
			panic("there are two kinds of entries with the prefix " + prefix)
		}
	}
	kinds = append(kinds, k)
	return k
}

// kindOf is the kind of an entry; nil if nobody has declared it.
func kindOf(p store.Partition, key string) *Kind {
	for _, k := range kinds {
		if strings.HasPrefix(key, k.prefix) && k.place.has(p) {
			return k
		}
	}
	return nil
}

// Key is where an entry of that name is, in its partition.
func (k *Kind) Key(name string) string { return k.prefix + name }

// Partition is where an entry is that is named by a keyed hash.
func (k *Kind) Partition(name string) store.Partition {
	if k.place.fixed != "" {
		return k.place.fixed
	}
	return PartitionOf(name)
}

// Restore is what is done with the entries of a kind when a backup is restored.
type Restore int

const (
	// Kept: they protect somebody, or are of use as long as they live.
	Kept Restore = iota + 1
	// Dropped: they are part of a session. A backup knows nothing of what was used up
	// after it was made, so that a restored session could be used a second time.
	Dropped
)

// DroppedAtRestore reports whether an entry is one that a restored store must not have.
func DroppedAtRestore(p store.Partition, key string) bool {
	k := kindOf(p, key)
	return k != nil && k.restore == Dropped
}
