// SPDX-License-Identifier: Apache-2.0

package keyring

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"sync"
	"sync/atomic"
	"time"
)

// SecretSize is the size of a master secret, in bytes.
const SecretSize = 32

// HashSize is the size of the hashes made by [Ring.Hash], in bytes. 128 bits
// of HMAC-SHA-256 are enough for what is compared and looked up here, and a
// session is stored by the hundred thousand.
const HashSize = 16

// ErrSealed is returned by [Ring.Open] for a record that was not sealed by a
// key of this ring, for this context, or was changed since.
var ErrSealed = errors.New("record cannot be opened with these keys")

// Key is one master secret. Its ID is written before every record it seals,
// so that records of an older key can be read.
type Key struct {
	ID     byte
	Secret []byte
	// Since is when it came into use; zero if that is not known.
	Since time.Time
}

// Ring seals and hashes with its first key, and opens and recognises with any.
// Its keys can be replaced while it is in use, see [Ring.Replace].
type Ring struct{ set atomic.Pointer[keySet] }

// keySet is what a ring has at one moment. It does not change.
type keySet struct {
	primary *key
	ordered []*key // as given, the primary first
	byID    map[byte]*key
}

type key struct {
	id    byte
	since time.Time
	aead  cipher.AEAD
	mac   []byte
	// macs are hash.Hash values that have taken in the key: to prepare one
	// costs as much as to use it.
	macs sync.Pool
}

// New makes a ring from master secrets, the one in use first.
func New(keys ...Key) (*Ring, error) {
	if len(keys) == 0 {
		return nil, errors.New("a keyring needs at least one key")
	}
	set := &keySet{byID: make(map[byte]*key, len(keys))}
	for _, k := range keys {
		derived, err := derive(k)
		if err != nil {
			return nil, err
		}
		if _, dup := set.byID[k.ID]; dup {
			return nil, fmt.Errorf("key id %d appears twice", k.ID)
		}
		set.byID[k.ID] = derived
		set.ordered = append(set.ordered, derived)
	}
	set.primary = set.ordered[0]
	return newRing(set), nil
}

func newRing(set *keySet) *Ring {
	r := &Ring{}
	r.set.Store(set)
	return r
}

// derive makes the sealing and the hashing key of one master secret, so that
// no key is ever used for two algorithms (RFC 5869 §3.2).
func derive(k Key) (*key, error) {
	if len(k.Secret) != SecretSize {
		return nil, fmt.Errorf("key %d has %d bytes, want %d", k.ID, len(k.Secret), SecretSize)
	}
	seal, sealErr := hkdf.Key(sha256.New, k.Secret, nil, "threepid seal v1", 32)
	mac, macErr := hkdf.Key(sha256.New, k.Secret, nil, "threepid hash v1", 32)
	block, blockErr := aes.NewCipher(seal)
	aead, aeadErr := cipher.NewGCMWithRandomNonce(block)
	if err := errors.Join(sealErr, macErr, blockErr, aeadErr); err != nil {
		return nil, fmt.Errorf("derive keys of key %d: %w", k.ID, err)
	}
	return &key{id: k.ID, since: k.Since, aead: aead, mac: mac}, nil
}

// Seal encrypts a record. The context (its store key, say) is not stored but
// must be the same to open it: a sealed record moved elsewhere does not open.
func (r *Ring) Seal(context string, plain []byte) []byte {
	k := r.set.Load().primary
	return k.aead.Seal([]byte{k.id}, nil, plain, []byte(context)) //nolint:gosec // G407: this AEAD makes its nonce itself, at random, and puts it first
}

// Open decrypts what Seal made with the same context.
func (r *Ring) Open(context string, sealed []byte) ([]byte, error) {
	if len(sealed) == 0 {
		return nil, ErrSealed
	}
	k, ok := r.set.Load().byID[sealed[0]]
	if !ok {
		return nil, ErrSealed
	}
	plain, err := k.aead.Open(nil, nil, sealed[1:], []byte(context))
	if err != nil {
		return nil, ErrSealed
	}
	return plain, nil
}

// Hash is a keyed hash over a label and parts; no two different lists of
// parts have the same input, because each part is preceded by its length.
func (r *Ring) Hash(label string, parts ...string) [HashSize]byte {
	return r.set.Load().primary.hash(label, parts)
}

func (k *key) hash(label string, parts []string) [HashSize]byte {
	mac, ok := k.macs.Get().(hash.Hash)
	if !ok {
		mac = hmac.New(sha256.New, k.mac)
	}
	defer k.macs.Put(mac)
	mac.Reset()
	write := func(s string) {
		var size [8]byte
		binary.BigEndian.PutUint64(size[:], uint64(len(s)))
		mac.Write(size[:])
		mac.Write([]byte(s))
	}
	write(label)
	for _, p := range parts {
		write(p)
	}
	var sum [sha256.Size]byte
	mac.Sum(sum[:0])
	return [HashSize]byte(sum[:])
}

// HashText is Hash as 22 characters of [0-9A-Za-z_-], for store keys.
func (r *Ring) HashText(label string, parts ...string) string {
	sum := r.Hash(label, parts...)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// Pseudonym names an address in logs: the same address has the same name for
// one day (UTC), so that an operator can follow a complaint, and another name
// the next day, so that logs cannot be joined into a history of a person.
func (r *Ring) Pseudonym(now time.Time, address string) string {
	return r.Pseudonyms(now, address)[0]
}
