// SPDX-License-Identifier: Apache-2.0

package verification

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"io"
	"math/big"
	"slices"

	"github.com/caddy-threepid/caddy-threepid/internal/keyring"
	"github.com/caddy-threepid/caddy-threepid/internal/sealed"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
	"github.com/caddy-threepid/caddy-threepid/store"
)

// A sid begins with the name of its partition, so that everything about a session is
// found from its sid alone.
const (
	partitionSize = sealed.PartitionSize
	randomSize    = 22 // 16 bytes in base64
	tagSize       = 8  // 6 bytes in base64
	sidSize       = partitionSize + randomSize + tagSize
)

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
func (m *idMaker) sid(p store.Partition) (threepid.SID, error) {
	body, err := m.in(p)
	if err != nil {
		return "", err
	}
	return threepid.SID(body + m.tag(body)), nil
}

func (m *idMaker) tag(body string) string {
	return m.tags(body)[0]
}

// tags are the tags by every key: a session is known for as long as its key is.
func (m *idMaker) tags(body string) []string {
	tags := m.keys.HashTexts("sid tag", body)
	for i, text := range tags {
		tags[i] = text[:tagSize]
	}
	return tags
}

// parse reports whether sid was made here, and its partition.
func (m *idMaker) parse(sid threepid.SID) (store.Partition, bool) {
	if len(sid) != sidSize {
		return "", false
	}
	body, tag := string(sid[:sidSize-tagSize]), string(sid[sidSize-tagSize:])
	if !slices.Contains(m.tags(body), tag) {
		return "", false
	}
	return sealed.PartitionIn(sid)
}

// token makes what the message carries: a link token of 256 bits, or a code
// of six digits, each with the same probability.
func (m *idMaker) token(p Proof) (threepid.Token, error) {
	if p == ProofLink {
		text, err := m.text(32)
		return threepid.Token(text), err
	}
	n, err := rand.Int(m.random, big.NewInt(1_000_000))
	if err != nil {
		return "", fmt.Errorf("read randomness: %w", err)
	}
	return threepid.Token(fmt.Sprintf("%06d", n)), nil
}
