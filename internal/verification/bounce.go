// SPDX-License-Identifier: Apache-2.0

package verification

import (
	"encoding/base32"
	"encoding/base64"
	"strings"

	"github.com/caddy-threepid/caddy-threepid/internal/keyring"
)

// A bounce tag is the sid of a message's session in a form that fits the local
// part of an address: lower case, because some servers fold it, and encrypted,
// because an envelope sender passes through many hands.
//
// It is made as RFC 5297 (SIV) does: a keyed hash of the sid, and the sid
// itself under a stream that the hash selects. So it is the same for the same
// session, and cannot be made up.
const (
	bounceHash = 10
	bounceBody = 1 + 16 // the partition and the random part of a sid
)

var bounceText = base32.NewEncoding("0123456789abcdefghijklmnopqrstuv").WithPadding(base32.NoPadding)

// BounceTag is the tag for the envelope sender of a message (VERP), 44
// characters of [0-9a-v]. Of a message without a sid of ours it is empty.
func (s *Service) BounceTag(m Message) string {
	p, ok := s.ids.parse(m.SID)
	if !ok {
		return ""
	}
	random, err := base64.RawURLEncoding.DecodeString(m.SID[partitionSize : sidSize-tagSize])
	if err != nil {
		return ""
	}
	body := append([]byte{partitionNumber(p)}, random...)
	mac := s.keys.Hash("bounce tag", string(body))
	return bounceText.EncodeToString(append(mac[:bounceHash:bounceHash], s.bounceStream(mac[:bounceHash], body)...))
}

// bounceStream encrypts, and decrypts.
func (s *Service) bounceStream(mac, body []byte) []byte {
	var stream []byte
	for _, block := range []string{"0", "1"} {
		sum := s.keys.Hash("bounce stream", string(mac), block)
		stream = append(stream, sum[:]...)
	}
	out := make([]byte, len(body))
	for i := range body {
		out[i] = body[i] ^ stream[i]
	}
	return out
}

// FromBounceTag returns the sid that a tag was made of.
func (s *Service) FromBounceTag(tag string) (sid string, ok bool) {
	raw, err := bounceText.DecodeString(strings.ToLower(tag))
	if err != nil || len(raw) != bounceHash+bounceBody {
		return "", false
	}
	body := s.bounceStream(raw[:bounceHash], raw[bounceHash:])
	mac := s.keys.Hash("bounce tag", string(body))
	var given, want [keyring.HashSize]byte
	copy(given[:], raw[:bounceHash])
	copy(want[:], mac[:bounceHash])
	if !equal(given, want) || body[0] >= Partitions {
		return "", false
	}
	sid = string(PartitionName(int(body[0]))) + base64.RawURLEncoding.EncodeToString(body[1:])
	return sid + s.ids.tag(sid), true
}
