// SPDX-License-Identifier: Apache-2.0

package smsfraud

import (
	"crypto/rand"
	"errors"
	"slices"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/keyring"
	"github.com/caddy-threepid/caddy-threepid/internal/sealed"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
	"github.com/caddy-threepid/caddy-threepid/store"
)

// partition holds everything that the shield keeps: one message is counted in
// several entries, all or none.
const partition store.Partition = "shield"

// The kinds of entries; a keyed hash follows. What a shield keeps is written anew when
// it counts. Sums do not tell of one number, and stay when one is forgotten.
var (
	kindCounter = sealed.Declare("shield", "c/", sealed.In(partition), sealed.Expires, sealed.Kept, sealed.Never("it is a sum"))
	kindPrefix  = sealed.Declare("shield", "p/", sealed.In(partition), sealed.Expires, sealed.Kept, sealed.Never("it is a sum"))
	kindNetwork = sealed.Declare("shield", "w/", sealed.In(partition), sealed.Expires, sealed.Kept, sealed.Never("it is a sum"))
	kindNumber  = sealed.Declare("shield", "n/", sealed.In(partition), sealed.Expires, sealed.Kept, sealed.Named(numbersOf).Of(threepid.MSISDN))
	kindClient  = sealed.Declare("shield", "a/", sealed.In(partition), sealed.Expires, sealed.Kept, sealed.Edited(forgetUse).Of(threepid.MSISDN))
)

// numbersOf are the names of a number that is forgotten.
func numbersOf(q *sealed.Query) ([]string, error) {
	if !onlyDigits(q.Address) {
		return nil, errDigits
	}
	return numberNames(q.Keys, q.Address), nil
}

// forgetUse puts chance in the place of a number's name: the number cannot be
// recognised any more, and the client has no room for another one.
func forgetUse(q *sealed.Query, c *clientRecord) (expires time.Time, told bool) {
	number := numberNames(q.Keys, q.Address)
	for i := range c.Uses {
		if slices.Contains(number, c.Uses[i].Number) {
			c.Uses[i].Number, told = rand.Text(), true
		}
	}
	return c.expires(), told
}

// errRecord is returned for a record that cannot be read: it was changed, or
// written by a later version. What it counted is unknown, so nothing is sent.
var errRecord = errors.New("a record of the shield cannot be read with these keys or by this version")

// record is what an entry holds.
type record interface {
	// tidy drops what is past. It reports that it has corrected dates, which
	// must be stored or they would be corrected for ever.
	tidy(now time.Time) (mended bool)
	// expires is when the record no longer matters; zero if it does not now.
	expires() time.Time
}

// codec reads and writes records.
type codec struct{ keys *keyring.Ring }

// open returns errRecord for whatever is wrong.
func (c codec) open(kind *sealed.Kind, key string, value []byte, rec record) error {
	if kind.Open(c.keys, key, value, rec) != nil {
		return errRecord
	}
	return nil
}

// entry is a record with its place in the store.
type entry struct {
	kind  *sealed.Kind
	names []string // by the key in use, and by those before it
	at    string   // the key that it was read from; empty if there was none
	rec   record
}

// load reads an entry into rec, under whichever of its names, and brings it up to date.
func (c codec) load(txn store.Txn, kind *sealed.Kind, names []string, rec record, now time.Time) (e entry, mended bool, err error) {
	e = entry{kind: kind, names: names, rec: rec}
	e.at, err = kind.First(txn, c.keys, names, rec)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return e, false, nil
	case errors.Is(err, keyring.ErrSealed) || errors.Is(err, sealed.ErrForm):
		return e, false, errRecord
	case err != nil:
		return e, false, err
	}
	return e, rec.tidy(now), nil
}

// save writes an entry under its newest name, and deletes what there is under an
// older one. An entry that no longer matters is deleted.
func (c codec) save(txn store.Txn, e entry) error {
	expires := e.rec.expires()
	if e.at != "" && (expires.IsZero() || e.at != e.kind.Key(e.names[0])) {
		if err := txn.Delete(e.at); err != nil {
			return err
		}
	}
	if expires.IsZero() {
		return nil
	}
	return e.kind.Put(txn, c.keys, e.kind.Key(e.names[0]), e.rec, expires)
}
