// SPDX-License-Identifier: Apache-2.0

package verification

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"io"
	"math/big"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/caddy-threepid/caddy-threepid/internal/keyring"
	"github.com/caddy-threepid/caddy-threepid/store"
)

// Partitions is how many shards the key space has. A sid begins with the two
// hexadecimal digits of its partition, so that everything about a session is
// found from its sid alone. 64 is enough to spread over a Redis Cluster and
// few enough to sweep all of them for waiting messages.
const Partitions = 64

const (
	partitionSize = 2
	randomSize    = 22 // 16 bytes in base64
	tagSize       = 8  // 6 bytes in base64
	sidSize       = partitionSize + randomSize + tagSize
)

// PartitionName returns the n-th partition.
func PartitionName(n int) store.Partition {
	return store.Partition(fmt.Sprintf("%02x", n%Partitions))
}

// idMaker makes identifiers. All of them are within [0-9A-Za-z_-]: Dendrite
// does not escape what it puts into a query, and the specification's grammar
// for sid and client_secret allows it.
type idMaker struct {
	keys   *keyring.Ring
	random io.Reader
}

func (m *idMaker) bytes(n int) ([]byte, error) {
	b := make([]byte, n)
	if _, err := io.ReadFull(m.random, b); err != nil {
		return nil, fmt.Errorf("read randomness: %w", err)
	}
	return b, nil
}

func (m *idMaker) text(n int) (string, error) {
	b, err := m.bytes(n)
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(b), nil
}

// in makes an unguessable identifier that names its partition.
func (m *idMaker) in(p store.Partition) (string, error) {
	random, err := m.text(16)
	if err != nil {
		return "", err
	}
	return string(p) + random, nil
}

// sid makes a session identifier. Its tag proves, without a look at the store,
// that we made it: a client that polls a session long gone gets our refusal,
// while a sid of somebody else's goes to the homeserver untouched.
func (m *idMaker) sid(p store.Partition) (string, error) {
	body, err := m.in(p)
	if err != nil {
		return "", err
	}
	return body + m.tag(body), nil
}

func (m *idMaker) tag(body string) string {
	return m.keys.HashText("sid tag", body)[:tagSize]
}

// parse reports whether sid was made here, and its partition.
func (m *idMaker) parse(sid string) (store.Partition, bool) {
	if len(sid) != sidSize {
		return "", false
	}
	body := sid[:sidSize-tagSize]
	if sid[sidSize-tagSize:] != m.tag(body) {
		return "", false
	}
	return partitionOf(sid)
}

// partitionOf reads the partition that an identifier of ours begins with.
func partitionOf(id string) (store.Partition, bool) {
	if len(id) < partitionSize {
		return "", false
	}
	const digits = "0123456789abcdef"
	hi, lo := strings.IndexByte(digits, id[0]), strings.IndexByte(digits, id[1])
	if hi < 0 || lo < 0 || hi<<4|lo >= Partitions {
		return "", false
	}
	return store.Partition(id[:partitionSize]), true
}

// token makes what the message carries: a link token of 256 bits, or a code
// of six digits, each with the same probability.
func (m *idMaker) token(p Proof) (string, error) {
	if p == ProofLink {
		return m.text(32)
	}
	n, err := rand.Int(m.random, big.NewInt(1_000_000))
	if err != nil {
		return "", fmt.Errorf("read randomness: %w", err)
	}
	return fmt.Sprintf("%06d", n), nil
}

// maxTokenLength is how long a token may be, in code points (IS API,
// "Establishing associations": at most 255).
const maxTokenLength = 255

// NormalizeToken removes what a person adds when typing a code over from a
// mail. It reports false for what cannot be a token at all.
func NormalizeToken(typed string) (string, bool) {
	if !utf8.ValidString(typed) || utf8.RuneCountInString(typed) > maxTokenLength {
		return "", false
	}
	t := strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || (r > 0x7f && unicode.In(r, unicode.Zs, unicode.Cf)) {
			return -1
		}
		return r
	}, typed)
	return plainCode(t), t != ""
}

// maxCode is how long a code may be with what people put between its digits.
const maxCode = 16

// plainCode writes a code in the digits in which it was sent: keyboards of many
// languages have others (Unicode, general category Nd). A token that is no code
// stays as it is.
func plainCode(typed string) string {
	if utf8.RuneCountInString(typed) > maxCode {
		return typed
	}
	var b strings.Builder
	for _, r := range typed {
		switch {
		case r == '-' || r >= '\u2010' && r <= '\u2015': // dashes
		case unicode.IsDigit(r):
			b.WriteByte(byte('0' + digitValue(r)))
		default:
			return typed
		}
	}
	if b.Len() == 0 {
		return typed
	}
	return b.String()
}

// digitValue is the value of a decimal digit: Unicode keeps the ten of a script
// together and in order.
func digitValue(r rune) int {
	for _, block := range unicode.Nd.R16 {
		if lo, hi := rune(block.Lo), rune(block.Hi); r >= lo && r <= hi {
			return int(r-lo) % 10
		}
	}
	for _, block := range unicode.Nd.R32 {
		if lo, hi := rune(block.Lo), rune(block.Hi); r >= lo && r <= hi {
			return int(r-lo) % 10
		}
	}
	return 0
}
