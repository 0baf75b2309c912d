// SPDX-License-Identifier: Apache-2.0

package verification

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/fxamacker/cbor/v2"

	"github.com/caddy-threepid/caddy-threepid/internal/keyring"
	"github.com/caddy-threepid/caddy-threepid/store"
)

// Kinds of entries: the first letter of a store key. What "o" holds is known to
// the outbox alone. Versions before 2026-12 had a "u", which ends by itself.
const (
	kindSession = "s/"
	kindIndex   = "i/" // (purpose, client_secret, address) → sid
	kindNonce   = "n/"
	kindAlias   = "a/"
	kindLimit   = "l/"
	kindForeign = "h/" // sid of the homeserver's own session → nonce
	kindBinding = "b/" // (user, address, identity server)
	kindCool    = "c/" // address whose owner wants no more messages
	kindState   = "d/" // what became of a session's newest message
	kindMessage = "o/"
	kindReply   = "r/" // what was said of a session's messages when one was not taken
	// kindProgress is how far a registration has come, and kindTie whose it is.
	kindProgress = "g/"
	kindTie      = "t/"
	// Whether the owner of an address was told why there is no token.
	kindExplained = "e/"
	// kindOpen are the newest requests for an address, and kindLanguage is the
	// one that its owner has confirmed in.
	kindOpen     = "q/"
	kindLanguage = "w/"
)

// recordVersion is the first byte of every plaintext record.
const recordVersion = 1

// errRecord is returned for a record that opens but does not decode: written
// by a later version, say.
var errRecord = errors.New("stored record has an unknown form")

// strict refuses what our encoder never writes; a decoder that is lenient
// here would only hide a defect.
var strict = func() cbor.DecMode {
	mode, err := cbor.DecOptions{
		DupMapKey:         cbor.DupMapKeyEnforcedAPF,
		IndefLength:       cbor.IndefLengthForbidden,
		ExtraReturnErrors: cbor.ExtraDecErrorUnknownField,
		// The encoder does not look into strings, and what was once written
		// must be readable: a language may come from any header.
		UTF8: cbor.UTF8DecodeInvalid,
	}.DecMode()
	if err != nil {
		panic(err) // constant options
	}
	return mode
}()

var compact = func() cbor.EncMode {
	mode, err := cbor.EncOptions{Time: cbor.TimeUnixMicro, OmitEmpty: cbor.OmitEmptyGoValue}.EncMode()
	if err != nil {
		panic(err) // constant options
	}
	return mode
}()

func encode(v any) ([]byte, error) {
	raw, err := compact.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode record: %w", err)
	}
	return append([]byte{recordVersion}, raw...), nil
}

func decode(raw []byte, v any) error {
	if len(raw) == 0 || raw[0] != recordVersion {
		return errRecord
	}
	if err := strict.Unmarshal(raw[1:], v); err != nil {
		return errRecord // the decoder's own text may quote the record
	}
	return nil
}

// records reads and writes sealed records. The full key is part of what is
// authenticated, so an entry cannot be moved to another key.
type records struct {
	keys *keyring.Ring
}

func (r records) put(txn store.Txn, key string, v any, expires time.Time) error {
	raw, err := encode(v)
	if err != nil {
		return err
	}
	return txn.Set(key, r.keys.Seal(key, raw), expires)
}

func (r records) get(txn store.Txn, key string, v any) error {
	sealed, err := txn.Get(key)
	if err != nil {
		return err
	}
	return r.open(key, sealed, v)
}

func (r records) open(key string, sealed []byte, v any) error {
	raw, err := r.keys.Open(key, sealed)
	if err != nil {
		return fmt.Errorf("open record %q: %w", kindOf(key), err)
	}
	if err := decode(raw, v); err != nil {
		return fmt.Errorf("decode record %q: %w", kindOf(key), err)
	}
	return nil
}

// kindOf is as much of a key as an error may tell.
func kindOf(key string) string {
	kind, _, _ := strings.Cut(key, "/")
	return kind
}

func sessionKey(sid string) string { return kindSession + sid[partitionSize:] }

func (r records) session(txn store.Txn, sid string) (*Session, error) {
	var s Session
	if err := r.get(txn, sessionKey(sid), &s); err != nil {
		return nil, err
	}
	return &s, nil
}

// putSession keeps the record a little beyond its end, so that the reader of
// a late click is told "expired" by the session itself.
func (r records) putSession(txn store.Txn, s *Session) error {
	return r.put(txn, sessionKey(s.SID), s, time.UnixMilli(s.Until).Add(time.Minute))
}
