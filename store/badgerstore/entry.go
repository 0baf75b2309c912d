// SPDX-License-Identifier: Apache-2.0

package badgerstore

import (
	"encoding/binary"
	"errors"
	"time"

	"github.com/caddy-threepid/caddy-threepid/store"
)

// A key in Badger is the partition, a separator that the grammar of partitions
// excludes, and the key. Two partitions never share a prefix up to and with the
// separator, so they never collide.
//
// Keys of the store's own lie before and after all partitions: the first byte
// of a partition is at least '-' and at most 'z'.
const (
	separator = "/"

	probeKey = "\x00probe"
	firstKey = "\x00first"
	lastKey  = "\xfflast"
)

// A value in Badger is the exact expiry, 40 bits, big-endian, in units of
// expiryUnit since 1970 and zero for none, and the value. That lasts until 2318.
// Five bytes, as they are paid for every entry.
const (
	headerSize = 5
	expiryUnit = 10 * time.Millisecond
	maxExpiry  = 1<<(8*headerSize) - 1
)

var errCorrupt = errors.New("stored entry is corrupt")

// entry is a pending write. A nil raw is a deletion.
type entry struct {
	raw []byte
	// ttl is the second at which Badger may drop the entry, zero for never.
	ttl uint64
}

// cost is what Badger counts an entry for against the size of a transaction:
// two bytes of metadata and up to ten for the version of the key.
func (e entry) cost(key string) int64 { return int64(len(key) + len(e.raw) + 12) }

func partitionPrefix(p store.Partition) string { return string(p) + separator }

// newEntry encodes a copy of value. The expiry, rounded up to the unit, must
// be in the future of now.
func newEntry(value []byte, expires, now time.Time) entry {
	var units int64
	if !expires.IsZero() {
		units = expires.Add(expiryUnit-1).UnixMilli() / expiryUnit.Milliseconds()
		if units > maxExpiry {
			units = 0
		}
	}
	raw := make([]byte, headerSize, headerSize+len(value))
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], uint64(units))
	copy(raw, b[8-headerSize:])
	return entry{raw: append(raw, value...), ttl: ttl(units, now)}
}

// reveal returns the value of an entry that is there and live; it aliases raw.
func reveal(raw []byte, now time.Time) ([]byte, error) {
	value, live, err := decode(raw, now)
	if err == nil && !live {
		return nil, store.ErrNotFound
	}
	return value, err
}

// ttl converts an expiry by our clock, which reads now, to Badger's: whole
// seconds of the real clock. It is rounded up and one second late, so that our
// clock always decides first.
func ttl(units int64, now time.Time) uint64 {
	if units == 0 {
		return 0
	}
	perSecond := int64(time.Second / expiryUnit)
	seconds := (units+perSecond-1)/perSecond + 1
	return uint64(seconds + time.Now().Unix() - now.Unix())
}

// decode splits what newEntry joined. It reports whether the entry is live, which
// nothing is that it cannot read; the value aliases raw.
func decode(raw []byte, now time.Time) (value []byte, live bool, err error) {
	if len(raw) < headerSize {
		return nil, false, errCorrupt
	}
	units := unitsOf(raw)
	live = units == 0 || now.UnixMilli() < units*expiryUnit.Milliseconds()
	return raw[headerSize:], live, nil
}

// unitsOf reads the expiry of an entry.
func unitsOf(raw []byte) int64 {
	var b [8]byte
	copy(b[8-headerSize:], raw[:headerSize])
	return int64(binary.BigEndian.Uint64(b[:]))
}
