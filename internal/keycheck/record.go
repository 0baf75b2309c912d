// SPDX-License-Identifier: Apache-2.0

package keycheck

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/keyring"
	"github.com/caddy-threepid/caddy-threepid/internal/sealed"
	"github.com/caddy-threepid/caddy-threepid/store"
)

// Partition holds the check record, and nothing else.
const Partition store.Partition = "check"

// checks is the check record, the only one of its kind.
var (
	checks = sealed.Declare("check record", "keys", sealed.In(Partition), sealed.WithKeys, sealed.Kept,
		sealed.Never("it is about keys"))
	recordKey = checks.Key("")
)

// ErrOther is returned for a check record that the keys do not open.
var ErrOther = errors.New("the store was written with other keys")

// errRecord is returned for a check record that opens and cannot be read:
// written by a later version, say.
var errRecord = errors.New("the check record of the store has an unknown form")

// Record is what a store knows of its keys.
type Record struct {
	// Begun is when the store was new; zero if that was before there were check
	// records.
	Begun time.Time `json:"begun,omitzero"`
	// Keys are the marks of all keys, the one in use first.
	Keys []keyring.Mark `json:"keys"`
	// Saved is when a copy of the key file was seen that has all of them. A new
	// key is in no copy.
	Saved time.Time `json:"saved,omitzero"`
}

// Lacks are the ids of the keys with which the store was written, and that a
// ring does not have.
func (r Record) Lacks(keys *keyring.Ring) (ids []int) {
	have := keys.Marks()
	for _, m := range r.Keys {
		if !slices.Contains(have, m) {
			ids = append(ids, int(m.ID))
		}
	}
	return ids
}

// Claim writes the check record of a store that has none, which has begun at this
// time or at a time that is not known (zero), and brings the record
// up to date that there is: it is always sealed with the key in use, so that a
// ring of before a rotation does not open it. ErrOther: it is somebody else's.
// It returns what the record said before.
func Claim(ctx context.Context, s store.Store, keys *keyring.Ring, begun time.Time) (before Record, err error) {
	return change(ctx, s, keys, begun, func(*Record) {})
}

// Save notes that a copy of the key file was seen which has these marks, and
// reports the ids of the keys that it lacks. Then nothing is noted.
func Save(ctx context.Context, s store.Store, keys *keyring.Ring, copied []keyring.Mark, now time.Time) (lacks []int, err error) {
	keys = keys.Fixed()
	for _, m := range keys.Marks() {
		if !slices.Contains(copied, m) {
			lacks = append(lacks, int(m.ID))
		}
	}
	if len(lacks) > 0 {
		return lacks, nil
	}
	_, err = change(ctx, s, keys, now, func(r *Record) { r.Saved = now.UTC().Truncate(time.Second) })
	return nil, err
}

func change(ctx context.Context, s store.Store, keys *keyring.Ring, begun time.Time, edit func(*Record)) (before Record, err error) {
	keys = keys.Fixed()
	marks := keys.Marks()
	err = s.Update(ctx, Partition, func(txn store.Txn) error {
		value, err := txn.Get(recordKey)
		fresh := errors.Is(err, store.ErrNotFound)
		switch {
		case fresh:
			before = Record{Begun: begun.UTC().Truncate(time.Second)}
		case err != nil:
			return err
		default:
			if before, err = decode(keys, value); err != nil {
				return err
			}
		}
		after := before
		after.Keys = marks
		if !slices.Contains(before.Keys, marks[0]) {
			after.Saved = time.Time{}
		}
		edit(&after)
		if !fresh && keys.InUse(value) && slices.Equal(after.Keys, before.Keys) && after.Saved.Equal(before.Saved) {
			return nil
		}
		raw, err := json.Marshal(after)
		if err != nil {
			return fmt.Errorf("encode check record: %w", err)
		}
		return checks.PutBytes(txn, keys, recordKey, raw, time.Time{})
	})
	return before, err
}

func decode(keys *keyring.Ring, value []byte) (r Record, err error) {
	raw, err := checks.OpenBytes(keys, recordKey, value)
	if errors.Is(err, keyring.ErrSealed) {
		return r, ErrOther
	}
	if err != nil || json.Unmarshal(raw, &r) != nil {
		return r, errRecord
	}
	return r, nil
}

// Read returns the check record, which has to be there.
func Read(ctx context.Context, r store.Reader, keys *keyring.Ring) (Record, error) {
	var value []byte
	err := r.View(ctx, Partition, func(txn store.Txn) (err error) {
		value, err = txn.Get(recordKey)
		return err
	})
	if err != nil {
		return Record{}, err
	}
	return decode(keys, value)
}
