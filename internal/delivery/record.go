// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/fxamacker/cbor/v2"

	"github.com/caddy-threepid/caddy-threepid/internal/keyring"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
	"github.com/caddy-threepid/caddy-threepid/store"
)

// keyPrefix is the outbox's part of every partition.
const keyPrefix = "o/"

const recordVersion = 1

var errRecord = errors.New("stored message has an unknown form")

// record is a message that waits, with what is known of its delivery.
type record struct {
	Message verification.Message `cbor:"1,keyasint"`
	Tries   int                  `cbor:"2,keyasint,omitempty"`
	// NotBefore is when to try again, in Unix milliseconds.
	NotBefore int64 `cbor:"3,keyasint,omitempty"`
	// Lease names the worker run that holds the message until LeaseUntil.
	Lease      string `cbor:"4,keyasint,omitempty"`
	LeaseUntil int64  `cbor:"5,keyasint,omitempty"`
}

// due reports whether a record may be worked on.
func (r *record) due(now time.Time) bool {
	ms := now.UnixMilli()
	return ms >= r.NotBefore && (r.Lease == "" || ms >= r.LeaseUntil)
}

// codec seals records; the key is authenticated with them.
type codec struct{ keys *keyring.Ring }

func (c codec) put(txn store.Txn, key string, r *record) error {
	raw, err := cbor.Marshal(r)
	if err != nil {
		return fmt.Errorf("encode message: %w", err)
	}
	sealed := c.keys.Seal(key, append([]byte{recordVersion}, raw...))
	// A moment beyond the token's end, so that its expiry is seen and counted.
	return txn.Set(key, sealed, r.Message.Expires.Add(time.Minute))
}

func (c codec) open(key string, sealed []byte) (*record, error) {
	raw, err := c.keys.Open(key, sealed)
	if err != nil {
		return nil, fmt.Errorf("open message: %w", err)
	}
	var r record
	if len(raw) == 0 || raw[0] != recordVersion || cbor.Unmarshal(raw[1:], &r) != nil {
		return nil, errRecord
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

// keyOf is the store key of a message. The id begins with the sid, which is no
// secret to the store: it proves nothing without the client_secret.
func keyOf(id string) string { return keyPrefix + id }

func idOf(key string) string { return strings.TrimPrefix(key, keyPrefix) }
