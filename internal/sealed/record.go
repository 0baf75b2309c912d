// SPDX-License-Identifier: Apache-2.0

package sealed

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/fxamacker/cbor/v2"

	"github.com/caddy-threepid/caddy-threepid/internal/keyring"
	"github.com/caddy-threepid/caddy-threepid/store"
)

// version is the first byte of every plaintext record.
const version = 1

var (
	// ErrForm is returned for a record that opens but does not decode: written by a
	// later version, say.
	ErrForm = errors.New("stored record has an unknown form")

	errKind = errors.New("entry is of another kind")
)

// strict refuses what the encoder never writes; a decoder that is lenient here would
// only hide a defect.
var strict, compact = func() (cbor.DecMode, cbor.EncMode) {
	strict, err := cbor.DecOptions{
		DupMapKey:         cbor.DupMapKeyEnforcedAPF,
		IndefLength:       cbor.IndefLengthForbidden,
		ExtraReturnErrors: cbor.ExtraDecErrorUnknownField,
		// The encoder does not look into strings, and what was once written must be
		// readable: a language may come from any header.
		UTF8: cbor.UTF8DecodeInvalid,
	}.DecMode()
	compact, err2 := cbor.EncOptions{Time: cbor.TimeUnixMicro, OmitEmpty: cbor.OmitEmptyGoValue}.EncMode()
	if err = errors.Join(err, err2); err != nil {
		panic(err) // constant options
	}
	return strict, compact
}()

// PutBytes seals a text that its owner has encoded. The full key is part of what is
// authenticated, so an entry cannot be moved to another key.
func (k *Kind) PutBytes(txn store.Txn, keys *keyring.Ring, key string, plain []byte, expires time.Time) error {
	if k.rotation.after == unsealed || !strings.HasPrefix(key, k.prefix) {
		return errKind
	}
	return txn.Set(key, keys.Seal(key, append([]byte{version}, plain...)), expires)
}

// Put writes a record.
func (k *Kind) Put(txn store.Txn, keys *keyring.Ring, key string, rec any, expires time.Time) error {
	raw, err := compact.Marshal(rec)
	if err != nil {
		return fmt.Errorf("encode record: %w", err)
	}
	return k.PutBytes(txn, keys, key, raw, expires)
}

// Set writes an entry that is not sealed.
func (k *Kind) Set(txn store.Txn, key string, value []byte, expires time.Time) error {
	if k.rotation.after != unsealed || !strings.HasPrefix(key, k.prefix) {
		return errKind
	}
	return txn.Set(key, value, expires)
}

// OpenBytes undoes PutBytes. Its errors are [keyring.ErrSealed] and ErrForm, and tell
// nothing of a record but its kind.
func (k *Kind) OpenBytes(keys *keyring.Ring, key string, sealed []byte) ([]byte, error) {
	raw, err := keys.Open(key, sealed)
	if err != nil {
		return nil, fmt.Errorf("open record %q: %w", k.short(), err)
	}
	if len(raw) == 0 || raw[0] != version {
		return nil, fmt.Errorf("decode record %q: %w", k.short(), ErrForm)
	}
	return raw[1:], nil
}

// Open decodes what Put has written, into a record that is empty.
func (k *Kind) Open(keys *keyring.Ring, key string, sealed []byte, into any) error {
	raw, err := k.OpenBytes(keys, key, sealed)
	if err != nil {
		return err
	}
	if strict.Unmarshal(raw, into) != nil { // whose own text may quote the record
		return fmt.Errorf("decode record %q: %w", k.short(), ErrForm)
	}
	return nil
}

// short is as much of a key as an error may tell.
func (k *Kind) short() string { return strings.TrimSuffix(k.prefix, "/") }

// Get reads a record.
func (k *Kind) Get(txn store.Txn, keys *keyring.Ring, key string, into any) error {
	sealed, err := txn.Get(key)
	if err != nil {
		return err
	}
	return k.Open(keys, key, sealed, into)
}

// First reads the record under the first of some names that there is, which are those
// by every key of the ring, and returns its key. What is written again goes under the
// first of them.
func (k *Kind) First(txn store.Txn, keys *keyring.Ring, names []string, into any) (key string, err error) {
	for _, name := range names {
		key := k.Key(name)
		if err := k.Get(txn, keys, key, into); !errors.Is(err, store.ErrNotFound) {
			return key, err
		}
	}
	return "", store.ErrNotFound
}

// Scan goes through the entries of one partition; see [store.Store].
func (k *Kind) Scan(ctx context.Context, r store.Reader, p store.Partition, fn func(key string, value []byte) (bool, error)) error {
	return r.Scan(ctx, p, k.prefix, fn)
}

// Each goes through those of all partitions, until fn says false.
func (k *Kind) Each(ctx context.Context, r store.Reader, fn func(p store.Partition, key string, value []byte) (bool, error)) error {
	for _, p := range k.place.partitions() {
		goOn := true
		err := k.Scan(ctx, r, p, func(key string, value []byte) (_ bool, err error) {
			goOn, err = fn(p, key, value)
			return goOn, err
		})
		if err != nil || !goOn {
			return err
		}
	}
	return nil
}
