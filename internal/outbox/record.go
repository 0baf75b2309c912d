// SPDX-License-Identifier: Apache-2.0

package outbox

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"strings"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/keyring"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
	"github.com/caddy-threepid/caddy-threepid/store"
)

// afterlife is how much longer than its token a message is kept, so that its
// expiry is seen and counted.
const afterlife = time.Minute

// errUnreadable is a message that was sealed with a key we do not have, or
// written by another version.
var errUnreadable = errors.New("a stored message cannot be read with these keys or by this version")

// record is a message that waits, with what is known of its delivery.
type record struct {
	Message verification.Message `cbor:"1,keyasint"`
	Tries   int                  `cbor:"2,keyasint,omitempty"`
	// NotBefore is when to try again, in Unix milliseconds.
	NotBefore int64 `cbor:"3,keyasint,omitempty"`
	// Lease names the one try that holds the message until LeaseUntil.
	Lease      string `cbor:"4,keyasint,omitempty"`
	LeaseUntil int64  `cbor:"5,keyasint,omitempty"` // Unix milliseconds
	// Uncertain says that a try may have sent it: its outcome was lost.
	Uncertain bool `cbor:"6,keyasint,omitempty"`
	// Again says that an uncertain message is being sent once more. There is no
	// third time.
	Again bool `cbor:"7,keyasint,omitempty"`

	// ended is what became of a message that a claim has deleted.
	ended string

	// said is what was said when this try was not taken. It is kept with the
	// session, and not in the record.
	said string
}

// instance begins the names of all leases of this process.
var instance = newInstance()

func newInstance() string {
	var b [6]byte
	_, _ = rand.Read(b[:]) // it never fails; see crypto/rand
	return base64.RawURLEncoding.EncodeToString(b[:]) + "."
}

// ours reports a lease of this process.
func (r *record) ours() bool { return strings.HasPrefix(r.Lease, instance) }

// due reports whether a record may be worked on. An expired one need not wait
// for its next try.
func (r *record) due(now time.Time) bool {
	ms := now.UnixMilli()
	if r.Lease != "" && ms < r.LeaseUntil {
		return false
	}
	return ms >= r.NotBefore || r.expired(now)
}

func (r *record) expired(now time.Time) bool { return !now.Before(r.Message.Expires) }

// codec reads and writes records.
type codec struct{ keys *keyring.Ring }

func (c codec) put(txn store.Txn, key string, r *record) error {
	return verification.OutboxKind.Put(txn, c.keys, key, r, r.Message.Expires.Add(afterlife))
}

// open returns errUnreadable for whatever is wrong.
func (c codec) open(key string, value []byte) (*record, error) {
	var r record
	if verification.OutboxKind.Open(c.keys, key, value, &r) != nil {
		return nil, errUnreadable
	}
	return &r, nil
}

func (c codec) get(txn store.Txn, key string) (*record, error) {
	value, err := txn.Get(key)
	if err != nil {
		return nil, err
	}
	return c.open(key, value)
}
