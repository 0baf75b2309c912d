// SPDX-License-Identifier: Apache-2.0

package smsfraud

import (
	"errors"
	"time"

	"github.com/fxamacker/cbor/v2"

	"github.com/caddy-threepid/caddy-threepid/internal/keyring"
	"github.com/caddy-threepid/caddy-threepid/store"
)

// partition holds everything that the shield keeps: one message is counted in
// several entries, all or none.
const partition store.Partition = "shield"

// Kinds of entries: the first letter of a store key; a keyed hash follows.
const (
	kindCounter = "c/"
	kindNumber  = "n/"
	kindClient  = "a/"
	kindPrefix  = "p/"
)

// recordVersion is the first byte of every plaintext record.
const recordVersion = 1

// errRecord is returned for a record that cannot be read: it was changed, or
// written by a later version. What it counted is unknown, so nothing is sent.
var errRecord = errors.New("a record of the shield cannot be read with these keys or by this version")

// strict refuses what our encoder never writes.
var strict = func() cbor.DecMode {
	mode, err := cbor.DecOptions{
		DupMapKey:         cbor.DupMapKeyEnforcedAPF,
		IndefLength:       cbor.IndefLengthForbidden,
		ExtraReturnErrors: cbor.ExtraDecErrorUnknownField,
	}.DecMode()
	if err != nil {
		panic(err) // constant options
	}
	return mode
}()

// record is what an entry holds.
type record interface {
	// tidy drops what is past. It reports that it has corrected dates, which
	// must be stored or they would be corrected for ever.
	tidy(now time.Time) (mended bool)
	// expires is when the record no longer matters; zero if it does not now.
	expires() time.Time
}

// codec seals records. The key is authenticated with them, so an entry cannot
// be moved to another key.
type codec struct{ keys *keyring.Ring }

func (c codec) seal(key string, rec record) []byte {
	raw, err := cbor.Marshal(rec)
	if err != nil {
		panic(err) // integers, texts and lists of them can be written
	}
	return c.keys.Seal(key, append([]byte{recordVersion}, raw...))
}

// open returns errRecord for whatever is wrong: the decoder's own text may quote
// the record.
func (c codec) open(key string, sealed []byte, rec record) error {
	raw, err := c.keys.Open(key, sealed)
	if err != nil || len(raw) == 0 || raw[0] != recordVersion || strict.Unmarshal(raw[1:], rec) != nil {
		return errRecord
	}
	return nil
}

// entry is a record with its place in the store.
type entry struct {
	keys []string // by the key in use, and by those before it
	at   string   // which of them it was read from; empty if there was none
	rec  record
}

// load reads an entry into rec, under whichever of its names, and brings it up to date.
func (c codec) load(txn store.Txn, kind string, names []string, rec record, now time.Time) (e entry, mended bool, err error) {
	e.rec = rec
	for _, name := range names {
		e.keys = append(e.keys, kind+name)
	}
	for _, key := range e.keys {
		sealed, err := txn.Get(key)
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil {
			return e, false, err
		}
		e.at = key
		if err := c.open(key, sealed, rec); err != nil {
			return e, false, err
		}
		return e, rec.tidy(now), nil
	}
	return e, false, nil
}

// save writes an entry under its newest name, and deletes what there is under an
// older one. An entry that no longer matters is deleted.
func (c codec) save(txn store.Txn, e entry) error {
	expires := e.rec.expires()
	if e.at != "" && (expires.IsZero() || e.at != e.keys[0]) {
		if err := txn.Delete(e.at); err != nil {
			return err
		}
	}
	if expires.IsZero() {
		return nil
	}
	return txn.Set(e.keys[0], c.seal(e.keys[0], e.rec), expires)
}
