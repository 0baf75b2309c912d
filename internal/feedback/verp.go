// SPDX-License-Identifier: Apache-2.0

package feedback

import (
	"crypto/subtle"
	"encoding/base32"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/caddy-threepid/caddy-threepid/internal/address"
	"github.com/caddy-threepid/caddy-threepid/internal/keyring"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
)

// maxTag bounds a tag; with prefix and plus it must fit a local part of 64
// octets (RFC 5321 §4.5.3.1.1).
const maxTag = 62

// VERP is a family of envelope senders, prefix+tag@domain, of which each names
// the message that it was made for: a variable envelope return path.
type VERP struct {
	Prefix string
	Domain string
}

// NewVERP checks that the addresses it makes are valid. The prefix may have at
// most 11 characters, or the tags of [Tags] would not fit after it.
func NewVERP(prefix, domain string) (VERP, error) {
	if prefix == "" || len(prefix) > 11 || strings.ContainsRune(prefix, '+') {
		return VERP{}, errors.New("the part before the @ must have 1 to 11 characters and no plus sign")
	}
	canonical, err := address.Email(prefix + "@" + domain)
	if err != nil {
		return VERP{}, fmt.Errorf("is no address: %w", err)
	}
	prefix, domain, _ = strings.Cut(canonical, "@")
	if strings.IndexFunc(prefix, func(r rune) bool { return r > 0x7e }) >= 0 {
		return VERP{}, errors.New("the part before the @ must be ASCII: not every server takes another envelope sender")
	}
	return VERP{Prefix: prefix, Domain: domain}, nil
}

// Address is the envelope sender for a tag.
func (v VERP) Address(tag string) string { return v.Prefix + "+" + tag + "@" + v.Domain }

// Tag returns the tag of an address of this family. Whether the tag is genuine
// is another question. A zero VERP has no addresses.
func (v VERP) Tag(mailbox string) (string, bool) {
	mailbox = strings.TrimSpace(mailbox)
	if inner, ok := strings.CutPrefix(mailbox, "<"); ok {
		mailbox = strings.TrimSuffix(inner, ">")
	}
	at := strings.LastIndexByte(mailbox, '@')
	if v.Prefix == "" || at == -1 || !strings.EqualFold(mailbox[at+1:], v.Domain) {
		return "", false
	}
	prefix, tag, found := strings.Cut(mailbox[:at], "+")
	if !found || !strings.EqualFold(prefix, v.Prefix) || !ValidTag(tag) {
		return "", false
	}
	return tag, true
}

// ValidTag reports whether s could be a tag: 1 to 62 of [0-9A-Za-z_-].
func ValidTag(s string) bool {
	if s == "" || len(s) > maxTag {
		return false
	}
	for i := range len(s) {
		switch c := s[i]; {
		case c >= '0' && c <= '9', c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c == '_', c == '-':
		default:
			return false
		}
	}
	return true
}

// Tags makes the tags that stand for sessions, and knows its own again without
// a look at the store. A sid itself would not do: the client knows it, and
// could report a bounce of a mail that somebody else is waiting for. Upper case
// would not do either: some servers change the case of a local part.
type Tags struct {
	keys *keyring.Ring
}

// NewTags makes tags with the keys of the ring.
func NewTags(keys *keyring.Ring) Tags { return Tags{keys: keys} }

// sidBytes is what 32 characters of base64url hold, macBytes how much of the
// keyed hash follows: 52 characters in all.
const (
	sidBytes = 24
	macBytes = 8
)

var tagAlphabet = base32.NewEncoding("0123456789abcdefghijklmnopqrstuv").WithPadding(base32.NoPadding)

// Make returns the tag of a session.
func (t Tags) Make(sid threepid.SID) (string, error) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(string(sid))
	if err != nil || len(raw) != sidBytes {
		return "", errors.New("make bounce tag: session id has another form")
	}
	return tagAlphabet.EncodeToString(append(raw, t.macs(sid)[0]...)), nil
}

// Check returns the session of a tag that Make made with these keys.
func (t Tags) Check(tag string) (sid threepid.SID, ok bool) {
	raw, err := tagAlphabet.DecodeString(strings.ToLower(tag))
	if err != nil || len(raw) != sidBytes+macBytes || len(tag) != tagAlphabet.EncodedLen(sidBytes+macBytes) {
		return "", false
	}
	sid = threepid.SID(base64.RawURLEncoding.EncodeToString(raw[:sidBytes]))
	made := 0
	for _, mac := range t.macs(sid) {
		made |= subtle.ConstantTimeCompare(raw[sidBytes:], mac)
	}
	if made != 1 {
		return "", false
	}
	return sid, true
}

// macs are those by every key, the one in use first.
func (t Tags) macs(sid threepid.SID) [][]byte {
	sums := t.keys.Hashes("bounce tag", string(sid))
	macs := make([][]byte, len(sums))
	for i := range sums {
		macs[i] = sums[i][:macBytes]
	}
	return macs
}
