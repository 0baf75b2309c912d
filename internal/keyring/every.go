// SPDX-License-Identifier: Apache-2.0

package keyring

import (
	"crypto/subtle"
	"encoding/base64"
	"time"
)

// What follows looks at every key: what was made before a change of keys is
// recognised after it, as long as its key is in the ring.

// Replace gives the ring the keys of another one, at once for all who use it.
// Operations that are under way end with the keys that they have begun with.
func (r *Ring) Replace(with *Ring) { r.set.Store(with.set.Load()) }

// Fixed is the ring as it is at this moment. It is for operations that need the
// names of several things by the same key.
func (r *Ring) Fixed() *Ring { return newRing(r.set.Load()) }

// Hashes is Hash by every key, the one in use first.
func (r *Ring) Hashes(label string, parts ...string) [][HashSize]byte {
	keys := r.set.Load().ordered
	sums := make([][HashSize]byte, len(keys))
	for i, k := range keys {
		sums[i] = k.hash(label, parts)
	}
	return sums
}

// HashTexts is HashText by every key, the one in use first: what outlives a
// change of keys is found under the name that it was given.
func (r *Ring) HashTexts(label string, parts ...string) []string {
	sums := r.Hashes(label, parts...)
	texts := make([]string, len(sums))
	for i, sum := range sums {
		texts[i] = base64.RawURLEncoding.EncodeToString(sum[:])
	}
	return texts
}

// Made reports whether sum is Hash of the label and the parts by any key. All
// are compared, each in constant time.
func (r *Ring) Made(sum [HashSize]byte, label string, parts ...string) bool {
	same := 0
	for _, own := range r.Hashes(label, parts...) {
		same |= subtle.ConstantTimeCompare(own[:], sum[:])
	}
	return same == 1
}

// Pseudonyms is Pseudonym by every key, the one in use first: a log of before
// a change of keys has the name by the former key.
func (r *Ring) Pseudonyms(now time.Time, address string) []string {
	sums := r.Hashes("log pseudonym", now.UTC().Format(time.DateOnly), address)
	names := make([]string, len(sums))
	for i, sum := range sums {
		names[i] = base64.RawURLEncoding.EncodeToString(sum[:9])
	}
	return names
}

// KeyInfo is what may be told of a key.
type KeyInfo struct {
	ID byte
	// Since is when it came into use, zero if that is not known; Retired is
	// when the next one did, zero for the key in use.
	Since, Retired time.Time
}

// Keys lists the keys, the one in use first.
func (r *Ring) Keys() []KeyInfo {
	ordered := r.set.Load().ordered
	list := make([]KeyInfo, len(ordered))
	for i, k := range ordered {
		list[i] = KeyInfo{ID: k.id, Since: k.since}
		if i > 0 {
			list[i].Retired = ordered[i-1].since
		}
	}
	return list
}

// SealedBy is the id of the key that has sealed a record.
func SealedBy(sealed []byte) (id byte, ok bool) {
	if len(sealed) == 0 {
		return 0, false
	}
	return sealed[0], true
}

// InUse reports whether a record was sealed with the key in use.
func (r *Ring) InUse(sealed []byte) bool {
	id, ok := SealedBy(sealed)
	return ok && id == r.set.Load().primary.id
}

// Knows reports whether the key that another ring has in use is one of this
// one's: then it opens all that the other one seals.
func (r *Ring) Knows(other *Ring) bool {
	const label = "identity of the key in use"
	return r.Made(other.Hash(label), label)
}

// Mark names a key to those who have it, and tells nobody anything about it: it
// is a hash by the key.
type Mark struct {
	ID  byte   `json:"id"`
	Sum string `json:"sum"`
}

// Marks are those of the keys, the one in use first.
func (r *Ring) Marks() []Mark {
	ordered := r.set.Load().ordered
	marks := make([]Mark, len(ordered))
	for i, k := range ordered {
		sum := k.hash("mark of a key", nil)
		marks[i] = Mark{k.id, base64.RawURLEncoding.EncodeToString(sum[:])}
	}
	return marks
}
