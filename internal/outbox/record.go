// SPDX-License-Identifier: Apache-2.0

package outbox

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/fxamacker/cbor/v2"

	"github.com/caddy-threepid/caddy-threepid/internal/keyring"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
	"github.com/caddy-threepid/caddy-threepid/store"
)

// keyPrefix is the outbox's part of every partition; see
// [verification.OutboxKey].
const keyPrefix = "o/"

// recordVersion is the first byte of every plaintext record.
const recordVersion = 1

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

// strict refuses what our encoder never writes.
var strict, compact = func() (cbor.DecMode, cbor.EncMode) {
	strict, err := cbor.DecOptions{
		DupMapKey:         cbor.DupMapKeyEnforcedAPF,
		IndefLength:       cbor.IndefLengthForbidden,
		ExtraReturnErrors: cbor.ExtraDecErrorUnknownField,
		// The encoder does not look into strings, and what was once written
		// must be readable.
		UTF8: cbor.UTF8DecodeInvalid,
	}.DecMode()
	compact, err2 := cbor.EncOptions{Time: cbor.TimeUnixMicro}.EncMode()
	if err = errors.Join(err, err2); err != nil {
		panic(err) // constant options
	}
	return strict, compact
}()

// codec seals records. The key is authenticated with them, so an entry cannot
// be moved to another key.
type codec struct{ keys *keyring.Ring }

func (c codec) put(txn store.Txn, key string, r *record) error {
	raw, err := compact.Marshal(r)
	if err != nil {
		return fmt.Errorf("encode message: %w", err)
	}
	sealed := c.keys.Seal(key, append([]byte{recordVersion}, raw...))
	return txn.Set(key, sealed, r.Message.Expires.Add(afterlife))
}

// open returns errUnreadable for whatever is wrong: the decoder's own text may
// quote the record.
func (c codec) open(key string, sealed []byte) (*record, error) {
	raw, err := c.keys.Open(key, sealed)
	if err != nil || len(raw) == 0 || raw[0] != recordVersion {
		return nil, errUnreadable
	}
	var r record
	if strict.Unmarshal(raw[1:], &r) != nil {
		return nil, errUnreadable
	}
	return &r, nil
}

func (c codec) get(txn store.Txn, key string) (*record, error) {
	sealed, err := txn.Get(key)
	if err != nil {
		return nil, err
	}
	return c.open(key, sealed)
}
