// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"slices"
	"strings"
)

// weakRSA is the length below which a key should be replaced (RFC 8301 §3.2).
const weakRSA = 2048

// dkim compares the key that we sign with to the one that is published
// (RFC 6376 §3.6, RFC 8463).
func (l lookup) dkim(ctx context.Context, r *results, d Domain) {
	if d.DKIM == nil {
		r.report(codeDKIMNotSigned, "We do not sign mail; the relay should, in the name of %s.", d.From)
		return
	}
	name := d.DKIM.Selector + "._domainkey." + d.DKIM.Domain
	if !aligned(d.DKIM.Domain, d.From, false) {
		r.report(codeDKIMMisaligned, "We sign in the name of %s, which does not count for mail from %s.", d.DKIM.Domain, d.From)
	}
	if key, ok := d.DKIM.Key.(*rsa.PublicKey); ok && key.N.BitLen() < weakRSA {
		r.report(codeDKIMWeak, "The key has %d bits; receivers expect at least %d.", key.N.BitLen(), weakRSA)
	}
	records, err := l.txt(ctx, name)
	if err != nil {
		r.reportDNS(name, err)
		return
	}
	if len(records) > 1 {
		// Other texts may be there. Receivers may take any (RFC 6376 §3.6.2.2).
		if keys := slices.DeleteFunc(slices.Clone(records), func(s string) bool { return !strings.Contains(s, "p=") }); len(keys) > 0 {
			records = keys
		}
	}
	switch len(records) {
	case 0:
		r.report(codeDKIMMissing, "There is no key at %s, so our signatures cannot be verified.", name)
	case 1:
		d.DKIM.compare(r, name, records[0])
	default:
		r.report(codeDKIMSeveral, "There is more than one key at %s, and receivers may take the wrong one.", name)
	}
}

// compare judges the published record.
func (k *DKIM) compare(r *results, name, record string) {
	tags, ok := parseTags(record)
	p, hasKey := tags["p"]
	if version, has := tags["v"]; !ok || !hasKey || has && version != "DKIM1" {
		r.report(codeDKIMSyntax, "The record at %s is not a DKIM key.", name)
		return
	}
	if p == "" {
		r.report(codeDKIMRevoked, "The key at %s is revoked: its p= is empty.", name)
		return
	}
	raw, err := base64.StdEncoding.DecodeString(p)
	if err != nil {
		r.report(codeDKIMSyntax, "The key at %s is not written in Base64.", name)
		return
	}
	kind := strings.ToLower(tags["k"])
	if kind == "" {
		kind = "rsa"
	}
	if want := k.kind(); want != kind {
		r.report(codeDKIMKeyType, "The key at %s is of type %s, but ours is of type %s.", name, kind, want)
		return
	}
	published := parseKey(kind, raw)
	switch {
	case published == nil:
		r.report(codeDKIMSyntax, "The key at %s cannot be read as one of type %s.", name, kind)
	case !published.Equal(k.Key):
		r.report(codeDKIMMismatch, "The key at %s is not the one we sign with.", name)
	case slices.Contains(strings.Split(tags["t"], ":"), "y"):
		r.report(codeDKIMTesting, "The key at %s is marked as a test, so receivers may ignore our signatures.", name)
	}
}

func (k *DKIM) kind() string {
	switch k.Key.(type) {
	case ed25519.PublicKey:
		return "ed25519"
	case *rsa.PublicKey:
		return "rsa"
	}
	return "unknown"
}

// comparableKey is what all public keys of the standard library are.
type comparableKey interface {
	Equal(crypto.PublicKey) bool
}

// parseKey reads a key as it is published. RSA keys are meant to be in the form
// of RFC 5280, and some are in that of PKCS #1, which receivers take as well.
func parseKey(kind string, raw []byte) comparableKey {
	if kind == "ed25519" {
		if len(raw) == ed25519.PublicKeySize {
			return ed25519.PublicKey(raw)
		}
		return nil
	}
	if key, err := x509.ParsePKIXPublicKey(raw); err == nil {
		if key, ok := key.(*rsa.PublicKey); ok {
			return key
		}
		return nil
	}
	if key, err := x509.ParsePKCS1PublicKey(raw); err == nil {
		return key
	}
	return nil
}

// parseTags reads a tag list (RFC 6376 §3.2). White space within a value means
// nothing in the values that are looked at here.
func parseTags(text string) (map[string]string, bool) {
	tags := map[string]string{}
	for part := range strings.SplitSeq(text, ";") {
		if strings.TrimSpace(part) == "" {
			continue
		}
		name, value, ok := strings.Cut(part, "=")
		name = strings.TrimSpace(name)
		if _, twice := tags[name]; !ok || twice || name == "" {
			return tags, false
		}
		tags[name] = strings.Join(strings.Fields(value), "")
	}
	return tags, true
}
