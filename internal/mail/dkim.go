// SPDX-License-Identifier: Apache-2.0

package mail

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"errors"
	"fmt"
	"strings"

	"github.com/emersion/go-msgauth/dkim"
)

// minRSA is the shortest key that RFC 8301 §3.2 recommends, in bits; below
// 1024 a signature does not even count, and 1024 can be broken.
const minRSA = 2048

// signedOnce are the fields that are covered where they are present, and
// oversigned those that are covered once more than they are present, so that
// nobody can add another in front (RFC 6376 §8.15). RFC 8058 §4 wants the
// fields of the one-click unsubscription covered.
var (
	signedOnce = []string{
		"Auto-Submitted", "X-Auto-Response-Suppress", "Content-Language", "List-Unsubscribe", "List-Unsubscribe-Post",
		"Mime-Version", "Content-Type",
	}
	oversigned = []string{"From", "To", "Subject", "Date", "Message-Id"}
)

// DKIM signs mail for a domain (RFC 6376), for where the relay does not.
type DKIM struct {
	Domain   string // aligned with that of From, for DMARC to count it
	Selector string // where the public key is: Selector._domainkey.Domain
	Signer   crypto.Signer
}

// Validate checks names and key, and makes no signature.
func (d *DKIM) Validate() error {
	if err := d.CheckNames(); err != nil {
		return err
	}
	if d.Signer == nil {
		return errors.New("dkim needs a key")
	}
	switch key := d.Signer.Public().(type) {
	case ed25519.PublicKey:
		return nil
	case *rsa.PublicKey:
		if bits := key.N.BitLen(); bits < minRSA {
			return fmt.Errorf("dkim key has %d bits, fewer than %d", bits, minRSA)
		}
		return nil
	}
	return errors.New("dkim key must be RSA or Ed25519")
}

// CheckNames refuses names that no public key could stand under.
func (d *DKIM) CheckNames() error {
	if !validHELO(d.Domain) || d.Domain[0] == '[' {
		return fmt.Errorf("dkim domain %q is not a domain in ASCII, like example.org", d.Domain)
	}
	if !validSelector(d.Selector) {
		return fmt.Errorf("dkim selector %q is not a name in the DNS, like mail2026", d.Selector)
	}
	return nil
}

func validSelector(name string) bool {
	for label := range strings.SplitSeq(name, ".") {
		if !validLabel(label) {
			return false
		}
	}
	return len(name) <= maxHostName
}

// Sign returns the message with a signature before it.
func (d *DKIM) Sign(message []byte) ([]byte, error) {
	head, _, found := bytes.Cut(message, []byte("\r\n\r\n"))
	if !found {
		return nil, errHeader
	}
	fields, err := splitFields(head)
	if err != nil {
		return nil, err
	}
	var keys []string
	for _, name := range oversigned {
		keys = append(keys, name, name)
	}
	for _, name := range signedOnce {
		if _, ok := fields[strings.ToLower(name)]; ok {
			keys = append(keys, name)
		}
	}
	var out bytes.Buffer
	if err := dkim.Sign(&out, bytes.NewReader(message), &dkim.SignOptions{
		Domain: d.Domain, Selector: d.Selector, Signer: d.Signer, Hash: crypto.SHA256,
		HeaderCanonicalization: dkim.CanonicalizationRelaxed, BodyCanonicalization: dkim.CanonicalizationRelaxed,
		HeaderKeys: keys,
	}); err != nil {
		return nil, fmt.Errorf("sign mail: %w", err)
	}
	return out.Bytes(), nil
}
